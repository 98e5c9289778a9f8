"""From a number of notebook 07's tables back to the rows that it was computed from.

A recipe names a table of the work folder and the values that its rows have: `held_out.parquet` for
coverage and enrichment, a row per response that an ensemble predicted without having seen it, and
`hits.parquet` for hits. The members are the ensembles, which `model/model.json` describes.
"""

from pathlib import Path

import pandas as pd

from lib import addresses, files

PREFIX = "screen_"  # of the store, which lies beside that of notebook 06
HELD_OUT, HITS = "held_out.parquet", "hits.parquet"
BY = "by "  # before the name of a column of groups


def of_coverage(table):
    """The table of `conformal.coverage`, with what its addresses lead to: `reached`."""
    rows = [{"kind": row.kind, BY + row.by: row.group} for row in table.itertuples()]
    told = table[["level"]].assign(kind="coverage", metric="reached")
    return _addressed(table, HELD_OUT, rows, told, table.kind)


def of_enrichment(table):
    """The table of `enrichment.table`, with what its addresses lead to: `value`."""
    rows = [{"kind": kind, f"{BY}all": "all"} for kind in table.kind]
    told = table[["metric", "ranking"]].assign(kind="enrichment")
    return _addressed(table, HELD_OUT, rows, told, table.kind)


def of_hits(table):
    """The table of `hits.best`, with what its addresses lead to: `predicted`."""
    rows = table[["line", "compound", "drug_id"]].to_dict("records")
    told = table[[]].assign(kind="hit", metric="predicted")
    return _addressed(table, HITS, rows, told, table.newness)


def _addressed(table, file, rows, told, ensembles):
    recipes = told.assign(file=file, rows=rows).to_dict("records")
    return table.assign(recipe=recipes, members=[[name] for name in ensembles])


def lookup(address, out_dir, work_dir):
    """Where a number comes from.

    Parameters
    ----------
    address : str
        As in the `address` column of a table of notebook 07, "coverage-003".
    out_dir, work_dir : path

    Returns
    -------
    dict
        recipe; rows (DataFrame: those of `recipe["file"]` that the number is of); ensembles (names
        in `model/model.json`); inputs (sha256 of the file); stamp (data_hash, lib_hash); stale
        (sentences where the file changed since).

    Raises
    ------
    KeyError
        For an address that no table of this folder has.
    """
    recipe, members, sources = addresses.find(address, out_dir, PREFIX)
    name = recipe["file"]
    path = Path(work_dir) / name
    wanted = [(column, "==", value) for column, value in recipe["rows"].items()]
    inputs = {name: sources["inputs"][name]}
    return {
        "recipe": recipe,
        "rows": pd.read_parquet(path, filters=wanted),
        "ensembles": members.tolist(),
        "inputs": inputs,
        "stamp": sources["stamp"],
        "stale": addresses.changed(inputs, {name: files.sha256(path)}),
    }
