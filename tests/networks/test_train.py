"""Training in a stack is training alone; runs stop by their own rules; nothing is read that must not be."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from lib.networks import batches, models, train
from lib.paths import DATA
from lib.splits import INNER, TEST, TRAIN, roles
from lib.sweep import grid

OPEN = DATA / "open"


def problem(
    seed=0, n_cells=60, n_drugs=20, p_cell=12, p_drug=8, n_rows=700, split="on_cell", noise=0.02
):
    """A made-up screen: drug offset, cell offset and an interaction of one gene with one descriptor."""
    rng = np.random.default_rng(seed)
    cell, drug = rng.integers(0, n_cells, n_rows), rng.integers(0, n_drugs, n_rows)
    x, d = rng.normal(size=(n_cells, p_cell)), rng.normal(size=(n_drugs, p_drug))
    y = (
        0.6
        + 0.15 * d[drug, 0]
        + 0.1 * x[cell, 0]
        + 0.1 * x[cell, 1] * d[drug, 1]
        + noise * rng.normal(size=n_rows)
    )
    role, _ = roles((cell if split == "on_cell" else drug).astype(str), 3)
    return train.Problem(
        np.stack([x] * 3).astype(np.float32), np.stack([d] * 3).astype(np.float32), cell.astype(np.int32),
        drug.astype(np.int32), np.clip(y, 0.01, 1).astype(np.float32), np.zeros(n_rows, np.int16),
        cell.astype(np.int32), role, ["CCLE"],
    )  # fmt: skip


def spec(**changes):
    held = dict(fold=0, hidden=(16, 8), batch_size=64, max_epochs=4, lr=1e-2)
    return grid.RunSpec.from_dict(grid.DEFAULTS | held | changes)


def alone(p, s, epochs):
    """The run as a plain loop over one module with torch's own optimizer; test predictions after `epochs` epochs."""
    arch = models.Architecture.of(s, p.cell_x.shape[2], p.drug_x.shape[2])
    net = models.SingleNetwork(arch, seed=s.seed, scale=s.init)
    optimizer = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[s.optimizer](
        net.parameters(), lr=s.lr
    )
    rows = np.flatnonzero(p.role[s.fold] == TRAIN)
    cell, drug = (torch.as_tensor(x[s.fold]) for x in (p.cell_x, p.drug_x))
    y = torch.as_tensor(p.y[rows])
    weight = batches.loss_weights(y, s.strategy)
    for epoch in range(epochs):
        for batch in batches.epoch_order(s.seed, epoch, y, s.batch_size, s.strategy):
            picked = rows[batch]
            loss = F.huber_loss(
                net(cell[p.profile[picked]], drug[p.drug[picked]]), y[batch], reduction="none"
            )
            optimizer.zero_grad()
            (loss * weight[batch]).mean().backward()
            optimizer.step()
    test = np.flatnonzero(p.role[s.fold] == TEST)
    return net(cell[p.profile[test]], drug[p.drug[test]]).detach().numpy()


