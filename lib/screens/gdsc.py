"""GDSC1 and GDSC2: raw wells of the Sanger Institute's screens, Cell Model Passports, the GDSC1000 array.

A well may have several rows, one per tag. Intensities become viability scan by scan, (I - B) / (NC - B), with the
negative control of the assay: NC-0 (untreated) in GDSC1, NC-1 (DMSO) in GDSC2. Doses are in µM and D1 is the highest.
"""

import re

import pandas as pd

from lib.screens import archives, delimited, doses, expression, variants
from lib.screens.delimited import EMPTY_ID, ID, MAYBE_ID, MAYBE_TEXT, TEXT, Field, Layout
from lib.tables import TableError

STUDY = "GDSC"
FILES = {
    "responses": ("GDSC1_public_raw_data_27Oct23.csv", "GDSC2_public_raw_data_27Oct23.csv"),
    "drugs": "screened_compounds_rel_8.5.csv",
    "cells": "model_list_20230923.csv",
    "expression": "Cell_line_RMA_proc_basalExp.txt.zip",
    "mutations": "mutations_all_20230202.zip",
}
NEGATIVE = {"GDSC1": "NC-0", "GDSC2": "NC-1"}
# letter and number of the drug on the plate, dose (MG-132 on GDSC2 plates: PC-1), single (S) or combination (C)
TAG = r"^(L|R|A|PC)(\d*)-(?:D)?(\d+)?-?(S|C)?$"
WELLS = Layout(
    "GDSC's raw wells",
    {
        "BARCODE": ID,
        "SCAN_ID": ID,
        "COSMIC_ID": EMPTY_ID,
        "CELL_LINE_NAME": ID,
        "DRUGSET_ID": MAYBE_ID,
        "POSITION": ID,
        "TAG": ID,
        "DRUG_ID": EMPTY_ID,
        "CONC": Field(
            "float", 1e-7, 1e5, empty=True, remedy="doses are µM; multiply molar ones by 1e6"
        ),
        "INTENSITY": Field("float", 0, 1e12, empty=True, remedy="fluorescence cannot be negative"),
    },
)
COMPOUNDS = Layout(
    "GDSC's table of screened compounds",
    {"DRUG_ID": Field("int"), "DRUG_NAME": TEXT, "SYNONYMS": MAYBE_TEXT, "TARGET": MAYBE_TEXT},
    lossy=True,
)
MODELS = dict(
    cell_name="model_name",
    source_cell_id="model_id",
    depmap_id="BROAD_ID",
    cellosaurus_id="RRID",
    tissue="tissue",
    cancer_type="cancer_type",
    cosmic_id="COSMIC_ID",
    ccle_name="CCLE_ID",
)


def read_responses(path, compounds=None, assay=None, trim=False, conflicts="error"):
    """Viability per dose from raw wells, replicate wells of a scan averaged.

    Parameters
    ----------
    path : path
        `GDSC1_public_raw_data_….csv` or `GDSC2_…`, plain, gzip or zip.
    compounds : path or DataFrame, optional
        `screened_compounds_rel_8.5.csv` or what `read_drugs` gives; the wells have ids only. Without it, or for an id
        that it does not list, the name is ``DRUG_ID 1862``.
    assay : {"GDSC1", "GDSC2"}, optional
        By default as the file's name says.
    trim : bool
        Clip viability to [0, 1], as the institute's own package does.
    conflicts : {"error", "mean"}

    Returns
    -------
    DataFrame
        `curves.COLUMNS`, `source_cell_id` (COSMIC), `source_drug_id`, `scan_id`, `growth_sd`, `n_wells`. `control`
        marks the positive-control and reference drugs. Two drug ids of one name stay two curves.

    Raises
    ------
    TableError
        Naming file, line and value; or no negative control, or no blank, in the whole file.
    """
    import polars as pl

    path = delimited.exists(path)
    assay = _assay(path, assay)
    refused = doses.Refused(delimited.stem(path))
    with archives.member(path, r"raw_data[^/]*\.csv$") as file:
        wells = delimited.read(file, WELLS)
    treated = _normalise(
        _treated(wells, refused, path), _controls(wells, NEGATIVE[assay], path), refused
    )
    if trim:
        treated = treated.with_columns(pl.col("growth").clip(0, 1))
    keys = ["BARCODE", "SCAN_ID", "lib", "DRUG_ID"]
    _check_order(treated, keys, path)
    rows = treated.group_by([*keys, "CONC"], maintain_order=True).agg(
        pl.col("growth").mean(),
        growth_sd=pl.col("growth").std(),
        n_wells=pl.len().cast(pl.Int32),
        cell_name=pl.col("CELL_LINE_NAME").first(),
        source_cell_id=pl.col("COSMIC_ID").first(),
        control=pl.col("letter").first().is_in(["PC", "R"]),
    )
    rows = rows.with_columns(
        dose=6 - pl.col("CONC").log10(),
        drug_name=_names(rows["DRUG_ID"], compounds),
        source_drug_id="DRUG_ID",
        scan_id="SCAN_ID",
    )
    facts = ("source_cell_id", "source_drug_id", "scan_id")
    series = doses.Series(STUDY, assay, tuple(keys), facts, ("growth_sd", "n_wells"))
    return doses.finish(rows, series, refused, conflicts)


