"""From fitted curves to training rows: one row per (study, assay, cell line, drug), and the cohorts of cancer types."""

import numpy as np
import pandas as pd

KEY = ["study", "assay", "cell_id", "drug_id"]


TARGETS = ("auc", "auc_common", "auc_tested")


def training_rows(fits, fit_filter="none", target="auc"):
    """Median AUC over the replicate curves of a (study, assay, cell line, drug).

    Parameters
    ----------
    fits : DataFrame
        The `fits` table, with `control` if control compounds are still in it.
    fit_filter : {"none", "lineage"}
        `lineage` keeps curves with R2fit ≥ 0.3 and EC50se ≤ 3, the rule of the paper's group.
    target : {"auc", "auc_common", "auc_tested"}
        Over the fixed range, over the range that the assays of a drug have in common, or over the range that a study
        tested, as it published the area (`published.as_fits`).

    Returns
    -------
    DataFrame
        The `pairs` table, sorted by key. Where one pair has viability and growth read-outs of the same wells, viability
        is kept. The column is `auc` for any target.
    """
    if target not in TARGETS or target not in fits:
        raise ValueError(f"target must be one of {TARGETS} and a column of fits, found {target!r}")
    if fit_filter not in ("none", "lineage"):
        raise ValueError(f"fit_filter must be 'none' or 'lineage', found {fit_filter!r}")
    use = fits[target].notna() & ~fits.get("control", pd.Series(False, index=fits.index)).astype(bool)
    if fit_filter == "lineage":
        use &= (fits.r2fit >= 0.3) & (fits.ec50se <= 3)
    grouped = fits[use].groupby([*KEY, "endpoint"], sort=True, observed=True)
    pairs = grouped[target].agg(auc="median", n_curves="size").reset_index()
    pairs = pairs.sort_values([*KEY, "endpoint"]).drop_duplicates(KEY, keep="last")  # "viability" sorts after "growth"
    return pairs[[*KEY, "auc", "n_curves", "endpoint"]].reset_index(drop=True)


def add_cell_facts(pairs, cells):
    """Training rows with the donor, tissue and cancer type of their line."""
    return pairs.merge(cells[["cell_id", "donor", "tissue", "cancer_type"]], on="cell_id", how="left", validate="m:1")


def top_types(cells, n):
    """The n most frequent annotated cancer types among the lines given; ties in alphabetical order.

    Types that name only a site ("…_NOS", "Unknown") are no types and never count.
    """
    named = cells.cancer_type.dropna()
    named = named[~named.str.endswith("_NOS") & (named != "Unknown")]
    counts = (
        named.value_counts()
        .rename_axis("cancer_type")
        .reset_index()
        .sort_values(["count", "cancer_type"], ascending=[False, True])
    )
    return counts.cancer_type.head(n).tolist()


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
