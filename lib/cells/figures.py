"""Figures of notebook 03, and of the cancer types that notebook 01 labels."""

from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from lib.cells.cohorts import top_types
from lib.style import STUDY_COLOURS, nothing
from lib.tables import STUDIES

TISSUE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
OTHER_TISSUE = "#E5E5E5"
N_TISSUES = 20  # columns of the table of labels by tissue
N_TYPES = 21  # rows of Figure 4, as in the paper
LONGEST = 42  # letters of a label


def source_components(panels, source, tissue):
    """Figure 5: first two principal components by source, and the same points by tissue.

    Parameters
    ----------
    panels : dict of str to (ndarray of shape (n_profiles, 2 or more), ndarray)
        Title to scores and shares of variance.
    source : array of str, shape (n_profiles,)
    tissue : Series of str, shape (n_profiles,)
        The most frequent tissues are coloured, the others are grey.

    Returns
    -------
    Figure
    """
    present = {name: STUDY_COLOURS[name] for name in np.unique(source)}
    named = dict(zip(tissue.value_counts().index, TISSUE_COLOURS, strict=False))
    named["other"] = OTHER_TISSUE
    hues = {
        "profile source": (source, present),
        "tissue": (tissue.where(tissue.isin(list(named)), "other").to_numpy(), named),
    }
    # grey below the other colours, and no source painted over another
    order = np.random.default_rng(0).permutation(len(source))
    order = order[np.argsort(hues["tissue"][0][order] != "other", kind="stable")]
    figure, axes = plt.subplots(2, len(panels), figsize=(2.6 * len(panels), 5.4), squeeze=False)
    for column, (title, (points, share)) in zip(axes.T, panels.items(), strict=True):
        column[0].set_title(title)
        for ax, (hue, palette) in zip(column, hues.values(), strict=True):
            sns.scatterplot(
                x=points[order, 0], y=points[order, 1], hue=hue[order], hue_order=palette,
                palette=palette, s=5, lw=0, alpha=0.8, ax=ax, legend=ax in axes[:, -1],
            )  # fmt: skip
            ax.set(xlabel=f"PC 1 ({share[0]:.0%})", ylabel=f"PC 2 ({share[1]:.0%})")
            ax.set(xticks=[], yticks=[])
    for ax, title in zip(axes[:, -1], hues, strict=True):
        sns.move_legend(ax, "center left", bbox_to_anchor=(1, 0.5), title=title, markerscale=4)
    return figure


def mutation_burden(burden):
    """Mutations per line by study.

    Parameters
    ----------
    burden : DataFrame
        study, n_mutations: one row per line of a study; may be empty.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(6, 3.4))[1]
    if burden.empty:
        nothing(ax, "no line has its mutations assessed")
        return ax
    rng = np.random.default_rng(0)
    by_study = burden.groupby("study").n_mutations
    labels = {study: f"{study} (n = {n})" for study, n in by_study.size().items()}
    studies = [study for study in STUDY_COLOURS if study in labels]
    for y, study in enumerate(studies):
        values = by_study.get_group(study).to_numpy()
        heights = y + rng.uniform(-0.3, 0.3, len(values))
        ax.scatter(values, heights, s=4, lw=0, alpha=0.5, color=STUDY_COLOURS[study])
        ax.vlines(np.median(values), y - 0.4, y + 0.4, color="black", lw=2)
    ax.set_yticks(range(len(studies)), [labels[study] for study in studies])
    ax.set_xlabel("mutations of a line in the assessed genes (bar: median)")
    ax.set(xscale="symlog", xlim=(0, None))
    ax.invert_yaxis()
    return ax


def type_agreement(types, annotated):
    """Type-like labels beside an annotation: where the lines of each label come from.

    Parameters
    ----------
    types : DataFrame
        The `cell_types` table: cell_id, cancer_type; may be empty.
    annotated : Series
        Annotation by cell_id; the most frequent ones are shown, the others share the last column.

    Returns
    -------
    Axes
        Shade: share of the label's lines; the count is printed in each cell that is not empty.
    """
    if types.empty:
        ax = plt.subplots()[1]
        nothing(ax, "no line has a type-like label: the data set has no expression")
        return ax
    names = types.cell_id.map(annotated).astype("str").fillna("not annotated")
    frequent = names.value_counts().index[:N_TISSUES]
    counts = pd.crosstab(types.cancer_type, names.where(names.isin(frequent), "other"))
    # each annotation beside the label that holds most of it
    order = counts.to_numpy().argmax(axis=0)
    counts = counts.iloc[:, np.lexsort((counts.columns, order, counts.columns == "other"))]
    share = counts.div(counts.sum(axis=1), axis=0)
    ax = plt.subplots(figsize=(9, 0.24 * len(counts) + 2))[1]
    _heatmap(ax, counts, share, 1, "xx-small", mask=counts == 0)
    ax.set_xticklabels(_short(counts.columns), rotation=60, ha="right")
    ax.set(xlabel="annotated tissue", ylabel="type-like label (largest first)")
    return ax


def types_by_study(labels, cell_names):
    """Figure 4 of the paper: lines by cancer type and study, one panel per way of labelling.

    Parameters
    ----------
    labels : dict of str to Series
        Title of the panel to type by cell_id; one without any type is left out.
    cell_names : DataFrame
        study, cell_id.

    Returns
    -------
    Figure
        The most frequent types (sites without a type do not count). Shade: share of the study's
        labelled lines; the number of lines is printed, and that of all under the study.
    """
    labels = {title: types for title, types in labels.items() if types.notna().any()}
    width = max(len(labels), 1)
    figure, axes = plt.subplots(
        1, width, figsize=(5.6 * width, 0.26 * N_TYPES + 1.2), squeeze=False
    )
    if not labels:
        nothing(axes[0, 0], "no line has a cancer type")
    names = cell_names[["study", "cell_id"]].drop_duplicates()
    for ax, (title, types) in zip(axes[0], labels.items(), strict=False):
        shown = top_types(types.rename("cancer_type").to_frame(), N_TYPES)
        typed = names.assign(type=names.cell_id.map(types)).dropna(subset=["type"])
        counts = pd.crosstab(typed.type, typed.study)
        counts = counts[[study for study in STUDIES if study in counts]]
        sizes = counts.sum()
        counts = counts.reindex(shown)
        _heatmap(ax, counts, counts / sizes, 0.25, "small")
        ax.set_xticklabels([f"{study}\n{size}" for study, size in sizes.items()])
        ax.set(title=title, xlabel="", ylabel="")
    return figure


def _heatmap(ax, counts, share, darkest, fontsize, mask=None):
    """Counts printed on shades of a share, white at 0, darkest at the share given."""
    sns.heatmap(
        share, annot=counts, fmt="g", mask=mask, ax=ax, vmin=0, vmax=darkest, cmap="Blues",
        cbar=False, rasterized=True, xticklabels=True, yticklabels=True,
        annot_kws=dict(fontsize=fontsize),
    )  # fmt: skip
    ax.set_yticklabels(_short(counts.index))
    ax.tick_params(labelsize="small", length=0)


def _short(names):
    return [shorten(name.replace("_", " "), LONGEST, placeholder=" …") for name in names]
