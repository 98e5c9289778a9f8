"""What one setting does to the score, all others held: the paper's t-test beside tests over folds.

For each level of a factor against its reference the effect is the coefficient of a linear model of
all settings that vary; in a full factorial it equals the mean difference of matched runs (the same
run with and without the level). The same weights applied within each fold give the fold-level test,
and applied to resampled lines or drugs their interval (lib/analysis/clusters.py).
"""

import numpy as np
import pandas as pd

from lib.analysis import configurations, statistics
from lib.sweep import metrics

FACTORS = (
    "snp scaling rnaseq_set drug_block null_control model dropout strategy optimizer lr patience "
    "selection scope hidden cohort"
).split()
# The level that the others are compared with, where it is present; otherwise the first in
# alphabetical order.
REFERENCE = {
    "snp": "none",
    "scaling": "none",
    "rnaseq_set": "lincs1000",
    "drug_block": "mordred",
    "null_control": "none",
    "model": "mlp",
    "strategy": "vanilla",
    "optimizer": "adam",
    "selection": "nested",
    "scope": "train_fold",
    "patience": "paper",
    "cohort": "top21",
}
SCORES = ("r2", "npearson", "rmse", "gain", "balanced_accuracy", "mcc")
COLUMNS = (
    "split panel factor level reference metric together_with effect low high p effect_paper "
    "p_paper cohens_d effect_mixed low_mixed high_mixed p_mixed n_matched n_runs n_folds reason "
    "reason_mixed recipe members"
).split()


def scores_by_run(ledger, runs, scores):
    """Test scores of single runs (one fold each), all studies together.

    Returns
    -------
    DataFrame
        `runs` with `scores` and `reason`; the minimum-n rule applies to the rows of one fold.
    """
    runs = runs.drop(columns="reason", errors="ignore")  # why it ended; here: why it has no score
    rows = ledger.pooled["test"].drop(columns="study")
    rows = rows.merge(runs[["run_id", "split", "fold"]], on="run_id")
    if rows.empty:
        return runs.assign(**dict.fromkeys(scores, np.nan), reason="not scored")
    rows = configurations.with_units(rows, runs)
    scored = metrics.score(metrics.pool(rows, ["run_id", "split"]))
    scored = runs.merge(scored[["run_id", *scores, "reason"]], on="run_id", how="left")
    return scored.fillna({"reason": "not scored"})


def settings_of(rows, *apart):
    """The settings of runs or configurations as text, without those named in `apart`."""
    return rows[[c for c in configurations.SPEC if c in rows and c not in apart]].astype(str)


def settings_key(rows, *apart):
    """One number per row: rows share it if they differ in no setting but those named in `apart`."""
    return pd.util.hash_pandas_object(settings_of(rows, *apart), index=False)


def levels(rows, factor, reference=None):
    """Reference level (as asked, else of REFERENCE, else the first) and the others, as text."""
    found = sorted(rows[factor].astype(str).unique())
    for wanted in (reference, REFERENCE.get(factor), *found[:1]):
        if wanted in found:
            return wanted, [level for level in found if level != wanted]
    return None, []


def confounded(rows, factor):
    """Settings that each level of a factor fixes, as a learning rate that belongs to an optimizer.

    Their part of the effect cannot be told from the factor's: it is one effect of both, and named
    as such.
    """
    codes = settings_of(rows).apply(lambda setting: pd.factorize(setting)[0])
    n_levels = codes[factor].nunique()
    others = [c for c in codes if c != factor and codes[c].nunique() > 1]
    return [c for c in others if len(codes[[factor, c]].drop_duplicates()) == n_levels]


