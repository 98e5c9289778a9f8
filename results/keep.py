"""The reference run: a finished run of the demo copied into `results/`, its numbers in the README.

`make reference` calls it; a test holds the README to the committed tables, so no result is typed by
hand. Of two other profiles notebook 06 is kept: the larger, packed sweep in `results/reference/`,
the data set `gdsc` in `results/gdsc/`.

    python -m results.keep                                # the demo and the packed sweep
    python -m results.keep gdsc_analysis                  # what notebook 06 made of one profile
"""

import base64
import contextlib
import functools
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import spatial

from lib import files
from lib.paths import RESULTS, ROOT
from lib.run import schedule
from results import readme

LIST = "results/runs/.kept.json"  # in a checkout: sha256 of what this command wrote, by name
KINDS = ("tables", "figures", "notebooks")
ANALYSES = {
    "reference_analysis": "reference",
    "gdsc_analysis": "gdsc",
}  # profile: folder of what notebook 06 made of it
# Of the demo alone: what notebooks 01 to 05 and 07 write.
ELSEWHERE = (
    *("0[1-57]_*.ipynb", "nb0*", "fig5_*", "run_timeline*"),
    *("screen_*", "coverage.csv", "enrichment.csv", "hits.csv"),
)
# A link of a notebook to a page of notebooks/, as it stands in the source and in a copy.
BESIDE = re.compile(r"\]\((?:(?:\.\./)+notebooks/)?([\w-]+\.md)")
HEAVY = 400_000  # bytes; a drawing of so many points is kept as a picture alone
# Colours of a picture that stay as they are; the others become the nearest of 256. Without this the
# few marks of a legend take the colour of a cloud.
FREQUENT = 160


def refresh(run, root=ROOT):
    """Copy tables, figures and executed notebooks of a run, and render the README.

    Of the profiles in `ANALYSES` only what notebook 06 made is copied.

    Parameters
    ----------
    run : path
        `results/runs/<profile>` of a finished run.
    root : path
        The checkout.

    Raises
    ------
    FileNotFoundError
        If the run has not the table that is written last: it did not finish.
    ValueError
        If a file would be lost that this command did not write and that is not committed.
    """
    run, root = Path(run), Path(root)
    check(run, root)
    folder = ANALYSES.get(run.name, "")
    ignored = (".*", *ELSEWHERE) if folder else ()
    with staged(run, root / RESULTS.name / folder, root, ignored) as draft:
        if not folder:
            timings(run).to_csv(draft / "tables" / "timings.csv", index=False)
        tables = readme.folders(root / RESULTS.name) | {folder or "demo": draft / "tables"}
        text = readme.render((root / "README.md").read_text(), tables)
    files.write_text(root / "README.md", text)


def check(run, root=ROOT):
    """Refuse a run that did not finish, and to replace files that are somebody's own."""
    run = Path(run)
    root = Path(root)
    last = "verdicts.csv" if run.name in ANALYSES else "headline.csv"
    if not (run / "tables" / last).exists():
        raise FileNotFoundError(
            f"{run} has no tables/{last}: finish the run first "
            f"(python run_all.py --profile {run.name})"
        )
    if schedule.held(run):
        raise ValueError(f"{run} is held by a run that has not ended: wait for it or stop it")
    target = root / RESULTS.name / ANALYSES.get(run.name, "")
    require_own([path for kind in KINDS for path in (target / kind).rglob("*")], root)


def require_own(paths, root=ROOT):
    """Refuse to replace a file that these commands did not write and that is not committed."""
    written = files.read_json(root / LIST, dict) or {}
    foreign = []
    for path in sorted(path for path in paths if path.is_file()):
        name = os.path.relpath(path, root)
        if written.get(name) != files.sha256(path) and name not in committed(root):
            foreign.append(name)
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ValueError(
            f"{foreign[0]}{more} was not written by this command and is not committed: commit it "
            "or move it away; nothing was changed"
        )


@functools.cache
def committed(root):
    """Names of the files of a checkout that are as git has them."""
    found = []
    for command in (["ls-files", "-z"], ["diff", "HEAD", "--name-only", "-z", "--no-renames"]):
        done = subprocess.run(["git", "-C", str(root), *command], capture_output=True)
        found.append(set(done.stdout.decode().split("\0")) if not done.returncode else set())
    return found[0] - found[1]


