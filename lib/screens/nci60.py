"""NCI-60: the DTP's dose-response release, NCI-ALMANAC's single agents, CellMiner profiles.

Concentrations are log10 of their unit; only M is used, µg/ml and volumetric rows are counted and left out. GIPRCNT is
per cent growth with the cells at time zero as 0, and becomes growth = (GIPRCNT + 100) / 200.
"""

import re

import pandas as pd

from lib.screens import archives, delimited, doses, expression, growth, variants
from lib.screens.delimited import EMPTY_ID, ID, MAYBE_ID, MAYBE_TEXT, Field, Layout
from lib.tables import TableError

STUDY = "NCI-60"
FILES = {
    "responses": "DOSERESP.zip",
    "drugs": "nsc_smiles.csv",
    "cells": "nci60_RNA__RNA_seq_composite_expression.zip",
    "expression": "nci60_RNA__RNA_seq_composite_expression.zip",
    "mutations": "nci60_DNA__Exome_Seq_Protein_function_affecting.zip",
}
NSC = Field("int", 1, 10_000_000, remedy="an NSC number")
LOG_M = Field("float", -15, 6, remedy="concentrations are log10 of their unit; take the logarithm")
PERCENT = Field("float", -1e5, 1e5, empty=True)
READING = Field("float", empty=True)
# the same columns under the names of either vintage; the value is our name
RECENT = Layout(
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
OLDER = Layout(
    "the older NCI-60 or HTS384 release",
    {
        "EXPID": ID,
        "NSC": NSC,
        "CONCUNIT": ID,
        "LHICONC": LOG_M,
        "LCONC": LOG_M,
        "CELLNAME": ID,
        "M_GIPRCNT": PERCENT,
    },
    missing=(),
)
ALMANAC = Layout(
    "NCI-ALMANAC's ComboDrugGrowth",
    {
        "SCREENER": MAYBE_ID,
        "STUDY": ID,
        "PLATE": ID,
        "PREFIX1": MAYBE_ID,
        "NSC1": Field("int", required=False),
        "DRUG1NAME": MAYBE_ID,
        "SAMPLE1": MAYBE_ID,
        "CONC1": Field("float", 1e-15, 1, remedy="molar; divide µM by 1e6"),
        "CONCUNIT1": MAYBE_ID,
        "NSC2": EMPTY_ID,
        "CELLNAME": ID,
        "PERCENTGROWTH": PERCENT,
        "TESTVALUE": READING,
        "CONTROLVALUE": READING,
        "TZVALUE": READING,
        "VALID": MAYBE_ID,
    },
)
NAMES = dict(NSC=Field("int"), SMILES=MAYBE_TEXT)


def read_responses(path, conflicts="error", pool=True):
    """Growth of the single-agent screen, one row per experiment, compound, line and dose.

    Parameters
    ----------
    path : path
        `DOSERESP.zip`, its CSV (of either vintage), or NCI-ALMANAC's `ComboDrugGrowth…` (its single agents).
    conflicts : {"error", "mean"}
    pool : bool
        ALMANAC has three doses of a compound on a plate: pool the plates of one screening site into one curve (mean
        over wells), or keep each plate its own.

    Returns
    -------
    DataFrame
        `curves.COLUMNS` and, from ALMANAC, `source_drug_id`, `growth_sd` and `n_wells`. A compound is named
        ``NSC-123127`` where the file gives numbers only.

    Raises
    ------
    TableError
        Naming file, line and value.
    """
    path = delimited.exists(path)
    with archives.member(path, r"(?i)(doseresp|combodruggrowth)[^/]*\.csv$") as file:
        header = delimited.first_line(file)
        if "PERCENTGROWTH" in header:
            return _almanac(file, delimited.stem(path), conflicts, pool)
        return _doseresp(
            file, OLDER if "LCONC" in header else RECENT, delimited.stem(path), conflicts
        )


def _doseresp(file, vintage, short, conflicts):
    import polars as pl

    refused = doses.Refused(short)
    names = dict(zip(vintage.fields, RECENT.fields, strict=True))

    def rows():
        for part in delimited.batches(file, vintage):
            part = refused.keep(
                part.rename(names), pl.col("CONCENTRATION_UNIT") == "M", "unit other than M"
            )
            yield part.select(
                "EXPID",
                "LOG_HI_CONCENTRATION",
                cell_name="CELL_NAME",
                drug_name="NSC",
                dose=-pl.col("CONCENTRATION"),
                growth=(pl.col("AVERAGE_GIPRCNT") + 100) / 200,
            )

    keys = ("EXPID", "drug_name", "LOG_HI_CONCENTRATION", "cell_name")
    series = doses.Series(STUDY, "NCI-60", keys, endpoint="growth", prefix="NSC-")
    return doses.finish(rows(), series, refused, conflicts)


def _almanac(file, short, conflicts, pool):
    """Single agents of ALMANAC: the second drug's fields are empty; growth from the three raw readings."""
    import polars as pl

    raw = delimited.read(file, ALMANAC)
    drug = "DRUG1NAME" if "DRUG1NAME" in raw.columns else "NSC1"
    if drug not in raw.columns:
        raise TableError(
            f"{file.name}: neither NSC1 nor DRUG1NAME names the first drug; found {raw.columns}"
        )
    refused = doses.Refused(short)
    rows = refused.keep(raw, pl.col("NSC2").is_null(), "combination of two drugs")
    if "CONCUNIT1" in rows.columns:
        rows = refused.keep(rows, pl.col("CONCUNIT1") == "M", "unit other than M")
    if "VALID" in rows.columns:
        rows = refused.keep(rows, pl.col("VALID").fill_null("Y") == "Y", "marked as not valid")
    rows = rows.with_columns(growth=pl.Series(growth.to_growth(percent_growth(rows))))
    site = ["SCREENER"] if "SCREENER" in rows.columns else []
    keys = [*(site if pool else ["STUDY", "PLATE"]), "CELLNAME", drug]
    rows = rows.group_by([*keys, "CONC1"], maintain_order=True).agg(
        pl.col("growth").mean(), growth_sd=pl.col("growth").std(), n_wells=pl.len().cast(pl.Int32)
    )
    rows = rows.with_columns(
        cell_name="CELLNAME", drug_name=drug, source_drug_id=drug, dose=-pl.col("CONC1").log10()
    )
    prefix = "NSC-" if drug == "NSC1" else ""
    readings = ("growth_sd", "n_wells")
    series = doses.Series(
        STUDY, "NCI-60", tuple(keys), ("source_drug_id",), readings, "growth", prefix
    )
    return doses.finish(rows, series, refused, conflicts)


def percent_growth(rows):
    """PGI of ALMANAC rows by equation 1 from the raw readings; the published value where a reading is missing."""
    computed = growth.percent_growth(
        *(rows[name].to_numpy() for name in ("TESTVALUE", "CONTROLVALUE", "TZVALUE"))
    )
    published = rows["PERCENTGROWTH"].to_numpy()
    return pd.Series(computed).fillna(pd.Series(published)).to_numpy()


def read_drugs(path, names=None):
    """Compounds by NSC number.

    Parameters
    ----------
    path : path
        `nsc_smiles.csv`: NSC, SMILES.
    names : path, optional
        `nsc_chemical_names.csv`; a compound keeps the first of its names.

    Returns
    -------
    DataFrame
        study, drug_name (``NSC-123127``), source_drug_id, smiles, title.
    """
    path = delimited.exists(path)
    raw = delimited.read(path, Layout("the NCI's table of SMILES", NAMES, lossy=True)).unique(
        "NSC", maintain_order=True
    )
    frame = pd.DataFrame(dict(study=STUDY, drug_name="NSC-" + raw["NSC"].cast(str).to_pandas()))
    frame["source_drug_id"] = raw["NSC"].cast(str).to_pandas()
    frame["smiles"] = raw["SMILES"].to_pandas()
    return frame.assign(
        title=None if names is None else frame.source_drug_id.map(_titles(delimited.exists(names)))
    )


def _titles(path):
    header = delimited.check_header(
        path, Layout("the NCI's table of names", dict(NSC=Field("int")), lossy=True)
    )
    column = next((name for name in header if "NAME" in name.upper()), None)
    if column is None:
        raise TableError(f"{path.name}: no column with names, found {header}")
    fields = {"NSC": Field("int"), column: MAYBE_TEXT}
    raw = delimited.read(path, Layout("the NCI's table of names", fields, lossy=True)).unique(
        "NSC", maintain_order=True
    )
    return dict(zip(raw["NSC"].cast(str).to_list(), raw[column].to_list(), strict=True))


def read_cells(path):
    """The 60 lines of CellMiner's `NCI60_CELL_LINE_METADATA` (.xls in the archives, or .txt), header in row 8.

    Returns
    -------
    DataFrame
        study, cell_name, source_cell_id (`BR:MCF7`), tissue; footnotes below the table are left out.
    """
    path = delimited.exists(path)
    with archives.member(path, r"CELL_LINE_METADATA\.(xls|txt)$") as file:
        if file.suffix == ".txt":
            raw = pd.read_csv(file, sep="\t", skiprows=7, dtype=str, encoding_errors="replace")
        else:
            raw = archives.sheet(file, 0, skip=7)
    code = raw.iloc[:, 0].astype("str")
    lines = code.str.fullmatch(r"[A-Z]{2,4}:.+")
    if not lines.any():
        raise TableError(
            f"{path.name}: no line named like 'BR:MCF7' below row 8; found {code.head(3).tolist()}"
        )
    tissue = next(
        (name for name in raw.columns if re.match("tissue", str(name), re.IGNORECASE)), None
    )
    frame = pd.DataFrame(dict(study=STUDY, cell_name=code[lines].str.split(":", n=1).str[1]))
    frame["source_cell_id"] = code[lines]
    frame = frame.assign(depmap_id=None, cellosaurus_id=None, tissue=None, cancer_type=None)
    if tissue is not None:
        frame["tissue"] = raw.loc[lines, tissue].astype("str")
    return frame.reset_index(drop=True)


def read_expression(path, scale="log2(FPKM+1)"):
    """CellMiner expression: ten rows above the header, six annotation columns, then lines named `BR:MCF7`.

    Parameters
    ----------
    path : path
        `nci60_RNA__RNA_seq_composite_expression.zip` or its .xls; an array archive with `scale="log2 intensity"`.
    scale : str
        Declared by the caller, since the workbook does not say it in a cell: the RNA-seq composite is log2(FPKM+1).
    """
    with archives.member(delimited.exists(path), r"output/[^/]*\.xls$|^[^/]*\.xls$") as file:
        return expression.cellminer(file, STUDY, scale)


def read_mutations(path):
    """CellMiner exome: per cent (0-100) of protein-affecting change per gene, which is neither a count nor an event.

    A MAF file of the lines is read as variants instead.
    """
    path = delimited.exists(path)
    if path.suffix.lower() in (".csv", ".txt", ".maf", ".gz"):
        return variants.read_maf(path, STUDY)
    with archives.member(path, r"output/[^/]*\.xls$|^[^/]*\.xls$") as file:
        frame = expression.cellminer(file, STUDY, "per cent of protein-affecting change")
    frame = frame.rename(columns=dict(profile_source="mutation_source"))
    genes = frame.iloc[:, 2:]
    if genes.max().max() > 100 or genes.min().min() < 0:
        raise TableError(
            f"{path.name}: values must be per cent, 0 to 100, found {genes.min().min():g} to {genes.max().max():g}"
        )
    frame.attrs["scale"] = "per cent of protein-affecting change"
    return frame
