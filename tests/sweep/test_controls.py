"""Null controls: the same drugs and the same width, and nothing of the chemistry."""

import numpy as np
import pandas as pd
import pytest

from lib.drugs import descriptors
from lib.sweep import controls


@pytest.fixture(scope="module")
def block():
    smiles = dict(
        zip(
            [f"d{i}" for i in range(1, 9)], "CO CCO c1ccccc1 CN CS CF C#N CC=O".split(), strict=True
        )
    )
    smiles["bad"] = "C1CC"
    drugs = pd.DataFrame(smiles.items(), columns=["drug_id", "smiles"])
    return descriptors.compute_block(drugs, "ecfp4_64", cache_dir=None)[0]


@pytest.mark.parametrize("kind", ["permuted", "random", "onehot"])
def test_a_control_has_the_same_drugs_and_keeps_failures_out(block, kind):
    control = controls.drug_control(block, kind, seed=1)
    assert list(control.drug_id) == list(block.drug_id)
    assert control.iloc[-1, 1:].isna().all() and control.iloc[:-1, 1:].notna().all(axis=None)
    assert kind == "onehot" or control.shape == block.shape


def test_permuted_drugs_hold_the_same_rows_none_its_own(block):
    control = controls.drug_control(block, "permuted", seed=3).iloc[:-1, 1:].to_numpy()
    own = block.iloc[:-1, 1:].to_numpy()
    assert sorted(map(tuple, control)) == sorted(map(tuple, own))
    source = [int(np.flatnonzero((own == row).all(axis=1))[0]) for row in control]
    assert len(np.unique(own, axis=0)) == len(own) and all(i != j for i, j in enumerate(source))


def test_permutation_and_random_vectors_follow_the_drug_not_its_place(block):
    for kind in ("permuted", "random"):
        one = controls.drug_control(block, kind, seed=2)
        two = controls.drug_control(block.iloc[::-1], kind, seed=2)
        pd.testing.assert_frame_equal(one, two.iloc[::-1].reset_index(drop=True))
        assert not one.equals(controls.drug_control(block, kind, seed=3))


def test_one_hot_is_the_identity(block):
    control = controls.drug_control(block, "onehot")
    np.testing.assert_array_equal(control.iloc[:-1, 1:].to_numpy(), np.eye(8))
    assert list(control.columns[1:]) == [f"is_d{i}" for i in range(1, 9)]


def test_controls_are_the_same_numbers_in_every_process():
    """Pinned, so that a seed drawn from Python's salted hash() would fail in nearly every run."""
    block = pd.DataFrame({"drug_id": ["a", "b", "c", "d"], "x": [1.0, 2.0, 3.0, 4.0]})
    assert list(controls.drug_control(block, "permuted", seed=0).x) == [2.0, 4.0, 1.0, 3.0]
    drawn = [-0.5323950, 0.7446286, -1.7340276, -0.2220470]
    np.testing.assert_allclose(
        controls.drug_control(block, "random", seed=0).random_0, drawn, atol=1e-6
    )


def test_permuted_profiles_stay_in_their_source():
    values, groups = np.arange(12.0)[:, None], np.repeat(["a", "b"], 6)
    dealt = controls.permuted_rows(values, groups, seed=1)
    assert sorted(dealt[:6, 0]) == list(range(6)) and sorted(dealt[6:, 0]) == list(range(6, 12))
    assert not np.array_equal(dealt, values)
