"""GDSC: wells normalised by the controls of their scan; what is no single drug is left out and
counted.
"""

import numpy as np
import pandas as pd
import pytest
from release_files import DATA, PLATE, SHARED, as_contract, shared, wells, write

from lib.screens import (
    gdsc,
)
from lib.tables import TableError


def test_gdsc_excerpt_equals_intensities_normalised_by_hand():
    path = DATA / "GDSC2_public_raw_data_example.csv.gz"
    frame, raw = gdsc.read_responses(path), pd.read_csv(path)
    assert set(frame.assay) == {"GDSC2"} and len(as_contract(frame))
    scan = raw[raw.SCAN_ID == raw.SCAN_ID[0]]
    blank, top = scan[scan.TAG == "B"].INTENSITY.mean(), scan[scan.TAG == "NC-1"].INTENSITY.mean()
    well = scan[scan.TAG == "L1-D1-S"].iloc[0]
    found = frame[frame.curve_id.str.endswith(f"|{well.SCAN_ID}|L1|{int(well.DRUG_ID)}")].nsmallest(
        1, "dose"
    )
    assert found.growth.item() == pytest.approx((well.INTENSITY - blank) / (top - blank), rel=1e-12)
    assert found.dose.item() == pytest.approx(6 - np.log10(well.CONC))
    mg132 = frame[frame.control]
    assert set(mg132.drug_name) == {"DRUG_ID 1862"}
    assert mg132.groupby("curve_id", observed=True).size().eq(5).all()


def test_each_assay_has_its_own_negative_control(tmp_path):
    first = gdsc.read_responses(write(tmp_path / "GDSC1_raw_data.csv", wells(PLATE)))
    second = gdsc.read_responses(write(tmp_path / "GDSC2_raw_data.csv", wells(PLATE)))
    np.testing.assert_allclose(first.growth, [0.5, 1.0])
    np.testing.assert_allclose(second.growth, [0.25, 0.5])


def test_each_scan_is_normalised_by_its_own_controls(tmp_path):
    other = [("s2", *row[1:4], row[4] * 2) for row in PLATE]
    frame = gdsc.read_responses(write(tmp_path / "GDSC1_raw_data.csv", wells(PLATE + other)))
    np.testing.assert_allclose(frame.growth, [0.5, 1.0, 0.5, 1.0])


def test_gdsc_leaves_out_and_counts_what_is_no_single_drug(tmp_path):
    extra = [
        ("s1", "L2-D1-S", "", 4, 60),  # a drug tag without id
        ("s1", "L3-D1-C", 3, 4, 60, "x"),  # a combination well: both of its tags
        ("s1", "A1-C", 9, 1, 60, "x"),
        ("s3", "L1-D1-S", 1, 4, 60, "x"),  # the same position of another plate is no combination
        ("s3", "B", "", "", 10),
        ("s3", "NC-0", "", "", 110),
        ("s1", "A1-S", 9, 1, 60),  # an anchor at its one dose
        ("s1", "L4-D1-S", 4, 4, 60, "f"),
        ("s1", "FAIL", 4, 4, 60, "f"),
        ("s1", "UN-USED", "", "", 60),
        ("s1", "DMSO", "", "", 60),
        ("s1", "SC", "", "", 60),
        ("s2", "L1-D1-S", 1, 4, 60),  # a scan without controls
        ("s1", "R1-D1-S", 7, 4, 30),
    ]
    frame = gdsc.read_responses(write(tmp_path / "GDSC1_raw_data.csv", wells(PLATE + extra)))
    reasons = {reason: n for _, reason, n in frame.attrs["refused"]}
    assert reasons == {
        "well marked FAIL": 1,
        "combination well": 2,
        "anchor drug at its one dose": 1,
        "drug tag without DRUG_ID": 1,
        "scan without blank or negative control": 1,
    }
    assert frame[frame.control].drug_name.tolist() == ["DRUG_ID 7"] and len(frame) == 4


def test_replicate_wells_are_averaged(tmp_path):
    frame = gdsc.read_responses(
        write(tmp_path / "GDSC1_raw_data.csv", wells([*PLATE, ("s1", "L1-D1-S", 1, 4, 80)]))
    )
    assert frame.growth.tolist() == pytest.approx([0.6, 1])


