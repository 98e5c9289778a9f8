"""CTRPv2: the ten tables of the CTD2 release. Doses are in µM, responses a fraction of the DMSO
control.

The study measured no expression and no mutations of its own: its lines have those of the matching
CCLE lines.
"""

from functools import partial

import polars as pl

from lib.screens import archives, delimited, doses
from lib.screens.delimited import ID, INT, TEXT, Layout
from lib.tables import OPTIONAL_TEXT, Column, TableError

STUDY = "CTRP"
ARCHIVE = "CTRPv2.0_2015_ctd2_ExpandedDataset.zip"
FILES = dict.fromkeys(("responses", "drugs", "cells"), ARCHIVE)
DOSES = Layout(
    "CTRP's v20.data.per_cpd_post_qc.txt",
    {
        "experiment_id": INT,
        "master_cpd_id": INT,
        "cpd_conc_umol": Column(
            "float", 1e-6, 1e4, remedy="doses are µM; multiply molar ones by 1e6"
        ),
        "cpd_avg_pv": Column(
            "float",
            -50,
            50,
            nullable=True,
            remedy="a fraction of the control; divide per cent by 100",
        ),
    },
    separator="\t",
)
# what a number of that table means: the first column is the key, the second what it names
META = partial(Layout, separator="\t", lossy=True)
EXPERIMENTS = META(
    "CTRP's v20.meta.per_experiment.txt", {"experiment_id": INT, "master_ccl_id": INT}
)
CELLS = META(
    "CTRP's v20.meta.per_cell_line.txt",
    {
        "master_ccl_id": INT,
        "ccl_name": TEXT,
        "ccle_primary_site": OPTIONAL_TEXT,
        "ccle_primary_hist": OPTIONAL_TEXT,
    },
)
COMPOUNDS = META(
    "CTRP's v20.meta.per_compound.txt",
    {"master_cpd_id": INT, "cpd_name": ID, "cpd_smiles": OPTIONAL_TEXT},
)


def read_responses(path):
    """Raw dose series after the study's quality control.

    Parameters
    ----------
    path : path
        The release's zip archive.

    Returns
    -------
    DataFrame
        `doses.COLUMNS`. An experiment listed twice with other dates counts once; two experiments of
        one line are two curves.

    Raises
    ------
    TableError
        A broken table, an experiment of two lines, a dose row whose experiment, line or compound is
        unknown.
    """
    rows = _table(path, DOSES)
    for layout in (EXPERIMENTS, CELLS, COMPOUNDS):
        rows = _described(rows, _unique(path, layout))
    rows = rows.select(
        "experiment_id",
        "master_cpd_id",
        cell_name="ccl_name",
        drug_name="cpd_name",
        dose=6 - pl.col("cpd_conc_umol").log10(),
        growth="cpd_avg_pv",
    )
    series = doses.Series(STUDY, "CTRPv2", ("experiment_id", "master_cpd_id"))
    return doses.finish([rows], series, doses.Refused("v20.data.per_cpd_post_qc"))


def _described(rows, table):
    """The rows with what another table names, which must know the key of each."""
    key, fact = table.columns[:2]
    rows = rows.join(table.select(key, fact), on=key, how="left", maintain_order="left")
    lost = rows.filter(pl.col(fact).is_null())
    if lost.height:
        raise TableError(
            f"v20.data.per_cpd_post_qc.txt: {key} {lost[key][0]} is not in the table that "
            f"describes it ({lost.height} rows): take all tables from one release"
        )
    return rows


def _table(path, layout):
    """One table of the release; the layout ends with its name."""
    with archives.member(path, f"{layout.name.split()[-1]}$") as file:
        return delimited.read(file, layout)


def _unique(path, layout):
    """A table with one row per key; the table of experiments has one for each of their dates."""
    table = _table(path, layout).unique(maintain_order=True)
    key = table.columns[0]
    twice = table.filter(table[key].is_duplicated())
    if twice.height:
        raise TableError(
            f"{key} {twice[key][0]} is described twice, and differently: {twice.rows()[:2]}; "
            "keep one row"
        )
    return table


def read_cells(path):
    """Cell lines: study, cell_name, tissue, cancer_type (no ids of other catalogues in the
    release).
    """
    names = dict(ccl_name="cell_name", ccle_primary_site="tissue", ccle_primary_hist="cancer_type")
    raw = _unique(path, CELLS).drop("master_ccl_id")
    return raw.to_pandas().rename(columns=names).assign(study=STUDY)


def read_drugs(path):
    """Compounds: study, drug_name, smiles."""
    raw = _unique(path, COMPOUNDS).drop("master_cpd_id")
    names = dict(cpd_name="drug_name", cpd_smiles="smiles")
    return raw.cast({"cpd_name": str}).to_pandas().rename(columns=names).assign(study=STUDY)
