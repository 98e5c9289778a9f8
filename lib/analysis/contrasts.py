"""What one setting does to the score, all others held: the paper's t-test beside the tests at the right unit.

For each level of a factor against its reference the effect is the coefficient of a linear model of all settings that
vary; in a full factorial it equals the mean difference of matched runs (the same run with and without the level). The
same weights applied within each fold give the fold-level test, and applied to resampled cells or drugs their interval.
"""

import numpy as np
import pandas as pd

from lib.analysis import configurations, statistics
from lib.sweep import metrics

FACTORS = (
    "snp scaling rnaseq_set drug_block null_control model dropout strategy optimizer lr patience selection scope "
    "hidden cohort"
).split()
# The level that the others are compared with, where it is present; otherwise the first in alphabetical order.
REFERENCE = dict(
    snp="none", scaling="none", rnaseq_set="lincs1000", drug_block="mordred", null_control="none", model="mlp",
    strategy="vanilla", optimizer="adam", selection="nested", scope="train_fold", patience="paper", cohort="top21",
)  # fmt: skip
SCORES = ("r2", "npearson", "rmse", "gain", "balanced_accuracy", "mcc")


def scores_by_run(ledger, runs, study="All", scores=SCORES):
    """Test scores of single runs (one fold each).

    Returns
    -------
    DataFrame
        `runs` with `scores`; the minimum-n rule applies to the rows of one fold.
    """
    rows = ledger.pooled["test"]
    rows = rows[rows["run_id"].isin(runs["run_id"])]
    rows = rows if study == "All" else rows[rows["study"] == study]
    if rows.empty:
        return runs.drop(columns="reason", errors="ignore").assign(
            **dict.fromkeys(scores, np.nan), reason="not scored"
        )
    joined = rows.merge(runs[["run_id", "split", "fold"]], on="run_id").drop(columns="study")
    joined = configurations.with_units(joined, runs) if study == "All" else joined
    pooled = metrics.score(metrics.pool(joined, ["run_id", "split"]))
    plain = runs.drop(
        columns="reason", errors="ignore"
    )  # of a run's end; here it is why there is no score
    return plain.merge(pooled[["run_id", *scores, "reason"]], on="run_id", how="left").fillna(
        {"reason": "not scored"}
    )


def levels(frame, factor, reference=None):
    """Reference level (as asked, else that of REFERENCE, else the first) and the other levels of a factor, as text."""
    found = sorted(frame[factor].astype(str).unique())
    reference = next(
        (r for r in (reference, REFERENCE.get(factor)) if r in found), found[0] if found else None
    )
    return reference, [level for level in found if level != reference]


def tied(settings, factor):
    """Settings that each level of a factor fixes, as a learning rate that belongs to an optimizer.

    Their part of the effect cannot be told from the factor's: it is one effect of both, and named as such.
    """
    codes = {c: pd.factorize(settings[c].astype(str))[0] for c in settings}
    own = codes.pop(factor)
    n_levels = len(
        np.unique(own)
    )  # a setting is tied where it makes no more groups than the factor's own levels
    return [
        c
        for c, code in codes.items()
        if code.max(initial=0) and len(np.unique(own * len(code) + code)) == n_levels
    ]


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
    held = (factor, *tied(text, factor))
    rest = [c for c in text if c not in held and text[c].nunique() > 1]
    own = np.column_stack(
        [np.ones(len(text)), *(text[factor] == level for level in others)]
    ).astype(float)
    dummies = [pd.get_dummies(text[c], drop_first=True, dtype=float).to_numpy() for c in rest]
    x = np.column_stack([own, *dummies])
    inverse = np.linalg.pinv(x)
    estimable = np.abs((inverse @ x - np.eye(x.shape[1]))[: own.shape[1]]).max(axis=1) < 1e-8
    return {level: inverse[i] if estimable[i] else None for i, level in enumerate(others, 1)}


def matched_differences(table, factor, level, reference, scores):
    """Differences of the same configuration with and without a level, fold by fold.

    Parameters
    ----------
    table : DataFrame
        Rows of `scores_by_run` of one split and one panel.
    scores : sequence of str

    Returns
    -------
    dict of str to ndarray of shape (n_matched, n_folds)
        By score; NaN where one of the two runs has none.
    """
    known = [c for c in configurations.SPEC if c in table]
    held = (factor, *tied(table[known], factor))
    keys = [c for c in known if c not in held]
    pair = table[table[factor].astype(str).isin([level, reference])].reset_index(drop=True)
    sign = np.where(pair[factor].astype(str) == level, 1.0, -1.0)
    by = [pd.util.hash_pandas_object(pair[keys].astype(str), index=False), pair["fold"]]
    signed = pair[list(scores)].mul(sign, axis=0).groupby(by).sum(min_count=2)
    both = signed[
        pair.groupby(by).size() == 2
    ].unstack()  # the same settings, once with and once without
    return {
        score: both[score].dropna(how="all").to_numpy() if len(both) else np.empty((0, 0))
        for score in scores
    }


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
        return [
            dict(factor=factor, level=reference, metric="", reason=f"one level only: {reference}")
        ]
    merged = (
        table.groupby(["configuration", factor], observed=True)[list(scores)].mean().reset_index()
    )
    rows, known = [], {}
    together = tied(table[[c for c in configurations.SPEC if c in table]], factor)
    matched = {
        level: matched_differences(table, factor, level, reference, scores) for level in others
    }
    for score in scores:
        folds, why = _effects_by_fold(table[table[score].notna()], factor, score, known, reference)
        for level in others:
            pairs = matched[level][score]
            effect = folds.get(level, [])
            rows.append(
                _one_contrast(
                    table, merged, factor, level, reference, score, effect, pairs, why, together
                )
            )
    return rows


