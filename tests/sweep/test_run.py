"""A shard is written whole, resumed where it stopped, and every fault is a row with its reason."""

import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from made_features import DRUG, LINES, write_folder

from lib import splits, tables
from lib.cells import cohorts
from lib.hill import quality
from lib.networks import train
from lib.paths import ROOT, STUDIES
from lib.splits import roles
from lib.sweep import baselines, grid, ledger, metrics, scorer
from lib.sweep import run as sweep_run

SWEEP = dict(
    model=["mlp", "gated"], hidden=[[8, 4]], batch_size=64, max_epochs=3, lr=1e-2, seed=[0, 1]
)


def problem(seed=0, n_cells=90, n_drugs=12, n=900):
    """A made-up screen of two studies."""
    rng = np.random.default_rng(seed)
    cell, drug = (
        rng.integers(0, n_cells, n).astype(np.int32),
        rng.integers(0, n_drugs, n).astype(np.int32),
    )
    x = rng.normal(size=(3, n_cells, 6)).astype(np.float32)
    d = rng.normal(size=(3, n_drugs, 4)).astype(np.float32)
    y = np.clip(0.7 + 0.15 * d[0, drug, 0] + 0.05 * rng.normal(size=n), 0, 1).astype(np.float32)
    role, _ = roles(cell.astype(str), 3)
    names = [[f"{kind}{i}" for i in range(size)] for kind, size in (("d", n_drugs), ("c", n_cells))]
    study = rng.integers(0, 2, n).astype(np.int16)
    built = train.Problem(x, d, cell, drug, y, study, cell, role, ["CCLE", "GDSC"], *names)
    return built, np.arange(n), {}


def run(tmp_path, specs, prob=None, **options):
    lines = []
    options = dict(device="cpu", precision="fp32", report=lines.append) | options
    return sweep_run.run_shard(tmp_path, specs, problem=prob or problem(), **options), lines


@pytest.fixture
def specs():
    return grid.expand(SWEEP)


def folder(tmp_path, specs):
    return tmp_path / "sweep" / specs[0].shard_id


def test_a_shard_has_a_row_per_run_and_scores_of_every_finished_run(tmp_path, specs):
    made, _ = run(tmp_path, specs)
    assert list(made["runs"].run_id.sort_values()) == sorted(s.run_id for s in specs)
    read = {
        n: tables.read(folder(tmp_path, specs) / f"{n}.parquet")
        for n in ("runs", "scores", "curves")
    }
    tables.check(read["runs"], tables.RUNS), tables.check(read["scores"], tables.SCORES)
    assert set(read["scores"].run_id) == set(read["runs"].run_id)
    assert set(read["runs"].model) == {"mlp", "gated", *baselines.USUAL}
    assert (
        read["runs"][["data_key", "commit", "torch", "device", "precision"]].notna().all(axis=None)
    )
    assert read["curves"].groupby("run_id").size().eq(3).all()


def test_scores_equal_those_of_the_kept_predictions(tmp_path, specs):
    made, _ = run(tmp_path, specs, keep=("predictions", "cell"))
    runs, p = made["runs"], made["predictions"]
    by_study = (
        made["scores"].query("part == 'test' and drug_id == '' and cell_id == ''").groupby("run_id")
    )
    error = (p.y.astype(float) - p.p.astype(float)) ** 2
    np.testing.assert_allclose(by_study.sum_se.sum(), error.groupby(p.run_id).sum(), rtol=0.01)
    by_cell = made["scores"].query("cell_id != ''").groupby("run_id")
    np.testing.assert_allclose(by_cell.n.sum(), by_study.n.sum())
    table = metrics.score(
        metrics.pool(made["scores"].query("cell_id == ''").merge(runs), ["model", "split", "part"])
    )
    effects = table.set_index(["model", "part"]).loc[("mean_effects", "test")]
    assert effects.r2 > 0.5 and effects.gain == pytest.approx(0, abs=1e-9)


