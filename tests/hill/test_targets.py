"""What a mean alone scores on each target: known variance shares come back, too few keys do not."""

import numpy as np
import pandas as pd
import pytest

from lib.hill import targets


def screen(between, n_lines=120, n_drugs=60, seed=0):
    """A screen whose drugs hold a known share of the variance of `y`, and `z` without any."""
    rng = np.random.default_rng(seed)
    line, drug = (grid.ravel() for grid in np.mgrid[:n_lines, :n_drugs])
    effect = rng.normal(0, np.sqrt(between), n_drugs)[drug]
    noise = rng.normal(0, np.sqrt(1 - between), len(line))
    rows = pd.DataFrame(dict(line=line.astype(str), drug=drug.astype(str), study="GDSC"))
    return rows.assign(y=0.55 + 0.1 * (effect + noise), z=0.55 + 0.1 * noise)


@pytest.mark.parametrize("between", [0.2, 0.5, 0.8])
def test_the_mean_of_a_drug_scores_the_share_of_the_variance_between_drugs(between):
    table = targets.scores_without_features(screen(between), ["y", "z"])
    found = table.set_index(["target", "split"])
    known = found.loc[("y", "on_cell")]
    assert known.r2 == pytest.approx(between, abs=0.08)
    assert known.variance_between == pytest.approx(known.r2, abs=0.03)
    assert known.rmse == pytest.approx(known.sd * np.sqrt(1 - known.r2))
    assert known.pearson**2 == pytest.approx(known.r2, abs=0.01)
    assert abs(found.loc[("z", "on_cell")].r2) < 0.02
    assert found.loc[("y", "on_drug")].r2 < 0.05  # lines differ in nothing


def test_a_target_that_holds_the_drugs_range_scores_higher_on_the_same_curves():
    rows = screen(0.3)
    drug = rows.drug.astype(int)
    rows["fixed"] = (rows.y + drug / drug.max()) / 2
    found = targets.scores_without_features(rows, ["y", "fixed"]).query("split == 'on_cell'")
    assert found.r2.iloc[1] > found.r2.iloc[0] + 0.2 and found.mcc.iloc[1] > found.mcc.iloc[0]


def test_studies_are_scored_apart_and_too_few_keys_get_a_reason():
    few = screen(0.5, n_lines=30, n_drugs=2, seed=1).assign(study="CTRP")
    table = targets.scores_without_features(pd.concat([screen(0.5), few]), ["y"])
    found = table.set_index(["study", "split"])
    assert found.loc[("GDSC", "on_cell")].n == 120 * 60
    assert found.loc[("CTRP", "on_drug")].reason == "n too small (2 drugs)"
    assert np.isnan(found.loc[("CTRP", "on_drug")].r2)
    assert found.loc[("CTRP", "on_cell")].n_drugs == 2


def test_a_row_without_a_target_is_left_out_of_that_target_alone():
    rows = screen(0.5)
    rows.loc[:99, "z"] = np.nan
    n = targets.scores_without_features(rows, ["y", "z"]).groupby("target").n.first()
    assert (n.y, n.z) == (120 * 60, 120 * 60 - 100)


def test_areas_of_fits_are_medians_of_the_same_rows(made):
    made = made.assign(auc_common=made.auc / 2, auc1=[0.5, 0.7, np.nan, 0.4, 0.3, 0.2])
    rows = targets.areas_of_fits(
        made, made.set_index("cell_id").assign(d="d").d.groupby(level=0).first()
    )
    assert len(rows) == 3 and set(rows.line) == {"d"}  # no control, no row without auc1
    assert rows.auc.tolist()[0] == pytest.approx(0.3) and rows.auc1.tolist()[0] == 0.6


def test_published_areas_stand_beside_one_another_where_there_are_no_fits(made):
    made = made.assign(auc=np.nan, auc_tested=np.linspace(0.2, 0.7, len(made)))
    made["auc_published_curve"] = made.auc_tested.where(made.index > 1)
    rows = targets.areas_of_fits(made, pd.Series("d", made.cell_id.unique()))
    assert list(rows.columns[4:]) == ["auc_published_curve", "auc_tested"]
    assert rows.notna().all().all() and len(rows) < made.groupby(["cell_id", "drug_id"]).ngroups + 1
