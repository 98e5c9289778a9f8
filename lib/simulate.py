"""Simulated truth: ledgers and responses whose effects are known, to score the tests that the analysis uses.

Nothing here is data and nothing here reaches a table of results: the frames say "simulated" in their shard or name.
Three questions are answered. How often does the paper's t-test call a feature significant that does nothing
(`null_rejections`, `test_rates`)? What do the tests at the right unit do on the same studies? And does the whole
chain, from responses made with known SNP, batch, drug and cell effects on real features to a tested contrast, find
what was planted (`recovery`)?
"""

import itertools

import numpy as np
import pandas as pd

from lib import metrics

DESIGN = dict(  # settings that a simulated ledger crosses; the first level of each is the reference
    split=["on_cell", "on_drug"],
    scaling=["none", "source", "combat"],
    rnaseq_set=["lincs1000", "oncogenes"],
    snp=["none", "counts"],
    drug_block=["mordred", "rdkit_ecfp"],
    optimizer=["adam", "sgd"],
)
HELD = dict(
    panel="array", null_control="none", cohort="all", n_folds=3, model="mlp", hidden="64x32", dropout=0.2,
    strategy="vanilla", lr=8e-4, batch_size=512, max_epochs=40, patience="tuned", selection="nested",
    scope="train_fold", target="auc",
    fit_filter="none", commit="simulated", torch="0", data_key="simulated",
)  # fmt: skip
STUDIES = ("CCLE", "GDSC", "NCI-60", "CTRP")
BASELINE_SKILL = dict(global_mean=None, drug_mean=None, cell_mean=None, mean_effects=0.0, ridge=0.35)


def ledger(effects=None, design=None, fold_sd=0.01, n_cells=90, n_drugs=24, seed=0):
    """A ledger of simulated runs in the shape of the `runs` and `scores` tables, with planted effects.

    A run of skill s predicts the naive mean effects plus s of what they leave unexplained, plus noise: its gain over
    the mean effects is known. Skill is a base, the planted effect of each setting, and a slope per fold and setting.

    Parameters
    ----------
    effects : dict, optional
        {(setting, level): change of skill}; by default SNP counts add 0.05 and SGD takes 0.2.
    design : dict, optional
        Settings and levels to cross; DESIGN by default.
    fold_sd : float
        Spread of the slope of each level in each fold [skill].
    n_cells, n_drugs : int
        Size of the simulated screen; every drug is tested on every cell of its study.
    seed : int

    Returns
    -------
    runs, scores : DataFrame
    """
    rng = np.random.default_rng(seed)
    effects = {("snp", "counts"): 0.05, ("optimizer", "sgd"): -0.2} if effects is None else effects
    design = DESIGN if design is None else design
    screen = _screen(n_cells, n_drugs, rng)
    runs, scores = [], []
    for split in design["split"]:
        for fold in range(3):
            own_runs, own_scores = _fold_runs(screen, split, fold, design, effects, fold_sd, rng)
            runs.append(own_runs)
            scores.append(own_scores)
    return pd.concat(runs, ignore_index=True), pd.concat(scores, ignore_index=True)


def _screen(n_cells, n_drugs, rng):
    """Rows of a simulated screen: study, cell, drug, response, and the part of it that is no main effect."""
    cell, drug = (a.ravel() for a in np.meshgrid(np.arange(n_cells), np.arange(n_drugs), indexing="ij"))
    study = np.array(STUDIES)[cell % len(STUDIES)]
    keep = (study != "CTRP") | (drug < 3)  # one study of very few drugs, as in the open panel
    cell, drug, study = cell[keep], drug[keep], study[keep]
    drug_mean, cell_mean = rng.normal(0.82, 0.16, n_drugs), rng.normal(0, 0.04, n_cells)
    main = drug_mean[drug] + cell_mean[cell]
    rest = rng.normal(0, 0.09, len(cell))
    return dict(cell=cell, drug=drug, study=study, main=main, y=np.clip(main + rest, 0.02, 1.0))


def _fold_runs(screen, split, fold, design, effects, fold_sd, rng):
    unit = screen["cell"] if split == "on_cell" else screen["drug"]
    role = (unit + fold) % 3  # 0 is test; a fifth of the rest is inner
    inner = (role != 0) & (unit % 5 == 0)
    names = [name for name in design if name != "split"]
    levels = list(itertools.product(*(design[name] for name in names)))
    slope = {(n, v): rng.normal(0, fold_sd) for n in names for v in design[n][1:]}
    change = [
        sum(effects.get((n, v), 0) + slope.get((n, v), 0) for n, v in zip(names, run, strict=True)) for run in levels
    ]
    skill = 0.4 + np.array(change) + rng.normal(0, 0.02, len(levels))
    runs = pd.DataFrame(levels, columns=names).assign(**HELD, split=split, fold=fold, seed=0)
    runs["run_id"] = [f"{split}-f{fold}-{'-'.join(run)}" for run in levels]
    naive = runs.iloc[:1].drop(columns="model").merge(pd.DataFrame({"model": list(BASELINE_SKILL)}), how="cross")
    naive["run_id"] = f"{split}-f{fold}-" + naive["model"]
    runs = pd.concat([runs, naive], ignore_index=True)
    runs = runs.assign(shard="simulated", status="early_stop", reason=None, epochs=20, best_epoch=15, seconds=0.1)
    runs["n_parameters"] = 1000
    parts = {"test": role == 0, "inner": inner}
    scores = [_score_part(screen, rows, name, runs, skill, rng) for name, rows in parts.items()]
    return runs, pd.concat(scores, ignore_index=True)


def _score_part(screen, rows, part, runs, skill, rng):
    y, main = screen["y"][rows], screen["main"][rows]
    noise = rng.normal(0, 0.02, (len(skill), len(y)))
    predicted = [main + s * (y - main) + e for s, e in zip(skill, noise, strict=True)]
    for model, own in BASELINE_SKILL.items():
        groups = {
            "global_mean": np.zeros(len(y), int),
            "drug_mean": screen["drug"][rows],
            "cell_mean": screen["cell"][rows],
        }
        predicted.append(_group_mean(main, groups[model]) if own is None else main + own * (y - main))
    names = {key: np.char.add(f"simulated_{key}_", screen[key][rows].astype(str)) for key in ("drug", "cell")}
    return metrics.score_rows(
        runs["run_id"], part, y, np.array(predicted), main, screen["study"][rows], names["drug"], names["cell"]
    )


def _group_mean(values, group):
    return (np.bincount(group, values) / np.maximum(np.bincount(group), 1))[group]
