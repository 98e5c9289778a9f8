"""The stacked trainer: many networks of one shape and fold trained together as one batched computation.

Huber loss, Adam or SGD, plateau schedule and early stopping as in section 4.5.2 of the paper. Every run of a stack has
its own seed, batches, learning rate, dropout, strategy and stopping; a run that stops leaves the stack. Rows of role
`inner` stop and choose the epoch; rows of role `test` are predicted once, with the chosen weights. Under `selection:
paper` the test rows do both, as in the paper; such numbers are optimistic.
"""

import ctypes
import time
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional as F

from lib.networks import batches, models, optimizers
from lib.networks.optimizers import fused
from lib.splits import INNER, TEST, TRAIN

PLATEAU_FACTOR = 0.75  # "reduced by a quarter"
PATIENCE = {
    "paper": (20, 10),
    "tuned": (8, 25),
}  # stale epochs before a smaller rate, before the stop
IMPROVEMENT = (
    1e-4  # relative; a smaller gain counts as stale (the rule of torch's ReduceLROnPlateau)
)


@dataclass
class Problem:
    """Everything a shard trains on: features stored once per profile and drug, rows that index them, roles per fold.

    cell_x float32 (n_folds, n_profiles, p_cell) and drug_x float32 (n_folds, n_drugs, p_drug) are fitted per fold on
    its training rows. Per row: profile and drug index them, y is the AUC, study and cell are codes into `studies` and
    `cells`.
    role int8 (n_folds, n_rows): 0 train, 1 inner validation, 2 test, -1 unused.
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
    profiles: list = field(default_factory=list)
    drugs: list = field(default_factory=list)
    cells: list = field(default_factory=list)

    def check(self):
        """Return self, or raise ValueError naming the first fault: shapes, indices, or values that are not finite."""
        n, folds = len(self.y), len(self.role)
        for name in ("profile", "drug", "study", "cell"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"problem: {name} has {len(getattr(self, name))} rows, y has {n}")
        for side, index in (("cell_x", self.profile), ("drug_x", self.drug)):
            x = getattr(self, side)
            if x.ndim != 3 or len(x) != folds or (n and index.max() >= x.shape[1]):
                raise ValueError(
                    f"problem: {side} has shape {x.shape}, wanted {folds} folds, rows for {index.max()}"
                )
            bad = ~np.isfinite(x).all(axis=(0, 2))
            if bad.any():
                raise ValueError(
                    f"problem: {side} has {bad.sum()} row(s) not finite, first {bad.argmax()}; impute them"
                )
        if not np.isfinite(self.y).all():
            raise ValueError(
                f"problem: {int((~np.isfinite(self.y)).sum())} target(s) are not finite; drop those rows"
            )
        return self


@dataclass
class Trained:
    """Result of a stack: one dict per run in the order of the specs, predictions of inner and test rows, curves.

    runs hold status, reason, epochs, best_epoch, inner_loss, train_loss, seconds, n_parameters, and n_used (without the
    weights on columns that are zero in this fold). rows and predicted are keyed "inner" and "test": row numbers (n,),
    predictions float32 (n_runs, n), NaN for runs without a result. curves holds per run a list of (epoch, train_loss,
    inner_loss, lr). weights are the stacked best-epoch weights; live names the columns of cell_x and drug_x that they
    act on (the others are zero).
    """

    specs: list
    runs: list
    rows: dict
    predicted: dict
    curves: list
    weights: dict
    architecture: models.Architecture
    live: dict


class _Fold:
    """Features of one fold without the columns that are zero in it: no weight on them is ever moved or felt.

    Zero columns fill up to a multiple of 16, which tensor cores need; weights on them start and stay at zero.
    """

    def __init__(self, problem, fold):
        self.problem = problem
        cell, drug = problem.cell_x[fold], problem.drug_x[fold]
        self.live = dict(
            cell=np.flatnonzero((cell != 0).any(0)), drug=np.flatnonzero((drug != 0).any(0))
        )
        self.cell, self.drug = (
            self.columns(torch.as_tensor(x), side) for x, side in ((cell, "cell"), (drug, "drug"))
        )

    def columns(self, values, side):
        """Columns in use of a tensor (..., p), filled up with zeros."""
        used = values[..., self.live[side]]
        return F.pad(used, (0, -used.shape[-1] % 16))

    def weights(self, arch, specs):
        """Initial weights of a stack on the columns in use."""
        initial = models.initial_weights(arch, [s.seed for s in specs], [s.init for s in specs])
        return {
            name: self.columns(w, name) if name in self.live else w for name, w in initial.items()
        }


class _Rows:
    """Some rows of one fold: their distinct profiles and drugs on the device, and an index into them per row."""

    def __init__(self, fold, rows, device, dtype):
        problem = fold.problem
        profiles, cell_of = np.unique(problem.profile[rows], return_inverse=True)
        drugs, drug_of = np.unique(problem.drug[rows], return_inverse=True)
        self.cell = fold.cell[profiles].to(device, dtype)
        self.drug = fold.drug[drugs].to(device, dtype)
        self.cell_of = torch.as_tensor(cell_of, dtype=torch.int32, device=device)
        self.drug_of = torch.as_tensor(drug_of, dtype=torch.int32, device=device)
        self.y = torch.as_tensor(np.asarray(problem.y[rows], np.float32), device=device)

    def __len__(self):
        return len(self.y)


class _Schedule:
    """Best epoch, plateau and early stop of one run, from its inner loss after each epoch."""

    def __init__(self, spec):
        self.spec, self.lr = spec, spec.lr
        self.plateau, self.stop = PATIENCE[spec.patience]
        self.best = self.reference = np.inf
        self.best_epoch = self.epochs = self.stale = self.since_drop = 0
        self.status, self.reason, self.curve, self.seconds = "", "", [], 0.0

    def update(self, train_loss, inner_loss):
        """Take the losses of an epoch; returns whether its weights are the best so far. Sets `status` at the end."""
        self.epochs += 1
        self.curve.append((self.epochs, train_loss, inner_loss, self.lr))
        if not np.isfinite(inner_loss + train_loss):
            self.status, self.reason = "diverged", f"loss not finite in epoch {self.epochs}"
            return False
        is_best = inner_loss < self.best
        if is_best:
            self.best, self.best_epoch = inner_loss, self.epochs
        if inner_loss < self.reference * (1 - IMPROVEMENT):
            self.reference, self.stale, self.since_drop = inner_loss, 0, 0
        else:
            self.stale, self.since_drop = self.stale + 1, self.since_drop + 1
        if self.since_drop > self.plateau:
            self.lr, self.since_drop = self.lr * PLATEAU_FACTOR, 0
        if self.stale >= self.stop:
            self.status = "early_stop"
        elif self.epochs >= self.spec.max_epochs:
            self.status = "epoch_cap"
        return is_best


def replay(inner_losses, spec):
    """What the patience rules of a spec make of a sequence of inner losses: list of (epoch, 0, inner_loss, lr)."""
    schedule = _Schedule(spec)
    for loss in inner_losses:
        schedule.update(0.0, loss)
        if schedule.status:
            break
    return schedule.curve


class _Stack:
    """Weights, optimizer state and dropout of the runs still training; row i of every tensor belongs to run i.

    A step reads its batch through a cursor on the device and waits for nothing, so that on CUDA it is recorded once as
    a graph and replayed.
    """

    def __init__(self, arch, specs, weights, train, dtype):
        self.arch, self.train, self.specs, self.device = arch, train, list(specs), train.y.device
        self.weights = {name: w.to(self.device) for name, w in weights.items()}
        # The two products with the input features are nearly all the work; in low precision they read these copies.
        self.low = (
            {n: self.weights[n].to(dtype) for n in ("cell", "drug")}
            if dtype != torch.float32
            else {}
        )
        self.optimizer = optimizers.make(specs[0].optimizer, self.weights, self.low)
        self.rates = torch.tensor(
            [models.dropout_rates(s) for s in specs], device=self.device
        ).T.contiguous()
        self.loss_weights = torch.stack([batches.loss_weights(train.y, s.strategy) for s in specs])
        self.share = [n <= 1.5 * specs[0].batch_size for n in (len(train.cell), len(train.drug))]
        self.y_host, self.cursor = (
            train.y.cpu(),
            torch.zeros(1, dtype=torch.int64, device=self.device),
        )
        self._begin()

    def _begin(self):
        """What holds until runs leave: room for an epoch's batches, and no recorded step yet."""
        k, spec, arch = len(self.specs), self.specs[0], self.arch
        n = batches.n_batches(len(self.train), spec.batch_size)
        self.order = torch.zeros(n, k, spec.batch_size, dtype=torch.int32, device=self.device)
        self.keys = torch.zeros(n, len(arch.widths), k, dtype=torch.int32, device=self.device)
        self.loss, self.graph = torch.zeros(k, device=self.device), None
        self.has_dropout = [bool(rate.any()) for rate in self.rates]

    def keep(self, runs):
        """Drop every run whose position is not in `runs` (int64 tensor)."""
        for name, tensor in self.weights.items():
            self.weights[name] = tensor.index_select(0, runs)
        for name, tensor in self.low.items():
            self.low[name] = tensor.index_select(0, runs)
        self.optimizer.keep(runs, self.weights, self.low)
        self.rates, self.loss_weights = self.rates[:, runs], self.loss_weights[runs]
        self.specs = [self.specs[i] for i in runs.tolist()]
        self._begin()

    def prepare(self, epoch):
        """Batches and dropout keys of an epoch, made on the host: ([n_batches, k, batch], [n_batches, n_layers, k])."""
        order = [
            batches.epoch_order(s.seed, epoch, self.y_host, s.batch_size, s.strategy)
            for s in self.specs
        ]
        n, seeds = len(self.order), [s.seed for s in self.specs]
        keys = torch.as_tensor(
            batches.dropout_keys(seeds, epoch * n + np.arange(n), len(self.arch.widths))
        )
        return torch.stack(order, 1).to(torch.int32), keys

    def epoch(self, prepared, lrs):
        """Train every run for one epoch; returns the mean training loss per run (device tensor of shape (k,))."""
        for buffer, values in zip((self.order, self.keys), prepared, strict=True):
            buffer.copy_(values, non_blocking=True)
        self.optimizer.set_rates(lrs)
        self.cursor.zero_(), self.loss.zero_()
        n = len(self.order)
        if self.device.type != "cuda":
            for _ in range(n):
                self.step()
        else:
            self._replay(n)
        return self.loss / n

    def _replay(self, n):
        """On CUDA two steps run as they are, the third is recorded, and the rest of all epochs replays the record."""
        if self.graph is None:
            warm = min(2, n)
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(warm):
                    self.step()
            torch.cuda.current_stream().wait_stream(side)
            self.graph, n = torch.cuda.CUDAGraph(), n - warm
            with torch.cuda.graph(self.graph):
                self.step()
        for _ in range(n):
            self.graph.replay()

    def step(self):
        """One gradient step of every run on its own next batch."""
        rows = self.order.index_select(0, self.cursor)[0]  # (k, batch)
        keys = self.keys.index_select(0, self.cursor)[0]  # (n_layers, k)
        leaves = {
            name: w.detach().requires_grad_() for name, w in {**self.weights, **self.low}.items()
        }
        cell = models.first_layer(
            leaves["cell"], self.train.cell, self.train.cell_of[rows], self.share[0]
        )
        drug = models.first_layer(
            leaves["drug"], self.train.drug, self.train.drug_of[rows], self.share[1]
        )

        def activate(layer, parts, bias):
            if self.device.type == "cuda":
                return fused().activate(parts, bias, keys[layer], self.rates[layer])
            hidden = models.relu(layer, parts, bias)
            if self.has_dropout[layer]:
                hidden = hidden * batches.dropout_scale(
                    keys[layer], self.rates[layer], *hidden.shape[1:]
                )
            return hidden

        predicted = models.forward(self.arch, leaves, cell, drug, activate)
        loss = F.huber_loss(predicted, self.train.y[rows], reduction="none", delta=1.0)
        loss = (loss * self.loss_weights.gather(1, rows.long())).mean(1)
        gradients = torch.autograd.grad(loss.sum(), list(leaves.values()))
        with torch.no_grad():
            self.optimizer.step(dict(zip(leaves, gradients, strict=True)))
            self.loss += loss
            self.cursor += 1


