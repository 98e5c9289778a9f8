"""Rows of each batch, their weights in the loss, and dropped units: all from the run's own seed.

Nothing here depends on the other runs of a stack or on the device, so a run's result does not
depend on which runs share its stack. Strategies are the paper's (section 4.5.2): vanilla; batches
half responders, half not; loss times (1 - y).
"""

import functools

import numpy as np
import torch

from lib.paper import RESPONDER

WEIGHT_FLOOR = 0.05  # of the weight 1 - y: a row with AUC 1 still counts a little


def n_batches(n_rows, batch_size):
    """Batches per epoch; the last one is filled up from the start of the epoch's order."""
    return -(-n_rows // batch_size)


def epoch_order(seed, epoch, y, batch_size, strategy):
    """Positions of the training rows in each batch of one epoch.

    Parameters
    ----------
    seed, epoch : int
    y : float tensor of shape (n_train,)
        Target AUC of the training rows.
    batch_size : int
    strategy : {"vanilla", "weighted", "balanced"}
        `balanced` fills half of each batch with responders, each used equally often; it needs rows
        of both classes (`train.impossible` refuses other runs).

    Returns
    -------
    int64 tensor of shape (n_batches, batch_size)
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch + 1)
    n = n_batches(len(y), batch_size)
    if strategy != "balanced":
        return _shuffled(torch.arange(len(y)), n * batch_size, generator).view(n, batch_size)
    is_responder = y <= RESPONDER
    half = batch_size // 2
    parts = []
    for rows, size in ((is_responder, half), (~is_responder, batch_size - half)):
        shuffled = _shuffled(rows.nonzero()[:, 0], n * size, generator)
        parts.append(shuffled.view(n, size))
    return torch.cat(parts, dim=1)


def _shuffled(rows, n, generator):
    """n rows in random order, each as often as the others (give or take one)."""
    order = rows[torch.randperm(len(rows), generator=generator)]
    return order.repeat(-(-n // len(rows)))[:n]


def distinct(rows):
    """What the batch of each run names, once, and where each of its rows finds it.

    Parameters
    ----------
    rows : int32 tensor of shape (k, n_rows)

    Returns
    -------
    distinct : int32 tensor of shape (k, m)
        The distinct values of each run; runs with fewer than `m` end in zeros. On CUDA, where a
        recorded step needs one shape, `rows` as they are.
    place : int32 tensor of shape (k, n_rows)
        `distinct.gather(1, place)` is `rows`.
    """
    if rows.device.type == "cuda":
        place = torch.arange(rows.shape[1], dtype=rows.dtype, device=rows.device)
        return rows, place.expand_as(rows)
    ordered, order = rows.sort(1)
    is_new = torch.zeros_like(ordered)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    position = is_new.cumsum(1)
    found = torch.zeros(len(rows), int(position.max()) + 1, dtype=rows.dtype)
    found.scatter_(1, position, ordered)
    place = torch.zeros_like(rows).scatter_(1, order, position.to(rows.dtype))
    return found, place


def loss_weights(y, strategy):
    """Weight of each training row in the loss, with mean 1.

    `weighted` is the paper's loss times (1 - y), with y clipped to [0, 1] and the weight floored,
    so that rows without any response do not vanish.
    """
    if strategy != "weighted":
        return torch.ones_like(y)
    weight = (1 - y.clip(0, 1)).clip(min=WEIGHT_FLOOR)
    return weight / weight.mean()


def dropout_keys(seeds, steps, n_layers):
    """One 32-bit key per training step, layer and run, mixed from step, layer and the run's seed.

    Returns
    -------
    int32 ndarray of shape (len(steps), n_layers, len(seeds))
    """
    seed = np.asarray(seeds, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    layer = np.arange(n_layers, dtype=np.uint64)[:, None] * np.uint64(0xD1B54A32D192ED03)
    step = np.asarray(steps, np.uint64)[:, None, None] + np.uint64(1)
    key = seed + layer + step * np.uint64(0x8CB92BA72F3D8DD7)
    key = (key ^ (key >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return (key >> np.uint64(32)).astype(np.uint32).view(np.int32)


def dropout_scale(keys, rates, n_rows, width):
    """Multipliers of hidden units: 0 for dropped ones, 1 / (1 - rate) for the others.

    A counter hashed with the run's key decides each unit (the 32-bit finaliser "lowbias32" of C.
    Wellons), 16 bits a unit, so rates are exact to 1/65536 and no generator state has to be kept or
    moved.

    Parameters
    ----------
    keys : int32 tensor of shape (k,)
    rates : float32 tensor of shape (k,)
    n_rows, width : int

    Returns
    -------
    float32 tensor of shape (k, n_rows, width)
    """
    n = n_rows * width
    bits = _counter(-(-n // 2), keys.device) + keys[:, None]
    bits ^= (bits >> 16) & 0xFFFF
    bits *= 0x7FEB352D
    bits ^= (bits >> 15) & 0x1FFFF
    bits *= -2073254261  # 0x846ca68b
    bits ^= (bits >> 16) & 0xFFFF
    units = bits.view(torch.int16)[:, :n].float()  # two per 32 bits, -32768 to 32767
    first_kept = (rates * 65536).round()[:, None] - 32768
    # Arithmetic on whole numbers: comparisons are ten times slower.
    kept = units.sub_(first_kept - 1).clamp_(0, 1)
    return kept.mul_(1 / (1 - rates)[:, None]).view(-1, n_rows, width)


@functools.lru_cache(maxsize=16)
def _counter(n, device):
    return torch.arange(n, dtype=torch.int32, device=device) * -1640531527
