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
from lib.analysis import configurations, contrasts, statistics
from lib.analysis.configurations import METRICS, PERCENTILE, PLACE
from lib.sweep import metrics
from lib.sweep.baselines import BASELINES

SPLITS = ("on_cell", "on_drug")
COLUMNS = (
    "split panel study factor level metric statistic published ours difference low high "
    "ours_unfiltered n_configurations n_removed n_unmatched n_drugs n_cells reason recipe members"
).split()
RANDOM_COLUMNS = (
    "arm split panel kind level n_genes repeat fold metric median n_configurations reason recipe "
    "members"
).split()
SNP_COLUMNS = (
    "split panel study settings level metric p98 best n_configurations n_drugs n_cells reason "
    "recipe members"
).split()
# The controls that are the zero line of each factor: the same networks, with features of that kind
# that carry nothing.
NULLS = {
    "snp": ("permuted_snp",),
    "scaling": ("permuted_genes", "random_genes"),
    "rnaseq_set": ("permuted_genes", "random_genes"),
    "drug_block": ("permuted_drugs", "random_drugs", "onehot_drugs"),
}
UNPRINTED = {
    "null_control": "the paper has no control",
    "baseline": "the paper prints no baseline",
}
# Rows of one predictor: no percentile, and no interval over configurations.
SINGLE = {"baseline": "one predictor", "model": "one model"}
GENE_SCORES, SNP_SCORES = ("gain", "npearson"), ("r2", "balanced_accuracy")


def factor_table(predictors, merged, nulls, item, factor, metric_names=METRICS, studies=("All",)):
    """A table of percentiles by factor level, as tables 1 to 5 of the paper.

    Parameters
    ----------
    predictors : DataFrame
        `headline.predictors`.
    merged : DataFrame
        `paper_tables.with_removal` of the networks.
    nulls : DataFrame
        `configurations.merge_folds` of the null controls; those of other recipes are left out.
    item, factor : str
        "table1" and "snp", and so on.
    metric_names, studies : sequence of str

    Returns
    -------
    DataFrame
        COLUMNS; one row per split, level, study and metric, then the null controls and baselines.
    """
    paper = published.values(item)
    nulls = nulls[configurations.arm(nulls).isin(configurations.arm(merged))]
    groups = []
    for split in SPLITS:
        if split not in {*merged.split, *paper.split}:
            continue
        part, panel = rows_of_factor(merged[merged.split == split], factor)
        use = contrasts.matched(part, factor)
        at = dict(split=split, panel=panel, factor=factor)
        for level in _levels(part, paper, factor):
            mine = part[factor].astype(str) == level
            n_unmatched = part.loc[mine & ~use, "configuration"].nunique()
            groups.append((dict(at, level=level, n_unmatched=n_unmatched), part[mine & use]))
        groups += beside(nulls, "null_control", NULLS.get(factor, ()), split, panel)
        groups += baselines(predictors, split, panel)
    return numbers(groups, metric_names, studies, paper)


def rows_of_factor(part, factor):
    """The rows of the panel where the factor varies over most configurations, and that panel."""
    if part.empty:
        return part, ""
    rank = part.groupby("panel", dropna=False)[[factor, "configuration"]].nunique()
    rank[factor] = rank[factor] > 1
    panel = rank.sort_values([factor, "configuration"]).index[-1]
    return part[part.panel == panel], panel


def _levels(part, paper, factor):
    """Our levels in the paper's order, those it lacks, then those of the paper that no run has."""
    order = list(dict.fromkeys(paper.level))
    ours = {}
    for level in sorted(part[factor].astype(str).unique()):
        ours[level], _ = published.published_level(factor, level)
    known = sorted(ours, key=lambda level: [*order, ours[level]].index(ours[level]))
    return known + [level for level in order if level not in ours.values()]


def baselines(predictors, split, panel):
    """Groups of `numbers`: the baselines of `headline.predictors` on one split and panel."""
    named = predictors.rename(columns={"predictor": "baseline"})
    return beside(named, "baseline", BASELINES, split, panel)


