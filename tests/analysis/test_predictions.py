"""Predictions give the ledger's scores again, line by line and drug by drug, or they are refused."""

import made_sweep
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib.analysis import clusters, configurations, predictions


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    cells, pairs = made_sweep.write(root / "work")
    return root / "work", made_sweep.pack(root / "work", root / "packed"), cells, pairs


@pytest.fixture(scope="module", params=["shards", "packed"])
def ledger(request, folders):
    work, packed, cells, pairs = folders
    sweep = packed if request.param == "packed" else None
    ledger = configurations.load(work, sweep)
    ledger.predicted = predictions.load(ledger, work, pairs, cells, sweep)
    return ledger


def test_each_split_is_one_block_of_all_rows(ledger, folders):
    assert ledger.notes == []
    assert sorted(block.split for block in ledger.predicted) == ["on_cell", "on_drug"]
    assert all(
        len(block.table) == len(folders[3]) and not np.isnan(block.p).any()
        for block in ledger.predicted
    )


def test_sums_over_lines_and_over_drugs_are_those_of_the_ledger(ledger):
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    for block in ledger.predicted:
        own = merged[(merged["split"] == block.split) & (merged["study"] == "All")].set_index(
            "configuration"
        )
        for unit in ("cell_id", "drug_id"):
            by = unit.removesuffix("_id")
            found = predictions.scored(block.table, block.p, block.configurations, by)
            names, sums = clusters.stacked(found, "run_id", unit)
            at = names.isin(own.index)
            gain = clusters.metric_of("gain")(sums.sum(1))[at]
            assert_allclose(gain, own.loc[names[at], "gain"], atol=2e-3)  # float16
            assert sums.shape[1] == block.table[unit].nunique()


def test_lines_and_drugs_over_all_studies_are_counted_once(ledger):
    merged = configurations.merge_folds(ledger)
    whole = merged[(merged["study"] == "All") & (merged["split"] == "on_cell")]
    assert (whole["n_cells"] == 90).all() and (whole["n_drugs"] == 20).all()


def test_one_run_per_fold_is_one_predictor_and_the_mean_effects_are_kept(ledger):
    runs = ledger.runs[
        (ledger.runs["model"] == "mean_effects") & (ledger.runs["split"] == "on_drug")
    ]
    rows = predictions.of_runs(ledger, runs.drop_duplicates("fold"))
    assert len(rows) == len(ledger.predicted[0].table)
    assert_allclose(rows["p"], rows["mean_effects"], atol=1e-3)
    network = configurations.networks(
        ledger.runs[ledger.runs["split"] == "on_cell"]
    ).drop_duplicates("fold")
    table = configurations.pool_runs(ledger, network)
    rows = predictions.of_runs(ledger, network)
    r2 = 1 - ((rows["y"] - rows["p"]) ** 2).sum() / ((rows["y"] - rows["y"].mean()) ** 2).sum()
    assert_allclose(r2, table.loc[table["study"] == "All", "r2"].iloc[0], atol=1e-3)


def test_predictions_of_other_tables_are_refused_in_words(folders):
    work, packed, cells, pairs = folders
    ledger = configurations.load(work, packed)
    other = pairs.assign(auc=pairs["auc"].sample(frac=1, random_state=0).to_numpy())
    assert predictions.load(ledger, work, other, cells, packed) == []
    assert "are left out: their rows are not those of this folder's tables" in ledger.notes[-1]
    assert predictions.load(configurations.load(work), work, pairs.iloc[:100], cells, packed) == []


def test_a_sweep_without_predictions_says_what_it_cannot_answer(folders, tmp_path):
    work, packed, cells, pairs = folders
    for name in ("runs", "scores"):
        pd.read_parquet(packed / f"{name}.parquet").to_parquet(tmp_path / f"{name}.parquet")
    ledger = configurations.load(work, tmp_path)
    assert predictions.load(ledger, work, pairs, cells, tmp_path) == []
    assert "kept no predictions" in ledger.notes[0]


def test_a_configuration_without_all_of_its_folds_has_no_column(folders, tmp_path):
    import shutil

    work, _, cells, pairs = folders
    copy = shutil.copytree(work, tmp_path / "work")
    path = next(copy.glob("sweep/*on_cell*/predictions.parquet"))
    kept = pd.read_parquet(path)
    lost = kept["run_id"].iloc[-1]
    kept[kept["run_id"] != lost].to_parquet(path)
    ledger = configurations.load(copy)
    blocks = predictions.load(ledger, copy, pairs, cells)
    name = ledger.runs.set_index("run_id").loc[lost, "configuration"]
    assert not any(name in block.configurations for block in blocks) and len(blocks) == 2


def test_predictions_belong_to_the_rows_that_their_own_filter_leaves(tmp_path):
    _, pairs = made_sweep.screen()
    kept = np.arange(len(pairs)) % 5 > 0
    fits = pairs.assign(r2fit=np.where(kept, 0.9, 0.1), ec50se=1.0)
    specs = made_sweep.SWEEP | dict(fit_filter="uno", split="on_cell")
    cells, left = made_sweep.write(tmp_path, specs, pairs=pairs[kept].reset_index(drop=True))
    ledger = configurations.load(tmp_path)
    (block,) = predictions.load(ledger, tmp_path, fits, cells)
    assert len(block.table) == kept.sum() == len(left)
    assert block.table["drug_id"].tolist() == left.drug_id.tolist() and ledger.notes == []
