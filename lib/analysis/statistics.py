"""Tests and intervals: the paper's, taken literally, and those at the unit that the question asks about.

The paper compares tens of thousands of models that share three folds, as if each were an independent draw (its
section 2.1). A claim about *new cells* or *new drugs* has folds, cells and drugs as units. Both are here, side by
side, effect sizes first. Every result is a flat dict of effect, low, high, p, df, n, unit and reason; where something
cannot be computed the numbers are NaN and `reason` says why in words.
"""

import numpy as np
import pandas as pd

RESULT = ("effect", "low", "high", "p", "df", "n", "unit", "reason")


def result(
    effect=np.nan, low=np.nan, high=np.nan, p=np.nan, df=np.nan, n=0, unit="", reason="", **more
):
    """One result in the common shape; `more` holds what belongs to one test alone (t, F, Cohen's d)."""
    return dict(
        effect=effect, low=low, high=high, p=p, df=df, n=n, unit=unit, reason=reason, **more
    )


# The paper's tests -------------------------------------------------------------------------------------------------


def t_test(without, with_level):
    """Student's t-test of two groups of configurations, as the paper did for SNPs (its section 2.1).

    Parameters
    ----------
    without, with_level : array_like of shape (n,)
        Scores of the configurations; missing ones are left out.

    Returns
    -------
    dict
        effect is mean(with) - mean(without) with its 95 % interval; `cohens_d` in pooled standard deviations.
    """
    from scipy import stats as scipy_stats

    a, b = _finite(with_level), _finite(without)
    if min(len(a), len(b)) < 2:
        return result(
            n=len(a) + len(b),
            unit="configuration",
            reason=f"{len(b)} and {len(a)} configurations to compare",
        )
    pooled = np.sqrt(
        ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2)
    )
    if pooled == 0:
        return result(
            a.mean() - b.mean(),
            n=len(a) + len(b),
            unit="configuration",
            reason="all scores are equal",
        )
    test = scipy_stats.ttest_ind(a, b)
    low, high = test.confidence_interval(0.95)
    effect = a.mean() - b.mean()
    return result(
        effect,
        low,
        high,
        test.pvalue,
        test.df,
        len(a) + len(b),
        "configuration",
        t=test.statistic,
        cohens_d=effect / pooled,
    )


def anova(values, groups):
    """One-way analysis of variance over the levels of a factor, as the paper did for scaling, genes and drugs.

    Returns
    -------
    dict
        effect is eta squared, the share of the variance between the levels; `f` the F statistic.
    """
    from scipy import stats as scipy_stats

    frame = pd.DataFrame(
        {"value": np.asarray(values, float), "group": np.asarray(groups).astype(str)}
    ).dropna()
    parts = [part["value"].to_numpy() for _, part in frame.groupby("group") if len(part) > 1]
    if len(parts) < 2:
        return result(
            n=len(frame),
            unit="configuration",
            reason=f"{len(parts)} level(s) with two or more configurations",
        )
    every = np.concatenate(parts)
    total = ((every - every.mean()) ** 2).sum()
    if total == 0:
        return result(0.0, n=len(every), unit="configuration", reason="all scores are equal")
    test = scipy_stats.f_oneway(*parts)
    between = sum(len(part) * (part.mean() - every.mean()) ** 2 for part in parts)
    df = len(parts) - 1
    return result(
        between / total, p=test.pvalue, df=df, n=len(every), unit="configuration", f=test.statistic
    )


def tukey_hsd(values, groups):
    """Tukey's honest significant differences between all pairs of levels, as the paper did for the drug descriptors.

    Returns
    -------
    DataFrame
        One row per pair: level_a, level_b, effect = mean(b) - mean(a), low, high, p, reason.
    """
    from statsmodels.stats.multicomp import pairwise_tukeyhsd

    frame = pd.DataFrame(
        {"value": np.asarray(values, float), "group": np.asarray(groups).astype(str)}
    ).dropna()
    sizes = frame["group"].value_counts()
    frame = frame[frame["group"].isin(sizes.index[sizes > 1])]
    columns = ["level_a", "level_b", "effect", "low", "high", "p", "reason"]
    if frame["group"].nunique() < 2 or frame.groupby("group")["value"].var().sum() == 0:
        reason = f"{frame['group'].nunique()} level(s) with two or more different scores"
        return pd.DataFrame([["", "", np.nan, np.nan, np.nan, np.nan, reason]], columns=columns)
    test = pairwise_tukeyhsd(frame["value"], frame["group"])
    first, second = np.triu_indices(len(test.groupsunique), 1)
    names = np.asarray(test.groupsunique)
    rows = zip(
        names[first], names[second], test.meandiffs, *test.confint.T, test.pvalues, strict=True
    )
    return pd.DataFrame([[*row, ""] for row in rows], columns=columns)


