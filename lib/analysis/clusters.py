"""Intervals over whole cell lines or drugs: the unit of a claim about new ones.

A test row is no independent draw, since all rows of a line (or drug) share what is peculiar to it.
So whole lines are drawn anew for unseen cells, whole drugs for unseen drugs, and every score is
made again from the sums of those drawn. The grid of configurations is held;
`statistics.mixed_effect` is the answer for new configurations.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from lib.analysis import configurations, contrasts, statistics
from lib.sweep import metrics

LEAST_CLUSTERS, LEAST_DRAWS = 10, 20  # with fewer there is no interval
SCORES = ("r2", "npearson")
COLUMNS = (
    "split panel factor level reference metric effect low high p n unit n_configurations".split()
)
COLUMNS += ["reason", "recipe", "members"]


def unit_of(split):
    """What a split holds apart and an interval draws anew."""
    return "drug_id" if split == "on_drug" else "cell_id"


def draws(sums, n_draws):
    """Pooled statistics of configurations when whole clusters are drawn anew.

    Parameters
    ----------
    sums : ndarray of shape (n_configurations, n_clusters, n_statistics)
        Sufficient statistics of each configuration in each line (or drug).
    n_draws : int

    Returns
    -------
    ndarray of shape (n_draws, n_configurations, n_statistics)
    """
    n_clusters = sums.shape[1]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_draws)
    return np.einsum("dk,ckS->dcS", drawn.astype(float), sums, optimize=True)


def interval(sums, drawn, statistic):
    """A number of many configurations with its percentile interval over clusters.

    Parameters
    ----------
    sums : ndarray of shape (n_configurations, n_clusters, n_statistics)
    drawn : ndarray of shape (n_draws, n_configurations, n_statistics)
        `draws` of the same sums.
    statistic : callable
        Maps pooled statistics (..., n_configurations, n_statistics) to numbers (...).

    Returns
    -------
    dict
        As in lib/analysis/statistics.py; p is twice the smaller share of draws beyond zero.
    """
    n_configs, n, _ = sums.shape
    if n < LEAST_CLUSTERS:
        reason = f"{n_configs} configuration(s) in {n} cluster(s) are too few for a bootstrap"
        return statistics.result(n=n, unit="cluster", reason=reason)
    estimate = float(statistic(sums.sum(1)))
    found = statistic(drawn)
    found = found[np.isfinite(found)]
    if len(found) < LEAST_DRAWS:
        reason = "most bootstrap draws have no score"
        return statistics.result(estimate, n=n, unit="cluster", reason=reason)
    low, high = np.quantile(found, [0.025, 0.975])
    tail = min((found <= 0).mean(), (found >= 0).mean())
    p = min(1.0, 2 * max(tail, 1 / len(found)))
    return statistics.result(estimate, low, high, p, n=n, unit="cluster")


def percentile(sums, drawn, metric, q):
    """A percentile over configurations with its interval; arguments as in `contrast`."""
    return interval(sums, drawn, lambda pooled: np.nanquantile(metric(pooled), q, axis=-1))


def contrast(sums, drawn, metric, weights):
    """A contrast of configurations with its interval over clusters.

    Parameters
    ----------
    sums, drawn : ndarray
        As in `interval`.
    metric : callable
        Maps pooled statistics (..., n_statistics) to scores (...).
    weights : ndarray of shape (n_configurations,)
        The effect is `weights @ score`; matched pairs have weights -1/n_pairs and 1/n_pairs.
    """
    return interval(sums, drawn, lambda pooled: metric(pooled) @ weights)


# The metrics as functions of sums ---------------------------------------------------------------


def metric_of(name):
    """The metric as a function of sums, on the last axis in the order of `metrics.STATISTICS`."""
    if name not in FORMULAS:
        known = sorted(FORMULAS)
        raise ValueError(f"a bootstrap over cells or drugs knows {known}, found {name!r}")

    def scores(sums):
        columns = np.moveaxis(np.asarray(sums), -1, 0)
        return FORMULAS[name](
            SimpleNamespace(**dict(zip(metrics.STATISTICS, columns, strict=True)))
        )

    return scores


def _rmse(s):
    return np.sqrt(s.sum_se / s.n)


def _r2(s):
    return 1 - s.sum_se / (s.sum_yy - s.sum_y**2 / s.n)


def _gain(s):
    return 1 - s.sum_se / s.nsum_yy


def _npearson(s):
    yy = s.nsum_yy - s.nsum_y**2 / s.n
    pp = s.nsum_pp - s.nsum_p**2 / s.n
    yp = s.nsum_yp - s.nsum_y * s.nsum_p / s.n
    return np.where(pp > 0, yp / np.sqrt(np.maximum(yy * pp, 1e-300)), 0.0)


def _balanced_accuracy(s):
    tpr = s.tp_50 / (s.tp_50 + s.fn_50)
    tnr = s.tn_50 / (s.tn_50 + s.fp_50)
    return (tpr + tnr) / 2


def _mcc(s):
    tp, fp, tn, fn = s.tp_50, s.fp_50, s.tn_50, s.fn_50
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return np.where(margins > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(margins, 1)), 0.0)


FORMULAS = {
    "rmse": _rmse,
    "r2": _r2,
    "gain": _gain,
    "npearson": _npearson,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
}


# Sums by line or drug ----------------------------------------------------------------------------


def sums_of(ledger, runs, unit):
    """Sufficient statistics of configurations in each line (or drug), all folds together.

    From its scores by line or by drug where the sweep kept them, else from its predictions.

    Parameters
    ----------
    unit : {"cell_id", "drug_id"}

    Returns
    -------
    tuple
        (ndarray of shape (n_configurations, n_clusters, n_statistics), settings with one row per
        configuration); both are empty where the sweep kept neither.
    """
    kept = _kept_sums(ledger, runs, unit)
    parts = [kept] if kept[0] else []
    wanted = set(runs["configuration"]) - set(kept[0])
    for block in ledger.predicted:
        mine = [i for i, name in enumerate(block.configurations) if name in wanted]
        if mine:
            sums, clusters = block.sums(unit)
            parts.append(([block.configurations[i] for i in mine], sums[mine], clusters))
    parts = parts or [kept]
    names = [name for configs, _, _ in parts for name in configs]
    every = np.unique(np.concatenate([clusters for _, _, clusters in parts]))
    whole = np.zeros((len(names), len(every), len(metrics.STATISTICS)))
    start = 0
    for configs, sums, clusters in parts:
        stop = start + len(configs)
        # A configuration of a smaller cohort has no row of the other clusters.
        whole[start:stop, np.searchsorted(every, clusters)] = sums
        start = stop
    settings = runs.drop_duplicates("configuration").set_index("configuration")
    return whole, settings.loc[names].reset_index()


def _kept_sums(ledger, runs, unit):
    """(configurations, sums, clusters) from the scores by line or by drug that a sweep kept."""
    rows = ledger.clusters[ledger.clusters["configuration"].isin(runs["configuration"])]
    rows = rows[rows[unit] != ""]
    sums = rows.groupby(["configuration", unit])[metrics.STATISTICS].sum(skipna=False)
    if sums.empty:
        return [], np.empty((0, 0, len(metrics.STATISTICS))), np.array([], dtype=str)
    wide = sums.unstack(fill_value=0.0)  # (n_configurations, n_statistics * n_clusters)
    clusters = wide.columns.unique(level=unit).to_numpy()
    shape = (len(wide), len(metrics.STATISTICS), len(clusters))
    return list(wide.index), wide.to_numpy().reshape(shape).transpose(0, 2, 1), clusters


# Tables of percentiles, and effects of settings --------------------------------------------------


def with_unit_intervals(table, ledger, n_draws):
    """A table of percentiles with intervals over lines (unseen cells) or drugs (unseen drugs) too.

    Parameters
    ----------
    table : DataFrame
        Of `percentiles.factor_table`, study "All".
    ledger : configurations.Ledger
    n_draws : int

    Returns
    -------
    DataFrame
        With `unit_low`, `unit_high` and `unit_reason`; NaN and a reason where the sweep kept no
        scores by line or drug.
    """
    table = table.assign(unit_low=np.nan, unit_high=np.nan, unit_reason="")
    known = table[table["members"].notna()]
    single = known["recipe"].map(lambda recipe: recipe["kind"]) == "pool"
    table.loc[known.index[single], "unit_reason"] = "a single predictor"
    known = known[~single]
    # Metrics of the same configurations share their draws; the draws of all levels at once would
    # not fit in memory.
    for members, rows in known.groupby(known["members"].map(tuple), sort=False):
        unit = unit_of(rows["split"].iloc[0])
        sums, settings = sums_of(ledger, configurations.only(ledger, members).runs, unit)
        if settings.empty:
            table.loc[rows.index, "unit_reason"] = f"the sweep kept no scores by {unit}"
            continue
        note = ""
        if len(settings) < len(members):
            note = f"the {len(settings)} of {len(members)} configurations with predictions"
        drawn = draws(sums, n_draws)
        for i, row in rows.iterrows():
            found = percentile(sums, drawn, metric_of(row["metric"]), row["recipe"]["q"])
            table.loc[i, ["unit_low", "unit_high"]] = found["low"], found["high"]
            table.loc[i, "unit_reason"] = found["reason"] or note
    return table


def cluster_table(ledger, n_draws):
    """Effects of factor levels with intervals over lines (split by cell) or drugs (split by drug).

    Returns
    -------
    DataFrame
        COLUMNS: the effect of each level of each factor that varies, on each of SCORES; n counts
        clusters, n_configurations those whose predictions or scores by cluster were kept.
    """
    rows = []
    for factor, split, panel, runs in contrasts.designs(ledger.runs, contrasts.FACTORS):
        if runs[factor].astype(str).nunique() > 1:
            for row in _cluster_rows(ledger, runs, factor, unit_of(split), n_draws):
                rows.append(dict(row, split=split, panel=panel, factor=factor))
    return pd.DataFrame(rows, columns=COLUMNS)


def _cluster_rows(ledger, runs, factor, unit, n_draws):
    sums, settings = sums_of(ledger, runs, unit)
    if settings.empty:
        return [dict(reason=f"the sweep kept no scores by {unit}")]
    drawn = draws(sums, n_draws)
    reference, _ = contrasts.levels(settings, factor)
    facts = dict(factor=factor, reference=reference, n_configurations=len(settings))
    facts["members"] = list(settings["configuration"])
    rows = []
    for level, weights in contrasts.effect_weights(settings, factor).items():
        for score in SCORES:
            row = dict(facts, level=level, metric=score)
            if weights is None:
                row["reason"] = "cannot be told from another setting of these runs"
                row |= dict(n=0, unit="cluster")
            else:
                row |= contrast(sums, drawn, metric_of(score), weights)
                named = {name: row[name] for name in ("factor", "level", "reference", "metric")}
                row["recipe"] = dict(kind="contrast", folds="merged", **named)
            rows.append(row)
    return rows
