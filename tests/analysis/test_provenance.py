"""From any number of any table back to its runs, and to the same number again."""

import json

import made_ledger
import made_sweep
import numpy as np
import pandas as pd
import pytest
import recompute
from numpy.testing import assert_allclose

from lib import addresses, files
from lib.analysis import (
    claims,
    configurations,
    contrasts,
    costs,
    ensembles,
    headline,
    importances,
    paper_tables,
    percentiles,
    predictions,
    provenance,
)
from lib.hill import quality

CONTRASTED = ("snp", "drug_block", "rnaseq_set", "null_control")
BLOCKS = ["mordred", "rdkit_ecfp", "mordred+rdkit_ecfp"]
SMALL = dict(split=["on_cell", "on_drug"], snp=["none", "counts"], optimizer=["adam", "sgd"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    shard = work / "sweep" / "simulated"
    shard.mkdir(parents=True)
    runs, scores = made_ledger.ledger(SMALL, n_cells=260)
    runs = runs.assign(rnaseq_set="lincs1000", drug_block="mordred", scaling="none")
    runs.to_parquet(shard / "runs.parquet")
    scores.to_parquet(shard / "scores.parquet")
    rng = np.random.default_rng(0)
    fits = pd.DataFrame(
        dict(
            study="CCLE", r2fit=rng.normal(0.8, 0.1, 50), einf=rng.uniform(size=50), hs=1.0, auc=0.5
        )
    )
    fits.assign(r2fit_raw=fits["r2fit"] - 0.1).to_parquet(work / "fits.parquet")
    return work, out


@pytest.fixture(scope="module")
def tables(folders):
    work, out = folders
    ledger = configurations.load(work)
    networks = configurations.networks(ledger.runs)
    merged = paper_tables.with_removal(configurations.merge_folds(ledger, runs=networks))
    nulls = merged.iloc[:0]
    book = addresses.Book(out, provenance.input_hashes(work))
    baselines = headline.predictors(ledger)
    made = {
        "table1_snp": (
            book.save(
                percentiles.factor_table(baselines, merged, nulls, "table1", "snp"), "table1_snp"
            ),
            "ours",
        ),
        "table7_fits": (
            book.save(quality.table7(pd.read_parquet(work / "fits.parquet")), "table7_fits"),
            "ours",
        ),
        "headline": (book.save(headline.headline(headline.predictors(ledger)), "headline"), "r2"),
        "fig3": (book.save(percentiles.snp_by_study(merged, nulls), "fig3"), "p98"),
    }
    book.close()
    return made


def test_ten_numbers_taken_at_random_are_made_again_from_scores(tables, folders):
    work, out = folders
    rng = np.random.default_rng(1)
    numbers = pd.concat(
        [t[t[value].notna()].assign(value=t[value]) for t, value in tables.values()]
    )
    for row in numbers.iloc[rng.choice(len(numbers), 10, replace=False)].itertuples():
        assert_allclose(
            recompute.recompute(row.address, out, work), row.value, rtol=1e-9, err_msg=row.address
        )


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A made-up sweep with predictions and null controls."""
    work, both = (
        tmp_path_factory.mktemp("swept") / "work",
        dict(split=["on_cell", "on_drug"], cohort="all"),
    )
    sweep = [
        dict(
            both,
            hidden=[[8], [16]],
            snp=["none", "counts"],
            drug_block=BLOCKS,
            model=["mlp", "gated"],
        ),
        dict(both, hidden=[[8]], rnaseq_set=["random_32", "random_64"]),
        dict(both, hidden=[[8]], null_control=["permuted_genes", "permuted_drugs"]),
    ]
    sweep = [own | dict(baselines=["mean_effects"]) for own in sweep]
    return work, *made_sweep.write(
        work, sweep, skill=lambda spec: 0.3 + 0.2 * (spec.snp == "counts")
    )


@pytest.fixture(scope="module", params=["shards", "packed"])
def larger(request, swept, tmp_path_factory):
    """Every other kind of number, from shards and from a packed sweep."""
    (work, cells, pairs), root = swept, tmp_path_factory.mktemp("larger")
    packed = made_sweep.pack(work, root / "packed") if request.param == "packed" else None
    ledger = configurations.load(work, packed)
    ledger.predicted = predictions.load(ledger, work, pairs, cells, packed)
    book = addresses.Book(root / "out", provenance.input_hashes(work, packed))
    made = {
        name: (book.save(frame, name), value)
        for name, (frame, value) in every_table(ledger, pairs).items()
    }
    book.close()
    return made, (root / "out", work, packed)


def every_table(ledger, pairs):
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    noise = pd.DataFrame(
        dict(
            study=made_sweep.STUDIES,
            r2=0.9,
            noise_sd=0.02,
            basis="same assay",
            n_drugs=9,
            reason="",
        )
    )
    best = headline.headline(headline.predictors(ledger))
    whole, factors = merged[merged["study"] == "All"], ["snp", "drug_block", "rnaseq_set", "model"]
    sets = pd.DataFrame(dict(rnaseq_set="lincs1000", symbol=["A", "B"], panel="array"))
    unit = headline.by_unit(ledger, best, headline.ceiling(noise, pairs))
    return dict(
        contrasts=(
            contrasts.contrast_table(ledger, CONTRASTED, ("gain", "npearson", "mcc")),
            "effect",
        ),
        quoted=(
            contrasts.contrast_table(
                ledger, CONTRASTED, studies=("GDSC",), n_draws=20, wider=lambda *_: 1.2
            ),
            "effect",
        ),
        importances=(importances.by_split(whole, factors, "r2", n_draws=4), "importance"),
        sides=(importances.jointly(whole, factors, n_draws=4), "importance"),
        tests=(paper_tables.literal_tests(merged.assign(removed="")), "ours"),
        fig2_points=(paper_tables.points(merged), "r2"),
        random_genes=(percentiles.random_genes(ledger, sets), "median"),
        quality=(ensembles.table(ledger, best, k=3, n_draws=20), "r2"),
        cost=(costs.curves(ledger, best), "precision medicine"),
        scores_by_drug=(unit, "gain"),
        claims=(claims.paper_claims(best), "ours"),
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_numbers_of_every_other_kind_are_made_again(larger, seed):
    made, (out, work, packed) = larger
    rng = np.random.default_rng(seed)
    tables = {
        name: t[t[value].notna() & (t["address"] != "")].assign(value=t[value])
        for name, (t, value) in made.items()
    }
    assert all(len(table) for table in tables.values()), {
        name: len(table) for name, table in tables.items()
    }
    one_each = [table.iloc[rng.integers(len(table))] for table in tables.values()]
    numbers = pd.concat(tables.values())
    for row in [*one_each, *(numbers.iloc[i] for i in rng.choice(len(numbers), 10, replace=False))]:
        again = recompute.recompute(row["address"], out, work, packed)
        assert_allclose(again, row["value"], rtol=1e-6, atol=1e-9, err_msg=row["address"])


def test_every_printed_number_of_these_tables_has_an_address(larger):
    for name, (table, value) in larger[0].items():
        bare = table[table[value].notna() & (table["address"] == "")]
        assert bare.empty, name


def test_a_cell_of_the_matrix_of_studies_is_made_again_by_fitting_it_again(folders, monkeypatch):
    work, out = folders[0], folders[1] / "transfer"
    matrix = pd.DataFrame([dict(trained_on="CCLE", tested_on="GDSC", model="ridge", pearson=0.31)])
    monkeypatch.setattr(recompute, "_transfer_table", lambda _: matrix)
    book = addresses.Book(out, provenance.input_hashes(work))
    place = ["model", "trained_on", "tested_on"]
    table = provenance.addressed(matrix, "pearson", [], place, kind="transfer", metric="pearson")
    saved = book.save(table, "cross_study")
    book.close()
    assert recompute.recompute(saved["address"].iloc[0], out, work) == 0.31


def test_an_address_leads_to_runs_specs_hashes_and_versions(tables, folders):
    work, out = folders
    table = tables["table1_snp"][0]
    row = table.query("level == 'counts' and split == 'on_cell' and metric == 'r2'").iloc[0]
    found = provenance.lookup(row["address"], out, work)
    assert set(found["runs"]["snp"]) == {"counts"} and set(found["runs"]["split"]) == {"on_cell"}
    assert len(found["runs"]) == 3 * row["n_configurations"]
    assert set(found["inputs"]) == {
        "sweep/simulated/runs.parquet",
        "sweep/simulated/scores.parquet",
    }
    assert found["inputs"]["sweep/simulated/runs.parquet"] == files.sha256(
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
        assert files.sha256(folders[1] / "tables" / entry["file"]) == entry["sha256"]


def test_a_changed_input_is_called_stale(tables, folders, tmp_path):
    import shutil

    work, out = folders
    copy = shutil.copytree(work, tmp_path / "work")
    path = copy / "sweep" / "simulated" / "scores.parquet"
    pd.read_parquet(path).iloc[:-1].to_parquet(path)
    address = tables["headline"][0]["address"].iloc[0]
    assert provenance.lookup(address, out, copy)["stale"] == [
        "sweep/simulated/scores.parquet has changed since"
    ]


def test_an_unknown_address_is_refused_with_examples(tables, folders):
    with pytest.raises(KeyError, match="no number has the address 'table9-001'.*table1_snp-000"):
        provenance.lookup("table9-001", folders[1], folders[0])