@pytest.mark.parametrize("strategy", ["vanilla", "balanced", "weighted"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("model", ["mlp", "diff_dropout", "gated", "gated_tanh", "gated_softmax"])
def test_a_run_in_a_stack_equals_the_same_run_alone(model, optimizer, strategy):
    p = problem()
    base = dict(model=model, optimizer=optimizer, strategy=strategy)
    stack = [
        spec(**base, seed=3, lr=5e-3),
        spec(**base, seed=4, init=0.1),
        spec(**base | {"strategy": "vanilla"}, seed=5),
    ]
    together = train.train_stack(p, stack)
    for i, s in enumerate(stack):
        by_itself = train.train_stack(p, [s])
        np.testing.assert_allclose(
            together.predicted["test"][i], by_itself.predicted["test"][0], atol=2e-5
        )
        if together.runs[i]["best_epoch"] == 4:
            np.testing.assert_allclose(together.predicted["test"][i], alone(p, s, 4), atol=2e-5)
    assert any(r["best_epoch"] == 4 for r in together.runs)


def test_the_company_of_a_run_changes_nothing_even_with_dropout_and_after_others_leave():
    p = problem()
    mixed = [
        spec(seed=i, dropout=0.1 * i, max_epochs=2 + 3 * i, lr=1e-2 / (i + 1)) for i in range(4)
    ]
    mixed[2:] = [dataclasses.replace(s, patience="tuned", strategy="weighted") for s in mixed[2:]]
    together = train.train_stack(p, mixed)
    assert [r["epochs"] for r in together.runs] == [2, 5, 8, 11]
    for i, s in enumerate(mixed):
        by_itself = train.train_stack(p, [s])
        assert by_itself.runs[0]["best_epoch"] == together.runs[i]["best_epoch"]
        np.testing.assert_allclose(
            together.predicted["test"][i], by_itself.predicted["test"][0], atol=2e-5
        )


@pytest.mark.parametrize("share", [True, False])
def test_gathering_features_equals_projecting_distinct_rows(share, monkeypatch):
    p, s = problem(), spec()
    expected = alone(p, s, 1)
    original = train._Stack.__init__

    def forced(self, *args):
        original(self, *args)
        self.share = [share, share]

    monkeypatch.setattr(train._Stack, "__init__", forced)
    got = train.train_stack(p, [spec(max_epochs=1)]).predicted["test"][0]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_bfloat16_products_stay_close_to_single_precision():
    p, stack = problem(), [spec(seed=1, max_epochs=20), spec(seed=2, max_epochs=20)]
    high, low = (train.train_stack(p, stack, precision=which) for which in ("fp32", "bf16"))
    assert np.abs(high.predicted["test"] - low.predicted["test"]).mean() < 0.01
    assert [r["inner_loss"] for r in low.runs] == pytest.approx(
        [r["inner_loss"] for r in high.runs], rel=0.05
    )


def test_weights_on_columns_that_are_zero_in_the_fold_are_not_counted_as_used():
    p = problem()
    p.cell_x[0, :, :5] = 0
    trained = train.train_stack(p, [spec(max_epochs=1)])
    assert trained.runs[0]["n_parameters"] - trained.runs[0]["n_used"] == 5 * 16


def schedule(losses, **changes):
    s = train._Schedule(spec(max_epochs=400, **changes))
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


def test_each_batch_of_a_balanced_run_is_half_responders_and_no_responder_is_refused():
    y = torch.cat([torch.full((30,), 0.4), torch.full((470,), 0.9)])
    order = batches.epoch_order(0, 0, y, 64, "balanced")
    assert ((y[order] <= 0.5).sum(1) == 32).all()
    used = torch.bincount(order[order < 30], minlength=30)
    assert used.max() - used.min() <= 1
    p = problem()
    p.y = np.maximum(p.y, 0.6)
    with pytest.raises(ValueError, match="0 responders in .* no balanced batches"):
        train.train_stack(p, [spec(strategy="balanced")])


def test_an_epoch_sees_every_row_and_differs_from_the_next():
    y = torch.rand(500)
    first, second = (batches.epoch_order(0, e, y, 64, "vanilla") for e in (0, 1))
    assert first.shape == (8, 64) and set(first.flatten().tolist()) == set(range(500))
    assert not torch.equal(first, second)


def test_loss_weights_favour_responders_have_mean_one_and_a_floor():
    y = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.3])
    weight = batches.loss_weights(y, "weighted")
    torch.testing.assert_close(weight / weight[0], torch.tensor([1.0, 1.0, 0.5, 0.05, 0.05]))
    assert float(weight.mean()) == pytest.approx(1)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.45])
def test_dropout_has_the_stated_rate_keeps_the_mean_and_never_repeats(rate):
    keys = torch.as_tensor(batches.dropout_keys([0, 1, 0], [7], 2)[0, 0])
    scale = batches.dropout_scale(keys, torch.tensor([rate] * 3), 512, 65)
    assert float((scale == 0).float().mean()) == pytest.approx(rate, abs=0.01)
    assert float(scale.mean()) == pytest.approx(1, abs=0.02)
    assert torch.equal(scale[0], scale[2])
    if rate:
        assert float((scale[0] == scale[1]).float().mean()) == pytest.approx(
            rate**2 + (1 - rate) ** 2, abs=0.02
        )
        other = torch.as_tensor(batches.dropout_keys([0, 1, 0], [8], 2)[0, 0])
        assert not torch.equal(
            batches.dropout_scale(other, torch.tensor([rate] * 3), 512, 65), scale
        )
        by_unit = (scale == 0).float().mean((0, 1))
        assert float(by_unit.std()) < 3 * (rate * (1 - rate) / 1024) ** 0.5


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
    """Responses made up for real lines: half of the drugs work better where `gene` is mutated. Features are measured.

    Returns the problem, the count of expression genes, and where `gene` is mutated among its profiles.
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
    with pytest.raises(ValueError, match="do not share fold"):
        train.train_stack(problem(), [spec(), spec(fold=1)])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("model", ["mlp", "diff_dropout", "gated"])
def test_the_gpu_gives_the_result_of_the_cpu(model, optimizer):
    p = problem()
    epochs = [3, 4, 9, 12]
    rates = [0.0, 0.2, 0.45, 0.1]
    held = dict(model=model, optimizer=optimizer)
    stack = [
        spec(seed=i, dropout=r, max_epochs=e, **held)
        for i, (r, e) in enumerate(zip(rates, epochs, strict=True))
    ]
    cpu, gpu = (train.train_stack(p, stack, device=d) for d in ("cpu", "cuda"))
    assert [r["epochs"] for r in gpu.runs] == [r["epochs"] for r in cpu.runs]
    apart = np.abs(
        gpu.predicted["test"] - cpu.predicted["test"]
    )  # sums in another order, grown over the steps
    assert apart.mean() < 1e-4 and apart.max() < 1e-2
    low = train.train_stack(p, stack, device="cuda", precision="bf16")
    assert np.abs(low.predicted["test"] - cpu.predicted["test"]).mean() < 0.01
