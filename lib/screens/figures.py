"""Figures of notebook 01 that need more than one table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lib.hill.pairs import top_types
from lib.tables import STUDIES


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
    both = types.assign(annotated=types.cell_id.map(annotated).astype("str").fillna("not annotated"))
    frequent = both.annotated.value_counts().index[:n_columns]
    both["annotated"] = both.annotated.where(both.annotated.isin(frequent), "other")
    counts = pd.crosstab(both.cancer_type, both.annotated)
    order = counts.T.to_numpy().argmax(axis=1)  # each annotation beside the label that holds most of it
    counts = counts.iloc[:, np.lexsort((counts.columns, order, counts.columns == "other"))]
    share = counts.div(counts.sum(axis=1), axis=0)
    ax = plt.subplots(figsize=(9, 0.24 * len(counts) + 2))[1] if ax is None else ax
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(counts.to_numpy() > 0):
        value = counts.iat[row, column]
        colour = "white" if share.iat[row, column] > 0.55 else "black"
        ax.annotate(value, (column, row), ha="center", va="center", fontsize="xx-small", color=colour)
    ax.set_xticks(range(counts.shape[1]), [str(name).replace("_", " ") for name in counts], rotation=60, ha="right")
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
    figure, axes = plt.subplots(1, len(labels), figsize=(5.6 * len(labels), 0.26 * n_types + 1.2), squeeze=False)
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
                counts.iat[row, column], (column, row), ha="center", va="center", fontsize="small", color=colour
            )
        ax.set_xticks(range(counts.shape[1]), [f"{study}\n{sizes[study]}" for study in counts])
        ax.set_yticks(range(len(counts)), [_short(name) for name in counts.index])
        ax.tick_params(labelsize="small", length=0)
        ax.set_title(title)
    return figure


def _short(name, longest=42):
    name = str(name).replace("_", " ")
    return name if len(name) <= longest else name[: longest - 1] + "…"
