"""Simulated truth: responses whose effects are known, to score the tests that the analysis uses.

Nothing here is data and nothing here reaches a table of results: the frames say "simulated" in
their name. Three questions are answered. How often does the paper's t-test call a feature
significant that does nothing (`null_rejections`, `test_rates`)? What do the tests at the right unit
do on the same studies? And does the whole chain, from responses made with a known SNP effect on
real features to a tested contrast, find what was planted (`recovery`)?
"""

import itertools

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from lib.analysis import contrasts, statistics

# How often does a test call a feature significant? ----------------------------------------------

RUN_SD = 0.08  # spread of runs [R2]
PER_ARM = 17_660  # runs with a feature in the paper, and as many without
N_FOLDS = 3
N_STUDIES = 2000  # simulated studies behind `null_rejections`
FOLD_SDS = (0.0, 0.0025, 0.005, 0.01, 0.02)  # spreads of an effect between folds [R2]


def null_rejections(fold_sd):
    """How often the paper's t-test finds a feature that does nothing, at the 5 % level.

    Each study compares PER_ARM runs with and without a feature. Runs vary with RUN_SD; the
    feature's effect in a fold is a draw with spread `fold_sd`, since a fold is one draw of lines or
    drugs. The means and variances of the arms are drawn from their exact distributions, which is
    the same as drawing every run.

    Parameters
    ----------
    fold_sd : float
        [R2]

    Returns
    -------
    dict
        rate, low, high (Wilson's 95 % interval), n_studies.
    """
    rng = np.random.default_rng(0)
    n = PER_ARM // N_FOLDS
    slope = rng.normal(0, fold_sd, (N_STUDIES, N_FOLDS))
    means = rng.normal(0, RUN_SD / np.sqrt(n), (2, N_STUDIES, N_FOLDS))
    means[1] += slope
    within = RUN_SD**2 * rng.chisquare(N_FOLDS * (n - 1), (2, N_STUDIES))
    between = n * means.var(axis=2) * N_FOLDS
    sd = np.sqrt((within + between) / (n * N_FOLDS - 1))
    mean = means.mean(axis=2)
    n_runs = n * N_FOLDS
    test = stats.ttest_ind_from_stats(mean[1], sd[1], n_runs, mean[0], sd[0], n_runs)
    return _rate((test.pvalue < 0.05).sum(), N_STUDIES)


def _rate(hits, n):
    """A share with Wilson's 95 % interval."""
    low, high = proportion_confint(hits, n, method="wilson")
    return dict(rate=float(hits / n), low=float(low), high=float(high), n_studies=n)


def one_study(rng, effect, fold_sd, n_configs):
    """Scores of matched configurations in every fold, without and with a feature.

    Returns
    -------
    ndarray of shape (2, n_configs, N_FOLDS)
    """
    without = rng.normal(0, 0.077, (n_configs, 1)) + rng.normal(0, 0.02, N_FOLDS)
    change = effect + rng.normal(0, fold_sd, N_FOLDS) + rng.normal(0, 0.01, (n_configs, 1))
    noise = rng.normal(0, 0.02, (2, n_configs, N_FOLDS))
    return np.stack([without, without + change]) + noise


def _every_run(without, with_level):
    return statistics.t_test(without, with_level)


def _folds_merged(without, with_level):
    return statistics.t_test(without.mean(1), with_level.mean(1))


def _over_folds(without, with_level):
    return statistics.fold_t_test((with_level - without).mean(0))


def _nadeau_bengio(without, with_level):
    return statistics.fold_t_test((with_level - without).mean(0), 1 / N_FOLDS)


def _mixed_model(without, with_level):
    return statistics.mixed_effect(with_level - without)


TESTS = {
    "the paper's t-test, every run": _every_run,
    "t-test, folds merged": _folds_merged,
    "matched runs, t over folds": _over_folds,
    "matched runs, Nadeau-Bengio": _nadeau_bengio,
    "matched runs, mixed model": _mixed_model,
}


