"""A finished sweep is joined whole: every run, every score, predictions of each row once per
configuration.
"""

import shutil

import made_ledger
import made_sweep
import numpy as np
import pandas as pd
import pytest

from lib.analysis import configurations
from lib.sweep import grid, ledger, metrics, packing
from lib.tables import TableError
from results import pack


def write_sweep(folder, n_rows=12, repeats=1, baselines=(), **changes):
    """Two configurations on three folds of each repeat; each row is tested in the fold of its
    number, and each is a line of its own.
    """
    settings = dict(dropout=[0.0, 0.2], baselines=list(baselines), repeat=list(range(repeats)))
    specs = grid.expand(settings | changes)
    for shard, members in grid.shards(specs).items():
        ids = [dict(run_id=s.run_id, configuration=s.config_id, shard=shard) for s in members]
        runs = pd.DataFrame([s.to_dict() | one for s, one in zip(members, ids, strict=True)])
        predictions, scores = [], []
        for s in members:
            rows = np.arange(n_rows)[np.arange(n_rows) % 3 == s.fold]
            p = s.dropout + 0.01 * rows
            predictions.append(pd.DataFrame(dict(run_id=s.run_id, row=rows, y=0.5, p=p)))
            names = np.array([f"c{row}" for row in rows], object)
            args = ([s.run_id], "test", np.full(len(rows), 0.5), p[None], p, names, names, names)
            scores += [metrics.score_rows(*args, by=by) for by in ("study", "cell")]
        place = folder / "sweep" / shard
        place.mkdir(parents=True)
        runs.assign(status="early_stop").to_parquet(place / "runs.parquet")
        pd.concat(scores).to_parquet(place / "scores.parquet")
        pd.concat(predictions).to_parquet(place / "predictions.parquet")
    return specs


def test_every_row_is_predicted_once_per_configuration_to_half_a_step(tmp_path):
    specs = write_sweep(tmp_path)
    pack.pack(tmp_path, tmp_path / "out")
    found = packing.packed_predictions(tmp_path / "out", "on_cell")
    assert set(found.columns) == {s.config_id for s in specs}
    assert found.index.tolist() == list(range(12))
    for spec in specs:
        off = np.abs(found[spec.config_id] - (spec.dropout + 0.01 * np.arange(12)))
        assert off.max() <= 0.5 * packing.STEP + 1e-6


def test_a_row_that_a_configuration_did_not_test_stays_absent(tmp_path):
    specs = write_sweep(tmp_path)
    path = tmp_path / "sweep" / specs[0].shard_id / "predictions.parquet"
    table = pd.read_parquet(path)
    table[(table.row != 4) | ~table.run_id.isin([s.run_id for s in specs[:3]])].to_parquet(path)
    pack.pack(tmp_path, tmp_path / "out")
    found = packing.packed_predictions(tmp_path / "out", "on_cell")
    assert np.isnan(found.loc[4]).sum() == 1 and found.drop(index=4).notna().all(axis=None)


def test_runs_and_scores_are_joined_whole(tmp_path):
    specs = write_sweep(tmp_path)
    pack.pack(tmp_path, tmp_path / "out")
    assert set(pd.read_parquet(tmp_path / "out" / "runs.parquet").run_id) == {
        s.run_id for s in specs
    }
    scores = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    assert set(scores.run_id) == {s.run_id for s in specs} and (scores.cell_id == "").all()


@pytest.mark.parametrize("baselines", [(), ("ridge",)])
def test_predictions_are_kept_beside_a_baseline_and_of_the_first_repeat(tmp_path, baselines):
    specs = write_sweep(tmp_path, repeats=2, baselines=baselines)
    pack.pack(tmp_path, tmp_path / "out", beside="ridge")
    found = packing.packed_predictions(tmp_path / "out", "on_cell")
    if not baselines:
        assert found.empty
        return
    assert len(found) == 12 and set(found) == {s.config_id for s in specs}


