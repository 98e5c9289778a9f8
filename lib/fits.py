"""What a table of fits says: its kinds of curves, Table 7, the lineage's filter, agreement with published summaries."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import hill, published

R2FIT_LEAST, EC50SE_MOST = 0.3, 3.0  # the filter of the paper's group (Uno benchmark, loading of the response)

# A study's own summary -> our column that measures the same, and how the summary is put on its scale.
MEASURES = {
    "activity_area": ("aac1", lambda v: v / 8),  # CCLE: summed over its 8 doses
    "area_above": ("aac1", lambda v: v),
    "auc_tested": ("auc1", lambda v: v),
    "ctrp_auc": ("auc1", lambda v: v),  # CTRP: an area in dose steps; only its rank and line are comparable
    "gr_aoc": ("aac1", lambda v: v),
    "ln_ic50_um": ("ic50", lambda v: 6 - v / np.log(10)),
    "ic50_um": ("ic50", lambda v: 6 - np.log10(v)),
    "gr50_um": ("ic50", lambda v: 6 - np.log10(v)),
    "ec50_um": ("pec50", lambda v: 6 - np.log10(v)),
}


def screened(fits):
    """Fits of screened compounds: converged, control compounds left out."""
    control = fits["control"].astype(bool) if "control" in fits else False
    return fits[fits["auc"].notna() & ~control]


def table7(fits, columns=("r2fit", "r2clip", "einf", "hs")):
    """Table 7 of the paper: quality and shape of the fits by study, beside the printed values.

    Parameters
    ----------
    fits : DataFrame
    columns : sequence of str
        Of `fits`, or "r2clip": R2 of the same curves against growth clipped to 0-1, as they were fitted.

    Returns
    -------
    DataFrame
        study, metric, n, mean, sd, q1, median, q3, published_mean, published_sd, difference (of the means). Control
        compounds are left out. R2fit has no lower end, so its mean and sd are those of a few curves; read the median.
        The paper prints one R2, which stands beside both of ours.
    """
    use = screened(fits)
    if "r2clip" in columns:
        use = use.assign(r2clip=1 - use["sse"] / use["sse_flat"].where(use["sse_flat"] > 1e-12))
    long = use.melt("study", list(columns), var_name="metric").dropna(subset=["value"])
    grouped = long.groupby(["study", "metric"], observed=True)["value"]
    table = grouped.agg(n="size", mean="mean", sd="std").join(grouped.quantile([0.25, 0.5, 0.75]).unstack())
    table = table.rename(columns={0.25: "q1", 0.5: "median", 0.75: "q3"}).reset_index()
    printed = published.values("table7").pivot(index=["study", "metric"], columns="statistic", values="value")
    printed = printed.rename(columns=lambda name: f"published_{name}").reset_index()
    table = table.assign(printed=table["metric"].replace("r2clip", "r2fit"))
    table = table.merge(printed.rename(columns={"metric": "printed"}), on=["study", "printed"], how="left")
    return table.drop(columns="printed").assign(difference=table["mean"] - table["published_mean"])


EXAMPLES = {
    "textbook": ("r2fit > 0.9 and einf < 0.3 and 0.8 < hs < 2.5 and p_flat < 0.01", "r2fit", False),
    "partial: half the cells stay": ("r2fit > 0.9 and 0.45 < einf < 0.7 and hs < 3", "r2fit", False),
    "steep: slope on its bound": ("hs >= 4 and r2fit > 0.9 and einf < 0.5", "r2fit", False),
    "flat: no response": ("p_flat > 0.9 and 0.9 < auc1 < 0.97 and n_doses > 6", "sse_flat", True),
    "shallow: slope near 0": ("0 < hs < 0.15 and r2fit > 0.3", "r2fit", False),
    "half-effect dose not reached": ("pec50 < dose_strong - 1 and r2fit > 0.8 and auc1 < 0.9", "r2fit", False),
    "a wild point": ("n_doses > 6 and 0.3 < r2fit < 0.6 and hs >= 4", "sse", False),
    "pathological: rises with the dose": ("n_doses > 6 and auc1 < 0.9 and p_flat > 0.99 and sse < 0.5", "sse", False),
}


def examples(fits):
    """One curve of each kind that a screen holds, good and bad.

    Returns
    -------
    dict of str to str
        Kind to curve_id, for the kinds that are there (see `EXAMPLES`); the clearest curve of each.
    """
    use, chosen = screened(fits), {}
    for kind, (rule, by, ascending) in EXAMPLES.items():
        found = use.query(rule).sort_values([by, "curve_id"], ascending=[ascending, True])
        if len(found):
            chosen[kind] = found["curve_id"].iloc[0]
    return chosen


def beside_lineage(fits, responses, n=300, seed=0):
    """Our optimum beside the one that the paper's group would have reported, on curves drawn at random.

    Parameters
    ----------
    fits, responses : DataFrame
    n, seed : int
        How many curves, and which draw. SciPy fits 50 to 250 curves a second.

    Returns
    -------
    DataFrame
        curve_id, study, auc, auc_lineage, excess (their sum of squares less ours; above 0 they stopped too early).
    """
    drawn = screened(fits).sample(min(n, len(screened(fits))), random_state=seed)
    theirs = hill.fit_curves(responses[responses["curve_id"].isin(drawn["curve_id"])], method="lineage")
    joined = drawn.merge(theirs[["curve_id", "auc", "sse"]], on="curve_id", suffixes=("", "_lineage"))
    joined = joined.assign(excess=joined["sse_lineage"] - joined["sse"])
    return joined[["curve_id", "study", "auc", "auc_lineage", "excess"]]


def trust(fits):
    """How much of the fits rests on what was measured, as shares of each study's curves.

    Returns
    -------
    DataFrame
        study, n, extrapolated (mean share of the range 4-10 outside the doses), flat (F test against a flat line with
        p >= 0.05), on_bound (a parameter on a bound), no_ic50, outside (half-effect dose outside the doses), no_error
        (standard error of the half-effect dose undetermined), edge (the fit falls to nothing, einf < 0.05, with its
        half-effect dose at the strongest dose or beyond: what the AUC counts there was not measured).
    """
    use = screened(fits)
    flags = dict(extrapolated=use["extrapolated"], flat=use["p_flat"] >= 0.05, on_bound=use["at_bound"] != "")
    flags |= dict(no_ic50=use["ic50"].isna(), outside=~use["pec50"].between(use["dose_strong"], use["dose_weak"]))
    flags |= dict(no_error=use["ec50se"].isna())
    flags |= dict(edge=(use["einf"] < 0.05) & (use["pec50"] <= use["dose_strong"] + 0.25) & (use["hs"] > 0.5))
    grouped = pd.DataFrame(flags).astype(float).groupby(use["study"], observed=True)
    return grouped.mean().assign(n=grouped.size()).reset_index()


def lineage_filter(fits):
    """Whether the paper's group would have kept a curve: R2fit >= 0.3 and EC50se <= 3 (boolean Series)."""
    return (fits["r2fit"] >= R2FIT_LEAST) & (fits["ec50se"] <= EC50SE_MOST)