def test_rates(n_studies, n_configs):
    """Type-I error of every test of TESTS on the same studies of a feature that does nothing.

    Returns
    -------
    DataFrame
        test, effect (0), fold_sd (FOLD_SDS), rate, low, high, n_studies.
    """
    rng = np.random.default_rng(0)
    rows = []
    for fold_sd in FOLD_SDS:
        hits = dict.fromkeys(TESTS, 0)
        for _ in range(n_studies):
            study = one_study(rng, 0.0, fold_sd, n_configs)
            for name, test in TESTS.items():
                hits[name] += test(*study)["p"] < 0.05
        for name, n in hits.items():
            rows.append(dict(test=name, effect=0.0, fold_sd=fold_sd, **_rate(n, n_studies)))
    return pd.DataFrame(rows)


test_rates.__test__ = False  # a name that pytest would take for a test


# The whole chain on planted responses -----------------------------------------------------------

N_LINES, N_FEATURES = 400, 1000  # real lines and genes that are taken
N_DRUGS = 30
SNP_SDS = (0.0, 0.02, 0.04)  # planted spreads of the SNP term [AUC]
WIDTHS, PENALTIES = (10, 30), (3.0, 30.0, 300.0)  # settings that the runs of `chain` cross
LEAK_PENALTY = 3.0


def planted_responses(expression, snp, rng, snp_sd, noise_sd=0.06):
    """Responses of real cell lines whose causes are known.

    Every drug has a mean, every line a general sensitivity; three directions of the real expression
    and one of the real SNP counts act on each drug with a slope of its own.

    Parameters
    ----------
    expression, snp : ndarray of shape (n_cells, n_components)
        `components` of real features of the lines; the first ten act.
    rng : numpy Generator
    snp_sd : float
        Spread of the SNP term [AUC]; 0 plants no effect.
    noise_sd : float
        [AUC]

    Returns
    -------
    ndarray of shape (n_cells, N_DRUGS)
        AUC, 0 to 1.
    """
    n_cells = len(expression)
    response = rng.normal(0.82, 0.12, N_DRUGS) + rng.normal(0, 0.03, (n_cells, 1))
    response = response + rng.normal(0, noise_sd, (n_cells, N_DRUGS))
    for z, n_directions, sd in ((expression[:, :10], 3, 0.05), (snp[:, :10], 1, snp_sd)):
        directions = z @ rng.normal(size=(z.shape[1], n_directions))
        term = directions @ rng.normal(size=(n_directions, N_DRUGS))
        response = response + sd * term / term.std()
    return np.clip(response, 0.0, 1.0)


def real_features(expression, mutations):
    """Expression and SNP counts of the same lines, for `recovery` and `leak_price`.

    Parameters
    ----------
    expression, mutations : DataFrame
        Tables of one profile source and one mutation source, with `cell_id`.

    Returns
    -------
    tuple of ndarray, each of shape (n_lines, n_features)
        The first N_LINES lines and N_FEATURES genes.
    """
    tables = []
    for frame in (expression, mutations):
        frame = frame.drop_duplicates("cell_id").set_index("cell_id")
        tables.append(frame.select_dtypes("number").iloc[:, :N_FEATURES].fillna(0))
    lines = tables[0].index.intersection(tables[1].index)[:N_LINES]
    return tuple(frame.loc[lines].to_numpy(float) for frame in tables)


def components(x, k):
    """Leading principal component scores of the columns of x, each of unit spread: (n, at most k).

    By numpy and not by scikit-learn's PCA, which turns the signs: the planted slopes meet the
    components in order, so that other signs are other simulated screens.
    """
    x = np.asarray(x, float) - np.mean(x, axis=0)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return u[:, :k][:, s[:k] > 1e-9 * s[0]] * np.sqrt(len(x))


def chain(expression, snp, response, rng):
    """Ridge models on folds of unseen cells: with SNPs, without, with SNPs shuffled between lines.

    Shuffled SNPs are as many features with as many ones and no information: the zero line that
    "without" is not, since any extra feature costs a fitted model something.

    Returns
    -------
    DataFrame
        One row per run: configuration, fold, n_folds, snp ("none", "counts", "shuffled") and the
        other settings, r2 on the fold's test cells.
    """
    fold = rng.permutation(np.arange(len(response)) % N_FOLDS)
    blocks = {"none": snp[:, :0], "counts": snp, "shuffled": snp[rng.permutation(len(snp))]}
    rows = []
    for k, (level, block), penalty in itertools.product(WIDTHS, blocks.items(), PENALTIES):
        x = np.column_stack([expression[:, :k], block])
        error, total = _cross_validated(x, response, fold, penalty)
        for f in range(N_FOLDS):
            row = dict(configuration=f"{level}-{k}-{penalty}", fold=f, n_folds=N_FOLDS)
            row |= dict(snp=level, hidden=str(k), lr=penalty, r2=1 - error[f] / total[f])
            rows.append(row)
    return pd.DataFrame(rows)


