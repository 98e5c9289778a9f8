"""Tables 1 to 5 and figure 3 of the paper: percentiles of the scores by level of one factor.

Every table is long: one row per printed number. `ours` follows the paper (fold-merged configurations, its removal
rule, its percentile); `ours_unfiltered` leaves nothing out. Levels are compared on settings that were run at two levels
or more; `n_unmatched` counts the others. The rows of factor "null_control" are networks whose features carry nothing,
the rows of factor "naive" predictors that know no feature, on the same rows: a percentile means little without them.
`recipe` and `members` are the number's address (lib/analysis/provenance.py).
"""

import numpy as np
import pandas as pd

from lib import paper as published
from lib.analysis import configurations, contrasts, statistics
from lib.analysis.configurations import METRICS, PERCENTILE
from lib.sweep import metrics
from lib.sweep.baselines import BASELINES

SPLIT_NAMES = {"on_cell": "unseen cells", "on_drug": "unseen drugs"}
SPLITS = tuple(SPLIT_NAMES)
COLUMNS = (
    "split panel study factor level metric statistic published ours difference low high ours_unfiltered "
    "n_configurations n_removed n_unmatched n_drugs n_cells reason recipe members"
).split()
# The controls that are the zero line of each factor: the same networks, with features of that kind that carry nothing.
NULLS = dict(
    snp=("permuted_snp",), scaling=("permuted_genes", "random_genes"), rnaseq_set=("permuted_genes", "random_genes"),
    drug_block=("permuted_drugs", "random_drugs", "onehot_drugs"),
)  # fmt: skip


def factor_table(
    naive, merged, removed, item, factor, metric_names=METRICS, studies=("All",), nulls=None
):
    """A table of percentiles by factor level, as tables 1 to 5 of the paper.

    Parameters
    ----------
    naive : DataFrame
        `naive_scores`.
    merged : DataFrame
        `configurations.merge_folds` of the networks.
    removed : Series
        Reason of removal by configuration, "" where it stays (`removed_by_configuration`).
    item, factor : str
        "table1" and "snp", and so on.
    metric_names, studies : sequence of str
    nulls : DataFrame, optional
        `configurations.merge_folds` of the null controls.

    Returns
    -------
    DataFrame
        COLUMNS; one row per split, level, study and metric, then the null controls and the naive predictors.
    """
    paper = published.values(item)
    rows = []
    for split in [s for s in SPLITS if s in set(merged["split"]) | set(paper["split"])]:
        part, panel = rows_of_factor(merged[merged["split"] == split], factor)
        use = configurations.matched(part, factor)
        for level in _levels(part, paper, factor):
            own = part[part[factor].astype(str) == level]
            left_out = own.loc[~use[own.index], "configuration"].nunique()
            own = own[use[own.index]]
            for study in studies:
                at = dict(
                    split=split,
                    panel=panel,
                    study=study,
                    factor=factor,
                    level=level,
                    n_unmatched=left_out,
                )
                rows += [_percentile_row(own, removed, at, m, paper, factor) for m in metric_names]
        rows += null_rows(nulls, split, panel, factor, metric_names, studies)
        rows += naive_rows(naive, split, panel, metric_names, studies)
    return pd.DataFrame(rows, columns=COLUMNS)


def with_unit_intervals(table, ledger, n_draws=200):
    """A table of percentiles with intervals over whole cells (unseen cells) or drugs (unseen drugs) too.

    Parameters
    ----------
    table : DataFrame
        Of `factor_table`, study "All".
    ledger : configurations.Ledger
    n_draws : int

    Returns
    -------
    DataFrame
        With `unit_low`, `unit_high` and `unit_reason`; NaN and a reason where the sweep kept no scores by cell or drug.
    """
    found, known = [], {}
    for row in table.to_dict("records"):
        unit = "drug_id" if row["split"] == "on_drug" else "cell_id"
        found.append(_unit_interval(row, ledger, unit, n_draws, known))
    return table.assign(
        **pd.DataFrame(found, index=table.index, columns=["unit_low", "unit_high", "unit_reason"])
    )


def _unit_interval(row, ledger, unit, n_draws, known):
    """Interval of one number; `known` keeps the sums and draws of a level, which its metrics share."""
    if row["statistic"] == "one predictor" or row["members"] is None:
        return np.nan, np.nan, "" if row["members"] is None else "a single predictor"
    key = (row["split"], row["factor"], row["level"], len(row["members"]))
    if key not in known:
        runs = ledger.runs[ledger.runs["configuration"].isin(row["members"])]
        sums = contrasts.sums_by_cluster(ledger, runs, unit)[0]
        known.clear()  # one level at a time: the draws of all would not fit in memory
        known[key] = sums, statistics.cluster_draws(sums, n_draws) if len(sums) else None
    sums, pooled = known[key]
    if not len(sums):
        return np.nan, np.nan, f"the sweep kept no scores by {unit}"
    metric, q = contrasts.metric_of(row["metric"]), row["recipe"]["q"]
    interval = statistics.percentile_by_cluster(sums, metric, q, pooled=pooled)
    n_wanted = len(set(row["members"]))
    part = (
        f"the {len(sums)} of {n_wanted} configurations with predictions"
        if len(sums) < n_wanted
        else ""
    )
    return interval["low"], interval["high"], interval["reason"] or part


