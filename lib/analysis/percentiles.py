"""Tables 1 to 5 and figure 3 of the paper: percentiles of the scores by level of one factor.

Every table is long: one row per printed number. `ours` follows the paper (fold-merged
configurations, its removal rule, its percentile); `ours_unfiltered` leaves nothing out. Levels are
compared on settings that were run at two levels or more; `n_unmatched` counts the others. The rows
of factor "null_control" are networks whose features carry nothing, the rows of factor "baseline"
the mean-effects baseline, its simpler forms and ridge, on the same rows: a percentile means little
without them. `recipe` and `members` are the number's address (lib/analysis/provenance.py).
"""

import itertools

import numpy as np
import pandas as pd

from lib import paper as published
from lib.analysis import contrasts, statistics
from lib.analysis.configurations import METRICS, PERCENTILE, PLACE
from lib.sweep import metrics
from lib.sweep.baselines import BASELINES

SPLITS = ("on_cell", "on_drug")
COLUMNS = (
    "split panel study factor level metric statistic published ours difference low high "
    "ours_unfiltered n_configurations n_removed n_unmatched n_drugs n_cells reason recipe members"
).split()
# The controls that are the zero line of each factor: the same networks, with features of that kind
# that carry nothing.
NULLS = {
    "snp": ("permuted_snp",),
    "scaling": ("permuted_genes", "random_genes"),
    "rnaseq_set": ("permuted_genes", "random_genes"),
    "drug_block": ("permuted_drugs", "random_drugs", "onehot_drugs"),
}
SIZES = ("n_drugs", "n_cells")
ADDRESS = ["reason", "recipe", "members"]
GENE_SCORES, SNP_SCORES = ("gain", "npearson"), ("r2", "balanced_accuracy")


def factor_table(
    predictors, merged, removed, item, factor, metric_names=METRICS, studies=("All",), nulls=None
):
    """A table of percentiles by factor level, as tables 1 to 5 of the paper.

    Parameters
    ----------
    predictors : DataFrame
        `headline.predictors`.
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
        COLUMNS; one row per split, level, study and metric, then the null controls and baselines.
    """
    paper = published.values(item)
    merged = merged.assign(kept=merged["configuration"].map(removed).fillna("") == "")
    rows = []
    for split in SPLITS:
        if split not in {*merged["split"], *paper["split"]}:
            continue
        part, panel = rows_of_factor(merged[merged["split"] == split], factor)
        use = contrasts.matched(part, factor)
        place = dict(split=split, panel=panel, factor=factor)
        for level in _levels(part, paper, factor):
            own = part[part[factor].astype(str) == level]
            n_unmatched = own.loc[~use[own.index], "configuration"].nunique()
            at = dict(place, level=level, n_unmatched=n_unmatched)
            rows += _rows(own[use[own.index]], at, studies, metric_names, paper)
        for level in NULLS.get(factor, ()) if nulls is not None else ():
            own = nulls[(nulls["split"] == split) & (nulls["panel"] == panel)].assign(kept=True)
            own = own[own["null_control"] == level]  # all: a control that fails does its work
            at = dict(place, factor="null_control", level=level, n_unmatched=0)
            rows += _rows(own, at, studies, metric_names, None) if len(own) else []
        rows += baseline_rows(predictors, split, panel, metric_names, studies)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(own, at, studies, metric_names, paper):
    rows = []
    for study, metric in itertools.product(studies, metric_names):
        place = dict(at, study=study)
        theirs, notes = theirs_of(paper, place, metric)
        rows.append(percentile_row(own, place, metric, theirs, notes))
    return rows


def rows_of_factor(part, factor):
    """The rows of the panel where the factor varies over most configurations, and that panel."""
    if part.empty:
        return part, ""
    panels = part.groupby("panel", dropna=False)
    rank = pd.DataFrame(
        {"varies": panels[factor].nunique() > 1, "size": panels["configuration"].nunique()}
    )
    panel = rank.sort_values(["varies", "size"]).index[-1]
    return part[part["panel"] == panel], panel


def _levels(part, paper, factor):
    """Our levels in the paper's order, those it lacks, then those of the paper that no run has."""
    order = list(dict.fromkeys(paper["level"]))
    ours = {}
    for level in sorted(part[factor].astype(str).unique()):
        name, _ = published.published_level(factor, level)
        ours[level] = order.index(name) if name in order else len(order)
    absent = [name for i, name in enumerate(order) if i not in ours.values()]
    return sorted(ours, key=ours.get) + absent


