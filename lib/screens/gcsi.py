"""gCSI: Genentech's screen, GR values release 1.3. Doses are log10 M, responses a relative cell count.

Expression and mutations are those of the matching CCLE lines (`profile_source` says so): the study's own are not public
as TPM or FPKM.
"""

import pandas as pd

from lib.screens import archives, ccle, delimited, doses
from lib.screens.delimited import ID, MAYBE_ID, Field, Layout

STUDY = "gCSI"
PROFILES_FROM = "CCLE"
ARCHIVE = "gCSI_GRdata_v1.3.tsv.tar.gz"
FILES = {name: ARCHIVE for name in ("responses", "drugs", "cells")}
VALUES = Layout(
    "gCSI_GRvalues_v1.3.tsv",
    {
        "DrugName": ID,
        "CellLineName": ID,
        "PrimaryTissue": MAYBE_ID,
        "ExperimentNumber": ID,
        "TrtDuration": Field("float", 0, 1000, required=False, remedy="hours"),
        "log10Concentration": Field(
            "float", -12, -1, remedy="doses are log10 of M; take the logarithm, µM minus 6"
        ),
        "GR": Field("float", required=False),
        "relative_cell_count": Field(
            "float", -50, 50, empty=True, remedy="a fraction; divide per cent by 100"
        ),
        "Norm_CellLineName": MAYBE_ID,
        "Norm_DrugName": MAYBE_ID,
    },
    separator="\t",
)


def read_responses(path, conflicts="error"):
    """Raw dose series.

    Parameters
    ----------
    path : path
        `gCSI_GRdata_v1.3.tsv.tar.gz`, or the table `gCSI_GRvalues_v1.3.tsv` itself.
    conflicts : {"error", "mean"}

    Returns
    -------
    DataFrame
        `curves.COLUMNS` with the release's normalised names where it gives them, `source_cell_id` and `source_drug_id`
        (the names as screened), `gr` (growth rate inhibition) and `duration_h`.

    Raises
    ------
    TableError
    """
    import polars as pl

    raw = _values(path)
    rows = raw.select(
        cell_name=_named(raw, "Norm_CellLineName", "CellLineName"),
        drug_name=_named(raw, "Norm_DrugName", "DrugName"),
        source_cell_id="CellLineName",
        source_drug_id="DrugName",
        experiment="ExperimentNumber",
        dose=-pl.col("log10Concentration"),
        growth="relative_cell_count",
        gr=pl.col("GR") if "GR" in raw.columns else pl.lit(None, pl.Float64),
        duration_h=pl.col("TrtDuration")
        if "TrtDuration" in raw.columns
        else pl.lit(None, pl.Float64),
    )
    keys, facts = (
        ("source_cell_id", "source_drug_id", "experiment"),
        ("source_cell_id", "source_drug_id"),
    )
    series = doses.Series(STUDY, "gCSI", keys, facts, ("gr", "duration_h"))
    return doses.finish(rows, series, doses.Refused("gCSI_GRvalues_v1.3"), conflicts)


def _values(path):
    with archives.member(path, r"GRvalues[^/]*\.tsv$") as file:
        return delimited.read(file, VALUES)


def _named(raw, normalised, screened):
    import polars as pl

    if normalised not in raw.columns:
        return pl.col(screened)
    return pl.coalesce(pl.col(normalised).cast(pl.String), pl.col(screened).cast(pl.String))


def read_cells(path):
    """Lines of the screen: study, cell_name, source_cell_id, tissue (no ids of other catalogues in the release)."""
    raw = _values(path)
    names = raw.select(
        cell_name=_named(raw, "Norm_CellLineName", "CellLineName"), source="CellLineName"
    )
    frame = pd.DataFrame(dict(study=STUDY, cell_name=names["cell_name"].cast(str).to_pandas()))
    frame["source_cell_id"] = names["source"].cast(str).to_pandas()
    frame = frame.assign(depmap_id=None, cellosaurus_id=None, tissue=None, cancer_type=None)
    if "PrimaryTissue" in raw.columns:
        frame["tissue"] = raw["PrimaryTissue"].cast(str).to_pandas()
    return frame.drop_duplicates("cell_name", ignore_index=True)


def read_drugs(path):
    """Compounds of the screen; the release has no SMILES, so `smiles` is missing."""
    raw = _values(path)
    names = raw.select(
        drug_name=_named(raw, "Norm_DrugName", "DrugName"), source="DrugName"
    ).unique(maintain_order=True)
    frame = pd.DataFrame(dict(study=STUDY, drug_name=names["drug_name"].cast(str).to_pandas()))
    frame["source_drug_id"] = names["source"].cast(str).to_pandas()
    return frame.assign(smiles=None, target=None)


def read_expression(path, symbols=None):
    """CCLE's expression, lent to this study; `borrowed_for` in `attrs` says so."""
    frame = ccle.read_expression(path, symbols)
    frame.attrs["borrowed_for"] = STUDY
    return frame


def read_mutations(path):
    """CCLE's variants, lent to this study; `borrowed_for` in `attrs` says so."""
    frame = ccle.read_mutations(path)
    frame.attrs["borrowed_for"] = STUDY
    return frame
