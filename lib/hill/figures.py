"""Figures of notebook 02: curves, quality of their fits, end points, agreement of repeats."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from lib.hill.curve import AUC_HIGH, AUC_LOW, auc, growth_at, ic50
from lib.hill.endpoints import in_micromolar
from lib.hill.repeats import LEVELS
from lib.hill.targets import CUTOFF
from lib.paper import METRIC_NAMES
from lib.style import GREY, SKY, STUDY_COLOURS

N_COLUMNS = 4
LEAST_R2 = -0.5  # where the axes of R2 end
QUANTITIES = {
    "r2fit": "R², growth clipped to 0–1 as fitted",
    "r2fit_raw": "R², growth as measured",
    "einf": "E∞ (growth at infinite dose)",
    "hs": "HS (Hill slope)",
}
OURS = {
    "auc1": "AUC over the doses tested",
    "aac1": "1 − AUC over the doses tested",
    "ic50": "IC50, −log10(M)",
    "pec50": "EC50, −log10(M)",
}
OTHER_SCALE = ("ctrp_auc", "gr_aoc", "gr50_um")  # summaries that measure another thing than ours
MOST_POINTS = 3000
DOSES_SHOWN = (10.5, 1.9)
LINE = dict(color="black", lw=0.7)
RIGHT = dict(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))  # a legend beside its axes


def _row(n, height=3.0, **options):
    """n axes side by side, at least one."""
    n = max(1, n)
    size = (2.9 * n, height)
    return plt.subplots(1, n, squeeze=False, figsize=size, **options)[1].ravel()


def _studies(fits):
    return [study for study in STUDY_COLOURS if (fits.study == study).any()]


def one_curve(einf, pec50, hs):
    """A Hill curve, the area that is its AUC over 4–10, and where its EC50 and IC50 lie.

    Parameters
    ----------
    einf, pec50, hs : float

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(6, 3.4))[1]
    dose = np.linspace(AUC_HIGH, AUC_LOW, 300)
    growth = growth_at(dose, einf, pec50, hs)
    half = ic50(einf, pec50, hs)
    ax.fill_between(dose, growth, color=SKY, alpha=0.4, label="the area behind the AUC")
    ax.plot(dose, growth, color="black")
    ax.plot(pec50, (1 + einf) / 2, "D", color="black", label="EC50")
    ax.plot(half, 0.5, "o", color="black", mfc="white", label="IC50")
    ax.legend(**RIGHT)
    words = f"IC50 {half:.1f}" if np.isfinite(half) else "no IC50"
    ax.set(xlim=(AUC_HIGH, AUC_LOW), ylim=(0, 1.05), ylabel="growth (1 = untreated)")
    ax.set(
        xlabel="dose, −log10(M): weak to strong", title=f"AUC {auc(einf, pec50, hs):.2f}, {words}"
    )
    return ax


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
    n_rows = max(1, -(-len(curves) // N_COLUMNS))
    size = (2.9 * N_COLUMNS, 2.6 * n_rows)
    figure, axes = plt.subplots(n_rows, N_COLUMNS, figsize=size, sharex=True, sharey=True)
    axes = axes.ravel()
    for ax in axes[len(curves) :]:
        ax.set_visible(False)
    for ax, (title, curve_id) in zip(axes, curves.items(), strict=False):
        points = responses[responses.curve_id == curve_id]
        hill_curve(points, fits[fits.curve_id == curve_id].iloc[0], ax)
        ax.set_title(title, fontsize="small", fontweight="bold")
    figure.supxlabel("dose, −log10(M): weak to strong", fontsize="medium")
    figure.supylabel("growth (1 = untreated)", fontsize="medium")
    return axes


def hill_curve(points, fit, ax):
    """One dose series: points, fitted curve (dashed beyond the doses), half-effect dose if tested.

    Parameters
    ----------
    points : DataFrame
        `dose` and `growth` of one curve.
    fit : Series
        Its row of the `fits` table.
    ax : Axes

    Returns
    -------
    Axes
    """
    colour = STUDY_COLOURS.get(fit.study, "black")
    dose = np.linspace(*DOSES_SHOWN, 400)
    curve = growth_at(dose, fit.einf, fit.pec50, fit.hs)
    inside = (dose >= fit.dose_strong) & (dose <= fit.dose_weak)
    ax.axhline(1, color=GREY, lw=0.6)
    ax.plot(dose, curve, color=colour, lw=1, ls=(0, (3, 2)))
    ax.plot(dose[inside], curve[inside], color=colour, lw=2)
    ax.plot(points.dose, points.growth, "o", color="black", ms=4, mfc="white")
    if fit.pec50_censor == "":
        ax.plot(fit.pec50, (1 + fit.einf) / 2, "D", color=colour, ms=5)
    words = f"{fit.study}, no fit:\n{fit.reason}"
    if fit.converged:
        words = (
            f"{fit.study}, AUC {fit.auc:.2f}, IC50 {in_micromolar(fit.ic50, fit.ic50_censor)} µM"
        )
        words += f"\nR² {fit.r2fit:.2f}, slope {fit.hs:.2f}".replace("-0.00", "0.00")
    ax.text(0.03, 0.04, words, transform=ax.transAxes, fontsize="x-small", va="bottom")
    ax.set(xlim=DOSES_SHOWN, ylim=(-0.25, 1.5))
    return ax


def fit_quality(fits, table):
    """Table 7 as boxes: both R2, plateau and slope of each study, with the paper's printed means.

    Parameters
    ----------
    fits : DataFrame
        Screened curves.
    table : DataFrame
        Of `quality.table7`. A mean of R2 below its axis stands on the axis' end, with its value.

    Returns
    -------
    ndarray of Axes, shape (4,)
    """
    studies = _studies(fits)
    means = table[table.statistic == "mean"].set_index(["quantity", "study"])
    axes = _row(len(QUANTITIES), 3.8)
    style = dict(hue="study", palette=STUDY_COLOURS, legend=False, width=0.6, whis=(5, 95))
    for ax, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        sns.boxplot(fits, x="study", y=quantity, order=studies, ax=ax, showfliers=False, **style)
        mean = means.loc[quantity].reindex(studies)
        ax.plot(studies, mean.published, "_", color="black", ms=22, mew=2.5, label="paper, mean")
        marks = dict(color="white", mec="black", ms=6, clip_on=False)
        ax.plot(studies, mean.ours.clip(lower=LEAST_R2), "d", label="ours, mean", **marks)
        for study, value in mean.ours[mean.ours < LEAST_R2].items():
            ax.annotate(f" {value:.2f}", (study, LEAST_R2), fontsize="small")
        if quantity.startswith("r2"):
            ax.set_ylim(LEAST_R2, 1.05)
        ax.set(xlabel="", ylabel=label)
        ax.tick_params(axis="x", labelsize="x-small")
    handles = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(*handles, loc="outside lower center", ncol=3, fontsize="small")
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
    axes = _row(len(studies), sharex=True)
    colours = {"kept": SKY, "removed": "#333333"}
    fits = fits.assign(filter=kept.map({True: "kept", False: "removed"}))
    style = dict(hue="filter", hue_order=list(colours), palette=colours, multiple="stack")
    for ax, study in zip(axes, studies, strict=False):
        mine = fits[fits.study == study]
        bins = np.linspace(0.1, 1, 37)
        sns.histplot(mine, x="auc", bins=bins, ax=ax, legend=ax is axes[0], **style)
        ax.set_title(f"{study}, n = {len(mine):,}", fontsize="small")
        ax.set(xlabel="AUC over 4–10", ylabel="curves", xlim=(0.1, 1))
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
        Left: doses of one curve on one row, curves sorted by GI50; crosses are bounds, on the first
        or last dose. Right: interpolation against fit, where both exist.
    """
    axes = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2))[1]
    order = found[found.end_point == "GI50"].set_index("curve_id").dose.rank(method="first")
    read = np.where(found.censor == "", "read off", "bound")
    found = found.assign(curve=found.curve_id.map(order), value=read)
    style = dict(x="dose", hue="end_point", s=25)
    markers = {"read off": "o", "bound": "X"}
    sns.scatterplot(found, y="curve", style="value", markers=markers, ax=axes[0], **style)
    between = found[found.value == "read off"]
    sns.scatterplot(between, y="fitted", legend=False, ax=axes[1], **style)
    axes[0].legend(**RIGHT)
    axes[0].set(xlabel="dose, −log10(M)", ylabel="curve, by GI50", yticks=[])
    axes[0].invert_xaxis()
    axes[1].axline((6, 6), slope=1, **LINE)
    axes[1].set(xlabel="by interpolation, −log10(M)", ylabel="from the fitted curve, −log10(M)")
    return axes


def published_agreement(beside, table):
    """Our value beside the study's own, one panel per row of the table; the line is equality.

    Parameters
    ----------
    beside : DataFrame
        Of `repeats.beside_published`; at most 3,000 points of a panel are drawn.
    table : DataFrame
        Rows of `repeats.agreement`.

    Returns
    -------
    ndarray of Axes
    """
    axes = _row(len(table), 3.4)
    beside = beside[np.isfinite(beside[["ours", "theirs"]].astype(float)).all(axis=1)]
    for ax, row in zip(axes, table.itertuples(), strict=False):
        mine = beside[(beside.sheet == row.sheet) & (beside.measure == row.measure)]
        mine = mine.sample(min(MOST_POINTS, len(mine)), random_state=0)
        style = dict(s=4, lw=0, alpha=0.3, rasterized=True)
        ax.scatter(mine.theirs, mine.ours, color=STUDY_COLOURS[row.study], **style)
        if row.measure not in OTHER_SCALE:
            ax.set_xlim(ax.get_ylim())
            ax.axline((mine.ours.mean(), mine.ours.mean()), slope=1, **LINE)
        words = f"{row.study}, {row.measure} of {row.sheet}"
        ax.set_title(f"{words}\nρ = {row.spearman:.2f}, n = {row.n:,}", fontsize="small")
        ax.set(xlabel="the study's value, on our scale", ylabel=f"ours: {OURS[row.our_column]}")
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
    axes = _row(len(LEVELS), 3.6, sharex=True, sharey=True)
    style = dict(hue="study_1", palette=STUDY_COLOURS, s=8, lw=0, alpha=0.35, rasterized=True)
    for ax, level in zip(axes, LEVELS, strict=True):
        mine = pairs[pairs.level == level].sample(frac=1, random_state=0)
        mine = mine.drop_duplicates(["cell_id", "drug_id", "assay_1", "assay_2"])
        sns.scatterplot(mine, x="value_1", y="value_2", ax=ax, legend=ax is axes[-1], **style)
        ax.axline((0.5, 0.5), slope=1, **LINE)
        shares = table.variance_share[table.level == level].dropna()
        ends = sorted({f"{share:.0%}" for share in shares.agg(["min", "max"]).dropna()})
        words = " to ".join(ends) or "n too small"
        ax.set_title(f"{level}: {len(mine):,} pairs\nvariance shared: {words}", fontsize="small")
        ax.set(xlabel="AUC, one curve", ylabel="AUC, another of the same line and drug")
        ax.set(xlim=(0.05, 1.02), ylim=(0.05, 1.02))
    axes[-1].legend(title="study of the first", **RIGHT)
    return axes


def target_choice(table, names):
    """R² and MCC of the mean of a drug on unseen lines, by study and target.

    Parameters
    ----------
    table : DataFrame
        Of `targets.scores_without_features`; studies without a score are left out.
    names : dict of str to str
        Target to its name in the legend.

    Returns
    -------
    ndarray of Axes, shape (2,)
    """
    mine = table[(table.split == "on_cell") & table.target.isin(list(names))]
    mine = mine[mine.groupby("study", observed=True).r2.transform("max") > 0]
    mine = mine.assign(target=mine.target.map(names))
    size = (9, 0.45 * mine.study.nunique() + 1.6)
    axes = plt.subplots(1, 2, figsize=size, sharey=True)[1]
    style = dict(y="study", hue="target", style="target", s=70, alpha=0.8)
    sns.scatterplot(mine, x="r2", ax=axes[0], legend=False, **style)
    sns.scatterplot(mine, x="mcc", ax=axes[1], **style)
    axes[0].set(xlim=(-0.05, 1), ylabel="", xlabel=f"{METRIC_NAMES['r2']} of the mean of the drug")
    axes[1].set(xlim=(-0.05, 1), xlabel=f"{METRIC_NAMES['mcc']} of the same, cutoff {CUTOFF:g}")
    axes[1].legend(title="area over the", **RIGHT)
    return axes
