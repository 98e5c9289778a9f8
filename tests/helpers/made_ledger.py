"""A made-up ledger with planted effects: runs and scores like real ones, marked as simulated."""

import itertools

import numpy as np
import pandas as pd
from made_sweep import configured

from lib.sweep import metrics

HELD = {
    "panel": "array",
    "null_control": "none",
    "cohort": "all",
    "n_folds": 3,
    "model": "mlp",
    "hidden": "64x32",
    "dropout": 0.2,
    "strategy": "vanilla",
    "lr": 8e-4,
    "batch_size": 512,
    "max_epochs": 40,
    "patience": "tuned",
    "selection": "nested",
    "scope": "train_fold",
    "target": "auc",
    "fit_filter": "none",
    "init": 1.0,
    "repeat": 0,
    "offset": "none",
    "target_scale": 1.0,
    "weight_decay": 0.0,
    "input_dropout": 0.0,
    "commit": "simulated",
    "torch": "0",
    "data_key": "simulated",
}
STUDIES = ("CCLE", "GDSC", "NCI-60", "CTRP")
N_DRUGS = 24
BASELINES = ("global_mean", "drug_mean", "cell_mean", "mean_effects", "ridge")
RIDGE_SKILL = 0.35
# Change of skill by (setting, level); all other levels change nothing.
EFFECTS = {("snp", "counts"): 0.05, ("optimizer", "sgd"): -0.2}


def ledger(design, n_cells=90, fold_sd=0.01, n_repeats=1, by=("study",)):
    """Made-up runs with planted effects.

    A run of skill s predicts the mean effects plus s of what they leave unexplained, plus noise:
    its gain over the mean effects is known. Skill is 0.4, the planted effect of each setting
    (EFFECTS), and a slope per fold and setting.

    Parameters
    ----------
    design : dict
        Settings and levels to cross, `split` among them; the first level of each is the reference.
    n_cells : int
        Cell lines; every drug is tested on every line of its study.
    fold_sd : float
        Spread of the slope of each level in each fold [skill].
    n_repeats : int
        Repeats of the three folds, each with its own cut.
    by : sequence of {"study", "cell", "drug"}
        Which scores are kept.

    Returns
    -------
    runs, scores : DataFrame
    """
    rng = np.random.default_rng(0)
    screen = _screen(n_cells, rng)
    runs = []
    scores = []
    for split in design["split"]:
        for repeat in range(n_repeats):
            for fold in range(3):
                place = split, repeat, fold
                own_runs, own_scores = _fold_runs(screen, place, design, fold_sd, rng, by)
                runs.append(own_runs)
                scores.append(own_scores)
    runs = configured(pd.concat(runs, ignore_index=True))
    return runs, pd.concat(scores, ignore_index=True)


def _screen(n_cells, rng):
    """Rows of a made-up screen: study, cell, drug, response `y`, and `main`, its main effects."""
    cell = np.repeat(np.arange(n_cells), N_DRUGS)
    drug = np.tile(np.arange(N_DRUGS), n_cells)
    study = np.array(STUDIES)[cell % len(STUDIES)]
    keep = (study != "CTRP") | (drug < 3)  # one study of very few drugs, as in the open panel
    rows = pd.DataFrame({"cell": cell, "drug": drug, "study": study})[keep]
    drug_mean = rng.normal(0.82, 0.16, N_DRUGS)
    cell_mean = rng.normal(0, 0.04, n_cells)
    rows["main"] = drug_mean[rows["drug"]] + cell_mean[rows["cell"]]
    rows["y"] = np.clip(rows["main"] + rng.normal(0, 0.09, len(rows)), 0.02, 1.0)
    return rows


def _fold_runs(screen, place, design, fold_sd, rng, by):
    split, repeat, fold = place
    unit = screen["cell"] if split == "on_cell" else screen["drug"]
    if repeat:
        unit = unit.map(pd.Series(np.random.default_rng(repeat).permutation(unit.max() + 1)))
    role = (unit + fold) % 3  # 0 is test; a fifth of the rest is inner
    names = [name for name in design if name != "split"]
    settings = list(itertools.product(*(design[name] for name in names)))
    change = {}
    for name in names:
        for level in design[name][1:]:
            change[name, level] = EFFECTS.get((name, level), 0) + rng.normal(0, fold_sd)
    skill = [
        0.4 + sum(change.get(at, 0) for at in zip(names, run, strict=True)) for run in settings
    ]
    skill = np.array(skill) + rng.normal(0, 0.02, len(skill))
    runs = pd.DataFrame(settings, columns=names).assign(**HELD, split=split, fold=fold, seed=0)
    runs["repeat"] = repeat
    runs["run_id"] = [f"{split}-r{repeat}f{fold}-{'-'.join(run)}" for run in settings]
    first = runs.iloc[:1].drop(columns="model")
    baselines = first.merge(pd.DataFrame({"model": list(BASELINES)}), how="cross")
    baselines["run_id"] = f"{split}-r{repeat}f{fold}-" + baselines["model"]
    runs = pd.concat([runs, baselines], ignore_index=True)
    ended = dict(shard="simulated", status="early_stop", reason="", seconds=0.1)
    counts = screen[role == 0].nunique()
    ended |= dict(n_test_cells=counts["cell"], n_test_drugs=counts["drug"])
    runs = runs.assign(**ended, epochs=20, best_epoch=15, n_parameters=1000)
    test = _scores(screen[role == 0], "test", runs, skill, rng, by)
    inner = _scores(screen[(role != 0) & (unit % 5 == 0)], "inner", runs, skill, rng, ("study",))
    return runs, pd.concat([test, inner], ignore_index=True)


def _scores(rows, part, runs, skill, rng, by):
    y = rows["y"].to_numpy()
    main = rows["main"].to_numpy()
    noise = rng.normal(0, 0.02, (len(skill), len(y)))
    networks = main + skill[:, None] * (y - main) + noise
    baselines = [
        np.full(len(y), main.mean()),
        rows.groupby("drug")["main"].transform("mean"),
        rows.groupby("cell")["main"].transform("mean"),
        main,
        main + RIDGE_SKILL * (y - main),
    ]
    predicted = np.vstack([networks, *baselines])
    study = rows["study"].to_numpy(str)
    drug = ("simulated_drug_" + rows["drug"].astype(str)).to_numpy(str)
    cell = ("simulated_cell_" + rows["cell"].astype(str)).to_numpy(str)
    facts = (runs["run_id"], part, y, predicted, main, study, drug, cell)
    return pd.concat([metrics.score_rows(*facts, by=unit) for unit in by], ignore_index=True)
