"""Cell features: declared scales, shared genes, counts from variants; nothing guessed, nothing lost."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.cells import cohorts
from lib.cells import expression as cell_expression
from lib.cells import mutations as cell_mutations
from lib.paths import ROOT
from lib.sweep import controls

SHARED = ROOT.parent / "shared"
shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the measurement folder is not beside this checkout"
)


def expression(source, lines, genes, seed=0, **changes):
    values = (
        np.random.default_rng(seed).uniform(0, 12, size=(len(lines), len(genes))).astype(np.float32)
    )
    frame = pd.DataFrame(values, columns=genes).assign(**changes)
    return pd.concat([pd.DataFrame(dict(cell_id=lines, profile_source=source)), frame], axis=1)


def maf(*rows):
    return pd.DataFrame(
        rows,
        columns=["Tumor_Sample_Barcode", "Hugo_Symbol", "Variant_Classification", "Variant_Type"],
    )


VARIANTS = maf(
    ("A", "TP53", "Missense_Mutation", "SNP"),
    ("A", "TP53", "Nonsense_Mutation", "SNP"),
    ("A", "KRAS", "Silent", "SNP"),
    ("A", "EGFR", "In_Frame_Del", "DEL"),
    ("B", "KRAS", "Missense_Mutation", "SNP"),
    ("X", "KRAS", "Missense_Mutation", "SNP"),
    ("B", None, "Missense_Mutation", "SNP"),
)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(1e-3, 1e3))
def test_log_tpm_is_the_papers_formula_and_forgets_the_sequencing_depth(seed, factor):
    fpkm = np.random.default_rng(seed).gamma(0.5, 30, size=(3, 40)) + 1e-6
    paper = cell_expression.log_tpm(fpkm, "paper")
    np.testing.assert_allclose(
        paper, np.log(fpkm * 1e6 / fpkm.sum(axis=1, keepdims=True)), atol=1e-12
    )
    np.testing.assert_allclose(np.exp(paper).sum(axis=1), 1e6, rtol=1e-12)
    np.testing.assert_allclose(
        cell_expression.log_tpm(fpkm * factor), cell_expression.log_tpm(fpkm), atol=1e-9
    )
    np.testing.assert_allclose(
        2 ** cell_expression.log_tpm(fpkm) - 1, np.exp(paper), rtol=1e-6, atol=1e-6
    )


def test_the_total_is_over_all_genes_and_not_over_the_chosen_ones():
    fpkm = np.array([[10.0, 30.0, 60.0]])
    whole = cell_expression.log_tpm(fpkm)[:, :2]
    np.testing.assert_allclose(cell_expression.log_tpm(fpkm[:, :2], total=[100.0]), whole)
    assert not np.allclose(cell_expression.log_tpm(fpkm[:, :2]), whole)


def test_a_gene_without_reads_is_minus_infinity_in_the_papers_formula_and_the_smallest_value_in_a_panel():
    fpkm = np.array([[0.0, 1.0, 3.0]])
    assert (
        np.isneginf(cell_expression.log_tpm(fpkm, "paper")[0, 0])
        and cell_expression.log_tpm(fpkm)[0, 0] == 0
    )
    logged = cell_expression.to_log(fpkm, "FPKM", "paper")
    assert logged[0, 0] == logged[0, 1] == pytest.approx(np.log(250_000))


def test_a_declared_log_scale_passes_and_an_undeclared_one_is_never_guessed():
    values = np.array([[1.0, 5.0]])
    for scale in ("log2(TPM+1)", "log2 intensity", "z-scored within the cell (RMA array)", "RMA"):
        assert (cell_expression.to_log(values, scale) == values).all()
    for scale in ("", "unknown", None, "counts"):
        with pytest.raises(ValueError, match="is not known: declare one of"):
            cell_expression.to_log(values, scale)


@pytest.mark.parametrize(
    "message, call",
    [
        (
            "cannot be negative, found -2: are the values on a log scale",
            lambda: cell_expression.log_tpm([[-2.0, 1.0]]),
        ),
        ("sample 1 has a total FPKM of 0", lambda: cell_expression.log_tpm([[1.0], [0.0]])),
        (
            "form must be 'log2p1' or 'paper', found 'log10'",
            lambda: cell_expression.log_tpm([[1.0]], "log10"),
        ),
        ("profile 1 is flat", lambda: cell_expression.zscore_within_cell([[1.0, 2], [3, 3]])),
        (
            "profile 0 has no value",
            lambda: cell_expression.zscore_within_cell([[np.nan, np.nan], [3, 4]]),
        ),
        (
            "no scale declared for .'CCLE'.",
            lambda: cell_expression.panel(dict(CCLE=expression("CCLE", ["A"], ["G"])), {}),
        ),
        (
            "share no gene symbol",
            lambda: cell_expression.panel(
                dict(a=expression("a", ["A"], ["G"]), b=expression("b", ["A"], ["H"])),
                dict(a="RMA", b="RMA"),
            ),
        ),
    ],
)
def test_bad_expression_is_refused_in_one_sentence(message, call):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_panel_holds_the_shared_genes_of_every_profile_each_z_scored_within_itself():
    frames = dict(
        GDSC=expression("GDSC", ["A", "B"], ["G3", "G1", "G2", "G9"]),
        CCLE=expression("CCLE", ["A", "C", "D"], ["G1", "G2", "G3", "G7"], seed=1),
    )
    made = cell_expression.panel(frames, dict(GDSC="RMA", CCLE="log2(TPM+1)"))
    assert made.columns.tolist() == ["cell_id", "profile_source", "G1", "G2", "G3"]
    assert made[["cell_id", "profile_source"]].agg("/".join, axis=1).tolist() == [
        "A/GDSC",
        "B/GDSC",
        "A/CCLE",
        "C/CCLE",
        "D/CCLE",
    ]
    values = made[["G1", "G2", "G3"]].to_numpy()
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(values.std(axis=1), 1, atol=1e-6)
    plain = cell_expression.panel(frames, dict(GDSC="RMA", CCLE="log2(TPM+1)"), within_cell=False)
    assert plain.G1.tolist()[2:] == frames["CCLE"].G1.tolist()


def test_a_gap_stays_a_gap_and_does_not_disturb_its_profile():
    frame = expression("GDSC", ["A"], ["G1", "G2", "G3", "G4"], G4=[np.nan])
    made = cell_expression.panel(dict(GDSC=frame), dict(GDSC="RMA"))
    without = cell_expression.panel(dict(GDSC=frame.drop(columns="G4")), dict(GDSC="RMA"))
    assert np.isnan(made.G4[0])
    np.testing.assert_allclose(made[["G1", "G2", "G3"]], without[["G1", "G2", "G3"]])


def test_the_panel_takes_fpkm_per_million_of_all_measured_genes():
    frame = expression("CCLE", ["A", "B"], ["G1", "G2", "G3"])
    other = expression("GDSC", ["A"], ["G1", "G2"])
    made = cell_expression.panel(
        dict(CCLE=frame, GDSC=other), dict(CCLE="FPKM", GDSC="RMA"), within_cell=False
    )
    expected = cell_expression.log_tpm(frame[["G1", "G2", "G3"]])[:, :2]
    np.testing.assert_allclose(made[["G1", "G2"]].to_numpy()[:2], expected, rtol=1e-6)


def test_snps_are_counted_by_class_and_type_and_every_variant_left_out_is_accounted_for():
    counts, left_out = cell_mutations.snp_counts(VARIANTS, cells=["A", "B", "C"])
    assert counts.loc["A"].to_dict() == {"KRAS": 0, "TP53": 2} and counts.loc["B", "KRAS"] == 1
    assert (counts.loc["C"] == 0).all(), "an assessed line without a variant keeps its row"
    assert int(counts.to_numpy().sum()) + left_out.n_variants.sum() == len(VARIANTS)
    assert left_out.set_index("reason").n_variants.to_dict() == {
        "Variant_Classification Silent": 1,
        "Variant_Type DEL": 1,
        "cell line not assessed or unknown: add it to the cell table": 1,
        "no gene symbol": 1,
    }


def test_every_class_and_type_counts_when_asked():
    counts, left_out = cell_mutations.snp_counts(
        VARIANTS, cells=["A", "B", "X"], classes=None, types=None
    )
    assert counts.loc["A"].to_dict() == {
        "EGFR": 1,
        "KRAS": 1,
        "TP53": 2,
    } and left_out.reason.tolist() == ["no gene symbol"]
    silent, _ = cell_mutations.snp_counts(VARIANTS, classes=["Silent"])
    assert silent.loc["A"].to_dict() == {"KRAS": 1}


def test_a_bad_maf_is_named():
    with pytest.raises(ValueError, match=r"\['Variant_Type'\] missing"):
        cell_mutations.snp_counts(VARIANTS.drop(columns="Variant_Type"))
    with pytest.raises(
        ValueError,
        match=r"no variant has Variant_Classification in \['missense'\]; found \['In_Frame_Del'",
    ):
        cell_mutations.snp_counts(VARIANTS, classes=["missense"])


def mutations(values, source="CCLE"):
    genes = pd.DataFrame(np.array(values, dtype=np.float32), columns=["KRAS", "TP53"])
    lines = [f"L{i}" for i in range(len(values))]
    return pd.concat([pd.DataFrame(dict(cell_id=lines, mutation_source=source)), genes], axis=1)


def test_counts_and_events_never_share_a_table():
    tables = dict(
        CCLE=mutations([[0, 3], [np.nan, 1]]),
        GDSC=mutations([[0, 1]], "GDSC"),
        SANGER=mutations([[1, 1]], "SANGER"),
    )
    kinds = cell_mutations.split_mutations(
        tables, dict(CCLE="count of protein changes", GDSC="0/1 event", SANGER="0/1 event")
    )
    assert (
        kinds["counts"].mutation_source.unique().tolist() == ["CCLE"]
        and kinds["counts"].KRAS.isna().sum() == 1
    )
    assert kinds["binary"].mutation_source.tolist() == ["GDSC", "SANGER"]


def test_shares_of_change_are_neither_counts_nor_events():
    exome = {"NCI-60": mutations([[0, 50.5]])}
    kinds = cell_mutations.split_mutations(
        exome, {"NCI-60": "per cent of protein-affecting change"}
    )
    assert list(kinds) == ["percent"] and kinds["percent"].iloc[0, 2:].tolist() == [0, 50.5]


def test_a_screen_without_mutations_has_no_burden():
    none = cell_mutations.burdens(cell_mutations.split_mutations({}, {}))
    assert none.empty and {"cell_id", "mutation_source", "n_mutations", "kind"} == set(none)
    assert (
        cell_mutations.burdens(dict(counts=mutations([[1, 2]]))).to_dict("records")[0][
            "n_mutations"
        ]
        == 3
    )


def test_a_wrong_declaration_of_mutations_is_refused():
    with pytest.raises(ValueError, match="CCLE are declared '0/1 event' but hold 3"):
        cell_mutations.split_mutations(dict(CCLE=mutations([[0, 3]])), dict(CCLE="0/1 event"))
    with pytest.raises(ValueError, match="CCLE declare ''"):
        cell_mutations.split_mutations(dict(CCLE=mutations([[0, 3]])), {})
    with pytest.raises(ValueError, match="but hold -1"):
        cell_mutations.split_mutations(dict(CCLE=mutations([[0, -1]])), dict(CCLE="counts"))


def test_a_line_that_was_hardly_looked_at_is_masked_and_named():
    table = mutations([[5, 9], [1, 0], [np.nan, np.nan], [0, 0]])
    masked, set_aside = cell_mutations.mask_unsequenced(table, 10)
    assert masked.isna().any(axis=1).tolist() == [
        False,
        True,
        True,
        True,
    ] and masked.cell_id.equals(table.cell_id)
    assert set_aside.to_numpy().tolist() == [["L1", "CCLE", 1], ["L3", "CCLE", 0]]
    assert cell_mutations.mask_unsequenced(table, 0)[0].equals(table) and table.KRAS[1] == 1


def test_annotated_types_leave_out_lines_without_one():
    frame = pd.DataFrame(dict(cell_id=["A", "B"], cancer_type=["Melanoma", None], donor=["A", "B"]))
    assert cohorts.annotated_types(frame).to_dict("records") == [
        dict(cell_id="A", label_kind="annotated", cancer_type="Melanoma")
    ]


def test_labels_that_are_not_annotated_keep_their_kind():
    made = pd.DataFrame(dict(cell_id=["a"], cancer_type=["lung"], label_kind=["autoencoder"]))
    assert list(cohorts.annotated_types(made).label_kind) == ["autoencoder"]


def test_permuted_profiles_stay_in_their_source():
    values, groups = np.arange(12.0)[:, None], np.repeat(["a", "b"], 6)
    dealt = controls.permuted_rows(values, groups, seed=1)
    assert sorted(dealt[:6, 0]) == list(range(6)) and sorted(dealt[6:, 0]) == list(range(6, 12))
    assert not np.array_equal(dealt, values)


@shared
@pytest.mark.shared
def test_the_real_maf_gives_the_documented_counts():
    table = pd.read_csv(
        SHARED / "data/real/mutation/nci60_ccle_maf_58lines.csv.gz", low_memory=False
    )
    counts, left_out = cell_mutations.snp_counts(table, classes=None)
    assert counts.shape[0] == 58 and counts.to_numpy().sum() == 67_684
    protein, left = cell_mutations.snp_counts(table)
    assert protein.to_numpy().sum() + left.n_variants.sum() == 72_772
    assert left.set_index("reason").n_variants["Variant_Classification Silent"] == 18_292


@shared
@pytest.mark.shared
def test_the_official_fpkm_sample_becomes_log_tpm():
    path = SHARED / "data/real/official_samples/sanger_rnaseq_fpkm_100models_1350genes.csv.gz"
    fpkm = pd.read_csv(path).pivot_table(index="model_id", columns="gene_symbol", values="fpkm")
    logged = cell_expression.log_tpm(fpkm)
    assert logged.shape == (100, 1350) and logged.min() == 0
    np.testing.assert_allclose((2**logged - 1).sum(axis=1), 1e6, rtol=1e-9)
