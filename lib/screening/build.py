"""Make a model folder from the tables of notebooks 01 to 04."""

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


def build(work_dir, out, settings=None):
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

    Returns
    -------
    Model
        As read back from the folder. A kind of newness that the rows cannot train has its reason
        in `facts["kinds"]`.
    """
    settings = settings or {}
    spec = fit.specs_of(settings, fit.KNOWN)[0]
    if spec.model != "mlp" or spec.snp != "none":
        raise ValueError(
            "a model folder holds multi-layer perceptrons (mlp) without mutations, found "
            f"model {spec.model!r}, snp {spec.snp!r}"
        )
    problem, table = whole = fit.whole(work_dir, spec)
    read = tables.read(Path(work_dir) / "drugs.parquet", tables.DRUGS).set_index("drug_id")
    drugs = read.loc[problem.drugs].reset_index()
    arrays, made = _sides(Store(work_dir), work_dir, spec, problem)
    kinds = {}
    rows = []
    for kind in fit.KINDS:
        members = fit.specs_of(settings, kind)
        try:
            held_out = fit.out_of_fold(work_dir, *whole, kind, members)
            trained = fit.final(*whole, kind, members)
        except ValueError as error:
            kinds[kind] = {"reason": str(error).splitlines()[0]}
            print(f"{kind}: cannot be trained: {error}")
            continue
        rows.append(held_out)
        kinds[kind] = _ensemble(kind, problem, made["lines"], members, trained, arrays)
        print(f"{kind}: {len(held_out):,} rows held out once")
    if not rows:
        raise ValueError(f"no kind of newness can be trained: {kinds}")
    facts = {
        "kinds": kinds,
        "studies": problem.studies,
        "study": table.study.mode()[0],
        "drug_block": spec.drug_block,
        "panel": spec.panel,
        "zscored": spec.panel.endswith("_zscored"),
        "target": spec.target,
        "n_rows": len(table),
        "commit": ledger.commit(),
    }
    made |= {"drugs": drugs, "calibration": _small(pd.concat(rows, ignore_index=True))}
    return model.write(model.Model(facts, arrays, made), out)


def _sides(store, work_dir, spec, problem):
    """What describes lines and drugs: arrays by name, and the tables lines, names and genes.

    Every profile of the panel is a line to ask for; a line with profiles of two sources has the one
    that most studies prefer.
    """
    keys, genes, values = store.profiles(spec.panel)
    chosen = store.genes_of(spec.panel, spec.rnaseq_set)
    source = keys.profile_source.to_numpy()
    known = keys.cell_id.isin(problem.cells).to_numpy()
    scaling = Scaling(spec.scaling).fit(values[known][:, chosen], source[known])
    usable = np.isin(source, scaling.sources_)
    x = scaling.transform(values[usable][:, chosen], source[usable])
    x = x.clip(-features.CLIP, features.CLIP)
    preferred = features.FeatureSet.of(spec).sources.get("CCLE", ())
    rank = pd.Index(preferred).get_indexer(source[usable]) % (len(preferred) + 1)  # unlisted: last
    order = keys[usable].reset_index(drop=True).assign(rank=rank)
    order = order.sort_values(["cell_id", "rank"], kind="stable").drop_duplicates("cell_id")
    cells = tables.read(Path(work_dir) / "cells.parquet", tables.CELLS)
    lines = order[["cell_id", "profile_source"]].reset_index(drop=True)
    lines["known"] = lines.cell_id.isin(problem.cells)
    lines = lines.merge(cells[LINE], on="cell_id", how="left", validate="1:1")
    likeness = correlation(x, x)
    np.fill_diagonal(likeness, -1)
    arrays = {
        "line_x": x[order.index].astype(np.float16),
        "cell/kept": scaling.kept_,
        "cell/mean": scaling.mean_.astype(np.float32),
        "cell/sd": scaling.sd_.astype(np.float32),
        "cell/sources": np.asarray(scaling.sources_, dtype=str),
        "cell/unlike": np.quantile(likeness.max(axis=1), UNLIKE)[None],
    }
    genes = pd.DataFrame({"symbol": genes.astype("str"), "used": False})
    genes.loc[chosen, "used"] = True
    keys, _, values = store.drug_block(spec.drug_block)
    values = values[pd.Index(keys.drug_id).get_indexer(problem.drugs)]
    scaler = DescriptorScaler().fit(values)
    for name in model.SCALER:
        arrays[f"drug/{name}"] = getattr(scaler, name)
    arrays["drug/outside"] = outside(scaler, values).max()[None]
    names = _names(work_dir, cells, lines)
    return arrays, {"lines": lines, "names": names, "genes": genes}


def correlation(x, others):
    """Pearson correlation of every row of one matrix with every row of another."""
    sides = []
    for values in (x, others):
        centred = values - values.mean(axis=1, keepdims=True)
        sides.append(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))
    return sides[0] @ sides[1].T


def outside(scaler, values):
    """Share of the descriptors in use that lie outside the scaler's limits, per drug."""
    far = (values < scaler.low) | (values > scaler.high)
    return far[:, scaler.keep].mean(axis=1)


def _ensemble(kind, problem, lines, members, trained, arrays):
    """Put an ensemble's weights and mean effects among the arrays; returns what JSON holds."""
    first = trained[0]
    for name in first.weights:
        values = np.concatenate([stack.weights[name].cpu().numpy() for stack in trained])
        values = values.astype(np.float16)
        if name in first.live:  # the same columns in every fold: all are scaled on all rows
            live = first.live[name]
            whole = np.zeros((*values.shape[:2], first.architecture.shapes[name][1]), np.float16)
            whole[..., live] = values[..., : len(live)]
            values = whole
        arrays[f"{kind}/{name}"] = values
    spec = members[0]
    everything = np.arange(len(problem.y))
    mean, found = effects.fit(problem.y, problem.factors(spec.offset), everything)
    for name, effect in zip(spec.offset.split("+"), found, strict=True):
        if name == "line":
            effect = pd.Series(effect, problem.cells).reindex(lines.cell_id).fillna(0).to_numpy()
        arrays[f"{kind}/effect_{name}"] = effect.astype(np.float32)
    settings = spec.to_dict() | {"seed": [spec.seed for spec in members]}
    return {
        "mean": float(mean),
        "scale": spec.target_scale,
        "networks": len(values),
        "spec": settings,
        "reason": "",
    }


def _names(work_dir, cells, lines):
    """Spellings of the lines: normalised names and ids, each of one line only."""
    spelled = tables.read(Path(work_dir) / "cell_names.parquet", tables.CELL_NAMES)
    ids = cells.assign(id=cells.cell_id).melt("cell_id", ["id", *LINE[1:4]], value_name="name")
    every = pd.concat([spelled.rename(columns={"cell_name": "name"}), ids])[["cell_id", "name"]]
    every = every[every.cell_id.isin(lines.cell_id)].dropna()
    every["name"] = every.name.map(names_of_lines.normalise)
    return every.drop_duplicates(ignore_index=True)


def _small(rows):
    """Calibration rows as they are kept: to 0.0005 AUC, names as categories."""
    kinds = dict.fromkeys(rows.select_dtypes("number").columns, np.float16)
    kinds |= dict.fromkeys([*fit.ROW, "kind"], "category") | {"fold": np.int8}
    return rows.astype(kinds)
