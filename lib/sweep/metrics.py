"""Scores as sufficient statistics: sums per run that any pooling adds up and a formula turns into a
metric.

RMSE, R2, Pearson, their forms normalised by the mean effects, balanced accuracy and MCC of
any union of folds, studies or drugs follow exactly from sums, so no predictions have to be kept. A
row of the `scores` table is one run, part and study (and drug or cell, or "" when pooled). Positive
is a responder: AUC at or below the cutoff.
"""

import numpy as np
import pandas as pd

from lib.paper import RESPONDER

CUTOFFS = {"50": RESPONDER, "30": 0.3}  # the paper's cutoff and its stricter one (section 2)
SUMS = "n sum_y sum_yy sum_p sum_pp sum_yp sum_se nsum_y nsum_yy nsum_p nsum_pp nsum_yp".split()
COUNTS = [f"{kind}_{cutoff}" for cutoff in CUTOFFS for kind in ("tp", "fp", "tn", "fn")]
STATISTICS = SUMS + COUNTS
KEYS = ["run_id", "part", "study", "drug_id", "cell_id"]

# Below these no score is given. The unit of a split is what its folds hold apart.
MIN_DRUGS, MIN_CELLS, MIN_CLASS = 5, 20, 10
UNITS = {
    "on_cell": ("n_cells",),
    "tissue_out": ("n_cells",),
    "study_out": ("n_cells",),
    "on_drug": ("n_drugs",),
    "scaffold_out": ("n_drugs",),
    "both_unseen": ("n_cells", "n_drugs"),
}
# Units that folds hold apart, so that their counts add over folds. A line can be in the test part
# of two studies.
APART = UNITS | {"study_out": ()}
TOO_SMALL = "n too small"
MISSING = "a target, prediction or mean effect is missing"


def terms(y, p, baseline):
    """The addends of every sufficient statistic, row by row.

    Only arithmetic and comparisons are used, so numpy arrays and torch tensors both pass.

    Parameters
    ----------
    y, baseline : array of shape (n_rows,)
        Target AUC; the training fold's mean effects for the same rows.
    p : array of shape (..., n_rows)
        Predicted AUC.

    Returns
    -------
    dict of str to array of shape (..., n_rows) or (n_rows,)
        Keyed as `STATISTICS`.
    """
    ny, np_ = y - baseline, p - baseline
    found = dict(
        n=y * 0 + 1, sum_y=y, sum_yy=y * y, sum_p=p, sum_pp=p * p, sum_yp=y * p, sum_se=(y - p) ** 2
    )
    found |= dict(nsum_y=ny, nsum_yy=ny * ny, nsum_p=np_, nsum_pp=np_ * np_, nsum_yp=ny * np_)
    for name, cutoff in CUTOFFS.items():
        is_responder, called = y <= cutoff, p <= cutoff
        found[f"tp_{name}"] = is_responder & called
        found[f"fp_{name}"] = ~is_responder & called
        found[f"tn_{name}"] = ~is_responder & ~called
        found[f"fn_{name}"] = is_responder & ~called
    return found


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
    for i, addend in enumerate(terms(y, p, baseline).values()):
        sums[:, present, i] = np.add.reduceat(addend, starts, axis=-1, dtype=np.float64)
    return sums


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
    keys = ["study"] + {"study": [], "drug": ["drug_id"], "cell": ["cell_id"]}[by]
    grouped = rows.groupby(keys, observed=True, sort=True)
    counts = grouped.agg(
        n_drugs=("drug_id", "nunique"), n_cells=("cell_id", "nunique")
    ).reset_index()
    sums = group_sums(y, p, baseline, grouped.ngroup().to_numpy(), len(counts))
    table = pd.concat([counts] * len(run_ids), ignore_index=True)
    table["run_id"], table["part"] = np.repeat(np.asarray(run_ids, object), len(counts)), part
    for name in {"drug_id", "cell_id"} - set(keys):
        table[name] = ""
    table[STATISTICS] = sums.reshape(-1, len(STATISTICS))
    return table[KEYS + STATISTICS + ["n_drugs", "n_cells"]]


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
    units = (
        scores.groupby(within, observed=True, dropna=False)[["n_drugs", "n_cells"]]
        .max()
        .reset_index()
    )
    for unit in ("n_drugs", "n_cells"):
        adds = (
            units["split"].map(lambda s, u=unit: u in APART.get(s, ()))
            if "split" in units
            else False
        )
        grouped = units.assign(adds=adds).groupby(by, observed=True, dropna=False)
        sums[unit] = np.where(grouped["adds"].all(), grouped[unit].sum(), grouped[unit].max())
    return sums.reset_index()


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
        reason = small_n(table, split)
        missing = table[SUMS].isna().any(axis=1)
        reason = reason.mask((reason == "") & missing, MISSING)
        reason = reason.mask((reason == "") & ~(_spread(table) > 0), "constant target")
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


