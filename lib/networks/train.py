"""The stacked trainer: epochs, schedules and early stop of networks that train together.

Huber loss, Adam or SGD, plateau schedule and early stopping as in section 4.5.2 of the paper. Every
run of a stack has its own seed, batches, learning rate, dropout, strategy and stopping; a run that
stops leaves the stack. Rows of role `inner` stop and choose the epoch; rows of role `test` are
predicted once, with the chosen weights. Under `selection: paper` the test rows do both, as in the
paper; such numbers are optimistic.
"""

import time
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional as F

from lib import effects
from lib.networks import models
from lib.networks.stack import Fold, Rows, Stack, predict, prepare_device
from lib.paper import RESPONDER
from lib.splits import INNER, TEST, TRAIN

PLATEAU_FACTOR = 0.75  # "reduced by a quarter"
PATIENCE = {  # stale epochs before a smaller rate, before the stop
    "paper": (20, 10),
    "tuned": (8, 25),
}
LEAST_LEFT = 1e-3  # share of the variance that an offset must leave to learn
IMPROVEMENT = 1e-4  # relative; a smaller gain is stale (the rule of torch's ReduceLROnPlateau)


@dataclass
class Problem:
    """What a shard trains on: features per profile and drug, rows that index them, roles per fold.

    cell_x float32 (n_folds, n_profiles, p_cell) and drug_x float32 (n_folds, n_drugs, p_drug) are
    fitted per fold on its training rows. Per row: profile and drug index them, y is the AUC, study
    and cell are codes into `studies` and `cells`. role int8 (n_folds, n_rows): 0 train, 1 inner
    validation, 2 test, -1 unused.
    """

    cell_x: np.ndarray
    drug_x: np.ndarray
    profile: np.ndarray
    drug: np.ndarray
    y: np.ndarray
    study: np.ndarray
    cell: np.ndarray
    role: np.ndarray
    studies: list = field(default_factory=list)
    drugs: list = field(default_factory=list)
    cells: list = field(default_factory=list)

    def check(self):
        """Return self, or raise ValueError naming features or targets that are not finite."""
        for side in ("cell_x", "drug_x"):
            bad = ~np.isfinite(getattr(self, side)).all(axis=(0, 2))
            if bad.any():
                what = f"{bad.sum()} row(s) not finite, first {bad.argmax()}"
                raise ValueError(f"problem: {side} has {what}; impute them")
        n_bad = (~np.isfinite(self.y)).sum()
        if n_bad:
            raise ValueError(f"problem: {n_bad} target(s) are not finite; drop those rows")
        return self

    def factors(self, offset):
        """Codes of the factors that an offset names ("study+drug"), in its order."""
        codes = {"study": self.study, "drug": self.drug, "line": self.cell}
        return [codes[name] for name in offset.split("+")]

    def base(self, fold, offset):
        """Mean effects that a network need not learn, fitted on the training rows of a fold.

        Parameters
        ----------
        fold : int
        offset : str
            "none", or names of `lib.effects.FACTORS` joined by "+".

        Returns
        -------
        float32 ndarray of shape (n_rows,)
        """
        if offset == "none":
            return np.zeros(len(self.y), np.float32)
        train = np.flatnonzero(self.role[fold] == TRAIN)
        return effects.additive(self.y, self.factors(offset), train).astype(np.float32)


@dataclass
class Trained:
    """Result of a stack: a dict per run in the order of the specs, predictions, curves, weights.

    runs hold status, reason, epochs, best_epoch, inner_loss, train_loss, seconds, n_parameters, and
    n_used (without the weights on columns that are zero in this fold). rows and predicted are keyed
    "inner" and "test": row numbers (n,), predictions float32 (n_runs, n), NaN for runs without a
    result. curves holds per run a list of (epoch, train_loss, inner_loss, lr). weights are the
    stacked best-epoch weights; live names the columns of cell_x and drug_x that they act on (the
    others are zero).
    """

    specs: list
    runs: list
    rows: dict
    predicted: dict
    curves: list
    weights: dict
    architecture: models.Architecture
    live: dict