def test_two_ids_of_one_drug_name_stay_two_curves(tmp_path):
    compounds = "DRUG_ID,SCREENING_SITE,DRUG_NAME,SYNONYMS,TARGET,TARGET_PATHWAY\n"
    compounds += "1,MGH,Erlotinib,,EGFR,x\n5,SANGER,Erlotinib,,EGFR,x\n"
    drugs = gdsc.read_drugs(write(tmp_path / "screened_compounds_rel_8.5.csv", compounds))
    assert drugs.drug_name.tolist() == ["Erlotinib"] * 2
    path = write(
        tmp_path / "GDSC1_raw_data.csv",
        wells([*PLATE, ("s1", "L2-D1-S", 5, 4, 30), ("s1", "L3-D1-S", 8, 4, 30)]),
    )
    frame = gdsc.read_responses(path, compounds=drugs)
    named = frame.groupby("drug_name", observed=True)
    assert named.curve_id.nunique().to_dict() == {"Erlotinib": 2, "DRUG_ID 8": 1}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([*PLATE[:4], ("s1", "L1-D2-S", 1, 8, 60)], "drug 1 .*dose D2 is 8 µM.*D1 is the highest"),
        ([*PLATE, ("s1", "L1-D1-S", 1, 3, 60)], "dose D1 is .*mixed"),
        ([*PLATE, ("s1", "L5_D1", 1, 3, 60)], None),
        ([*PLATE, ("s1", "L5-D1-X", 1, 3, 60)], "tag 'L5-D1-X' is none of"),
        ([row for row in PLATE if row[1] != "B"], r"no well is tagged B \(blank\)"),
        (
            [row for row in PLATE if row[1] != "NC-0"],
            "no well is tagged NC-0.*GDSC1 has NC-0, GDSC2 has NC-1",
        ),
        (
            [*PLATE[:3], ("s1", "L1-D1-S", 1, 4e6, 60)],
            "line 5: column 'CONC' must be between 1e-07 and 100000",
        ),
        (
            [*PLATE[:3], ("s1", "L1-D1-S", 1, '"0,5"', 60)],
            "line 5: column 'CONC' must be a number, found '0,5'; a decimal comma",
        ),
        (
            [*PLATE[:3], ("s1", "L1-D1-S", 1, "0,5", 60)],
            "line 5: 9 fields where the header has 8",
        ),
        ([("s1", "B", "", "", 10), ("s1", "NC-0", "", "", 5), PLATE[3]], "no row is left"),
    ],
)
def test_broken_wells_are_named(tmp_path, rows, says):
    path = write(tmp_path / "GDSC1_raw_data.csv", wells(rows))
    if says is None:  # a tag that is no drug tag is left alone
        assert len(gdsc.read_responses(path)) == 2
        return
    with pytest.raises(TableError, match=says):
        gdsc.read_responses(path)


def test_an_assay_that_is_not_named_is_never_guessed(tmp_path):
    path = write(tmp_path / "raw_data.csv", wells(PLATE))
    with pytest.raises(TableError, match="the name does not say GDSC1 or GDSC2"):
        gdsc.read_responses(path)


def test_gdsc_models_in_either_spelling_of_their_columns(tmp_path):
    header = "model_id,model_name,tissue,cancer_type,COSMIC_ID,BROAD_ID,CCLE_ID,RRID"
    row = "\nSIDM1,PK-59,Pancreas,x,,ACH-205,PK59,CVCL_4897\n"
    for spelled in (header, header.lower()):
        cells = gdsc.read_cells(write(tmp_path / "model_list.csv", spelled + row))
        assert cells.depmap_id[0] == "ACH-205" and cells.cellosaurus_id[0] == "CVCL_4897"


@shared
def test_gdsc_wells_equal_the_viabilities_made_elsewhere(tmp_path):
    path = tmp_path / "GDSC2_raw_data_example.csv.gz"
    path.symlink_to(SHARED / "official_samples" / "gdsc_raw_data_example.csv.gz")
    frame = gdsc.read_responses(path)
    other = pd.read_csv(SHARED / "response" / "gdsc_example_dose_response.csv.gz")
    assert len(frame) == len(other) == 67_082 and frame.curve_id.nunique() == 10_108
    keys = frame.curve_id.astype("str").str.split("|")
    ours = frame.assign(key=keys.str[1] + "_" + keys.str[2] + "_" + keys.str[3])
    ours["um"] = (10 ** (6 - ours.dose)).round(7)
    both = ours.merge(
        other.assign(um=other.dose_um.round(7)),
        left_on=["key", "um"],
        right_on=["curve_id", "um"],
    )
    assert len(both) == len(other)
    np.testing.assert_allclose(both.growth, both.viability, atol=1e-5)


@shared
def test_every_model_of_the_passports_is_read():
    assert len(gdsc.read_cells(SHARED / "cells" / "sanger_model_list.csv.gz")) == 2_155
