"""Figures of notebook 06: the paper's figures 1 to 4, and what the paper's figures leave out.

Each function draws on the axes given (or new ones), labels them and returns the figure; numbers of rows go into
captions.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lib.analysis import costs
from lib.analysis.percentiles import SPLIT_NAMES
from lib.paper import lookup
from lib.style import GREY, SKY, SPLIT_MARKERS, STUDY_COLOURS

METRIC_NAMES = dict(
    r2="R²", rmse="RMSE [AUC]", balanced_accuracy="balanced accuracy", mcc="MCC", gain="gain over mean effects",
    npearson="normalised correlation",
)  # fmt: skip
FACTOR_NAMES = dict(
    snp="SNPs", scaling="expression scaling", rnaseq_set="gene set", drug_block="drug descriptors",
    model="architecture",
    strategy="training strategy", optimizer="optimizer", dropout="dropout", cohort="cohort", hidden="layer widths",
    null_control="null control", patience="patience", lr="learning rate", selection="selection", scope="scope",
)  # fmt: skip
SPLIT_COLOURS = {"on_cell": "#000000", "on_drug": GREY}


FLOOR = -0.5  # R2 below it says only that a model is useless there; drawn at the edge so that the rest can be read


def _nothing(ax, text):
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", wrap=True, color="#555555"
    )
    ax.set(xticks=[], yticks=[])


def fig1_auc_and_importances(pairs, importances, metric="r2"):
    """Figure 1: left the skew of the target, right which setting of a run matters for its score.

    Parameters
    ----------
    pairs : DataFrame
        Training rows with `auc`.
    importances : DataFrame
        Rows of `importances.out_of_bag` with a `split` column, and `paper` (the in-sample tree's importance).
    metric : str
        Score that the importances belong to.

    Returns
    -------
    Figure
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=[1, 1.25])
    responder = pairs["auc"] <= 0.5
    bins = np.linspace(0, 1, 51)
    left.hist(pairs["auc"][~responder], bins, color=GREY, label="non-responder")
    left.hist(
        pairs["auc"][responder], bins, color=STUDY_COLOURS["NCI-60"], label="responder, AUC ≤ 0.5"
    )
    theirs = lookup("claims", metric="responders")
    left.set(
        xlabel="AUC over 4–10 −log10(M) (1 = no response)", ylabel="training rows", yscale="log"
    )
    left.set_title(
        f"{100 * responder.mean():.1f} % responders (paper: {theirs:g} %)",
        loc="left",
        fontsize="medium",
    )
    left.legend(loc="upper left")
    _importance_dots(right, importances, metric)
    return figure


def _importance_dots(ax, importances, metric):
    known = importances.dropna(subset=["importance"])
    if known.empty:
        return _nothing(
            ax, "; ".join(sorted(set(importances.get("reason", ["no configurations"]))))
        )
    order = known.groupby("factor")["importance"].max().sort_values().index
    for shift, (split, rows) in zip((0.14, -0.14), known.groupby("split"), strict=False):
        total = rows["importance"].clip(lower=0).sum() or 1.0
        rows = rows.assign(**{name: rows[name] / total for name in ("importance", "low", "high")})
        y = rows["factor"].map({name: i for i, name in enumerate(order)}) + shift
        ax.hlines(y, rows["low"], rows["high"], color=SPLIT_COLOURS[split], lw=1.5)
        label = f"{SPLIT_NAMES[split]}, out of bag (tree R² {rows['meta_r2'].iloc[0]:.2f})"
        ax.plot(
            rows["importance"], y, SPLIT_MARKERS[split], color=SPLIT_COLOURS[split], label=label
        )
        ax.plot(
            rows["paper"], y, SPLIT_MARKERS[split], mfc="none", mec=STUDY_COLOURS["CCLE"], ms=5,
            label=f"{SPLIT_NAMES[split]}, the paper's way, in sample",
        )  # fmt: skip
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(order)), [FACTOR_NAMES.get(name, name) for name in order])
    ax.set_xlabel(f"share of importance for {METRIC_NAMES[metric]}")
    ax.legend(
        fontsize="x-small", loc="lower left", bbox_to_anchor=(-0.35, 1.0), ncol=2, columnspacing=1
    )


# What is shuffled for the zero line of a split: what describes the unseen thing.
ZERO_LINE = {"on_cell": "permuted_genes", "on_drug": "permuted_drugs"}


