"""Variants in one vocabulary, and their counts per line and gene: the one SNP feature of the
package.
"""

import numpy as np
import pandas as pd
import pytest
from release_files import DATA, OLD_MAF, SHARED, shared, write

from lib.screens import ccle, gdsc, variants
from lib.tables import TableError

NEW_MAF = (
    "ModelID,HugoSymbol,VariantInfo,VariantType,ProteinChange\n"
    "ACH-1,TP53,MISSENSE,SNP,p.R1H\nACH-1,,SILENT,SNP,\nACH-1,KRAS,START_CODON_SNP,SNP,\n"
)
MAF = [
    ("A", "TP53", "Missense_Mutation"),
    ("A", "TP53", "Nonsense_Mutation"),
    ("A", "KRAS", "Silent"),
    ("A", "EGFR", "In_Frame_Del"),
    ("B", "KRAS", "Missense_Mutation"),
    ("C", "KRAS", "Intron"),
    ("B", None, "Missense_Mutation"),
    ("B", "Unknown", "Missense_Mutation"),
]
VARIANTS = pd.DataFrame(MAF, columns=list(variants.NAMES)).astype("category")


def left_out(table):
    return {reason: n for _, reason, n in table.attrs["refused"]}


def test_maf_of_either_vintage_is_read_in_one_vocabulary(tmp_path):
    old = variants.read_maf(write(tmp_path / "CCLE_mutations.maf", OLD_MAF))
    new = variants.read_maf(write(tmp_path / "OmicsSomaticMutations.csv", NEW_MAF))
    assert list(old) == list(new) == list(variants.NAMES)
    assert old.variant_class[0] == new.variant_class[0] == "Missense_Mutation"
    assert new.variant_class.tolist()[1:] == ["Silent", "Start_Codon_SNP"]
    assert new.symbol.isna().tolist() == [False, True, False]


def test_every_class_that_changes_the_protein_is_known_in_any_case_of_letters():
    for name in variants.PROTEIN_CHANGING:
        assert variants.CLASSES[name.lower()] == name
    assert not set(variants.OTHER) & set(variants.PROTEIN_CHANGING)


def test_protein_changes_are_counted_and_every_variant_left_out_is_accounted_for():
    table = variants.counts("a.maf", VARIANTS)
    counts = table.set_index("cell_name")
    assert counts.loc["A"].to_dict() == {"EGFR": 1, "KRAS": 0, "TP53": 2}
    assert counts.loc["B", "KRAS"] == 1 and (counts.dtypes == np.float32).all()
    assert (counts.loc["C"] == 0).all(), "a line without a counted variant keeps its row"
    assert int(counts.to_numpy().sum()) + sum(left_out(table).values()) == len(VARIANTS)
    assert left_out(table) == {
        "variant class Intron": 1,
        "variant class Silent": 1,
        "no gene symbol": 2,
    }


def test_the_declared_scale_names_the_classes_that_were_counted():
    assert variants.counts("a.maf", VARIANTS).attrs["scale"] == (
        "count of protein changes (In_Frame_Del, Missense_Mutation, Nonsense_Mutation; "
        "every variant type)"
    )


def test_a_table_without_a_protein_change_is_refused_and_shows_its_words():
    others = VARIANTS[VARIANTS.variant_class.isin(["Silent", "Intron"])]
    with pytest.raises(
        TableError,
        match=r"no variant has a variant class in \['Missense_.*\]; found \['Intron', 'Silent'\]",
    ):
        variants.counts("a.maf", others)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("Hugo_Symbol", "Gene"), r"no column for symbol \('Hugo_Symbol'"),
        (("\tSilent", ""), "line 3: 5 fields where the header has 6"),
        (("B_SKIN", ""), "line 4: column 'Tumor_Sample_Barcode' is empty"),
    ],
)
def test_a_broken_maf_is_named(tmp_path, change, says):
    with pytest.raises(TableError, match=says):
        variants.read_maf(write(tmp_path / "a.maf", OLD_MAF.replace(*change, 1)))


def test_passports_mutations_use_maf_words():
    frame = variants.read_passports(DATA / "driver_mutations_excerpt.csv")
    assert set(frame.variant_class) <= {*variants.CLASSES.values()}
    raw = pd.read_csv(DATA / "driver_mutations_excerpt.csv")
    row = raw.index[raw.protein_mutation == "p.R408C"][0]
    assert frame.loc[row, ["variant_class", "symbol"]].tolist() == ["Missense_Mutation", "CARD11"]


def test_what_a_table_of_counts_leaves_out_is_listed_under_its_file():
    table = gdsc.read_mutations(DATA / "driver_mutations_excerpt.csv")
    assert table.set_index("cell_name").to_numpy().sum() == 42 - sum(
        n for _, _, n in table.attrs["refused"]
    )
    assert {file for file, _, _ in table.attrs["refused"]} <= {"driver_mutations_excerpt"}


@shared
def test_the_real_maf_gives_the_documented_counts():
    maf = variants.read_maf(SHARED / "mutation" / "nci60_ccle_maf_58lines.csv.gz")
    table = variants.counts("a.maf", maf)
    left = left_out(table)
    assert len(maf) == 72_772 and table.shape == (58, 16_493 + 1)
    assert table.iloc[:, 1:].to_numpy().sum() + sum(left.values()) == 72_772
    assert left["variant class Silent"] == 18_292


STRAY = "#version 2.4\nHugo_Symbol\tTumor_Sample_Barcode\tVariant_Classification\tRemark\n"
HEADS = "Hugo_Symbol\tTumor_Sample_Barcode\tVariant_Classification\tVariant_Type\n"
WORDS = HEADS + "TP53\tA\t{}\tSNP\nKRAS\tA\tMissense_Mutation\tSNP\nKRAS\tB\tSilent\tSNP\n"


