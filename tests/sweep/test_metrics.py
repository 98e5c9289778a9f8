"""Scores from sums equal scores from predictions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import tables
from lib.sweep import metrics


def rows(seed=0, n=900, n_cells=60, n_drugs=12):
    """Targets, two models' predictions and mean effects on random rows; for arithmetic only."""
    rng = np.random.default_rng(seed)
    y = np.clip(rng.beta(5, 2, n), 0.01, 1)
    p = np.clip(y + rng.normal(0, 0.15, (2, n)), 0, 1.1)
    study = rng.choice(["CCLE", "GDSC", "NCI-60"], n)
    drug, cell = rng.integers(0, n_drugs, n).astype(str), rng.integers(0, n_cells, n).astype(str)
    return y, p, y.mean() + 0.1 * rng.normal(size=n), study, drug, cell


def scored(y, p, base, study, drug, cell, by=("run_id",)):
    table = metrics.score_rows(["a", "b"], "test", y, p, base, study, drug, cell).assign(
        split="on_cell", fold=0
    )
    return metrics.score(metrics.pool(table, [*by, "split"]))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_metrics_from_sums_equal_scikit_learn_on_raw_predictions(seed):
    from sklearn import metrics as sk

    y, p, base, *names = rows(seed)
    got = scored(y, p, base, *names).set_index("run_id")
    for name, pi in zip("ab", p, strict=True):
        expected = dict(
            rmse=sk.root_mean_squared_error(y, pi),
            r2=sk.r2_score(y, pi),
            pearson=np.corrcoef(y, pi)[0, 1],
            nr2=sk.r2_score(y - base, pi - base),
            npearson=np.corrcoef(y - base, pi - base)[0, 1],
            gain=1 - np.sum((y - pi) ** 2) / np.sum((y - base) ** 2),
            balanced_accuracy=sk.balanced_accuracy_score(y <= 0.5, pi <= 0.5),
            mcc=sk.matthews_corrcoef(y <= 0.5, pi <= 0.5),
            mcc_30=sk.matthews_corrcoef(y <= 0.3, pi <= 0.3),
        )
        for metric, value in expected.items():
            if (y <= 0.3).sum() < 10 and metric == "mcc_30":
                continue
            assert got.loc[name, metric] == pytest.approx(value, abs=1e-11), metric


def test_pooling_studies_equals_scoring_their_union():
    y, p, base, study, drug, cell = rows()
    whole = scored(y, p, base, np.full(len(y), "CCLE"), drug, cell)
    parts = scored(y, p, base, study, drug, cell)
    for name in ("rmse", "r2", "npearson", "mcc", "prevalence"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)


def test_rows_by_drug_add_up_to_rows_by_study():
    y, p, base, study, drug, cell = rows()
    by_study = metrics.score_rows(["a", "b"], "test", y, p, base, study, drug, cell)
    by_drug = metrics.score_rows(["a", "b"], "test", y, p, base, study, drug, cell, by="drug")
    added = by_drug.groupby(["run_id", "study"])[metrics.STATISTICS].sum().to_numpy()
    np.testing.assert_allclose(added, by_study[metrics.STATISTICS].to_numpy(), rtol=1e-12)
    assert (by_drug["n_drugs"] == 1).all() and (by_study["n_drugs"] > 1).all()


def test_score_rows_keep_the_contract_of_the_scores_table():
    y, p, base, *names = rows()
    tables.check(metrics.score_rows(["a", "b"], "test", y, p, base, *names), tables.SCORES)


def test_counts_of_the_split_unit_add_over_folds_and_others_do_not():
    y, p, base, study, drug, cell = rows()
    folds = [
        metrics.score_rows(["a", "b"], "test", y, p, base, study, drug, cell).assign(
            split="on_cell", fold=f
        )
        for f in range(3)
    ]
    one, all_ = (metrics.pool(pd.concat(folds[:k]), ["run_id", "split", "study"]) for k in (1, 3))
    assert (all_["n_cells"] == 3 * one["n_cells"]).all() and (
        all_["n_drugs"] == one["n_drugs"]
    ).all()


def test_lines_of_two_tested_studies_are_not_counted_twice():
    y, p, base, _, drug, cell = rows()
    parts = [
        metrics.score_rows(["a", "b"], "test", y, p, base, np.full(len(y), name), drug, cell)
        for name in ("CCLE", "GDSC")
    ]
    table = pd.concat([part.assign(split="study_out", fold=i) for i, part in enumerate(parts)])
    assert (metrics.pool(table, ["run_id", "split"])["n_cells"] == len(set(cell))).all()


@pytest.mark.parametrize(
    ("split", "n_cells", "n_drugs", "withheld"),
    [
        ("on_cell", 19, 50, True),
        ("on_cell", 20, 1, False),
        ("on_drug", 900, 4, True),
        ("on_drug", 1, 5, False),
    ],
)
def test_a_score_on_too_few_units_is_withheld_with_its_n(split, n_cells, n_drugs, withheld):
    y, p, base, *names = rows()
    pooled = metrics.pool(metrics.score_rows(["a", "b"], "test", y, p, base, *names), "run_id")
    table = metrics.score(pooled.assign(n_cells=n_cells, n_drugs=n_drugs), split)
    assert table["r2"].isna().all() == withheld and table["mcc"].isna().all() == withheld
    assert table["reason"].str.contains("n too small").all() == withheld


def test_classification_needs_ten_of_each_class():
    y, p, base, *names = rows()
    y = np.where(np.arange(len(y)) < 9, 0.4, np.maximum(y, 0.6))
    table = scored(y, p, base, *names)
    assert table["mcc"].isna().all() and table["r2"].notna().all()
    assert table["reason_50"].str.contains("9 responders").all()


def test_mean_effects_have_gain_and_normalised_correlation_zero():
    y, p, base, *names = rows()
    table = scored(y, np.stack([base, base]), base, *names)
    np.testing.assert_allclose(table[["npearson", "gain"]], 0, atol=1e-12)


def test_a_constant_target_has_a_reason_and_no_r2():
    y, p, base, *names = rows()
    table = scored(np.full_like(y, 0.8), p, base, *names)
    assert table["r2"].isna().all() and (table["reason"] == "constant target").all()


@pytest.mark.parametrize("hole", ["target", "prediction", "mean effect"])
@pytest.mark.parametrize("folds", [1, 3])
def test_a_missing_number_is_never_a_perfect_score(hole, folds):
    rng = np.random.default_rng(0)
    parts = []
    for fold in range(folds):
        y = rng.random(60)
        p = y[None] + 0.1
        base = np.full(60, 0.5)
        if fold == 0:
            {"target": y, "prediction": p[0], "mean effect": base}[hole][3] = np.nan
        names = [np.array([f"{i % n}" for i in range(60)], object) for n in (1, 10, 30)]
        parts.append(metrics.score_rows(["a"], "test", y, p, base, *names).assign(fold=fold))
    pooled = metrics.pool(pd.concat(parts).assign(split="on_cell"), ["run_id", "split"])
    scored = metrics.score(pooled).iloc[0]
    assert scored[["r2", "rmse", "gain", "npearson", "mcc", "balanced_accuracy"]].isna().all()
    assert scored.reason == scored.reason_50 == metrics.MISSING