def percentile_row(own, at, metric, theirs, notes):
    """One number, named by `at` and `metric`, from the configurations of one level with `kept`."""
    rows = own[own["study"] == at["study"]]
    kept = rows[rows["kept"]]
    used = kept[kept[metric].notna()]
    q = PERCENTILE[metric]
    found = statistics.percentile(used[metric], q)
    label = metrics.single_mechanism(at["study"], largest(rows, "n_drugs"))
    reasons = [*notes, _why_empty(own, rows, kept, metric, at), label]
    row = dict(at, metric=metric, statistic=f"quantile {q:g}", published=theirs)
    row |= dict(ours=found["effect"], difference=found["effect"] - theirs)
    row |= dict(low=found["low"], high=found["high"], ours_unfiltered=rows[metric].quantile(q))
    row |= dict(n_configurations=len(used), n_removed=len(rows) - len(kept), **_sizes(used))
    row["reason"] = "; ".join(filter(None, reasons))
    return row | _address(metric, at["study"], q, used["configuration"])


def _address(metric, study, q, members):
    if not len(members):
        return {}
    recipe = dict(
        kind="percentile",
        metric=metric,
        study=study,
        q=q,
    )
    return dict(recipe=recipe, members=list(members))


def largest(rows, name):
    return int(rows[name].fillna(0).max()) if len(rows) else 0


def _sizes(rows):
    return {name: largest(rows, name) for name in SIZES}


def theirs_of(paper, at, metric):
    """The paper's number for a cell of a table, with the sentences that belong to it."""
    if paper is None:
        return np.nan, ["the paper has no control"]
    level, note = published.published_level(at["factor"], at["level"])
    match = paper[(paper["split"] == at["split"]) & (paper["study"] == at["study"])]
    match = match[(match["level"] == level) & (match["metric"] == metric)]
    if match.empty:
        return np.nan, [note, "the paper prints no such number"]
    return float(match["value"].iloc[0]), [note, match["note"].iloc[0]]


def _why_empty(own, rows, kept, metric, at):
    if own.empty:
        return f"no run with {at['factor']} = {at['level']} in this sweep"
    if rows.empty:
        return f"no test row of {at['study']}"
    if kept.empty:
        return f"all {len(rows)} configurations fall to the removal rule"
    if kept[metric].notna().any():
        return ""
    return reason_of(kept.iloc[0], metric)


def reason_of(row, metric):
    """Why a row of `metrics.score` has no such score."""
    if metric.startswith(("balanced_accuracy", "mcc")):
        cutoff = "30" if metric.endswith("_30") else "50"
        if row.get(f"reason_{cutoff}"):
            return row[f"reason_{cutoff}"]
    return row["reason"] or "no score"


# The baselines on the same rows -----------------------------------------------------------------


def baseline_rows(predictors, split, panel, metric_names, studies):
    """Rows of the baselines of `headline.predictors` on one split and panel."""
    part = predictors[(predictors["split"] == split) & (predictors["panel"] == panel)]
    part = part[part["predictor"].isin(BASELINES)]
    rows = []
    for model, scored in part.groupby("predictor", sort=False):
        own = scored.assign(kept=True, configuration=model)
        at = dict(
            split=split,
            panel=panel,
            factor="baseline",
            level=model,
            n_unmatched=0,
        )
        for study, metric in itertools.product(studies, metric_names):
            place = dict(at, study=study)
            row = percentile_row(own, place, metric, np.nan, ["the paper prints no baseline"])
            row |= dict(statistic="one predictor", low=np.nan, high=np.nan)
            if "recipe" in row:
                row["recipe"] = dict(kind="pool", metric=metric, study=study)
                row["members"] = own.loc[own["study"] == study, "members"].iloc[0]
            rows.append(row)
    return rows


# How many genes, and SNPs by study --------------------------------------------------------------


def random_genes(ledger, gene_sets):
    """Score against the number of random genes, by fold, beside the named sets and shuffled genes.

    Parameters
    ----------
    ledger : configurations.Ledger
    gene_sets : DataFrame
        rnaseq_set, symbol, panel: how many genes a named set has.

    Returns
    -------
    DataFrame
        arm, split, panel, kind ("random", "named", "shuffled"), level, n_genes, repeat, fold,
        metric, median (over configurations of the settings that every random size was run with),
        n_configurations, reason, recipe, members; empty where the sweep has fewer than two sizes.
    """
    sizes = gene_sets.groupby(["panel", "rnaseq_set"])["symbol"].nunique()
    scored = contrasts.scores_by_run(ledger, ledger.runs, GENE_SCORES)
    rows = []
    for _, arm, split, panel, part in contrasts.designs(scored, ["null_control"]):
        part = _with_random_sizes(part)
        for (level, kind, repeat, fold), own in part.groupby(["level", "kind", *PLACE]):
            n_genes = sizes.get((panel, own["rnaseq_set"].iloc[0]), np.nan)
            at = dict(
                arm=arm,
                split=split,
                panel=panel,
                kind=kind,
                level=level,
                n_genes=n_genes,
                repeat=repeat,
                fold=fold,
            )
            rows += [at | _fold_median(own, metric) for metric in GENE_SCORES]
    columns = "arm split panel kind level n_genes repeat fold metric median n_configurations"
    return pd.DataFrame(rows, columns=[*columns.split(), *ADDRESS])


