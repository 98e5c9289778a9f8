"""The statistics agree with R, and say why when they cannot answer."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib.analysis import statistics
from lib.paths import ROOT

GOLDEN = ROOT / "tests" / "golden" / "stats"


@pytest.fixture(scope="module")
def golden():
    frame = pd.read_csv(GOLDEN / "golden.csv")
    return {(test, what): value for test, what, value in frame.itertuples(index=False)}


@pytest.fixture(scope="module")
def scores():
    return pd.read_csv(GOLDEN / "scores.csv")


def test_the_t_test_equals_r(golden, scores):
    groups = scores.groupby("level")["r2"]
    ours = statistics.t_test(groups.get_group("none"), groups.get_group("source"))
    for what in ("t", "p", "df", "low", "high"):
        assert_allclose(ours[what], golden["t", what], rtol=1e-10, err_msg=what)
    assert ours["effect"] > 0


@pytest.mark.filterwarnings("error")
def test_groups_of_equal_scores_are_compared_without_a_warning():
    near = np.array([0.1 + 0.2, 0.3])  # equal but for rounding
    ours = statistics.t_test(near, 2 * near)
    assert ours["reason"] == "all scores are equal" and np.isnan(ours["p"])
    assert statistics.t_test([0.3, 0.3, 0.3], [0.2, 0.4, 0.5])["p"] == pytest.approx(0.491767)


def test_the_analysis_of_variance_equals_r(golden, scores):
    ours = statistics.anova(scores["r2"], scores["level"])
    for what in ("f", "p", "effect"):
        assert_allclose(ours[what], golden["anova", what], rtol=1e-10, err_msg=what)


def test_tukeys_hsd_equals_r(golden, scores):
    for row in statistics.tukey_hsd(scores["r2"], scores["level"]).itertuples():
        pair = f"tukey {row.level_b}-{row.level_a}"
        for what in ("effect", "low", "high", "p"):
            assert_allclose(
                getattr(row, what), golden[pair, what], rtol=2e-4, err_msg=f"{pair} {what}"
            )


def test_holm_equals_r_and_skips_missing_values(golden):
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.005, 0.8])
    ours = statistics.holm(p)
    assert np.isnan(ours[1])
    assert_allclose(
        ours[[0, 2, 3, 4, 5]], [golden["holm", str(x)] for x in p[[0, 2, 3, 4, 5]]], rtol=1e-12
    )


def test_nadeau_and_bengio_widen_the_interval_by_their_formula():
    folds = [0.02, 0.05, 0.035]
    plain = statistics.fold_t_test(folds)
    corrected = statistics.fold_t_test(folds, 1 / 3)
    assert_allclose(corrected["se"] / plain["se"], np.sqrt((1 / 3 + 1 / 2) / (1 / 3)))
    assert corrected["effect"] == plain["effect"]
    assert corrected["p"] > plain["p"]


def test_repeats_narrow_the_interval_over_folds_down_to_the_share_of_the_training_rows():
    """r x k folds: the variance of the mean is (1/(rk) + 1/(k - 1)) of that of a fold."""
    folds = np.random.default_rng(0).normal(0.02, 0.01, 30)
    found = statistics.fold_t_test(folds, 1 / 3)
    assert_allclose(found["se"], np.sqrt((1 / 30 + 1 / 2) * folds.var(ddof=1)))
    assert (found["df"], found["n"]) == (29, 30)


def test_the_pooled_effect_stands_in_the_middle_of_the_interval_over_folds():
    found = statistics.fold_t_test([0.02, 0.05, 0.035], 1 / 3, effect=0.04)
    assert found["effect"] == 0.04
    assert_allclose((found["low"] + found["high"]) / 2, 0.04)


def test_drawing_units_anew_gives_the_standard_error_of_their_mean():
    rng = np.random.default_rng(0)
    sums = np.column_stack([rng.normal(0.1, 1.0, 400), np.ones(400)])
    drawn = statistics.resampled(sums, 2000)
    found = statistics.unit_test(0.1, drawn[:, 0] / drawn[:, 1], sums[:, 1])
    assert_allclose(found["se"], sums[:, 0].std() / 20, rtol=0.05)
    assert (found["df"], found["n"]) == (399, 400)
    wider = statistics.unit_test(0.1, drawn[:, 0] / drawn[:, 1], sums[:, 1], wider=1.5)
    assert_allclose(wider["high"] - 0.1, 1.5 * (found["high"] - 0.1))


def test_a_few_heavy_units_count_as_a_few_units():
    weights = np.r_[np.full(10, 500.0), np.full(90, 1.0)]
    found = statistics.unit_test(0.0, np.random.default_rng(0).normal(size=200), weights)
    assert 9 < found["df"] < 10


def test_the_percentile_is_numpys_and_its_interval_holds_it():
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    found = statistics.percentile(values, 0.99)
    assert_allclose(found["effect"], np.quantile(values, 0.99))
    assert found["low"] < found["effect"] < found["high"]


@pytest.mark.parametrize(
    "found, reason",
    [
        (lambda: statistics.t_test([0.5], [0.6, 0.7]), "1 and 2 configurations"),
        (lambda: statistics.t_test([0.5, 0.5], [0.5, 0.5]), "all scores are equal"),
        (lambda: statistics.anova([0.1, 0.2, 0.3], ["a", "a", "a"]), "1 level"),
        (lambda: statistics.fold_t_test([0.1]), "1 fold"),
        (lambda: statistics.fold_t_test([0.1, 0.1, 0.1]), "the differences do not vary"),
        (lambda: statistics.unit_test(0.1, np.zeros(99), np.ones(1)), "10 are needed"),
        (lambda: statistics.unit_test(0.1, np.full(99, 0.1), np.ones(99)), "do not vary"),
        (lambda: statistics.percentile([np.nan], 0.99), "no configuration"),
    ],
)
def test_what_cannot_be_tested_says_why(found, reason):
    answer = found()
    assert reason in answer["reason"]
    assert np.isnan(answer["p"])


def test_tukey_on_one_level_says_why():
    assert "1 level" in statistics.tukey_hsd([0.1, 0.2], ["a", "a"])["reason"].iloc[0]
