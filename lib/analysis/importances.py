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
LEAST = 20  # configurations: of fewer a draw leaves too few out


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
        The columns of `out_of_bag`; `paper`, the impurity importance (sums to 1) of one tree on
        every configuration, and `paper_meta_r2`, its r2 there; score, recipe, members, split. A
        split whose settings or scores do not vary has one row with the reason.
    """

    def measure(text, y):
        x, owner = _one_hot(text)
        tree = DecisionTreeRegressor(random_state=0).fit(x, y)
        paper = pd.Series(tree.feature_importances_, name="paper").groupby(owner).sum()
        paper = paper.to_frame().assign(paper_meta_r2=tree.score(x, y))
        found = out_of_bag(x, owner, y, n_draws).join(paper, on="factor")
        return found.assign(score=score)

    recipe = _recipe("importance", score, factors, n_draws)
    blank = dict(paper=np.nan, paper_meta_r2=np.nan, score=score)
    return _each_split(configurations, recipe, measure, **blank)


def jointly(configurations, factors, n_draws):
    """All features and all training settings, each side shuffled as one: what does R2 lose?

    Parameters are those of `by_split`.

    Returns
    -------
    DataFrame
        The columns of `out_of_bag` (factor is FEATURES or TRAINING), recipe, members, split.
    """

    def measure(text, y):
        x, owner = _one_hot(text)
        sides = np.where(np.isin(owner, FEATURE_FACTORS), FEATURES, TRAINING)
        return out_of_bag(x, sides, y, n_draws)

    return _each_split(configurations, _recipe("side", "r2", factors, n_draws), measure)


def variance_components(configurations, factors, score):
    """Share of the variance that each factor explains in a linear model of all (type II sums).

    Parameters are those of `by_split`.

    Returns
    -------
    DataFrame
        factor, share (eta squared: its sum of squares over the total), df, p, n, reason, split; the
        last row of a split is "residual".
    """

    def measure(text, y):
        formula = "score ~ " + " + ".join(f"C({name})" for name in text)
        model = smf.ols(formula, text.assign(score=y)).fit()
        if model.df_resid < 1:
            return _nothing("share", "as many levels as configurations", len(y))
        table = anova_lm(model, typ=2).rename(columns={"PR(>F)": "p"})
        table["share"] = table.sum_sq / ((y - y.mean()) ** 2).sum()
        table = table.assign(factor=[*text, "residual"], n=len(y), reason="")
        return table["factor share df p n reason".split()]

    recipe = dict(metric=score, factors=factors)
    return _each_split(configurations, recipe, measure, value="share")


def _recipe(kind, score, factors, n_draws):
    """How an importance is made again from its configurations."""
    return dict(kind=kind, metric=score, factors=list(factors), n_draws=n_draws, study="All")


def _each_split(configurations, recipe, measure, value="importance", **blank):
    """A table made of the configurations of each split, below each other.

    `measure` takes the factors that vary, as text, and the scores; where nothing varies, `blank`
    holds what it would have added. A recipe with a kind gives each `value` its address.
    """
    parts = []
    for split, own in configurations.groupby("split"):
        known = own[np.isfinite(own[recipe["metric"]])]
        known = known.sort_values("configuration")  # draws do not depend on the order of rows
        text = factors_of(known, recipe["factors"])
        y = known[recipe["metric"]].to_numpy(float)
        if len(y) < 3:
            reason = f"only {len(y)} configurations, too few for a tree or a linear model"
        elif y.std() == 0:
            reason = f"{len(y)} configurations with the same {recipe['metric']}"
        else:
            reason = "no factor varies" if text.empty else ""
        found = _nothing(value, reason, len(y)).assign(**blank) if reason else measure(text, y)
        if "kind" in recipe:
            members = sorted(own.configuration)
            found = provenance.addressed(found, value, members, ["factor"], **recipe)
        parts.append(found.assign(split=split))
    nothing = _nothing("importance", "no configuration", 0).assign(split="")
    return pd.concat(parts or [nothing], ignore_index=True)


def out_of_bag(x, owner, y, n_draws):
    """Importance on configurations that the tree has not seen.

    Each draw grows a tree on a bootstrap sample of configurations (all folds of one merged),
    predicts those left out, then again with the columns of one owner (a factor, or a side) shuffled
    among them. The loss of r2 is the importance.

    Parameters
    ----------
    x : ndarray of shape (n_configurations, n_columns)
    owner : ndarray of str of shape (n_columns,)
    y : ndarray of shape (n_configurations,)
    n_draws : int

    Returns
    -------
    DataFrame
        factor, importance (mean loss of r2), low, high (2.5th and 97.5th percentile of draws),
        meta_r2, meta_r2_low, meta_r2_high, n, reason; the largest importance first.
    """
    if len(y) < LEAST:
        reason = f"{len(y)} configurations are too few to leave some out"
        return _nothing("importance", reason, len(y))
    rng = np.random.default_rng(0)
    draws = pd.DataFrame([_losses_of_one_draw(x, y, owner, rng) for _ in range(n_draws)])
    found = draws.quantile([0.025, 0.975]).T.set_axis(["low", "high"], axis=1)
    found.insert(0, "importance", draws.mean())
    tree = found.loc["meta_r2"].to_numpy()
    found = found.drop("meta_r2").sort_values("importance", ascending=False)
    found[["meta_r2", "meta_r2_low", "meta_r2_high"]] = tree
    return found.assign(n=len(y), reason="").rename_axis("factor").reset_index()


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


def factors_of(configurations, factors):
    """The factors that vary, as text; a factor with one level explains nothing and is left out.

    So is one that tells the same configurations apart as an earlier factor does (a learning rate
    that belongs to the optimizer): shuffling either alone would leave the other to tell, and
    neither would seem to matter.
    """
    text = configurations[list(factors)].astype(str)
    codes = text.apply(lambda own: pd.factorize(own)[0])
    same = codes.T.duplicated()
    return text.loc[:, (codes.nunique() > 1) & ~same]


def _one_hot(text):
    """A column per level, and the factor that each column belongs to."""
    x = pd.get_dummies(text, prefix_sep="\0", dtype=float)
    return x.to_numpy(), np.array([name.split("\0")[0] for name in x.columns])


def _nothing(value, reason, n):
    """One row without a number, and why."""
    columns = ["factor", value, "low", "high", "meta_r2", "n", "reason"]
    return pd.DataFrame([dict(factor="", n=n, reason=reason)], columns=columns)
