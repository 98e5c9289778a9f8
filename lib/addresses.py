"""The address of every number: tables of a results folder, and a store of where their numbers come
from.

A table is built with two hidden columns: `recipe` (how a number follows from what it rests on) and
`members` (the configurations, runs or ensembles behind it). `Book.save` writes the table as CSV
with an address ("table1_snp-003") and two hashes in every row; `Book.close` writes the store;
`find` reads it.
"""

import hashlib
import json
from pathlib import Path

import pandas as pd

from lib import files, paths, tables

STORE, GROUPS, SOURCES = "addresses.parquet", "address_members.parquet", "sources.json"


def library_hash():
    """One hash of every module of `lib`, short."""
    digest = hashlib.sha256()
    for path in sorted((paths.ROOT / "lib").rglob("*.py")):
        digest.update(path.relative_to(paths.ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def combined(hashes):
    """One short hash of many."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]


class Book:
    """Writes tables of one notebook and remembers the address of each of their numbers.

    Parameters
    ----------
    out_dir : path
        Results folder; tables go to `tables/` in it.
    inputs : dict of str to str
        sha256 of every table that the notebook read.
    prefix : str
        Of the names of the store's files, where another notebook writes to the same folder.
    """

    def __init__(self, out_dir, inputs, prefix=""):
        self.folder = Path(out_dir) / "tables"
        self.inputs = inputs
        self.prefix = prefix
        self.stamp = dict(data_hash=combined(inputs), lib_hash=library_hash())
        self.recipes, self.groups, self.files, self._known = [], {}, {}, {}

    def save(self, frame, name):
        """Write a table whose rows carry `recipe` and `members`; return it as written.

        Parameters
        ----------
        frame : DataFrame
            `recipe` holds dicts (`kind`, `metric`, `study`, …) or None; `members` lists of
            ids of configurations or runs, or of names of ensembles.
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

    def close(self, *made):
        """Write the store, and the hashes of what was read and written.

        Parameters
        ----------
        *made : path
            Tables that the notebook made on its way and that recipes name by file.

        Returns
        -------
        DataFrame
            file, rows, sha256 of each table written.
        """
        store = pd.DataFrame(self.recipes, columns="address group recipe n".split())
        members = [(group, member) for group, own in self.groups.items() for member in own]
        groups = pd.DataFrame(members, columns=["group", "member"])
        tables.write(store, self.folder / f"{self.prefix}{STORE}")
        tables.write(groups, self.folder / f"{self.prefix}{GROUPS}")
        inputs = self.inputs | {path.name: files.sha256(path) for path in made}
        sources = dict(self.stamp, inputs=inputs, tables=self.files)
        files.write_text(self.folder / f"{self.prefix}{SOURCES}", json.dumps(sources, indent=1))
        return pd.DataFrame(self.files.values())


def find(address, out_dir, prefix=""):
    """What the store of a results folder holds on a number.

    Returns
    -------
    recipe : dict
    members : Series of str
    sources : dict
        stamp (data_hash, lib_hash), inputs (sha256 by file) and tables.

    Raises
    ------
    KeyError
        For an address that no table of this folder has.
    """
    folder = Path(out_dir) / "tables"
    store = pd.read_parquet(folder / f"{prefix}{STORE}").set_index("address")
    if address not in store.index:
        known = store.index[:3].tolist()
        said = f"no number has the address {address!r} in {folder.name}; for example {known}"
        raise KeyError(said)
    entry = store.loc[address]
    groups = pd.read_parquet(folder / f"{prefix}{GROUPS}")
    members = groups.loc[groups["group"] == entry["group"], "member"]
    sources = json.loads((folder / f"{prefix}{SOURCES}").read_text())
    sources["stamp"] = {name: sources[name] for name in ("data_hash", "lib_hash")}
    return json.loads(entry["recipe"]), members, sources


def changed(inputs, now):
    """A sentence for each table whose hash is not what was recorded."""
    different = [name for name, digest in inputs.items() if now.get(name) != digest]
    return [f"{name} has changed since" for name in different]
