"""Runs stop by their own rules, learn what is there to learn, and never read test rows."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from made_problem import problem, spec
from torch.nn import functional as F

from lib.networks import train
from lib.paths import DATA
from lib.splits import INNER, TEST, TRAIN, roles

OPEN = DATA / "open"


def schedule(losses, **changes):
    s = train.Schedule(spec(max_epochs=400, **changes))
    for loss in losses:
        s.update(0.1, loss)
        if s.status:
            break
    return s


def test_under_the_papers_patience_the_rate_never_falls():
    s = schedule([1.0] + [2.0] * 100, patience="paper")
    assert (s.status, s.epochs, s.best_epoch, s.lr) == ("early_stop", 11, 1, 1e-2)


def test_under_the_tuned_patience_the_rate_falls_by_a_quarter_before_the_stop():
    s = schedule([1.0] + [2.0] * 100, patience="tuned")
    assert (s.status, s.epochs, s.best_epoch) == ("early_stop", 26, 1)
    assert s.lr == pytest.approx(1e-2 * 0.75**2)
    assert [lr for *_, lr in s.curve].index(
        0.75e-2
    ) == 10  # nine stale epochs after the first, then a smaller rate


def test_a_run_that_keeps_improving_ends_at_the_epoch_cap():
    s = schedule(0.9 ** np.arange(400.0))
    assert (s.status, s.epochs, s.best_epoch) == ("epoch_cap", 400, 400)


def test_the_weights_of_the_best_inner_epoch_are_kept():
    p = problem(noise=0.3, n_rows=250)
    trained = train.train_stack(p, [spec(max_epochs=60, lr=3e-2)])
    curve = np.array([inner for _, _, inner, _ in trained.curves[0]])
    assert trained.runs[0]["best_epoch"] == curve.argmin() + 1 < len(curve)
    y = torch.as_tensor(p.y[trained.rows["inner"]])
    loss = F.huber_loss(torch.as_tensor(trained.predicted["inner"][0]), y)
    assert float(loss) == pytest.approx(curve.min(), rel=1e-4)


def test_test_rows_decide_nothing():
    p, q = problem(), problem()
    q.y = np.where(q.role[0] == TEST, 0.0, q.y).astype(np.float32)
    a, b = (train.train_stack(x, [spec()]) for x in (p, q))
    np.testing.assert_array_equal(a.predicted["test"], b.predicted["test"])


def test_under_selection_paper_the_test_rows_stop_and_choose():
    p = problem()
    p.role[0][p.role[0] == INNER] = TRAIN
    with pytest.raises(ValueError, match="0 validation rows"):
        train.train_stack(p, [spec()])
    trained = train.train_stack(p, [spec(selection="paper")])
    np.testing.assert_array_equal(trained.rows["inner"], trained.rows["test"])


def test_a_diverging_run_is_a_row_and_its_neighbours_go_on():
    p, good = problem(), spec(seed=1, optimizer="sgd")
    bad = spec(seed=2, optimizer="sgd", lr=1e30)
    trained = train.train_stack(p, [bad, good])
    assert (
        trained.runs[0]["status"] == "diverged"
        and "not finite in epoch" in trained.runs[0]["reason"]
    )
    assert np.isnan(trained.predicted["test"][0]).all()
    np.testing.assert_allclose(
        trained.predicted["test"][1], train.train_stack(p, [good]).predicted["test"][0], atol=2e-5
    )


def test_a_network_learns_64_rows_by_heart():
    p = problem(n_rows=64, n_cells=200, n_drugs=50, noise=0.2)
    for name in ("profile", "drug", "y", "study", "cell"):
        setattr(p, name, np.tile(getattr(p, name), 2))
    p.role = np.tile(np.repeat([TRAIN, TEST], 64), (3, 1)).astype(
        np.int8
    )  # the same rows train and stop
    s = spec(hidden=(64, 32), max_epochs=400, lr=3e-3, selection="paper", patience="tuned")
    trained = train.train_stack(p, [s])
    assert np.mean((p.y[:64] - trained.predicted["test"][0]) ** 2) < 1e-3 * p.y.var()


def test_shuffled_targets_score_zero():
    p = problem(n_rows=1500, noise=0.0)
    p.y = np.random.default_rng(0).permutation(p.y)
    trained = train.train_stack(p, [spec(max_epochs=50, lr=3e-3)])
    y = p.y[trained.rows["test"]]
    assert 1 - np.mean((y - trained.predicted["test"][0]) ** 2) / y.var() < 0.05


def test_a_real_effect_scores_far_above_zero():
    p = problem(n_rows=4000, n_cells=300, noise=0.0)
    trained = train.train_stack(p, [spec(max_epochs=100, lr=3e-3, patience="tuned")])
    y = p.y[trained.rows["test"]]
    assert 1 - np.mean((y - trained.predicted["test"][0]) ** 2) / y.var() > 0.6


def planted(gene="KRAS", n_drugs=12, n_genes=64, effect=0.5, seed=0):
    """Made-up responses of real lines: half of the drugs work better where `gene` is mutated.

    The features are measured.

    Returns the problem, the count of expression genes, and where `gene` is mutated among its
    profiles.
    """
    counts = pd.read_parquet(OPEN / "mutation" / "ccle_hybrid_capture_counts.parquet").set_index(
        "cell_name"
    )
    rna = (
        pd.read_parquet(OPEN / "expression" / "ccle_rnaseq.parquet")
        .set_index("depmap_id")
        .drop(columns="origin")
    )
    lines = pd.read_csv(OPEN / "cells" / "cell_map.csv").drop_duplicates("depmap_id")
    lines = lines[
        lines.cell_name.isin(counts.index[counts[gene].notna()]) & lines.depmap_id.isin(rna.index)
    ]
    counts = counts.loc[lines.cell_name].fillna(0)
    rng = np.random.default_rng(seed)
    often = counts.columns[(counts > 0).sum() >= 20].difference([gene])
    genes = [gene, *rng.choice(often, n_genes - 1, replace=False)]
    x = np.hstack([rna.loc[lines.depmap_id].to_numpy(), counts[genes].to_numpy()])
    x = ((x - x.mean(0)) / x.std(0).clip(1e-6)).clip(-3, 3)  # hypermutated lines stand far out
    cell, drug = (
        a.ravel() for a in np.meshgrid(np.arange(len(x)), np.arange(n_drugs), indexing="ij")
    )
    d = np.hstack([np.arange(n_drugs)[:, None] % 2, rng.normal(size=(n_drugs, 5))])
    mutated = counts[gene].to_numpy() > 0
    y = (
        0.7
        + 0.05 * d[drug, 1]
        - effect * d[drug, 0] * mutated[cell]
        + 0.03 * rng.normal(size=len(cell))
    )
    role, _ = roles(cell.astype(str), 3)
    code = [a.astype(np.int32) for a in (cell, drug)]
    both = [np.stack([a] * 3).astype(np.float32) for a in (x, d)]
    study = np.zeros(len(y), np.int16)
    made_up = train.Problem(*both, *code, y.astype(np.float32), study, code[0], role, ["CCLE"])
    return made_up, rna.shape[1], mutated


@pytest.mark.skipif(not OPEN.exists(), reason="the open panel is not in this checkout")
def test_a_planted_snp_effect_on_real_features_is_found_by_the_networks_that_see_mutations():
    p, n_rna, mutated = planted()
    error, effect = {}, {}
    for snp in (True, False):
        seen = dataclasses.replace(p, cell_x=p.cell_x if snp else p.cell_x[..., :n_rna])
        run = spec(
            hidden=(32, 16), batch_size=256, max_epochs=80, optimizer="sgd", lr=0.1, init=0.1
        )
        trained = train.train_stack(seen, [run])
        rows, found = trained.rows["test"], trained.predicted["test"][0]
        error[snp] = np.mean((p.y[rows] - found) ** 2) / p.y[rows].var()
        aimed_at, hit = p.drug[rows] % 2 == 1, mutated[p.profile[rows]]
        effect[snp] = found[aimed_at & ~hit].mean() - found[aimed_at & hit].mean()
    assert error[True] < 0.65 < 0.75 < error[False], (
        "the rest of the transcriptome tells a little about the gene"
    )
    assert effect[True] > 0.2 > 0.15 > effect[False]


def test_faults_of_a_problem_are_named():
    p = problem()
    p.cell_x[1, 4, 2] = np.nan
    with pytest.raises(ValueError, match=r"cell_x has 1 row\(s\) not finite, first 4"):
        p.check()
    p = problem()
    p.y[:] = 0.8
    with pytest.raises(ValueError, match="constant target 0.8 in the training rows of fold 0"):
        train.train_stack(p, [spec()])
    p = problem()
    p.y = (0.5 + 0.01 * p.drug).astype(np.float32)
    p.drug_x[:] = 0
    p = dataclasses.replace(p, study=p.drug.astype(np.int16))
    with pytest.raises(ValueError, match="nothing is left of the target in fold 0 after .* study"):
        train.train_stack(p, [spec(offset="study+drug")])
    with pytest.raises(ValueError, match="do not share fold"):
        train.train_stack(problem(), [spec(), spec(fold=1)])


def test_runs_that_nothing_tells_apart_are_asked_once(monkeypatch):
    asked = []
    p = problem()
    monkeypatch.setattr(train, "impossible", lambda _, s: asked.append(s) or s.strategy)
    runs = [spec(seed=seed, strategy=name) for seed in (1, 2) for name in ("vanilla", "balanced")]
    found = train.impossible_runs(p, runs)
    assert found == {s.run_id: s.strategy for s in runs} and len(asked) == 2
