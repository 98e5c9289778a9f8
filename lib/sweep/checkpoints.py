"""Trained networks on disk, with what predicting again needs: weights, spec, scaled features,
training ids, versions.

A checkpoint predicts any pair of the profiles and drugs of its shard without other files. For a new
line or drug the feature matrices are fitted again on the training lines and drugs it names
(`lib.sweep.features.build`); that gives the same scaling, since scaling is a function of the
training rows.
"""

from pathlib import Path

import numpy as np
import torch

from lib import files
from lib.networks import models, stack
from lib.splits import TRAIN
from lib.sweep import grid


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
    spec, fold = trained.specs[i], stack.Fold(problem, trained.specs[i].fold)
    rows = problem.role[spec.fold] == TRAIN
    content = dict(
        facts, spec=spec.to_dict(), profiles=list(problem.profiles), drugs=list(problem.drugs)
    )
    content["architecture"] = dict(
        vars(trained.architecture), widths=list(trained.architecture.widths)
    )
    content["weights"] = {name: w[i].detach().cpu().clone() for name, w in trained.weights.items()}
    content["train_profiles"] = sorted({problem.profiles[j] for j in problem.profile[rows]})
    content["train_drugs"] = sorted({problem.drugs[j] for j in problem.drug[rows]})
    content["live"] = {side: torch.as_tensor(index) for side, index in trained.live.items()}
    content["cell_x"], content["drug_x"] = fold.x["cell"].clone(), fold.x["drug"].clone()
    with files.whole(path) as part:
        torch.save(content, part)


def save_best(folder, problem, trained, facts):
    """Save the run of lowest inner loss of a stack, and keep the best of each fold
    in the folder.
    """
    losses = [np.inf if run["status"] == "diverged" else run["inner_loss"] for run in trained.runs]
    i = int(np.argmin(losses))
    if np.isfinite(losses[i]):
        path = Path(folder) / f"{trained.specs[i].run_id}.pt"
        save(path, problem, trained, i, facts | {"inner_loss": float(losses[i])})
        keep_best(folder)


class Checkpoint:
    """A network read from disk.

    Parameters
    ----------
    path : path
        Written by `save`; only tensors and plain values are read from it.

    Attributes
    ----------
    spec : RunSpec
    facts : dict
        Everything that was saved beside tensors.
    """

    def __init__(self, path):
        content = torch.load(path, weights_only=True)
        self.spec = grid.RunSpec.from_dict(content["spec"])
        kept = content.pop("architecture")
        self.architecture = models.Architecture(**kept | {"widths": tuple(kept["widths"])})
        self.weights = {name: w[None] for name, w in content.pop("weights").items()}
        self.cell_x, self.drug_x = content.pop("cell_x"), content.pop("drug_x")
        self.facts = content

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
        """
        rows = [
            _positions(self.facts[kind], names, kind)
            for kind, names in (("profiles", profiles), ("drugs", drugs))
        ]
        sides = [
            models.first_layer(self.weights[side], x, index[None], shared=False)
            for side, x, index in zip(
                ("cell", "drug"), (self.cell_x, self.drug_x), rows, strict=True
            )
        ]
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
    """Remove all but the checkpoint of lowest inner loss of each fold from a shard's folder."""
    by_fold = {}
    for path in Path(folder).glob("*.pt"):
        content = torch.load(path, weights_only=True, mmap=True)
        by_fold.setdefault(content["spec"]["fold"], []).append((content["inner_loss"], path))
    for members in by_fold.values():
        for _, path in sorted(members)[1:]:
            path.unlink()
