"""Gene sets of the paper (section 4.2.1) and random subsets, matched against a panel's genes."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.screens import symbols
from lib.tables import TableError

MIN_GENES = 32  # a named set that matches fewer is no level: the smallest random set has as many
# files in data/open/genes and the column that holds the symbols
GENE_LISTS = {
    "lincs1000": (("lincs_landmark_978.csv", "symbol"),),
    "oncogenes": (("oncokb_1130.csv", "hugo_symbol"), ("gdsc1000_driver_310.csv", "symbol")),
}
NO_SYMBOLS = ": are they HGNC symbols? earlier symbols need an alias table"
UNMATCHED = "panel rnaseq_set symbol found_as how".split()
RANDOM_SIZES = (32, 64, 128, 256, 512, 1024, 2048)
# HGNC: earlier symbol -> present symbol, for the landmark genes that our two copies of the list
# spell differently
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


def read_gene_lists(folder):
    """Symbols of the named gene sets.

    Parameters
    ----------
    folder : path
        Where the files of `GENE_LISTS` lie; several files of one set are joined.

    Returns
    -------
    dict of str to list of str
        Also `oncogenes_lincs1000`, the union.

    Raises
    ------
    TableError
        A file that is missing, broken or without the column; an entry that is no symbol (missing,
        a date or a number, with a space).
    """
    lists = {}
    for name, files in GENE_LISTS.items():
        found = set()
        for file, column in files:
            found.update(_symbols(Path(folder) / file, column))
        lists[name] = sorted(found)
    lists["oncogenes_lincs1000"] = sorted({*lists["oncogenes"], *lists["lincs1000"]})
    return lists


def _symbols(path, column):
    from lib.screens import delimited  # half a second to import, and the sweep imports this file

    layout = delimited.Layout("a list of genes", {column: delimited.TEXT}, missing=())
    listed = delimited.read(path, layout)[column].to_pandas()
    wrong = listed[(symbols.problems(listed) != "") | listed.str.contains(r"\s")]
    if len(wrong):
        raise TableError(
            f"{path.name}, row {wrong.index[0] + 1}: {wrong.iloc[0]!r} in column {column!r} is no "
            f"gene symbol ({len(wrong)} such); write the HGNC symbol, or take the row out"
        )
    return listed


def match_symbols(listed, available):
    """Find listed symbols among a panel's genes, by symbol and then by alias in either direction.

    Parameters
    ----------
    listed, available : sequence of str

    Returns
    -------
    DataFrame
        symbol (as listed), found_as (as in the panel, or missing), how ("symbol", "alias",
        "unmatched"). One panel gene answers once: a second spelling of it is "unmatched".
    """
    other = {new: old for old, new in ALIASES.items()} | ALIASES
    available = set(available)
    taken = set(listed) & available
    rows = []
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


def gene_sets(genes, lists, panel="array", sizes=RANDOM_SIZES, n_draws=3, seed=0):
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

    Returns
    -------
    members : DataFrame
        rnaseq_set, symbol, panel.
    report : DataFrame
        One row per level: panel, rnaseq_set, n_wanted, n_genes, n_alias, feasible, reason. A level
        that the panel cannot fill has no members and its reason here; it never shrinks silently.
    unmatched : DataFrame
        panel, rnaseq_set, symbol, found_as, how: the listed symbols that were not found as such.
    """
    genes = sorted(genes)
    members = {"all": genes}
    report = [_level("all", len(genes), genes)]
    unmatched = [pd.DataFrame(columns=UNMATCHED, dtype="str")]
    for name, listed in lists.items():
        matched = match_symbols(listed, genes)
        members[name] = sorted(matched.found_as.dropna())
        n_alias = int((matched.how == "alias").sum())
        report.append(_level(name, len(matched), members[name], n_alias))
        unmatched.append(matched[matched.how != "symbol"].assign(rnaseq_set=name))
    for size in sizes:
        for draw in range(1, n_draws + 1):
            name = f"random_{size}" if draw == 1 else f"random_{size}_draw{draw}"
            chosen = np.random.default_rng([seed, size, draw]).permutation(len(genes))[:size]
            members[name] = sorted(genes[i] for i in chosen)
            report.append(_level(name, size, members[name]))
    report = pd.DataFrame(report)
    report.insert(0, "panel", panel)
    kept = report.rnaseq_set[report.feasible]
    made = pd.Series(members)[kept].explode().rename_axis("rnaseq_set").reset_index(name="symbol")
    unmatched = pd.concat(unmatched, ignore_index=True).assign(panel=panel)
    return made.assign(panel=panel), report, unmatched[UNMATCHED]


def _level(name, n_wanted, found, n_alias=0):
    """A row of the report of `gene_sets`: is the level feasible, and if not (or not whole) why.

    A random set must be whole; a named one must match at least MIN_GENES.
    """
    random = name.startswith("random_")
    feasible = len(found) >= (n_wanted if random else MIN_GENES)
    if not n_wanted:
        reason = "the list is empty: give at least one symbol"
    elif feasible and len(found) == n_wanted:
        reason = ""
    elif random:
        reason = f"{n_wanted} genes wanted, the panel holds {len(found)}"
    else:
        reason = f"{len(found)} of {n_wanted} listed symbols are in the panel"
        reason += "" if feasible else f", at least {MIN_GENES} are needed"
        reason += "" if found else NO_SYMBOLS
    return dict(
        rnaseq_set=name,
        n_wanted=n_wanted,
        n_genes=len(found),
        n_alias=n_alias,
        feasible=feasible,
        reason=reason,
    )
