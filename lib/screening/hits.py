"""A saved table of predictions, read without holding it: the best pairs, and means by tissue."""

import pandas as pd
import polars as pl


def best(path, n):
    """The best pair of each compound and kind of newness: kind after kind, each best first.

    Parameters
    ----------
    path : path
        A parquet file that `lib.screen.save` wrote.
    n : int
        Compounds of each kind.

    Returns
    -------
    DataFrame
        The columns of `lib.screen.screen`; among pairs with equal predictions the first.
    """
    told = pl.scan_parquet(path).filter(pl.col("predicted").is_not_null())
    each = ["newness", "compound"]
    best_of = told.sort("newness", "predicted", maintain_order=True).unique(
        each, keep="first", maintain_order=True
    )
    top = best_of.filter(pl.col("compound").cum_count().over("newness") <= n)
    return top.collect(engine="streaming").to_pandas()


def by_tissue(path, lines, compounds):
    """Mean predicted AUC of some compounds on the lines of each tissue.

    Parameters
    ----------
    path : path
        As in `best`.
    lines : DataFrame
        cell_id, tissue; lines of no tissue are left out.
    compounds : sequence of str

    Returns
    -------
    DataFrame
        A row per compound, in the order given, a column per tissue with five lines or more.
    """
    tissue = lines.set_index("cell_id").tissue.dropna()
    tissue = tissue[tissue.map(tissue.value_counts()) >= 5]
    rows = pd.read_parquet(
        path,
        columns=["compound", "cell_id", "predicted"],
        filters=[("compound", "in", list(compounds))],
    )
    rows["tissue"] = rows.cell_id.map(tissue)
    table = rows.pivot_table("predicted", "compound", "tissue")
    return table.reindex([name for name in compounds if name in table.index])
