"""Which rows and weights a batch has, and which units drop out."""

import numpy as np
import pytest
import torch
from made_problem import problem, spec

from lib.networks import batches, train


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


def test_an_epoch_sees_every_row_and_differs_from_the_next():
    y = torch.rand(500)
    first, second = (batches.epoch_order(0, e, y, 64, "vanilla") for e in (0, 1))
    assert first.shape == (8, 64) and set(first.flatten().tolist()) == set(range(500))
    assert not torch.equal(first, second)


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


def test_what_a_batch_names_is_listed_once_and_found_again_by_each_row():
    rows = torch.tensor([[3, 1, 3, 3, 0], [2, 2, 2, 2, 2]], dtype=torch.int32)
    distinct, place = batches.distinct(rows)
    assert distinct.tolist() == [[0, 1, 3], [2, 0, 0]]
    assert torch.equal(distinct.gather(1, place.long()), rows)
    rng = torch.Generator().manual_seed(0)
    many = torch.randint(300, (4, 512), generator=rng, dtype=torch.int32)
    distinct, place = batches.distinct(many)
    assert distinct.shape[1] == max(len(set(own)) for own in many.tolist())
    assert torch.equal(distinct.gather(1, place.long()), many)