def test_sums_by_line_are_added_over_repeats(tmp_path):
    write_sweep(tmp_path, repeats=3)
    pack.pack(tmp_path, tmp_path / "out")
    found = packing.packed_sums(tmp_path / "out", "clusters")
    assert len(found) == 2 * 12 and (found.n == 3).all() and (found.drug_id == "").all()
    one = found[found.cell_id == "c4"].sort_values("sum_p")
    np.testing.assert_allclose(one.sum_p, [3 * 0.04, 3 * 0.24], rtol=2**-16)


def test_sums_by_line_of_baselines_are_kept_beside_the_chosen_one_alone(tmp_path):
    write_sweep(tmp_path, baselines=["mean_effects", "ridge"])
    write_sweep(tmp_path, baselines=["mean_effects"], snp="counts")
    rows = {}
    for beside in (None, "ridge"):
        pack.pack(tmp_path, tmp_path / "out", beside=beside)
        found = packing.packed_sums(tmp_path / "out", "clusters")
        runs = pd.read_parquet(tmp_path / "out" / "runs.parquet").drop_duplicates("configuration")
        model = runs.set_index("configuration")["model"]
        rows[beside] = model[found["configuration"].unique()].value_counts().to_dict()
    assert rows[None] == {"mlp": 4, "mean_effects": 2, "ridge": 1}
    assert rows["ridge"] == {"mlp": 4, "mean_effects": 1, "ridge": 1}


def test_scores_by_study_are_packed_to_32_binary_digits(tmp_path):
    write_sweep(tmp_path)
    pack.pack(tmp_path, tmp_path / "out")
    whole = pd.concat(map(pd.read_parquet, (tmp_path / "sweep").glob("*/scores.parquet")))
    whole = whole[whole["cell_id"] == ""].set_index(["run_id", "study"])[metrics.STATISTICS]
    packed = pd.read_parquet(tmp_path / "out" / "scores.parquet").set_index(["run_id", "study"])
    expected = whole.astype(float)
    found = packed.loc[whole.index, metrics.STATISTICS]
    pd.testing.assert_frame_equal(found, expected, rtol=2**-32, atol=0)
    assert not found.equals(expected)


@pytest.fixture
def repeats(tmp_path):
    """A sweep of three repeats, and the same with the last repeat apart from the others."""
    whole = tmp_path / "whole"
    for s in write_sweep(whole, repeats=3, baselines=["ridge"]):
        part = tmp_path / ("late" if s.repeat == 2 else "early")
        place = f"sweep/{s.shard_id}"
        shutil.copytree(whole / place, part / place, dirs_exist_ok=True)
    pack.pack(tmp_path / "early", tmp_path / "out", beside="ridge")
    return tmp_path


def same_tables(one, other):
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir()) and len(names) == 4
    for name in names:
        tables = [pd.read_parquet(folder / name) for folder in (one, other)]
        tables = [
            t[list(tables[0])].sort_values(list(tables[0]), ignore_index=True) for t in tables
        ]
        pd.testing.assert_frame_equal(*tables, rtol=2**-14)  # sums by line have 16 binary digits


def test_repeats_added_to_a_pack_give_the_pack_of_all(repeats):
    pack.pack(repeats / "whole", repeats / "once", beside="ridge")
    pack.pack(repeats / "late", repeats / "out", beside="ridge", add=True)
    same_tables(repeats / "once", repeats / "out")


def test_ensembles_are_over_every_repeat_of_a_pack_or_are_not_there(tmp_path):
    plan = dict(split="on_cell", cohort="all", hidden=[[8]], repeat=[0, 1], baselines=["ridge"])
    made_sweep.write(tmp_path / "whole", plan)
    for name, repeat in (("early", 0), ("late", 1)):
        shutil.copytree(tmp_path / "whole", tmp_path / name)
        for path in (tmp_path / name / "sweep").iterdir():
            if set(pd.read_parquet(path / "runs.parquet").repeat) != {repeat}:
                shutil.rmtree(path)
    out = tmp_path / "out"
    pack.pack(tmp_path / "early", out)
    assert pack.pack_ensembles(tmp_path / "early", out) == [out / "ensembles.parquet"]
    pack.pack(tmp_path / "late", out, add=True)
    assert pack.pack_ensembles(tmp_path / "late", out) == []
    assert not (out / "ensembles.parquet").exists()
    pack.pack_ensembles(tmp_path / "whole", out)
    own = pd.read_parquet(out / "ensembles.parquet")
    assert set(own[own.predictor == "ridge"].groupby("cell_id").n.sum() % 2) == {0}


