"""The address of every number: from a cell of a table to its runs, their specs, the inputs' hashes
and the versions.

`lib.addresses.Book` writes the tables; `lookup` leads back from an address. `sweep` is the folder of
a packed sweep.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib import addresses, files
from lib.analysis import configurations
from lib.sweep import ledger as store


def input_hashes(work_dir, sweep=None):
    """sha256 of every table that notebook 06 reads, by path below the work folder (or `sweep/` of a
    packed sweep).
    """
    names = ("fits.parquet", "cells.parquet", "cell_types.parquet")
    found = {name: Path(work_dir) / name for name in names}
    found |= store.table_files(work_dir, sweep)
    return {name: files.sha256(path) for name, path in found.items() if path.exists()}


def joined(parts, columns):
    """Tables of one kind below each other; without a row, the empty table."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def addressed(table, value, members=None, by=("study",), **recipe):
    """A table with the address of the number in its column `value`.

    `recipe` (with the row's own values of the columns `by`) is added, and `members` where the table
    has none of its own; a row without the number gets no recipe.
    """
    if members is not None:
        table = table.assign(members=pd.Series([members] * len(table), table.index, dtype=object))
    known = np.isfinite(table[value].to_numpy(float))
    places = table[list(by)].to_dict("records")
    recipes = [recipe | place if has else None for place, has in zip(places, known, strict=True)]
    return table.assign(recipe=pd.Series(recipes, table.index, dtype=object))


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
    recipe, members, sources = addresses.find(address, out_dir)
    now = input_hashes(work_dir, sweep)
    runs = _ledger(work_dir, sweep, tuple(now.values())).runs
    runs = runs[runs.configuration.isin(members) | runs.run_id.isin(members)]
    wanted = {recipe.get("file"), "fits.parquet" if recipe["kind"] == "transfer" else None}
    for shard in runs.shard.unique():
        place = "sweep" if sweep else f"sweep/{shard}"
        wanted |= {f"{place}/runs.parquet", f"{place}/scores.parquet"}
    inputs = {name: sources["inputs"][name] for name in sorted(wanted & set(sources["inputs"]))}
    stale = addresses.changed(inputs, now)
    return dict(recipe=recipe, runs=runs, inputs=inputs, stamp=sources["stamp"], stale=stale)


@lru_cache(maxsize=1)
def _ledger(work_dir, sweep, _inputs):
    """The ledger of a folder, read once while its files stay as they are."""
    return configurations.load(work_dir, sweep)


def describe(address, out_dir, work_dir, sweep=None):
    """One line on where a number comes from, for a reader.

    Returns
    -------
    str
    """
    found = lookup(address, out_dir, work_dir, sweep)
    runs = found["runs"]
    parts = [f"{name} {value}" for name, value in found["recipe"].items()]
    parts.append(f"{len(runs)} runs in {runs.shard.nunique()} shard(s)")
    for name in configurations.VERSIONS:
        parts.append(f"{name} {', '.join(sorted(runs[name].astype(str).unique()))}")
    parts += [f"{name} {value}" for name, value in found["stamp"].items()]
    return f"{address}: {'; '.join([*parts, *found['stale']])}"
