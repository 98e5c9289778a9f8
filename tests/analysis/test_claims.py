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
JOINT = pd.DataFrame(columns=["factor", "importance", "low", "high", "split", "n"])
AVERAGED = dict(arm="paper", split="on_cell", study="All", reason="", n_units=536)
EMPTY = pd.DataFrame(columns=[*AVERAGED, *"predictor gain npearson over baseline".split()])


def verdicts(*rows, joint=JOINT, averaged=EMPTY, margin=0.02):
    contrasts = pd.DataFrame([ROW | row for row in rows] or None, columns=list(ROW))
    return claims.verdicts(contrasts, joint, averaged, margin)


def of(claim, found, split="on_cell"):
    name = claims.CLAIMS[claim][0] if claim in claims.CLAIMS else claim
    return found[(found["claim"] == name) & (found["split"] == split)].to_dict("records")


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        (dict(), "helps"),
        (dict(effect=-0.05, low=-0.07, high=-0.03), "hurts"),
        (dict(effect=0.001, low=-0.01, high=0.012, p=0.8), "no effect larger than 0.02"),
        # told from 0, and too small to matter
        (dict(effect=0.01, low=0.005, high=0.015), "no effect larger than 0.02"),
        (dict(effect=0.01, low=-0.01, high=0.03, p=0.3), "not settled"),
        (dict(low=np.nan, high=np.nan, p=np.nan), "not settled"),
    ],
)
def test_a_verdict_claims_no_more_than_its_interval_allows(more, verdict):
    (row,) = of("snp", verdicts(more))
    assert row["verdict"] == verdict
    assert (row["n"], row["n_of"]) == (536, "lines")


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.1, "no effect larger than 0.1"), (0.06, "helps")]
)
def test_the_smallest_effect_of_interest_decides_what_is_too_small(margin, verdict):
    (row,) = of("snp", verdicts(dict(), margin=margin))
    assert row["verdict"] == verdict


def test_holm_counts_the_comparisons_of_one_recipe_split_and_study_together():
    others = [dict(factor="scaling", level=level, p=0.03) for level in ("source", "combat")]
    found = verdicts(dict(p=0.02), *others)
    assert of("snp", found)[0]["verdict"] == "not settled"
    assert of("snp", found)[0]["p_holm"] == pytest.approx(0.06)
    elsewhere = [row | dict(split="on_drug") for row in others]
    assert of("snp", verdicts(dict(p=0.02), *elsewhere))[0]["verdict"] == "helps"


def test_each_recipe_and_study_has_its_own_verdict():
    found = verdicts(
        dict(), dict(arm="sound", effect=-0.05, low=-0.07, high=-0.03), dict(study="CCLE")
    )
    told = {(row["arm"], row["study"]): row["verdict"] for row in of("snp", found)}
    assert told == {
        ("paper", "All"): "helps",
        ("sound", "All"): "hurts",
        ("paper", "CCLE"): "helps",
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
    assert row["verdict"] == "helps" and row["compared"].startswith(words)


def test_gene_sets_are_compared_with_128_random_genes_and_smaller_ones_left_out():
    own = dict(factor="rnaseq_set", reference="random_128")
    found = verdicts(own | dict(level="all"), own | dict(level="random_32"))
    (row,) = of("gene_set", found)
    assert row["sentence"] == (
        "By the paper's recipe, networks on all genes predicted unseen cell lines better than networks "
        "on 128 random genes."
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
    assert "unseen cell lines in NCI-60" in of("gene_set", verdicts(longest))[0]["sentence"]


@pytest.mark.parametrize(
    ("settings", "features", "start"),
    [
        ((0.5, 0.7), (0.0, 0.2), "Training settings decided"),
        ((0.0, 0.2), (0.5, 0.7), "Features decided"),
        ((0.1, 0.7), (0.0, 0.2), "By the paper's recipe, it is not settled"),
    ],
)
def test_settings_outweigh_features_only_where_the_intervals_are_apart(settings, features, start):
    sides = dict(factor=[importances.TRAINING, importances.FEATURES], importance=0.4)
    low, high = zip(settings, features, strict=True)
    joint = pd.DataFrame(sides | dict(low=low, high=high, split="on_cell", n=100))
    (row,) = of(claims.SETTINGS, verdicts(joint=joint))
    assert row["sentence"].startswith(start) and row["n"] == 100


def test_a_sweep_without_a_comparison_is_untested_on_both_splits():
    found = verdicts()
    assert len(found) == 2 * (len(claims.CLAIMS) + 3) and (found["verdict"] == "untested").all()
    assert (
        found["sentence"].iloc[0]
        == "This sweep does not make this comparison on unseen cell lines."
    )


def averaged(baseline, over=0.05):
    names = [ensembles.BEST, "best 10 networks, averaged", "ridge", "mean_effects"]
    table = pd.DataFrame(AVERAGED | dict(predictor=names, gain=[0.1, 0.15, 0.12, 0.0]))
    facts = dict(npearson=0.3, baseline=baseline, over=[over, over, np.nan, np.nan])
    return table.assign(**facts, over_low=0.03, over_high=0.07, over_p=0.001)


def test_networks_are_compared_with_the_better_baseline_over_lines():
    (row,) = of(claims.AVERAGED, verdicts(averaged=averaged("ridge")))
    assert row["sentence"] == (
        "By the paper's recipe, the average of the best 10 networks predicted unseen cell lines better "
        "than ridge."
    )
    assert (row["verdict"], row["gain"], row["n"]) == ("helps", 0.05, 536)


def test_a_ridge_without_predictions_leaves_the_question_open():
    """It is better than the mean effects, so that beating those alone would not be the claim."""
    (row,) = of(claims.ONE, verdicts(averaged=averaged("mean_effects", over=0.1)))
    assert row["verdict"] == "not settled" and row["gain"] == pytest.approx(-0.02)
    assert row["note"] == "no interval: the predictions of ridge were not kept"
