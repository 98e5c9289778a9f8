"""Which setting of a run matters most for its score: the paper's tree, and trees out of sample.

The paper fits one decision tree to all models and reads its impurity importances (Figure 1, right).
Impurity favours factors with many levels and an in-sample r2 is no evidence. Beside it stand: r2
and permutation importance on configurations that a bootstrap draw left out, with intervals, and
variance components from a linear model of all factors.
"""

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from sklearn.tree import DecisionTreeRegressor
from statsmodels.stats.anova import anova_lm

from lib.analysis import provenance

# The two sides of the paper's last claim: what describes a line or a drug, and how a network is
# built and trained.
FEATURES, TRAINING = "all features", "all training settings"
FEATURE_FACTORS = ("snp", "scaling", "rnaseq_set", "drug_block", "panel")
COLUMNS = ["factor", "importance", "low", "high", "meta_r2", "n", "reason"]


def by_split(configurations, factors, score, n_draws):
    """Out-of-bag importances of each split, with the paper's in-sample importance beside them.

    Parameters
    ----------
    configurations : DataFrame
        Rows of `configurations.merge_folds` with study "All".
    factors : sequence of str
    score : str
    n_draws : int
        Bootstrap trees.

    Returns
    -------
    DataFrame
        split, score, the columns of `out_of_bag`, `paper`, `paper_meta_r2` of `in_sample`, recipe,
        members.
    """

    def of(own):
        paper = in_sample(own, factors, score)[["factor", "importance", "meta_r2"]]
        paper = paper.rename(columns={"importance": "paper", "meta_r2": "paper_meta_r2"})
        found = out_of_bag(own, factors, score, n_draws).merge(paper, on="factor", how="left")
        return _addressed(found.assign(score=score), own, factors, score, n_draws, "importance")

    return _each_split(configurations, of)


def jointly(configurations, factors, n_draws):
    """All features and all training settings, each side shuffled as one: what does R2 lose?

    Parameters are those of `by_split`.

    Returns
    -------
    DataFrame
        split, factor (FEATURES or TRAINING), the columns of `out_of_bag`, recipe, members.
    """

    def of(own):
        found = out_of_bag(own, factors, "r2", n_draws, sides=True)
        return _addressed(found, own, factors, "r2", n_draws, "side")

    return _each_split(configurations, of)


def _each_split(configurations, of):
    """A table made of the configurations of each split, below each other."""
    parts = [of(own).assign(split=split) for split, own in configurations.groupby("split")]
    nothing = _nothing("no configuration", 0).assign(split="")
    return pd.concat(parts or [nothing], ignore_index=True)


def _addressed(found, own, factors, score, n_draws, kind):
    """The address of each importance: its configurations, and what to do with them again."""
    recipe = dict(
        kind=kind,
        metric=score,
        factors=list(factors),
        n_draws=n_draws,
        study="All",
    )
    members = sorted(own["configuration"])
    return provenance.addressed(found, "importance", members, ["factor"], **recipe)


def in_sample(configurations, factors, score):
    """The paper's way: one tree on every configuration, its r2 there and its impurity importances.

    Returns
    -------
    DataFrame
        factor, importance (sums to 1), meta_r2, n, reason; without a factor that varies one row
        with the reason.
    """
    text, y, reason = _prepare(configurations, factors, score)
    if reason:
        return _nothing(reason, len(y))
    x, owner = _one_hot(text)
    tree = DecisionTreeRegressor(random_state=0).fit(x, y)
    importance = pd.Series(tree.feature_importances_, name="importance").groupby(owner).sum()
    found = importance.rename_axis("factor").reset_index()
    return _ranked(found.assign(meta_r2=tree.score(x, y), n=len(y), reason=""))


