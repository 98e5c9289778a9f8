"""Cost of the conductor: a notebook beside papermill's command line, a task of a long sweep.

The notebooks are trivial (one cell), both sides take turns. The tasks of the sweep are one line of
Python without a notebook, so that nothing but the conductor, Parsl, the process of each task and
its marker is measured.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from lib.run import clusters, keys, notebook, plan, progress, schedule

ROUNDS, TASKS = 8, 5_000
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "x"}},
}
OWN = {"work_dir": "work", "out_dir": "out"}


def main(rounds=ROUNDS, n_tasks=TASKS):
    """Measure and return the section of benchmarks/README.md."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        peer, ours = notebooks(Path(folder, "notebooks"), rounds)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            runs = [sweep(Path(folder), n_tasks), sweep(Path(folder), n_tasks)]
    after = os.getloadavg()[0]
    return "\n".join(
        [
            "## Conductor",
            "",
            f"{os.cpu_count()} processors; load {before:.1f} before, {after:.1f} after.",
            "",
            f"| a notebook of one cell, median of {rounds}, taking turns | seconds |",
            "| --- | --- |",
            f"| `papermill` on the command line | {peer:.2f} |",
            f"| `lib.run.notebook.run` in a worker, with checks, hashes and marker | {ours:.2f} |",
            "",
            f"| a sweep of {n_tasks:,} tasks of one line, 2 workers | first run "
            "| second run, all skipped |",
            "| --- | --- | --- |",
            *[row(words, name, runs) for words, name in ROWS],
            "",
        ]
    )


ROWS = [
    ("seconds in all", "seconds"),
    ("milliseconds a task", "ms"),
    ("memory of the conductor after a tenth of the tasks [MB]", "early_mb"),
    ("memory of the conductor at the end [MB]", "late_mb"),
]


def row(words, name, runs):
    return f"| {words} | " + " | ".join(f"{run[name]:,.1f}" for run in runs) + " |"


def notebooks(root, rounds):
    """Median seconds of papermill's command line and of our runner on the same trivial notebook."""
    (root / "out").mkdir(parents=True)
    cell = {
        "cell_type": "code",
        "id": "one",
        "metadata": {"tags": ["parameters"]},
        "source": "one = 1",
        "outputs": [],
        "execution_count": None,
    }
    path = root / "trivial.ipynb"
    path.write_text(json.dumps(NOTEBOOK | {"cells": [cell]}))
    job = {
        "name": "x",
        "notebook": str(path),
        "parameters": {},
        "root": str(root),
        "key": keys.program(path),
    }
    job |= OWN | {"threads": 1, "time_limit": 0, "attempt": 1}
    command = [
        str(Path(sys.executable).parent / "papermill"),
        str(path),
        str(root / "copy.ipynb"),
        "--no-progress-bar",
    ]
    times = {"peer": [], "ours": []}
    with schedule.claim(root / "out"):
        first = notebook.run(job)  # a worker imports papermill once
        if "kind" in first:
            raise RuntimeError(f"{first['kind']}: {first['error']}")
        for _ in range(rounds):
            times["peer"].append(
                timed(lambda: subprocess.run(command, check=True, capture_output=True))
            )
            times["ours"].append(timed(lambda: notebook.run(job)))
    return statistics.median(times["peer"]), statistics.median(times["ours"])


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def sweep(root, n_tasks):
    """Run trivial tasks through a conductor.

    Returns
    -------
    dict
        seconds, ms (a task), early_mb and late_mb (memory).
    """
    script = root / "task.py"
    script.write_text("open(f'{work_dir}/{number}.txt', 'w').write(str(number))\n")
    (root / "work").mkdir(exist_ok=True)
    memory = []

    def watch(event, task):
        report(event, task)
        if event in ("done", "skipped"):
            memory.append(psutil.Process().memory_info().rss / 1e6)

    start = time.perf_counter()
    with schedule.claim(root / "out"):
        tasks = [plan.Task(f"task.{i:05d}", script, OWN | {"number": i}) for i in range(n_tasks)]
        work = plan.Plan(tasks, root, **OWN)
        workers = clusters.ParslPool.local(2, 1, root / "out" / "logs" / "parsl")
        report = progress.Report(work, "bench", workers.slots)
        try:
            schedule.Conductor(work, workers, watch).run()
        finally:
            workers.close()
            report.close()
    unfinished = [task.name for task in tasks if task.state not in ("done", "skipped")]
    if unfinished:
        raise RuntimeError(f"{len(unfinished)} tasks did not finish, the first is {unfinished[0]}")
    seconds = time.perf_counter() - start
    early, late = memory[n_tasks // 10], memory[-1]
    return {"seconds": seconds, "ms": 1000 * seconds / n_tasks, "early_mb": early, "late_mb": late}
