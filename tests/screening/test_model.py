"""The model folder: no pickle, the same numbers anywhere, and a sentence for a damaged one."""

import hashlib
import io
import json
import subprocess
from functools import partial
from pathlib import PurePosixPath

import made_screen
import numpy as np
import pandas as pd
import pytest
import torch

from lib import addresses, effects, files
from lib.drugs.scaler import DescriptorScaler
from lib.networks import models
from lib.paths import RESULTS, ROOT
from lib.screening import build, fit, model, queries
from lib.sweep import ledger


def test_it_holds_no_pickle_and_says_what_it_is(made):
    names = {path.name for path in (made / "model").iterdir()}
    assert names == {"arrays.npz", "model.json", *(f"{name}.parquet" for name in model.TABLES)}
    with np.load(made / "model" / "arrays.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
    facts = json.loads((made / "model" / "model.json").read_text())
    assert set(facts["kinds"]) == set(fit.KINDS)
    assert facts["commit"] and facts["packages"]["rdkit"] and len(facts["sha256"]) == 6


def test_the_grid_gives_what_the_network_gives_pair_by_pair(made):
    """The second way: `models.forward`, which trained the network, on one pair at a time."""
    read = model.read(made / "model")
    rng = np.random.default_rng(0)
    kind = "both new"
    weights = {
        name.split("/")[1]: torch.from_numpy(values).float()
        for name, values in read.arrays.items()
        if name.startswith(kind) and "effect" not in name
    }
    sides = {"cell": rng.normal(size=(5, 40)), "drug": rng.normal(size=(7, 166))}
    sides = {side: x.astype(np.float32) for side, x in sides.items()}
    arch = models.Architecture("mlp", 40, 166, (8,))
    for i, (mean, spread) in enumerate(read.grid(kind, sides["cell"], sides["drug"])):
        for j in range(7):
            x = torch.from_numpy(sides["cell"][[i]]), torch.from_numpy(sides["drug"][[j]])
            parts = [
                torch.einsum("kwp,np->knw", weights[side], value)
                for side, value in zip(models.SIDES, x, strict=True)
            ]
            each = 0.1 * models.forward(arch, weights, *parts)[:, 0].numpy()
            np.testing.assert_allclose(mean[j], each.mean(), atol=1e-6)
            np.testing.assert_allclose(spread[j], each.std(), atol=1e-6)
    assert i == 4


def test_threads_of_torch_are_as_before_between_lines_and_after_several_streams(made):
    read = model.read(made / "model")
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(3, 40)), rng.normal(size=(7, 166))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = read.grid("new drug", *sides)
        second = read.grid("both new", *sides)
        for _ in zip(first, second, strict=True):
            assert torch.get_num_threads() == 2
        abandoned = read.grid("new drug", *sides)
        next(abandoned)
        assert len(list(read.grid("both new", *sides))) == 3
        abandoned.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("n_lines", "n_drugs"), [(1, 1), (3, 5000), (40, 300)])
def test_tiles_change_no_number(made, monkeypatch, n_lines, n_drugs):
    read = model.read(made / "model")
    rng = np.random.default_rng(1)
    cells = rng.normal(size=(n_lines, 40))
    drugs = rng.normal(size=(n_drugs, 166))
    whole = [mean for mean, _ in read.grid("new drug", cells, drugs)]
    monkeypatch.setattr(model, "TILE", 17)
    tiled = [mean for mean, _ in read.grid("new drug", cells, drugs)]
    np.testing.assert_allclose(np.concatenate(whole), np.concatenate(tiled), atol=1e-6)