def rows_of_factor(part, factor):
    """The rows of the panel in which the factor varies over most configurations; panels hold different rows."""
    if part.empty:
        return part, ""
    rank = part.groupby("panel", dropna=False).agg(
        levels=(factor, "nunique"), size=("configuration", "nunique")
    )
    panel = rank.assign(varies=rank["levels"] > 1).sort_values(["varies", "size"]).index[-1]
    return part[part["panel"] == panel], panel


def _levels(part, paper, factor):
    """Levels of ours in the paper's order, then ours that the paper lacks, then the paper's that no run has."""
    ours = sorted(part[factor].astype(str).unique()) if len(part) else []
    order = list(dict.fromkeys(paper["level"]))
    names = {level: published.published_level(factor, level)[0] for level in ours}
    known = [level for name in order for level in ours if names[level] == name]
    return (
        known
        + [level for level in ours if level not in known]
        + [n for n in order if n not in names.values()]
    )


def _percentile_row(own, removed, at, metric, paper, factor):
    rows = own[own["study"] == at["study"]]
    kept = rows[rows["configuration"].map(removed).fillna("") == ""]
    found = (
        statistics.percentile(kept[metric], PERCENTILE[metric], n_draws=300)
        if len(kept)
        else statistics.result()
    )
    free = rows[metric].dropna() if len(rows) else pd.Series(dtype=float)
    theirs, why = (
        theirs_of(paper, at, metric, factor)
        if paper is not None
        else (np.nan, ["the paper has no control"])
    )
    why += _why_empty(own, rows, kept, metric, at, factor)
    why += [metrics.single_mechanism(at["study"], largest(rows, "n_drugs"))]
    used = kept[kept[metric].notna()] if len(kept) else kept
    recipe = (
        dict(kind="percentile", metric=metric, study=at["study"], q=PERCENTILE[metric])
        if len(used)
        else None
    )
    return at | dict(
        metric=metric, statistic=f"quantile {PERCENTILE[metric]:g}", published=theirs, ours=found["effect"],
        difference=found["effect"] - theirs, low=found["low"], high=found["high"],
        ours_unfiltered=free.quantile(PERCENTILE[metric]) if len(free) else np.nan,
        n_configurations=len(used), n_removed=len(rows) - len(kept), n_drugs=largest(used, "n_drugs"),
        n_cells=largest(used, "n_cells"), reason="; ".join(w for w in why if w), recipe=recipe,
        members=list(used["configuration"]) if len(used) else None,
    )  # fmt: skip


def null_rows(nulls, split, panel, factor, metric_names=METRICS, studies=("All",)):
    """Percentiles of the networks whose features of this kind carry nothing: the zero line of the factor.

    The removal rule is not applied, since a control that fails does what it is for.
    """
    rows = []
    own = (
        nulls[(nulls["split"] == split) & (nulls["panel"] == panel)]
        if nulls is not None and len(nulls)
        else None
    )
    present = [
        name
        for name in NULLS.get(factor, ())
        if own is not None and name in set(own["null_control"])
    ]
    for level in present:
        at = dict(split=split, panel=panel, factor="null_control", level=level, n_unmatched=0)
        mine = own[own["null_control"] == level]
        free = pd.Series("", index=mine["configuration"].unique())
        rows += [
            _percentile_row(mine, free, at | dict(study=study), metric, None, factor)
            for study in studies
            for metric in metric_names
        ]
    return rows


def largest(rows, name):
    return int(rows[name].fillna(0).max()) if len(rows) else 0


def theirs_of(paper, at, metric, factor):
    """The paper's number for a cell of a table, with the sentences that belong to it."""
    level, note = published.published_level(factor, at["level"])
    match = paper[
        (paper["split"] == at["split"])
        & (paper["level"] == level)
        & (paper["study"] == at["study"])
    ]
    match = match[match["metric"] == metric]
    if match.empty:
        return np.nan, [note, "the paper prints no such number"]
    return float(match["value"].iloc[0]), [note, match["note"].iloc[0]]


def _why_empty(own, rows, kept, metric, at, factor):
    if own.empty:
        return [f"no run with {factor} = {at['level']} in this sweep"]
    if rows.empty:
        return [f"no test row of {at['study']}"]
    if kept.empty:
        return [f"all {len(rows)} configurations fall to the removal rule"]
    if kept[metric].notna().any():
        return []
    return list(dict.fromkeys(reason_of(row, metric) for _, row in kept.iterrows()))[:1]


