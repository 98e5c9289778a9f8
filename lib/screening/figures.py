"""Figures of notebook 07: hits, tissues, similarity, coverage, enrichment."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from lib import style
from lib.screening.conformal import LEVELS
from lib.style import BLUE, GREEN, GREY, INK, PINK, RED

COLOURS = {"new line": BLUE, "new drug": RED, "both new": PINK, "both known": GREEN}


def _intervals(table, value, kinds, names):
    """Numbers with their intervals, a row each in the colour of its kind, the first at the top."""
    figure, ax = plt.subplots(figsize=(8, 0.25 * len(table) + 1.4))
    y = np.arange(len(table))
    colours = kinds.map(COLOURS).tolist()
    ax.hlines(y, table.low, table.high, color=colours, lw=2)
    ax.scatter(table[value], y, 25, color=colours, zorder=3)
    ax.set_yticks(y, kinds + ": " + names)
    ax.invert_yaxis()
    ax.tick_params("y", labelsize="small")
    return figure, ax


def ranked(hits):
    """The best pairs of each kind with their intervals; `hits` as `hits.best` gives."""
    if hits.empty:
        return "no pair could be predicted"
    names = hits.compound + " · " + hits.line
    figure, ax = _intervals(hits, "predicted", hits.newness, names)
    ax.set(xlabel="predicted AUC (0 full response, 1 none)", xlim=(0, 1))
    best = hits.groupby("newness", sort=False).first()
    told = [f"{row.Index}, {row.compound} {row.predicted:.2f}" for row in best.itertuples()]
    return style.tell(
        figure,
        f"Lowest predicted AUC of each kind: {'; '.join(told)}",
        "Predicted AUC of the best compounds of each kind of newness, each on its best line, with "
        "intervals of 90%. New compounds lie near the mean, so kinds cannot be compared; the "
        "order of compounds whose intervals overlap says little.",
    )


def by_tissue(predicted):
    """Heat map of mean predicted AUC, compounds by tissues."""
    if predicted.empty:
        return "no tissue has lines enough"
    figure, ax = plt.subplots(figsize=(10, 0.25 * len(predicted) + 2.2))
    sns.heatmap(predicted, cmap="viridis", ax=ax, cbar_kws={"label": "mean predicted AUC"})
    ax.set(xlabel="", ylabel="")
    ax.tick_params(labelsize="small", length=0)
    best = predicted.mean().idxmin()
    return style.tell(
        figure,
        f"Of {predicted.shape[1]} tissues, {best} has the lowest mean predicted AUC, "
        f"{predicted[best].mean():.2f}",
        "Mean predicted AUC of the best compounds (rows) on the lines of each tissue (columns). "
        "What differs within a row is what expression adds; new compounds lie near the mean, so "
        "rows cannot be compared.",
    )


def similarity(compounds, calibration):
    """Similarity to the nearest training drug, of what is asked and of the held-out drugs."""
    held_out = calibration[calibration.kind == "new drug"].drop_duplicates("drug_id").similarity
    asked = compounds.similarity.dropna()
    if asked.empty:
        return "no compound could be described"
    figure, ax = plt.subplots(figsize=(7, 3.6))
    look = dict(bins=np.linspace(0, 1, 26), stat="percent", ax=ax)
    sns.histplot(held_out, color=GREY, label=f"held out, n = {len(held_out)}", **look)
    asked_for = f"asked for, n = {len(asked)}"
    sns.histplot(asked, color=BLUE, label=asked_for, element="step", fill=False, **look)
    ax.set(
        xlabel="Tanimoto similarity to the nearest training drug (ECFP4)",
        ylabel="share of compounds [%]",
    )
    ax.legend()
    return style.tell(
        figure,
        f"Median similarity to the nearest training drug: {asked.median():.2f} for compounds asked "
        f"for, {held_out.median():.2f} for held-out drugs",
        "Similarity of each compound to the nearest training drug, beside that of held-out "
        "training drugs, on which the errors were measured. Where there are few of these, "
        "intervals rest on few errors.",
    )


def coverage(table):
    """Promised against reached coverage of each kind of newness, over lines or drugs."""
    figure, ax = plt.subplots(figsize=(6, 4))
    ax.plot([0, 1], [0, 1], color=INK, lw=1, ls=style.DASHED, label="as promised")
    for kind, part in table.groupby("kind"):
        part = part.sort_values("level")
        ax.plot(part.level, part.reached_per_group, "o-", color=COLOURS[kind], label=kind)
    ax.set(xlabel="share promised", ylabel="share reached", xlim=(0.4, 1), ylim=(0.4, 1))
    ax.set_xticks(LEVELS, [f"{level:.0%}" for level in LEVELS])
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.legend()
    at_90 = table[table.level == 0.9].set_index("kind").reached_per_group.sort_values()
    told = ", ".join(f"{kind} {reached:.0%}" for kind, reached in at_90.items())
    return style.tell(
        figure,
        f"Intervals of 90% hold: {told}",
        "Share of measurements inside their interval against what was promised, mean over lines "
        "(new line, both known) or drugs (new drug, both new); every fold is judged by intervals "
        "from the others. Numbers: `coverage.csv`.",
    )


def enrichment(table):
    """Average precision of every ranking with its interval over drugs."""
    part = table[table.metric == "average precision"].dropna(subset="value")
    if part.empty:
        return "there are too few responders to rank"
    figure, ax = _intervals(part, "value", part.kind, part.ranking)
    ax.set(xlabel="average precision of responders (AUC ≤ 0.5)", xlim=(0, None))
    best = part.sort_values("value").groupby("kind").last()
    told = [
        f"{row.Index}, {row.ranking} {row.value:.2f} ({row.low:.2f} to {row.high:.2f})"
        for row in best.itertuples()
    ]
    return style.tell(
        figure,
        f"Highest average precision: {'; '.join(told)}",
        "Average precision of responders among held-out pairs of new drugs, by ranking, with 95% "
        "intervals over drugs; a random ranking has the share of responders. Numbers: "
        "`enrichment.csv`.",
    )
