"""Figures 6 to 11 of notebook 06, which the paper does not have.

Effects, simulated promises, costs of a cutoff, transfer between studies, random
genes, ensembles. A function returns its figure, or None where its table has nothing to draw.
"""

import matplotlib.pyplot as plt
import numpy as np

from lib.analysis import costs
from lib.analysis.figures import DASHED, known_studies, legend_above, say
from lib.analysis.percentiles import SPLITS
from lib.paper import FACTOR_NAMES, METRIC_NAMES, SPLIT_NAMES
from lib.style import GREY, SPLIT_MARKERS, STUDY_COLOURS

SHOWN = ("gain", "npearson")  # the scores of figures 6 and 10
RED = STUDY_COLOURS["NCI-60"]
BLUE = STUDY_COLOURS["CCLE"]
GENE_SETS = {
    "lincs1000": "#D55E00",
    "oncogenes": "#E69F00",
    "oncogenes_lincs1000": "#CC79A7",
    "all": "#333333",
}
QUALITY = {"All": "black", "CCLE": STUDY_COLOURS["CCLE"], "GDSC": STUDY_COLOURS["GDSC"]}


def fig6_contrasts(table):
    """Effect of each setting with the quoted interval, each repeat, and the paper's t-test.

    Parameters
    ----------
    table : DataFrame
        `contrasts.contrast_table` of one arm and study "All".

    Returns
    -------
    Figure or None
    """
    rows = table[table["metric"].isin(SHOWN)].dropna(subset="effect")
    if rows.empty:
        return None
    names = list(dict.fromkeys(zip(rows["factor"], rows["level"], rows["reference"], strict=True)))
    panels = dict(iter(rows.groupby(["split", "metric"])))
    order = [(s, m) for s in SPLITS for m in SHOWN if (s, m) in panels]
    size = (11, 1.5 + 0.2 * len(names))
    figure, axes = plt.subplots(1, len(order), figsize=size, sharey=True, squeeze=False)
    for ax, (split, metric) in zip(axes[0], order, strict=True):
        _contrast_panel(ax, panels[split, metric], names, SPLIT_MARKERS[split])
        ax.set_xlabel(f"difference in\n{METRIC_NAMES[metric]}")
        ax.set_title(SPLIT_NAMES[split], fontsize="small")
    labels = [f"{FACTOR_NAMES.get(name, name)}: {level} − {other}" for name, level, other in names]
    fontsize = "xx-small" if len(names) > 30 else "x-small"
    axes[0][0].set_yticks(range(len(names)), labels, fontsize=fontsize)
    axes[0][0].set_ylim(len(names) - 0.4, -0.6)
    ax.plot([], [], "o-", color=RED, label="significant by the paper's t-test")
    ax.plot([], [], "ok", label="filled: the interval excludes 0")
    ax.plot([], [], "|", color=GREY, label="each repeat of the folds")
    legend_above(figure, ax, ncol=3)
    return figure


def _contrast_panel(ax, part, names, marker):
    """A line and a mark per contrast; a point beyond the panel is an arrow at its edge."""
    ends = part[["low", "high"]].abs().to_numpy()
    usual = np.nanquantile(ends, 0.8) if np.isfinite(ends).any() else 0
    reach = max(usual, 1.2 * part["effect"].abs().quantile(0.9), 1e-3)
    edge = 0.96 * reach
    for row in part.itertuples():
        at = names.index((row.factor, row.level, row.reference))
        colour = RED if row.p_paper < 0.05 else "black"
        shape = marker
        if abs(row.effect) > edge:
            shape = "<" if row.effect < 0 else ">"
        face = colour if row.p < 0.05 else "white"
        repeats = np.array(row.by_repeat.split(), float)
        ax.plot(repeats, np.full(len(repeats), at), "|", color=GREY, ms=5)
        ax.hlines(at, row.low, row.high, color=colour, lw=1.4)
        ax.plot(np.clip(row.effect, -edge, edge), at, shape, color=colour, mfc=face, ms=5)
    ax.axvline(0, color=GREY, lw=0.9)
    ax.set_xlim(-reach, reach)
    ax.xaxis.set_major_locator(plt.MaxNLocator(3))


