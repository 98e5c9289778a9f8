"""Folds share no donor and no drug, whatever the order of the rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import identity, splits


@given(st.lists(st.integers(0, 30), min_size=60, max_size=200), st.integers(0, 5))
def test_no_key_stands_in_two_folds(keys, seed):
    keys = np.array([f"k{key}" for key in [*keys, *range(6)]])
    fold = splits.assign_folds(keys, 3, seed)
    assert all(len(set(fold[keys == key])) == 1 for key in set(keys))
    assert set(fold) == {0, 1, 2}


def test_folds_do_not_depend_on_the_order_of_rows():
    keys = np.array([f"k{i % 17}" for i in range(200)])
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(splits.assign_folds(keys, 3)[order], splits.assign_folds(keys[order], 3))


def test_folds_hold_nearly_equal_numbers_of_rows():
    keys = np.array([f"k{i % 100}" for i in range(5000)])
    assert np.ptp(np.bincount(splits.assign_folds(keys, 3))) <= 50


def test_every_row_is_tested_once_and_inner_rows_share_no_key_with_training():
    keys = np.array([f"k{i % 40}" for i in range(400)])
    role, fold = splits.roles(keys, 3, inner_share=0.2)
    assert (role == splits.TEST).sum(axis=0).tolist() == [1] * 400
    for k in range(3):
        parts = [set(keys[role[k] == part]) for part in (splits.TRAIN, splits.INNER, splits.TEST)]
        assert all(parts) and not parts[0] & parts[1] and not parts[1] & parts[2] and not parts[0] & parts[2]
        assert 0.1 < np.mean(role[k][fold != k] == splits.INNER) < 0.3


def test_the_papers_selection_has_no_inner_rows():
    role, _ = splits.roles([f"k{i}" for i in range(30)], 3, selection="paper")
    assert set(np.unique(role)) == {splits.TRAIN, splits.TEST}


@pytest.mark.parametrize("selection", ["nestd", "", None])
def test_an_unknown_selection_is_refused(selection):
    with pytest.raises(ValueError, match="'nested' or 'paper', found"):
        splits.roles(["a", "b", "c"], 3, selection=selection)


def test_too_few_keys_are_refused_with_their_number():
    with pytest.raises(ValueError, match="2 distinct key.* cannot fill 3 folds"):
        splits.assign_folds(["a", "b", "a"], 3)


@pytest.fixture
def shared_panel():
    """Forty lines, each screened by two studies with three drugs."""
    rows = [(s, f"ACH-{c:02d}", f"D{d}") for s in ("CCLE", "GDSC") for c in range(40) for d in range(3)]
    return pd.DataFrame(rows, columns=["study", "cell_id", "drug_id"]).assign(donor=lambda t: t.cell_id)


def test_the_audit_passes_when_folds_are_cut_on_the_donor(shared_panel):
    audit = identity.leak_audit(shared_panel, splits.assign_folds(shared_panel.donor, 3), "donor")
    assert audit.n_keys.sum() == 40 and (audit.n_shared == 0).all()


@pytest.mark.parametrize("column", ["donor", "drug_id"])
def test_the_audit_fails_when_the_key_is_study_prefixed(shared_panel, column):
    leaky = splits.assign_folds(shared_panel.study + "." + shared_panel[column], 3)
    with pytest.raises(ValueError, match=f"{column} value.* stand in more than one fold"):
        identity.leak_audit(shared_panel, leaky, column)


def test_a_study_prefixed_key_leaks_and_the_donor_does_not(shared_panel):
    clean = identity.leak_of_key(shared_panel, splits.assign_folds(shared_panel.donor, 3))
    leaky = identity.leak_of_key(shared_panel, splits.assign_folds(shared_panel.study + shared_panel.cell_id, 3))
    assert clean.cell_shared.max() == 0 and clean.pair_shared.max() == 0
    assert leaky.cell_shared.min() > 0.2 and leaky.pair_shared.min() > 0.2


def test_relatives_of_one_donor_share_a_fold():
    cells = pd.DataFrame(dict(cell_id=["ACH-1", "ACH-2", "ACH-3"], keys=[{"SW480"}, {"SW620"}, {"A549"}]))
    donor = identity.donors(cells)
    assert donor[0] == donor[1] == "DONOR:SW480" and donor[2] == "ACH-3"
