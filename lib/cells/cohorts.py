"""Cohorts of the most frequent cancer types, and what is known of the line of a training row."""

import numpy as np


def add_cell_facts(pairs, cells):
    """Training rows with the donor, tissue and cancer type of their line."""
    return pairs.merge(
        cells["cell_id donor tissue cancer_type".split()],
        on="cell_id",
        how="left",
        validate="m:1",
    )


def top_types(cells, n):
    """The n most frequent annotated cancer types among the lines given; ties in alphabetical order.

    Types that name only a site ("…_NOS", "Unknown") are no types and never count.
    """
    return by_size(named(cells.cancer_type))[:n].tolist()


def named(types):
    """The types, missing where they name only a site ("…_NOS") or nothing ("Unknown")."""
    types = types.astype("str")
    return types.mask(types.str.endswith("_NOS", na=False) | (types == "Unknown"))


def by_size(values):
    """Index of the distinct values, the most frequent first; ties in alphabetical order."""
    counts = values.value_counts().sort_index()
    return counts.sort_values(ascending=False, kind="stable").index


def cohort_mask(pairs, cells, cohort):
    """Rows whose line belongs to a cohort.

    Parameters
    ----------
    pairs : DataFrame
        With `cell_id`.
    cells : DataFrame
        The `cells` table.
    cohort : {"all", "top21", "top6"}

    Returns
    -------
    ndarray of bool, shape (n_rows,)
    """
    if cohort == "all":
        return np.ones(len(pairs), bool)
    if cohort not in ("top21", "top6"):
        raise ValueError(f"cohort must be 'all', 'top21' or 'top6', found {cohort!r}")
    screened = cells[cells.cell_id.isin(pairs.cell_id)]
    members = screened[screened.cancer_type.isin(top_types(screened, int(cohort[3:])))]
    return pairs.cell_id.isin(members.cell_id).to_numpy()


def annotated_types(cells):
    """Cohort labels as the `cell_types` table: cell_id, label_kind, cancer_type.

    The kind is "annotated" where the table of cell lines names none.
    """
    known = cells.dropna(subset="cancer_type")
    known = known.assign(label_kind=known.get("label_kind", "annotated"))
    return known[["cell_id", "label_kind", "cancer_type"]]
