"""Figures of notebook 02: curves, quality of their fits, end points, agreement of repeats.

A function returns its figure, or a sentence that says why there is none.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from lib import style
from lib.hill.curve import AUC_HIGH, AUC_LOW, auc, growth_at, ic50
from lib.hill.endpoints import in_micromolar
from lib.hill.quality import QUANTITIES
from lib.hill.repeats import LEVELS, MEASURES, finite
from lib.paper import METRIC_NAMES, RESPONDER
from lib.style import AMBER, BLUE, GREEN, GREY, INK, STUDY_COLOURS, studies_in

N_COLUMNS = 4
LEAST_R2 = -0.5  # where the axes of R2 end
OURS = {
    "auc1": "AUC over the doses tested",
    "aac1": "1 − AUC over the doses tested",
    "ic50": "IC50 [−log10 M]",
    "pec50": "EC50 [−log10 M]",
}
OTHER_SCALE = ("ctrp_auc", "gr_aoc", "gr50_um")  # summaries that measure another thing than ours
MOST_POINTS = 3000
DOSES_SHOWN = (10.5, 1.9)
LINE = dict(color=INK, lw=0.7)
POINTS = dict(lw=0, alpha=0.35, rasterized=True)
DOSE = "dose [−log10 M], weak to strong"


def _grid(n, height, **options):
    """A figure of n panels, at most N_COLUMNS a row, and their axes."""
    width = min(n, N_COLUMNS)
    n_rows = -(-n // N_COLUMNS)
    size = (2.9 * width if n > 1 else 6, height * n_rows)
    figure, axes = plt.subplots(n_rows, width, squeeze=False, figsize=size, **options)
    for ax in axes.flat[n:]:
        ax.set_visible(False)
    return figure, axes.flat[:n]


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
    ax.fill_between(dose, growth, color=BLUE, alpha=0.25, label="the area behind the AUC")
    ax.plot(dose, growth, color=INK)
    ax.plot(pec50, (1 + einf) / 2, "D", color=INK, label="EC50")
    ax.plot(half, 0.5, "o", color=INK, mfc="white", label="IC50")
    ax.legend(**style.RIGHT)
    words = f"IC50 {half:.1f}" if np.isfinite(half) else "no IC50"
    ax.set(
        xlim=(AUC_HIGH, AUC_LOW),
        ylim=(0, 1.05),
        ylabel="growth (1 = untreated)",
        xlabel=DOSE,
        title=f"AUC {auc(einf, pec50, hs):.2f}, {words}",
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
    Figure or str
    """
    if not curves:
        return "no curve has a fit"
    figure, axes = _grid(len(curves), 2.6, sharex=True, sharey=True)
    for ax, (title, curve_id) in zip(axes, curves.items(), strict=True):
        points = responses[responses.curve_id == curve_id]
        _hill_curve(points, fits[fits.curve_id == curve_id].iloc[0], ax)
        ax.set_title(title, fontsize="small", fontweight="bold")
    figure.supxlabel(DOSE, fontsize="medium")
    figure.supylabel("growth (1 = untreated)", fontsize="medium")
    return style.tell(
        figure,
        f"The same three numbers describe {len(curves)} kinds of response, not all of them well",
        "Measured growth (circles) and the fitted Hill curve, a line where doses were measured "
        "and dashes beyond, with the half-effect dose where it was tested (diamond). An IC50 with "
        "> or < is a bound.",
    )


