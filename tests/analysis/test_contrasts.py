"""Planted effects are found at the right unit, null ones are not, what is missing is named."""

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
STAR = dict(split=["on_cell"], snp=["none", "counts"])
EVERY = ("study", "cell", "drug")


def frames(design=SMALL, n_cells=130, n_repeats=1, by=EVERY):
    return made_ledger.ledger(design, n_cells, fold_sd=0.002, n_repeats=n_repeats, by=by)


@pytest.fixture(scope="module")
def ledger():
    return configurations.from_frames(*frames())


@pytest.fixture(scope="module")
def table(ledger):
    found = contrasts.contrast_table(ledger, scores=("gain", "r2"), wider=lambda *_: 1.0)
    return found.set_index(["factor", "metric"])


def test_a_planted_effect_is_found_with_its_size(table):
    """A run of skill s leaves (1 - s)^2 of what mean effects leave: the gain is 1 - (1 - s)^2."""
    with_snp, without = (1 - (1 - s) ** 2 for s in (0.45, 0.40))
    with_snp_sgd, without_sgd = (1 - (1 - s) ** 2 for s in (0.25, 0.20))
    planted = (with_snp + with_snp_sgd - without - without_sgd) / 2
    found = table.loc[("snp", "gain")]
    assert found["low_folds"] < planted < found["high_folds"]
    assert_allclose(found["effect"], planted, atol=0.03)


def test_a_null_setting_is_not_called_significant_over_folds(table):
    found = table.loc[("scaling", "r2")]
    assert found["low_folds"] < 0 < found["high_folds"]


def test_a_setting_with_one_level_says_so(table):
    assert table.loc[("model", "")]["reason"] == "one level only: mlp"


def test_the_interval_over_lines_is_quoted_where_the_simulator_gave_a_factor(ledger, table):
    found = table.loc[("snp", "gain")]
    assert (found["interval"], found["n_units"], found["n_pairs"]) == ("lines", 130, 4)
    assert found[["low", "high"]].tolist() == found[["low_units", "high_units"]].tolist()
    wide = contrasts.contrast_table(ledger, ("snp",), ("gain",), wider=lambda *_: 1.5).iloc[0]
    width = found["high_units"] - found["low_units"]
    assert_allclose(wide["high"] - wide["low"], 1.5 * width)
    assert wide["low_units"] == pytest.approx(found["low_units"])
    plain = contrasts.contrast_table(ledger, ("snp",), ("gain",)).iloc[0]
    assert plain["interval"] == "folds" and plain["low"] == plain["low_folds"]


def test_a_sweep_without_scores_by_line_quotes_the_folds():
    ledger = configurations.from_frames(*frames(STAR, 260, by=("study",)))
    found = contrasts.contrast_table(ledger, ("snp",), ("gain",), wider=lambda *_: 1.0).iloc[0]
    assert found["interval"] == "folds" and np.isnan(found["low_units"])


def test_the_effect_is_the_mean_matched_difference_of_merged_scores(ledger, table):
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    whole = merged[merged["study"] == "All"]
    for factor in ("snp", "scaling", "optimizer"):
        means = whole.groupby(factor)["gain"].mean()
        row = table.loc[(factor, "gain")]
        assert_allclose(row["effect"], means[row.name and row["level"]] - means[row["reference"]])


def test_ten_repeats_are_ten_effects_and_more_folds():
    ledger = configurations.from_frames(*frames(STAR, n_repeats=4))
    assert ledger.notes == []
    found = contrasts.contrast_table(ledger, ("snp",), ("gain",), wider=lambda *_: 1.0).iloc[0]
    assert (found["n_repeats"], found["n_folds"], found["n_pairs"]) == (4, 12, 1)
    repeats = np.array(found["by_repeat"].split(), float)
    assert len(repeats) == 4 and abs(repeats.mean() - found["effect"]) < 0.01


@pytest.mark.parametrize("missing", ["counts", "none"])
def test_a_repeat_that_one_level_lacks_is_named_with_its_remedy(missing):
    runs, scores = frames(STAR, n_repeats=3)
    gone = (runs["snp"] == missing) & (runs["repeat"] == 2) & (runs["model"] == "mlp")
    ledger = configurations.from_frames(runs[~gone], scores[~scores.run_id.isin(runs.run_id[gone])])
    found = contrasts.contrast_table(ledger, ("snp",), ("gain",), wider=lambda *_: 1.0).iloc[0]
    assert found["reason"] == (
        "repeat 2 lacks a fold of counts or none and is left out: train it (notebook 05)"
    )
    assert (found["n_repeats"], found["n_folds"]) == (2, 6) and found["low"] < found["high"]


