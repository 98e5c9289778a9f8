"""Repeats of the folds: one configuration, scored on every row once in each repeat."""

import made_ledger
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lib.analysis import configurations, headline

DESIGN = dict(split=["on_cell", "on_drug"], snp=["none", "counts"])


@pytest.fixture(scope="module")
def frames():
    return made_ledger.ledger(DESIGN, n_cells=120, n_repeats=3, by=("study", "cell", "drug"))


@pytest.fixture(scope="module")
def ledger(frames):
    return configurations.from_frames(*frames)


def test_repeats_of_a_configuration_are_merged_and_their_lines_counted_once(ledger):
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    whole = merged[(merged["study"] == "All") & (merged["split"] == "on_cell")]
    assert len(whole) == 2 and (whole["n_folds_scored"] == 9).all()
    assert (whole["n_cells"] <= 123).all() and (whole["n_drugs"] == 24).all()
    assert whole["r2"].notna().all() and ledger.notes == []


def test_in_every_fold_of_every_repeat_a_network_is_chosen_and_the_baselines_stand_beside(ledger):
    runs = configurations.networks(ledger.runs[ledger.runs["split"] == "on_cell"])
    chosen = configurations.choose(ledger, runs)
    assert len(chosen) == 9 and not chosen.duplicated(configurations.PLACE).any()
    best = headline.headline(headline.predictors(ledger))
    own = best[(best["study"] == "All") & (best["split"] == "on_cell")].set_index("predictor")
    assert own["members"].map(len).to_dict() == dict.fromkeys(own.index, 9)
    spread = own["r2_by_repeat"].str.split().map(len)
    assert (spread == 3).all()
    for row in own.itertuples():
        by_repeat = [float(text) for text in row.r2_by_repeat.split()]
        assert row.r2 == pytest.approx(np.mean(by_repeat), abs=5e-5)  # every repeat tests all rows
    assert own["n"].nunique() == 1
    ridge = 1 - (1 - made_ledger.RIDGE_SKILL) ** 2
    assert_allclose(own.loc["ridge", "gain"], ridge, atol=1e-9)


def test_a_repeat_without_one_of_its_folds_is_noted_and_gives_no_merged_score(frames):
    runs, scores = frames
    gone = (runs["repeat"] == 1) & (runs["fold"] == 2) & (runs["snp"] == "counts")
    gone &= runs["split"] == "on_cell"
    ledger = configurations.from_frames(runs[~gone], scores)
    assert "1 of 14 configurations lack a fold" in ledger.notes[0]
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    short = merged[merged["n_folds_scored"] == 8]
    assert short["r2"].isna().all() and (short["reason"] == "only 8 fold(s) scored").all()
