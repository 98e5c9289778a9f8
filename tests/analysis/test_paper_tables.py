"""Every cell of a table is a number or a reason, the baselines are always there, and the headline
shares its rows.
"""

import made_ledger
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib.analysis import clusters, configurations, headline, paper_tables, percentiles

SMALL = dict(
    split=["on_cell", "on_drug"],
    snp=["none", "counts"],
    scaling=["none", "source"],
    optimizer=["adam", "sgd"],
)
ITEMS = {"table1": "snp", "table2": "scaling", "table3": "rnaseq_set", "table4": "drug_block"}


@pytest.fixture(scope="module")
def ledger():
    runs, scores = made_ledger.ledger(SMALL, n_cells=260)
    return configurations.from_frames(
        runs.assign(rnaseq_set="lincs1000", drug_block="rdkit_ecfp"), scores
    )


@pytest.fixture(scope="module")
def merged(ledger):
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    return paper_tables.with_removal(merged)


@pytest.fixture(scope="module")
def baselines(ledger):
    return headline.predictors(ledger)


@pytest.fixture(scope="module")
def best(ledger):
    return headline.headline(headline.predictors(ledger))


@pytest.fixture(scope="module")
def tables(ledger, baselines, merged):
    nulls = merged.iloc[:0]
    made = {
        item: percentiles.factor_table(baselines, merged, nulls, item, f)
        for item, f in ITEMS.items()
    }
    studies = ["All", "CCLE", "CTRP", "GDSC", "NCI-60", "gCSI"]
    made["table5"] = percentiles.factor_table(
        baselines, merged, nulls, "table5", "scaling", ("balanced_accuracy", "r2"), studies
    )
    inner = configurations.merge_folds(ledger, "inner", configurations.networks(ledger.runs))
    made["table6"] = paper_tables.best_models(baselines, merged, inner)[0]
    return made


def test_every_entry_is_finite_or_has_its_reason(tables):
    for name, table in tables.items():
        empty = table["published"].isna() | table["ours"].isna() | table["difference"].isna()
        assert (table.loc[empty, "reason"] != "").all(), name
        assert np.isfinite(
            table.loc[~empty, ["published", "ours", "difference"]].to_numpy(float)
        ).all()


def test_every_number_the_paper_prints_is_in_our_tables(tables):
    from lib import paper

    for name, table in tables.items():
        ours = table[table["published"].notna()]
        assert len(ours) == len(paper.values(name)), name
        assert_allclose(sorted(ours["published"]), sorted(paper.values(name)["value"]))


def test_every_table_carries_the_baselines(tables):
    for name, table in tables.items():
        baselines = table[table["factor"] == "baseline"]
        for _, rows in baselines.groupby("split"):
            assert {"global_mean", "drug_mean", "cell_mean", "mean_effects", "ridge"} <= set(
                rows["level"]
            ), name


def test_a_percentile_is_that_of_the_kept_configurations(tables, merged):
    row = (
        tables["table1"]
        .query("split == 'on_cell' and level == 'counts' and metric == 'r2'")
        .iloc[0]
    )
    own = merged.query("split == 'on_cell' and snp == 'counts' and study == 'All'")
    kept = own[own["removed"] == ""]
    assert_allclose(row["ours"], np.quantile(kept["r2"], 0.99))
    assert_allclose(row["ours_unfiltered"], np.quantile(own["r2"], 0.99))
    assert (row["n_configurations"], row["n_removed"]) == (len(kept), len(own) - len(kept))
    assert row["published"] == 0.712
    assert_allclose(row["difference"], row["ours"] - 0.712)


def test_rmse_takes_the_low_percentile(tables, merged):
    row = (
        tables["table1"]
        .query("split == 'on_drug' and level == 'none' and metric == 'rmse'")
        .iloc[0]
    )
    own = merged.query("split == 'on_drug' and snp == 'none' and study == 'All'")
    assert_allclose(row["ours"], np.quantile(own.loc[own["removed"] == "", "rmse"], 0.01))


def test_a_level_without_a_run_says_so(tables):
    row = (
        tables["table2"]
        .query("level == 'combat' and metric == 'r2' and split == 'on_cell'")
        .iloc[0]
    )
    assert np.isnan(row["ours"]) and row["reason"] == "no run with scaling = combat in this sweep"


def test_a_stand_in_is_compared_with_dragon7_and_named(tables):
    row = (
        tables["table4"]
        .query("level == 'rdkit_ecfp' and metric == 'r2' and split == 'on_cell'")
        .iloc[0]
    )
    assert row["published"] == 0.706 and "rdkit_ecfp stands in for dragon7" in row["reason"]


def test_a_study_of_few_drugs_has_its_n_instead_of_a_score(tables):
    rows = tables["table5"].query(
        "study == 'CTRP' and split == 'on_drug' and level == 'none' and metric == 'r2'"
    )
    assert np.isnan(rows["ours"].iloc[0]) and "n too small (n_drugs = 3)" in rows["reason"].iloc[0]


def test_a_study_without_test_rows_says_so(tables):
    rows = tables["table5"].query("study == 'gCSI' and level == 'none'")
    assert rows["reason"].str.contains("no test row of gCSI").all()


