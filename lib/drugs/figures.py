"""Figures of notebook 04: the columns of a block, their redundancy, the likeness of drugs."""

import matplotlib.pyplot as plt
import numpy as np

from lib.style import GREY, SKY, YELLOW

N_PAIRS = 4  # pairs of drugs that are drawn


def block_columns(summary):
    """What becomes of the columns of each drug block.

    Parameters
    ----------
    summary : DataFrame
        From `drug_quality.summary`: index block, counts by reason and `kept`.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(7, 0.5 * len(summary) + 1.4))[1]
    fates = {
        "kept": "#0072B2",
        "constant": "#DDDDDD",
        "missing": YELLOW,
        "duplicated": SKY,
        "extreme": "#D55E00",
    }
    shares = summary[list(fates)].div(summary["columns"], axis=0).iloc[::-1]
    shares.plot.barh(stacked=True, color=list(fates.values()), width=0.75, ax=ax)
    for y, row in enumerate(summary.iloc[::-1].to_dict("records")):
        label = f"{row['kept']:,} of {row['columns']:,}"
        ax.annotate(label, (1.01, y), va="center", fontsize=8, annotation_clip=False)
    ax.set(xlabel="share of the block's columns", ylabel="", xlim=(0, 1))
    ax.legend(title="", loc="lower center", bbox_to_anchor=(0.5, 1), ncol=len(fates))
    return ax


def redundancy_curves(curves):
    """How many columns of a block have a near copy in another block.

    Parameters
    ----------
    curves : dict of str to Series
        Label to largest |r| per column (`drug_quality.redundancy`); labels with "chance" are
        dashed.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(6, 3.8))[1]
    colours = ["#0072B2", "#0072B2", "#D55E00", "#D55E00"]
    for (label, values), colour in zip(curves.items(), colours, strict=False):
        by_chance = "chance" in label
        ax.plot(
            np.sort(values),
            np.linspace(1, 0, len(values)),
            color=colour,
            linestyle="--" if by_chance else "-",
            linewidth=1 if by_chance else 2,
            label=f"{label}: {len(values):,}",
        )
    ax.set(
        xlabel="largest |r| with a column of the other block", ylabel="share of columns at or above"
    )
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.legend(title="columns of, n", fontsize=8)
    return ax


def nearest_drugs(neighbours, threshold):
    """Similarity of each drug to the nearest other one: in the panel, and among training drugs.

    Parameters
    ----------
    neighbours : DataFrame
        From `drug_quality.nearest_neighbours` with folds.
    threshold : float
        Tanimoto similarity that the marked line stands at.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(6, 3.6))[1]
    n = len(neighbours)
    for column, label, colour in [
        ("tanimoto", "nearest in the panel", "#0072B2"),
        ("across_folds", "nearest in training, when tested", "#D55E00"),
    ]:
        values = neighbours[column]
        label = f"{label}: {(values >= threshold).sum()} of {n} at {threshold:g} or above"
        ax.plot(np.sort(values)[::-1], np.arange(1, n + 1), color=colour, lw=2, label=label)
    ax.axvline(threshold, color=GREY, ls=":", lw=1)
    ax.set(
        xlabel="Tanimoto likeness (ECFP4)",
        ylabel="drugs at least so alike",
        xlim=(0, 1),
        ylim=(0, n),
    )
    ax.legend(fontsize=8)
    return ax


def drug_pairs(neighbours, drugs):
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

    pair = neighbours[["drug_id", "nearest_id"]].apply(frozenset, axis=1)
    shown = neighbours[~pair.duplicated()].head(N_PAIRS)
    smiles = drugs.set_index("drug_id").smiles
    molecules = []
    legends = []
    for which in ("drug", "nearest"):
        for row in shown.to_dict("records"):
            molecules.append(Chem.MolFromSmiles(smiles[row[f"{which}_id"]]))
            legends.append(f"{row[f'{which}_name']} ({row['tanimoto']:.2f})")
    return Draw.MolsToGridImage(
        molecules, molsPerRow=len(shown), subImgSize=(230, 190), legends=legends, returnPNG=False
    )