def _cross_validated(x, response, fold, penalty):
    """Squared error of a ridge on all drugs at once, and of the mean response: (2, N_FOLDS)."""
    errors = np.zeros((2, N_FOLDS))
    for f in range(N_FOLDS):
        train = fold != f
        truth = response[~train]
        mean = response[train].mean(0)
        gram = x[train].T @ x[train] + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x[train].T @ (response[train] - mean))
        predicted = mean + x[~train] @ weights
        errors[:, f] = ((truth - predicted) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()
    return errors


def recovery(expression, snp, n_studies):
    """Does the chain find a planted SNP effect, and only then? By the paper's test and ours.

    Parameters
    ----------
    expression, snp : ndarray of shape (n_cells, n_features)
        Real features.
    n_studies : int
        Simulated screens per planted effect.

    Returns
    -------
    DataFrame
        One row per planted spread (SNP_SDS) and comparison ("counts - none", "counts - shuffled"):
        planted_r2 (share of the variance that the SNP term holds), mean and sd of the effect found,
        and the share of studies called significant by the paper's t-test (share_paper), over folds
        (share_folds) and by the mixed model (share_mixed).
    """
    rng = np.random.default_rng(0)
    z = components(expression, 30)
    z_snp = components(np.log1p(snp), 20)
    rows = []
    for snp_sd, _ in itertools.product(SNP_SDS, range(n_studies)):
        response = planted_responses(z, z_snp, rng, snp_sd)
        runs = chain(z, z_snp, response, rng)
        for reference in ("none", "shuffled"):
            two = runs[runs["snp"].isin([reference, "counts"])]
            found = contrasts.factor_contrasts(two, "snp", ["r2"], reference)[0]
            row = dict(comparison=f"counts - {reference}", snp_sd=snp_sd, effect=found["effect"])
            row["planted_r2"] = snp_sd**2 / response.var()
            row["share_paper"] = found["p_paper"] < 0.05
            row["share_folds"] = found["p"] < 0.05
            row["share_mixed"] = found["p_mixed"] < 0.05
            rows.append(row)
    grouped = pd.DataFrame(rows).groupby(["comparison", "snp_sd"])
    shares = ["planted_r2", "effect", "share_paper", "share_folds", "share_mixed"]
    table = grouped[shares].mean()
    return table.assign(effect_sd=grouped["effect"].std(), n_studies=n_studies).reset_index()


def leak_price(expression, rng):
    """R2 of one model on the same responses, folds cut by line and by study-prefixed line.

    The second is how the Uno pipeline cuts them.

    Every line is measured in two simulated studies with a batch offset; its private response, which
    no feature explains, is the same in both.

    Returns
    -------
    dict
        clean, leaky: R2 on the test rows under either key.
    """
    z = components(expression, min(200, len(expression) - 1))
    private = rng.normal(0, 0.05, (len(z), N_DRUGS))
    truth = planted_responses(z, z, rng, 0.0, noise_sd=0.02) + private
    response = np.concatenate([truth, truth + rng.normal(0, 0.03, N_DRUGS)])
    response = response + rng.normal(0, 0.02, response.shape)
    x = np.concatenate([z, z])
    line = np.tile(np.arange(len(z)), 2)
    folds = {"clean": rng.permutation(len(z))[line] % 3, "leaky": rng.permutation(len(x)) % 3}
    found = {}
    for name, fold in folds.items():
        error, total = _cross_validated(x, response, fold, LEAK_PENALTY)
        found[name] = 1 - error.sum() / total.sum()
    return found


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
        `recovery`, and one row of n_lines, clean and leaky (R2 of `leak_price`); both empty where
        no line is in both.
    """
    x, snp = real_features(expression, mutations)
    if not len(x):
        empty = ["comparison", "snp_sd", "effect", "share_paper", "share_folds"]
        return pd.DataFrame(columns=empty), pd.DataFrame(columns=["n_lines", "clean", "leaky"])
    leak = leak_price(x, np.random.default_rng(0))
    leak["n_lines"] = len(x)
    return recovery(x, snp, n_studies), pd.DataFrame([leak])