@torch.no_grad()
def predict(arch, weights, rows):
    """Predictions of a stack for every row of a `_Rows`, in single precision.

    Returns
    -------
    float32 tensor of shape (k, n_rows)
    """
    k, n, found = len(weights["bias0"]), len(rows), []
    elements = (
        4_000_000 if weights["bias0"].device.type == "cpu" else 200_000_000
    )  # of one hidden layer at a time
    chunk = max(1, elements // (k * max(arch.widths)))
    sides = [(weights["cell"], rows.cell, rows.cell_of), (weights["drug"], rows.drug, rows.drug_of)]
    projected = [
        F.linear(x, w.reshape(-1, x.shape[1])).view(len(x), k, -1).transpose(0, 1)
        for w, x, _ in sides
    ]
    for start in range(0, n, chunk):
        part = [
            p[:, of[start : start + chunk]] for p, (_, _, of) in zip(projected, sides, strict=True)
        ]
        found.append(models.forward(arch, weights, *part))
    return torch.cat(found, 1) if found else torch.zeros(k, 0, device=weights["bias0"].device)


def prepare_device(device, precision):
    """Process-wide settings: tf32 for the small products on CUDA when bf16 is asked for, memory kept on the CPU."""
    keep_freed_memory()
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high" if precision == "bf16" else "highest")


def keep_freed_memory():
    """Let glibc keep what is freed; else each step faults its temporary tensors in again (a fifth of its time)."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        pass  # another C library: slower, not wrong


def impossible(problem, spec):
    """Reason why a run cannot be trained, or "" if it can."""
    role, y = problem.role[spec.fold], problem.y
    train, stops = y[role == TRAIN], _stopping_rows(role, spec)
    if len(train) == 0 or len(stops) == 0:
        return f"fold {spec.fold} has {len(train)} training and {len(stops)} validation rows"
    if not (role == TEST).any():
        return f"fold {spec.fold} has no test rows"
    if np.ptp(train) == 0:
        return f"constant target {train[0]:g} in the training rows of fold {spec.fold}"
    n_responders = int((train <= batches.RESPONDER).sum())
    if spec.strategy == "balanced" and n_responders in (0, len(train)):
        return f"fold {spec.fold} has {n_responders} responders in {len(train)} training rows: no balanced batches"
    return ""


def _stopping_rows(role, spec):
    return np.flatnonzero(role == (TEST if spec.selection == "paper" else INNER))


def stack_key(spec, p_cell, p_drug):
    """What runs must share to train together: fold, tensor shapes, batch size, optimizer, rows that stop them."""
    return (
        spec.fold,
        models.Architecture.of(spec, p_cell, p_drug),
        spec.batch_size,
        spec.optimizer,
        spec.selection,
    )


def train_stack(problem, specs, device="cpu", precision="fp32"):
    """Train runs of one fold and shape together.

    Parameters
    ----------
    problem : Problem
    specs : list of RunSpec
        With equal `stack_key`.
    device : str
    precision : {"fp32", "bf16"}
        Of the products in training; weights, optimizer state, loss and evaluation stay in single precision.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        If the specs do not belong into one stack, or a run is `impossible`.
    """
    p_cell, p_drug = problem.cell_x.shape[2], problem.drug_x.shape[2]
    if len({stack_key(s, p_cell, p_drug) for s in specs}) != 1:
        raise ValueError(
            f"{len(specs)} specs do not share fold, shape, batch, optimizer and selection (stack_key)"
        )
    for spec in specs:
        if reason := impossible(problem, spec):
            raise ValueError(f"{spec.run_id}: {reason}")
    prepare_device(device, precision)
    spec, dtype = specs[0], torch.bfloat16 if precision == "bf16" else torch.float32
    arch, role = models.Architecture.of(spec, p_cell, p_drug), problem.role[spec.fold]
    rows = dict(inner=_stopping_rows(role, spec), test=np.flatnonzero(role == TEST))
    fold = _Fold(problem, spec.fold)
    train = _Rows(fold, np.flatnonzero(role == TRAIN), device, dtype)
    inner = _Rows(fold, rows["inner"], device, torch.float32)
    stack = _Stack(arch, specs, fold.weights(arch, specs), train, dtype)
    best, schedules = _fit(stack, inner)
    predicted = dict(inner=predict(arch, best, inner))
    predicted["test"] = predict(arch, best, _Rows(fold, rows["test"], device, torch.float32))
    failed = torch.tensor([s.status == "diverged" for s in schedules])
    predicted = {
        part: p.cpu().masked_fill(failed[:, None], torch.nan).numpy()
        for part, p in predicted.items()
    }
    used = replace(arch, p_cell=len(fold.live["cell"]), p_drug=len(fold.live["drug"]))
    runs = [_run_row(s, arch) | dict(n_used=used.n_parameters) for s in schedules]
    return Trained(
        list(specs), runs, rows, predicted, [s.curve for s in schedules], best, arch, fold.live
    )


def _fit(stack, inner):
    """Train until every run has stopped; returns best-epoch weights and the schedules, in the first order."""
    best = {name: w.clone() for name, w in stack.weights.items()}
    schedules = [_Schedule(s) for s in stack.specs]
    slots, epoch, prepared = (
        list(range(len(schedules))),
        0,
        stack.prepare(0),
    )  # slots: run in each row of the stack
    leave_at = (
        0.5 if stack.device.type == "cuda" else 1.0
    )  # a smaller stack costs a new recording on CUDA
    while not all(s.status for s in schedules):
        started, live = (
            time.perf_counter(),
            [j for j, i in enumerate(slots) if not schedules[i].status],
        )
        train_loss = stack.epoch(prepared, [schedules[i].lr for i in slots])
        predicted = predict(stack.arch, stack.weights, inner)
        inner_loss = F.huber_loss(predicted, inner.y.expand_as(predicted), reduction="none").mean(1)
        prepared = stack.prepare(epoch + 1)  # while the device works
        losses = torch.stack(
            [train_loss, inner_loss]
        ).tolist()  # the one wait for the device in an epoch
        improved = [j for j in live if schedules[slots[j]].update(losses[0][j], losses[1][j])]
        _keep_best(best, stack.weights, [slots[j] for j in improved], improved)
        for j in live:
            schedules[slots[j]].seconds += (time.perf_counter() - started) / len(live)
        staying = [j for j in live if not schedules[slots[j]].status]
        if 0 < len(staying) <= leave_at * len(slots) and len(staying) < len(slots):
            stack.keep(torch.tensor(staying, device=stack.device))
            slots = [slots[j] for j in staying]
            prepared = prepared[0][:, staying], prepared[1][..., staying]
        epoch += 1
    return best, schedules


def _keep_best(best, weights, to, source):
    if source:
        for name, tensor in weights.items():
            best[name][to] = tensor[source]


def _run_row(schedule, arch):
    s = schedule
    train_loss = s.curve[s.best_epoch - 1][1] if s.best_epoch else np.nan
    found = dict(
        status=s.status, reason=s.reason, epochs=s.epochs, best_epoch=s.best_epoch, lr_end=s.lr
    )
    found |= dict(inner_loss=s.best if s.best_epoch else np.nan, train_loss=train_loss)
    return found | dict(seconds=s.seconds, n_parameters=arch.n_parameters)
