"""Figures: one function per figure. Each draws on the axes given (or new ones), labels them and returns them.

One colour per study and one marker per split everywhere, from the colour-blind-safe palette of Okabe and Ito (2008).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

STUDY_COLOURS = {
    "CCLE": "#0072B2",
    "CTRP": "#E69F00",
    "GDSC": "#009E73",
    "gCSI": "#CC79A7",
    "NCI-60": "#D55E00",
}
SPLIT_MARKERS = {"on_cell": "o", "on_drug": "s"}
GREY, SKY, YELLOW = "#999999", "#56B4E9", "#F0E442"


def use_style():
    """The look of every figure; called once per notebook."""
    sns.set_theme(context="notebook", style="ticks", font_scale=0.9)
    plt.rcParams |= {
        "figure.dpi": 100,
        "figure.figsize": (7, 4),
        "figure.constrained_layout.use": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "savefig.bbox": "tight",
        "svg.hashsalt": "compendium",  # the same figure gives the same file
    }


def save(figure, folder, name):
    """Write a figure as PNG (150 dpi) and SVG under the paper's numbering.

    Parameters
    ----------
    figure : Figure or Axes
    folder : path
        Made if absent.
    name : str
        File name without ending, for example ``fig2_cross_study``.

    Returns
    -------
    list of Path
    """
    figure = getattr(figure, "figure", figure)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{ending}" for ending in ("png", "svg")]
    figure.savefig(paths[0], dpi=150)
    figure.savefig(paths[1], metadata={"Date": None})
    return paths


# --- notebook 01 ---------------------------------------------------------------------------------------------------


def dose_ranges(responses, low=4.0, high=10.0, ax=None):
    """Tested dose range of every drug by study, beside the fixed range that the AUC is taken over.

    Parameters
    ----------
    responses : DataFrame
        The `responses` table.
    low, high : float
        The fixed range [-log10 M].

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(7, 4.2))[1] if ax is None else ax
    spans = responses.groupby(["study", "drug_id"], observed=True).dose.agg(["min", "max"]).reset_index()
    spans = spans.sort_values(["study", "min", "max"], ascending=[True, False, False]).reset_index(drop=True)
    for study, part in spans.groupby("study", sort=False):
        ax.hlines(part.index, part["min"], part["max"], color=STUDY_COLOURS[study], lw=1.6)
        label = f"{study}: {len(part)}"
        ax.annotate(label, (1.6, part.index.to_numpy().mean()), color=STUDY_COLOURS[study], va="center")
    ax.axvspan(low, high, color=GREY, alpha=0.18, lw=0)
    ax.set(xlabel="dose, −log10(M): weak to strong", ylabel="one line per drug of a study", yticks=[])
    ax.set(xlim=(13.5, -0.5), ylim=(-3, len(spans) + 3))
    return ax


def shared_lines(pairs_of_names, ax=None):
    """Lines that two studies share, as a matrix of counts.

    Parameters
    ----------
    pairs_of_names : DataFrame
        The `cell_names` table.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(5, 4))[1] if ax is None else ax
    sets = pairs_of_names.groupby("study").cell_id.agg(set).reindex(STUDY_COLOURS).dropna()
    counts = pd.DataFrame([[len(a & b) for b in sets] for a in sets], index=sets.index, columns=sets.index)
    mask = np.triu(np.ones_like(counts, bool), k=1)
    sns.heatmap(counts, mask=mask, annot=True, fmt="d", cmap="Blues", cbar=False, square=True, ax=ax)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(left=False, bottom=False)
    return ax


def leak_by_key(leaks, ax=None):
    """Share of test rows whose cell, drug or measured pair is in training too, for a clean and a leaky fold key.

    Parameters
    ----------
    leaks : DataFrame
        Columns `key`, `cell_shared`, `drug_shared`, `pair_shared`, one row per fold.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(7, 3.6))[1] if ax is None else ax
    long = leaks.melt("key", ["cell_shared", "drug_shared", "pair_shared"], "what", "share")
    long["what"] = long.what.map(dict(cell_shared="cell line", drug_shared="drug", pair_shared="line and drug"))
    palette = [GREY, SKY, "#000000"]
    sns.barplot(long, y="key", x="share", hue="what", palette=palette, errorbar=None, ax=ax)
    ax.set(xlabel="test rows whose … is in training too (mean over folds)", ylabel="", xlim=(0, 1))
    ax.legend(title="", loc="lower center", bbox_to_anchor=(0.5, 1), ncol=3)
    return ax


