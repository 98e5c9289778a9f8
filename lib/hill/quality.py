"""What a table of fits holds: training rows, Table 7, kinds of curves, the Uno pipeline's filter.

R2fit is against growth clipped to 0-1, as in the fits that the paper's group publishes for gCSI: on
the 25 of tests/golden ours agree within 1e-4. Their notebook (levinas/curve) and Table 7 of the
paper, whose standard deviation of 43.16 no clipped R2 can have, are against growth as measured;
that one is `r2fit_raw`.
"""

from itertools import product

import numpy as np
import pandas as pd

from lib import paper, tables
from lib.hill import curve, fit, scipy_fit
from lib.screens import recovered

FILTERS = ("none", "uno")
TARGETS = ("auc", "auc_common", "auc_tested", "auc_published_curve")
# the filter of the paper's group (Uno benchmark, loading of the response)
R2FIT_LEAST = 0.3
EC50SE_MOST = 3.0
FLAT = 0.05  # p value from which a curve is not told from a flat line
NO_DOSES = "no doses: only the area over the tested range is published"
QUANTITIES = {
    "r2fit": "R², growth clipped to 0–1 as fitted",
    "r2fit_raw": "R², growth as measured",
    "einf": "E∞ (growth at infinite dose)",
    "hs": "HS (Hill slope)",
}
STATISTICS = dict(mean="mean", sd="std", median="50%", q25="25%", q75="75%")  # as pandas has them
SCIPY_DRAW = 0  # seed of the curves that SciPy fits again


def screened(fits, value="auc"):
    """Fits of screened compounds: those that have the value, control compounds left out."""
    use = fits[value].notna()
    if "control" in fits:
        use &= ~fits["control"].astype(bool)
    return fits[use]


def medians(fits, names):
    """Medians of some columns over the replicate curves of a (study, assay, cell line, drug).

    Where one pair has viability and growth read-outs of the same wells, viability is kept.
    """
    grouped = fits.groupby([*tables.PAIR_KEY, "endpoint"], observed=True)
    rows = grouped[names].median().assign(n_curves=grouped.size()).reset_index()
    # "viability" sorts after "growth"
    return rows.drop_duplicates(tables.PAIR_KEY, keep="last", ignore_index=True)


def areas(fits):
    """Column that the training rows come from: areas over the fixed range, or published ones."""
    return "auc_tested" if "auc_tested" in fits else "auc"


def training_rows(fits, fit_filter="none", target="auc"):
    """Median AUC over the replicate curves of a (study, assay, cell line, drug).

    Parameters
    ----------
    fits : DataFrame
        The `fits` table, with `control` if control compounds are still in it.
    fit_filter : {"none", "uno"}
        "uno" keeps curves with R2fit ≥ 0.3 and EC50se ≤ 3, the rule of the paper's group.
    target : {"auc", "auc_common", "auc_tested", "auc_published_curve"}
        Over the fixed range, over the range that the assays of a drug have in common, over the
        range that a study tested, as it published the area, or over the fixed range under the
        two-parameter curve that the study published (see `of_published`).

    Returns
    -------
    DataFrame
        Of the contract `tables.PAIRS`, sorted by key. Where one pair has viability and growth
        read-outs of the same wells, viability is kept. The column is `auc` for any target.

    Raises
    ------
    ValueError
        If the target is no area or not in `fits`, or the filter is unknown.
    """
    if target not in TARGETS or target not in fits:
        raise ValueError(f"target must be one of {TARGETS} and a column of fits, found {target!r}")
    if fit_filter not in FILTERS:
        raise ValueError(f"fit_filter must be 'none' or 'uno', found {fit_filter!r}")
    use = screened(fits, target)
    if fit_filter == "uno":
        use = use[uno_filter(use)]
    rows = medians(use, [target]).rename(columns={target: "auc"})
    return rows[[*tables.PAIR_KEY, "auc", "n_curves", "endpoint"]]