def _one_contrast(table, merged, factor, level, reference, score, by_fold, matched, why, together):
    names = merged[factor].astype(str)
    paper = statistics.t_test(
        merged.loc[names == reference, score], merged.loc[names == level, score]
    )
    share = 1 / max(table["n_folds"].max(), 2)
    folds = statistics.fold_t_test(by_fold, share)
    mixed = (
        statistics.mixed_effect(matched)
        if len(matched)
        else statistics.result(reason="no matched pair")
    )
    reason = "; ".join(dict.fromkeys(r for r in [*why, folds["reason"]] if r))
    found = dict(factor=factor, level=level, reference=reference, metric=score)
    found["together_with"] = ", ".join(together)
    found |= {name: folds[name] for name in ("effect", "low", "high", "p")}
    found |= dict(
        effect_paper=paper["effect"], p_paper=paper["p"], cohens_d=paper.get("cohens_d", np.nan)
    )
    found |= {f"{name}_mixed": mixed[name] for name in ("effect", "low", "high", "p")}
    n_runs = int(table[factor].astype(str).isin([level, reference]).sum())
    counts = dict(n_matched=len(matched), n_runs=n_runs, n_folds=folds["n"])
    recipe = dict(kind="contrast", factor=factor, level=level, reference=reference, metric=score)
    address = dict(
        recipe=recipe if len(by_fold) else None, members=sorted(set(table["configuration"]))
    )
    return found | counts | dict(reason=reason, reason_mixed=mixed["reason"]) | address


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
        why.append(
            f"no run has a score ({'; '.join(sorted(set(table.get('reason', [])) - {''})) or 'none scored'})"
        )
    return effects, why


def contrast_table(ledger, factors=FACTORS, scores=SCORES, study="All", reference=None):
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
        table = configurations.paper_design(configurations.networks(scored, vary=(factor,)))
        if factor not in table or table.empty:
            continue
        for (split, panel), part in table.groupby(["split", "panel"], dropna=False):
            rows += [
                dict(split=split, panel=panel) | row
                for row in factor_contrasts(part, factor, scores, reference)
            ]
    columns = ["split", "panel", "factor", "level", "metric", "effect", "p", "p_paper", "reason"]
    found = _with_holm(pd.DataFrame(rows, columns=None if rows else columns))
    counts = [name for name in ("n_matched", "n_runs", "n_folds") if name in found]
    return found.astype(dict.fromkeys(counts, "Int64"))


def _with_holm(found):
    for name in ("p", "p_paper", "p_mixed"):
        if name not in found:
            found[name] = np.nan
        family = found.groupby(["split", "panel", "metric"], dropna=False)[name]
        found[f"{name}_holm"] = (
            family.transform(lambda p: statistics.holm(p)) if len(found) else np.nan
        )
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

    def npearson(s):
        y, p = take(s, "nsum_y"), take(s, "nsum_p")
        yy, pp = (take(s, f"nsum_{a * 2}") - b**2 / take(s, "n") for a, b in (("y", y), ("p", p)))
        joint = take(s, "nsum_yp") - y * p / take(s, "n")
        return np.where(pp > 0, joint / np.sqrt(np.maximum(yy * pp, 1e-300)), 0.0)

    def balanced_accuracy(s):
        tpr = take(s, "tp_50") / (take(s, "tp_50") + take(s, "fn_50"))
        return (tpr + take(s, "tn_50") / (take(s, "tn_50") + take(s, "fp_50"))) / 2

    def mcc(s):
        tp, fp, tn, fn = (take(s, f"{kind}_50") for kind in ("tp", "fp", "tn", "fn"))
        margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return np.where(margins > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(margins, 1)), 0.0)

    known = dict(
        rmse=rmse, r2=r2, gain=gain, npearson=npearson, balanced_accuracy=balanced_accuracy, mcc=mcc
    )
    if name not in known:
        raise ValueError(f"a bootstrap over cells or drugs knows {sorted(known)}, found {name!r}")
    return known[name]