def _hill_curve(points, fit, ax):
    """One dose series: points, fitted curve (dashed beyond the doses), half-effect dose."""
    colour = STUDY_COLOURS.get(fit.study, INK)
    dose = np.linspace(*DOSES_SHOWN, 400)
    curve = growth_at(dose, fit.einf, fit.pec50, fit.hs)
    inside = (dose >= fit.dose_strong) & (dose <= fit.dose_weak)
    ax.axhline(1, color=GREY, lw=0.6)
    ax.plot(dose, curve, color=colour, lw=1, ls=(0, (3, 2)))
    ax.plot(dose[inside], curve[inside], color=colour, lw=2)
    ax.plot(points.dose, points.growth, "o", color=INK, ms=4, mfc="white")
    if fit.pec50_censor == "":
        ax.plot(fit.pec50, (1 + fit.einf) / 2, "D", color=colour, ms=5)
    words = f"{fit.study}, no fit:\n{fit.reason}"
    if fit.converged:
        ic50 = in_micromolar(fit.ic50, fit.ic50_censor)
        words = f"{fit.study}, AUC {fit.auc:.2f}, IC50 {ic50} µM\n"
        words += f"R² {fit.r2fit:.2f}, slope {fit.hs:.2f}".replace("-0.00", "0.00")
    ax.text(0.03, 0.04, words, transform=ax.transAxes, fontsize="small", va="bottom")
    ax.set(xlim=DOSES_SHOWN, ylim=(-0.35, 1.5))


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
    Figure or str
    """
    studies = studies_in(fits.study)
    if not studies:
        return "no curve was fitted"
    means = table[table.statistic == "mean"].set_index(["quantity", "study"])
    figure, axes = _grid(len(QUANTITIES), 4)
    for ax, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        look = dict(hue="study", palette=STUDY_COLOURS, width=0.6, whis=(5, 95), fliersize=0)
        sns.boxplot(fits, x="study", y=quantity, order=studies, ax=ax, **look)
        mean = means.loc[quantity].reindex(studies)
        ax.plot(studies, mean.published, "_", color=INK, ms=22, mew=2.5, label="paper, mean")
        ours = mean.ours.clip(lower=LEAST_R2)
        ax.plot(studies, ours, "d", color="white", mec=INK, label="ours, mean", clip_on=False)
        for study, value in mean.ours[mean.ours < LEAST_R2].items():
            ax.annotate(f"  {value:.2f}", (study, LEAST_R2), fontsize="small")
        if quantity.startswith("r2"):
            ax.set_ylim(LEAST_R2, 1.05)
        ax.set(xlabel="", ylabel=label)
        ax.tick_params(axis="x", labelsize="small", rotation=45)
    style.legend_below(figure, axes[0], ncol=2)
    return style.tell(
        figure,
        f"Mean R² by study: {style.span(means.ours['r2fit'], '{:.2f}')} against growth as fitted, "
        f"{style.span(means.ours['r2fit_raw'], '{:.2f}')} as measured",
        "R² in two ways, plateau and slope of the fits of each study: boxes are quartiles, "
        "whiskers the 5th to the 95th percentile; bars the paper's printed mean, diamonds ours, "
        f"with its value where it lies below the axis. {len(fits):,} curves. The paper prints one "
        "R², which can be either. Numbers: `nb02_table7.csv`.",
    )


def filtered_areas(fits, kept):
    """AUC of the curves that the Uno pipeline's filter keeps and removes, by study.

    Parameters
    ----------
    fits : DataFrame
        Screened curves.
    kept : Series of bool

    Returns
    -------
    Figure or str
    """
    studies = studies_in(fits.study)
    if not studies:
        return "no curve was fitted"
    figure, axes = plt.subplots(1, len(studies), figsize=(10, 2.8), sharex=True, squeeze=False)
    bins = np.linspace(0.1, 1, 37)
    for ax, study in zip(axes[0], studies, strict=True):
        mine = fits.study == study
        parts = [fits.auc[mine & kept], fits.auc[mine & ~kept]]
        ax.hist(parts, bins, stacked=True, color=[BLUE, AMBER], label=["kept", "removed"])
        ax.set(title=f"{study}, n = {mine.sum():,}", xlabel="AUC over 4–10")
    axes[0][0].set_ylabel("curves")
    style.legend_below(figure, axes[0][0], ncol=2)
    gone = fits.auc[~kept]
    return style.tell(
        figure,
        f"The filter removes {len(gone) / len(fits):.0%} of the curves, with a median AUC of "
        f"{gone.median():.2f}",
        "AUC of the curves that the Uno pipeline's filter keeps and removes, by study; the scales "
        "of the counts differ. The filter asks for R2fit ≥ 0.3 and EC50se ≤ 3. Numbers: "
        "`nb02_filter.csv`.",
    )


def end_points(found):
    """Interpolated end points of each curve, and beside them where the fitted curve passes.

    Parameters
    ----------
    found : DataFrame
        Of `endpoints.end_points`.

    Returns
    -------
    Figure or str
    """
    if found.empty:
        return "no curve has a time-zero value"
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), width_ratios=(3, 2))
    order = found[found.end_point == "GI50"].set_index("curve_id").dose.rank(method="first")
    between = found.censor == ""
    value = np.where(between, "read off", "a bound")
    found = found.assign(curve=found.curve_id.map(order), value=value)
    found = found.rename(columns={"end_point": "end point"})
    look = dict(x="dose", hue="end point", s=30, palette=(BLUE, AMBER, GREEN))
    markers = {"read off": "o", "a bound": "X"}
    sns.scatterplot(found, y="curve", style="value", markers=markers, ax=left, **look)
    sns.scatterplot(found[between], y="fitted", legend=False, ax=right, **look)
    left.legend(**style.RIGHT)
    left.set(xlabel=DOSE, ylabel="curves, sorted by GI50", yticks=[])
    left.invert_xaxis()
    right.axline((6, 6), slope=1, **LINE)
    right.set(
        xlabel="read off between two doses [−log10 M]", ylabel="by the fitted curve [−log10 M]"
    )
    shares = between.groupby(found["end point"], sort=False).mean()
    told = [f"{name} {share:.0%}" for name, share in shares.items()]
    return style.tell(
        figure,
        f"Share of curves that pass each level between two doses: {', '.join(told)}",
        f"GI50, TGI and LC50 of {len(order):,} curves with time-zero values (crosses are bounds), "
        "and beside them where the fitted curve passes the same level. Numbers: "
        "`nb02_end_points.csv`.",
    )


def published_agreement(beside, table):
    """Our value beside the study's own, one panel per row of the table; the line is equality.

    Parameters
    ----------
    beside : DataFrame
        Of `repeats.beside_published`; at most 3,000 points of a panel are drawn.
    table : DataFrame
        Rows of `repeats.agreement` with a rank correlation.

    Returns
    -------
    Figure or str
    """
    if table.empty:
        return "no study has published a summary of these curves"
    figure, axes = _grid(len(table), 3.1)
    beside = finite(beside)
    for ax, row in zip(axes, table.itertuples(), strict=True):
        mine = beside[(beside.sheet == row.sheet) & (beside.measure == row.measure)]
        mine = mine.sample(min(MOST_POINTS, len(mine)), random_state=0)
        ax.scatter(mine.theirs, mine.ours, s=4, color=STUDY_COLOURS[row.study], **POINTS)
        if row.measure not in OTHER_SCALE:
            ax.set_xlim(ax.get_ylim())
            ax.axline((mine.ours.mean(), mine.ours.mean()), slope=1, **LINE)
        ax.set_title(f"{row.assay}: ρ = {row.spearman:.2f}, n = {row.n:,}", fontsize="small")
        ax.set_xlabel(f"{row.study}: {MEASURES[row.measure][2]}", fontsize="small")
        ax.set_ylabel(f"ours: {OURS[row.our_column]}", fontsize="small")
    return style.tell(
        figure,
        "Rank correlation of our values with the studies' own: ρ "
        f"{style.span(table.spearman, '{:.2f}')}",
        "Summaries that the studies published (across) beside ours of the same curves (up), "
        "weakest rank correlation ρ first; the line is equality where both measure one thing. At "
        f"most {MOST_POINTS:,} points a panel. Numbers: `nb02_agreement.csv`.",
    )


def replicate_scatter(pairs, table):
    """Two AUC of one line and drug: within an assay, between assays, between studies.

    Parameters
    ----------
    pairs, table : DataFrame
        Of `repeats.replicate_pairs` and `repeats.replicate_agreement`.

    Returns
    -------
    Figure or str
    """
    levels = [level for level in LEVELS if (pairs.level == level).any()]
    if not levels:
        return "no line and drug were measured twice"
    figure, axes = _grid(len(levels), 3.6, sharex=True, sharey=True)
    told = []
    for ax, level in zip(axes, levels, strict=True):
        mine = pairs[pairs.level == level].sample(frac=1, random_state=0)
        mine = mine.drop_duplicates("cell_id drug_id assay_1 assay_2".split())
        ax.scatter(mine.value_1, mine.value_2, s=8, c=mine.study_1.map(STUDY_COLOURS), **POINTS)
        ax.axline((0.5, 0.5), slope=1, **LINE)
        shares = table.variance_share[table.level == level]
        told.append(f"{level} {style.span(shares, '{:.0%}') or 'n too small'}")
        ax.set_title(f"{level}, {len(mine):,} pairs")
        ax.set(xlabel="AUC, one curve", xlim=(0.05, 1.02), ylim=(0.05, 1.02))
    axes[0].set_ylabel("AUC, another curve")
    for study in studies_in(pairs.study_1):
        axes[0].plot([], [], "o", color=STUDY_COLOURS[study], label=f"{study} (first curve)")
    style.legend_below(figure, axes[0], ncol=5)
    return style.tell(
        figure,
        f"Variance that two measurements of a line and a drug share: {', '.join(told)}",
        "AUC of one curve against another of the same line and drug, one point per line, drug and "
        "pair of assays. The range is over pairs of assays. What two measurements do not share no "
        "feature can explain. Numbers: `nb02_replicates.csv`.",
    )


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
    Figure or str
    """
    mine = table[(table.split == "on_cell") & table.target.isin(list(names))]
    mine = mine[mine.groupby("study", observed=True).r2.transform("max") > 0]
    if mine.empty:
        return "the mean of a drug scores nothing on any study"
    figure, axes = plt.subplots(1, 2, figsize=(10, 0.45 * mine.study.nunique() + 1.6), sharey=True)
    mine = mine.assign(target=mine.target.map(names))
    look = dict(y="study", hue="target", style="target", s=70, palette="dark")
    sns.scatterplot(mine, x="r2", ax=axes[0], legend=False, **look)
    sns.scatterplot(mine, x="mcc", ax=axes[1], **look)
    axes[0].set(xlim=(-0.05, 1), ylabel="", xlabel=METRIC_NAMES["r2"])
    axes[1].set(xlim=(-0.05, 1), xlabel=f"{METRIC_NAMES['mcc']}, responder at AUC ≤ {RESPONDER:g}")
    axes[1].legend(title="area over the", **style.RIGHT)
    return style.tell(
        figure,
        "Without any feature, the mean of a drug has R² "
        f"{style.span(mine.r2, '{:.2f}')} on unseen lines, by study and target",
        "R² and MCC of the mean of a drug over the training lines, on unseen lines, by study and "
        "by the doses that the area is taken over; three folds, the same rows for every target. "
        "What it reaches belongs to the target and not to a feature.",
    )
