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
