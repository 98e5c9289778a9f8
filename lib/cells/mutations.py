"""Mutations of cell lines as features: counts, 0/1 events and shares, never mixed (section 4.2)."""

import numpy as np
import pandas as pd

from lib.cells.expression import gene_columns

# How a declared scale begins, and the kind of table that it makes.
KINDS = {"count": "counts", "0/1": "binary", "per cent": "percent"}
LARGEST = {"counts": 1e6, "binary": 1, "percent": 100}
BURDEN = ["cell_id", "mutation_source", "n_mutations"]


def split_mutations(mutations, scales):
    """Mutation tables by kind: counts, 0/1 events and shares are different features.

    Parameters
    ----------
    mutations : dict of str to DataFrame
        By source: `cell_id`, `mutation_source`, gene columns; NaN = not assessed.
    scales : dict of str to str
        Declared by the source: begins with "count", "0/1" or "per cent" (of a gene's change,
        CellMiner's exome).

    Returns
    -------
    dict of str to DataFrame
        "counts", "binary" and "percent", in this order, as far as there is one; genes of several
        sources side by side, NaN where not assessed.

    Raises
    ------
    ValueError
        For an undeclared kind, an event that is neither 0 nor 1, a count that is not whole, a share
        above 100, or a negative value.
    """
    kinds = {}
    for source, frame in mutations.items():
        scale = scales.get(source, "")
        kind = _kind(source, scale)
        values = frame[gene_columns(frame)].to_numpy()
        known = values[~np.isnan(values)]
        wrong = known[(known < 0) | (known > LARGEST[kind])]
        if kind != "percent" and not wrong.size:
            wrong = known[known % 1 != 0]
        if wrong.size:
            raise ValueError(
                f"mutations of {source} are declared {scale!r} but hold {wrong[0]:g}: "
                "check the table"
            )
        kinds.setdefault(kind, []).append(frame)
    return {
        kind: pd.concat(kinds[kind], ignore_index=True) for kind in KINDS.values() if kind in kinds
    }


def _kind(source, scale):
    for beginning, kind in KINDS.items():
        if scale.startswith(beginning):
            return kind
    raise ValueError(
        f"mutations of {source} declare {scale!r}: name them 'count …', '0/1 event' or 'per cent …'"
    )


def burden(mutations):
    """Mutations of each row's line over its assessed genes, missing where none was assessed.

    Returns
    -------
    DataFrame
        cell_id, mutation_source, n_mutations.
    """
    total = mutations[gene_columns(mutations)].sum(axis=1, min_count=1)
    return mutations[["cell_id", "mutation_source"]].assign(n_mutations=total)


def burdens(snp):
    """The burden of every line in each table of `split_mutations`, with the table's `kind`."""
    if not snp:
        return pd.DataFrame(columns=[*BURDEN, "kind"])
    return pd.concat([burden(frame).assign(kind=kind) for kind, frame in snp.items()])


def burden_by_study(snp, cell_names):
    """The burden of the lines that each study screened, in the first table that assessed a line.

    Parameters
    ----------
    snp : dict of str to DataFrame
        From `split_mutations`: the table of counts, where there is one, goes before the others.
    cell_names : DataFrame
        study, cell_id.

    Returns
    -------
    DataFrame
        study, cell_id, mutation_source, n_mutations, kind: the assessed lines, once per study.
    """
    table = burdens(snp).dropna()
    first = table[table.kind.isin(table.kind.head(1))]
    screened = cell_names[["study", "cell_id"]].drop_duplicates()
    return screened.merge(first, on="cell_id")


def mask_unsequenced(snp, minimum):
    """Mark lines with hardly any mutation as not assessed: their zeros mean that nobody looked.

    A release can mix assays: in CCLE's table some lines were typed at hot spots of 13 genes only
    (OncoMap) and carry 1 to 3 mutations, while no sequenced line has fewer than 15.

    Parameters
    ----------
    snp : dict of str to DataFrame
        From `split_mutations`.
    minimum : int
        Lines whose counts sum to less become NaN in the table of counts; 0 keeps every line.

    Returns
    -------
    masked : dict of str to DataFrame
        Same tables, same rows.
    set_aside : DataFrame
        cell_id, mutation_source, n_mutations of the lines that were masked.
    """
    if "counts" not in snp:
        return snp, pd.DataFrame(columns=BURDEN)
    counts = snp["counts"].copy()
    total = burden(counts)
    low = total.n_mutations < minimum
    counts.loc[low, gene_columns(counts)] = np.nan
    return snp | dict(counts=counts), total[low].reset_index(drop=True)
