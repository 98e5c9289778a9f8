"""Train what a model folder holds: an ensemble per kind of newness, and predictions that calibrate.

A query can know more or less: its drug's mean effect, its line's, both or neither. Networks learn
what is left after the effects that a query of their kind knows, so each kind has its own ensemble.
Each holds out every third of the lines or drugs once, to stop some of its networks; the same
training on folds of the same kind gives the out-of-fold predictions whose errors become intervals.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import effects, splits, tables
from lib.cells import cohorts
from lib.drugs import descriptors
from lib.hill import quality
from lib.networks import train
from lib.sweep import features, grid, run
from lib.sweep.store import Store

SPLIT = {"new line": "on_cell", "new drug": "on_drug", "both new": "both_unseen"}
KNOWN = "both known"  # a pair of a line and a drug that other rows know; its folds hold out pairs
KINDS = (*SPLIT, KNOWN)
# Folds of the held-out predictions. One of lines by one of drugs tests each drug once and leaves
# less to train on: with more of them, drugs of a fold are judged by more others.
FOLDS = dict.fromkeys(KINDS, 3) | {"both new": 5}
ENSEMBLE = 3  # folds of an ensemble: each stops as many of its networks as there are members
STOPPING = 5  # one row in so many stops the network that predicts a held-out study
LEAST_SHIFTED = 100  # rows of a held-out study below which a kind is not trained for them
# A screen is described by what costs milliseconds a molecule; mordred takes up to a second.
SETTINGS = {
    "recipe": "sound",
    "drug_block": "rdkit_ecfp",
    "dropout": 0.2,
    "input_dropout": 0.5,
    "batch_size": 4096,  # half the time of 1,024 at the same gain
    "lr": 6.4e-3,
    "hidden": [[32, 16]],
    "seed": [0, 1],
    "baselines": [],
}
ROW = ["study", "cell_id", "donor", "tissue", "drug_id"]


def specs_of(settings, kind):
    """The members of an ensemble: RunSpecs that differ in their seed alone."""
    split = SPLIT.get(kind, "on_cell")
    wanted = SETTINGS | settings | {"split": split, "n_folds": FOLDS[kind]}
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


def whole(work_dir, spec):
    """A problem with features scaled on every line and drug, and its rows with donor and tissue."""
    torch.set_num_threads(1)  # products this small: threads would wait for each other
    everything = grid.changed(spec, split="on_cell", scope="whole_frame")
    problem, rows, _ = run.make_problem(work_dir, everything)
    fits = tables.read(Path(work_dir) / "fits.parquet")
    table = quality.training_rows(fits, spec.fit_filter, spec.target).iloc[rows]
    cells = tables.read(Path(work_dir) / "cells.parquet", tables.CELLS)
    return problem, cohorts.add_cell_facts(table, cells)


def final(problem, table, kind, members):
    """An ensemble of all rows: a `train.Trained` for each fold that stops its networks."""
    folds = replace(problem, role=roles(table, kind, ENSEMBLE, "paper"))
    stacks = []
    for k in range(ENSEMBLE):
        specs = [grid.changed(spec, fold=k, selection="paper") for spec in members]
        stacks.append(train.train_stack(folds, specs))
    return stacks


def out_of_fold(work_dir, problem, table, kind, members):
    """Predictions of held-out rows of one kind.

    Parameters
    ----------
    work_dir : path
    problem, table
        From `whole`.
    kind : str
        One of KINDS.
    members : list of RunSpec

    Returns
    -------
    DataFrame
        See `predicted`.
    """
    folds = roles(table, kind, FOLDS[kind], "nested")
    found = [predicted(work_dir, problem, table, role, members) for role in folds]
    return pd.concat([rows.assign(kind=kind, fold=k) for k, rows in enumerate(found)])


def study_shift(work_dir, settings):
    """Predictions of studies that no network saw, each row by a network of its kind.

    Returns
    -------
    DataFrame
        As `out_of_fold`; without rows where there are fewer than three studies.
    """
    problem, table = whole(work_dir, specs_of(settings, KNOWN)[0])
    found = [pd.DataFrame(columns=[*ROW, "kind"])]
    studies = problem.studies if len(problem.studies) > 2 else []
    for study in studies:
        seen = (table.study != study).to_numpy()
        known = table[seen]
        kinds = kind_of(~table.donor.isin(known.donor), ~table.drug_id.isin(known.drug_id))
        for kind in KINDS:
            asked = ~seen & (kinds == kind)
            if asked.sum() < LEAST_SHIFTED:
                continue
            cut = roles(known, kind, STOPPING, "paper")[0]
            role = np.where(asked, splits.TEST, splits.UNUSED).astype(np.int8)
            role[seen] = np.where(cut == splits.TEST, splits.INNER, cut)
            rows = predicted(work_dir, problem, table, role, specs_of(settings, kind)[:1])
            found.append(rows.assign(kind=kind))
    return pd.concat(found[1:] or found, ignore_index=True)


def predicted(work_dir, problem, table, role, members):
    """Train the members on one fold, with features scaled on its training rows, and predict its
    test rows.

    Returns
    -------
    DataFrame
        ROW, auc, predicted (mean of the members), base (the mean effects that the row knows),
        similarity (Tanimoto, of the drug to the nearest training drug), neighbour (base and that
        drug's effect: its potency).
    """
    train_rows = role == splits.TRAIN
    described = features.FeatureSet.of(members[0])
    built = features.build(Store(work_dir), described, table, train_rows[None])[0]
    fold = replace(problem, cell_x=built.cell_x, drug_x=built.drug_x, role=role[None])
    trained = train.train_stack(fold, members)
    rows = trained.rows["test"]
    known = np.unique(problem.drug[np.isin(role, (splits.TRAIN, splits.INNER))])
    near = _likeness(work_dir, tuple(problem.drugs))[:, known]
    codes = [problem.study, problem.cell, problem.drug]
    potency = effects.fit(problem.y, codes, np.flatnonzero(train_rows))[1][-1]
    base = fold.base(0, members[0].offset)[rows]
    drug = problem.drug[rows]
    return table.iloc[rows][ROW].assign(
        auc=problem.y[rows],
        predicted=trained.predicted["test"].mean(axis=0),
        base=base,
        similarity=near.max(axis=1)[drug],
        neighbour=base + potency[known[near.argmax(axis=1)]][drug],
    )


@lru_cache(maxsize=1)
def _likeness(work_dir, names):
    drugs = tables.read(Path(work_dir) / "drugs.parquet", tables.DRUGS).set_index("drug_id")
    drugs = drugs.loc[list(names)].reset_index()
    return similarities(drugs, drugs)


def similarities(drugs, others):
    """Tanimoto similarity of circular fingerprints (ECFP4, 2,048 bits).

    Parameters
    ----------
    drugs, others : DataFrame
        drug_id, smiles.

    Returns
    -------
    ndarray of shape (n_drugs, n_others)
        0 for what has no fingerprint.
    """
    bits = []
    for one in (drugs, others):
        found = descriptors.compute_block(one, "ecfp", cache_dir=None)[0]
        bits.append(np.nan_to_num(found.drop(columns="drug_id").to_numpy(np.float32)))
    own, other = bits
    common = own @ other.T
    either = own.sum(axis=1)[:, None] + other.sum(axis=1) - common
    return common / np.maximum(either, 1)
