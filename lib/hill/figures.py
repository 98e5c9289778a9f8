"""Figures of notebook 02: curves, the quality of their fits, the agreement of repeats."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from lib.style import GREY, STUDY_COLOURS


def hill_curves(responses, fits, curves, n_columns=4):
    """Measured doses and fitted curve of some dose series, side by side.

    Parameters
    ----------
    responses, fits : DataFrame
    curves : dict of str to str
        Title to curve_id.
    n_columns : int

    Returns
    -------
    ndarray of Axes
    """
    n_columns = max(1, min(n_columns, len(curves)))
    n_rows = max(1, -(-len(curves) // n_columns))
    size = (2.9 * n_columns, 2.6 * n_rows)
    axes = plt.subplots(n_rows, n_columns, figsize=size, sharex=True, sharey=True, squeeze=False)[
        1
    ].ravel()
    for ax, (title, curve_id) in zip(axes, curves.items(), strict=False):
        hill_curve(
            responses[responses.curve_id == curve_id], fits[fits.curve_id == curve_id].iloc[0], ax
        )
        ax.set_title(title, fontsize="small", fontweight="bold")
    for ax in axes[len(curves) :]:
        ax.set_visible(False)
    figure = axes[0].figure
    figure.supxlabel("dose, −log10(M): weak to strong", fontsize="medium")
    figure.supylabel("growth (1 = untreated)", fontsize="medium")
    return axes


def hill_curve(points, fit, ax=None):
    """One dose series: points, fitted curve (dashed beyond the doses measured), half-effect dose.

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
    from lib.hill import fit as hill_fit

    ax = plt.subplots(figsize=(4, 3.2))[1] if ax is None else ax
    colour, dose = STUDY_COLOURS.get(fit.study, "#000000"), np.linspace(10.5, 3.5, 400)
    curve = hill_fit.growth_at(dose, fit.einf, fit.pec50, fit.hs)
    inside = (dose >= fit.dose_strong) & (dose <= fit.dose_weak)
    ax.axhline(1, color=GREY, lw=0.6)
    ax.plot(dose, curve, color=colour, lw=1, ls=(0, (3, 2)))
    ax.plot(dose[inside], curve[inside], color=colour, lw=2)
    ax.plot(points.dose, points.growth, "o", color="#000000", ms=4, mfc="white")
    if 3.5 < fit.pec50 < 10.5 and fit.hs > 0:
        ax.plot(fit.pec50, (1 + fit.einf) / 2, "D", color=colour, ms=5)
    words = f"{fit.study}, AUC {fit.auc:.2f}\nR² {fit.r2fit:.2f}, slope {fit.hs:.2f}".replace(
        "-0.00", "0.00"
    )
    words = words if np.isfinite(fit.auc) else f"{fit.study}, no fit:\n{fit.reason}"
    ax.text(0.03, 0.04, words, transform=ax.transAxes, fontsize="x-small", va="bottom")
    ax.set(xlim=(10.5, 3.5), ylim=(-0.25, 1.5))
    return ax


def fit_quality(fits, table, lowest=-0.5):
    """Table 7 as boxes: both R2, plateau and slope of the fits of each study, with the paper's printed means.

    Parameters
    ----------
    fits : DataFrame
        Screened curves.
    table : DataFrame
        Of `fits.table7`.
    lowest : float
        Where the axes of R2 end; the share of curves below is printed, and a mean below is drawn on that end.

    Returns
    -------
    ndarray of Axes, shape (4,)
    """
    from lib.hill.quality import r2_clipped

    fits = fits.assign(r2clip=r2_clipped(fits))
    names = dict(r2fit="R², growth as measured", r2clip="R², growth clipped to 0–1")
    names |= dict(einf="E∞ (growth at infinite dose)", hs="HS (Hill slope)")
    studies = [study for study in STUDY_COLOURS if (fits.study == study).any()]
    axes = plt.subplots(1, 4, figsize=(11.5, 3.6))[1]
    for ax, (metric, label) in zip(axes, names.items(), strict=True):
        palette = dict(hue="study", hue_order=studies, palette=STUDY_COLOURS, legend=False)
        sns.boxplot(
            fits,
            x="study",
            y=metric,
            order=studies,
            **palette,
            width=0.6,
            showfliers=False,
            whis=(5, 95),
            ax=ax,
        )
        printed = table[table.metric == metric].set_index("study").reindex(studies)
        ax.plot(
            range(len(studies)),
            printed.published_mean,
            "_",
            color="black",
            ms=22,
            mew=2.5,
            label="paper, mean",
        )
        shown = printed["mean"].clip(lower=lowest)
        ax.plot(
            range(len(studies)),
            shown,
            "d",
            color="white",
            mec="black",
            ms=5,
            label="ours, mean",
            clip_on=False,
        )
        ax.set(xlabel="", ylabel=label)
    for ax, metric in zip(axes[:2], names, strict=False):
        below = [(fits.loc[fits.study == study, metric] < lowest).mean() for study in studies]
        ax.set_ylim(lowest, 1.05)
        ax.set_xticks(
            range(len(studies)), [f"{s}\n{b:.0%}" for s, b in zip(studies, below, strict=True)]
        )
        ax.set_xlabel(f"share of curves below {lowest:g}", fontsize="x-small")
    for ax in axes:
        ax.tick_params(axis="x", labelsize="x-small")
    axes[1].figure.legend(
        *axes[1].get_legend_handles_labels(), loc="outside upper center", ncol=2, fontsize="small"
    )
    return axes


