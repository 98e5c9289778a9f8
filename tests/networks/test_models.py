"""A stack of networks computes what each network alone computes."""

import pytest
import torch
from made_problem import SingleNetwork

from lib.networks import models
from lib.sweep import grid


def spec(model="mlp", hidden=(32, 16), dropout=0.0):
    return grid.RunSpec.from_dict(
        grid.DEFAULTS | dict(fold=0, model=model, hidden=hidden, dropout=dropout)
    )


@pytest.mark.parametrize(
    "hidden", [(16, 8), (32, 16), (64, 32), (256, 128, 64), (1000, 500, 250, 125, 60, 30)]
)
@pytest.mark.parametrize("model", grid.NETWORKS)
def test_parameter_counts_of_all_architectures_agree_within_5_per_cent(model, hidden):
    for p_cell, p_drug in ((500, 1613), (942, 5270), (64, 2048)):
        reference = models.Architecture.of(spec("mlp", hidden), p_cell, p_drug).n_parameters
        count = models.Architecture.of(spec(model, hidden), p_cell, p_drug).n_parameters
        assert abs(count - reference) <= 0.05 * reference


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("model", grid.NETWORKS)
def test_a_stack_predicts_what_single_networks_predict(model, shared):
    arch, seeds, k, n = models.Architecture.of(spec(model), 7, 5), [3, 1, 4], 3, 40
    rng = torch.Generator().manual_seed(0)
    cells, drugs = torch.randn(9, 7, generator=rng), torch.randn(6, 5, generator=rng)
    rows_c, rows_d = (
        torch.randint(9, (k, n), generator=rng),
        torch.randint(6, (k, n), generator=rng),
    )
    weights = models.initial_weights(arch, seeds, [1.0] * k)
    sides = [models.first_layer(weights["cell"], cells, rows_c, shared)]
    sides += [models.first_layer(weights["drug"], drugs, rows_d, shared)]
    got = models.forward(arch, weights, *sides)
    for i, seed in enumerate(seeds):
        alone = SingleNetwork(arch, seed)(cells[rows_c[i]], drugs[rows_d[i]])
        torch.testing.assert_close(got[i], alone, rtol=1e-5, atol=1e-6)


def test_the_mlp_is_an_ordinary_sequence_of_linear_layers():
    arch = models.Architecture.of(spec(hidden=(8, 4)), 7, 5)
    net, x, d = SingleNetwork(arch, 2), torch.randn(11, 7), torch.randn(11, 5)
    layers = [torch.nn.Linear(12, 8), torch.nn.Linear(8, 4), torch.nn.Linear(4, 1)]
    with torch.no_grad():
        layers[0].weight.copy_(torch.cat([net.cell, net.drug], 1)), layers[0].bias.copy_(net.bias0)
        layers[1].weight.copy_(net.weight1.T), layers[1].bias.copy_(net.bias1)
        layers[2].weight.copy_(net.weight2.T), layers[2].bias.copy_(net.bias2)
    plain = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    torch.testing.assert_close(net(x, d), plain(torch.cat([x, d], 1)).squeeze(-1))
    assert arch.n_parameters == sum(p.numel() for p in plain.parameters())


def test_differential_dropout_falls_linearly_to_zero_at_the_output():
    assert models.dropout_rates(spec("diff_dropout", (64, 32, 16), 0.45)) == pytest.approx(
        [0.45, 0.30, 0.15]
    )
    assert models.dropout_rates(spec("mlp", (64, 32, 16), 0.45)) == [0.45] * 3


def test_initial_weights_depend_on_the_own_seed_alone():
    arch = models.Architecture.of(spec(), 7, 5)
    alone, stacked = (
        models.initial_weights(arch, [5], [1.0]),
        models.initial_weights(arch, [9, 5], [1.0, 1.0]),
    )
    for name, tensor in alone.items():
        torch.testing.assert_close(stacked[name][1], tensor[0], rtol=0, atol=0)
        assert not torch.equal(stacked[name][0], tensor[0])