def fig2_cross_study(merged, naive, metric_names=("r2", "balanced_accuracy"), nulls=None):
    """Figure 2: scores of all converged configurations by study and split, with the mean-effects predictor drawn in.

    Parameters
    ----------
    merged : DataFrame
        Kept rows of `configurations.merge_folds`, all studies.
    naive : DataFrame
        Rows of `headline.headline` of predictor "mean_effects".
    metric_names : sequence of str
    nulls : DataFrame, optional
        `configurations.merge_folds` of the null controls; those of ZERO_LINE are drawn by their median.

    Returns
    -------
    Figure
    """
    figure, axes = plt.subplots(1, len(metric_names), figsize=(10, 4.4), squeeze=False)
    studies = [s for s in STUDY_COLOURS if s in set(merged["study"])]
    if not studies:
        _nothing(axes[0][0], "no kept configuration")
        return figure
    rng = np.random.default_rng(0)
    for ax, metric in zip(axes[0], metric_names, strict=True):
        for shift, split in zip((-0.19, 0.19), SPLIT_NAMES, strict=True):
            for i, study in enumerate(studies):
                rows = merged[(merged["split"] == split) & (merged["study"] == study)]
                floor = naive[(naive["split"] == split) & (naive["study"] == study)]
                _strip(ax, i + shift, rows[metric].dropna(), study, split, rng)
                _floor(ax, i + shift, floor[metric].dropna())
                _zero_line(ax, i + shift, nulls, split, study, metric)
                if not rows[metric].notna().any():
                    ax.annotate("n too\nsmall", (i + shift, 0.03), xycoords=("data", "axes fraction"), ha="center",
                                fontsize="xx-small", color="#555555")  # fmt: skip
        ax.set_xticks(range(len(studies)), [_named(study, merged) for study in studies])
        ax.set(ylabel=METRIC_NAMES[metric], xlim=(-0.5, len(studies) - 0.5))
    _split_legend(
        figure, axes[0][0], "mean effects, no features", nulls is not None and len(nulls) > 0
    )
    return figure


def _named(study, merged):
    """A study of one or two drugs is labelled: its scores are about a single mechanism."""
    n = merged.loc[merged["study"] == study, "n_drugs"].max() if "n_drugs" in merged else np.nan
    return f"{study}\n({int(n)} drug{'s' if n > 1 else ''})" if n <= 2 else study


def _zero_line(ax, x, nulls, split, study, metric):
    if nulls is None or nulls.empty:
        return
    mine = (
        (nulls["split"] == split)
        & (nulls["study"] == study)
        & (nulls["null_control"] == ZERO_LINE[split])
    )
    if nulls.loc[mine, metric].notna().any():
        ax.plot(
            x,
            max(nulls.loc[mine, metric].median(), FLOOR),
            "X",
            color="black",
            ms=6,
            mew=0.8,
            mec="white",
            zorder=5,
        )


def _strip(ax, x, values, study, split, rng):
    if not len(values):
        return
    spread = x + rng.uniform(-0.1, 0.1, len(values))
    face = STUDY_COLOURS[study] if split == "on_cell" else "none"
    for marker, mask in ((SPLIT_MARKERS[split], values >= FLOOR), ("v", values < FLOOR)):
        ax.scatter(spread[mask], values[mask].clip(lower=FLOOR), s=14, marker=marker, facecolors=face, alpha=0.6,
                   edgecolors=STUDY_COLOURS[study], linewidths=0.7, rasterized=len(values) > 200)  # fmt: skip
    middle = max(values.median(), FLOOR)
    for colour, lw in (
        ("white", 4.5),
        (STUDY_COLOURS[study], 2.4),
    ):  # an edge, so that the bar shows on its own dots
        ax.hlines(middle, x - 0.15, x + 0.15, color=colour, lw=lw, zorder=4)


def _floor(ax, x, values):
    if len(values):
        ax.hlines(
            values.clip(lower=FLOOR), x - 0.17, x + 0.17, color="black", lw=1.6, ls=(0, (2, 1))
        )


