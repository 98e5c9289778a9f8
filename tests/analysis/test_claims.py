"""A verdict prints its effect, interval and n, and claims no more than Holm's adjustment allows."""

import numpy as np
import pandas as pd
import pytest

from lib.analysis import claims, importances
from lib.analysis.headline import NETWORK

ROW = dict(
    split="on_cell",
    factor="snp",
    level="counts",
    reference="none",
    metric="r2",
    effect=0.02,
    low=0.01,
    high=0.03,
    n_matched=36,
    p_holm=0.01,
    reason="",
)
NOTHING = pd.DataFrame(columns=["factor", "metric", "split", "effect", "level", "importance"])
SCORED = dict(split="on_cell", study="All", n=900, reason="")


def verdicts(rows=(), joint=NOTHING, best=None, genes=(), averaged=None):
    contrasts = pd.DataFrame(rows) if rows else NOTHING
    genes = pd.DataFrame(genes) if genes else NOTHING
    none = pd.DataFrame(columns=["split", "study", "predictor", "r2", "reason"])
    best = none if best is None else best
    return claims.verdicts(contrasts, joint, best, genes, none if averaged is None else averaged)


def of(claim, found, split="on_cell"):
    own = found[(found["claim"] == claims.CLAIMS[claim]) & (found["split"] == split)]
    return own.to_dict("records")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (dict(p_holm=0.01), "supported"),
        (dict(effect=-0.02, low=-0.03, high=-0.01), "contradicted"),
        (dict(p_holm=0.2), "open"),
        (dict(low=-0.01, p_holm=1.0), "open"),
        (dict(low=np.nan, high=np.nan, p_holm=np.nan), "open"),
    ],
)
def test_a_verdict_claims_no_more_than_holms_adjustment_allows(more, word):
    (row,) = of("snp", verdicts([ROW | more]))
    assert row["verdict"] == word
    assert (row["compared"], row["n"], row["n_of"]) == ("counts − none", 36, "matched pairs")


def test_a_null_control_is_turned_into_real_against_shuffled():
    control = dict(factor="null_control", level="permuted_snp", effect=-0.03, low=-0.05, high=-0.01)
    (row,) = of("snp_shuffled", verdicts([ROW, ROW | control]))
    assert (row["effect"], row["low"], row["high"]) == (0.03, 0.01, 0.05)
    assert (row["compared"], row["verdict"]) == ("real − shuffled", "supported")


def test_shuffled_features_that_score_higher_contradict_the_claim():
    control = dict(factor="null_control", level="permuted_genes", effect=0.03)
    (row,) = of("genes_shuffled", verdicts([ROW | control]))
    assert (row["effect"], row["verdict"]) == (-0.03, "contradicted")


def test_both_splits_and_both_scores_have_a_line():
    rows = [ROW | dict(split=s, metric=m) for s in ("on_cell", "on_drug") for m in claims.SCORES]
    found = verdicts(rows)
    for split in ("on_cell", "on_drug"):
        assert [row["score"] for row in of("snp", found, split)] == ["r2", "npearson"]


def test_what_does_not_matter_is_contradicted_by_an_effect_of_either_sign_and_never_supported():
    rows = [
        ROW | dict(factor="scaling", level="combat", effect=-0.02),
        ROW | dict(factor="scaling", level="source", p_holm=1.0),
    ]
    assert [row["verdict"] for row in of("scaling", verdicts(rows))] == ["contradicted", "open"]


def test_gene_sets_are_compared_with_128_random_genes_and_smaller_ones_left_out():
    own = ROW | dict(factor="rnaseq_set", reference="random_128")
    genes = [own | dict(level="all"), own | dict(level="random_32", effect=-0.5)]
    (row,) = of("gene_set", verdicts([ROW], genes=genes))
    assert row["compared"] == "all − random_128"


