"""Intervals over whole cell lines or drugs: the unit of a claim about new ones.

A test row is no independent draw, since all rows of a line (or drug) share what is peculiar to it.
So whole lines are drawn anew for unseen cell lines, whole drugs for unseen drugs, and every score is
made again from the sums of those drawn. The grid of configurations is held.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from lib.analysis import statistics
from lib.sweep import metrics

UNIT_NAMES = {"cell_id": "lines", "drug_id": "drugs"}


def units_of(split):
    """What a split holds apart and an interval draws anew: lines, drugs, or both."""
    return [f"{name[2:-1]}_id" for name in metrics.UNITS[split]]


def draws(sums, n_draws):
    """Pooled statistics of configurations when whole units are drawn anew.

    Parameters
    ----------
    sums : ndarray of shape (n_configurations, n_units, n_statistics)
        Sufficient statistics of each configuration in each line (or drug).
    n_draws : int

    Returns
    -------
    ndarray of shape (n_draws, n_configurations, n_statistics)
    """
    n_configurations, n_units, n_statistics = sums.shape
    flat = np.swapaxes(sums, 0, 1).reshape(n_units, -1)
    return statistics.resampled(flat, n_draws).reshape(n_draws, n_configurations, n_statistics)


def percentile(sums, drawn, metric, q):
    """A percentile over configurations with its percentile interval over units.

    Parameters
    ----------
    sums : ndarray of shape (n_configurations, n_units, n_statistics)
    drawn : ndarray of shape (n_draws, n_configurations, n_statistics)
        `draws` of the same sums.
    metric : callable
        Maps pooled statistics (..., n_statistics) to scores (...).
    q : float

    Returns
    -------
    dict
        As in lib/analysis/statistics.py, without p.
    """
    n = sums.shape[1]
    effect = float(np.nanquantile(metric(sums.sum(1)), q))
    found = np.nanquantile(metric(drawn), q, axis=-1)
    if n < statistics.LEAST_UNITS:
        reason = f"{n} line(s) or drug(s) are too few for an interval"
        return statistics.result(effect, n=n, reason=reason)
    low, high = np.nanquantile(found, [0.025, 0.975])
    return statistics.result(effect, low, high, n=n)


class Units:
    """The sums by line or drug of one split and study, and what they become when units are drawn.

    Where a split holds both lines and drugs apart, both are drawn, each by itself, and their
    deviations add up (as their variances do in Owen's pigeonhole bootstrap). `kept` are the
    configurations that have sums.
    """

    def __init__(self, ledger, split, study, n_draws):
        self.name = " and ".join(UNIT_NAMES[unit] for unit in units_of(split))
        self.parts = []  # (configurations, sums, draws, scores of the draws by name) of each unit
        runs = ledger.runs[ledger.runs["split"] == split]
        for unit in units_of(split):
            names, sums = sums_of(ledger, runs, unit, study)
            self.parts.append((pd.Index(names), sums, draws(sums, n_draws) if names else None, {}))
        self.kept = set.intersection(*(set(part[0]) for part in self.parts))

    def deviations(self, weights, score):
        """A contrast of configurations when units are drawn, and the rows that each unit has.

        Parameters
        ----------
        weights : Series
            By configuration.
        score : str

        Returns
        -------
        tuple of ndarray
            The contrast in each draw, and the numbers of rows of the kind that has fewest units: as
            `statistics.unit_test` wants them.
        """
        deviation = 0.0
        fewest = None
        for names, sums, drawn, known in self.parts:
            if score not in known:
                known[score] = metric_of(score)(drawn)  # (n_draws, n_configurations)
            rows = names.get_indexer(weights.index)
            deviation = deviation + known[score][:, rows] @ weights.to_numpy()
            n_rows = sums[rows, :, 0].sum(0)
            if fewest is None or (n_rows > 0).sum() < (fewest > 0).sum():
                fewest = n_rows
        return deviation, fewest


def metric_of(name):
    """The metric as a function of sums, on the last axis in the order of `metrics.STATISTICS`."""

    def scores(sums):
        columns = np.moveaxis(np.asarray(sums), -1, 0)
        return metrics.FORMULAS[name](
            SimpleNamespace(**dict(zip(metrics.STATISTICS, columns, strict=True)))
        )

    return scores


# Sums by line or drug ----------------------------------------------------------------------------


def sums_of(ledger, runs, unit, study="All"):
    """Sufficient statistics of configurations in each line (or drug), all folds together.

    From its scores by line or by drug where the sweep kept them (of all repeats), else from its
    predictions (of the first).

    Parameters
    ----------
    ledger : configurations.Ledger
    runs : DataFrame
    unit : {"cell_id", "drug_id"}
    study : str

    Returns
    -------
    tuple
        (list of configurations, ndarray of shape (n_configurations, n_units, n_statistics)); both
        are empty where the sweep kept neither.
    """
    parts = [_kept_sums(ledger, runs, unit, study)]
    wanted = set(runs["configuration"]) - set(parts[0][0])
    for block in ledger.predicted:
        mine = [i for i, name in enumerate(block.configurations) if name in wanted]
        if mine:
            sums, units = block.sums(unit, study)
            parts.append(([block.configurations[i] for i in mine], sums[mine], units))
    names = [name for configurations, _, _ in parts for name in configurations]
    every = np.unique(np.concatenate([units for _, _, units in parts]))
    whole = np.zeros((len(names), len(every), len(metrics.STATISTICS)))
    start = 0
    for configurations, sums, units in parts:
        stop = start + len(configurations)
        # A configuration of a smaller cohort has no row of the other units.
        whole[start:stop, np.searchsorted(every, units)] = sums
        start = stop
    return names, whole


def _kept_sums(ledger, runs, unit, study):
    """(configurations, sums, units) from the scores by line or by drug that a sweep kept."""
    rows = ledger.clusters[ledger.clusters["configuration"].isin(runs["configuration"])]
    rows = rows[(rows[unit] != "") & ((rows["study"] == study) | (study == "All"))]
    sums = rows.groupby(["configuration", unit])[metrics.STATISTICS].sum(skipna=False)
    wide = sums.unstack(fill_value=0.0)  # (n_configurations, n_statistics * n_units)
    units = wide.columns.unique(level=unit).to_numpy(str)
    shape = (len(wide), len(metrics.STATISTICS), len(units))
    return list(wide.index), wide.to_numpy().reshape(shape).transpose(0, 2, 1), units


# Tables of percentiles ---------------------------------------------------------------------------


def with_unit_intervals(table, ledger, n_draws):
    """A table of percentiles with intervals over lines (unseen cell lines) or drugs (unseen drugs) too.

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
        unit = units_of(rows["split"].iloc[0])[0]
        runs = ledger.runs[ledger.runs["configuration"].isin(members)]
        names, sums = sums_of(ledger, runs, unit)
        if not names:
            table.loc[rows.index, "unit_reason"] = f"the sweep kept no scores by {unit}"
            continue
        note = ""
        if len(names) < len(members):
            note = f"the {len(names)} of {len(members)} configurations with predictions"
        drawn = draws(sums, n_draws)
        for i, row in rows.iterrows():
            found = percentile(sums, drawn, metric_of(row["metric"]), row["recipe"]["q"])
            table.loc[i, ["unit_low", "unit_high"]] = found["low"], found["high"]
            table.loc[i, "unit_reason"] = found["reason"] or note
    return table
