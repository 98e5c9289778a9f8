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

from lib.analysis import contrasts, statistics
from lib.sweep import metrics
from lib.sweep.grid import TYPES

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
BASELINE_SKILL = dict(
    global_mean=None, drug_mean=None, cell_mean=None, mean_effects=0.0, ridge=0.35
)


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
    runs = pd.concat(runs, ignore_index=True)
    runs["init"] = 1.0
    settings = runs[[name for name in TYPES if name in runs and name != "fold"]].astype(str)
    runs["configuration"] = pd.util.hash_pandas_object(settings, index=False).astype(str)
    return runs, pd.concat(scores, ignore_index=True)


def _screen(n_cells, n_drugs, rng):
    """Rows of a simulated screen: study, cell, drug, response, and the part of it that is no main effect."""
    cell, drug = (
        a.ravel() for a in np.meshgrid(np.arange(n_cells), np.arange(n_drugs), indexing="ij")
    )
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
        sum(effects.get((n, v), 0) + slope.get((n, v), 0) for n, v in zip(names, run, strict=True))
        for run in levels
    ]
    skill = 0.4 + np.array(change) + rng.normal(0, 0.02, len(levels))
    runs = pd.DataFrame(levels, columns=names).assign(**HELD, split=split, fold=fold, seed=0)
    runs["run_id"] = [f"{split}-f{fold}-{'-'.join(run)}" for run in levels]
    naive = (
        runs.iloc[:1]
        .drop(columns="model")
        .merge(pd.DataFrame({"model": list(BASELINE_SKILL)}), how="cross")
    )
    naive["run_id"] = f"{split}-f{fold}-" + naive["model"]
    runs = pd.concat([runs, naive], ignore_index=True)
    runs = runs.assign(
        shard="simulated", status="early_stop", reason=None, epochs=20, best_epoch=15, seconds=0.1
    )
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
        predicted.append(
            _group_mean(main, groups[model]) if own is None else main + own * (y - main)
        )
    names = {
        key: np.char.add(f"simulated_{key}_", screen[key][rows].astype(str))
        for key in ("drug", "cell")
    }
    return metrics.score_rows(
        runs["run_id"],
        part,
        y,
        np.array(predicted),
        main,
        screen["study"][rows],
        names["drug"],
        names["cell"],
    )


def _group_mean(values, group):
    return (np.bincount(group, values) / np.maximum(np.bincount(group), 1))[group]


# How often does a test call a feature significant? -----------------------------------------------------------------


def null_rejections(
    fold_sd=0.005, run_sd=0.08, per_arm=17_660, n_folds=3, effect=0.0, n_studies=2000, seed=0
):
    """Share of simulated studies in which the paper's t-test finds a feature at the 5 % level.

    Each study compares `per_arm` runs with and without a feature. Runs vary with `run_sd`; the feature's effect in
    fold k is `effect` plus a slope of spread `fold_sd`, since a fold is one draw of cells or drugs. The means and
    variances of the arms are drawn from their exact distributions, which is the same as drawing every run.

    Parameters
    ----------
    fold_sd, run_sd : float
        [R2]
    per_arm, n_folds, n_studies : int
    effect : float
        0 asks for the type-I error, anything else for power.
    seed : int

    Returns
    -------
    dict
        rate, low, high (Wilson's 95 % interval), n_studies.
    """
    from scipy import stats as scipy_stats

    rng = np.random.default_rng(seed)
    n = per_arm // n_folds
    slope = effect + rng.normal(0, fold_sd, (n_studies, n_folds))
    means = rng.normal(0, run_sd / np.sqrt(n), (2, n_studies, n_folds))
    means[1] += slope
    within = run_sd**2 * rng.chisquare(n_folds * (n - 1), (2, n_studies))
    between = n * means.var(axis=2) * n_folds
    sd = np.sqrt((within + between) / (n * n_folds - 1))
    p = scipy_stats.ttest_ind_from_stats(
        means[1].mean(1), sd[1], n * n_folds, means[0].mean(1), sd[0], n * n_folds
    ).pvalue
    return _rate((p < 0.05).sum(), n_studies)