def reason_of(row, metric):
    suffix = "_30" if metric.endswith("_30") else "_50"
    classification = metric.startswith(("balanced_accuracy", "mcc"))
    return (row.get(f"reason{suffix}") if classification else "") or row["reason"] or "no score"


def naive_scores(ledger):
    """Scores of the naive predictors and ridge by split, panel and study; those that were run, on the widest cohort.

    Returns
    -------
    DataFrame
        model, split, panel, study, the metrics, and `members`, the run ids behind each row.
    """
    parts = [pd.DataFrame(columns=["model", "split", "panel", "study", "members", *METRICS])]
    own = ledger.runs[ledger.runs["model"].isin(BASELINES)]
    for (split, panel, model), _ in own.groupby(["split", "panel", "model"], dropna=False):
        runs = _baseline_runs(ledger, model, split, panel)
        scored = configurations.pool_runs(ledger, runs).assign(model=model, panel=panel)
        parts.append(scored.assign(members=[list(runs["run_id"])] * len(scored)))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def naive_rows(naive, split, panel, metric_names=METRICS, studies=("All",)):
    """Rows of the naive predictors and ridge on the test rows of one split and panel."""
    part = naive[(naive["split"] == split) & (naive["panel"] == panel)]
    at = [
        (model, study, metric)
        for model in BASELINES
        for study in studies
        for metric in metric_names
    ]
    present = set(part["model"])
    found = {key: own for key, own in part.groupby(["model", "study"])}
    rows = [
        (found.get((model, study), part.iloc[:0]), model, study, metric)
        for model, study, metric in at
    ]
    return [
        _naive_row(own, model, split, panel, study, m)
        for own, model, study, m in rows
        if model in present
    ]


def _baseline_runs(ledger, model, split, panel):
    """Runs of one baseline, one per fold, best by inner score where its settings differ; widest cohort."""
    runs = ledger.runs[(ledger.runs["model"] == model) & (ledger.runs["split"] == split)]
    runs = runs[runs["panel"] == panel] if panel else runs
    runs = configurations.real_features(runs)
    return configurations.choose(ledger, runs[runs["cohort"] == main_cohort(runs)])


def main_cohort(runs):
    """The widest cohort that was run."""
    present = set(runs["cohort"])
    return next((c for c in ("all", "top21", "top6") if c in present), next(iter(present), "all"))


def _naive_row(own, model, split, panel, study, metric):
    value = float(own[metric].iloc[0]) if len(own) else np.nan
    reason = "the paper prints no naive predictor"
    if len(own) == 0:
        reason += f"; no {model} run with rows of {study}"
    elif not np.isfinite(value):
        reason += f"; {reason_of(own.iloc[0], metric)}"
    finite = np.isfinite(value)
    label = metrics.single_mechanism(study, largest(own, "n_drugs"))
    reason += f"; {label}" if label else ""
    return dict(
        split=split, panel=panel, study=study, factor="naive", level=model, metric=metric, statistic="one predictor",
        published=np.nan, ours=value, difference=np.nan, low=np.nan, high=np.nan, ours_unfiltered=value,
        n_configurations=1 if len(own) else 0, n_removed=0, n_unmatched=0, n_drugs=largest(own, "n_drugs"),
        n_cells=largest(own, "n_cells"), reason=reason,
        recipe=dict(kind="pool", metric=metric, study=study) if finite else None,
        members=own["members"].iloc[0] if finite else None,
    )  # fmt: skip


def random_genes(ledger, gene_sets, metric_names=("r2", "npearson")):
    """Score against the number of random genes, fold by fold, with the named sets and shuffled genes beside.

    Parameters
    ----------
    ledger : configurations.Ledger
    gene_sets : DataFrame
        rnaseq_set, symbol, panel: how many genes a named set has.

    Returns
    -------
    DataFrame
        split, panel, kind ("random", "named", "shuffled"), level, n_genes, fold, metric, median (over configurations of
        the settings that every random size was run with), n_configurations, reason, recipe, members; empty where the
        sweep has fewer than two sizes.
    """
    columns = "split panel kind level n_genes fold metric median n_configurations reason recipe members".split()
    runs = configurations.paper_design(configurations.networks(ledger.runs, vary=("null_control",)))
    scored = contrasts.scores_by_run(ledger, runs, scores=metric_names)
    sizes = gene_sets.groupby(["panel", "rnaseq_set"])["symbol"].nunique()
    rows = []
    for (split, panel), part in scored.groupby(["split", "panel"]):
        part = _with_random_sizes(part)
        for (level, fold), own in part.groupby(["level", "fold"]):
            n_genes = sizes.get((panel, own["rnaseq_set"].iloc[0]), np.nan)
            at = dict(
                split=split,
                panel=panel,
                kind=own["kind"].iloc[0],
                level=level,
                n_genes=n_genes,
                fold=fold,
            )
            rows += [at | _fold_median(own, metric) for metric in metric_names]
    return pd.DataFrame(rows, columns=columns)


