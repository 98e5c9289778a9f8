"""Expression: declared scales, never guessed ones, and panels of the genes that sources share."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.cells import expression
from lib.paths import ROOT

SHARED = ROOT.parent / "shared"
shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the measurement folder is not beside this checkout"
)


def table(source, lines, genes, seed=0, **changes):
    values = (
        np.random.default_rng(seed).uniform(0, 12, size=(len(lines), len(genes))).astype(np.float32)
    )
    frame = pd.DataFrame(values, columns=genes).assign(**changes)
    return pd.concat([pd.DataFrame(dict(cell_id=lines, profile_source=source)), frame], axis=1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(1e-3, 1e3))
def test_log_tpm_is_the_papers_formula_and_forgets_the_sequencing_depth(seed, factor):
    fpkm = np.random.default_rng(seed).gamma(0.5, 30, size=(3, 40)) + 1e-6
    paper = expression.log_tpm(fpkm, "paper")
    np.testing.assert_allclose(
        paper, np.log(fpkm * 1e6 / fpkm.sum(axis=1, keepdims=True)), atol=1e-12
    )
    np.testing.assert_allclose(np.exp(paper).sum(axis=1), 1e6, rtol=1e-12)
    np.testing.assert_allclose(
        expression.log_tpm(fpkm * factor), expression.log_tpm(fpkm), atol=1e-9
    )
    np.testing.assert_allclose(
        2 ** expression.log_tpm(fpkm) - 1, np.exp(paper), rtol=1e-6, atol=1e-6
    )


def test_a_gene_without_reads_is_minus_infinity_in_the_papers_formula_but_not_in_a_panel():
    fpkm = np.array([[0.0, 1.0, 3.0]])
    assert (
        np.isneginf(expression.log_tpm(fpkm, "paper")[0, 0]) and expression.log_tpm(fpkm)[0, 0] == 0
    )
    logged = expression.to_log(fpkm, "FPKM", "paper")
    assert logged[0, 0] == logged[0, 1] == pytest.approx(np.log(250_000))


def test_a_declared_log_scale_passes_and_an_undeclared_one_is_never_guessed():
    values = np.array([[1.0, 5.0]])
    for scale in ("log2(TPM+1)", "log2 intensity", "z-scored within the cell (RMA array)", "RMA"):
        assert (expression.to_log(values, scale) == values).all()
    for scale in ("", "unknown", None, "counts"):
        with pytest.raises(ValueError, match="is not known: declare one of"):
            expression.to_log(values, scale)


@pytest.mark.parametrize(
    "message, call",
    [
        (
            "cannot be negative, found -2: are the values on a log scale",
            lambda: expression.log_tpm([[-2.0, 1.0]]),
        ),
        ("sample 1 has a total FPKM of 0", lambda: expression.log_tpm([[1.0], [0.0]])),
        (
            "form must be 'log2p1' or 'paper', found 'log10'",
            lambda: expression.log_tpm([[1.0]], "log10"),
        ),
        ("profile 1 is flat", lambda: expression.zscore_within_cell([[1.0, 2], [3, 3]])),
        (
            "profile 0 has no value",
            lambda: expression.zscore_within_cell([[np.nan, np.nan], [3, 4]]),
        ),
        (
            "no scale declared for .'CCLE'.",
            lambda: expression.panel(dict(CCLE=table("CCLE", ["A"], ["G"])), {}),
        ),
        (
            "share no gene symbol",
            lambda: expression.panel(
                dict(a=table("a", ["A"], ["G"]), b=table("b", ["A"], ["H"])),
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
        GDSC=table("GDSC", ["A", "B"], ["G3", "G1", "G2", "G9"]),
        CCLE=table("CCLE", ["A", "C", "D"], ["G1", "G2", "G3", "G7"], seed=1),
    )
    made = expression.panel(frames, dict(GDSC="RMA", CCLE="log2(TPM+1)"))
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
    plain = expression.panel(frames, dict(GDSC="RMA", CCLE="log2(TPM+1)"), within_cell=False)
    assert plain.G1.tolist()[2:] == frames["CCLE"].G1.tolist()


def test_panels_keep_the_sources_own_scales_and_the_z_score_is_the_ablation():
    frames = dict(
        GDSC=table("GDSC", ["A", "B"], ["G1", "G2", "G3"]),
        CCLE=table("CCLE", ["A", "C"], ["G1", "G2", "G3"], seed=1),
    )
    scales = dict(GDSC="RMA log2 (array)", CCLE="log2(TPM+1)")
    sources = dict(both=["GDSC", "CCLE"], one=["GDSC"])
    made = expression.panels(frames, scales, sources, zscored=["both"])
    assert list(made) == ["both", "both_zscored", "one"]
    assert made["both"].G1.tolist() == [*frames["GDSC"].G1, *frames["CCLE"].G1]
    assert made["both_zscored"].iloc[:, 2:].mean(axis=1).abs().max() < 1e-6
    scales["GDSC"] = "z-scored within the cell (RMA array)"
    made = expression.panels(frames, scales, sources)
    assert made["both"].iloc[:, 2:].mean(axis=1).abs().max() < 1e-6  # the other is brought there
    assert made["one"].G1.tolist() == frames["GDSC"].G1.tolist()


def test_a_gap_stays_a_gap_and_does_not_disturb_its_profile():
    frame = table("GDSC", ["A"], ["G1", "G2", "G3", "G4"], G4=[np.nan])
    made = expression.panel(dict(GDSC=frame), dict(GDSC="RMA"))
    without = expression.panel(dict(GDSC=frame.drop(columns="G4")), dict(GDSC="RMA"))
    assert np.isnan(made.G4[0])
    np.testing.assert_allclose(made[["G1", "G2", "G3"]], without[["G1", "G2", "G3"]])


def test_the_panel_takes_fpkm_per_million_of_all_measured_genes():
    frame = table("CCLE", ["A", "B"], ["G1", "G2", "G3"])
    other = table("GDSC", ["A"], ["G1", "G2"])
    made = expression.panel(
        dict(CCLE=frame, GDSC=other), dict(CCLE="FPKM", GDSC="RMA"), within_cell=False
    )
    expected = expression.log_tpm(frame[["G1", "G2", "G3"]])[:, :2]
    np.testing.assert_allclose(made[["G1", "G2"]].to_numpy()[:2], expected, rtol=1e-6)


@shared
@pytest.mark.shared
def test_the_official_fpkm_sample_becomes_log_tpm():
    path = SHARED / "data/real/official_samples/sanger_rnaseq_fpkm_100models_1350genes.csv.gz"
    fpkm = pd.read_csv(path).pivot_table(index="model_id", columns="gene_symbol", values="fpkm")
    logged = expression.log_tpm(fpkm)
    assert logged.shape == (100, 1350) and logged.min() == 0
    np.testing.assert_allclose((2**logged - 1).sum(axis=1), 1e6, rtol=1e-9)
