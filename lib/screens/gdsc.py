"""GDSC1 and GDSC2: raw wells of the Sanger Institute's screens, Cell Model Passports, the GDSC1000
array.

A well may have several rows, one per tag. Intensities become viability scan by scan, (I - B) / (NC
- B), with the negative control of the assay: NC-0 (untreated) in GDSC1, NC-1 (DMSO) in GDSC2. Doses
are in µM and D1 is the highest.
"""

import re

import polars as pl

from lib.screens import archives, delimited, doses, expression, texts, variants
from lib.screens.delimited import EMPTY_ID, ID, INT, TEXT, Layout
from lib.tables import Column, TableError

STUDY = "GDSC"
FILES = {
    "responses": ("GDSC1_public_raw_data_27Oct23.csv", "GDSC2_public_raw_data_27Oct23.csv"),
    "drugs": "screened_compounds_rel_8.5.csv",
    "cells": "model_list_20230923.csv",
    "expression": "Cell_line_RMA_proc_basalExp.txt.zip",
    "mutations": "mutations_all_20230202.zip",
}
NEGATIVE = {"GDSC1": "NC-0", "GDSC2": "NC-1"}
# letter and number of the drug on the plate, dose (MG-132 on GDSC2 plates: PC-1), single (S) or
# combination (C)
TAG = r"^(L|R|A|PC)(\d*)-(?:D)?(\d+)?-?(S|C)?$"
WELLS = Layout(
    "GDSC's raw wells",
    {
        "BARCODE": ID,
        "SCAN_ID": ID,
        "CELL_LINE_NAME": ID,
        "POSITION": ID,
        "TAG": ID,
        "DRUG_ID": EMPTY_ID,
        "CONC": Column(
            "float", 1e-7, 1e5, nullable=True, remedy="doses are µM; multiply molar ones by 1e6"
        ),
        "INTENSITY": Column(
            "float", 0, 1e12, nullable=True, remedy="fluorescence cannot be negative"
        ),
    },
)
KEYS = ("BARCODE", "SCAN_ID", "lib", "DRUG_ID")  # of a dose series
PLACE = ("SCAN_ID", "POSITION")
# why a well with a drug's tag is left out -> what holds of those that are not
KEPT = {
    "well marked FAIL": ~pl.col("failed"),
    "combination well": ~(pl.col("kind") == "C").any().over(PLACE),
    "anchor drug at its one dose": pl.col("letter") != "A",
    "drug tag without DRUG_ID": pl.col("DRUG_ID").is_not_null(),
    "drug tag without CONC": pl.col("CONC").is_not_null(),
    "scan without blank or negative control": pl.all_horizontal(
        pl.col("blank", "top").is_not_null()
    ),
    "scan whose control is not above its blank": pl.col("top") > pl.col("blank"),
}
COMPOUNDS = Layout(
    "GDSC's table of screened compounds", {"DRUG_ID": INT, "DRUG_NAME": TEXT}, lossy=True
)
MODELS = dict(
    cell_name="model_name",
    source_cell_id="model_id",
    depmap_id="BROAD_ID",
    cellosaurus_id="RRID",
    tissue="tissue",
    cancer_type="cancer_type",
    cosmic_id="COSMIC_ID",
)


def read_responses(path, compounds=None):
    """Viability per dose from raw wells, replicate wells of a scan averaged.

    Parameters
    ----------
    path : path
        `GDSC1_public_raw_data_….csv` or `GDSC2_…`, plain, gzip or zip; the name says the assay.
    compounds : DataFrame, optional
        What `read_drugs` gives; the wells have ids only. Without it, or for an id that it does not
        list, the name is ``DRUG_ID 1862``.

    Returns
    -------
    DataFrame
        `doses.COLUMNS`. `control` marks the positive-control and reference drugs. Two drug ids of
        one name stay two curves.

    Raises
    ------
    TableError
        Naming file, line and value; or no negative control, or no blank, in the whole file.
    """
    path = texts.exists(path)
    found = re.search(r"GDSC[12]", path.name, re.IGNORECASE)
    if not found:
        raise TableError(
            f"{path.name}: the name does not say GDSC1 or GDSC2, whose negative controls differ; "
            "keep the official name"
        )
    assay = found.group().upper()
    refused = doses.Refused(texts.stem(path))
    with archives.member(path, r"raw_data[^/]*\.csv$") as file:
        wells = delimited.read(file, WELLS)
    controls = _controls(wells, NEGATIVE[assay], path)
    treated = _treated(wells, controls, refused, path)
    _check_order(treated, path)
    rows = treated.group_by([*KEYS, "CONC"], maintain_order=True).agg(
        pl.col("growth").mean(),
        cell_name=pl.col("CELL_LINE_NAME").first(),
        control=pl.col("letter").first().is_in(["PC", "R"]),
    )
    names = _names(rows["DRUG_ID"], compounds)
    rows = rows.with_columns(drug_name=names, dose=6 - pl.col("CONC").log10())
    return doses.finish([rows], doses.Series(STUDY, assay, KEYS), refused)


