"""The simulator plants what it says, and the tests of the analysis keep their promises on it."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from lib import tables
from lib.analysis import configurations, simulation, statistics


@pytest.fixture(scope="module")
def lines():
    """Simulated features of 240 lines: correlated expression and sparse counts."""
    rng = np.random.default_rng(0)
    expression = rng.normal(size=(240, 20)) @ rng.normal(size=(20, 150)) + rng.normal(
        size=(240, 150)
    )
    return expression, rng.poisson(0.3, (240, 120)).astype(float)


def test_the_papers_test_calls_a_null_feature_significant_as_often_as_theory_says():
    """Fold spread 0.005, run spread 0.08, 17,660 runs per arm: 57 % of studies; at 0.01 more."""
    for fold_sd in (0.005, 0.01):
        se = 0.08 * np.sqrt(2 / 17_660)
        theory = 2 * scipy_stats.norm.sf(1.96 * se / np.hypot(fold_sd / np.sqrt(3), se))
        found = simulation.null_rejections(fold_sd=fold_sd)
        assert found["low"] < theory < found["high"]
    assert 0.54 < simulation.null_rejections()["rate"] < 0.61


def test_without_fold_differences_the_papers_test_keeps_its_five_per_cent():
    found = simulation.null_rejections(fold_sd=0.0)
    assert found["low"] < 0.05 < found["high"]


def test_the_shortcut_through_sufficient_statistics_equals_drawing_every_run():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        slope = rng.normal(0, 0.02, 3)
        runs = rng.normal(0, 0.08, (2, 60, 3))
        runs[1] += slope
        hits += scipy_stats.ttest_ind(runs[0].ravel(), runs[1].ravel()).pvalue < 0.05
    short = simulation.null_rejections(fold_sd=0.02, run_sd=0.08, per_arm=180, n_studies=4000)
    assert abs(hits / 400 - short["rate"]) < 0.06


def test_the_quick_t_test_is_the_one_of_the_analysis():
    one, two = np.random.default_rng(0).normal(0, 1, (2, 50))
    assert_allclose(simulation._plain_t(one, two)["p"], statistics.t_test(one, two)["p"])


def test_tests_over_folds_keep_their_five_per_cent_and_the_papers_does_not():
    rates = simulation.test_rates(fold_sds=(0.01,), n_studies=150, n_configs=2000).set_index("test")
    assert rates.loc["the paper's t-test, every run", "low"] > 0.4
    for name in (
        "matched runs, t over folds",
        "matched runs, Nadeau-Bengio",
        "matched runs, mixed model",
    ):
        assert rates.loc[name, "low"] < 0.05 and rates.loc[name, "rate"] < 0.12, name


def test_a_real_effect_is_found_over_folds_when_it_outweighs_their_spread():
    rates = simulation.test_rates(
        effects=(0.02,), fold_sds=(0.0025,), n_studies=60, n_configs=300
    ).set_index("test")
    assert rates.loc["matched runs, mixed model", "rate"] > 0.9
    assert rates.loc["matched runs, Nadeau-Bengio", "rate"] > 0.8


def test_a_simulated_ledger_keeps_the_contract_of_the_tables_and_says_it_is_simulated():
    runs, scores = simulation.ledger(design=dict(split=["on_cell"], snp=["none", "counts"]))
    tables.check(runs, tables.RUNS)
    tables.check(scores, tables.SCORES)
    assert set(runs["shard"]) == set(runs["commit"]) == {"simulated"}
    assert scores["run_id"].isin(runs["run_id"]).all()


def test_a_planted_skill_is_the_gain_that_the_ledger_shows():
    """A run that knows the share s of what mean effects leave takes 1 - (1 - s)^2 of their error away."""
    runs, scores = simulation.ledger(design=dict(split=["on_cell"], snp=["none"]), n_cells=260)
    ledger = configurations.from_frames(runs, scores)
    merged = configurations.merge_folds(ledger)
    ridge = merged[(merged["model"] == "ridge") & (merged["study"] == "All")].iloc[0]
    assert_allclose(ridge["gain"], 1 - (1 - simulation.BASELINE_SKILL["ridge"]) ** 2, atol=1e-9)


def test_the_planted_snp_term_has_the_spread_asked_for(lines):
    z, z_snp = (simulation.components(x, 20) for x in lines)
    spreads = []
    for snp_sd in (0.0, 0.1):
        rng = np.random.default_rng(3)
        spreads.append(
            np.var(
                np.log(simulation.planted_responses(z, z_snp, rng, snp_sd, 60, noise_sd=0.0) + 1)
            )
        )
    assert spreads[1] > spreads[0]


@pytest.mark.slow
def test_the_chain_finds_a_planted_snp_effect_and_shuffled_snps_are_its_zero_line(lines):
    found = simulation.recovery(*lines, snp_sds=(0.0, 0.05), n_studies=12).set_index(
        ["comparison", "snp_sd"]
    )
    null, planted = found.loc[("counts - shuffled", 0.0)], found.loc[("counts - shuffled", 0.05)]
    assert abs(null["effect"]) < 3 * null["effect_sd"] / np.sqrt(12) + 1e-3
    assert null["share_folds"] <= 0.25
    assert planted["effect"] > 0.02 and planted["share_mixed"] > 0.7
    assert (
        found.loc[("counts - none", 0.0), "effect"] < null["effect"]
    )  # empty columns cost a fitted model something


def test_folds_cut_by_study_and_line_reward_what_no_feature_explains(lines):
    price = simulation.leak_price(lines[0], np.random.default_rng(0))
    assert price["leaky"] > price["clean"] + 0.1


def test_real_features_come_from_the_same_lines_in_the_same_order():
    import pandas as pd

    expression = pd.DataFrame(
        dict(cell_id=["b", "a", "c"], profile_source="GDSC", g=[2.0, 1.0, 3.0])
    )
    mutations = pd.DataFrame(
        dict(cell_id=["a", "b", "d"], mutation_source="CCLE", g=[10.0, np.nan, 9.0])
    )
    left, right = simulation.real_features(expression, mutations)
    assert left[:, 0].tolist() == [2.0, 1.0] and right[:, 0].tolist() == [0.0, 10.0]


def test_without_a_line_in_both_tables_nothing_is_simulated():
    expression = pd.DataFrame(dict(cell_id=["a"], TP53=[1.0]))
    recovered, leak = simulation.on_real_features(expression, expression.iloc[:0], n_studies=2)
    assert recovered.empty and leak.empty and {"clean", "leaky"} <= set(leak)
