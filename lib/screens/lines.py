"""One id per cell line and per drug over all studies, and the audit that keeps folds honest.

A line is known by its DepMap id, else its Cellosaurus accession, else its normalised name; names that share either id
are one line. Lines of one donor (a primary tumour and its metastasis, a clone, a line known to be another) keep their
own id but share `donor`, the key on which folds are cut. A drug is the first block of its InChIKey, salts stripped.
"""

import re

import numpy as np
import pandas as pd

from lib.paths import DATA


def normalise(name):
    """Upper case, letters and digits only: the key under which spellings of one name meet.

    >>> normalise("NCI/ADR-RES (TB)")
    'NCIADRRESTB'
    """
    return re.sub(r"[^A-Z0-9]", "", str(name).upper())


def same_line(frame):
    """Join rows that share a DepMap id or a Cellosaurus accession.

    Parameters
    ----------
    frame : DataFrame
        Columns `depmap_id`, `cellosaurus_id`, `key` (normalised name); ids may be missing.

    Returns
    -------
    Series of str
        One canonical id per row: the smallest DepMap id of the group, else the smallest accession, else ``NAME:`` and
        the key.
    """
    parent = {}

    def root(node):
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    named = [
        ("NAME:" + key, *ids)
        for key, *ids in frame[["key", "depmap_id", "cellosaurus_id"]].itertuples(index=False)
    ]
    links = [[node for node in row if isinstance(node, str)] for row in named]
    # A name alone never joins two lines that carry ids: it speaks only where there is none.
    links = [row[1:] or row for row in links]
    for row in links:
        for other in row[1:]:
            first, second = sorted((root(row[0]), root(other)))
            parent[second] = first  # ACH- sorts before CVCL_, so the DepMap id leads
    return pd.Series([root(row[0]) for row in links], index=frame.index, name="cell_id")


def donors(cells, table=None):
    """Key of the donor: lines of one donor share it, every other line is its own donor.

    Parameters
    ----------
    cells : DataFrame
        Columns `cell_id`, `keys` (a set of normalised names).
    table : DataFrame, optional
        Columns `donor`, `names` (normalised, parted by ``;``); by default the shipped `data/identity/same_donor.csv`.

    Returns
    -------
    Series of str
    """
    table = pd.read_csv(DATA / "identity" / "same_donor.csv", dtype=str) if table is None else table
    of_name = {
        name: f"DONOR:{row.donor}" for row in table.itertuples() for name in row.names.split(";")
    }
    found = cells["keys"].map(lambda keys: sorted({of_name[key] for key in keys if key in of_name}))
    return pd.Series(
        [hits[0] if hits else own for hits, own in zip(found, cells.cell_id, strict=True)],
        index=cells.index,
    )


def link(aliases):
    """The alias table with the normalised name (`key`) and the line (`cell_id`) of every row.

    A row without any id takes the line of its spelling where exactly one line has that spelling; where two have it, the
    row keeps its name for an id. `by_name` marks rows whose name, not an id, has spoken.
    """
    known = aliases.assign(key=aliases.cell_name.map(normalise))
    known = known.assign(cell_id=same_line(known))
    bare = known.cell_id.str.startswith("NAME:")
    lines = known[~bare].groupby("key").cell_id.agg(["first", "nunique"])
    spoken = bare & known.key.isin(lines.index)
    only = known.key.map(lines["first"].where(lines["nunique"] == 1))
    return known.assign(cell_id=known.cell_id.mask(spoken & only.notna(), only), by_name=spoken)


