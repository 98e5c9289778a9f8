"""Folds are merged exactly, failures keep their rows, and nothing is chosen by test rows."""

import made_ledger
import numpy as np
import pandas as pd
import pytest
from made_sweep import configured
from numpy.testing import assert_allclose

from lib.analysis import configurations, paper_tables
from lib.paths import RESULTS
from lib.sweep import metrics
from lib.sweep.ledger import declare
from lib.tables import TableError

SMALL = dict(
    split=["on_cell", "on_drug"],
    snp=["none", "counts"],
    scaling=["none", "source"],
    optimizer=["adam", "sgd"],
)


@pytest.fixture(scope="module")
def tables():
    return made_ledger.ledger(SMALL, n_cells=260)


@pytest.fixture(scope="module")
def ledger(tables):
    return configurations.from_frames(*tables)


def test_merged_folds_score_as_concatenated_predictions():
    """Three folds of one configuration, scored from their sums, equal the scores of all predictions
    together.
    """
    rng = np.random.default_rng(0)
    y, fold = rng.uniform(0.2, 1, 300), np.arange(300) % 3
    p, base = np.clip(y + rng.normal(0, 0.1, 300), 0, 1), np.full(300, 0.6)
    cell, drug = (
        np.char.add("c", (np.arange(300) % 90).astype(str)),
        np.char.add("d", (np.arange(300) % 7).astype(str)),
    )
    runs = pd.DataFrame(
        dict(
            run_id=list("abc"),
            fold=[0, 1, 2],
            repeat=0,
            n_folds=3,
            split="on_cell",
            model="mlp",
            status="early_stop",
            n_test_drugs=7,
            n_test_cells=30,
        )
    )
    scores = pd.concat(
        metrics.score_rows(
            [run],
            "test",
            y[fold == k],
            p[None, fold == k],
            base[fold == k],
            np.full(100, "GDSC"),
            drug[:100],
            cell[fold == k],
        )
        for k, run in enumerate("abc")
    )
    merged = configurations.merge_folds(configurations.from_frames(configured(runs), scores))
    whole = merged[merged["study"] == "All"].iloc[0]
    assert_allclose(whole["r2"], 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    assert_allclose(whole["loss"], ((y - p) ** 2).mean() / 2)
    assert_allclose(
        whole["balanced_accuracy"], ((p[y <= 0.5] <= 0.5).mean() + (p[y > 0.5] > 0.5).mean()) / 2
    )
    assert len(merged) == 2  # GDSC and All


def test_a_clean_ledger_has_no_notes(ledger):
    assert ledger.notes == []


def test_a_missing_fold_withholds_the_merged_score_and_says_so(tables):
    runs, scores = tables
    lost = runs.loc[runs["model"] == "mlp", "run_id"].iloc[0]
    holed = configurations.from_frames(
        runs[runs["run_id"] != lost], scores[scores["run_id"] != lost]
    )
    assert any("lack a fold" in note for note in holed.notes)
    merged = configurations.merge_folds(holed)
    short = merged[merged["n_folds_scored"] == 2]
    assert short["r2"].isna().all() and (short["reason"] == "only 2 fold(s) scored").all()


def test_a_failed_configuration_keeps_a_row_and_is_removed_for_having_no_score(tables):
    runs, scores = tables
    bad = (
        runs[(runs["model"] == "mlp") & (runs["snp"] == "counts")]
        .groupby("split")
        .head(1)["run_id"]
    )
    key = runs.set_index("run_id").loc[bad, ["split", "scaling", "optimizer"]].iloc[0]
    same = (
        (runs["model"] == "mlp")
        & (runs["snp"] == "counts")
        & (runs[list(key.index)] == key).all(axis=1)
    )
    failed = runs.assign(status=runs["status"].where(~same, "diverged"))
    broken = configurations.from_frames(
        failed, scores[~scores["run_id"].isin(runs.loc[same, "run_id"])]
    )
    assert any("3 of" in note and "diverged" in note for note in broken.notes)
    whole = configurations.merge_folds(broken, runs=configurations.networks(broken.runs))
    whole = whole[whole["study"] == "All"]
    assert len(whole) == 16
    assert (paper_tables.with_removal(whole)["removed"] == "no score").sum() == 1


def test_mixed_versions_are_named(tables):
    runs, scores = tables
    mixed = configurations.from_frames(
        runs.assign(commit=["aaa"] * 10 + ["bbb"] * (len(runs) - 10)), scores
    )
    assert any("commit is aaa, bbb" in note for note in mixed.notes)


def test_an_empty_ledger_is_a_sentence_not_an_exception(tmp_path):
    ledger = configurations.load(tmp_path)
    assert "the ledger is empty" in ledger.notes[0]
    assert configurations.merge_folds(ledger).empty
    assert configurations.networks(ledger.runs).empty


def test_an_unreadable_shard_is_left_out_by_name(tmp_path, tables):
    runs, scores = tables
    for name in ("good", "torn"):
        (tmp_path / "sweep" / name).mkdir(parents=True)
    runs.to_parquet(tmp_path / "sweep" / "good" / "runs.parquet")
    scores.to_parquet(tmp_path / "sweep" / "good" / "scores.parquet")
    (tmp_path / "sweep" / "torn" / "runs.parquet").write_bytes(b"PAR1 not a table")
    ledger = configurations.load(tmp_path)
    assert len(ledger.runs) == len(runs)
    assert any("shard torn cannot be read" in note for note in ledger.notes)


def test_shards_of_an_earlier_grid_are_left_out_and_said(tmp_path, tables):
    runs, scores = tables
    for name in ("now", "before"):
        (tmp_path / "sweep" / name).mkdir(parents=True)
        runs.to_parquet(tmp_path / "sweep" / name / "runs.parquet")
        scores.to_parquet(tmp_path / "sweep" / name / "scores.parquet")
    declare(tmp_path, ["now"])
    ledger = configurations.load(tmp_path)
    assert len(ledger.runs) == len(runs)
    assert any("1 shard(s) of an earlier grid are left out" in note for note in ledger.notes)


def test_the_removal_rule_names_the_first_reason_that_holds():
    base = dict(split="on_cell", tp_50=5, fn_50=5, fp_50=5, tn_50=85, r2=0.5)
    rows = [base | dict(loss=0.01 + i / 1000) for i in range(17)]
    rows += [
        base | dict(loss=0.01, r2=-0.1),
        base | dict(loss=0.01, fn_50=0),
        base | dict(loss=np.nan, r2=np.nan),
    ]
    merged = pd.DataFrame(rows).assign(study="All", configuration=range(len(rows)))
    found = paper_tables.with_removal(merged, quantile=0.85)["removed"]
    assert found.iloc[-3:].tolist() == ["r2 is not above 0", "TPR or FPR is 1", "no score"]
    assert (found.iloc[:17] == "loss beyond quantile 0.85").sum() == 3
    assert (found == "").sum() == 14


def test_the_choice_of_a_network_does_not_change_with_test_scores(ledger):
    networks = configurations.networks(ledger.runs)
    chosen = configurations.choose(ledger, networks)
    rng, spoiled = np.random.default_rng(0), ledger.scores.copy()
    test = spoiled["part"] == "test"
    spoiled.loc[test, "sum_se"] = rng.uniform(0, 1, test.sum())
    again = configurations.choose(configurations.Ledger(ledger.runs, spoiled), networks)
    assert chosen["run_id"].tolist() == again["run_id"].tolist()
    assert chosen.groupby("split")["fold"].nunique().tolist() == [3, 3]


def test_choosing_on_test_rows_is_never_worse_on_them(ledger):
    networks = configurations.networks(ledger.runs)
    scores = []
    for part in ("inner", "test"):
        pooled = configurations.pool_runs(
            ledger, configurations.choose(ledger, networks, part=part)
        )
        scores.append(pooled.loc[pooled["study"] == "All"].set_index("split")["rmse"])
    assert (scores[1] <= scores[0] + 1e-12).all()


def test_few_drugs_give_no_score_on_unseen_drugs(ledger):
    merged = configurations.merge_folds(ledger)
    few = merged[(merged["study"] == "CTRP") & (merged["split"] == "on_drug")]
    assert few["r2"].isna().all() and few["reason"].str.startswith("n too small").all()


def test_null_controls_and_leaky_runs_are_no_main_networks(ledger):
    runs = ledger.runs.copy()
    runs.loc[runs.index[0], "null_control"], runs.loc[runs.index[1], "selection"] = (
        "permuted",
        "paper",
    )
    main = configurations.networks(runs)
    assert len(main) == len(configurations.networks(ledger.runs)) - 2
    assert len(configurations.networks(runs, vary=("null_control",))) == len(main) + 1


def test_lines_of_several_studies_count_once_as_the_runs_counted_them(tables):
    runs, scores = tables
    plain = configurations.merge_folds(configurations.from_frames(runs, scores))
    told = configurations.merge_folds(
        configurations.from_frames(runs.assign(n_test_cells=77), scores)
    )
    at = (plain["study"] == "All") & (plain["split"] == "on_cell")
    assert (told.loc[at, "n_cells"] == 3 * 77).all() and (plain.loc[at, "n_cells"] == 260).all()
    single = told["study"] != "All"
    assert (told.loc[single, "n_cells"] == plain.loc[single, "n_cells"]).all()


def test_data_keys_may_differ_between_drug_blocks_but_not_within_one(tables):
    runs, scores = tables
    runs = runs.assign(drug_block=["mordred", "ecfp"] * (len(runs) // 2))
    own = runs["drug_block"].map(dict(mordred="aa", ecfp="bb"))
    clean = configurations.from_frames(runs.assign(data_key=own), scores).notes
    assert not [note for note in clean if "data_key" in note]
    mixed = own.mask(runs.index == 0, "cc")
    assert (
        "data_key is aa, cc"
        in configurations.from_frames(runs.assign(data_key=mixed), scores).notes[0]
    )


def test_a_sweep_in_which_every_network_failed_stops_the_analysis_with_the_reason(tables):
    runs, scores = tables
    failed = runs.assign(status="failed", reason="3 distinct key(s) cannot fill 5 folds")
    ledger = configurations.from_frames(failed, scores.iloc[:0])
    with pytest.raises(ValueError, match="every one of the .* networks failed.*cannot fill 5"):
        configurations.require_networks(ledger)
    configurations.require_networks(configurations.from_frames(runs, scores))


def test_an_empty_ledger_stops_the_analysis(tmp_path):
    with pytest.raises(ValueError, match="the ledger is empty.*run notebook 05 first"):
        configurations.require_networks(configurations.load(tmp_path))


@pytest.mark.parametrize("column", ["study", "lr", "repeat", "commit", "n_test_drugs"])
def test_a_packed_sweep_without_a_column_is_refused_with_file_and_column(tmp_path, column):
    for name in ("runs", "scores"):
        frame = pd.read_parquet(RESULTS / "gdsc" / "sweep" / f"{name}.parquet")
        frame.drop(columns=column, errors="ignore").to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(TableError, match=rf"(runs|scores).parquet\b.*{column}"):
        configurations.load(None, tmp_path)
