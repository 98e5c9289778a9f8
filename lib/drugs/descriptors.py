"""Descriptors of compounds (paper section 4.4): a table of numbers per way to describe a molecule.

| block | what | columns |
|---|---|---|
| `mordred` | all two-dimensional descriptors of mordredcommunity | 1,613 |
| `rdkit` | RDKit's own descriptors | 217 |
| `ecfp`, `ecfp<diameter>_<bits>` | circular fingerprint; `ecfp` is `ecfp4_2048`, radius 2 | bits |
| `rdkit_ecfp` | `rdkit` and `ecfp4_2048`: open stand-in for Dragon 7 (proprietary) | 2,265 |
| `maccs` | MACCS keys 1 to 166 | 166 |
| `smiles`, `smiles_<length>` | SMILES, a column per place and character; 160 places | 48 x length |
| `dragon7` | the user's own Dragon 7 export (lib/drugs/dragon.py) | as exported |
| `a+b` | any of these side by side | sum |

A compound that cannot be described is a row of NaN in every open block (lib/screens/molecules.py
says why), so that blocks are compared on the same compounds. `mordred` (0.7 s a molecule) and
`rdkit` are looked up first: those of the bundled panel lie in `data/open/drugs`, others in the
cache.
"""

import hashlib
import inspect
import re
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from lib import tables
from lib.drugs import dragon, workers
from lib.paths import DATA
from lib.screens.molecules import standardise

ALIASES = {"ecfp": "ecfp4_2048", "rdkit_ecfp": "rdkit+ecfp4_2048", "smiles": "smiles_160"}
KNOWN = r"mordred|rdkit|maccs|dragon7|ecfp\d?[02468]_[1-9]\d{0,4}|smiles_[1-9]\d{0,3}"
# Characters of RDKit's canonical SMILES of organic compounds; the last stands for any other.
ALPHABET = "#%()+-./0123456789:=@ABCFHINOPS[\\]abceilnoprstu?"
# Blocks whose values are stored, with the packages that decide them; the others take milliseconds.
STORED = {"mordred": ("mordredcommunity", "rdkit"), "rdkit": ("rdkit",)}
BUNDLED = DATA / "open" / "drugs"  # written by data/build_open.py
RECIPE = 2  # raised when a change here or in lib/screens/molecules.py changes a stored value
SAVED_EVERY = 2000  # molecules between two saves of the cache
DETOUR_LIMIT_S = 20  # Mordred gives up the longest paths of a fused cage: 14 gaps, the rest stays


def compute_block(
    drugs,
    block,
    cache_dir=DATA / "cache",
    n_jobs=None,
    timeout_s=60.0,
    dragon_file=None,
):
    """Describe every drug of a table.

    Parameters
    ----------
    drugs : DataFrame
        Columns drug_id and smiles; inchikey and drug_name are used where a Dragon export names
        drugs by them.
    block : str
        See the table at the top of this module.
    cache_dir : path or None
        Where `mordred` and `rdkit` keep what was computed, one parquet per block, package version
        and recipe, one row per standardised SMILES; None: no cache. Only what neither the bundled
        tables nor the cache hold is computed.
    n_jobs : int or None
        Worker processes; None: as many as there are processors. The numbers do not depend on it. As
        always with processes, a script must call this below ``if __name__ == "__main__":``.
    timeout_s : float
        Processor seconds for one molecule, after which its worker is ended and the molecule fails.
    dragon_file : path or None
        The Dragon 7 export; None: `dragon.EXPORT`.

    Returns
    -------
    values : DataFrame
        drug_id and one float32 column per descriptor, a row per drug in the order given; NaN where
        undefined.
    report : DataFrame
        drug_id, reason ("" for a described drug), missing (share of the block's columns without a
        value).

    Raises
    ------
    ValueError
        If the block is unknown, a drug_id repeats, or a column is absent.
    FileNotFoundError
        If `dragon7` is asked for and there is no export.
    """
    _check(drugs)
    names = []
    arrays = []
    reasons = pd.Series("", index=range(len(drugs)), dtype="str")
    for part in parts(block):
        if part == "dragon7":
            part_names, values, why = dragon.describe(drugs, dragon_file)
        else:
            part_names, values, why = _open_part(part, drugs, cache_dir, n_jobs, timeout_s)
        names += part_names
        arrays.append(values)
        reasons = reasons.where(reasons != "", why)  # the first part that fails says why
    x = np.concatenate(arrays, axis=1)
    x[reasons != ""] = np.nan
    frame = pd.DataFrame(x, columns=names)
    frame.insert(0, "drug_id", pd.array(drugs.drug_id, dtype="str"))
    report = pd.DataFrame({"drug_id": list(drugs.drug_id), "reason": reasons})
    return frame, report.assign(missing=np.isnan(x).mean(axis=1))


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
        known = (
            "mordred, rdkit, rdkit_ecfp, ecfp, ecfp<diameter>_<bits>, maccs, smiles, "
            "smiles_<length>, dragon7"
        )
        raise ValueError(
            f"unknown drug block {unknown[0]!r} in {block!r}: use {known}, or several joined by +"
        )
    return list(dict.fromkeys(names))


