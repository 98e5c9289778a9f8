"""What one setting does to the score, all others held: the paper's t-test beside the tests at the right unit.

For each level of a factor against its reference the effect is the coefficient of a linear model of all settings that
vary; in a full factorial it equals the mean difference of matched runs (the same run with and without the level). The
same weights applied within each fold give the fold-level test, and applied to resampled cells or drugs their interval.
"""

import numpy as np
import pandas as pd

from lib import configurations, metrics, stats

FACTORS = (
    "snp scaling rnaseq_set drug_block null_control model dropout strategy optimizer lr patience selection scope hidden"
).split()
# The level that the others are compared with, where it is present; otherwise the first in alphabetical order.
REFERENCE = dict(
    snp="none", scaling="none", rnaseq_set="lincs1000", drug_block="mordred", null_control="none", model="mlp",
    strategy="vanilla", optimizer="adam", selection="nested", scope="train_fold", patience="paper",
)  # fmt: skip
SCORES = ("r2", "rmse", "gain", "balanced_accuracy", "mcc")


def scores_by_run(ledger, runs, study="All"):
    """Test scores of single runs (one fold each).

    Returns
    -------
    DataFrame
        `runs` with SCORES; the minimum-n rule applies to the rows of one fold.
    """
    scores = ledger.pooled["test"]
    scores = scores[scores["run_id"].isin(runs["run_id"])]
    scores = scores if study == "All" else scores[scores["study"] == study]
    if scores.empty:
        return runs.assign(**dict.fromkeys(SCORES, np.nan), reason="no scored run")
    joined = scores.merge(runs[["run_id", "split", "fold"]], on="run_id").drop(columns="study")
    joined = configurations.with_units(joined, runs) if study == "All" else joined
    pooled = metrics.score(metrics.pool(joined, ["run_id", "split"]))
    return runs.merge(pooled[["run_id", *SCORES, "reason"]], on="run_id", how="left")


def levels(frame, factor, reference=None):
    """Reference level (as asked, else that of REFERENCE, else the first) and the other levels of a factor, as text."""
    found = sorted(frame[factor].astype(str).unique())
    reference = next((r for r in (reference, REFERENCE.get(factor)) if r in found), found[0] if found else None)
    return reference, [level for level in found if level != reference]


def tied(settings, factor):
    """Settings that each level of a factor fixes, as a learning rate that belongs to an optimizer.

    Their part of the effect cannot be told from the factor's: it is one effect of both, and named as such.
    """
    text = settings.astype(str)
    varies = [c for c in text if c != factor and text[c].nunique() > 1]
    return [c for c in varies if text.groupby(factor)[c].nunique().max() == 1]


def effect_weights(settings, factor, reference=None):
    """Weights that turn scores of configurations into the effect of each level, all other settings held.

    Parameters
    ----------
    settings : DataFrame
        One row per configuration; every column that varies is a factor of the linear model.
    factor : str

    Returns
    -------
    dict of str to ndarray of shape (n,) or None
        For each level but the reference; None where its effect cannot be told from another setting's.
    """
    text = settings.astype(str)
    reference, others = levels(text, factor, reference)
    rest = [c for c in text if c not in (factor, *tied(text, factor)) and text[c].nunique() > 1]
    own = np.column_stack([np.ones(len(text)), *(text[factor] == level for level in others)]).astype(float)
    dummies = [pd.get_dummies(text[c], drop_first=True, dtype=float).to_numpy() for c in rest]
    x = np.column_stack([own, *dummies])
    inverse = np.linalg.pinv(x)
    estimable = np.abs((inverse @ x - np.eye(x.shape[1]))[: own.shape[1]]).max(axis=1) < 1e-8
    return {level: inverse[i] if estimable[i] else None for i, level in enumerate(others, 1)}


def matched_differences(table, factor, level, reference, score):
    """Differences of the same configuration with and without a level, fold by fold.

    Returns
    -------
    ndarray of shape (n_matched, n_folds)
        NaN where one of the two runs has no score.
    """
    known = [c for c in configurations.SPEC if c in table]
    pair = table[table[factor].astype(str).isin([level, reference])]
    keys = [c for c in known if c not in (factor, *tied(table[known], factor))]
    key = pd.util.hash_pandas_object(pair[keys].astype(str), index=False)
    wide = pair.assign(key=key, level=pair[factor].astype(str)).pivot_table(
        index="key", columns=["level", "fold"], values=score, aggfunc="mean", dropna=False
    )
    if not {level, reference} <= set(wide.columns.get_level_values(0)):
        return np.empty((0, 0))
    difference = wide[level] - wide[reference]
    return difference[difference.notna().any(axis=1)].to_numpy()


