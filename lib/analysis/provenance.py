"""The address of every number: from a cell of a table to its runs, their specs, the inputs' hashes
and the versions.

A table is built with three hidden columns: `recipe` (how the number follows from scores), `members`
(the configurations or runs it rests on) and, once saved, `address` ("table1_snp-003"). `save`
writes the table as CSV with the address and two hashes beside each number, and adds the recipes to
one store per results folder. `lookup` leads back. Both take `sweep`, the folder of a packed sweep.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, paths, tables
from lib.analysis import configurations
from lib.sweep import ledger as store

STORE, GROUPS = "addresses.parquet", "address_members.parquet"


def input_hashes(work_dir, sweep=None):
    """sha256 of every table that notebook 06 reads, by path below the work folder (or `sweep/` of a
    packed sweep).
    """
    work_dir = Path(work_dir)
    names = ("fits.parquet", "cells.parquet", "cell_types.parquet")
    found = {name: work_dir / name for name in names}
    found |= store.table_files(work_dir, sweep)
    return {
        name: _hash_now(path, path.stat().st_mtime_ns)
        for name, path in found.items()
        if path.exists()
    }


@lru_cache(maxsize=4096)
def _hash_now(path, _changed):
    return files.sha256(path)


def _ledger(work_dir, sweep):
    """The ledger of a folder, read once while its files stay as they are."""
    return _ledger_now(
        str(work_dir), str(sweep or ""), tuple(input_hashes(work_dir, sweep).items())
    )


@lru_cache(maxsize=1)
def _ledger_now(work_dir, sweep, _inputs):
    return configurations.load(work_dir, sweep or None)


def library_hash():
    """One hash of every module of `lib`, short."""
    digest = hashlib.sha256()
    for path in sorted((paths.ROOT / "lib").rglob("*.py")):
        digest.update(path.relative_to(paths.ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def combined(hashes):
    """One short hash of many."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]


