"""A checkpoint is read without running anything; what is damaged or foreign is named, not removed."""

import io
import json
import os
import struct

import pytest
import torch
from safetensors.torch import save_file

from lib.networks import models
from lib.sweep import checkpoints, grid

SPEC = grid.RunSpec.from_dict(grid.DEFAULTS | {"fold": 0, "hidden": [4, 2]})
ARCHITECTURE = models.Architecture("mlp", 16, 16, (4, 2))


class Harm:
    def __reduce__(self):
        return os.mkdir, ("stray-folder-of-an-attack",)


def note(**changes):
    """The text of a checkpoint of one line and two drugs."""
    spec = changes.pop("spec", SPEC)
    return {
        "spec": spec.to_dict() if isinstance(spec, grid.RunSpec) else spec,
        "kind": "mlp",
        "widths": [4, 2],
        "profiles": ["a/GDSC"],
        "drugs": ["x", "y"],
        "train_profiles": [],
        "train_drugs": ["x"],
        "inner_loss": 0.5,
    } | changes


def tensors(**changes):
    found = {name: torch.ones(shape) for name, shape in ARCHITECTURE.shapes.items()}
    found |= {"cell_x": torch.ones(1, 16), "drug_x": torch.ones(2, 16)}
    columns = {f"{side}_columns": torch.arange(3) for side in models.SIDES}
    return {name: x for name, x in (found | columns | changes).items() if x is not None}


def write(path, text=None, **changes):
    text = json.dumps(note()) if text is None else text
    save_file(tensors(**changes), path, {checkpoints.TEXT: text})
    return path


def torch_file(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def header(text, length=None):
    raw = text.encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw


FILES = {  # bytes in place of a checkpoint
    "nothing": b"",
    "html": b"<html>not found</html>",
    "half a torch file": torch_file({"weights": torch.ones(99)})[:700],
    "a torch file": torch_file({"weights": torch.ones(9)}),
    "a torch file that runs code": torch_file(Harm()),
    "a header of an exabyte": header("{}", 1 << 60),
    "a header that is no JSON": header("{"),
    "a header nested without end": header("[" * 5000),
    "a header without tensors": header("{}"),
    "a tensor beyond the file": header('{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
    "tensors on one place": header(
        '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        '"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    )
    + bytes(4),
    "objects": header('{"x":{"dtype":"O","shape":[1],"data_offsets":[0,8]}}') + bytes(8),
}
TEXTS = {  # in place of the text
    "no JSON": "{",
    "a list": "[]",
    "nested": "[" * 5000,
    "another spec": json.dumps(note(spec={"fold": 0})),
    "a model that is none": json.dumps(note(spec=SPEC.to_dict() | {"model": "os.system"})),
    "another architecture": json.dumps(note(widths=[4, 3])),
    "an unknown kind": json.dumps(note(kind="gated_tanh")),
    "widths beyond memory": json.dumps(note(widths=[10**12, 10**12])),
    "more drugs than features": json.dumps(note(drugs=["x", "y", "z"])),
    "names that are no texts": json.dumps(note(profiles=[1])),
    "a loss that is no number": json.dumps(note(inner_loss=float("nan"))),
    "a key too few": json.dumps({k: v for k, v in note().items() if k != "drugs"}),
}
TENSORS = {
    "a tensor too few": {"bias1": None},
    "no features": {"cell_x": None},
    "a tensor too many": {"more": torch.ones(1)},
    "another shape": {"weight1": torch.ones(2, 4)},
    "features of one dimension": {"cell_x": torch.ones(16)},
    "not a number": {"bias1": torch.full((2,), torch.nan)},
    "infinite": {"drug_x": torch.full((2, 16), torch.inf)},
    "double precision": {"bias1": torch.ones(2, dtype=torch.float64)},
    "whole numbers": {"cell": torch.ones(4, 16, dtype=torch.int64)},
    "half precision": {"cell_x": torch.ones(1, 16, dtype=torch.bfloat16)},
}


def bad(path, name):
    if name in FILES:
        path.write_bytes(FILES[name])
    elif name in TEXTS:
        write(path, TEXTS[name])
    else:
        write(path, **TENSORS[name])
    return path


@pytest.mark.parametrize("name", [*FILES, *TEXTS, *TENSORS])
def test_a_damaged_or_foreign_file_is_named_and_runs_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as refused:
        checkpoints.Checkpoint(bad(tmp_path / "half.pt", name))
    said = str(refused.value)
    assert said.startswith("half.pt is no checkpoint of ours (") and "train the shard again" in said
    assert "\n" not in said and "weights_only" not in said
    assert os.listdir() == ["half.pt"]


def test_folders_pipes_and_what_is_not_there_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(ValueError, match="it is no file"):
            checkpoints.Checkpoint(path)


def test_a_whole_checkpoint_predicts_and_one_of_what_effects_leave_says_so(tmp_path):
    found = checkpoints.Checkpoint(write(tmp_path / "good"))
    assert found.spec == SPEC and found.predict(["a/GDSC"], ["y"]).shape == (1,)
    residual = grid.changed(SPEC, offset="drug", target_scale=0.1)
    text = json.dumps(note(spec=residual))
    with pytest.raises(ValueError, match="predicts what is left after drug, no AUC"):
        checkpoints.Checkpoint(write(tmp_path / "rest", text)).predict(["a/GDSC"], ["y"])


def test_only_worse_checkpoints_of_the_same_shard_and_fold_are_removed(tmp_path):
    folder = tmp_path / SPEC.shard_id
    folder.mkdir()

    def kept(spec, loss):
        path = folder / f"{spec.run_id}{checkpoints.SUFFIX}"
        return write(path, json.dumps(note(spec=spec, inner_loss=loss)))

    best = kept(SPEC, 0.1)
    worse = kept(grid.changed(SPEC, seed=1), 0.2)
    other_fold = kept(grid.changed(SPEC, fold=1), 0.9)
    other_shard = kept(grid.changed(SPEC, snp="counts"), 0.9)
    renamed = write(folder / "mine.safetensors", json.dumps(note(inner_loss=0.9)))
    damaged = bad(folder / "half.pt", "half a torch file")
    (folder / "notes").mkdir()
    with pytest.warns(UserWarning, match="no checkpoint of ours") as said:
        checkpoints.keep_best(folder)
    assert len(said) == 2 and "half.pt" in str(said[0].message)
    assert not worse.exists()
    assert all(path.exists() for path in (best, other_fold, other_shard, renamed, damaged))
