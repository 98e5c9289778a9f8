"""CTRPv2: the ten tables of the CTD2 release. Doses are in µM, responses a fraction of the DMSO
control.

The study measured no expression and no mutations of its own: its lines have those of the matching
CCLE lines.
"""

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
EXPERIMENTS = Layout(
    "CTRP's v20.meta.per_experiment.txt",
    {"experiment_id": INT, "master_ccl_id": INT},
    separator="\t",
    lossy=True,
)
CELLS = Layout(
    "CTRP's v20.meta.per_cell_line.txt",
    {
        "master_ccl_id": INT,
        "ccl_name": TEXT,
        "ccle_primary_site": OPTIONAL_TEXT,
        "ccle_primary_hist": OPTIONAL_TEXT,
    },
    separator="\t",
    lossy=True,
)
COMPOUNDS = Layout(
    "CTRP's v20.meta.per_compound.txt",
    {"master_cpd_id": INT, "cpd_name": ID, "cpd_smiles": OPTIONAL_TEXT},
    separator="\t",
    lossy=True,
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
    rows = _table(path, "data.per_cpd_post_qc", DOSES)
    # the table repeats an experiment for each of its dates
    experiments = _unique(_table(path, "meta.per_experiment", EXPERIMENTS), "experiment_id")
    rows = _described(rows, experiments, "experiment_id", "master_ccl_id")
    rows = _described(rows, _cells(path), "master_ccl_id", "ccl_name")
    rows = _described(rows, _compounds(path), "master_cpd_id", "cpd_name")
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


def _described(rows, table, key, fact):
    """The rows with a fact of another table, which must know the key of each."""
    known = table.select(key, fact)
    rows = rows.join(known, on=key, how="left", maintain_order="left")
    lost = rows.filter(pl.col(fact).is_null())
    if lost.height:
        raise TableError(
            f"v20.data.per_cpd_post_qc.txt: {key} {lost[key][0]} is not in the table that "
            "describes it "
            f"({lost.height} rows): take all tables from one release"
        )
    return rows


def _table(path, name, table_layout):
    """One table of the release."""
    with archives.member(path, rf"{name}\.txt$") as file:
        return delimited.read(file, table_layout)


def _cells(path):
    return _unique(_table(path, "meta.per_cell_line", CELLS), "master_ccl_id")


def _compounds(path):
    return _unique(_table(path, "meta.per_compound", COMPOUNDS), "master_cpd_id")


def _unique(table, key):
    table = table.unique(maintain_order=True)
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
    raw = _cells(path).drop("master_ccl_id")
    return raw.to_pandas().rename(columns=names).assign(study=STUDY)


def read_drugs(path):
    """Compounds: study, drug_name, smiles."""
    raw = _compounds(path).drop("master_cpd_id")
    names = dict(cpd_name="drug_name", cpd_smiles="smiles")
    return raw.cast({"cpd_name": str}).to_pandas().rename(columns=names).assign(study=STUDY)
