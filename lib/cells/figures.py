"""Figures of notebook 03, and of the cancer types that notebook 01 labels."""

from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.patches import Patch

from lib import style
from lib.cells.cohorts import top_types
from lib.style import BLUE, DASHED, GREEN, INK, PALE, PINK, RED, STUDY_COLOURS, studies_in

TISSUE_COLOURS = (BLUE, RED, GREEN, PINK)
N_TISSUES = 20  # columns of the table of labels by tissue
N_TYPES = 21  # rows of Figure 4, as in the paper
LONGEST = 42  # letters of a label
PLACE = r"^\d+ "  # number of a cluster before the name of its type
SCALINGS = {  # title of a panel
    "before": "as measured",
    "none": "scaled over all",
    "source": "scaled by source",
    "combat": "ComBat",
}


def source_components(panels, source, tissue, mixed):
    """Figure 5: first two principal components by source, and the same points by tissue.

    Parameters
    ----------
    panels : dict of str to (ndarray of shape (n_profiles, 2 or more), ndarray)
        Scaling to scores and shares of variance.
    source : array of str, shape (n_profiles,)
    tissue : Series of str, shape (n_profiles,)
        The most frequent tissues are coloured, the others are pale.
    mixed : DataFrame
        `mixing.by_panel` of this panel: index scaling, column silhouette.

    Returns
    -------
    Figure
    """
    frame = pd.DataFrame({"profile source": source, "tissue": tissue.to_numpy()})
    common = frame["tissue"].value_counts().index[: len(TISSUE_COLOURS)]
    frame["tissue"] = frame["tissue"].where(frame["tissue"].isin(common), "other")
    tissues = dict(zip(common, TISSUE_COLOURS, strict=False)) | {"other": PALE}
    # pale below the other colours, and no source painted over another
    frame = frame.sample(frac=1, random_state=0)
    frame = frame.sort_values("tissue", key=lambda name: name != "other", kind="stable")
    figure, axes = plt.subplots(2, len(panels), figsize=(2.6 * len(panels), 5.4), squeeze=False)
    palettes = {"profile source": STUDY_COLOURS, "tissue": tissues}
    for row, (title, palette) in zip(axes, palettes.items(), strict=True):
        colours = frame[title].map(palette)
        for ax, (scaling, (points, share)) in zip(row, panels.items(), strict=True):
            ax.scatter(*points[frame.index, :2].T, s=5, lw=0, alpha=0.8, c=colours)
            ax.set(
                xlabel=f"PC 1 ({share[0]:.0%})",
                ylabel=f"PC 2 ({share[1]:.0%})",
                xticks=[],
                yticks=[],
                title=SCALINGS[scaling],
            )
        marks = [Patch(color=palette[name], label=name) for name in frame[title].unique()]
        ax.legend(handles=marks, title=title, **style.RIGHT)
    silhouette = mixed["silhouette"].dropna().rename(index=SCALINGS)
    told = [f"{name} {value:.2f}" for name, value in silhouette.items()]
    return style.tell(
        figure,
        f"How far apart the sources are (silhouette; 0: mixed): {', '.join(told) or 'one source'}",
        f"First two principal components of {len(source):,} profiles before and after each "
        "scaling, coloured by profile source (above) and by the most frequent tissues (below). "
        "Shares of variance stand at the axes. Numbers: `fig5_mixing.csv`.",
    )


def mutation_burden(burden):
    """Mutations per line by study, and where the paper's excess of NCI-60 would lie.

    Parameters
    ----------
    burden : DataFrame
        study, n_mutations: one row per line of a study; may be empty.

    Returns
    -------
    Figure or str
    """
    if burden.empty:
        return "no line has its mutations assessed"
    figure, ax = plt.subplots(figsize=(7, 3.4))
    studies = studies_in(burden.study)
    look = dict(order=studies, hue="study", palette=STUDY_COLOURS, size=2.5, jitter=0.3)
    sns.stripplot(burden, x="n_mutations", y="study", ax=ax, **look)
    medians = burden.groupby("study").n_mutations.median()[studies]
    sizes = burden.study.value_counts()
    y = np.arange(len(studies))
    ax.vlines(medians, y - 0.4, y + 0.4, color=INK, lw=2, zorder=3)
    ax.set_yticks(y, [f"{study} (n = {sizes[study]})" for study in studies])
    ax.set(xlabel="mutations of a line in the assessed genes", ylabel="", xscale="log")
    others = medians.drop("NCI-60", errors="ignore").median()
    told = [f"{study} {median:,.0f}" for study, median in medians.items()]
    if "NCI-60" in medians and others > 0:
        at = studies.index("NCI-60")
        look = dict(color=RED, lw=2, ls=DASHED, label="the paper: more than\n100 × the others")
        ax.vlines(100 * others, at - 0.4, at + 0.4, **look)
        ax.legend(fontsize="small", loc="upper right")
    return style.tell(
        figure,
        f"Mutations of the median line: {', '.join(told)}",
        "Mutations per line in the assessed genes, by the studies that screened the line; bars are "
        "medians, dashes a hundred times the median of the other studies for NCI-60.",
    )


