"""Trained networks on disk, with what predicting again needs: weights, spec, scaled features,
training ids, versions.

A checkpoint predicts any pair of the profiles and drugs of its shard without other files. For a new
line or drug the feature matrices are fitted again on the training lines and drugs it names
(`lib.sweep.features.build`); that gives the same scaling, since scaling is a function of the
training rows.

A file is in the safetensors format: a text in JSON and bare numbers, so that reading one can run
nothing, whoever made it. Its reader checks every length against the file before it reserves memory;
here the text is held to `Note`, and each tensor to the shape that the architecture gives it.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lib import files
from lib.networks import models, stack
from lib.splits import TRAIN
from lib.sweep import grid

SUFFIX = ".safetensors"
TEXT = "compendium"  # the name of the text in a file


class Note(BaseModel):
    """What a checkpoint says beside its tensors; further plain values are facts of the run."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    spec: dict
    kind: str
    widths: list[int]
    profiles: list[str]
    drugs: list[str]
    train_profiles: list[str]
    train_drugs: list[str]
    inner_loss: float


def save(path, problem, trained, i, facts):
    """Write run i of a trained stack, whole or not at all.

    Parameters
    ----------
    path : Path
    problem : Problem
    trained : Trained
    i : int
        Position of the run in the stack.
    facts : dict
        Plain values that go along: data_key, commit, torch, inner_loss.
    """
    spec = trained.specs[i]
    fold = stack.Fold(problem, spec.fold)
    rows = problem.role[spec.fold] == TRAIN
    note = Note(
        **facts,
        spec=spec.to_dict(),
        kind=trained.architecture.kind,
        widths=list(trained.architecture.widths),
        profiles=list(problem.profiles),
        drugs=list(problem.drugs),
        train_profiles=sorted({problem.profiles[j] for j in problem.profile[rows]}),
        train_drugs=sorted({problem.drugs[j] for j in problem.drug[rows]}),
    )
    tensors = {name: w[i].detach().cpu().clone() for name, w in trained.weights.items()}
    for side in models.SIDES:
        tensors[f"{side}_x"] = fold.x[side].cpu().clone()
        tensors[f"{side}_columns"] = torch.as_tensor(np.array(trained.live[side], np.int64))
    with files.whole(path) as part:
        save_file(tensors, part, {TEXT: note.model_dump_json()})


def save_best(folder, problem, trained, facts):
    """Save the run of lowest inner loss of a stack, and keep the best of each fold
    in the folder.
    """
    losses = [np.inf if run["status"] == "diverged" else run["inner_loss"] for run in trained.runs]
    i = int(np.argmin(losses))
    if np.isfinite(losses[i]):
        path = Path(folder) / f"{trained.specs[i].run_id}{SUFFIX}"
        save(path, problem, trained, i, facts | {"inner_loss": float(losses[i])})
        keep_best(folder)


class Checkpoint:
    """A network read from disk.

    Parameters
    ----------
    path : path
        Written by `save`.

    Attributes
    ----------
    spec : RunSpec
    facts : dict
        What was saved beside tensors.

    Raises
    ------
    ValueError
        Naming the file, if it is damaged, of another format or shape, or holds what is no number.
    """

    def __init__(self, path):
        path = Path(path)
        try:
            self._read(path)
        except (OSError, LookupError, TypeError, ValueError, SafetensorError) as error:
            said = " ".join(str(error).split())[:200]
            what = f"{path.name} is no checkpoint of ours ({said})"
            raise ValueError(f"{what}: train the shard again with keep: [checkpoints]") from None

    def _read(self, path):
        if not path.is_file():
            raise ValueError("it is no file")
        with safe_open(path, "pt") as file:
            note = Note.model_validate_json(file.metadata()[TEXT])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        self.spec = grid.RunSpec.from_dict(note.spec)
        self.facts = note.model_dump(exclude={"spec"})
        self.cell_x = tensors.pop("cell_x")
        self.drug_x = tensors.pop("drug_x")
        for side in models.SIDES:
            self.facts[f"{side}_columns"] = tensors.pop(f"{side}_columns")
        widths = self.cell_x.shape[1], self.drug_x.shape[1]
        self.architecture = models.Architecture(note.kind, *widths, tuple(note.widths))
        shapes = {name: tuple(shape) for name, shape in self.architecture.shapes.items()}
        if {name: tuple(w.shape) for name, w in tensors.items()} != shapes:
            raise ValueError(f"its tensors do not have the shapes {shapes}")
        rows = len(self.cell_x), len(self.drug_x)
        if rows != (len(note.profiles), len(note.drugs)):
            raise ValueError("its features do not belong to the lines and drugs that it names")
        for tensor in (self.cell_x, self.drug_x, *tensors.values()):
            if tensor.dtype != torch.float32 or not tensor.isfinite().all():
                raise ValueError("it holds what is no number in single precision")
        self.weights = {name: w[None] for name, w in tensors.items()}

    def predict(self, profiles, drugs):
        """Predicted AUC of pairs.

        Parameters
        ----------
        profiles, drugs : sequence of str, of one length
            Names as in `facts["profiles"]` ("cell_id/source") and `facts["drugs"]`.

        Returns
        -------
        float32 ndarray of shape (n_pairs,)

        Raises
        ------
        KeyError
            Naming the profiles or drugs that the checkpoint does not know.
        ValueError
            If the network learned what mean effects leave: its output alone is no AUC.
        """
        if (self.spec.offset, self.spec.target_scale) != ("none", 1.0):
            raise ValueError(f"the network predicts what is left after {self.spec.offset}, no AUC")
        given = {"cell": ("profiles", profiles), "drug": ("drugs", drugs)}
        features = {"cell": self.cell_x, "drug": self.drug_x}
        sides = []
        for side, (kind, names) in given.items():
            rows = _positions(self.facts[kind], names, kind)[None]
            weight = self.weights[side]
            sides.append(models.first_layer(weight, features[side], rows, shared=False))
        return models.forward(self.architecture, self.weights, *sides)[0].numpy()


def _positions(known, names, kind):
    place = {name: i for i, name in enumerate(known)}
    unknown = sorted(set(names) - place.keys())
    if unknown:
        raise KeyError(
            f"{len(unknown)} {kind} are not in the checkpoint, first {unknown[0]!r}; it has "
            f"{len(known)}"
        )
    return torch.as_tensor(np.array([place[name] for name in names], np.int64))


def keep_best(folder):
    """Remove all but the checkpoint of lowest inner loss of each fold from a shard's folder.

    A file that is no whole checkpoint of this shard is left alone and named in a warning.
    """
    folder = Path(folder)
    by_fold = {}
    for path in sorted(folder.glob("[!.]*")):
        try:
            found = Checkpoint(path)
        except ValueError as error:
            warnings.warn(f"{error}; it is left alone", stacklevel=2)
            continue
        if path.name == f"{found.spec.run_id}{SUFFIX}" and found.spec.shard_id == folder.name:
            by_fold.setdefault(found.spec.fold, []).append((found.facts["inner_loss"], path))
    for members in by_fold.values():
        for _, path in sorted(members)[1:]:
            path.unlink()