def _assay(path, assay):
    if assay is None:
        found = re.search(r"GDSC[12]", path.name, re.IGNORECASE)
        if not found:
            raise TableError(
                f"{path.name}: the name does not say GDSC1 or GDSC2, whose negative controls differ; "
                "keep the official name or pass assay='GDSC2'"
            )
        assay = found.group().upper()
    if assay not in NEGATIVE:
        raise ValueError(f"assay must be one of {list(NEGATIVE)}, found {assay!r}")
    return assay


def _treated(wells, refused, path):
    """Wells of a single drug with id and dose; failed, combination and unnamed ones counted and left out."""
    import polars as pl

    tag = pl.col("TAG").cast(pl.String)
    failed = wells.filter(tag == "FAIL").select("SCAN_ID", "POSITION").unique()
    drugged = wells.filter(tag.str.contains(r"^(L|R|A|PC)\d*-"))
    bad = drugged.filter(~tag.str.contains(TAG))
    if bad.height:
        raise TableError(
            f"{path.name}: tag {bad['TAG'][0]!r} is none of L<x>-D<y>-S, R<x>-D<y>-S, A<x>-S, PC<x>-D<y>-S, PC-<y> "
            f"({bad.height} wells): restore the official TAG"
        )
    kept = drugged.join(failed, on=["SCAN_ID", "POSITION"], how="anti", maintain_order="left")
    refused.add("well marked FAIL", drugged.height - kept.height)
    parts = tag.str.extract_groups(TAG)
    kept = kept.with_columns(
        letter=parts.struct.field("1"),
        lib=parts.struct.field("1") + parts.struct.field("2"),
        level=parts.struct.field("3").cast(pl.Int32),
        kind=parts.struct.field("4"),
    )
    combined = kept.filter(pl.col("kind") == "C").select("SCAN_ID", "POSITION").unique()
    alone = kept.join(combined, on=["SCAN_ID", "POSITION"], how="anti", maintain_order="left")
    refused.add("combination well", kept.height - alone.height)
    alone = refused.keep(alone, pl.col("letter") != "A", "anchor drug at its one dose")
    alone = refused.keep(alone, pl.col("DRUG_ID").is_not_null(), "drug tag without DRUG_ID")
    return refused.keep(alone, pl.col("CONC").is_not_null(), "drug tag without CONC")


def _controls(wells, negative, path):
    """Mean blank and mean negative control of each scan."""
    import polars as pl

    tag = pl.col("TAG").cast(pl.String)
    means = wells.group_by("SCAN_ID").agg(
        blank=pl.col("INTENSITY").filter(tag == "B").mean(),
        top=pl.col("INTENSITY").filter(tag == negative).mean(),
    )
    for column, name in (("blank", "B (blank)"), ("top", f"{negative} (negative control)")):
        if means[column].null_count() == means.height:
            tags = wells["TAG"].cast(str).str.replace_all(r"\d+", "#").unique().sort().to_list()
            raise TableError(
                f"{path.name}: no well is tagged {name}; tags found: {tags[:12]}. GDSC1 has NC-0, GDSC2 has NC-1: is "
                "this file the assay that its name says?"
            )
    return means


def _normalise(treated, controls, refused):
    """Viability of each well by the controls of its own scan."""
    import polars as pl

    rows = treated.join(controls, on="SCAN_ID", how="left", maintain_order="left")
    whole = pl.col("blank").is_not_null() & pl.col("top").is_not_null()
    rows = refused.keep(rows, whole, "scan without blank or negative control")
    rows = refused.keep(
        rows, pl.col("top") > pl.col("blank"), "scan whose control is not above its blank"
    )
    return rows.with_columns(
        growth=(pl.col("INTENSITY") - pl.col("blank")) / (pl.col("top") - pl.col("blank"))
    )


