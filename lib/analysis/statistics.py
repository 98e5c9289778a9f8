"""Tests and intervals: the paper's, taken literally, and those at the unit of the question.

The paper compares tens of thousands of models that share three folds, as if each were an
independent draw (its section 2.1). A claim about *new cell lines* or *new drugs* has folds, lines
and drugs as units. The paper's tests and those over folds are here, side by side, effect sizes
first; intervals over lines and drugs are in lib/analysis/clusters.py. Every result is a flat dict
of effect, low, high, p, n and reason; where something cannot be computed the numbers are
NaN and `reason` says why in words.
"""

import functools

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multicomp import pairwise_tukeyhsd
from statsmodels.stats.weightstats import CompareMeans

LEAST_UNITS, LEAST_DRAWS = 10, 20  # with fewer there is no interval over lines or drugs
N_RESAMPLED = 300  # draws of configurations behind the interval of a percentile


def result(effect=np.nan, low=np.nan, high=np.nan, p=np.nan, n=0, reason="", **more):
    """One result in the common shape; `more` holds what belongs to one test (t, F, Cohen's d)."""
    return dict(effect=effect, low=low, high=high, p=p, n=n, reason=reason, **more)


# The paper's tests ------------------------------------------------------------------------------


def t_test(without, with_level):
    """Student's t-test of two groups of configurations, as the paper did for SNPs (section 2.1).

    Parameters
    ----------
    without, with_level : array_like of shape (n,)
        Scores of the configurations; missing ones are left out.

    Returns
    -------
    dict
        effect is mean(with) - mean(without) with its 95% interval; `cohens_d` in pooled standard
        deviations.
    """
    a = _finite(with_level)
    b = _finite(without)
    n = len(a) + len(b)
    if min(len(a), len(b)) < 2:
        return result(n=n, reason=f"{len(b)} and {len(a)} configurations to compare")
    effect = a.mean() - b.mean()
    if max(np.ptp(a), np.ptp(b)) < 1e-12:  # rounding
        return result(effect, n=n, reason="all scores are equal")
    test = CompareMeans.from_data(a, b)
    t, p, df = test.ttest_ind()
    d = t * np.sqrt(1 / len(a) + 1 / len(b))
    return result(effect, *test.tconfint_diff(), p, n, df=df, t=t, cohens_d=d)


def anova(values, groups):
    """One-way analysis of variance, as the paper did for scaling, gene sets and drug features.

    Returns
    -------
    dict
        effect is eta squared, the share of the variance between the levels; `f` the F statistic.
    """
    frame = _repeated(values, groups)
    levels = [own for _, own in frame.groupby("level")["value"]]
    if len(levels) < 2:
        reason = f"{len(levels)} level(s) with two or more configurations"
        return result(n=len(_finite(values)), reason=reason)
    if np.ptp(frame.value) == 0:
        return result(0.0, n=len(frame), reason="all scores are equal")
    test = stats.f_oneway(*levels)
    df = len(levels) - 1
    within = (len(frame) - len(levels)) / (df * test.statistic)  # of the variance between levels
    return result(1 / (1 + within), p=test.pvalue, n=len(frame), df=df, f=test.statistic)


def tukey_hsd(values, groups):
    """Tukey's honest significant differences of all pairs, as the paper did for the drug features.

    Returns
    -------
    DataFrame
        One row per pair: level_a, level_b, effect = mean(b) - mean(a), low, high, p, reason.
    """
    frame = _repeated(values, groups)
    columns = "level_a level_b effect low high p reason".split()
    n_levels = frame.level.nunique()
    if n_levels < 2 or frame.groupby("level")["value"].var().sum() == 0:
        reason = f"{n_levels} level(s) with two or more different scores"
        return pd.DataFrame([dict(level_a="", level_b="", reason=reason)], columns=columns)
    found = pairwise_tukeyhsd(frame.value, frame.level).summary_frame()
    names = {"group_c": "level_a", "group_t": "level_b", "meandiff": "effect"}
    names |= {"lower": "low", "upper": "high", "p-adj": "p"}
    return found.rename(columns=names).assign(reason="")[columns]


def _repeated(values, groups):
    """Scores that are known, with their level as text, of levels with two or more of them."""
    frame = pd.DataFrame({"value": np.asarray(values, float), "level": np.asarray(groups, str)})
    frame = frame.dropna()
    return frame[frame.groupby("level")["value"].transform("size") > 1]


# The unit that the question is about ------------------------------------------------------------