def beside(table, kind, names, split, panel):
    """Groups of `numbers`: the rows of each name in a column of a table, where there are any."""
    own = table.query("split == @split and panel == @panel")
    at = dict(split=split, panel=panel, factor=kind, n_unmatched=0)
    groups = [(dict(at, level=name), own[own[kind] == name]) for name in names]
    return [(at, rows) for at, rows in groups if len(rows)]


def numbers(groups, metric_names, studies, paper):
    """One number of each group of configurations, study and metric, beside the paper's.

    Parameters
    ----------
    groups : list of (dict, DataFrame)
        split, panel, factor, level and n_unmatched; and the configurations. All count that have no
        column `removed`.
    metric_names, studies : sequence of str
    paper : DataFrame
        `paper.values` of the table.

    Returns
    -------
    DataFrame
        COLUMNS
    """
    rows = []
    for (place, own), study, metric in itertools.product(groups, studies, metric_names):
        rows.append(_number(own, dict(place, study=study, metric=metric), paper))
    return pd.DataFrame(rows, columns=COLUMNS)


def _number(own, at, paper):
    rows = own[own.study == at["study"]]
    kept = rows[rows.removed == ""] if "removed" in rows else rows
    used = kept.dropna(subset=at["metric"])
    q = PERCENTILE[at["metric"]]
    found = statistics.percentile(used[at["metric"]], q)
    theirs, notes = _theirs(paper, at)
    label = metrics.single_mechanism(at["study"], _sizes(rows)["n_drugs"])
    row = at | dict(
        statistic=f"quantile {q:g}",
        published=theirs,
        ours=found["effect"],
        difference=found["effect"] - theirs,
        low=found["low"],
        high=found["high"],
        ours_unfiltered=rows[at["metric"]].quantile(q),
        n_configurations=len(used),
        n_removed=len(rows) - len(kept),
        reason="; ".join(filter(None, [*notes, _why_empty(own, rows, kept, at), label])),
        **_sizes(used),
    )
    if at["factor"] in SINGLE:
        row |= dict(statistic=SINGLE[at["factor"]], low=np.nan, high=np.nan)
    return row | _address(used, at["metric"], at["study"], q)


def _theirs(paper, at):
    """The paper's number for a cell of a table, with the sentences that belong to it."""
    if at["factor"] in UNPRINTED:
        return np.nan, [UNPRINTED[at["factor"]]]
    level, note = published.published_level(at["factor"], at["level"])
    where = [at["split"], at["study"], level, at["metric"]]
    match = paper[(paper["split study level metric".split()] == where).all(axis=1)]
    if match.empty:
        return np.nan, [note, "the paper prints no such number"]
    return match.value.iloc[0], [note, match.note.iloc[0]]


def _why_empty(own, rows, kept, at):
    if own.empty:
        return f"no run with {at['factor']} = {at['level']} in this sweep"
    if rows.empty:
        return f"no test row of {at['study']}"
    if kept.empty:
        return f"all {len(rows)} configurations fall to the removal rule"
    return reason_of(kept, at["metric"])


def reason_of(rows, metric):
    """Why no row of `metrics.score` has a score, "" where one has."""
    if rows[metric].notna().any():
        return ""
    first = rows.iloc[0]
    is_call = metric in ("balanced_accuracy", "mcc")
    return first["reason"] or (is_call and first["reason_50"]) or "no score"


def _sizes(rows):
    """Most drugs and lines of any configuration, 0 where there is none."""
    return {name: int(max([0, *rows[name].dropna()])) for name in ("n_drugs", "n_cells")}


def _address(rows, metric, study, q, ids="configuration"):
    """How a quantile of scores is made again; rows with members are one predictor."""
    if rows[metric].isna().all():
        return {}
    place = dict(metric=metric, study=study)
    if "members" in rows:
        return dict(recipe=dict(kind="pool", **place), members=rows.members.iloc[0])
    return dict(recipe=dict(kind="percentile", **place, q=q), members=list(rows[ids]))


