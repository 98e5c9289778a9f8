"""A small repository for tests of the conductor: six tiny notebooks, a profile, and ways to run it."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import yaml

from lib.paths import ROOT

PARAMETERS = 'work_dir: str = "data/processed/demo"\nout_dir: str = "results/runs/demo"\n'
SETUP = "from pathlib import Path\nwork, out = Path(work_dir), Path(out_dir)\nwork.mkdir(parents=True, exist_ok=True)"
CODE = {
    "01_ingest": '(work / "responses.txt").write_text(Path("data/open/doses.txt").read_text())',
    "02_hill_fit": '(work / "fits.txt").write_text((work / "responses.txt").read_text().upper())',
    "03_cell_features": '(work / "cells.txt").write_text("cells")',
    "04_drug_features": '(work / "drugs.txt").write_text("drugs")',
    "05_train_sweep": '(work / f"runs_{shard}.txt").write_text((work / "fits.txt").read_text() + str(shard))',
    "06_analysis": """
        rows = [path.read_text() for path in sorted(work.glob("runs_*.txt"))]
        (out / "tables" / "headline.csv").write_text("\\n".join(rows))""",
}


def notebook(path, code, parameters=PARAMETERS):
    """Write a notebook of four cells: title, parameters, setup and `body`."""

    def cell(kind, name, text, **metadata):
        more = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {"cell_type": kind, "id": name, "metadata": metadata, "source": textwrap.dedent(text).strip()} | more

    cells = [
        cell("markdown", "title", f"# {path.stem}"),
        cell("code", "parameters", parameters, tags=["parameters"]),
        cell("code", "setup", SETUP),
        cell("code", "body", code),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def repository(root, n_shards=3, code=CODE, **resources):
    """Make the notebooks, the data and the profile `demo` under a folder."""
    for name, text in code.items():
        extra = 'profile: str = "demo"\nshard: int = 0\n' if name.startswith("05") else ""
        extra += 'dataset: str = "open"\nn_rows: int = 3\n' if name.startswith("01") else ""
        notebook(root / "notebooks" / f"{name}.ipynb", text, PARAMETERS + extra)
    (root / "data" / "open").mkdir(parents=True, exist_ok=True)
    (root / "data" / "open" / "doses.txt").write_text("doses")
    profile(root, sweep={"n": n_shards}, resources={"workers": 2, "threads": 1} | resources)
    return root


def profile(root, name="demo", **settings):
    path = root / "profiles" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(settings))


def expand(sweep):
    """Stands in for `lib.grid.expand`."""
    return range(sweep["n"])


def shards(specs):
    """Stands in for `lib.grid.shards`: two models in each."""
    return {f"shard-{i:03d}": [i, i] for i in specs}


DRIVER = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
import small_run, run_all
sys.modules["lib.grid"] = small_run
import lib
lib.grid = small_run
from pathlib import Path
sys.exit(run_all.main(sys.argv[1:], root=Path({small!r})))
"""


def command(root, *options):
    """The command line that runs `run_all` on a small repository."""
    driver = DRIVER.format(tests=str(Path(__file__).parent), root=str(ROOT), small=str(root))
    return [sys.executable, "-c", driver, *options]


def run(root, *options, timeout=120):
    """Run `run_all` to its end; returns the completed process with its output as text."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command(root, *options), capture_output=True, text=True, timeout=timeout, env=environment, cwd=root
    )