def test_a_configuration_trained_again_is_replaced_if_it_is_there_whole(repeats):
    for path in repeats.glob("whole/sweep/*/scores.parquet"):
        pd.read_parquet(path).assign(sum_p=99.0).to_parquet(path)
    pack.pack(repeats / "whole", repeats / "once", beside="ridge")
    pack.pack(repeats / "whole", repeats / "out", beside="ridge", add=True)
    same_tables(repeats / "once", repeats / "out")
    before = {path: path.read_bytes() for path in (repeats / "out").iterdir()}
    with pytest.raises(ValueError, match="trained again without its run .*: train all of its"):
        pack.pack(repeats / "early", repeats / "out", beside="ridge", add=True)
    assert before == {path: path.read_bytes() for path in before}


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no finished shard: train one first"):
        pack.pack(tmp_path, tmp_path / "out")


@pytest.fixture(scope="module")
def frames():
    runs, scores = made_ledger.ledger(dict(split=["on_cell"], snp=["none", "counts"]), n_cells=30)
    return {"runs": runs.assign(data_key="k"), "scores": scores}


@pytest.fixture
def shard(tmp_path, frames):
    """A written shard of 21 runs."""
    shard = ledger.Shard(tmp_path / "sweep" / "one", "k")
    shard.close([frames], set(frames["runs"].run_id))
    return shard


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def edited(**changes):
    """Write a table again with some columns changed, or without them."""

    def change(path):
        table = pd.read_parquet(path)
        for name, value in changes.items():
            table = table.drop(columns=name) if value is None else table.assign(**{name: value})
        table.to_parquet(path)

    return change


