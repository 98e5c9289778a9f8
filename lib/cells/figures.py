"""Figures of notebook 03, and of the cancer types that notebook 01 labels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lib.cells.cohorts import top_types
from lib.style import STUDY_COLOURS
from lib.tables import STUDIES


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
                points[rows, 0],
                points[rows, 1],
                c=colour.to_numpy()[rows],
                s=5,
                lw=0,
                alpha=0.8,
                rasterized=True,
            )
            ax.set(
                xticks=[],
                yticks=[],
                xlabel=f"PC 1 ({share[0]:.0%})",
                ylabel=f"PC 2 ({share[1]:.0%})",
            )
        column[0].set_title(title)
    groups = [{name: STUDY_COLOURS[name] for name in np.unique(source)}, shades]
    for ax, group, title in zip(axes[:, -1], groups, ("profile source", "tissue"), strict=True):
        dots = [plt.Line2D([], [], marker="o", ls="", color=colour) for colour in group.values()]
        ax.legend(
            dots, group, title=title, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8
        )
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
    ax.set(
        xscale="symlog",
        xlim=(0, None),
        xlabel="mutations of a line in the assessed genes (bar: median)",
    )
    ax.invert_yaxis()
    return ax


def type_agreement(types, annotated, n_columns=20, ax=None):
    """Type-like labels beside an annotation: where the lines of each label come from.

    Parameters
    ----------
    types : DataFrame
        The `cell_types` table: cell_id, cancer_type.
    annotated : Series
        Annotation by cell_id.
    n_columns : int
        Annotations shown, the most frequent ones; the others share the last column.

    Returns
    -------
    Axes
        Shade: share of the label's lines; the count is printed in each cell that is not empty.
    """
    both = types.assign(
        annotated=types.cell_id.map(annotated).astype("str").fillna("not annotated")
    )
    frequent = both.annotated.value_counts().index[:n_columns]
    both["annotated"] = both.annotated.where(both.annotated.isin(frequent), "other")
    counts = pd.crosstab(both.cancer_type, both.annotated)
    order = counts.T.to_numpy().argmax(
        axis=1
    )  # each annotation beside the label that holds most of it
    counts = counts.iloc[:, np.lexsort((counts.columns, order, counts.columns == "other"))]
    share = counts.div(counts.sum(axis=1), axis=0)
    ax = plt.subplots(figsize=(9, 0.24 * len(counts) + 2))[1] if ax is None else ax
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(counts.to_numpy() > 0):
        value = counts.iat[row, column]
        colour = "white" if share.iat[row, column] > 0.55 else "black"
        ax.annotate(
            value, (column, row), ha="center", va="center", fontsize="xx-small", color=colour
        )
    ax.set_xticks(
        range(counts.shape[1]),
        [str(name).replace("_", " ") for name in counts],
        rotation=60,
        ha="right",
    )
    ax.set_yticks(range(len(counts)), [_short(name) for name in counts.index])
    ax.tick_params(labelsize="x-small", length=0)
    ax.set(xlabel="annotated tissue", ylabel="type-like label (largest first)")
    return ax


def types_by_study(labels, cell_names, n_types=21):
    """Figure 4 of the paper: lines by cancer type and study, one panel per way of labelling.

    Parameters
    ----------
    labels : dict of str to Series
        Title of the panel to type by cell_id.
    cell_names : DataFrame
        study, cell_id.
    n_types : int
        Types shown, the most frequent ones (sites without a type do not count).

    Returns
    -------
    Figure
        Shade: share of the study's labelled lines; the number of lines is printed, and that of all under the study.
    """
    names = cell_names[["study", "cell_id"]].drop_duplicates()
    labels = {title: types for title, types in labels.items() if types.notna().any()}
    figure, axes = plt.subplots(
        1, len(labels), figsize=(5.6 * len(labels), 0.26 * n_types + 1.2), squeeze=False
    )
    for ax, (title, types) in zip(axes[0], labels.items(), strict=True):
        shown = top_types(types.rename("cancer_type").rename_axis("cell_id").reset_index(), n_types)
        typed = names.assign(type=names.cell_id.map(types)).dropna(subset=["type"])
        counts = pd.crosstab(typed.type, typed.study).reindex(shown)
        counts = counts[[study for study in STUDIES if study in counts]]
        sizes = typed.groupby("study").size()[counts.columns]
        share = counts / sizes
        ax.imshow(share, cmap="Blues", vmin=0, vmax=0.25, aspect="auto")
        for row, column in np.ndindex(counts.shape):
            colour = "white" if share.iat[row, column] > 0.15 else "black"
            ax.annotate(
                counts.iat[row, column],
                (column, row),
                ha="center",
                va="center",
                fontsize="small",
                color=colour,
            )
        ax.set_xticks(range(counts.shape[1]), [f"{study}\n{sizes[study]}" for study in counts])
        ax.set_yticks(range(len(counts)), [_short(name) for name in counts.index])
        ax.tick_params(labelsize="small", length=0)
        ax.set_title(title)
    return figure


def _short(name, longest=42):
    name = str(name).replace("_", " ")
    return name if len(name) <= longest else name[: longest - 1] + "…"
