"""The statistics agree with R, keep their promises on simulated truth, and say why when they cannot answer."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib.analysis import importances, statistics
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


def rmse_of(sums):
    return np.sqrt(sums[..., 1] / sums[..., 0])


def cells_and_configurations(effect, n_pairs=12, n_cells=60, cell_sd=0.02, seed=0):
    """Sufficient statistics (n, squared error) of matched pairs whose difference varies between cells, and weights."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.01, 0.02, (n_pairs, n_cells))
    change = effect + rng.normal(0, cell_sd, n_cells)
    n = np.full((n_pairs, n_cells), 5.0)
    without, with_level = (
        np.stack([n, n * base], -1),
        np.stack([n, n * np.maximum(base + change / 10, 1e-4)], -1),
    )
    return np.concatenate([without, with_level]), np.repeat([-1 / n_pairs, 1 / n_pairs], n_pairs)


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
    for what in ("se", "sd_fold", "sd_configuration", "sd_noise"):
        assert_allclose(ours[what], golden["mixed", what], rtol=1e-5, err_msg=what)


@pytest.mark.filterwarnings("ignore")
def test_the_mixed_effect_equals_statsmodels(differences):
    import statsmodels.formula.api as smf

    frame = (
        pd.DataFrame(differences).stack().rename("d").rename_axis(["config", "fold"]).reset_index()
    )
    parts = {"fold": "0 + C(fold)", "config": "0 + C(config)"}
    fit = smf.mixedlm("d ~ 1", frame, groups=np.ones(len(frame)), vc_formula=parts).fit(reml=True)
    assert_allclose(statistics.mixed_effect(differences)["se"], fit.bse["Intercept"], rtol=2e-3)


def test_a_missing_fold_leaves_its_configuration_out_and_is_counted(differences):
    holed = differences.copy()
    holed[3, 1] = np.nan
    ours = statistics.mixed_effect(holed)
    assert ours["n_left_out"] == 1
    assert_allclose(ours["effect"], np.delete(differences, 3, 0).mean())


def test_nadeau_and_bengio_widen_the_interval_by_their_formula():
    folds = [0.02, 0.05, 0.035]
    plain, corrected = (
        statistics.fold_t_test(folds),
        statistics.fold_t_test(folds, test_share=1 / 3),
    )
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


def test_a_planted_difference_is_inside_the_cluster_interval_and_a_null_one_around_zero():
    planted = statistics.cluster_contrast(*cells_and_configurations(0.1), rmse_of)
    null = statistics.cluster_contrast(*cells_and_configurations(0.0), rmse_of)
    assert planted["low"] > 0 and planted["p"] < 0.05
    assert null["low"] < 0 < null["high"]
    assert planted["n"] == 60 and planted["unit"] == "cluster"


def test_the_cluster_interval_covers_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(60):
        sums, weights = cells_and_configurations(0.0, n_pairs=4, n_cells=40, seed=seed)
        found = statistics.cluster_contrast(
            sums, weights, lambda s: s[..., 1] / s[..., 0], 200, seed
        )
        hits += found["low"] <= 0 <= found["high"]
    assert 50 <= hits <= 60


def test_the_percentile_is_numpys_and_its_interval_holds_it():
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    found = statistics.percentile(values, 0.99)
    assert_allclose(found["effect"], np.quantile(values, 0.99))
    assert found["low"] < found["effect"] < found["high"]


def test_cells_widen_the_interval_of_a_percentile_when_they_differ():
    sums, _ = cells_and_configurations(0.0, n_pairs=100, n_cells=30)
    sums[:, :15, 1] *= 4  # half of the cells are hard for every configuration
    by_cell = statistics.percentile_by_cluster(sums, rmse_of, 0.01)
    by_config = statistics.percentile(rmse_of(sums.sum(1)), 0.01)
    assert_allclose(by_cell["effect"], by_config["effect"])
    assert by_cell["high"] - by_cell["low"] > 3 * (by_config["high"] - by_config["low"])


