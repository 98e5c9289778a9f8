"""A stack: weights of many runs of one fold and shape along a leading axis, trained together."""

import ctypes
import functools

import numpy as np
import torch
from torch.nn import functional as F

from lib.networks import batches, models, optimizers

# Elements of one hidden layer that prediction holds at a time, by kind of device.
CHUNK = {"cpu": 4_000_000, "cuda": 200_000_000}
SHARE = 1.5  # rows of a shared product for each row of a run's own
WIDE = 2**16  # weights of a layer whose product pays for a copy in low precision
INPUT_SEED = 0  # of dropout on the inputs: the same masks for every run


class Fold:
    """Features of one fold without the columns that are zero in it; no weight on them matters.

    Zero columns fill up to a multiple of 16, which tensor cores need; weights on them start and
    stay at zero. By side ("cell", "drug"): `live` holds the columns in use, `x` the features on
    them, of shape (n_profiles or n_drugs, n_columns).
    """

    def __init__(self, problem, fold):
        self.problem = problem
        self.live = {}
        self.x = {}
        for side, features in (("cell", problem.cell_x[fold]), ("drug", problem.drug_x[fold])):
            self.live[side] = np.flatnonzero((features != 0).any(0))
            self.x[side] = self.columns(torch.as_tensor(features), side)

    def columns(self, values, side):
        """Columns in use of a tensor (..., p), filled up with zeros."""
        used = values[..., self.live[side]]
        return F.pad(used, (0, -used.shape[-1] % 16))

    def weights(self, arch, specs):
        """Initial weights of a stack on the columns in use."""
        weights = models.initial_weights(arch, [s.seed for s in specs], [s.init for s in specs])
        if specs[0].offset != "none":  # training starts at the mean effects
            last = len(arch.widths)
            weights[f"weight{last}"].zero_()
            weights[f"bias{last}"].zero_()
        for side in models.SIDES:
            weights[side] = self.columns(weights[side], side)
        return weights


class Rows:
    """Some rows of a fold on a device: distinct profiles and drugs `x`, and each row's index `of`.

    Both are dicts by side ("cell", "drug"). Of shape (n_rows,): the AUC `y`, the mean effects
    `base` that the network need not learn, and its target, (y - base) / scale.
    """

    def __init__(self, fold, rows, device, dtype, base, scale):
        problem = fold.problem
        self.x = {}
        self.of = {}
        for side, index in (("cell", problem.profile), ("drug", problem.drug)):
            distinct, of = np.unique(index[rows], return_inverse=True)
            self.x[side] = fold.x[side][distinct].to(device, dtype)
            self.of[side] = torch.as_tensor(of, dtype=torch.int32, device=device)
        self.y = torch.as_tensor(problem.y[rows], device=device)
        self.base = torch.as_tensor(base[rows], device=device)
        self.scale = scale
        self.target = (self.y - self.base) / scale