def _with_random_sizes(part):
    """Runs of the settings that all random sizes share, by kind and level of gene set."""
    is_random = part["rnaseq_set"].str.startswith("random_")
    is_shuffled = part["null_control"] == "permuted_genes"
    key = contrasts.settings_key(part, "rnaseq_set", "null_control")
    random = part[is_random & (part["null_control"] == "none")]
    n_sizes = random.groupby(key[random.index])["rnaseq_set"].nunique()
    shared = n_sizes.index[n_sizes == n_sizes.max()] if n_sizes.max() > 1 else []
    kind = np.where(is_random, "random", "named")
    level = part["rnaseq_set"] + np.where(is_shuffled, ", shuffled", "")
    part = part.assign(kind=np.where(is_shuffled, "shuffled", kind), level=level)
    return part[key.isin(shared) & part["null_control"].isin(["none", "permuted_genes"])]


def _fold_median(own, metric):
    values = own[metric].dropna()
    row = dict(
        metric=metric,
        median=values.median(),
        n_configurations=len(values),
        reason="",
    )
    if values.empty:
        return dict(row, reason="; ".join(sorted(set(own["reason"]) - {""})) or "no score")
    return row | _address(metric, "All", 0.5, own["run_id"])


def snp_by_study(merged, removed, nulls=None):
    """Figure 3: 98th percentile and best score with, without and with shuffled SNPs, by study.

    Both grow with the number of configurations. So beside the paper's way (`settings` "all": every
    kept configuration that was run with and without) stand, where shuffled SNPs were run, the
    configurations of exactly those settings at every level (`settings` "as shuffled"), without the
    removal rule.

    Returns
    -------
    DataFrame
        split, panel, study, settings, level, metric, p98, best, n_configurations, n_drugs, n_cells,
        reason, recipe, members.
    """
    rows = []
    for split, part in merged.groupby("split"):
        part, panel = rows_of_factor(part, "snp")
        kept = part[contrasts.matched(part, "snp")]
        kept = kept[kept["configuration"].map(removed).fillna("") == ""]
        groups = [("all", level, own) for level, own in kept.groupby("snp", sort=False)]
        if nulls is not None:
            groups += _as_shuffled(part, nulls, split, panel)
        for settings, level, group in groups:
            for study, own in group.groupby("study", sort=False):
                at = dict(
                    split=split,
                    panel=panel,
                    study=study,
                    settings=settings,
                    level=level,
                )
                rows += [at | _top_row(own, metric, study) for metric in SNP_SCORES]
    columns = "split panel study settings level metric p98 best n_configurations n_drugs n_cells"
    return pd.DataFrame(rows, columns=[*columns.split(), *ADDRESS])


def _as_shuffled(part, nulls, split, panel):
    """Configurations of settings that were run with shuffled SNPs too: (settings, level, rows)."""
    shuffled = nulls[(nulls["split"] == split) & (nulls["panel"] == panel)]
    shuffled = shuffled[shuffled["null_control"] == "permuted_snp"]
    wanted = contrasts.settings_key(shuffled, "snp", "null_control")
    same = contrasts.settings_key(part, "snp", "null_control").isin(wanted)
    real = part[same & part["snp"].isin(["none", *shuffled["snp"]])]
    if real.empty:
        return []
    levels = [*real.groupby("snp", sort=False), ("shuffled", shuffled)]
    return [("as shuffled", level, own) for level, own in levels]


def _top_row(own, metric, study):
    values = own[metric].dropna()
    row = dict(
        metric=metric,
        p98=values.quantile(0.98),
        best=values.max(),
        reason="",
        n_configurations=len(values),
        **_sizes(own),
    )
    if values.empty:
        return dict(row, reason=reason_of(own.iloc[0], metric))
    return row | _address(metric, study, 0.98, own["configuration"])
