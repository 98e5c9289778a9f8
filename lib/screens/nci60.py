"""NCI-60: the DTP's dose-response release, CellMiner profiles.

Concentrations are log10 of their unit; only M is used, µg/ml and volumetric rows are counted and
left out. GIPRCNT is per cent growth with the cells at time zero as 0 (`lib.screens.growth`).
"""

import polars as pl

from lib.screens import archives, delimited, doses, expression, growth, texts
from lib.screens.delimited import ID, INT, Layout
from lib.tables import MAYBE_TEXT, Column, TableError

STUDY = "NCI-60"
FILES = {
    "responses": "DOSERESP.zip",
    "drugs": "nsc_smiles.csv",
    "cells": "nci60_RNA__RNA_seq_composite_expression.zip",
    "expression": "nci60_RNA__RNA_seq_composite_expression.zip",
    "mutations": "nci60_DNA__Exome_Seq_Protein_function_affecting.zip",
}
WORKBOOK = r"output/[^/]*\.xls$|^[^/]*\.xls$"
NSC = Column("int", 1, 10_000_000, remedy="an NSC number")
LOG_M = Column("float", -15, 6, remedy="concentrations are log10 of their unit; take the logarithm")
PERCENT = Column("float", -1e5, 1e5, nullable=True)
GROWTH = Layout(
    "the NCI-60 release DOSERESP.csv",
    {
        "EXPID": ID,
        "NSC": NSC,
        "CONCENTRATION_UNIT": ID,
        "LOG_HI_CONCENTRATION": LOG_M,
        "CONCENTRATION": LOG_M,
        "CELL_NAME": ID,
        "AVERAGE_GIPRCNT": PERCENT,
    },
    missing=(),
)
SMILES = Layout("the NCI's table of SMILES", dict(NSC=INT, SMILES=MAYBE_TEXT), lossy=True)


def read_responses(path):
    """Growth of the single-agent screen, one row per experiment, compound, line and dose.

    Parameters
    ----------
    path : path
        `DOSERESP.zip`, or its CSV.

    Returns
    -------
    DataFrame
        `doses.COLUMNS`; a compound is named ``NSC-123127``.

    Raises
    ------
    TableError
        Naming file, line and value.
    """
    refused = doses.Refused(texts.stem(path))
    keys = ("EXPID", "drug_name", "LOG_HI_CONCENTRATION", "cell_name")
    series = doses.Series(STUDY, "NCI-60", keys, endpoint="growth", prefix="NSC-")
    with archives.member(path, r"(?i)doseresp[^/]*\.csv$") as file:
        return doses.finish(_rows(file, refused), series, refused)


def _rows(file, refused):
    """Rows of the file in batches, in units of the contract."""
    for part in delimited.batches(file, GROWTH):
        part = refused.keep(part, pl.col("CONCENTRATION_UNIT") == "M", "unit other than M")
        yield part.select(
            "EXPID",
            "LOG_HI_CONCENTRATION",
            cell_name="CELL_NAME",
            drug_name="NSC",
            dose=-pl.col("CONCENTRATION"),
            growth=pl.Series(growth.to_growth(part["AVERAGE_GIPRCNT"].to_numpy())),
        )


def read_drugs(path):
    """Compounds by NSC number: study, drug_name (``NSC-123127``), smiles; none where a number has
    several, which `attrs["refused"]` counts.
    """
    raw = delimited.read(path, SMILES)
    drawn = raw.drop_nulls().unique(maintain_order=True)
    known = drawn.filter(~drawn["NSC"].is_duplicated())
    table = raw.select("NSC").unique(maintain_order=True).join(known, on="NSC", how="left")
    name = pl.lit("NSC-") + pl.col("NSC").cast(str)
    frame = table.select(drug_name=name, smiles="SMILES").to_pandas().assign(study=STUDY)
    refused = doses.Refused(texts.stem(path))
    refused.add("structure of a compound that has several", drawn.height - known.height)
    frame.attrs["refused"] = refused.listed()
    return frame


def read_cells(path):
    """The 60 lines of CellMiner's `NCI60_CELL_LINE_METADATA.xls` in its archives, header in row 8.

    Returns
    -------
    DataFrame
        study, cell_name, source_cell_id (`BR:MCF7`), tissue; footnotes below the table are left
        out.
    """
    with archives.member(path, r"CELL_LINE_METADATA\.xls$") as file:
        raw = archives.workbook(file, header=7)
    named = raw.iloc[:, 0].astype("str")
    frame = named.str.extract("^(?P<source_cell_id>[A-Z]{2,4}:(?P<cell_name>.+))$").dropna()
    if frame.empty:
        raise TableError(
            f"{path.name}: no line named like 'BR:MCF7' below row 8; found {named[:3].tolist()}"
        )
    frame = frame[["cell_name", "source_cell_id"]]
    tissues = [name for name in raw.columns if str(name).lower().startswith("tissue")]
    if tissues:
        frame["tissue"] = raw[tissues[0]].astype("str")
    return frame.reset_index(drop=True).assign(study=STUDY)


def read_expression(path):
    """CellMiner's RNA-seq composite, log2(FPKM+1), of `nci60_RNA__RNA_seq_composite_expression.zip`
    or its .xls.
    """
    with archives.member(path, WORKBOOK) as file:
        return expression.cellminer(file, "log2(FPKM+1)")


def read_mutations(path):
    """CellMiner exome: per cent (0-100) of protein-affecting change per gene, which is neither a
    count nor an event.
    """
    with archives.member(path, WORKBOOK) as file:
        frame = expression.cellminer(file, "per cent of protein-affecting change")
    genes = frame.iloc[:, 1:]
    low, high = genes.min(axis=None), genes.max(axis=None)
    if low < 0 or high > 100:
        raise TableError(
            f"{path.name}: values must be per cent, 0 to 100, found {low:g} to {high:g}"
        )
    return frame