def _split_legend(figure, ax, floor, has_nulls):
    for split, name in SPLIT_NAMES.items():
        face = "#444444" if split == "on_cell" else "none"
        ax.scatter(
            [],
            [],
            s=20,
            marker=SPLIT_MARKERS[split],
            facecolors=face,
            edgecolors="#444444",
            label=name,
        )
    ax.plot([], [], color="black", lw=1.6, ls=(0, (2, 1)), label=floor)
    ax.plot([], [], color="#444444", lw=2.2, label="median configuration")
    if has_nulls:
        ax.plot(
            [],
            [],
            "X",
            color="black",
            ls="none",
            label="zero line: shuffled genes (cells) or descriptors (drugs)",
        )
    figure.legend(
        *ax.get_legend_handles_labels(), fontsize="x-small", ncol=5, loc="outside upper center"
    )


def fig3_snp(table, metric_names=("r2", "balanced_accuracy")):
    """Figure 3: 98th percentile and maximum of the scores with and without SNPs, by study.

    Parameters
    ----------
    table : DataFrame
        `factor_tables.snp_by_study`. In a split that has settings "as shuffled" those are drawn, so that each level,
        shuffled SNPs too, stands for as many configurations; elsewhere every kept configuration.
    metric_names : sequence of str

    Returns
    -------
    Figure
    """
    figure, axes = plt.subplots(2, len(metric_names), figsize=(9, 5.2), sharex="col", squeeze=False)
    studies = ["All", *[s for s in STUDY_COLOURS if s in set(table["study"])]]
    colours = {
        "none": GREY,
        "counts": STUDY_COLOURS["CCLE"],
        "binary": STUDY_COLOURS["CTRP"],
        "shuffled": "black",
    }
    order = ["none", "counts", "shuffled"]
    for row, split in zip(axes, SPLIT_NAMES, strict=True):
        for ax, metric in zip(row, metric_names, strict=True):
            ax.xaxis.set_major_locator(plt.MaxNLocator(5))
            part = _like_with_like(table[(table["split"] == split) & (table["metric"] == metric)])
            levels = sorted(
                part.groupby("level"), key=lambda g: order.index(g[0]) if g[0] in order else 9
            )
            for shift, (level, own) in zip((0.22, 0, -0.22, -0.38, 0.38), levels, strict=False):
                y = own["study"].map({s: len(studies) - i for i, s in enumerate(studies)}) + shift
                colour = colours.get(level, SKY)
                own = own.assign(
                    p98=own["p98"].clip(lower=FLOOR), best=own["best"].clip(lower=FLOOR)
                )
                ax.hlines(y, own["p98"], own["best"], color=colour, lw=1.2)
                ax.plot(
                    own["p98"],
                    y,
                    SPLIT_MARKERS[split],
                    color=colour,
                    label=f"SNPs: {level}, 98th percentile",
                )
                ax.plot(
                    own["best"], y, "|", color=colour, ms=9, mew=2, label=f"SNPs: {level}, best"
                )
            missing = set(studies) - set(part.dropna(subset="p98")["study"])
            for study in missing:
                y = len(studies) - studies.index(study)
                ax.annotate(
                    "n too small",
                    (0.02, y),
                    xycoords=("axes fraction", "data"),
                    fontsize="x-small",
                    va="center",
                )
            names = ["all studies", *studies[1:]]
            ax.set_yticks([len(studies) - i for i in range(len(studies))], names)
            ax.set_title(SPLIT_NAMES[split], loc="left", fontsize="medium")
            ax.set_ylim(0.4, len(studies) + 0.6)
    for ax, metric in zip(axes[-1], metric_names, strict=True):
        ax.set_xlabel(METRIC_NAMES[metric])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, ncol=3, loc="outside upper center", fontsize="x-small")
    return figure


def _like_with_like(part):
    if "settings" not in part or "as shuffled" not in set(part["settings"]):
        return part
    return part[part["settings"] == "as shuffled"]


def fig4_cells_by_type(counts):
    """Figure 4: lines by cancer type and study.

    Parameters
    ----------
    counts : DataFrame
        Index cancer type, columns studies, numbers of lines.

    Returns
    -------
    Figure
    """
    studies = [s for s in STUDY_COLOURS if s in counts]
    figure, axes = plt.subplots(
        1, len(studies), figsize=(10, 0.24 * len(counts) + 1.1), sharey=True, squeeze=False
    )
    y = np.arange(len(counts))[::-1]
    for ax, study in zip(axes[0], studies, strict=True):
        values = counts[study].to_numpy()
        ax.barh(y, values, color=STUDY_COLOURS[study], height=0.72)
        for at, value in zip(y, values, strict=True):
            ax.annotate(
                f"{int(value)}",
                (value, at),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize="x-small",
            )
        ax.set(
            title=f"{study}, n = {int(values.sum())}",
            xlim=(0, max(values.max() * 1.3, 1)),
            xlabel="cell lines",
        )
        ax.title.set_fontsize("small")
    axes[0][0].set_yticks(y, [name.replace("_", " ") for name in counts.index], fontsize="small")
    axes[0][0].set_ylim(-0.7, len(counts) - 0.3)
    return figure


