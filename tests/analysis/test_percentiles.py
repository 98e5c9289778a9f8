"""Levels are compared like with like; null controls are the zero line; random genes a curve."""

import made_sweep
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib.analysis import (
    clusters,
    configurations,
    contrasts,
    headline,
    paper_tables,
    percentiles,
    predictions,
)
from lib.sweep import grid

BOTH = dict(
    split=["on_cell", "on_drug"],
    cohort="all",
    hidden=[[8]],
    model=["mlp", "gated"],
    baselines=["mean_effects"],
)
SWEEP = [
    dict(BOTH, snp=["none", "counts"], scaling=["none", "source"]),
    dict(BOTH, rnaseq_set=["random_32", "random_128"]),
    dict(BOTH, snp="counts", null_control="permuted_snp"),
    dict(BOTH, null_control="permuted_genes"),
]


def skill(spec):
    """What is planted: SNPs help by 0.1 (not when shuffled), genes by 0.2, more of them by more."""
    genes = dict(random_32=0.1, random_128=0.15).get(spec.rnaseq_set, 0.2) * (
        spec.null_control != "permuted_genes"
    )
    return 0.2 + genes + 0.1 * (spec.snp == "counts" and spec.null_control == "none")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    work = tmp_path_factory.mktemp("factors")
    cells, pairs = made_sweep.write(work, SWEEP, skill)
    ledger = configurations.load(work)
    ledger.predicted = predictions.load(ledger, work, pairs, cells)
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    every = configurations.networks(ledger.runs, vary=("null_control",))
    nulls = configurations.merge_folds(ledger, runs=every[every["null_control"] != "none"])
    return ledger, merged.assign(removed=""), nulls


@pytest.fixture(scope="module")
def table1(made):
    ledger, merged, nulls = made
    baselines = headline.predictors(ledger)
    table = percentiles.factor_table(baselines, merged, nulls, "table1", "snp")
    return clusters.with_unit_intervals(table, ledger, n_draws=60)


def test_levels_are_compared_on_settings_that_both_were_run_with(table1):
    rows = table1[
        (table1["factor"] == "snp") & (table1["metric"] == "r2") & (table1["split"] == "on_cell")
    ]
    rows = rows.set_index("level")
    assert rows["n_configurations"].to_dict() == {"none": 4, "counts": 4}
    assert rows["n_unmatched"].to_dict() == {
        "none": 4,
        "counts": 0,
    }  # the random sets were run without SNPs only


def test_shuffled_snps_are_the_zero_line_and_lie_where_no_snp_does(table1):
    rows = table1[(table1["metric"] == "r2") & (table1["split"] == "on_cell")].set_index("level")[
        "ours"
    ]
    assert abs(rows["permuted_snp"] - rows["none"]) < 0.005 and rows["counts"] - rows["none"] > 0.01
    control = table1[table1["factor"] == "null_control"]
    assert (
        set(control["level"]) == {"permuted_snp"}
        and control["reason"].str.contains("the paper has no control").all()
    )


def test_shuffled_networks_of_another_recipe_are_no_zero_line(made, table1):
    ledger, merged, nulls = made
    both = pd.concat([nulls, nulls.assign(**grid.RECIPES["sound"], r2=0.99)])
    table = percentiles.factor_table(headline.predictors(ledger), merged, both, "table1", "snp")
    own = table[table["factor"] == "null_control"]["n_configurations"]
    assert own.tolist() == table1[table1["factor"] == "null_control"]["n_configurations"].tolist()


def test_a_control_that_was_not_scored_says_so_in_every_metric(made):
    ledger, merged, nulls = made
    lost = nulls.assign(r2=np.nan, mcc=np.nan, reason="no run was scored", reason_50=np.nan)
    table = percentiles.factor_table(
        headline.predictors(ledger), merged, lost, "table1", "snp", ("r2", "mcc")
    )
    control = table[table["factor"] == "null_control"]
    assert len(control) == 4 and control["ours"].isna().all()
    assert control["reason"].str.endswith("the paper has no control; no run was scored").all()


def test_every_network_has_an_interval_over_lines_or_drugs_that_holds_it(table1):
    own = table1[table1["factor"].isin(["snp", "null_control"]) & table1["ours"].notna()]
    assert own["unit_low"].notna().all() and (own["unit_reason"] == "").all()
    near = own["metric"].isin(
        ["r2", "rmse"]
    )  # a draw's percentile may lie beyond for scores that count calls
    assert (own.loc[near, "unit_low"] <= own.loc[near, "ours"] + 0.01).all()
    assert (own.loc[near, "ours"] <= own.loc[near, "unit_high"] + 0.01).all()


def test_where_few_predictions_were_kept_the_interval_says_for_how_many(made, table1):
    ledger, *_ = made
    block = next(b for b in ledger.predicted if b.split == "on_cell")
    row = table1.query("level == 'counts' and split == 'on_cell' and metric == 'r2'").iloc[0]
    lost = set(row["members"][:1])
    kept = [i for i, name in enumerate(block.configurations) if name not in lost]
    names = [block.configurations[i] for i in kept]
    facts = vars(block) | dict(p=block.p[kept], configurations=names)
    fewer = configurations.Ledger(ledger.runs, ledger.scores, [], [predictions.Block(**facts)])
    found = clusters.with_unit_intervals(table1.loc[[row.name]], fewer, n_draws=30).iloc[0]
    assert found["unit_reason"] == "the 3 of 4 configurations with predictions"


