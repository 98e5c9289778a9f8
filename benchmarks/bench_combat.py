"""ComBat beside PyPI's `pycombat` 0.20, the fastest package that agrees with R's sva."""

import os
import time
import tracemalloc
from importlib.metadata import version

import numpy as np

from lib.cells.combat import Combat

SIZES = (150, 450, 900)
N_GENES = 19_000
ROUNDS = 3


def main(rounds=ROUNDS):
    """The section of benchmarks/README.md; turns alternate, the ratio is that of the medians."""
    X, batch = _matrix()
    load = os.getloadavg()[0]
    turns = [(*_timed(_peer, X, batch), *_timed(_ours, X, batch)) for _ in range(rounds)]
    theirs, want, ours, got = zip(*turns, strict=True)
    worst = max(np.abs(a - b).max() for a, b in zip(want, got, strict=True))
    apply = [_timed(Combat().fit(X, batch).transform, X, batch)[0] for _ in range(rounds)]
    peaks = [_peak(function, X, batch) for function in (_peer, _ours)]
    ratio = np.median(theirs) / np.median(ours)
    lines = [
        "## ComBat",
        "",
        f"{len(X):,} samples × {N_GENES:,} genes, batches of {', '.join(map(str, SIZES))}, fit "
        "and apply; numbers drawn at random with a shift and a scale per batch, since only the "
        f"size matters here. {rounds} rounds in turns, median (range) of wall time. pycombat "
        f"{version('pycombat')}, numpy {np.__version__}; load {load:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after, on {os.cpu_count()} processors.",
        "",
        "| | seconds | peak memory beside the input |",
        "|---|---|---|",
        f"| `pycombat` | {_spread(theirs)} | {peaks[0]:.0f} MB |",
        f"| `lib.cells.combat` | {_spread(ours)} | {peaks[1]:.0f} MB |",
        f"| **ratio** | **{ratio:.1f}** | {peaks[0] / peaks[1]:.1f} |",
        f"| `lib.cells.combat`, apply only | {_spread(apply)} | |",
        "",
        f"The two agree to {worst:.0e}; agreement with R's sva to 1e-10 is tested in "
        "`tests/cells/test_combat.py`.",
    ]
    return "\n".join(lines) + "\n"


def _matrix():
    rng = np.random.default_rng(0)
    code = np.repeat(np.arange(len(SIZES)), SIZES)
    shift = rng.normal(size=(len(SIZES), N_GENES))
    scale = rng.uniform(0.5, 2, size=(len(SIZES), N_GENES))
    X = rng.normal(size=(len(code), N_GENES))
    X *= scale[code]
    X += shift[code]
    return X, np.array(["CCLE", "GDSC", "NCI-60"])[code]


def _peer(X, batch):
    from pycombat import Combat as Peer

    return Peer().fit_transform(X, batch)


def _ours(X, batch):
    return Combat().fit_transform(X, batch)


def _timed(function, *arguments):
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def _peak(function, X, batch):
    tracemalloc.start()
    function(X, batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def _spread(seconds):
    return f"{np.median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"


if __name__ == "__main__":
    print(main())
