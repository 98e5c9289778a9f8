"""A made-up training problem, runs on it, and the same networks trained alone as plain modules."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lib import effects
from lib.networks import batches, models, stack, train
from lib.splits import TEST, TRAIN, roles
from lib.sweep import grid


def problem(n_cells=60, n_drugs=20, n_rows=700, noise=0.02):
    """A made-up screen: offsets of drug and cell, an interaction of a gene with a descriptor."""
    rng = np.random.default_rng(0)
    cell = rng.integers(0, n_cells, n_rows)
    drug = rng.integers(0, n_drugs, n_rows)
    x = rng.normal(size=(n_cells, 12))
    d = rng.normal(size=(n_drugs, 8))
    y = 0.6 + 0.15 * d[drug, 0] + 0.1 * x[cell, 0] + 0.1 * x[cell, 1] * d[drug, 1]
    y = y + noise * rng.normal(size=n_rows)
    role, _ = roles(cell.astype(str), 3)
    return train.Problem(
        cell_x=np.stack([x] * 3).astype(np.float32),
        drug_x=np.stack([d] * 3).astype(np.float32),
        profile=cell.astype(np.int32),
        drug=drug.astype(np.int32),
        y=np.clip(y, 0.01, 1).astype(np.float32),
        study=np.zeros(n_rows, np.int16),
        cell=cell.astype(np.int32),
        role=role,
        studies=["CCLE"],
    )


def spec(**changes):
    """A run on fold 0 of `problem`."""
    held = dict(fold=0, hidden=(16, 8), batch_size=64, max_epochs=4, lr=1e-2)
    return grid.RunSpec.from_dict(grid.DEFAULTS | held | changes)


class SingleNetwork(nn.Module):
    """One network of a stack as an ordinary module without dropout."""

    def __init__(self, arch, seed, scale=1.0):
        super().__init__()
        self.arch = arch
        for name, tensor in models.initial_weights(arch, [seed], [scale]).items():
            self.register_parameter(name, nn.Parameter(tensor[0].clone()))

    def forward(self, cell, drug):
        """Predicted AUC (n_rows,) from features of shape (n_rows, p_cell) and (n_rows, p_drug)."""
        w = dict(self.named_parameters())
        if self.arch.kind in models.GATES:
            tower = F.linear(drug, w["drug"], w["bias_drug"]).relu()
            gate = F.linear(tower, w["gate"].T, w["bias_gate"])
            hidden = F.linear(cell, w["cell"], w["bias0"]).relu()
            hidden = hidden * models.GATES[self.arch.kind](gate)
        else:
            joined = torch.cat([w["cell"], w["drug"]], 1)
            hidden = F.linear(torch.cat([cell, drug], 1), joined, w["bias0"]).relu()
        last = len(self.arch.widths)
        for i in range(1, last + 1):
            hidden = F.linear(hidden, w[f"weight{i}"].T, w[f"bias{i}"])
            if i < last:
                hidden = hidden.relu()
        return hidden.squeeze(-1)


def alone(p, s, epochs):
    """The run as a plain loop over one module with torch's own optimizer.

    Returns the test predictions after `epochs` epochs.
    """
    arch = models.Architecture.of(s, p.cell_x.shape[2], p.drug_x.shape[2])
    net = SingleNetwork(arch, s.seed, s.init)
    kind = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD}[s.optimizer]
    optimizer = kind(net.parameters(), lr=s.lr, weight_decay=s.weight_decay)
    rows = np.flatnonzero(p.role[s.fold] == TRAIN)
    cell, drug = (torch.as_tensor(x[s.fold]) for x in (p.cell_x, p.drug_x))
    y = torch.as_tensor(p.y[rows])
    weight = batches.loss_weights(y, s.strategy)
    base = np.zeros_like(p.y)
    if s.offset != "none":
        codes = {"study": p.study, "drug": p.drug, "line": p.cell}
        base = effects.additive(p.y, [codes[name] for name in s.offset.split("+")], rows)
        for tensor in (
            net.get_parameter(f"{kind}{len(arch.widths)}") for kind in ("weight", "bias")
        ):
            tensor.data.zero_()
    target = (y - torch.as_tensor(base[rows], dtype=torch.float32)) / s.target_scale
    step = 0
    for epoch in range(epochs):
        for batch in batches.epoch_order(s.seed, epoch, y, s.batch_size, s.strategy):
            picked = rows[batch]
            masks = _masks(p, rows, step, s.input_dropout, (cell, drug))
            predicted = net((cell * masks[0])[p.profile[picked]], (drug * masks[1])[p.drug[picked]])
            loss = F.huber_loss(predicted, target[batch], reduction="none")
            optimizer.zero_grad()
            (loss * weight[batch]).mean().backward()
            optimizer.step()
            step += 1
    test = np.flatnonzero(p.role[s.fold] == TEST)
    left = net(cell[p.profile[test]], drug[p.drug[test]]).detach().numpy()
    return base[test] + s.target_scale * left


def _masks(p, rows, step, rate, features):
    """Dropout on the inputs of a step: one mask per training profile and drug."""
    keys = torch.as_tensor(batches.dropout_keys([stack.INPUT_SEED], [step], 2)[0])
    found = []
    for key, index, x in zip(keys, (p.profile, p.drug), features, strict=True):
        trained = np.unique(index[rows])
        mask = torch.ones_like(x)
        if rate:
            shape = len(trained), x.shape[1] + -x.shape[1] % 16  # columns fill up to sixteens
            scale = batches.dropout_scale(key, torch.tensor([rate]), *shape)[0]
            mask[trained] = scale[:, : x.shape[1]]
        found.append(mask)
    return found