def _rate(hits, n):
    """A share with Wilson's 95 % interval."""
    z, share = 1.959964, hits / n
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = ((middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    return dict(rate=float(share), low=float(low), high=float(high), n_studies=int(n))


def one_study(
    rng,
    effect,
    fold_sd,
    n_configs=300,
    n_folds=3,
    config_sd=0.077,
    config_slope_sd=0.01,
    noise_sd=0.02,
):
    """Scores of matched configurations in every fold, without and with a feature.

    Returns
    -------
    ndarray of shape (2, n_configs, n_folds)
    """
    base = rng.normal(0, config_sd, (n_configs, 1)) + rng.normal(0, 0.02, n_folds)
    change = (
        effect + rng.normal(0, fold_sd, n_folds) + rng.normal(0, config_slope_sd, (n_configs, 1))
    )
    noise = rng.normal(0, noise_sd, (2, n_configs, n_folds))
    return np.stack([base, base + change]) + noise


def _plain_t(without, with_level):
    """`stats.t_test` without its interval, for thousands of calls."""
    from scipy import stats as scipy_stats

    facts = [f for x in (with_level, without) for f in (x.mean(), x.std(ddof=1), len(x))]
    return dict(p=scipy_stats.ttest_ind_from_stats(*facts).pvalue)


TESTS = {
    "the paper's t-test, every run": lambda s: _plain_t(s[0].ravel(), s[1].ravel()),
    "t-test, folds merged": lambda s: _plain_t(s[0].mean(1), s[1].mean(1)),
    "matched runs, t over folds": lambda s: statistics.fold_t_test((s[1] - s[0]).mean(0)),
    "matched runs, Nadeau-Bengio": lambda s: statistics.fold_t_test(
        (s[1] - s[0]).mean(0), 1 / s.shape[2]
    ),
    "matched runs, mixed model": lambda s: statistics.mixed_effect(s[1] - s[0]),
}


def test_rates(
    effects=(0.0,), fold_sds=(0.0, 0.0025, 0.005, 0.01, 0.02), n_studies=200, n_configs=300, seed=0
):
    """Type-I error (effect 0) and power of every test of TESTS on the same simulated studies.

    Returns
    -------
    DataFrame
        test, effect, fold_sd, rate, low, high, n_studies.
    """
    rng, rows = np.random.default_rng(seed), []
    for effect, fold_sd in itertools.product(effects, fold_sds):
        hits = dict.fromkeys(TESTS, 0)
        for _ in range(n_studies):
            study = one_study(rng, effect, fold_sd, n_configs)
            for name, test in TESTS.items():
                hits[name] += test(study)["p"] < 0.05
        rows += [
            dict(test=name, effect=effect, fold_sd=fold_sd) | _rate(n, n_studies)
            for name, n in hits.items()
        ]
    return pd.DataFrame(rows)


test_rates.__test__ = False  # a name that pytest would take for a test


# The whole chain on planted responses ------------------------------------------------------------------------------


def planted_responses(expression, snp, rng, snp_sd=0.0, n_drugs=30, noise_sd=0.06):
    """Responses of real cell lines whose causes are known.

    Every drug has a mean, every line a general sensitivity; three directions of the real expression and one of the real
    SNP counts act on each drug with a slope of its own.

    Parameters
    ----------
    expression, snp : ndarray of shape (n_cells, n_components)
        `components` of real features of the lines; the first ten act.
    rng : numpy Generator
    snp_sd : float
        Spread of the SNP term [AUC]; 0 plants no effect.
    n_drugs : int
    noise_sd : float
        [AUC]

    Returns
    -------
    ndarray of shape (n_cells, n_drugs)
        AUC, 0 to 1.
    """
    n_cells = len(expression)
    response = rng.normal(0.82, 0.12, n_drugs) + rng.normal(0, 0.03, (n_cells, 1))
    response = response + rng.normal(0, noise_sd, (n_cells, n_drugs))
    for z, n_directions, sd in ((expression[:, :10], 3, 0.05), (snp[:, :10], 1, snp_sd)):
        term = (
            z
            @ rng.normal(size=(z.shape[1], n_directions))
            @ rng.normal(size=(n_directions, n_drugs))
        )
        response = response + sd * term / term.std()
    return np.clip(response, 0.0, 1.0)


def real_features(expression, mutations, n_cells=400, n_features=1000):
    """Expression and SNP counts of the same lines, for `recovery` and `leak_price`.

    Parameters
    ----------
    expression, mutations : DataFrame
        Tables of one profile source and one mutation source, with `cell_id`.
    n_cells, n_features : int
        The first lines and genes are taken.

    Returns
    -------
    tuple of ndarray, each of shape (n_lines, n_features)
    """
    tables = [
        frame.drop_duplicates("cell_id").set_index("cell_id").select_dtypes("number")
        for frame in (expression, mutations)
    ]
    lines = tables[0].index.intersection(tables[1].index)[:n_cells]
    return tuple(
        frame.loc[lines].iloc[:, :n_features].fillna(0).to_numpy(float) for frame in tables
    )


def components(x, k):
    """Leading principal component scores of the columns of x, each of unit spread: (n, at most k)."""
    x = np.asarray(x, float) - np.mean(x, axis=0)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return u[:, :k][:, s[:k] > 1e-9 * s[0]] * np.sqrt(len(x))


def chain(expression, snp, response, rng, widths=(10, 30), penalties=(3.0, 30.0, 300.0), n_folds=3):
    """Ridge models on folds of unseen cells, with SNPs, without, and with the same SNPs shuffled between lines.

    Shuffled SNPs are as many features with as many ones and no information: the zero line that "without" is not, since
    any extra feature costs a fitted model something.

    Returns
    -------
    DataFrame
        One row per run: configuration, fold, n_folds, snp ("none", "counts", "shuffled") and the other settings, r2 on
        the fold's test cells.
    """
    fold, rows = rng.permutation(np.arange(len(response)) % n_folds), []
    blocks = {"none": snp[:, :0], "counts": snp, "shuffled": snp[rng.permutation(len(snp))]}
    for k, (level, block), f in itertools.product(widths, blocks.items(), range(n_folds)):
        x, train, test = np.column_stack([expression[:, :k], block]), fold != f, fold == f
        for penalty, r2 in zip(
            penalties, _ridge_r2s(x, response, train, test, penalties), strict=True
        ):
            settings = dict(snp=level, hidden=str(k), lr=penalty)
            rows.append(
                settings
                | dict(configuration=f"{level}-{k}-{penalty}", fold=f, n_folds=n_folds, r2=r2)
            )
    return pd.DataFrame(rows)


def _ridge_r2s(x, response, train, test, penalties):
    """R2 on the test rows of a ridge on all drugs at once, one per penalty."""
    mean, truth = response[train].mean(0), response[test]
    values, vectors = np.linalg.eigh(x[train].T @ x[train])
    target = vectors.T @ (x[train].T @ (response[train] - mean))
    total = ((truth - truth.mean()) ** 2).sum()
    fits = (
        mean + (x[test] @ vectors) @ (target / (values + penalty)[:, None]) for penalty in penalties
    )
    return [1 - ((truth - predicted) ** 2).sum() / total for predicted in fits]


def recovery(expression, snp, snp_sds=(0.0, 0.02, 0.04), n_studies=40, seed=0):
    """Does the chain find a planted SNP effect, and only then? Paper's test and ours on the same simulated responses.

    Parameters
    ----------
    expression, snp : ndarray of shape (n_cells, n_features)
        Real features.
    snp_sds : sequence of float
        Planted spread of the SNP term [AUC].
    n_studies : int
        Simulated screens per planted effect.

    Returns
    -------
    DataFrame
        One row per planted spread and comparison ("counts - none", "counts - shuffled"): planted_r2 (share of the
        variance that the SNP term holds), mean and sd of the effect found, and the share of studies called
        significant by the paper's t-test (share_paper), over folds (share_folds) and by the mixed model
        (share_mixed).
    """
    rng, found = np.random.default_rng(seed), []
    z, z_snp = components(expression, 30), components(np.log1p(snp), 20)
    for snp_sd, study in itertools.product(snp_sds, range(n_studies)):
        response = planted_responses(z, z_snp, rng, snp_sd)
        runs, share = chain(z, z_snp, response, rng), snp_sd**2 / response.var()
        for reference in ("none", "shuffled"):
            two = runs[runs["snp"].isin([reference, "counts"])]
            one = contrasts.factor_contrasts(two, "snp", ["r2"], reference)[0]
            found.append(
                one
                | dict(
                    snp_sd=snp_sd, planted_r2=share, comparison=f"counts - {reference}", study=study
                )
            )
    frame = pd.DataFrame(found)
    for name, p in dict(share_paper="p_paper", share_folds="p", share_mixed="p_mixed").items():
        frame[name] = frame[p] < 0.05
    shares = ["planted_r2", "effect", "share_paper", "share_folds", "share_mixed"]
    grouped = frame.groupby(["comparison", "snp_sd"])
    return (
        grouped[shares]
        .mean()
        .assign(effect_sd=grouped["effect"].std(), n_studies=n_studies)
        .reset_index()
    )


def leak_price(expression, rng, n_drugs=30, private_sd=0.05, batch_sd=0.03, penalty=3.0):
    """R2 of one model on the same responses, folds cut by line and by study-prefixed line, as the paper's group did.

    Every line is measured in two simulated studies with a batch offset; its private response, which no feature
    explains, is the same in both.

    Returns
    -------
    dict
        clean, leaky: R2 on the test rows under either key.
    """
    z = components(expression, min(200, len(expression) - 1))
    private = rng.normal(0, private_sd, (len(z), n_drugs))
    truth = planted_responses(z, z, rng, 0.0, n_drugs, noise_sd=0.02) + private
    response = np.concatenate([truth, truth + rng.normal(0, batch_sd, n_drugs)])
    response = response + rng.normal(0, 0.02, response.shape)
    x, line = np.concatenate([z, z]), np.tile(np.arange(len(z)), 2)
    keys = {"clean": rng.permutation(len(z))[line] % 3, "leaky": rng.permutation(len(x)) % 3}
    return {name: _ridge_r2(x, response, fold, penalty) for name, fold in keys.items()}


def _ridge_r2(x, response, fold, penalty):
    error = total = 0.0
    for f in np.unique(fold):
        train, test = fold != f, fold == f
        mean = response[train].mean(0)
        w = np.linalg.solve(
            x[train].T @ x[train] + penalty * np.eye(x.shape[1]),
            x[train].T @ (response[train] - mean),
        )
        error += ((response[test] - mean - x[test] @ w) ** 2).sum()
        total += ((response[test] - response[test].mean()) ** 2).sum()
    return 1 - error / total


def on_real_features(expression, mutations, n_studies):
    """`recovery` and `leak_price` with the real features of the lines that both tables hold.

    Parameters
    ----------
    expression, mutations : DataFrame
        As in `real_features`; either may be empty.
    n_studies : int
        Simulated screens per planted effect.

    Returns
    -------
    DataFrame, DataFrame
        `recovery`, and one row of n_lines, clean and leaky (R2 of `leak_price`); both empty where no line is in both.
    """
    x, snp = real_features(expression, mutations)
    if not len(x):
        empty = ["comparison", "snp_sd", "effect", "share_paper", "share_folds"]
        return pd.DataFrame(columns=empty), pd.DataFrame(columns=["n_lines", "clean", "leaky"])
    leak = leak_price(x, np.random.default_rng(0))
    return recovery(x, snp, n_studies=n_studies), pd.DataFrame([dict(leak, n_lines=len(x))])
