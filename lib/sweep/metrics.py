"""Scores as sufficient statistics: sums per run that any pooling adds up and a formula turns into a
metric.

RMSE, R2, Pearson, their forms normalised by the mean effects, balanced accuracy and MCC of
any union of folds, studies or drugs follow exactly from sums, so no predictions have to be kept. A
row of the `scores` table is one run, part and study (and drug or cell, or "" when pooled). Positive
is a responder: AUC at or below the cutoff.
"""

import numpy as np
import pandas as pd

from lib import effects, tables
from lib.paper import RESPONDER

CUTOFFS = {"50": RESPONDER, "30": 0.3}  # the paper's cutoff and its stricter one (section 2)
UNIT_COUNTS = ["n_drugs", "n_cells"]
KEYS = list(tables.SCORES.key)
STATISTICS = [name for name in tables.SCORES.columns if name not in KEYS + UNIT_COUNTS]
SUMS = [name for name in STATISTICS if name == "n" or "sum_" in name]

# Below these no score is given. The unit of a split is what its folds hold apart.
LEAST = {"n_drugs": 5, "n_cells": 20}
MIN_CLASS = 10
UNIT = {"line": "n_cells", "drug": "n_drugs"}
# Units that folds hold apart, so that their counts add over folds. A line can be in the test part
# of two studies.
APART = {
    split: [unit for factor, unit in UNIT.items() if factor in held]
    for split, held in effects.HELD_OUT.items()
}
UNITS = APART | {"study_out": ["n_cells"]}
TOO_SMALL = "n too small"
MISSING = "a target, prediction or mean effect is missing"


def group_sums(y, p, baseline, group, n_groups):
    """Sufficient statistics of one or many models over groups of rows, in double precision.

    Parameters
    ----------
    y, baseline : ndarray of shape (n_rows,)
    p : ndarray of shape (n_models, n_rows)
    group : int ndarray of shape (n_rows,)
        0 to n_groups - 1.

    Returns
    -------
    ndarray of shape (n_models, n_groups, len(STATISTICS))
    """
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    sums = np.zeros((len(p), n_groups, len(STATISTICS)))
    if len(order) == 0:
        return sums
    y, p, baseline = (np.asarray(a, np.float64)[..., order] for a in (y, p, baseline))
    for i, addend in enumerate(_addends(y, p, baseline)):
        sums[:, present, i] = np.add.reduceat(addend, starts, axis=-1, dtype=np.float64)
    return sums


def _addends(y, p, baseline):
    """What each row adds to every sufficient statistic, in the order of STATISTICS."""
    yield y * 0 + 1
    yield from (y, y * y, p, p * p, y * p, (y - p) ** 2)
    y_left = y - baseline
    p_left = p - baseline
    yield from (y_left, y_left * y_left, p_left, p_left * p_left, y_left * p_left)
    for cutoff in CUTOFFS.values():
        responds = y <= cutoff
        called = p <= cutoff
        yield from (responds & called, ~responds & called)
        yield from (~responds & ~called, responds & ~called)


def score_rows(run_ids, part, y, p, baseline, study, drug, cell, by="study"):
    """Rows of the `scores` table for models that predict the same test (or inner) rows.

    Parameters
    ----------
    run_ids : sequence of str of length n_models
    part : {"inner", "test"}
    y, baseline : ndarray of shape (n_rows,)
    p : ndarray of shape (n_models, n_rows)
    study, drug, cell : ndarray of shape (n_rows,)
        Names. One row per study is made, or with `by` "drug" or "cell" one per study and drug or
        cell.

    Returns
    -------
    DataFrame
        Columns KEYS, STATISTICS, n_drugs, n_cells; groups without a row are left out.
    """
    rows = pd.DataFrame({"study": study, "drug_id": drug, "cell_id": cell})
    keys = ["study"] if by == "study" else ["study", f"{by}_id"]
    grouped = rows.groupby(keys, observed=True, sort=True)
    counts = grouped.agg(n_drugs=("drug_id", "nunique"), n_cells=("cell_id", "nunique"))
    sums = group_sums(y, p, baseline, grouped.ngroup().to_numpy(), len(counts))
    table = pd.concat([counts.reset_index()] * len(run_ids), ignore_index=True)
    table["run_id"] = np.repeat(np.asarray(run_ids, object), len(counts))
    table["part"] = part
    for name in {"drug_id", "cell_id"} - set(keys):
        table[name] = ""
    table[STATISTICS] = sums.reshape(-1, len(STATISTICS))
    return table[KEYS + STATISTICS + UNIT_COUNTS]


def pool(scores, by):
    """Add up sufficient statistics: over folds, studies, drugs, or whatever `by` leaves out.

    Parameters
    ----------
    scores : DataFrame
        `scores` rows joined to the columns of `runs` that `by` names, and to `fold` when folds are
        pooled.
    by : str or list of str

    Returns
    -------
    DataFrame
        One row per group: `by`, STATISTICS, n_drugs, n_cells. The counts add over folds where folds
        are disjoint in that unit (`split` in `by`); elsewhere the largest part is taken, which is
        never more than the truth.
    """
    by = [by] if isinstance(by, str) else list(by)
    sums = scores.groupby(by, observed=True, dropna=False)[STATISTICS].sum(skipna=False)
    within = by + [name for name in ("split", "fold") if name in scores and name not in by]
    units = scores.groupby(within, observed=True, dropna=False)[UNIT_COUNTS].max().reset_index()
    for unit in UNIT_COUNTS:
        adds = "split" in units and units["split"].isin(_holding(unit, APART))
        grouped = units.assign(adds=adds).groupby(by, observed=True, dropna=False)
        sums[unit] = np.where(grouped["adds"].all(), grouped[unit].sum(), grouped[unit].max())
    return sums.reset_index()


