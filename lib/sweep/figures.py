"""Figures of notebook 05: its feature set, how networks learned, and why the paper's learning rate
cannot fall.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from lib.style import GREY, STUDY_COLOURS

PRESET_COLOURS = {"paper": "#D55E00", "tuned": "#0072B2"}


def learning_curves(curves, runs, n_shown=6):
    """Training and inner loss by epoch for a few runs, one panel per model; the chosen epoch is
    marked.

    Parameters
    ----------
    curves : DataFrame
        run_id, epoch, train_loss, inner_loss, lr.
    runs : DataFrame
        The `runs` table.
    n_shown : int
        Runs per model, in the order of the ledger.

    Returns
    -------
    Figure
    """
    shown = runs[runs.run_id.isin(curves.run_id)].groupby("model", sort=False).head(n_shown)
    models = list(dict.fromkeys(shown.model))
    figure, axes = plt.subplots(
        1, len(models), figsize=(3.2 * len(models) + 1, 3.2), sharey=True, squeeze=False
    )
    for ax, model in zip(axes[0], models, strict=True):
        for _, run in shown[shown.model == model].iterrows():
            curve = curves[curves.run_id == run.run_id]
            ax.plot(curve.epoch, curve.train_loss, color=GREY, lw=1)
            ax.plot(curve.epoch, curve.inner_loss, color=STUDY_COLOURS["CCLE"], lw=1)
            ax.plot(run.best_epoch, run.inner_loss, "o", ms=4, color=STUDY_COLOURS["CCLE"])
        ax.set(title=model, xlabel="epoch", yscale="log")
    axes[0, 0].set_ylabel("Huber loss")
    axes[0, 0].plot([], [], color=GREY, label="training")
    axes[0, 0].plot(
        [], [], "-o", ms=4, color=STUDY_COLOURS["CCLE"], label="inner validation, best epoch"
    )
    axes[0, 0].legend(fontsize=8)
    return figure


def patience(replays):
    """Learning rate by epoch when the loss stops falling, under each pair of patience values.

    Parameters
    ----------
    replays : dict of str to list of (epoch, train_loss, inner_loss, lr)
        By preset, see `lib.networks.train.replay`.

    Returns
    -------
    Axes
    """
    _, ax = plt.subplots(figsize=(6, 3))
    for preset, curve in replays.items():
        epoch, lr = np.array([c[0] for c in curve]), np.array([c[3] for c in curve])
        width = 5 if preset == "paper" else 1.5  # they start on one line
        ax.step(
            epoch, lr / lr[0], where="post", color=PRESET_COLOURS[preset], lw=width, label=preset
        )
        ax.plot(epoch[-1], lr[-1] / lr[0], "X", ms=9, color=PRESET_COLOURS[preset])
    ax.set(
        xlabel="epoch (the loss last fell in epoch 1)",
        ylabel="learning rate / initial",
        ylim=(0, 1.08),
    )
    ax.legend(title="patience; X = stopped")
    return ax


def feature_grid(sets, spec):
    """Which of the paper's feature sets can be built, one square each; a ring round the one of a
    run.

    Parameters
    ----------
    sets : DataFrame
        From `lib.sweep.features.enumerate_sets` with a store: its levels and `feasible`.
    spec : RunSpec

    Returns
    -------
    Axes
    """
    across = ["scaling", "snp", "drug_block"]
    table = sets.pivot(index="rnaseq_set", columns=across, values="feasible")
    table = table.loc[
        list(dict.fromkeys(sets.rnaseq_set)),
        list(dict.fromkeys(sets[across].itertuples(index=False, name=None))),
    ]
    ax = plt.subplots(figsize=(0.42 * table.shape[1] + 2.4, 0.3 * len(table) + 2.6))[1]
    ax.pcolormesh(
        table.to_numpy(bool),
        cmap=ListedColormap(["#CCCCCC", "#9CC3E0"]),
        vmin=0,
        vmax=1,
        ec="white",
        lw=2,
    )
    labels = [f"{block}{'' if snp == 'none' else ' + SNP'}" for _, snp, block in table.columns]
    ax.set_xticks(np.arange(table.shape[1]) + 0.5, labels, rotation=90, fontsize=7)
    ax.set_yticks(np.arange(len(table)) + 0.5, table.index, fontsize=8)
    ax.invert_yaxis()
    wide = table.shape[1] / sets.scaling.nunique()
    for i, scaling in enumerate(dict.fromkeys(sets.scaling)):
        ax.annotate(
            f"scaling {scaling}",
            ((i + 0.5) * wide, -0.3),
            ha="center",
            fontsize=9,
            annotation_clip=False,
        )
    own = tuple(getattr(spec, name) for name in across)
    if spec.null_control == "none" and own in table.columns and spec.rnaseq_set in table.index:
        x, y = list(table.columns).index(own), list(table.index).index(spec.rnaseq_set)
        ax.plot(x + 0.5, y + 0.5, "o", ms=11, mfc="none", mew=2, color="#D55E00")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