# --- notebook 02 ---------------------------------------------------------------------------------------------------


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
    axes = plt.subplots(n_rows, n_columns, figsize=size, sharex=True, sharey=True, squeeze=False)[1].ravel()
    for ax, (title, curve_id) in zip(axes, curves.items(), strict=False):
        hill_curve(responses[responses.curve_id == curve_id], fits[fits.curve_id == curve_id].iloc[0], ax)
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
    words = f"{fit.study}, AUC {fit.auc:.2f}\nR² {fit.r2fit:.2f}, slope {fit.hs:.2f}".replace("-0.00", "0.00")
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
            fits, x="study", y=metric, order=studies, **palette, width=0.6, showfliers=False, whis=(5, 95), ax=ax
        )
        printed = table[table.metric == metric].set_index("study").reindex(studies)
        ax.plot(range(len(studies)), printed.published_mean, "_", color="black", ms=22, mew=2.5, label="paper, mean")
        shown = printed["mean"].clip(lower=lowest)
        ax.plot(range(len(studies)), shown, "d", color="white", mec="black", ms=5, label="ours, mean", clip_on=False)
        ax.set(xlabel="", ylabel=label)
    for ax, metric in zip(axes[:2], names, strict=False):
        below = [(fits.loc[fits.study == study, metric] < lowest).mean() for study in studies]
        ax.set_ylim(lowest, 1.05)
        ax.set_xticks(range(len(studies)), [f"{s}\n{b:.0%}" for s, b in zip(studies, below, strict=True)])
        ax.set_xlabel(f"share of curves below {lowest:g}", fontsize="x-small")
    for ax in axes:
        ax.tick_params(axis="x", labelsize="x-small")
    axes[1].figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncol=2, fontsize="small")
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
    axes = plt.subplots(1, len(studies), figsize=(2.4 * len(studies), 2.6), sharex=True, squeeze=False)[1].ravel()
    bins = np.linspace(0.1, 1, 37)
    for ax, study in zip(axes, studies, strict=True):
        mine = fits.study == study
        parts = [fits.auc[mine & kept], fits.auc[mine & ~kept]]
        ax.hist(parts, bins, stacked=True, color=[STUDY_COLOURS[study], "#333333"], label=["kept", "removed"])
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
        mine = beside[(beside.measure == row.measure) & (beside.sheet == row.sheet) & (beside.assay == row.assay)]
        mine = mine[np.isfinite(mine.ours) & np.isfinite(mine.theirs)]
        mine = mine.sample(min(3000, len(mine)), random_state=0)
        style = dict(s=3, lw=0, alpha=max(0.08, min(0.6, 400 / len(mine))), rasterized=True)
        ax.scatter(mine.theirs, mine.ours, color=STUDY_COLOURS[row.study], **style)
        if row.measure not in ("ctrp_auc", "gr_aoc", "gr50_um"):
            ends = mine.theirs.quantile([0.001, 0.999]).to_numpy()
            margin = 0.12 * (ends[1] - ends[0])
            ax.plot(ends, ends, color="black", lw=0.7)
            ax.set(xlim=(ends[0] - margin, ends[1] + margin), ylim=(ends[0] - 2 * margin, ends[1] + 2 * margin))
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
        shares = table.variance_share[(table.level == level) & table.variance_share.notna()].round(2)
        span = (
            " to ".join(f"{share:.2f}" for share in sorted({shares.min(), shares.max()}))
            if len(shares)
            else "n too small"
        )
        ax.set_title(f"{level}: {len(mine):,} pairs\nvariance shared {span}", fontsize="small")
    axes[0].set(
        xlabel="AUC, one curve", ylabel="AUC, another of the same line and drug", xlim=(0.05, 1.02), ylim=(0.05, 1.02)
    )
    for study, colour in STUDY_COLOURS.items():
        if (pairs.study_1 == study).any():
            axes[2].scatter([], [], color=colour, s=20, label=study)
    axes[2].legend(fontsize="x-small", loc="lower right", title="first of the two", title_fontsize="x-small")
    return axes


