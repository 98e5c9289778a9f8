"""Molecules described per second, beside the package `mordredcommunity` on the same molecules in
the same run.
"""

import os
import tempfile
import time
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd

from lib.drugs import descriptors
from lib.paths import DATA
from lib.screens import molecules as screen_molecules

N_PROCESSES, ROUNDS = 2, 3


def main(rounds=ROUNDS):
    """Measure and return the section of benchmarks/README.md.

    The peer (`Calculator.pandas`, its own pool) is forked from a process that has imported
    everything; our workers are fresh processes that pay for their imports inside the measured time.
    Both use one BLAS thread per process; they take turns, and the ratio is that of the medians.
    """
    panel = _panel()
    descriptors.BUNDLED = DATA / "nowhere"  # the bundled table would be read, not computed
    load = os.getloadavg()[0]
    turns = [(*_timed(_peer, panel), *_timed(_ours, panel)) for _ in range(rounds)]
    (theirs, want), (ours, got) = [
        zip(*[(t[i], t[i + 1]) for t in turns], strict=True) for i in (0, 2)
    ]
    theirs, ours = np.array(theirs), np.array(ours)
    alike = np.isnan(want[0]) == np.isnan(got[0])
    worst = np.nanmax(np.abs(want[0] - got[0]) / np.maximum(np.abs(want[0]), 1e-3))
    lines = [
        "## Drug descriptors",
        "",
        f"{len(panel)} compounds of the bundled panel, {len(descriptors.columns('mordred')):,} Mordred descriptors, "
        f"{N_PROCESSES} processes, {rounds} rounds in turns; median (range) of wall time. "
        f"mordredcommunity {version('mordredcommunity')}, rdkit {version('rdkit')}; load {load:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after, on {os.cpu_count()} processors.",
        "",
        "| | seconds | molecules/s |",
        "|---|---|---|",
        _row("`mordredcommunity`: `Calculator.pandas`", theirs, len(panel)),
        _row("`descriptors.compute_block`, from nothing", ours, len(panel)),
        f"| **ratio** | **{np.median(theirs) / np.median(ours):.1f}** | |",
        "",
        f"Gaps are the same in {alike.mean():.2%} of the cells; the largest relative difference is {worst:.0e} "
        "(the table is float32).",
        "",
        *_blocks(panel),
    ]
    return "\n".join(lines) + "\n"


def _panel():
    table = screen_molecules.standardise_all(pd.read_csv(DATA / "open" / "drugs" / "smiles.csv"))
    return table[table.reason == ""].drop_duplicates("drug_id").reset_index(drop=True)


def _timed(function, panel):
    started = time.perf_counter()
    values = function(panel)
    return time.perf_counter() - started, values


def _peer(panel):
    from mordred import Calculator
    from mordred import descriptors as all_descriptors
    from rdkit import Chem
    from threadpoolctl import threadpool_limits

    molecules = [Chem.MolFromSmiles(smiles) for smiles in panel.smiles]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calculator = Calculator(all_descriptors, ignore_3D=True)
        table = calculator.pandas(molecules, nproc=N_PROCESSES, quiet=True)
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    return np.where(np.isfinite(values), values, np.nan)


def _ours(panel):
    frame, _ = descriptors.compute_block(panel, "mordred", cache_dir=None, n_jobs=N_PROCESSES)
    return frame.iloc[:, 1:].to_numpy(dtype=float)


def _row(name, seconds, n):
    middle = np.median(seconds)
    return f"| {name} | {middle:.1f} ({seconds.min():.1f}–{seconds.max():.1f}) | {n / middle:.1f} |"


def _blocks(panel):
    lines = ["| block | columns | seconds from nothing | from the cache |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for block in ("mordred", "rdkit_ecfp", "ecfp", "maccs", "smiles"):
            times = [
                _timed(lambda p, b=block: descriptors.compute_block(p, b, folder)[0], panel)
                for _ in range(2)
            ]
            (first, frame), (again, _) = times
            lines.append(f"| `{block}` | {frame.shape[1] - 1:,} | {first:.1f} | {again:.2f} |")
    return lines


if __name__ == "__main__":
    print(main())
