"""Expression profiles: scales declared, genes named, broken files refused."""

import gzip
import zipfile

import numpy as np
import pytest
from release_files import DATA, SHARED, shared, write

from lib.screens import (
    ccle,
    gdsc,
)
from lib.tables import TableError


def test_ccle_expression_declares_each_scale(tmp_path):
    tpm = write(
        tmp_path / "OmicsExpression.csv",
        ",TSPAN6 (7105),TNMD (64102)\nACH-1,4.33,0.0\nACH-2,5.1,0.07\n",
    )
    frame = ccle.read_expression(tpm)
    assert (
        list(frame) == ["cell_name", "profile_source", "TSPAN6", "TNMD"]
        and frame.attrs["scale"] == "log2(TPM+1)"
    )
    assert frame.dtypes.TSPAN6 == np.float32 and set(frame.profile_source) == {"CCLE"}
    gct = tmp_path / "CCLE_RNAseq_genes_rpkm_20180929.gct.gz"
    rows = "#1.2\n3\t2\nName\tDescription\tA_LUNG\tB_SKIN\n"
    rows += "ENSG1.4\tTP53\t1\t2\nENSG2.1\tTP53\t3\t4\nENSG3.1\tKRAS\t0\t.5\n"
    gct.write_bytes(gzip.compress(rows.encode()))
    frame = ccle.read_expression(gct)
    assert frame.attrs["scale"] == "RPKM" and frame.attrs["merged_symbols"] == 1
    assert frame.TP53.tolist() == [4, 6]  # two Ensembl ids of one symbol add up on a linear scale
    rsem = write(
        tmp_path / "CCLE_RNAseq_rsem_genes_tpm_20180929.txt",
        "gene_id\ttranscript_ids\tA\nENSG1.4\tx,y\t2.5\n",
    )
    assert list(ccle.read_expression(rsem))[2:] == ["ENSG1"]
    assert list(ccle.read_expression(rsem, {"ENSG1": "TP53"}))[2:] == ["TP53"]


def test_depmap_expression_of_a_newer_release_is_keyed_by_model(tmp_path):
    text = ",SequencingID,ModelID,IsDefaultEntryForModel,TP53 (7157)\n0,CDS-1,ACH-1,Yes,1.5\n1,CDS-2,ACH-1,No,2.5\n"
    frame = ccle.read_expression(write(tmp_path / "OmicsExpressionTPMLogp1.csv", text))
    assert frame.cell_name.tolist() == ["ACH-1"] and frame.TP53.tolist() == [1.5]
    assert frame.attrs["repeated_lines"] == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a_rpkm.gct", "Name\tDescription\tA\n", "first line must be '#1.2'"),
        (
            "a_rpkm.gct",
            "#1.2\n9\t1\nName\tDescription\tA\nE1\tTP53\t1\n",
            "promises 9 genes and 1 lines, found 1 and 1",
        ),
        (
            "genes.gct",
            "#1.2\n1\t1\nName\tDescription\tA\nE1\tTP53\t1\n",
            "the name must say the scale",
        ),
        (
            "a_rpkm.gct",
            "#1.2\n1\t1\nName\tDescription\tA\nE1\tTP53\t1,5\n",
            "line 4: column 'A' must be a number.*decimal comma",
        ),
        (
            "a_rpkm.gct",
            "#1.2\n1\t1\nName\tDescription\tA\nE1\tTP53\t-1\n",
            "must be between 0 and inf, found -1",
        ),
        ("Omics.csv", ",TP53,KRAS\nACH-1,1,2\n", "no column is named 'SYMBOL"),
        (
            "Omics.csv",
            ",TP53 (1),KRAS (2)\nACH-1,100,2\n",
            "line 2: column 'TP53 \\(1\\)' must be between 0 and 30",
        ),
        ("Omics.csv", ",TP53 (1),KRAS (2)\nACH-1,1\n", "the last line has 2 of 3 fields"),
        ("Omics.csv", ",TP53 (1),TP53 (1)\nACH-1,1,2\n", "stand twice in the header"),
    ],
)
def test_a_broken_expression_file_is_named(tmp_path, name, text, says):
    with pytest.raises(TableError, match=says):
        ccle.read_expression(write(tmp_path / name, text))