def out_of_bag(configurations, factors, score, n_draws=60, sides=False):
    """Importance on configurations that the tree has not seen.

    Each draw grows a tree on a bootstrap sample of configurations (all folds of one merged),
    predicts those left out, then again with one factor's values shuffled among them. The loss of r2
    is that factor's importance. With `sides` the factors of each side (FEATURES, TRAINING) are
    shuffled together.

    Returns
    -------
    DataFrame
        factor, importance (mean loss of r2), low, high (2.5th and 97.5th percentile of draws),
        meta_r2, meta_r2_low, meta_r2_high, n, reason.
    """
    text, y, reason = _prepare(configurations, factors, score)
    if not reason and len(y) < 20:
        reason = f"{len(y)} configurations are too few to leave some out"
    if reason:
        return _nothing(reason, len(y))
    x, owner = _one_hot(text)
    if sides:
        owner = np.where(np.isin(owner, FEATURE_FACTORS), FEATURES, TRAINING)
    rng = np.random.default_rng(0)
    draws = pd.DataFrame([_losses_of_one_draw(x, y, owner, rng) for _ in range(n_draws)])
    low, high = draws.quantile(0.025), draws.quantile(0.975)
    found = pd.DataFrame({"importance": draws.mean(), "low": low, "high": high})
    whole = found.loc["meta_r2"]
    found = found.drop("meta_r2").rename_axis("factor").reset_index()
    found = found.assign(meta_r2=whole["importance"], meta_r2_low=whole["low"])
    return _ranked(found.assign(meta_r2_high=whole["high"], n=len(y), reason=""))


def _losses_of_one_draw(x, y, owner, rng):
    """r2 of a tree on rows that it has not seen ("meta_r2"), and what shuffling a factor costs."""
    bag = rng.integers(len(y), size=len(y))
    out = np.setdiff1d(np.arange(len(y)), bag)
    tree = DecisionTreeRegressor(min_samples_leaf=2, random_state=int(rng.integers(2**31)))
    tree.fit(x[bag], y[bag])
    losses = {"meta_r2": tree.score(x[out], y[out])}
    for factor in dict.fromkeys(owner):
        mine = owner == factor
        shuffled = x[out]
        shuffled[:, mine] = shuffled[rng.permutation(len(out))][:, mine]
        losses[factor] = losses["meta_r2"] - tree.score(shuffled, y[out])
    return losses


def variance_components(configurations, factors, score):
    """Share of the variance that each factor explains in a linear model of all (type II sums).

    Parameters are those of `by_split`.

    Returns
    -------
    DataFrame
        split, factor, share (eta squared: its sum of squares over the total), df, p, n, reason; the last
        row is "residual".
    """
    return _each_split(configurations, lambda own: _components(own, factors, score))


def _components(configurations, factors, score):
    text, y, reason = _prepare(configurations, factors, score)
    if not reason:
        formula = "score ~ " + " + ".join(f"C({name})" for name in text)
        model = smf.ols(formula, text.assign(score=y)).fit()
        if model.df_resid < 1:
            reason = "as many levels as configurations"
    if reason:
        return _nothing(reason, len(y)).rename(columns={"importance": "share"})
    table = anova_lm(model, typ=2)
    found = pd.DataFrame({"share": table["sum_sq"] / ((y - y.mean()) ** 2).sum()})
    found["df"] = table["df"]
    found["p"] = table["PR(>F)"]
    found.insert(0, "factor", [*text, "residual"])
    return found.reset_index(drop=True).assign(n=len(y), reason="")


def factors_of(configurations, factors):
    """The factors that vary, as text; a factor with one level explains nothing and is left out.

    So is one that tells the same configurations apart as an earlier factor does (a learning rate
    that belongs to the optimizer): shuffling either alone would leave the other to tell, and
    neither would seem to matter.
    """
    text = configurations[list(factors)].astype(str)
    kept = {}
    for name in text:
        codes = tuple(pd.factorize(text[name])[0])
        if text[name].nunique() > 1 and codes not in kept:
            kept[codes] = name
    return text[list(kept.values())]


def _prepare(configurations, factors, score):
    """Factors as text, scores, and why nothing can be said ("" where something can)."""
    known = configurations[np.isfinite(configurations[score])]
    known = known.sort_values("configuration")  # draws do not depend on the order of rows
    text = factors_of(known, factors)
    y = known[score].to_numpy(float)
    if len(y) < 3 or y.std() == 0:
        return text, y, f"{len(y)} configurations with different {score}"
    return text, y, "" if text.shape[1] else "no factor varies"


def _one_hot(text):
    """A column per level, and the factor that each column belongs to."""
    x = pd.get_dummies(text, prefix_sep="\0", dtype=float)
    return x.to_numpy(), np.array([name.split("\0")[0] for name in x.columns])


def _ranked(found):
    return found.sort_values("importance", ascending=False)


def _nothing(reason, n):
    return pd.DataFrame([dict(factor="", n=n, reason=reason)], columns=COLUMNS)
