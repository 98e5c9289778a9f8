"""Screening speed: the bundled ensemble's grid of lines and drugs, beside one network in a plain
loop.

Both predict the same lines and compounds from features that are ready, in one process and on the
processors that it may use; the compounds' features are random (speed does not depend on the
values). The plain loop is what the paper's group describes: one network, a `DataLoader` of
concatenated rows. The limit of the machine, products of two matrices, is measured in the same run.
Of several turns the fastest counts, since other work on the machine only slows a turn.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lib import files
from lib.drugs import descriptors
from lib.paths import DATA
from lib.screening import model, queries, screen

KIND = "new drug"
N_DRUGS = 2000
PLAIN = 20_000  # pairs of the plain loop
MOLECULES = 200
TURNS = 5


class Pairs(Dataset):
    """Concatenated features of pairs, as a tutorial has it."""

    def __init__(self, cells, drugs):
        self.cells, self.drugs = cells, drugs

    def __len__(self):
        return PLAIN

    def __getitem__(self, i):
        return torch.cat([self.cells[i % len(self.cells)], self.drugs[i % len(self.drugs)]])


def timed(function):
    """Seconds of the fastest turn, and the fewest seconds of processor."""
    wall = []
    processor = []
    for _ in range(TURNS):
        start = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return min(wall), min(processor)


def stream(made, cells, drugs):
    """Mean and spread of every pair; resident memory [MB] at a tenth of the lines and at the end."""
    memory = []
    for i, _ in enumerate(made.grid(KIND, cells, drugs)):
        if i in (len(cells) // 10, len(cells) - 1):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return memory


@torch.inference_mode()
def plain(widths, cells, drugs):
    """One network in a loop over batches."""
    p = cells.shape[1] + drugs.shape[1]
    first, second = widths
    layers = [nn.Linear(p, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(second, 1)).eval()
    pairs = Pairs(torch.from_numpy(cells), torch.from_numpy(drugs))
    for rows in DataLoader(pairs, batch_size=512):
        network(rows)


def molecules(folder):
    """Molecules a second from SMILES to the features of the default block, and when cached."""
    asked = queries.read_compounds(DATA / "open/drugs/nsc_thousand.parquet").head(MOLECULES)
    asked = asked.rename(columns={"compound": "drug_id"})
    rates = []
    for _ in range(2):
        start = time.perf_counter()
        descriptors.compute_block(asked, "rdkit_ecfp", folder)
        rates.append(MOLECULES / (time.perf_counter() - start))
    return rates


def ranked(folder):
    """Pairs a second from compounds to a ranked table with intervals on disk, all that it takes."""
    asked = queries.read_compounds(DATA / "open/drugs/nsc_thousand.parquet").head(MOLECULES)
    start = time.perf_counter()
    n_predicted, _ = screen.save(
        screen.screen(asked, ["all"], cache_dir=folder), folder / "hits.parquet"
    )
    return n_predicted / (time.perf_counter() - start)


def main():
    """The section of the page."""
    load = os.getloadavg()[0]
    torch.set_num_threads(files.processors())
    made = model.read(screen.MODEL)
    cells = made.arrays["line_x"].astype(np.float32)
    members, width, p_drug = made.arrays[f"{KIND}/drug"].shape
    widths = width, made.arrays[f"{KIND}/weight1"].shape[-1]
    drugs = np.random.default_rng(1).normal(size=(N_DRUGS, p_drug)).astype(np.float32)
    tenth, whole = stream(made, cells, drugs)
    n = len(cells) * N_DRUGS
    ours, processor = timed(lambda: stream(made, cells, drugs))
    peer, _ = timed(lambda: plain(widths, cells, drugs))
    square = torch.rand(1500, 1500)
    product, _ = timed(lambda: square @ square)
    operations = 2 * members * (widths[0] * widths[1] + widths[1])
    share = n / ours * operations / (2 * len(square) ** 3 / product)
    with tempfile.TemporaryDirectory() as folder:
        fresh, cached = molecules(Path(folder))
        rate = ranked(Path(folder))
    aim = "reached" if n / ours >= 1e6 else "missed"
    return f"""## Screening

{files.processors()} processors, load {load:.1f} before and {os.getloadavg()[0]:.1f} after;
{len(cells):,} lines × {N_DRUGS:,} compounds with the bundled model, {members} networks of
{widths[0]}×{widths[1]}; the fastest of {TURNS} turns each.

| what | pairs a second | ratio |
|---|---:|---:|
| one network, plain `DataLoader` loop | {PLAIN / peer:,.0f} | 1 |
| mean and spread of {members} networks, streamed grid | {n / ours:,.0f} | {n / ours / PLAIN * peer:,.0f} |
| the same, per second of processor | {n / processor:,.0f} | |
| {MOLECULES} compounds to a ranked table with intervals on disk, start to end | {rate:,.0f} | |

The aim of 1,000,000 pairs a second is {aim} in this run. Products behind the first layer take
{share:.0%} of the measured throughput of matrix products. Memory at the end of the grid:
{whole - tenth:+.0f} MB beside that at a tenth of its pairs. From SMILES to features:
{fresh:,.0f} molecules a second, start of the workers included, {cached:,.0f} where the cache holds
their slow part.
"""