def effect_weights(rows, factor, reference=None):
    """Weights that turn scores of configurations into the effect of each level, the rest held.

    Parameters
    ----------
    rows : DataFrame
        One row per configuration; every setting that varies is a factor of the linear model.
    factor : str
    reference : str, optional

    Returns
    -------
    dict of str to ndarray of shape (n,) or None
        For each level but the reference; None where its effect cannot be told from another
        setting's.
    """
    text = settings_of(rows)
    _, others = levels(text, factor, reference)
    held = [factor, *confounded(text, factor)]
    rest = [c for c in text if c not in held and text[c].nunique() > 1]
    columns = [np.ones(len(text))]
    columns += [text[factor] == level for level in others]
    columns += [pd.get_dummies(text[c], drop_first=True) for c in rest]
    x = np.column_stack(columns)
    inverse = np.linalg.pinv(x)
    error = np.abs(inverse @ x - np.eye(x.shape[1])).max(axis=1)
    weights = {}
    for i, level in enumerate(others, 1):
        weights[level] = inverse[i] if error[i] < 1e-8 else None
    return weights


def matched_differences(table, factor, level, reference, scores):
    """Differences of the same configuration with and without a level, fold by fold.

    Parameters
    ----------
    table : DataFrame
        Rows of `scores_by_run` of one split and one panel, with `pair`: the key of all settings but
        the factor and what is confounded with it.
    scores : sequence of str

    Returns
    -------
    dict of str to ndarray of shape (n_matched, n_folds)
        By score; NaN where one of the two runs has none.
    """
    two = table[table[factor].astype(str).isin([level, reference])]
    sign = np.where(two[factor].astype(str) == level, 1.0, -1.0)
    groups = two[list(scores)].mul(sign, axis=0).groupby([two["pair"], two["fold"]])
    both = groups.sum(min_count=2)[groups.size() == 2]  # the same settings with and without
    found = {}
    for score in scores:
        found[score] = both[score].unstack().dropna(how="all").to_numpy()
    return found


def factor_contrasts(table, factor, scores, reference=None):
    """Each level of a factor against its reference, by the paper's test and over folds.

    Parameters
    ----------
    table : DataFrame
        Rows of `scores_by_run` of one split and one panel.
    factor : str
    scores : sequence of str
    reference : str, optional

    Returns
    -------
    list of dict
        One per level and score: `together_with` (settings confounded with the factor), the effect
        within folds with its Nadeau-Bengio interval over folds (effect, low, high, p), the t-test
        over configurations (effect_paper, p_paper, cohens_d), the mixed model of matched pairs
        (effect_mixed, low_mixed, high_mixed, p_mixed, n_matched), n_runs, n_folds and reasons.
    """
    reference, others = levels(table, factor, reference)
    if not others:
        reason = f"one level only: {reference}"
        return [dict(factor=factor, level=reference, metric="", reason=reason)]
    by_configuration = table.groupby(["configuration", factor], observed=True)
    merged = by_configuration[list(scores)].mean().reset_index()
    test_share = 1 / max(table["n_folds"].max(), 2)
    together = confounded(table, factor)
    names = dict(factor=factor, reference=reference, together_with=", ".join(together))
    members = sorted(set(table["configuration"]))
    table = table.assign(pair=settings_key(table, factor, *together))
    matched = {}
    for level in others:
        matched[level] = matched_differences(table, factor, level, reference, scores)
    rows = []
    for score, (by_fold, why) in _effects_by_fold(table, factor, scores, reference).items():
        for level in others:
            effects = by_fold.get(level, [])
            row = dict(names, level=level, metric=score)
            row |= _paper_test(merged, row)
            row |= _mixed_test(matched[level][score])
            row |= _fold_test(effects, test_share, why)
            row["n_runs"] = int(table[factor].astype(str).isin([level, reference]).sum())
            row["members"] = members
            if effects:
                recipe = dict(factor=factor, level=level, reference=reference, metric=score)
                row["recipe"] = dict(kind="contrast", **recipe)
            rows.append(row)
    return rows


