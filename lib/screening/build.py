"""Make a model folder from the tables of notebooks 01 to 04."""

import numpy as np
import pandas as pd

from lib import addresses, effects, files, tables
from lib.cells.scaling import Scaling
from lib.drugs.scaler import DescriptorScaler
from lib.screening import fit, model
from lib.screens import lines as names_of_lines
from lib.sweep import features, ledger, run
from lib.sweep.store import Store

# Share of the training lines, and drugs, that lie beyond the limit for a query: those less like
# any other line, those with more descriptors outside the limits of the scaler
UNLIKE = 0.01
NAMED = ("cell_names.parquet", "drugs.parquet")  # read beside what the networks are trained on
LINE = "cell_id cell_name depmap_id cellosaurus_id tissue cancer_type".split()


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
    rows = fit.Rows(work_dir, settings or {})
    spec = rows.spec
    lines, arrays = _lines(rows)
    arrays |= _drugs(rows)
    kinds = {}
    calibration = []
    for kind in fit.KINDS:
        try:
            held_out = rows.out_of_fold(kind)
            trained = rows.final(kind)
        except ValueError as error:
            kinds[kind] = {"reason": str(error).splitlines()[0]}
            print(f"{kind}: cannot be trained: {error}")
            continue
        calibration.append(held_out)
        arrays |= {f"{kind}/{name}": weight for name, weight in _weights(trained).items()}
        kinds[kind] = _effects(kind, rows, lines, arrays)
        print(f"{kind}: {len(held_out):,} rows held out once")
    if not calibration:
        raise ValueError(f"no kind of newness can be trained: {kinds}")
    read_from = [*run.input_files(work_dir, spec), *(rows.work_dir / name for name in NAMED)]
    facts = {
        "kinds": kinds,
        "studies": rows.problem.studies,
        "study": rows.table.study.mode()[0],
        "drug_block": spec.drug_block,
        "zscored": spec.panel.endswith("_zscored"),
        "n_rows": len(rows.table),
        "inputs": {path.name: files.sha256(path) for path in read_from},
        "lib_hash": addresses.library_hash(),
        "commit": ledger.commit(),
    }
    made = {
        "lines": lines,
        "names": _names(rows.work_dir, lines),
        "genes": _genes(rows),
        "drugs": rows.drugs,
        "calibration": _small(pd.concat(calibration, ignore_index=True)),
    }
    return model.write(model.Model(facts, arrays, made), out)


def _lines(rows):
    """Every line with a profile, to ask for: what it is, and arrays that describe it.

    A line with profiles of two sources has the one that most studies prefer.
    """
    spec = rows.spec
    store = Store(rows.work_dir)
    keys, _, values = store.profiles(spec.panel)
    values = values[:, store.genes_of(spec.panel, spec.rnaseq_set)]
    source = keys.profile_source.to_numpy()
    known = keys.cell_id.isin(rows.problem.cells).to_numpy()
    scaling = Scaling(spec.scaling).fit(values[known], source[known])
    preferred = features.sources_of(spec.panel).get("CCLE", ())
    asked = pd.DataFrame({"study": "", "cell_id": np.unique(keys.cell_id)})
    sources = [one for one in (*preferred, *scaling.sources_) if one in scaling.sources_]
    place = features.assign_profiles(keys, asked, {"": sources})
    place = place[place >= 0]
    x = scaling.transform(values[place], source[place]).clip(-features.CLIP, features.CLIP)
    likeness = correlation(x, x)
    np.fill_diagonal(likeness, -1)
    lines = keys.iloc[place].reset_index(drop=True).assign(known=known[place])
    cells = tables.read(rows.work_dir / "cells.parquet", tables.CELLS)
    return lines.merge(cells[LINE], on="cell_id", how="left", validate="1:1"), {
        "line_x": x.astype(np.float16),
        "cell/kept": scaling.kept_,
        "cell/mean": scaling.mean_.astype(np.float32),
        "cell/sd": scaling.sd_.astype(np.float32),
        "cell/sources": np.asarray(scaling.sources_, dtype=str),
        "cell/unlike": np.quantile(likeness.max(axis=1), UNLIKE)[None],
    }


def _drugs(rows):
    """Arrays of the scaler of drugs, and the share of descriptors outside it that flags a drug."""
    keys, _, values = Store(rows.work_dir).drug_block(rows.spec.drug_block)
    values = values[pd.Index(keys.drug_id).get_indexer(rows.problem.drugs)]
    scaler = DescriptorScaler().fit(values)
    arrays = {f"drug/{name}": getattr(scaler, name) for name in model.SCALER}
    return arrays | {"drug/outside": np.quantile(outside(scaler, values), 1 - UNLIKE)[None]}


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


def _weights(trained):
    """Weights of an ensemble's networks in half precision, a row per network."""
    first = trained[0]
    found = {}
    for name in first.weights:
        values = np.concatenate([stack.weights[name].cpu().numpy() for stack in trained])
        values = values.astype(np.float16)
        if name in first.live:  # the same columns in every fold: all are scaled on all rows
            live = first.live[name]
            whole = np.zeros((*values.shape[:2], first.architecture.shapes[name][1]), np.float16)
            whole[..., live] = values[..., : len(live)]
            values = whole
        found[name] = values
    return found


def _effects(kind, rows, lines, arrays):
    """Put the mean effects that a kind knows among the arrays; returns what JSON holds of it."""
    problem = rows.problem
    members = rows.members(kind)
    spec = members[0]
    everything = np.arange(len(problem.y))
    mean, found = effects.fit(problem.y, problem.factors(spec.offset), everything)
    for name, effect in zip(spec.offset.split("+"), found, strict=True):
        if name == "line":
            effect = pd.Series(effect, problem.cells).reindex(lines.cell_id, fill_value=0)
        arrays[f"{kind}/effect_{name}"] = np.asarray(effect, np.float32)
    return {
        "mean": float(mean),
        "scale": spec.target_scale,
        "networks": len(arrays[f"{kind}/bias0"]),
        "spec": spec.to_dict() | {"seed": [member.seed for member in members]},
        "reason": "",
    }


def _names(work_dir, lines):
    """Spellings of the lines: normalised names and ids."""
    spelled = tables.read(work_dir / "cell_names.parquet", tables.CELL_NAMES)
    ids = lines.assign(id=lines.cell_id).melt("cell_id", ["id", *LINE[1:4]], value_name="name")
    every = pd.concat([spelled.rename(columns={"cell_name": "name"}), ids])[["cell_id", "name"]]
    every = every[every.cell_id.isin(lines.cell_id)].dropna()
    every["name"] = every.name.map(names_of_lines.normalise)
    return every.drop_duplicates(ignore_index=True)


def _genes(rows):
    """Genes of the panel, and which of them the networks read."""
    store = Store(rows.work_dir)
    genes = store.profiles(rows.spec.panel)[1]
    chosen = store.genes_of(rows.spec.panel, rows.spec.rnaseq_set)
    return pd.DataFrame({"symbol": genes.astype("str"), "used": np.isin(range(len(genes)), chosen)})


def _small(rows):
    """Calibration rows as they are kept: to 0.0005 AUC, names as categories."""
    kinds = dict.fromkeys(fit.NUMBERS, np.float16)
    kinds |= dict.fromkeys([*fit.ROW, "kind"], "category") | {"fold": np.int8}
    return rows.astype(kinds)
