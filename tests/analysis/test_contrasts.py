"""Planted effects are found at the right unit, null ones are not, aliases are refused."""

import made_ledger
import numpy as np
import pandas as pd
import pytest
from made_sweep import configured
from numpy.testing import assert_allclose

from lib.analysis import configurations, contrasts

SMALL = dict(
    split=["on_cell"], snp=["none", "counts"], scaling=["none", "source"], optimizer=["adam", "sgd"]
)


@pytest.fixture(scope="module")
def ledger():
    return configurations.from_frames(*made_ledger.ledger(SMALL, n_cells=260, fold_sd=0.002))


@pytest.fixture(scope="module")
def table(ledger):
    return contrasts.contrast_table(ledger, scores=("r2", "gain")).set_index(["factor", "metric"])


def test_a_planted_effect_is_found_with_its_size(table):
    """A run of skill s leaves (1 - s)^2 of what mean effects leave: the gain is 1 - (1 - s)^2."""
    with_snp, without = (1 - (1 - s) ** 2 for s in (0.45, 0.40))
    with_snp_sgd, without_sgd = (1 - (1 - s) ** 2 for s in (0.25, 0.20))
    planted = (with_snp + with_snp_sgd - without - without_sgd) / 2
    found = table.loc[("snp", "gain")]
    assert found["low"] < planted < found["high"]
    assert_allclose(found["effect"], planted, atol=0.03)


def test_a_null_setting_is_not_called_significant(table):
    found = table.loc[("scaling", "r2")]
    assert found["low"] < 0 < found["high"] and found["p_holm"] > 0.05


def test_a_setting_with_one_level_says_so(table):
    assert table.loc[("model", "")]["reason"] == "one level only: mlp"


def test_in_a_full_factorial_the_effect_is_the_mean_matched_difference(table):
    for factor in ("snp", "scaling", "optimizer"):
        row = table.loc[(factor, "r2")]
        assert_allclose(row["effect"], row["effect_mixed"], atol=1e-12)
        assert row["n_matched"] == 4


def test_the_weights_recover_main_effects_from_a_fraction():
    """Half of a 2x2x2 factorial: few matched runs, yet the linear model has every main effect."""
    rng = np.random.default_rng(0)
    grid = pd.DataFrame(
        [(a, b, c) for a in "01" for b in "01" for c in "01"], columns=["snp", "scaling", "model"]
    )
    half = grid.iloc[[0, 3, 5, 6]]
    score = 0.1 * (half["snp"] == "1") - 0.3 * (half["scaling"] == "1") + 1e-9 * rng.normal(size=4)
    weights = contrasts.effect_weights(half, "snp")
    assert_allclose(weights["1"] @ score, 0.1, atol=1e-6)


def test_an_effect_that_is_another_settings_is_refused():
    """SNPs came with one of three scalings only, and always: both have the same effect."""
    aliased = pd.DataFrame({"snp": list("0011"), "scaling": list("abcc"), "model": list("xyxy")})
    assert contrasts.effect_weights(aliased, "snp")["1"] is None
    rows = aliased.assign(fold=0, n_folds=3, configuration=list("wxyz"), r2=[0.1, 0.2, 0.3, 0.4])
    found = contrasts.factor_contrasts(pd.concat([rows, rows.assign(fold=1)]), "snp", ["r2"])[0]
    assert "cannot be told from another setting" in found["reason"] and np.isnan(found["effect"])


def test_a_rate_that_belongs_to_an_optimizer_is_part_of_its_effect_and_named(ledger):
    rate = ledger.runs["optimizer"].map(dict(adam=0.0008, sgd=0.5))
    tied = configurations.from_frames(configured(ledger.runs.assign(lr=rate)), ledger.scores)
    found = contrasts.contrast_table(tied, ("optimizer", "snp"), ("r2",)).set_index("factor")
    plain = contrasts.contrast_table(ledger, ("optimizer", "snp"), ("r2",)).set_index("factor")
    assert (
        found.loc["optimizer", "together_with"] == "lr" and found.loc["snp", "together_with"] == ""
    )
    assert_allclose(found["effect"].astype(float), plain["effect"].astype(float))
    assert (found["n_matched"] == plain["n_matched"]).all()


def test_one_fold_gives_an_effect_without_an_interval(ledger):
    one = configurations.Ledger(ledger.runs[ledger.runs["fold"] == 0], ledger.scores)
    found = contrasts.contrast_table(one, ("snp",), ("r2",)).iloc[0]
    assert np.isfinite(found["effect"]) and np.isnan(found["p"]) and "1 fold(s)" in found["reason"]


def test_an_empty_ledger_gives_an_empty_table(tmp_path):
    assert contrasts.contrast_table(configurations.load(tmp_path)).empty
