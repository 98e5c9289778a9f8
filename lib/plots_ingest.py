"""Figures of notebook 01 that need more than one table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd


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
        Shade: share of the label's annotated lines; the count is printed in each cell that is not empty.
    """
    both = types.assign(annotated=types.cell_id.map(annotated)).dropna(subset=["annotated"])
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
    ax.set_yticks(range(len(counts)), [name.replace("_", " ") for name in counts.index])
    ax.tick_params(labelsize="x-small", length=0)
    ax.set(xlabel="annotated tissue", ylabel="type-like label (largest first)")
    return ax
