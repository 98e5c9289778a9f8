"""Figures 6 to 11 of notebook 06, which the paper does not have.

Effects, simulated promises, costs of a cutoff, transfer between studies, random genes, gains over
the mean effects. A function returns its figure, or a sentence that says why there
is none.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from lib import style
from lib.analysis import claims, costs, ensembles, simulation
from lib.analysis.figures import forest, panels
from lib.paper import FACTOR_NAMES, METRIC_NAMES, SPLIT_NAMES
from lib.style import AMBER, BLUE, DASHED, GREEN, GREY, INK, PALE, PINK, RED, studies_in

SHOWN = ("gain", "npearson")  # the scores of figure 10 and of the supplement of figure 6
# What the paper's five claims speak of: features, their controls, and training settings.
CLAIMED = (*claims.FACTORS, "model", "strategy", "dropout", "optimizer")
# Levels that the claims do not name.
NOT_CLAIMED = "random_.*|onehot_.*|log1p|rank|binary|ecfp.*|maccs|smiles|gated_.*"
COLOURS = (BLUE, AMBER, GREEN, RED)  # of the tests in figure 7
MARGIN = ("axes fraction", "data")  # coordinates beside an axes, at the height of a row
GENE_NAMES = {"lincs1000": "landmark genes", "_": " and ", "all": "all genes"}
GENE_SETS = {"landmark genes": RED, "oncogenes": AMBER, "all genes": INK}
GENE_SETS["oncogenes and landmark genes"] = PINK


def fig6_contrasts(table, claims_only):
    """Effect of each setting with the quoted interval, and what the paper's t-test finds.

    Parameters
    ----------
    table : DataFrame
        `contrasts.contrast_table` of one arm and study "All".
    claims_only : bool
        Draw what the paper's five claims speak of, in gain; otherwise every effect, in two scores.

    Returns
    -------
    Figure or str
    """
    rows = table[table.metric.isin(SHOWN[:1] if claims_only else SHOWN)]
    rows = one_of_each_pair(rows.dropna(subset="effect"))
    if claims_only:
        level = rows.level.astype(str)
        rows = rows[rows.factor.isin(CLAIMED) & ~level.str.fullmatch(NOT_CLAIMED)]
    if rows.empty:
        return "no two levels of a setting were run at the same other settings"
    names = list(dict.fromkeys(rows.name))
    groups = list(rows.groupby(["metric", "split"]))
    size = (5 + 2.8 * len(groups), 1.7 + 0.22 * len(names))
    figure, (axes,) = plt.subplots(1, len(groups), figsize=size, sharey=True, squeeze=False)
    for ax, ((metric, split), own) in zip(axes, groups, strict=True):
        y = own.name.map(names.index)
        face = np.where(own.p < 0.05, INK, "white")
        forest(ax, y, own.effect, own.low, own.high, face=face)
        for at in y[own.p_paper < 0.05]:
            ax.annotate("t", (1.01, at), xycoords=MARGIN, color=RED, va="center")
        ax.xaxis.set_major_locator(plt.MaxNLocator(3))
        ax.set(xlabel=f"difference in\n{METRIC_NAMES[metric]}", title=SPLIT_NAMES[split])
    axes[0].set_yticks(range(len(names)), names, fontsize="small")
    ax.set_ylim(len(names) - 0.4, -0.6)
    told = []
    for split, own in rows[rows.metric == "gain"].groupby("split"):
        told.append(f"{(own.p < 0.05).sum()} of {len(own)} on {SPLIT_NAMES[split]}")
    recipe = claims.ARMS[rows.arm.iloc[0]]
    return style.tell(
        figure,
        f"Effects whose 95% interval excludes 0, by {recipe}: {', '.join(told)}",
        "Difference of each level to its reference at the same other settings, with the quoted "
        "95% interval over cell lines, drugs or folds. Filled: the interval excludes 0; a red t: "
        "the paper's t-test calls the difference significant. Scales differ by panel. Settings "
        "that only change together have one effect. Numbers: `contrasts.csv`.",
    )


def one_of_each_pair(rows):
    """Effects, each with a name; two settings that only change together have one, named by both."""
    names = {}
    seen = set()
    for row in rows.fillna({"together_with": ""}).itertuples():
        pair = [row.factor, *filter(None, row.together_with.split(", "))]
        same = (row.split, row.metric, frozenset(pair), f"{abs(row.effect):.5f}")
        if len(pair) == 1 or same not in seen:
            settings = " and ".join(FACTOR_NAMES.get(name, name) for name in pair)
            levels = [str(level) for level in (row.level, row.reference)]
            words = [claims.WORDS.get((row.factor, name), name) for name in levels]
            words = [word.removeprefix("on ").removeprefix("with ") for word in words]
            name = f"{settings}: {' − '.join(words)}"
            names[row.Index] = name.replace("_", " ").replace("permuted", "shuffled")
        seen.add(same)
    return rows.loc[list(names)].assign(name=list(names.values()))


def fig7_promises(rates):
    """How often each interval holds the true effect, and calls no effect one (simulated).

    Parameters
    ----------
    rates : DataFrame
        `simulation.rates`.

    Returns
    -------
    Figure or str
    """
    if rates.empty:
        return "the panel is too small for a simulation"
    rates = rates.assign(significant=rates.significant.where(rates.planted == 0))
    shown = {
        "useless feature called significant": ("significant", 0.05),
        "true effect in the interval": ("coverage", 0.95),
    }
    figure, rows = panels(rates, 2, 2.4, sharex=True, sharey=True)
    repeats = sorted(rates.n_repeats.unique())
    tests = sorted(rates.test.unique())
    look = dict(hue="test", hue_order=tests, palette=COLOURS[: len(tests)], marker="o")
    for split, axes, own in rows:
        for ax, (label, (share, promised)) in zip(axes, shown.items(), strict=True):
            sns.lineplot(own, x="n_repeats", y=share, errorbar=None, ax=ax, **look)
            ax.get_legend().remove()
            ax.axhline(promised, color=INK, lw=0.9, ls=DASHED, label="promised")
            ax.set(
                title=f"{SPLIT_NAMES[split]}: {label}",
                ylim=(-0.03, 1.03),
                xscale="log",
                xlabel="repeats of the folds",
                ylabel="share of screens",
            )
            ax.set_xticks(repeats, repeats)
            ax.minorticks_off()
    style.legend_below(figure, ax, ncol=3)
    null = rates.groupby(["split", "test", "n_repeats"]).significant.mean()
    told = []
    for is_theirs, own in null.groupby(null.index.get_level_values("test") == simulation.PAPER):
        name = "the paper's t-test" if is_theirs else "intervals"
        told.append(f"{name} {style.span(own, '{:.0%}')}")
    return style.tell(
        figure,
        f"Useless features called significant in simulated screens: {', '.join(told)}",
        "Simulated: shares of screens in which a feature that does nothing is called significant "
        "at 5% (left) and in which a 95% interval holds the true effect (right, mean over "
        "planted effects), by test and by repeats of the three folds. Dashed: the promise. "
        f"{rates.n_screens.max()} screens a point, on real profiles, descriptors, rows and "
        "folds. Numbers: `simulated_promises.csv`.",
    )


def fig8_cost_of_a_cutoff(curves):
    """What a cutoff costs in two uses, for the best networks and for the mean effects alone.

    Parameters
    ----------
    curves : DataFrame
        `costs.curves`.

    Returns
    -------
    Figure or str
    """
    known = curves[curves.reason == ""].reset_index()
    if known.empty:
        return "; ".join(sorted(set(curves.reason))) or "the sweep kept no predictions"
    known["name"] = known.predictor.str.replace(",.*", "", regex=True).str.replace("_", " ")
    figure, axes = plt.subplots(1, len(costs.USES), figsize=(9, 4), sharey=True)
    for ax, (use, prices) in zip(axes, costs.USES.items(), strict=True):
        for (split, name), own in known.groupby(["split", "name"], sort=False):
            colour = BLUE if name == "network" else GREY
            dashes = "-" if split == "on_cell" else "--"
            label = f"{name}, {SPLIT_NAMES[split]}"
            ax.plot(own.cutoff, own[use], color=colour, ls=dashes, label=label)
        ax.axhline(1, color=INK, lw=0.8)
        cost = "a false positive costs {:g}, a false negative {:g}".format(*prices)
        ax.set(title=f"{use}:\n{cost}", xlabel="cutoff of the predicted AUC", ylim=(0, 2))
    axes[0].set_ylabel("cost of all calls; 1: the cheaper of\ncalling nobody and calling everybody")
    style.legend_below(figure, axes[0], ncol=2)
    told = []
    for use in costs.USES:
        best = known.loc[known[use].idxmin()]
        told.append(f"{use} {best[use]:.2f} ({best['name']}, {SPLIT_NAMES[best['split']]})")
    return style.tell(
        figure,
        f"Lowest cost of any cutoff: {', '.join(told)}",
        "Cost of all calls at each cutoff of the predicted AUC, over that of the cheaper of "
        "calling nobody and calling everybody; below 1 a predictor earns something, at 1 it is "
        "useless. A responder has a measured AUC of 0.5 or less. The prices are an assumption. A "
        "split is missing where the sweep kept no predictions. Numbers: `cost_of_a_cutoff.csv`.",
    )


def fig9_cross_study(matrix):
    """Correlation when ridge learns from one study (rows) and predicts another (columns).

    Parameters
    ----------
    matrix : DataFrame
        `transfer.transfer` and `transfer.held_out_studies`.

    Returns
    -------
    Figure or str
    """
    others = matrix.trained_on.str.startswith("all ")
    network = others & matrix.model.str.startswith("network")
    row = matrix.trained_on.mask(others, "all others,\nridge")
    own = matrix.assign(row=row.mask(network, "all others,\nnetwork"))
    own = own[network | (own.model == "ridge")]
    if own.pearson.isna().all():
        return "no study has enough lines and drugs to teach or to be tested"
    columns = studies_in(own.tested_on)
    rows = studies_in(own.row)
    rows += sorted(set(own.row) - set(rows))
    own["text"] = own.pearson.map("{:.2f}".format, na_action="ignore").fillna("too few")
    own["text"] += own.n_drugs.map("\ndrugs: {:.0f}".format)
    own["text"] += own.n_cells.map("\nlines: {:.0f}".format)
    wide = own.pivot(index="row", columns="tested_on", values=["pearson", "text"]).reindex(rows)
    figure, ax = plt.subplots(figsize=(7, 0.7 * len(rows) + 1.4))
    look = dict(fmt="", cmap=style.SHADES, vmin=0, vmax=1, cbar=False)
    score = wide.pearson[columns].astype(float)
    sns.heatmap(score.fillna(0), annot=wide.text[columns].fillna("–"), ax=ax, **look)
    ax.set(xlabel="tested on held-out lines of", ylabel="trained on")
    ax.tick_params(length=0, rotation=0)
    single = own[own.row == own.trained_on]
    whose = np.where(single.row == single.tested_on, "the one it learned from", "another study")
    means = single.groupby(whose).pearson.mean().dropna()
    told = [f"{r:.2f} on {study}" for study, r in means.items()]
    return style.tell(
        figure,
        f"Mean correlation of ridge with the truth on held-out lines: {', '.join(told)}",
        "Correlation of predicted and measured AUC of held-out lines, by the study that ridge "
        "learned from and the one that it is tested on. A third of the donors is held out "
        "everywhere, so off the diagonal the assay changes too. A dash: no drug in common, or a "
        "study too small to learn from; too few: lines or drugs for a score. The correlation "
        "ranks drugs as well as lines. Numbers: `cross_study.csv`.",
    )


def fig10_random_genes(table):
    """Score against the number of random genes, with named sets and shuffled genes beside.

    Parameters
    ----------
    table : DataFrame
        `percentiles.random_genes`; the recipe with most rows is drawn.

    Returns
    -------
    Figure or str
    """
    known = table.dropna(subset="median")
    if known.empty:
        return "the sweep has fewer than two sizes of random gene sets"
    known = known[known.arm == known.arm.value_counts().index[0]]
    figure, rows = panels(known, len(SHOWN), 2.6, sharex=True)
    ticks = sorted(known.n_genes[known.kind == "random"].unique())
    told = []
    for split, axes, own in rows:
        for ax, metric in zip(axes, SHOWN, strict=True):
            _gene_panel(ax, own[own.metric == metric])
            ax.set(ylabel=METRIC_NAMES[metric], xscale="log")
            ax.set_xticks(ticks, [f"{n:,.0f}" for n in ticks], fontsize="small")
            ax.minorticks_off()
        r = own[own.metric == "npearson"].groupby(["kind", "n_genes"])["median"].mean()
        ends = " to ".join(f"{r['random', n]:.2f} ({n:,.0f} genes)" for n in (ticks[0], ticks[-1]))
        shuffled = f", shuffled {r['shuffled'].mean():.2f}" if "shuffled" in r else ""
        told.append(f"{SPLIT_NAMES[split]} {ends}{shuffled}")
    for ax in axes:
        ax.set_xlabel("genes")
    style.legend_below(figure, ax, ncol=3)
    return style.tell(
        figure,
        f"Normalised r by random genes: {'; '.join(told)}",
        f"Median score of the matched configurations of {claims.ARMS[known.arm.iloc[0]]} "
        "against the number of random genes, named gene sets at their size, and genes shuffled "
        "between lines. The line is the mean; bands and bars are ranges over repeats of the "
        "folds, or over folds where there is one repeat. Normalised r leaves the effects of drugs "
        "and lines out. Numbers: `random_genes.csv`.",
    )


def _gene_panel(ax, part):
    """A curve with a band over repeats of the folds; over folds, where there is one repeat."""
    by = "repeat" if part["repeat"].nunique() > 1 else "fold"
    means = part.groupby(["kind", "level", "n_genes", by], as_index=False)["median"].mean()
    look = dict(x="n_genes", y="median", errorbar=("pi", 100), ax=ax)
    random = means[means.kind == "random"]
    sns.lineplot(random, color=BLUE, marker="o", label="random genes", **look)
    named = means[means.kind == "named"].replace({"level": GENE_NAMES}, regex=True)
    palette = dict.fromkeys(named.level, GREY) | GENE_SETS
    look |= dict(hue="level", palette=palette, err_style="bars", marker="D", lw=0)
    sns.lineplot(named, err_kws=dict(elinewidth=1.4), **look)
    shuffled = means.loc[means.kind == "shuffled", "median"]
    ax.axhspan(shuffled.min(), shuffled.max(), color=PALE, lw=0, zorder=0)
    ax.axhline(shuffled.mean(), color=INK, lw=1, ls=DASHED, label="shuffled genes")
    ax.get_legend().remove()


def fig11_quality(table):
    """Gain over the mean effects of networks, their averages, boosted trees and ridge, both splits.

    Parameters
    ----------
    table : DataFrame
        `ensembles.table`.

    Returns
    -------
    Figure or str
    """
    known = table[(table.study == "All") & (table.predictor != "mean_effects")]
    known = known.dropna(subset="gain")
    if known.empty:
        return "the sweep kept no predictions of a network"
    network = ~known.predictor.isin(ensembles.FITTED)
    theirs = network & (known.arm == "paper")
    names = known.predictor.str.replace("_", " ") + np.where(theirs, " (the paper's recipe)", "")
    known = known.assign(name=names, network=network, colour=np.where(network, BLUE, INK))
    # The paper averages no networks.
    known = known[~theirs | theirs.all() | (known.predictor == ensembles.BEST)]
    known = known.sort_values(["network", "arm"], ascending=False, kind="stable")
    # A baseline stands beside both recipes, a mean may be that of all seeds there are.
    known = known.drop_duplicates(["split", "name"]).drop_duplicates(["split", "gain"])
    figure, rows = panels(known, 1, 0.3 * known.name.nunique() + 0.6, sharex=True)
    told = []
    for split, (ax,), own in rows:
        y = np.arange(len(own))[::-1]
        forest(ax, y, own.gain, own.gain_low, own.gain_high, own.colour.tolist())
        ax.set_yticks(y, own.name)
        ax.set_ylim(-0.6, len(own) - 0.4)
        best = own.loc[own.gain.idxmax()]
        removed = f"{best['gain']:.0%} ({best['name']})"
        if not best.gain_low > 0:
            removed = "nothing that can be told from 0"
        told.append(f"{removed} on {SPLIT_NAMES[split]}")
    ax.xaxis.set_major_formatter("{x:.1%}")
    ax.set_xlabel("share of the mean effects' squared error that is removed")
    units = [f"{own.n_units.max():.0f} of {SPLIT_NAMES[split]}" for split, _, own in rows]
    return style.tell(
        figure,
        f"Of the mean effects' squared error the features remove at most {' and '.join(told)}",
        "Gain over the mean effects of drug and line: the share of their squared error on "
        "held-out rows that a predictor removes, with 95% intervals over lines or drugs "
        f"({', '.join(units)}). At 0 the features add nothing. Networks are chosen by inner rows, "
        "so no test row chose anything. Numbers: `quality.csv`.",
    )
