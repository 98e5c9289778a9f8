"""Table 6, figure 4, the removal rule and the tests of the paper, and how any table is shown to a
reader.

The published number, ours, the difference, and why one is missing; tables 1 to 5 are in
lib/analysis/percentiles.py, table 7 in lib/hill/quality.py.
"""

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
READ = (
    METRIC_NAMES
    | SPLIT_NAMES
    | {  # names of columns
        "arm": "recipe",
        "n_cells": "n cell lines",
    }
)
N_TYPES = 21  # as many as the paper's cohort of cancer types


def removed_by_configuration(merged, quantile=0.85):
    """Reason of removal of each configuration, from its score over all studies."""
    whole = merged[merged["study"] == "All"].set_index("configuration")
    return removal(whole, quantile).astype(object)


def removal_table(merged, removed):
    """How many configurations each part of the removal rule takes, by split and optimizer."""
    whole = merged[merged["study"] == "All"]
    reason = whole["configuration"].map(removed).replace("", "kept").rename("removed")
    counts = whole.groupby(["split", "optimizer", reason]).size().rename("n_configurations")
    share = counts / counts.groupby(["split", "optimizer"]).transform("sum")
    return counts.reset_index().assign(share=share.to_numpy())


def best_models(predictors, merged, inner):
    """Table 6: the best configurations for regression and classification on unseen cell lines.

    Parameters
    ----------
    predictors : DataFrame
        `headline.predictors`.
    merged, inner : DataFrame
        `merge_folds` of the networks, parts "test" and "inner".

    Returns
    -------
    tuple of DataFrame
        The table (COLUMNS) and the settings of the two configurations.
    """
    paper = published.values("table6")
    candidates = inner[(inner["split"] == "on_cell") & (inner["study"] == "All")]
    rows = []
    chosen = []
    for level, metric in (("best_regression", "r2"), ("best_classification", "balanced_accuracy")):
        best = candidates.dropna(subset=metric).nlargest(1, metric)["configuration"]
        own = merged[merged["configuration"].isin(best)].assign(kept=True)
        chosen.append(own[own["study"] == "All"].assign(level=level))
        at = dict(
            split="on_cell",
            panel=_panel(own),
            factor="model",
            level=level,
        )
        for study in dict.fromkeys(["All", *paper["study"], *own["study"]]):
            rows += [_one_model_row(own, dict(at, study=study), m, paper) for m in METRICS]
    chosen = pd.concat(chosen)
    studies = ["All", *sorted(set(merged["study"]) - {"All"})]
    rows += percentiles.baseline_rows(predictors, "on_cell", _panel(chosen), METRICS, studies)
    return pd.DataFrame(rows, columns=COLUMNS), chosen[["level", *configurations.SPEC]]


def _panel(rows):
    return rows["panel"].iloc[0] if len(rows) else ""


def _one_model_row(own, at, metric, paper):
    theirs, why = percentiles.theirs_of(paper, at, metric)
    row = percentiles.percentile_row(own, dict(at, n_unmatched=0), metric, theirs, why)
    return row | dict(statistic="one model", low=np.nan, high=np.nan)


def literal_tests(merged, removed):
    """The paper's tests (PAPER rows D4 to D6) on kept configurations.

    Returns
    -------
    DataFrame
        split, panel, factor, test, metric, relation, published (p), ours (p), difference, effect
        (of means, or eta squared), n, reason, recipe, members.
    """
    whole = merged[(merged["study"] == "All") & (merged["configuration"].map(removed) == "")]
    rows = []
    for line in published.values("tests").itertuples():
        part, panel = percentiles.rows_of_factor(whole[whole["split"] == line.split], line.factor)
        part = part[contrasts.matched(part, line.factor)]
        row = dict(
            split=line.split,
            panel=panel,
            factor=line.factor,
            test=line.level,
        )
        row |= dict(relation=line.relation, published=line.value)
        row["members"] = list(part["configuration"])
        for metric in METRICS if line.metric == "any" else (line.metric,):
            found = _literal(part, line, metric)
            row |= dict(metric=metric, ours=found["p"], difference=found["p"] - line.value)
            row |= dict(effect=found["effect"], n=found["n"], recipe=None)
            row["reason"] = "; ".join(filter(None, [found["reason"], line.note]))
            if np.isfinite(found["p"]):
                recipe = dict(
                    kind="test",
                    test=line.level,
                    factor=line.factor,
                    study="All",
                )
                row["recipe"] = dict(recipe, metric=metric)
            rows.append(dict(row))
    columns = "split panel factor test metric relation published ours difference effect n".split()
    return pd.DataFrame(rows)[[*columns, "reason", "recipe", "members"]]