def test_the_base_is_the_effects_that_the_kind_knows(made):
    read = model.read(made / "model")
    rows = fit.Rows(made / "work", made_screen.SETTINGS)
    problem, table = rows.problem, rows.table
    row = table.reset_index(drop=True).iloc[40]
    codes = {"study": problem.study, "drug": problem.drug, "line": problem.cell}
    for kind, factors in {
        "new line": ["study", "drug"],
        "new drug": ["study", "line"],
        "both new": ["study"],
        "both known": ["study", "drug", "line"],
    }.items():
        fitted = effects.additive(problem.y, [codes[f] for f in factors], np.arange(len(table)))
        base = read.base(kind, row.study, [row.cell_id], [row.drug_id])
        np.testing.assert_allclose(base, fitted[40], atol=1e-5)


def test_an_unseen_study_line_or_drug_has_no_effect(made):
    read = model.read(made / "model")
    mean = read.facts["kinds"]["both known"]["mean"]
    assert read.base("both known", "none", ["own:a"], ["XXXX"]) == pytest.approx(mean)


def git(*words):
    """What git says of this repository, as bytes."""
    said = subprocess.run(["git", *words], cwd=ROOT, capture_output=True)
    if said.returncode:
        raise AssertionError(said.stderr.decode())
    return said.stdout


def test_the_bundled_model_names_a_commit_that_holds_its_library_and_its_data():
    if not (ROOT / ".git").exists() or git("rev-parse", "--is-shallow-repository") == b"true\n":
        pytest.skip("the history is not here")
    facts = files.read_json(RESULTS / "model" / "model.json", dict)
    git("merge-base", "--is-ancestor", facts["commit"], "HEAD")
    names = git("ls-tree", "-r", "--name-only", facts["commit"], "lib").decode().splitlines()
    digest = hashlib.sha256()
    for name in sorted(map(PurePosixPath, names)):
        if name.suffix == ".py":
            digest.update(str(name).encode() + git("show", f"{facts['commit']}:{name}"))
    assert digest.hexdigest()[:12] == facts["lib_hash"]
    for name, recorded in facts["inputs"].items():
        if (ROOT / name).exists():
            text = git("show", f"{facts['commit']}:{name}")
            assert hashlib.sha256(text).hexdigest() == recorded, name


def test_the_bundled_model_flags_what_lies_far_outside_its_drugs():
    bundled = model.read(RESULTS / "model")
    sugar = "OC1OC(CO)C(OC2OC(CO)C(O)C(O)C2O)C(O)C1O"
    odd = pd.DataFrame({"compound": ["wax", "sugar"], "smiles": ["C" * 120, sugar]})
    flags = queries.describe_compounds(bundled, odd)[0].flag
    assert flags.str.contains("descriptors outside the training range").tolist() == [True, False]


def test_a_model_names_its_tables_its_library_and_its_commit(made):
    facts = model.read(made / "model").facts
    for name in ("fits", "cells", "cell_names", "drugs", "drug_maccs", "profiles_array"):
        path = made / "work" / f"{name}.parquet"
        assert facts["inputs"][path.name] == files.sha256(path)
    assert (facts["lib_hash"], facts["commit"]) == (addresses.library_hash(), ledger.commit())


def damaged(folder, what):
    path = folder / what
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["arrays.npz", "lines.parquet", "calibration.parquet"])
def test_a_changed_file_is_refused_by_name(copied, name):
    damaged(copied, name)
    with pytest.raises(model.ModelError, match=f"{name} is not the file that was written"):
        model.read(copied)


@pytest.mark.parametrize("name", ["arrays.npz", "genes.parquet", "model.json"])
def test_a_missing_file_is_refused_by_name(copied, name):
    (copied / name).unlink()
    with pytest.raises(model.ModelError, match=name):
        model.read(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f | {"format": 0}, "has format 0, this code reads 1"),
        (lambda f: f | {"packages": {"rdkit": "2019.3.1"}}, "made with rdkit 2019.3.1, here is"),
        (lambda f: {"kinds": {}}, "is damaged"),
        (lambda f: [], "is damaged"),
    ],
)
def test_a_model_of_another_version_is_refused(copied, change, message):
    path = copied / "model.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(model.ModelError, match=message):
        model.read(copied)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.pop("kinds"),
        lambda f: f["kinds"].pop("both known"),
        lambda f: f["kinds"]["new line"].update(scale="x"),
        lambda f: f.update(studies="GDSC"),
        lambda f: f.pop("study"),
        lambda f: f.pop("itself"),
    ],
)
def test_notes_that_somebody_changed_are_refused(copied, change):
    path = copied / "model.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(model.ModelError, match="model.json is not the file that was written"):
        model.read(copied)