def test_a_second_start_does_nothing_and_a_larger_grid_does_the_missing_runs_only(
    tmp_path, specs, monkeypatch
):
    first, _ = run(tmp_path, specs)
    monkeypatch.setattr(train, "train_stack", lambda *a: pytest.fail("trained again"))
    again, lines = run(tmp_path, specs)
    assert "0 to do" in lines[0]
    pd.testing.assert_frame_equal(first["runs"], again["runs"], check_dtype=False)
    monkeypatch.undo()
    more = grid.expand(SWEEP | {"seed": [0, 1, 2]})
    made, lines = run(tmp_path, more)
    assert "6 to do" in lines[0] and len(made["runs"]) == len(more)
    old = made["runs"].set_index("run_id").loc[first["runs"].run_id]
    np.testing.assert_array_equal(old.seconds, first["runs"].seconds)


def test_a_killed_process_loses_no_finished_stack(tmp_path, specs, monkeypatch):
    original, calls = train.train_stack, []

    def killed(*args):
        calls.append(args[1])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(train, "train_stack", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, specs)
    assert not folder(tmp_path, specs).exists()
    monkeypatch.setattr(train, "train_stack", original)
    made, lines = run(tmp_path, specs)
    finished = len(calls[0]) + len(calls[1]) + 3 * len(baselines.USUAL)
    assert f"{finished} runs done" in lines[0] and len(made["runs"]) == len(specs)
    assert [p.name for p in (tmp_path / "sweep").iterdir() if not p.name.startswith(".")] == [
        specs[0].shard_id
    ]


@pytest.mark.slow
def test_a_process_ended_by_the_system_loses_no_finished_stack(tmp_path):
    grid_of_many = SWEEP | {"seed": list(range(4)), "max_epochs": 12}
    code = f"""
import sys
tests = {str(ROOT / "tests")!r}
sys.path[:0] = [{str(ROOT)!r}, tests + "/sweep", tests + "/helpers"]
from pathlib import Path
import test_run
from lib.sweep import grid
test_run.run(Path({str(tmp_path)!r}), grid.expand({grid_of_many!r}), stack=2)
"""
    specs = grid.expand(grid_of_many)
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code])
    stack = tmp_path / "sweep" / f"{specs[0].shard_id}.parts" / "part-00004" / "runs.parquet"
    while not stack.exists() and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was to be killed in the middle"
    made, lines = run(tmp_path, specs, stack=8)
    n_done = int(lines[0].split(": ")[1].split()[0])
    assert 3 * len(baselines.USUAL) + 2 <= n_done < len(specs) and len(made["runs"]) == len(specs)
    assert made["runs"].status.isin(["early_stop", "epoch_cap"]).all()
    assert set(made["scores"].run_id) == {s.run_id for s in specs}


