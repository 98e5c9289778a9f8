"""CCLE: doses, models, and bad rows named with line and remedy."""

import shutil

import numpy as np
import pandas as pd
import pytest
from release_files import CCLE_FILE, DATA, SHARED, as_contract, shared, write

from lib.paths import ROOT
from lib.screens import ccle, official
from lib.tables import TableError


def test_ccle_reads_the_official_excerpt_in_contract_units():
    frame = ccle.read_responses(DATA / CCLE_FILE)
    assert len(as_contract(frame)) == 479 and frame.curve_id.nunique() == 60
    first = frame[(frame.cell_name == "OPM-2") & (frame.drug_name == "Panobinostat")]
    np.testing.assert_allclose(
        first.dose, 6 - np.log10([0.0025, 0.008, 0.025, 0.08, 0.25, 0.8, 2.53, 8]), atol=1e-12
    )
    np.testing.assert_allclose(
        first.growth, [0.47, 0.26, 0.09, 0.07, 0.07, 0.05, 0.04, 0.02], atol=1e-12
    )
    assert set(frame.endpoint) == {"viability"} and not frame.control.any()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('".0025,.0080', '".0025;.0080', r"line \d+: 7 doses but 8 activities|holds '.0025;.0080'"),
        ('"-53,-74', '"-53,-74x', r"line 2: column 'Activity Data \(median\)' holds '-74x'"),
        ('"-53,-74', '"-53,,-74', "line 2: 8 doses but 9 activities"),
        (
            ".0025,.0080,.025,.080,.25,.80,2.53,8",
            "2.5e-9,8e-9,2.5e-8,8e-8,2.5e-7,8e-7,2.53e-6,8e-6",
            "multiply molar ones",
        ),
        ("Compound,", "Drug,", r"column\(s\) \['Compound'\] missing"),
        ("OPM2_HAEM", "x,OPM2_HAEM", "line 2: 14 fields where the header has 13"),
    ],
)
def test_ccle_names_a_broken_row(tmp_path, old, new, says):
    text = (DATA / CCLE_FILE).read_text().replace(old, new, 1)
    with pytest.raises(TableError, match=says):
        ccle.read_responses(write(tmp_path / CCLE_FILE, text))


def test_ccle_refuses_a_curve_given_twice_with_other_values(tmp_path):
    lines = (DATA / CCLE_FILE).read_text().splitlines()
    path = write(tmp_path / CCLE_FILE, "\n".join([*lines, lines[1].replace('"-53', '"-54')]) + "\n")
    with pytest.raises(
        TableError, match=r"'Panobinostat'.* has 2 different readings \[0.47, 0.46\] at dose 8.602"
    ):
        ccle.read_responses(path)


def test_an_exactly_repeated_curve_is_dropped_and_counted(tmp_path):
    lines = (DATA / CCLE_FILE).read_text().splitlines()
    frame = ccle.read_responses(write(tmp_path / CCLE_FILE, "\n".join([*lines, lines[1]]) + "\n"))
    assert len(frame) == 479
    assert frame.attrs["refused"] == [
        (CCLE_FILE.removesuffix(".csv"), "exact repeat of a reading", 8)
    ]


def test_ccle_cells_carry_their_ids_and_an_id_given_twice_is_refused(tmp_path):
    header = "ModelID,CellLineName,StrippedCellLineName,CCLEName,RRID,OncotreeLineage,OncotreePrimaryDisease\n"
    row = "ACH-1,NIH:OVCAR-3,X,NIHOVCAR3_OVARY,CVCL_0465,Ovary,OV\n"
    cells = ccle.read_cells(write(tmp_path / "Model.csv", header + row))
    assert cells.depmap_id.tolist() == ["ACH-1"] and cells.cellosaurus_id[0] == "CVCL_0465"
    twice = "ACH-1,B,,B_SKIN,,,\nACH-2,B,,B_SKIN,,,\n"
    with pytest.raises(TableError, match="'B_SKIN' stands in more than one row"):
        ccle.read_cells(write(tmp_path / "Model.csv", header + twice))


MODELS = (
    "ModelID,PatientID,CellLineName,StrippedCellLineName,CCLEName,RRID,OncotreeLineage,"
    "OncotreePrimaryDisease\n"
    "ACH-000681,PT-a,A549,A549,A549_LUNG,CVCL_0023,Lung,NSCLC\n"
    "ACH-000779,PT-b,,PC9,PC9_LUNG,CVCL_B260,Lung,NSCLC\n"
    "ACH-000232,PT-c,U-251 MG,U251MG,U251MG_CNS,CVCL_0021,CNS/Brain,Glioma\n"
    "ACH-001172,PT-c,U-251 MG,U251MGDM,,,CNS/Brain,Glioma\n"
    "ACH-009999,PT-d,,,,,,\n"
)


def test_models_are_keyed_by_their_id_and_a_missing_name_is_taken_from_the_short_one(tmp_path):
    cells = ccle.read_cells(write(tmp_path / "Model.csv", MODELS)).set_index("depmap_id")
    assert cells.cell_name["ACH-000779"] == "PC9" and cells.cell_name["ACH-009999"] == "ACH-009999"
    assert len(cells) == 5 and "short_name" not in cells
    assert cells.attrs["shared_names"] == ["U-251 MG"]
    twice = MODELS + "ACH-000681,PT-a,A550,A550,,,,\n"
    with pytest.raises(TableError, match="'ACH-000681' stands in more than one row"):
        ccle.read_cells(write(tmp_path / "Model.csv", twice))


def test_a_second_id_of_two_models_finds_neither(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    text = MODELS + "ACH-000001,PT-e,PC9X,PC9X,PC9_LUNG,,,\n"
    write(tmp_path / "CCLE" / "Model.csv", text)
    known = official.load(tmp_path).aliases.query("study == 'profile:CCLE'").cell_name
    assert "PC9_LUNG" not in set(known) and {"A549_LUNG", "ACH-000001"} <= set(known)


def test_the_models_of_a_whole_release_are_read(tmp_path):
    raw = pd.read_parquet(ROOT / "data" / "open" / "cells" / "depmap_models.parquet")
    names = dict(depmap_id="ModelID", cell_line_name="CellLineName", ccle_name="CCLEName")
    names |= dict(stripped_name="StrippedCellLineName", rrid="RRID", lineage="OncotreeLineage")
    raw.rename(columns=names).to_csv(tmp_path / "Model.csv", index=False)
    cells = ccle.read_cells(tmp_path / "Model.csv")
    assert len(cells) == len(raw) == 1_864 and cells.cell_name.notna().all()
    assert cells.attrs["shared_names"] == ["U-251 MG"]


@shared
def test_ccle_equals_the_table_made_elsewhere():
    frame = ccle.read_responses(SHARED / "official_samples" / f"{CCLE_FILE}.gz")
    other = pd.read_csv(SHARED / "response" / "ccle_dose_response.csv.gz")
    assert len(frame) == len(other) == 93_251 and frame.curve_id.nunique() == 11_670
    np.testing.assert_allclose(frame.dose, 6 - np.log10(other.dose_um), atol=1e-9)
    np.testing.assert_allclose(frame.growth, other.viability, atol=1e-6)
