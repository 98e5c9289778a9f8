"""Make a model folder from the tables of notebooks 01 to 04."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from lib import effects, tables
from lib.cells.scaling import Scaling
from lib.drugs.scaler import DescriptorScaler
from lib.screening import fit, model
from lib.screens import lines as names_of_lines
from lib.sweep import features, ledger
from lib.sweep.store import Store

UNLIKE = 0.01  # share of the lines that are less like any other than the limit for a query
LINE = ["cell_id", "cell_name", "depmap_id", "cellosaurus_id", "tissue", "cancer_type"]
CALIBRATION = [*fit.ROW, "kind", "fold", "auc", "predicted", "spread", "base", "similarity"]
CALIBRATION += ["neighbour"]


def build(work_dir, out, settings=None, n_folds=3):
    """Train, calibrate and write a model folder.

    Parameters
    ----------
    work_dir : path
        Tables of notebooks 01 to 04.
    out : path
        The model folder; replaced whole.
    settings : dict, optional
        Fields of a sweep (`lib.sweep.grid.expand`) in place of `fit.SETTINGS`; `seed` lists the
        members of the ensembles.
    n_folds : int
        Of the out-of-fold predictions.

    Returns
    -------
    Model
        As read back from the folder. A kind of newness that the rows cannot train has its reason
        in `facts["kinds"]`.
    """
    settings = settings or {}
    spec = fit.specs_of(settings, fit.KNOWN)[0]
    _check(spec)
    store = Store(work_dir)
    whole = fit.whole(work_dir, spec)
    problem, table = whole
    drugs = tables.read(Path(work_dir) / "drugs.parquet", tables.DRUGS)
    drugs = drugs.set_index("drug_id").loc[problem.drugs].reset_index()
    arrays, lines, genes = _cells(store, spec, problem)
    arrays |= _drugs(store, spec, problem.drugs)
    likeness = fit.similarities(drugs)
    facts = {
        "kinds": {},
        "studies": problem.studies,
        "study": table.study.mode()[0],
        "drug_block": spec.drug_block,
        "panel": spec.panel,
        "zscored": _zscored(store, spec),
        "target": spec.target,
        "n_rows": len(table),
        "commit": ledger.commit(),
    }
    rows = []
    for kind in fit.KINDS:
        members = fit.specs_of(settings, kind)
        try:
            held_out = fit.out_of_fold(work_dir, kind, members, n_folds, likeness)
            trained = fit.final(*whole, kind, members)
        except ValueError as error:
            facts["kinds"][kind] = {"reason": str(error).splitlines()[0]}
            print(f"{kind}: cannot be trained: {error}")
            continue
        rows.append(held_out)
        facts["kinds"][kind] = _ensemble(kind, problem, lines, members, trained, arrays)
        print(f"{kind}: {len(members)} networks, {len(held_out):,} rows held out once")
    if not rows:
        raise ValueError(f"no kind of newness can be trained: {facts['kinds']}")
    made = _tables(work_dir, lines, rows) | {"genes": genes, "drugs": drugs}
    return model.write(model.Model(facts, arrays, made), out)


def _tables(work_dir, lines, rows):
    cells = tables.read(Path(work_dir) / "cells.parquet", tables.CELLS)
    return {
        "lines": lines.merge(cells[LINE], on="cell_id", how="left", validate="1:1"),
        "names": _names(work_dir, lines),
        "calibration": _small(pd.concat(rows, ignore_index=True)),
    }


def _check(spec):
    if spec.model != "mlp" or spec.snp != "none":
        raise ValueError(
            "a model folder holds multi-layer perceptrons (mlp) without mutations, found "
            f"model {spec.model!r}, snp {spec.snp!r}"
        )


def _zscored(store, spec):
    """Whether the panel's profiles are z-scored within themselves; a query must then be too."""
    values = store.profiles(spec.panel)[2]
    moments = np.nanmean(values, axis=1), np.nanstd(values, axis=1) - 1
    return bool(np.abs(moments).max() < 1e-3)