@pytest.mark.parametrize("damage", ["truncate", "scores lost", "runs gone"])
def test_a_corrupt_shard_is_named_set_aside_and_computed_again(tmp_path, specs, damage):
    run(tmp_path, specs)
    place = folder(tmp_path, specs)
    if damage == "truncate":
        (place / "scores.parquet").write_bytes((place / "scores.parquet").read_bytes()[:200])
    elif damage == "scores lost":
        tables.write(tables.read(place / "scores.parquet").iloc[:0], place / "scores.parquet")
    else:
        (place / "runs.parquet").unlink()
    with pytest.warns(
        UserWarning, match=f"shard {specs[0].shard_id} is corrupt and is computed again"
    ):
        made, _ = run(tmp_path, specs)
    assert len(made["runs"]) == len(specs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(tmp_path, specs)


def test_results_of_other_inputs_do_not_count(tmp_path, specs):
    run(tmp_path, specs)
    (tmp_path / "fits.parquet").write_bytes(b"other doses")
    _, lines = run(tmp_path, specs)
    assert lines[0].startswith(f"{specs[0].shard_id}: 0 runs done")


def test_a_process_killed_while_it_tidied_up_leaves_no_row_twice(tmp_path, specs, monkeypatch):
    monkeypatch.setattr(ledger, "_remove", lambda folder: None)
    run(tmp_path, specs, keep=("predictions",))
    monkeypatch.undo()
    assert (tmp_path / "sweep" / f"{specs[0].shard_id}.parts").exists()
    made, lines = run(tmp_path, specs, keep=("predictions",))
    assert "0 to do" in lines[0]
    for name, frame in made.items():
        assert not frame.duplicated(ledger.KEYS[name]).any()


def test_runs_that_a_smaller_grid_no_longer_names_leave_its_shard_and_come_back_with_it(
    tmp_path, specs
):
    first, _ = run(tmp_path, specs)
    fewer = [s for s in specs if s.seed == 0]
    made, lines = run(tmp_path, fewer)
    assert "0 to do" in lines[0] and set(made["runs"].run_id) == {s.run_id for s in fewer}
    on_disk = tables.read(folder(tmp_path, specs) / "runs.parquet")
    assert set(on_disk.run_id) == set(made["runs"].run_id) == set(made["scores"].run_id)
    stamp = (folder(tmp_path, specs) / "runs.parquet").stat().st_mtime_ns
    run(tmp_path, fewer)
    assert (folder(tmp_path, specs) / "runs.parquet").stat().st_mtime_ns == stamp, (
        "nothing to write"
    )
    again, lines = run(tmp_path, specs)
    assert "0 to do" in lines[0]
    for name in ("runs", "scores"):
        one, other = (
            made[name].sort_values(ledger.KEYS[name], ignore_index=True) for made in (first, again)
        )
        pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_a_shard_in_which_everything_failed_has_a_table_of_scores_without_rows(specs):
    nothing = scorer.failed(specs, "why")
    for by in ((), "study"):
        table = scorer.best_beside_baselines(nothing["runs"], nothing["scores"], by)
        assert table.empty and {"predictor", "r2", "n_cells", "reason"} <= set(table.columns)


def test_a_diverged_network_is_never_the_best_one(tmp_path, specs):
    made, _ = run(tmp_path, specs)
    runs = made["runs"].copy()
    of_fold = runs.model.isin(grid.NETWORKS) & (runs.fold == 0)
    worst = runs[of_fold].inner_loss.idxmax()
    runs.loc[worst, ["status", "inner_loss"]] = "diverged", 0.0
    scores = made["scores"][made["scores"].run_id != runs.run_id[worst]]
    best = scorer.best_beside_baselines(runs, scores).set_index("predictor")
    assert best.n["best network"] == best.n["ridge"]


def test_a_baseline_that_fails_is_a_row_and_the_networks_are_trained(tmp_path, specs, monkeypatch):
    def broken(name, *args):
        if name == "ridge":
            raise np.linalg.LinAlgError("Eigenvalues did not converge")
        return predict(name, *args)

    predict = baselines.predict
    monkeypatch.setattr(baselines, "predict", broken)
    runs = run(tmp_path, specs)[0]["runs"].set_index("model")
    assert (runs.loc["ridge"].reason == "LinAlgError: Eigenvalues did not converge").all()
    assert runs.loc["mlp"].status.isin(["early_stop", "epoch_cap"]).all()


def test_the_same_shard_trained_again_gives_the_same_numbers(tmp_path, specs):
    one, two = (run(tmp_path / name, specs, keep=("predictions",))[0] for name in ("one", "two"))
    pd.testing.assert_frame_equal(one["predictions"], two["predictions"])
    pd.testing.assert_frame_equal(
        one["runs"].drop(columns="seconds"), two["runs"].drop(columns="seconds")
    )


def test_an_interrupted_replacement_is_put_back(tmp_path, specs):
    run(tmp_path, specs)
    place = folder(tmp_path, specs)
    os.replace(place, ledger._beside(place, "old"))
    _, lines = run(tmp_path, specs)
    assert "0 to do" in lines[0] and place.exists()


def test_a_full_disk_is_named_and_keeps_what_was_finished(tmp_path, specs, monkeypatch):
    write, calls = tables.write, []

    def full(frame, path, table=None):
        calls.append(path)
        if len(calls) > 8:
            raise OSError(28, "No space left on device")
        return write(frame, path, table)

    monkeypatch.setattr(tables, "write", full)
    with pytest.raises(
        OSError, match="No space left on device.*finished runs are kept: make room and start again"
    ):
        run(tmp_path, specs)
    monkeypatch.undo()
    made, lines = run(tmp_path, specs)
    assert "0 runs done" not in lines[0] and len(made["runs"]) == len(specs)


def on_cuda():
    raise torch.OutOfMemoryError("CUDA out of memory")


def in_a_library():
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize(
    "ask_too_much", [on_cuda, in_a_library, lambda: torch.empty(10**15), lambda: np.zeros(10**15)]
)
def test_out_of_memory_halves_the_stack_until_it_fits(tmp_path, specs, monkeypatch, ask_too_much):
    original = train.train_stack

    def small(prob, members, *args):
        return ask_too_much() if len(members) > 1 else original(prob, members, *args)

    monkeypatch.setattr(train, "train_stack", small)
    made, _ = run(tmp_path, specs)
    assert made["runs"].status.isin(["epoch_cap", "early_stop"]).all()


def test_a_stack_that_never_fits_and_any_other_error_are_failed_rows(tmp_path, specs, monkeypatch):
    def broken(prob, members, *args):
        if members[0].model == "gated":
            raise torch.OutOfMemoryError("CUDA out of memory")
        raise RuntimeError("device lost\nmore")

    monkeypatch.setattr(train, "train_stack", broken)
    runs = run(tmp_path, specs)[0]["runs"].set_index("model")
    assert (runs.loc["gated"].reason == "OutOfMemoryError: CUDA out of memory").all()
    assert (runs.loc["mlp"].reason == "RuntimeError: device lost").all()
    assert (runs.loc["ridge"].status == "early_stop").all()


def test_a_fold_without_responders_fails_its_balanced_runs_only(tmp_path):
    specs = grid.expand(SWEEP | {"strategy": ["vanilla", "balanced"], "model": "mlp", "seed": 0})
    prob = problem()
    prob[0].y = np.maximum(prob[0].y, 0.55)
    runs = run(tmp_path, specs, prob)[0]["runs"].query("model == 'mlp'").set_index("strategy")
    assert (runs.loc["balanced"].status == "failed").all() and (
        runs.loc["vanilla"].status == "epoch_cap"
    ).all()
    assert runs.loc["balanced"].reason.str.contains("0 responders").all()


def test_a_constant_target_fails_with_its_reason(tmp_path, specs):
    prob = problem()
    prob[0].y[:] = 0.8
    runs = run(tmp_path, specs, prob)[0]["runs"]
    assert runs.reason.str.contains("constant target 0.8").all()


def test_features_that_cannot_be_built_fail_every_run_of_the_shard(tmp_path, specs, monkeypatch):
    def impossible(*_):
        raise ValueError("gene set 'x' on panel 'array': no such level")

    monkeypatch.setattr(sweep_run, "make_problem", impossible)
    monkeypatch.setattr(sweep_run, "require_tables", lambda work_dir: None)
    made = sweep_run.run_shard(tmp_path, specs, "cpu", "fp32", report=lambda line: None)
    assert (made["runs"].reason == "gene set 'x' on panel 'array': no such level").all()
    assert len(made["scores"]) == 0 and folder(tmp_path, specs).exists()


def test_a_diverged_run_is_a_row_without_scores(tmp_path):
    specs = grid.expand(SWEEP | {"optimizer": "sgd", "lr": [1e30, 0.01], "model": "mlp", "seed": 0})
    made, _ = run(tmp_path, specs)
    runs = made["runs"].query("model == 'mlp'").set_index("lr")
    assert (runs.loc[1e30].status == "diverged").all() and (
        runs.loc[0.01].status == "epoch_cap"
    ).all()
    assert not set(runs.loc[1e30].run_id) & set(made["scores"].run_id)


def test_stacks_are_of_one_shape_and_fold_and_nearly_equal_size(specs):
    groups = list(sweep_run.stacks(problem()[0], [s for s in specs if s.model in grid.NETWORKS], 1))
    assert [len(g) for g in groups] == [1] * 12
    many = grid.expand(
        SWEEP | {"model": ["mlp", "diff_dropout"], "seed": list(range(9)), "baselines": []}
    )
    assert sorted(len(g) for g in sweep_run.stacks(problem()[0], many, 10)) == [9] * 6


def test_an_unknown_profile_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="there is no profile 'demoo'; choose one of .*demo"):
        sweep_run.read_grid("demoo")