def small_n(table, split=None):
    """Reason per row why no score is given ("" where it may be): fewer than 5 drugs or 20 cells of
    the split's unit.
    """
    splits = pd.Series(split, index=table.index) if split is not None else table["split"]
    reason = pd.Series("", index=table.index, dtype=object)
    for unit, least in (("n_drugs", MIN_DRUGS), ("n_cells", MIN_CELLS)):
        bad = splits.map(lambda s, u=unit: u in UNITS[s]).astype(bool) & (table[unit] < least)
        text = table[unit].map(lambda n, u=unit: f"{TOO_SMALL} ({u} = {int(n)})")
        reason = reason.mask(bad & (reason == ""), text)
    return reason


def _spread(s, kind=""):
    """Centred sum of squares of the target; `kind` "n" after subtracting the mean effects."""
    return _centred(s, f"{kind}sum_yy", f"{kind}sum_y", f"{kind}sum_y")


def _centred(s, ab, a, b):
    """Sum of (a - mean a)(b - mean b); rounding below 1e-12 of the raw sum is zero."""
    total = getattr(s, ab)
    centred = total - getattr(s, a) * getattr(s, b) / s.n
    return np.where(np.abs(centred) > 1e-12 * np.abs(total), centred, 0.0)


def _pearson(s, kind=""):
    pp = _centred(s, f"{kind}sum_pp", f"{kind}sum_p", f"{kind}sum_p")
    yp = _centred(s, f"{kind}sum_yp", f"{kind}sum_y", f"{kind}sum_p")
    both = np.where(pp > 0, _spread(s, kind) * pp, 1.0)
    return np.where(pp > 0, yp / np.sqrt(both), 0.0)


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
    "r2": lambda s: 1 - s.sum_se / _spread(s),
    "pearson": _pearson,
    "nr2": lambda s: 1 - s.sum_se / _spread(s, "n"),
    "npearson": lambda s: _pearson(s, "n"),
    "gain": lambda s: 1 - s.sum_se / s.nsum_yy,
    "balanced_accuracy": lambda s: _balanced_accuracy(*_calls(s)),
    "mcc": lambda s: _mcc(*_calls(s)),
}
REGRESSION = ("rmse", "r2", "pearson", "nr2", "npearson", "gain")


def _classification(table, cutoff, reason):
    """Add balanced accuracy, MCC, rates and prevalence at one cutoff; needs 10 of each class."""
    tp, fp, tn, fn = _calls(table, cutoff)
    suffix = "" if cutoff == "50" else f"_{cutoff}"
    few = np.minimum(tp + fn, fp + tn) < MIN_CLASS
    why = [
        f"{TOO_SMALL} ({int(a)} responders, {int(b)} non-responders)"
        for a, b in zip(tp + fn, fp + tn, strict=True)
    ]
    blocked = reason.where(reason.str.startswith((TOO_SMALL, MISSING)), "")
    blocked = blocked.mask(few & (blocked == ""), pd.Series(why, index=table.index, dtype=object))
    values = dict(balanced_accuracy=_balanced_accuracy(tp, fp, tn, fn), mcc=_mcc(tp, fp, tn, fn))
    values |= dict(tpr=tp / (tp + fn), fpr=fp / (fp + tn))
    for name, value in values.items():
        table[name + suffix] = np.where(blocked == "", value, np.nan)
    table["prevalence" + suffix] = (tp + fn) / table["n"]
    table[f"reason_{cutoff}"] = blocked