def sums_by_cluster(ledger, runs, unit, study="All"):
    """Sufficient statistics of configurations in each cell (or drug), all folds together.

    From predictions where the sweep kept them, else from its scores by cell or by drug.

    Parameters
    ----------
    unit : {"cell_id", "drug_id"}

    Returns
    -------
    tuple
        (ndarray of shape (n_configurations, n_clusters, n_statistics), settings with one row per configuration,
        cluster names); the array is empty where the sweep kept neither.
    """
    names = set(runs["configuration"])
    parts = [_block_sums(block, names, unit, study) for block in ledger.predicted]
    parts = [frame for frame in parts if frame is not None] or [
        _kept_sums(ledger, runs, unit, study)
    ]
    clusters = sorted(set().union(*(own for _, _, own in parts)))
    if not clusters:
        return np.empty((0, 0, len(metrics.STATISTICS))), runs.iloc[:0], []
    whole = np.zeros(
        (sum(len(configs) for configs, _, _ in parts), len(clusters), len(metrics.STATISTICS))
    )
    start = 0
    for (
        configs,
        sums,
        own,
    ) in parts:  # a configuration of a smaller cohort has no row of the other clusters
        whole[start : start + len(configs), np.searchsorted(clusters, own)] = sums
        start += len(configs)
    order = [name for configs, _, _ in parts for name in configs]
    return (
        whole,
        runs.drop_duplicates("configuration").set_index("configuration").loc[order].reset_index(),
        clusters,
    )


def _block_sums(block, names, unit, study):
    mine = [i for i, name in enumerate(block.configurations) if name in names]
    if not mine:
        return None
    sums, clusters = block.sums(unit, study)
    return [block.configurations[i] for i in mine], sums[mine], list(clusters)


def _kept_sums(ledger, runs, unit, study):
    other = {"cell_id": "drug_id", "drug_id": "cell_id"}[unit]
    rows = ledger.scores[
        (ledger.scores["part"] == "test")
        & (ledger.scores[unit] != "")
        & (ledger.scores[other] == "")
    ]
    rows = rows if study == "All" else rows[rows["study"] == study]
    rows = rows.merge(runs[["run_id", "configuration"]], on="run_id")
    sums = rows.groupby(["configuration", unit])[metrics.STATISTICS].sum()
    configs, clusters = (sums.index.unique(level=i) for i in (0, 1))
    whole = (
        sums.reindex(pd.MultiIndex.from_product([configs, clusters], names=sums.index.names))
        .fillna(0.0)
        .to_numpy()
    )
    return (
        list(configs),
        whole.reshape(len(configs), len(clusters), len(metrics.STATISTICS)),
        sorted(clusters),
    )


def cluster_table(ledger, factors=FACTORS, scores=("r2", "npearson"), n_draws=400):
    """Effects of factor levels with intervals over cells (split by cell) or drugs (split by drug).

    Returns
    -------
    DataFrame
        split, panel, factor, level, reference, metric, effect, low, high, p, n (clusters), unit, n_configurations
        (those whose predictions or scores by cluster were kept), reason, recipe, members.
    """
    rows = []
    for factor in [f for f in factors if f in ledger.runs]:
        runs = configurations.paper_design(configurations.networks(ledger.runs, vary=(factor,)))
        for (split, panel), part in (
            runs.groupby(["split", "panel"], dropna=False) if len(runs) else []
        ):
            head = dict(split=split, panel=panel, factor=factor)
            if part[factor].astype(str).nunique() > 1:
                rows += [head | row for row in _cluster_rows(ledger, part, factor, scores, n_draws)]
    columns = (
        "split panel factor level reference metric effect low high p n unit n_configurations reason"
    )
    return pd.DataFrame(rows, columns=[*columns.split(), "recipe", "members"])


def _cluster_rows(ledger, part, factor, scores, n_draws):
    unit = "drug_id" if part["split"].iloc[0] == "on_drug" else "cell_id"
    sums, settings, _ = sums_by_cluster(ledger, part, unit)
    if not len(settings):
        return [dict(reason=f"the sweep kept no scores by {unit}")]
    spec = settings[[c for c in configurations.SPEC if c in settings]]
    reference, rows = levels(spec, factor)[0], []
    pooled = statistics.cluster_draws(sums, n_draws)
    for level, w in effect_weights(spec, factor).items():
        for score in scores:
            found = _cluster_effect(sums, w, score, pooled)
            recipe = dict(
                kind="contrast",
                factor=factor,
                level=level,
                reference=reference,
                metric=score,
                folds="merged",
            )
            head = dict(
                level=level, reference=reference, metric=score, n_configurations=len(settings)
            )
            members = list(settings["configuration"])
            rows.append(
                head | found | dict(recipe=recipe if w is not None else None, members=members)
            )
    return rows


def _cluster_effect(sums, w, score, pooled):
    if w is None:
        return statistics.result(
            unit="cluster", reason="cannot be told from another setting of these runs"
        )
    return statistics.cluster_contrast(sums, w, metric_of(score), pooled=pooled)
