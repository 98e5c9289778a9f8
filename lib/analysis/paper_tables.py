"""Table 6, figure 4, the removal rule and the tests of the paper, and how any table is shown to a
reader.

The published number, ours, the difference, and why one is missing; tables 1 to 5 are in
lib/analysis/percentiles.py, table 7 in lib/hill/quality.py.
"""

import functools

import numpy as np
import pandas as pd

from lib import paper as published
from lib.analysis import configurations, contrasts, percentiles, provenance, statistics
from lib.analysis.configurations import METRICS
from lib.analysis.percentiles import COLUMNS
from lib.cells import cohorts
from lib.paper import METRIC_NAMES, SPLIT_NAMES
from lib.sweep.baselines import BASELINES

BASELINE_NAMES = {name: name.replace("_", " ") for name in BASELINES}
READ = METRIC_NAMES | SPLIT_NAMES | {"arm": "recipe", "n_cells": "n cell lines"}
HIDDEN = "data_hash lib_hash address members".split()
TEST_COLUMNS = (
    "split panel factor test metric relation published ours difference effect n reason recipe "
    "members"
).split()
N_TYPES = 21  # as many as the paper's cohort of cancer types


def with_removal(merged, quantile=0.85):
    """Fold-merged configurations with the verdict of the paper's removal rule (section 4.7).

    Parameters
    ----------
    merged : DataFrame
        `merge_folds` of the networks.
    quantile : float
        Losses beyond this quantile of their split are removed (0.85 in the paper, which does not
        say within what: unseen drugs lose more by nature, and one quantile over both splits would
        remove that split).

    Returns
    -------
    DataFrame
        `merged` with `removed`: why its configuration is removed, judged by its scores over all
        studies; "" where it stays.
    """
    whole = merged[merged.study == "All"].set_index("configuration")
    tpr = whole.tp_50 / (whole.tp_50 + whole.fn_50)
    fpr = whole.fp_50 / (whole.fp_50 + whole.tn_50)
    limit = whole.groupby("split", dropna=False)["loss"].transform("quantile", quantile)
    rules = {
        "no score": whole.loss.isna(),
        "TPR or FPR is 1": (tpr == 1) | (fpr == 1),
        "r2 is not above 0": ~(whole.r2 > 0),
        f"loss beyond quantile {quantile:g}": whole.loss > limit,
    }
    why = pd.Series(np.select(list(rules.values()), list(rules), ""), whole.index)
    return merged.assign(removed=merged.configuration.map(why))


def removal_table(merged):
    """How many configurations each part of the removal rule takes, by split and optimizer."""
    whole = merged[merged.study == "All"].replace({"removed": {"": "kept"}})
    counts = whole.groupby(["split", "optimizer", "removed"]).size().rename("n_configurations")
    share = counts / counts.groupby(["split", "optimizer"]).transform("sum")
    return counts.to_frame().assign(share=share).reset_index()


def best_models(predictors, merged, inner):
    """Table 6: the best configurations for regression and classification on unseen cell lines.

    Parameters
    ----------
    predictors : DataFrame
        `headline.predictors`.
    merged : DataFrame
        `with_removal` of the networks.
    inner : DataFrame
        `merge_folds` of the networks, part "inner".

    Returns
    -------
    tuple of DataFrame
        The table (COLUMNS) and the settings of the two configurations.
    """
    paper = published.values("table6")
    candidates = inner.query("split == 'on_cell' and study == 'All'")
    groups = []
    chosen = []
    for level, metric in (("best_regression", "r2"), ("best_classification", "balanced_accuracy")):
        best = candidates.dropna(subset=metric).nlargest(1, metric)["configuration"]
        own = merged[merged.configuration.isin(best)].drop(columns="removed")
        chosen.append(own[own.study == "All"].assign(level=level))
        at = dict(split="on_cell", panel=_panel(own), factor="model", level=level, n_unmatched=0)
        groups.append((at, own))
    chosen = pd.concat(chosen)
    studies = sorted(set(merged.study) - {"All"})
    beside = percentiles.baselines(predictors, "on_cell", _panel(chosen))
    theirs = dict.fromkeys(["All", *paper.study, *studies])
    parts = [percentiles.numbers(groups, METRICS, theirs, paper)]
    parts.append(percentiles.numbers(beside, METRICS, ["All", *studies], paper))
    return provenance.joined(parts, COLUMNS), chosen[["level", *configurations.SPEC]]


def _panel(rows):
    return rows.panel.iloc[0] if len(rows) else ""


