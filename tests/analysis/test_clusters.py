"""Intervals over lines or drugs hold planted differences and are wider where lines differ more."""

import made_ledger
import numpy as np
import pandas as pd
import pytest
from made_sweep import configured
from numpy.testing import assert_allclose

from lib.analysis import clusters, configurations, statistics
from lib.sweep import metrics


def rmse_of(sums):
    return np.sqrt(sums[..., 1] / sums[..., 0])


def cells_and_configurations(effect, n_pairs=12, n_cells=60, cell_sd=0.02, seed=0):
    """Sums (n, squared error) of matched pairs whose difference varies between cells; weights."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.01, 0.02, (n_pairs, n_cells))
    change = effect + rng.normal(0, cell_sd, n_cells)
    n = np.full((n_pairs, n_cells), 5.0)
    without, with_level = (
        np.stack([n, n * base], -1),
        np.stack([n, n * np.maximum(base + change / 10, 1e-4)], -1),
    )
    return np.concatenate([without, with_level]), np.repeat([-1 / n_pairs, 1 / n_pairs], n_pairs)


def squared_error(sums):
    return sums[..., 1] / sums[..., 0]


def interval_of(sums, weights, metric=rmse_of):
    return clusters.contrast(sums, clusters.draws(sums, 500), metric, weights)


def test_a_planted_difference_is_inside_the_cluster_interval_and_a_null_one_around_zero():
    planted = interval_of(*cells_and_configurations(0.1))
    null = interval_of(*cells_and_configurations(0.0))
    assert planted["low"] > 0 and planted["p"] < 0.05
    assert null["low"] < 0 < null["high"]
    assert planted["n"] == 60 and planted["unit"] == "cluster"


def test_the_cluster_interval_covers_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(60):
        sums, weights = cells_and_configurations(0.0, n_pairs=4, n_cells=40, seed=seed)
        found = interval_of(sums, weights, squared_error)
        hits += found["low"] <= 0 <= found["high"]
    assert 50 <= hits <= 60


def test_few_clusters_give_no_interval_and_say_why():
    found = interval_of(np.ones((2, 4, 2)), np.array([-1, 1]))
    assert found["reason"] == "2 configuration(s) in 4 cluster(s) are too few for a bootstrap"
    assert np.isnan(found["effect"]) and np.isnan(found["p"])


def test_cells_widen_the_interval_of_a_percentile_when_they_differ():
    sums, _ = cells_and_configurations(0.0, n_pairs=100, n_cells=30)
    sums[:, :15, 1] *= 4  # half of the cells are hard for every configuration
    by_cell = clusters.percentile(sums, clusters.draws(sums, 300), rmse_of, 0.01)
    by_config = statistics.percentile(rmse_of(sums.sum(1)), 0.01)
    assert_allclose(by_cell["effect"], by_config["effect"])
    assert by_cell["high"] - by_cell["low"] > 3 * (by_config["high"] - by_config["low"])


def test_a_metric_of_sums_is_the_one_of_the_scores():
    """Rows of many configurations and draws give what `metrics.score` gives row by row."""
    design = dict(split=["on_cell"], snp=["none", "counts"], optimizer=["adam", "sgd"])
    _, scores = made_ledger.ledger(design)
    scored = metrics.score(scores.assign(n_drugs=99, n_cells=99), "on_cell")
    scored = scored[(scored["reason"] == "") & (scored["reason_50"] == "")]
    sums = scored[metrics.STATISTICS].to_numpy().reshape(1, -1, len(metrics.STATISTICS))
    assert sums.shape[1] > 10
    for name in ("rmse", "r2", "gain", "npearson", "balanced_accuracy", "mcc"):
        found = clusters.metric_of(name)(sums)
        assert found.shape == sums.shape[:2]
        assert_allclose(found[0], scored[name], atol=1e-9, err_msg=name)


def test_a_metric_that_sums_do_not_give_is_refused_with_those_that_they_do():
    with pytest.raises(ValueError, match="knows .*'r2'.*, found 'auroc'"):
        clusters.metric_of("auroc")


def test_an_empty_ledger_gives_an_empty_table(tmp_path):
    assert clusters.cluster_table(configurations.load(tmp_path), 20).empty


def test_a_sweep_without_scores_by_cell_says_so():
    ledger = configurations.from_frames(
        *made_ledger.ledger(dict(split=["on_cell"], snp=["none", "counts"]))
    )
    assert "kept no scores by cell_id" in clusters.cluster_table(ledger, 20)["reason"].iloc[0]


def test_scores_by_cell_give_the_same_effect_as_pooled_scores_and_an_interval_over_cells():
    rng = np.random.default_rng(0)
    cell = np.repeat(np.arange(60), 8)
    drug = np.tile(np.arange(8), 60)
    y = rng.uniform(0.3, 1, 480)
    rows = []
    runs = []
    same = dict(split="on_cell", panel="array", model="mlp", status="early_stop", n_folds=3)
    for snp, sd in (("none", 0.14), ("counts", 0.10)):
        for fold in range(3):
            mine = cell % 3 == fold
            run = f"{snp}{fold}"
            p = y + rng.normal(0, sd, 480)
            names = [np.full(mine.sum(), "GDSC"), drug[mine].astype(str), cell[mine].astype(str)]
            facts = ([run], "test", y[mine], p[None, mine], np.full(mine.sum(), 0.6), *names)
            rows += [metrics.score_rows(*facts, by=by) for by in ("study", "cell")]
            runs.append(dict(same, run_id=run, fold=fold, snp=snp))
    ledger = configurations.from_frames(configured(pd.DataFrame(runs)), pd.concat(rows))
    found = clusters.cluster_table(ledger, 400).iloc[0]
    merged = configurations.merge_folds(ledger)
    r2 = merged[merged["study"] == "All"].set_index("snp")["r2"]
    assert found["metric"] == "r2"
    assert_allclose(found["effect"], r2["counts"] - r2["none"])
    assert (merged.loc[merged["study"] == "All", "n_cells"] == 60).all()
    assert found["n"] == 60 and 0 < found["low"] < found["effect"] < found["high"]
