"""The three networks, with the weights of many runs stacked along a leading model axis (paper section 4.5).

A stack of `k` networks of one shape is a dict of tensors: first-layer weights (k, width, p), further weights
(k, n_in, n_out), biases (k, n_out). The first layer is linear in [cell features, drug features], so it is computed once
per distinct profile and drug and gathered per row wherever that is the smaller product. `SingleNetwork` is the same
network as a plain `nn.Module`, for tests and benchmarks.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

GATES = {
    "gated": torch.sigmoid,
    "gated_tanh": torch.tanh,
    "gated_softmax": lambda z: torch.softmax(z, -1),
}


@dataclass(frozen=True)
class Architecture:
    """Shape of a network: what must agree for runs to share a stack.

    kind is "mlp" (plain or differential dropout, which differ in rates alone) or a key of GATES; widths are the hidden
    widths in use (for a gated network the first is the width of both towers).
    """

    kind: str
    p_cell: int
    p_drug: int
    widths: tuple

    @classmethod
    def of(cls, spec, p_cell, p_drug):
        """Architecture of a RunSpec; a gated network's towers take the width that matches the MLP's parameters."""
        if spec.model not in GATES:
            return cls("mlp", p_cell, p_drug, spec.hidden)
        target = cls("mlp", p_cell, p_drug, spec.hidden).n_parameters
        step = 8 if spec.hidden[0] >= 256 else 1  # tensor cores want multiples of 8
        widths = range(step, spec.hidden[0] + 1, step)
        candidates = (cls(spec.model, p_cell, p_drug, (w, *spec.hidden[1:])) for w in widths)
        return min(candidates, key=lambda a: abs(a.n_parameters - target))

    @property
    def shapes(self):
        """Tensor shapes of one model by name, in a fixed order."""
        w = self.widths[0]
        found = {"cell": (w, self.p_cell), "drug": (w, self.p_drug), "bias0": (w,)}
        if self.kind in GATES:
            found |= {"bias_drug": (w,), "gate": (w, w), "bias_gate": (w,)}
        for i, (n_in, n_out) in enumerate(
            zip(self.widths, (*self.widths[1:], 1), strict=True), start=1
        ):
            found |= {f"weight{i}": (n_in, n_out), f"bias{i}": (n_out,)}
        return found

    @property
    def n_parameters(self):
        """Number of weights and biases of one model."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())


def dropout_rates(spec):
    """Dropout rate after each hidden layer: constant, or falling linearly to 0 at the output layer."""
    n = len(spec.hidden)
    if spec.model == "diff_dropout":
        return [spec.dropout * (1 - i / n) for i in range(n)]
    return [spec.dropout] * n


def initial_weights(arch, seeds, scales=None):
    """Stacked weights; each model's come from its own seed alone (uniform within 1/sqrt(fan in), PyTorch's default).

    Parameters
    ----------
    arch : Architecture
    seeds : sequence of int of length k
    scales : sequence of float of length k, optional
        Multiply the weights on the input features.

    Returns
    -------
    dict of str to float32 tensor of shape (k, ...)
    """
    stack = {name: torch.empty(len(seeds), *shape) for name, shape in arch.shapes.items()}
    joint = arch.kind not in GATES  # cell and drug weights are the two halves of one layer
    fan_in = {
        "cell": arch.p_cell,
        "drug": arch.p_drug,
        "bias0": arch.p_cell,
        "bias_drug": arch.p_drug,
    }
    fan_in |= {"gate": arch.widths[0], "bias_gate": arch.widths[0]}
    if joint:
        fan_in |= dict.fromkeys(("cell", "drug", "bias0"), arch.p_cell + arch.p_drug)
    fan_in |= {
        f"{kind}{i}": n for i, n in enumerate(arch.widths, start=1) for kind in ("weight", "bias")
    }
    for k, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(int(seed))
        for name, tensor in stack.items():
            bound = max(fan_in[name], 1) ** -0.5
            tensor[k].uniform_(-bound, bound, generator=generator)
        for side in ("cell", "drug"):
            stack[side][k] *= 1.0 if scales is None else scales[k]
    return stack


def relu(layer, parts, bias):
    """Hidden layer without dropout: the positive part of the sum of products and bias, in single precision."""
    return (sum(part.float() for part in parts) + bias[:, None]).relu()


