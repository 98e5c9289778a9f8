"""The ledger on disk: one folder per shard, written whole and then renamed; parts of an unfinished
shard beside it.

`sweep/<shard>/` holds runs.parquet, scores.parquet, times.parquet and, where kept, curves.parquet
and predictions.parquet. While a shard is being computed each finished stack is a folder below
`sweep/<shard>.parts/`, so that a killed process loses nothing that was finished. A folder that
cannot be read, or whose tables contradict each other, is set aside and named.

"""

import contextlib
import json
import os
import subprocess
import warnings
from pathlib import Path

import pandas as pd

from lib import files, tables
from lib.paths import ROOT
from lib.tables import COUNT, NUMBER, TEXT, Table

TIMES = "times.parquet"  # seconds of each run: apart, so that equal results are equal files
PART = "part-" + "[0-9]" * 5
CONTRACTS = {"runs": tables.RUNS, "scores": tables.SCORES}
RUN = {"run_id": TEXT}
BESIDE = {  # may be missing
    "curves": Table("curves", RUN | {"epoch": COUNT}, ("run_id", "epoch")),
    "predictions": Table("predictions", RUN | {"row": COUNT, "p": NUMBER}, ("run_id", "row")),
    "times": Table("times", RUN | {"seconds": NUMBER}, ("run_id",)),
}
KEYS = {name: list(contract.key) for name, contract in (CONTRACTS | BESIDE).items()}
SCORED = ("early_stop", "epoch_cap")


class Shard:
    """The folder of one shard and of its unfinished parts.

    Parameters
    ----------
    folder : Path
        `<work_dir>/sweep/<shard id>`.
    data_key : str
        Hash of the inputs; results of other inputs do not count as done.
    """

    def __init__(self, folder, data_key):
        self.folder = Path(folder)
        self.data_key = data_key
        self.parts = self.folder.with_name(self.folder.name + ".parts")
        self.others = _beside(self.folder, "others")  # finished runs that the grid no longer names

    def finished(self):
        """Tables of every finished run of the shard, by name; empty when there are none."""
        _recover(self.folder)
        candidates = [self.others, self.folder, *sorted(self.parts.glob(PART))]
        written = [folder for folder in candidates if any(folder.glob("*.parquet"))]
        found = [_read(folder, self.data_key) for folder in written]
        return merge([frames for frames in found if frames])

    def add(self, frames):
        """Write the tables of some finished runs as a part: whole or not at all."""
        there = [int(path.name[5:]) for path in self.parts.glob(PART)]
        _write(self.parts / f"part-{1 + max(there, default=0):05d}", frames)

    def holds(self, run_ids):
        """Whether the shard is written and has these runs and no others."""
        path = self.folder / "runs.parquet"
        return path.exists() and set(tables.read(path, columns=["run_id"]).run_id) == set(run_ids)

    def close(self, found, run_ids):
        """Write the whole shard, its other runs aside for a grid that names them again, and remove
        its parts.

        Parameters
        ----------
        found : list of dict of str to DataFrame
        run_ids : set of str

        Returns
        -------
        dict of str to DataFrame
            What the shard holds.
        """
        frames = merge(found)
        whole = only(frames, run_ids)
        others = set(frames["runs"].run_id) - run_ids
        if others:
            _write(self.others, only(frames, others))
        _write(self.folder, whole)
        if not others:
            _remove(self.others)
        for place in (".new", ".old", "."):
            for part in (self.parts / place).glob(PART):
                _remove(part)
            _remove(self.parts / place)
        return whole


def merge(found):
    """Join the tables of several parts, in the order of their keys; a run that occurs twice counts
    once, the last time.
    """
    merged = {}
    for name, key in KEYS.items():
        parts = [frames[name] for frames in found if name in frames]
        if parts:
            joined = pd.concat(parts, ignore_index=True).drop_duplicates(key, keep="last")
            merged[name] = joined.sort_values(key, ignore_index=True)
    return merged


def only(frames, run_ids):
    """The rows of some runs in every table."""
    chosen = {name: frame[frame.run_id.isin(run_ids)] for name, frame in frames.items()}
    return {name: frame.reset_index(drop=True) for name, frame in chosen.items()}


def _read(folder, data_key):
    """Tables of one folder; None for other inputs, or when it is corrupt (it is then set aside with
    a warning).
    """
    try:
        found = dict(zip(CONTRACTS, read(folder), strict=True))
        for name, contract in BESIDE.items():
            path = folder / f"{name}.parquet"
            if path.exists():
                found[name] = tables.read(path, contract)
    except tables.TableError as error:
        aside = _beside(folder, "corrupt")
        while aside.exists():
            aside = aside.with_name(f"{aside.name}.again")
        os.replace(folder, aside)
        warnings.warn(
            f"shard {folder.name} is corrupt and is computed again ({error}); see {aside}",
            stacklevel=2,
        )
        return None
    runs = found["runs"]
    if "times" in found:
        seconds = found.pop("times").set_index("run_id").seconds
        found["runs"] = runs.assign(seconds=runs.run_id.map(seconds))
    return found if (runs.data_key == data_key).all() else None


