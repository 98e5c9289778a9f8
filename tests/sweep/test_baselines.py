"""Naive predictors recover what they claim, and the evaluation chain gives the field's number on
CCLE.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib import effects, splits
from lib.paths import DATA
from lib.sweep import baselines

CCLE = DATA / "open" / "published" / "ccle.parquet"


def problem(seed=0, n_cells=80, n_drugs=14, n_genes=200, split="on_cell"):
    """Responses = drug offset + cell offset + drug-specific effect of two genes + noise; for tests
    only.
    """
    rng = np.random.default_rng(seed)
    cell, drug = (
        a.ravel() for a in np.meshgrid(np.arange(n_cells), np.arange(n_drugs), indexing="ij")
    )
    x, d = rng.normal(size=(n_cells, n_genes)), rng.normal(size=(n_drugs, 6))
    offset = 0.1 * d[:, 0] + 0.6
    y = offset[drug] + 0.03 * rng.normal(size=n_cells)[cell] + 0.02 * rng.normal(size=len(cell))
    y += 0.1 * (x[cell, :2] * rng.normal(size=(n_drugs, 2))[drug]).sum(1)
    role, _ = splits.roles((cell if split == "on_cell" else drug).astype(str), 3)
    base = dict(
        cell_x=np.stack([x] * 3), drug_x=np.stack([d] * 3), profile=cell, drug=drug, cell=cell, y=y
    )
    return SimpleNamespace(**base, study=np.zeros(len(y), int), role=role)


def r2(p, name):
    """Pooled over the test rows of all folds."""
    predicted = np.zeros(len(p.y))
    for fold in range(len(p.role)):
        test = p.role[fold] == splits.TEST
        predicted[test] = baselines.predict(name, p, fold)[test]
    return 1 - np.sum((p.y - predicted) ** 2) / np.sum((p.y - p.y.mean()) ** 2)


def test_backfitting_equals_least_squares_on_an_unbalanced_table(monkeypatch):
    monkeypatch.setattr(effects, "SHRINK", 0.0)
    monkeypatch.setattr(effects, "TOLERANCE", 1e-12)
    rng = np.random.default_rng(1)
    n, codes = 400, [rng.integers(0, 9, 400), rng.integers(0, 25, 400)]
    y = rng.normal(size=n)
    design = np.hstack([np.eye(9)[codes[0]], np.eye(25)[codes[1]]])
    expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    got = effects.additive(y, codes, np.arange(n))
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_an_unseen_level_gets_offset_zero(monkeypatch):
    monkeypatch.setattr(effects, "SHRINK", 0.0)
    y, codes = np.array([1.0, 2.0, 3.0, 9.0]), [np.array([0, 1, 1, 2])]
    got = effects.additive(y, codes, np.arange(3))
    np.testing.assert_allclose(got, [1, 2.5, 2.5, 2])


def test_test_rows_never_move_a_prediction():
    p = problem()
    for name in baselines.BASELINES:
        before = baselines.predict(name, p, 0)
        p.y = np.where(p.role[0] == splits.TEST, 0.0, p.y)
        np.testing.assert_array_equal(baselines.predict(name, p, 0), before)
        p = problem()


def test_ridge_finds_the_expression_effect_on_unseen_cells():
    p = problem(n_genes=20)
    assert r2(p, "ridge") > r2(p, "mean_effects") + 0.1


def test_ridge_finds_the_descriptor_effect_on_unseen_drugs():
    p = problem(n_drugs=90, n_cells=30, split="on_drug")
    assert r2(p, "ridge") > r2(p, "mean_effects") + 0.2


def test_ridge_on_noise_is_no_worse_than_mean_effects():
    p = problem()
    p.cell_x = np.random.default_rng(5).normal(size=p.cell_x.shape)
    assert r2(p, "ridge") > r2(p, "mean_effects") - 0.02


def test_components_have_the_singular_values_of_the_training_rows(monkeypatch):
    x, train = np.random.default_rng(2).normal(size=(30, 50)), np.arange(20)
    monkeypatch.setattr(baselines, "N_COMPONENTS", 5)
    z = baselines.components(x, train)
    centred = x[train] - x[train].mean(0)
    expected = np.linalg.svd(centred, compute_uv=False)[:5]
    np.testing.assert_allclose(
        np.linalg.norm(z[train], axis=0) / np.linalg.norm(z[train, 0]), expected / expected[0]
    )


def test_an_empty_fold_is_refused():
    p = problem()
    p.role[0] = splits.TEST
    with pytest.raises(ValueError, match="fold 0 has no training rows"):
        baselines.predict("drug_mean", p, 0)


@pytest.mark.skipif(not CCLE.exists(), reason="the open panel is not in this checkout")
def test_mean_effects_on_unseen_ccle_cells_give_the_known_r2_of_0_71():
    frame = pd.read_parquet(CCLE)
    y = 1 - frame.act_area.to_numpy() / 8  # activity area: 0 to 8 doses' worth of inhibition
    cell, drug = pd.factorize(frame.ccle_name)[0], pd.factorize(frame.drug_name)[0]
    role, _ = splits.roles(frame.ccle_name.astype(str).to_numpy(), 3)
    p = SimpleNamespace(y=y, cell=cell, drug=drug, study=np.zeros(len(y), int), role=role)
    assert r2(p, "mean_effects") == pytest.approx(0.71, abs=0.02)
    assert r2(p, "drug_mean") == pytest.approx(0.71, abs=0.02)
    assert r2(p, "global_mean") == pytest.approx(0, abs=0.02)


def test_boosted_trees_find_an_effect_that_no_effect_of_drug_or_line_holds():
    p = problem(n_genes=20)
    p.y = p.y + 0.2 * (p.cell_x[0][p.profile, 0] * p.drug_x[0][p.drug, 0] > 0)
    gain = r2(p, "boosted_trees") - r2(p, "mean_effects")
    assert gain > 0.1
