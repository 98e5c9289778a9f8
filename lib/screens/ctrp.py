"""CTRPv2: the ten tables of the CTD2 release. Doses are in µM, responses a fraction of the DMSO control.

The study measured no expression and no mutations of its own: those of the matching CCLE lines are borrowed, and
`profile_source` says so.
"""

import pandas as pd

from lib.screens import archives, ccle, delimited, doses
from lib.screens.delimited import ID, MAYBE_TEXT, TEXT, Field, Layout
from lib.tables import TableError

STUDY = "CTRP"
PROFILES_FROM = "CCLE"
ARCHIVE = "CTRPv2.0_2015_ctd2_ExpandedDataset.zip"
FILES = {name: ARCHIVE for name in ("responses", "drugs", "cells")}
DOSES = Layout(
    "CTRP's v20.data.per_cpd_post_qc.txt",
    {
        "experiment_id": Field("int"),
        "master_cpd_id": Field("int"),
        "cpd_conc_umol": Field(
            "float", 1e-6, 1e4, remedy="doses are µM; multiply molar ones by 1e6"
        ),
        "cpd_avg_pv": Field(
            "float", -50, 50, empty=True, remedy="a fraction of the control; divide per cent by 100"
        ),
    },
    separator="\t",
)
EXPERIMENTS = Layout(
    "CTRP's v20.meta.per_experiment.txt",
    {"experiment_id": Field("int"), "master_ccl_id": Field("int")},
    separator="\t",
    lossy=True,
)
CELLS = Layout(
    "CTRP's v20.meta.per_cell_line.txt",
    {
        "master_ccl_id": Field("int"),
        "ccl_name": TEXT,
        "ccle_primary_site": MAYBE_TEXT,
        "ccle_primary_hist": MAYBE_TEXT,
    },
    separator="\t",
    lossy=True,
)
COMPOUNDS = Layout(
    "CTRP's v20.meta.per_compound.txt",
    {
        "master_cpd_id": Field("int"),
        "cpd_name": ID,
        "top_test_conc_umol": Field("float", required=False),
        "cpd_status": MAYBE_TEXT,
        "gene_symbol_of_protein_target": MAYBE_TEXT,
        "cpd_smiles": MAYBE_TEXT,
    },
    separator="\t",
    lossy=True,
)


def read_responses(path, conflicts="error"):
    """Raw dose series after the study's quality control.

    Parameters
    ----------
    path : path
        The release's zip archive, or a folder with its `v20.*` tables.
    conflicts : {"error", "mean"}

    Returns
    -------
    DataFrame
        `curves.COLUMNS`, `source_cell_id`, `source_drug_id`, `experiment_id`. An experiment listed twice with other
        dates counts once; two experiments of one line are two curves.

    Raises
    ------
    TableError
        A broken table, an experiment of two lines, a dose row whose experiment, line or compound is unknown.
    """
    import polars as pl

    rows = _table(path, "data.per_cpd_post_qc", DOSES)
    of_experiment = _experiments(_table(path, "meta.per_experiment", EXPERIMENTS))
    lines = _unique(_table(path, "meta.per_cell_line", CELLS), "master_ccl_id").select(
        "master_ccl_id", "ccl_name"
    )
    compounds = _unique(_table(path, "meta.per_compound", COMPOUNDS), "master_cpd_id").select(
        "master_cpd_id", "cpd_name"
    )
    for table, key in (
        (of_experiment, "experiment_id"),
        (lines, "master_ccl_id"),
        (compounds, "master_cpd_id"),
    ):
        rows = rows.join(table, on=key, how="left", maintain_order="left")
        lost = rows.filter(pl.col(table.columns[-1]).is_null())
        if lost.height:
            raise TableError(
                f"v20.data.per_cpd_post_qc.txt: {key} {lost[key][0]} is not in the table that describes it "
                f"({lost.height} rows): take all tables from one release"
            )
    rows = rows.select(
        "experiment_id",
        cell_name="ccl_name",
        drug_name="cpd_name",
        source_cell_id="master_ccl_id",
        source_drug_id="master_cpd_id",
        dose=6 - pl.col("cpd_conc_umol").log10(),
        growth="cpd_avg_pv",
    )
    facts = ("source_cell_id", "source_drug_id", "experiment_id")
    series = doses.Series(STUDY, "CTRPv2", ("experiment_id", "source_drug_id"), facts)
    return doses.finish(rows, series, doses.Refused("v20.data.per_cpd_post_qc"), conflicts)


def _table(path, name, table_layout):
    """One table of the release, from the archive or a folder (plain or gzip)."""
    path = delimited.exists(path)
    if path.is_dir():
        found = sorted(path.rglob(f"*{name}.txt")) + sorted(path.rglob(f"*{name}.txt.gz"))
        if not found:
            raise TableError(f"{path} holds no *{name}.txt: unpack the whole CTRPv2 archive there")
        return delimited.read(found[0], table_layout)
    with archives.member(path, rf"{name}\.txt$") as file:
        return delimited.read(file, table_layout)


def _experiments(table):
    """experiment_id to master_ccl_id: the table repeats an experiment for each of its dates."""
    unique = table.unique(["experiment_id", "master_ccl_id"], maintain_order=True)
    twice = unique.filter(unique["experiment_id"].is_duplicated())
    if twice.height:
        one = twice["experiment_id"][0]
        lines = twice.filter(twice["experiment_id"] == one)["master_ccl_id"].to_list()
        raise TableError(
            f"v20.meta.per_experiment.txt: experiment {one} belongs to lines {lines}; only one can be right"
        )
    return unique


def _unique(table, key):
    table = table.unique(maintain_order=True)
    twice = table.filter(table[key].is_duplicated())
    if twice.height:
        raise TableError(
            f"{key} {twice[key][0]} is described twice, and differently: {twice.rows()[:2]}; keep one row"
        )
    return table


def read_cells(path):
    """Cell lines: study, cell_name, source_cell_id, tissue, cancer_type (no ids of other catalogues in the release)."""
    raw = _unique(_table(path, "meta.per_cell_line", CELLS), "master_ccl_id")
    return pd.DataFrame(
        dict(
            study=STUDY,
            cell_name=raw["ccl_name"].to_pandas(),
            source_cell_id=raw["master_ccl_id"].cast(str).to_pandas(),
            depmap_id=None,
            cellosaurus_id=None,
            tissue=_optional(raw, "ccle_primary_site"),
            cancer_type=_optional(raw, "ccle_primary_hist"),
        )
    )


def read_drugs(path):
    """Compounds: study, drug_name, source_drug_id, smiles, target."""
    raw = _unique(_table(path, "meta.per_compound", COMPOUNDS), "master_cpd_id")
    return pd.DataFrame(
        dict(
            study=STUDY,
            drug_name=raw["cpd_name"].cast(str).to_pandas(),
            source_drug_id=raw["master_cpd_id"].cast(str).to_pandas(),
            smiles=_optional(raw, "cpd_smiles"),
            target=_optional(raw, "gene_symbol_of_protein_target"),
        )
    )


def _optional(raw, name):
    return raw[name].to_pandas() if name in raw.columns else None


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
