"""gCSI: Genentech's screen, GR values release 1.3. Doses are log10 M, responses a relative cell
count.

Expression and mutations are those of the matching CCLE lines: the study's own are not public as TPM
or FPKM.
"""

import polars as pl

from lib.screens import archives, delimited, doses
from lib.screens.delimited import ID, OPTIONAL_ID, Layout
from lib.tables import Column

STUDY = "gCSI"
ARCHIVE = "gCSI_GRdata_v1.3.tsv.tar.gz"
FILES = dict.fromkeys(("responses", "cells"), ARCHIVE)
VALUES = Layout(
    "gCSI_GRvalues_v1.3.tsv",
    {
        "DrugName": ID,
        "CellLineName": ID,
        "PrimaryTissue": OPTIONAL_ID,
        "ExperimentNumber": ID,
        "log10Concentration": Column(
            "float", -12, -1, remedy="doses are log10 of M; take the logarithm, µM minus 6"
        ),
        "relative_cell_count": Column(
            "float", -50, 50, nullable=True, remedy="a fraction; divide per cent by 100"
        ),
        "Norm_CellLineName": OPTIONAL_ID,
        "Norm_DrugName": OPTIONAL_ID,
    },
    separator="\t",
)


def read_responses(path):
    """Raw dose series.

    Parameters
    ----------
    path : path
        `gCSI_GRdata_v1.3.tsv.tar.gz`, or the table `gCSI_GRvalues_v1.3.tsv` itself.

    Returns
    -------
    DataFrame
        `doses.COLUMNS` with the release's normalised names where it gives them.

    Raises
    ------
    TableError
    """
    raw = _values(path)
    rows = raw.select(
        "CellLineName",
        "DrugName",
        "ExperimentNumber",
        cell_name=_named(raw, "CellLineName"),
        drug_name=_named(raw, "DrugName"),
        dose=-pl.col("log10Concentration"),
        growth="relative_cell_count",
    )
    series = doses.Series(STUDY, "gCSI", ("CellLineName", "DrugName", "ExperimentNumber"))
    return doses.finish([rows], series, doses.Refused("gCSI_GRvalues_v1.3"))


def _values(path):
    with archives.member(path, r"GRvalues[^/]*\.tsv$") as file:
        return delimited.read(file, VALUES)


def _named(raw, screened):
    """The normalised name, or the name as screened where there is none."""
    names = [name for name in (f"Norm_{screened}", screened) if name in raw.columns]
    return pl.coalesce(pl.col(name).cast(pl.String) for name in names)


def read_cells(path):
    """Lines of the screen: study, cell_name, tissue (no ids of other catalogues in the release)."""
    raw = _values(path)
    columns = dict(cell_name=_named(raw, "CellLineName"))
    if "PrimaryTissue" in raw.columns:
        columns["tissue"] = pl.col("PrimaryTissue").cast(pl.String)
    names = raw.select(**columns).unique("cell_name", maintain_order=True, keep="first")
    return names.to_pandas().assign(study=STUDY)
