"""Feature sets: the paper's 198, and matrices that know nothing of held-out cells or drugs."""

import re

import numpy as np
import pandas as pd
import pytest
from made_features import DRUG, LINES, write_folder

from lib.sweep import features, grid
from lib.sweep.store import Store
from lib.tables import TableError

KEYS = [(line, "GDSC") for line in LINES[:45]] + [(line, "NCI-60") for line in LINES[30:]]
PROFILES = pd.DataFrame(KEYS, columns=["cell_id", "profile_source"])  # of `write_folder`


def spec(**settings):
    return grid.RunSpec(fold=0, **settings)


def rows(drugs=DRUG[:11]):
    """Rows of three studies; the first 20 lines are GDSC's, the last 15 have no profile but
    NCI-60's.
    """
    study = ["GDSC"] * 45 + ["NCI-60"] * 15 + ["CCLE"] * 60
    lines = LINES[:45] + LINES[45:] + LINES
    table = pd.DataFrame(dict(study=study, cell_id=lines))
    return table.merge(pd.DataFrame(dict(drug_id=drugs)), how="cross")


def on_cell(table, n_folds=3):
    fold = table.cell_id.str[1:].astype(int).to_numpy() % n_folds
    return fold != np.arange(n_folds)[:, None]


def on_drug(table, n_folds=3):
    fold = table.drug_id.str[1:].astype(int).to_numpy() % n_folds
    return fold != np.arange(n_folds)[:, None]


@pytest.fixture
def store(tmp_path):
    return write_folder(tmp_path)


def test_the_papers_198_feature_sets_are_each_feasible_or_have_a_reason(store):
    found = features.enumerate_sets(store, "array")
    assert len(found) == 198 and len(found.drop_duplicates()) == 198
    assert (found.feasible == (found.reason == "")).all()
    small = ~found.rnaseq_set.isin(
        ["random_128", "random_256", "random_512", "random_1024", "random_2048"]
    )
    small &= found.rnaseq_set != "oncogenes_lincs1000"
    assert found.feasible.equals(small)
    assert found.reason[found.rnaseq_set == "random_512"].unique().tolist() == [
        "gene set 'random_512' on panel 'array': 512 genes wanted, the panel holds 70"
    ]


def test_a_missing_block_is_a_reason_that_names_the_file(tmp_path):
    store = write_folder(tmp_path)
    (tmp_path / "drug_mordred.parquet").unlink()
    (tmp_path / "snp_counts.parquet").unlink()
    found = features.enumerate_sets(store, "array")
    assert (
        found.reason[found.drug_block == "mordred+rdkit_ecfp"]
        .str.contains("drug_mordred.parquet is not in|snp_counts|random|onco")
        .all()
    )
    with pytest.raises(TableError, match="snp_counts.parquet is not in .*: run notebook 03"):
        store.mutations("snp_counts")


@pytest.mark.parametrize("scaling", ["none", "source", "combat"])
@pytest.mark.parametrize("snp", ["none", "counts", "rank"])
def test_shapes_agree_across_folds_and_everything_is_finite(store, scaling, snp):
    table = rows()
    built = features.build(store, spec(scaling=scaling, snp=snp), table, on_cell(table))
    assert built.cell_x.shape == (
        3,
        75,
        40 + (10 if snp != "none" else 0),
    ) and built.drug_x.shape == (3, 11, 6)
    assert built.cell_x.dtype == built.drug_x.dtype == np.float32
    assert np.isfinite(built.cell_x).all() and np.isfinite(built.drug_x).all()
    assert (PROFILES.cell_id.to_numpy()[built.profile] == table.cell_id).all()
    assert (np.array(built.drugs)[built.drug] == table.drug_id).all()


@pytest.mark.parametrize("scaling", ["none", "source", "combat"])
@pytest.mark.parametrize("snp", ["none", "counts", "log1p", "rank"])
def test_a_held_out_line_changes_no_training_feature(tmp_path, scaling, snp):
    held = {line for line in LINES if int(line[1:]) % 3 == 0}

    def distort(name, frame):
        if name in ("profiles_array", "snp_counts"):
            numbers = frame.columns[2:]
            frame.loc[frame.cell_id.isin(held), numbers] = (
                frame.loc[frame.cell_id.isin(held), numbers] * 3 + 11
            )
        return frame

    table, chosen = rows(), spec(scaling=scaling, snp=snp)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = features.build(write_folder(tmp_path / "a"), chosen, table, on_cell(table))
    two = features.build(write_folder(tmp_path / "b", distort), chosen, table, on_cell(table))
    train = ~PROFILES.cell_id.isin(held).to_numpy()
    assert (one.cell_x[0][train] == two.cell_x[0][train]).all()
    assert not (one.cell_x[1][train] == two.cell_x[1][train]).all(), (
        "in fold 1 these lines are in training"
    )
    whole = [
        features.build(
            Store(tmp_path / x),
            spec(scaling=scaling, scope="whole_frame"),
            table,
            on_cell(table),
        )
        for x in "ab"
    ]
    assert not (whole[0].cell_x[0][train] == whole[1].cell_x[0][train]).all(), (
        "the whole frame sees held-out lines"
    )


