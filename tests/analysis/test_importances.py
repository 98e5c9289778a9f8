"""Importances rank planted factors and give a null factor nothing; the paper's own flatter."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib.analysis import importances

FACTORS = ["optimizer", "drug_block", "label", "cohort"]


@pytest.fixture(scope="module")
def configurations():
    """240 configurations whose score depends on the optimizer and a little on the drug block."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "optimizer": rng.choice(["adam", "sgd"], 240),
            "drug_block": rng.choice(["mordred", "ecfp", "none"], 240),
            "label": rng.choice([f"level {i}" for i in range(30)], 240),
            "cohort": "all",
            "split": "on_cell",
            "configuration": [f"{i:03d}" for i in range(240)],
        }
    )
    effect = 0.2 * (frame["optimizer"] == "adam") + 0.05 * (frame["drug_block"] == "mordred")
    return frame.assign(r2=effect + rng.normal(0, 0.05, 240))


def test_out_of_bag_importance_ranks_the_planted_factors_and_gives_a_null_factor_nothing(
    configurations,
):
    found = importances.by_split(configurations, FACTORS, "r2", n_draws=60).set_index("factor")
    assert list(found.index[:2]) == ["optimizer", "drug_block"]
    assert found.loc["label", "low"] < 0.02
    assert "cohort" not in found.index  # one level explains nothing


def test_the_papers_tree_flatters_a_null_factor_of_many_levels_and_its_own_fit(configurations):
    found = importances.by_split(configurations, FACTORS, "r2", n_draws=60).set_index("factor")
    assert found["paper_meta_r2"].iloc[0] > 0.9 > found["meta_r2"].iloc[0]
    assert found.loc["label", "paper"] > found.loc["drug_block", "paper"]
    assert np.isclose(found["paper"].sum(), 1)


def test_variance_components_find_the_planted_shares(configurations):
    found = importances.variance_components(configurations, FACTORS, "r2").set_index("factor")
    truth = 0.2**2 / 4 / (0.2**2 / 4 + 0.05**2 * 2 / 9 + 0.05**2)
    assert_allclose(found.loc["optimizer", "share"], truth, atol=0.07)
    assert found.loc["label", "p"] > 0.05


def test_importances_of_a_ledger_without_variety_say_so(configurations):
    one = configurations.assign(optimizer="adam", drug_block="mordred", label="x")
    alike = configurations.assign(r2=0.5)
    for found in (
        lambda own: importances.by_split(own, FACTORS, "r2", n_draws=2),
        lambda own: importances.jointly(own, FACTORS, n_draws=2),
        lambda own: importances.variance_components(own, FACTORS, "r2"),
    ):
        assert found(one)["reason"].tolist() == ["no factor varies"]
        assert found(alike)["reason"].tolist() == ["240 configurations with the same r2"]
        assert found(one.iloc[:0])["reason"].tolist() == ["no configuration"]
        few = "only 2 configurations, too few for a tree or a linear model"
        assert found(configurations.iloc[:2])["reason"].tolist() == [few]
    few = importances.by_split(configurations.iloc[:9], FACTORS, "r2", n_draws=2)
    assert few["reason"].tolist() == ["9 configurations are too few to leave some out"]


def test_a_setting_confounded_with_another_counts_once_in_the_importances(configurations):
    confounded = configurations.assign(
        lr=configurations["optimizer"].map(dict(adam=0.0008, sgd=0.5))
    )
    for function, column, more in (
        (importances.by_split, "importance", dict(n_draws=60)),
        (importances.variance_components, "share", {}),
    ):
        alone = function(configurations, FACTORS, "r2", **more).set_index("factor")[column]
        both = function(confounded, [*FACTORS, "lr"], "r2", **more).set_index("factor")[column]
        assert "lr" not in both.index and np.isclose(both["optimizer"], alone["optimizer"])


def test_features_and_training_settings_are_shuffled_as_two_sides(configurations):
    found = importances.jointly(configurations, FACTORS, n_draws=20).set_index("factor")
    single = importances.by_split(configurations, FACTORS, "r2", n_draws=20)
    single = single.set_index("factor")["importance"]
    features = [name for name in single.index if name in importances.FEATURE_FACTORS]
    assert set(found.index) == {importances.FEATURES, importances.TRAINING}
    for side, names in (
        (importances.FEATURES, features),
        (importances.TRAINING, single.index.difference(features)),
    ):
        assert found.loc[side, "importance"] >= single[names].max() - 0.02
        assert found.loc[side, "low"] <= found.loc[side, "importance"] <= found.loc[side, "high"]
