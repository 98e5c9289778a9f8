"""What importing a room costs. Each notebook pays it at its start, and each shard of the sweep once more."""

import subprocess
import sys

import pytest

from lib.paths import ROOT

HEAVY = ("matplotlib", "numba", "papermill", "parsl", "polars", "rdkit", "requests", "scipy.stats")
HEAVY += ("seaborn", "sklearn", "statsmodels", "torch")
# Of HEAVY, what a room may load on import, and how many times the modules of `import numpy` it may load, which costs
# most of its time and is the same on a busy machine: a third more than today. Figures are apart: who draws pays for seaborn.
ROOMS = {
    "screens": ("polars requests", 11),
    "hill": ("numba scipy.stats sklearn", 13),
    "cells": ("polars scipy.stats sklearn", 14),
    "drugs": ("polars", 9),
    "networks": ("torch", 13),
    "sweep": ("torch", 15),
    "analysis": ("polars scipy.stats sklearn statsmodels", 16),
    "screening": ("polars torch", 17),
}
MODULES = """
import importlib, pkgutil, sys
room = importlib.import_module("lib." + sys.argv[1])
for module in pkgutil.iter_modules(room.__path__):
    if module.name not in ("figures", "figures_beyond", "cuda"):  # cuda needs a GPU build of torch
        importlib.import_module(f"{room.__name__}.{module.name}")
print(len(sys.modules), *(set(sys.modules) & set(sys.argv[2:])))
"""
NUMPY = "import numpy, sys; print(len(sys.modules))"


def run(*argv):
    """Number of modules of a fresh process, and the words that it printed after it."""
    made = subprocess.run([sys.executable, "-c", *argv], cwd=ROOT, capture_output=True, check=True)
    n_modules, *words = made.stdout.decode().split()
    return int(n_modules), set(words)


@pytest.fixture(scope="module")
def n_numpy():
    return run(NUMPY)[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_no_library_before_it_needs_it(room, n_numpy):
    allowed, times = ROOMS[room]
    n_modules, loaded = run(MODULES, room, *HEAVY)
    assert loaded <= set(allowed.split())
    assert n_modules < times * n_numpy