def filter_effect(fits):
    """What the lineage's filter removes, by study.

    Returns
    -------
    DataFrame
        study, n, removed (share), by_r2fit, by_ec50se (share that each rule alone would remove), removed_flat (share of
        the removed curves that do not differ from a flat line, p >= 0.05), auc_kept, auc_removed (medians).
    """
    use = screened(fits)
    use = use.assign(kept=lineage_filter(use), low=~(use["r2fit"] >= R2FIT_LEAST), wide=~(use["ec50se"] <= EC50SE_MOST))
    rows = []
    for study, group in use.groupby("study", observed=True):
        gone = group[~group["kept"]]
        row = dict(study=study, n=len(group), removed=len(gone) / len(group))
        row |= dict(by_r2fit=group["low"].mean(), by_ec50se=group["wide"].mean())
        row |= dict(removed_flat=(gone["p_flat"] >= 0.05).mean())
        rows.append(row | dict(auc_kept=group.loc[group["kept"], "auc"].median(), auc_removed=gone["auc"].median()))
    return pd.DataFrame(rows)


SUMMARIES = ["study", "assay", "cell_id", "drug_id", "curve_id", "measure", "value", "sheet"]


def summaries(path):
    """The `published` table, or one without rows where the data set brings none."""
    return pd.read_parquet(path) if Path(path).exists() else pd.DataFrame(columns=SUMMARIES)


