"""A made-up screen and a sweep on it in the shape of the real ledger: tables, shards, predictions, a packed folder."""

import numpy as np
import pandas as pd

from lib import baselines, grid, metrics, packing, splits
from lib import pairs as training_rows

SWEEP = dict(
    split=["on_cell", "on_drug"],
    cohort="all",
    hidden=[[8]],
    snp=["none", "counts"],
    scaling=["none", "source"],
    baselines=["drug_mean", "mean_effects", "ridge"],
)
SKILL = dict(drug_mean=None, mean_effects=0.0, ridge=0.3)
STUDIES = ("CCLE", "GDSC", "NCI-60")


def screen(n_lines=90, n_drugs=20, seed=0):
    """Cells and pairs: every drug on every line of its study; a third of the lines is in two studies."""
    rng = np.random.default_rng(seed)
    lines = [f"c{i:03d}" for i in range(n_lines)]
    cells = pd.DataFrame(dict(cell_id=lines, donor=lines, tissue="t", cancer_type="A"))
    drug_mean, rows = rng.uniform(0.2, 0.95, n_drugs), []
    own = rng.normal(0, 0.1, (n_lines, n_drugs))
    for i, line in enumerate(lines):
        studies = {STUDIES[i % 3], STUDIES[(i // 3) % 3]}
        rows += [(s, s, line, f"d{k:02d}", drug_mean[k] + own[i, k]) for s in sorted(studies) for k in range(n_drugs)]
    table = pd.DataFrame(rows, columns=["study", "assay", "cell_id", "drug_id", "auc"])
    table["auc"] = np.clip(table["auc"] + rng.normal(0, 0.02, len(table)), 0.01, 1.0)
    return cells, table.assign(n_curves=1, endpoint="viability").sort_values(training_rows.KEY, ignore_index=True)


def tables_of(specs, cells, pairs, skill=lambda spec: 0.4, seed=0):
    """`runs`, `scores`, `curves` and `predictions` of made-up runs: a run knows a share of what mean effects leave."""
    rng, table = np.random.default_rng(seed), training_rows.add_cell_facts(pairs, cells)
    y = table["auc"].to_numpy(np.float32).astype(float)
    codes = [pd.factorize(table[name], sort=True)[0] for name in ("drug_id", "cell_id")]
    floors, found = {}, dict(runs=[], scores=[], predictions=[], curves=[])
    for spec in specs:
        key = spec.split, spec.fold
        if key not in floors:
            role = splits.roles_of(table, spec.split, spec.n_folds)[spec.fold]
            train = np.flatnonzero(role == splits.TRAIN)
            floors[key] = role, baselines.additive(table["auc"].to_numpy(np.float32), codes, train)
        role, floor = floors[key]
        known = SKILL.get(spec.model, 0.0) if spec.model in baselines.BASELINES else skill(spec)
        p = np.full(len(y), 0.8) if known is None else floor + known * (y - floor)
        p = p + (0 if spec.model == "mean_effects" else rng.normal(0, 0.02, len(y)))
        _add(found, spec, table, role, y, p, floor)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def _add(found, spec, table, role, y, p, floor):
    rows = {"inner": np.flatnonzero(role == splits.INNER), "test": np.flatnonzero(role == splits.TEST)}
    for part, at in rows.items():
        facts = (table[name].to_numpy(str)[at] for name in ("study", "drug_id", "cell_id"))
        found["scores"].append(metrics.score_rows([spec.run_id], part, y[at], p[None, at], floor[at], *facts))
    counts = dict(n_train=int((role == splits.TRAIN).sum()), n_inner=len(rows["inner"]), n_test=len(rows["test"]))
    facts = dict(run_id=spec.run_id, shard=spec.shard_id, status="early_stop", reason="", inner_loss=0.01, **counts)
    facts |= dict(commit="abc", torch="2", data_key="k", epochs=3, best_epoch=2, seconds=0.1, n_parameters=100)
    found["runs"].append(pd.DataFrame([spec.to_dict() | facts]))
    at = rows["test"]
    kept = dict(run_id=spec.run_id, row=at.astype(np.int32), y=y[at].astype(np.float16), p=p[at].astype(np.float16))
    found["predictions"].append(pd.DataFrame(kept))
    if spec.fold == 0:
        curve = dict(run_id=spec.run_id, epoch=range(3), train_loss=[3.0, 2, 1], inner_loss=[3.0, 2, 2], lr=0.1)
        found["curves"].append(pd.DataFrame(curve))


def write(work, sweep=SWEEP, skill=lambda spec: 0.4):
    """The tables of a run folder and its finished shards; returns cells and pairs."""
    cells, pairs = screen()
    work.mkdir(parents=True, exist_ok=True)
    cells.to_parquet(work / "cells.parquet")
    pairs.to_parquet(work / "pairs.parquet")
    for shard, specs in grid.shards(grid.expand(sweep)).items():
        folder = work / "sweep" / shard
        folder.mkdir(parents=True)
        for name, frame in tables_of(specs, cells, pairs, skill).items():
            frame.to_parquet(folder / f"{name}.parquet")
    return cells, pairs


def pack(work, out):
    """The same sweep in one folder, as `lib.packing` writes it."""
    packing.pack(work, out, lambda run: run.model not in ("drug_mean", "mean_effects"))
    return out
