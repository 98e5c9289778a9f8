"""Quality of drug blocks: gaps, unusable columns, overlap of two blocks, likeness of the drugs."""

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist

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
    left_open = found.stereo_undefined > 0
    defined = found.stereo_dropped
    properties = {
        "all": True,
        "without stereo centres or bonds": ~left_open & ~defined,
        "all stereochemistry drawn": defined & ~left_open,
        "stereochemistry drawn in part": defined & left_open,
        "stereochemistry left open": left_open & ~defined,
        "charge that cannot be neutralised": found.charge != 0,
        "still a salt or mixture": found.removed != "",
        "cannot be described": found.reason != "",
    }
    return pd.DataFrame(properties, found.index).sum().rename("compounds")


def quality(values, report, block):
    """Fate of every column and every drug of a block, judged on all drugs given.

    A training fold judges anew on its own drugs (`DescriptorScaler`), so its kept columns may
    differ.

    Parameters
    ----------
    values, report : DataFrame
        From `lib.drugs.descriptors.compute_block`.
    block : str

    Returns
    -------
    DataFrame
        block, kind ("column" or "drug"), name, missing (share of described drugs, or of columns),
        keep, reason.
    """
    scaler = DescriptorScaler().fit(values.iloc[:, 1:].to_numpy())
    fate = dict(missing=scaler.missing, keep=scaler.keep, reason=scaler.reason)
    columns = pd.DataFrame(dict(name=values.columns[1:], **fate, kind="column"))
    drugs = report.rename(columns={"drug_id": "name"}).assign(kind="drug")
    drugs["keep"] = drugs.reason == ""
    found = pd.concat([columns, drugs], ignore_index=True).assign(block=block)
    found["reason"] = found.reason.astype("str")
    return found["block kind name missing keep reason".split()]


def summary(quality):
    """One row per block: columns, how many are dropped and why, drugs without descriptors.

    Parameters
    ----------
    quality : DataFrame
        One or more results of `quality`, concatenated.

    Returns
    -------
    DataFrame
        Index block; columns, missing, extreme, constant, duplicated, kept, drugs, drugs_failed.
    """
    columns = quality[quality.kind == "column"]
    drugs = quality[quality.kind == "drug"].groupby("block").keep
    fates = pd.crosstab(columns.block, columns.reason).rename(columns={"": "kept"})
    table = fates.reindex(columns.block.unique(), columns=[*REASONS, "kept"], fill_value=0)
    table.insert(0, "columns", table.sum(axis=1))
    table = table.assign(drugs=drugs.size(), drugs_failed=drugs.size() - drugs.sum())
    return table.rename_axis(columns=None)


def redundancy(block, other, seed=None):
    """How much another block repeats of each column of a block.

    Parameters
    ----------
    block, other : DataFrame
        Blocks of the same drugs in the same order.
    seed : int or None
        With a seed, the other block's drugs are shuffled first: what chance gives with so many
        columns.

    Returns
    -------
    Series
        Per kept column of `block`: the largest |Pearson r| with a kept column of `other`, over the
        drugs described in both.
    """
    x, y = _described_in_both(block, other)
    if seed is not None:
        y = np.random.default_rng(seed).permutation(y)
    x, kept = _standard(x)
    y, _ = _standard(y)
    return pd.Series(np.abs(x.T @ y).max(axis=1) / len(x), index=block.columns[1:][kept])


def nearest_neighbours(bits, drugs, folds):
    """The most similar other drug of each drug, by Tanimoto likeness of fingerprints.

    Parameters
    ----------
    bits : DataFrame
        A fingerprint block; drugs without a fingerprint are left out.
    drugs : DataFrame
        drug_id and drug_name.
    folds : array of shape (n_drugs,)
        Fold of each row of `bits` in a split by drug.

    Returns
    -------
    DataFrame
        drug_id, drug_name, nearest_id, nearest_name, tanimoto, most alike first; `across_folds`:
        the likeness to the nearest drug of another fold, that is, to the nearest training drug when
        this one is tested.
    """
    described = bits.iloc[:, 1:].notna().all(axis=1).to_numpy()
    ids = bits.drug_id.to_numpy()[described]
    folds = np.asarray(folds)[described]
    values = bits.iloc[described, 1:].to_numpy()
    likeness = tanimoto(values, values)
    np.fill_diagonal(likeness, -1.0)
    nearest = ids[likeness.argmax(axis=1)]
    name = drugs.set_index("drug_id").drug_name
    found = pd.DataFrame(
        dict(
            drug_id=ids,
            drug_name=list(name[ids]),
            nearest_id=nearest,
            nearest_name=list(name[nearest]),
            tanimoto=likeness.max(axis=1),
            across_folds=np.where(folds[:, None] == folds, 0.0, likeness).max(axis=1),
        )
    )
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
        Pearson r between the pairwise distances of scaled rows (Mantel's statistic): 1 the same, 0
        unrelated.
    """
    scaled = [
        DescriptorScaler(min_varied=1).fit_transform(x) for x in _described_in_both(values, other)
    ]
    distances = [pdist(x.astype(float)) for x in scaled]
    if min(one.std() for one in distances) < 1e-6:  # one-hot: every drug as far from every other
        return 0.0
    return float(np.corrcoef(*distances)[0, 1])


def tanimoto(bits, others):
    """Bits shared over bits set in either, for every drug with every other.

    Parameters
    ----------
    bits, others : ndarray of 0 and 1, shape (n_drugs, n_bits), (n_others, n_bits)

    Returns
    -------
    ndarray of float, shape (n_drugs, n_others)
        1 for equal fingerprints (also two empty ones), 0 for no common bit.
    """
    bits = np.asarray(bits, np.float32)
    others = np.asarray(others, np.float32)
    shared = (bits @ others.T).astype(float)
    either = bits.sum(axis=1)[:, None] + others.sum(axis=1) - shared
    return np.divide(shared, either, out=np.ones_like(shared), where=either > 0)


def _described_in_both(block, other):
    """Values (n_drugs, p) of two blocks for the drugs that both describe."""
    x = block.iloc[:, 1:].to_numpy(float)
    y = other.iloc[:, 1:].to_numpy(float)
    both = np.isfinite(x).any(axis=1) & np.isfinite(y).any(axis=1)
    return x[both], y[both]


def _standard(x):
    """Kept columns with mean 0 and sd 1, gaps at the median; and the mask of kept columns."""
    scaler = DescriptorScaler(clip=np.inf).fit(x)
    z = scaler.transform(x)[:, scaler.keep].astype(float)
    z -= z.mean(axis=0)
    return z / z.std(axis=0), scaler.keep