def test_failed_rows_have_the_columns_of_finished_rows(tmp_path, specs):
    made, _ = run(tmp_path, specs)
    failed = scorer.failed(specs[:2], "why")["runs"]
    assert set(failed.columns) <= set(made["runs"].columns)
    assert set(made["runs"].columns) - set(failed.columns) == {
        "shard", "device", "precision", "torch", "commit", "data_key"
    }  # fmt: skip


def test_runs_say_how_many_rows_lines_and_drugs_they_were_tested_on(tmp_path, specs):
    prob = problem()
    prob[0].role[0, :40] = splits.UNUSED
    runs = run(tmp_path, specs, prob)[0]["runs"]
    role = prob[0].role
    for fold, own in runs.groupby("fold"):
        counts = dict(
            n_train=splits.TRAIN, n_inner=splits.INNER, n_test=splits.TEST, n_unused=splits.UNUSED
        )
        for name, which in counts.items():
            assert (own[name] == (role[fold] == which).sum()).all()
        test = role[fold] == splits.TEST
        assert (own.n_test_cells == len(set(prob[0].cell[test]))).all() and own.n_test_cells.iloc[
            0
        ] > 20
        assert (own.n_test_drugs == len(set(prob[0].drug[test]))).all()


def test_a_study_with_one_line_has_no_score_and_the_others_have(tmp_path, specs):
    prob = problem()
    prob[0].study[:] = prob[0].cell == 7
    made, _ = run(tmp_path, specs, prob)
    table = scorer.best_beside_baselines(made["runs"], made["scores"], by="study").set_index(
        "study"
    )
    assert table.loc["CCLE"].r2.notna().all() and table.loc["GDSC"].r2.isna().all()
    assert (table.loc["GDSC"].reason == "n too small (n_cells = 1)").all()


