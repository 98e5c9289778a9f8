"""Scores of the rare responders equal scikit-learn's and simple counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.analysis import imbalance


def rows(seed, n=400):
    rng = np.random.default_rng(seed)
    y = rng.beta(4, 1.5, n)
    return y, np.round(y + rng.normal(0, 0.2, n), 2)  # rounded, so that there are ties


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_average_precision_equals_scikit_learns(seed):
    from sklearn.metrics import average_precision_score

    y, p = rows(seed)
    curve, average = imbalance.precision_recall(y, p)
    assert average == pytest.approx(average_precision_score(y <= 0.5, -p))
    assert curve.recall.is_monotonic_increasing and curve.recall.iloc[-1] == 1


def test_a_perfect_order_is_enriched_as_far_as_it_can_be_and_a_constant_not_at_all():
    y = np.r_[np.full(10, 0.2), np.full(990, 0.9)]
    assert imbalance.enrichment(y, y) == pytest.approx(100)
    assert imbalance.enrichment(y, np.zeros(1000)) == pytest.approx(1)
    assert imbalance.enrichment(y, -y) == 0


def test_enrichment_of_a_whole_list_is_one():
    y, p = rows(3)
    assert imbalance.enrichment(y, p, share=1.0) == pytest.approx(1)


def test_tail_error_sees_responders_only():
    y, p = np.array([0.2, 0.4, 0.9]), np.array([0.3, 0.4, 0.0])
    assert imbalance.tail_rmse(y, p) == pytest.approx(np.sqrt(0.01 / 2))
    assert np.isnan(imbalance.tail_rmse(y + 1, p))


def test_the_cheapest_threshold_moves_with_the_costs():
    y, p = rows(5)
    table = imbalance.cost_curve(y, p)
    best = table[table.best].groupby(["cost_false", "cost_missed"]).threshold.mean()
    assert best[(10, 1)] < best[(1, 1)] < best[(1, 10)]
    at = table[(table.threshold == 0.5) & (table.cost_false == 1) & (table.cost_missed == 1)].iloc[
        0
    ]
    assert at.cost == pytest.approx(np.mean((p <= 0.5) != (y <= 0.5)))


def test_prevalence_counts_responders_per_drug_and_study():
    pairs = pd.DataFrame(
        dict(study=["CCLE"] * 3 + ["GDSC"], drug_id=list("aabb"), auc=[0.5, 0.51, 0.2, 0.9])
    )
    table = imbalance.prevalence(pairs).set_index(["study", "drug_id"])
    assert table.loc[("CCLE", "a")].tolist() == [2, 1, 0.5]
    assert table.loc[("GDSC", "b"), "prevalence"] == 0 and table.prevalence.iloc[0] == 1
    assert imbalance.prevalence(pairs, 0.2, ["study"]).n_responders.tolist() == [1, 0]


def test_no_responder_gives_no_number():
    curve, average = imbalance.precision_recall([0.9, 0.8], [0.1, 0.2])
    assert (
        len(curve) == 0
        and np.isnan(average)
        and np.isnan(imbalance.enrichment([0.9, 0.8], [0.1, 0.2]))
    )
