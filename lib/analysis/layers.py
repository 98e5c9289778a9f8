"""The three layers of a score: raw, over the naive mean effects, and below what replicates leave explainable.

`ceiling` gives the third layer for regression and classification, by study and over all studies; `by_unit` gives all
three within each drug and each line.
"""

import numpy as np
import pandas as pd

from lib.analysis import predictions
from lib.sweep import metrics

LEAST_ROWS = {
    "drug_id": 20,
    "cell_id": 5,
}  # lines of a drug, drugs of a line: fewer give no correlation
UNIT_NAMES = {"drug_id": "drug", "cell_id": "line"}


def ceiling(replicates, pairs, cutoff=0.5):
    """Best scores that a predictor of the true value could reach, from the noise between replicate measurements.

    Parameters
    ----------
    replicates : DataFrame
        `replicates.replicate_ceiling`: study, r2, basis, noise_sd, reason.
    pairs : DataFrame
        Training rows with study and auc.
    cutoff : float
        Responders have an AUC at or below it.

    Returns
    -------
    DataFrame
        study, r2, balanced_accuracy, mcc, basis, noise_sd, reason; the row "All" pools the studies whose noise is
        known.

    Notes
    -----
    For the classes the truth of a row is taken as its measurement drawn towards the study's mean until its variance is
    that of the measurements less the noise; a measurement of it is a responder with the probability that normal noise
    gives, and the ceiling is the expected table of calls of the truth against such measurements.
    """
    rows, tables = [], {}
    for row in replicates.to_dict("records"):
        y = pairs.loc[pairs["study"] == row["study"], "auc"].to_numpy(float)
        known = np.isfinite(row.get("noise_sd", np.nan)) and len(y) > 1
        tables[row["study"]] = _expected_calls(y, row["noise_sd"], cutoff) if known else None
        kept = {
            name: row.get(name)
            for name in ("study", "r2", "basis", "noise_sd", "n_drugs", "reason")
        }
        rows.append(kept | _class_scores(tables[row["study"]]))
    return pd.DataFrame([*rows, _pooled(rows, tables, pairs)])


def _expected_calls(y, noise_sd, cutoff):
    """Expected tp, fp, tn, fn of calling the truth against noisy measurements of it."""
    from scipy.stats import norm

    share = max(0.0, 1 - noise_sd**2 / y.var())
    truth = y.mean() + np.sqrt(share) * (y - y.mean())
    positive, called = norm.cdf((cutoff - truth) / noise_sd), truth <= cutoff
    return np.array([positive[called].sum(), (1 - positive)[called].sum(), (1 - positive)[~called].sum(),
                     positive[~called].sum()])  # fmt: skip


def _class_scores(calls):
    if calls is None or min(calls[0] + calls[3], calls[1] + calls[2]) < metrics.MIN_CLASS:
        return dict(balanced_accuracy=np.nan, mcc=np.nan)
    tp, fp, tn, fn = calls
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    mcc = (tp * tn - fp * fn) / np.sqrt(margins) if margins > 0 else 0.0
    return dict(balanced_accuracy=(tp / (tp + fn) + tn / (tn + fp)) / 2, mcc=mcc)


def _pooled(rows, tables, pairs):
    """The ceiling over all studies whose noise is known."""
    noise = {row["study"]: row["noise_sd"] for row in rows if tables[row["study"]] is not None}
    own = pairs[pairs["study"].isin(noise)]
    if own.empty:
        return dict(
            study="All",
            r2=np.nan,
            basis="",
            **_class_scores(None),
            reason="no study repeats enough of its pairs",
        )
    variance = (own["study"].map(noise) ** 2).mean()
    left_out = sorted(set(pairs["study"]) - set(noise))
    scores = _class_scores(sum(tables[study] for study in noise))
    reason = f"without {', '.join(left_out)}, whose noise is not known" if left_out else ""
    return dict(study="All", r2=1 - variance / own["auc"].var(ddof=0), basis="the studies' own",
                noise_sd=np.sqrt(variance), **scores, reason=reason)  # fmt: skip