class Schedule:
    """Best epoch, plateau and early stop of one run, from its inner loss after each epoch."""

    def __init__(self, spec):
        self.max_epochs = spec.max_epochs
        self.lr = spec.lr
        self.plateau, self.stop = PATIENCE[spec.patience]
        self.best = self.reference = np.inf
        self.best_epoch = self.epochs = self.stale = self.since_drop = 0
        self.status = self.reason = ""
        self.curve = []
        self.seconds = 0.0

    def update(self, train_loss, inner_loss):
        """Take the losses of an epoch; returns whether its weights are the best so far.

        Sets `status` when the run ends.
        """
        self.epochs += 1
        self.curve.append((self.epochs, train_loss, inner_loss, self.lr))
        if not np.isfinite(inner_loss + train_loss):
            self.status = "diverged"
            self.reason = f"loss not finite in epoch {self.epochs}"
            return False
        is_best = inner_loss < self.best
        if is_best:
            self.best = inner_loss
            self.best_epoch = self.epochs
        self.stale += 1
        self.since_drop += 1
        if inner_loss < self.reference * (1 - IMPROVEMENT):
            self.reference = inner_loss
            self.stale = self.since_drop = 0
        if self.since_drop > self.plateau:
            self.lr *= PLATEAU_FACTOR
            self.since_drop = 0
        if self.stale >= self.stop:
            self.status = "early_stop"
        elif self.epochs >= self.max_epochs:
            self.status = "epoch_cap"
        return is_best

    def row(self):
        """How the run ended, as in `Trained.runs`."""
        inner_loss = train_loss = np.nan
        if self.best_epoch:
            _, train_loss, inner_loss, _ = self.curve[self.best_epoch - 1]
        return {
            "status": self.status,
            "reason": self.reason,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "lr_end": self.lr,
            "inner_loss": inner_loss,
            "train_loss": train_loss,
            "seconds": self.seconds,
        }


def replay(inner_losses, spec):
    """What the patience rules of a spec make of a sequence of inner losses.

    Returns
    -------
    list of (epoch, 0, inner_loss, lr)
    """
    schedule = Schedule(spec)
    for loss in inner_losses:
        schedule.update(0.0, loss)
        if schedule.status:
            break
    return schedule.curve


def impossible(problem, spec):
    """Reason why a run cannot be trained, or "" if it can."""
    role = problem.role[spec.fold]
    train = problem.y[role == TRAIN]
    n_stopping = len(_stopping_rows(role, spec))
    if len(train) == 0 or n_stopping == 0:
        return f"fold {spec.fold} has {len(train)} training and {n_stopping} validation rows"
    if not (role == TEST).any():
        return f"fold {spec.fold} has no test rows"
    if np.ptp(train) == 0:
        return f"constant target {train[0]:g} in the training rows of fold {spec.fold}"
    n_responders = int((train <= RESPONDER).sum())
    if spec.strategy == "balanced" and n_responders in (0, len(train)):
        counts = f"{n_responders} responders in {len(train)} training rows"
        return f"fold {spec.fold} has {counts}: no balanced batches"
    left = (problem.y - problem.base(spec.fold, spec.offset))[role == TRAIN]
    if left.var() < LEAST_LEFT * train.var():
        return (
            f"nothing is left of the target in fold {spec.fold} after the effects of "
            f"{spec.offset}: use fewer of them"
        )
    return ""


def impossible_runs(problem, specs):
    """`impossible` of many runs: run id to reason; asked once of runs that it tells nothing apart."""
    alike = {}
    for spec in specs:
        decides = spec.fold, spec.offset, spec.strategy, spec.selection
        alike.setdefault(decides, []).append(spec)
    found = {}
    for members in alike.values():
        found |= dict.fromkeys([spec.run_id for spec in members], impossible(problem, members[0]))
    return found


def _stopping_rows(role, spec):
    """Rows whose loss stops a run and chooses its epoch."""
    return np.flatnonzero(role == (TEST if spec.selection == "paper" else INNER))


def stack_key(spec, p_cell, p_drug):
    """What runs must share to train together; the last is which rows stop them."""
    arch = models.Architecture.of(spec, p_cell, p_drug)
    target = spec.offset, spec.target_scale, spec.input_dropout
    return spec.fold, arch, spec.batch_size, spec.optimizer, *target, spec.selection


