"""Intervals over whole cell lines or drugs: the unit of a claim about new ones.

A test row is no independent draw, since all rows of a line (or drug) share what is peculiar to it.
So whole lines are drawn anew for unseen cell lines, whole drugs for unseen drugs, and every score is
made again from the sums of those drawn. The grid of configurations is held.
"""

from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pandas as pd

from lib.analysis import predictions, statistics
from lib.sweep import metrics

UNIT_NAMES = {"cell_id": "lines", "drug_id": "drugs"}


def units_of(split):
    """What a split holds apart and an interval draws anew: lines, drugs, or both."""
    return [f"{name[2:-1]}_id" for name in metrics.UNITS[split]]


def percentile(sums, drawn, metric, q):
    """A percentile over configurations with its percentile interval over units.

    Parameters
    ----------
    sums : ndarray of shape (n_configurations, n_units, n_statistics)
    drawn : ndarray of shape (n_draws, n_configurations, n_statistics)
        `statistics.resampled` of the same sums.
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
        units = units_of(split)
        runs = ledger.runs[ledger.runs.split == split]
        self.name = " and ".join(UNIT_NAMES[unit] for unit in units)
        self.n_draws = n_draws
        self.scores = {}  # in each draw, (n_draws, n_configurations) by score and kind of unit
        self.parts = [sums_of(ledger, runs, unit, study) for unit in units]
        self.kept = set.intersection(*(set(names) for names, _ in self.parts))

    @cached_property
    def drawn(self):
        """The sums of each kind of unit in each draw."""
        return [statistics.resampled(sums, self.n_draws) for _, sums in self.parts]

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
        if score not in self.scores:
            self.scores[score] = [metric_of(score)(drawn) for drawn in self.drawn]
        deviation = 0.0
        n_rows = []
        for (names, sums), found in zip(self.parts, self.scores[score], strict=True):
            rows = names.get_indexer(weights.index)
            deviation = deviation + found[:, rows] @ weights.to_numpy()
            n_rows.append(sums[rows, :, 0].sum(0))
        return deviation, min(n_rows, key=np.count_nonzero)


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

    From its scores by line or by drug where the sweep kept them, else from its predictions.

    Parameters
    ----------
    ledger : configurations.Ledger
    runs : DataFrame
    unit : {"cell_id", "drug_id"}
    study : str

    Returns
    -------
    tuple
        (Index of configurations, ndarray of shape (n_configurations, n_units, n_statistics)); both
        are empty where the sweep kept neither. A unit without a row of a configuration has zeros.
    """
    rows = ledger.clusters
    rows = rows[rows.configuration.isin(runs.configuration) & (rows[unit] != "")]
    parts = [rows]
    wanted = set(runs.configuration) - set(rows.configuration)
    for block in ledger.predicted:
        names = [name for name in block.configurations if name in wanted]
        if names:
            p = [block.of(name) for name in names]
            found = predictions.scored(block.table, p, names, by=unit.removesuffix("_id"))
            parts.append(found.rename(columns={"run_id": "configuration"}))
    rows = pd.concat(parts)
    return stacked(rows[(rows.study == study) | (study == "All")], "configuration", unit)


def stacked(rows, name, unit):
    """Sums of rows by `name` and line or drug, as `sums_of` returns them."""
    sums = rows.groupby([name, unit])[metrics.STATISTICS].sum(skipna=False)
    wide = sums.unstack(fill_value=0.0)  # (n_names, n_statistics * n_units)
    n_units = len(wide.columns) // len(metrics.STATISTICS)
    sums = wide.to_numpy(float).reshape(len(wide), len(metrics.STATISTICS), n_units)
    return wide.index, sums.swapaxes(1, 2)


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
    known = table.dropna(subset="members")
    # Metrics of the same configurations share their draws; the draws of all levels at once would
    # not fit in memory.
    for members, rows in known.groupby(known.members.map(tuple), sort=False):
        unit = units_of(rows.split.iloc[0])[0]
        runs = ledger.runs[ledger.runs.configuration.isin(members)]
        names, sums = sums_of(ledger, runs, unit)
        note = f"the {len(names)} of {len(members)} configurations with predictions"
        if rows.recipe.iloc[0]["kind"] == "pool":
            note = "a single predictor"
        elif names.empty:
            note = f"the sweep kept no scores by {unit}"
        elif len(names) == len(members):
            note = ""
        table.loc[rows.index, "unit_reason"] = note
        if names.empty:
            continue
        drawn = statistics.resampled(sums, n_draws)
        for i, row in rows.iterrows():
            found = percentile(sums, drawn, metric_of(row["metric"]), row["recipe"]["q"])
            table.loc[i, ["unit_low", "unit_high"]] = found["low"], found["high"]
            table.loc[i, "unit_reason"] = found["reason"] or note
    return table
