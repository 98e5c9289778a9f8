"""Adam and SGD for a stack of runs: each run has its own learning rate; all take their steps together.

On the CPU the runs are updated one after the other with PyTorch's fused kernel, so that a run's weights are touched
once while they are in the cache. On CUDA one kernel per tensor (lib/networks/cuda.py) reads and writes everything once:
the update is bound by memory, and it is most of a step of a large network.
"""

import functools

import torch

ADAM, SGD = "adam", "sgd"
BETAS, EPS = (0.9, 0.999), 1e-8


def make(name, weights, low):
    """Optimizer of a stack.

    Parameters
    ----------
    name : {"adam", "sgd"}
    weights : dict of str to float32 tensor of shape (k, ...)
    low : dict of str to tensor
        Copies of some weights in low precision, kept in step.
    """
    kind = _RunByRun if next(iter(weights.values())).device.type == "cpu" else _AllAtOnce
    return kind(name, weights, low)


class _Optimizer:
    def __init__(self, name, weights, low):
        self.name, self.weights, self.low = name, weights, low
        self.moments = [
            {n: torch.zeros_like(w) for n, w in weights.items()} for _ in (0, 1) if name == ADAM
        ]
        self.count = torch.zeros((), device=next(iter(weights.values())).device)
        self._begin()

    def keep(self, runs, weights, low):
        """Go on with some of the runs (int64 tensor of positions)."""
        self.weights, self.low = weights, low
        self.moments = [
            {n: t.index_select(0, runs) for n, t in moment.items()} for moment in self.moments
        ]
        self._begin()


class _RunByRun(_Optimizer):
    def _begin(self):
        states = [self.weights, *self.moments]
        k = len(next(iter(self.weights.values())))
        self.runs = [[[t[i] for t in state.values()] for state in states] for i in range(k)]
        self.copies = [[(t[i], self.weights[n][i]) for n, t in self.low.items()] for i in range(k)]

    def set_rates(self, rates):
        self.rates = rates

    def step(self, gradients):
        """Update every run with gradients of shape (k, ...), in any precision."""
        self.count += 1
        for i, (rate, (weights, *moments)) in enumerate(zip(self.rates, self.runs, strict=True)):
            # The fused kernel walks memory and ignores strides, so gradients must be laid out as their weights.
            found = [gradients[name][i].float().contiguous() for name in self.weights]
            if self.name == ADAM:
                _adam(weights, found, *moments, self.count, rate)
            else:
                torch._foreach_add_(weights, found, alpha=-rate)
            for copy, weight in self.copies[i]:
                copy.copy_(weight)


def _adam(weights, gradients, first, second, count, rate):
    torch._fused_adam_(
        weights, gradients, first, second, [], [count] * len(weights), lr=rate, beta1=BETAS[0], beta2=BETAS[1],
        weight_decay=0.0, eps=EPS, amsgrad=False, maximize=False,
    )  # fmt: skip


class _AllAtOnce(_Optimizer):
    def _begin(self):
        some = next(iter(self.weights.values()))
        self.rates = torch.zeros(len(some), device=some.device)
        self.log_betas = torch.tensor(BETAS, dtype=torch.float64).log().float().to(some.device)

    def set_rates(self, rates):
        self.rates.copy_(torch.tensor(rates), non_blocking=True)

    def step(self, gradients):
        """Update every run with gradients of shape (k, ...), in any precision."""
        self.count += 1
        bias = torch.expm1(
            self.count * self.log_betas
        ).neg_()  # 1 - beta ** count, without cancellation
        for name, weight in self.weights.items():
            moments = [m[name] for m in self.moments]
            fused().update(
                weight, gradients[name].contiguous(), *moments,
                rates=self.rates, bias=bias, betas=BETAS, eps=EPS, low=self.low.get(name),
            )  # fmt: skip


@functools.cache
def fused():
    """`lib.networks.cuda`, imported where there is CUDA: it needs Triton."""
    from lib.networks import cuda as module

    return module