def test_a_fold_without_test_rows_fails_with_its_reason(tmp_path, specs):
    prob = problem()
    prob[0].role[1, prob[0].role[1] == splits.TEST] = splits.UNUSED
    runs = run(tmp_path, specs, prob)[0]["runs"]
    assert (runs[runs.fold == 1].reason == "fold 1 has no test rows").all()
    assert runs[runs.fold != 1].status.isin(["early_stop", "epoch_cap"]).all()


def responses(studies=("CCLE", "GDSC", "NCI-60"), seed=0):
    """Made-up fits and cells of the lines and drugs of `write_folder`; for the machinery."""
    rng = np.random.default_rng(seed)
    fits = pd.MultiIndex.from_product(
        [studies, LINES[:55], DRUG[:11]], names=["study", "cell_id", "drug_id"]
    )
    fits = fits.to_frame(index=False).sample(frac=0.7, random_state=seed)
    fits = fits[~fits.study.eq("NCI-60") | fits.cell_id.isin(LINES[30:])]
    offset = dict(zip(DRUG, rng.uniform(0.3, 0.9, len(DRUG)), strict=True))
    fits["auc"] = fits.drug_id.map(offset) + rng.normal(0, 0.02, len(fits))
    fits = fits.assign(assay=fits.study, endpoint="viability")
    cells = pd.DataFrame(
        dict(cell_id=LINES, cell_name=LINES, depmap_id="", cellosaurus_id="", donor=LINES)
    )
    types = [f"C{i % 6}" for i in range(len(LINES))]
    return fits, cells.assign(tissue=[f"T{i % 9}" for i in range(len(LINES))], cancer_type=types)


@pytest.fixture
def tables_folder(tmp_path):
    write_folder(tmp_path)
    fits, cells = responses()
    fits.to_parquet(tmp_path / "fits.parquet"), cells.to_parquet(tmp_path / "cells.parquet")
    scaffolds = pd.DataFrame(
        dict(drug_id=DRUG[:10], scaffold=[f"S{i // 2}" for i in range(10)])
    )  # one drug has none
    tables.write(scaffolds, tmp_path / "scaffolds.parquet", tables.SCAFFOLDS)
    return tmp_path


KINDS = SWEEP | dict(
    rnaseq_set="random_32", model="mlp", seed=0, max_epochs=2, baselines=["mean_effects", "ridge"]
)


