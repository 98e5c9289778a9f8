"""Folds share nothing of what their split holds apart, whatever the order of the rows."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import splits, tables
from lib.screens import lines


@given(st.lists(st.integers(0, 30), min_size=60, max_size=200), st.integers(0, 5))
def test_no_key_stands_in_two_folds(keys, seed):
    keys = np.array([f"k{key}" for key in [*keys, *range(6)]])
    fold = splits.assign_folds(keys, 3, seed)
    assert all(len(set(fold[keys == key])) == 1 for key in set(keys))
    assert set(fold) == {0, 1, 2}


def test_folds_do_not_depend_on_the_order_of_rows():
    keys = np.array([f"k{i % 17}" for i in range(200)])
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(
        splits.assign_folds(keys, 3)[order], splits.assign_folds(keys[order], 3)
    )


def test_folds_hold_nearly_equal_numbers_of_rows():
    keys = np.array([f"k{i % 100}" for i in range(5000)])
    assert np.ptp(np.bincount(splits.assign_folds(keys, 3))) <= 50


def test_every_row_is_tested_once_and_inner_rows_share_no_key_with_training():
    keys = np.array([f"k{i % 40}" for i in range(400)])
    role, fold = splits.roles(keys, 3)
    assert (role == splits.TEST).sum(axis=0).tolist() == [1] * 400
    for k in range(3):
        parts = [set(keys[role[k] == part]) for part in (splits.TRAIN, splits.INNER, splits.TEST)]
        assert (
            all(parts)
            and not parts[0] & parts[1]
            and not parts[1] & parts[2]
            and not parts[0] & parts[2]
        )
        assert 0.1 < np.mean(role[k][fold != k] == splits.INNER) < 0.3


def test_the_papers_selection_has_no_inner_rows():
    role, _ = splits.roles([f"k{i}" for i in range(30)], 3, selection="paper")
    assert set(np.unique(role)) == {splits.TRAIN, splits.TEST}


def test_every_repeat_cuts_the_keys_anew_and_each_key_is_tested_once_in_each():
    keys = np.array([f"k{i % 40}" for i in range(400)])
    cuts = [splits.roles(keys, 3, repeat=r) for r in range(4)]
    for role, _ in cuts:
        assert (role == splits.TEST).sum(axis=0).tolist() == [1] * 400
    pairs = [
        len(set(zip(cuts[a][1], cuts[b][1], strict=True))) for a, b in ((0, 1), (1, 2), (2, 3))
    ]
    assert pairs == [9, 9, 9]  # no fold of one is a fold of the next


@pytest.mark.parametrize("split", ["tissue_out", "both_unseen", "on_drug"])
def test_repeats_of_other_splits_differ_too(split):
    names = [f"k{i % 30}" for i in range(900)]
    table = pd.DataFrame({"study": "S", "donor": names, "tissue": names})
    table["drug_id"] = [f"d{i % 31}" for i in range(900)]
    first, second = (splits.roles_of(table, split, 3, repeat=r) for r in (0, 1))
    assert (first != second).any()


def test_a_repeat_that_cuts_as_an_earlier_one_is_refused():
    with pytest.raises(
        ValueError, match="repeat 1 cuts the 3 keys as repeat 0 does: ask for fewer"
    ):
        splits.roles(["a", "b", "c"] * 5, 3, "paper", repeat=1)
    table = pd.DataFrame({"study": list("abcd") * 5, "donor": "x", "drug_id": "y"})
    with pytest.raises(ValueError, match="study_out has one cut, found repeat 2"):
        splits.roles_of(table, "study_out", 4, repeat=2)


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
    rows = [
        (s, f"ACH-{c:02d}", f"D{d}") for s in ("CCLE", "GDSC") for c in range(40) for d in range(3)
    ]
    return pd.DataFrame(rows, columns=["study", "cell_id", "drug_id"]).assign(
        donor=lambda t: t.cell_id
    )


def test_the_audit_passes_when_folds_are_cut_on_the_donor(shared_panel):
    audit = splits.leak_audit(shared_panel, splits.assign_folds(shared_panel.donor, 3), "donor")
    assert audit.n_keys.sum() == 40 and (audit.n_shared == 0).all()


@pytest.mark.parametrize("column", ["donor", "drug_id"])
def test_the_audit_fails_when_the_key_is_study_prefixed(shared_panel, column):
    leaky = splits.assign_folds(shared_panel.study + "." + shared_panel[column], 3)
    with pytest.raises(ValueError, match=f"{column} value.* stand in more than one fold"):
        splits.leak_audit(shared_panel, leaky, column)


def test_a_study_prefixed_key_leaks_and_the_donor_does_not(shared_panel):
    clean = splits.leak_of_key(shared_panel, splits.assign_folds(shared_panel.donor, 3))
    leaky = splits.leak_of_key(
        shared_panel, splits.assign_folds(shared_panel.study + shared_panel.cell_id, 3)
    )
    assert clean.cell_shared.max() == 0 and clean.pair_shared.max() == 0
    assert leaky.cell_shared.min() > 0.2 and leaky.pair_shared.min() > 0.2


def test_relatives_of_one_donor_share_a_fold():
    ids = ["ACH-1", "ACH-2", "ACH-3"]
    names = pd.DataFrame(dict(cell_id=ids, cell_name=["SW480", "SW620", "A549"]))
    known = names.assign(key=names.cell_name).reindex(columns=["key", *names, *lines.FACTS])
    donor = lines.cell_table(names, known.drop(columns="donor")).set_index("cell_id").donor
    assert donor["ACH-1"] == donor["ACH-2"] == "DONOR:SW480" and donor["ACH-3"] == "ACH-3"


STUDIES = ["CCLE", "CTRP", "GDSC", "gCSI", "NCI-60"]


def screen(seed, n=700, n_lines=60, n_drugs=30):
    """Random rows of five studies; some lines are relatives, some lack a tissue or a scaffold."""
    rng = np.random.default_rng(seed)
    line, drug = rng.integers(0, n_lines, n), rng.integers(0, n_drugs, n)
    tissue = np.array([f"T{i}" for i in rng.integers(0, 9, n_lines)], object)
    tissue[:2] = [np.nan, "T of a relative"]
    donor = np.array([f"P{i}" for i in range(n_lines)])
    donor[1] = donor[2]
    scaffold = np.array([f"S{i}" for i in rng.integers(0, 20, n_drugs)], object)
    scaffold[0] = np.nan
    study = rng.choice(STUDIES, n, p=[0.4, 0.1, 0.35, 0.05, 0.1])
    study[:5] = STUDIES
    facts = dict(study=study, cell_id=line.astype(str), donor=donor[line], tissue=tissue[line])
    table = pd.DataFrame(facts | dict(drug_id=drug.astype(str), scaffold=scaffold[drug]))
    for column in {*COLUMNS.values()} - {*table}:  # of a split that is added
        table[column] = [f"V{i}" for i in rng.integers(0, 12, n)]
    return table


COLUMNS = splits.KEYS | splits.GROUPS
HELD_APART = {split: [column] for split, column in COLUMNS.items()} | {
    "on_cell": ["donor"],
    "on_drug": ["drug_id"],
    "tissue_out": ["tissue", "donor"],
    "scaffold_out": ["scaffold"],
    "study_out": ["study"],
    "both_unseen": ["donor", "drug_id"],
}


@pytest.mark.parametrize("selection", ["nested", "paper"])
@pytest.mark.parametrize("split", splits.SPLITS)
@given(seed=st.integers(0, 500))
@settings(max_examples=12, deadline=None)
def test_what_a_split_holds_apart_is_on_one_side_only_and_each_row_is_tested_at_most_once(
    split, selection, seed
):
    table = screen(seed)
    n_folds = 5 if split == "study_out" else 3
    role = splits.roles_of(table, split, n_folds, selection=selection)
    assert role.shape == (n_folds, len(table)) and role.dtype == np.int8
    assert (role == splits.TEST).sum(axis=0).max() == 1
    for k in range(n_folds):
        for key in HELD_APART[split]:
            sides = [
                set(table[key][role[k] == part])
                for part in (splits.TRAIN, splits.INNER, splits.TEST)
            ]
            assert not sides[0] & sides[1] and not sides[1] & sides[2] and not sides[0] & sides[2]
            assert sides[0] and sides[2] and bool(sides[1]) == (selection == "nested")


@pytest.mark.parametrize("split", splits.SPLITS)
def test_roles_do_not_depend_on_the_order_of_rows(split):
    table, n_folds = screen(3), 5 if split == "study_out" else 3
    order = np.random.default_rng(0).permutation(len(table))
    turned = splits.roles_of(table.iloc[order].reset_index(drop=True), split, n_folds)
    np.testing.assert_array_equal(splits.roles_of(table, split, n_folds)[:, order], turned)


def test_folds_of_lines_and_drugs_are_those_of_the_first_ledgers():
    keys = np.array(
        [f"k{i}" for i in np.minimum(np.random.default_rng(7).geometric(0.03, 3000), 90)]
    )
    digests = {("nested", 3): "ee98d9d223e2d8ab", ("nested", 5): "4bf3978871e30e1a"}
    digests |= {("paper", 3): "cc5d5b49d34d966b", ("paper", 5): "8252b5dd72dd9ac6"}
    for (selection, n_folds), digest in digests.items():
        role, fold = splits.roles(keys, n_folds, selection=selection)
        assert hashlib.sha256(role.tobytes() + fold.tobytes()).hexdigest()[:16] == digest
        for split, key in splits.KEYS.items():
            same = splits.roles_of(pd.DataFrame({key: keys}), split, n_folds, selection=selection)
            np.testing.assert_array_equal(same, role)


def test_rows_that_could_be_on_both_sides_are_unused_and_no_others():
    table = screen(0)
    for split, odd in (
        (
            "tissue_out",
            table.tissue.isna() | table.donor.isin(["P2"]),
        ),  # P2 has lines of two tissues
        ("scaffold_out", table.scaffold.isna()),
    ):
        role = splits.roles_of(table, split)
        assert (
            odd.any()
            and (role[:, odd] == splits.UNUSED).all()
            and (role[:, ~odd] != splits.UNUSED).all()
        )
        assert ((role[:, ~odd] == splits.TEST).sum(axis=0) == 1).all()


def test_both_unseen_pairs_the_folds_of_lines_and_drugs_and_leaves_half_seen_rows_unused():
    table = screen(1)
    cell, drug = (splits.assign_folds(table[key], 3) for key in ("donor", "drug_id"))
    role = splits.roles_of(table, "both_unseen", selection="paper")
    for k in range(3):
        np.testing.assert_array_equal(role[k] == splits.TEST, (cell == k) & (drug == k))
        np.testing.assert_array_equal(role[k] == splits.UNUSED, (cell == k) != (drug == k))
    nested = splits.roles_of(table, "both_unseen")
    assert ((nested == splits.UNUSED).sum(axis=1) > (role == splits.UNUSED).sum(axis=1)).all()
    assert (nested == splits.INNER).any(axis=1).all()


@pytest.mark.parametrize("table", ["KEYS", "GROUPS"])
def test_a_split_that_is_added_is_one_line_and_leaves_the_others_as_they_are(table, monkeypatch):
    rows = screen(2).assign(plate=lambda t: [f"plate {i % 25}" for i in range(len(t))])
    before = {
        split: splits.roles_of(rows, split) for split in splits.SPLITS if split != "study_out"
    }
    monkeypatch.setitem(getattr(splits, table), "plate_out", "plate")
    monkeypatch.setattr(splits, "SPLITS", (*splits.SPLITS, "plate_out"))
    for split, role in before.items():
        np.testing.assert_array_equal(splits.roles_of(rows, split), role)
    role = splits.roles_of(rows, "plate_out")
    assert ((role == splits.TEST).sum(axis=0) == 1).all()
    for k in range(3):
        parts = [set(rows.plate[role[k] == part]) for part in np.unique(role)]
        assert len(parts) == 3 and sum(map(len, parts)) == 25


def test_few_uneven_tissues_still_leave_a_fair_share_to_stop_on():
    sizes = dict(T0=1, T1=60, T2=1100, T3=1500, T4=1600, T5=1800, T6=3000)
    tissue = np.repeat(list(sizes), list(sizes.values()))
    table = pd.DataFrame(dict(tissue=tissue, donor=[f"P{i}" for i in range(len(tissue))]))
    role = splits.roles_of(table, "tissue_out")
    share = (role == splits.INNER).sum(axis=1) / (role != splits.TEST).sum(axis=1)
    assert (share > 0.1).all() and (share < 0.4).all(), share


def test_one_study_tests_and_the_largest_of_the_small_ones_stops():
    study = np.repeat(STUDIES, [400, 100, 350, 50, 100])
    table = pd.DataFrame(dict(study=study))
    role = splits.roles_of(table, "study_out", 5)
    named = {
        study[role[k] == splits.TEST][0]: set(study[role[k] == splits.INNER]) for k in range(5)
    }
    assert sorted(named) == sorted(STUDIES) and all(len(inner) == 1 for inner in named.values())
    assert named["CCLE"] <= {"NCI-60", "CTRP"} and "gCSI" not in named["GDSC"]
    assert named["NCI-60"] == {"CTRP"} and named["CTRP"] == {"NCI-60"}


@pytest.mark.parametrize(("n_studies", "n_folds"), [(5, 3), (3, 5), (2, 2)])
def test_a_number_of_folds_that_is_not_the_number_of_studies_is_refused_with_their_names(
    n_studies, n_folds
):
    table = pd.DataFrame(dict(study=np.repeat(STUDIES[:n_studies], 10)))
    with pytest.raises(
        ValueError, match=f"n_folds is {n_folds}, the rows come from {n_studies} \\(CCLE, CTRP"
    ):
        splits.roles_of(table, "study_out", n_folds)


def test_an_unknown_split_is_refused_with_the_known_ones_and_too_few_tissues_with_their_number():
    with pytest.raises(ValueError, match="split must be one of .*'tissue_out'.* found 'tissue'"):
        splits.roles_of(screen(0), "tissue")
    two = screen(0).assign(tissue=lambda t: np.where(t.tissue == "T1", "T1", "T2"))
    with pytest.raises(ValueError, match="2 distinct key.* cannot fill 3 folds"):
        splits.roles_of(two.assign(donor=two.cell_id), "tissue_out")


def test_the_grid_gives_a_study_split_as_many_folds_as_there_are_studies():
    from lib.sweep import grid

    specs = grid.expand({"split": "study_out"})
    assert {spec.n_folds for spec in specs} == {len(tables.STUDIES)}


def test_a_test_row_is_new_as_a_pair_a_line_or_a_drug_only_if_training_never_saw_it():
    rows = [
        ("A", "P1", "D1"),
        ("A", "P1", "D2"),
        ("A", "P2", "D1"),
        ("A", "P3", "D3"),
        ("B", "P1", "D1"),
    ]
    rows += [("B", "P2", "D2")]
    table = pd.DataFrame(rows, columns=["study", "donor", "drug_id"])
    role = np.where(table.study == "A", splits.TEST, splits.TRAIN)
    found = {
        name: np.flatnonzero(is_in).tolist() for name, is_in in splits.novelty(table, role).items()
    }
    assert found == {
        "all": [0, 1, 2, 3],
        "new pair": [1, 2, 3],
        "new line": [3],
        "new drug": [3],
        "new line and drug": [3],
    }
