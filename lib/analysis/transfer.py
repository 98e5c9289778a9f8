"""Trained on one study, tested on another, on cell lines that no study trained on.

A third of the donors is held out of every study; each study in turn teaches on the rest of its own
rows and is tested on the held-out lines of all studies, for drugs it has seen. The diagonal is the
usual test on unseen cell lines; off it the assay changes too, and the agreement of replicate
measurements between the two studies bounds what can be had. Networks join where a sweep has the
split `study_out`: a fold holds one study out, and all others teach.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from lib import splits
from lib.analysis import provenance
from lib.cells import cohorts
from lib.sweep import baselines, features, grid, metrics

MODELS = ("drug_mean", "ridge")
OTHERS = "all other studies"
LEAST_LINES, LEAST_DRUGS = 20, 2  # a study with less left to train on teaches nothing
COLUMNS = "trained_on tested_on model r2 pearson npearson n n_drugs n_cells reason".split()
COLUMNS += ["recipe", "members"]
# The array panel's landmark genes, scaled over all training profiles: a study may train on one
# source only. Every tested drug has been trained on, so its descriptors play no part and are not
# built.
FEATURES = grid.RunSpec(fold=0, scaling="none", null_control="onehot_drugs")


def study_roles(study, donor, drug):
    """Role of each row when one study teaches; one of three folds of the donors is held out.

    Parameters
    ----------
    study, donor, drug : array of str, shape (n_rows,)

    Returns
    -------
    role : ndarray of int8, shape (n_studies, n_rows)
        As in `lib.splits`; test rows are held-out lines of every study, for drugs that the teaching
        study trains on.
    studies : list of str
        The studies that teach, one per row of `role`.
    """
    study, donor, drug = (np.asarray(a, dtype=str) for a in (study, donor, drug))
    held = splits.assign_folds(donor, 3, 0) == 0
    inner = np.zeros(len(study), bool)
    n_left = len(np.unique(donor[~held]))
    inner[~held] = splits.assign_folds(donor[~held], min(5, n_left), 1) == 0
    roles = []
    names = []
    for name in np.unique(study):
        own = study == name
        train = own & ~held & ~inner
        if len(np.unique(donor[train])) < LEAST_LINES or len(np.unique(drug[train])) < LEAST_DRUGS:
            continue
        role = np.full(len(study), splits.UNUSED, np.int8)
        role[train] = splits.TRAIN
        role[own & inner] = splits.INNER
        role[held & np.isin(drug, drug[train])] = splits.TEST
        roles.append(role)
        names.append(str(name))
    return np.array(roles, np.int8).reshape(len(names), len(study)), names


def transfer(store, rows, cells):
    """Scores of every teaching study on every study, for predictors that train in seconds.

    Parameters
    ----------
    store : lib.sweep.store.Store
    rows : DataFrame
        The `pairs` table.
    cells : DataFrame

    Returns
    -------
    DataFrame
        Of `scores_between`; empty where there is one study alone.
    """
    if rows.study.nunique() < 2:
        return scores_between(None, rows, [])
    table = cohorts.add_cell_facts(rows, cells)
    table = table[features.usable(store, FEATURES, table) == ""].reset_index(drop=True)
    role, names = study_roles(table.study, table.donor, table.drug_id)
    built = features.build(store, FEATURES, table, role == splits.TRAIN)
    problem = SimpleNamespace(
        **vars(built),
        y=table.auc.to_numpy(float),
        cell=pd.factorize(table.cell_id, sort=True)[0],
        role=role,
    )
    return scores_between(problem, table, names)


def scores_between(problem, table, names):
    """Test scores by teaching study, tested study and predictor (MODELS).

    Returns
    -------
    DataFrame
        trained_on, tested_on, model, r2, pearson, npearson, n, n_drugs, n_cells, reason (lines are
        the unit: a cell of the matrix with fewer than 20 test lines has no score), recipe, members.
    """
    parts = []
    for k, name in enumerate(names):
        test = np.flatnonzero(problem.role[k] == splits.TEST)
        mean_effects = baselines.predict("mean_effects", problem, k)[test]
        predicted = np.stack([baselines.predict(model, problem, k)[test] for model in MODELS])
        own = table.iloc[test]
        facts = [own[c].to_numpy(str) for c in ("study", "drug_id", "cell_id")]
        y = problem.y[test]
        scored = metrics.score_rows(list(MODELS), "test", y, predicted, mean_effects, *facts)
        scored = metrics.score(scored, "on_cell").assign(trained_on=name)
        parts.append(scored.rename(columns={"study": "tested_on", "run_id": "model"}))
    table = provenance.joined(parts, COLUMNS)
    place = ["model", "trained_on", "tested_on"]
    recipe = dict(kind="transfer", metric="pearson")
    return provenance.addressed(table, "pearson", [], place, **recipe)


def held_out_studies(best):
    """Networks and baselines on a study that no run of the fold trained on.

    Parameters
    ----------
    best : DataFrame
        `headline.headline` of a sweep that has the split `study_out`; there a study is tested in
        one fold only.

    Returns
    -------
    DataFrame
        The columns of `scores_between`, gain too; `trained_on` is OTHERS. Empty where the sweep has
        no such split.
    """
    columns = [*COLUMNS[:4], "gain", *COLUMNS[4:]]
    own = best[(best.split == "study_out") & (best.study != "All")]
    recipes = [recipe and dict(recipe, metric="pearson") for recipe in own.recipe]
    own = own.assign(trained_on=OTHERS, tested_on=own.study, model=own.predictor)
    return own.assign(recipe=recipes)[columns].reset_index(drop=True)
