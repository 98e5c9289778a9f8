"""Hill fits per second beside SciPy's `curve_fit` as the paper's group calls it, and whose sum of
squares is lower.

Both sides fit the real curves of the bundled panel. The peer gets its fit alone counted; ours all
outputs of `hill.fit`. They take turns; the ratio is that of the medians. Replicated panels keep
memory and speed honest at size.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit

from benchmarks import processor
from lib.hill import curve, fit, scipy_fit, solver
from lib.paths import ROOT
from lib.screens import datasets

THREADS, ROUNDS = 2, 5
PEER_CURVES, COPIES = 150, 16  # per round
MILLIONS = 4.5
WORSE = 1e-9


def main(rounds=ROUNDS, millions=MILLIONS, n_compared=None):
    """Measure and return the section of benchmarks/README.md; `n_compared` curves (default all) are
    fitted by SciPy.
    """
    # for this process and those it starts; SciPy's BLAS has read its own number by now
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    before = os.getloadavg()[0]
    panel = _panel()
    sections = [
        _limit(panel),
        _speed(panel, rounds),
        _scale(panel, millions),
        _squares(panel, n_compared),
        _start(),
        _file_memory(),
    ]
    head = [
        "## Hill fits",
        "",
        f"{len(panel[2]) - 1:,} curves ({len(panel[0]):,} doses) of the bundled panel, {THREADS} threads, on "
        f"{os.cpu_count()} processors ({processor()}); load {before:.1f} before, {os.getloadavg()[0]:.1f} after. "
        f"SciPy in one process with one BLAS thread, as its users run it.",
        "",
    ]
    return "\n".join(head + [line for section in sections for line in [*section, ""]])


def _panel():
    """dose, growth, offsets of every curve of the bundle with at least four doses."""
    points = datasets.load("open").responses
    codes, _ = pd.factorize(points["curve_id"])
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    long = np.repeat(sizes >= 4, sizes)
    dose, growth = (points[name].to_numpy(float)[order][long] for name in ("dose", "growth"))
    return dose, growth, np.concatenate([[0], np.cumsum(sizes[sizes >= 4])])


def _copies(panel, n, jitter=0.0):
    """The panel n times; with jitter no two curves share their doses."""
    dose, growth, offsets = panel
    sizes = np.tile(np.diff(offsets), n)
    shift = (
        np.random.default_rng(0).uniform(0, jitter, len(sizes)) if jitter else np.zeros(len(sizes))
    )
    return (
        np.tile(dose, n) + np.repeat(shift, sizes),
        np.tile(growth, n),
        np.concatenate([[0], np.cumsum(sizes)]),
    )


def _clocked(function, *arguments):
    """Result, wall seconds and processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.perf_counter() - wall, time.process_time() - processor


def _peer(panel, curves):
    dose, growth, offsets = panel
    return [
        scipy_fit.curve_fit(dose[offsets[i] : offsets[i + 1]], growth[offsets[i] : offsets[i + 1]])
        for i in curves
    ]


def _ours(panel):
    return fit.fit(*panel)


def _limit(panel):
    """What the divisions of the grid alone take on this machine, and the share of it reached."""
    dose, growth, offsets = _copies(panel, 1, jitter=0.01)
    nodes = solver._NH * solver._NP
    divisions = nodes * len(dose) / (len(offsets) - 1)
    values = np.random.default_rng(0).uniform(0.1, 10, nodes)
    repeats = 20_000
    _divide(values, np.empty(nodes), 1)
    solver.solve(dose, growth, offsets, 1)
    pure, ours = np.inf, np.inf
    for _ in range(10):
        pure = min(pure, _clocked(_divide, values, np.empty(nodes), repeats)[1])
        ours = min(ours, _clocked(solver.solve, dose, growth, offsets, 1)[1])
    pure *= 1e6 * divisions / (repeats * nodes)
    ours *= 1e6 / (len(offsets) - 1)
    return [
        f"The limit: a curve whose doses no other curve has needs its own grid, {nodes} nodes × "
        f"{len(dose) / (len(offsets) - 1):.1f} doses = {divisions:,.0f} divisions, which take one thread of this machine at "
        f"least {pure:.2f} µs. The solver takes {ours:.2f} µs in all (the fastest of 10 turns each): the grid is "
        f"{pure / ours:.0%} of it at the limit, the rest are exponentials, Newton steps and the outputs."
    ]


@njit(fastmath=True, error_model="numpy")
def _divide(values, out, repeats):
    """z / (1 + z) for every node, again and again, as the grid has it."""
    for turn in range(repeats):
        for k in range(len(values)):
            out[k] = values[k] / (1.0 + values[k] + turn)


