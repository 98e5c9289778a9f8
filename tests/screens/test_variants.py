"""Variants in one vocabulary, and their counts per line and gene: the one SNP feature of the
package.
"""

import numpy as np
import pandas as pd
import pytest
from release_files import DATA, OLD_MAF, SHARED, shared, write

from lib.screens import gdsc, variants
from lib.tables import TableError

NEW_MAF = (
    "ModelID,HugoSymbol,VariantInfo,VariantType,ProteinChange\n"
    "ACH-1,TP53,MISSENSE,SNP,p.R1H\nACH-1,,SILENT,SNP,\nACH-1,KRAS,START_CODON_SNP,SNP,\n"
)
MAF = [
    ("A", "TP53", "Missense_Mutation", "SNP"),
    ("A", "TP53", "Nonsense_Mutation", "SNP"),
    ("A", "KRAS", "Silent", "SNP"),
    ("A", "EGFR", "In_Frame_Del", "DEL"),
    ("B", "KRAS", "Missense_Mutation", "SNP"),
    ("C", "KRAS", "Intron", "SNP"),
    ("B", None, "Missense_Mutation", "SNP"),
    ("B", "Unknown", "Missense_Mutation", "SNP"),
]
VARIANTS = pd.DataFrame(MAF, columns=list(variants.NAMES)).astype("category")


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
    assert set(variants.CLASSES.values()) == {*variants.PROTEIN_CHANGING, "Silent"}


def test_protein_changes_are_counted_and_every_variant_left_out_is_accounted_for():
    table, left_out = variants.counts(VARIANTS, variants.PROTEIN_CHANGING, None)
    counts = table.set_index("cell_name")
    assert counts.loc["A"].to_dict() == {"EGFR": 1, "KRAS": 0, "TP53": 2}
    assert counts.loc["B", "KRAS"] == 1 and (counts.dtypes == np.float32).all()
    assert (counts.loc["C"] == 0).all(), "a line without a counted variant keeps its row"
    assert int(counts.to_numpy().sum()) + left_out.n_variants.sum() == len(VARIANTS)
    assert left_out.set_index("reason").n_variants.to_dict() == {
        "variant class Intron": 1,
        "variant class Silent": 1,
        "no gene symbol": 2,
    }
    assert left_out.set_index("reason").example["variant class Silent"] == "A"


def test_the_declared_scale_names_the_classes_that_were_counted():
    assert variants.counts(VARIANTS, variants.PROTEIN_CHANGING, None)[0].attrs["scale"] == (
        "count of protein changes (In_Frame_Del, Missense_Mutation, Nonsense_Mutation; "
        "every variant type)"
    )
    silent, _ = variants.counts(VARIANTS, classes=("Silent",), types=("SNP",))
    assert silent.attrs["scale"] == "count of variants (Silent; SNP)"


def test_other_classes_and_types_count_when_asked():
    silent, _ = variants.counts(VARIANTS, ("Silent",), None)
    assert silent.set_index("cell_name").loc["A"].to_dict() == {"EGFR": 0, "KRAS": 1, "TP53": 0}
    snps, left_out = variants.counts(VARIANTS, variants.PROTEIN_CHANGING, ("SNP",))
    assert snps.set_index("cell_name").loc["A"].to_dict() == {"EGFR": 0, "KRAS": 0, "TP53": 2}
    assert left_out.set_index("reason").n_variants["variant type DEL"] == 1


def test_words_that_no_variant_has_are_refused():
    with pytest.raises(
        TableError,
        match=r"no variant has a variant class in \['missense'\]; found \['In_Frame_Del'",
    ):
        variants.counts(VARIANTS, ("missense",), None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("Hugo_Symbol", "Gene"), r"no column for symbol \('Hugo_Symbol'"),
        (("Variant_Type", "Kind"), r"no column for variant_type \('Variant_Type'"),
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
    assert frame.loc[row, ["variant_type", "symbol"]].tolist() == ["SNP", "CARD11"]


def test_what_a_table_of_counts_leaves_out_is_listed_under_its_file():
    table = gdsc.read_mutations(DATA / "driver_mutations_excerpt.csv")
    assert table.set_index("cell_name").to_numpy().sum() == 42 - sum(
        n for _, _, n in table.attrs["refused"]
    )
    assert {file for file, _, _ in table.attrs["refused"]} <= {"driver_mutations_excerpt"}


@shared
def test_the_real_maf_gives_the_documented_counts():
    maf = variants.read_maf(SHARED / "mutation" / "nci60_ccle_maf_58lines.csv.gz")
    everything = tuple(maf.variant_class.unique())
    snps, _ = variants.counts(maf, classes=everything, types=("SNP",))
    assert snps.shape == (58, 16_493 + 1) and snps.iloc[:, 1:].to_numpy().sum() == 67_684
    changes, left_out = variants.counts(maf, variants.PROTEIN_CHANGING, None)
    assert changes.iloc[:, 1:].to_numpy().sum() + left_out.n_variants.sum() == 72_772
    assert left_out.set_index("reason").n_variants["variant class Silent"] == 18_292
