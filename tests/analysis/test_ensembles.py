"""Means of networks are chosen by inner rows, fold by fold, and beat what they are made of."""

from dataclasses import replace

import made_sweep
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib.analysis import configurations, ensembles, headline, predictions

SEEDS = dict(
    split=["on_cell", "on_drug"],
    cohort="all",
    hidden=[[8], [16]],
    seed=[0, 1, 2],
    optimizer="sgd",
    lr=0.5,
    init=0.1,
    patience="tuned",
    baselines=["mean_effects", "ridge", "boosted_trees"],
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    work = tmp_path_factory.mktemp("quality")
    cells, pairs = made_sweep.write(
        work, SEEDS, skill=lambda spec: 0.5 if spec.hidden == (16,) else 0.2
    )
    ledger = configurations.load(work)
    ledger.predicted = predictions.load(ledger, work, pairs, cells)
    return ledger, work


def made(ledger, k, n_draws):
    best = headline.headline(headline.predictors(ledger))
    return ensembles.table(ledger, best, k, n_draws)


@pytest.fixture(scope="module")
def table(ledger):
    return made(ledger[0], 4, 60)


def whole(table, split):
    return table[(table["split"] == split) & (table["study"] == "All")].set_index("predictor")


@pytest.mark.parametrize("split", ["on_cell", "on_drug"])
def test_a_mean_of_seeds_beats_its_best_member_and_the_worse_networks_do_not_help(table, split):
    at = whole(table, split)["gain"]
    assert (
        at[ensembles.SEEDS]
        > at[ensembles.BEST]
        > at["best 4 networks, averaged"]
        > at["ridge"]
        > at["mean_effects"]
    )
    assert_allclose(at["mean_effects"], 0, atol=1e-9)


def test_every_predictor_is_scored_on_the_same_rows_with_an_interval_that_holds_its_score(table):
    for split in ("on_cell", "on_drug"):
        at = whole(table, split)
        assert (
            at["n"].nunique() == 1 and (at["n_cells"] == 90).all() and (at["n_drugs"] == 20).all()
        )
        scored = at.drop("mean_effects")
        assert (scored["gain_low"] < scored["gain"]).all() and (
            scored["gain"] < scored["gain_high"]
        ).all()
        assert at.loc[ensembles.SEEDS, "n_networks"] == 3
        best = at.loc[["mean_effects", "ridge", "boosted_trees"], "gain"].idxmax()
        assert at.loc[ensembles.BEST, "baseline"] == best


def test_the_score_of_a_mean_is_that_of_its_predictions(ledger, table):
    ledger, _ = ledger
    row = whole(table, "on_cell").loc[ensembles.SEEDS]
    block = next(b for b in ledger.predicted if b.split == "on_cell")
    runs = ledger.runs[ledger.runs["run_id"].isin(row["members"])]
    assert set(runs["hidden"]) == {"16"} and set(runs["seed"]) == {0, 1, 2} and len(runs) == 9
    p = np.mean([block.of(name) for name in runs["configuration"].unique()], axis=0)
    y = block.table["y"]
    assert_allclose(row["r2"], 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def test_the_choice_does_not_see_test_rows(ledger):
    ledger, _ = ledger
    spoiled = ledger.scores.copy()
    spoiled.loc[spoiled["part"] == "test", "sum_se"] = np.random.default_rng(0).uniform(
        0, 1, (spoiled["part"] == "test").sum()
    )
    again = configurations.Ledger(ledger.runs, spoiled, [], ledger.predicted)
    candidates = configurations.networks(ledger.runs[ledger.runs["split"] == "on_cell"])
    first, second = (
        ensembles.choices(one, candidates, 3)[ensembles.BEST]["run_id"].tolist()
        for one in (ledger, again)
    )
    assert first == second and len(first) == 3


def test_a_split_without_a_scored_network_has_no_rows(ledger):
    ledger, _ = ledger
    networks = ledger.runs[ledger.runs["model"] == "mlp"]
    lost = networks.loc[networks["split"] == "on_drug", "run_id"]
    scores = ledger.scores[~ledger.scores["run_id"].isin(lost)]
    table = made(configurations.Ledger(ledger.runs, scores, [], ledger.predicted), 4, 30)
    assert set(table["split"]) == {"on_cell"}


def test_tuned_networks_are_outside_the_papers_design_but_in_the_headline(ledger):
    ledger, _ = ledger
    networks = configurations.networks(ledger.runs)
    assert len(networks) == 36 and configurations.paper_design(networks).empty
    assert headline.headline(headline.predictors(ledger))["n_networks"].max() == 18


def test_without_predictions_the_table_is_empty_with_its_columns(tmp_path):
    empty = configurations.load(tmp_path)
    assert made(empty, 10, 30).empty and "gain_low" in made(empty, 10, 30)


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """Three repeats, as shards and packed."""
    work = tmp_path_factory.mktemp("repeated") / "work"
    cells, pairs = made_sweep.write(work, dict(SEEDS, repeat=[0, 1, 2], split="on_cell"))
    live = configurations.load(work)
    live.predicted = predictions.load(live, work, pairs, cells)
    packed = made_sweep.pack(work, work.parent / "packed")
    other = configurations.load(work, packed)
    other.predicted = predictions.load(other, work, pairs, cells, packed)
    return live, other


def test_a_score_is_that_of_every_repeat_each_with_its_own_choice(repeated):
    live, _ = repeated
    row = whole(made(live, 2, 30), "on_cell").loc[ensembles.BEST]
    runs = live.runs[live.runs["run_id"].isin(row["members"])]
    assert len(runs) == 9 and (runs.groupby("repeat")["fold"].nunique() == 3).all()
    rows = pd.concat([predictions.of_runs(live, runs[runs["repeat"] == r]) for r in range(3)])
    y = rows["y"]
    r2 = 1 - ((y - rows["p"]) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert_allclose(row["r2"], r2, atol=1e-4)  # predictions are kept in float16
    assert row["n_repeats"] == 3 and row["n"] == len(y) / 3 and row["n_cells"] == 90


def test_a_packed_sweep_scores_every_repeat_without_its_predictions(repeated):
    live, packed = (made(one, 10, 30).set_index(["study", "predictor"]) for one in repeated)
    numbers = ["r2", "gain", "over", "over_low", "over_high", "n", "n_units", "n_networks"]
    assert len(repeated[1].predicted) == 1  # the first repeat
    assert_allclose(packed[numbers].astype(float), live[numbers].astype(float), atol=1e-4)
    assert packed["members"].map(set).equals(live["members"].map(set))


def test_a_predictor_whose_predictions_are_missing_in_one_repeat_has_no_row(repeated):
    live, _ = repeated
    part = replace(live, predicted=[b for b in live.predicted if b.repeat != 2])
    assert made(part, 2, 30).empty


def test_one_seed_says_so(tmp_path):
    cells, pairs = made_sweep.write(tmp_path, dict(SEEDS, seed=0, split="on_cell"))
    ledger = configurations.load(tmp_path)
    ledger.predicted = predictions.load(ledger, tmp_path, pairs, cells)
    row = whole(made(ledger, 2, 30), "on_cell").loc[ensembles.SEEDS]
    assert np.isnan(row["r2"]) and row["reason"] == "one seed of each configuration was run"


@pytest.mark.parametrize("seeds, told", [([0, 1, 2], "best 3 networks, averaged"), (0, None)])
def test_a_mean_is_named_by_the_networks_that_there_are(tmp_path, seeds, told):
    plan = dict(SEEDS, seed=seeds, hidden=[[8]], split="on_cell")
    cells, pairs = made_sweep.write(tmp_path, plan)
    ledger = configurations.load(tmp_path)
    ledger.predicted = predictions.load(ledger, tmp_path, pairs, cells)
    at = whole(made(ledger, 10, 30), "on_cell")
    many = [name for name in at.index if name.startswith("best ") and name != ensembles.BEST]
    assert many == [told] * (told is not None)
    assert not many or at.loc[told, "n_networks"] == 3
