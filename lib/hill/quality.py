"""What a table of fits says: its kinds of curves, Table 7, the lineage's optimum and filter."""

import numpy as np
import pandas as pd

from lib import paper
from lib.hill import fit, pairs

NO_DOSES = "no doses: only the area over the tested range is published"
R2FIT_LEAST, EC50SE_MOST = (
    0.3,
    3.0,
)  # the filter of the paper's group (Uno benchmark, loading of the response)


def screened(fits, value="auc"):
    """Fits of screened compounds: those that have the value, control compounds left out."""
    control = fits["control"].astype(bool) if "control" in fits else False
    return fits[fits[value].notna() & ~control]


def areas(fits):
    """Name of the column that the training rows come from: areas over the fixed range, or those published instead."""
    return "auc_tested" if "auc_tested" in fits else "auc"


def of_published(tables):
    """Areas that a study published without its doses, as curves without a fit.

    Parameters
    ----------
    tables : dict of str to DataFrame
        From `lib.screens.harmonise.harmonise`.

    Returns
    -------
    dict of str to DataFrame
        Empty where there are doses: notebook 02 fits them. Otherwise `pairs`, and `fits` with one row per value of
        "auc_tested", which stands in a column of that name and nowhere else: it is taken over the doses that the study
        used, and compares with no area over a fixed range.
    """
    if len(tables["responses"]):
        return {}
    blank = fit.fit_curves(tables["responses"])
    published = tables["published"]
    rows = published[published["measure"] == "auc_tested"].reset_index(drop=True)
    unit = ["sheet", "cell_id", "drug_id"]
    place = rows.groupby(unit, observed=True).cumcount().astype("str")
    found = {name: rows[name] for name in ("study", "assay", "cell_id", "drug_id")}
    found |= dict(
        curve_id=rows["sheet"] + "|" + rows["cell_id"] + "|" + rows["drug_id"] + "|" + place
    )
    found |= dict(
        endpoint="viability", control=False, converged=False, reason=NO_DOSES, at_bound=""
    )
    empty = {name: 0 if blank[name].dtype.kind == "i" else np.nan for name in blank.columns}
    curves = pd.DataFrame(empty | found, index=rows.index)[blank.columns]
    curves = curves.assign(auc_tested=rows["value"])
    return {"fits": curves, "pairs": pairs.training_rows(curves, target="auc_tested")}


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
    use = use.assign(r2clip=r2_clipped(use)) if "r2clip" in columns else use
    long = use.melt("study", list(columns), var_name="metric").dropna(subset=["value"])
    grouped = long.groupby(["study", "metric"], observed=True)["value"]
    table = grouped.agg(n="size", mean="mean", sd="std").join(
        grouped.quantile([0.25, 0.5, 0.75]).unstack()
    )
    table = table.rename(columns={0.25: "q1", 0.5: "median", 0.75: "q3"}).reset_index()
    printed = paper.values("table7").pivot(
        index=["study", "metric"], columns="statistic", values="value"
    )
    printed = printed.rename(columns=lambda name: f"published_{name}").reset_index()
    table = table.assign(printed=table["metric"].replace("r2clip", "r2fit"))
    table = table.merge(
        printed.rename(columns={"metric": "printed"}), on=["study", "printed"], how="left"
    )
    return table.drop(columns="printed").assign(difference=table["mean"] - table["published_mean"])


def r2_clipped(fits):
    """R2 against growth clipped to 0-1, as it was fitted; missing for a curve of equal values."""
    return 1 - fits["sse"] / fits["sse_flat"].where(fits["sse_flat"] > 1e-12)