# --- notebook 04 ---------------------------------------------------------------------------------------------------


def block_columns(summary, ax=None):
    """What becomes of the columns of each drug block.

    Parameters
    ----------
    summary : DataFrame
        From `drug_quality.summary`: index block, counts by reason and `kept`.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(7, 0.5 * len(summary) + 1.4))[1] if ax is None else ax
    fates = {"kept": "#0072B2", "constant": "#DDDDDD", "missing": YELLOW, "duplicated": SKY, "extreme": "#D55E00"}
    shares = summary[list(fates)].div(summary["columns"], axis=0).iloc[::-1]
    shares.plot.barh(stacked=True, color=list(fates.values()), width=0.75, ax=ax)
    for y, row in enumerate(summary.iloc[::-1].itertuples()):
        ax.annotate(f"{row.kept:,} of {row[1]:,}", (1.01, y), va="center", fontsize=8, annotation_clip=False)
    ax.set(xlabel="share of the block's columns", ylabel="", xlim=(0, 1))
    ax.legend(title="", loc="lower center", bbox_to_anchor=(0.5, 1), ncol=len(fates))
    return ax


def redundancy_curves(curves, ax=None):
    """How many columns of a block have a near copy in another block.

    Parameters
    ----------
    curves : dict of str to Series
        Label to largest |r| per column (`drug_quality.redundancy`); labels with "chance" are dashed.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(6, 3.8))[1] if ax is None else ax
    colours = ["#0072B2", "#0072B2", "#D55E00", "#D55E00"]
    for (label, values), colour in zip(curves.items(), colours, strict=False):
        style = dict(ls="--", lw=1) if "chance" in label else dict(ls="-", lw=2)
        ax.plot(
            np.sort(values), np.linspace(1, 0, len(values)), color=colour, label=f"{label}: {len(values):,}", **style
        )
    ax.set(xlabel="largest |r| with a column of the other block", ylabel="share of columns at or above")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.legend(title="columns of, n", fontsize=8)
    return ax


