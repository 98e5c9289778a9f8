"""Trained on one study, tested on another: which study's lesson carries over, on lines that no study trained on.

A third of the donors is held out of every study; each study in turn teaches on the rest of its own rows and is tested
on the held-out lines of all studies, for drugs it has seen. The diagonal is the usual test on unseen cells; off it
the assay changes too, and the agreement of replicate measurements between the two studies bounds what can be had.
Networks join where a sweep has the split `study_out`: a fold holds one study out, and all others teach.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from lib import splits
from lib.cells import cohorts
from lib.sweep import baselines, features, metrics

MODELS = ("drug_mean", "ridge")
OTHERS = "all other studies"
LEAST_LINES, LEAST_DRUGS = 20, 2  # a study with less left to train on teaches nothing


def study_roles(study, donor, drug, n_folds=3, fold=0, seed=0):
    """Role of each row when one study teaches.

    Parameters
    ----------
    study, donor, drug : array of str, shape (n_rows,)
    n_folds, fold, seed : int
        One fold of the donors is held out.

    Returns
    -------
    role : ndarray of int8, shape (n_studies, n_rows)
        As in `lib.splits`; test rows are held-out lines of every study, for drugs that the teaching study trains on.
    studies : list of str
        The studies that teach, one per row of `role`.
    """
    study, donor, drug = (np.asarray(a, dtype=str) for a in (study, donor, drug))
    held = splits.assign_folds(donor, n_folds, seed) == fold
    inner = np.zeros(len(study), bool)
    inner[~held] = (
        splits.assign_folds(donor[~held], min(5, len(np.unique(donor[~held]))), seed + 1) == 0
    )
    role, names = [], []
    for name in np.unique(study):
        train = (study == name) & ~held & ~inner
        if len(np.unique(donor[train])) < LEAST_LINES or len(np.unique(drug[train])) < LEAST_DRUGS:
            continue
        own = np.where(train, splits.TRAIN, splits.UNUSED)
        own[(study == name) & inner] = splits.INNER
        own[held & np.isin(drug, drug[train])] = splits.TEST
        role.append(own)
        names.append(str(name))
    return np.array(role, np.int8).reshape(len(names), len(study)), names


def transfer(store, rows, cells, feature_set=None, models=MODELS):
    """Scores of every teaching study on every study, for predictors that train in seconds.

    Parameters
    ----------
    store : lib.sweep.store.Store
    rows : DataFrame
        The `pairs` table.
    cells : DataFrame
    feature_set : features.FeatureSet, optional
        The array panel's landmark genes, scaled over all training profiles: a study may train on one source only. Every
        tested drug has been trained on, so its descriptors play no part and are not built.
    models : sequence of str

    Returns
    -------
    DataFrame
        Of `scores_between`; empty where there is one study alone.
    """
    if rows["study"].nunique() < 2:
        return scores_between(None, rows, [], models)
    plain = features.FeatureSet(scaling="none", null_control="onehot_drugs")
    feature_set = plain if feature_set is None else feature_set
    table = cohorts.add_cell_facts(rows, cells)
    table = table[features.usable(store, feature_set, table) == ""].reset_index(drop=True)
    role, names = study_roles(table["study"], table["donor"], table["drug_id"])
    built, profile, drug = features.build(store, feature_set, table, role == splits.TRAIN)
    cell, _ = pd.factorize(table["cell_id"], sort=True)
    study, _ = pd.factorize(table["study"], sort=True)
    problem = SimpleNamespace(
        cell_x=built.cell_x, drug_x=built.drug_x, profile=profile, drug=drug, y=table["auc"].to_numpy(float),
        study=study, cell=cell, role=role,
    )  # fmt: skip
    return scores_between(problem, table, names, models)


def scores_between(problem, table, names, models=MODELS):
    """Test scores by teaching study, tested study and predictor.

    Returns
    -------
    DataFrame
        trained_on, tested_on, model, r2, pearson, npearson, n, n_drugs, n_cells, reason (lines are the unit: a cell
        of the matrix with fewer than 20 test lines has no score), recipe, members.
    """
    parts = []
    for k, name in enumerate(names):
        test = np.flatnonzero(problem.role[k] == splits.TEST)
        floor = baselines.predict("mean_effects", problem, k)[test]
        predicted = np.stack([baselines.predict(model, problem, k)[test] for model in models])
        own = table.iloc[test]
        facts = (own[c].to_numpy(str) for c in ("study", "drug_id", "cell_id"))
        scored = metrics.score_rows(list(models), "test", problem.y[test], predicted, floor, *facts)
        parts.append(metrics.score(scored, split="on_cell").assign(trained_on=name))
    columns = "trained_on tested_on model r2 pearson npearson n n_drugs n_cells reason".split()
    whole = (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*columns, "run_id", "study"])
    )
    named = whole.drop(columns="study", errors="ignore").assign(
        model=whole["run_id"], tested_on=whole["study"]
    )
    whole = named[columns]
    recipes = [_recipe(row) for row in whole.to_dict("records")]
    return whole.assign(recipe=recipes, members=[[] for _ in recipes])


def _recipe(row):
    if not np.isfinite(row["pearson"]):
        return None
    return dict(kind="transfer", metric="pearson") | {
        name: row[name] for name in ("model", "trained_on", "tested_on")
    }


def held_out_studies(best):
    """Networks, naive predictors and ridge on a study that no run of the fold trained on.

    Parameters
    ----------
    best : DataFrame
        `headline.headline` of a sweep that has the split `study_out`; there a study is tested in one fold only.

    Returns
    -------
    DataFrame
        The columns of `scores_between`, gain too; `trained_on` is OTHERS. Empty where the sweep has no such split.
    """
    columns = "trained_on tested_on model r2 gain pearson npearson n n_drugs n_cells reason recipe members".split()
    if best.empty or "study_out" not in set(best["split"]):
        return pd.DataFrame(columns=columns)
    own = best[(best["split"] == "study_out") & (best["study"] != "All")]
    recipes = [recipe and recipe | dict(metric="pearson") for recipe in own["recipe"]]
    named = own.assign(
        trained_on=OTHERS, tested_on=own["study"], model=own["predictor"], recipe=recipes
    )
    return named[columns].reset_index(drop=True)