def test_a_study_without_responders_has_no_classification_score(merged, baselines):
    none = merged.copy()
    gone = none["study"] == "GDSC"
    none.loc[gone, ["balanced_accuracy", "mcc"]] = np.nan
    none.loc[gone, "reason_50"] = "n too small (0 responders, 900 non-responders)"
    table = percentiles.factor_table(
        baselines, none, none.iloc[:0], "table5", "scaling", ("balanced_accuracy",), ["GDSC"]
    )
    rows = table[table["factor"] == "scaling"].query("level == 'none'")
    assert rows["ours"].isna().all() and rows["reason"].str.contains("0 responders").all()


def test_an_empty_ledger_fills_the_tables_with_reasons(tmp_path):
    ledger = configurations.load(tmp_path)
    merged = paper_tables.with_removal(configurations.merge_folds(ledger))
    baselines = headline.predictors(ledger)
    table = percentiles.factor_table(baselines, merged, merged, "table1", "snp")
    assert len(table) == 16 and table["ours"].isna().all() and (table["reason"] != "").all()
    assert headline.headline(headline.predictors(ledger)).empty
    literal = paper_tables.literal_tests(merged)
    assert literal["reason"].str.contains("no kept configuration").all()


def test_networks_and_baselines_of_the_headline_share_their_rows(best):
    for key, rows in best.groupby(["split", "study"]):
        assert rows["n"].nunique() == 1 and rows["n_responders"].nunique() == 1, key
    assert best["n_networks"].min() == 24


def test_the_gain_of_the_mean_effects_is_zero_and_the_headline_says_how_runs_stopped(best):
    own = best.query("predictor == 'mean_effects'").dropna(subset="gain")
    assert_allclose(own["gain"], 0, atol=1e-12)
    assert (best["n_early_stop"] == 24).all() and (best["n_epoch_cap"] == 0).all()


def test_the_distance_to_the_replicate_ceiling_is_the_third_layer(ledger):
    ceiling = pd.DataFrame(
        dict(
            study=["CCLE", "GDSC"],
            r2=[0.95, np.nan],
            balanced_accuracy=np.nan,
            mcc=np.nan,
            basis=["same assay", ""],
        )
    )
    rows = headline.headline(headline.predictors(ledger), ceiling).query("study == 'CCLE'")
    assert_allclose(rows["below_ceiling_r2"], 0.95 - rows["r2"])


def test_the_winners_curse_is_never_negative(baselines):
    found = headline.selection_price(baselines)
    assert len(found) == 2 and (found["winners_curse"] >= -1e-12).all()


def test_a_table_for_reading_has_dashes_where_there_is_no_number():
    frame = pd.DataFrame(dict(a=[0.12345, np.nan, 1e-9], b=["x", None, "y"]))
    shown = paper_tables.show(frame).data
    assert shown["a"].tolist() == ["0.123", "–", "1e-09"] and shown["b"].tolist() == ["x", "–", "y"]


def test_counts_are_shown_without_decimals():
    shown = paper_tables.show(pd.DataFrame(dict(n=[11670.0, np.nan], r2=[0.5, 1.0]))).data
    assert shown["n"].tolist() == ["11,670", "–"] and shown["R²"].tolist() == ["0.500", "1.000"]


def test_a_table_for_reading_has_words_no_index_and_no_empty_column():
    frame = pd.DataFrame(dict(split=["on_cell"], n_cells=[3], reason=[""], address=["t-000"]))
    styler = paper_tables.show(frame)
    assert styler.data.to_dict("list") == {"split": ["unseen cell lines"], "n cell lines": [3]}
    assert styler.hide_index_ == [True]
    assert list(paper_tables.show(frame.iloc[:0]).data) == ["split", "n cell lines", "reason"]


def test_cells_are_counted_once_per_study_and_only_types_count():
    pairs = pd.DataFrame(dict(study=["CCLE", "CCLE", "GDSC", "GDSC"], cell_id=["a", "a", "a", "b"]))
    types = pd.DataFrame(dict(cell_id=["a", "b"], cancer_type=["Sarcoma", "Ovary_NOS"]))
    counts = paper_tables.cells_by_type(pairs, types)
    assert counts.to_dict() == {"CCLE": {"Sarcoma": 1}, "GDSC": {"Sarcoma": 1}}


def test_intervals_over_cells_need_scores_by_cell_and_say_so(tables, ledger):
    found = clusters.with_unit_intervals(tables["table1"], ledger, 200)
    levels = found[found["factor"] == "snp"]
    assert levels["unit_low"].isna().all()
    assert levels["unit_reason"].str.contains("kept no scores by").all()


def test_intervals_over_cells_hold_the_percentile():
    made = made_ledger.ledger(
        dict(SMALL, split=["on_cell"]), n_cells=260, by=("study", "cell", "drug")
    )
    ledger = configurations.from_frames(*made)
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    merged = paper_tables.with_removal(merged)
    every = headline.predictors(ledger)
    table = percentiles.factor_table(every, merged, merged.iloc[:0], "table1", "snp")
    found = clusters.with_unit_intervals(table, ledger, 200)
    found = found.query("split == 'on_cell' and factor == 'snp'")
    assert (found["unit_low"] <= found["ours"]).all()
    assert (found["ours"] <= found["unit_high"]).all()