def _speed(panel, rounds):
    rng, n = np.random.default_rng(0), len(panel[2]) - 1
    same, distinct = _copies(panel, COPIES), _copies(panel, COPIES // 8, jitter=0.01)
    _ours(panel)
    names = [
        "SciPy `curve_fit`",
        "`hill.fit`, all outputs",
        "`hill.fit`, no two curves with the same doses",
    ]
    sizes = [PEER_CURVES, COPIES * n, COPIES // 8 * n]
    times = np.empty((rounds, 3, 2))
    for turn in range(rounds):
        times[turn, 0] = _clocked(_peer, panel, rng.choice(n, PEER_CURVES, replace=False))[1:]
        times[turn, 1] = _clocked(_ours, same)[1:]
        times[turn, 2] = _clocked(_ours, distinct)[1:]
    rates = np.array(sizes)[None, :, None] / times  # (rounds, what, wall or processor)
    rows = [
        "| | curves/s, median (range) | ratio | µs of processor per curve | ratio per processor second |",
        "|---|---|---|---|---|",
    ]
    middle = np.median(rates, axis=0)
    for i, name in enumerate(names):
        wall = rates[:, i, 0]
        row = [name, f"{middle[i, 0]:,.0f} ({wall.min():,.0f}–{wall.max():,.0f})"]
        row += [f"{middle[i, 0] / middle[0, 0]:,.0f} ×", f"{1e6 / middle[i, 1]:,.1f}"]
        row.append(f"{middle[i, 1] / middle[0, 1]:,.0f} ×")
        rows.append(f"| {' | '.join(row)} |")
    distinct = THREADS * middle[2, 1] / middle[0, 1]
    rows += [
        "",
        f"Where other work keeps the processors busy, {THREADS} threads wait longer than one process does. By processor "
        f"seconds {THREADS} threads are at most {distinct:,.0f} × one SciPy process on curves that share no doses (one "
        f"thread makes the outputs); aim: 1,000 ×.",
    ]
    return rows


def _scale(panel, millions):
    """Fit so many curves in batches and watch the memory."""
    batch = _copies(panel, 8)
    size = len(batch[2]) - 1
    n_batches = int(np.ceil(millions * 1e6 / size))
    peaks, started = [], time.perf_counter()
    for _ in range(n_batches):
        _ours(batch)
        peaks.append(_peak_mb())
    seconds = time.perf_counter() - started
    return [
        f"{n_batches * size / 1e6:.2f} million curves in batches of {size:,}: **{seconds:.0f} s**; peak memory "
        f"{peaks[min(1, n_batches - 1)]:,.0f} MB after two batches, {peaks[-1]:,.0f} MB after {n_batches}."
    ]


def _squares(panel, n_compared):
    dose, growth, offsets = panel
    n = len(offsets) - 1
    chosen = (
        np.arange(n)
        if n_compared is None
        else np.random.default_rng(1).choice(n, n_compared, replace=False)
    )
    ours = _ours(panel)
    with ProcessPoolExecutor(THREADS) as pool:
        parts = list(pool.map(_peer_squares, [panel] * 40, np.array_split(chosen, 40)))
    theirs = np.concatenate(parts)
    excess = ours["sse"].to_numpy()[chosen] - theirs
    known = np.isfinite(excess)
    worse, better = (
        (excess[known] > WORSE).sum(),
        [(excess[known] < -level).sum() for level in (WORSE, 1e-6, 1e-4)],
    )
    lost = n - ours["converged"].sum()
    return [
        f"Sum of squares on {known.sum():,} real curves: ours above SciPy's by more than {WORSE:g} on **{worse}** "
        f"({worse / known.sum():.2%}, never by more than {max(excess[known].max(), 0):.1g}); "
        f"SciPy's above ours by more than {WORSE:g} on {better[0]:,} curves, by 1e-6 on {better[1]:,}, by 1e-4 on "
        f"{better[2]:,}: local minima. {lost} of our searches did not converge; SciPy gave up on "
        f"{np.isnan(theirs).sum()}."
    ]


def _peer_squares(panel, curves):
    dose, growth, offsets = panel
    squares = []
    for i, found in zip(curves, _peer(panel, curves), strict=True):
        x, y = (v[offsets[i] : offsets[i + 1]] for v in (dose, growth))
        squares.append(
            np.nan
            if found is None
            else np.sum((np.clip(y, 0, 1) - curve.growth_at(x, *found[0])) ** 2)
        )
    return np.array(squares)


def _start():
    """Processor seconds until a fresh process has its first fit, without and with the compiled code
    on disk.
    """
    code = "import time; from lib.hill import fit; fit.fit([9, 8, 7, 6], [1, 0.9, 0.4, 0.2]); print(time.process_time())"
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        run = [sys.executable, "-c", code]
        first, second = (
            float(subprocess.check_output(run, cwd=ROOT, env=environment)) for _ in range(2)
        )
    return [
        f"A fresh process's first fit takes {first:.1f} s of processor when it compiles, {second:.1f} s after that."
    ]


def _file_memory():
    """Peak memory of `fit.fit_file` on a file and on one eight times as long, each in a process of
    its own.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for copies in (4, 32):
            doses = _write_copies(Path(folder, "responses.parquet"), copies)
            code = f"from benchmarks.bench_hill import fit_one_file; fit_one_file({folder!r})"
            found.append(
                (
                    doses,
                    *subprocess.check_output(
                        [sys.executable, "-c", code], cwd=ROOT, text=True
                    ).split(),
                )
            )
    (few, _, small), (many, seconds, large) = found
    return [
        f"`fit.fit_file`, 500,000 doses at a time: peak {float(small):,.0f} MB on a file of {few:,} doses, "
        f"{float(large):,.0f} MB on {many:,} ({float(seconds):.0f} s, reading, checking and writing included)."
    ]


def _write_copies(path, copies):
    """A responses file that holds the panel so many times; returns its number of doses."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    points = datasets.load("open").responses
    points = points.assign(drug_id=points["drug_name"], cell_id=points["cell_name"])[fit.READ]
    points = points.drop_duplicates(["curve_id", "dose"]).sort_values(["curve_id", "dose"])
    with pq.ParquetWriter(
        path, pa.Table.from_pandas(points, preserve_index=False).schema
    ) as writer:
        for i in range(copies):
            part = points.assign(curve_id=f"{i}/" + points["curve_id"])
            writer.write_table(pa.Table.from_pandas(part, preserve_index=False))
    return len(points) * copies


def fit_one_file(folder):
    """Fit the file and print seconds and this process's peak memory [MB]."""
    seconds = _clocked(
        fit.fit_file,
        Path(folder, "responses.parquet"),
        Path(folder, "fits.parquet"),
        500_000,
    )[1]
    print(seconds, _peak_mb())


def _peak_mb():
    """Largest resident memory of this process since it started its program."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    print(main())