def holm(p_values):
    """Holm's adjustment within a family of tests; missing values stay missing and do not count."""
    adjusted = np.array(p_values, float)
    order = adjusted.argsort()[: np.isfinite(adjusted).sum()]  # missing ones sort last
    # statsmodels' multipletests collects garbage at each call, which takes 0.1 s
    steps = adjusted[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(steps).clip(max=1)
    return adjusted


def fold_t_test(by_fold, test_share=0.0, effect=None):
    """t-test over folds of a mean matched difference, with Nadeau and Bengio's correction.

    Folds share their training rows, so their differences are correlated and the plain variance of
    their mean is too small; Nadeau and Bengio (2003) replace 1/J by 1/J + n_test/n_train.

    Parameters
    ----------
    by_fold : array_like of shape (n_repeats * n_folds,)
        Mean difference of the matched configurations in each fold of each repeat.
    test_share : float
        Share of the rows that a fold tests (1/3 for three folds). 0 leaves the correction out.
    effect : float, optional
        The effect of all folds pooled, in place of the mean over folds.

    Returns
    -------
    dict
        Its n is the number of folds.
    """
    d = _finite(by_fold)
    n = len(d)
    if effect is None:
        effect = d.mean() if n else np.nan
    if n < 2:
        return result(effect, n=n, reason=f"{n} fold(s): no spread to judge by")
    extra = test_share / (1 - test_share)
    return _t_result(effect, np.sqrt((1 / n + extra) * d.var(ddof=1)), n - 1, n)


def resampled(sums, n_draws):
    """Sums over whole units (lines or drugs) that are drawn anew with replacement.

    Parameters
    ----------
    sums : ndarray of shape (..., n_units, n_columns)
    n_draws : int

    Returns
    -------
    ndarray of shape (n_draws, ..., n_columns)
    """
    return np.tensordot(_times_drawn(sums.shape[-2], n_draws), sums, (1, -2))


@functools.lru_cache(maxsize=8)
def _times_drawn(n, n_draws):
    """How often each of n units is drawn, in each draw."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=n_draws)


def unit_test(effect, draws, weights, wider=1.0):
    """An effect with the interval that draws of whole lines or drugs give.

    Parameters
    ----------
    effect : float
    draws : ndarray of shape (n_draws,)
        The effect when units are drawn anew.
    weights : ndarray of shape (n_units,)
        What each unit weighs in the effect. A few heavy units are as good as a few units: the
        degrees of freedom are (sum of weights)**2 / (sum of squares) - 1.
    wider : float
        Factor of the interval, from `simulation.rates`.

    Returns
    -------
    dict
        Its n is the number of units.
    """
    n = int((weights > 0).sum())
    draws = _finite(draws)
    if n < LEAST_UNITS or len(draws) < LEAST_DRAWS:
        reason = f"{n} line(s) or drug(s) with a score: {LEAST_UNITS} are needed for an interval"
        return result(effect, n=n, reason=reason)
    heavy = weights.sum() ** 2 / (weights**2).sum()
    return _t_result(effect, wider * draws.std(ddof=1), max(heavy - 1, 1), n)


def _t_result(effect, se, df, n):
    if not se > 1e-12:  # rounding
        reason = "the differences do not vary: compare two levels that differ, or more folds"
        return result(effect, effect, effect, n=n, reason=reason, df=df)
    half = stats.t.ppf(0.975, df) * se
    p = 2 * stats.t.sf(abs(effect) / se, df)
    return result(effect, effect - half, effect + half, p, n, df=df, se=se)


def percentile(values, q):
    """A percentile of scores with a bootstrap interval over configurations, the paper's unit.

    Parameters
    ----------
    values : array_like of shape (n,)
        Scores; missing ones are left out.
    q : float
        Between 0 and 1; the paper takes 0.99, and 0.01 for RMSE.

    Returns
    -------
    dict
        effect is the percentile.
    """
    values = _finite(values)
    if len(values) == 0:
        return result(reason="no configuration")
    drawn = np.random.default_rng(0).integers(len(values), size=(N_RESAMPLED, len(values)))
    low, high = np.quantile(np.quantile(values[drawn], q, axis=1), [0.025, 0.975])
    reason = "" if len(values) > 1 else "one configuration"
    return result(float(np.quantile(values, q)), low, high, n=len(values), reason=reason)


def _finite(values):
    values = np.asarray(values, float).ravel()
    return values[np.isfinite(values)]
