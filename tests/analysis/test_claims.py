"""A verdict is a short sentence, with its numbers beside, and claims no more than they allow."""

import numpy as np
import pandas as pd
import pytest

from lib.analysis import claims, ensembles, importances

ROW = dict(
    arm="paper",
    split="on_cell",
    study="All",
    factor="snp",
    level="counts",
    reference="none",
    metric="gain",
    effect=0.05,
    low=0.03,
    high=0.07,
    p=0.001,
    interval="lines",
    n_units=536,
    reason="",
)
CONTROL = ROW | dict(factor="null_control", level="permuted_genes")
CONTROL |= dict(effect=-0.14, low=-0.17, high=-0.11, p=1e-9)
JOINT = pd.DataFrame(columns=["factor", "importance", "low", "high", "split", "n"])
AVERAGED = dict(arm="paper", split="on_cell", study="All", reason="", n_units=536, n=9)
EMPTY = pd.DataFrame(columns=[*AVERAGED, *"predictor gain npearson over baseline".split()])


def verdicts(*rows, joint=JOINT, averaged=EMPTY, margin=0.02):
    contrasts = pd.DataFrame([ROW | row for row in rows] or None, columns=list(ROW))
    return claims.verdicts(claims.comparisons(contrasts, averaged), joint, margin)


def of(claim, found, split="on_cell"):
    name = claims.CLAIMS[claim][0] if claim in claims.CLAIMS else claim
    return found[(found["claim"] == name) & (found["split"] == split)].to_dict("records")


INSIDE = dict(effect=0.001, low=-0.01, high=0.012, p=0.8)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        (dict(), "supported"),
        (dict(effect=-0.05, low=-0.07, high=-0.03), "contradicted"),
        (INSIDE, "no effect larger than 0.02"),
        (dict(effect=0.011, low=0.004, high=0.018), "no effect larger than 0.02"),
        (dict(low=-0.01, high=0.11, p=0.1), "not settled"),
        (dict(low=np.nan, high=np.nan, p=np.nan), "not settled"),
    ],
)
def test_a_verdict_claims_no_more_than_its_interval_allows(more, verdict):
    (row,) = of("snp", verdicts(more, CONTROL))
    assert row["verdict"] == verdict
    assert (row["control_gain"], row["control_low"], row["control_high"]) == (0.14, 0.11, 0.17)
    assert row["control"] == "networks with real genes − networks with shuffled genes"


@pytest.mark.parametrize("control", [[], [CONTROL | dict(low=-0.29, high=0.01, p=0.07)]])
def test_no_effect_is_only_said_by_a_test_that_can_see_one(control):
    """Without a positive control, and with one whose interval includes 0."""
    (row,) = of("snp", verdicts(INSIDE, *control))
    assert row["verdict"] == "not settled" and row["note"] == claims.BLIND
    same = INSIDE | dict(factor="scaling", level="combat")
    assert of("scaling", verdicts(same, *control))[0]["verdict"] == "not settled"


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.1, "no effect larger than 0.1"), (0.06, "supported")]
)
def test_the_smallest_effect_of_interest_decides_what_is_too_small(margin, verdict):
    (row,) = of("snp", verdicts(dict(), CONTROL, margin=margin))
    assert row["verdict"] == verdict


def scaled(level, **more):
    return dict(factor="scaling", level=level) | more


def test_what_does_not_matter_must_not_matter_in_any_comparison():
    inside = [scaled("source", **INSIDE), scaled("combat", **INSIDE | dict(effect=-0.002))]
    (row,) = of("scaling", verdicts(*inside, CONTROL))
    assert (row["verdict"], row["n_compared"], row["n_differ"]) == ("supported", 2, 0)
    assert row["gain"] == -0.002  # the larger of both decides
    (row,) = of("scaling", verdicts(inside[0], scaled("combat"), CONTROL))
    assert (row["verdict"], row["n_differ"], row["gain"]) == ("contradicted", 1, 0.05)
    assert "networks on ComBat expression predicted unseen cell lines better" in row["sentence"]
    wide = scaled("combat", low=-0.01, high=0.11, p=0.1)
    assert of("scaling", verdicts(inside[0], wide, CONTROL))[0]["verdict"] == "not settled"


def test_mutated_genes_stand_for_counts_only_where_there_are_no_counts():
    """The data set `gdsc` knows whether a gene is mutated, not how often."""
    mutated = dict(level="binary", effect=-0.05, low=-0.07, high=-0.03)
    assert of("snp", verdicts(dict(), mutated))[0]["verdict"] == "supported"
    (row,) = of("snp", verdicts(mutated))
    assert row["verdict"] == "contradicted" and "networks with mutated genes" in row["sentence"]


def test_descriptors_may_matter_on_unseen_drugs_only():
    own = dict(factor="drug_block", level="ecfp", reference="mordred")
    found = verdicts(own, own | dict(split="on_drug"))
    assert of("drug_block", found)[0]["verdict"] == "contradicted"
    assert of("drug_block", found, "on_drug")[0]["verdict"] == "supported"


def test_holm_counts_the_comparisons_of_one_recipe_split_and_study_together():
    others = [scaled(level, p=0.03) for level in ("source", "combat")]
    found = verdicts(dict(p=0.02), *others)
    assert of("snp", found)[0]["verdict"] == "not settled"
    assert of("snp", found)[0]["p_holm"] == pytest.approx(0.06)
    assert of("snp", found)[0]["note"] == claims.BEFORE_HOLM
    elsewhere = [row | dict(split="on_drug") for row in others]
    assert of("snp", verdicts(dict(p=0.02), *elsewhere))[0]["verdict"] == "supported"