def _with_random_sizes(part):
    """Runs of the settings that all random sizes share, by kind and level of gene set."""
    random = part["rnaseq_set"].str.startswith("random_") & (part["null_control"] == "none")
    others = [
        c for c in configurations.SPEC if c in part and c not in ("rnaseq_set", "null_control")
    ]
    key = pd.util.hash_pandas_object(part[others].astype(str), index=False)
    n_levels = part[random].groupby(key[random])["rnaseq_set"].nunique()
    if n_levels.empty or n_levels.max() < 2:
        return part.iloc[:0].assign(kind="", level="")
    part = part[key.isin(n_levels.index[n_levels == n_levels.max()])]
    part = part[part["null_control"].isin(["none", "permuted_genes"])]
    kind = np.where(part["rnaseq_set"].str.startswith("random_"), "random", "named")
    kind = np.where(part["null_control"] == "none", kind, "shuffled")
    level = part["rnaseq_set"].where(
        part["null_control"] == "none", part["rnaseq_set"] + ", shuffled"
    )
    return part.assign(kind=kind, level=level)


def _fold_median(own, metric):
    values = own[metric].dropna()
    reason = (
        "" if len(values) else "; ".join(sorted(set(own["reason"].dropna()) - {""})) or "no score"
    )
    recipe = dict(kind="percentile", metric=metric, study="All", q=0.5) if len(values) else None
    return dict(metric=metric, median=values.median(), n_configurations=len(values), reason=reason, recipe=recipe,
                members=list(own["run_id"]))  # fmt: skip


def snp_by_study(merged, removed, metric_names=("r2", "balanced_accuracy"), nulls=None):
    """Figure 3: 98th percentile and best score with and without SNPs, and with shuffled SNPs, by study.

    Both grow with the number of configurations. So beside the paper's way (`settings` "all": every kept configuration
    that was run with and without) stand, where shuffled SNPs were run, the configurations of exactly those settings
    at every level (`settings` "as shuffled"), without the removal rule.

    Returns
    -------
    DataFrame
        split, panel, study, settings, level, metric, p98, best, n_configurations, n_drugs, n_cells, reason, recipe,
        members.
    """
    rows = []
    for split, part in merged.groupby("split"):
        part, panel = rows_of_factor(part, "snp")
        kept = part[configurations.matched(part, "snp")]
        kept = kept[kept["configuration"].map(removed).fillna("") == ""]
        groups = [("all", level, own) for level, own in kept.groupby("snp", sort=False)]
        groups += [
            ("as shuffled", level, own) for level, own in as_shuffled(part, nulls, split, panel)
        ]
        for settings, level, own in groups:
            for study, mine in own.groupby("study", sort=False):
                at = dict(split=split, panel=panel, study=study, settings=settings, level=level)
                rows += [at | _top_row(mine, metric, study) for metric in metric_names]
    columns = "split panel study settings level metric p98 best n_configurations n_drugs n_cells reason recipe members"
    return pd.DataFrame(rows, columns=columns.split())


def as_shuffled(part, nulls, split, panel):
    """Configurations of the settings that were run with shuffled SNPs too, as (level, rows); none without a control."""
    if nulls is None or nulls.empty:
        return []
    shuffled = nulls[
        (nulls["split"] == split)
        & (nulls["panel"] == panel)
        & (nulls["null_control"] == "permuted_snp")
    ]
    others = [c for c in configurations.SPEC if c in part and c not in ("snp", "null_control")]
    wanted = set(pd.util.hash_pandas_object(shuffled[others].astype(str), index=False))
    same = part[
        pd.util.hash_pandas_object(part[others].astype(str), index=False).isin(wanted).to_numpy()
    ]
    real = [
        (level, own)
        for level, own in same.groupby("snp", sort=False)
        if level in ("none", "counts")
    ]
    return [*real, ("shuffled", shuffled)] if len(shuffled) and real else []


def _top_row(own, metric, study):
    values = own[metric].dropna()
    recipe = dict(kind="percentile", metric=metric, study=study, q=0.98) if len(values) else None
    row = dict(
        metric=metric, p98=values.quantile(0.98), best=values.max(), n_configurations=len(values)
    )
    row |= dict(n_drugs=largest(own, "n_drugs"), n_cells=largest(own, "n_cells"))
    reason = "" if len(values) else reason_of(own.iloc[0], metric)
    return row | dict(reason=reason, recipe=recipe, members=list(own["configuration"]))