def test_drug_descriptors_that_differ_support_the_claim_on_unseen_drugs_only():
    own = ROW | dict(factor="drug_block", level="rdkit_ecfp", reference="mordred")
    found = verdicts([own, own | dict(split="on_drug", effect=-0.02)])
    words = [of("drug_block", found, split)[0]["verdict"] for split in ("on_cell", "on_drug")]
    assert words == ["contradicted", "supported"]


@pytest.mark.parametrize(("low", "word"), [(0.5, "supported"), (0.05, "open")])
def test_settings_outweigh_features_only_where_the_intervals_are_apart(low, word):
    sides = dict(
        factor=[importances.TRAINING, importances.FEATURES], importance=[0.6, 0.1], low=[low, 0.0]
    )
    joint = pd.DataFrame(sides | dict(high=[0.7, 0.2], split="on_cell", n=100, meta_r2=0.8))
    rows = of("settings", verdicts(joint=joint))
    assert [row["verdict"] for row in rows] == [word, word]
    assert [row["effect"] for row in rows] == [0.6, 0.1] and rows[0]["n"] == 100


def test_a_sweep_that_varies_features_alone_does_not_weigh_them_against_settings():
    side = dict(factor=[importances.FEATURES], importance=0.1, low=0.0, high=0.2, split="on_cell")
    (row,) = of("settings", verdicts(joint=pd.DataFrame(side | dict(n=100))))
    assert row["verdict"] == "untested"


def test_a_sweep_without_a_comparison_is_untested_on_both_splits():
    found = verdicts()
    assert len(found) == 2 * len(claims.CLAIMS) and (found["verdict"] == "untested").all()
    said = claims.sayings(found, "on_cell")
    assert said["snp"] == "untested"


def test_networks_are_compared_with_the_best_baseline_and_n_is_given():
    best = pd.DataFrame(dict(predictor=[NETWORK, "ridge", "mean_effects"], r2=[0.6, 0.62, 0.5]))
    (row,) = of("one", verdicts(best=best.assign(**SCORED)))
    assert (row["compared"], row["verdict"]) == ("network − ridge", "contradicted")
    assert row["effect"] == pytest.approx(-0.02)
    assert (row["n"], row["note"]) == (900, "R² 0.600 and 0.620")


def test_a_network_without_a_score_is_untested_with_its_reason():
    best = pd.DataFrame(dict(predictor=[NETWORK, "ridge"], r2=[np.nan, 0.5]))
    (row,) = of("one", verdicts(best=best.assign(**(SCORED | dict(reason="n too small")))))
    assert (row["verdict"], row["note"]) == ("untested", "n too small")


def test_averaged_networks_are_compared_with_mean_effects_and_ridge_study_by_study():
    names = ["best 10 networks, averaged", "best network", "ridge", "mean_effects"]
    r2 = [0.63, 0.6, 0.62, 0.5, 0.5, 0.6, 0.55, 0.4]
    made = pd.DataFrame(dict(SCORED, predictor=names * 2, r2=r2))
    made["study"] = ["All"] * 4 + ["CCLE"] * 4
    found = verdicts(averaged=made)
    rows = of("averaged", found)
    assert [row["verdict"] for row in rows] == ["supported", "contradicted"]
    said = claims.sayings(found, "on_cell")["averaged"]
    assert said == "network − ridge +0.010, supported"


def test_a_saying_tells_the_largest_effect_with_its_interval():
    own = ROW | dict(factor="scaling")
    found = verdicts(
        [own | dict(level="source"), own | dict(level="combat", effect=-0.1, low=-0.2)]
    )
    said = claims.sayings(found, "on_cell")["scaling"]
    assert said == "combat − none -0.100 (-0.200 to +0.030), contradicted"


def test_tables_that_hold_reasons_only_are_untested():
    reasons = pd.DataFrame([dict(split="on_cell", factor="rnaseq_set", reason="one level")])
    none = pd.DataFrame(columns=["split", "study", "predictor", "r2", "reason"])
    found = claims.verdicts(reasons, NOTHING, none, reasons, none)
    assert (found["verdict"] == "untested").all()