def test_a_fold_that_one_of_many_pairs_lacks_costs_that_pair_alone():
    runs, scores = frames()
    gone = runs.index[(runs["model"] == "mlp") & (runs["fold"] == 1)][:1]
    left = configurations.from_frames(runs.drop(gone), scores)
    found = contrasts.contrast_table(left, ("snp",), ("gain",)).iloc[0]
    assert (found["n_pairs"], found["n_folds"]) == (3, 3)
    assert "2 configuration(s) lack a fold, or their partner does: train them" in found["reason"]


def test_one_line_gives_no_interval_over_lines_and_says_how_many_are_needed(ledger):
    scores = ledger.scores
    one = scores[(scores["cell_id"] == "") | (scores["cell_id"] == scores["cell_id"].max())]
    few = configurations.Ledger(ledger.runs, one)
    found = contrasts.contrast_table(few, ("snp",), ("gain",), wider=lambda *_: 1.0).iloc[0]
    assert found["interval"] == "folds" and found["n_units"] == 1 and np.isnan(found["low_units"])


def test_draws_of_one_random_set_count_as_one_level():
    runs, scores = frames(dict(split=["on_cell"], snp=["none", "counts", "binary"]))
    sets = runs["snp"].map(dict(none="lincs1000", counts="random_32", binary="random_32_draw2"))
    ledger = configurations.from_frames(
        configured(runs.assign(rnaseq_set=sets, snp="none")), scores
    )
    found = contrasts.contrast_table(ledger, ("rnaseq_set",), ("gain",))
    assert found["level"].tolist() == ["random_32"] and found["n_pairs"].tolist() == [1]
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    gain = merged[merged["study"] == "All"].set_index("rnaseq_set")["gain"]
    expected = (gain["random_32"] + gain["random_32_draw2"]) / 2 - gain["lincs1000"]
    assert_allclose(found["effect"].iloc[0], expected)


def test_each_recipe_is_an_arm_of_its_own(ledger):
    sound = dict(offset="study+drug", target_scale=0.1, weight_decay=1.0, input_dropout=0.7)
    other = ledger.runs.assign(**sound, run_id="sound-" + ledger.runs["run_id"])
    scores = ledger.scores.assign(run_id="sound-" + ledger.scores["run_id"])
    runs = configured(pd.concat([ledger.runs, other], ignore_index=True))
    both = configurations.from_frames(runs, pd.concat([ledger.scores, scores]))
    found = contrasts.contrast_table(both, ("snp",), ("gain",))
    assert found["arm"].tolist() == ["paper", "sound"]
    assert_allclose(found["effect"].iloc[0], found["effect"].iloc[1])
    paper = configurations.paper_design(both.runs)
    assert set(paper["offset"]) == {"none"}


def test_a_study_has_its_own_effect_where_it_has_enough_lines(ledger):
    found = contrasts.contrast_table(ledger, ("snp",), ("gain",), studies=("All", "GDSC", "CTRP"))
    assert found["study"].tolist() == ["All", "GDSC", "CTRP"]
    assert found["effect"].notna().tolist() == [True, False, False]
    assert "n too small" in found["reason"].iloc[1]


def test_a_rate_that_belongs_to_an_optimizer_is_part_of_its_effect_and_named(ledger):
    rate = ledger.runs["optimizer"].map(dict(adam=0.0008, sgd=0.5))
    tied = configurations.from_frames(configured(ledger.runs.assign(lr=rate)), ledger.scores)
    found = contrasts.contrast_table(tied, ("optimizer", "snp"), ("gain",)).set_index("factor")
    plain = contrasts.contrast_table(ledger, ("optimizer", "snp"), ("gain",)).set_index("factor")
    assert found["together_with"].to_dict() == dict(optimizer="lr", snp="")
    assert_allclose(found["effect"].astype(float), plain["effect"].astype(float))
    assert (found["n_pairs"] == plain["n_pairs"]).all()


def test_one_fold_gives_an_effect_without_an_interval(ledger):
    one = configurations.Ledger(ledger.runs[ledger.runs["fold"] == 0], ledger.scores)
    found = contrasts.contrast_table(one, ("snp",), ("gain",)).iloc[0]
    assert np.isfinite(found["effect"]) and np.isnan(found["p"]) and "1 fold(s)" in found["reason"]


def test_an_empty_ledger_gives_an_empty_table(tmp_path):
    assert contrasts.contrast_table(configurations.load(tmp_path)).empty
