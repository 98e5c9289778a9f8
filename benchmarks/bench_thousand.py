"""A thousand networks of two hidden layers on the bundled panel, on two processes of one thread.

Needs the tables of notebooks 01 to 04 (`make demo`). The ledger goes to a temporary folder.
"""

import functools
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from lib.paths import DATA
from lib.sweep import grid, run

TABLES = DATA / "processed" / "demo"
N_SEEDS = 19
WORKERS = 2
LEAST_WEIGHTS = 100_000
GRID = dict(
    split=["on_cell", "on_drug"],
    model=["mlp", "diff_dropout", "gated"],
    strategy=["vanilla", "balanced", "weighted"],
    hidden=[[64, 32]],
    dropout=0.2,
    drug_block="mordred",
    rnaseq_set="lincs1000",
    cohort="top21",
    optimizer="sgd",
    lr=0.5,
    init=0.1,
)


def part(specs, tables=TABLES):
    """Train some runs in a folder of its own; returns their rows of `runs`."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for path in Path(tables).glob("*.parquet"):
            os.symlink(path.resolve(), Path(folder) / path.name)
        return run.run_shard(folder, specs, device="cpu", report=lambda line: None)["runs"]


def main(n_seeds=N_SEEDS, tables=TABLES):
    """Train them and return the section of benchmarks/README.md.

    Raises
    ------
    RuntimeError
        If more than 3 % of the networks diverged, or one has fewer weights in use than
        LEAST_WEIGHTS.
    """
    title = "## A thousand networks on two cores\n\n"
    if not (tables / "fits.parquet").exists():
        return title + "Not measured: run `make demo` first, it makes the tables.\n"
    specs = grid.expand(GRID | dict(seed=list(range(n_seeds)), baselines=[]))
    parts = [
        [s for s in members if s.fold == fold]
        for members in grid.shards(specs).values()
        for fold in range(3)
    ]
    os.environ["OMP_NUM_THREADS"] = "1"
    started, load = time.perf_counter(), os.getloadavg()[0]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        runs = pd.concat(pool.map(functools.partial(part, tables=tables), parts))
    minutes = (time.perf_counter() - started) / 60
    trained = runs[runs.status.isin(["early_stop", "epoch_cap"])]
    if len(trained) < 0.97 * len(specs) or trained.n_used.min() < LEAST_WEIGHTS:
        reasons = sorted(set(runs.reason) - {""})
        fewest = f"fewest weights {trained.n_used.min():,}"
        raise RuntimeError(f"{len(trained)} networks count, {fewest}, reasons {reasons}")
    counts = ", ".join(f"{n} {status}" for status, n in runs.status.value_counts().items())
    samples = (runs.epochs * runs.n_train).sum()
    return title + (
        f"{len(runs):,} networks ({runs.model.nunique()} kinds, {runs.n_used.min():,} to "
        f"{runs.n_used.max():,} weights in use, two hidden layers) on the bundled panel, both "
        f"splits, every fold, stopped by the paper's rule ({counts}; {runs.epochs.mean():.0f} "
        f"epochs and {runs.n_train.mean():,.0f} training rows on average): **{minutes:.1f} "
        f"minutes** on {WORKERS} processes of one thread, building the features included; "
        f"{samples / minutes / 60:,.0f} samples × models a second; first-layer products in "
        f"{runs.precision.iloc[0]}; load {load:.1f} before, {os.getloadavg()[0]:.1f} after, on "
        f"{os.cpu_count()} processors.\n"
    )


if __name__ == "__main__":
    print(main())
