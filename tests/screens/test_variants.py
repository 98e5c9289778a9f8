"""Variants in one vocabulary, and their counts per line and gene."""

import pytest
from release_files import DATA, OLD_MAF, SHARED, shared, write

from lib.screens import (
    gdsc,
    nci60,
    variants,
)
from lib.tables import TableError

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


@shared
def test_the_maf_of_58_lines_gives_the_counts_of_its_rows():
    path = SHARED / "mutation" / "nci60_ccle_maf_58lines.csv.gz"
    table = variants.counts(nci60.read_mutations(path))
    assert table.shape == (58, 16_493 + 1) and table.iloc[:, 1:].to_numpy().sum() == 67_684
