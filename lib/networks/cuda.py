"""Kernels for CUDA, in Triton: the update of a stack; a layer's sum, ReLU and dropout in one pass.

Both are bound by memory; written as single torch operations they would move the same numbers
several times and start a hundred small kernels per step. Imported on CUDA only.
"""

import torch
import triton
import triton.language as tl

BLOCK = 1024


@triton.jit
def _update_kernel(weight, gradient, first, second, low, rates, bias, n, beta1, beta2, eps,
                   ADAM: tl.constexpr, LOW: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    run = tl.program_id(1)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = column < n
    at = run.to(tl.int64) * n + column
    step = tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32)
    if ADAM:
        mean = tl.load(first + at, mask=inside, other=0.0)
        square = tl.load(second + at, mask=inside, other=0.0)
        mean = mean + (1 - beta1) * (step - mean)
        square = beta2 * square + (1 - beta2) * step * step
        tl.store(first + at, mean, mask=inside)
        tl.store(second + at, square, mask=inside)
        step = (mean / tl.load(bias)) / (tl.sqrt(square / tl.load(bias + 1)) + eps)
    new = tl.load(weight + at, mask=inside, other=0.0) - tl.load(rates + run) * step
    tl.store(weight + at, new, mask=inside)
    if LOW:
        tl.store(low + at, new.to(low.dtype.element_ty), mask=inside)


def update(weight, gradient, first=None, second=None, *, rates, bias, betas, eps, low=None):
    """Adam (with both moments) or plain gradient descent (without), in place.

    Parameters
    ----------
    weight, first, second : contiguous float32 tensors of shape (k, ...)
    gradient : contiguous tensor of the same shape, any precision
    rates : float32 tensor of shape (k,)
    bias : float32 tensor of shape (2,)
        1 - beta ** count for both moments.
    betas, eps : pair of float, float
        Adam's decay rates and the number that keeps it from dividing by zero.
    low : tensor of the same shape, optional
        Copy in low precision, written along.
    """
    k, n = len(weight), weight[0].numel()
    none = weight  # stands for a pointer that is not followed
    _update_kernel[(triton.cdiv(n, BLOCK), k)](
        weight, gradient, none if first is None else first, none if second is None else second,
        none if low is None else low, rates, bias, n, *betas, eps,
        ADAM=first is not None, LOW=low is not None, BLOCK=BLOCK,
    )  # fmt: skip


@triton.jit
def _activate_kernel(
    one, two, bias, keys, rates, out, n, width, TWO: tl.constexpr, BLOCK: tl.constexpr
):
    run = tl.program_id(1)
    unit = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < n
    at = run.to(tl.int64) * n + unit
    total = tl.load(one + at, mask=inside, other=0.0).to(tl.float32)
    if TWO:
        total += tl.load(two + at, mask=inside, other=0.0).to(tl.float32)
    total += tl.load(bias + run * width + unit % width, mask=inside, other=0.0)
    # The counter hash of batches.dropout_scale: one 32-bit word holds two units.
    bits = (unit >> 1).to(tl.uint32) * 2654435769 + tl.load(keys + run).to(tl.uint32, bitcast=True)
    bits ^= bits >> 16
    bits *= 0x7FEB352D
    bits ^= bits >> 15
    bits *= 0x846CA68B
    bits ^= bits >> 16
    half = (bits >> ((unit & 1).to(tl.uint32) * 16)) & 0xFFFF
    value = ((half ^ 0x8000).to(tl.int32)) - 32768  # as a signed 16-bit number
    rate = tl.load(rates + run)
    kept = value.to(tl.float32) >= tl.floor(rate * 65536 + 0.5) - 32768
    tl.store(out + at, tl.where(kept, tl.maximum(total, 0.0) / (1 - rate), 0.0), mask=inside)


@triton.jit
def _back_kernel(out, gradient, rates, found, n, BLOCK: tl.constexpr):
    run = tl.program_id(1)
    unit = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < n
    at = run.to(tl.int64) * n + unit
    alive = tl.load(out + at, mask=inside, other=0.0) > 0
    slope = tl.load(gradient + at, mask=inside, other=0.0) / (1 - tl.load(rates + run))
    tl.store(found + at, tl.where(alive, slope, 0.0).to(found.dtype.element_ty), mask=inside)


class _Activate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, bias, keys, rates, *parts):
        # The kernels walk memory and ignore strides.
        one, two = parts[0].contiguous(), parts[-1].contiguous()
        bias, keys, rates = bias.contiguous(), keys.contiguous(), rates.contiguous()
        out = torch.empty_like(one, dtype=torch.float32)
        n = out[0].numel()
        _activate_kernel[(triton.cdiv(n, BLOCK), len(out))](
            one, two, bias, keys, rates, out, n, out.shape[2], TWO=len(parts) == 2, BLOCK=BLOCK
        )
        ctx.save_for_backward(out, rates)
        ctx.dtype, ctx.n_parts = one.dtype, len(parts)
        return out

    @staticmethod
    def backward(ctx, gradient):
        out, rates = ctx.saved_tensors
        found, n = torch.empty_like(out, dtype=ctx.dtype), out[0].numel()
        _back_kernel[(triton.cdiv(n, BLOCK), len(out))](
            out, gradient.contiguous(), rates, found, n, BLOCK=BLOCK
        )
        return found.sum(1, dtype=torch.float32), None, None, *[found] * ctx.n_parts


def activate(parts, bias, keys, rates):
    """Sum of one or two products and a bias, ReLU, dropout: one pass forward, one back.

    Parameters
    ----------
    parts : list of one or two tensors of shape (k, n_rows, width)
        Of one precision.
    bias : float32 tensor of shape (k, width)
    keys : int32 tensor of shape (k,)
    rates : float32 tensor of shape (k,)

    Returns
    -------
    float32 tensor of shape (k, n_rows, width)
    """
    return _Activate.apply(bias, keys, rates, *parts)
