"""Screening speed: the ensemble's grid of cells and drugs, beside one network in a plain loop.

Both predict the same lines and compounds from features that are ready, in one process and on the
processors that it may use; numbers are random (speed does not depend on the values). The plain loop
is what the paper's group describes: one network, a `DataLoader` of concatenated rows. The limit of
the machine, products of two matrices, is measured in the same run.
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lib import files
from lib.drugs import descriptors
from lib.paths import DATA
from lib.screening import model, queries

MEMBERS, P_CELL, P_DRUG, WIDTHS = 2, 537, 1250, (32, 16)  # of the committed model
N_LINES, N_DRUGS = 900, 5000
PLAIN = 60_000  # pairs of the plain loop
MOLECULES = 200


class Pairs(Dataset):
    """Concatenated features of pairs, as a tutorial has it."""

    def __init__(self, cells, drugs):
        self.cells, self.drugs = cells, drugs

    def __len__(self):
        return PLAIN

    def __getitem__(self, i):
        return torch.cat([self.cells[i % len(self.cells)], self.drugs[i % len(self.drugs)]])


def made():
    """A model of random weights in the shape of the committed one."""
    rng = np.random.default_rng(0)
    shapes = {"cell": (WIDTHS[0], P_CELL), "drug": (WIDTHS[0], P_DRUG), "bias0": (WIDTHS[0],)}
    shapes |= {"weight1": WIDTHS, "bias1": (WIDTHS[1],), "weight2": (WIDTHS[1], 1), "bias2": (1,)}
    arrays = {
        f"new drug/{name}": (0.1 * rng.normal(size=(MEMBERS, *shape))).astype(np.float16)
        for name, shape in shapes.items()
    }
    return model.Model({"kinds": {"new drug": {"scale": 0.1}}}, arrays, {})


def grid(screening, cells, drugs):
    """Pairs a second of the ensemble's mean and spread."""
    start = time.perf_counter()
    n = sum(mean.size for _, mean, _ in screening.grid("new drug", cells, drugs))
    return n / (time.perf_counter() - start)


@torch.inference_mode()
def plain(cells, drugs):
    """Pairs a second of one network in a loop over batches."""
    first, second = WIDTHS
    layers = [nn.Linear(P_CELL + P_DRUG, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(second, 1)).eval()
    batches = DataLoader(Pairs(torch.from_numpy(cells), torch.from_numpy(drugs)), batch_size=512)
    start = time.perf_counter()
    for rows in batches:
        network(rows)
    return PLAIN / (time.perf_counter() - start)


def products():
    """Floating-point operations a second of a product of two square matrices."""
    a = torch.rand(1500, 1500)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * 1500**3 / best


def molecules():
    """Molecules a second from SMILES to the features of the default block, and when cached."""
    asked = queries.read_compounds(DATA / "open/drugs/nsc_thousand.parquet").head(MOLECULES)
    asked = asked.rename(columns={"compound": "drug_id"})
    folder = Path("/tmp/bench_screen_cache")
    rates = []
    for _ in range(2):
        start = time.perf_counter()
        descriptors.compute_block(asked, "rdkit_ecfp", folder)
        rates.append(MOLECULES / (time.perf_counter() - start))
    for path in folder.glob("*.parquet"):
        path.unlink()
    return rates


def main():
    """The section of the page."""
    torch.set_num_threads(files.processors())
    rng = np.random.default_rng(1)
    cells = rng.normal(size=(N_LINES, P_CELL)).astype(np.float32)
    drugs = rng.normal(size=(N_DRUGS, P_DRUG)).astype(np.float32)
    screening = made()
    grid(screening, cells[:50], drugs)
    peer = np.median([plain(cells, drugs) for _ in range(3)])
    ours = np.median([grid(screening, cells, drugs) for _ in range(3)])
    operations = 2 * MEMBERS * (WIDTHS[0] * WIDTHS[1] + WIDTHS[1])
    share = ours * operations / products()
    fresh, cached = molecules()
    aim = "reached" if ours >= 1e6 else "missed"
    return f"""## Screening

{files.processors()} processors; {N_LINES:,} lines × {N_DRUGS:,} compounds, {MEMBERS} networks of
{WIDTHS[0]}×{WIDTHS[1]}.

| what | pairs a second | ratio |
|---|---:|---:|
| one network, plain `DataLoader` loop | {peer:,.0f} | 1 |
| mean and spread of {MEMBERS} networks, streamed grid | {ours:,.0f} | {ours / peer:,.0f} |

The aim of 1,000,000 pairs a second is {aim} in this run. Products behind the first layer take {share:.0%} of the measured
throughput of matrix products. From SMILES to features: {fresh:,.0f} molecules a second, {cached:,.0f} where the cache holds
their slow part.
"""