def factor_contrasts(table, factor, scores, reference=None):
    """Each level of a factor against its reference, by the paper's test and at the right unit.

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
        One per level and score: `together_with` (settings tied to the factor), the effect within folds with its
        Nadeau-Bengio interval over folds (effect, low, high, p), the t-test over configurations (effect_paper,
        p_paper, cohens_d), the mixed model of matched pairs (effect_mixed, low_mixed, high_mixed, p_mixed,
        n_matched), n_runs, n_folds and reasons.
    """
    reference, others = levels(table, factor, reference)
    if not others:
        return [dict(factor=factor, level=reference, metric="", reason=f"one level only: {reference}")]
    merged = table.groupby(["configuration", factor], observed=True)[list(scores)].mean().reset_index()
    rows, known = [], {}
    for score in scores:
        folds, why = _effects_by_fold(table[table[score].notna()], factor, score, known, reference)
        for level in others:
            rows.append(_one_contrast(table, merged, factor, level, reference, score, folds.get(level, []), why))
    return rows


def _one_contrast(table, merged, factor, level, reference, score, by_fold, why):
    names = merged[factor].astype(str)
    paper = stats.t_test(merged.loc[names == reference, score], merged.loc[names == level, score])
    share = 1 / max(table["n_folds"].max(), 2)
    folds = stats.fold_t_test(by_fold, share)
    matched = matched_differences(table, factor, level, reference, score)
    mixed = stats.mixed_effect(matched) if len(matched) else stats.result(reason="no matched pair")
    reason = "; ".join(dict.fromkeys(r for r in [*why, folds["reason"]] if r))
    settings = table[[c for c in configurations.SPEC if c in table]]
    found = dict(factor=factor, level=level, reference=reference, metric=score)
    found["together_with"] = ", ".join(tied(settings, factor))
    found |= {name: folds[name] for name in ("effect", "low", "high", "p")}
    found |= dict(effect_paper=paper["effect"], p_paper=paper["p"], cohens_d=paper.get("cohens_d", np.nan))
    found |= {f"{name}_mixed": mixed[name] for name in ("effect", "low", "high", "p")}
    n_runs = int(table[factor].astype(str).isin([level, reference]).sum())
    return found | dict(
        n_matched=len(matched), n_runs=n_runs, n_folds=folds["n"], reason=reason, reason_mixed=mixed["reason"]
    )


def _effects_by_fold(table, factor, score, known, reference):
    """Effect of each level in each fold, and sentences on what could not be told: ({level: list}, list of str).

    `known` keeps the weights of a set of runs, which the next score shares.
    """
    settings = [c for c in configurations.SPEC if c in table]
    effects, why = {}, []
    for _, rows in table.groupby("fold"):
        key = tuple(rows.index)
        known[key] = known.get(key) or effect_weights(rows[settings], factor, reference)
        for level, w in known[key].items():
            if w is None:
                why.append(f"{factor} = {level} cannot be told from another setting of these runs")
            else:
                effects.setdefault(level, []).append(w @ rows[score].to_numpy())
    if not effects and not why:
        why.append(f"no run has a score ({'; '.join(sorted(set(table.get('reason', [])) - {''})) or 'none scored'})")
    return effects, why


def contrast_table(ledger, factors=FACTORS, scores=SCORES, study="All"):
    """Every level of every factor that varies, in each split and panel, with Holm's adjustment within split and metric.

    Returns
    -------
    DataFrame
        split, panel and the columns of `factor_contrasts`, `p_holm` and `p_paper_holm`; a factor with one level gives
        one row with that reason.
    """
    rows = []
    scored = scores_by_run(ledger, ledger.runs, study) if len(ledger.runs) else ledger.runs
    for factor in factors:
        table = configurations.networks(scored, vary=(factor,))
        if factor not in table or table.empty:
            continue
        for (split, panel), part in table.groupby(["split", "panel"], dropna=False):
            rows += [dict(split=split, panel=panel) | row for row in factor_contrasts(part, factor, scores)]
    columns = ["split", "panel", "factor", "level", "metric", "effect", "p", "p_paper", "reason"]
    found = _with_holm(pd.DataFrame(rows, columns=None if rows else columns))
    counts = [name for name in ("n_matched", "n_runs", "n_folds") if name in found]
    return found.astype(dict.fromkeys(counts, "Int64"))


