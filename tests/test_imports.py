"""What importing a room costs. Each notebook pays it at its start, and each shard of the sweep once more."""

import subprocess
import sys

import pytest

from lib.paths import ROOT

HEAVY = ("matplotlib", "numba", "papermill", "parsl", "polars", "rdkit", "requests", "scipy.stats")
HEAVY += ("seaborn", "sklearn", "statsmodels", "torch")
# Of HEAVY, what a room may load on import, and how many times the processor time of `import numpy` it may take:
# about twice what was measured. Figures are apart: who draws them pays for seaborn.
ROOMS = {
    "screens": ("polars requests", 20),
    "hill": ("numba scipy.stats sklearn", 33),
    "cells": ("polars scipy.stats sklearn", 32),
    "drugs": ("polars", 16),
    "networks": ("torch", 40),
    "sweep": ("torch", 45),
    "analysis": ("polars scipy.stats sklearn statsmodels", 36),
    "screening": ("polars torch", 46),
}
MODULES = """
import importlib, pkgutil, resource, sys
room = importlib.import_module("lib." + sys.argv[1])
for module in pkgutil.iter_modules(room.__path__):
    if "figures" not in module.name:
        importlib.import_module(f"{room.__name__}.{module.name}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_utime, *(set(sys.modules) & set(sys.argv[2:])))
"""
NUMPY = "import numpy, resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_utime)"


def run(*argv):
    """Processor time [s] of a fresh process, and the words that it printed after it."""
    made = subprocess.run([sys.executable, "-c", *argv], cwd=ROOT, capture_output=True, check=True)
    seconds, *words = made.stdout.decode().split()
    return float(seconds), set(words)


@pytest.fixture(scope="module")
def numpy_seconds():
    return max(run(NUMPY)[0] for _ in range(3))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_no_library_before_it_needs_it(room, numpy_seconds):
    allowed, times = ROOMS[room]
    seconds, loaded = run(MODULES, room, *HEAVY)
    assert loaded <= set(allowed.split())
    assert seconds < times * numpy_seconds
