"""Figures of notebook 04: the columns of a block, their redundancy, the likeness of drugs."""

import matplotlib.pyplot as plt
import seaborn as sns

from lib import style
from lib.style import AMBER, BLUE, DASHED, GREY, INK, PINK, RED

N_PAIRS = 4  # pairs of drugs that are drawn
NEAR_COPY = 0.95  # |r| of two columns
FATES = {"kept": BLUE, "constant": GREY, "missing": AMBER, "duplicated": PINK, "extreme": RED}


def block_columns(summary):
    """What becomes of the columns of each drug block.

    Parameters
    ----------
    summary : DataFrame
        From `drug_quality.summary`: index block, counts by reason and `kept`.

    Returns
    -------
    Figure
    """
    figure, ax = plt.subplots(figsize=(8, 0.5 * len(summary) + 1.4))
    shares = summary[list(FATES)].div(summary["columns"], axis=0)
    shares.iloc[::-1].plot.barh(stacked=True, color=FATES, width=0.75, ax=ax, legend=False)
    for y, (kept, n) in enumerate(summary[["kept", "columns"]].iloc[::-1].to_numpy(int)):
        ax.text(1.01, y, f"{kept:,} of {n:,}", va="center", fontsize="small")
    ax.set(xlabel="share of the block's columns", ylabel="", xlim=(0, 1))
    style.legend_below(figure, ax, ncol=len(FATES))
    kept = shares["kept"].sort_values()
    return style.tell(
        figure,
        f"From {kept.iloc[0]:.0%} ({kept.index[0]}) to {kept.iloc[-1]:.0%} ({kept.index[-1]}) of a "
        "block's columns are kept",
        "Share of the columns of each drug block by fate; numbers: kept of all. Missing: no value "
        "for more than a fifth of the compounds; extreme: one compound far from all others; "
        "constant: fewer than two compounds differ; duplicated: equal to an earlier column. "
        "Numbers: `nb04_blocks.csv`.",
    )


def redundancy_curves(curves):
    """How many columns of a block have a near copy in another block.

    Parameters
    ----------
    curves : dict of str to Series
        Label to largest |r| per column (`drug_quality.redundancy`); labels with "chance" are
        dashed.

    Returns
    -------
    Figure
    """
    figure, ax = plt.subplots(figsize=(7, 3.8))
    told = []
    for (label, values), colour in zip(curves.items(), [BLUE, BLUE, RED, RED], strict=False):
        by_chance = "chance" in label
        look = dict(ls=DASHED, lw=1) if by_chance else dict(lw=2)
        name = label if by_chance else f"{label}, {len(values):,} columns"
        sns.ecdfplot(x=values, complementary=True, color=colour, label=name, ax=ax, **look)
        if not by_chance:
            told.append(f"{(values >= NEAR_COPY).mean():.0%} of {label}")
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1.02),
        xlabel="largest |r| with a column of the other block",
        ylabel="share of columns at or above",
    )
    ax.legend(fontsize="small")
    return style.tell(
        figure,
        f"Columns with a near copy in the other block (|r| ≥ {NEAR_COPY}): {' and '.join(told)}",
        "Share of the kept columns of a block whose largest correlation with a kept column of the "
        "other block is at least as large; dashed: with the compounds of the other block "
        "shuffled, what chance alone gives.",
    )


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
    Figure
    """
    figure, ax = plt.subplots(figsize=(7, 3.6))
    n = len(neighbours)
    columns = {"tanimoto": "nearest in the panel", "across_folds": "nearest in training"}
    look = dict(stat="count", complementary=True, lw=2, ax=ax)
    for (column, label), colour in zip(columns.items(), (BLUE, RED), strict=True):
        sns.ecdfplot(neighbours, x=column, color=colour, label=label, **look)
    ax.axvline(threshold, color=INK, ls=DASHED, lw=1, label=f"a near twin, {threshold:g} or above")
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1.04 * n),
        ylabel="drugs at least as similar",
        xlabel="Tanimoto similarity to the nearest drug (ECFP4)",
    )
    ax.legend(fontsize="small")
    twins, seen = [(neighbours[column] >= threshold).sum() for column in columns]
    return style.tell(
        figure,
        f"{twins} of {n} drugs have a near twin in the panel, {seen} still have one when they are "
        "tested",
        "Number of drugs whose nearest neighbour is at least as similar: in the whole panel, and "
        "among the training drugs of the fold that tests them. Similarity is Tanimoto's on ECFP4 "
        "fingerprints.",
    )


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
    ids = [*shown.drug_id, *shown.nearest_id]
    molecules = map(Chem.MolFromSmiles, drugs.set_index("drug_id").smiles[ids])
    names = [*shown.drug_name, *shown.nearest_name]
    likeness = [*shown.tanimoto, *shown.tanimoto]
    return Draw.MolsToGridImage(
        list(molecules),
        molsPerRow=len(shown),
        subImgSize=(230, 190),
        legends=[f"{name} ({r:.2f})" for name, r in zip(names, likeness, strict=True)],
        returnPNG=False,
    )