def read_counts(path, text):
    return variants.counts("a.maf", variants.read_maf(write(path / "a.maf", text)))


def test_every_line_of_a_maf_is_a_variant_whatever_its_remarks_quote(tmp_path):
    remarks = {10: "\"near the 5' end", 30: '"seen twice', 33: 'a "quoted" word'}
    rows = [f"TP53\tL{i % 5}\tMissense_Mutation\t{remarks.get(i, 'x')}" for i in range(40)]
    assert read_counts(tmp_path, STRAY + "\n".join(rows)).TP53.tolist() == [8] * 5


def test_a_maf_without_types_counts_every_type_and_says_so(tmp_path):
    text = "Hugo_Symbol\tTumor_Sample_Barcode\tVariant_Classification\n"
    text += "TP53\tA\tMissense_Mutation\nTP53\tA\tNonsense_Mutation\nKRAS\tB\tMissense_Mutation\n"
    table = read_counts(tmp_path, text)
    assert table.set_index("cell_name").to_numpy().tolist() == [[0, 2], [1, 0]]
    assert "every variant type" in table.attrs["scale"]


@pytest.mark.parametrize("kind", ["snp", "SNV", "", "point mutation", "DEL"])
def test_a_variant_counts_whatever_its_type_is_called(tmp_path, kind):
    table = read_counts(tmp_path, HEADS + f"TP53\tA\tMissense_Mutation\t{kind}\n")
    assert table.TP53.tolist() == [1]


@pytest.mark.parametrize(
    "word",
    [
        "missense_mutation",
        "MISSENSE",
        "Missense Mutation",
        "missense_variant&splice_region_variant",
        "splice_region_variant,missense_variant",
        "Frameshift",
        "frame-shift del",
        "stop_gained&inframe_insertion",
    ],
)
def test_a_class_spelled_otherwise_is_counted(tmp_path, word):
    table = read_counts(tmp_path, WORDS.format(word))
    assert table.set_index("cell_name").TP53.tolist() == [1, 0]
    assert list(left_out(table)) == ["variant class Silent"]


@pytest.mark.parametrize("word", ["Missense_Mut", "COULD_NOT_DETERMINE", "", "cds_disrupted", "?"])
def test_a_gene_whose_variant_is_of_an_unknown_class_is_missing_not_zero(tmp_path, word):
    table = read_counts(tmp_path, WORDS.format(word))
    found = table.set_index("cell_name")
    assert np.isnan(found.loc["A", "TP53"]) and found.loc["B", "TP53"] == 0
    assert found.KRAS.tolist() == [1, 0]
    assert f"unknown variant class {word or 'missing'}" in left_out(table)


@pytest.mark.parametrize("word", ["Silent", "3'UTR", "intron_variant", "IGR", "5'Flank", "RNA"])
def test_a_class_known_to_leave_the_protein_as_it_is_counts_as_zero(tmp_path, word):
    table = read_counts(tmp_path, WORDS.format(word))
    assert table.set_index("cell_name").TP53.tolist() == [0, 0]
    assert f"variant class {word}" in left_out(table) or word not in variants.OTHER


def test_symbols_that_name_no_gene_are_no_columns_and_are_counted(tmp_path):
    names = ["TP53", "1-Mar", "12-Sep", "Unknown", "", ".", "44986", "2.31E+19"]
    rows = [f"{name}\tA\tMissense_Mutation\tSNP" for name in names]
    table = read_counts(tmp_path, HEADS + "\n".join(rows))
    assert list(table) == ["cell_name", "TP53"]
    assert left_out(table) == {
        "no gene symbol": 3,
        "symbol that a spreadsheet made a date or a number (1-Mar, 12-Sep, 44986)": 4,
    }
    with pytest.raises(TableError, match="no variant names a gene"):
        read_counts(tmp_path, HEADS + "1-Mar\tA\tMissense_Mutation\tSNP\n")


ENTRIES = (
    "ModelID,SequencingID,IsDefaultEntryForModel,HugoSymbol,VariantInfo,VariantType\n"
    "ACH-1,CDS-1,No,TP53,MISSENSE,SNP\nACH-1,CDS-2,Yes,KRAS,MISSENSE,SNP\n"
    "ACH-1,CDS-2,Yes,TP53,MISSENSE,SNP\nACH-2,CDS-3,Yes,TP53,SILENT,SNP\n"
)


def test_only_the_entry_that_stands_for_a_model_is_counted(tmp_path):
    table = ccle.read_mutations(write(tmp_path / "OmicsSomaticMutations.csv", ENTRIES))
    assert table.set_index("cell_name").loc["ACH-1"].to_dict() == {"KRAS": 1, "TP53": 1}
    reasons = {reason: n for _, reason, n in table.attrs["refused"]}
    assert reasons["entry that does not stand for its model"] == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("CDS-1,No", "CDS-1,Yes", r"two entries stand for ACH-1 \('CDS-1', 'CDS-2'\)|two entries"),
        ("CDS-1,No", "CDS-1,Maybe", r"must be Yes or No in every row, found \['maybe'\]"),
        ("CDS-1,No", "CDS-1,", r"must be Yes or No in every row, found \[''\]"),
    ],
)
def test_an_entry_that_may_or_may_not_stand_for_its_model_is_refused(tmp_path, old, new, says):
    with pytest.raises(TableError, match=says):
        ccle.read_mutations(write(tmp_path / "Omics.csv", ENTRIES.replace(old, new)))
