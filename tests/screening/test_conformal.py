"""Intervals: what they promise on exchangeable groups, and that they see where errors are large."""

import numpy as np
import pandas as pd
import pytest

from lib.screening import conformal


def rows(n_drugs=400, n=20, seed=0, kind="new drug", size=lambda p: 0.05 + 0 * p, fold=None):
    """Drugs with an error of their own each, so that rows of one drug are alike."""
    rng = np.random.default_rng(seed)
    drug = np.repeat(np.arange(n_drugs), n)
    predicted = rng.uniform(0.2, 0.9, n_drugs)[drug] + 0.02 * rng.normal(size=n_drugs * n)
    error = (0.8 * rng.normal(size=n_drugs)[drug] + 0.6 * rng.normal(size=len(drug))) * size(
        predicted
    )
    table = pd.DataFrame({"drug_id": drug.astype(str), "predicted": predicted})
    table = table.assign(auc=predicted + error, kind=kind, study="GDSC")
    table = table.assign(donor=[f"c{i % 37}" for i in range(len(table))])
    return table.assign(cell_id=table.donor, fold=drug % 3 if fold is None else fold)


@pytest.mark.parametrize("level", conformal.LEVELS)
def test_intervals_reach_their_level_on_new_groups(level):
    made = conformal.Calibration(rows(seed=1))
    new = rows(seed=2)
    low, high = made.interval(new.predicted, level)
    held = new.auc.between(low, high).groupby(new.drug_id).mean().mean()
    assert held == pytest.approx(level, abs=0.03)


def test_a_drug_with_many_rows_counts_once():
    """A thousand rows of one easy drug beside many hard ones: rows alone would narrow intervals."""
    hard = rows(100, 5, seed=3)
    easy = pd.concat([hard.iloc[[0]].assign(drug_id="easy")] * 20_000).assign(auc=hard.predicted[0])
    together = conformal.Calibration(pd.concat([hard, easy], ignore_index=True))
    alone = conformal.Calibration(hard)
    p = np.array([0.5])
    widths = [np.diff(made.interval(p, 0.8), axis=0) for made in (together, alone)]
    assert widths[0] > 0.9 * widths[1]


def test_intervals_are_wide_where_errors_are():
    made = conformal.Calibration(rows(seed=4, size=lambda p: 0.01 + 0.15 * (p < 0.5)))
    new = rows(seed=5, size=lambda p: 0.01 + 0.15 * (p < 0.5))
    low, high = made.interval(new.predicted, 0.9)
    width = (high - low)[new.predicted < 0.35].mean(), (high - low)[new.predicted > 0.7].mean()
    assert width[0] > 3 * width[1]


def test_beyond_the_usual_predictions_errors_are_those_at_the_limit():
    """A cubic would promise anything there, and hits are drawn from there."""
    made = conformal.Calibration(rows(seed=13, size=lambda p: 0.02 + 0.2 * p * (1 - p)))
    at_limit, beyond = made.expected([made.usual[0], made.usual[0] - 0.3])
    assert at_limit == beyond


def test_the_best_are_the_first_percent_of_their_kind():
    table = pd.concat([rows(seed=14), rows(seed=15, kind="new line").assign(predicted=5.0)])
    table = table.reset_index(drop=True)
    found = pd.Series(conformal.best(table)).groupby(table.kind).value_counts()
    assert found["new drug", "best 1%"] == 80 and found["new drug", "best 5% but 1%"] == 320
    assert found["new line"].to_dict() == {"others": 8000}


def test_more_confidence_is_never_narrower_and_ends_stay_within_the_area():
    made = conformal.Calibration(rows(seed=6, size=lambda p: 0.3 + 0 * p))
    p = np.linspace(0, 1, 50)
    ends = [made.interval(p, level) for level in conformal.LEVELS]
    for (low, high), (lower, higher) in zip(ends, ends[1:], strict=False):
        assert (lower <= low).all() and (higher >= high).all()
    assert min(low.min() for low, _ in ends) >= 0 and max(high.max() for _, high in ends) <= 1


def test_few_groups_promise_nothing_they_cannot_keep():
    made = conformal.Calibration(rows(8, 50, seed=7))
    low, high = made.interval([0.5], 0.95)
    assert (low, high) == (0, 1)


def test_each_fold_is_scored_by_the_others():
    """One fold with large errors: its rows are missed, as its own errors did not widen them."""
    table = rows(300, 10, seed=8)
    table.loc[table.fold == 2, "auc"] += 0.4
    crossed = conformal.cross(table)
    held = crossed.auc.between(crossed["low_90%"], crossed["high_90%"]).groupby(crossed.fold).mean()
    assert held[2] < 0.3 and held[0] > 0.9 and len(crossed) == len(table)


def test_coverage_counts_rows_and_groups_by_every_way_asked_for():
    crossed = conformal.cross(pd.concat([rows(seed=9), rows(seed=10, kind="new line")]))
    groups = {"all": "all", "predicted": conformal.tenths(crossed.predicted)}
    table = conformal.coverage(conformal.grouped(crossed, groups))
    assert set(table.kind) == {"new drug", "new line"}
    whole = table[(table["by"] == "all") & (table.level == 0.9) & (table.kind == "new drug")].iloc[
        0
    ]
    part = crossed[crossed.kind == "new drug"]
    assert whole.reached == part.auc.between(part["low_90%"], part["high_90%"]).mean()
    assert whole.n == 8000 and whole.n_drugs == 400
    tenths = table[(table["by"] == "predicted") & (table.level == 0.9)]
    assert tenths.n.sum() == len(crossed)


def test_a_study_that_no_network_saw_is_scored_by_the_calibration_of_its_kind():
    shifted = conformal.shifted(rows(seed=11), rows(seed=12))
    held = shifted.auc.between(shifted["low_90%"], shifted["high_90%"]).mean()
    assert held == pytest.approx(0.9, abs=0.04)


def test_without_a_study_held_out_coverage_is_an_empty_table():
    nothing = conformal.shifted(rows(seed=11).iloc[:0], rows(seed=12))
    table = conformal.coverage(conformal.grouped(nothing, {"study held out": nothing.study}))
    assert len(table) == 0 and table.columns.tolist() == conformal.COVERAGE
