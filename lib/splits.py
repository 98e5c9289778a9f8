"""Folds that share no cell line (`on_cell`) or no drug (`on_drug`), with an inner validation part inside training.

Three roles per fold (section 4.6 of the paper has two; the third keeps the test rows untouched): training rows fit,
inner rows stop and choose, test rows are read once. Folds are cut on the donor of a line: relatives stay together.
"""

import numpy as np

TRAIN, INNER, TEST, UNUSED = 0, 1, 2, -1
KEYS = {"on_cell": "donor", "on_drug": "drug_id"}


def assign_folds(keys, n_folds, seed=0):
    """Deal distinct keys to folds at random, so that folds hold nearly equal numbers of rows.

    Parameters
    ----------
    keys : array of str, shape (n_rows,)
    n_folds : int
    seed : int

    Returns
    -------
    ndarray of int8, shape (n_rows,)
        Fold of each row; rows of one key share it. It depends on the set of keys and their counts, not on row order.

    Raises
    ------
    ValueError
        With fewer distinct keys than folds.
    """
    names, code, count = np.unique(np.asarray(keys, dtype=str), return_inverse=True, return_counts=True)
    if len(names) < n_folds:
        raise ValueError(
            f"{len(names)} distinct key(s) cannot fill {n_folds} folds: use fewer folds or a larger cohort"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-count[order], kind="stable")]  # large keys first; ties stay shuffled
    fold_of, load = np.zeros(len(names), np.int8), np.zeros(n_folds)
    for name in order:
        fold_of[name] = load.argmin()
        load[fold_of[name]] += count[name]
    return fold_of[code]


def roles(keys, n_folds=3, inner_share=0.2, seed=0, selection="nested"):
    """Role of each row in each fold.

    Parameters
    ----------
    keys : array of str, shape (n_rows,)
        The column that must not be shared (see `KEYS`).
    n_folds : int
        Outer folds (3 in the paper).
    inner_share : float
        Part of the training keys that stops and chooses, 0 to 0.5.
    seed : int
    selection : {"nested", "paper"}
        `paper`: the test rows stop and choose too, as in the paper; optimistic.

    Returns
    -------
    role : ndarray of int8, shape (n_folds, n_rows)
        0 train, 1 inner validation, 2 test.
    fold : ndarray of int8, shape (n_rows,)

    Raises
    ------
    ValueError
        For an unknown selection, or too few keys.
    """
    if selection not in ("nested", "paper"):
        raise ValueError(f"selection must be 'nested' or 'paper', found {selection!r}")
    keys = np.asarray(keys, dtype=str)
    fold = assign_folds(keys, n_folds, seed)
    role = np.where(fold == np.arange(n_folds)[:, None], TEST, TRAIN).astype(np.int8)
    if selection == "nested":
        n_inner = max(2, round(1 / inner_share))
        for k in range(n_folds):
            train = fold != k
            inner = assign_folds(keys[train], n_inner, seed=seed * 1000 + 17 * k + 1) == 0
            role[k, np.flatnonzero(train)[inner]] = INNER
    return role, fold
