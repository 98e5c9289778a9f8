"""The model folder: everything that a prediction needs, in npz, parquet and JSON; no pickle.

| file | holds |
|---|---|
| `model.json` | run spec of each ensemble, studies, packages; hashes of files, data and library |
| `arrays.npz` | weights (half precision), mean effects, scalers, features of the known lines |
| `lines.parquet`, `names.parquet` | lines with a profile and what they are; their other names |
| `genes.parquet` | genes of the panel, and which of them the networks read |
| `drugs.parquet` | training drugs: id, name, structure |
| `calibration.parquet` | out-of-fold predictions by kind of newness, beside what was measured |
"""

import json
import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from pydantic import BaseModel
from torch.nn import functional as F

from lib import addresses, files
from lib.drugs.scaler import DescriptorScaler

FORMAT = 1
TABLES = "lines names genes drugs calibration".split()
OWN = {"model.json", "arrays.npz", *(f"{name}.parquet" for name in TABLES)}
PACKAGES = ("rdkit", "mordredcommunity")  # another version may describe a molecule differently
SCALER = "median mean sd low high keep".split()
MOST_BYTES = 4_000_000_000  # of a model's arrays, unpacked
TILE = 4096  # drugs at a time: their hidden layers stay in the cache


class ModelError(ValueError):
    """A model folder that cannot be used; the message says why and what to do."""


class Facts(BaseModel, extra="allow"):
    """What `model.json` must hold to be looked at."""

    format: int
    packages: dict[str, str]
    sha256: dict[str, str]


@dataclass
class Model:
    """A model in memory.

    Attributes
    ----------
    facts : dict
        What `model.json` holds.
    arrays : dict of str to ndarray
        By names such as "new line/weight1", "drug/median", "line_x".
    tables : dict of str to DataFrame
        By the names in TABLES.
    """

    facts: dict
    arrays: dict
    tables: dict

    @property
    def scaler(self):
        """The `DescriptorScaler` of the drugs."""
        made = DescriptorScaler()
        for name in SCALER:
            setattr(made, name, self.arrays[f"drug/{name}"])
        return made

    def base(self, kind, study, lines, drugs):
        """Mean effects that a query of a kind knows.

        Parameters
        ----------
        kind : str
        study : str
        lines, drugs : sequence of str

        Returns
        -------
        ndarray of shape (n_lines, n_drugs), float32
        """
        effects = {
            "study": (self.facts["studies"], [study]),
            "line": (self.tables["lines"].cell_id, lines),
            "drug": (self.tables["drugs"].drug_id, drugs),
        }
        mean = self.facts["kinds"][kind]["mean"]
        total = np.full((len(lines), len(drugs)), mean, np.float32)
        for factor, (names, wanted) in effects.items():
            effect = self.arrays.get(f"{kind}/effect_{factor}")
            if effect is not None:  # a kind knows some factors; an unknown level has no effect
                found = pd.Series(effect, names).reindex(wanted, fill_value=0).to_numpy()
                total += found[:, None] if factor == "line" else found
        return total

    @torch.inference_mode()
    def grid(self, kind, cells, drugs):
        """What the networks of a kind add to the mean effects, for every line with every drug.

        The first layer is linear in [line, drug], so each side is multiplied once; what is left
        runs in tiles that stay in the cache, and memory does not grow with the number of lines.

        Parameters
        ----------
        kind : str
        cells, drugs : ndarray of shape (n_lines, p_cell), (n_drugs, p_drug)
            Scaled features.

        Yields
        ------
        mean, spread : float32 ndarray of shape (n_drugs,)
            Of one line after the other, over the members of the ensemble.
        """
        prefix = f"{kind}/"
        weights = {
            name.removeprefix(prefix): torch.from_numpy(values).float()
            for name, values in self.arrays.items()
            if name.startswith(prefix) and "effect_" not in name
        }
        left = _project(weights["cell"], cells) + weights["bias0"][:, None]
        right = _project(weights["drug"], drugs)
        scale = self.facts["kinds"][kind]["scale"]
        for line in left.unbind(dim=1):
            threads = torch.get_num_threads()
            torch.set_num_threads(1)  # on tiles this small, threads would wait for each other
            try:
                parts = [_tile(weights, line, tile) for tile in right.split(TILE, dim=1)]
                outputs = torch.cat(parts, dim=1).mul_(scale)
                mean = outputs.mean(dim=0).numpy()
                spread = outputs.std(dim=0, correction=0).numpy()
            finally:  # before the yield: between two lines, another grid may run
                torch.set_num_threads(threads)
            yield mean, spread