def resolve_names(names, known, overrides=None):
    """Give every (study, name) its line.

    Parameters
    ----------
    names : DataFrame
        Columns `study`, `cell_name`; repeated names are resolved once.
    known : DataFrame
        The alias table after `link`.
    overrides : DataFrame, optional
        Columns `study`, `cell_name`, `cell_id`: a person's decision, which wins.

    Returns
    -------
    DataFrame
        The `cell_names` table; `rule` says how each name was resolved. A name that fits two lines keeps its own id.
    """
    told = known[~known.by_name]
    exact = dict(zip(zip(told.study, told.cell_name, strict=True), told.cell_id, strict=True))
    by_key = {}
    for key, cell_id in known[["key", "cell_id"]].drop_duplicates().itertuples(index=False):
        by_key.setdefault(key, []).append(cell_id)
    fixed = (
        {} if overrides is None else overrides.set_index(["study", "cell_name"]).cell_id.to_dict()
    )
    out = names[["study", "cell_name"]].drop_duplicates().astype("str").reset_index(drop=True)
    found = [
        _resolve(study, name, fixed, exact, by_key) for study, name in out.itertuples(index=False)
    ]
    out[["cell_id", "rule"]] = pd.DataFrame(found, index=out.index, columns=["cell_id", "rule"])
    return out


def _resolve(study, name, fixed, exact, by_key):
    if (study, name) in fixed:
        return fixed[study, name], "override"
    if (study, name) in exact:
        return exact[study, name], "alias table"
    ids = by_key.get(normalise(name), [])
    if len(ids) == 1:
        return ids[0], "normalised name"
    return f"NAME:{normalise(name)}", "ambiguous name" if ids else "new name"


def spread(rows, names, name, column):
    """A fact of each (study, name) for every row.

    Parameters
    ----------
    rows : DataFrame
        Columns `study` and `name`, plain or categorical.
    names : DataFrame
        One row per study and name, with `column`.
    name, column : str

    Returns
    -------
    Series
        In the order of `rows`, missing where a name is not listed; categorical where the rows are, so that a release of
        24 million rows costs a number each.
    """
    study, studies = pd.factorize(rows.study)
    text, texts = pd.factorize(rows[name])
    width = max(len(texts), 1)
    pair, pairs = pd.factorize(study.astype(np.int64) * width + text)
    keys = [np.asarray(studies, object)[pairs // width], np.asarray(texts, object)[pairs % width]]
    found = names.set_index(["study", name])[column].reindex(pd.MultiIndex.from_arrays(keys))
    codes, values = pd.factorize(found)
    made = pd.Categorical.from_codes(codes[pair].astype(np.int32), pd.Index(values, dtype="str"))
    made = pd.Series(made, index=rows.index, name=column)
    return made if isinstance(rows[name].dtype, pd.CategoricalDtype) else made.astype("str")


def cell_table(names, known):
    """The `cells` table of resolved names: the first spelling labels a line, the alias table describes it.

    Parameters
    ----------
    names : DataFrame
        From `resolve_names`.
    known : DataFrame
        The alias table after `link`.

    Returns
    -------
    DataFrame
    """
    facts = known[known.cell_id.isin(names.cell_id)].groupby("cell_id", sort=True)
    cells = names.groupby("cell_id", sort=True).cell_name.first().to_frame()
    for column in ("depmap_id", "cellosaurus_id", "tissue", "cancer_type"):
        cells[column] = facts[column].first().reindex(cells.index)
    keys = {cell_id: set() for cell_id in cells.index}
    spelled = names.assign(key=names.cell_name.map(normalise))
    for cell_id, key in pd.concat([known, spelled])[["cell_id", "key"]].itertuples(index=False):
        if cell_id in keys:
            keys[cell_id].add(key)
    cells = cells.reset_index()
    donor = donors(cells.assign(keys=cells.cell_id.map(keys)))
    if "donor" in known:  # a scientist's own table may say it
        told = (
            known.dropna(subset=["donor"])
            .drop_duplicates("cell_id")
            .set_index("cell_id")
            .donor.to_dict()
        )
        pairs = zip(cells.cell_id, donor, strict=True)
        donor = [f"DONOR:{told[cell_id]}" if cell_id in told else other for cell_id, other in pairs]
    return cells.assign(donor=donor)
