"""The model folder: everything that a prediction needs, in npz, parquet and JSON; no pickle.

| file | holds |
|---|---|
| `model.json` | format, run spec of each kind's ensemble, studies, packages, commit, hashes |
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
import torch
from torch.nn import functional as F

from lib import files
from lib.drugs.scaler import DescriptorScaler

FORMAT = 1
TABLES = ("lines", "names", "genes", "drugs", "calibration")
PACKAGES = ("rdkit", "mordredcommunity")  # another version may describe a molecule differently
SCALER = ("median", "mean", "sd", "low", "high", "keep")
MOST_BYTES = 4_000_000_000  # of a model's arrays, unpacked
TILE = 4096  # pairs at a time: their hidden layers stay in the cache


class ModelError(ValueError):
    """A model folder that cannot be used; the message says why and what to do."""


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
        study : str or None
            None: no study's effect, the mean over training rows.
        lines, drugs : sequence of str

        Returns
        -------
        ndarray of shape (n_lines, n_drugs), float32
        """
        total = np.full((len(lines), len(drugs)), self.facts["kinds"][kind]["mean"], np.float32)
        total += self._effect(kind, "study", [study], self.facts["studies"])
        total += self._effect(kind, "line", lines, self.tables["lines"].cell_id)[:, None]
        return total + self._effect(kind, "drug", drugs, self.tables["drugs"].drug_id)

    def _effect(self, kind, factor, wanted, names):
        """Effect of each level of a factor, 0 for one that the kind's base does not know."""
        found = self.arrays.get(f"{kind}/effect_{factor}")
        if found is None:
            return np.zeros(len(wanted), np.float32)
        place = pd.Index(names).get_indexer(wanted)
        return np.where(place >= 0, found[place], 0).astype(np.float32)

    @torch.inference_mode()
    def grid(self, kind, cells, drugs):
        """What the networks of a kind add to the mean effects, for every line with every drug.

        The first layer is linear in [line, drug], so each side is multiplied once; what is left
        runs in tiles that stay in the cache, and memory does not grow with the number of pairs.

        Parameters
        ----------
        kind : str
        cells, drugs : ndarray of shape (n_lines, p_cell), (n_drugs, p_drug)
            Scaled features.

        Yields
        ------
        rows : slice
            Of `cells`.
        mean, spread : float32 ndarray of shape (n_rows, n_drugs)
            Over the members of the ensemble.
        """
        weights = self._weights(kind)
        scale = self.facts["kinds"][kind]["scale"]
        left = _project(weights["cell"], cells) + weights["bias0"][:, None]
        right = _project(weights["drug"], drugs)
        step = max(1, TILE // max(1, len(drugs)))
        for start in range(0, len(cells), step):
            rows = slice(start, min(start + step, len(cells)))
            parts = [
                _tile(weights, left[:, rows], right[:, first : first + TILE])
                for first in range(0, len(drugs), TILE)
            ]
            out = torch.cat(parts, dim=2).mul_(scale)
            yield rows, out.mean(dim=0).numpy(), out.std(dim=0, correction=0).numpy()

    def _weights(self, kind):
        prefix = f"{kind}/"
        return {
            name.removeprefix(prefix): torch.from_numpy(values).float()
            for name, values in self.arrays.items()
            if name.startswith(prefix) and "effect_" not in name
        }


def _project(weight, x):
    """First-layer products (k, n, width) of features (n, p) and weights (k, width, p)."""
    k, width, p = weight.shape
    flat = F.linear(torch.from_numpy(np.asarray(x, np.float32)), weight.reshape(k * width, p))
    return flat.view(len(x), k, width).transpose(0, 1).contiguous()


def _tile(weights, left, right):
    """Outputs (k, n_lines, n_drugs) from both sides' products, of a multi-layer perceptron."""
    k, n_lines, width = left.shape
    hidden = (left[:, :, None] + right[:, None]).relu_().view(k, -1, width)
    layers = sum(name.startswith("weight") for name in weights)
    for i in range(1, layers + 1):
        bias = weights[f"bias{i}"][:, None]
        hidden = torch.baddbmm(bias, hidden, weights[f"weight{i}"])
        if i < layers:
            hidden.relu_()
    return hidden.view(k, n_lines, -1)


def write(model, folder):
    """Write a model folder whole or not at all; returns it as read back."""
    folder = Path(folder)
    own = {"model.json", "arrays.npz", *(f"{name}.parquet" for name in TABLES)}
    others = {path.name for path in folder.iterdir()} - own if folder.exists() else ()
    if others:
        raise ModelError(f"{folder} holds {min(others)}, no part of a model: name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        _write_files(model, part)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return read(folder)


def _write_files(model, part):
    part.mkdir()
    np.savez_compressed(part / "arrays.npz", **model.arrays)
    for name in TABLES:
        path = part / f"{name}.parquet"
        model.tables[name].to_parquet(path, compression="zstd", index=False)
    hashes = {path.name: files.sha256(path) for path in sorted(part.iterdir())}
    packages = {name: version(name) for name in PACKAGES}
    facts = model.facts | {"format": FORMAT, "packages": packages, "sha256": hashes}
    files.write_text(part / "model.json", json.dumps(facts, indent=1))


def read(folder):
    """Read a model folder.

    Raises
    ------
    ModelError
        If it is no model folder, of another format, made with other versions of the packages that
        describe molecules, or a file is missing or was changed.
    """
    folder = Path(folder)
    remedy = "make it again: python -m lib.screen fit"
    path = folder / "model.json"
    if not path.is_file():
        raise ModelError(f"{folder} is no model folder, it has no model.json: {remedy}")
    facts = files.read_json(path)
    facts = facts if isinstance(facts, dict) else {}
    found = facts.get("format")
    hashes = facts.get("sha256")
    if not isinstance(hashes, dict) or not isinstance(facts.get("packages"), dict):
        raise ModelError(f"{path} is damaged: {remedy}")
    if found != FORMAT:
        raise ModelError(f"{folder} has format {found}, this code reads {FORMAT}: {remedy}")
    for name, expected in hashes.items():
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is missing: {remedy}")
        if files.sha256(folder / name) != expected:
            raise ModelError(f"{folder / name} is not the file that was written: {remedy}")
    for name in PACKAGES:
        made = facts["packages"].get(name)
        if version(name) != made:
            raise ModelError(
                f"{folder} was made with {name} {made}, here is {version(name)}, whose numbers "
                f"may differ: install {name}=={made}, or {remedy}"
            )
    try:
        with zipfile.ZipFile(folder / "arrays.npz") as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size > MOST_BYTES:
            raise ValueError(f"its arrays take {size:,} bytes, more than {MOST_BYTES:,}")
        with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        read_tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}
        read_tables["calibration"] = _single(read_tables["calibration"])
    except (OSError, ValueError, MemoryError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{folder} cannot be read ({error}): {remedy}") from None
    return Model(facts, arrays, read_tables)


def _single(rows):
    halves = rows.select_dtypes(np.float16).columns
    return rows.astype(dict.fromkeys(halves, np.float32))