@pytest.mark.parametrize(
    "found, reason",
    [
        (lambda: statistics.t_test([0.5], [0.6, 0.7]), "1 and 2 configurations"),
        (lambda: statistics.t_test([0.5, 0.5], [0.5, 0.5]), "all scores are equal"),
        (lambda: statistics.anova([0.1, 0.2, 0.3], ["a", "a", "a"]), "1 level"),
        (lambda: statistics.fold_t_test([0.1]), "1 fold"),
        (lambda: statistics.mixed_effect(np.full((3, 3), np.nan)), "0 matched configurations"),
        (
            lambda: statistics.cluster_contrast(np.ones((2, 4, 2)), [-1, 1], rmse_of),
            "too few for a bootstrap",
        ),
        (lambda: statistics.percentile([np.nan], 0.99), "no configuration"),
    ],
)
def test_what_cannot_be_tested_says_why(found, reason):
    answer = found()
    assert reason in answer["reason"]
    assert np.isnan(answer["p"])


def test_tukey_on_one_level_says_why():
    assert "1 level" in statistics.tukey_hsd([0.1, 0.2], ["a", "a"])["reason"].iloc[0]


@pytest.fixture(scope="module")
def configurations():
    """240 configurations whose score depends on the optimizer, a little on the drug block, and on nothing else."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "optimizer": rng.choice(["adam", "sgd"], 240),
            "drug_block": rng.choice(["mordred", "ecfp", "none"], 240),
            "label": rng.choice([f"level {i}" for i in range(30)], 240),
            "cohort": "all",
        }
    )
    effect = 0.2 * (frame["optimizer"] == "adam") + 0.05 * (frame["drug_block"] == "mordred")
    return frame.assign(r2=effect + rng.normal(0, 0.05, 240))


FACTORS = ["optimizer", "drug_block", "label", "cohort"]


def test_out_of_bag_importance_ranks_the_planted_factors_and_gives_a_null_factor_nothing(
    configurations,
):
    found = importances.out_of_bag(configurations, FACTORS, "r2").set_index("factor")
    assert list(found.index[:2]) == ["optimizer", "drug_block"]
    assert found.loc["label", "low"] < 0.02
    assert "cohort" not in found.index  # one level explains nothing


def test_the_papers_tree_flatters_a_null_factor_of_many_levels_and_its_own_fit(configurations):
    paper = importances.in_sample(configurations, FACTORS, "r2").set_index("factor")
    honest = importances.out_of_bag(configurations, FACTORS, "r2").set_index("factor")
    assert paper["meta_r2"].iloc[0] > 0.9 > honest["meta_r2"].iloc[0]
    assert paper.loc["label", "importance"] > paper.loc["drug_block", "importance"]


def test_variance_components_find_the_planted_shares(configurations):
    found = importances.variance_components(configurations, FACTORS, "r2").set_index("factor")
    truth = 0.2**2 / 4 / (0.2**2 / 4 + 0.05**2 * 2 / 9 + 0.05**2)
    assert_allclose(found.loc["optimizer", "share"], truth, atol=0.07)
    assert found.loc["label", "p"] > 0.05


def test_importances_of_a_ledger_without_variety_say_so(configurations):
    one = configurations.assign(optimizer="adam", drug_block="mordred", label="x")
    for function in (
        importances.in_sample,
        importances.out_of_bag,
        importances.variance_components,
    ):
        assert function(one, FACTORS, "r2")["reason"].iloc[0] == "no factor varies"
        assert "0 configurations" in function(one.iloc[:0], FACTORS, "r2")["reason"].iloc[0]


def test_a_setting_tied_to_another_counts_once_in_the_importances(configurations):
    tied = configurations.assign(lr=configurations["optimizer"].map(dict(adam=0.0008, sgd=0.5)))
    for function, column in (
        (importances.out_of_bag, "importance"),
        (importances.variance_components, "share"),
    ):
        alone, both = (function(frame, names, "r2").set_index("factor")[column] for frame, names in (
            (configurations, FACTORS), (tied, [*FACTORS, "lr"])))  # fmt: skip
        assert "lr" not in both.index and np.isclose(both["optimizer"], alone["optimizer"])


def test_features_and_training_settings_are_shuffled_as_two_sides(configurations):
    found = importances.jointly(
        configurations.assign(split="on_cell"), FACTORS, n_draws=20
    ).set_index("factor")
    single = importances.out_of_bag(configurations, FACTORS, "r2", n_draws=20).set_index("factor")[
        "importance"
    ]
    features = [name for name in single.index if name in importances.FEATURE_FACTORS]
    assert set(found.index) == {importances.FEATURES, importances.TRAINING}
    for side, names in (
        (importances.FEATURES, features),
        (importances.TRAINING, single.index.difference(features)),
    ):
        assert found.loc[side, "importance"] >= single[names].max() - 0.02
        assert found.loc[side, "low"] <= found.loc[side, "importance"] <= found.loc[side, "high"]
