"""From any number of any table back to its runs, and to the same number again."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lib import configurations, factor_tables, headline, paper_tables, provenance, simulate

SMALL = dict(split=["on_cell", "on_drug"], snp=["none", "counts"], optimizer=["adam", "sgd"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    shard = work / "sweep" / "simulated"
    shard.mkdir(parents=True)
    runs, scores = simulate.ledger(design=SMALL, n_cells=260)
    runs = runs.assign(rnaseq_set="lincs1000", drug_block="mordred", scaling="none")
    runs.to_parquet(shard / "runs.parquet")
    scores.to_parquet(shard / "scores.parquet")
    rng = np.random.default_rng(0)
    fits = pd.DataFrame(dict(study="CCLE", r2fit=rng.normal(0.8, 0.1, 50), einf=rng.uniform(size=50), hs=1.0, auc=0.5))
    fits.to_parquet(work / "fits.parquet")
    return work, out


@pytest.fixture(scope="module")
def tables(folders):
    work, out = folders
    ledger = configurations.load(work)
    networks = configurations.networks(ledger.runs)
    merged = configurations.merge_folds(ledger, runs=networks)
    removed = paper_tables.removed_by_configuration(merged)
    book, naive = provenance.Book(out, work), factor_tables.naive_scores(ledger)
    made = {
        "table1_snp": (
            book.save(factor_tables.factor_table(naive, merged, removed, "table1", "snp"), "table1_snp"),
            "ours",
        ),
        "table7_fits": (
            book.save(paper_tables.fit_table(pd.read_parquet(work / "fits.parquet")), "table7_fits"),
            "ours",
        ),
        "headline": (book.save(headline.headline(ledger), "headline"), "r2"),
        "fig3": (book.save(factor_tables.snp_by_study(merged, removed), "fig3"), "p98"),
    }
    book.close()
    return made


def test_ten_numbers_taken_at_random_are_made_again_from_scores(tables, folders):
    work, out = folders
    rng = np.random.default_rng(1)
    numbers = pd.concat([t[t[value].notna()].assign(value=t[value]) for t, value in tables.values()])
    for row in numbers.iloc[rng.choice(len(numbers), 10, replace=False)].itertuples():
        assert_allclose(provenance.recompute(row.address, out, work), row.value, rtol=1e-9, err_msg=row.address)


def test_an_address_leads_to_runs_specs_hashes_and_versions(tables, folders):
    work, out = folders
    table = tables["table1_snp"][0]
    row = table.query("level == 'counts' and split == 'on_cell' and metric == 'r2'").iloc[0]
    found = provenance.lookup(row["address"], out, work)
    assert set(found["runs"]["snp"]) == {"counts"} and set(found["runs"]["split"]) == {"on_cell"}
    assert len(found["runs"]) == 3 * row["n_configurations"]
    assert set(found["inputs"]) == {"sweep/simulated/runs.parquet", "sweep/simulated/scores.parquet"}
    assert found["inputs"]["sweep/simulated/runs.parquet"] == provenance.file_hash(
        work / "sweep/simulated/runs.parquet"
    )
    assert found["stale"] == [] and found["stamp"] == dict(row[["data_hash", "lib_hash"]])
    assert "simulated" in provenance.describe(row["address"], out, work)


def test_every_table_carries_the_hashes_of_data_and_library(tables, folders):
    for name in tables:
        written = pd.read_csv(folders[1] / "tables" / f"{name}.csv")
        assert written["data_hash"].nunique() == written["lib_hash"].nunique() == 1


def test_no_table_prints_a_nan(tables, folders):
    for name in tables:
        assert "nan" not in (folders[1] / "tables" / f"{name}.csv").read_text().lower().split(",")


def test_the_files_written_match_their_recorded_hashes(tables, folders):
    recorded = json.loads((folders[1] / "tables" / "sources.json").read_text())["tables"]
    for entry in recorded.values():
        assert provenance.file_hash(folders[1] / "tables" / entry["file"]) == entry["sha256"]


def test_a_changed_input_is_called_stale(tables, folders, tmp_path):
    import shutil

    work, out = folders
    copy = shutil.copytree(work, tmp_path / "work")
    path = copy / "sweep" / "simulated" / "scores.parquet"
    pd.read_parquet(path).iloc[:-1].to_parquet(path)
    address = tables["headline"][0]["address"].iloc[0]
    assert provenance.lookup(address, out, copy)["stale"] == ["sweep/simulated/scores.parquet has changed since"]


def test_an_unknown_address_is_refused_with_examples(tables, folders):
    with pytest.raises(KeyError, match="no number has the address 'table9-001'.*table1_snp-000"):
        provenance.lookup("table9-001", folders[1], folders[0])
