"""Null controls: features that cannot know their line or drug."""

import hashlib

import numpy as np
import pandas as pd

DRUG_CONTROLS = ("none", "permuted", "onehot", "random")


def permuted_rows(values, groups, seed=0):
    """Null control: rows shuffled within their group, so that a profile belongs to another line.

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
    rng = np.random.default_rng(seed)
    order = np.arange(len(values))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        order[rows] = rng.permutation(rows)
    return values[order]


def random_like(values, seed=0):
    """Null control: standard normal numbers of equal shape."""
    return np.random.default_rng(seed).standard_normal(values.shape, dtype=np.float32)


def drug_control(block, kind, seed=0):
    """A block of the same drugs that tells nothing about their chemistry.

    Parameters
    ----------
    block : DataFrame
        drug_id and one column per descriptor (`lib.drugs.descriptors.compute_block`).
    kind : {"none", "permuted", "onehot", "random"}
        permuted: each drug has the descriptors of another one. onehot: the drug's identity, nothing
        more (its columns differ for one drug each, so scale it with
        `DescriptorScaler(min_varied=1)`). random: a standard normal vector of the block's width,
        which depends on the seed and the drug_id alone.
    seed : int

    Returns
    -------
    DataFrame
        Same drugs in the same order; drugs without descriptors stay without.
    """
    if kind == "none":
        return block
    ids = block.drug_id.to_numpy()
    names = block.columns[1:]
    x = block[names].to_numpy()
    described = np.isfinite(x).any(axis=1)
    if kind == "permuted":
        x = _other_drugs_rows(x, ids, described, seed)
    elif kind == "random":
        width = len(names)
        x = np.array([_generator(seed, drug).standard_normal(width, "float32") for drug in ids])
        names = [f"random_{i}" for i in range(width)]
    else:
        known = np.sort(ids[described])
        x = (ids[:, None] == known).astype(np.float32)
        names = [f"is_{drug}" for drug in known]
    x = np.where(described[:, None], x, np.float32(np.nan))
    return pd.concat(
        [block[["drug_id"]].reset_index(drop=True), pd.DataFrame(x, columns=names)], axis=1
    )


def _other_drugs_rows(x, ids, described, seed):
    rows = np.flatnonzero(described)
    cycle = _generator(seed, "permuted").permutation(rows[np.argsort(ids[rows])])
    x = x.copy()
    x[cycle] = x[np.roll(cycle, 1)]  # one cycle through all drugs: none keeps its own row
    return x


def _generator(seed, name):
    """Random numbers that depend on the seed and a name, the same in every process."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