def _literal(part, line, metric):
    """One printed test on our configurations, with the levels under the paper's names."""
    if part.empty:
        return statistics.result(reason="no kept configuration")
    levels = {
        level: published.published_level(line.factor, level)[0]
        for level in part[line.factor].astype(str)
    }
    names = part[line.factor].astype(str).map(levels)
    if line.level == "t-test":
        plain = part.loc[names == "none", metric]
        return statistics.t_test(plain, part.loc[names == "counts", metric])
    if line.level == "ANOVA":
        return statistics.anova(part[metric], names)
    wanted = line.level.removeprefix("Tukey HSD: ").split(" vs ")
    pairs = statistics.tukey_hsd(part[metric], names)
    match = pairs[pairs["level_a"].isin(wanted) & pairs["level_b"].isin(wanted)]
    if match.empty:
        why = pairs["reason"].iloc[0] or f"no run with {' and '.join(sorted(wanted))}"
        return statistics.result(n=len(part), reason=why)
    found = match.iloc[0][["effect", "low", "high", "p", "reason"]]
    return statistics.result(**found, n=len(part))


def points(merged):
    """Figure 2: each kept configuration on each study.

    Returns
    -------
    DataFrame
        split, study, configuration, r2, balanced_accuracy, n, reason, recipe (of r2), members.
    """
    columns = ["split", "study", "configuration", "r2", "balanced_accuracy", "n", "reason"]
    members = merged.groupby("split")["configuration"].agg(lambda own: sorted(set(own))).to_dict()
    table = provenance.addressed(
        merged[columns], "r2", [], ["study", "configuration"], kind="point", metric="r2"
    )
    return table.assign(members=merged["split"].map(members))


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
    types = cell_types.drop_duplicates("cell_id").set_index("cell_id")["cancer_type"]
    seen = pairs[["study", "cell_id"]].drop_duplicates()
    seen = seen.assign(cancer_type=seen["cell_id"].map(types))
    top = cohorts.top_types(seen.drop_duplicates("cell_id"), N_TYPES)
    shown = seen[seen["cancer_type"].isin(top)]
    return pd.crosstab(shown["cancer_type"], shown["study"]).reindex(top)


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
    hidden = ("data_hash", "lib_hash", "address", "recipe", "members")
    if columns is None:
        columns = [name for name in frame if name not in hidden]
    words = {"split": SPLIT_NAMES, "predictor": BASELINE_NAMES}
    shown = frame[[name for name in columns if name in frame]].replace(words)
    filled = shown.notna() & (shown != "")
    shown = shown.loc[:, filled.any() | (len(shown) == 0)].apply(_column)
    shown.columns = [READ.get(name, str(name).replace("_", " ")) for name in shown]
    return shown.style.hide(axis="index")


def _column(values):
    known = pd.to_numeric(values, errors="coerce").dropna()
    whole = len(known) > 0 and (known % 1 == 0).all()
    return values.map(lambda value: _text(value, whole))


def _text(value, whole):
    if pd.isna(value) or value in (np.inf, -np.inf):
        return "–"
    if not isinstance(value, float):
        return value
    if whole:
        return f"{value:,.0f}"
    return f"{value:.3g}" if 0 < value < 0.001 else f"{value:.3f}"


def removal(configurations, quantile=0.85):
    """The paper's removal rule (section 4.7), on fold-merged configurations pooled over studies.

    Parameters
    ----------
    configurations : DataFrame
        Rows of `merge_folds` with study "All", networks only.
    quantile : float
        Losses beyond this quantile of their split are removed (0.85 in the paper, which does not
        say within what: unseen drugs lose more by nature, and one quantile over both splits would
        remove that split).

    Returns
    -------
    Series of str
        Why each configuration is removed; "" where it stays.
    """
    c = configurations
    tpr, fpr = c["tp_50"] / (c["tp_50"] + c["fn_50"]), c["fp_50"] / (c["fp_50"] + c["tn_50"])
    limit = c.groupby("split", dropna=False)["loss"].transform(lambda s: s.quantile(quantile))
    rules = {
        "no score": c["loss"].isna(),
        "TPR or FPR is 1": (tpr == 1) | (fpr == 1),
        "r2 is not above 0": ~(c["r2"] > 0),
        f"loss beyond quantile {quantile:g}": c["loss"] > limit,
    }
    why = pd.Series("", index=c.index, dtype=object)
    for reason, holds in rules.items():
        why = why.mask((why == "") & holds, reason)
    return why