def beside_published(fits, summaries):
    """Our value beside the study's own, one row per pair of them.

    Parameters
    ----------
    fits : DataFrame
    summaries : DataFrame
        The `published` table: study, assay, cell_id, drug_id, measure, value, and curve_id where the study gives one
        value per curve; other values stand beside the median over our curves of the same line and drug.

    Returns
    -------
    DataFrame
        study, assay, measure, sheet, cell_id, drug_id, theirs (on our scale), ours; no value of ours is NaN.
    """
    use = screened(fits)
    use = use[use["endpoint"] == "viability"] if "endpoint" in use else use
    columns = ["study", "assay", "measure", "sheet", "cell_id", "drug_id", "theirs", "ours"]
    known = summaries[summaries["measure"].isin(list(MEASURES))]
    rows = [_beside(use, theirs)[columns] for _, theirs in known.groupby(["measure", "sheet"], observed=True)]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def _beside(use, theirs):
    column, rescaled = MEASURES[theirs["measure"].iloc[0]]
    if theirs["curve_id"].notna().all():
        joined = theirs.merge(use[["curve_id", column]], on="curve_id")
    else:
        key = ["study", "assay", "cell_id", "drug_id"]
        joined = theirs.merge(use.groupby(key, observed=True)[column].median().reset_index(), on=key)
    return joined.assign(theirs=rescaled(joined["value"]), ours=joined[column])


def agreement(beside):
    """Rank and linear correlation with the studies' own summaries.

    Parameters
    ----------
    beside : DataFrame
        Of `beside_published`.

    Returns
    -------
    DataFrame
        study, assay, measure, sheet, n, n_missing (no value on one side, for example no IC50), n_drugs, spearman,
        pearson, within_drug (median over drugs with at least 20 pairs of the rank correlation), at_cap (share of the
        published values that equal the commonest one, a sign of censoring); sorted by spearman.
    """
    rows = []
    for key, group in beside.groupby(["study", "assay", "measure", "sheet"], observed=True):
        known = group[np.isfinite(group["ours"]) & np.isfinite(group["theirs"])]
        row = dict(zip(("study", "assay", "measure", "sheet"), key, strict=True))
        row |= dict(n=len(known), n_missing=len(group) - len(known), n_drugs=known["drug_id"].nunique())
        row |= {name: known["ours"].corr(known["theirs"], method=name) for name in ("spearman", "pearson")}
        row["within_drug"] = _within_drug(known)
        rows.append(row | dict(at_cap=known["theirs"].value_counts(normalize=True).max()))
    table = pd.DataFrame(rows, columns=None if rows else ["study", "assay", "measure", "sheet", "n", "spearman"])
    return table.sort_values("spearman", ignore_index=True)


def by_quarter(beside, row):
    """Where along a published summary the ranks agree.

    Parameters
    ----------
    beside : DataFrame
        Of `beside_published`.
    row : Series
        One row of `agreement`.

    Returns
    -------
    DataFrame
        One row per quarter of the published value: n, largest, spearman.
    """
    mine = beside[(beside["measure"] == row["measure"]) & (beside["sheet"] == row["sheet"])]
    mine = mine[np.isfinite(mine["ours"]) & np.isfinite(mine["theirs"])]
    names = ["lowest quarter of theirs", "second", "third", "highest quarter"]
    cut = np.minimum(mine["theirs"].rank(method="first", pct=True) * 4, 3.999).astype(int)
    found = []
    for quarter, part in mine.groupby(cut):
        spearman = part["ours"].corr(part["theirs"], method="spearman")
        found.append(dict(quarter=names[quarter], n=len(part), largest=part["theirs"].max(), spearman=spearman))
    return pd.DataFrame(found)


def _within_drug(known, least=20):
    groups = [g for _, g in known.groupby("drug_id", observed=True) if len(g) >= least and g["theirs"].nunique() > 1]
    return float(np.median([g["ours"].corr(g["theirs"], method="spearman") for g in groups])) if groups else np.nan
