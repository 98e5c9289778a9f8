"""The reference run: a finished run of the demo copied into `results/`, and its numbers written into the README.

`make reference` calls it; a test holds the README to the committed tables, so no result is typed by hand. Of two other
profiles notebook 06 is kept: the larger, packed sweep in `results/reference/`, the data set `gdsc` in `results/gdsc/`.

    python -m results.keep                                # the demo and the packed sweep
    python -m results.keep gdsc                           # what notebook 06 made of one profile
"""

import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd

from lib.paths import RESULTS, ROOT

KINDS = ("tables", "figures", "notebooks")
ANALYSES = {
    "reference_analysis": "reference",
    "gdsc": "gdsc",
}  # profile: folder of what notebook 06 made of it
ELSEWHERE = ("nb0", "fig5_", "run_timeline")  # notebooks 01 to 05 write these
SHOWN = {"r2": "R²", "gain": "gain over mean effects", "npearson": "normalised r", "mcc": "MCC"}
SPLITS = {"on_cell": "unseen cell lines", "on_drug": "unseen drugs"}


def refresh(run, root=ROOT):
    """Copy tables, figures and executed notebooks of a run, and render the README.

    Parameters
    ----------
    run : path
        `results/runs/demo` of a finished run.
    root : path
        The checkout.

    Raises
    ------
    FileNotFoundError
        If the run has no headline table: it did not finish.
    """
    run, results = Path(run), Path(root) / RESULTS.name
    if not (run / "tables" / "headline.csv").exists():
        raise FileNotFoundError(
            f"{run} has no tables/headline.csv: finish the run first (python run_all.py)"
        )
    for kind in KINDS:
        shutil.rmtree(results / kind, ignore_errors=True)
        shutil.copytree(run / kind, results / kind)
    (results / "tables" / "timings.csv").write_text(timings(run).to_csv(index=False))
    readme = Path(root) / "README.md"
    readme.write_text(render(readme.read_text(), results / "tables"))


def refresh_analysis(run, root=ROOT):
    """Copy what notebook 06 made of a profile: tables, figures, the executed notebook.

    Parameters
    ----------
    run : path
        `results/runs/<profile>` of a finished run, the profile one of `ANALYSES`.
    root : path
        The checkout.

    Raises
    ------
    FileNotFoundError
        If notebook 06 did not finish.
    """
    run, target = Path(run), Path(root) / RESULTS.name / ANALYSES[Path(run).name]
    if not (run / "tables" / "verdicts.csv").exists():
        raise FileNotFoundError(
            f"{run} has no tables/verdicts.csv: run `python run_all.py --profile {run.name}` first"
        )
    shutil.rmtree(target, ignore_errors=True)
    for kind in KINDS:
        (target / kind).mkdir(parents=True)
        for path in sorted((run / kind).iterdir()):
            ours = (
                path.name.startswith("06_")
                if kind == "notebooks"
                else not path.name.startswith(ELSEWHERE)
            )
            if ours and path.is_file() and not path.name.startswith("."):
                shutil.copy(path, target / kind)


def timings(run):
    """Start (seconds after the first), seconds and peak memory of each notebook of a run, from its done-markers."""
    rows = []
    for path in sorted((Path(run) / "done").glob("*.json")):
        found = json.loads(path.read_text())
        if "seconds" not in found:  # the conductor keeps notes of its own beside the markers
            continue
        seconds, peak = round(found["seconds"], 1), round(found["peak_mb"])
        rows.append(dict(notebook=path.stem, start=found["started"], seconds=seconds, peak_mb=peak))
    table = pd.DataFrame(rows)
    return table.assign(start=(table.start - table.start.min()).round(1))


def render(text, tables):
    """The README with its `headline` and `timings` blocks made from the committed tables.

    Parameters
    ----------
    text : str
        README with lines ``<!-- headline -->`` … ``<!-- /headline -->`` and the same for `timings`.
    tables : path
        Folder with headline.csv and timings.csv.

    Returns
    -------
    str
    """
    tables = Path(tables)
    blocks = dict(
        headline=_headline(pd.read_csv(tables / "headline.csv")),
        timings=_timings(pd.read_csv(tables / "timings.csv")),
    )
    for name, block in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        if not pattern.search(text):
            raise ValueError(
                f"README.md has no block <!-- {name} --> … <!-- /{name} -->: restore the two lines"
            )
        text = pattern.sub(lambda found, block=block: found[1] + block + "\n" + found[2], text)
    return text


def _headline(table):
    lines = ["| rows that were never trained on | predictor | " + " | ".join(SHOWN.values()) + " |"]
    lines += ["|---|---|" + "---:|" * len(SHOWN)]
    for row in table[table.study == "All"].to_dict("records"):
        scores = [f"{row[name]:.3f}" if pd.notna(row[name]) else "n too small" for name in SHOWN]
        lines.append(
            f"| {SPLITS[row['split']]} | {row['predictor'].replace('_', ' ')} | "
            + " | ".join(scores)
            + " |"
        )
    first = table.drop_duplicates("split")
    for row in first.to_dict("records"):
        lines.append(
            f"\n{SPLITS[row['split']].capitalize()}: {row['n_networks']} networks, "
            f"{row['n_early_stop']} stopped by the rule, "
            f"{row['n_epoch_cap']} at the epoch cap, {row['n_diverged'] + row['n_failed']} diverged or failed; "
            f"{row['n']:,} test rows of {row['n_cells']:,} lines and {row['n_drugs']} drugs."
        )
    return "\n".join(lines)


def _timings(table):
    wall, peak = (table.start + table.seconds).max(), table.peak_mb.max()
    table = table.assign(notebook=table.notebook.str.split(".").str[0])
    grouped = table.groupby("notebook").agg(
        runs=("seconds", "size"), seconds=("seconds", "sum"), peak=("peak_mb", "max")
    )
    lines = ["| notebook | runs | seconds in all | peak memory, MB |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {row.runs:.0f} | {row.seconds:.0f} | {row.peak:.0f} |"
        for name, row in grouped.iterrows()
    ]
    lines.append(
        f"\nFrom the first start to the last end: {wall:.0f} s; the largest notebook took {peak:.0f} MB."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    for profile in sys.argv[1:] or ("demo", "reference_analysis"):
        (refresh_analysis if profile in ANALYSES else refresh)(RESULTS / "runs" / profile)