def joined(parts, columns):
    """Tables of one kind below each other; without a row, the empty table."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def addressed(table, value, members, by=("study",), **recipe):
    """A table with the address of the number in its column `value`.

    `recipe` (with the row's own values of the columns `by`) and `members` are added; a row without
    the number gets no recipe.
    """
    known = np.isfinite(table[value].to_numpy(float))
    places = table[list(by)].to_dict("records")
    recipes = [recipe | place if has else None for place, has in zip(places, known, strict=True)]
    return table.assign(
        recipe=pd.Series(recipes, table.index, dtype=object),
        members=pd.Series([members] * len(table), table.index, dtype=object),
    )


class Book:
    """Writes tables of one results folder and remembers the address of each of their numbers.

    Parameters
    ----------
    out_dir, work_dir : path
        Results folder (tables go to `tables/` in it) and the folder of the tables that the analysis
        read.
    sweep : path, optional
        Folder of a packed sweep.
    """

    def __init__(self, out_dir, work_dir, sweep=None):
        self.folder = Path(out_dir) / "tables"
        self.inputs = input_hashes(work_dir, sweep)
        self.stamp = dict(data_hash=combined(self.inputs), lib_hash=library_hash())
        self.recipes, self.groups, self.files, self._known = [], {}, {}, {}

    def save(self, frame, name):
        """Write a table whose rows carry `recipe` and `members`; return it as written.

        Parameters
        ----------
        frame : DataFrame
            `recipe` holds dicts (`kind`, `metric`, `study`, …) or None; `members` lists of
            configuration or run ids.
        name : str
            File name without its ending.
        """
        frame = frame.reset_index(drop=True)
        shown = frame.drop(columns=["recipe", "members"], errors="ignore")
        if "recipe" in frame:
            has = frame["recipe"].map(lambda recipe: isinstance(recipe, dict))
            shown["address"] = [
                f"{name}-{row:03d}" if known else "" for row, known in enumerate(has)
            ]
            for row in frame.assign(address=shown["address"])[has].itertuples():
                self._remember(row)
        shown = shown.assign(**self.stamp)
        path = self.folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(path) as part:
            shown.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
        self.files[name] = dict(file=path.name, rows=len(shown), sha256=files.sha256(path))
        return shown

    def _remember(self, row):
        key = id(row.members)  # rows of one table share their lists: hash each once
        if key not in self._known:
            members = sorted(row.members)
            self._known[key] = row.members, combined(members)
            self.groups[self._known[key][1]] = members
        members, group = self._known[key]
        self.recipes.append(
            dict(address=row.address, group=group, recipe=json.dumps(row.recipe), n=len(members))
        )

    def close(self):
        """Write the store of addresses and `sources.json`; return the table of files written."""
        store = pd.DataFrame(self.recipes, columns=["address", "group", "recipe", "n"])
        members = [(group, member) for group, own in self.groups.items() for member in own]
        tables.write(store, self.folder / STORE)
        frame = pd.DataFrame(members, columns=["group", "member"])
        tables.write(frame, self.folder / GROUPS)
        sources = dict(self.stamp, inputs=self.inputs, tables=self.files)
        files.write_text(self.folder / "sources.json", json.dumps(sources, indent=1))
        return pd.DataFrame(self.files.values())


def lookup(address, out_dir, work_dir, sweep=None):
    """Where a number comes from.

    Parameters
    ----------
    address : str
        As in the `address` column of a table, "table1_snp-003".
    out_dir, work_dir, sweep : path

    Returns
    -------
    dict
        recipe; runs (DataFrame: run_id, shard, every setting, status, commit, torch, data_key);
        inputs (sha256 of the files that hold them); stamp (data_hash, lib_hash); stale (sentences
        where the inputs changed since).

    Raises
    ------
    KeyError
        For an address that no table of this folder has.
    """
    folder = Path(out_dir) / "tables"
    store = pd.read_parquet(folder / STORE).set_index("address")
    if address not in store.index:
        known = store.index[:3].tolist()
        said = f"no number has the address {address!r} in {folder.name}; for example {known}"
        raise KeyError(said)
    entry = store.loc[address]
    groups = pd.read_parquet(folder / GROUPS)
    members = groups.loc[groups["group"] == entry["group"], "member"]
    runs = _ledger(work_dir, sweep).runs
    runs = runs[runs["configuration"].isin(members) | runs["run_id"].isin(members)]
    recipe = json.loads(entry["recipe"])
    wanted = {recipe.get("file"), "fits.parquet" if recipe["kind"] == "transfer" else None}
    for folder_of in {"sweep"} if sweep else {f"sweep/{shard}" for shard in runs["shard"]}:
        wanted |= {f"{folder_of}/runs.parquet", f"{folder_of}/scores.parquet"}
    if runs.empty:
        wanted -= {"sweep/runs.parquet", "sweep/scores.parquet"}
    sources = json.loads((folder / "sources.json").read_text())
    now = input_hashes(work_dir, sweep)
    inputs = {name: sources["inputs"][name] for name in sorted(wanted & set(sources["inputs"]))}
    changed = [name for name, digest in inputs.items() if now.get(name) != digest]
    stale = [f"{name} has changed since" for name in changed]
    stamp = {name: sources[name] for name in ("data_hash", "lib_hash")}
    return dict(recipe=recipe, runs=runs, inputs=inputs, stamp=stamp, stale=stale)


def describe(address, out_dir, work_dir, sweep=None):
    """One line on where a number comes from, for a reader.

    Returns
    -------
    str
    """
    found = lookup(address, out_dir, work_dir, sweep)
    runs = found["runs"]
    parts = [f"{name} {value}" for name, value in found["recipe"].items()]
    parts.append(f"{len(runs)} runs in {runs['shard'].nunique()} shard(s)")
    for name in [version for version in configurations.VERSIONS if version in runs]:
        parts.append(f"{name} {', '.join(sorted(runs[name].astype(str).unique()))}")
    parts += [f"{name} {value}" for name, value in found["stamp"].items()]
    return f"{address}: {'; '.join([*parts, *found['stale']])}"