@pytest.mark.parametrize("split", splits.SPLITS)
def test_every_kind_of_split_is_trained_and_scored_from_tables(tables_folder, split):
    n_folds = 3
    specs = grid.expand(KINDS | dict(split=split, n_folds=n_folds))
    made = sweep_run.run_shard(
        tables_folder, specs, "cpu", "fp32", ("predictions",), report=lambda line: None
    )
    assert made["runs"].status.isin(["early_stop", "epoch_cap"]).all(), made["runs"].reason.unique()
    assert set(made["runs"].fold) == set(range(n_folds))
    unused = made["runs"].n_unused.gt(0)
    assert unused.all() if split in ("both_unseen", "scaffold_out") else not unused.any()
    per_row = made["predictions"].groupby(["run_id", "row"], observed=True).size()
    assert (per_row == 1).all()
    table = scorer.best_beside_baselines(made["runs"], made["scores"])
    assert set(table.predictor) == {"best network", "mean_effects", "ridge"}


def test_a_split_by_scaffold_without_the_table_of_scaffolds_names_it(tables_folder):
    with_it = sweep_run.data_key(tables_folder, grid.expand(KINDS | dict(split="scaffold_out"))[0])
    by_drug = sweep_run.data_key(tables_folder, grid.expand(KINDS | dict(split="on_drug"))[0])
    (tables_folder / "scaffolds.parquet").unlink()
    specs = grid.expand(KINDS | dict(split="scaffold_out"))
    runs = sweep_run.run_shard(tables_folder, specs, "cpu", "fp32", report=lambda line: None)[
        "runs"
    ]
    assert runs.reason.str.contains("scaffolds.parquet is missing: run notebook 04 first").all()
    assert sweep_run.data_key(tables_folder, specs[0]) != with_it
    assert (
        sweep_run.data_key(tables_folder, grid.expand(KINDS | dict(split="on_drug"))[0]) == by_drug
    )


def test_a_shard_trains_on_exactly_the_rows_that_its_filter_leaves(tables_folder):
    path = tables_folder / "fits.parquet"
    fits = tables.read(path)
    good = np.arange(len(fits)) % 3 > 0
    fits.assign(r2fit=np.where(good, 0.9, 0.2), ec50se=0.1).to_parquet(path)
    fits = tables.read(path)
    specs = grid.expand(KINDS | dict(n_folds=3, fit_filter=["none", "uno"]))
    for name, own in (("none", fits), ("uno", fits[good])):
        mine = [spec for spec in specs if spec.fit_filter == name]
        rows = quality.training_rows(fits, name)
        pd.testing.assert_frame_equal(rows, quality.training_rows(own))
        built, position, left_out = sweep_run.make_problem(tables_folder, mine[0])
        np.testing.assert_allclose(built.y, rows.auc.iloc[position], rtol=1e-6)
        assert len(position) + sum(left_out.values()) == len(rows)
        run_shard = sweep_run.run_shard
        made = run_shard(tables_folder, mine, "cpu", "fp32", ("predictions",), report=print)
        assert set(made["predictions"].row) == set(position)
        assert (made["runs"][["n_train", "n_inner", "n_test"]].sum(axis=1) == len(position)).all()


def test_the_wrong_number_of_folds_for_the_studies_fails_with_the_number_wanted(tables_folder):
    specs = grid.expand(KINDS | dict(split="study_out"))
    assert {s.n_folds for s in specs} == {len(STUDIES)}
    runs = sweep_run.run_shard(tables_folder, specs, "cpu", "fp32", report=lambda line: None)[
        "runs"
    ]
    assert runs.reason.str.contains(
        rf"n_folds is {len(STUDIES)}, the rows come from 3 \(CCLE, GDSC, NCI-60\)"
    ).all()