def fig6_contrasts(table, metric_names=("r2", "npearson")):
    """What each setting does to the scores: the interval over folds, and the paper's t-test verdict beside it.

    Parameters
    ----------
    table : DataFrame
        `contrasts.contrast_table`.
    metric_names : sequence of str

    Returns
    -------
    Figure
    """
    rows = table[table["metric"].isin(metric_names) & table["effect"].notna()]
    panels = [
        (s, m)
        for s in SPLIT_NAMES
        for m in metric_names
        if len(rows[(rows["split"] == s) & (rows["metric"] == m)])
    ]
    if not panels:
        figure, ax = plt.subplots(figsize=(6, 2))
        _nothing(ax, "no contrast could be estimated")
        return figure
    names = list(dict.fromkeys(zip(rows["factor"], rows["level"], rows["reference"], strict=True)))
    size = (11, 1.5 + 0.2 * len(names))
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (split, metric) in zip(axes[0], panels, strict=True):
        part = rows[(rows["split"] == split) & (rows["metric"] == metric)]
        _contrast_panel(ax, part, names, split, metric)
    labels = [
        f"{FACTOR_NAMES.get(factor, factor)}: {level} − {reference}"
        for factor, level, reference in names
    ]
    axes[0][0].set_yticks(
        range(len(names)), labels, fontsize="xx-small" if len(names) > 30 else "x-small"
    )
    axes[0][0].set_ylim(len(names) - 0.4, -0.6)
    ax.plot([], [], "o-", color=STUDY_COLOURS["NCI-60"], label="significant by the paper's t-test")
    ax.plot([], [], "ok", label="filled: the interval over folds excludes 0")
    figure.legend(
        *ax.get_legend_handles_labels(), loc="outside upper center", ncol=2, fontsize="x-small"
    )
    return figure


def _contrast_panel(ax, part, names, split, metric):
    place = {name: i for i, name in enumerate(names)}
    ends, effect = part[["low", "high"]].abs().to_numpy(), part["effect"].abs()
    usual = np.nanquantile(ends, 0.8) if np.isfinite(ends).any() else 0
    reach = max(
        usual, 1.2 * effect.quantile(0.9), 1e-3
    )  # longer lines run out; points beyond are arrows at the edge
    for row in part.itertuples():
        at, edge = place[row.factor, row.level, row.reference], 0.96 * reach
        colour = STUDY_COLOURS["NCI-60"] if row.p_paper < 0.05 else "black"
        marker = SPLIT_MARKERS[split] if abs(row.effect) <= edge else "<" if row.effect < 0 else ">"
        ax.hlines(at, row.low, row.high, color=colour, lw=1.4)
        shown = np.clip(row.effect, -edge, edge)
        ax.plot(shown, at, marker, color=colour, mfc=colour if row.p < 0.05 else "white", ms=5)
    ax.axvline(0, color=GREY, lw=0.9)
    for at in [i for i in range(1, len(names)) if names[i][0] != names[i - 1][0]]:
        ax.axhline(at - 0.5, color="#e3e3e3", lw=0.7)
    ax.set(xlabel=f"difference in\n{METRIC_NAMES[metric]}", xlim=(-reach, reach))
    ax.xaxis.set_major_locator(plt.MaxNLocator(3))
    ax.set_title(SPLIT_NAMES[split], fontsize="small")


