"""One id per cell line over all studies, and the donor that folds are cut on.

A line is known by its DepMap id, else its Cellosaurus accession, else its normalised name; names
that share either id are one line. Lines of one donor (a primary tumour and its metastasis, a clone,
a line known to be another) keep their own id but share `donor`, the key on which folds are cut. In
the one table of an own screen two names are two lines, whatever their spelling or ids say.
"""

import re

import numpy as np
import pandas as pd

from lib.paths import DATA

# donor, names (normalised, parted by ";"), reason
SAME_DONOR = DATA / "identity" / "same_donor.csv"
# An id of another form, such as "unknown", is none and joins nothing.
FORMS = {"depmap_id": r"ACH-[0-9A-Z]+", "cellosaurus_id": r"CVCL_[0-9A-Z]+"}
FACTS = [*FORMS, "tissue", "cancer_type", "donor"]  # what a table may say of a line


def normalise(name):
    """Upper case, letters and digits only: equal for all spellings of one name.

    >>> normalise("NCI/ADR-RES (TB)")
    'NCIADRRESTB'
    """
    return re.sub(r"[^A-Z0-9]", "", str(name).upper())


def same_line(frame):
    """Join rows that share a DepMap id or a Cellosaurus accession.

    Parameters
    ----------
    frame : DataFrame
        Columns `depmap_id`, `cellosaurus_id`, `key` (a name); ids may be missing.

    Returns
    -------
    Series of str
        One canonical id per row: the smallest DepMap id of the group, else the smallest accession,
        else ``NAME:`` and the key. A name alone never joins two lines that carry ids.
    """
    parent = {}

    def root(node):
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    first = frame.depmap_id.fillna(frame.cellosaurus_id).fillna("NAME:" + frame.key)
    other = frame.cellosaurus_id.fillna(first)
    for pair in zip(first, other, strict=True):
        low, high = sorted(map(root, pair))
        parent[high] = low  # ACH- sorts before CVCL_, so the DepMap id leads
    return first.map(root).rename("cell_id").astype("str")


def listed(cells):
    """Line and donor of each row of the user's own table: every row is a line of its own.

    Rows that share an id of a catalogue are of one donor (a derivative that carries its parent's
    accession); their lines are known by their names.

    Parameters
    ----------
    cells : DataFrame
        cell_id, perhaps some of `FACTS`.

    Returns
    -------
    DataFrame
        cell_name, the facts, cell_id.
    """
    cells = cells.assign(cell_name=cells.cell_id).reindex(columns=["cell_name", *FACTS])
    cells = cells.astype("str")
    group = same_line(cells.assign(key=cells.cell_name))
    shared = group.duplicated(keep=False)
    told = cells.donor.fillna(cells.groupby(group).donor.transform("first"))
    ids = group.mask(shared, "NAME:" + cells.cell_name)
    return cells.assign(cell_id=ids, donor=told.fillna(group.where(shared)))


def link(aliases):
    """The alias table with the normalised name (`key`) and the line (`cell_id`) of every row.

    A row without any id takes the line of its spelling where exactly one line has that spelling;
    where two have it, the row keeps its name for an id. `by_name`: the row has no id, and its
    spelling is that of a line that has one. An alias table that has `cell_id` keeps it.
    """
    known = aliases.assign(key=aliases.cell_name.map(normalise), by_name=False)
    if "cell_id" in known:
        return known
    for column, form in FORMS.items():
        known[column] = known[column].where(known[column].astype("str").str.fullmatch(form))
    known["cell_id"] = same_line(known)
    bare = known.cell_id.str.startswith("NAME:")
    of_key = only(known[~bare].groupby("key").cell_id)
    known["by_name"] = bare & known.key.isin(of_key.index)
    alike = known.key.map(of_key)
    known["cell_id"] = _two_of_one_table(known, bare).mask(bare & alike.notna(), alike)
    return known


def only(groups):
    """The one value of each group; missing where a group has several."""
    values = groups.agg(["first", "nunique"])
    return values["first"].where(values["nunique"] == 1)


def _two_of_one_table(names, by_name):
    """cell_id; where two names of one study are one by their spelling alone, each as written."""
    differ = names.groupby(["study", "cell_id"]).cell_name.transform("nunique") > 1
    return names.cell_id.mask(by_name & differ, "NAME:" + names.cell_name)


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
        The `cell_names` table; `rule` says how each name was resolved. A name that fits two lines
        keeps its own id.
    """
    key = ["study", "cell_name"]
    out = names[key].drop_duplicates().astype("str").reset_index(drop=True)
    spelling = out.cell_name.map(normalise)
    out["cell_id"] = "NAME:" + spelling
    out["rule"] = np.where(spelling.isin(known.key), "ambiguous name", "new name")
    rules = {
        "normalised name": spelling.map(only(known.groupby("key").cell_id)),
        "alias table": spread(out, known[~known.by_name], "cell_name", "cell_id"),
    }
    if overrides is not None:
        rules["override"] = spread(out, overrides, "cell_name", "cell_id")
    for rule, ids in rules.items():
        found = ids.notna().to_numpy()
        out.loc[found, "cell_id"] = ids[found].to_numpy()
        out.loc[found, "rule"] = rule
    out["cell_id"] = _two_of_one_table(out, out.rule.isin(("ambiguous name", "new name")))
    return out


def spread(rows, names, name, column):
    """A fact of each (study, name) for every row.

    Parameters
    ----------
    rows : DataFrame
        Columns `study` and `name`, plain or categorical.
    names : DataFrame
        Columns `study`, `name`, `column`; of several rows of one name the last counts.
    name, column : str

    Returns
    -------
    Series
        In the order of `rows`, missing where a name is not listed; categorical where the rows are,
        so that a release of 24 million rows costs a number each.
    """
    key = ["study", name]
    found = names.drop_duplicates(key, keep="last").set_index(key)[column]
    codes, values = pd.factorize(found)
    place = found.index.get_indexer(pd.MultiIndex.from_frame(rows[key]))
    codes = np.append(codes, -1)[place].astype(np.int32)  # place -1: not listed
    made = pd.Categorical.from_codes(codes, pd.Index(values, dtype="str"))
    made = pd.Series(made, index=rows.index, name=column)
    return made if isinstance(rows[name].dtype, pd.CategoricalDtype) else made.astype("str")


def cell_table(names, known):
    """The `cells` table: the first spelling labels a line, the alias table describes it.

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
    facts = [*FORMS, "tissue", "cancer_type"]
    described = known[known.cell_id.isin(names.cell_id)].groupby("cell_id")[facts].first()
    cells = names.groupby("cell_id").cell_name.first().to_frame().join(described)
    donor = _donors(pd.concat([known, names.assign(key=names.cell_name.map(normalise))]))
    if "donor" in known:  # a scientist's own table may say it
        told = "DONOR:" + known.groupby("cell_id").donor.first()
        donor = told.reindex(cells.index).fillna(donor)
    cells["donor"] = donor.reindex(cells.index).fillna(cells.index.to_series())
    return cells.reset_index()


def _donors(spelled):
    """The donor of each line that has a listed name, by `cell_id`; `spelled` has its names' keys.

    Lines of one donor share it, every other line is its own donor.
    """
    listed = pd.read_csv(SAME_DONOR, dtype=str)
    listed = listed.assign(key=listed.names.str.split(";")).explode("key").set_index("key").donor
    return ("DONOR:" + spelled.key.map(listed)).groupby(spelled.cell_id).min()