def _project(weight, x):
    """First-layer products (k, n, width) of features (n, p) and weights (k, width, p)."""
    k, width, p = weight.shape
    flat = F.linear(torch.from_numpy(np.asarray(x, np.float32)), weight.reshape(k * width, p))
    return flat.view(len(x), k, width).transpose(0, 1).contiguous()


def _tile(weights, left, right):
    """Outputs (k, n_drugs) of a multi-layer perceptron from the products of a line and of drugs."""
    values = left[:, None] + right
    for i in range(1, sum(name.startswith("weight") for name in weights) + 1):
        hidden = values.relu_()
        values = torch.baddbmm(weights[f"bias{i}"][:, None], hidden, weights[f"weight{i}"])
    return values[:, :, 0]


def write(model, folder):
    """Write a model folder whole or not at all; returns it as read back."""
    folder = Path(folder)
    others = {path.name for path in folder.iterdir()} - OWN if folder.exists() else ()
    if others:
        raise ModelError(f"{folder} holds {min(others)}, no part of a model: name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        np.savez_compressed(part / "arrays.npz", **model.arrays)
        for name in TABLES:
            model.tables[name].to_parquet(part / f"{name}.parquet", compression="zstd", index=False)
        facts = model.facts | {
            "format": FORMAT,
            "packages": {name: version(name) for name in PACKAGES},
            "sha256": {path.name: files.sha256(path) for path in sorted(part.iterdir())},
        }
        facts["itself"] = addresses.combined(facts)
        files.write_text(part / "model.json", json.dumps(facts, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return read(folder)


def read(folder):
    """Read a model folder.

    Raises
    ------
    ModelError
        If it is no model folder, a file is missing or changed, or it was made by another format or
        with another version of a package that describes molecules.
    """
    folder = Path(folder)
    try:
        facts = _facts(folder)
        with zipfile.ZipFile(folder / "arrays.npz") as packed:
            size = sum(member.file_size for member in packed.infolist())
        for name in TABLES:  # 100 bytes a row, more where a text is long
            size += 100 * pq.read_metadata(folder / f"{name}.parquet").num_rows
        if size > MOST_BYTES:
            raise ValueError(f"it would take {size:,} bytes, more than {MOST_BYTES:,}")
        with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
            arrays = dict(stored)
        made = {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}
    except (OSError, ValueError, MemoryError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        remedy = "make it again: python -m lib.screen fit"
        raise ModelError(f"{folder} cannot be read ({error}): {remedy}") from None
    rows = made["calibration"]
    halves = rows.select_dtypes(np.float16).columns
    made["calibration"] = rows.astype(dict.fromkeys(halves, np.float32))
    return Model(facts, arrays, made)


def _facts(folder):
    """What `model.json` holds; ValueError unless it and the files were written together."""
    if not (folder / "model.json").is_file():
        raise ValueError("it has no model.json, so it is no model folder")
    facts = files.read_json(folder / "model.json", Facts)
    if facts is None:
        raise ValueError("model.json is damaged")
    facts = facts.model_dump()
    if facts["format"] != FORMAT:
        raise ValueError(f"it has format {facts['format']}, this code reads {FORMAT}")
    for name in sorted(OWN - {"model.json"}):
        if not (folder / name).is_file():
            raise ValueError(f"{name} is missing")
        if files.sha256(folder / name) != facts["sha256"].get(name):
            raise ValueError(f"{name} is not the file that was written")
    for name in PACKAGES:
        made = facts["packages"].get(name)
        if version(name) != made:
            raise ValueError(
                f"it was made with {name} {made}, here is {version(name)}, whose numbers may "
                f"differ: install {name}=={made}"
            )
    if facts.pop("itself", "") != addresses.combined(facts):
        raise ValueError("model.json is not the file that was written")
    return facts