def fig7_promises(rates):
    """How often each interval holds the true effect, and calls no effect one (simulated).

    Parameters
    ----------
    rates : DataFrame
        `simulation.rates`.

    Returns
    -------
    Figure or None
    """
    if rates.empty:
        return None
    by = ["split", "test", "n_repeats"]
    null = rates[rates["planted"] == 0].groupby(by)["significant"].mean()
    holds = rates.groupby(by)["coverage"].mean()
    shown = {"no effect called significant": (null, 0.05), "true effect held": (holds, 0.95)}
    splits = rates["split"].unique()
    size = (9, 2.9 * len(splits))
    figure, axes = plt.subplots(len(splits), 2, figsize=size, sharex=True, squeeze=False)
    for row, split in zip(axes, splits, strict=True):
        for ax, (label, (values, promised)) in zip(row, shown.items(), strict=True):
            values.loc[split].unstack("test").plot(ax=ax, marker="o", logx=True, legend=False)
            ax.axhline(promised, color="black", lw=0.9, ls="--")
            ax.set_title(SPLIT_NAMES[split], loc="left", fontsize="medium")
            ax.set(ylabel=label, ylim=(-0.03, 1.03), xlabel="repeats of the folds")
            ax.set_xticks(rates["n_repeats"].unique(), rates["n_repeats"].unique())
            ax.minorticks_off()
    legend_above(figure, axes[0][0], ncol=2)
    return figure


def fig8_cost_of_a_cutoff(curves):
    """What a cutoff costs in two uses, for the best networks and for the mean effects alone.

    Parameters
    ----------
    curves : DataFrame
        `costs.curves`.

    Returns
    -------
    Figure or None
    """
    known = curves[curves["reason"] == ""]
    if known.empty:
        return None
    figure, axes = plt.subplots(1, len(costs.USES), figsize=(10, 4), sharey=True)
    for ax, (use, prices) in zip(axes, costs.USES.items(), strict=True):
        for (split, predictor), own in known.groupby(["split", "predictor"], sort=False):
            colour = BLUE if predictor.startswith("network") else GREY
            dashes = "-" if split == "on_cell" else "--"
            label = f"{predictor.split(',')[0]}, {SPLIT_NAMES[split]}"
            ax.plot(own["cutoff"], own[use], color=colour, ls=dashes, label=label)
        ax.axhline(1, color="black", lw=0.8)
        title = f"{use}: false positive : false negative = {prices[0]:g} : {prices[1]:g}"
        ax.set_title(title, loc="left", fontsize="small")
        ax.set(xlabel="cutoff of the predicted AUC", ylim=(0, 2))
    axes[0].set_ylabel("cost / cost of calling nobody or everybody")
    axes[-1].legend(fontsize="x-small")
    return figure


def fig9_cross_study(matrix):
    """Correlation when ridge learns from one study (rows) and predicts another (columns).

    Parameters
    ----------
    matrix : DataFrame
        `transfer.transfer` and `transfer.held_out_studies`.

    Returns
    -------
    Figure or None
    """
    others = matrix["trained_on"].str.startswith("all ")
    network = others & matrix["model"].str.startswith("network")
    row = matrix["trained_on"].mask(others, "all others,\nridge")
    own = matrix.assign(row=row.mask(network, "all others,\nnetwork"))
    own = own[(own["model"] == "ridge") | network]
    if own.empty:
        return None
    columns = known_studies(own["tested_on"])
    rows = known_studies(own["row"])
    rows += [name for name in own["row"].unique() if name not in rows]
    wide = own.pivot(index="row", columns="tested_on", values="pearson").loc[rows, columns]
    figure, ax = plt.subplots(figsize=(6.5, 4.2))
    shown = ax.imshow(wide.to_numpy(float), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for cell in own.itertuples():
        known = np.isfinite(cell.pearson)
        score = f"{cell.pearson:.2f}" if known else "n too small"
        drugs = f"{int(cell.n_drugs)} drug{'s' * (cell.n_drugs > 1)}"
        text = f"{score}\n{drugs}\n{int(cell.n_cells)} lines"
        colour = "white" if known and cell.pearson > 0.6 else "black"
        place = dict(ha="center", va="center", fontsize="x-small", color=colour)
        ax.text(columns.index(cell.tested_on), rows.index(cell.row), text, **place)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="tested on held-out lines of", ylabel="trained on")
    ax.spines[:].set_visible(False)
    figure.colorbar(shown, label="Pearson correlation")
    return figure


def fig10_random_genes(table):
    """Score against the number of random genes, with named sets and shuffled genes beside.

    Parameters
    ----------
    table : DataFrame
        `percentiles.random_genes`.

    Returns
    -------
    Figure or None
    """
    known = table.dropna(subset="median")
    splits = [split for split in SPLITS if split in set(known["split"])]
    if not splits:
        return None
    size = (10, 2.9 * len(splits) + 0.5)
    figure, axes = plt.subplots(len(splits), 2, figsize=size, sharex=True, squeeze=False)
    for row, split in zip(axes, splits, strict=True):
        for ax, metric in zip(row, SHOWN, strict=True):
            part = known[(known["split"] == split) & (known["metric"] == metric)]
            _gene_panel(ax, part, SPLIT_MARKERS[split])
            ax.set(xscale="log", ylabel=METRIC_NAMES[metric])
            ax.set_title(SPLIT_NAMES[split], loc="left", fontsize="medium")
    for ax in axes[-1]:
        ticks = [32, 128, 512, 2048, 5899]
        ax.set_xticks(ticks, [f"{n:,}" for n in ticks])
        ax.minorticks_off()
        ax.set_xlabel("genes")
    ax = axes[0][0]
    ax.plot(
        [],
        [],
        color=BLUE,
        lw=2.2,
        label="random genes: mean, band over repeats (one repeat: over folds)",
    )
    zero = "zero line: genes shuffled between lines"
    ax.plot([], [], color="black", lw=1, ls=":", label=zero)
    for level in table["level"][table["kind"] == "named"].unique():
        label = f"{level.replace('_lincs', ' + lincs')}, mean and range"
        ax.plot([], [], "o-", color=GENE_SETS.get(level, GREY), lw=1.4, label=label)
    legend_above(figure, ax, ncol=3)
    return figure