def _treated(wells, controls, refused, path):
    """Viability of each well of a single drug by the controls of its own scan; what is not `KEPT`
    is counted and left out.
    """
    tag = pl.col("TAG").cast(pl.String)
    of_drug = tag.str.contains(r"^(L|R|A|PC)\d*-")
    bad = wells.filter(of_drug & ~tag.str.contains(TAG))
    if bad.height:
        raise TableError(
            f"{path.name}: tag {bad['TAG'][0]!r} is none of L<x>-D<y>-S, R<x>-D<y>-S, A<x>-S, "
            f"PC<x>-D<y>-S, PC-<y> ({bad.height} wells): restore the official TAG"
        )
    rows = wells.with_columns(failed=(tag == "FAIL").any().over(PLACE)).filter(of_drug)
    letter, number, level, kind = [tag.str.extract(TAG, i) for i in range(1, 5)]
    rows = rows.with_columns(
        letter=letter, lib=letter + number, level=level.cast(pl.Int32), kind=kind
    )
    rows = rows.join(controls, on="SCAN_ID", how="left", maintain_order="left")
    for reason, kept in KEPT.items():
        rows = refused.keep(rows, kept, reason)
    blank = pl.col("blank")
    return rows.with_columns(growth=(pl.col("INTENSITY") - blank) / (pl.col("top") - blank))


def _controls(wells, negative, path):
    """Mean blank and mean negative control of each scan."""
    tag = pl.col("TAG").cast(pl.String)
    means = wells.group_by("SCAN_ID").agg(
        blank=pl.col("INTENSITY").filter(tag == "B").mean(),
        top=pl.col("INTENSITY").filter(tag == negative).mean(),
    )
    for column, name in (("blank", "B (blank)"), ("top", f"{negative} (negative control)")):
        if means[column].null_count() == means.height:
            tags = wells["TAG"].cast(str).str.replace_all(r"\d+", "#").unique().sort().to_list()
            raise TableError(
                f"{path.name}: no well is tagged {name}; tags found: {tags[:12]}. GDSC1 has NC-0, "
                "GDSC2 has NC-1: is this file the assay that its name says?"
            )
    return means


def _check_order(treated, path):
    """D1 is the highest dose: a rising one means shifted columns or mixed units."""
    conc = pl.col("CONC")
    levels = treated.group_by([*KEYS, "level"], maintain_order=True).agg(
        conc.first(), last=conc.last()
    )
    levels = levels.sort([*KEYS, "level"], maintain_order=True)
    wrong = levels.filter((conc >= conc.shift().over(KEYS)) | (conc != pl.col("last")))
    if wrong.height:
        row = wrong.row(0, named=True)
        raise TableError(
            f"{path.name}: scan {row['SCAN_ID']}, drug {row['DRUG_ID']} ({row['lib']}): dose "
            f"D{row['level']} is {row['CONC']:g} µM, not below the dose before it; D1 is the "
            f"highest. Are units mixed or columns shifted? ({wrong.height} such doses)"
        )


def _names(ids, compounds):
    """Compound name of each drug id, as a polars column."""
    ids = ids.cast(str)
    names = {known: f"DRUG_ID {known}" for known in ids.unique()}
    if compounds is not None:
        names |= dict(zip(compounds.source_drug_id, compounds.drug_name, strict=True))
    return ids.replace(names).cast(pl.Categorical)


def read_drugs(path):
    """Compounds, one row per drug id: study, drug_name, source_drug_id; the release has no SMILES.

    Two ids may share a name (two lots or sites).
    """
    path = texts.exists(path)
    raw = delimited.read(path, COMPOUNDS)
    delimited.refuse_twice(path, raw["DRUG_ID"])
    table = raw.select(
        drug_name=pl.col("DRUG_NAME").str.strip_chars(),
        source_drug_id=pl.col("DRUG_ID").cast(str),
    )
    return table.to_pandas().assign(study=STUDY)


def read_cells(path):
    """Models of the Passports: study, cell_name, ids (SIDM, COSMIC, DepMap, Cellosaurus), tissue,
    cancer type.
    """
    return expression.cells(path, STUDY, MODELS, "the Passports' model list")


def read_expression(path):
    """Expression of the array (`Cell_line_RMA_proc_basalExp.txt`, also zipped), one row per line,
    by COSMIC id.
    """
    with archives.member(path, r"RMA_proc[^/]*\.txt$") as file:
        return expression.rma(file)


def read_mutations(path):
    """Protein changes per line, by model id, and gene, of the Passports (`mutations_all_….zip` or
    csv).
    """
    with archives.member(path, r"mutations[^/]*\.csv$") as file:
        return variants.counts(path, variants.read_passports(file))
