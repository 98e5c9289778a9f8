"""Training speed: stacks of networks, a plain loop done well, and a resident loop over one model.

All three train the same networks on the same rows with the same batch size, in one process, on
random numbers of the stated shapes (speed does not depend on the values; nothing here is data). The
limits of the machine are measured in the same run: the products, in the shapes in which they are
used, and copies. `python -m benchmarks.bench_train --device cuda` runs it on an accelerator.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import processor
from lib.networks import batches, models, stack, train
from lib.splits import INNER, TEST, TRAIN
from lib.sweep import grid, run

BATCH = 512
SOUND = grid.RECIPES["sound"] | dict(dropout=0.2, offset="study")  # one study: costs the same
GRID_RUNS = 42_768
AVX2 = dict(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2")  # what torch and oneDNN may use
# Of the larger cohort, as its group counts them; two thirds train, a fifth of those stop.
ROWS = 530_000
EPOCHS = 50  # mean assumed


@dataclass(frozen=True)
class Size:
    """Shapes of a training problem and its networks."""

    name: str
    n_profiles: int
    p_cell: int
    n_drugs: int
    p_drug: int
    n_rows: int
    hidden: tuple
    stack: int


DEMO = {
    d: Size("demo", 800, 500, 173, 1240, 12_288, (64, 32), k)
    for d, k in (("cpu", 16), ("cuda", 64))
}
# 942 landmark genes, 5,270 Dragon descriptors, the widths of the paper group's published network:
# 6.9 million weights
PAPER = {d: Size("paper", 1500, 942, 1500, 5270, n, (1000, 500, 250, 125, 60, 30), k) for d, n, k in
         (("cpu", 8192, 2), ("cuda", 20_480, 12))}  # fmt: skip


def problem(size, seed=0):
    """Random numbers of a size, as a `train.Problem` of one fold."""
    rng = np.random.default_rng(seed)
    n = size.n_rows + size.n_rows // 4
    profile, drug = (
        rng.integers(0, m, n).astype(np.int32) for m in (size.n_profiles, size.n_drugs)
    )
    x, d = (rng.standard_normal((1, m, p), np.float32) for m, p in
            ((size.n_profiles, size.p_cell), (size.n_drugs, size.p_drug)))  # fmt: skip
    role = np.full((1, n), TRAIN, np.int8)
    role[0, size.n_rows :] = INNER
    role[0, -8:] = TEST
    return train.Problem(x, d, profile, drug, rng.random(n, np.float32), profile * 0, profile, role)


def specs(size, k, **changes):
    """k runs that differ in their seeds."""
    held = dict(n_folds=2, fold=0, hidden=size.hidden, model="mlp") | changes
    return [grid.RunSpec.from_dict(grid.DEFAULTS | held | dict(seed=i)) for i in range(k)]


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(call, device, repeats=3):
    """Shortest of some timings of a call that has been made once before."""
    call()
    found = []
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        call()
        wait(device)
        found.append(time.perf_counter() - started)
    return min(found)


def bandwidth(device):
    """Measured copying [bytes/s, read plus written]."""
    source = torch.randn(2**28 if device == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)
    return 8 * len(source) / seconds(lambda: target.copy_(source), device, 10)


def product_rate(rows, p, width, device, dtype):
    """Measured FLOP/s of a layer's product and its gradient, in the shape in which they are used."""
    x = torch.randn(rows, p, device=device).to(dtype)
    weight = torch.randn(width, p, device=device).to(dtype)
    gradient = torch.randn(rows, width, device=device).to(dtype)

    def both():
        torch.mm(x, weight.T)
        torch.mm(gradient.T, x)

    return 4 * rows * p * width / seconds(both, device, 10)