def forward(arch, weights, cell, drug, activate=relu):
    """Predicted AUC of a stack.

    Parameters
    ----------
    arch : Architecture
    weights : dict of str to tensor of shape (k, ...)
    cell, drug : tensor of shape (k, n_rows, widths[0])
        First-layer products of each row's cell and drug features, before biases (see `first_layer`).
    activate : callable (layer, list of products, bias) -> hidden
        `relu`, or with dropout in training.

    Returns
    -------
    float32 tensor of shape (k, n_rows)
    """
    if arch.kind in GATES:
        tower = relu(0, [drug], weights["bias_drug"])
        gate = GATES[arch.kind](
            torch.baddbmm(weights["bias_gate"][:, None], tower, weights["gate"])
        )
        hidden = (
            activate(0, [cell], weights["bias0"]) * gate
        )  # a channel dropped before the gate is dropped after it
    else:
        hidden = activate(0, [cell, drug], weights["bias0"])
    for i in range(1, len(arch.widths)):
        hidden = activate(i, [torch.bmm(hidden, weights[f"weight{i}"])], weights[f"bias{i}"])
    last = len(arch.widths)
    return torch.baddbmm(weights[f"bias{last}"][:, None], hidden, weights[f"weight{last}"]).squeeze(
        -1
    )


def first_layer(weight, features, rows, shared):
    """First-layer products of one feature side for k models and their rows.

    Parameters
    ----------
    weight : tensor of shape (k, width, p)
    features : tensor of shape (n_distinct, p)
        Distinct profiles or drugs.
    rows : int tensor of shape (k, n_rows)
        Index into `features`.
    shared : bool
        True: project every distinct row once, for all models in one product, and gather the results. False: gather the
        features of each model's rows and project them.

    Returns
    -------
    tensor of shape (k, n_rows, width)
        To be summed in single precision: a cell's small part must not be rounded at the size of the drug's.
    """
    k, width, p = weight.shape
    if not shared:
        gathered = features.index_select(0, rows.reshape(-1)).view(*rows.shape, p)
        return _Product.apply(weight, gathered)
    projected = (
        F.linear(features, weight.reshape(k * width, p)).float().view(-1, width)
    )  # (n_distinct * k, width)
    index = rows * k + torch.arange(k, device=rows.device, dtype=rows.dtype)[:, None]
    return projected.index_select(0, index.reshape(-1)).view(*rows.shape, width)


class _Product(torch.autograd.Function):
    """Rows times transposed weights, with a gradient laid out like the weights (torch's own would be transposed)."""

    @staticmethod
    def forward(ctx, weight, rows):
        ctx.save_for_backward(rows)
        return torch.bmm(rows, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx, gradient):
        return torch.bmm(gradient.transpose(1, 2), ctx.saved_tensors[0]), None


class SingleNetwork(nn.Module):
    """One network of a stack as an ordinary module: the reference in tests and the peer in benchmarks."""

    def __init__(self, arch, dropout=(), seed=0, scale=1.0):
        super().__init__()
        self.arch, self.dropout = arch, tuple(dropout) or (0.0,) * len(arch.widths)
        for name, tensor in initial_weights(arch, [seed], [scale]).items():
            self.register_parameter(name, nn.Parameter(tensor[0].clone()))

    def forward(self, cell, drug):
        """Predicted AUC (n_rows,) from features of shape (n_rows, p_cell) and (n_rows, p_drug)."""
        w = dict(self.named_parameters())
        if self.arch.kind in GATES:
            gate = F.linear(
                F.linear(drug, w["drug"], w["bias_drug"]).relu(), w["gate"].T, w["bias_gate"]
            )
            hidden = F.linear(cell, w["cell"], w["bias0"]).relu() * GATES[self.arch.kind](gate)
        else:
            joined = torch.cat([w["cell"], w["drug"]], 1)
            hidden = F.linear(torch.cat([cell, drug], 1), joined, w["bias0"]).relu()
        for i, rate in enumerate(self.dropout, start=1):
            hidden = F.linear(
                F.dropout(hidden, rate, self.training), w[f"weight{i}"].T, w[f"bias{i}"]
            )
            hidden = hidden.relu() if i < len(self.dropout) else hidden
        return hidden.squeeze(-1)
