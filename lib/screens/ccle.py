"""CCLE: the Broad Institute's 24-compound screen, DepMap and CCLE expression, mutations and models.

Doses are in µM and responses in per cent change from the untreated control (0 no effect, -100
nothing left).
"""

import numpy as np
import polars as pl

from lib.screens import delimited, doses, expression, texts, variants
from lib.screens.delimited import ID, TEXT, Layout
from lib.tables import TableError

STUDY = "CCLE"
FILES = {
    "responses": "CCLE_NP24.2009_Drug_data_2015.02.24.csv",
    "cells": "Model.csv",
    "expression": "OmicsExpressionProteinCodingGenesTPMLogp1.csv",
    "mutations": "OmicsSomaticMutations.csv",
}
DOSES, ACTIVITY = "Doses (uM)", "Activity Data (median)"
RAW = Layout(
    "the CCLE table of raw doses, CCLE_NP24.2009_Drug_data_2015.02.24.csv",
    {
        "CCLE Cell Line Name": ID,
        "Primary Cell Line Name": ID,
        "Compound": ID,
        DOSES: TEXT,
        ACTIVITY: TEXT,
    },
)
RANGES = {
    DOSES: (1e-6, 1e4, "doses are µM; multiply molar ones by 1e6"),
    ACTIVITY: (-1000, 1000, "activity is per cent change; multiply fractions by 100"),
}
MODEL = dict(
    cell_name="CellLineName",
    short_name="StrippedCellLineName",
    source_cell_id="CCLEName",
    depmap_id="ModelID",
    cellosaurus_id="RRID",
    tissue="OncotreeLineage",
    cancer_type="OncotreePrimaryDisease",
)


def read_responses(path):
    """Raw dose series, one row per cell, compound and dose.

    Parameters
    ----------
    path : path
        `CCLE_NP24.2009_Drug_data_2015.02.24.csv`, plain or gzip.

    Returns
    -------
    DataFrame
        `doses.COLUMNS`.

    Raises
    ------
    TableError
        Naming file, line and value: a wrong header, a cut list, a dose out of range, a repeated
        curve.
    """
    path = texts.exists(path)
    raw = delimited.read(path, RAW)
    lists = raw.with_columns(pl.col(DOSES, ACTIVITY).str.split(",")).with_row_index("line", 2)
    unequal = lists.filter(pl.col(DOSES).list.len() != pl.col(ACTIVITY).list.len())
    if unequal.height:
        bad = unequal.row(0, named=True)
        raise TableError(
            f"{path.name}, line {bad['line']}: {len(bad[DOSES])} doses but "
            f"{len(bad[ACTIVITY])} activities for "
            f"{bad['CCLE Cell Line Name']} and {bad['Compound']}; restore the quoted lists"
        )
    long = lists.explode(DOSES, ACTIVITY)
    um, change = (_numbers(long, name, path) for name in RANGES)
    rows = long.select(
        cell_name="Primary Cell Line Name",
        source_cell_id="CCLE Cell Line Name",
        drug_name="Compound",
        dose=pl.Series(6 - np.log10(um)),
        growth=pl.Series(1 + change / 100),
    )
    series = doses.Series(STUDY, "CCLE", ("source_cell_id", "drug_name"))
    return doses.finish([rows], series, doses.Refused(texts.stem(path)))


def _numbers(long, name, path):
    """Values of an exploded list as numbers; an error names the line, the list's column and the
    value.
    """
    low, high, remedy = RANGES[name]
    values = long[name].str.strip_chars().cast(pl.Float64, strict=False)
    bad = values.is_null() | ~values.is_between(low, high)
    if bad.any():
        row = long.filter(bad).row(0, named=True)
        raise TableError(
            f"{path.name}, line {row['line']}: column {name!r} holds {row[name]!r}; "
            f"every value must be a number from {low:g} to {high:g}; {remedy}"
        )
    return values.to_numpy()


def read_cells(path):
    """DepMap's `Model.csv`: study, cell_name, source_cell_id, ids of DepMap and Cellosaurus,
    tissue, cancer_type.
    """
    return expression.cells(path, STUDY, MODEL, "a table of CCLE or DepMap models")


def read_expression(path):
    """DepMap's expression, log2(TPM+1), one row per cell line."""
    return expression.depmap(path)


def read_mutations(path):
    """Protein changes per cell line and gene, of `OmicsSomaticMutations.csv`."""
    return variants.counts(path, variants.read_maf(path))
