"""Which setting of a run matters most for its score: the paper's tree, and the same question out of sample.

The paper fits one decision tree to all models and reads its impurity importances (Figure 1, right). Impurity favours
factors with many levels and an in-sample r2 is no evidence. Beside it stand: r2 and permutation importance on
configurations that a bootstrap draw left out, with intervals, and variance components from a linear model of all
factors.
"""

import numpy as np
import pandas as pd


def factors_of(configurations, factors):
    """The factors that vary, as text; a factor with one level explains nothing and is left out.

    So is one that tells the same configurations apart as an earlier factor does (a learning rate that belongs to the
    optimizer): shuffling either alone would leave the other to tell, and neither would seem to matter.

    Returns
    -------
    tuple
        (DataFrame of text columns, list of the names left out).
    """
    text = configurations[list(factors)].astype(str)
    codes = {name: tuple(pd.factorize(text[name])[0]) for name in text if text[name].nunique() > 1}
    first = {code: name for name, code in reversed(codes.items())}
    kept = [name for name, code in codes.items() if first[code] == name]
    return text[kept], [name for name in text if name not in kept]


# The two sides of the paper's last claim: what describes a line or a drug, and how a network is built and trained.
FEATURES, TRAINING = "all features", "all training settings"
FEATURE_FACTORS = ("snp", "scaling", "rnaseq_set", "drug_block", "panel")


def by_split(configurations, factors, score="r2", n_draws=60):
    """Out-of-bag importances of each split, with the paper's in-sample importance beside them.

    Returns
    -------
    DataFrame
        split, score, the columns of `out_of_bag`, `paper`, `paper_meta_r2` of `in_sample`, recipe, members.
    """
    parts = []
    for split, own in configurations.groupby("split"):
        paper = in_sample(own, factors, score)[["factor", "importance", "meta_r2"]]
        paper = paper.rename(columns={"importance": "paper", "meta_r2": "paper_meta_r2"})
        found = out_of_bag(own, factors, score, n_draws).merge(paper, on="factor", how="left")
        found = found.assign(split=split, score=score)
        parts.append(_with_recipes(found, own, factors, score, n_draws, "importance"))
    nothing = _nothing("no configuration", 0).assign(
        split="", score=score, paper=np.nan, paper_meta_r2=np.nan
    )
    return pd.concat(parts, ignore_index=True) if parts else nothing


def _with_recipes(found, own, factors, score, n_draws, kind):
    """The address of each importance: its configurations, and what to do with them again."""
    recipe = dict(kind=kind, metric=score, factors=list(factors), n_draws=n_draws, study="All")
    has = found["importance"].notna()
    recipes = [
        recipe | dict(factor=name) if known else None
        for name, known in zip(found["factor"], has, strict=True)
    ]
    members = sorted(own["configuration"]) if "configuration" in own else []
    return found.assign(recipe=recipes, members=[members] * len(found))


def jointly(configurations, factors, score="r2", n_draws=60, seed=0):
    """All features and all training settings, each side shuffled as one: what does the score lose without either?

    Returns
    -------
    DataFrame
        split, factor (FEATURES or TRAINING), the columns of `out_of_bag`, recipe, members.
    """
    parts = []
    for split, own in configurations.groupby("split"):
        found = out_of_bag(own, factors, score, n_draws, seed, sides=True).assign(split=split)
        parts.append(_with_recipes(found, own, factors, score, n_draws, "side"))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else _nothing("no configuration", 0).assign(split="")
    )


def in_sample(configurations, factors, score, seed=0):
    """The paper's way: one decision tree on every configuration, its r2 on the same rows, its impurity importances.

    Returns
    -------
    DataFrame
        factor, importance (sums to 1), meta_r2, n, reason; empty factors list gives one row with the reason.
    """
    from sklearn.tree import DecisionTreeRegressor

    text, y, reason = _prepare(configurations, factors, score)
    if reason:
        return _nothing(reason, len(y))
    x, owner = _one_hot(text)
    tree = DecisionTreeRegressor(random_state=seed).fit(x, y)
    importance = pd.Series(tree.feature_importances_).groupby(owner).sum()
    frame = importance.rename_axis("factor").rename("importance").reset_index()
    return frame.assign(meta_r2=tree.score(x, y), n=len(y), reason="").sort_values(
        "importance", ascending=False
    )


