"""What notebook 04 looks at: gaps and empty columns of a drug block, overlap of two blocks, likeness of the drugs."""

import numpy as np
import pandas as pd

from lib.drugs.scaler import REASONS, DescriptorScaler
from lib.screens.molecules import standardise_all


def drawings(drugs):
    """What the structures of a table of drugs tell and leave open.

    Parameters
    ----------
    drugs : DataFrame
        The `drugs` table.

    Returns
    -------
    Series
        Number of compounds by property of their drawing.
    """
    found = standardise_all(drugs)
    open_, defined = found.stereo_undefined > 0, found.stereo_dropped
    counts = {
        "all": len(found),
        "without stereo centres or bonds": (~open_ & ~defined).sum(),
        "all stereochemistry drawn": (defined & ~open_).sum(),
        "stereochemistry drawn in part": (defined & open_).sum(),
        "stereochemistry left open": (open_ & ~defined).sum(),
        "charge that cannot be neutralised": (found.charge != 0).sum(),
        "still a salt or mixture": (found.removed != "").sum(),
        "cannot be described": (found.reason != "").sum(),
    }
    return pd.Series(counts, name="compounds")


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
    columns = scaler.quality(names).rename(columns={"column": "name"})[
        ["name", "missing", "keep", "reason"]
    ]
    drugs = report.rename(columns={"drug_id": "name"}).assign(keep=report.reason.eq(""))[
        columns.columns
    ]
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


def nearest_neighbours(bits, drugs, folds=None):
    """The most similar other drug of each drug, by Tanimoto likeness of fingerprints.

    Parameters
    ----------
    bits : DataFrame
        A fingerprint block; drugs without a fingerprint are left out.
    drugs : DataFrame
        drug_id and drug_name.
    folds : array of shape (n_drugs,) or None
        Fold of each row of `bits` in a split by drug.

    Returns
    -------
    DataFrame
        drug_id, drug_name, nearest_id, nearest_name, tanimoto; most alike first. With folds also `across_folds`: the
        likeness to the nearest drug of another fold, that is, to the nearest training drug when this one is tested.
    """
    described = bits.iloc[:, 1:].notna().all(axis=1).to_numpy()
    ids = bits.drug_id.to_numpy()[described]
    likeness = tanimoto(bits.iloc[described, 1:].to_numpy())
    np.fill_diagonal(likeness, -1.0)
    name = drugs.set_index("drug_id").drug_name
    nearest = ids[likeness.argmax(axis=1)]
    found = pd.DataFrame({"drug_id": ids, "drug_name": list(name[ids])})
    found = found.assign(
        nearest_id=nearest, nearest_name=list(name[nearest]), tanimoto=likeness.max(axis=1)
    )
    if folds is not None:
        folds = np.asarray(folds)[described]
        found["across_folds"] = np.where(folds[:, None] == folds, 0.0, likeness).max(axis=1)
    return found.sort_values(["tanimoto", "drug_id"], ascending=[False, True], ignore_index=True)


def likeness_kept(values, other):
    """How much of one table's likeness of drugs another table keeps.

    Parameters
    ----------
    values, other : DataFrame
        Blocks of the same drugs in the same order, for example a block and a null control of it.

    Returns
    -------
    float
        Pearson r between the pairwise distances of scaled rows (Mantel's statistic): 1 the same, 0 unrelated.
    """
    described = [np.isfinite(frame.iloc[:, 1:].to_numpy()).any(axis=1) for frame in (values, other)]
    both = described[0] & described[1]
    above = np.triu_indices(both.sum(), 1)
    distances = [_distances(frame.iloc[both, 1:].to_numpy())[above] for frame in (values, other)]
    return float(np.corrcoef(*distances)[0, 1]) if min(d.std() for d in distances) > 1e-6 else 0.0


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


def _distances(x):
    z = DescriptorScaler(min_varied=1).fit_transform(x).astype(float)
    squares = (z**2).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * z @ z.T, 0.0))


def _standard(x):
    """Kept columns with mean 0 and sd 1, gaps at the median; and the mask of kept columns."""
    scaler = DescriptorScaler(clip=np.inf).fit(x)
    z = scaler.transform(x)[:, scaler.keep].astype(float)
    z -= z.mean(axis=0)
    return z / z.std(axis=0), scaler.keep