def _paper_test(merged, row):
    level = merged[row["factor"]].astype(str)
    scores = merged[row["metric"]]
    test = statistics.t_test(scores[level == row["reference"]], scores[level == row["level"]])
    cohens_d = test.get("cohens_d", np.nan)
    return dict(effect_paper=test["effect"], p_paper=test["p"], cohens_d=cohens_d)


def _mixed_test(matched):
    test = statistics.mixed_effect(matched)
    reason = test["reason"] if len(matched) else "no matched pair"
    found = {f"{name}_mixed": test[name] for name in ("effect", "low", "high", "p")}
    return dict(found, n_matched=len(matched), reason_mixed=reason)


def _fold_test(effects, test_share, why):
    test = statistics.fold_t_test(effects, test_share)
    found = {name: test[name] for name in ("effect", "low", "high", "p")}
    reasons = dict.fromkeys([*why, test["reason"]])
    return dict(found, n_folds=test["n"], reason="; ".join(filter(None, reasons)))


def _effects_by_fold(table, factor, scores, reference):
    """Effect of each level in each fold, and sentences on what could not be told.

    Returns
    -------
    dict of str to tuple
        By score: ({level: list of effects}, list of sentences).
    """
    found = {score: ({}, []) for score in scores}
    for _, fold in table.groupby("fold"):
        weights = {}  # scores that the same runs have share them
        for score in scores:
            effects, why = found[score]
            rows = fold[fold[score].notna()]
            if rows.empty:
                continue
            key = tuple(rows.index)
            if key not in weights:
                weights[key] = effect_weights(rows, factor, reference)
            for level, w in weights[key].items():
                if w is None:
                    why.append(
                        f"{factor} = {level} cannot be told from another setting of these runs"
                    )
                else:
                    effects.setdefault(level, []).append(w @ rows[score].to_numpy())
    for effects, why in found.values():
        if not effects and not why:
            reasons = sorted(set(table.get("reason", [])) - {""})
            why.append(f"no run has a score ({'; '.join(reasons) or 'none scored'})")
    return found


def designs(runs, factors):
    """The runs that tell the effect of each factor, as (factor, split, panel, runs).

    Networks on real features (the null control itself may be the factor) in the paper's design.
    """
    for factor in factors:
        if factor not in runs:
            continue
        own = configurations.paper_design(configurations.networks(runs, vary=(factor,)))
        for (split, panel), part in own.groupby(["split", "panel"], dropna=False):
            yield factor, split, panel, part


def contrast_table(ledger, factors=FACTORS, scores=SCORES, reference=None):
    """Every level of every factor, in each split and panel; Holm's adjustment is within a metric.

    Returns
    -------
    DataFrame
        COLUMNS, of `factor_contrasts`, and `p_holm`, `p_paper_holm`, `p_mixed_holm`; a factor with
        one level gives one row with that reason.
    """
    rows = []
    runs = scores_by_run(ledger, ledger.runs, scores)
    for factor, split, panel, part in designs(runs, factors):
        for row in factor_contrasts(part, factor, scores, reference):
            rows.append(dict(row, split=split, panel=panel))
    found = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("p", "p_paper", "p_mixed"):
        family = found.groupby(["split", "panel", "metric"], dropna=False)[name]
        found[f"{name}_holm"] = family.transform(statistics.holm)
    return found.astype(dict.fromkeys(["n_matched", "n_runs", "n_folds"], "Int64"))


def matched(rows, factor):
    """Which configurations have a partner: the same settings with another level of the factor.

    Parameters
    ----------
    rows : DataFrame
        Configurations, in any number of rows each.
    factor : str

    Returns
    -------
    Series of bool
        By row. A design in which fewer than a third have one is no cross (a fraction of a
        factorial, balanced by its levels): there every row counts.
    """
    key = settings_key(rows, factor)
    has = (
        rows.groupby(np.asarray(key))[factor].transform("nunique") > 1
        if len(rows)
        else pd.Series(dtype=bool)
    )
    return has if has.mean() >= 1 / 3 else pd.Series(True, index=rows.index)
