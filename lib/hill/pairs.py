"""From fitted curves to training rows: one row per (study, assay, cell line, drug), and the cohorts of cancer types."""

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
    use = fits[target].notna() & ~fits.get("control", pd.Series(False, index=fits.index)).astype(
        bool
    )
    if fit_filter == "lineage":
        use &= (fits.r2fit >= 0.3) & (fits.ec50se <= 3)
    grouped = fits[use].groupby([*KEY, "endpoint"], sort=True, observed=True)
    pairs = grouped[target].agg(auc="median", n_curves="size").reset_index()
    pairs = pairs.sort_values([*KEY, "endpoint"]).drop_duplicates(
        KEY, keep="last"
    )  # "viability" sorts after "growth"
    return pairs[[*KEY, "auc", "n_curves", "endpoint"]].reset_index(drop=True)
