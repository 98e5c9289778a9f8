"""A cutoff's price is counted right, and a predictor that says nothing earns nothing."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import balanced_accuracy_score

from lib.analysis import configurations, costs, headline


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    y = rng.uniform(0.2, 1.0, 400)
    return y, np.clip(y + rng.normal(0, 0.15, 400), 0.05, 1.0)


def test_the_curve_equals_scikit_learn_at_every_cutoff(rows, monkeypatch):
    y, p = rows
    monkeypatch.setattr(costs, "AT", np.array([0.3, 0.5, 0.7]))
    curve = costs.cost_curve(y, p)
    known = [balanced_accuracy_score(y <= 0.5, p <= cutoff) for cutoff in (0.3, 0.5, 0.7)]
    assert_allclose(curve["balanced_accuracy"], known)


def test_costs_are_counted_row_by_row(rows, monkeypatch):
    y, p = rows
    monkeypatch.setattr(costs, "AT", np.array([0.6]))
    false_positive, false_negative = ((y > 0.5) & (p <= 0.6)).sum(), ((y <= 0.5) & (p > 0.6)).sum()
    nobody, everybody = (y <= 0.5).sum() * 1.0, (y > 0.5).sum() * 5.0
    curve = costs.cost_curve(y, p)
    known = (5 * false_positive + false_negative) / min(nobody, everybody)
    assert_allclose(curve["precision medicine"], known)


def test_a_perfect_predictor_costs_nothing_and_a_constant_one_earns_nothing(rows):
    y, _ = rows
    assert costs.cost_curve(y, y)["virtual screen"].min() == 0
    assert costs.cost_curve(y, np.full(400, 0.8))[list(costs.USES)].min().min() >= 1 - 1e-12


def test_screening_wants_a_more_generous_cutoff_than_medicine(rows):
    curve = costs.cost_curve(*rows)
    best = {use: curve.loc[curve[use].idxmin(), "cutoff"] for use in costs.USES}
    assert best["virtual screen"] > best["precision medicine"]


def test_too_few_responders_are_said_in_the_table():
    rows = pd.DataFrame(dict(y=np.r_[np.full(4, 0.3), np.full(96, 0.9)], p=0.8))
    table = costs.priced(rows)
    assert "4 responders" in table["reason"].iloc[0] and table["n_responders"].iloc[0] == 4
    assert table["cutoff"].isna().all()


def test_a_sweep_without_predictions_has_an_empty_table(tmp_path):
    ledger = configurations.load(tmp_path)
    found = costs.curves(ledger, headline.headline(headline.predictors(ledger)))
    assert found.empty and {"split", "predictor", "reason", *costs.USES} <= set(found)