def _check_order(treated, keys, path):
    """D1 is the highest dose: a rising one means shifted columns or mixed units."""
    import polars as pl

    levels = treated.group_by([*keys, "level"], maintain_order=True).agg(
        pl.col("CONC").first(), last=pl.col("CONC").last()
    )
    levels = levels.sort([*keys, "level"], maintain_order=True)
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in keys)
    wrong = levels.filter(
        (same & (pl.col("CONC") >= pl.col("CONC").shift(1))) | (pl.col("CONC") != pl.col("last"))
    )
    if wrong.height:
        row = wrong.row(0, named=True)
        raise TableError(
            f"{path.name}: scan {row['SCAN_ID']}, drug {row['DRUG_ID']} ({row['lib']}): dose D{row['level']} is "
            f"{row['CONC']:g} µM, not below the dose before it; D1 is the highest. Are units mixed or columns shifted? "
            f"({wrong.height} such doses)"
        )


def _names(ids, compounds):
    """Compound name of each drug id, as a polars expression's literal column."""
    import polars as pl

    unique = ids.cast(str).unique(maintain_order=True)
    known = {}
    if compounds is not None:
        table = compounds if isinstance(compounds, pd.DataFrame) else read_drugs(compounds)
        known = dict(
            zip(table.source_drug_id.astype(str), table.drug_name.astype(str), strict=True)
        )
    table = pl.DataFrame(
        dict(id=unique, name=[known.get(i, f"DRUG_ID {i}") for i in unique.to_list()])
    )
    return (
        ids.cast(str)
        .to_frame("id")
        .join(table, on="id", how="left", maintain_order="left")["name"]
        .cast(pl.Categorical)
    )


def read_drugs(path):
    """Compounds, one row per drug id: two ids may share a name (two lots or sites); the release has no SMILES.

    Returns
    -------
    DataFrame
        study, drug_name, source_drug_id, smiles (missing), target, synonyms; `attrs["shared_names"]`: names of two ids
        or more.
    """
    path = delimited.exists(path)
    raw = delimited.read(path, COMPOUNDS)
    frame = pd.DataFrame(dict(study=STUDY, drug_name=raw["DRUG_NAME"].to_pandas().str.strip()))
    frame["source_drug_id"] = raw["DRUG_ID"].cast(str).to_pandas()
    twice = frame.source_drug_id[frame.source_drug_id.duplicated()]
    if len(twice):
        raise TableError(
            f"{path.name}: DRUG_ID {twice.iloc[0]} stands in more than one row; keep one row per id"
        )
    frame = frame.assign(smiles=None, target=None, synonyms=None)
    for ours, theirs in (("target", "TARGET"), ("synonyms", "SYNONYMS")):
        if theirs in raw.columns:
            frame[ours] = raw[theirs].to_pandas()
    shared = frame.groupby("drug_name").size()
    frame.attrs["shared_names"] = sorted(shared[shared > 1].index)
    return frame


def read_cells(path):
    """Models of the Passports: study, cell_name, ids (SIDM, COSMIC, DepMap, Cellosaurus), tissue, cancer type."""
    path = delimited.exists(path)
    return expression.cells(path, STUDY, MODELS, ",", "the Passports' model list")


def read_expression(path, measure="fpkm"):
    """Expression, one row per line.

    Parameters
    ----------
    path : path
        The array (`Cell_line_RMA_proc_basalExp.txt`, also zipped; lines by COSMIC id), the Passports' matrix
        (`rnaseq_tpm_….csv`, `rnaseq_fpkm_….csv`, or the zip that holds both; lines by model id) or its long form.
    measure : str
        Which table of the zip, or which column of the long form: "fpkm", "tpm", "read_count".

    Returns
    -------
    DataFrame
        cell_name, profile_source, genes; the scale in `attrs["scale"]`.
    """
    path = delimited.exists(path)
    pattern = r"RMA_proc[^/]*\.txt$" if "RMA" in path.name else rf"rnaseq_{measure}_[^/]*\.csv$"
    with archives.member(path, pattern) as file:
        if "RMA" in path.name:
            return expression.rma(file, STUDY)
        if "fpkm" in delimited.first_line(file).split(","):
            return expression.passports_long(file, STUDY, measure)
        return expression.passports(file, STUDY)


def read_mutations(path):
    """Variants of the Passports (`mutations_all_….zip` or csv, `driver_mutations_….csv`), lines by model id."""
    with archives.member(delimited.exists(path), r"mutations[^/]*\.csv$") as file:
        return variants.read_passports(file, STUDY)
