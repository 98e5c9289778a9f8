"""A run trained in a stack is the run trained alone, whichever runs share its stack."""

import dataclasses

import numpy as np
import pytest
import torch
from made_problem import alone, problem, spec

from lib.networks import models, stack, train
from lib.splits import TRAIN
from lib.sweep import grid


@pytest.mark.parametrize("share", [True, False])
def test_gathering_features_equals_projecting_distinct_rows(share, monkeypatch):
    p, s = problem(), spec()
    expected = alone(p, s, 1)
    original = stack.Stack.__init__

    def forced(self, *args):
        original(self, *args)
        self.share = {"cell": share, "drug": share}

    monkeypatch.setattr(stack.Stack, "__init__", forced)
    got = train.train_stack(p, [spec(max_epochs=1)]).predicted["test"][0]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("hidden", [(16, 8), (512, 256)])
def test_bfloat16_products_stay_close_to_single_precision(hidden):
    p, runs = problem(), [spec(seed=i, hidden=hidden, max_epochs=20) for i in (1, 2)]
    high, low = (train.train_stack(p, runs, precision=which) for which in ("fp32", "bf16"))
    assert np.abs(high.predicted["test"] - low.predicted["test"]).mean() < 0.01
    assert [r["inner_loss"] for r in low.runs] == pytest.approx(
        [r["inner_loss"] for r in high.runs], rel=0.05
    )


def test_wide_layers_run_in_low_precision_on_the_processor_alone():
    arch = models.Architecture.of(spec(hidden=(512, 256, 8)), 7, 5)
    cpu, cuda = (stack.low_precision(arch, torch.device(kind)) for kind in ("cpu", "cuda"))
    assert (cpu, cuda) == (["cell", "drug", "weight1"], ["cell", "drug"])


@pytest.mark.parametrize(("n", "pays"), [(181, True), (700, False), (1500, False)])
def test_a_product_is_shared_where_a_batch_names_nearly_every_row(n, pays):
    assert stack.pays_to_share(n, 512, torch.device("cpu")) == pays


def test_weights_on_columns_that_are_zero_in_the_fold_are_not_counted_as_used():
    p = problem()
    p.cell_x[0, :, :5] = 0
    trained = train.train_stack(p, [spec(max_epochs=1)])
    assert trained.runs[0]["n_parameters"] - trained.runs[0]["n_used"] == 5 * 16


@pytest.mark.parametrize("strategy", ["vanilla", "balanced", "weighted"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("model", grid.NETWORKS)
def test_a_run_in_a_stack_equals_the_same_run_alone(model, optimizer, strategy):
    p = problem()
    base = dict(model=model, optimizer=optimizer, strategy=strategy)
    runs = [
        spec(**base, seed=3, lr=5e-3),
        spec(**base, seed=4, init=0.1),
        spec(**base | {"strategy": "vanilla"}, seed=5),
    ]
    together = train.train_stack(p, runs)
    for i, s in enumerate(runs):
        by_itself = train.train_stack(p, [s])
        np.testing.assert_allclose(
            together.predicted["test"][i], by_itself.predicted["test"][0], atol=2e-5
        )
        if together.runs[i]["best_epoch"] == 4:
            np.testing.assert_allclose(together.predicted["test"][i], alone(p, s, 4), atol=2e-5)
    assert any(r["best_epoch"] == 4 for r in together.runs)


SOUND = dict(offset="study+drug", target_scale=0.1, weight_decay=1.0, input_dropout=0.5)


@pytest.mark.parametrize("change", [{}, {"input_dropout": 0.0}, {"offset": "none"}])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("model", ["mlp", "gated"])
def test_the_sound_recipe_in_a_stack_equals_a_plain_loop_with_torchs_adamw(
    model, optimizer, change
):
    p = problem()
    wanted = SOUND | {"model": model, "optimizer": optimizer} | change
    wanted["weight_decay"] = 1.0 if optimizer == "adam" else 0.0  # torch's SGD has no decoupled one
    runs = [spec(**wanted, seed=seed, lr=2e-3, max_epochs=3) for seed in (3, 4)]
    together = train.train_stack(p, runs)
    assert all(run["best_epoch"] == 3 for run in together.runs)
    for i, s in enumerate(runs):
        np.testing.assert_allclose(together.predicted["test"][i], alone(p, s, 3), atol=2e-5)


def test_runs_of_a_stack_keep_their_own_weight_decay_after_some_leave():
    p = problem()
    runs = [spec(seed=1, weight_decay=d, max_epochs=m) for d, m in ((0.0, 2), (3.0, 5), (1.0, 5))]
    together = train.train_stack(p, runs)
    for i, s in enumerate(runs):
        by_itself = train.train_stack(p, [s])
        np.testing.assert_allclose(
            together.predicted["test"][i], by_itself.predicted["test"][0], atol=2e-5
        )


def test_a_network_with_an_offset_starts_at_the_effects_that_a_test_row_can_know():
    p = problem()
    trained = train.train_stack(p, [spec(**SOUND, lr=1e-9, max_epochs=1)])
    base = p.base(0, "study+drug")[trained.rows["test"]]
    np.testing.assert_allclose(trained.predicted["test"][0], base, atol=1e-6)


def test_an_offset_reads_no_row_but_those_of_training():
    p = problem()
    before = p.base(0, "study+drug")
    p.y = np.where(p.role[0] == TRAIN, p.y, 0.0).astype(np.float32)
    np.testing.assert_array_equal(p.base(0, "study+drug"), before)


def test_which_runs_share_a_stack_changes_nothing_even_with_dropout_and_after_some_leave():
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("model", ["mlp", "diff_dropout", "gated"])
def test_the_gpu_gives_the_result_of_the_cpu(model, optimizer):
    p = problem()
    epochs = [3, 4, 9, 12]
    rates = [0.0, 0.2, 0.45, 0.1]
    held = dict(model=model, optimizer=optimizer)
    runs = [
        spec(seed=i, dropout=r, max_epochs=e, **held)
        for i, (r, e) in enumerate(zip(rates, epochs, strict=True))
    ]
    cpu, gpu = (train.train_stack(p, runs, device=d) for d in ("cpu", "cuda"))
    assert [r["epochs"] for r in gpu.runs] == [r["epochs"] for r in cpu.runs]
    apart = np.abs(
        gpu.predicted["test"] - cpu.predicted["test"]
    )  # sums in another order, grown over the steps
    assert apart.mean() < 1e-4 and apart.max() < 1e-2
    low = train.train_stack(p, runs, device="cuda", precision="bf16")
    assert np.abs(low.predicted["test"] - cpu.predicted["test"]).mean() < 0.01