@contextlib.contextmanager
def staged(run, target, root, ignored):
    """Copies of a run's folders beside their place; at the end they take the place of the old ones.

    A fault before the end changes nothing.
    """
    target.mkdir(parents=True, exist_ok=True)
    up = "../" * (1 + len(target.relative_to(root).parts))
    whole = Path(tempfile.mkdtemp(prefix=".keep.", dir=target))
    try:
        for kind in KINDS:
            shutil.copytree(run / kind, whole / kind, ignore=shutil.ignore_patterns(*ignored))
            lighten(whole / kind, up)
        yield whole
        (whole / "before").mkdir()
        for kind in KINDS:
            if (target / kind).exists():
                (target / kind).rename(whole / "before" / kind)
            (whole / kind).rename(target / kind)
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    remember([path for kind in KINDS for path in (target / kind).rglob("*")], root)


def remember(paths, root=ROOT):
    """Note what was written, so that the next time it may be replaced."""
    written = files.read_json(root / LIST, dict) or {}
    found = {os.path.relpath(path, root): files.sha256(path) for path in paths if path.is_file()}
    files.write_text(root / LIST, json.dumps(written | found, indent=0))


def lighten(folder, up):
    """Draw every picture of a folder, and of the notebooks in it, in at most 256 colours.

    A figure of the compendium has a few dozen colours and their shades at edges: a third of the
    bytes, and no difference to the eye. A drawing above `HEAVY` goes; its picture stays. Links of a
    notebook to a page beside its source lead there from where the copy will lie, `up` folders
    below the root.
    """
    for path in Path(folder).glob("*.svg"):
        if path.stat().st_size > HEAVY:
            path.unlink()
    for path in Path(folder).glob("*.png"):
        path.write_bytes(in_few_colours(path.read_bytes()))
    for path in Path(folder).glob("*.ipynb"):
        notebook = json.loads(path.read_text())
        record = notebook.get("metadata", {}).get("papermill", {})
        for name in ("input_path", "output_path"):  # of the machine that ran it
            if record.get(name):
                record[name] = Path(record[name]).name
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = relinked("".join(cell["source"]), f"{up}notebooks/")
                cell["source"] = text.splitlines(True)
            for output in cell.get("outputs", []):
                picture = output.get("data", {}).get("image/png")
                if picture:
                    small = in_few_colours(base64.b64decode("".join(picture)))
                    output["data"]["image/png"] = base64.b64encode(small).decode()
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def relinked(text, place):
    """Markdown of a notebook whose links to pages of notebooks/ lead to `place`."""
    return BESIDE.sub(rf"]({place}\1", text)


def in_few_colours(png):
    """A PNG with a palette of at most 256 colours, as bytes; the larger of the two is never taken."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    pixels = np.asarray(picture, int) @ [65536, 256, 1]
    seen, where, n = np.unique(pixels, return_inverse=True, return_counts=True)
    frequent = seen[np.argsort(-n, kind="stable")[:FREQUENT]]
    others = picture.quantize(256 - FREQUENT).getpalette()
    palette = np.concatenate([levels(frequent), np.reshape(others, (-1, 3))])
    nearest = spatial.cKDTree(palette).query(levels(seen))[1]
    few = Image.fromarray(nearest[where].reshape(pixels.shape).astype(np.uint8))
    few.putpalette(palette.astype(np.uint8).tobytes())
    written = io.BytesIO()
    few.save(written, "PNG", optimize=True)
    return min(written.getvalue(), png, key=len)


def levels(colours):
    """Red, green and blue of colours that are one number each: (n, 3)."""
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)


def timings(run):
    """Start (seconds after the first), seconds, peak memory and networks of each notebook."""
    rows = []
    for path in sorted((Path(run) / "done").glob("*.json")):
        found = files.read_json(path, dict) or {}
        if "seconds" not in found:  # no marker
            continue
        seconds, peak = round(found["seconds"], 1), round(found["peak_mb"])
        row = dict(notebook=path.stem, start=found["started"], seconds=seconds, peak_mb=peak)
        rows.append(row | {"n_runs": found.get("n_runs", 0)})
    table = pd.DataFrame(rows).assign(processor=processor())
    return table.assign(start=(table.start - table.start.min()).round(1))


def processor():
    """Name of this machine's processor."""
    facts = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", facts.read_text()) if facts.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def main(profiles):
    """Command line; every run is looked at before the first is copied. Returns the exit status."""
    runs = [RESULTS / "runs" / profile for profile in profiles or ("demo", "reference_analysis")]
    try:
        for run in runs:
            check(run)
        for run in runs:
            refresh(run)
    except (OSError, ValueError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
