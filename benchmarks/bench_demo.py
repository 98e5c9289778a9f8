"""Where each second of `make demo` goes, from the cell times that its executed copies carry.

    python -m benchmarks demo                      # of results/notebooks, as committed
    python -m benchmarks.bench_demo RUN            # of another run: the cell times as a table

Nothing is run. `demo_before.csv` holds the cell times that the page compares with.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd

from lib.paths import RESULTS

BEFORE = Path(__file__).with_name("demo_before.csv")
WORKERS = 2
START, IMPORTS = "start", "setup"  # of the kernel; the cell that imports
N_CELLS = 4  # named per notebook


def main():
    """The section of benchmarks/README.md."""
    now, before = cell_times(RESULTS), pd.read_csv(BEFORE)
    timings = pd.read_csv(RESULTS / "tables" / "timings.csv")
    timings["notebook"] = timings.notebook.str.partition(".")[0]
    peaks = timings.groupby("notebook").peak_mb.max()
    wall = span(now)
    busy = now.seconds.sum()
    lines = [
        "## The demo, second by second",
        "",
        "From the cell times of the [executed copies](../results/notebooks); seconds are summed "
        "over the executions of a notebook. "
        f"{WORKERS} workers finished in **{wall:.0f} s** ({span(before):.0f} s before), having "
        f"worked for {busy:.0f} s ({before.seconds.sum():.0f} s before).",
        "",
        f"The limit: {WORKERS} workers that never wait take {busy / WORKERS:.0f} s; "
        f"{busy / WORKERS / wall:.0%} of it is reached. Where two workers share a core each is "
        "slower beside the other, so that seconds of work count, not their order alone.",
        "",
        "| notebook | executions | s | before | of which kernel start | and imports | longest cells, s | peak, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, cells in now.groupby("notebook"):
        own = before[before.notebook == name]
        by_cell = cells.groupby("cell").seconds.sum()
        rest = by_cell.drop([START, IMPORTS]).nlargest(N_CELLS)
        longest = ", ".join(f"`{cell}` {seconds:.1f}" for cell, seconds in rest.items())
        row = [name, cells.execution.nunique(), *map(rounded, (by_cell.sum(), own.seconds.sum()))]
        row += [*map(rounded, by_cell[[START, IMPORTS]]), longest, f"{peaks[name]:,}"]
        lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def rounded(seconds):
    """Seconds for a table."""
    return f"{seconds:.0f}"


def cell_times(run):
    """Cell times of the executed copies of a run.

    Parameters
    ----------
    run : Path
        Folder with `notebooks/`.

    Returns
    -------
    DataFrame
        notebook, execution (number of its copy), begin (seconds since the run began), cell,
        seconds; a row named `start` for what lies between the cells: the start of the kernel.
    """
    rows = []
    for number, path in enumerate(sorted((run / "notebooks").glob("*.ipynb"))):
        copy = json.loads(path.read_text(encoding="utf-8"))
        whole = copy["metadata"]["papermill"]
        begin = datetime.fromisoformat(whole["start_time"]).timestamp()
        cells = {}
        for cell in copy["cells"]:
            seconds = cell["metadata"].get("papermill", {}).get("duration")
            if cell["cell_type"] == "code" and seconds:
                cells[cell["id"]] = seconds
        cells[START] = whole["duration"] - sum(cells.values())
        name = path.name.partition(".")[0]
        rows += [(name, number, begin, cell, seconds) for cell, seconds in cells.items()]
    table = pd.DataFrame(rows, columns=["notebook", "execution", "begin", "cell", "seconds"])
    table["begin"] -= table.begin.min()
    return table.round(2)


def span(table):
    """Seconds from the first start to the last end of a table of `cell_times`."""
    by_execution = table.groupby("execution")
    return (by_execution.begin.first() + by_execution.seconds.sum()).max()


if __name__ == "__main__":
    print(cell_times(Path(sys.argv[1])).to_csv(index=False), end="")