def read(folder):
    """Runs and scores of a shard or of a packed sweep, as their contracts have them.

    Raises
    ------
    TableError
        Naming the file and the column, or a finished run without scores.
    """
    found = {name: tables.read(folder / f"{name}.parquet") for name in CONTRACTS}
    faults = []
    for name, frame in found.items():
        for fault in tables.violations(frame, CONTRACTS[name])[:3]:
            faults.append(f"{folder.name}/{name}.parquet: {fault}")
    if faults:
        raise tables.TableError("; ".join(faults))
    runs, scores = found.values()
    unscored = set(runs.run_id[runs.status.isin(SCORED)]) - set(scores.run_id)
    if unscored:
        raise tables.TableError(
            f"{folder.name}: {len(unscored)} finished run(s) have no scores, first {min(unscored)}"
        )
    return runs, scores


def _write(folder, frames):
    """Write a folder of tables beside its place and rename it there; an older one is replaced only
    then.
    """
    temporary = _beside(folder, "new")
    old = _beside(folder, "old")
    _remove(temporary)
    try:
        for name, frame in frames.items():
            if "seconds" in frame:
                tables.write(frame[["run_id", "seconds"]], temporary / TIMES)
                frame = frame.drop(columns="seconds")
            tables.write(frame, temporary / f"{name}.parquet", CONTRACTS.get(name))
        if folder.exists():
            _remove(old)
            os.replace(folder, old)
        os.replace(temporary, folder)
    except OSError as error:
        raise OSError(
            f"cannot write {folder} ({error.strerror or error}); finished runs are kept: make "
            "room and start again"
        ) from error
    finally:
        _remove(temporary)
    _remove(old)
    if old.exists():  # what somebody laid there stays
        for path in old.iterdir():
            os.replace(path, folder / path.name)
        old.rmdir()


def _remove(folder):
    """Remove the files of a shard, and its folder if that is then empty."""
    for name in KEYS:
        (folder / f"{name}.parquet").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _beside(folder, kind):
    """Place for another version of a folder; one level down, where no reader of
    the ledger looks.
    """
    place = folder.parent / f".{kind}"
    place.mkdir(parents=True, exist_ok=True)
    return place / folder.name


def _recover(folder):
    """Put back a folder whose replacement was interrupted between the two renames."""
    old = _beside(folder, "old")
    if old.exists() and not folder.exists():
        os.replace(old, folder)


def declare(work_dir, shard_ids):
    """Write down which shards the grid of this run folder holds, so that those of an earlier grid
    are not read as its.

    Nothing that was trained is deleted: a grid that comes back finds its shards again.
    """
    files.write_text(
        Path(work_dir) / "sweep" / "grid.json", json.dumps(sorted(shard_ids), indent=0)
    )


def declared(work_dir):
    """Ids of the shards of the grid, or None where nobody wrote them down."""
    path = Path(work_dir) / "sweep" / "grid.json"
    if not path.exists():
        return None
    found = files.read_json(path, list[str])
    if found is None:
        raise tables.TableError(
            f"{path} is no list of shards: delete it and start run_all.py again"
        )
    return set(found)


def shard_folders(work_dir):
    """Folders of the finished shards below a work folder, and how many belong to an earlier grid
    and are left out.
    """
    found = sorted(path.parent for path in Path(work_dir).glob("sweep/*/runs.parquet"))
    wanted = declared(work_dir)
    mine = [folder for folder in found if wanted is None or folder.name in wanted]
    return mine, len(found) - len(mine)


def table_files(work_dir, packed=None):
    """Files that hold a sweep, by their path below the work folder, or below `sweep/` for a packed
    one.
    """
    if packed:
        return {f"sweep/{path.name}": path for path in sorted(Path(packed).glob("*.parquet"))}
    work_dir = Path(work_dir)
    found = sorted(work_dir.glob("sweep/*/*.parquet"))
    return {p.relative_to(work_dir).as_posix(): p for p in found if p.name != TIMES}


def commit():
    """Short git commit of the working tree ("+" when files differ from it), or "unknown"."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.check_output(
            [*git, "rev-parse", "--short", "HEAD"], text=True, stderr=subprocess.DEVNULL
        )
        changed = subprocess.call([*git, "diff", "--quiet", "HEAD", "--", "lib"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+" if changed else "")