def type_agreement(types, annotated):
    """Type-like labels beside an annotation: where the lines of each label come from.

    Parameters
    ----------
    types : DataFrame
        The `cell_types` table: cell_id, cancer_type; may be empty. Clusters of a name are one row.
    annotated : Series
        Annotation by cell_id; the most frequent ones are shown, the others share the last column.

    Returns
    -------
    Figure or str
        Shade: share of the label's lines; the count is printed in each cell that is not empty.
    """
    if types.empty:
        return "no line has a type-like label: the data set has no expression"
    names = types.cell_id.map(annotated).astype("str").fillna("not annotated")
    frequent = names.value_counts().index[:N_TISSUES]
    label = types.cancer_type.str.replace(PLACE, "", regex=True).str.replace("_", " ")
    counts = pd.crosstab(label, names.where(names.isin(frequent), "other"))
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]
    # each annotation beside the label that holds most of it
    order = counts.to_numpy().argmax(axis=0)
    counts = counts.iloc[:, np.lexsort((counts.columns, order, counts.columns == "other"))]
    share = counts.div(counts.sum(axis=1), axis=0)
    figure, ax = plt.subplots(figsize=(10, 0.26 * len(counts) + 2))
    _heatmap(ax, counts, share, 1, mask=counts == 0)
    ax.set_xticklabels(_short(counts.columns), rotation=60, ha="right")
    ax.set(xlabel="annotated tissue", ylabel="type-like label")
    purity = counts.max(axis=1).sum() / len(types)
    return style.tell(
        figure,
        f"{purity:.0%} of the lines have the tissue that is commonest under their type-like label",
        f"Lines of each type-like label by annotated tissue, {len(types):,} lines; clusters of one "
        "name are one row. Shade: share of the label's lines.",
    )


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
    Figure or str
        The rows are the same in all panels: the types most frequent under the first labels (sites
        without a type do not count). Shade: share of the study's labelled lines; the number of
        lines is printed, and that of all under the study.
    """
    labels = {
        title: types.str.replace(PLACE, "", regex=True)
        for title, types in labels.items()
        if types.notna().any()
    }
    if not labels:
        return "no line has a cancer type"
    shown = top_types(next(iter(labels.values())).rename("cancer_type").to_frame(), N_TYPES)
    size = (3.3 + 3.4 * len(labels), 0.26 * len(shown) + 1.4)
    figure, axes = plt.subplots(1, len(labels), figsize=size, sharey=True, squeeze=False)
    names = cell_names[["study", "cell_id"]].drop_duplicates()
    told = []
    for ax, (title, types) in zip(axes[0], labels.items(), strict=True):
        typed = names.assign(type=names.cell_id.map(types)).dropna(subset=["type"])
        counts = pd.crosstab(typed.type, typed.study)
        counts = counts[studies_in(counts.columns)]
        sizes = counts.sum()
        counts = counts.reindex(shown, fill_value=0)
        _heatmap(ax, counts, counts / sizes, 0.25)
        ax.set_xticklabels([f"{study}\n{size}" for study, size in sizes.items()])
        ax.set(title=title, xlabel="", ylabel="")
        told.append(f"{typed.cell_id.nunique():,} {title}")
    axes[0][0].set_yticklabels(_short(shown))
    return style.tell(
        figure,
        f"Cell lines with a cancer type: {', '.join(told)}",
        f"Lines by cancer type and study, the {len(shown)} most frequent types under the first "
        "labels in the same rows. Shade: share of the study's labelled lines; the number labelled "
        "stands below each study. All screened lines count, not only those with training rows.",
    )


def _heatmap(ax, counts, share, darkest, mask=None):
    """Counts printed on shades of a share, white at 0, darkest at the share given."""
    sns.heatmap(
        share, annot=counts, fmt="g", mask=mask, ax=ax, vmin=0, vmax=darkest, cmap=style.SHADES,
        cbar=False, rasterized=True, xticklabels=True, yticklabels=True,
        annot_kws=dict(fontsize="small"),
    )  # fmt: skip
    ax.tick_params(labelsize="small", length=0)


def _short(names):
    return [shorten(name.replace("_", " "), LONGEST, placeholder=" …") for name in names]
