"""The paper's figures 1 to 4, drawn by notebook 06; figures_beyond has those it does not draw.

A function returns its figure, or None where its table has nothing to draw. Numbers of rows go into
captions.
"""

import matplotlib.pyplot as plt
import numpy as np

from lib import style
from lib.analysis.percentiles import SPLITS
from lib.paper import FACTOR_NAMES, METRIC_NAMES, SPLIT_NAMES, lookup
from lib.style import GREY, SKY, SPLIT_MARKERS, STUDY_COLOURS

SPLIT_COLOURS = {"on_cell": "black", "on_drug": GREY}
SHOWN = ("r2", "balanced_accuracy")  # the scores of figures 2 and 3
LOWEST = -0.5  # R2 below it says only that a model is useless there; it is drawn at the edge
DASHED = (0, (2, 1))
# What is shuffled for the zero line of a split: the description of what is unseen.
ZERO_LINE = {"on_cell": "permuted_genes", "on_drug": "permuted_drugs"}
SNP_COLOURS = {
    "none": GREY,
    "counts": STUDY_COLOURS["CCLE"],
    "shuffled": "black",
    "binary": STUDY_COLOURS["CTRP"],
}


def save_if_drawn(figure, out, name):
    """Save a figure below `out`/figures as PNG and SVG; None, an empty figure, is not saved."""
    if figure is not None:
        style.save(figure, out / "figures", name)


def say(ax, text):
    """A panel without data says why."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="#555555")
    ax.set(xticks=[], yticks=[])


def legend_above(figure, ax, ncol):
    """One legend for all panels, from the labels of one."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, ncol=ncol, loc="outside upper center", fontsize="x-small")


def known_studies(names):
    """Studies that a table has, in the order of the house style."""
    return [study for study in STUDY_COLOURS if study in set(names)]


