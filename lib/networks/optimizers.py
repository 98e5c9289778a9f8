"""Adam and SGD for a stack of runs: each run has its own learning rate; all step together.

On the CPU the runs are updated one after the other with PyTorch's fused kernel, so that a run's
weights are touched once while they are in the cache. On CUDA one kernel per tensor
(lib/networks/cuda.py) reads and writes everything once: the update is bound by memory, and it is
most of a step of a large network.
"""

import functools

import torch

BETAS = 0.9, 0.999
EPS = 1e-8


def make(name, weights, low, decays):
    """Optimizer of a stack.

    Parameters
    ----------
    name : {"adam", "sgd"}
    weights : dict of str to float32 tensor of shape (k, ...)
    low : dict of str to tensor
        Copies of some weights in low precision, kept in step.
    decays : list of float of length k
        Decoupled weight decay of each run (AdamW): a step shrinks weights by rate times decay.
    """
    on_cpu = weights["bias0"].device.type == "cpu"
    return (RunByRun if on_cpu else AllAtOnce)(name, weights, low, decays)


class Optimizer:
    """Moments and number of steps of a stack; the learning rates are set by `set_rates`."""

    def __init__(self, name, weights, low, decays):
        self.decays = list(decays)
        self.moments = []  # none under SGD
        if name == "adam":
            self.moments = [{n: torch.zeros_like(w) for n, w in weights.items()} for _ in BETAS]
        self.count = torch.zeros((), device=next(iter(weights.values())).device)
        self._begin(weights, low)

    def keep(self, runs, weights, low):
        """Go on with some of the runs (int64 tensor of positions)."""
        self.decays = [self.decays[run] for run in runs.tolist()]
        for moment in self.moments:
            for name, tensor in moment.items():
                moment[name] = tensor.index_select(0, runs)
        self._begin(weights, low)


class RunByRun(Optimizer):
    """The CPU's."""

    def _begin(self, weights, low):
        states = [list(state.values()) for state in (weights, *self.moments)]
        pairs = [(low[name], weights[name]) for name in low]
        k = len(self.decays)
        self.names = list(weights)
        self.runs = [[_rows(state, i) for state in states] for i in range(k)]
        self.copies = [[_rows(pair, i) for pair in pairs] for i in range(k)]

    def set_rates(self, rates):
        self.rates = rates

    def step(self, gradients):
        """Update every run with gradients of shape (k, ...), in any precision."""
        self.count += 1
        settings = zip(self.rates, self.decays, self.runs, strict=True)
        for i, (rate, decay, (weights, *moments)) in enumerate(settings):
            # The fused kernel walks memory and ignores strides: lay gradients out as their weights.
            found = [gradients[name][i].float().contiguous() for name in self.names]
            if moments:
                counts = [self.count] * len(weights)
                torch._fused_adamw_(
                    weights, found, *moments, [], counts, lr=rate, beta1=BETAS[0], beta2=BETAS[1],
                    weight_decay=decay, eps=EPS, amsgrad=False, maximize=False,
                )  # fmt: skip
            else:
                torch._foreach_mul_(weights, 1 - rate * decay)
                torch._foreach_add_(weights, found, alpha=-rate)
            for copy, weight in self.copies[i]:
                copy.copy_(weight)


def _rows(tensors, i):
    return [tensor[i] for tensor in tensors]


class AllAtOnce(Optimizer):
    """CUDA's."""

    def _begin(self, weights, low):
        self.weights = weights
        self.low = low
        device = self.count.device
        self.rates = torch.zeros(len(self.decays), device=device)
        self.shrink = torch.tensor(self.decays, device=device) if any(self.decays) else None
        self.log_betas = torch.tensor(BETAS, dtype=torch.float64).log().float().to(device)

    def set_rates(self, rates):
        self.rates.copy_(torch.tensor(rates), non_blocking=True)

    def step(self, gradients):
        """Update every run with gradients of shape (k, ...), in any precision."""
        self.count += 1
        # 1 - beta ** count, without cancellation
        bias = torch.expm1(self.count * self.log_betas).neg_()
        for name, weight in self.weights.items():
            if self.shrink is not None:
                kept = 1 - self.rates * self.shrink
                weight.mul_(kept.view(-1, *[1] * (weight.dim() - 1)))
            moments = [moment[name] for moment in self.moments]
            fused().update(
                weight, gradients[name].contiguous(), *moments,
                rates=self.rates, bias=bias, betas=BETAS, eps=EPS, low=self.low.get(name),
            )  # fmt: skip


@functools.cache
def fused():
    """`lib.networks.cuda`, imported where there is CUDA: it needs Triton."""
    from lib.networks import cuda

    return cuda