def _summary(own, metric, study, q, ids="configuration"):
    """How many have a score, why none has, and how a quantile of the scores is made again."""
    row = dict(metric=metric, n_configurations=own[metric].count(), reason=reason_of(own, metric))
    return row | _address(own, metric, study, q, ids)


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
        RANDOM_COLUMNS: kind is "random", "named" or "shuffled", the median is over configurations
        of the settings that every random size was run with; empty where the sweep has fewer than
        two sizes.
    """
    sizes = gene_sets.groupby(["panel", "rnaseq_set"])["symbol"].nunique().rename("n_genes")
    scored = ledger.pooled["test"]
    scored = contrasts.scores_by_run(scored[scored["study"] == "All"], ledger.runs, GENE_SCORES)
    rows = []
    by = ["arm", "split", "panel", "level", "kind", "n_genes", *PLACE]
    for *_, part in contrasts.designs(scored, ["null_control"]):
        part = _with_random_sizes(part).join(sizes, on=["panel", "rnaseq_set"])
        for place, own in part.groupby(by, dropna=False):
            at = dict(zip(by, place, strict=True))
            for metric in GENE_SCORES:
                row = at | _summary(own, metric, "All", 0.5, "run_id")
                rows.append(row | dict(median=own[metric].median()))
    return pd.DataFrame(rows, columns=RANDOM_COLUMNS)


def _with_random_sizes(part):
    """Runs of the settings that all random sizes share, by kind and level of gene set."""
    is_random = part.rnaseq_set.str.startswith("random_")
    is_shuffled = part.null_control == "permuted_genes"
    is_real = part.null_control == "none"
    key = contrasts.settings_key(part, "rnaseq_set", "null_control")
    n_sizes = part.rnaseq_set.where(is_random & is_real).groupby(key).nunique()
    shared = n_sizes.index[n_sizes == max(n_sizes.max(), 2)]
    kind = np.select([is_shuffled, is_random], ["shuffled", "random"], "named")
    level = part.rnaseq_set + np.where(is_shuffled, ", shuffled", "")
    part = part.assign(kind=kind, level=level)
    return part[key.isin(shared) & (is_real | is_shuffled)]


def snp_by_study(merged, nulls):
    """Figure 3: 98th percentile and best score with, without and with shuffled SNPs, by study.

    Both grow with the number of configurations. So beside the paper's way (`settings` "all": every
    kept configuration that was run with and without) stand, where shuffled SNPs were run, the
    configurations of exactly those settings at every level (`settings` "as shuffled"), without the
    removal rule.

    Parameters are those of `factor_table`.

    Returns
    -------
    DataFrame
        SNP_COLUMNS
    """
    rows = []
    for split, part in merged.groupby("split"):
        part, panel = rows_of_factor(part, "snp")
        kept = part[contrasts.matched(part, "snp") & (part.removed == "")]
        drawn = pd.concat([kept.assign(settings="all"), *_as_shuffled(part, nulls)])
        for (settings, level), group in drawn.groupby(["settings", "snp"], sort=False):
            for study, own in group.groupby("study", sort=False):
                at = dict(split=split, panel=panel, study=study, settings=settings, level=level)
                for metric in SNP_SCORES:
                    row = at | _summary(own, metric, study, 0.98) | _sizes(own)
                    rows.append(row | dict(p98=own[metric].quantile(0.98), best=own[metric].max()))
    return pd.DataFrame(rows, columns=SNP_COLUMNS)


def _as_shuffled(part, nulls):
    """Configurations of settings that were run with shuffled SNPs too, and the shuffled ones."""
    shuffled = nulls.query("null_control == 'permuted_snp'")
    key, wanted = (contrasts.settings_key(t, "snp", "null_control") for t in (part, shuffled))
    real = part[key.isin(wanted) & part.snp.isin(["none", *shuffled.snp])]
    shuffled = shuffled[wanted.isin(key[real.index])].assign(snp="shuffled")
    return [own.assign(settings="as shuffled") for own in (real, shuffled) if len(real)]
