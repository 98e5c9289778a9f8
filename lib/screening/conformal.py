"""Intervals from out-of-fold errors, and what they reach on folds that did not calibrate them.

Split-conformal prediction by kind of newness. An error counts in units of the size that errors of
its kind have at that predicted value; its lower and upper quantiles are taken over whole lines or
drugs, each of which counts once however many rows it has, because a new line or drug is what a
query brings (Dunn, Wasserman and Ramdas 2022, pooled distribution functions). MAPIE calibrates an
estimator that it may call, and crepes counts rows; neither has weights for groups.

The spread of an ensemble does not widen its intervals. How far members disagree differs more between
ensembles than between the queries of one, and intervals that followed the spread held too little
where the members of another fold happened to agree.
"""

import numpy as np
import pandas as pd

from lib.screening.provenance import BY

LEVELS = (0.5, 0.8, 0.9, 0.95)
GROUP = {"new line": "donor", "new drug": "drug_id", "both new": "drug_id", "both known": "donor"}
SMALLEST = 0.02  # AUC: no error is expected to be smaller
USUAL = (0.02, 0.99)  # quantiles of the predictions beyond which the error is that at the limit
COVERAGE = "kind by group level n n_lines n_drugs reached reached_per_group width".split()


class Calibration:
    """Errors of one kind of newness, ready to become intervals.

    Parameters
    ----------
    rows : DataFrame
        Out-of-fold rows of one kind: kind, auc, predicted, donor, drug_id.
    """

    def __init__(self, rows):
        group = rows[GROUP[rows.kind.iloc[0]]].astype("str")
        weight = 1 / group.map(group.value_counts()).to_numpy(float)
        error = (rows.auc - rows.predicted).to_numpy(float)
        self.n_groups = group.nunique()
        self.usual = rows.predicted.quantile(list(USUAL)).to_numpy()
        usual = np.clip(rows.predicted.to_numpy(float), *self.usual)
        self.size = np.polyfit(usual, np.abs(error), 3, w=np.sqrt(weight))
        units = error / self.expected(rows.predicted)
        order = np.argsort(units)
        self.units = units[order]
        self.share = np.cumsum(weight[order]) / weight.sum()

    def expected(self, predicted):
        """Size of the error [AUC] that rows of such predictions have."""
        usual = np.clip(np.asarray(predicted, float), *self.usual)
        return np.maximum(np.polyval(self.size, usual), SMALLEST)

    def interval(self, predicted, level):
        """Lower and upper end for each prediction, within 0 to 1.

        Parameters
        ----------
        predicted : array of shape (n,)
        level : float
            Share of new lines' or drugs' measurements that the interval should hold.
        """
        reach = (1 + level) / 2 * (1 + 1 / self.n_groups)  # of finite samples, counted in groups
        expected = self.expected(predicted)
        low = np.asarray(predicted) + self._quantile(1 - reach) * expected
        high = np.asarray(predicted) + self._quantile(reach) * expected
        return low.clip(0, 1), high.clip(0, 1)

    def _quantile(self, share):
        """Outside what the groups can tell, the whole range of the AUC."""
        if share <= 0 or share >= 1:
            return np.sign(share - 0.5) / SMALLEST
        return self.units[np.searchsorted(self.share, share).clip(0, len(self.units) - 1)]


def cross(rows):
    """Each fold's rows with intervals from the other folds of their kind.

    Parameters
    ----------
    rows : DataFrame
        Out-of-fold rows: kind, fold, auc, predicted and the groups.

    Returns
    -------
    DataFrame
        `rows` with low_50%, high_50%, … by level.
    """
    found = []
    for (kind, fold), test in rows.groupby(["kind", "fold"], observed=True):
        others = rows[(rows.kind == kind) & (rows.fold != fold)]
        found.append(with_intervals(test, Calibration(others)))
    return pd.concat(found, ignore_index=True)


def shifted(rows, calibration_rows):
    """Rows of studies that no network saw, with intervals from the studies that it did."""
    found = []
    for kind, known in calibration_rows.groupby("kind", observed=True):
        found.append(with_intervals(rows[rows.kind == kind], Calibration(known)))
    return pd.concat(found)


def with_intervals(rows, calibration):
    """Rows with the ends of their intervals at each of LEVELS."""
    ends = {}
    for level in LEVELS:
        low, high = calibration.interval(rows.predicted, level)
        ends |= {f"low_{level:.0%}": low, f"high_{level:.0%}": high}
    return rows.assign(**ends)


def grouped(rows, groups):
    """Rows with a column "by study" for each entry of `groups` such as "study": its values."""
    named = {BY + name: pd.Series(values, rows.index) for name, values in groups.items()}
    return rows.assign(**named).astype(dict.fromkeys(named, "str"))


def coverage(rows):
    """Nominal against reached coverage.

    Parameters
    ----------
    rows : DataFrame
        From `cross` or `shifted`, then `grouped`.

    Returns
    -------
    DataFrame
        kind, by, group, level, n, n_lines, n_drugs, reached (share of rows), reached_per_group
        (mean over lines or drugs, what is promised), width [AUC].
    """
    table = [pd.DataFrame(columns=COVERAGE)]
    unit = rows.drug_id.astype("str").where(rows.kind.map(GROUP) == "drug_id", rows.donor)
    for level in LEVELS:
        low, high = rows[f"low_{level:.0%}"], rows[f"high_{level:.0%}"]
        judged = rows.assign(unit=unit, held=rows.auc.between(low, high), width=high - low)
        for column in rows.columns[rows.columns.str.startswith(BY)]:
            found = _shares(judged.rename(columns={column: "group"}))
            table.append(found.assign(by=column.removeprefix(BY), level=level)[COVERAGE])
    return pd.concat(table[len(rows) > 0 :], ignore_index=True)


def _shares(judged):
    parts = judged.groupby(["kind", "group"], observed=True)
    found = parts.agg(
        n=("auc", "size"),
        n_lines=("cell_id", "nunique"),
        n_drugs=("drug_id", "nunique"),
        reached=("held", "mean"),
        width=("width", "mean"),
    )
    units = judged.groupby(["kind", "group", "unit"], observed=True).held.mean()
    found["reached_per_group"] = units.groupby(["kind", "group"], observed=True).mean()
    return found.reset_index()


def best(rows):
    """Where each row's prediction stands in its kind: a hit list is drawn from the first."""
    rank = rows.groupby("kind", observed=True).predicted.rank(pct=True)
    return np.select([rank <= 0.01, rank <= 0.05], ["best 1%", "best 5% but 1%"], "others")


def tenths(values):
    """Tenth of each value, as the text of its limits."""
    return pd.qcut(values, 10, duplicates="drop").astype("str")