def _gene_panel(ax, part, marker):
    """A curve with a band over repeats of the folds; over folds, where there is one repeat."""
    by = "repeat" if part["repeat"].nunique() > 1 else "fold"
    means = part.groupby(["kind", "level", "n_genes", by])["median"].mean()
    spread = means.groupby(["kind", "level", "n_genes"]).agg(["min", "mean", "max"]).reset_index()
    random = spread[spread["kind"] == "random"].sort_values("n_genes")
    ax.fill_between(random["n_genes"], random["min"], random["max"], color=BLUE, alpha=0.2, lw=0)
    ax.plot(random["n_genes"], random["mean"], color=BLUE, lw=2.2, marker=marker, ms=5)
    for row in spread[spread["kind"] == "named"].itertuples():
        colour = GENE_SETS.get(row.level, GREY)  # a set of one's own has no colour of its own
        ax.vlines(row.n_genes, row.min, row.max, color=colour, lw=1.4)
        ax.plot(row.n_genes, row.mean, marker, color=colour, ms=6, mec="white", mew=0.6)
    for at in means[means.index.get_level_values("kind") == "shuffled"]:
        ax.axhline(at, color="black", lw=1, ls=":")


def fig11_quality(table, curves):
    """Gain of one network, means of networks and ridge over the mean effects; learning curves.

    Parameters
    ----------
    table : DataFrame
        `ensembles.table`.
    curves : DataFrame
        `ensembles.learning_curves`.

    Returns
    -------
    Figure or None
    """
    known = table[table["study"].isin(list(QUALITY))].dropna(subset="gain")
    known = known[known["predictor"] != "mean_effects"]
    if known.empty and curves.empty:
        return None
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.6), width_ratios=[1.35, 1])
    for (left, right), split in zip(axes, SPLITS, strict=True):
        _gains(left, known[known["split"] == split], split)
        _learning(right, curves[curves["split"] == split])
    legend_above(figure, axes[0][0], ncol=6)
    axes[1][0].set_xlabel("share of the mean effects' squared error that is removed")
    axes[1][1].set_xlabel("epoch")
    return figure


def _gains(ax, own, split):
    if own.empty:
        return say(ax, "the sweep kept no predictions, or n is too small")
    predictors = list(own["predictor"].unique())[::-1]
    for shift, (study, colour) in zip((0.22, 0, -0.22), QUALITY.items(), strict=True):
        rows = own[own["study"] == study]
        y = rows["predictor"].map(predictors.index).astype(float) + shift
        label = "all studies" if study == "All" else study
        ax.hlines(y, rows["gain_low"], rows["gain_high"], color=colour, lw=1.4)
        ax.plot(rows["gain"], y, SPLIT_MARKERS[split], color=colour, label=label)
    ax.axvline(0, color=GREY, lw=1, ls=DASHED)
    ax.set_yticks(range(len(predictors)), predictors, fontsize="small")
    ax.set_title(f"{SPLIT_NAMES[split]}: gain over mean effects", loc="left", fontsize="medium")
    ax.xaxis.set_major_locator(plt.MaxNLocator(6))
    # A network that is worse than that is only that: useless there.
    ax.set_xlim(left=max(ax.get_xlim()[0], -1.0))


def _learning(ax, own):
    if own.empty:
        return say(ax, "no learning curves were kept")
    for rank, curve in sorted(own.groupby("rank"), reverse=True):
        look = dict(lw=2, alpha=1) if rank == 0 else dict(lw=0.7, alpha=0.4)
        train = "training rows" if rank == 0 else None
        inner = "inner rows" if rank == 0 else None
        ax.plot(curve["epoch"], curve["train_loss"], color=GREY, label=train, **look)
        ax.plot(curve["epoch"], curve["inner_loss"], color=BLUE, label=inner, **look)
    ax.set(ylabel="Huber loss", ylim=(0, 1.1 * np.nanquantile(own["inner_loss"], 0.98)))
    ax.set_title("learning curves, fold 0 (thick: the best)", loc="left", fontsize="medium")
    ax.legend(fontsize="x-small")