def _with_holm(found):
    for name in ("p", "p_paper", "p_mixed"):
        if name not in found:
            found[name] = np.nan
        family = found.groupby(["split", "panel", "metric"], dropna=False)[name]
        found[f"{name}_holm"] = family.transform(lambda p: stats.holm(p)) if len(found) else np.nan
    return found


def metric_of(name):
    """The metric as a function of sums stacked on the last axis in the order of `metrics.STATISTICS`."""
    at = {s: i for i, s in enumerate(metrics.STATISTICS)}

    def take(sums, key):
        return sums[..., at[key]]

    def rmse(s):
        return np.sqrt(take(s, "sum_se") / take(s, "n"))

    def r2(s):
        return 1 - take(s, "sum_se") / (take(s, "sum_yy") - take(s, "sum_y") ** 2 / take(s, "n"))

    def gain(s):
        return 1 - take(s, "sum_se") / take(s, "nsum_yy")

    def balanced_accuracy(s):
        tpr = take(s, "tp_50") / (take(s, "tp_50") + take(s, "fn_50"))
        return (tpr + take(s, "tn_50") / (take(s, "tn_50") + take(s, "fp_50"))) / 2

    def mcc(s):
        tp, fp, tn, fn = (take(s, f"{kind}_50") for kind in ("tp", "fp", "tn", "fn"))
        margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return np.where(margins > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(margins, 1)), 0.0)

    known = dict(rmse=rmse, r2=r2, gain=gain, balanced_accuracy=balanced_accuracy, mcc=mcc)
    if name not in known:
        raise ValueError(f"a bootstrap over cells or drugs knows {sorted(known)}, found {name!r}")
    return known[name]


def sums_by_cluster(ledger, runs, unit, study="All"):
    """Sufficient statistics of configurations in each cell (or drug), all folds together.

    Parameters
    ----------
    unit : {"cell_id", "drug_id"}

    Returns
    -------
    tuple
        (ndarray of shape (n_configurations, n_clusters, n_statistics), settings with one row per configuration,
        cluster names); the array is empty where the sweep kept no scores by that unit.
    """
    other = {"cell_id": "drug_id", "drug_id": "cell_id"}[unit]
    rows = ledger.scores[(ledger.scores["part"] == "test") & (ledger.scores[unit] != "") & (ledger.scores[other] == "")]
    rows = rows if study == "All" else rows[rows["study"] == study]
    rows = rows.merge(runs[["run_id", "configuration"]], on="run_id")
    sums = rows.groupby(["configuration", unit])[metrics.STATISTICS].sum()
    if sums.empty:
        return np.empty((0, 0, len(metrics.STATISTICS))), runs.iloc[:0], []
    configs, clusters = (sums.index.unique(level=i) for i in (0, 1))
    whole = sums.reindex(pd.MultiIndex.from_product([configs, clusters])).fillna(0.0).to_numpy()
    settings = runs.drop_duplicates("configuration").set_index("configuration").loc[configs].reset_index()
    return whole.reshape(len(configs), len(clusters), -1), settings, list(clusters)


def cluster_table(ledger, factors=FACTORS, scores=("r2", "rmse"), n_draws=400):
    """Effects of factor levels with intervals over cells (split by cell) or drugs (split by drug).

    Returns
    -------
    DataFrame
        split, panel, factor, level, reference, metric, effect, low, high, p, n (clusters), unit, reason.
    """
    rows, runs = [], configurations.networks(ledger.runs)
    for (split, panel), part in runs.groupby(["split", "panel"], dropna=False) if len(runs) else []:
        unit = "drug_id" if split == "on_drug" else "cell_id"
        sums, settings, _ = sums_by_cluster(ledger, part, unit)
        if not len(settings):
            rows.append(dict(split=split, panel=panel, factor="", reason=f"the sweep kept no scores by {unit}"))
            continue
        spec = settings[[c for c in configurations.SPEC if c in settings]]
        for factor in [f for f in factors if f in spec and spec[f].astype(str).nunique() > 1]:
            for level, w in effect_weights(spec, factor).items():
                head = dict(split=split, panel=panel, factor=factor, level=level, reference=levels(spec, factor)[0])
                rows += [head | dict(metric=s) | _cluster_effect(sums, w, s, n_draws) for s in scores]
    return pd.DataFrame(rows)


def _cluster_effect(sums, w, score, n_draws):
    if w is None:
        return stats.result(unit="cluster", reason="cannot be told from another setting of these runs")
    return stats.cluster_contrast(sums, w, metric_of(score), n_draws)
