"""A saved table of predictions, read without holding it: the best pairs, and means by tissue."""

import polars as pl


def best(path, n):
    """The best pair of each compound, best first.

    Parameters
    ----------
    path : path
        A parquet file that `lib.screen.save` wrote.
    n : int
        Compounds.

    Returns
    -------
    DataFrame
        The columns of `lib.screen.screen`; among pairs with equal predictions the first.
    """
    told = pl.scan_parquet(path).filter(pl.col("predicted").is_not_null())
    top = told.sort("predicted").unique("compound", keep="first", maintain_order=True).head(n)
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
    tissue = pl.from_pandas(lines[["cell_id", "tissue"]].dropna())
    kept = tissue.group_by("tissue").len().filter(pl.col("len") >= 5).select("tissue")
    rows = pl.scan_parquet(path).filter(pl.col("compound").is_in(list(compounds)))
    rows = rows.join(tissue.join(kept, on="tissue").lazy(), on="cell_id")
    means = rows.group_by("compound", "tissue").agg(pl.col("predicted").mean())
    table = (
        means.collect().to_pandas().pivot(index="compound", columns="tissue", values="predicted")
    )
    return table.reindex([name for name in compounds if name in table.index])