def test_each_recipe_and_study_has_its_own_verdict():
    worse = dict(arm="sound", effect=-0.05, low=-0.07, high=-0.03)
    found = verdicts(dict(), worse, dict(study="CCLE"))
    told = {(row["arm"], row["study"]): row["verdict"] for row in of("snp", found)}
    assert told == {
        ("paper", "All"): "supported",
        ("sound", "All"): "contradicted",
        ("paper", "CCLE"): "supported",
    }


def test_normalised_r_stands_beside_the_gain():
    found = verdicts(dict(), dict(metric="npearson", effect=0.1, low=0.05, high=0.15))
    (row,) = of("snp", found)
    assert (row["npearson"], row["npearson_low"], row["npearson_high"]) == (0.1, 0.05, 0.15)


@pytest.mark.parametrize(
    ("level", "claim", "words"),
    [
        ("permuted_snp", "snp_shuffled", "networks with real SNPs"),
        ("permuted_genes", "genes_shuffled", "networks with real genes"),
        ("permuted_drugs", "drugs_shuffled", "networks with real descriptors"),
    ],
)
def test_a_null_control_is_turned_into_real_against_shuffled(level, claim, words):
    control = dict(factor="null_control", level=level, effect=-0.05, low=-0.07, high=-0.03)
    (row,) = of(claim, verdicts(control))
    assert (row["gain"], row["low"], row["high"]) == (0.05, 0.03, 0.07)
    assert row["verdict"] == "supported" and row["compared"].startswith(words)


def test_gene_sets_are_compared_with_128_random_genes_and_smaller_ones_left_out():
    own = dict(factor="rnaseq_set", reference="random_128")
    (row,) = of("gene_set", verdicts(own | dict(level="all"), own | dict(level="random_32")))
    assert row["n_compared"] == 1 and row["sentence"] == (
        "By the paper's recipe, networks on all genes predicted unseen cell lines better than "
        "networks on 128 random genes."
    )


def test_a_sentence_is_plain_short_and_says_the_study():
    longest = dict(
        factor="rnaseq_set", level="oncogenes_lincs1000", reference="random_128", study="NCI-60"
    )
    rows = [longest | dict(p=p) for p in (1.0, 0.001)]
    rows += [dict(factor="drug_block", level="mordred+rdkit_ecfp", reference="mordred", p=1.0)]
    for row in rows:
        found = verdicts(row)
        assert (found["sentence"].str.split().str.len() <= 30).all()
        assert not found["sentence"].str.contains("nan|None|_").any()
    sentences = [row["sentence"] for row in of("gene_set", verdicts(longest))]
    assert any("unseen cell lines in NCI-60" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("settings", "features", "verdict", "start"),
    [
        ((0.5, 0.7), (0.0, 0.2), "supported", "Training settings decided"),
        ((0.0, 0.2), (0.5, 0.7), "contradicted", "Features decided"),
        ((0.1, 0.7), (0.0, 0.2), "not settled", "It is not settled whether training settings"),
    ],
)
def test_settings_outweigh_features_only_where_intervals_are_apart(
    settings, features, verdict, start
):
    sides = dict(factor=[importances.TRAINING, importances.FEATURES], importance=0.4)
    low, high = zip(settings, features, strict=True)
    joint = pd.DataFrame(sides | dict(low=low, high=high, split="on_cell", n=100))
    (row,) = of(claims.SETTINGS, verdicts(joint=joint))
    assert row["verdict"] == verdict and row["sentence"].startswith(start) and row["n"] == 100


def test_a_sweep_without_a_comparison_says_so_on_both_splits():
    found = verdicts()
    assert len(found) == 2 * (len(claims.CLAIMS) + 1)
    assert (found["verdict"] == "not compared").all()
    said = "This sweep does not make this comparison on unseen cell lines."
    assert found["sentence"].iloc[0] == said


def averaged(baseline, over=0.05):
    names = [ensembles.BEST, "best 10 networks, averaged", "ridge", "mean_effects"]
    table = pd.DataFrame(AVERAGED | dict(predictor=names, gain=[0.1, 0.15, 0.12, 0.0]))
    facts = dict(npearson=0.3, baseline=baseline, over=[over, over, np.nan, np.nan])
    return table.assign(**facts, over_low=0.03, over_high=0.07, over_p=0.001)


def test_networks_are_compared_with_the_better_baseline_over_lines():
    (row,) = of("averaged", verdicts(averaged=averaged("ridge")))
    assert row["sentence"] == (
        "By the paper's recipe, the average of the best 10 networks predicted unseen cell lines "
        "better than ridge."
    )
    assert (row["verdict"], row["gain"], row["n"]) == ("supported", 0.05, 536)


def test_without_predictions_of_ridge_networks_are_not_said_to_beat_it():
    table = averaged("mean_effects", over=0.1)
    (row,) = of("one", verdicts(averaged=table[table["predictor"] != "ridge"]))
    assert row["verdict"] == "not compared" and np.isnan(row["gain"])


def test_the_board_has_a_row_per_claim_and_the_words_of_each_split():
    board = claims.board(verdicts(dict(), dict(split="on_drug", p=1.0), CONTROL))
    assert list(board.index) == [*(claim for claim, *_ in claims.CLAIMS.values()), claims.SETTINGS]
    assert board.loc["SNPs help"].to_dict() == {
        ("the paper's recipe", "unseen cell lines"): "supported",
        ("the paper's recipe", "unseen drugs"): "not settled",
    }
    assert set(board.loc["scaling and ComBat do not matter"]) == {"–"}