def test_half_a_json_is_refused(copied):
    (copied / "model.json").write_text('{"format": 1,')
    with pytest.raises(model.ModelError, match="damaged"):
        model.read(copied)


def test_the_limit_for_a_drug_is_not_set_by_the_oddest_training_drug(made, monkeypatch):
    """Else a molecule gets its flag only where it is odder than all of them."""
    monkeypatch.setattr(build, "DescriptorScaler", partial(DescriptorScaler, clip=1))
    arrays = build._drugs(fit.Rows(made / "work", made_screen.SETTINGS))
    drugs = pd.read_parquet(made / "work" / "drug_maccs.parquet").drop(columns="drug_id")
    share = build.outside(model.Model({}, arrays, {}).scaler, drugs.to_numpy())
    assert np.median(share) < arrays["drug/outside"][0] < share.max()


def test_calibration_rows_are_out_of_fold_and_of_each_kind(made):
    rows = pd.read_parquet(made / "model" / "calibration.parquet")
    assert set(rows.kind) == set(fit.KINDS)
    assert (rows[rows.kind == "new drug"].similarity < 1).all()
    assert (rows[rows.kind == "new line"].similarity == 1).all()


def test_networks_of_another_shape_are_refused(made, tmp_path):
    with pytest.raises(ValueError, match="multi-layer perceptrons"):
        build.build(made / "work", tmp_path / "m", made_screen.SETTINGS | {"model": "gated"})


@pytest.mark.parametrize("name", ["mine.txt", ".hidden", "arrays.npz.bak", "model.json~", "sub"])
def test_a_folder_that_holds_something_else_is_not_replaced(made, tmp_path, name):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).mkdir() if name == "sub" else (folder / name).write_text("mine")
    with pytest.raises(model.ModelError, match="no part of a model: name another folder"):
        model.write(model.read(made / "model"), folder)
    assert [path.name for path in folder.iterdir()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_that_cannot_be_written_leaves_the_one_before_and_nothing_beside(
    copied, monkeypatch
):
    read = model.read(copied)

    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(model.np, "savez_compressed", full)
    with pytest.raises(OSError, match="no space left"):
        model.write(read, copied)
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    assert model.read(copied).facts == read.facts


def hashed(folder, name, content):
    """A stranger's folder: a file changed, and its hash with it."""
    (folder / name).write_bytes(content)
    facts = json.loads((folder / "model.json").read_text())
    facts["sha256"][name] = files.sha256(folder / name)
    (folder / "model.json").write_text(json.dumps(facts))


def npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


STRANGE = {
    "objects": npz(a=np.array([{}, 1], dtype=object)),
    "no archive": b"PK",
    "nothing": b"",
    "cut": npz(a=np.zeros(999))[:-40],
    "a bomb": npz(a=np.zeros(2_000_000), b=np.zeros(2_000_000)),
    "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("kind", STRANGE)
def test_arrays_of_a_stranger_are_refused_in_a_sentence(copied, monkeypatch, kind):
    monkeypatch.setattr(model, "MOST_BYTES", 1_000_000)
    hashed(copied, "arrays.npz", STRANGE[kind])
    with pytest.raises(model.ModelError, match="cannot be read .*make it again"):
        model.read(copied)


@pytest.mark.parametrize("text", ["[]", "3", '{"format": 1}', '{"format": 1, "sha256": []}', "["])
def test_notes_of_another_shape_are_damaged(copied, text):
    (copied / "model.json").write_text(text)
    with pytest.raises(model.ModelError, match=r"model.json is damaged"):
        model.read(copied)
