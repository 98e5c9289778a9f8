"""Drug blocks: one table of numbers per way to describe a compound, computed in parallel and cached.

The ways are listed in lib/drugs/descriptors.py. A compound that cannot be described is a row of NaN in every open block
(lib/screens/molecules.py says why), so that blocks are compared on the same compounds.
"""

import hashlib
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from lib import tables
from lib.drugs import descriptors, dragon, workers
from lib.paths import DATA

CACHED = ("mordred", "rdkit")  # the others take milliseconds
RECIPE = 1  # raised when a change of this code changes a cached value
CHUNK = 2000  # molecules between two saves of the cache
NULL_CONTROLS = ("none", "permuted", "onehot", "random")


def compute_block(
    drugs,
    block,
    cache_dir=DATA / "cache",
    n_jobs=None,
    timeout_s=60.0,
    dragon_file=None,
    progress=None,
):
    """Describe every drug of a table.

    Parameters
    ----------
    drugs : DataFrame
        Columns drug_id and smiles; inchikey and drug_name are used where a Dragon export names drugs by them.
    block : str
        See the table at the top of lib/drugs/descriptors.py.
    cache_dir : path or None
        Where `mordred` and `rdkit` keep what was computed, one parquet per block, package version and recipe, one row
        per SMILES; None: no cache. Only what is missing is computed.
    n_jobs : int or None
        Worker processes; None: as many as there are processors. The numbers do not depend on it.
    timeout_s : float
        Processor seconds for one molecule, after which its worker is ended and the molecule fails.
    dragon_file : path or None
        The Dragon 7 export; None: `dragon.EXPORT`.
    progress : bool or None
        Running count on stderr; None: on a terminal only.

    Returns
    -------
    values : DataFrame
        drug_id and one float32 column per descriptor, a row per drug in the order given; NaN where undefined.
    report : DataFrame
        drug_id, reason ("" for a described drug), missing (share of the block's columns without a value).

    Raises
    ------
    ValueError
        If the block is unknown, a drug_id repeats, or a column is absent.
    FileNotFoundError
        If `dragon7` is asked for and there is no export.
    """
    _check(drugs)
    found = []
    for part in descriptors.parts(block):
        if part == "dragon7":
            found.append(dragon.describe(drugs, dragon_file))
        elif part in CACHED:
            found.append(_slow(part, drugs.smiles, cache_dir, n_jobs, timeout_s, progress))
        else:
            found.append(_quick(part, drugs.smiles))
    names, arrays, reasons = zip(*found, strict=True)
    first = [next(filter(None, texts), "") for texts in zip(*reasons, strict=True)]
    x = np.concatenate(arrays, axis=1)
    x[[reason != "" for reason in first]] = np.nan
    report = pd.DataFrame({"drug_id": list(drugs.drug_id), "reason": pd.array(first, dtype="str")})
    return _frame(drugs.drug_id, x, sum(names, [])), report.assign(missing=np.isnan(x).mean(axis=1))


def null_control(values, kind, seed=0):
    """A block of the same drugs that tells nothing about their chemistry.

    Parameters
    ----------
    values : DataFrame
        A block made by `compute_block`.
    kind : {"none", "permuted", "onehot", "random"}
        permuted: each drug has the descriptors of another one. onehot: the drug's identity, nothing more (its columns
        differ for one drug each, so scale it with `DescriptorScaler(min_varied=1)`). random: a standard normal vector
        of the block's width, which depends on the seed and the drug_id alone.
    seed : int

    Returns
    -------
    DataFrame
        Same drugs in the same order; drugs without descriptors stay without.
    """
    if kind not in NULL_CONTROLS:
        raise ValueError(f"unknown null control {kind!r}: use one of {NULL_CONTROLS}")
    if kind == "none":
        return values
    ids, x, names = (
        values.drug_id.to_numpy(),
        values.iloc[:, 1:].to_numpy(),
        list(values.columns[1:]),
    )
    described = np.isfinite(x).any(axis=1)
    if kind == "permuted":
        x = _permuted(x, ids, described, seed)
    elif kind == "random":
        x = np.array(
            [_generator(seed, drug).standard_normal(len(names), dtype=np.float32) for drug in ids]
        )
        names = [f"random_{i}" for i in range(len(names))]
    else:
        x = (ids[:, None] == np.sort(ids[described])).astype(np.float32)
        names = [f"is_{drug}" for drug in np.sort(ids[described])]
    return _frame(ids, np.where(described[:, None], x, np.float32(np.nan)), names)


