"""Train what a model folder holds: an ensemble per kind of newness, and predictions that calibrate.

A query can know more or less: its drug's mean effect, its line's, both or neither. Networks learn
what is left after the effects that a query of their kind knows, so each kind has its own ensemble.
Each is trained on all rows (a fifth stops it); the same training on folds of the same kind gives
the out-of-fold predictions whose errors become intervals.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib import effects, splits, tables
from lib.cells import cohorts
from lib.drugs import descriptors
from lib.hill import quality
from lib.networks import train
from lib.sweep import grid, run

SPLIT = {"new line": "on_cell", "new drug": "on_drug", "both new": "both_unseen"}
KNOWN = "both known"  # a pair of a line and a drug that other rows know; its folds hold out pairs
KINDS = (*SPLIT, KNOWN)
STOPPING = 5  # one row in so many stops an ensemble that is trained on all others
# A screen is described by what costs milliseconds a molecule; mordred takes up to a second.
SETTINGS = {
    "recipe": "sound",
    "drug_block": "rdkit_ecfp",
    "dropout": 0.2,
    "input_dropout": 0.5,
    "batch_size": 1024,  # half the time of 512 at the same gain
    "lr": 1.6e-3,
    "hidden": [[32, 16]],
    "seed": [0, 1],
    "baselines": [],
}
ROW = ["study", "cell_id", "donor", "tissue", "drug_id"]


def specs_of(settings, kind):
    """The members of an ensemble: RunSpecs that differ in their seed alone."""
    wanted = SETTINGS | settings | {"split": SPLIT.get(kind, "on_cell"), "n_folds": 3}
    members = [spec for spec in grid.expand(wanted) if spec.fold == 0]
    if kind == KNOWN:
        return [grid.changed(s, offset="+".join(effects.FACTORS)) for s in members]
    return members


def roles(table, kind, n_folds, selection):
    """Role of each row, as `splits.roles_of`, in folds whose test rows are of one kind."""
    if kind == KNOWN:
        return splits.roles(table.donor + "/" + table.drug_id, n_folds, selection)[0]
    return splits.roles_of(table, SPLIT[kind], n_folds, selection)


def kind_of(new_line, new_drug):
    """Kind of newness of pairs, from two arrays of bool: an array of str."""
    both = np.where(new_drug, "both new", "new line")
    return np.where(new_line, both, np.where(new_drug, "new drug", KNOWN))


def training(work_dir, spec):
    """A problem and its rows, with donor and tissue of the line."""
    problem, rows, _ = run.make_problem(work_dir, spec)
    fits = tables.read(Path(work_dir) / "fits.parquet")
    table = quality.training_rows(fits, spec.fit_filter, spec.target).iloc[rows]
    cells = tables.read(Path(work_dir) / "cells.parquet", tables.CELLS)
    return problem, cohorts.add_cell_facts(table, cells)


def whole(work_dir, spec):
    """As `training`, with features scaled on every line and drug."""
    return training(work_dir, grid.changed(spec, split="on_cell", scope="whole_frame"))


def final(problem, table, kind, members):
    """An ensemble trained on all rows but those of one kind that stop it: a `train.Trained`."""
    role = roles(table, kind, STOPPING, "paper")[:1]
    stops = [grid.changed(spec, selection="paper") for spec in members]
    return train.train_stack(replace(problem, role=role), stops)


def out_of_fold(work_dir, kind, members, n_folds, likeness):
    """Predictions of held-out rows of one kind.

    Parameters
    ----------
    work_dir : path
    kind : str
        One of KINDS.
    members : list of RunSpec
    n_folds : int
    likeness : DataFrame
        From `similarities`.

    Returns
    -------
    DataFrame
        See `predicted_rows`.
    """
    members = [grid.changed(spec, n_folds=n_folds) for spec in members]
    if kind == KNOWN:
        problem, table = whole(work_dir, members[0])
        problem = replace(problem, role=roles(table, kind, n_folds, "nested"))
    else:
        problem, table = training(work_dir, members[0])
    folds = [
        predicted_rows(problem, table, [grid.changed(s, fold=k) for s in members], likeness)
        for k in range(n_folds)
    ]
    return pd.concat(folds, ignore_index=True).assign(kind=kind)


def study_shift(work_dir, settings, likeness):
    """Predictions of studies that no network saw, each row by the ensemble of its kind.

    Returns
    -------
    DataFrame
        As `out_of_fold`; without rows where there are fewer than three studies.
    """
    spec = specs_of(settings, KNOWN)[0]
    fits = tables.read(Path(work_dir) / "fits.parquet")
    n = quality.training_rows(fits, spec.fit_filter, spec.target).study.nunique()
    found = [pd.DataFrame(columns=[*ROW, "kind"])]
    if n < 3:
        return found[0]
    problem, table = training(work_dir, grid.changed(spec, split="study_out", n_folds=n))
    for k, role in enumerate(problem.role):
        seen = np.flatnonzero(role != splits.TEST)
        known = table.iloc[seen]
        kinds = kind_of(~table.donor.isin(known.donor), ~table.drug_id.isin(known.drug_id))
        for kind in KINDS:
            part = np.full(len(role), splits.UNUSED, np.int8)
            cut = roles(known, kind, STOPPING, "paper")[0]
            part[seen] = np.where(cut == splits.TEST, splits.INNER, cut)
            part[(role == splits.TEST) & (kinds == kind)] = splits.TEST
            one = replace(
                problem, role=part[None], cell_x=problem.cell_x[[k]], drug_x=problem.drug_x[[k]]
            )
            members = specs_of(settings, kind)[:1]
            if not train.impossible(one, members[0]):
                rows = predicted_rows(one, table, members, likeness)
                found.append(rows.assign(kind=kind, fold=k))
    return pd.concat(found[1:] or found, ignore_index=True)


def predicted_rows(problem, table, members, likeness):
    """Train the members on one fold and predict its test rows.

    Returns
    -------
    DataFrame
        ROW, fold, auc, predicted (mean of the members), spread (their standard deviation), base
        (the mean effects that the row knows), similarity (Tanimoto, of the drug to the nearest
        training drug), neighbour (base and that drug's effect: its potency).
    """
    fold = members[0].fold
    trained = train.train_stack(problem, members)
    rows = trained.rows["test"]
    seen = np.flatnonzero(problem.role[fold] == splits.TRAIN)
    inner = problem.role[fold] == splits.INNER
    drugs = np.unique(problem.drug[(problem.role[fold] == splits.TRAIN) | inner])
    names = np.asarray(problem.drugs)
    near = likeness.loc[names, names[drugs]].to_numpy()
    codes = [problem.study, problem.cell, problem.drug]
    _, (_, _, potency) = effects.fit(problem.y, codes, seen)
    base = problem.base(fold, members[0].offset)[rows]
    drug = problem.drug[rows]
    neighbour = potency[drugs[near.argmax(axis=1)]][drug]
    predicted = trained.predicted["test"]
    return table.iloc[rows][ROW].assign(
        fold=fold,
        auc=problem.y[rows],
        predicted=predicted.mean(axis=0),
        spread=predicted.std(axis=0),
        base=base,
        similarity=near.max(axis=1)[drug],
        neighbour=base + neighbour,
    )


def similarities(drugs, others=None):
    """Tanimoto similarity of circular fingerprints (ECFP4, 2,048 bits).

    Parameters
    ----------
    drugs, others : DataFrame
        drug_id, smiles; the same drugs where `others` is not given.

    Returns
    -------
    DataFrame
        A row per drug, a column per other drug; 0 for what has no fingerprint.
    """
    bits = [_bits(one) for one in (drugs, drugs if others is None else others)]
    common = bits[0] @ bits[1].T
    total = bits[0].sum(axis=1)[:, None] + bits[1].sum(axis=1) - common
    columns = (drugs if others is None else others).drug_id
    return pd.DataFrame(common / np.maximum(total, 1), index=drugs.drug_id, columns=columns)


def _bits(drugs):
    found = descriptors.compute_block(drugs, "ecfp", cache_dir=None)[0]
    return np.nan_to_num(found.drop(columns="drug_id").to_numpy(np.float32))
