"""Figures of notebook 05: its feature set, how networks learned, and why the paper's learning rate
cannot fall.
"""

import matplotlib.pyplot as plt
import numpy as np

from lib import style
from lib.style import BLUE, GREY, RED

N_SHOWN = 6
PRESET_COLOURS = {"paper": RED, "tuned": BLUE}


def learning_curves(curves, runs):
    """Training and inner loss by epoch for a few runs, one panel per model; the chosen epoch is
    marked.

    Parameters
    ----------
    curves : DataFrame
        run_id, epoch, train_loss, inner_loss, lr.
    runs : DataFrame
        The `runs` table; of each model the first N_SHOWN are drawn.

    Returns
    -------
    Figure or str
    """
    if curves.empty:
        return "the sweep kept no learning curves"
    shown = runs[runs.run_id.isin(curves.run_id)].groupby("model", sort=False).head(N_SHOWN)
    models = list(dict.fromkeys(shown.model))
    figure, axes = plt.subplots(
        1, len(models), figsize=(3.2 * len(models) + 1, 3.4), sharey=True, squeeze=False
    )
    for ax, model in zip(axes[0], models, strict=True):
        for _, run in shown[shown.model == model].iterrows():
            curve = curves[curves.run_id == run.run_id]
            ax.plot(curve.epoch, curve.train_loss, color=GREY, lw=1, label="training")
            ax.plot(curve.epoch, curve.inner_loss, color=BLUE, lw=1, label="inner validation")
            ax.plot(run.best_epoch, run.inner_loss, "o", color=BLUE, label="best epoch")
        ax.set(title=model.replace("_", " "), xlabel="epoch", yscale="log")
    axes[0, 0].set_ylabel("Huber loss [AUC²]")
    style.legend_below(figure, ax, ncol=3)
    return style.tell(
        figure,
        f"Best epochs of {len(shown)} runs: {style.span(shown.best_epoch, '{:.0f}')}",
        f"Huber loss by epoch for up to {N_SHOWN} runs of fold 0 of each architecture: grey "
        "training, blue inner validation, a dot at the epoch whose weights are kept.",
    )


def patience(replays):
    """Learning rate by epoch when the loss stops falling, under each pair of patience values.

    Parameters
    ----------
    replays : dict of str to list of (epoch, train_loss, inner_loss, lr)
        By preset, see `lib.networks.train.replay`.

    Returns
    -------
    Figure
    """
    figure, ax = plt.subplots(figsize=(6, 3.2))
    told = []
    for preset, curve in replays.items():
        epoch, _, _, lr = map(np.array, zip(*curve, strict=True))
        width = 5 if preset == "paper" else 1.5  # they start on one line
        ax.step(
            epoch,
            lr / lr[0],
            where="post",
            color=PRESET_COLOURS[preset],
            lw=width,
            label=f"{preset} values",
        )
        ax.plot(epoch[-1], lr[-1] / lr[0], "X", ms=9, color=PRESET_COLOURS[preset])
        told.append(f"{lr[-1] / lr[0]:.0%} of the first under the {preset} values")
    ax.set(
        xlabel="epoch (the loss last fell in epoch 1)",
        ylim=(0, 1.08),
        ylabel="learning rate\n(first: 1)",
    )
    ax.legend()
    return style.tell(
        figure,
        f"The last learning rate is {', '.join(told)}",
        "Learning rate of a network whose loss falls once and never again, under two pairs of "
        "patience values; a cross where the training stops.",
    )