def _holding(unit, splits):
    """Splits of which something is counted in a unit."""
    return [split for split, units in splits.items() if unit in units]


def score(pooled, split=None):
    """Metrics from sufficient statistics, withheld where n is too small to say anything.

    Parameters
    ----------
    pooled : DataFrame
        STATISTICS, n_drugs, n_cells; and a `split` column unless `split` is given.
    split : str, optional
        Kind of split of every row.

    Returns
    -------
    DataFrame
        `pooled` with rmse, r2, pearson; nr2 and npearson (after subtracting the training fold's
        mean effects from target and prediction); gain (1 - squared error / squared error of the
        mean effects); balanced_accuracy, mcc, tpr, fpr, prevalence at 0.5 and the same with `_30`
        at 0.3; `reason`, `reason_50`, `reason_30` where a score is withheld. R2 is the coefficient
        of determination. A constant prediction has correlation 0.
    """
    table = pooled.copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        splits = table["split"] if split is None else pd.Series(split, index=table.index)
        reason = _small_n(table, splits)
        missing = table[SUMS].isna().any(axis=1)
        reason = reason.mask((reason == "") & missing, MISSING)
        reason = reason.mask((reason == "") & ~(_centred(table, "yy") > 0), "constant target")
        for name in REGRESSION:
            table[name] = np.where(reason == "", FORMULAS[name](table), np.nan)
        table["reason"] = reason
        for cutoff in CUTOFFS:
            _classification(table, cutoff, reason)
    return table


def single_mechanism(study, n_drugs):
    """The label of a study of one or two drugs: a score on its lines is about those drugs'
    mechanism alone.
    """
    few = study != "All" and 0 < n_drugs <= 2
    return f"single mechanism ({int(n_drugs)} drug{'s' if n_drugs > 1 else ''})" if few else ""


def _small_n(table, split):
    """Reason per row why no score is given ("" where it may be): fewer than LEAST of the split's
    unit.
    """
    reason = pd.Series("", index=table.index, dtype=object)
    for unit, least in LEAST.items():
        few = split.isin(_holding(unit, UNITS)) & (table[unit] < least) & (reason == "")
        reason[few] = [f"{TOO_SMALL} ({unit} = {n:.0f})" for n in table[unit][few]]
    return reason


def _centred(s, pair, kind=""):
    """Sum of (a - mean a)(b - mean b) for a pair "yy", "pp" or "yp"; rounding below 1e-12 of the
    raw sum is zero. `kind` "n": after subtracting the mean effects.
    """
    a, b = (getattr(s, f"{kind}sum_{name}") for name in pair)
    total = getattr(s, f"{kind}sum_{pair}")
    centred = total - a * b / s.n
    return np.where(np.abs(centred) > 1e-12 * np.abs(total), centred, 0.0)


def _pearson(s, kind=""):
    pp = _centred(s, "pp", kind)
    both = np.where(pp > 0, _centred(s, "yy", kind) * pp, 1.0)
    return np.where(pp > 0, _centred(s, "yp", kind) / np.sqrt(both), 0.0)


def _balanced_accuracy(tp, fp, tn, fn):
    return (tp / (tp + fn) + 1 - fp / (fp + tn)) / 2


def _mcc(tp, fp, tn, fn):
    """Matthews correlation; 0 when a margin is empty, as scikit-learn has it."""
    margins = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return np.where(margins > 0, (tp * tn - fp * fn) / np.where(margins > 0, margins, 1), 0.0)


def _calls(s, cutoff="50"):
    return [getattr(s, f"{kind}_{cutoff}") for kind in ("tp", "fp", "tn", "fn")]


# Each metric as a function of an object whose attributes are STATISTICS, arrays of any shape.
FORMULAS = {
    "rmse": lambda s: np.sqrt(s.sum_se / s.n),
    "r2": lambda s: 1 - s.sum_se / _centred(s, "yy"),
    "pearson": _pearson,
    "nr2": lambda s: 1 - s.sum_se / _centred(s, "yy", "n"),
    "npearson": lambda s: _pearson(s, "n"),
    "gain": lambda s: 1 - s.sum_se / s.nsum_yy,
    "balanced_accuracy": lambda s: _balanced_accuracy(*_calls(s)),
    "mcc": lambda s: _mcc(*_calls(s)),
}
REGRESSION = "rmse r2 pearson nr2 npearson gain".split()


def _classification(table, cutoff, reason):
    """Add balanced accuracy, MCC, rates and prevalence at one cutoff; needs 10 of each class."""
    tp, fp, tn, fn = _calls(table, cutoff)
    suffix = "" if cutoff == "50" else f"_{cutoff}"
    blocked = reason.where(reason.str.startswith((TOO_SMALL, MISSING)), "")
    few = (np.minimum(tp + fn, fp + tn) < MIN_CLASS) & (blocked == "")
    blocked[few] = [
        f"{TOO_SMALL} ({responders:.0f} responders, {others:.0f} non-responders)"
        for responders, others in zip((tp + fn)[few], (fp + tn)[few], strict=True)
    ]
    values = {
        "balanced_accuracy": _balanced_accuracy(tp, fp, tn, fn),
        "mcc": _mcc(tp, fp, tn, fn),
        "tpr": tp / (tp + fn),
        "fpr": fp / (fp + tn),
    }
    for name, value in values.items():
        table[name + suffix] = np.where(blocked == "", value, np.nan)
    table["prevalence" + suffix] = (tp + fn) / table["n"]
    table[f"reason_{cutoff}"] = blocked