# The unit that the question asks about -----------------------------------------------------------------------------


def holm(p_values):
    """Holm's step-down adjustment within a family of tests; missing values stay missing and are not counted."""
    p = np.asarray(p_values, float)
    adjusted, known = np.full(p.shape, np.nan), np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def fold_t_test(by_fold, test_share=None):
    """t-test over folds of a mean matched difference; with `test_share`, the Nadeau-Bengio correction.

    Folds share their training rows, so their differences are correlated and the plain variance of their mean is too
    small; Nadeau and Bengio (2003) replace 1/J by 1/J + n_test/n_train.

    Parameters
    ----------
    by_fold : array_like of shape (n_folds,)
        Mean difference of the matched configurations in each fold.
    test_share : float, optional
        Share of the rows that a fold tests (1/3 for three folds). None leaves the correction out.

    Returns
    -------
    dict
        With unit "fold"; its n is the number of folds.
    """
    from scipy import stats as scipy_stats

    d = _finite(by_fold)
    if len(d) < 2:
        return result(
            d.mean() if len(d) else np.nan,
            n=len(d),
            unit="fold",
            reason=f"{len(d)} fold(s): no spread to judge by",
        )
    extra = 0.0 if test_share is None else test_share / (1 - test_share)
    se = np.sqrt((1 / len(d) + extra) * d.var(ddof=1))
    return _t_result(d.mean(), se, len(d) - 1, len(d), "fold", scipy_stats)


def mixed_effect(differences):
    """Mean matched difference with folds and configurations as crossed random effects.

    The matched differences of a factor obey d = effect + fold slope + configuration slope + noise. With every
    configuration in every fold the expected mean squares give Var(mean) = (MS_fold + MS_configuration - MS_noise)/(C
    J), and Satterthwaite's formula its degrees of freedom; this equals restricted maximum likelihood where the
    variances come out positive (tests/analysis/test_statistics.py compares it with statsmodels' MixedLM).

    Parameters
    ----------
    differences : ndarray of shape (n_configurations, n_folds)
        Rows with a missing fold are left out and counted in `n_left_out`.

    Returns
    -------
    dict
        With `sd_fold`, `sd_configuration` and `sd_noise`, the estimated spreads.
    """
    from scipy import stats as scipy_stats

    d = np.atleast_2d(np.asarray(differences, float))
    whole = d[np.isfinite(d).all(1)]
    c, j = whole.shape
    if c < 2 or j < 2:
        mean = whole.mean() if whole.size else np.nan
        reason = f"{c} matched configurations in all of {j} fold(s)"
        return result(
            mean, n=c, unit="fold and configuration", reason=reason, n_left_out=len(d) - c
        )
    mean, by_config, by_fold = whole.mean(), whole.mean(1), whole.mean(0)
    noise = whole - by_config[:, None] - by_fold[None, :] + mean
    ms = np.array(
        [c * by_fold.var(ddof=1), j * by_config.var(ddof=1), (noise**2).sum() / ((c - 1) * (j - 1))]
    )
    dfs = np.array([j - 1, c - 1, (c - 1) * (j - 1)])
    sign = np.array([1, 1, -1])
    # A negative variance component is none: its mean square is then one more estimate of the noise.
    variance = max((sign * ms).sum(), ms[2])
    df = variance**2 / (ms**2 / dfs).sum() if variance > 0 else np.nan
    spread = np.sqrt(np.maximum([(ms[0] - ms[2]) / c, (ms[1] - ms[2]) / j, ms[2]], 0))
    answer = _t_result(
        mean, np.sqrt(variance / (c * j)), df, c, "fold and configuration", scipy_stats
    )
    return (
        answer
        | dict(zip(("sd_fold", "sd_configuration", "sd_noise"), spread, strict=True))
        | {"n_left_out": len(d) - c}
    )


def _t_result(effect, se, df, n, unit, scipy_stats):
    if not se > 0:
        return result(effect, effect, effect, np.nan, df, n, unit, "the differences do not vary")
    half = scipy_stats.t.ppf(0.975, df) * se
    p = 2 * scipy_stats.t.sf(abs(effect) / se, df)
    return result(effect, effect - half, effect + half, p, df, n, unit, se=se)


