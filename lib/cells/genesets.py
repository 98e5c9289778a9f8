"""Gene sets of the paper (section 4.2.1) and random subsets, matched against the genes that a panel holds."""

from pathlib import Path

import numpy as np
import pandas as pd

MIN_GENES = 32  # a named set that matches fewer is no level: the smallest random set has as many
# file in data/open/genes and the column that holds the symbols
GENE_LISTS = {
    "lincs1000": (("lincs_landmark_978.csv", "symbol"),),
    "oncogenes": (("oncokb_1130.csv", "hugo_symbol"), ("gdsc1000_driver_310.csv", "symbol")),
}
RANDOM_SIZES = (32, 64, 128, 256, 512, 1024, 2048)
# HGNC: earlier symbol -> present symbol, for the landmark genes that our two copies of the list spell differently
ALIASES = {
    "FAM63A": "MINDY1",
    "IKBKAP": "ELP1",
    "LRRC16A": "CARMIL1",
    "KIAA0196": "WASHC5",
    "HDGFRP3": "HDGFL3",
    "PRUNE": "PRUNE1",
    "KIAA1033": "WASHC4",
    "HN1L": "JPT2",
    "TOMM70A": "TOMM70",
    "SQRDL": "SQOR",
    "ADCK3": "COQ8A",
    "AARS": "AARS1",
}


def read_gene_lists(folder, files=None):
    """Symbols of the named gene sets.

    Parameters
    ----------
    folder : path
        Where the lists lie; a comma-separated file each.
    files : dict of str to sequence of (file, column), optional
        `GENE_LISTS` by default; several files of one set are joined.

    Returns
    -------
    dict of str to list of str
        Also `oncogenes_lincs1000`, the union, where both are there.
    """
    lists = {}
    for name, parts in (GENE_LISTS if files is None else files).items():
        columns = [
            pd.read_csv(Path(folder) / file)[column].dropna().astype(str) for file, column in parts
        ]
        lists[name] = sorted(set(pd.concat(columns)))
    if {"lincs1000", "oncogenes"} <= lists.keys():
        lists["oncogenes_lincs1000"] = sorted({*lists["oncogenes"], *lists["lincs1000"]})
    return lists


def match_symbols(listed, available, aliases=None):
    """Find listed symbols among a panel's genes, by symbol and then by alias in either direction.

    Parameters
    ----------
    listed, available : sequence of str
    aliases : dict of str to str, optional
        Earlier symbol to present symbol; `ALIASES` by default.

    Returns
    -------
    DataFrame
        symbol (as listed), found_as (as in the panel, or missing), how ("symbol", "alias", "unmatched"). One panel gene
        answers once: a second spelling of it is "unmatched".
    """
    aliases = ALIASES if aliases is None else aliases
    other = {**{new: old for old, new in aliases.items()}, **aliases}
    available, taken, rows = set(available), set(listed) & set(available), []
    for symbol in dict.fromkeys(listed):
        alias = other.get(symbol)
        if symbol in available:
            rows.append((symbol, symbol, "symbol"))
        elif alias in available and alias not in taken:
            taken.add(alias)
            rows.append((symbol, alias, "alias"))
        else:
            rows.append((symbol, None, "unmatched"))
    return pd.DataFrame(rows, columns=["symbol", "found_as", "how"])


def gene_sets(genes, lists, panel="array", sizes=RANDOM_SIZES, n_draws=3, seed=0, aliases=None):
    """Every gene-set level of a panel: all, the named sets, random subsets.

    Parameters
    ----------
    genes : sequence of str
        The panel's genes.
    lists : dict of str to list of str
        Named sets, see `read_gene_lists`.
    panel : str
    sizes : sequence of int
        Sizes of the random subsets, `random_<size>`.
    n_draws : int
        Draws per size; the first is the level itself, further ones are `random_<size>_draw2`, ….
    seed : int
        A draw depends on the seed, its size, its number and the genes only.
    aliases : dict of str to str, optional

    Returns
    -------
    members : DataFrame
        rnaseq_set, symbol, panel.
    report : DataFrame
        One row per level: panel, rnaseq_set, n_wanted, n_genes, n_alias, feasible, reason. A level that the panel
        cannot fill has no members and its reason here; it never shrinks silently.
    unmatched : DataFrame
        panel, rnaseq_set, symbol, found_as, how: the listed symbols that were not found as such.
    """
    genes = sorted(genes)
    members, report, unmatched = {"all": genes}, [_level("all", len(genes), genes)], []
    for name, listed in lists.items():
        matched = match_symbols(listed, genes, aliases)
        found = sorted(matched.found_as.dropna())
        members[name] = found
        report.append(_level(name, len(matched), found, int((matched.how == "alias").sum())))
        unmatched.append(matched[matched.how != "symbol"].assign(rnaseq_set=name))
    for size in sizes:
        for draw in range(1, n_draws + 1):
            name = f"random_{size}" + (f"_draw{draw}" if draw > 1 else "")
            chosen = np.random.default_rng([seed, size, draw]).permutation(len(genes))[:size]
            members[name] = sorted(genes[i] for i in chosen)
            report.append(_level(name, size, members[name]))
    report = pd.DataFrame(report).assign(panel=panel)
    kept = report.rnaseq_set[report.feasible]
    members = [pd.DataFrame(dict(rnaseq_set=name, symbol=members[name])) for name in kept]
    unmatched = (
        pd.concat(unmatched)
        if unmatched
        else pd.DataFrame(columns=["rnaseq_set", "symbol", "found_as", "how"])
    )
    return (
        pd.concat(members, ignore_index=True).assign(panel=panel),
        report[["panel", "rnaseq_set", "n_wanted", "n_genes", "n_alias", "feasible", "reason"]],
        unmatched.assign(panel=panel)[
            ["panel", "rnaseq_set", "symbol", "found_as", "how"]
        ].reset_index(drop=True),
    )


def _level(name, n_wanted, found, n_alias=0):
    """A row of the report of `gene_sets`: a random set must be whole, a named one must match at least MIN_GENES."""
    random, reason = name.startswith("random_"), ""
    feasible = len(found) == n_wanted if random else len(found) >= MIN_GENES
    if not n_wanted:
        reason = "the list is empty: give at least one symbol"
    elif random and not feasible:
        reason = f"{n_wanted} genes wanted, the panel holds {len(found)}"
    elif not feasible:
        reason = f"{len(found)} of {n_wanted} listed symbols are in the panel, at least {MIN_GENES} are needed"
        reason += "" if found else ": are they HGNC symbols? earlier symbols need an alias table"
    elif len(found) < n_wanted:
        reason = f"{len(found)} of {n_wanted} listed symbols are in the panel"
    return dict(
        rnaseq_set=name,
        n_wanted=n_wanted,
        n_genes=len(found),
        n_alias=n_alias,
        feasible=feasible,
        reason=reason,
    )
