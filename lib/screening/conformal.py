"""Intervals from out-of-fold errors, and what they reach on folds that did not calibrate them.

Split-conformal prediction by kind of newness. An error counts in units of the size that errors of
its kind have at that predicted value, that spread of the ensemble and that similarity to training;
its lower and upper quantiles are taken over whole lines or drugs, each of which counts once
however many rows it has, because a new line or drug is what a query brings (Dunn, Wasserman and
Ramdas 2022, pooled distribution functions). MAPIE calibrates an estimator that it may call, and
crepes counts rows; neither has weights for groups.
"""

import numpy as np
import pandas as pd

LEVELS = (0.5, 0.8, 0.9, 0.95)
GROUP = {"new line": "donor", "new drug": "drug_id", "both new": "drug_id", "both known": "donor"}
COVERAGE = "kind by group level n n_lines n_drugs reached reached_per_group width".split()
SMALLEST = 0.02  # AUC: no error is expected to be smaller
USUAL = (0.02, 0.99)  # quantiles of the predictions beyond which the error is that at the limit


class Calibration:
    """Errors of one kind of newness, ready to become intervals.

    Parameters
    ----------
    rows : DataFrame
        Out-of-fold rows of one kind: kind, auc, predicted, spread, donor, drug_id.
    """

    def __init__(self, rows):
        group = rows[GROUP[rows.kind.iloc[0]]].astype("str")
        weight = 1 / group.map(group.value_counts()).to_numpy(float)
        error = (rows.auc - rows.predicted).to_numpy(float)
        root = np.sqrt(weight)
        self.usual = rows.predicted.quantile(list(USUAL)).to_numpy()
        design = self._design(rows.predicted, rows.spread)
        self.size = np.linalg.lstsq(design * root[:, None], np.abs(error) * root, rcond=None)[0]
        units = error / self.expected(rows.predicted, rows.spread)
        order = np.argsort(units)
        self.units = units[order]
        self.share = np.cumsum(weight[order]) / weight.sum()
        self.n_groups = group.nunique()

    def expected(self, predicted, spread):
        """Size of the error [AUC] that rows of such predictions have."""
        return np.maximum(self._design(predicted, spread) @ self.size, SMALLEST)

    def interval(self, predicted, spread, level):
        """Lower and upper end for each prediction, within 0 to 1.

        Parameters
        ----------
        predicted, spread : array of shape (n,)
        level : float
            Share of new lines' or drugs' measurements that the interval should hold.
        """
        tail = (1 - level) / 2
        reach = (1 - tail) * (1 + 1 / self.n_groups)  # of finite samples, counted in groups
        expected = self.expected(predicted, spread)
        low = np.asarray(predicted) + self._quantile(1 - reach) * expected
        high = np.asarray(predicted) + self._quantile(reach) * expected
        return low.clip(0, 1), high.clip(0, 1)

    def _design(self, predicted, spread):
        p = np.asarray(predicted, float).clip(*self.usual)
        return np.stack([np.ones_like(p), p, p**2, p**3, np.asarray(spread, float)], axis=1)

    def _quantile(self, share):
        """Outside what the groups can tell, the whole range of the AUC."""
        if share <= 0 or share >= 1:
            return np.sign(share - 0.5) / SMALLEST
        return self.units[np.searchsorted(self.share, share).clip(0, len(self.units) - 1)]


def calibrations(rows):
    """A `Calibration` for each kind of newness among out-of-fold rows."""
    return {kind: Calibration(part) for kind, part in rows.groupby("kind", observed=True)}


def cross(rows):
    """Each fold's rows with intervals from the other folds.

    Parameters
    ----------
    rows : DataFrame
        Out-of-fold rows: kind, fold, auc, predicted, spread and the groups.

    Returns
    -------
    DataFrame
        `rows` with low_50, high_50, … by level, in per cent.
    """
    found = []
    for _, part in rows.groupby("kind", observed=True):
        for fold in part.fold.unique():
            test = part.fold == fold
            if not test.all():
                found.append(with_intervals(part[test], Calibration(part[~test])))
    return pd.concat(found, ignore_index=True)


def with_intervals(rows, calibration):
    """Rows with the ends of their intervals at each of LEVELS."""
    ends = {}
    for level in LEVELS:
        low, high = calibration.interval(rows.predicted, rows.spread, level)
        ends |= {f"low_{level:.0%}": low, f"high_{level:.0%}": high}
    return rows.assign(**ends)


def shifted(rows, calibration_rows):
    """Rows of studies that no network saw, with intervals from the studies that it did."""
    made = calibrations(calibration_rows)
    found = [with_intervals(rows.iloc[:0], next(iter(made.values())))]
    for kind, part in rows.groupby("kind", observed=True):
        if kind in made:
            found.append(with_intervals(part, made[kind]))
    return pd.concat(found[1:] or found)


def coverage(rows, by):
    """Nominal against reached coverage.

    Parameters
    ----------
    rows : DataFrame
        From `cross` or `shifted`.
    by : dict of str to array
        Ways to group the rows, for example {"study": rows.study}.

    Returns
    -------
    DataFrame
        kind, by, group, level, n, n_lines, n_drugs, reached (share of rows), reached_per_group
        (mean over lines or drugs, what is promised), width [AUC].
    """
    table = []
    for name, groups in by.items():
        for (kind, group), part in rows.groupby(["kind", np.asarray(groups)], observed=True):
            for level in LEVELS:
                low, high = part[f"low_{level:.0%}"], part[f"high_{level:.0%}"]
                held = part.auc.between(low, high)
                row = {"kind": kind, "by": name, "group": str(group), "level": level}
                row |= {"n": len(part), "n_lines": part.cell_id.nunique()}
                row |= {"n_drugs": part.drug_id.nunique(), "reached": held.mean()}
                row["reached_per_group"] = (
                    held.groupby(part[GROUP[kind]].astype("str")).mean().mean()
                )
                table.append(row | {"width": (high - low).mean()})
    return pd.DataFrame(table, columns=COVERAGE)


def best(rows):
    """Where each row's prediction stands in its kind: a hit list is drawn from the first."""
    rank = rows.groupby("kind", observed=True).predicted.rank(pct=True)
    return np.select([rank <= 0.01, rank <= 0.05], ["best 1%", "best 5% but 1%"], "others")


def tenths(values):
    """Tenth of each value, as the text of its limits."""
    return pd.qcut(values, 10, duplicates="drop").astype("str")