def _cells(store, spec, problem):
    """Arrays of the cell side, lines and genes; every profile of the panel is a line to ask for.

    A line with profiles of two sources has the one that most studies prefer.
    """
    keys, genes, values = store.profiles(spec.panel)
    chosen = store.genes_of(spec.panel, spec.rnaseq_set)
    source = keys.profile_source.to_numpy()
    known = {name.split("/")[0] for name in problem.profiles}
    rows = keys.cell_id.isin(known).to_numpy()
    scaling = Scaling(spec.scaling).fit(values[rows][:, chosen], source[rows])
    usable = np.isin(source, scaling.sources_)
    x = scaling.transform(values[usable][:, chosen], source[usable])
    x = x.clip(-features.CLIP, features.CLIP)
    order = keys[usable].reset_index(drop=True)
    preferred = features.PROFILES.get(re.sub("_zscored$", "", spec.panel), {})
    ranks = {name: i for i, name in enumerate(preferred.get("CCLE", ()))}
    order["rank"] = order.profile_source.map(ranks).fillna(len(ranks))
    order = order.sort_values(["cell_id", "rank"], kind="stable").drop_duplicates("cell_id")
    lines = order[["cell_id", "profile_source"]].reset_index(drop=True)
    lines["known"] = lines.cell_id.isin(problem.cells)
    arrays = {"line_x": x[order.index].astype(np.float16), "cell/kept": scaling.kept_}
    for name in ("mean", "sd"):
        arrays[f"cell/{name}"] = getattr(scaling, f"{name}_").astype(np.float32)
    arrays["cell/sources"] = np.asarray(scaling.sources_, dtype=str)
    arrays["cell/unlike"] = np.quantile(_nearest_other(x), UNLIKE)[None]
    used = np.isin(np.arange(len(genes)), chosen)
    return arrays, lines, pd.DataFrame({"symbol": genes.astype("str"), "used": used})


def _nearest_other(x):
    """Correlation of each line with the one most like it."""
    likeness = correlation(x, x)
    np.fill_diagonal(likeness, -1)
    return likeness.max(axis=1)


def correlation(x, others):
    """Pearson correlation of every row of one matrix with every row of another."""
    sides = []
    for values in (x, others):
        centred = values - values.mean(axis=1, keepdims=True)
        sides.append(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))
    return sides[0] @ sides[1].T


def _drugs(store, spec, drugs):
    keys, columns, values = store.drug_block(spec.drug_block)
    values = values[pd.Index(keys.drug_id).get_indexer(drugs)]
    scaler = DescriptorScaler().fit(values)
    arrays = {f"drug/{name}": getattr(scaler, name) for name in model.SCALER}
    return arrays | {"drug/outside": outside(scaler, values).max()[None]}


def outside(scaler, values):
    """Share of the descriptors in use that lie outside the scaler's limits, per drug."""
    far = (values < scaler.low) | (values > scaler.high)
    return far[:, scaler.keep].mean(axis=1)


def _ensemble(kind, problem, lines, members, trained, arrays):
    """Put an ensemble's weights and mean effects among the arrays; returns what JSON holds."""
    for name, weight in trained.weights.items():
        values = weight.cpu().numpy()
        if name in trained.live:
            whole = np.zeros((*values.shape[:2], trained.architecture.shapes[name][1]), np.float16)
            whole[..., trained.live[name]] = values[..., : len(trained.live[name])]
            values = whole
        arrays[f"{kind}/{name}"] = values.astype(np.float16)
    factors = members[0].offset.split("+")
    everything = np.arange(len(problem.y))
    mean, found = effects.fit(problem.y, problem.factors(members[0].offset), everything)
    for name, effect in zip(factors, found, strict=True):
        if name == "line":
            effect = pd.Series(effect, problem.cells).reindex(lines.cell_id).fillna(0).to_numpy()
        arrays[f"{kind}/effect_{name}"] = effect.astype(np.float32)
    settings = members[0].to_dict() | {"seed": [spec.seed for spec in members]}
    scale = members[0].target_scale
    return {"mean": float(mean), "scale": scale, "spec": settings, "reason": ""}


def _names(work_dir, lines):
    """Spellings of the lines: normalised names and ids, each of one line only."""
    work_dir = Path(work_dir)
    names = tables.read(work_dir / "cell_names.parquet", tables.CELL_NAMES)
    cells = tables.read(work_dir / "cells.parquet", tables.CELLS)
    ids = [cells[["cell_id", column]].set_axis(["cell_id", "name"], axis=1) for column in LINE[:4]]
    spelled = names[["cell_id", "cell_name"]].set_axis(["cell_id", "name"], axis=1)
    every = pd.concat([spelled, *ids]).dropna()
    every["name"] = every.name.map(names_of_lines.normalise)
    return every[every.cell_id.isin(lines.cell_id)].drop_duplicates().reset_index(drop=True)


def _small(rows):
    """Calibration rows as they are kept: to 0.0005 AUC, names as categories."""
    numbers = rows.select_dtypes("number").columns.drop("fold")
    texts = [*fit.ROW, "kind"]
    kinds = dict.fromkeys(numbers, np.float16) | dict.fromkeys(texts, "category")
    return rows[CALIBRATION].astype(kinds | {"fold": np.int8})