def test_a_fraction_of_a_factorial_keeps_all_its_configurations():
    held = grid.DEFAULTS | dict(hidden="64x32", snp=list("0101"))
    rows = pd.DataFrame(held | dict(scaling=list("abcd"), model=list("xyxy")))
    assert contrasts.matched(rows, "snp").all()
    crossed = pd.DataFrame(held | dict(scaling=list("aabb"), model=list("xxxy")))
    assert contrasts.matched(crossed, "snp").tolist() == [True, True, False, False]
    assert contrasts.matched(crossed.iloc[:0], "snp").empty


def test_figure_3_draws_as_many_configurations_at_every_level(made):
    ledger, merged, nulls = made
    table = percentiles.snp_by_study(merged, nulls)
    same = table[
        (table["settings"] == "as shuffled") & (table["study"] == "All") & (table["metric"] == "r2")
    ]
    assert (
        set(same["level"]) == {"none", "counts", "shuffled"}
        and (same["n_configurations"] == 2).all()
    )
    cell = same[same["split"] == "on_cell"].set_index("level")["best"]
    assert cell["counts"] > cell["none"] + 0.01 and abs(cell["shuffled"] - cell["none"]) < 0.005
    assert set(percentiles.snp_by_study(merged, nulls.iloc[:0])["settings"]) == {"all"}


def test_figure_3_leaves_out_snps_that_were_shuffled_under_another_recipe(made):
    _, merged, nulls = made
    table = percentiles.snp_by_study(merged, nulls)
    sound = nulls.assign(**grid.RECIPES["sound"], r2=0.99)
    sound["configuration"] = nulls["configuration"] + ", sound"
    mixed = percentiles.snp_by_study(merged, pd.concat([nulls, sound]))
    pd.testing.assert_frame_equal(mixed, table)
    assert set(percentiles.snp_by_study(merged, sound)["settings"]) == {"all"}


def test_random_genes_are_medians_of_matched_settings_in_each_fold(made):
    ledger, *_ = made
    sets = pd.DataFrame(
        dict(rnaseq_set=["lincs1000"] * 3 + ["random_32"] * 2, symbol=list("ABCAB"), panel="array")
    )
    table = percentiles.random_genes(ledger, sets)
    own = table[(table["split"] == "on_cell") & (table["metric"] == "gain")]
    assert own.groupby("level").size().to_dict() == {
        "lincs1000": 3, "random_32": 3, "random_128": 3, "lincs1000, shuffled": 3
    }  # fmt: skip
    assert (own["n_configurations"] == 2).all()
    means = own.groupby("level")["median"].mean()
    assert (
        means["lincs1000, shuffled"] < means["random_32"] < means["random_128"] < means["lincs1000"]
    )
    assert own.set_index("level").loc["lincs1000", "n_genes"].unique().tolist() == [3]
    one = own[(own["level"] == "random_32") & (own["fold"] == 1)].iloc[0]
    runs = ledger.runs[ledger.runs["run_id"].isin(one["members"])]
    scores = [
        configurations.pool_runs(ledger, runs.loc[[i]]).set_index("study").loc["All", "gain"]
        for i in runs.index
    ]
    assert_allclose(one["median"], np.median(scores))


def test_without_two_random_sizes_there_is_no_curve(made, tmp_path):
    ledger, *_ = made
    some = ledger.runs[~ledger.runs["rnaseq_set"].str.startswith("random_")]
    sets = pd.DataFrame(columns=["rnaseq_set", "symbol", "panel"])
    assert percentiles.random_genes(configurations.Ledger(some, ledger.scores), sets).empty
    assert percentiles.random_genes(configurations.load(tmp_path), sets).empty


def test_the_literal_tests_use_matched_settings_too(made):
    _, merged, _ = made
    row = (
        paper_tables.literal_tests(merged).query("test == 't-test' and split == 'on_cell'").iloc[0]
    )
    assert row["n"] == 8 and np.isfinite(row["ours"])


def test_a_study_of_one_or_two_drugs_is_labelled_as_a_single_mechanism(made):
    ledger, merged, nulls = made
    few = merged.assign(n_drugs=merged["n_drugs"].mask(merged["study"] == "CCLE", 2))
    baselines = headline.predictors(ledger)
    table = percentiles.factor_table(
        baselines, few, nulls, "table1", "snp", ("r2",), ["All", "CCLE", "GDSC"]
    )
    own = table[(table["factor"] == "snp") & (table["split"] == "on_cell")].set_index("study")[
        "reason"
    ]
    assert own["CCLE"].str.contains("single mechanism (2 drugs)", regex=False).all()
    assert not own[["All", "GDSC"]].str.contains("single mechanism").any()