def of_published(ingested):
    """Areas that a study published without its doses, as curves without a fit.

    Parameters
    ----------
    ingested : dict of str to DataFrame
        From `lib.screens.harmonise.harmonise`.

    Returns
    -------
    dict of str to DataFrame
        Empty where there are doses: notebook 02 fits them. Otherwise `fits` with one row per value
        of "auc_tested", which stands in a column of that name and nowhere else: it is taken over
        the doses that the study used, and cannot be compared with an area over a fixed range. Where
        the published curve was recovered (`lib.screens.recovered`), "auc_published_curve" is the
        mean under it over 4-10 ("auc_published_common" that over the range that the drug's
        assays share), beside the columns of the curve. It has two parameters and no
        plateau: it falls to 0 beyond the doses tested, where a fit of three may level off.
    """
    if len(ingested["responses"]):
        return {}
    blank = fit.fit_curves(ingested["responses"])
    published = ingested["published"]
    rows = published[published["measure"] == "auc_tested"].reset_index(drop=True)
    unit = rows["sheet"] + "|" + rows["cell_id"] + "|" + rows["drug_id"]
    place = rows.groupby(["sheet", "cell_id", "drug_id"], observed=True).cumcount()
    empty = {name: 0 if blank[name].dtype.kind == "i" else np.nan for name in blank}
    fits = pd.DataFrame(empty, index=rows.index).assign(
        **rows[tables.PAIR_KEY],
        curve_id=unit + "|" + place.astype("str"),
        endpoint="viability",
        control=False,
        converged=False,
        reason=NO_DOSES,
        at_bound="",
        ic50_censor=fit.UNDEFINED,
        pec50_censor=fit.UNDEFINED,
        auc_tested=rows["value"],
    )
    if "curve_pec50" in rows:
        fits[recovered.COLUMNS] = rows[recovered.COLUMNS]
        known = rows["curve_slope"].notna()
        found = curve.auc(0.0, rows["curve_pec50"][known], rows["curve_slope"][known])
        fits.loc[known, "auc_published_curve"] = found
        shape = rows[["drug_id", "assay"]].assign(
            einf=0.0,
            pec50=rows["curve_pec50"],
            hs=rows["curve_slope"],
            dose_strong=rows["range_strong"],
            dose_weak=rows["range_weak"],
        )
        common = fit.common_range(shape.dropna())
        fits["auc_published_common"] = fit.with_common_auc(shape, common)["auc_common"]
    return {"fits": fits}


def table7(fits):
    """Table 7 of the paper: quality and shape of the fits by study, beside the printed values.

    Parameters
    ----------
    fits : DataFrame
        The `fits` table; control compounds are left out.

    Returns
    -------
    DataFrame
        study, quantity (r2fit, r2fit_raw, einf, hs), statistic (mean, sd, median, q25, q75),
        published, ours, difference, n_curves, n_not_fitted (curves without the quantity), reason,
        and recipe and members for `lib.addresses.Book`. The paper prints one R2, which
        stands beside both of ours. `r2fit_raw` has no lower end, so a few curves can carry its mean
        and sd anywhere; read its median.
    """
    use = screened(fits)
    printed = paper.values("table7").set_index(["study", "metric", "statistic"])
    rows = []
    for study, quantity in product(printed.index.unique("study"), QUANTITIES):
        own = use.loc[use["study"] == study, quantity]
        known = own.describe()
        n = int(known["count"])
        few = [f"{n} fitted curve(s) of {study}"] if n < 2 else []
        for statistic, name in STATISTICS.items():
            key = (study, quantity.removesuffix("_raw"), statistic)
            note = printed["note"].get(key, f"the paper prints no {statistic}")
            recipe = dict(kind="column", file="fits.parquet", column=quantity)
            row = dict(
                study=study,
                quantity=quantity,
                statistic=statistic,
                published=printed["value"].get(key),
                ours=known[name],
                n_curves=n,
                n_not_fitted=len(own) - n,
                reason="; ".join(filter(None, [note, *few])),
                recipe=recipe | dict(study=study, statistic=statistic),
                members=[],
            )
            rows.append(row if n else row | dict(recipe=None, members=None))
    table = pd.DataFrame(rows)
    table.insert(5, "difference", table["ours"] - table["published"])
    return table


# Kind of curve -> rule, column; the clearest has the largest value, of flat curves the smallest.
EXAMPLES = {
    "textbook": ("r2fit > 0.9 and einf < 0.3 and 0.8 < hs < 2.5 and p_flat < 0.01", "r2fit"),
    "partial: half the cells stay": ("r2fit > 0.9 and 0.45 < einf < 0.7 and hs < 3", "r2fit"),
    "steep: slope on its bound": ("hs >= 4 and r2fit > 0.9 and einf < 0.5", "r2fit"),
    "flat: no response": ("p_flat > 0.9 and 0.9 < auc1 < 0.97 and n_doses > 6", "sse_flat"),
    "shallow: slope near 0": ("0 < hs < 0.15 and r2fit > 0.3", "r2fit"),
    "half-effect dose not reached": (
        "pec50 < dose_strong - 1 and r2fit > 0.8 and auc1 < 0.9",
        "r2fit",
    ),
    "one outlier": ("n_doses > 6 and 0.3 < r2fit < 0.6 and hs >= 4", "sse"),
    "pathological: rises with the dose": (
        "n_doses > 6 and auc1 < 0.9 and p_flat > 0.99 and sse < 0.5",
        "sse",
    ),
}


