"""Baselines: what a network has to beat, on the same rows of the same folds.

Mean effects is the bar: most of the variance of a drug screen is which drug it is. Every predictor
is fitted on the training rows of one fold of a `Problem` (see lib/networks/train.py) and predicts
all its rows.
"""

import numpy as np
import pandas as pd

from lib.effects import additive
from lib.splits import INNER, TEST, TRAIN

MEANS = {  # factors of `lib.effects` behind each predictor that reads no feature
    "global_mean": (),
    "drug_mean": ("drug",),
    "cell_mean": ("cell",),
    "mean_effects": ("drug", "cell"),
    "study_mean_effects": ("study", "drug", "cell"),
}
USUAL = (*MEANS, "ridge")  # in every shard whose grid names none
BASELINES = (*USUAL, "boosted_trees")
PENALTIES = 10.0 ** np.arange(-1, 5)  # tried on the inner rows
N_COMPONENTS = 100  # principal components that ridge uses
TREES = dict(
    max_iter=1000, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=50,
    early_stopping=True, n_iter_no_change=20,
)  # fmt: skip
N_TREE_COMPONENTS = 50  # of cells, and of drugs, that boosted trees use


def predict(name, problem, fold):
    """Predictions of a baseline for every row, fitted on the training rows of one fold.

    Parameters
    ----------
    name : str
        One of BASELINES.
    problem : Problem
    fold : int

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        For a fold without training rows.
    """
    train = np.flatnonzero(problem.role[fold] == TRAIN)
    if len(train) == 0:
        raise ValueError(f"fold {fold} has no training rows: use fewer folds or a larger cohort")
    if name == "ridge":
        return ridge(problem, fold)
    if name == "boosted_trees":
        return boosted_trees(problem, fold)
    return additive(problem.y, [getattr(problem, factor) for factor in MEANS[name]], train)


def ridge(problem, fold):
    """Mean effects, plus a ridge per drug on expression components, plus a ridge of drug offsets on
    descriptors.

    Each drug's residuals are regressed on the leading principal components of its cells (components
    of training profiles); a drug without training rows has no such part, but its offset is
    predicted from its descriptors. Each penalty is the one of PENALTIES with the smallest squared
    error on the inner rows.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    role = problem.role[fold]
    y = np.asarray(problem.y, np.float64)
    train = np.flatnonzero(role == TRAIN)
    inner = role == INNER
    base = additive(y, [problem.drug, problem.cell], train)
    parts = [_per_drug_on_cells(problem, fold, y - base, train)]
    unseen = ~np.isin(problem.drug, problem.drug[train])
    if unseen.any():
        parts.append(unseen * _offset_on_descriptors(problem, fold, base, train))
    for candidates in parts:
        error = np.abs(PENALTIES - 100)
        if inner.any():
            error = ((y - base - candidates)[:, inner] ** 2).sum(1)
        base = base + candidates[error.argmin()]
    return base


def boosted_trees(problem, fold):
    """Gradient-boosted trees (scikit-learn's histogram kind) on what the effects leave.

    The effects are those that a test row can know: of study and of every line or drug with a
    training row. Features are the leading principal components of cells and of drugs. Inner rows
    stop the growth.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    role = problem.role[fold]
    y = np.asarray(problem.y, np.float64)
    train = np.flatnonzero(role == TRAIN)
    stops = np.flatnonzero(role == (INNER if (role == INNER).any() else TEST))
    sides = [problem.drug, problem.cell]
    known = [codes for codes in sides if np.isin(codes[stops], codes[train]).any()]
    base = additive(y, [problem.study, *known], train)
    features = []
    for values, row in ((problem.cell_x, problem.profile), (problem.drug_x, problem.drug)):
        z = components(values[fold], np.unique(row[train]))
        features.append(z[row, :N_TREE_COMPONENTS])
    x = np.hstack(features).astype(np.float32)
    left = y - base
    model = HistGradientBoostingRegressor(**TREES, random_state=0)
    model.fit(x[train], left[train], X_val=x[stops], y_val=left[stops])
    return base + model.predict(x)


def components(x, train):
    """Scores of all rows of x on the leading principal components of its rows `train`, over the sd
    of the first.

    Parameters
    ----------
    x : ndarray of shape (n, p)
    train : int ndarray

    Returns
    -------
    ndarray of shape (n, k)
        k is N_COMPONENTS, or fewer where the training rows span fewer dimensions.
    """
    from sklearn.decomposition import PCA  # a second to import, and the grid imports this file

    x = np.asarray(x, np.float64)
    k = min(N_COMPONENTS, len(train) - 1, x.shape[1])
    if k < 1 or not np.ptp(x[train], axis=0).any():
        return np.zeros((len(x), 0))
    fitted = PCA(k, svd_solver="full").fit(x[train])
    squares = fitted.singular_values_**2
    keep = squares > 1e-10 * squares[0]
    return fitted.transform(x)[:, keep] / np.sqrt(squares[0] / len(train))


def _per_drug_on_cells(problem, fold, residual, train):
    """Candidate cell parts, one row per penalty: (n_penalties, n_rows)."""
    z = components(problem.cell_x[fold], np.unique(problem.profile[train]))
    found = np.zeros((len(PENALTIES), len(residual)))
    drugs = pd.Series(np.arange(len(residual))).groupby(problem.drug)
    is_train = problem.role[fold] == TRAIN
    for rows in drugs.indices.values():
        fit = rows[is_train[rows]]
        if len(fit) > 1:
            cells = problem.profile[fit], problem.profile[rows]
            found[:, rows] = _ridge_path(z[cells[0]], residual[fit], z[cells[1]])
    return found


def _offset_on_descriptors(problem, fold, base, train):
    """Candidate offsets of drugs from their descriptors, one row per penalty: (n_penalties,
    n_rows).
    """
    drugs, first = np.unique(problem.drug[train], return_index=True)
    offset = base[train][first] - additive(problem.y, [problem.cell], train)[train][first]
    z = components(problem.drug_x[fold], drugs)
    return _ridge_path(z[drugs], offset, z)[:, problem.drug]


def _ridge_path(z, target, z_new):
    """Ridge predictions without intercept for every penalty, from one eigendecomposition:
    (n_penalties, n_new).
    """
    values, vectors = np.linalg.eigh(z.T @ z)
    projected = vectors.T @ (z.T @ target)
    weights = projected / (values + PENALTIES[:, None])  # (n_penalties, k)
    return weights @ (z_new @ vectors).T
