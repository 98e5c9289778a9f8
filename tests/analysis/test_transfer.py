"""A study teaches on its own rows only, and is tested on lines that no study trained on."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib import splits
from lib.analysis import transfer


@pytest.fixture(scope="module")
def table():
    """Three studies of shared lines: B is A shifted, C its reverse with one drug of its own."""
    rng, rows = np.random.default_rng(0), []
    drug_mean, slope = rng.uniform(0.5, 0.9, 9), rng.normal(0, 0.05, (9, 4))
    z = rng.normal(size=(150, 4))
    for study, lines, shift, sign in (
        ("A", range(0, 110), 0, 1),
        ("B", range(40, 150), 0.2, 1),
        ("C", range(0, 150), 0, -1),
    ):
        for line in lines:
            for drug in range(8 + (study == "C")):
                auc = drug_mean[drug] + sign * slope[drug] @ z[line] + rng.normal(0, 0.01) - shift
                rows.append((study, f"c{line}", f"d{drug}", line, drug, auc))
    frame = pd.DataFrame(rows, columns=["study", "cell_id", "drug_id", "cell", "drug", "auc"])
    return frame.assign(donor=frame["cell_id"]), z


@pytest.fixture(scope="module")
def found(table):
    frame, z = table
    role, names = transfer.study_roles(frame["study"], frame["donor"], frame["drug_id"])
    problem = SimpleNamespace(
        cell_x=np.stack([z] * len(names)),
        drug_x=np.zeros((len(names), 9, 1)),
        profile=frame["cell"].to_numpy(),
        drug=frame["drug"].to_numpy(),
        y=frame["auc"].to_numpy(),
        study=pd.factorize(frame["study"])[0],
        cell=frame["cell"].to_numpy(),
        role=role,
    )
    return transfer.scores_between(problem, frame, names).set_index(
        ["model", "trained_on", "tested_on"]
    )


def test_no_test_line_is_trained_on_in_any_study(table):
    frame, _ = table
    role, names = transfer.study_roles(frame["study"], frame["donor"], frame["drug_id"])
    tested = set(frame["donor"][(role == splits.TEST).any(axis=0)])
    used = set(frame["donor"][((role == splits.TRAIN) | (role == splits.INNER)).any(axis=0)])
    assert names == ["A", "B", "C"] and not tested & used


def test_a_study_teaches_on_its_own_rows_and_is_asked_about_its_own_drugs(table):
    frame, _ = table
    role, names = transfer.study_roles(frame["study"], frame["donor"], frame["drug_id"])
    for own, name in zip(role, names, strict=True):
        assert set(frame["study"][(own == splits.TRAIN) | (own == splits.INNER)]) == {name}
    assert "d8" not in set(frame["drug_id"][role[0] == splits.TEST])
    assert "d8" in set(frame["drug_id"][role[2] == splits.TEST])


def test_what_carries_over_is_the_shared_truth_and_a_shift_costs_r2_but_not_correlation(found):
    ridge = found.loc["ridge"]
    assert ridge.loc[("A", "A"), "r2"] > 0.9
    assert ridge.loc[("A", "B"), "pearson"] > 0.9 and ridge.loc[("A", "B"), "r2"] < 0.5
    assert ridge.loc[("A", "C"), "npearson"] < -0.5
    assert found.loc[("drug_mean", "A", "A"), "r2"] < ridge.loc[("A", "A"), "r2"]


def test_a_study_of_few_lines_or_of_one_drug_does_not_teach():
    study = np.r_[np.full(90, "A"), np.full(20, "B")]
    donor = np.r_[np.arange(90), np.arange(20)].astype(str)
    drug = np.array(["d", "e"] * 55)
    assert transfer.study_roles(study, donor, drug)[1] == ["A"]
    assert transfer.study_roles(study, donor, np.where(study == "A", "d", drug))[1] == []


def test_without_a_teaching_study_the_matrix_is_empty_with_its_columns(table):
    role, names = transfer.study_roles(["A"] * 6, list("abcdef"), ["d"] * 6)
    assert names == [] and role.shape == (0, 6)
    empty = transfer.scores_between(SimpleNamespace(role=role), table[0], names)
    assert empty.empty and "trained_on" in empty


def test_one_study_alone_has_no_other_to_teach():
    made = transfer.transfer(None, pd.DataFrame(dict(study=["CCLE"] * 3)), None)
    assert made.empty and {"trained_on", "tested_on", "pearson", "recipe"} <= set(made)


def test_networks_on_a_held_out_study_stand_beside_ridge_and_the_baselines(tmp_path):
    """Made-up runs of the split `study_out`: each fold holds one study out, none twice."""
    import made_sweep

    from lib.analysis import configurations, headline

    sweep = dict(
        split="study_out",
        n_folds=3,
        cohort="all",
        hidden=[[8]],
        lr=[0.1, 0.2],
        baselines=["mean_effects", "ridge"],
    )
    made_sweep.write(tmp_path, sweep, skill=lambda spec: 0.6)
    best = headline.headline(headline.predictors(configurations.load(tmp_path)))
    found = transfer.held_out_studies(best)
    assert set(found["trained_on"]) == {transfer.OTHERS}
    assert sorted(set(found["tested_on"])) == list(made_sweep.STUDIES)
    assert found.groupby("tested_on")["n"].nunique().eq(1).all()  # every predictor on the same rows
    wide = found.pivot(index="tested_on", columns="model", values="pearson")
    assert (wide["network, chosen by inner score"] > wide["ridge"]).all() and (
        wide["ridge"] > wide["mean_effects"]
    ).all()
    assert {(r["kind"], r["metric"]) for r in found["recipe"]} == {("pool", "pearson")}


def test_a_sweep_without_that_split_adds_no_row(tmp_path):
    from lib.analysis import configurations, headline

    found = transfer.held_out_studies(
        headline.headline(headline.predictors(configurations.load(tmp_path)))
    )
    assert found.empty and "trained_on" in found