def _permuted(x, ids, described, seed):
    rows = np.flatnonzero(described)
    cycle = _generator(seed, "permuted").permutation(rows[np.argsort(ids[rows])])
    x = x.copy()
    x[cycle] = x[np.roll(cycle, 1)]  # one cycle through all drugs: none keeps its own row
    return x


def _frame(ids, x, names):
    frame = pd.DataFrame(x, columns=names)
    frame.insert(0, "drug_id", pd.array(ids, dtype="str"))
    return frame


def _check(drugs):
    absent = [name for name in ("drug_id", "smiles") if name not in drugs.columns]
    if absent:
        raise ValueError(
            f"drugs must have columns drug_id and smiles, {absent} missing; found {list(drugs.columns)}"
        )
    repeated = drugs.drug_id[drugs.drug_id.duplicated()]
    if len(repeated):
        raise ValueError(
            f"drug_id {repeated.iloc[0]!r} repeats ({len(repeated)} such rows): one row per drug"
        )


def _quick(part, smiles):
    """Columns, values and reasons of a block that is computed here and now."""
    found = {
        text: descriptors.describe((part, text)) for text in {*smiles} if isinstance(text, str)
    }
    return _gather(descriptors.columns(part), smiles, found)


def _slow(part, smiles, cache_dir, n_jobs, timeout_s, progress):
    """The same from the cache, and from worker processes for what the cache lacks."""
    path = None if cache_dir is None else Path(cache_dir) / f"{part}-{_versions(part)}.parquet"
    names, found = _read_cache(path)
    names = names or descriptors.columns(part)
    wanted = {text for text in smiles if isinstance(text, str)} - found.keys()
    todo = sorted(
        wanted, key=lambda text: (-len(text), text)
    )  # long molecules first, so that no worker ends last
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        tasks = [(part, text) for text in chunk]
        outcomes = workers.run(
            "lib.drugs.descriptors:describe",
            tasks,
            n_jobs,
            timeout_s,
            progress,
            f"{part} molecules",
        )
        found |= {text: o.value for text, o in zip(chunk, outcomes, strict=True) if not o.reason}
        _write_cache(path, names, found)
        found |= {
            text: (o.reason, None) for text, o in zip(chunk, outcomes, strict=True) if o.reason
        }
    return _gather(names, smiles, found)


def _gather(names, smiles, found):
    rows = [
        found[text] if isinstance(text, str) else descriptors.describe(("", text))
        for text in smiles
    ]
    gap = np.full(len(names), np.nan)
    values = np.array([gap if x is None else x for _, x in rows], dtype=float).reshape(
        len(rows), len(names)
    )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return names, values, [reason for reason, _ in rows]


def _versions(part):
    packages = {"mordred": ["mordredcommunity", "rdkit"], "rdkit": ["rdkit"]}[part]
    return "-".join([f"{name}{version(name)}" for name in packages] + [f"recipe{RECIPE}"])


def _read_cache(path):
    """Columns, and {SMILES: (reason, values)} of what was computed before. A file that cannot be read is replaced."""
    if path is None or not path.exists():
        return [], {}
    try:
        frame = pd.read_parquet(path).set_index(["smiles", "reason"])
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(
            f"{path} cannot be read ({error}): its descriptors are computed again", stacklevel=2
        )
        return [], {}
    rows = zip(frame.index, frame.to_numpy(dtype=float), strict=True)
    return list(frame.columns), {
        smiles: (reason, None if reason else x) for (smiles, reason), x in rows
    }


def _write_cache(path, names, found):
    """Values and structural refusals. A molecule that ran out of time is no part of it: it is tried again."""
    if path is None or not found:
        return
    gap = np.full(len(names), np.nan)
    frame = pd.DataFrame(
        np.array([gap if x is None else x for _, x in found.values()]), columns=names
    )
    frame.insert(0, "smiles", list(found))
    frame.insert(1, "reason", [reason for reason, _ in found.values()])
    tables.write(frame, path)


def _generator(seed, name):
    """Random numbers that depend on the seed and a name, the same in every process."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