def examples(fits):
    """One curve of each kind that a screen holds, good and bad.

    Returns
    -------
    dict of str to str
        Kind to curve_id, for the kinds that are there (see `EXAMPLES`); the clearest curve of each.
    """
    use = screened(fits)
    chosen = {}
    for kind, (rule, by) in EXAMPLES.items():
        found = use.query(rule).sort_values([by, "curve_id"], ascending=[by == "sse_flat", True])
        if len(found):
            chosen[kind] = found["curve_id"].iloc[0]
    return chosen


def beside_scipy(fits, responses, n):
    """Our optimum beside the one that the paper's group would have reported, on n curves at random.

    Parameters
    ----------
    fits, responses : DataFrame
    n : int
        SciPy fits 50 to 250 curves a second.

    Returns
    -------
    DataFrame
        curve_id, study, p_flat, auc, auc_scipy, excess (their sum of squares less ours; above 0
        they stopped too early).
    """
    use = screened(fits)
    drawn = use.sample(min(n, len(use)), random_state=SCIPY_DRAW)
    points = responses[responses["curve_id"].isin(drawn["curve_id"])]
    joined = drawn.merge(scipy_fit.refit(points), on="curve_id", suffixes=("", "_scipy"))
    joined["excess"] = joined["sse_scipy"] - joined["sse"]
    return joined["curve_id study p_flat auc auc_scipy excess".split()]


def trust(fits):
    """How much of the fits rests on what was measured, as shares of each study's curves.

    Returns
    -------
    DataFrame
        study, extrapolated (mean share of the range 4-10 outside the doses), flat (F test against a
        flat line with p >= 0.05), on_bound (a parameter on a bound), ic50_above and ic50_below
        (growth above one half at the strongest dose, below it at the weakest), outside (half-effect
        dose outside the doses), no_error (standard error of the half-effect dose undetermined),
        edge (the fit falls to nothing, einf < 0.05, with its half-effect dose at the strongest dose
        or beyond: what the AUC counts there was not measured), edge_auc (the median AUC of those
        curves), n.
    """
    use = screened(fits)
    at_edge = use["pec50"] <= use["dose_strong"] + 0.25
    edge = (use["einf"] < 0.05) & at_edge & (use["hs"] > 0.5)
    shares = dict(
        extrapolated=use["extrapolated"],
        flat=use["p_flat"] >= FLAT,
        on_bound=use["at_bound"] != "",
        ic50_above=use["ic50_censor"] == ">",
        ic50_below=use["ic50_censor"] == "<",
        outside=use["pec50_censor"].isin([">", "<"]),
        no_error=use["ec50se"].isna(),
        edge=edge,
    )
    return _by_study(use, shares, dict(edge_auc=use["auc"].where(edge))).reset_index()


def _by_study(fits, means, medians):
    """Means of some columns and medians of others by study, and how many curves they are of."""
    study = fits["study"]
    mean = pd.DataFrame(means).astype(float).groupby(study, observed=True).mean()
    median = pd.DataFrame(medians).groupby(study, observed=True).median()
    return mean.join(median).assign(n=study.value_counts())


def uno_filter(fits):
    """Whether the Uno pipeline keeps a curve: R2fit >= 0.3 and EC50se <= 3 (boolean Series)."""
    return (fits["r2fit"] >= R2FIT_LEAST) & (fits["ec50se"] <= EC50SE_MOST)


def filter_effect(fits):
    """What the Uno pipeline's filter removes, by study.

    Returns
    -------
    DataFrame
        study, n, removed (share), by_r2fit, by_ec50se (share that each rule alone would remove),
        removed_flat (share of the removed curves that do not differ from a flat line, p >= 0.05),
        auc_kept, auc_removed (medians).
    """
    use = screened(fits)
    kept = uno_filter(use)
    shares = dict(
        removed=~kept,
        by_r2fit=~(use["r2fit"] >= R2FIT_LEAST),
        by_ec50se=~(use["ec50se"] <= EC50SE_MOST),
        removed_flat=(use["p_flat"] >= FLAT).where(~kept),
    )
    areas = dict(auc_kept=use["auc"].where(kept), auc_removed=use["auc"].where(~kept))
    table = _by_study(use, shares, areas)
    table.insert(0, "n", table.pop("n"))
    return table.reset_index()


def rows_by_filter(fits):
    """How many training rows each filter leaves: index study, a column per filter."""
    counts = {
        name: training_rows(fits, name, areas(fits)).groupby("study", observed=True).size()
        for name in FILTERS
    }
    return pd.DataFrame(counts).fillna(0).astype(int)
