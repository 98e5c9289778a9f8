"""Simulated truth: which interval of an effect keeps its promise on this panel?

Nothing here is data and nothing here reaches a table of results: the frames say "simulated" in
their name. Features, rows per line or drug and folds are those of the panel; the responses are
made, so that the effect of a block of features is known. Ridge regression in closed form stands in
for the networks. On many such screens `screens` measures, for 1, 3 and 10 repeats of the folds,
how often each interval holds the true effect; `rates` tells which one is quoted and how much wider
it has to be (`WIDER`); `leak_price` says what folds that share lines are worth.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from lib import splits
from lib.analysis import statistics
from lib.sweep import metrics

REPEATS = (1, 3, 10)
N_FOLDS = 3
N_COMPONENTS = 10  # of the features that every model has, and of the block that is tested
PENALTY = 100.0
LEAST = 60  # lines or drugs of a design
LEAST_SCREENS = 15  # behind a factor that is used
DROPPED = 0.1  # training units that a fit does not see: what a seed does to a network
RUN_SD, PER_ARM = 0.08, 17_660  # spread of runs, and runs per arm, of the paper's t-test
SHARES = (0.35, 0.7)  # planted spread of the tested block, over that of the other features
UNIT = {"on_cell": "cell_id", "on_drug": "drug_id"}
# Spreads [AUC] of what features explain, of what is peculiar to a unit, and of a measurement.
SPREADS = {"on_cell": (0.05, 0.05, 0.04), "on_drug": (0.10, 0.10, 0.06)}
PAPER, FOLDS, UNITS, QUOTED = (
    "the paper's t-test",
    "folds (Nadeau-Bengio)",
    "lines or drugs (bootstrap)",
    "quoted: lines or drugs, widened",
)
# Columns of `rates`: the first six say of what, the next three are shares and a mean.
RATES = (
    "split n_repeats planted true_effect test wider significant coverage width n_screens"
).split()


@dataclass
class Design:
    """What a simulated screen takes from the panel; a unit is a line or a drug.

    `base` and `block` are features of shape (n_units, N_COMPONENTS); `n` counts the rows of each
    unit in each column (n_units, n_columns); `role` of shape (n_repeats, N_FOLDS, n_units) is that
    of lib.splits.
    """

    split: str
    base: np.ndarray
    block: np.ndarray
    n: np.ndarray
    role: np.ndarray


def on_lines(rows, expression, mutations):
    """The design of unseen cell lines: expression is known, mutations are tested, a column per drug.

    Parameters
    ----------
    rows : DataFrame
        Training rows with cell_id, donor and drug_id.
    expression, mutations : DataFrame
        Tables of one source, with `cell_id`.

    Returns
    -------
    list of Design
        Empty where fewer than LEAST lines have both.
    """
    one, other = (_numbers(frame, "cell_id") for frame in (expression, mutations))
    rows = rows[rows.cell_id.isin(one.index.intersection(other.index))]
    counts = pd.crosstab(rows.cell_id.astype(str), rows.drug_id.astype(str))
    if len(counts) < LEAST:
        return []
    base = components(one.loc[counts.index], N_COMPONENTS)
    block = components(np.log1p(other.loc[counts.index].clip(lower=0)), N_COMPONENTS)
    return [_design("on_cell", rows, counts, base, block)]


def on_drugs(rows, descriptors):
    """The design of unseen drugs: half of the descriptors' components is known, half is tested.

    Parameters
    ----------
    rows : DataFrame
        As in `on_lines`.
    descriptors : DataFrame
        One block, with `drug_id`.

    Returns
    -------
    list of Design
        With one column, since descriptors act on the mean of a drug; empty where fewer than LEAST
        drugs have descriptors.
    """
    table = _numbers(descriptors, "drug_id")
    rows = rows[rows.drug_id.isin(table.index)]
    counts = rows.groupby(rows.drug_id.astype(str)).size().to_frame()
    if len(counts) < LEAST:
        return []
    x = table.loc[counts.index]
    x = ((x - x.mean()) / x.std().replace(0, 1)).clip(-5, 5)
    z = components(x, 2 * N_COMPONENTS)
    return [_design("on_drug", rows, counts, z[:, :N_COMPONENTS], z[:, N_COMPONENTS:])]


def _numbers(frame, key):
    return frame.drop_duplicates(key).set_index(key).select_dtypes("number").fillna(0)


def _design(split, rows, counts, base, block):
    """A design with the role of each unit (in sorted order) in each fold of each repeat."""
    _, first = np.unique(rows[UNIT[split]].to_numpy(str), return_index=True)
    keys = rows[splits.KEYS[split]].to_numpy(str)
    roles = [splits.roles(keys, N_FOLDS, repeat=repeat)[0] for repeat in range(max(REPEATS))]
    return Design(split, base, block, counts.to_numpy(float), np.stack(roles)[:, :, first])


def components(x, k):
    """Leading principal component scores of the columns of x, each of unit spread: (n, at most k).

    By numpy and not by scikit-learn's PCA, which turns the signs: the planted slopes meet the
    components in order, so that other signs are other simulated screens.
    """
    x = np.asarray(x, float)
    x = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return u[:, :k][:, s[:k] > 1e-9 * s[0]] * np.sqrt(len(x))


def responses(base, block, n_columns, spreads, share, rng):
    """Made responses [AUC] of shape (n_units, n_columns).

    Columns, slopes and directions are the same on every call (the biology); what is peculiar to a
    unit, and the noise, are drawn anew from `rng`. The tested block acts with `share` of the spread
    of the other features.
    """
    fixed = np.random.default_rng(0)
    explained, peculiar, noise = spreads
    y = fixed.normal(0.82, 0.12, n_columns) + rng.normal(0, noise, (len(base), n_columns))
    hidden = rng.normal(size=(len(base), N_COMPONENTS))
    for z, sd in ((base, explained), (block, share * explained), (hidden, peculiar)):
        slopes = fixed.normal(size=(z.shape[1], 3)) @ fixed.normal(size=(3, n_columns))
        term = z @ slopes
        y = y + sd * term / max(term.std(), 1e-12)
    return y


def squared_errors(design, share, rng):
    """One simulated screen: squared errors by repeat and unit.

    A simulated unit has the features of two real ones, half and half, so that every screen draws
    other lines or drugs from a population like the panel's.

    Returns
    -------
    dict of str to ndarray of shape (n_repeats, n_units)
        "real", "shuffled" and "again" (a second shuffle of the tested block); "mean_effects".
    """
    one = rng.permutation(len(design.n))
    other = rng.permutation(len(design.n))
    base = (design.base[one] + design.base[other]) / np.sqrt(2)
    block = (design.block[one] + design.block[other]) / np.sqrt(2)
    y = responses(base, block, design.n.shape[1], SPREADS[design.split], share, rng)
    blocks = {"real": block, "shuffled": rng.permutation(block), "again": rng.permutation(block)}
    n_repeats, n_folds, n_units = design.role.shape
    role = design.role.reshape(-1, n_units)
    known = (role == splits.TRAIN).astype(float)  # (n_repeats * n_folds, n_units)
    weights = design.n + 1e-9
    mean = known @ (weights * y) / (known @ weights)  # (n_repeats * n_folds, n_columns)
    drawn = rng.random((len(role), len(blocks), n_units)) > DROPPED
    fitted = {"mean_effects": (base, np.zeros((len(role), base.shape[1], 1)))}
    for i, (name, values) in enumerate(blocks.items()):
        x = np.hstack([base, values])
        fitted[name] = x, _ridge(x, y, mean, known * drawn[:, i], design.n)
    found = {name: np.zeros((n_repeats, n_units)) for name in fitted}
    for fold in range(len(role)):
        test = role[fold] == splits.TEST
        left = y[test] - mean[fold]
        for name, (x, slopes) in fitted.items():
            error = (design.n[test] * (left - x[test] @ slopes[fold]) ** 2).sum(1)
            found[name][fold // n_folds, test] = error
    return found


def _ridge(x, y, mean, seen, n):
    """Coefficients of every fold and column: (n_folds, n_features, n_columns).

    A pair that was not measured counts as 0, and the drugs of a single column weigh by their rows.
    `seen` (n_folds, n_units) is 1 for training units, `mean` (n_folds, n_columns) is subtracted.
    """
    rows = seen[:, :, None] * x
    measured = (n > 0).astype(float)
    if n.shape[1] == 1:
        rows = rows * n / (seen @ n / seen.sum(1, keepdims=True))[:, :, None]
        measured = np.ones_like(n)
    rows = rows.swapaxes(1, 2)  # (n_folds, n_features, n_units)
    right = rows @ (measured * y) - rows @ measured * mean[:, None]
    return np.linalg.solve(rows @ x + PENALTY * np.eye(x.shape[1]), right)


def screens(designs, n_screens):
    """Effects and intervals on simulated screens.

    Parameters
    ----------
    designs : list of Design
    n_screens : int
        Screens for each planted share.

    Returns
    -------
    DataFrame
        One row per screen, planted share (0: two shuffles of the block), number of repeats and test
        (PAPER, FOLDS, UNITS): effect [gain over the mean effects], low, high.
    """
    rng = np.random.default_rng(0)
    rows = []
    for design, share, screen in itertools.product(designs, SHARES, range(n_screens)):
        errors = squared_errors(design, share, rng)
        for name, planted in (("real", share), ("again", 0.0)):
            for n_repeats in REPEATS:
                at = dict(split=design.split, planted=planted, n_repeats=n_repeats)
                at["screen"] = f"{share}-{screen}"
                tested = _tested(design, errors, name, n_repeats)
                for test, found in tested.items():
                    numbers = {end: found[end] for end in ("effect", "low", "high")}
                    rows.append(at | dict(test=test) | numbers)
    return pd.DataFrame(rows)


def _tested(design, errors, level, n_repeats):
    """The three tests of one contrast, on the first repeats of a screen."""
    base = errors["mean_effects"][:n_repeats]
    less = (errors["shuffled"] - errors[level])[:n_repeats]  # squared error that is taken away
    is_test = design.role[:n_repeats] == splits.TEST
    by_fold = (is_test * less[:, None]).sum(2) / (is_test * base[:, None]).sum(2)
    sums = np.stack([less.sum(0), base.sum(0)], -1)  # (n_units, 2)
    drawn = statistics.resampled(sums, n_draws=200)
    effect = sums[:, 0].sum() / sums[:, 1].sum()
    half = 1.96 * RUN_SD * np.sqrt(2 / PER_ARM)
    return {
        PAPER: statistics.result(effect, effect - half, effect + half),
        FOLDS: statistics.fold_t_test(by_fold, 1 / N_FOLDS),
        UNITS: statistics.unit_test(effect, drawn[..., 0] / drawn[..., 1], sums[:, 1]),
    }


def rates(found):
    """Type-I error, power, coverage and width of each interval, and the factor of the quoted one.

    The interval over lines or drugs leaves out what other training rows would do. On one half of
    the screens it is therefore widened until it holds the true effect as often as it says; on the
    other half every rate is measured.

    Parameters
    ----------
    found : DataFrame
        `screens`.

    Returns
    -------
    DataFrame
        split, n_repeats, planted, true_effect [gain], test, wider (factor), significant (share of
        screens with p < 0.05: without an effect the type-I error, else the power), coverage (share
        of intervals that hold the true effect), width, n_screens.
    """
    if found.empty:
        return pd.DataFrame(columns=RATES)
    contrast = ["split", "planted", "test"]
    many = found[found["n_repeats"] == max(REPEATS)]
    truth = many.groupby(contrast)["effect"].mean().rename("true_effect")
    found = found.join(truth, on=contrast)
    found.loc[found["planted"] == 0, "true_effect"] = 0.0
    found["width"] = found["high"] - found["low"]
    found["needed"] = 2 * (found["effect"] - found["true_effect"]).abs() / found["width"]
    tuning = pd.factorize(found["screen"])[0] % 2 == 0
    units = found["test"] == UNITS
    design = ["split", "n_repeats"]
    factor = found[tuning & units].groupby(design)["needed"].quantile(0.95).clip(lower=1.0)
    quoted = found[~tuning & units].assign(test=QUOTED).join(factor.rename("wider"), on=design)
    every = pd.concat([found[~tuning].assign(wider=1.0), quoted])
    every["width"] *= every.wider
    every["coverage"] = every.needed <= every.wider
    every["significant"] = every.effect.abs() > every.width / 2
    grouped = every.groupby(RATES[:6], sort=False)
    return grouped[RATES[6:9]].mean().assign(n_screens=grouped.size()).reset_index()


def widening(table, split, n_repeats):
    """Factor of the interval over lines or drugs for a split and a number of repeats.

    Parameters
    ----------
    table : DataFrame
        `rates`; a split that holds drugs apart has the factor of unseen drugs, every other split
        that of unseen cell lines, a number of repeats that was not simulated the next smaller one.

    Returns
    -------
    float or None
        None where fewer than LEAST_SCREENS screens were simulated.
    """
    kind = "on_drug" if "n_drugs" in metrics.UNITS[split] else "on_cell"
    own = table[(table.test == QUOTED) & (table.split == kind)]
    own = own[(own.n_repeats <= n_repeats) & (own.n_screens >= LEAST_SCREENS)]
    return float(own.sort_values("n_repeats")["wider"].iloc[-1]) if len(own) else None


def leak_price(expression):
    """R2 of one ridge on the same responses, folds cut by line and by study-prefixed line.

    The second is how the Uno pipeline cuts them. Every line is measured in two simulated studies;
    what is peculiar to it, which no feature explains, is the same in both.

    Parameters
    ----------
    expression : DataFrame
        As in `on_lines`; 400 lines and 1,000 genes are taken.

    Returns
    -------
    DataFrame
        One row of n_lines, clean and leaky (R2 on the test rows under either key); empty for fewer
        than LEAST lines.
    """
    table = _numbers(expression, "cell_id").iloc[:400, :1000]
    if len(table) < LEAST:
        return pd.DataFrame(columns=["n_lines", "clean", "leaky"])
    rng = np.random.default_rng(0)
    z = components(table, 200)
    y = responses(z[:, :N_COMPONENTS], z[:, :0], 30, (0.05, 0.05, 0.02), 0.0, rng)
    y = np.concatenate([y, y + rng.normal(0, 0.03, 30)])
    y = y + rng.normal(0, 0.02, y.shape)
    x = np.concatenate([z, z])
    line = np.tile(np.arange(len(z)), 2)
    keys = {"clean": rng.permutation(len(z))[line], "leaky": rng.permutation(len(x))}
    found = {"n_lines": len(z)}
    for name, key in keys.items():
        predicted = cross_val_predict(Ridge(alpha=3.0), x, y, groups=key, cv=GroupKFold(N_FOLDS))
        found[name] = r2_score(y.ravel(), predicted.ravel())
    return pd.DataFrame([found])
