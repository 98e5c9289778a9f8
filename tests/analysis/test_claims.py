"""A verdict prints its effect, interval and n, and claims no more than the interval and Holm's adjustment allow."""

import pandas as pd
import pytest

from lib.analysis import claims, importances

ROW = dict(
    split="on_cell",
    factor="snp",
    level="counts",
    reference="none",
    metric="r2",
    effect=0.02,
    low=0.01,
)
ROW |= dict(high=0.03, n_folds=3, n_matched=36, p_holm=0.01)
NOTHING = pd.DataFrame(columns=["factor", "metric", "importance", "split", "effect", "level"])


def verdict(claim, rows, joint=NOTHING, best=NOTHING, genes=None):
    made = claims.verdicts(pd.DataFrame(rows) if rows else NOTHING, joint, best, genes)
    return made.set_index("claim").loc[claim, "verdict"]


@pytest.mark.parametrize(
    ("more", "sure"),
    [
        (dict(p_holm=0.01), "differs from 0"),
        (dict(p_holm=0.2), "differs from 0 only before Holm's adjustment"),
        (dict(low=-0.01, p_holm=1.0), "cannot be told from 0"),
    ],
)
def test_a_verdict_claims_no_more_than_holms_adjustment_allows(more, sure):
    said = verdict("SNPs help", [ROW | more])
    judged = "helps" if more == dict(p_holm=0.01) else "no effect can be told from 0"
    assert said.startswith(f"unseen cells {judged}: unseen cells, R²: counts − none +0.020 (")
    assert "36 matched pairs, 3 folds" in said
    assert said.endswith(f"), {sure}")


def test_a_null_control_is_turned_into_real_against_shuffled():
    control = ROW | dict(
        factor="null_control", level="permuted_snp", effect=-0.03, low=-0.05, high=-0.01
    )
    said = verdict("SNPs help", [ROW, control])
    assert "and real − shuffled +0.030 (+0.010 to +0.050, 36 matched pairs, 3 folds)" in said


def test_both_splits_and_both_scores_are_told():
    rows = [
        ROW | dict(split=s, metric=m) for s in ("on_cell", "on_drug") for m in ("r2", "npearson")
    ]
    said = verdict("SNPs help", rows)
    assert said.startswith("unseen cells helps, unseen drugs helps: ")
    assert [part.split(":")[0] for part in said.partition(": ")[2].split("; ") if "unseen" in part] == [
        "unseen cells, R²", "unseen drugs, R²", "unseen cells, normalised r", "unseen drugs, normalised r"
    ]  # fmt: skip


def test_an_effect_that_helps_by_one_comparison_and_hurts_by_another_is_called_neither():
    control = ROW | dict(
        factor="null_control", level="permuted_snp", effect=0.03, low=0.01, high=0.05
    )
    assert verdict("SNPs help", [ROW, control]).startswith(
        "unseen cells helps by one comparison and hurts by another: "
    )
    assert verdict("SNPs help", [ROW | dict(effect=-0.02)]).startswith("unseen cells hurts: ")


def test_every_effect_is_one_item_so_that_the_report_can_list_them():
    control = ROW | dict(factor="null_control", level="permuted_genes")
    genes = pd.DataFrame([ROW | dict(factor="rnaseq_set", level="all", reference="random_128")])
    said = verdict("the gene set does not matter, beyond 128 random genes", [control], genes=genes)
    items = said.partition(": ")[2].split("; ")
    assert len(items) == 2 and all(
        item.startswith("unseen cells, R²: ") and "3 folds)" in item for item in items
    )


def test_what_does_not_matter_says_how_much_is_not_excluded():
    rows = [ROW | dict(factor="scaling", level=v, effect=e, low=-0.02, high=0.04, p_holm=1.0)
            for v, e in (("combat", 0.01), ("source", -0.005))]  # fmt: skip
    said = verdict("scaling and ComBat do not matter", rows)
    assert "largest of 2 combat − none +0.010" in said and said.endswith(
        "cannot be told from 0, ±0.040 not excluded"
    )


def test_gene_sets_are_compared_with_128_random_genes_and_smaller_ones_left_out():
    genes = pd.DataFrame([ROW | dict(factor="rnaseq_set", level=v, reference="random_128", effect=e)
                          for v, e in (("all", 0.02), ("random_32", -0.5))])  # fmt: skip
    shuffled = ROW | dict(
        factor="null_control", level="permuted_genes", effect=-0.2, low=-0.3, high=-0.1
    )
    said = verdict("the gene set does not matter, beyond 128 random genes", [shuffled], genes=genes)
    assert "largest all − random_128 +0.020" in said and "-0.5" not in said
    assert "real − shuffled +0.200" in said


def test_without_a_null_control_the_drug_blocks_are_compared_with_each_other():
    rows = [ROW | dict(factor="drug_block", level="rdkit_ecfp", reference="mordred")]
    assert "rdkit_ecfp − mordred +0.020" in verdict(
        "drug descriptors matter on unseen drugs only", rows
    )


@pytest.mark.parametrize(
    ("low", "word"), [(0.5, "settings outweigh features"), (0.05, "cannot be told")]
)
def test_hyper_parameters_outweigh_features_only_where_the_intervals_are_apart(low, word):
    sides = dict(
        factor=[importances.TRAINING, importances.FEATURES], importance=[0.6, 0.1], low=[low, 0.0]
    )
    joint = pd.DataFrame(sides | dict(high=[0.7, 0.2], split="on_cell", n=100, meta_r2=0.8))
    said = verdict("hyper-parameters outweigh features", [], joint)
    assert word in said.partition(":")[0] and "100 configurations" in said


def test_one_fold_has_no_interval_and_a_sweep_without_the_contrast_is_not_tested():
    nan = float("nan")
    assert "(1 folds, no interval)" in verdict(
        "SNPs help", [ROW | dict(low=nan, high=nan, n_folds=1, n_matched=0)]
    )
    assert claims.verdicts(NOTHING, NOTHING, NOTHING)["verdict"].str.startswith("not tested").all()


def test_networks_are_compared_with_the_best_of_the_others_and_the_n_is_printed():
    best = pd.DataFrame(dict(predictor=["network", "ridge", "mean_effects"], r2=[0.6, 0.62, 0.5]))
    best = best.assign(split="on_cell", study="All", n_cells=90, n_drugs=20, reason="")
    said = verdict(
        "one network, chosen by inner score, beats mean effects and ridge", [], best=best
    )
    assert (
        said
        == "unseen cells no: unseen cells: R² 0.600, best of the others 0.620 (ridge, 90 lines, 20 drugs)"
    )


def test_averaged_networks_are_compared_with_mean_effects_and_ridge_study_by_study():
    names = ["best 10 networks, averaged", "best network", "ridge", "mean_effects"]
    made = pd.DataFrame(
        dict(predictor=names * 2, r2=[0.63, 0.6, 0.62, 0.5, 0.5, 0.6, 0.55, 0.4], split="on_cell")
    )
    made["study"] = ["All"] * 4 + ["CCLE"] * 4
    found = claims.verdicts(NOTHING, NOTHING, NOTHING, averaged=made).set_index("claim").verdict
    said = found["networks averaged, chosen by inner score, beat mean effects and ridge"]
    assert (
        said.startswith("unseen cells, All yes, unseen cells, CCLE no: ")
        and "R² 0.500, ridge 0.550" in said
    )
