"""Expression profiles: scales declared, genes named, broken files refused."""

import zipfile

import numpy as np
import pytest
from release_files import write

from lib.screens import (
    ccle,
    gdsc,
)
from lib.tables import TableError


def test_depmap_expression_declares_its_scale(tmp_path):
    text = ",TSPAN6 (7105),TNMD (64102)\nACH-1,4.33,0.0\nACH-2,5.1,0.07\n"
    frame = ccle.read_expression(write(tmp_path / "OmicsExpression.csv", text))
    assert list(frame) == ["cell_name", "TSPAN6", "TNMD"]
    assert frame.attrs["scale"] == "log2(TPM+1)" and frame.dtypes.TSPAN6 == np.float32


def test_genes_of_one_symbol_become_their_mean(tmp_path):
    text = ",TP53 (7157),TP53 (1),KRAS (2)\nACH-1,1,2,0\nACH-2,3,4,\n"
    frame = ccle.read_expression(write(tmp_path / "OmicsExpression.csv", text))
    assert list(frame)[1:] == ["TP53", "KRAS"] and frame.TP53.tolist() == [1.5, 3.5]
    assert np.isnan(frame.KRAS[1])
    reason = "gene averaged into another row of its symbol"
    assert frame.attrs["refused"] == [("OmicsExpression", reason, 1)]


def test_depmap_expression_of_a_newer_release_is_keyed_by_model(tmp_path):
    text = ",SequencingID,ModelID,IsDefaultEntryForModel,TP53 (7157)\n0,CDS-1,ACH-1,Yes,1.5\n1,CDS-2,ACH-1,No,2.5\n"
    frame = ccle.read_expression(write(tmp_path / "OmicsExpressionTPMLogp1.csv", text))
    assert frame.cell_name.tolist() == ["ACH-1"] and frame.TP53.tolist() == [1.5]
    assert frame.attrs["refused"] == [
        ("OmicsExpressionTPMLogp1", "entry that does not stand for its model", 1)
    ]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("Omics.csv", ",TP53,KRAS\nACH-1,1,2\n", "no column is named 'SYMBOL"),
        (
            "Omics.csv",
            ",TP53 (1),KRAS (2)\nACH-1,100,2\n",
            "line 2: column 'TP53 \\(1\\)' must be between 0 and 30",
        ),
        (
            "Omics.csv",
            ',TP53 (1),KRAS (2)\nACH-1,"1,5",2\n',
            "line 2: column 'TP53 \\(1\\)' must be a number, found '1,5'; a decimal comma",
        ),
        ("Omics.csv", ",TP53 (1),KRAS (2)\nACH-1,1\n", "the last line has 2 of 3 fields"),
        ("Omics.csv", ",TP53 (1),TP53 (1)\nACH-1,1,2\n", "stand twice in the header"),
    ],
)
def test_a_broken_expression_file_is_named(tmp_path, name, text, says):
    with pytest.raises(TableError, match=says):
        ccle.read_expression(write(tmp_path / name, text))


def test_the_array_keeps_one_profile_per_line_and_drops_unnamed_genes(tmp_path):
    text = "GENE_SYMBOLS\tGENE_title\tDATA.906826\tDATA.910927\tDATA.910927.1\n"
    text += "TP53\tx\t7.6\t8.1\t9.9\n\ty\t3\t3\t3\nKRAS\tz\t2\t4\t5\n"
    with zipfile.ZipFile(tmp_path / "Cell_line_RMA_proc_basalExp.txt.zip", "w") as archive:
        archive.writestr("Cell_line_RMA_proc_basalExp.txt", text)
    frame = gdsc.read_expression(tmp_path / "Cell_line_RMA_proc_basalExp.txt.zip")
    assert frame.cell_name.tolist() == ["906826", "910927"] and list(frame)[1:] == ["TP53", "KRAS"]
    assert frame.attrs["scale"] == "RMA log2"
    assert [(reason, n) for _, reason, n in frame.attrs["refused"]] == [
        ("gene: no gene symbol", 1),
        ("further profile of a cell line", 1),
    ]
    assert frame.TP53.tolist() == pytest.approx([7.6, 8.1])


MATRIX = (
    ",SequencingID,ModelID,IsDefaultEntryForModel,ModelConditionID,IsDefaultEntryForMC,"
    "TSPAN6 (7105),TP53 (7157)\n"
    "0,CDS-a,ACH-000029,No,MC-a,Yes,0.5,1.5\n1,CDS-b,ACH-000029,Yes,MC-b,Yes,3.5,4.5\n"
    "2,CDS-c,ACH-000681,Yes,MC-c,No,5.0,6.0\n"
)


@pytest.mark.parametrize(("no", "yes"), [("No", "Yes"), ("False", "True"), ("0", "1")])
def test_the_entry_that_stands_for_a_model_is_its_profile(tmp_path, no, yes):
    text = MATRIX.replace("No,", f"{no},").replace("Yes,", f"{yes},")
    frame = ccle.read_expression(write(tmp_path / "Omics.csv", text)).set_index("cell_name")
    assert frame.TSPAN6.to_dict() == {"ACH-000029": 3.5, "ACH-000681": 5}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("ACH-000029,No", "ACH-000029,Yes", "two entries stand for ACH-000029"),
        ("ACH-000029,No", "ACH-000029,maybe", "must be Yes or No in every row"),
        ("ACH-000029,No", "ACH-000029,", "must be Yes or No in every row"),
        ("ModelID", "ProfileID", "must be named by ModelID .* found '1'"),
    ],
)
def test_profiles_that_do_not_say_which_stands_for_a_model_are_refused(tmp_path, old, new, says):
    with pytest.raises(TableError, match=says):
        ccle.read_expression(write(tmp_path / "Omics.csv", MATRIX.replace(old, new)))


def test_a_gene_without_an_entrez_id_is_a_gene_and_one_without_a_symbol_is_counted(tmp_path):
    text = ",TP53 (7157),H2BE1 (nan),NPIPA9 (Unknown),X1 (ENSG00000000003),Unknown (9),1-Mar (2)"
    text += ",2-Mar (3),KRAS\nACH-1,1,2,3,4,5,6,7,8\n"
    frame = ccle.read_expression(write(tmp_path / "Omics.csv", text))
    assert list(frame)[1:] == ["TP53", "H2BE1", "NPIPA9", "X1"]
    assert [(reason, n) for _, reason, n in frame.attrs["refused"]] == [
        ("column that names no gene", 1),
        ("gene: symbol that a spreadsheet made a date or a number (1-Mar, 2-Mar)", 2),
        ("gene: no gene symbol", 1),
    ]


def test_two_genes_under_one_date_are_never_one_gene(tmp_path):
    text = "GENE_SYMBOLS\tGENE_title\tDATA.1\n1-Mar\tx\t1\n1-Mar\ty\t10\nTP53\tz\t5\n"
    with zipfile.ZipFile(tmp_path / "Cell_line_RMA_proc_basalExp.txt.zip", "w") as archive:
        archive.writestr("Cell_line_RMA_proc_basalExp.txt", text)
    frame = gdsc.read_expression(tmp_path / "Cell_line_RMA_proc_basalExp.txt.zip")
    assert list(frame) == ["cell_name", "TP53"]
    reason = "gene: symbol that a spreadsheet made a date or a number (1-Mar)"
    assert frame.attrs["refused"] == [("Cell_line_RMA_proc_basalExp", reason, 2)]