class Stack:
    """Weights, optimizer state and dropout of the runs still training.

    Row i of every tensor belongs to run i.

    A step reads its batch through a cursor on the device and waits for nothing, so that on CUDA it
    is recorded once as a graph and replayed.

    Parameters
    ----------
    arch : Architecture
    specs : list of RunSpec of length k
    weights : dict of str to float32 tensor of shape (k, ...)
    train : Rows
        Training rows; their device is that of the stack.
    dtype : torch.dtype
        Precision of the products that are nearly all the work (`low_precision`).
    """

    def __init__(self, arch, specs, weights, train, dtype):
        self.arch = arch
        self.specs = list(specs)
        self.train = train
        self.device = train.y.device
        self.weights = {name: w.to(self.device) for name, w in weights.items()}
        self.low = {}
        if dtype != torch.float32:
            # These products are nearly all the work of a step; they read copies.
            names = low_precision(arch, self.device)
            self.low = {name: self.weights[name].to(dtype) for name in names}
        decays = [s.weight_decay for s in specs]
        self.optimizer = optimizers.make(specs[0].optimizer, self.weights, self.low, decays)
        self.input_rate = torch.tensor([specs[0].input_dropout], device=self.device)
        rates = [models.dropout_rates(s) for s in specs]
        self.rates = torch.tensor(rates, device=self.device).T.contiguous()  # (n_layers, k)
        self.loss_weights = torch.stack([batches.loss_weights(train.y, s.strategy) for s in specs])
        self.share = {
            side: pays_to_share(len(x), specs[0].batch_size, self.device)
            for side, x in train.x.items()
        }
        self.y_host = train.y.cpu()
        self.n_batches = batches.n_batches(len(train.y), specs[0].batch_size)
        self.cursor = torch.zeros(1, dtype=torch.int64, device=self.device)
        self._begin()

    def _begin(self):
        """What holds until runs leave: where an epoch's batches lie, and the recorded step."""
        self.buffers = None
        self.graph = None
        self.loss = torch.zeros(len(self.specs), device=self.device)

    def keep(self, runs):
        """Drop every run whose position is not in `runs` (int64 tensor)."""
        for tensors in (self.weights, self.low):
            for name, tensor in tensors.items():
                tensors[name] = tensor.index_select(0, runs)
        self.optimizer.keep(runs, self.weights, self.low)
        self.rates = self.rates[:, runs]
        self.loss_weights = self.loss_weights[runs]
        self.specs = [self.specs[i] for i in runs.tolist()]
        self._begin()

    def prepare(self, epoch):
        """Batches and dropout keys of an epoch, made on the host.

        Returns
        -------
        int32 tensors of shape (n_batches, k, batch_size), (n_batches, n_layers, k) and
        (n_batches, n_sides, 1)
        """
        order = [
            batches.epoch_order(s.seed, epoch, self.y_host, s.batch_size, s.strategy)
            for s in self.specs
        ]
        steps = epoch * self.n_batches + np.arange(self.n_batches)
        keys = batches.dropout_keys([s.seed for s in self.specs], steps, len(self.arch.widths))
        input_keys = batches.dropout_keys([INPUT_SEED], steps, len(models.SIDES))
        order = torch.stack(order, 1).to(torch.int32)
        return order, torch.as_tensor(keys), torch.as_tensor(input_keys)

    def epoch(self, prepared, lrs):
        """Train every run for one epoch; returns its mean training loss, a tensor of shape (k,)."""
        if self.buffers is None:
            self.buffers = [torch.empty_like(values, device=self.device) for values in prepared]
        for buffer, values in zip(self.buffers, prepared, strict=True):
            buffer.copy_(values, non_blocking=True)
        self.optimizer.set_rates(lrs)
        self.cursor.zero_()
        self.loss.zero_()
        if self.device.type == "cuda":
            self._replay(self.n_batches)
        else:
            for _ in range(self.n_batches):
                self.step()
        return self.loss / self.n_batches

    def _replay(self, n):
        """On CUDA two steps run as they are, the third is recorded, all later ones replay it."""
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
        # (k, batch), (n_layers, k) and (n_sides, 1)
        rows, keys, input_keys = (part.index_select(0, self.cursor)[0] for part in self.buffers)
        used = self.weights | self.low
        leaves = {name: w.detach().requires_grad_() for name, w in used.items()}
        sides = []
        for side, x in self._inputs(input_keys).items():
            of = self.train.of[side][rows]
            sides.append(models.first_layer(leaves[side], x, of, self.share[side]))
        activate = functools.partial(self._activate, keys)
        predicted = models.forward(self.arch, leaves, *sides, activate)
        loss = F.huber_loss(predicted, self.train.target[rows], reduction="none")
        loss = (loss * self.loss_weights.gather(1, rows.long())).mean(1)
        gradients = torch.autograd.grad(loss.sum(), list(leaves.values()))
        with torch.no_grad():
            self.optimizer.step(dict(zip(leaves, gradients, strict=True)))
            self.loss += loss
            self.cursor += 1

    def _inputs(self, keys):
        """Features of the distinct profiles and drugs with this step's dropout.

        One mask per profile and drug serves the whole batch and every run, so the product with the
        first layer stays one per distinct profile and drug.
        """
        if not self.specs[0].input_dropout:
            return self.train.x
        found = {}
        for key, (side, x) in zip(keys, self.train.x.items(), strict=True):
            found[side] = x * batches.dropout_scale(key, self.input_rate, *x.shape)[0].to(x.dtype)
        return found

    def _activate(self, keys, layer, parts, bias):
        """Hidden layer with dropout."""
        if self.device.type == "cuda":
            return optimizers.fused().activate(parts, bias, keys[layer], self.rates[layer])
        hidden = models.relu(layer, parts, bias)
        if self.rates[layer].any():
            shape = hidden.shape[1:]
            hidden = hidden * batches.dropout_scale(keys[layer], self.rates[layer], *shape)
        return hidden


def low_precision(arch, device):
    """Names of the weights whose products run in low precision: those on the input features, and
    on the CPU, which has no tf32, wide layers.
    """
    wide = [name for name, shape in arch.shapes.items() if np.prod(shape) >= WIDE]
    layers = [name for name in wide if name.startswith("weight")]
    return [*models.SIDES, *(layers if device.type == "cpu" else [])]


def pays_to_share(n, batch_size, device):
    """Whether one product with all `n` profiles (or drugs) is cheaper than one for each run.

    A run's own product takes the distinct rows of its batch on the CPU, the whole batch on CUDA,
    and has to gather them first.
    """
    own = batch_size
    if device.type == "cpu":
        own = n * -np.expm1(batch_size * np.log1p(-1 / n)) if n > 1 else 1
    return n <= SHARE * own


@torch.no_grad()
def predict(arch, weights, rows):
    """Predicted AUC of a stack for every row of a `Rows`, in single precision.

    Returns
    -------
    float32 tensor of shape (k, n_rows)
    """
    device = weights["bias0"].device
    k = len(weights["bias0"])
    chunk = max(1, CHUNK[device.type] // (k * max(arch.widths)))
    projected = {}
    for side, x in rows.x.items():
        width, p = weights[side].shape[1:]
        products = F.linear(x, weights[side].reshape(k * width, p))  # (n_distinct, k * width)
        projected[side] = products.view(len(x), k, width).transpose(0, 1)
    found = [torch.zeros(k, 0, device=device)]
    for start in range(0, len(rows.y), chunk):
        part = slice(start, start + chunk)
        sides = [projected[side][:, of[part]] for side, of in rows.of.items()]
        found.append(models.forward(arch, weights, *sides))
    return rows.base + rows.scale * torch.cat(found, 1)


def prepare_device(device, precision):
    """Process-wide settings: freed memory is kept; on CUDA small products are tf32 beside bf16.

    glibc gives freed memory back, and each step faults its temporary tensors in again: a fifth of
    its time.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        pass  # another C library: slower, not wrong
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high" if precision == "bf16" else "highest")
