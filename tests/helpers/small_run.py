"""A small repository to test the conductor on: seven tiny notebooks, a profile, ways to run it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import yaml

from lib.paths import ROOT

PARAMETERS = 'work_dir: str = "data/processed/demo"\nout_dir: str = "results/runs/demo"\n'
SETUP = """
from pathlib import Path
work, out = Path(work_dir), Path(out_dir)
work.mkdir(parents=True, exist_ok=True)
"""
CODE = {
    "01_ingest": '(work / "responses.txt").write_text(Path("data/open/doses.txt").read_text())',
    "02_hill_fit": '(work / "fits.txt").write_text((work / "responses.txt").read_text().upper())',
    "03_cell_features": '(work / "cells.txt").write_text("cells")',
    "04_drug_features": '(work / "drugs.txt").write_text("drugs")',
    "05_train_sweep": (
        'fits = (work / "fits.txt").read_text()\n'
        '(work / f"runs_{shard}.txt").write_text(fits + str(shard))'
    ),
    "06_analysis": """
        rows = [path.read_text() for path in sorted(work.glob("runs_*.txt"))]
        (out / "tables" / "headline.csv").write_text("\\n".join(rows))""",
    "07_screen": '(work / "hits.txt").write_text((work / "fits.txt").read_text())',
}


def notebook(path, code, parameters=PARAMETERS):
    """Write a notebook of four cells: title, parameters, setup and `body`."""

    def cell(kind, name, text, **metadata):
        more = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {
            "cell_type": kind,
            "id": name,
            "metadata": metadata,
            "source": textwrap.dedent(text).strip(),
        } | more

    cells = [
        cell("markdown", "title", f"# {path.stem}"),
        cell("code", "parameters", parameters, tags=["parameters"]),
        cell("code", "setup", SETUP),
        cell("code", "body", code),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    )


def repository(root, n_shards=3, code=CODE, **resources):
    """Make the notebooks, the data and the profile `demo` under a folder."""
    for name, text in code.items():
        extra = 'profile: str = "demo"\nshard: int = 0\n' if name.startswith("05") else ""
        extra += 'dataset: str = "open"\nn_rows: int = 3\n' if name.startswith("01") else ""
        notebook(root / "notebooks" / f"{name}.ipynb", text, PARAMETERS + extra)
    (root / "data" / "open").mkdir(parents=True, exist_ok=True)
    (root / "data" / "open" / "doses.txt").write_text("doses")
    profile(
        root,
        sweep={"n": n_shards} if n_shards else {},
        resources={"workers": 2, "threads": 1} | resources,
    )
    return root


def profile(root, name="demo", **settings):
    path = root / "profiles" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(settings))


NETWORKS = ("mlp",)


def expand(sweep):
    """Stands in for `lib.sweep.grid.expand`."""
    return range(sweep["n"])


def shards(specs):
    """Stands in for `lib.sweep.grid.shards`: two networks in each."""
    return {f"shard-{i:03d}": [SimpleNamespace(model="mlp", seed=i)] * 2 for i in specs}


DRIVER = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
import small_run, run_all
sys.modules["lib.sweep.grid"] = small_run
import lib.sweep
lib.sweep.grid = small_run
from pathlib import Path
sys.exit(run_all.command(sys.argv[1:], root=Path({small!r})))
"""


def command(root, *options):
    """The command line that runs `run_all` on a small repository."""
    driver = DRIVER.format(tests=str(Path(__file__).parent), root=str(ROOT), small=str(root))
    return [sys.executable, "-c", driver, *options]


def run(root, *options, timeout=600):
    """Run `run_all` to its end; returns the completed process with its output as text."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command(root, *options),
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        cwd=root,
    )


def copy_of_repository(root):
    """The parts of the real repository that a run needs, in a folder of their own."""
    parts = (
        "lib",
        "notebooks",
        "profiles",
        "data/open",
        "data/identity",
        "data/published",
        "examples/own_screen",
    )
    for name in parts:
        shutil.copytree(
            ROOT / name,
            root / name,
            ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"),
        )
    (root / "results").mkdir(exist_ok=True)
    for name in ("run_all.py", "results/timeline.py"):
        shutil.copy(ROOT / name, root / name)
    return root


def real(root, name, *options, threads=0):
    """Run a profile in a copy of the repository; returns the completed process.

    With `threads` a notebook that runs alone has so many and not those of every core.
    """
    command = [sys.executable, "run_all.py", "--profile", name, *options]
    environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=1800, env=environment
    )


def own_screen(root):
    """A copy of the repository whose own screen has no mutations and is trained for a moment."""
    copy_of_repository(root)
    (root / "examples/own_screen/mutations.csv").unlink()  # it may be left out
    path = root / "profiles/own.yml"
    settings = yaml.safe_load(path.read_text())
    settings["sweep"] |= dict(snp="none", max_epochs=3)
    settings["notebooks"]["07_screen"]["settings"]["max_epochs"] = 3
    settings["notebooks"]["07_screen"]["n_draws"] = 20
    path.write_text(yaml.safe_dump(settings))
    return root


TASK = """
import fcntl, json, os, signal, sys, time
root = os.getcwd()
def log(word):
    with open(f"{root}/ledger.txt", "a") as ledger:
        ledger.write(f"{word} {shard} {os.getpid()} {time.time()}\\n")
