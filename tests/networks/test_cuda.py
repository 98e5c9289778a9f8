"""The CUDA kernels compute what the plain operations compute.

Without a device Triton's interpreter can run them (TRITON_INTERPRET=1, with triton installed); else
they are skipped.
"""

import os

import pytest
import torch

from lib.networks import batches, models, optimizers

pytestmark = pytest.mark.gpu
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and not os.environ.get("TRITON_INTERPRET"):
    pytest.skip("no CUDA device", allow_module_level=True)


@pytest.mark.parametrize("shape", [(3, 40, 37), (2, 5), (1, 2000)])
@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_the_update_takes_the_steps_of_torchs_own_optimizer(name, low, shape):
    torch.manual_seed(0)
    weight, rates = torch.randn(shape, device=DEVICE), [10.0**-i for i in range(1, shape[0] + 1)]
    expected = [w.clone().requires_grad_() for w in weight]
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name]
    peers = [kind([w], lr=lr) for w, lr in zip(expected, rates, strict=True)]
    copies = {"w": weight.bfloat16()} if low else {}
    stacked = optimizers.AllAtOnce(name, {"w": weight}, copies, [0.0] * len(weight))
    stacked.set_rates(rates)
    for _ in range(5):
        gradient = torch.randn(shape, device=DEVICE)
        stacked.step({"w": gradient})
        for w, g, peer in zip(expected, gradient, peers, strict=True):
            w.grad = g.clone()
            peer.step()
    torch.testing.assert_close(weight, torch.stack(expected).detach(), rtol=1e-5, atol=1e-5)
    if low:
        torch.testing.assert_close(copies["w"].float(), weight, rtol=2**-7, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("n_parts", [1, 2])
def test_activation_and_its_gradient_equal_the_plain_operations(n_parts, dtype):
    k, n, width = 3, 70, 33
    torch.manual_seed(1)
    keys = torch.as_tensor(batches.dropout_keys([4, 5, 6], [9], 1)[0, 0], device=DEVICE)
    rates = torch.tensor([[0.0, 0.3], [0.2, 0.3], [0.45, 0.3]], device=DEVICE).T[
        0
    ]  # not contiguous
    parts = [
        torch.randn(k, n, width, device=DEVICE, dtype=dtype, requires_grad=True)
        for _ in range(n_parts)
    ]
    bias = torch.randn(k, width, device=DEVICE, requires_grad=True)
    weight = torch.randn(k, n, width, device=DEVICE)
    results = []
    for fused in (True, False):
        if fused:
            hidden = optimizers.fused().activate(parts, bias, keys, rates)
        else:
            hidden = models.relu(0, parts, bias) * batches.dropout_scale(keys, rates, n, width)
        gradients = torch.autograd.grad((hidden * weight).sum(), [*parts, bias])
        results.append([hidden, *gradients])
    tolerance = dict(rtol=1e-5, atol=1e-5) if dtype == torch.float32 else dict(rtol=2e-2, atol=5e-2)
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, **tolerance)
    assert torch.equal(results[0][0] == 0, results[1][0] == 0)
