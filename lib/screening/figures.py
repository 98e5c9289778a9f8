"""Figures of notebook 07: hits, tissues, similarity, coverage, enrichment."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from lib import style
from lib.screening.conformal import LEVELS

COLOURS = {
    "new line": "#0072B2",
    "new drug": "#D55E00",
    "both new": "#CC79A7",
    "both known": "#009E73",
}


def ranked(hits):
    """The best pairs with their intervals; `hits` as `lib.screen.screen` gives, best first."""
    _, ax = plt.subplots(figsize=(7, 6))
    y = np.arange(len(hits))
    ax.hlines(y, hits.low, hits.high, color=style.GREY, lw=2)
    ax.plot(hits.predicted, y, "o", color="black", ms=4)
    ax.set_yticks(y, hits.compound + " · " + hits.line)
    ax.invert_yaxis()
    ax.set(xlabel="predicted AUC (0 full response, 1 none), 90 % interval", xlim=(0, 1))
    return ax


def by_tissue(predicted):
    """Heat map of mean predicted AUC, compounds by tissues."""
    _, ax = plt.subplots(figsize=(9, 6))
    sns.heatmap(predicted, cmap="viridis", ax=ax, cbar_kws={"label": "mean predicted AUC"})
    ax.set(xlabel="", ylabel="")
    return ax


def similarity(compounds, calibration):
    """Similarity to the nearest training drug, of what is asked and of the held-out drugs."""
    _, ax = plt.subplots()
    held_out = calibration[calibration.kind == "new drug"].drop_duplicates("drug_id").similarity
    asked = compounds.similarity.dropna()
    shown = {"bins": np.linspace(0, 1, 26), "density": True, "alpha": 0.6}
    ax.hist(held_out, color=style.GREY, label=f"held-out training drugs ({len(held_out)})", **shown)
    ax.hist(asked, color=style.SKY, label=f"compounds asked for ({len(asked)})", **shown)
    ax.set(xlabel="Tanimoto similarity to the nearest training drug (ECFP4)", ylabel="density")
    ax.legend()
    return ax


def coverage(table):
    """Promised against reached coverage of each kind of newness, over lines or drugs."""
    _, ax = plt.subplots()
    ax.plot([0, 1], [0, 1], color=style.GREY, lw=1)
    for kind, part in table.groupby("kind"):
        part = part.sort_values("level")
        ax.plot(part.level, part.reached_per_group, "o-", color=COLOURS[kind], label=kind)
    ax.set(xlabel="promised", ylabel="reached", xlim=(0.4, 1), ylim=(0.4, 1), xticks=LEVELS)
    ax.legend()
    return ax


def enrichment(table):
    """Average precision of every ranking with its interval over drugs."""
    _, ax = plt.subplots()
    part = table[table.metric == "average precision"].reset_index(drop=True)
    y = np.arange(len(part))
    ax.hlines(y, part.low, part.high, color=[COLOURS[kind] for kind in part.kind], lw=2)
    ax.scatter(part.value, y, color=[COLOURS[kind] for kind in part.kind], zorder=3)
    ax.set_yticks(y, part.kind + ": " + part.ranking)
    ax.invert_yaxis()
    ax.set(xlabel="average precision of responders (AUC ≤ 0.5)")
    return ax