DAMAGE = {
    "a cut file": ("runs", cut),
    "a cut file of scores": ("scores", cut),
    "an empty file": ("scores", lambda path: path.write_bytes(b"")),
    "a text": ("runs", lambda path: path.write_text("run_id\na")),
    "no file": ("scores", lambda path: path.unlink()),
    "a folder": ("scores", lambda path: (path.unlink(), path.mkdir())),
    "no study": ("scores", edited(study=None)),
    "no fold": ("runs", edited(fold=None)),
    "no configuration": ("runs", edited(configuration=None)),
    "texts for sums": ("scores", edited(sum_y="x")),
    "half a fold": ("runs", edited(fold=0.5)),
    "an unknown status": ("runs", edited(status="finished")),
    "an unknown part": ("scores", edited(part="train")),
    "one run for all scores": ("scores", lambda path: edited(run_id="a")(path)),
    "runs twice": ("runs", edited(run_id="a")),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_shard_is_set_aside_named_and_computed_again(shard, frames, kind):
    name, damage = DAMAGE[kind]
    damage(shard.folder / f"{name}.parquet")
    left_out = configurations.load(shard.folder.parent.parent)
    assert left_out.runs.empty and "shard one cannot be read" in left_out.notes[0]
    with pytest.raises(TableError, match=f"one.*{name}|{name}.parquet|finished run"):
        configurations.load(None, shard.folder)
    with pytest.warns(UserWarning, match="shard one is corrupt and is computed again"):
        assert shard.finished() == {}
    assert not shard.folder.exists() and (shard.folder.parent / ".corrupt" / "one").exists()


@pytest.mark.parametrize("text", ["", "{", "3", '"one"', "[1]", '{"one": 1}', "[" * 3000])
def test_a_damaged_list_of_shards_is_named(shard, text):
    work = shard.folder.parent.parent
    (work / "sweep" / "grid.json").write_text(text)
    with pytest.raises(TableError, match=r"grid.json is no list of shards: delete it"):
        configurations.load(work)


def test_a_shard_of_the_grid_that_is_not_there_is_said(shard):
    work = shard.folder.parent.parent
    ledger.declare(work, ["one", "two"])
    assert "1 shard(s) of the grid are not there, first two" in configurations.load(work).notes


def test_what_somebody_laid_into_the_folders_of_a_sweep_stays_there(shard, frames):
    shard.add(frames)
    mine = [
        shard.folder / "notes.txt",
        shard.parts / "part-x",
        shard.parts / "part-00001" / "a.csv",
    ]
    for path in mine:
        path.write_text("mine")
    shard.add(frames)
    shard.close([frames], set(frames["runs"].run_id))
    assert all(path.read_text() == "mine" for path in mine)
    assert not (shard.parts / "part-00002").exists()
    assert len(shard.finished()["runs"]) == len(frames["runs"])


def test_equal_results_are_equal_files_whatever_they_took_and_in_which_order(tmp_path, frames):
    found = []
    for name, order in (("a", slice(None)), ("b", slice(None, None, -1))):
        shard = ledger.Shard(tmp_path / name / "sweep" / "one", "k")
        parts = {kind: frame.iloc[order] for kind, frame in frames.items()}
        seconds = np.arange(len(parts["runs"])) + 7.0 * len(found)
        parts["runs"] = parts["runs"].assign(seconds=seconds)
        shard.close([parts], set(frames["runs"].run_id))
        again = shard.finished()["runs"].set_index("run_id").seconds
        assert again.equals(parts["runs"].set_index("run_id").seconds.sort_index())
        files = ledger.table_files(tmp_path / name)
        found.append({key: path.read_bytes() for key, path in files.items()})
    assert found[0] == found[1] and set(found[0]) == {
        "sweep/one/runs.parquet", "sweep/one/scores.parquet"
    }  # fmt: skip


BESIDE = {
    "a cut table of times": ("times", cut),
    "times that are texts": ("times", edited(seconds="x")),
    "times without seconds": ("times", edited(seconds=None)),
    "a run that took twice": ("times", edited(run_id="a")),
    "cut predictions": ("predictions", cut),
    "predictions without a value": ("predictions", edited(p=None)),
    "predictions that are texts": ("predictions", edited(p="x")),
    "predictions of no row": ("predictions", edited(row="x")),
    "predictions of a row twice": ("predictions", edited(row=1)),
    "curves without an epoch": ("curves", edited(epoch=None)),
    "runs of an earlier version": ("runs", edited(data_key=None)),
    "folds that are texts": ("runs", edited(n_folds="3")),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_damage_beside_the_scores_sets_a_shard_aside_too(tmp_path, frames, kind):
    one = frames["runs"].run_id.iloc[0]
    runs = frames["runs"].assign(seconds=1.0)
    predictions = pd.DataFrame(dict(run_id=one, row=[0, 1], p=[0.5, 0.6]))
    curves = pd.DataFrame(dict(run_id=one, epoch=[0, 1], loss=[0.5, 0.4]))
    shard = ledger.Shard(tmp_path / "sweep" / "one", "k")
    whole = frames | dict(runs=runs, predictions=predictions, curves=curves)
    shard.close([whole], set(runs.run_id))
    assert shard.finished().keys() == whole.keys()
    name, damage = BESIDE[kind]
    damage(shard.folder / f"{name}.parquet")
    with pytest.warns(UserWarning, match="shard one is corrupt and is computed again"):
        assert shard.finished() == {}
    assert (shard.folder.parent / ".corrupt" / "one").exists()


def test_packing_keeps_what_is_somebodys_own_and_replaces_what_it_wrote(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(pack.keep, "LIST", tmp_path / "list.json")
    made_sweep.write(tmp_path / "work")
    out = tmp_path / "out"
    assert pack.main([str(tmp_path / "work"), str(out)]) == 0
    assert pack.main([str(tmp_path / "work"), str(out)]) == 0
    (out / "notes.txt").write_text("mine")
    (out / "runs.parquet").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert pack.main([str(tmp_path / "work"), str(out)]) == 1
    said = capsys.readouterr().err
    assert "runs.parquet was not written by this command" in said and len(said.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert pack.main([str(tmp_path / "nothing"), str(tmp_path / "new")]) == 1
    assert "holds no finished shard" in capsys.readouterr().err