@cache
def columns(part):
    """Column names of an elementary block, without computing anything."""
    kind, *levels = re.findall(r"[a-z]+|\d+", part)
    if kind == "mordred":
        return [str(descriptor) for descriptor in _calculator().descriptors]
    if kind == "rdkit":
        from rdkit.Chem import Descriptors

        return [f"rdkit_{name}" for name, _ in Descriptors.descList]
    if kind == "ecfp":
        return [f"{part}_{i}" for i in range(int(levels[1]))]
    if kind == "maccs":
        return [f"maccs_{i}" for i in range(1, 167)]
    return [f"smiles_{i}_{character}" for i in range(int(levels[0])) for character in ALPHABET]


def describe(task):
    """Numbers of one molecule in one elementary block; what the worker processes run.

    Parameters
    ----------
    task : tuple of str
        Elementary block and standardised SMILES.

    Returns
    -------
    ndarray of float, shape (n_columns,)
        NaN where a descriptor is undefined for the molecule.
    """
    from rdkit import Chem
    from rdkit.Chem import Descriptors, rdFingerprintGenerator, rdMolDescriptors

    part, smiles = task
    molecule = Chem.MolFromSmiles(smiles)
    kind, *levels = re.findall(r"[a-z]+|\d+", part)
    if kind == "mordred":
        return _mordred(molecule)
    if kind == "rdkit":
        found = Descriptors.CalcMolDescriptors(molecule, missingVal=np.nan, silent=True)
        return np.array(list(found.values()), float)
    if kind == "ecfp":
        diameter, bits = map(int, levels)
        make = rdFingerprintGenerator.GetMorganGenerator(radius=diameter // 2, fpSize=bits)
        return make.GetFingerprintAsNumPy(molecule).astype(float)
    if kind == "maccs":
        keys = np.array(list(rdMolDescriptors.GetMACCSKeysFingerprint(molecule)), float)
        return keys[1:]  # key 0 is unused
    return _one_hot(smiles, int(levels[0]))


@cache
def _calculator():
    """Mordred's calculator; building it takes half a second."""
    from mordred import Calculator, descriptors

    return Calculator(descriptors, ignore_3D=True, config={"timeout": DETOUR_LIMIT_S})


def _mordred(molecule):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 0 / 0 and the like: the value is a gap
        found = _calculator()(molecule).fill_missing(np.nan)
    return np.array([float(value) for value in found])


def _one_hot(text, length):
    x = np.zeros((length, len(ALPHABET)))
    for i, character in enumerate(text[:length]):
        x[i, ALPHABET.find(character)] = 1.0  # find gives -1, the last, for an unknown character
    return x.ravel()


def _check(drugs):
    absent = [name for name in ("drug_id", "smiles") if name not in drugs]
    if absent:
        found = f"{absent} missing; found {list(drugs)}"
        raise ValueError(f"drugs must have columns drug_id and smiles, {found}")
    repeated = drugs.drug_id[drugs.drug_id.duplicated()]
    if len(repeated):
        rows = f"({len(repeated)} such rows): one row per drug"
        raise ValueError(f"drug_id {repeated.iloc[0]!r} repeats {rows}")


def _open_part(part, drugs, cache_dir, n_jobs, timeout_s):
    """Columns, float32 values (n_drugs, n_columns) and reasons of one part made from structures."""
    standard = [standardise(text) for text in drugs.smiles]
    wanted = {drug.smiles for drug in standard if not drug.reason}
    failed = {}
    if part in STORED:
        found, failed = _stored(part, wanted, cache_dir, n_jobs, timeout_s)
    else:
        found = {smiles: describe((part, smiles)) for smiles in wanted}
    values = np.full((len(drugs), len(columns(part))), np.nan, np.float32)
    reasons = [drug.reason or failed.get(drug.smiles, "") for drug in standard]
    with np.errstate(over="ignore"):
        for i, drug in enumerate(standard):
            if not reasons[i]:
                values[i] = found[drug.smiles]
    values[~np.isfinite(values)] = np.nan
    return columns(part), values, reasons


def _stored(part, wanted, cache_dir, n_jobs, timeout_s):
    """Values by SMILES, from the bundled table, the cache and workers; reasons by SMILES."""
    name = stored_name(part)
    bundled = _trusted(part, BUNDLED / name)
    path = cache_dir and Path(cache_dir) / name
    cached = _trusted(part, path) if path else {}
    todo = wanted - bundled.keys() - cached.keys()
    # long molecules first, so that no worker ends last
    todo = sorted(todo, key=lambda smiles: (-len(smiles), smiles))
    outcomes = workers.run(describe, [(part, smiles) for smiles in todo], n_jobs, timeout_s)
    failed = {}
    for n, (smiles, (values, reason)) in enumerate(zip(todo, outcomes, strict=True), start=1):
        if reason:
            failed[smiles] = reason  # not kept: it is tried again next time
        else:
            cached[smiles] = values
        if path and (n % SAVED_EVERY == 0 or n == len(todo)):
            tables.write(stored_table(part, cached), path)
    return bundled | cached, failed


def _trusted(part, path):
    """Stored values by SMILES, if they are by the code of today, and it makes the same of two of the
    molecules.
    """
    stored, code = _read(path)
    known = sorted(stored, key=lambda smiles: (len(smiles), smiles))
    for smiles in {*known[:1], *known[len(known) // 2 :][:1]}:
        made = describe((part, smiles))
        before = stored[smiles]
        is_same = len(made) == len(before) and np.allclose(made, before, rtol=1e-6, equal_nan=True)
        if not is_same or code != _code():
            again = f"{path.name} was made by other code: its descriptors are computed again"
            warnings.warn(again, stacklevel=2)
            return {}
    return stored


def stored_name(part):
    """Name of a stored block's file: a new package version or recipe reads no old file."""
    packages = [f"{name}{version(name)}" for name in STORED[part]]
    return "-".join([part, *packages, f"recipe{RECIPE}"]) + ".parquet"


def stored_table(part, values):
    """Stored values, {standardised SMILES: array (n_columns,)}, as a table with a column smiles."""
    table = pd.DataFrame.from_dict(values, orient="index", columns=columns(part), dtype=float)
    table = table.rename_axis("smiles").reset_index()
    table.attrs["code"] = _code()
    return table


def _code():
    """Hash of the functions that make stored values."""
    text = "".join(map(inspect.getsource, (describe, _calculator, _mordred)))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path):
    """Values by SMILES of a stored table, and the hash of the code that made them (today's where
    none is noted); {} where there is none. A broken file is replaced.
    """
    if not path.exists():
        return {}, ""
    try:
        table = pd.read_parquet(path).set_index("smiles")
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(
            f"{path} cannot be read ({error}): its descriptors are computed again", stacklevel=2
        )
        return {}, ""
    values = zip(table.index, table.to_numpy(float), strict=True)
    return dict(values), table.attrs.get("code", _code())
