"""CCLE: the Broad Institute's 24-compound screen, DepMap and CCLE expression, mutations and models.

Doses are in µM and responses in per cent change from the untreated control (0 no effect, -100 nothing left).
"""

import numpy as np
import pandas as pd

from lib.screens import delimited, doses, expression, variants
from lib.screens.delimited import ID, MAYBE_TEXT, TEXT, Layout
from lib.tables import TableError

STUDY = "CCLE"
FILES = {
    "responses": "CCLE_NP24.2009_Drug_data_2015.02.24.csv",
    "drugs": "CCLE_NP24.2009_profiling_2012.02.20.csv",
    "cells": "Model.csv",
    "expression": "OmicsExpressionProteinCodingGenesTPMLogp1.csv",
    "mutations": "OmicsSomaticMutations.csv",
}
DOSES, ACTIVITY, SD = "Doses (uM)", "Activity Data (median)", "Activity SD"
RAW = Layout(
    "the CCLE table of raw doses, CCLE_NP24.2009_Drug_data_2015.02.24.csv",
    {
        "CCLE Cell Line Name": ID,
        "Primary Cell Line Name": ID,
        "Compound": ID,
        DOSES: TEXT,
        ACTIVITY: TEXT,
        SD: MAYBE_TEXT,
    },
)
COMPOUNDS = Layout(
    "the CCLE table of compounds",
    {
        "Compound (code or generic name)": TEXT,
        "Target(s)": MAYBE_TEXT,
        "Mechanism of action": MAYBE_TEXT,
    },
    lossy=True,
)
# DepMap's Model.csv, and the annotation file of the 2019 CCLE paper
MODEL = dict(
    cell_name="CellLineName",
    source_cell_id="CCLEName",
    depmap_id="ModelID",
    cellosaurus_id="RRID",
    tissue="OncotreeLineage",
    cancer_type="OncotreePrimaryDisease",
)
ANNOTATION = dict(
    cell_name="Name",
    source_cell_id="CCLE_ID",
    depmap_id="depMapID",
    cellosaurus_id=None,
    tissue="Site_Primary",
    cancer_type="Histology",
)


def read_responses(path, conflicts="error"):
    """Raw dose series, one row per cell, compound and dose.

    Parameters
    ----------
    path : path
        `CCLE_NP24.2009_Drug_data_2015.02.24.csv`, plain or gzip.
    conflicts : {"error", "mean"}

    Returns
    -------
    DataFrame
        `curves.COLUMNS`, `source_cell_id` (the CCLE name with its tissue) and `growth_sd`.

    Raises
    ------
    TableError
        Naming file, line and value: a wrong header, a cut list, a dose out of range, a repeated curve.
    """
    import polars as pl

    path = delimited.exists(path)
    raw = delimited.read(path, RAW)
    lists = raw.with_columns(pl.col(DOSES, ACTIVITY, SD).str.split(",")).with_row_index("line", 2)
    unequal = lists.filter(pl.col(DOSES).list.len() != pl.col(ACTIVITY).list.len())
    if unequal.height:
        bad = unequal.row(0, named=True)
        raise TableError(
            f"{path.name}, line {bad['line']}: {len(bad[DOSES])} doses but {len(bad[ACTIVITY])} activities for "
            f"{bad['CCLE Cell Line Name']} and {bad['Compound']}; restore the quoted lists"
        )
    sd = pl.when(pl.col(SD).list.len() == pl.col(DOSES).list.len()).then(pl.col(SD))
    sd = sd.otherwise(pl.lit(None, pl.String).repeat_by(pl.col(DOSES).list.len()))
    long = lists.with_columns(sd).explode(DOSES, ACTIVITY, SD)
    um = _numbers(long, DOSES, path, 1e-6, 1e4, "doses are µM; multiply molar ones by 1e6")
    change = _numbers(
        long, ACTIVITY, path, -1000, 1000, "activity is per cent change; multiply fractions by 100"
    )
    rows = long.select(
        cell_name="Primary Cell Line Name",
        source_cell_id="CCLE Cell Line Name",
        drug_name="Compound",
        dose=pl.Series(6 - np.log10(um)),
        growth=pl.Series(1 + change / 100),
        growth_sd=pl.col(SD).str.strip_chars().cast(pl.Float64, strict=False) / 100,
    )
    series = doses.Series(
        STUDY, "CCLE", ("source_cell_id", "drug_name"), ("source_cell_id",), ("growth_sd",)
    )
    return doses.finish(rows, series, doses.Refused(delimited.stem(path)), conflicts)


def _numbers(long, name, path, low, high, remedy):
    """Values of an exploded list as numbers; an error names the line, the list's column and the value."""
    import polars as pl

    values = long[name].str.strip_chars().cast(pl.Float64, strict=False)
    bad = values.is_null() | ~values.is_between(low, high)
    if bad.any():
        row = long.filter(bad).row(0, named=True)
        raise TableError(
            f"{path.name}, line {row['line']}: column {name!r} holds {row[name]!r}; every value must be a number from "
            f"{low:g} to {high:g}; {remedy}"
        )
    return values.to_numpy()


def read_drugs(path):
    """Compounds of the screen; the release has no SMILES.

    Returns
    -------
    DataFrame
        study, drug_name, source_drug_id, smiles (missing), target.
    """
    raw = delimited.read(path, COMPOUNDS).to_pandas()
    frame = pd.DataFrame(dict(study=STUDY, drug_name=raw.iloc[:, 0].str.strip()))
    return frame.assign(source_drug_id=frame.drug_name, smiles=None, target=raw.get("Target(s)"))


def read_cells(path):
    """Models: DepMap's `Model.csv`, or `Cell_lines_annotations_20181226.txt` of the CCLE.

    Returns
    -------
    DataFrame
        study, cell_name, source_cell_id, depmap_id, cellosaurus_id, tissue, cancer_type.
    """
    path = delimited.exists(path)
    tabbed = delimited.first_line(path).count("\t") > 0
    names, separator = (ANNOTATION, "\t") if tabbed else (MODEL, ",")
    return expression.cells(path, STUDY, names, separator, "a table of CCLE or DepMap models")


def read_expression(path, symbols=None):
    """Expression, one row per line: DepMap log2(TPM+1), or the CCLE's RPKM (GCT) and TPM (RSEM) files.

    Parameters
    ----------
    path : path
        `OmicsExpression….csv`, `CCLE_RNAseq_genes_rpkm_….gct.gz`, `…_counts_….gct.gz` or `…_rsem_genes_tpm_….txt.gz`.
    symbols : mapping or Series, optional
        Ensembl id to symbol; the RSEM file has no symbols. Without it its columns keep Ensembl ids (version removed).

    Returns
    -------
    DataFrame
        cell_name, profile_source, one float32 column per gene; `attrs["scale"]` says which scale.
    """
    path = delimited.exists(path)
    if ".gct" in path.name:
        return expression.gct(path, STUDY)
    if "rsem" in path.name:
        return expression.rsem(path, STUDY, symbols)
    return expression.depmap(path, STUDY)


def read_mutations(path):
    """Variants, one row each, of either vintage: `CCLE_mutations.csv` or `OmicsSomaticMutations.csv`.

    Returns
    -------
    DataFrame
        As `variants.read_maf`.
    """
    return variants.read_maf(path, STUDY)