def by_unit(ledger, best, limits, unit):
    """The headline network within each drug or each line: raw, over the mean effects, and below the ceiling.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions.
    best : DataFrame
        `headline`, with `members`.
    limits : DataFrame
        `ceiling`.
    unit : {"drug_id", "cell_id"}

    Returns
    -------
    DataFrame
        split, unit, name, n, r2, gain, pearson, ceiling_r2, below_ceiling, reason, recipe, members: one row per drug
        or line; empty where the sweep kept no predictions.
    """
    networks = (
        best[(best["study"] == "All") & best["predictor"].str.startswith("network")]
        if len(best)
        else best
    )
    parts = [_units(ledger, row, limits, unit) for row in networks.to_dict("records")]
    columns = (
        "split unit name n r2 gain pearson ceiling_r2 below_ceiling reason recipe members".split()
    )
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()).reindex(
        columns=columns
    )


def _units(ledger, row, limits, unit):
    runs = ledger.runs[ledger.runs["run_id"].isin(row["members"] or [])]
    rows = predictions.of_runs(ledger, runs)
    if rows.empty:
        return pd.DataFrame()
    names, group = np.unique(rows[unit].to_numpy(str), return_inverse=True)
    facts = (rows["y"].to_numpy(), rows["p"].to_numpy()[None], rows["floor"].to_numpy())
    sums = pd.DataFrame(
        metrics.group_sums(*facts, group, len(names))[0], columns=metrics.STATISTICS
    )
    scored = metrics.score(sums.assign(n_drugs=10**6, n_cells=10**6), split="on_cell")
    noise = (
        rows["study"].map(limits.set_index("study")["noise_sd"]) ** 2
        if len(limits)
        else rows["y"] * np.nan
    )
    top = 1 - noise.groupby(group).mean() / rows["y"].groupby(group).var(ddof=0)
    table = scored[["n", "r2", "gain", "pearson"]].assign(
        ceiling_r2=top.replace(-np.inf, np.nan).to_numpy()
    )
    few = table["n"] < LEAST_ROWS[unit]
    table.loc[few, ["r2", "gain", "pearson", "ceiling_r2"]] = np.nan
    reason = scored["reason"].mask(
        few, table["n"].map(lambda n: f"{metrics.TOO_SMALL} ({int(n)} rows)")
    )
    recipe = dict(kind="unit", metric="gain", study="All", unit=unit)
    has = table["gain"].notna()
    table = table.assign(split=row["split"], unit=UNIT_NAMES[unit], name=names, reason=reason)
    table = table.assign(
        below_ceiling=table["ceiling_r2"] - table["r2"], members=[row["members"]] * len(table)
    )
    return table.assign(
        recipe=[
            recipe | dict(name=n) if known else None for n, known in zip(names, has, strict=True)
        ]
    )


def spread(units):
    """Median and quartiles of each layer over drugs and over lines, and how many have a score.

    Parameters
    ----------
    units : DataFrame
        Rows of `by_unit`.

    Returns
    -------
    DataFrame
        split, unit, n_units, n_scored, and `<layer>_q25`, `_median`, `_q75` for gain, pearson and below_ceiling.
    """
    rows = []
    for (split, unit), own in units.groupby(["split", "unit"]):
        row = dict(
            split=split, unit=unit, n_units=len(own), n_scored=int(own["gain"].notna().sum())
        )
        for name in ("gain", "pearson", "below_ceiling"):
            quartiles = own[name].astype(float).quantile([0.25, 0.5, 0.75])
            row |= dict(
                zip((f"{name}_q25", f"{name}_median", f"{name}_q75"), quartiles, strict=True)
            )
        rows.append(row)
    return pd.DataFrame(rows)
