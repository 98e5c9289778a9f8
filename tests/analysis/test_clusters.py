"""Intervals over lines or drugs hold planted differences and are wider where lines differ more."""

import made_ledger
import numpy as np
import pandas as pd
import pytest
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


def test_few_units_give_no_interval_and_say_why():
    sums = np.ones((2, 4, 2))
    found = clusters.percentile(sums, statistics.resampled(sums, 30), rmse_of, 0.99)
    assert found["reason"] == "4 line(s) or drug(s) are too few for an interval"
    assert np.isnan(found["low"])


def test_cells_widen_the_interval_of_a_percentile_when_they_differ():
    sums, _ = cells_and_configurations(0.0, n_pairs=100, n_cells=30)
    sums[:, :15, 1] *= 4  # half of the cells are hard for every configuration
    by_cell = clusters.percentile(sums, statistics.resampled(sums, 300), rmse_of, 0.01)
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


def made(by=("study", "cell", "drug"), n_repeats=1, split="on_cell"):
    design = dict(split=[split], snp=["none", "counts"])
    tables = made_ledger.ledger(design, n_cells=120, n_repeats=n_repeats, by=by)
    return configurations.from_frames(*tables)


def contrast(ledger, split="on_cell", **more):
    units = clusters.Units(ledger, split, "All", 200)
    runs = configurations.networks(ledger.runs)
    names = runs.drop_duplicates("configuration").set_index("snp")["configuration"]
    weights = pd.Series([1.0, -1.0], index=names[["counts", "none"]])
    assert set(runs["configuration"]) <= units.kept
    return statistics.unit_test(0.0, *units.deviations(weights, "gain"), **more)


def test_a_sweep_without_scores_by_line_has_no_sums_to_draw():
    ledger = made(by=("study",))
    assert clusters.Units(ledger, "on_cell", "All", 20).kept == set()


def test_lines_of_all_repeats_are_drawn_together_and_counted_once():
    once = contrast(made())
    often = contrast(made(n_repeats=3))
    assert once["n"] == often["n"] == 120
    assert often["se"] < 1.1 * once["se"]


def test_where_lines_and_drugs_are_held_apart_both_are_drawn_and_their_variances_add():
    runs, scores = made_ledger.ledger(
        dict(split=["on_cell"], snp=["none", "counts"]), n_cells=120, by=("study", "cell", "drug")
    )
    ses = {}
    for split in ("on_cell", "on_drug", "both_unseen"):
        ledger = configurations.from_frames(runs.assign(split=split), scores)
        found = contrast(ledger, split)
        ses[split] = found["se"]
        assert found["n"] == (120 if split == "on_cell" else 24)
    both = np.hypot(ses["on_cell"], ses["on_drug"])
    assert_allclose(ses["both_unseen"], both, rtol=0.2)


@pytest.mark.parametrize(
    ("split", "units"),
    [
        ("on_cell", ["cell_id"]),
        ("scaffold_out", ["drug_id"]),
        ("tissue_out", ["cell_id"]),
        ("both_unseen", ["cell_id", "drug_id"]),
    ],
)
def test_an_interval_draws_what_the_split_holds_apart(split, units):
    assert clusters.units_of(split) == units


def test_scores_by_line_give_the_same_effect_as_pooled_scores():
    ledger = made()
    names, sums = clusters.sums_of(ledger, configurations.networks(ledger.runs), "cell_id")
    found = pd.Series(clusters.metric_of("gain")(sums.sum(1)), index=names)
    merged = configurations.merge_folds(ledger)
    whole = merged[merged["study"] == "All"].set_index("configuration")["gain"]
    assert_allclose(found, whole[found.index])
    _, one = clusters.sums_of(ledger, configurations.networks(ledger.runs), "cell_id", "GDSC")
    assert (one[..., 0].sum(0) > 0).sum() == 30
