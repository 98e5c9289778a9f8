"""A made-up screen and a sweep on it in the shape of the real ledger: tables, shards, predictions,
a packed folder.
"""

import numpy as np
import pandas as pd

from lib import splits, tables
from lib.cells import cohorts
from lib.sweep import baselines, grid, metrics
from results import pack as packing

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
    """Cells and pairs: every drug on every line of its study; a third of the lines is in two
    studies.
    """
    rng = np.random.default_rng(seed)
    lines = [f"c{i:03d}" for i in range(n_lines)]
    cells = pd.DataFrame(dict(cell_id=lines, donor=lines, tissue="t", cancer_type="A"))
    drug_mean, rows = rng.uniform(0.2, 0.95, n_drugs), []
    own = rng.normal(0, 0.1, (n_lines, n_drugs))
    for i, line in enumerate(lines):
        studies = {STUDIES[i % 3], STUDIES[(i // 3) % 3]}
        rows += [
            (s, s, line, f"d{k:02d}", drug_mean[k] + own[i, k])
            for s in sorted(studies)
            for k in range(n_drugs)
        ]
    table = pd.DataFrame(rows, columns=["study", "assay", "cell_id", "drug_id", "auc"])
    table["auc"] = np.clip(table["auc"] + rng.normal(0, 0.02, len(table)), 0.01, 1.0)
    return cells, table.assign(n_curves=1, endpoint="viability").sort_values(
        tables.PAIR_KEY, ignore_index=True
    )


def tables_of(specs, cells, pairs, skill=lambda spec: 0.4, seed=0):
    """`runs`, `scores`, `curves` and `predictions` of made-up runs: a run knows a share of what
    mean effects leave.
    """
    rng, table = np.random.default_rng(seed), cohorts.add_cell_facts(pairs, cells)
    y, codes = (
        table["auc"].to_numpy(np.float32),
        [pd.factorize(table[n], sort=True)[0] for n in ("drug_id", "cell_id")],
    )
    found, places = (
        dict(runs=[], scores=[], predictions=[], curves=[]),
        sorted({(s.split, s.repeat, s.fold) for s in specs}),
    )
    for split, repeat, fold in places:
        own = [s for s in specs if (s.split, s.repeat, s.fold) == (split, repeat, fold)]
        role = splits.roles_of(table, split, own[0].n_folds, repeat=repeat)[fold]
        floor = baselines.additive(y, codes, np.flatnonzero(role == splits.TRAIN))
        p = np.stack([_predicted(s, y.astype(float), floor, skill, rng) for s in own])
        for part, frame in _fold_tables(own, table, role, y.astype(float), p, floor).items():
            found[part].append(frame)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def _predicted(spec, y, floor, skill, rng):
    known = SKILL.get(spec.model, 0.0) if spec.model in baselines.BASELINES else skill(spec)
    p = np.full(len(y), 0.8) if known is None else floor + known * (y - floor)
    return p + (0 if spec.model == "mean_effects" else rng.normal(0, 0.02, len(y)))


def _fold_tables(specs, table, role, y, p, floor):
    ids, at = (
        [s.run_id for s in specs],
        {"inner": role == splits.INNER, "test": role == splits.TEST},
    )
    facts = {
        part: [table[n].to_numpy(str)[use] for n in ("study", "drug_id", "cell_id")]
        for part, use in at.items()
    }
    scores = [
        metrics.score_rows(ids, part, y[use], p[:, use], floor[use], *facts[part])
        for part, use in at.items()
    ]
    counts = dict(
        n_train=int((role == splits.TRAIN).sum()),
        n_inner=int(at["inner"].sum()),
        n_test=int(at["test"].sum()),
    )
    same = dict(
        status="early_stop",
        reason="",
        inner_loss=0.01,
        commit="abc",
        torch="2",
        data_key="k",
        seconds=0.1,
    )
    counts |= dict(n_test_cells=len(set(facts["test"][2])), n_test_drugs=len(set(facts["test"][1])))
    same |= dict(epochs=3, best_epoch=2, n_parameters=100, **counts)
    rows = np.flatnonzero(at["test"]).astype(np.int32)
    kept = dict(
        run_id=np.repeat(ids, len(rows)), row=np.tile(rows, len(ids)), y=np.tile(y[rows], len(ids))
    )
    kept["p"] = p[:, rows].astype(np.float16).ravel()
    curve = dict(epoch=[0, 1, 2], train_loss=[3.0, 2, 1], inner_loss=[3.0, 2, 2], lr=0.1)
    curves = [pd.DataFrame(curve | dict(run_id=s.run_id)) for s in specs if s.fold == 0]
    runs = pd.DataFrame([s.to_dict() | _ids(s) | same for s in specs])
    nothing = pd.DataFrame(columns=["run_id", *curve])
    return dict(
        runs=runs,
        scores=pd.concat(scores),
        predictions=pd.DataFrame(kept),
        curves=pd.concat(curves or [nothing]),
    )


def _ids(spec):
    return dict(run_id=spec.run_id, configuration=spec.config_id, shard=spec.shard_id)


def write(work, sweep=SWEEP, skill=lambda spec: 0.4, pairs=None):
    """The tables of a run folder and its finished shards; returns cells and pairs."""
    cells, every = screen()
    pairs = every if pairs is None else pairs
    work.mkdir(parents=True, exist_ok=True)
    cells.to_parquet(work / "cells.parquet")
    curves = pairs.assign(curve_id=[f"c{i:05d}" for i in range(len(pairs))])
    curves.drop(columns="n_curves").to_parquet(work / "fits.parquet")  # one curve per training row
    specs = grid.expand(sweep)
    made = tables_of(specs, cells, pairs, skill)
    for shard, own in grid.shards(specs).items():
        folder, ids = work / "sweep" / shard, {spec.run_id for spec in own}
        folder.mkdir(parents=True)
        for name, frame in made.items():
            frame[frame["run_id"].isin(ids)].to_parquet(folder / f"{name}.parquet", index=False)
    return cells, pairs


def pack(work, out):
    """The same sweep in one folder, as `python -m results.pack` writes it."""
    packing.pack(work, out)
    packing.pack_ensembles(work, out)
    return out


def configured(runs):
    """Runs of made settings, all others at their defaults, with a `configuration`: equal for runs
    that differ in repeat and fold alone.
    """
    held = dict(grid.DEFAULTS, hidden="64x32", commit="simulated", torch="0", data_key="simulated")
    absent = [name for name in held if name not in runs]
    runs = runs.assign(**{name: held[name] for name in absent})
    names = [name for name in grid.TYPES if name in runs and name not in ("repeat", "fold")]
    settings = runs[names].astype(str)
    return runs.assign(configuration=pd.util.hash_pandas_object(settings, index=False).astype(str))
