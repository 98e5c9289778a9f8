"""Figures of notebook 01 that need more than one table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from lib import style
from lib.style import BLUE, INK, PALE, STUDY_COLOURS, studies_in

FIXED_RANGE = (4.0, 10.0)  # that the AUC is taken over, -log10 M (paper section 4.3)


def dose_ranges(responses):
    """Tested dose range of every drug by study, beside the fixed range that the AUC is taken over.

    Parameters
    ----------
    responses : DataFrame
        The `responses` table.

    Returns
    -------
    Figure or str
    """
    if responses.empty:
        return "the data set has areas and no doses"
    spans = responses.groupby(["study", "drug_id"], observed=True).dose.agg(["min", "max"])
    spans = spans.sort_values(["study", "min", "max"], ascending=[True, False, False])
    spans = spans.reset_index()
    figure, ax = plt.subplots(figsize=(7, 4.2))
    ax.axvspan(*FIXED_RANGE, color=PALE, lw=0, label="range of the AUC")
    for study, part in spans.groupby("study", sort=False):
        ax.hlines(
            part.index,
            part["min"],
            part["max"],
            lw=1.6,
            color=STUDY_COLOURS[study],
            label=f"{study}, n = {len(part)}",
        )
    ax.set(xlabel="dose [−log10 M], weak to strong", ylabel="drugs of a study", yticks=[])
    ax.invert_xaxis()
    ax.legend(**style.RIGHT, reverse=True)
    low, high = FIXED_RANGE
    covered = (spans["max"].clip(upper=high) - spans["min"].clip(lower=low)).clip(lower=0)
    share = covered.median() / (high - low)
    return style.tell(
        figure,
        f"The median drug was tested over {share:.0%} of the range that its AUC is taken over",
        f"Tested dose range of each drug in each study, {len(spans)} lines, beside the fixed range "
        "4–10 of the AUC (grey). What was not tested is extrapolated from the fitted curve.",
    )


def shared_lines(pairs_of_names):
    """Lines that two studies share, as a matrix of counts.

    Parameters
    ----------
    pairs_of_names : DataFrame
        The `cell_names` table.

    Returns
    -------
    Figure
    """
    figure, ax = plt.subplots(figsize=(6, 4))
    seen = pd.crosstab(pairs_of_names.cell_id, pairs_of_names.study).clip(upper=1)
    seen = seen[studies_in(seen.columns)]
    counts = seen.T @ seen
    mask = np.triu(np.ones_like(counts, bool), k=1)
    sns.heatmap(counts, mask=mask, annot=True, fmt="d", cmap=style.SHADES, cbar=False, ax=ax)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(left=False, bottom=False, rotation=0)
    n = seen.sum(axis=1)
    return style.tell(
        figure,
        f"{(n > 1).sum()} of {len(n):,} cell lines were screened by more than one study",
        "Cell lines that two studies share; on the diagonal, those of the study.",
    )


def leak_by_key(leaks):
    """Share of test rows whose held-out line or drug is in training too, by fold key.

    Parameters
    ----------
    leaks : DataFrame
        Columns `key` ("by cell: …", "by drug: …"), `cell_shared`, `drug_shared`, `pair_shared`,
        one row per fold.

    Returns
    -------
    Figure
    """
    share = leaks.groupby("key", sort=False)[["cell_shared", "drug_shared", "pair_shared"]].mean()
    by_cell = share.index.str.startswith("by cell")
    held_out = share["cell_shared"].where(by_cell, share["drug_shared"])
    figure, ax = plt.subplots(figsize=(8, 0.62 * len(share) + 1.2))
    y = np.arange(len(share))[::-1]
    parts = {
        "the line (drug) that the key should hold out": (held_out, BLUE, 0.18),
        "the same line and drug": (share["pair_shared"], INK, -0.18),
    }
    for label, (values, colour, shift) in parts.items():
        bars = ax.barh(y + shift, values, 0.34, color=colour, label=label)
        ax.bar_label(bars, [f"{value:.0%}" for value in values], padding=3, fontsize="small")
    ax.set_yticks(y, share.index)
    ax.set(xlabel="share of test rows that have it in training too", xlim=(0, 1.08))
    ax.xaxis.set_major_formatter("{x:.0%}")
    style.legend_below(figure, ax, ncol=2)
    return style.tell(
        figure,
        f"Folds cut by the studies' own names leave up to {held_out.max():.0%} of test rows leaky",
        "Share of test rows whose held-out line (keys by cell) or drug (keys by drug), and whose "
        "very line and drug, are in training as well (a leak), mean over folds. The leaky keys are "
        "a study's own sample names.",
    )