def filtered_areas(fits, kept):
    """AUC of the curves that the lineage's filter keeps and removes, by study.

    Parameters
    ----------
    fits : DataFrame
        Screened curves.
    kept : Series of bool

    Returns
    -------
    ndarray of Axes
    """
    studies = [study for study in STUDY_COLOURS if (fits.study == study).any()]
    axes = plt.subplots(
        1, len(studies), figsize=(2.4 * len(studies), 2.6), sharex=True, squeeze=False
    )[1].ravel()
    bins = np.linspace(0.1, 1, 37)
    for ax, study in zip(axes, studies, strict=True):
        mine = fits.study == study
        parts = [fits.auc[mine & kept], fits.auc[mine & ~kept]]
        ax.hist(
            parts,
            bins,
            stacked=True,
            color=[STUDY_COLOURS[study], "#333333"],
            label=["kept", "removed"],
        )
        ax.set_title(f"{study}, n = {mine.sum():,}", fontsize="small")
        ax.set(yticks=[], xlim=(0.1, 1))
        ax.spines["left"].set_visible(False)
    axes[0].legend(fontsize="x-small", loc="upper left", handlelength=1)
    axes[0].set_ylabel("curves")
    axes[0].figure.supxlabel("AUC over 4–10 (1 = no response)", fontsize="medium")
    return axes


def published_agreement(beside, table):
    """Our value beside the study's own, one panel per row of the table (3,000 points at most); the line is equality.

    Parameters
    ----------
    beside : DataFrame
        Of `agreement.beside_published`.
    table : DataFrame
        Of `agreement.agreement`.

    Returns
    -------
    ndarray of Axes
    """
    n_columns = 6
    n_rows = max(1, -(-len(table) // n_columns))
    axes = plt.subplots(n_rows, n_columns, figsize=(12.5, 2.3 * n_rows), squeeze=False)[1].ravel()
    for ax, row in zip(axes, table.itertuples(), strict=False):
        mine = beside[
            (beside.measure == row.measure)
            & (beside.sheet == row.sheet)
            & (beside.assay == row.assay)
        ]
        mine = mine[np.isfinite(mine.ours) & np.isfinite(mine.theirs)]
        mine = mine.sample(min(3000, len(mine)), random_state=0)
        style = dict(s=3, lw=0, alpha=max(0.08, min(0.6, 400 / len(mine))), rasterized=True)
        ax.scatter(mine.theirs, mine.ours, color=STUDY_COLOURS[row.study], **style)
        if row.measure not in ("ctrp_auc", "gr_aoc", "gr50_um"):
            ends = mine.theirs.quantile([0.001, 0.999]).to_numpy()
            margin = 0.12 * (ends[1] - ends[0])
            ax.plot(ends, ends, color="black", lw=0.7)
            ax.set(
                xlim=(ends[0] - margin, ends[1] + margin),
                ylim=(ends[0] - 2 * margin, ends[1] + 2 * margin),
            )
        words = f"{row.sheet}: {row.measure}\nρ = {row.spearman:.2f}, n = {row.n:,}; ours: {row.our_column}"
        ax.set_title(words.replace("nan", "–"), fontsize="xx-small")
        ax.tick_params(labelsize="x-small")
    for ax in axes[len(table) :]:
        ax.set_visible(False)
    axes[0].figure.supxlabel("the study's own value, on our scale", fontsize="medium")
    axes[0].figure.supylabel("ours", fontsize="medium")
    return axes


def replicate_scatter(pairs, table):
    """Two measurements of the AUC of one line and drug: within an assay, between assays, between studies.

    Parameters
    ----------
    pairs, table : DataFrame
        Of `replicates.replicate_pairs` and `replicates.replicate_agreement`.

    Returns
    -------
    ndarray of Axes, shape (3,)
    """
    levels = ["same assay", "same study", "other study"]
    axes = plt.subplots(1, 3, figsize=(10, 3.5), sharex=True, sharey=True)[1]
    for ax, level in zip(axes, levels, strict=True):
        mine = pairs[pairs.level == level].sample(frac=1, random_state=0)
        mine = mine.drop_duplicates(["cell_id", "drug_id", "assay_1", "assay_2"])
        colours = mine.study_1.map(STUDY_COLOURS)
        ax.scatter(mine.value_1, mine.value_2, s=6, lw=0, alpha=0.35, c=colours, rasterized=True)
        ax.axline((0.5, 0.5), slope=1, color="black", lw=0.7)
        shares = table.variance_share[(table.level == level) & table.variance_share.notna()].round(
            2
        )
        span = (
            " to ".join(f"{share:.2f}" for share in sorted({shares.min(), shares.max()}))
            if len(shares)
            else "n too small"
        )
        ax.set_title(f"{level}: {len(mine):,} pairs\nvariance shared {span}", fontsize="small")
    axes[0].set(
        xlabel="AUC, one curve",
        ylabel="AUC, another of the same line and drug",
        xlim=(0.05, 1.02),
        ylim=(0.05, 1.02),
    )
    for study, colour in STUDY_COLOURS.items():
        if (pairs.study_1 == study).any():
            axes[2].scatter([], [], color=colour, s=20, label=study)
    axes[2].legend(
        fontsize="x-small", loc="lower right", title="first of the two", title_fontsize="x-small"
    )
    return axes
