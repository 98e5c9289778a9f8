"""Null controls: features that cannot know their line or drug."""

import numpy as np


def permuted_rows(values, groups, seed=0):
    """Null control: whole rows dealt out again within their group, so a profile belongs to another line.

    Parameters
    ----------
    values : ndarray of shape (n_rows, p)
    groups : array of shape (n_rows,)
        Profile source: each source keeps its own distribution.
    seed : int

    Returns
    -------
    ndarray of shape (n_rows, p)
    """
    rng, order = np.random.default_rng(seed), np.arange(len(values))
    for group in np.unique(groups):
        rows = np.flatnonzero(np.asarray(groups) == group)
        order[rows] = rng.permutation(rows)
    return values[order]


def random_like(values, seed=0):
    """Null control: standard normal numbers of equal shape."""
    return np.random.default_rng(seed).standard_normal(values.shape, dtype=np.float32)