def test_passports_matrix_skips_its_label_rows(tmp_path):
    text = (
        "model_id,,SIDM1,SIDM2\nmodel_name,,A,B\ndataset_name,,x,x\ndata_source,,sanger,broad\ngene_id,symbol,,\n"
        "SIDG1,TP53,1.5,2\nSIDG2,KRAS,0,\n"
    )
    frame = gdsc.read_expression(write(tmp_path / "rnaseq_tpm_20220624.csv", text), measure="tpm")
    assert frame.cell_name.tolist() == ["SIDM1", "SIDM2"] and frame.attrs["scale"] == "TPM"
    assert frame.TP53.tolist() == [1.5, 2] and np.isnan(frame.KRAS[1])
    with pytest.raises(TableError, match=r"line 7: column 'SIDM1' must be a number, found 'x'"):
        gdsc.read_expression(
            write(tmp_path / "rnaseq_tpm_20220624.csv", text.replace("KRAS,0", "KRAS,x")),
            measure="tpm",
        )
    with pytest.raises(TableError, match="no gene row"):
        gdsc.read_expression(
            write(tmp_path / "rnaseq_tpm_1.csv", text.replace("SIDG", "ENSG")), measure="tpm"
        )


def test_passports_long_form_has_two_measures_and_one_row_per_key(tmp_path):
    frame = gdsc.read_expression(DATA / "rnaseq_long_excerpt.csv")
    assert frame.shape == (4, 32) and frame.attrs["scale"] == "FPKM"
    row = frame[frame.cell_name == "SIDM00794"].iloc[0]
    assert (row["ABCC6"], row["ABCF3"]) == pytest.approx((0.01, 25.95), rel=1e-6)
    assert (
        gdsc.read_expression(DATA / "rnaseq_long_excerpt.csv", "read_count").attrs["scale"]
        == "read count"
    )
    lines = (DATA / "rnaseq_long_excerpt.csv").read_text().splitlines()
    with pytest.raises(TableError, match="'ABCC6'.* stands in more than one row"):
        gdsc.read_expression(
            write(tmp_path / "rnaseq_long.csv", "\n".join([*lines, lines[1]]) + "\n")
        )


def test_the_array_keeps_one_profile_per_line_and_drops_unnamed_genes(tmp_path):
    text = "GENE_SYMBOLS\tGENE_title\tDATA.906826\tDATA.910927\tDATA.910927.1\n"
    text += "TP53\tx\t7.6\t8.1\t9.9\n\ty\t3\t3\t3\nKRAS\tz\t2\t4\t5\n"
    with zipfile.ZipFile(tmp_path / "Cell_line_RMA_proc_basalExp.txt.zip", "w") as archive:
        archive.writestr("Cell_line_RMA_proc_basalExp.txt", text)
    frame = gdsc.read_expression(tmp_path / "Cell_line_RMA_proc_basalExp.txt.zip")
    assert frame.cell_name.tolist() == ["906826", "910927"] and list(frame)[2:] == ["TP53", "KRAS"]
    assert frame.attrs == dict(
        scale="RMA log2", merged_symbols=0, unnamed_genes=1, repeated_lines=1
    )
    assert frame.TP53.tolist() == pytest.approx([7.6, 8.1])


@shared
def test_passports_rnaseq_and_models():
    frame = gdsc.read_expression(
        SHARED / "official_samples" / "sanger_rnaseq_fpkm_100models_1350genes.csv.gz"
    )
    assert frame.shape == (100, 1_352) and not frame.isna().any().any()
    assert len(gdsc.read_cells(SHARED / "cells" / "sanger_model_list.csv.gz")) == 2_155
