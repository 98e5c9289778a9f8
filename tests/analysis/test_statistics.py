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


@pytest.fixture(scope="module")
def differences():
    return (
        pd.read_csv(GOLDEN / "differences.csv")
        .pivot(index="config", columns="fold", values="d")
        .to_numpy()
    )


def test_the_t_test_equals_r(golden, scores):
    groups = scores.groupby("level")["r2"]
    ours = statistics.t_test(groups.get_group("none"), groups.get_group("source"))
    for what in ("t", "p", "df", "low", "high"):
        assert_allclose(ours[what], golden["t", what], rtol=1e-10, err_msg=what)
    assert ours["effect"] > 0


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


def test_the_mixed_effect_equals_restricted_maximum_likelihood_in_r(golden, differences):
    ours = statistics.mixed_effect(differences)
    assert_allclose(ours["effect"], golden["mixed", "effect"], rtol=1e-12)
    assert_allclose(ours["se"], golden["mixed", "se"], rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_the_mixed_effect_equals_statsmodels(differences):
    import statsmodels.formula.api as smf

    frame = (
        pd.DataFrame(differences).stack().rename("d").rename_axis(["config", "fold"]).reset_index()
    )
    parts = {"fold": "0 + C(fold)", "config": "0 + C(config)"}
    fit = smf.mixedlm("d ~ 1", frame, groups=np.ones(len(frame)), vc_formula=parts).fit(reml=True)
    assert_allclose(statistics.mixed_effect(differences)["se"], fit.bse["Intercept"], rtol=2e-3)


def test_a_missing_fold_leaves_its_configuration_out(differences):
    holed = differences.copy()
    holed[3, 1] = np.nan
    ours = statistics.mixed_effect(holed)
    assert ours["n"] == len(differences) - 1
    assert_allclose(ours["effect"], np.delete(differences, 3, 0).mean())


def test_nadeau_and_bengio_widen_the_interval_by_their_formula():
    folds = [0.02, 0.05, 0.035]
    plain = statistics.fold_t_test(folds)
    corrected = statistics.fold_t_test(folds, 1 / 3)
    assert_allclose(corrected["se"] / plain["se"], np.sqrt((1 / 3 + 1 / 2) / (1 / 3)))
    assert corrected["effect"] == plain["effect"]
    assert corrected["p"] > plain["p"]


def test_fold_slopes_widen_the_mixed_interval_but_not_the_t_test():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.01, (50, 3))
    with_slopes = noise + np.array([-0.02, 0.0, 0.02])
    widths = [
        statistics.mixed_effect(d)["high"] - statistics.mixed_effect(d)["low"]
        for d in (noise, with_slopes)
    ]
    assert widths[1] > 3 * widths[0]


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
        (lambda: statistics.mixed_effect(np.full((3, 3), np.nan)), "0 matched configurations"),
        (lambda: statistics.percentile([np.nan], 0.99), "no configuration"),
    ],
)
def test_what_cannot_be_tested_says_why(found, reason):
    answer = found()
    assert reason in answer["reason"]
    assert np.isnan(answer["p"])


def test_tukey_on_one_level_says_why():
    assert "1 level" in statistics.tukey_hsd([0.1, 0.2], ["a", "a"])["reason"].iloc[0]