def test_scores_of_a_held_out_study_are_told_for_all_rows_and_for_new_lines_drugs_and_pairs(
    tables_folder,
):
    specs = grid.expand(KINDS | dict(split="study_out", n_folds=3))
    made = sweep_run.run_shard(
        tables_folder, specs, "cpu", "fp32", ("predictions",), report=lambda line: None
    )
    fits, cells = (tables.read(tables_folder / f"{name}.parquet") for name in ("fits", "cells"))
    rows = cohorts.add_cell_facts(quality.training_rows(fits), cells)
    table = sweep_run.novelty(tables_folder, specs, made)
    assert sweep_run.novelty(tables_folder, specs, {"runs": made["runs"]}).empty
    whole = table[table["rows"] == "all"].set_index(["study", "predictor"])
    beside = scorer.best_beside_baselines(made["runs"], made["scores"], by="study").set_index(
        ["study", "predictor"]
    )
    np.testing.assert_allclose(
        whole.r2, beside.r2.loc[whole.index], atol=2e-3
    )  # predictions are kept in 16 bits
    assert (whole.n == beside.n.loc[whole.index]).all()
    nci = table[table.study.eq("NCI-60") & table.predictor.eq("ridge")].set_index("rows")
    has_profile = ~(rows.study.eq("GDSC") & rows.cell_id.isin(LINES[45:]))
    other = rows[(rows.study != "NCI-60") & has_profile]
    own = rows[(rows.study == "NCI-60") & rows.cell_id.isin(LINES[30:])]
    seen = pd.MultiIndex.from_frame(other[["cell_id", "drug_id"]])
    assert (
        nci.n["new pair"]
        == (~pd.MultiIndex.from_frame(own[["cell_id", "drug_id"]]).isin(seen)).sum()
        > 0
    )
    assert "new line" not in nci.index, "every line of the third study is in another one"


@pytest.mark.parametrize(
    ("value", "status"), [(np.nan, {"early_stop", "epoch_cap"}), (np.inf, {"failed"})]
)
def test_a_gap_in_a_profile_is_filled_and_an_infinite_value_fails_the_shard_with_its_name(
    tables_folder, value, status
):
    path = tables_folder / "profiles_array.parquet"
    profiles = pd.read_parquet(path)
    profiles.loc[3, "G00":] = value
    profiles.to_parquet(path)
    runs = sweep_run.run_shard(
        tables_folder, grid.expand(KINDS), "cpu", "fp32", report=lambda line: None
    )["runs"]
    assert set(runs.status) <= status
    assert (
        np.isnan(value)
        or runs.reason.str.contains(r"G00 of L03 is infinite \(70 such values\)").all()
    )


def test_training_before_the_tables_are_there_stops_and_leaves_no_shard(tmp_path, specs):
    with pytest.raises(tables.TableError, match="cells.parquet is missing: run notebook 01 first"):
        sweep_run.run_shard(tmp_path, specs)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--profile", "nope"], "there is no profile 'nope'; choose one of"),
        (["--profile", "smoke", "--shards", "x"], "--shards must look like 10:20, found 'x'"),
        (["--profile", "smoke", "--shards", "1"], "--shards must look like 10:20, found '1'"),
        (["--profile", "smoke", "--shards=-1:"], "--shards must look like 10:20, found '-1:'"),
        (["--profile", "smoke", "--shards", "9:4"], "--shards 9:4 names none of the 2 shards"),
        (["--profile", "smoke", "--device", "tpu"], "--device is auto, cpu, cuda or cuda:N, found"),
        (["--profile", "smoke", "--threads", "-1"], "--threads must be 0 or more"),
        (["--profile", "smoke", "--stack", "0"], "--stack 1 or more"),
        (["--profile", "smoke", "--work-dir", "typo"], "cells.parquet is missing: run notebook 01"),
        (["--profile", "reference_analysis"], "--shards : names none of the 0 shards"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_sentence(
    tmp_path, monkeypatch, capsys, options, said
):
    monkeypatch.chdir(tmp_path)
    if "--work-dir" not in options:
        options = [*options, "--work-dir", str(tmp_path / "typo")]
    assert sweep_run.main(options) == 2
    message = capsys.readouterr().err
    assert said in message and len(message.splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", ["failed", "early_stop"])
def test_a_sweep_of_which_every_run_failed_ends_with_status_one(tmp_path, monkeypatch, status):
    made = {"runs": pd.DataFrame({"status": ["failed", status]})}
    monkeypatch.setattr(sweep_run, "run_shard", lambda *_: made)
    for name in ("fits", "cells", "gene_sets"):
        (tmp_path / f"{name}.parquet").touch()
    options = ["--profile", "smoke", "--work-dir", str(tmp_path)]
    assert sweep_run.main(options) == int(status == "failed")
