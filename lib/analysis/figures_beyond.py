"""Figures of notebook 06 that the paper does not have and a larger sweep can draw: random genes, and ensembles."""

import matplotlib.pyplot as plt
import numpy as np

from lib.analysis.figures import METRIC_NAMES, _nothing
from lib.analysis.percentiles import SPLIT_NAMES
from lib.style import GREY, SPLIT_MARKERS, STUDY_COLOURS

RANDOM = STUDY_COLOURS["CCLE"]
NAMED = {
    "lincs1000": "#D55E00",
    "oncogenes": "#E69F00",
    "oncogenes_lincs1000": "#CC79A7",
    "all": "#333333",
}


def fig10_random_genes(table, metric_names=("r2", "npearson")):
    """Score against the number of random genes, with named sets and shuffled genes as the zero line.

    Parameters
    ----------
    table : DataFrame
        `factor_tables.random_genes`.
    metric_names : sequence of str

    Returns
    -------
    Figure
    """
    splits = [s for s in SPLIT_NAMES if s in set(table["split"])] or ["on_cell"]
    size = (10, 2.9 * len(splits) + 0.5)
    figure, axes = plt.subplots(
        len(splits), len(metric_names), figsize=size, sharex=True, squeeze=False
    )
    for row, split in zip(axes, splits, strict=True):
        for ax, metric in zip(row, metric_names, strict=True):
            part = table[(table["split"] == split) & (table["metric"] == metric)].dropna(
                subset="median"
            )
            if part.empty:
                _nothing(ax, "fewer than two sizes of random gene sets were run")
                continue
            _random_curve(ax, part[part["kind"] == "random"], split)
            _named_sets(ax, part[part["kind"] == "named"], split)
            for at in part.loc[part["kind"] == "shuffled", "median"]:
                ax.axhline(at, color="black", lw=1, ls=":")
            ax.set(xscale="log", ylabel=METRIC_NAMES[metric])
            ax.set_title(SPLIT_NAMES[split], loc="left", fontsize="medium")
    for ax in axes[-1]:
        ticks = [32, 128, 512, 2048, 5899]
        ax.set_xticks(ticks, [f"{n:,}" for n in ticks])
        ax.minorticks_off()
        ax.set_xlabel("genes")
    named = [] if table.empty else list(dict.fromkeys(table["level"][table["kind"] == "named"]))
    _legend(figure, axes[0][0], named)
    return figure


def _random_curve(ax, part, split):
    wide = part.pivot(index="n_genes", columns="fold", values="median").sort_index()
    ax.plot(wide.index, wide, color=RANDOM, lw=0.8, alpha=0.6)
    ax.plot(wide.index, wide.mean(axis=1), color=RANDOM, lw=2.2, marker=SPLIT_MARKERS[split], ms=5)


def _named_sets(ax, part, split):
    for (level, n_genes), own in part.groupby(["level", "n_genes"]):
        ax.vlines(n_genes, own["median"].min(), own["median"].max(), color=_colour(level), lw=1.4)
        ax.plot(
            n_genes,
            own["median"].mean(),
            SPLIT_MARKERS[split],
            color=_colour(level),
            ms=6,
            mec="white",
            mew=0.6,
        )


def _colour(level):
    return NAMED.get(level, GREY)  # a set of one's own has no colour of its own


def _legend(figure, ax, named):
    ax.plot([], [], color=RANDOM, lw=2.2, label="random genes, mean of folds (thin: each fold)")
    ax.plot(
        [],
        [],
        color="black",
        lw=1,
        ls=":",
        label="zero line: genes shuffled between lines, each fold",
    )
    for level in named:
        name = level.replace("_lincs", " + lincs")
        ax.plot(
            [], [], "o-", color=_colour(level), lw=1.4, label=f"{name}, mean and range of folds"
        )
    figure.legend(
        *ax.get_legend_handles_labels(), loc="outside upper center", ncol=3, fontsize="x-small"
    )


def fig11_quality(table, curves, studies=("All", "CCLE", "GDSC")):
    """One network, means of networks and ridge: gain over the mean effects, and how the best networks learnt.

    Parameters
    ----------
    table : DataFrame
        `quality.table`.
    curves : DataFrame
        `quality.learning_curves`.
    studies : sequence of str

    Returns
    -------
    Figure
    """
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.6), width_ratios=[1.35, 1])
    for row, split in zip(axes, SPLIT_NAMES, strict=True):
        own = table[(table["split"] == split) & table["study"].isin(studies)].dropna(subset="gain")
        _gains(row[0], own[own["predictor"] != "mean_effects"], split, studies)
        _learning(row[1], curves[curves["split"] == split], split)
    figure.legend(
        *axes[0][0].get_legend_handles_labels(),
        fontsize="small",
        ncol=6,
        loc="outside upper center",
    )
    axes[1][0].set_xlabel("share of the mean effects' squared error that is removed")
    axes[1][1].set_xlabel("epoch")
    return figure


def _gains(ax, own, split, studies):
    if own.empty:
        return _nothing(ax, "the sweep kept no predictions, or n is too small")
    predictors = list(dict.fromkeys(own["predictor"]))
    colours = {"All": "black"} | STUDY_COLOURS
    for shift, study in zip((0.22, 0, -0.22), studies, strict=True):
        rows = own[own["study"] == study]
        y = (
            rows["predictor"]
            .map({name: len(predictors) - i for i, name in enumerate(predictors)})
            .astype(float)
            + shift
        )
        ax.hlines(y, rows["gain_low"], rows["gain_high"], color=colours[study], lw=1.4)
        ax.plot(
            rows["gain"],
            y,
            SPLIT_MARKERS[split],
            color=colours[study],
            label=study if study != "All" else "all studies",
        )
    ax.axvline(0, color=GREY, lw=1, ls=(0, (2, 1)))
    ax.set_yticks(
        [len(predictors) - i for i in range(len(predictors))], predictors, fontsize="small"
    )
    ax.set_title(f"{SPLIT_NAMES[split]}: gain over mean effects", loc="left", fontsize="medium")
    ax.xaxis.set_major_locator(plt.MaxNLocator(6))
    ax.set_xlim(
        left=max(ax.get_xlim()[0], -1.0)
    )  # a network that is that much worse is only that: useless there


def _learning(ax, own, split):
    if own.empty:
        return _nothing(ax, "no learning curves were kept")
    for rank, curve in sorted(own.groupby("rank"), reverse=True):
        strong = rank == 0
        for name, colour in (("train_loss", GREY), ("inner_loss", STUDY_COLOURS["CCLE"])):
            label = f"{name.split('_')[0]} rows" if strong else None
            ax.plot(
                curve["epoch"],
                curve[name],
                color=colour,
                lw=2 if strong else 0.7,
                alpha=1 if strong else 0.4,
                label=label,
            )
    top = np.nanquantile(own["inner_loss"], 0.98)
    ax.set(ylabel="Huber loss", ylim=(0, 1.1 * top))
    ax.set_title("learning curves, fold 0 (thick: the best)", loc="left", fontsize="medium")
    ax.legend(fontsize="x-small")