def out_of_bag(configurations, factors, score, n_draws=60, seed=0, sides=False):
    """Importance on configurations that the tree has not seen.

    Each draw grows a tree on a bootstrap sample of configurations (all folds of one merged), predicts those left out,
    then again with one factor's values shuffled among them. The loss of r2 is that factor's importance. With `sides`
    the factors of each side (FEATURES, TRAINING) are shuffled together.

    Returns
    -------
    DataFrame
        factor, importance (mean loss of r2), low, high (2.5th and 97.5th percentile of draws), meta_r2, meta_r2_low,
        meta_r2_high, n, reason.
    """
    from sklearn.tree import DecisionTreeRegressor

    text, y, reason = _prepare(configurations, factors, score)
    if not reason and len(y) < 20:
        reason = f"{len(y)} configurations are too few to leave some out"
    if reason:
        return _nothing(reason, len(y))
    rng, rows = np.random.default_rng(seed), []
    x, owner = _one_hot(text)
    if sides:
        owner = np.where(np.isin(owner, FEATURE_FACTORS), FEATURES, TRAINING)
    for _ in range(n_draws):
        bag = rng.integers(len(y), size=len(y))
        out = np.setdiff1d(np.arange(len(y)), bag)
        tree = DecisionTreeRegressor(min_samples_leaf=2, random_state=int(rng.integers(2**31))).fit(
            x[bag], y[bag]
        )
        rows.append(_permuted_losses(tree, x[out], y[out], owner, list(dict.fromkeys(owner)), rng))
    draws = pd.DataFrame(rows)
    meta = draws.pop("meta_r2")
    frame = pd.DataFrame(
        {"importance": draws.mean(), "low": draws.quantile(0.025), "high": draws.quantile(0.975)}
    )
    frame = frame.rename_axis("factor").reset_index().sort_values("importance", ascending=False)
    low, high = meta.quantile([0.025, 0.975])
    return frame.assign(
        meta_r2=meta.mean(), meta_r2_low=low, meta_r2_high=high, n=len(y), reason=""
    )


def _permuted_losses(tree, x, y, owner, factors, rng):
    total = ((y - y.mean()) ** 2).sum()
    row = {"meta_r2": 1 - ((y - tree.predict(x)) ** 2).sum() / total}
    for factor in factors:
        shuffled, mine = x.copy(), owner == factor
        shuffled[:, mine] = x[rng.permutation(len(x))][:, mine]
        row[factor] = row["meta_r2"] - (1 - ((y - tree.predict(shuffled)) ** 2).sum() / total)
    return row


def variance_components(configurations, factors, score):
    """Share of the variance that each factor explains in a linear model of all factors (type II sums of squares).

    Returns
    -------
    DataFrame
        factor, share (eta squared: its sum of squares over the total), df, p, n, reason; the last row is "residual".
    """
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    text, y, reason = _prepare(configurations, factors, score)
    if reason:
        return _nothing(reason, len(y)).rename(columns={"importance": "share"})
    data = text.assign(score=y)
    model = smf.ols("score ~ " + " + ".join(f"C({name})" for name in text.columns), data).fit()
    if model.df_resid < 1:
        return _nothing("as many levels as configurations", len(y)).rename(
            columns={"importance": "share"}
        )
    table = anova_lm(model, typ=2)
    table.index = [name[2:-1] if name.startswith("C(") else "residual" for name in table.index]
    share = table["sum_sq"] / ((y - y.mean()) ** 2).sum()
    frame = (
        pd.DataFrame({"share": share, "df": table["df"], "p": table["PR(>F)"]})
        .rename_axis("factor")
        .reset_index()
    )
    return frame.assign(n=len(y), reason="")


def _prepare(configurations, factors, score):
    known = configurations[np.isfinite(configurations[score])]
    known = (
        known.sort_values("configuration") if "configuration" in known else known
    )  # draws do not depend on order
    text, _ = factors_of(known, factors) if len(known) else (pd.DataFrame(), [])
    y = known[score].to_numpy(float)
    if len(y) < 3 or y.std() == 0:
        return text, y, f"{len(y)} configurations with different {score}"
    return text, y, "" if text.shape[1] else "no factor varies"


def _one_hot(text):
    x = pd.get_dummies(text, prefix_sep="\0", dtype=float)
    return x.to_numpy(), np.array([name.split("\0")[0] for name in x.columns])


def _nothing(reason, n):
    return pd.DataFrame(
        [
            dict(
                factor="",
                importance=np.nan,
                low=np.nan,
                high=np.nan,
                meta_r2=np.nan,
                n=n,
                reason=reason,
            )
        ]
    )