try:
    json.load(open(f"{root}/{out_dir}/done/sweep.{shard:03d}.json"))
    log("again")
except (OSError, ValueError):
    log("start")
own = open(f"{root}/locks/{shard}", "w")
try:
    fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    log("overlap")
time.sleep(seconds)
with open(f"{root}/{work_dir}/part.{shard}.{os.getpid()}", "w") as file:
    file.write(str(shard**2) + open(f"{root}/{work_dir}/base.txt").read())
fault = f"{root}/faults/{shard}"
if os.path.exists(fault):
    kind = open(fault).read()
    if kind not in ("bug", "poison"):
        os.unlink(fault)
    log(kind)
    exec({
        "memory": "raise MemoryError('no room')",
        "device memory": "raise type('OutOfMemoryError', (RuntimeError,), {})('CUDA is full')",
        "process killed": "os.kill(os.getpid(), 9)",
        "process left": "os._exit(3)",
        "worker killed": "os.kill(os.getppid(), 9)",
        "poison": "os.kill(os.getppid(), 9)",
        "hang": "time.sleep(600)",
        "full disk": "open('/dev/full', 'w').write('x' * 100_000)",
        "bug": "raise ValueError('the same every time')",
    }[kind])
os.replace(file.name, f"{root}/{work_dir}/result.{shard:03d}.txt")
log("end")
"""
JOIN = """
import glob
parts = sorted(glob.glob(f"{work_dir}/result.*.txt"))
open(f"{out_dir}/tables/headline.csv", "w").write("\\n".join(open(part).read() for part in parts))
"""


def sweep(
    root, n_shards, seconds=0.0, retries=2, time_limit=0, workers=2, heartbeat=(1, 8), cluster=""
):
    """Run a sweep of tasks without notebooks under a folder, as `run_all` does.

    Returns the exit status.
    """
    import run_all
    from lib.run import clusters, plan, profiles, schedule

    clusters.HEARTBEAT = heartbeat
    for folder in ("locks", "faults", "data/processed/demo"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("task.py", TASK),
        ("join.py", JOIN),
        ("base.py", "open(f'{work_dir}/base.txt', 'w').write('x')"),
    ):
        (root / name).write_text(text)
    own = {"work_dir": "data/processed/demo", "out_dir": "results/runs/demo"}
    shards = [
        plan.Task(
            f"sweep.{i:03d}", root / "task.py", own | {"shard": i, "seconds": seconds}, ("base",)
        )
        for i in range(n_shards)
    ]
    base = plan.Task("base", root / "base.py", own)
    join = plan.Task("06_analysis", root / "join.py", own, tuple(t.name for t in shards))
    work = plan.Plan([base, *shards, join], root, **own)
    resources = profiles.Resources(
        workers=workers, threads=1, retries=retries, time_limit_minutes=time_limit / 60
    )
    workers = clusters.ParslPool.local(workers, 1, work.out / "logs" / "parsl")
    if cluster:
        site = clusters.load_cluster(cluster, root / "profiles" / "clusters")
        workers = clusters.ParslPool.cluster(site, root, work.out / "logs" / "parsl")
    with schedule.claim(work.out):
        return run_all.perform(
            SimpleNamespace(profile="demo"), work, SimpleNamespace(resources=resources), workers
        )


def family(root):
    """Processes that work in a folder or name it on their command line."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(root) in words or str(root) in (process.info["cwd"] or ""):
            found.append(process)
    return found


def survivors(processes, seconds=90):
    """Those that still live after some seconds; a zombie does not."""
    end = time.time() + seconds
    while processes and time.time() < end:
        time.sleep(0.1)
        processes = [each for each in processes if lives(each)]
    return processes


def lives(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def begun(root, n, seconds=200):
    """Wait until n tasks of a sweep have begun."""
    ledger = root / "ledger.txt"
    end = time.time() + seconds
    while not (ledger.exists() and ledger.read_text().count("start ") >= n):
        assert time.time() < end, "the sweep did not begin"
        time.sleep(0.1)


def sweep_command(root, **settings):
    """The command line that runs `sweep`."""
    lines = [
        "import sys",
        "from pathlib import Path",
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(ROOT)!r}]",
        "import small_run",
        f"sys.exit(small_run.sweep(Path({str(root)!r}), **{settings!r}))",
    ]
    return [sys.executable, "-c", "\n".join(lines)]