def cluster_draws(sums, n_draws=500, seed=0):
    """Pooled statistics of configurations when whole clusters are drawn anew, for many contrasts on the same draws.

    Parameters
    ----------
    sums : ndarray of shape (n_configurations, n_clusters, n_statistics)

    Returns
    -------
    ndarray of shape (n_draws, n_configurations, n_statistics)
    """
    sums = np.asarray(sums, float)
    drawn = _cluster_weights(sums.shape[1], n_draws, np.random.default_rng(seed))
    return np.einsum("dk,ckS->dcS", drawn, sums, optimize=True)


def cluster_contrast(sums, weights, metric, n_draws=500, seed=0, pooled=None):
    """A contrast of configurations when whole cells (or drugs) are drawn anew.

    Parameters
    ----------
    sums : ndarray of shape (n_configurations, n_clusters, n_statistics)
        Sufficient statistics of each configuration in each cell (or drug).
    weights : ndarray of shape (n_configurations,)
        The effect is `weights @ score`; matched pairs have weights -1/n_pairs and 1/n_pairs. The grid of configurations
        is held: `mixed_effect` is the answer for new configurations.
    metric : callable
        Maps pooled statistics (..., n_statistics) to scores (...).
    n_draws, seed : int
        Bootstrap draws and the seed of their generator.
    pooled : ndarray, optional
        `cluster_draws` of the same sums, where several contrasts share them.

    Returns
    -------
    dict
        Percentile interval; p is twice the smaller share of draws beyond zero.
    """
    sums, weights = np.asarray(sums, float), np.asarray(weights, float)
    n_configs, n_clusters, n_statistics = sums.shape
    if n_clusters < 10 or n_configs < 2:
        reason = (
            f"{n_configs} configuration(s) in {n_clusters} cluster(s) are too few for a bootstrap"
        )
        return result(n=n_clusters, unit="cluster", reason=reason)
    pooled = cluster_draws(sums, n_draws, seed) if pooled is None else pooled
    return _bootstrap_result(
        weights @ metric(sums.sum(1)), metric(pooled) @ weights, n_clusters, "cluster"
    )


def percentile_by_cluster(sums, metric, q, n_draws=300, seed=0, pooled=None):
    """A percentile over configurations whose interval draws cells (or drugs) anew, not configurations alone.

    Parameters and result are those of `cluster_contrast` and `percentile`, with `sums` of shape
    (n_configurations, n_clusters, n_statistics).
    """
    sums = np.asarray(sums, float)
    n_configs, n_clusters, _ = sums.shape
    if n_clusters < 10 or n_configs < 1:
        reason = (
            f"{n_configs} configuration(s) in {n_clusters} cluster(s) are too few for a bootstrap"
        )
        return result(n=n_clusters, unit="cluster", reason=reason)
    estimate = np.nanquantile(metric(sums.sum(1)), q)
    pooled = cluster_draws(sums, n_draws, seed) if pooled is None else pooled
    draws = np.nanquantile(metric(pooled), q, axis=1)
    return _bootstrap_result(estimate, draws, n_clusters, "cluster")


def _cluster_weights(n_clusters, n_draws, rng):
    return rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_draws).astype(
        float
    )


def _bootstrap_result(estimate, draws, n, unit):
    draws = _finite(draws)
    if len(draws) < 20:
        return result(estimate, n=n, unit=unit, reason="most bootstrap draws have no score")
    low, high = np.quantile(draws, [0.025, 0.975])
    tail = min((draws <= 0).mean(), (draws >= 0).mean())
    return result(
        float(estimate), low, high, min(1.0, 2 * max(tail, 1 / len(draws))), n=n, unit=unit
    )


def percentile(values, q, n_draws=1000, seed=0):
    """A percentile of configurations' scores with a bootstrap interval over configurations (the paper's unit).

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
    if not len(values):
        return result(unit="configuration", reason="no configuration")
    rng = np.random.default_rng(seed)
    draws = np.quantile(values[rng.integers(len(values), size=(n_draws, len(values)))], q, axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    reason = "" if len(values) > 1 else "one configuration"
    return result(
        float(np.quantile(values, q)), low, high, n=len(values), unit="configuration", reason=reason
    )


def _finite(values):
    values = np.asarray(values, float).ravel()
    return values[np.isfinite(values)]
