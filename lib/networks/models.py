"""The three networks, weights of many runs stacked along a leading axis (paper section 4.5).

A stack of `k` networks of one shape is a dict of tensors: first-layer weights (k, width, p),
further weights (k, n_in, n_out), biases (k, n_out). The first layer is linear in [cell features,
drug features], so it is computed once per distinct profile and drug and gathered per row wherever
that is the smaller product.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch.nn import functional as F

from lib.networks import batches

SIDES = ("cell", "drug")
GATES = {
    "gated": torch.sigmoid,
    "gated_tanh": torch.tanh,
    "gated_softmax": lambda z: torch.softmax(z, -1),
}


@dataclass(frozen=True)
class Architecture:
    """Shape of a network: what must agree for runs to share a stack.

    kind is "mlp" (plain or differential dropout, which differ in rates alone) or a key of GATES;
    widths are the hidden widths in use (for a gated network the first is the width of both towers).
    """

    kind: str
    p_cell: int
    p_drug: int
    widths: tuple

    @classmethod
    def of(cls, spec, p_cell, p_drug):
        """Architecture of a RunSpec.

        The towers of a gated network get the width at which it has about as many parameters as the
        MLP.
        """
        mlp = cls("mlp", p_cell, p_drug, spec.hidden)
        if spec.model not in GATES:
            return mlp
        step = 8 if spec.hidden[0] >= 256 else 1  # tensor cores want multiples of 8
        widths = range(step, spec.hidden[0] + 1, step)
        candidates = (cls(spec.model, p_cell, p_drug, (w, *spec.hidden[1:])) for w in widths)
        return min(candidates, key=lambda a: abs(a.n_parameters - mlp.n_parameters))

    @cached_property
    def tensors(self):
        """Shape of each tensor of one model, and inputs of one of its units, by name in a fixed
        order. An MLP reads cell and drug jointly.
        """
        first = self.widths[0]
        is_gated = self.kind in GATES
        joint = self.p_cell + self.p_drug
        of_cell = self.p_cell if is_gated else joint
        of_drug = self.p_drug if is_gated else joint
        found = {
            "cell": ((first, self.p_cell), of_cell),
            "drug": ((first, self.p_drug), of_drug),
            "bias0": ((first,), of_cell),
        }
        if is_gated:
            found["bias_drug"] = (first,), of_drug
            found["gate"] = (first, first), first
            found["bias_gate"] = (first,), first
        for i, (width, n_out) in enumerate(pairwise((*self.widths, 1)), start=1):
            found[f"weight{i}"] = (width, n_out), width
            found[f"bias{i}"] = (n_out,), width
        return found

    @property
    def shapes(self):
        """Tensor shapes of one model by name."""
        return {name: shape for name, (shape, _) in self.tensors.items()}

    @property
    def n_parameters(self):
        """Number of weights and biases of one model."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def dropout_rates(spec):
    """Dropout rate after each hidden layer: constant, or falling linearly to 0 at the output."""
    n = len(spec.hidden)
    if spec.model == "diff_dropout":
        return [spec.dropout * (1 - i / n) for i in range(n)]
    return [spec.dropout] * n


def initial_weights(arch, seeds, scales):
    """Stacked weights, uniform within 1/sqrt(fan in), PyTorch's default.

    Each model's come from its own seed alone.

    Parameters
    ----------
    arch : Architecture
    seeds : sequence of int of length k
    scales : sequence of float of length k
        Multiply the weights on the input features.

    Returns
    -------
    dict of str to float32 tensor of shape (k, ...)
    """
    stack = {name: torch.empty(len(seeds), *shape) for name, shape in arch.shapes.items()}
    for k, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        for name, (_, n_inputs) in arch.tensors.items():
            bound = max(n_inputs, 1) ** -0.5
            stack[name][k].uniform_(-bound, bound, generator=generator)
        for side in SIDES:
            stack[side][k] *= scales[k]
    return stack


def relu(layer, parts, bias):
    """Hidden layer without dropout: ReLU of the sum of products and bias, in single precision."""
    return (sum(part.float() for part in parts) + bias[:, None]).relu()


def forward(arch, weights, cell, drug, activate=relu):
    """Predicted AUC of a stack.

    Parameters
    ----------
    arch : Architecture
    weights : dict of str to tensor of shape (k, ...)
    cell, drug : tensor of shape (k, n_rows, widths[0])
        First-layer products of each row's cell and drug features, before biases (see
        `first_layer`).
    activate : callable (layer, list of products, bias) -> hidden
        `relu`, or with dropout in training.

    Returns
    -------
    float32 tensor of shape (k, n_rows)
    """
    if arch.kind in GATES:
        tower = relu(0, [drug], weights["bias_drug"])
        gate = torch.baddbmm(weights["bias_gate"][:, None], tower, weights["gate"])
        hidden = activate(0, [cell], weights["bias0"])
        hidden = hidden * GATES[arch.kind](gate)  # a channel dropped before the gate stays dropped
    else:
        hidden = activate(0, [cell, drug], weights["bias0"])
    last = len(arch.widths)
    for i in range(1, last):
        weight = weights[f"weight{i}"]
        product = torch.bmm(hidden.to(weight.dtype), weight)
        hidden = activate(i, [product], weights[f"bias{i}"])
    bias = weights[f"bias{last}"][:, None]
    return torch.baddbmm(bias, hidden, weights[f"weight{last}"]).squeeze(-1)


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
        True: project every row of `features` once, for all models in one product. False: project
        for each model the distinct rows of its own batch.

    Returns
    -------
    tensor of shape (k, n_rows, width)
        To be summed in single precision: a cell's small part must not be rounded at the size of the
        drug's.
    """
    k, width, p = weight.shape
    if shared:
        projected = F.linear(features, weight.reshape(k * width, p))  # (n_distinct, k * width)
        index = rows * k + torch.arange(k, device=rows.device, dtype=rows.dtype)[:, None]
    else:
        distinct, place = batches.distinct(rows)
        gathered = features.index_select(0, distinct.reshape(-1)).view(*distinct.shape, p)
        projected = _Product.apply(weight, gathered)  # (k, m, width)
        first = torch.arange(k, device=rows.device, dtype=rows.dtype) * distinct.shape[1]
        index = place + first[:, None]
    projected = projected.float().view(-1, width)
    return projected.index_select(0, index.reshape(-1)).view(*rows.shape, width)


class _Product(torch.autograd.Function):
    """Rows times transposed weights; the gradient is laid out like the weights.

    torch's own would be transposed.
    """

    @staticmethod
    def forward(ctx, weight, rows):
        ctx.save_for_backward(rows)
        return torch.bmm(rows, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx, gradient):
        return torch.bmm(gradient.transpose(1, 2), ctx.saved_tensors[0]), None
