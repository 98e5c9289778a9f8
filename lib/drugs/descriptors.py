"""Ways to describe one compound in numbers (paper section 4.4); lib/drugs/blocks.py makes tables of them.

| block | what | columns |
|---|---|---|
| `mordred` | all two-dimensional descriptors of mordredcommunity | 1,613 |
| `rdkit` | RDKit's own descriptors | 217 |
| `ecfp`, `ecfp<diameter>_<bits>` | extended-connectivity fingerprint; `ecfp` is `ecfp4_2048`, radius 2 | bits |
| `rdkit_ecfp` | `rdkit` and `ecfp4_2048`: the open stand-in for Dragon 7, which is proprietary | 2,265 |
| `maccs` | MACCS keys 1 to 166 | 166 |
| `smiles`, `smiles_<length>` | canonical SMILES, a column per place and character, cut after 160 | 48 x length |
| `dragon7` | the user's own Dragon 7 export (lib/drugs/dragon.py) | as exported |
| `a+b` | any of these side by side | sum |
"""

import re
from functools import cache

import numpy as np

from lib.screens.molecules import standardise

ALIASES = {"ecfp": "ecfp4_2048", "rdkit_ecfp": "rdkit+ecfp4_2048", "smiles": "smiles_160"}
KNOWN = r"mordred|rdkit|maccs|dragon7|ecfp\d*[02468]_[1-9]\d*|smiles_[1-9]\d*"
# Characters of RDKit's canonical SMILES of organic compounds; the last stands for any other.
ALPHABET = "#%()+-./0123456789:=@ABCFHINOPS[\\]abceilnoprstu?"


def parts(block):
    """Names of the elementary blocks that a block name stands for, each once.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    names = [part for name in block.split("+") for part in ALIASES.get(name, name).split("+")]
    unknown = [name for name in names if not re.fullmatch(KNOWN, name)]
    if unknown:
        known = "mordred, rdkit, rdkit_ecfp, ecfp, ecfp<diameter>_<bits>, maccs, smiles, smiles_<length>, dragon7"
        raise ValueError(
            f"unknown drug block {unknown[0]!r} in {block!r}: use {known}, or several joined by +"
        )
    return list(dict.fromkeys(names))


@cache
def columns(part):
    """Column names of an elementary block, without computing anything."""
    kind, *levels = re.findall(r"[a-z]+|\d+", part)
    if part == "mordred":
        from lib.drugs.mordred2d import default_plan

        return default_plan().names
    if part == "rdkit":
        from rdkit.Chem import Descriptors

        return [f"rdkit_{name}" for name, _ in Descriptors.descList]
    if kind == "ecfp":
        return [f"{part}_{i}" for i in range(int(levels[1]))]
    if kind == "maccs":
        return [f"maccs_{i}" for i in range(1, 167)]
    return [f"smiles_{i}_{character}" for i in range(int(levels[0])) for character in ALPHABET]


def describe(task):
    """One molecule in one block; what the worker processes run.

    Parameters
    ----------
    task : tuple of str
        Elementary block and SMILES.

    Returns
    -------
    reason : str
    values : ndarray of float, shape (n_columns,), or None when there is a reason
    """
    part, smiles = task
    drug = standardise(smiles)
    if drug.reason:
        return drug.reason, None
    from rdkit import Chem

    return "", _values(part, Chem.MolFromSmiles(drug.smiles), drug.smiles)


def _values(part, molecule, smiles):
    from rdkit.Chem import Descriptors, rdFingerprintGenerator, rdMolDescriptors

    kind, *levels = re.findall(r"[a-z]+|\d+", part)
    if part == "mordred":
        from lib.drugs.mordred2d import default_plan

        return default_plan()(molecule)
    if part == "rdkit":
        found = Descriptors.CalcMolDescriptors(molecule, missingVal=np.nan, silent=True)
        return np.array(list(found.values()), dtype=float)
    if kind == "ecfp":
        make = rdFingerprintGenerator.GetMorganGenerator(
            radius=int(levels[0]) // 2, fpSize=int(levels[1])
        )
        return make.GetFingerprintAsNumPy(molecule).astype(float)
    if kind == "maccs":
        return np.array(list(rdMolDescriptors.GetMACCSKeysFingerprint(molecule)), dtype=float)[
            1:
        ]  # key 0 is unused
    return _one_hot(smiles, int(levels[0]))


def _one_hot(text, length):
    x = np.zeros((length, len(ALPHABET)))
    for i, character in enumerate(text[:length]):
        x[i, ALPHABET.find(character)] = 1.0  # find gives -1, the last, for an unknown character
    return x.ravel()
