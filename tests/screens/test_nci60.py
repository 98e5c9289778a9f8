"""NCI-60: per cent growth rescaled, other units counted, CellMiner's workbooks."""

import numpy as np
import pandas as pd
import pytest
from release_files import DATA, DOSERESP, as_contract, workbooks, write

from lib.screens import (
    nci60,
)
from lib.tables import TableError


def test_nci60_growth_is_rescaled_and_other_units_are_counted(tmp_path):
    frame = nci60.read_responses(write(tmp_path / "DOSERESP.csv", DOSERESP))
    assert as_contract(frame).growth.tolist() == [0, 0.5, 1] and frame.dose.tolist() == [4, 5, 6]
    assert set(frame.drug_name) == {"NSC-740"} and set(frame.endpoint) == {"growth"}
    assert dict((r, n) for _, r, n in frame.attrs["refused"]) == {
        "unit other than M": 2,
        "no reading, or growth outside -5 to 10": 1,
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("-4,-5,", "-4,10,"),
            "line 3: column 'CONCENTRATION' must be between -15 and 6, found 10; concentrations are log10",
        ),
        (("-4,-5,", "-4,0.5,"), r"dose must be between 0 and 15 \(-log10 M\), found -0.5"),
        (
            ("740,M,-4,-5", "NSC740,M,-4,-5"),
            "line 3: column 'NSC' must be a whole number, found 'NSC740'",
        ),
        (
            ("LNS,1,0,0", 'LNS,1,"0,5",0'),
            "line 3: column 'AVERAGE_GIPRCNT' must be a number, found '0,5'; a decimal comma",
        ),
        (("LNS,1,0,0", "LNS,1,0,5,0"), "line 3: 19 fields where the header has 18"),
        (("-4,-5,1", "-4,-5"), "line 3: 17 fields where the header has 18"),
        (("Lung,A549/ATCC,LNS,1,0,", "Lung,,LNS,1,0,"), "line 3: column 'CELL_NAME' is empty"),
        (("-4,-5,", "-4,-4,"), r"2 different readings \[0.0, 0.5\] at dose 4"),
        (
            ("-4,-6,", "-4,-4,"),
            r"2 different readings \[0.0, 1.0\] at dose 4",
        ),  # not beside the row that it repeats
        (("-4,-5,", "-4,-14,"), "units are mixed in 1 curve"),
        (("CELL_NAME", "CELL NAME"), r"\['CELL_NAME'\] missing"),
        ((",", ";"), "separated by ';'"),
        (
            (
                "\n20241001,0101AB01,S,740,M,-4,-7,1,3,Lung,A549/ATCC,LNS,0,,0,1,40,0\n",
                "\n20241001,0101AB",
            ),
            "the last line has 2 of 18",
        ),
    ],
)
def test_broken_nci60_rows_are_named(tmp_path, change, says):
    text = DOSERESP.replace(",", ";") if change[0] == "," else DOSERESP.replace(*change, 1)
    with pytest.raises(TableError, match=says):
        nci60.read_responses(write(tmp_path / "DOSERESP.csv", text))


def test_shuffled_rows_of_a_release_give_the_same_curves(tmp_path):
    rng = np.random.default_rng(0)
    head, *rows = DOSERESP.splitlines()
    rows = [r.replace("0101AB01", f"0101AB{i:02d}") for i in range(30) for r in rows[:3]]
    key = ["curve_id", "dose"]
    one = nci60.read_responses(write(tmp_path / "DOSERESP.csv", "\n".join([head, *rows]) + "\n"))
    two = nci60.read_responses(
        write(tmp_path / "b" / "DOSERESP.csv", "\n".join([head, *rng.permutation(rows)]) + "\n")
    )
    plain = [
        frame[[*key, "growth"]].astype({"curve_id": "str"}).sort_values(key, ignore_index=True)
        for frame in (one, two)
    ]
    pd.testing.assert_frame_equal(*plain)


@workbooks
def test_cellminer_workbooks_lose_their_ten_header_rows():
    frame = nci60.read_mutations(DATA / "nci60_DNA__Exome_Seq_excerpt.zip")
    assert (
        frame.shape == (60, 26)
        and frame.cell_name[0] == "MCF7"
        and "HL-60(TB)" in set(frame.cell_name)
    )
    assert (
        frame.set_index("cell_name").loc["SF-539", "C1orf222"] == 100
        and frame.isna().sum().sum() == 1
    )
    assert frame.attrs["scale"] == "per cent of protein-affecting change"
    cells = nci60.read_cells(DATA / "nci60_DNA__Exome_Seq_excerpt.zip")
    assert len(cells) == 60 and cells.tissue[0] == "Breast"


def test_a_number_of_several_structures_has_none_and_is_counted(tmp_path):
    text = "NSC,SMILES\n1,CC\n1,CCO\n2,\n2,CCN\n3,CCC\n3,CCC\n"
    drugs = nci60.read_drugs(write(tmp_path / "nsc_smiles.csv", text)).set_index("drug_name")
    assert drugs.smiles.dropna().to_dict() == {"NSC-2": "CCN", "NSC-3": "CCC"} and len(drugs) == 3
    reason = "structure of a compound that has several"
    assert drugs.attrs["refused"] == [("nsc_smiles", reason, 2)]


def test_nsc_tables_survive_bytes_that_are_not_utf8(tmp_path):
    path = tmp_path / "nsc_smiles.csv"
    path.write_bytes(b"NSC,SMILES,NAME\n740,CC(=O)O,5\xbfmethyl\n740,CC(=O)O,\n741,,\n")
    drugs = nci60.read_drugs(path)
    assert drugs.drug_name.tolist() == ["NSC-740", "NSC-741"]
    assert drugs.smiles[0] == "CC(=O)O" and drugs.smiles.isna()[1]
