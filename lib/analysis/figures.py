"""The paper's figures 1 to 4, drawn by notebook 06; figures_beyond has those it does not draw.

A function returns its figure, or a sentence that says why there is none. Its message is made of the
table's own numbers.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from lib import paper, style
from lib.analysis import configurations
from lib.analysis.percentiles import SPLITS
from lib.paper import FACTOR_NAMES, METRIC_NAMES, RESPONDER, SPLIT_NAMES
from lib.style import BLUE, DASHED, GREY, INK, RED, STUDY_COLOURS, studies_in

SHOWN = ("r2", "balanced_accuracy")  # the scores of figures 2 and 3
LOWEST = -0.5  # R2 below it says only that a model is useless there
LEAST_DRUGS = 3  # scores of a study with fewer are about one mechanism
DOTS = np.linspace(0.025, 0.975, 20)  # quantiles of a column of figure 2
# What is shuffled for the control of a split: the description of what is unseen.
ZERO_LINE = {"on_cell": "permuted_genes", "on_drug": "permuted_drugs"}
SNP_LOOKS = {"none": (GREY, "o"), "counts": (BLUE, "D"), "shuffled": (RED, "X")}
MEASURED = "median over replicate curves of a cell line, a drug and an assay"


def panels(table, n_columns, height, **shared):
    """A figure with a row of panels for each split of a table: (figure, [(split, axes, rows)])."""
    splits = [split for split in SPLITS if split in set(table.split)]
    size = (9, height * len(splits) + 0.9)
    figure, axes = plt.subplots(len(splits), n_columns, figsize=size, squeeze=False, **shared)
    rows = []
    for split, row in zip(splits, axes, strict=True):
        for ax in row:
            ax.set_title(SPLIT_NAMES[split])
        rows.append((split, row, table[table.split == split]))
    return figure, rows


def forest(ax, y, value, low, high, colour=INK, face=None):
    """A mark with its interval in each row, and a line at 0."""
    ax.axvline(0, color=GREY, lw=0.9)
    ax.hlines(y, low, high, color=colour, lw=1.6)
    ax.scatter(value, y, s=32, color=colour if face is None else face, edgecolors=colour, zorder=3)


def fig1_target(pairs, area):
    """Figure 1, left: the skew of the target.

    Parameters
    ----------
    pairs : DataFrame
        Training rows with `auc`.
    area : str
        The doses that the AUC is taken over.

    Returns
    -------
    Figure
    """
    responder = pairs.auc <= RESPONDER
    figure, ax = plt.subplots(figsize=(7, 3.2))
    parts = [pairs.auc[responder], pairs.auc[~responder]]
    labels = [f"responder, AUC ≤ {RESPONDER:g}", "non-responder"]
    ax.hist(parts, np.linspace(0, 1, 51), stacked=True, color=[RED, GREY], label=labels)
    ax.set(xlabel=f"AUC (1 = no response), {area}", ylabel="training rows", xlim=(0, 1))
    ax.legend(loc="upper left")
    theirs = paper.values("claims").set_index("metric")["value"]["responders"]
    return style.tell(
        figure,
        f"{responder.mean():.1%} of the training rows are responders; in the paper {theirs:g}%",
        f"AUC of {len(pairs):,} training rows, responders coloured. A row is the {MEASURED}.",
    )


def fig1_importances(importances):
    """Figure 1, right: which setting of a run matters for its R2, in sample and out of bag.

    Parameters
    ----------
    importances : DataFrame
        `importances.by_split` of R2: importance out of bag, and `paper` (the in-sample tree's).

    Returns
    -------
    Figure or str
    """
    known = importances.dropna(subset=["importance"])
    if known.empty:
        return "no tree explains the scores of configurations that it has not seen"
    figure, rows = panels(known, 2, 0.3 * known.factor.nunique() + 0.9)
    told = []
    for split, (left, right), own in rows:
        own = own.sort_values("importance")
        names = own.factor.replace(FACTOR_NAMES)
        left.plot(own.paper, names, "o", color=INK)
        forest(right, names, own.importance, own.low, own.high)
        left.set(xlabel="the paper's way, in sample: share of impurity", xlim=(0, None))
        right.set(xlabel="out of bag: R² lost when it is shuffled", yticklabels=[])
        tree = own.iloc[0]
        r2 = f"R² {tree.paper_meta_r2:.2f} in sample, {tree.meta_r2:.2f} out of bag"
        told.append(f"{r2} ({SPLIT_NAMES[split]})")
    return style.tell(
        figure,
        f"A tree of the settings explains the scores with {'; '.join(told)}",
        "Importance of each setting for R², left as the paper reads it off the tree's own rows, "
        "right on configurations that a bootstrap draw left out, with 95% intervals over draws. "
        f"{known.n.max():.0f} kept configurations. A tree with an R² of 0 or less out of bag "
        "knows nothing, and an interval that crosses 0 is a setting that cannot be told from "
        "nothing. Numbers: `importances.csv`.",
    )


def fig2_cross_study(merged, mean_effects, nulls, recipe):
    """Figure 2: scores of configurations by study and split, with mean effects drawn in.

    Parameters
    ----------
    merged : DataFrame
        `configurations.merge_folds` of the networks; with `paper_tables.with_removal` only kept
        ones are drawn.
    mean_effects : DataFrame
        Rows of `headline.headline` of predictor "mean_effects".
    nulls : DataFrame
        `configurations.merge_folds` of the null controls; those of ZERO_LINE and of the networks'
        recipe are drawn by their median.
    recipe : str
        How the networks were trained.

    Returns
    -------
    Figure or str
    """
    nulls = nulls[configurations.arm(nulls).isin(configurations.arm(merged))]
    kept = merged[merged.removed == ""] if "removed" in merged else merged
    n_kept, n_all = (t.groupby("split")["configuration"].nunique() for t in (kept, merged))
    kept = of_many_drugs(kept[kept.study != "All"]).dropna(subset="r2")
    studies = studies_in(kept.study)
    if not studies:
        return f"no configuration of {recipe} has a score on a study of {LEAST_DRUGS} drugs or more"
    figure, rows = panels(kept, len(SHOWN), 2.6, sharex=True)
    shuffled = nulls[nulls.null_control == nulls.split.map(ZERO_LINE)]
    told = []
    for split, axes, own in rows:
        beside = [t[t.split == split].groupby("study") for t in (mean_effects, shuffled)]
        for ax, metric in zip(axes, SHOWN, strict=True):
            _dots(ax, own, metric, studies, *(table[metric].median() for table in beside))
        base = own.study.map(beside[0]["r2"].median())
        share = (own.r2 > base)[base.notna()].mean()
        told.append(f"{share:.0%} on {SPLIT_NAMES[split]}")
        if n_kept[split] < n_all[split]:
            of = f"{n_kept[split]} of {n_all[split]} configurations"
            told[-1] += f" ({of} kept)"
    style.legend_below(figure, axes[0], ncol=4)
    return style.tell(
        figure,
        f"Networks of {recipe} that beat the mean effects in R², study by study: {', '.join(told)}",
        f"Scores of {kept.configuration.nunique()} configurations by study: at most "
        f"{len(DOTS)} quantiles of them, a bar at their median, dashes at the mean effects on the "
        "same rows; a cross, where such networks were run, at the median network with shuffled "
        "genes (unseen cell lines) or shuffled descriptors (unseen drugs). Kept: by the paper's "
        f"removal rule. What lies below R² {LOWEST:g} is not drawn, nor is a study with fewer than "
        f"{LEAST_DRUGS} drugs. Numbers: `fig2_points.csv`.",
    )


def of_many_drugs(table):
    """Rows of studies that have LEAST_DRUGS drugs or more somewhere in the table."""
    return table[table.n_drugs.groupby(table.study).transform("max") >= LEAST_DRUGS]


def _dots(ax, own, metric, studies, mean_effects, shuffled):
    """Quantile dots and median of configurations, dashes of mean effects, a cross of controls."""
    scores = own.groupby("study")[metric]
    dots = scores.quantile(DOTS, interpolation="nearest").reset_index()
    dots = dots.drop_duplicates(["study", metric])
    look = dict(hue="study", palette=STUDY_COLOURS, order=studies, size=4, legend=False)
    sns.swarmplot(dots[dots[metric] >= LOWEST], x="study", y=metric, ax=ax, **look)
    x = np.arange(len(studies))
    marks = pd.DataFrame(dict(dots=scores.median(), base=mean_effects, control=shuffled), studies)
    marks = marks.where(marks >= LOWEST)
    label = "median configuration"
    ax.hlines(marks.dots, x - 0.2, x + 0.2, color=INK, lw=2.5, label=label)
    label = "mean effects, no features"
    ax.hlines(marks.base, x - 0.35, x + 0.35, color=INK, lw=1.6, ls=DASHED, label=label)
    label = "median network on shuffled features"
    if marks.control.notna().any():
        ax.plot(x + 0.27, marks.control, "X", color=INK, ms=7, label=label)
    ax.set(xlabel="", ylabel=METRIC_NAMES[metric])


def fig3_snp(table, mean_effects):
    """Figure 3: 98th percentile of R2 with and without SNPs, by study.

    Parameters
    ----------
    table : DataFrame
        `percentiles.snp_by_study`. In a split with settings "as shuffled" those are drawn, so that
        each level, shuffled SNPs too, stands for as many configurations.
    mean_effects : DataFrame
        Rows of `headline.headline` of predictor "mean_effects".

    Returns
    -------
    Figure or str
    """
    table = of_many_drugs(table[table.metric == "r2"]).dropna(subset="p98")
    as_shuffled = table.settings == "as shuffled"
    table = table[as_shuffled == as_shuffled.groupby(table.split).transform("any")]
    if table.level.nunique() < 2:
        return "no two levels of SNPs were run at the same settings"
    studies = ["All", *studies_in(table.study)][::-1]
    figure, rows = panels(table, 1, 0.32 * len(studies) + 0.7)
    told = []
    for split, (ax,), part in rows:
        for level, own in part.groupby("level", sort=False):
            colour, marker = SNP_LOOKS.get(level, (INK, "s"))
            y = own.study.map(studies.index)
            ax.plot(own.p98, y, marker, color=colour, ms=7, label=f"SNPs: {level}")
        base = mean_effects[mean_effects.split == split].set_index("study")["r2"]
        y = np.arange(len(studies))
        base = base.reindex(studies)
        ax.vlines(base, y - 0.35, y + 0.35, color=INK, ls=DASHED, label="mean effects")
        ax.set_yticks(y, studies)
        ax.set_xlabel("98th percentile of R²")
        best = part[part.study == "All"].set_index("level")["p98"]
        best = best.reindex(dict.fromkeys([*SNP_LOOKS, *best.index])).dropna()
        values = ", ".join(f"{level} {value:.2f}" for level, value in best.items())
        told.append(f"{SPLIT_NAMES[split]} {values}")
    style.legend_below(figure, ax, ncol=4)
    return style.tell(
        figure,
        f"98th percentile of R² by kind of SNPs: {'; '.join(told)}",
        "98th percentile of R² without SNPs, with SNPs and with SNPs shuffled between lines, by "
        "study, beside the mean effects; behind a mark stand "
        f"{style.span(table.n_configurations, '{:.0f}')} configurations. The percentile grows with "
        "their number, so levels are drawn at the settings that shuffled SNPs were run with, where "
        f"there are any. A study with fewer than {LEAST_DRUGS} drugs is not drawn. Numbers: "
        "`fig3_snp_by_study.csv`.",
    )


def fig4_cells_by_type(counts):
    """Figure 4: cell lines by cancer type and study, on one scale.

    Parameters
    ----------
    counts : DataFrame
        Index cancer type, columns studies, numbers of lines.

    Returns
    -------
    Figure or str
    """
    studies = studies_in(counts.columns)
    if counts.empty:
        return "no line with a measured response has a cancer type"
    size = (10, 0.24 * len(counts) + 1.3)
    shared = dict(sharex=True, sharey=True, squeeze=False)
    figure, (axes,) = plt.subplots(1, len(studies), figsize=size, **shared)
    y = np.arange(len(counts))[::-1]
    for ax, study in zip(axes, studies, strict=True):
        bars = ax.barh(y, counts[study], color=STUDY_COLOURS[study], height=0.72)
        ax.bar_label(bars, fmt="%d", padding=3, fontsize="small")
        ax.set(title=f"{study}, n = {counts[study].sum()}", xlabel="cell lines")
    ax.set(xlim=(0, 1.25 * counts.to_numpy().max()), ylim=(-0.7, len(counts) - 0.3))
    axes[0].set_yticks(y, counts.index.str.replace("_", " "), fontsize="small")
    return style.tell(
        figure,
        f"{style.span(counts.sum(), '{}')} lines of a study have a frequent cancer type",
        f"Cell lines with a measured response, in the {len(counts)} most frequent cancer types, by "
        "study, on one scale. Numbers: `fig4_cells_by_type.csv`.",
    )