def nearest_drugs(neighbours, threshold=0.6, ax=None):
    """Likeness of each drug to the nearest other one: in the panel, and in the training folds of a split by drug.

    Parameters
    ----------
    neighbours : DataFrame
        From `drug_quality.nearest_neighbours` with folds.
    threshold : float
        Tanimoto likeness that the marked line stands at.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(6, 3.6))[1] if ax is None else ax
    n = len(neighbours)
    for column, label, colour in [
        ("tanimoto", "nearest in the panel", "#0072B2"),
        ("across_folds", "nearest in training, when tested", "#D55E00"),
    ]:
        values = neighbours[column]
        label = f"{label}: {(values >= threshold).sum()} of {n} at {threshold:g} or above"
        ax.plot(np.sort(values)[::-1], np.arange(1, n + 1), color=colour, lw=2, label=label)
    ax.axvline(threshold, color=GREY, ls=":", lw=1)
    ax.set(xlabel="Tanimoto likeness (ECFP4)", ylabel="drugs at least so alike", xlim=(0, 1), ylim=(0, n))
    ax.legend(fontsize=8)
    return ax


def drug_pairs(neighbours, drugs, n_pairs=4):
    """Structures of the most similar pairs of drugs, one pair under another.

    Parameters
    ----------
    neighbours : DataFrame
        From `drug_quality.nearest_neighbours`, most alike first.
    drugs : DataFrame
        drug_id and smiles.

    Returns
    -------
    PIL.Image.Image
    """
    from rdkit import Chem
    from rdkit.Chem import Draw

    pair = [frozenset(ids) for ids in zip(neighbours.drug_id, neighbours.nearest_id, strict=True)]
    shown = neighbours[~pd.Series(pair, index=neighbours.index).duplicated()].head(n_pairs)
    smiles = drugs.set_index("drug_id").smiles
    ids = shown[["drug_id", "nearest_id"]].to_numpy().T.ravel()
    names = shown[["drug_name", "nearest_name"]].to_numpy().T.ravel()
    legends = [f"{name} ({t:.2f})" for name, t in zip(names, [*shown.tanimoto] * 2, strict=True)]
    molecules = [Chem.MolFromSmiles(smiles[drug]) for drug in ids]
    return Draw.MolsToGridImage(
        molecules, molsPerRow=len(shown), subImgSize=(230, 190), legends=legends, returnPNG=False
    )


# --- notebook 03 ---------------------------------------------------------------------------------------------------


def source_components(panels, source, tissue, tissues):
    """Figure 5: first two principal components by source, and the same points by tissue.

    Parameters
    ----------
    panels : dict of str to (ndarray of shape (n_profiles, 2 or more), ndarray)
        Title to scores and shares of variance.
    source : array of str, shape (n_profiles,)
    tissue : Series of str, shape (n_profiles,)
    tissues : sequence of str
        Up to four tissues to colour; the others are grey.

    Returns
    -------
    Figure
    """
    figure, axes = plt.subplots(2, len(panels), figsize=(2.6 * len(panels), 5.4), squeeze=False)
    shades = dict(zip(tissues, ["#0072B2", "#E69F00", "#009E73", "#CC79A7"], strict=False))
    order = np.random.default_rng(0).permutation(len(source))  # no source is painted over another
    for column, (title, (points, share)) in zip(axes.T, panels.items(), strict=True):
        colours = [
            pd.Series(source).map(STUDY_COLOURS),
            tissue.reset_index(drop=True).map(shades).fillna("#E5E5E5"),
        ]
        for ax, colour in zip(column, colours, strict=True):
            grey = (colour == "#E5E5E5").to_numpy()[order]
            rows = np.concatenate([order[grey], order[~grey]])
            ax.scatter(
                points[rows, 0], points[rows, 1], c=colour.to_numpy()[rows], s=5, lw=0, alpha=0.8, rasterized=True
            )
            ax.set(xticks=[], yticks=[], xlabel=f"PC 1 ({share[0]:.0%})", ylabel=f"PC 2 ({share[1]:.0%})")
        column[0].set_title(title)
    groups = [{name: STUDY_COLOURS[name] for name in np.unique(source)}, shades]
    for ax, group, title in zip(axes[:, -1], groups, ("profile source", "tissue"), strict=True):
        dots = [plt.Line2D([], [], marker="o", ls="", color=colour) for colour in group.values()]
        ax.legend(dots, group, title=title, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)
    return figure


def mutation_burden(burden, ax=None):
    """Mutations per line by study.

    Parameters
    ----------
    burden : DataFrame
        study, n_mutations: one row per line of a study.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(6, 3.4))[1] if ax is None else ax
    studies = [name for name in STUDY_COLOURS if (burden.study == name).any()]
    rng = np.random.default_rng(0)
    for y, study in enumerate(studies):
        values = burden.n_mutations[burden.study == study].to_numpy()
        ax.scatter(
            values,
            y + rng.uniform(-0.3, 0.3, len(values)),
            s=4,
            lw=0,
            alpha=0.5,
            color=STUDY_COLOURS[study],
            rasterized=True,
        )
        ax.plot([np.median(values)] * 2, [y - 0.4, y + 0.4], color="black", lw=2)
    counts = burden.study.value_counts()
    ax.set_yticks(range(len(studies)), [f"{study} (n = {counts[study]})" for study in studies])
    ax.set(xscale="symlog", xlim=(0, None), xlabel="mutations of a line in the assessed genes (bar: median)")
    ax.invert_yaxis()
    return ax
