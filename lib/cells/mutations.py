"""Mutations of cell lines as features: counts, 0/1 events and shares, never mixed (paper section 4.2.1)."""

import numpy as np
import pandas as pd

from lib.cells.expression import gene_columns

PROTEIN_CHANGING = tuple(
    "Missense_Mutation Nonsense_Mutation Nonstop_Mutation Splice_Site Frame_Shift_Del Frame_Shift_Ins In_Frame_Del "
    "In_Frame_Ins Start_Codon_SNP Start_Codon_Del Start_Codon_Ins Stop_Codon_Del Stop_Codon_Ins De_novo_Start_InFrame "
    "De_novo_Start_OutOfFrame Translation_Start_Site".split()
)  # Variant_Classification of the MAF format, both vintages


def snp_counts(
    maf, cells=None, classes=PROTEIN_CHANGING, types=("SNP",), cell="Tumor_Sample_Barcode"
):
    """Mutations per cell line and gene from a MAF table (the paper counts SNPs; it does not mark presence).

    Parameters
    ----------
    maf : DataFrame
        One row per variant: `Hugo_Symbol`, `Variant_Classification`, `Variant_Type` and the column `cell`.
    cells : sequence of str, optional
        The assessed lines: a line without a variant keeps a row of zeros, a variant of any other line is set aside.
        By default the lines that the table names.
    classes, types : sequence of str or None
        Variant classes and types to count; None counts every one, silent ones included.
    cell : str
        Column that names the line.

    Returns
    -------
    counts : DataFrame of shape (n_cells, n_genes), float32
        Index `cell_id`, genes in alphabetical order.
    left_out : DataFrame
        reason, n_variants, example: every variant that was not counted, by reason.

    Raises
    ------
    ValueError
        If a column is missing, or a class or type to count does not occur anywhere.
    """
    needed = {"Hugo_Symbol", "Variant_Classification", "Variant_Type", cell}
    if not needed <= set(maf.columns):
        raise ValueError(
            f"a MAF table needs {sorted(needed)}, {sorted(needed - set(maf.columns))} missing"
        )
    wanted = {"Variant_Classification": classes, "Variant_Type": types}
    reasons = pd.Series("", index=maf.index)
    for column, values in wanted.items():
        if values is None:
            continue
        if not maf[column].isin(values).any():
            raise ValueError(
                f"no variant has {column} in {list(values)}; found {sorted(maf[column].dropna().unique())}"
            )
        reasons = reasons.mask(
            (reasons == "") & ~maf[column].isin(values), column + " " + maf[column].astype(str)
        )
    cells = sorted(maf[cell].dropna().unique()) if cells is None else list(cells)
    reasons = reasons.mask(
        maf.Hugo_Symbol.isna() | (maf.Hugo_Symbol == "Unknown"), "no gene symbol"
    )
    reasons = reasons.mask(
        ~maf[cell].isin(cells), "cell line not assessed or unknown: add it to the cell table"
    )
    used, lost = maf[reasons == ""], maf[reasons != ""]
    counts = used.groupby([cell, "Hugo_Symbol"], observed=True).size().unstack(fill_value=0)
    counts = counts.reindex(cells, fill_value=0).sort_index(axis=1).astype(np.float32)
    left_out = (
        lost.assign(reason=reasons)
        .groupby("reason")[cell]
        .agg(n_variants="size", example="first")
        .reset_index()
    )
    return counts.rename_axis("cell_id").rename_axis(None, axis=1), left_out


def split_mutations(mutations, scales):
    """Mutation tables by kind: counts, 0/1 events and shares are different features and never share a table.

    Parameters
    ----------
    mutations : dict of str to DataFrame
        By source: `cell_id`, `mutation_source`, gene columns; NaN = not assessed.
    scales : dict of str to str
        Declared by the source: begins with "count", "0/1" or "per cent" (of a gene's change, CellMiner's exome).

    Returns
    -------
    dict of str to DataFrame
        "counts", "binary" and "percent", as far as there is one; genes of several sources side by side, NaN where not
        assessed.

    Raises
    ------
    ValueError
        For an undeclared kind, or an event that is neither 0 nor 1.
    """
    words, kinds = {"count": "counts", "0/1": "binary", "per cent": "percent"}, {}
    for source, frame in mutations.items():
        scale = scales.get(source, "")
        kind = next((kind for word, kind in words.items() if scale.startswith(word)), None)
        if kind is None:
            raise ValueError(
                f"mutations of {source} declare {scale!r}: name them 'count …', '0/1 event' or 'per cent …'"
            )
        values = frame[gene_columns(frame)].to_numpy()
        wrong = (
            values[~(np.isin(values, (0, 1)) | np.isnan(values))]
            if kind == "binary"
            else values[values < 0]
        )
        if wrong.size:
            raise ValueError(
                f"mutations of {source} are declared {scale!r} but hold {wrong[0]:g}: check the table"
            )
        kinds.setdefault(kind, []).append(frame)
    return {kind: pd.concat(frames, ignore_index=True) for kind, frames in kinds.items()}


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
    """The burden of every line in each table of `split_mutations`, with the table's `kind`; no row if there is none."""
    none = pd.DataFrame(columns=["cell_id", "mutation_source", "n_mutations", "kind"])
    return (
        pd.concat([burden(frame).assign(kind=kind) for kind, frame in snp.items()]) if snp else none
    )


def mask_unsequenced(counts, minimum):
    """Mark lines with hardly any mutation as not assessed: their zeros mean that nobody looked.

    A release can mix assays: in CCLE's table some lines were typed at hot spots of 13 genes only (OncoMap) and carry 1
    to 3 mutations, while no sequenced line has fewer than 15.

    Parameters
    ----------
    counts : DataFrame
        `cell_id`, `mutation_source`, genes.
    minimum : int
        Lines with fewer mutations in all become NaN; 0 keeps every line.

    Returns
    -------
    masked : DataFrame
        Same rows.
    set_aside : DataFrame
        cell_id, mutation_source, n_mutations of the lines that were masked.
    """
    total, masked = burden(counts), counts.copy()
    low = total.n_mutations < minimum
    masked.loc[low, gene_columns(counts)] = np.nan
    return masked, total[low].reset_index(drop=True)