def fig7_false_positives(rates, ax=None):
    """How often each test calls a feature significant that does nothing, against how much folds differ (simulated).

    Parameters
    ----------
    rates : DataFrame
        Columns test, fold_sd, rate, low, high.

    Returns
    -------
    Figure
    """
    ax = plt.subplots(figsize=(6.5, 4))[1] if ax is None else ax
    colours = [STUDY_COLOURS[s] for s in ("NCI-60", "CCLE", "GDSC", "gCSI", "CTRP")]
    for colour, marker, (test, own) in zip(
        colours, "osD^v", rates.groupby("test", sort=False), strict=False
    ):
        ax.fill_between(own["fold_sd"], own["low"], own["high"], color=colour, alpha=0.2, lw=0)
        ax.plot(own["fold_sd"], own["rate"], marker=marker, color=colour, label=test)
    ax.axhline(0.05, color="black", lw=0.9, ls="--")
    ax.annotate(
        "promised: 5 %",
        (ax.get_xlim()[1], 0.05),
        (0, 4),
        textcoords="offset points",
        ha="right",
        fontsize="small",
    )
    ax.set(
        xlabel="spread of a feature's effect between folds [R²]",
        ylabel="null features called significant",
        ylim=(0, 1),
    )
    ax.legend(fontsize="small")
    return ax.figure


def fig8_cost_of_a_cutoff(curves):
    """What a cutoff costs in two uses, for the best networks and for the predictor that knows no feature.

    Parameters
    ----------
    curves : DataFrame
        `headline.cost_curves`.

    Returns
    -------
    Figure
    """
    uses = list(costs.USES)
    figure, axes = plt.subplots(1, len(uses), figsize=(10, 4), sharey=True, squeeze=False)
    known = curves[curves["reason"] == ""] if len(curves) else curves
    for ax, use in zip(axes[0], uses, strict=True):
        if known.empty:
            _nothing(
                ax, "; ".join(sorted(set(curves["reason"]))) or "the sweep kept no predictions"
            )
            continue
        for (split, predictor), own in known.groupby(["split", "predictor"], sort=False):
            colour = STUDY_COLOURS["CCLE"] if predictor.startswith("network") else GREY
            label = f"{predictor.split(',')[0]}, {SPLIT_NAMES[split]}"
            ax.plot(
                own["cutoff"],
                own[use],
                color=colour,
                ls="-" if split == "on_cell" else "--",
                label=label,
            )
        ax.axhline(1, color="black", lw=0.8)
        ratio = "{:g} : {:g}".format(*costs.USES[use])
        ax.set_title(
            f"{use}: false positive : false negative = {ratio}", loc="left", fontsize="small"
        )
        ax.set(xlabel="cutoff of the predicted AUC", ylim=(0, 2))
    axes[0][0].set_ylabel("cost / cost of calling nobody or everybody")
    if not known.empty:
        axes[0][-1].legend(fontsize="x-small")
    return figure


def fig9_cross_study(matrix, model="ridge"):
    """Correlation on held-out lines when one study teaches (rows) and another is predicted (columns).

    Parameters
    ----------
    matrix : DataFrame
        `cross_study.scores_between`.
    model : str

    Returns
    -------
    Figure
    """
    figure, ax = plt.subplots(figsize=(6.5, 4.2))
    own = matrix[matrix["model"] == model]
    if own.empty:
        _nothing(ax, "no study has enough lines and drugs to teach")
        return figure
    held = matrix["trained_on"].str.startswith("all ") & matrix["model"].str.startswith("network")
    networks = matrix[held].assign(trained_on="all others,\nnetwork")
    own = pd.concat(
        [own.replace({"trained_on": {"all other studies": f"all others,\n{model}"}}), networks]
    )
    rows, columns = (
        [s for s in STUDY_COLOURS if s in set(own[c])] for c in ("trained_on", "tested_on")
    )
    rows += [name for name in dict.fromkeys(own["trained_on"]) if name not in rows]
    wide = own.pivot(index="trained_on", columns="tested_on", values="pearson").reindex(
        rows, columns=columns
    )
    shown = ax.imshow(wide.to_numpy(float), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row in own.itertuples():
        at = (columns.index(row.tested_on), rows.index(row.trained_on))
        n = f"{int(row.n_drugs)} drug{'s' * (row.n_drugs > 1)}\n{int(row.n_cells)} lines"
        text = f"{row.pearson:.2f}\n{n}" if np.isfinite(row.pearson) else f"n too small\n{n}"
        dark = np.isfinite(row.pearson) and row.pearson > 0.6
        ax.text(
            *at,
            text,
            ha="center",
            va="center",
            fontsize="x-small",
            color="white" if dark else "black",
        )
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="tested on held-out lines of", ylabel="trained on")
    ax.spines[:].set_visible(False)
    figure.colorbar(shown, label="Pearson correlation")
    return figure
