"""Figures of notebook 01 that need more than one table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from lib.style import GREY, SKY, STUDY_COLOURS

FIXED_RANGE = (4.0, 10.0)  # that the AUC is taken over, -log10 M (paper section 4.3)


def dose_ranges(responses):
    """Tested dose range of every drug by study, beside the fixed range that the AUC is taken over.

    Parameters
    ----------
    responses : DataFrame
        The `responses` table.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(7, 4.2))[1]
    spans = (
        responses.groupby(["study", "drug_id"], observed=True)
        .dose.agg(["min", "max"])
        .reset_index()
    )
    spans = spans.sort_values(["study", "min", "max"], ascending=[True, False, False]).reset_index(
        drop=True
    )
    for study, part in spans.groupby("study", sort=False):
        ax.hlines(part.index, part["min"], part["max"], color=STUDY_COLOURS[study], lw=1.6)
        label = f"{study}: {len(part)}"
        ax.annotate(
            label, (1.6, part.index.to_numpy().mean()), color=STUDY_COLOURS[study], va="center"
        )
    ax.axvspan(*FIXED_RANGE, color=GREY, alpha=0.18, lw=0)
    ax.set(
        xlabel="dose, −log10(M): weak to strong", ylabel="one line per drug of a study", yticks=[]
    )
    ax.set(xlim=(13.5, -0.5), ylim=(-3, len(spans) + 3))
    return ax


def shared_lines(pairs_of_names):
    """Lines that two studies share, as a matrix of counts.

    Parameters
    ----------
    pairs_of_names : DataFrame
        The `cell_names` table.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(5, 4))[1]
    sets = pairs_of_names.groupby("study").cell_id.agg(set).reindex(STUDY_COLOURS).dropna()
    counts = pd.DataFrame(
        [[len(a & b) for b in sets] for a in sets], index=sets.index, columns=sets.index
    )
    mask = np.triu(np.ones_like(counts, bool), k=1)
    sns.heatmap(
        counts, mask=mask, annot=True, fmt="d", cmap="Blues", cbar=False, square=True, ax=ax
    )
    ax.set(xlabel="", ylabel="")
    ax.tick_params(left=False, bottom=False)
    return ax


def leak_by_key(leaks):
    """Share of test rows whose cell, drug or measured pair is in training too, by fold key.

    Parameters
    ----------
    leaks : DataFrame
        Columns `key`, `cell_shared`, `drug_shared`, `pair_shared`, one row per fold.

    Returns
    -------
    Axes
    """
    ax = plt.subplots(figsize=(7, 3.6))[1]
    long = leaks.melt("key", ["cell_shared", "drug_shared", "pair_shared"], "what", "share")
    long["what"] = long.what.map(
        dict(cell_shared="cell line", drug_shared="drug", pair_shared="line and drug")
    )
    palette = [GREY, SKY, "#000000"]
    sns.barplot(long, y="key", x="share", hue="what", palette=palette, errorbar=None, ax=ax)
    ax.set(xlabel="test rows whose … is in training too (mean over folds)", ylabel="", xlim=(0, 1))
    ax.legend(title="", loc="lower center", bbox_to_anchor=(0.5, 1), ncol=3)
    return ax
