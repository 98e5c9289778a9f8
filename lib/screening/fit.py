"""Train what a model folder holds: an ensemble per kind of newness, and predictions that calibrate.

A query can know more or less: its drug's mean effect, its line's, both or neither. Networks learn
what is left after the effects that a query of their kind knows, so each kind has its own ensemble.
Each holds out every third of the lines or drugs once, to stop some of its networks; the same
training on folds of the same kind gives the out-of-fold predictions whose errors become intervals.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import effects, splits, tables
from lib.drugs import descriptors
from lib.drugs.quality import tanimoto
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
ROW = "study cell_id donor tissue drug_id".split()
NUMBERS = "auc predicted base similarity neighbour".split()


class Rows:
    """Every row that can train, with features scaled on all lines and all drugs.

    Parameters
    ----------
    work_dir : path
        Tables of notebooks 01 to 04.
    settings : dict
        Fields of a sweep (`lib.sweep.grid.expand`) in place of `SETTINGS`.

    Attributes
    ----------
    spec : RunSpec
        How lines and drugs are described.
    problem : Problem
    table : DataFrame
        A row per response, with donor and tissue.
    drugs : DataFrame
        Drugs of the problem, in its order.
    """

    def __init__(self, work_dir, settings):
        torch.set_num_threads(1)  # products this small: threads would wait for each other
        self.work_dir = Path(work_dir)
        self.settings = settings
        self.spec = self.members(KNOWN)[0]
        if self.spec.model != "mlp" or self.spec.snp != "none":
            raise ValueError(
                "a model folder holds multi-layer perceptrons (mlp) without mutations, found "
                f"model {self.spec.model!r}, snp {self.spec.snp!r}"
            )
        everything = replace(self.spec, split="on_cell", scope="whole_frame")
        self.problem, rows, _ = run.make_problem(work_dir, everything)
        table, _ = run.training_table(work_dir, self.spec)
        self.table = table.iloc[rows].reset_index(drop=True)
        drugs = tables.read(self.work_dir / "drugs.parquet", tables.DRUGS).set_index("drug_id")
        self.drugs = drugs.loc[self.problem.drugs].reset_index()
        self._likeness = similarities(self.drugs, self.drugs)

    def members(self, kind):
        """The members of an ensemble: RunSpecs that differ in their seed alone."""
        split = {"split": SPLIT.get(kind, "on_cell"), "n_folds": FOLDS[kind]}
        members = [spec for spec in grid.expand(SETTINGS | self.settings | split) if spec.fold == 0]
        if kind == KNOWN:
            return [replace(spec, offset="+".join(effects.FACTORS)) for spec in members]
        return members

    def final(self, kind):
        """An ensemble of all rows: a `train.Trained` for each fold that stops its networks."""
        folds = replace(self.problem, role=roles(self.table, kind, ENSEMBLE, "paper"))
        stacks = []
        for k in range(ENSEMBLE):
            specs = [replace(spec, fold=k, selection="paper") for spec in self.members(kind)]
            stacks.append(train.train_stack(folds, specs))
        return stacks

    def out_of_fold(self, kind):
        """Predictions of held-out rows of one kind: see `predicted`, and kind and fold."""
        found = []
        for k, role in enumerate(roles(self.table, kind, FOLDS[kind], "nested")):
            rows = self.predicted(role, self.members(kind))
            found.append(rows.assign(kind=kind, fold=k))
        return pd.concat(found)

    def study_shift(self):
        """Predictions of studies that no network saw, each row by a network of its kind.

        Returns
        -------
        DataFrame
            As `predicted`, and kind; without rows where there are fewer than three studies.
        """
        table = self.table
        empty = table.iloc[:0].reindex(columns=[*ROW, *NUMBERS, "kind"])
        found = [empty.astype(dict.fromkeys(NUMBERS, float))]
        studies = self.problem.studies
        for study in studies if len(studies) > 2 else ():
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
                found.append(self.predicted(role, self.members(kind)[:1]).assign(kind=kind))
        return pd.concat(found[1:] or found, ignore_index=True)

    def predicted(self, role, members):
        """Train the members on one fold, with features scaled on its training rows, and predict its
        test rows.

        Returns
        -------
        DataFrame
            ROW, auc, predicted (mean of the members), base (the mean effects that the row knows),
            similarity (Tanimoto, of the drug to the nearest training drug), neighbour (base and
            that drug's effect: its potency).
        """
        problem = self.problem
        used = role == splits.TRAIN
        built = features.build(Store(self.work_dir), members[0], self.table, used[None])
        fold = replace(problem, cell_x=built.cell_x, drug_x=built.drug_x, role=role[None])
        trained = train.train_stack(fold, members)
        rows = trained.rows["test"]
        drug = problem.drug[rows]
        base = fold.base(0, members[0].offset)[rows]
        known = np.unique(problem.drug[used | (role == splits.INNER)])
        near = self._likeness[:, known]
        everyone = problem.factors("study+line+drug")
        potency = effects.fit(problem.y, everyone, np.flatnonzero(used))[1][-1]
        return self.table.iloc[rows][ROW].assign(
            auc=problem.y[rows],
            predicted=trained.predicted["test"].mean(axis=0),
            base=base,
            similarity=near.max(axis=1)[drug],
            neighbour=base + potency[known[near.argmax(axis=1)]][drug],
        )


def roles(table, kind, n_folds, selection):
    """Role of each row, as `splits.roles_of`, in folds whose test rows are of one kind."""
    if kind == KNOWN:
        return splits.roles(table.donor + "/" + table.drug_id, n_folds, selection)[0]
    return splits.roles_of(table, SPLIT[kind], n_folds, selection)


def kind_of(new_line, new_drug):
    """Kind of newness of pairs, from two arrays of bool: an array of str."""
    both = np.where(new_drug, "both new", "new line")
    return np.where(new_line, both, np.where(new_drug, "new drug", KNOWN))


def similarities(drugs, others):
    """Tanimoto similarity (n_drugs, n_others) of circular fingerprints (ECFP4, 2,048 bits)."""
    sides = []
    for one in (drugs, others):
        bits = descriptors.compute_block(one, "ecfp", cache_dir=None)[0]
        sides.append(bits.drop(columns="drug_id").fillna(0).to_numpy())
    return tanimoto(*sides)