def test_a_held_out_drug_changes_no_training_feature(tmp_path):
    held = {drug for drug in DRUG if int(drug[1:]) % 3 == 0}

    def distort(name, frame):
        if name.startswith("drug_"):
            numbers = frame.columns[1:]
            frame.loc[frame.drug_id.isin(held), numbers] = (
                frame.loc[frame.drug_id.isin(held), numbers] * 3 + 11
            )
        return frame

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    table, chosen = rows(), spec(drug_block="mordred+rdkit_ecfp")
    one = features.build(write_folder(tmp_path / "a"), chosen, table, on_drug(table))
    two = features.build(write_folder(tmp_path / "b", distort), chosen, table, on_drug(table))
    train = ~pd.Series(one.drugs).isin(held).to_numpy()
    assert (one.drug_x[0][train] == two.drug_x[0][train]).all()
    assert not (one.drug_x[1][train] == two.drug_x[1][train]).all()


def test_training_features_are_standardised_on_the_training_profiles_of_each_fold(store):
    table = rows()
    built = features.build(store, spec(scaling="none"), table, on_cell(table))
    for fold in range(3):
        train = PROFILES.cell_id.str[1:].astype(int).to_numpy() % 3 != fold
        np.testing.assert_allclose(built.cell_x[fold][train].mean(axis=0), 0, atol=1e-5)
        assert np.abs(built.cell_x[fold].mean(axis=0)).max() > 1e-3


def test_a_line_of_an_unseen_drug_still_counts_as_training_line(store):
    table = rows()
    by_drug = features.build(store, spec(scaling="none"), table, on_drug(table))
    assert (by_drug.cell_x[0] == by_drug.cell_x[1]).all()
    np.testing.assert_allclose(by_drug.cell_x[0].mean(axis=0), 0, atol=1e-5)


def test_each_study_uses_the_profile_that_the_panel_assigns(store):
    table = rows()
    built = features.build(store, spec(), table, on_cell(table))
    source = PROFILES.profile_source.to_numpy()[built.profile]
    assert (source[table.study == "GDSC"] == "GDSC").all() and (
        source[table.study == "NCI-60"] == "NCI-60"
    ).all()
    borrowed = np.where(table.cell_id.isin(LINES[:45]), "GDSC", "NCI-60")
    ccle = (table.study == "CCLE").to_numpy()
    assert (source[ccle] == borrowed[ccle]).all()


def test_rows_without_a_profile_or_descriptors_are_named_and_refused_by_build(store):
    table = pd.concat(
        [rows(DRUG[10:]), pd.DataFrame(dict(study=["GDSC"], cell_id=["L59"], drug_id=["D00"]))],
        ignore_index=True,
    )
    why = pd.Series(features.usable(store, spec(), table))
    assert why[(table.drug_id == "D11").to_numpy()].unique().tolist() == [
        "the drug has no descriptors"
    ]
    assert (
        why.iloc[-1] == "the line has no profile on panel array"
        and (why[(table.drug_id == "D10").to_numpy()] == "").all()
    )
    with pytest.raises(
        ValueError, match=r"121 row\(s\) cannot be used, first row 1: the drug has no descriptors"
    ):
        features.build(store, spec(), table, on_cell(table))


def test_mutations_come_from_the_lines_own_row_and_gaps_are_marked(store):
    table = rows()
    built = features.build(store, spec(snp="counts"), table, on_cell(table))
    assessed = built.cell_x[:, :, -1]  # after 40 expression genes and 9 mutated ones
    assert (assessed == PROFILES.cell_id.isin(LINES[:50]).to_numpy()).all()
    snp = built.cell_x[0][:, 40:49]
    twice = PROFILES.cell_id.duplicated(keep=False).to_numpy()
    first, second = (
        PROFILES.index[(PROFILES.profile_source == s) & twice] for s in ("GDSC", "NCI-60")
    )
    assert (snp[first] == snp[second]).all() and (snp[~assessed[0].astype(bool)] == 0).all()
    once = ~PROFILES.cell_id.duplicated() & PROFILES.cell_id.isin(LINES[:50])
    once &= PROFILES.cell_id.str[1:].astype(int) % 3 != 0  # the training lines of fold 0, each once
    np.testing.assert_allclose(snp[once].mean(axis=0), 0, atol=1e-6)
    keys, genes, counts = store.mutations("snp_counts")
    order = pd.Index(keys.cell_id).get_indexer(PROFILES.cell_id)
    assert np.corrcoef(counts[order[:45], 4], snp[:45, 4])[0, 1] > 0.99


