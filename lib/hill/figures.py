"""Figures of notebook 02: curves, quality of their fits, end points, agreement of repeats."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from lib.hill.curve import growth_at
from lib.hill.repeats import LEVELS
from lib.hill.targets import CUTOFF
from lib.paper import METRIC_NAMES
from lib.style import GREY, STUDY_COLOURS

N_COLUMNS = 4
LEAST_R2 = -0.5  # where the axes of R2 end
QUANTITIES = {
    "r2fit": "R², growth clipped to 0–1",
    "r2fit_raw": "R², growth as measured",
    "einf": "E∞ (growth at infinite dose)",
    "hs": "HS (Hill slope)",
}
END_POINT_MARKERS = {"GI50": "o", "TGI": "s", "LC50": "^"}
OTHER_SCALE = ("ctrp_auc", "gr_aoc", "gr50_um")  # summaries that measure another thing than ours
MOST_POINTS = 3000


def _panels(n, n_columns, **options):
    """The first n axes of a grid, the rest hidden."""
    n_rows = max(1, -(-n // n_columns))
    axes = plt.subplots(n_rows, n_columns, squeeze=False, **options)[1].ravel()
    for ax in axes[n:]:
        ax.set_visible(False)
    return axes


def _studies(fits):
    return [study for study in STUDY_COLOURS if (fits.study == study).any()]


def hill_curves(responses, fits, curves):
    """Measured doses and fitted curve of some dose series, side by side.

    Parameters
    ----------
    responses, fits : DataFrame
    curves : dict of str to str
        Title to curve_id.

    Returns
    -------
    ndarray of Axes
    """
    n_columns = max(1, min(N_COLUMNS, len(curves)))
    size = (2.9 * n_columns, 2.6 * max(1, -(-len(curves) // n_columns)))
    axes = _panels(len(curves), n_columns, figsize=size, sharex=True, sharey=True)
    for ax, (title, curve_id) in zip(axes, curves.items(), strict=False):
        points = responses[responses.curve_id == curve_id]
        hill_curve(points, fits[fits.curve_id == curve_id].iloc[0], ax)
        ax.set_title(title, fontsize="small", fontweight="bold")
    axes[0].figure.supxlabel("dose, −log10(M): weak to strong", fontsize="medium")
    axes[0].figure.supylabel("growth (1 = untreated)", fontsize="medium")
    return axes


def hill_curve(points, fit, ax=None):
    """One dose series: points, fitted curve (dashed beyond the doses), half-effect dose.

    Parameters
    ----------
    points : DataFrame
        `dose` and `growth` of one curve.
    fit : Series
        Its row of the `fits` table.

    Returns
    -------
    Axes
    """
    if ax is None:
        ax = plt.subplots(figsize=(4, 3.2))[1]
    colour = STUDY_COLOURS.get(fit.study, "#000000")
    dose = np.linspace(10.5, 3.5, 400)
    curve = growth_at(dose, fit.einf, fit.pec50, fit.hs)
    inside = (dose >= fit.dose_strong) & (dose <= fit.dose_weak)
    ax.axhline(1, color=GREY, lw=0.6)
    ax.plot(dose, curve, color=colour, lw=1, ls=(0, (3, 2)))
    ax.plot(dose[inside], curve[inside], color=colour, lw=2)
    ax.plot(points.dose, points.growth, "o", color="#000000", ms=4, mfc="white")
    if 3.5 < fit.pec50 < 10.5 and fit.hs > 0:
        ax.plot(fit.pec50, (1 + fit.einf) / 2, "D", color=colour, ms=5)
    words = f"{fit.study}, no fit:\n{fit.reason}"
    if np.isfinite(fit.auc):
        words = f"{fit.study}, AUC {fit.auc:.2f}\nR² {fit.r2fit:.2f}, slope {fit.hs:.2f}"
    words = words.replace("-0.00", "0.00")
    ax.text(0.03, 0.04, words, transform=ax.transAxes, fontsize="x-small", va="bottom")
    ax.set(xlim=(10.5, 3.5), ylim=(-0.25, 1.5))
    return ax


def fit_quality(fits, table):
    """Table 7 as boxes: both R2, plateau and slope of each study, with the paper's printed means.

    Parameters
    ----------
    fits : DataFrame
        Screened curves.
    table : DataFrame
        Of `quality.table7`. A mean of R2 below the end of its axis is drawn on that end.

    Returns
    -------
    ndarray of Axes, shape (4,)
    """
    studies = _studies(fits)
    places = range(len(studies))
    means = table[table.statistic == "mean"].set_index(["quantity", "study"])
    axes = plt.subplots(1, 4, figsize=(11.5, 3.6))[1]
    style = dict(hue="study", palette=STUDY_COLOURS, legend=False, width=0.6)
    style |= dict(order=studies, hue_order=studies, showfliers=False, whis=(5, 95))
    for ax, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        sns.boxplot(fits, x="study", y=quantity, ax=ax, **style)
        mean = means.loc[quantity].reindex(studies)
        ax.plot(places, mean.published, "_", color="black", ms=22, mew=2.5, label="paper, mean")
        marker = dict(color="white", mec="black", ms=5, clip_on=False)
        ax.plot(places, mean.ours.clip(lower=LEAST_R2), "d", label="ours, mean", **marker)
        ax.set(xlabel="", ylabel=label)
        ax.tick_params(axis="x", labelsize="x-small")
        if quantity.startswith("r2"):
            below = (fits[quantity] < LEAST_R2).groupby(fits.study).mean()
            ticks = [f"{study}\n{below[study]:.0%}" for study in studies]
            ax.set_xticks(places, ticks)
            ax.set_ylim(LEAST_R2, 1.05)
            ax.set_xlabel(f"share of curves below {LEAST_R2:g}", fontsize="x-small")
    handles = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(*handles, loc="outside upper center", ncol=2, fontsize="small")
    return axes


def filtered_areas(fits, kept):
    """AUC of the curves that the Uno pipeline's filter keeps and removes, by study.

    Parameters
    ----------
    fits : DataFrame
        Screened curves.
    kept : Series of bool

    Returns
    -------
    ndarray of Axes
    """
    studies = _studies(fits)
    size = (2.4 * len(studies), 2.6)
    axes = _panels(len(studies), len(studies), figsize=size, sharex=True)
    bins = np.linspace(0.1, 1, 37)
    for ax, study in zip(axes, studies, strict=True):
        mine = fits.study == study
        parts = [fits.auc[mine & kept], fits.auc[mine & ~kept]]
        colours = [STUDY_COLOURS[study], "#333333"]
        ax.hist(parts, bins, stacked=True, color=colours, label=["kept", "removed"])
        ax.set_title(f"{study}, n = {mine.sum():,}", fontsize="small")
        ax.set(yticks=[], xlim=(0.1, 1))
        ax.spines["left"].set_visible(False)
    axes[0].legend(fontsize="x-small", loc="upper left", handlelength=1)
    axes[0].set_ylabel("curves")
    axes[0].figure.supxlabel("AUC over 4–10 (1 = no response)", fontsize="medium")
    return axes


def end_points(found):
    """Interpolated end points of each curve, and beside them where the fitted curve passes.

    Parameters
    ----------
    found : DataFrame
        Of `endpoints.end_points`.

    Returns
    -------
    ndarray of Axes, shape (2,)
        Left: doses of one curve on one row, curves sorted by GI50; open markers are censored, on
        the first or last dose. Right: interpolation against fit, where both exist.
    """
    axes = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2))[1]
    order = found[found.end_point == "GI50"].sort_values("dose").curve_id
    rank = found.curve_id.map(dict(zip(order, range(len(order)), strict=True)))
    between = found.censor == ""
    for name, marker in END_POINT_MARKERS.items():
        mine = found.end_point == name
        filled = mine & between
        style = dict(marker=marker, s=18, color=f"C{list(END_POINT_MARKERS).index(name)}")
        axes[0].scatter(found.dose[filled], rank[filled], label=name, **style)
        edge = dict(style, facecolors="none", lw=0.7)
        axes[0].scatter(found.dose[mine & ~between], rank[mine & ~between], **edge)
        axes[1].scatter(found.dose[filled], found.fitted[filled], **style)
    axes[0].legend(fontsize="small")
    axes[0].set(xlabel="dose, −log10(M)", ylabel="curve, by GI50", yticks=[])
    axes[0].invert_xaxis()
    axes[1].axline((6, 6), slope=1, color="black", lw=0.7)
    axes[1].set(xlabel="by interpolation, −log10(M)", ylabel="from the fitted curve")
    return axes


def published_agreement(beside, table):
    """Our value beside the study's own, one panel per row of the table; the line is equality.

    Parameters
    ----------
    beside : DataFrame
        Of `repeats.beside_published`; at most 3,000 points of a panel are drawn.
    table : DataFrame
        Of `repeats.agreement`.

    Returns
    -------
    ndarray of Axes
    """
    size = (12.5, 2.3 * max(1, -(-len(table) // 6)))
    axes = _panels(len(table), 6, figsize=size)
    by_summary = ["measure", "sheet", "assay"]
    for ax, row in zip(axes, table.itertuples(), strict=False):
        mine = beside[(beside[by_summary] == [row.measure, row.sheet, row.assay]).all(axis=1)]
        mine = mine[np.isfinite(mine.ours) & np.isfinite(mine.theirs)]
        mine = mine.sample(min(MOST_POINTS, len(mine)), random_state=0)
        style = dict(s=3, lw=0, alpha=max(0.08, min(0.6, 400 / len(mine))), rasterized=True)
        ax.scatter(mine.theirs, mine.ours, color=STUDY_COLOURS[row.study], **style)
        if row.measure not in OTHER_SCALE:
            low, high = mine.theirs.quantile([0.001, 0.999])
            margin = 0.12 * (high - low)
            ax.plot([low, high], [low, high], color="black", lw=0.7)
            ax.set_xlim(low - margin, high + margin)
            ax.set_ylim(low - 2 * margin, high + 2 * margin)
        numbers = f"ρ = {row.spearman:.2f}, n = {row.n:,}; ours: {row.our_column}"
        ax.set_title(f"{row.sheet}: {row.measure}\n{numbers}", fontsize="xx-small")
        ax.tick_params(labelsize="x-small")
    axes[0].figure.supxlabel("the study's own value, on our scale", fontsize="medium")
    axes[0].figure.supylabel("ours", fontsize="medium")
    return axes


def replicate_scatter(pairs, table):
    """Two AUC of one line and drug: within an assay, between assays, between studies.

    Parameters
    ----------
    pairs, table : DataFrame
        Of `repeats.replicate_pairs` and `repeats.replicate_agreement`.

    Returns
    -------
    ndarray of Axes, shape (3,)
    """
    axes = plt.subplots(1, 3, figsize=(10, 3.5), sharex=True, sharey=True)[1]
    for ax, level in zip(axes, LEVELS, strict=True):
        mine = pairs[pairs.level == level].sample(frac=1, random_state=0)
        mine = mine.drop_duplicates(["cell_id", "drug_id", "assay_1", "assay_2"])
        colours = mine.study_1.map(STUDY_COLOURS)
        ax.scatter(mine.value_1, mine.value_2, s=6, lw=0, alpha=0.35, c=colours, rasterized=True)
        ax.axline((0.5, 0.5), slope=1, color="black", lw=0.7)
        shares = table.variance_share[table.level == level].dropna()
        span = "n too small"
        if len(shares):
            ends = sorted({f"{shares.min():.2f}", f"{shares.max():.2f}"})
            span = " to ".join(ends)
        ax.set_title(f"{level}: {len(mine):,} pairs\nvariance shared {span}", fontsize="small")
    axes[0].set(xlabel="AUC, one curve", ylabel="AUC, another of the same line and drug")
    axes[0].set(xlim=(0.05, 1.02), ylim=(0.05, 1.02))
    for study in pairs.study_1.unique():
        axes[2].scatter([], [], color=STUDY_COLOURS[study], s=20, label=study)
    legend = dict(title="first of the two", title_fontsize="x-small")
    axes[2].legend(fontsize="x-small", loc="lower right", **legend)
    return axes


def target_choice(table, names):
    """R² and MCC of the mean of a drug on unseen lines, by study and target.

    Parameters
    ----------
    table : DataFrame
        Of `targets.scores_without_features`; studies without a score are left out.
    names : dict of str to str
        Target to its name in the legend, at most four.

    Returns
    -------
    ndarray of Axes, shape (2,)
    """
    mine = table[(table.split == "on_cell") & table.target.isin(list(names))]
    mine = mine[mine.groupby("study", observed=True).r2.transform("max") > 0]
    studies = list(mine.study.unique())
    axes = plt.subplots(1, 2, figsize=(9, 0.5 * len(studies) + 1.8), sharey=True)[1]
    for ax, metric in zip(axes, ("r2", "mcc"), strict=True):
        wide = mine.pivot(index="study", columns="target", values=metric).reindex(studies)
        ax.hlines(studies, wide.min(axis=1), wide.max(axis=1), color=GREY, lw=1)
        for (target, name), marker in zip(names.items(), "osD^", strict=False):
            ax.plot(wide[target], studies, marker, mfc="white", ms=7, label=name)
        ax.set(xlim=(-0.05, 1), xlabel=f"{METRIC_NAMES[metric]} of the mean of the drug")
    axes[1].set_xlabel(f"{METRIC_NAMES['mcc']} at {CUTOFF:g}")
    axes[0].invert_yaxis()
    handles = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(*handles, loc="outside upper center", ncol=4, fontsize="small")
    return axes
