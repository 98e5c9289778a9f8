"""What notebook 04 looks at: gaps and empty columns of a drug block, overlap of two blocks, likeness of the drugs."""

import numpy as np
import pandas as pd

from lib.scaler import REASONS, DescriptorScaler


def quality(values, report, block, **limits):
    """Fate of every column and every drug of a block, judged on all drugs given.

    A training fold judges anew on its own drugs (`DescriptorScaler`), so its kept columns may differ.

    Parameters
    ----------
    values, report : DataFrame
        From `blocks.compute_block`.
    block : str
    **limits
        Of `DescriptorScaler`, for example max_missing.

    Returns
    -------
    DataFrame
        block, kind ("column" or "drug"), name, missing (share of described drugs, or of columns), keep, reason.
    """
    names = list(values.columns[1:])
    scaler = DescriptorScaler(**limits).fit(values[names].to_numpy())
    columns = scaler.quality(names).rename(columns={"column": "name"})[["name", "missing", "keep", "reason"]]
    drugs = report.rename(columns={"drug_id": "name"}).assign(keep=report.reason.eq(""))[columns.columns]
    found = pd.concat([columns.assign(kind="column"), drugs.assign(kind="drug")], ignore_index=True)
    found["reason"] = found.reason.astype("str")
    return found.assign(block=block)[["block", "kind", "name", "missing", "keep", "reason"]]


def summary(quality):
    """One row per block: columns, how many are dropped for which reason, how many are kept, drugs without a row.

    Parameters
    ----------
    quality : DataFrame
        One or more results of `quality`, concatenated.

    Returns
    -------
    DataFrame
        Index block; columns, missing, extreme, constant, duplicated, kept, drugs, drugs_failed.
    """
    columns, drugs = (quality[quality.kind == kind] for kind in ("column", "drug"))
    table = pd.DataFrame({"columns": columns.groupby("block", sort=False).size()})
    for reason in REASONS:
        table[reason] = columns[columns.reason == reason].groupby("block").size()
    table["kept"] = columns.groupby("block").keep.sum()
    table["drugs"] = drugs.groupby("block").size()
    table["drugs_failed"] = (~drugs.keep).groupby(drugs.block).sum()
    return table.fillna(0).astype(int)


def redundancy(block, other, seed=None):
    """How much of each column of a block another block holds already.

    Parameters
    ----------
    block, other : DataFrame
        Blocks of the same drugs in the same order.
    seed : int or None
        With a seed, the other block's drugs are shuffled first: the likeness that chance gives with so many columns.

    Returns
    -------
    Series
        Per kept column of `block`: the largest |Pearson r| with a kept column of `other`, over drugs described in both.
    """
    x, y = block.iloc[:, 1:].to_numpy(dtype=float), other.iloc[:, 1:].to_numpy(dtype=float)
    both = np.isfinite(x).any(axis=1) & np.isfinite(y).any(axis=1)
    x, y = x[both], y[both]
    if seed is not None:
        y = np.random.default_rng(seed).permutation(y)
    (x, kept), (y, _) = _standard(x), _standard(y)
    return pd.Series(np.abs(x.T @ y).max(axis=1) / len(x), index=block.columns[1:][kept])


def nearest_neighbours(bits, drugs):
    """The most similar other drug of each drug, by Tanimoto likeness of fingerprints.

    Parameters
    ----------
    bits : DataFrame
        A fingerprint block; drugs without a fingerprint are left out.
    drugs : DataFrame
        drug_id and drug_name.

    Returns
    -------
    DataFrame
        drug_id, drug_name, nearest_id, nearest_name, tanimoto; most alike first.
    """
    bits = bits.dropna()
    likeness = tanimoto(bits.iloc[:, 1:].to_numpy())
    np.fill_diagonal(likeness, -1.0)
    name = drugs.set_index("drug_id").drug_name
    ids = bits.drug_id.to_numpy()
    nearest = ids[likeness.argmax(axis=1)]
    found = pd.DataFrame({"drug_id": ids, "drug_name": list(name[ids])})
    found = found.assign(nearest_id=nearest, nearest_name=list(name[nearest]), tanimoto=likeness.max(axis=1))
    return found.sort_values(["tanimoto", "drug_id"], ascending=[False, True], ignore_index=True)


def tanimoto(bits):
    """Bits shared over bits set in either, for every pair of drugs.

    Parameters
    ----------
    bits : ndarray of 0 and 1, shape (n_drugs, n_bits)

    Returns
    -------
    ndarray of float, shape (n_drugs, n_drugs)
        1 for equal fingerprints (also two empty ones), 0 for no common bit.
    """
    bits = np.asarray(bits, dtype=np.float32)
    shared = (bits @ bits.T).astype(float)
    set_bits = bits.sum(axis=1)
    either = set_bits[:, None] + set_bits[None, :] - shared
    return np.divide(shared, either, out=np.ones_like(shared), where=either > 0)


def _standard(x):
    """Kept columns with mean 0 and sd 1, gaps at the median; and the mask of kept columns."""
    scaler = DescriptorScaler(clip=np.inf).fit(x)
    z = scaler.transform(x)[:, scaler.keep].astype(float)
    z -= z.mean(axis=0)
    return z / z.std(axis=0), scaler.keep