EXAMPLES = {
    "textbook": ("r2fit > 0.9 and einf < 0.3 and 0.8 < hs < 2.5 and p_flat < 0.01", "r2fit", False),
    "partial: half the cells stay": (
        "r2fit > 0.9 and 0.45 < einf < 0.7 and hs < 3",
        "r2fit",
        False,
    ),
    "steep: slope on its bound": ("hs >= 4 and r2fit > 0.9 and einf < 0.5", "r2fit", False),
    "flat: no response": ("p_flat > 0.9 and 0.9 < auc1 < 0.97 and n_doses > 6", "sse_flat", True),
    "shallow: slope near 0": ("0 < hs < 0.15 and r2fit > 0.3", "r2fit", False),
    "half-effect dose not reached": (
        "pec50 < dose_strong - 1 and r2fit > 0.8 and auc1 < 0.9",
        "r2fit",
        False,
    ),
    "a wild point": ("n_doses > 6 and 0.3 < r2fit < 0.6 and hs >= 4", "sse", False),
    "pathological: rises with the dose": (
        "n_doses > 6 and auc1 < 0.9 and p_flat > 0.99 and sse < 0.5",
        "sse",
        False,
    ),
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


def pick(fits, curve=""):
    """The row of one curve: the one that is asked for, else that of the most potent clear response.

    Raises
    ------
    ValueError
        If no curve has that name.
    """
    if curve:
        found = fits[fits["curve_id"] == curve]
        if found.empty:
            raise ValueError(
                f"curve must be a curve_id of the fits, such as {fits['curve_id'].iloc[0]!r}, found {curve!r}"
            )
        return found.iloc[0]
    use = screened(fits)
    return (
        use.assign(unclear=~(use["p_flat"] < 0.001))
        .sort_values(["unclear", "auc", "curve_id"])[fits.columns]
        .iloc[0]
    )


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
        curve_id, study, p_flat, auc, auc_lineage, excess (their sum of squares less ours; above 0 they stopped too
        early).
    """
    drawn = screened(fits).sample(min(n, len(screened(fits))), random_state=seed)
    theirs = fit.fit_curves(
        responses[responses["curve_id"].isin(drawn["curve_id"])], method="lineage"
    )
    joined = drawn.merge(
        theirs[["curve_id", "auc", "sse"]], on="curve_id", suffixes=("", "_lineage")
    )
    joined = joined.assign(excess=joined["sse_lineage"] - joined["sse"])
    return joined[["curve_id", "study", "p_flat", "auc", "auc_lineage", "excess"]]


def trust(fits):
    """How much of the fits rests on what was measured, as shares of each study's curves.

    Returns
    -------
    DataFrame
        study, n, extrapolated (mean share of the range 4-10 outside the doses), flat (F test against a flat line with
        p >= 0.05), on_bound (a parameter on a bound), no_ic50, outside (half-effect dose outside the doses), no_error
        (standard error of the half-effect dose undetermined), edge (the fit falls to nothing, einf < 0.05, with its
        half-effect dose at the strongest dose or beyond: what the AUC counts there was not measured), edge_auc (the
        median AUC of those curves).
    """
    use = screened(fits)
    flags = dict(
        extrapolated=use["extrapolated"], flat=use["p_flat"] >= 0.05, on_bound=use["at_bound"] != ""
    )
    flags |= dict(
        no_ic50=use["ic50"].isna(),
        outside=~use["pec50"].between(use["dose_strong"], use["dose_weak"]),
    )
    flags |= dict(no_error=use["ec50se"].isna())
    flags |= dict(
        edge=(use["einf"] < 0.05) & (use["pec50"] <= use["dose_strong"] + 0.25) & (use["hs"] > 0.5)
    )
    grouped = pd.DataFrame(flags).astype(float).groupby(use["study"], observed=True)
    at_edge = use["auc"].where(flags["edge"]).groupby(use["study"], observed=True).median()
    return grouped.mean().assign(edge_auc=at_edge, n=grouped.size()).reset_index()


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
    use = use.assign(
        kept=lineage_filter(use),
        low=~(use["r2fit"] >= R2FIT_LEAST),
        wide=~(use["ec50se"] <= EC50SE_MOST),
    )
    rows = []
    for study, group in use.groupby("study", observed=True):
        gone = group[~group["kept"]]
        row = dict(study=study, n=len(group), removed=len(gone) / len(group))
        row |= dict(by_r2fit=group["low"].mean(), by_ec50se=group["wide"].mean())
        row |= dict(removed_flat=(gone["p_flat"] >= 0.05).mean())
        rows.append(
            row
            | dict(
                auc_kept=group.loc[group["kept"], "auc"].median(), auc_removed=gone["auc"].median()
            )
        )
    return pd.DataFrame(rows)