def literal_tests(merged):
    """The paper's tests (PAPER rows D4 to D6) on kept configurations.

    Parameters
    ----------
    merged : DataFrame
        `with_removal` of the networks.

    Returns
    -------
    DataFrame
        split, panel, factor, test, metric, relation, published (p), ours (p), difference, effect
        (of means, or eta squared), n, reason, recipe, members.
    """
    whole = merged.query("study == 'All' and removed == ''")
    tests = published.values("tests").rename(columns={"level": "test", "value": "published"})
    tests["metric"] = [METRICS if name == "any" else name for name in tests.metric]
    tests = tests.explode("metric", ignore_index=True).assign(study="All")
    rows = []
    for line in tests.itertuples():
        part, panel = percentiles.rows_of_factor(whole[whole.split == line.split], line.factor)
        part = part[contrasts.matched(part, line.factor)]
        found = _literal(part, line)
        rows.append(found | dict(panel=panel, members=list(part.configuration)))
    found = pd.DataFrame(rows).rename(columns={"p": "ours"})
    table = tests.join(found["panel ours effect n reason".split()])
    table["difference"] = table.ours - table.published
    reasons = zip(table.reason, table.note, strict=True)
    table["reason"] = ["; ".join(filter(None, both)) for both in reasons]
    place = "test factor study metric".split()
    table = provenance.addressed(table, "ours", None, place, kind="test")
    return table.assign(members=found.members)[TEST_COLUMNS]


def _literal(part, line):
    """One printed test on our configurations, with the levels under the paper's names."""
    if part.empty:
        return statistics.result(reason="no kept configuration")
    scores = part[line.metric]
    stand_for = functools.partial(published.published_level, line.factor)
    levels = part[line.factor].map(stand_for).str[0]
    if line.test == "t-test":
        return statistics.t_test(scores[levels == "none"], scores[levels == "counts"])
    if line.test == "ANOVA":
        return statistics.anova(scores, levels)
    wanted = line.test.removeprefix("Tukey HSD: ").split(" vs ")
    pairs = statistics.tukey_hsd(scores, levels)
    match = pairs.query("level_a in @wanted and level_b in @wanted")
    if match.empty:
        why = pairs.reason.iloc[0] or f"no run with {' and '.join(sorted(wanted))}"
        return statistics.result(n=len(part), reason=why)
    return dict(match.iloc[0], n=len(part))


def points(merged):
    """Figure 2: each kept configuration on each study.

    Returns
    -------
    DataFrame
        split, study, configuration, r2, balanced_accuracy, n, reason, recipe (of r2), members.
    """
    columns = "split study configuration r2 balanced_accuracy n reason".split()
    members = merged.groupby("split")["configuration"].agg(lambda own: sorted(set(own)))
    table = merged[columns].assign(members=merged["split"].map(members))
    place = ["study", "configuration"]
    return provenance.addressed(table, "r2", by=place, kind="point", metric="r2")


def cells_by_type(pairs, cell_types):
    """Figure 4: lines with a response, by cancer type (the N_TYPES most frequent ones) and study.

    Parameters
    ----------
    pairs : DataFrame
        Training rows.
    cell_types : DataFrame
        cell_id, cancer_type.

    Returns
    -------
    DataFrame
        Index cancer type, most frequent first; columns studies; numbers of lines.
    """
    types = cell_types.drop_duplicates("cell_id")[["cell_id", "cancer_type"]]
    seen = pairs[["study", "cell_id"]].drop_duplicates().merge(types)
    top = cohorts.top_types(seen.drop_duplicates("cell_id"), N_TYPES)
    return pd.crosstab(seen.cancer_type, seen.study).reindex(top)


def show(frame, columns=None):
    """A table for reading: in words, numbers in three decimals, a dash where there is none.

    Parameters
    ----------
    frame : DataFrame
        Its index is not shown.
    columns : sequence of str, optional
        Those that the frame has are shown; by default all but hashes and addresses, which stand in
        the file. A column without any entry is left out.

    Returns
    -------
    Styler
        Whole numbers lose their decimals, and a small p has three significant digits.
    """
    words = {"split": SPLIT_NAMES, "predictor": BASELINE_NAMES}
    shown = frame.filter(columns or frame.columns.difference(HIDDEN, sort=False)).replace(words)
    filled = shown.notna() & (shown != "")
    shown = shown.loc[:, filled.any() | (len(shown) == 0)].apply(_column)
    shown = shown.rename(columns=lambda name: READ.get(name, str(name).replace("_", " ")))
    return shown.style.hide(axis="index")


def _column(values):
    whole = (pd.to_numeric(values, errors="coerce").dropna() % 1 == 0).all()
    return values.map(lambda value: _text(value, whole))


def _text(value, whole):
    if pd.isna(value) or value in (np.inf, -np.inf):
        return "–"
    if not isinstance(value, float):
        return value
    if whole:
        return f"{value:,.0f}"
    return f"{value:.3g}" if 0 < value < 0.001 else f"{value:.3f}"