class Stacked:
    """One epoch of a stack of k networks."""

    def __init__(self, size, k, device, precision, **changes):
        p, runs = problem(size), specs(size, k, **changes)
        stack.prepare_device(device, precision)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        arch, fold = models.Architecture.of(runs[0], size.p_cell, size.p_drug), stack.Fold(p, 0)
        target = p.base(0, runs[0].offset), runs[0].target_scale
        rows = stack.Rows(fold, np.flatnonzero(p.role[0] == TRAIN), device, dtype, *target)
        inner = np.flatnonzero(p.role[0] == INNER)
        self.inner = stack.Rows(fold, inner, device, torch.float32, *target)
        self.stack = stack.Stack(arch, runs, fold.weights(arch, runs), rows, dtype)
        self.rates, self.arch, self.rows = [s.lr for s in runs], arch, rows
        self.samples = k * self.stack.n_batches * runs[0].batch_size
        self.prepared = self.stack.prepare(0)

    def epoch(self):
        self.stack.epoch(self.prepared, self.rates)

    def evaluate(self):
        stack.predict(self.arch, self.stack.weights, self.inner)

    def rows_of(self, side):
        """Rows of the first layer's product of one run: distinct profiles or drugs."""
        if self.stack.share[side]:
            return len(self.rows.x[side])
        named = self.rows.of[side][self.prepared[0][0].to(self.rows.y.device)]
        return batches.distinct(named)[0].shape[1]

    def limit(self):
        """FLOP/s of the drugs' first product, in its shape."""
        rows, k, width = self.rows_of("drug"), len(self.rates), self.arch.widths[0]
        joined = k * width if self.stack.share["drug"] else width
        x = self.rows.x["drug"]
        return product_rate(rows, x.shape[1], joined, x.device.type, x.dtype)

    def work(self):
        """FLOP and bytes that a step of one network cannot do without.

        Three products per layer (two for the first, whose inputs need no gradient); weights and
        both moments read and written once, the gradient written and read once in the precision of
        the product.
        """
        a, batch, h = self.arch, self.stack.specs[0].batch_size, self.arch.widths[0]
        trunk = a.n_parameters - h * (a.p_cell + a.p_drug)
        first = self.rows_of("cell") * a.p_cell + self.rows_of("drug") * a.p_drug
        flop = 4 * h * first + 6 * batch * trunk
        per_weight = 24 + 2 * (2 if self.stack.low else 4) if self.stack.optimizer.moments else 12
        return flop, per_weight * a.n_parameters


def network(size):
    """The same network as a plain sequence of layers."""
    widths = (size.p_cell + size.p_drug, *size.hidden)
    layers = [
        m for a, b in zip(widths, widths[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU())
    ]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1), nn.Flatten(0))


def loader_loop(size, device, steps, batch=BATCH, workers=2):
    """Samples per second of plain PyTorch: TensorDataset, DataLoader with two workers."""
    p = problem(size)
    rows = np.arange(min(size.n_rows, (steps + 4) * batch))
    x = np.concatenate([p.cell_x[0][p.profile[rows]], p.drug_x[0][p.drug[rows]]], axis=1)
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(p.y[rows]))
    options = dict(
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        pin_memory=device == "cuda",
        drop_last=True,
    )
    net, loss = network(size).to(device), nn.HuberLoss()
    optimizer, started, n = torch.optim.Adam(net.parameters(), lr=8e-4), None, 0
    for x, y in torch.utils.data.DataLoader(data, **options):
        x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        loss(net(x), y).backward()
        optimizer.step()
        n += 1
        if n == 4:  # the workers have started and the device is warm
            wait(device)
            started = time.perf_counter()
    wait(device)
    return (n - 4) * batch / (time.perf_counter() - started)