def fig1_auc_and_importances(pairs, importances):
    """Figure 1: left the skew of the target, right which setting of a run matters for its R².

    Parameters
    ----------
    pairs : DataFrame
        Training rows with `auc`.
    importances : DataFrame
        `importances.by_split` of R²: importance out of bag, and `paper` (the in-sample tree's).

    Returns
    -------
    Figure
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=[1, 1.25])
    responder = pairs["auc"] <= 0.5
    bins = np.linspace(0, 1, 51)
    red = STUDY_COLOURS["NCI-60"]
    left.hist(pairs["auc"][~responder], bins, color=GREY, label="non-responder")
    left.hist(pairs["auc"][responder], bins, color=red, label="responder, AUC ≤ 0.5")
    theirs = lookup("claims", metric="responders")
    title = f"{100 * responder.mean():.1f} % responders (paper: {theirs:g} %)"
    left.set_title(title, loc="left", fontsize="medium")
    left.set(xlabel="AUC over 4–10 −log10(M) (1 = no response)", ylabel="training rows")
    left.set_yscale("log")
    left.legend(loc="upper left")
    known = importances.dropna(subset=["importance"])
    if known.empty:
        say(right, "; ".join(sorted(set(importances["reason"]))))
    else:
        _importance_dots(right, known)
    return figure


def _importance_dots(ax, known):
    order = list(known.groupby("factor")["importance"].max().sort_values().index)
    for shift, (split, rows) in zip((0.14, -0.14), known.groupby("split"), strict=False):
        total = rows["importance"].clip(lower=0).sum() or 1.0
        y = rows["factor"].map(order.index) + shift
        marker = SPLIT_MARKERS[split]
        colour = SPLIT_COLOURS[split]
        label = f"{SPLIT_NAMES[split]}, out of bag (tree R² {rows['meta_r2'].iloc[0]:.2f})"
        ax.hlines(y, rows["low"] / total, rows["high"] / total, color=colour, lw=1.5)
        ax.plot(rows["importance"] / total, y, marker, color=colour, label=label)
        hollow = dict(mfc="none", mec=STUDY_COLOURS["CCLE"], ms=5)
        label = f"{SPLIT_NAMES[split]}, the paper's way, in sample"
        ax.plot(rows["paper"], y, marker, label=label, **hollow)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(order)), [FACTOR_NAMES.get(name, name) for name in order])
    ax.set_xlabel(f"share of importance for {METRIC_NAMES['r2']}")
    above = dict(loc="lower left", bbox_to_anchor=(-0.35, 1.0))
    ax.legend(fontsize="x-small", ncol=2, columnspacing=1, **above)


def fig2_cross_study(merged, mean_effects, nulls):
    """Figure 2: scores of all kept configurations by study and split, with mean effects drawn in.

    Parameters
    ----------
    merged : DataFrame
        Kept rows of `configurations.merge_folds`, all studies.
    mean_effects : DataFrame
        Rows of `headline.headline` of predictor "mean_effects".
    nulls : DataFrame
        `configurations.merge_folds` of the null controls; those of ZERO_LINE are drawn by their
        median.

    Returns
    -------
    Figure or None
    """
    studies = known_studies(merged["study"])
    if not studies:
        return None
    shuffled = nulls[nulls["null_control"] == nulls["split"].map(ZERO_LINE)]
    tables = (merged, mean_effects, shuffled)
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(10, 4.4))
    rng = np.random.default_rng(0)
    for ax, metric in zip(axes, SHOWN, strict=True):
        for shift, split in zip((-0.19, 0.19), SPLITS, strict=True):
            for i, study in enumerate(studies):
                found = [_scores(table, split, study, metric) for table in tables]
                _column(ax, i + shift, *found, study, split, rng)
        ax.set_xticks(range(len(studies)), [_named(study, merged) for study in studies])
        ax.set(ylabel=METRIC_NAMES[metric], xlim=(-0.5, len(studies) - 0.5))
    _fig2_legend(figure, axes[0], has_nulls=len(shuffled) > 0)
    return figure


def _scores(table, split, study, metric):
    """Scores of one column of figure 2, those below the edge on it."""
    own = table[(table["split"] == split) & (table["study"] == study)]
    return own[metric].dropna()


def _column(ax, x, scores, mean_effects, shuffled, study, split, rng):
    """Dots and median of configurations, dashes of mean effects, a cross of null controls."""
    if scores.empty:
        place = dict(xy=(x, 0.03), xycoords=("data", "axes fraction"), ha="center")
        ax.annotate("n too\nsmall", fontsize="xx-small", color="#555555", **place)
    else:
        _strip(ax, x, scores, study, split, rng)
    if len(mean_effects):
        height = mean_effects.clip(lower=LOWEST)
        ax.hlines(height, x - 0.17, x + 0.17, color="black", lw=1.6, ls=DASHED)
    if len(shuffled):
        edge = dict(mew=0.8, mec="white", zorder=5)
        ax.plot(x, max(shuffled.median(), LOWEST), "X", color="black", ms=6, **edge)


def _strip(ax, x, scores, study, split, rng):
    colour = STUDY_COLOURS[study]
    spread = x + rng.uniform(-0.1, 0.1, len(scores))
    dots = dict(s=14, edgecolors=colour, alpha=0.6, linewidths=0.7, rasterized=len(scores) > 200)
    dots["facecolors"] = colour if split == "on_cell" else "none"
    below = scores < LOWEST
    ax.scatter(spread[~below], scores[~below], marker=SPLIT_MARKERS[split], **dots)
    ax.scatter(spread[below], scores[below].clip(lower=LOWEST), marker="v", **dots)
    middle = max(scores.median(), LOWEST)
    # A white edge, so that the bar shows on its own dots.
    ax.hlines(middle, x - 0.15, x + 0.15, color="white", lw=4.5, zorder=4)
    ax.hlines(middle, x - 0.15, x + 0.15, color=colour, lw=2.4, zorder=4)


def _named(study, merged):
    """A study of one or two drugs is labelled: its scores are about a single mechanism."""
    n = merged.loc[merged["study"] == study, "n_drugs"].max()
    return f"{study}\n({n:.0f} drug{'s' if n > 1 else ''})" if n <= 2 else study


def _fig2_legend(figure, ax, has_nulls):
    for split in SPLITS:
        face = "#444444" if split == "on_cell" else "none"
        dot = dict(s=20, marker=SPLIT_MARKERS[split], facecolors=face, edgecolors="#444444")
        ax.scatter([], [], label=SPLIT_NAMES[split], **dot)
    ax.plot([], [], color="black", lw=1.6, ls=DASHED, label="mean effects, no features")
    ax.plot([], [], color="#444444", lw=2.2, label="median configuration")
    if has_nulls:
        label = "zero line: shuffled genes (cells) or descriptors (drugs)"
        ax.plot([], [], "X", color="black", ls="none", label=label)
    legend_above(figure, ax, ncol=5)


def fig3_snp(table):
    """Figure 3: 98th percentile and maximum of the scores with and without SNPs, by study.

    Parameters
    ----------
    table : DataFrame
        `percentiles.snp_by_study`. In a split that has settings "as shuffled" those are drawn, so
        that each level, shuffled SNPs too, stands for as many configurations; elsewhere every kept
        configuration.

    Returns
    -------
    Figure or None
    """
    if table.empty:
        return None
    figure, axes = plt.subplots(2, len(SHOWN), figsize=(9, 5.2), sharex="col")
    studies = ["All", *known_studies(table["study"])]
    for row, split in zip(axes, SPLITS, strict=True):
        for ax, metric in zip(row, SHOWN, strict=True):
            part = table[(table["split"] == split) & (table["metric"] == metric)]
            as_shuffled = part["settings"] == "as shuffled"
            _snp_levels(ax, part[as_shuffled] if as_shuffled.any() else part, studies, split)
    for ax, metric in zip(axes[-1], SHOWN, strict=True):
        ax.set_xlabel(METRIC_NAMES[metric])
    legend_above(figure, axes[0][0], ncol=3)
    return figure


def _snp_levels(ax, part, studies, split):
    heights = {study: len(studies) - i for i, study in enumerate(studies)}
    found = list(part["level"].unique())
    levels = [level for level in ("none", "counts", "shuffled") if level in found]
    levels += [level for level in found if level not in levels]
    for shift, level in zip((0.22, 0, -0.22, -0.38, 0.38), levels, strict=False):
        own = part[part["level"] == level]
        y = own["study"].map(heights) + shift
        colour = SNP_COLOURS.get(level, SKY)
        high = own["p98"].clip(lower=LOWEST)
        best = own["best"].clip(lower=LOWEST)
        ax.hlines(y, high, best, color=colour, lw=1.2)
        label = f"SNPs: {level}, 98th percentile"
        ax.plot(high, y, SPLIT_MARKERS[split], color=colour, label=label)
        ax.plot(best, y, "|", color=colour, ms=9, mew=2, label=f"SNPs: {level}, best")
    for study in set(studies) - set(part.dropna(subset="p98")["study"]):
        place = dict(xy=(0.02, heights[study]), xycoords=("axes fraction", "data"), va="center")
        ax.annotate("n too small", fontsize="x-small", **place)
    ax.set_yticks(list(heights.values()), ["all studies", *studies[1:]])
    ax.set_ylim(0.4, len(studies) + 0.6)
    ax.set_title(SPLIT_NAMES[split], loc="left", fontsize="medium")
    ax.xaxis.set_major_locator(plt.MaxNLocator(5))


def fig4_cells_by_type(counts):
    """Figure 4: cell lines by cancer type and study.

    Parameters
    ----------
    counts : DataFrame
        Index cancer type, columns studies, numbers of lines.

    Returns
    -------
    Figure or None
    """
    studies = known_studies(counts.columns)
    if counts.empty:
        return None
    size = (10, 0.24 * len(counts) + 1.1)
    figure, axes = plt.subplots(1, len(studies), figsize=size, sharey=True, squeeze=False)
    y = np.arange(len(counts))[::-1]
    for ax, study in zip(axes[0], studies, strict=True):
        values = counts[study]
        bars = ax.barh(y, values, color=STUDY_COLOURS[study], height=0.72)
        ax.bar_label(bars, fmt="%d", padding=3, fontsize="x-small")
        ax.set_title(f"{study}, n = {values.sum()}", fontsize="small")
        ax.set(xlim=(0, max(values.max() * 1.3, 1)), xlabel="cell lines")
    names = [name.replace("_", " ") for name in counts.index]
    axes[0][0].set_yticks(y, names, fontsize="small")
    axes[0][0].set_ylim(-0.7, len(counts) - 0.3)
    return figure