def train_stack(problem, specs, device="cpu", precision="fp32"):
    """Train runs of one fold and shape together.

    Parameters
    ----------
    problem : Problem
    specs : list of RunSpec
        With equal `stack_key`.
    device : str
    precision : {"fp32", "bf16"}
        Of the products in training; weights, optimizer state, loss and evaluation stay in single
        precision.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        If the specs do not belong into one stack, or a run is `impossible`.
    """
    arch = _shared_architecture(problem, specs)
    prepare_device(device, precision)
    spec = specs[0]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    role = problem.role[spec.fold]
    rows = {"inner": _stopping_rows(role, spec), "test": np.flatnonzero(role == TEST)}
    fold = Fold(problem, spec.fold)
    target = problem.base(spec.fold, spec.offset), spec.target_scale
    train = Rows(fold, np.flatnonzero(role == TRAIN), device, dtype, *target)
    inner = Rows(fold, rows["inner"], device, torch.float32, *target)
    stack = Stack(arch, specs, fold.weights(arch, specs), train, dtype)
    best, schedules = _fit(stack, inner)
    test = Rows(fold, rows["test"], device, torch.float32, *target)
    failed = torch.tensor([schedule.status == "diverged" for schedule in schedules])
    predicted = {}
    for name, part in (("inner", inner), ("test", test)):
        values = predict(arch, best, part).cpu()
        predicted[name] = values.masked_fill(failed[:, None], torch.nan).numpy()
    used = replace(arch, p_cell=len(fold.live["cell"]), p_drug=len(fold.live["drug"]))
    sizes = {"n_parameters": arch.n_parameters, "n_used": used.n_parameters}
    runs = [schedule.row() | sizes for schedule in schedules]
    curves = [schedule.curve for schedule in schedules]
    return Trained(list(specs), runs, rows, predicted, curves, best, arch, fold.live)


def _shared_architecture(problem, specs):
    """Architecture of runs that can train together."""
    shapes = problem.cell_x.shape[2], problem.drug_x.shape[2]
    if len({stack_key(spec, *shapes) for spec in specs}) != 1:
        what = "fold, shape, batch, optimizer, target and selection (stack_key)"
        raise ValueError(f"{len(specs)} specs do not share {what}")
    for run_id, reason in impossible_runs(problem, specs).items():
        if reason:
            raise ValueError(f"{run_id}: {reason}")
    return models.Architecture.of(specs[0], *shapes)


def _fit(stack, inner):
    """Train until every run has stopped.

    Returns
    -------
    best : dict of str to tensor of shape (k, ...)
        Weights of each run's best epoch.
    schedules : list of Schedule
    """
    best = {name: w.clone() for name, w in stack.weights.items()}
    schedules = [Schedule(spec) for spec in stack.specs]
    rows = list(schedules)  # the run in each row of the stack
    live = list(range(len(rows)))
    epoch = 0
    prepared = stack.prepare(epoch)
    while live:
        started = time.perf_counter()
        train_loss = stack.epoch(prepared, [run.lr for run in rows])
        train_loss = train_loss * stack.train.scale**2  # of squared errors, in units of the AUC
        predicted = predict(stack.arch, stack.weights, inner)
        inner_loss = F.huber_loss(predicted, inner.y.expand_as(predicted), reduction="none").mean(1)
        epoch += 1
        prepared = stack.prepare(epoch)  # while the device works
        losses = torch.stack([train_loss, inner_loss], 1).tolist()  # the one wait in an epoch
        improved = [i for i in live if rows[i].update(*losses[i])]
        if improved:
            places = [schedules.index(rows[i]) for i in improved]
            for name, tensor in stack.weights.items():
                best[name][places] = tensor[improved]
        for i in live:
            rows[i].seconds += (time.perf_counter() - started) / len(live)
        live = [i for i in live if not rows[i].status]
        # A smaller stack costs a new recording on CUDA.
        most = len(rows) // 2 if stack.device.type == "cuda" else len(rows) - 1
        if 0 < len(live) <= most:
            stack.keep(torch.tensor(live, device=stack.device))
            rows = [rows[i] for i in live]
            prepared = prepared[0][:, live], prepared[1][..., live], prepared[2]
            live = list(range(len(rows)))
    return best, schedules