def resident_loop(size, device, precision, steps, batch=BATCH):
    """Samples per second of one model: features on the device, gathered by index, fused Adam."""
    p = problem(size)
    cell, drug, y = (torch.as_tensor(x, device=device) for x in (p.cell_x[0], p.drug_x[0], p.y))
    profile_of, drug_of = (torch.as_tensor(x, device=device) for x in (p.profile, p.drug))
    net, loss = network(size).to(device), nn.HuberLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=8e-4, fused=True)
    cast = torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16")

    def some():
        for rows in torch.randperm(size.n_rows, device=device).split(batch)[:steps]:
            with cast:
                predicted = net(torch.cat([cell[profile_of[rows]], drug[drug_of[rows]]], 1))
            optimizer.zero_grad(set_to_none=True)
            loss(predicted.float(), y[rows]).backward()
            optimizer.step()

    return min(steps, size.n_rows // batch) * batch / seconds(some, device, 2)


def compare(size, device, bytes_per_s, precision):
    """One size: rates (samples x models per second) of the stack, its peers and the sound recipe."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    stacked = Stacked(size, size.stack, device, precision)
    taken = seconds(stacked.epoch, device)
    steps = 60 if device == "cuda" else 20
    flop, moved = stacked.work()
    rate = stacked.limit()
    found = dict(
        size=size,
        precision=precision,
        stacked=stacked.samples / taken,
        per_step=taken / (stacked.samples / BATCH),
        evaluate=seconds(stacked.evaluate, device),
        product_rate=rate,
        product_seconds=flop / rate,
        byte_seconds=moved / bytes_per_s,
        memory=_memory(stacked, device),
        n_parameters=stacked.arch.n_parameters,
        k=size.stack,
        n_inner=len(stacked.inner.y),
    )
    del stacked
    others = dict(
        alone=(1, {}), usual=(size.stack, dict(dropout=0.2)), sound=(size.stack, dict(SOUND))
    )
    for name, (k, changes) in others.items():
        one = Stacked(size, k, device, precision, **changes)
        found[name] = one.samples / seconds(one.epoch, device)
        del one
    found["resident"] = resident_loop(size, device, precision, steps)
    found["resident_fp32"] = resident_loop(size, device, "fp32", steps)
    found["loader"] = loader_loop(size, device, steps)
    return found


def _memory(stacked, device):
    """Megabytes per stacked network: measured peak on CUDA, weights and state elsewhere."""
    k = len(stacked.stack.specs)
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / k / 1e6
    state = (stacked.stack.weights, stacked.stack.low, *stacked.stack.optimizer.moments)
    return sum(t.numel() * t.element_size() for s in state for t in s.values()) * 5 / 4 / k / 1e6


def extrapolate(adam, sgd):
    """GPU-hours of the whole grid, Adam's half and SGD's.

    EPOCHS passes over the training rows and as many evaluations.
    """
    n_train = ROWS * 2 / 3 * 0.8
    steps, hours = n_train / BATCH, []
    for one in (adam, sgd):
        evaluation = one["evaluate"] / one["k"] / one["n_inner"] * n_train / 4
        hours.append(GRID_RUNS / 2 * EPOCHS * (steps * one["per_step"] + evaluation) / 3600)
    return hours


def sgd_step(size, device):
    """Seconds per step of one network under SGD."""
    stacked = Stacked(size, size.stack, device, run.best_precision(device), optimizer="sgd")
    found = seconds(stacked.epoch, device) / (stacked.samples / BATCH)
    return dict(
        per_step=found,
        evaluate=seconds(stacked.evaluate, device),
        k=size.stack,
        n_inner=len(stacked.inner.y),
    )


COLUMNS = (
    "size",
    "network",
    "k",
    "samples × models/s",
    "÷ DataLoader, 2 workers",
    "÷ resident loop",
    "the same in fp32",
    "alone in its stack",
    "µs/step/model",
    "products",
    "bytes",
    "sum",
    "sound ÷ paper recipe",
    "MB/model",
)


def table(results):
    """Rows of the comparison in Markdown."""
    return [
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *(_row(r) for r in results),
    ]


def least(r):
    """Seconds that a step of one network cannot go below: its products, then its bytes."""
    return r["product_seconds"] + r["byte_seconds"]


def limit_sentence(r):
    """What bounds a step, and with it the ratio to the resident loop."""
    most = BATCH / least(r) / r["resident"]
    return (
        f"{r['size'].name}: the products of a step run at {r['product_rate'] / 1e12:.2f} TFLOP/s "
        f"in the shape of its first layer and take {1e3 * r['product_seconds']:.2f} ms, its bytes "
        f"{1e3 * r['byte_seconds']:.2f} ms, of {1e3 * r['per_step']:.2f} ms taken: no schedule of "
        f"the same work is above {most:.1f} × the resident loop."
    )


def _row(r):
    size, ours = r["size"], r["stacked"]
    cells = [
        f"{size.name}: {size.p_cell} + {size.p_drug} inputs",
        f"{'/'.join(map(str, size.hidden))}, {r['n_parameters']:,}",
        str(r["k"]),
        f"**{ours:,.0f}**",
        *(f"**{ours / r[peer]:.1f}** ({r[peer]:,.0f}/s)" for peer in ("loader", "resident")),
        f"{ours / r['resident_fp32']:.1f}",
        f"{r['alone']:,.0f}",
        f"{1e6 * r['per_step']:,.0f}",
        *(
            f"{needed / r['per_step']:.0%}"
            for needed in (r["product_seconds"], r["byte_seconds"], least(r))
        ),
        f"{r['sound'] / r['usual']:.2f}",
        f"{r['memory']:,.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main(device="auto"):
    """Run the comparison; returns a section of benchmarks/README.md.

    On processors each side has as many threads as a process of a sweep has: one. One with wider
    vectors runs it again with those of AVX2 alone.
    """
    device = run.device_name(device)
    if device == "cuda":
        return section(device)
    found = section(device)
    if "AVX-512" in processor():
        again = [sys.executable, "-m", "benchmarks.bench_train", "--avx2"]
        found += "\n" + subprocess.check_output(again, text=True, env=os.environ | AVX2)
    return found + "\n" + Path(__file__).with_name("train_h100.md").read_text()


def section(device, quick=False, threads=1, avx2=False):
    """The comparison on one device, in Markdown."""
    if device == "cpu":
        torch.set_num_threads(threads)
    stack.prepare_device(device, "fp32")
    bytes_per_s = bandwidth(device)
    precision = "fp32" if avx2 else run.best_precision(device)
    sizes = [DEMO[device]] + ([] if quick else [PAPER[device]])
    results = [compare(size, device, bytes_per_s, precision) for size in sizes]
    if device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        name = processor() + ", held to AVX2" * avx2
    lines = [
        f"## Training, {name}, {torch.get_num_threads()} thread(s), torch {torch.__version__}",
        "",
    ]
    lines.append(
        f"Wide products in {results[0]['precision']}; copying {bytes_per_s / 1e9:.0f} GB/s. Batch "
        f"{BATCH}, Adam. Shares: the products and the bytes that a step cannot do without, at the "
        "rates measured in this run, over the time it took. The sound recipe draws dropout on "
        "inputs too."
    )
    lines += ["", *(limit_sentence(r) + "\n" for r in results)]
    lines += ["", *table(results), ""]
    if device == "cuda" and not quick:
        hours = extrapolate(results[1], sgd_step(sizes[1], device))
        lines.append(
            f"The grid of {GRID_RUNS:,} runs, half Adam, half SGD, each of {EPOCHS} epochs on "
            f"average on the training part of {ROWS:,} rows (two thirds, less a fifth that stops "
            f"and chooses) with the network of the second row: **{sum(hours):,.0f} GPU-hours** "
            f"({hours[0]:,.1f} Adam, {hours[1]:,.1f} SGD), evaluations included."
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the demo size alone")
    parser.add_argument("--avx2", action="store_true", help=f"with {AVX2} in the environment")
    options = parser.parse_args()
    named = run.device_name(options.device)
    print(section(named, options.quick, options.threads, options.avx2))