def test_a_profile_takes_the_mutations_of_its_own_source_where_there_are_any(tmp_path):
    def more(name, frame):
        extra = (
            frame[frame.cell_id.isin(LINES[30:45])].assign(mutation_source="NCI-60")
            if name == "snp_counts"
            else None
        )
        if extra is None:
            return frame
        extra[frame.columns[2:]] += 5
        return pd.concat([frame, extra], ignore_index=True)

    table = rows()
    built = features.build(write_folder(tmp_path, more), spec(snp="counts"), table, on_cell(table))
    column = built.cell_x[0][:, 44]
    two = PROFILES[PROFILES.cell_id.isin(LINES[30:45])]
    by_source = two.assign(value=column[two.index]).pivot(
        index="cell_id", columns="profile_source", values="value"
    )
    assert (by_source["NCI-60"] > by_source["GDSC"]).all()


def test_combat_on_a_panel_of_one_source_is_infeasible_and_the_others_are_not(tmp_path):
    def one_source(name, frame):
        return frame[frame.profile_source == "GDSC"] if name == "profiles_array" else frame

    store = write_folder(tmp_path, one_source)
    assert features.reason(store, spec(scaling="combat")) == (
        "ComBat needs two profile sources, panel 'array' has 'GDSC' only"
    )
    table = rows()[lambda t: t.study == "GDSC"].reset_index(drop=True)
    for scaling in ("none", "source"):
        assert features.build(store, spec(scaling=scaling), table, on_cell(table)).cell_x.shape == (
            3,
            45,
            40,
        )


def test_null_controls_keep_the_shape_and_lose_the_information(store):
    table = rows()
    plain = features.build(store, spec(snp="counts"), table, on_cell(table))
    for control in grid.NULLS:
        null = features.build(
            store, spec(snp="counts", null_control=control), table, on_cell(table)
        )
        genes, snp = slice(0, 40), slice(40, 49)
        same = dict(
            genes=np.array_equal(null.cell_x[..., genes], plain.cell_x[..., genes]),
            snp=np.array_equal(null.cell_x[..., snp], plain.cell_x[..., snp]),
            drugs=np.array_equal(null.drug_x, plain.drug_x),
        )
        assert same == {side: not control.endswith(side) for side in same}, control
        assert null.cell_x.shape == plain.cell_x.shape
        again = features.build(
            store, spec(snp="counts", null_control=control), table, on_cell(table)
        )
        assert np.array_equal(again.cell_x, null.cell_x) and np.array_equal(
            again.drug_x, null.drug_x
        )


@pytest.mark.parametrize("control", grid.NULLS[:-1])
def test_another_draw_of_a_null_control_is_another_control(store, control):
    table = rows()
    draws = [spec(snp="counts", null_control=control + draw) for draw in ("", "_draw2")]
    one, two = (features.build(store, draw, table, on_cell(table)) for draw in draws)
    side = "drug_x" if control.endswith("drugs") else "cell_x"
    assert not np.array_equal(getattr(one, side), getattr(two, side))


def test_a_held_out_drug_is_unknown_to_the_one_hot_control(store):
    table = rows()
    built = features.build(store, spec(null_control="onehot_drugs"), table, on_drug(table))
    held = np.array([int(drug[1:]) % 3 == 0 for drug in built.drugs])
    assert len(np.unique(built.drug_x[0][held], axis=0)) == 1
    assert len(np.unique(built.drug_x[0][~held], axis=0)) == (~held).sum()


def test_blocks_are_read_once_and_again_when_written_again(tmp_path, monkeypatch):
    store, reads = write_folder(tmp_path), []
    from lib import tables

    original = tables.read
    monkeypatch.setattr(
        tables, "read", lambda path, *rest: reads.append(path.name) or original(path, *rest)
    )
    for scaling in ("none", "source"):
        store.drug_block("mordred+rdkit_ecfp")
        features.build(store, spec(scaling=scaling, snp="counts"), rows(), on_cell(rows()))
    assert len(reads) == len(set(reads)) == 5
    assert (
        store.profiles("array")[2] is Store(tmp_path).profiles("array")[2]
        and not store.profiles("array")[2].flags.writeable
    )
    write_folder(tmp_path, seed=1)
    assert store.profiles("array")[2] is not reads and reads.count("profiles_array.parquet") == 2


BAD = {
    "'permuted_snp' needs mutations": dict(null_control="permuted_snp"),
    "gene set 'lincs' on panel 'array': no such level; it has .'all', 'lincs1000', 'oncogenes', 'random_32'": dict(
        rnaseq_set="lincs"
    ),
    "profiles_rnaseq.parquet is not in": dict(panel="rnaseq"),
    "drug_dragon7.parquet is not in": dict(drug_block="mordred+dragon7"),
    "snp_binary.parquet is not in": dict(snp="binary"),
}


@pytest.mark.parametrize("message", BAD)
def test_an_impossible_feature_set_is_refused_in_one_sentence(store, message):
    table = rows()
    with pytest.raises(ValueError, match=message):
        features.build(store, spec(**BAD[message]), table, on_cell(table))
    assert re.search(message, features.reason(store, spec(**BAD[message])))
