"""Sliders for a drawing in a live notebook, and a drawing that is worth moving: a cutoff.

Where nobody can move a slider (a notebook that is executed without a browser) the drawing of the
first values stands in its place.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython import get_ipython

from lib.paper import RESPONDER
from lib.style import BLUE, GREY, INK, RED


def show(draw, **ranges):
    """Draw, with a slider for each number.

    Parameters
    ----------
    draw : callable
        Takes the numbers by name.
    **ranges : tuple of float
        First value, lowest and highest of each number.
    """
    # Only a front end where somebody sits lets a kernel ask for input.
    kernel = getattr(get_ipython(), "kernel", None)
    if not getattr(kernel, "_allow_stdin", False):
        draw(**{name: first for name, (first, _, _) in ranges.items()})
        return
    import ipywidgets

    def drawn(**values):
        draw(**values)
        plt.show()

    sliders = {}
    for name, (first, low, high) in ranges.items():
        sliders[name] = ipywidgets.FloatSlider(first, min=low, max=high, step=(high - low) / 100)
    ipywidgets.interact(drawn, **sliders)


def cutoff(measured, predicted, at, miss):
    """Predictions for responders and others beside a cutoff, and what its errors cost.

    Parameters
    ----------
    measured, predicted : array_like of shape (n,)
        AUC.
    at : float
        The cutoff: predictions at or below it are called responders.
    miss : float
        Cost of a missed responder, in units of the cost of a false call.

    Returns
    -------
    ndarray of Axes, shape (2,)
    """
    responder = np.asarray(measured) <= RESPONDER
    called = np.asarray(predicted) <= at
    n_false = (called & ~responder).sum()
    n_missed = (~called & responder).sum()
    costs = {
        "this cutoff": n_false + miss * n_missed,
        "calling nobody": miss * responder.sum(),
        "calling everybody": (~responder).sum(),
    }
    axes = plt.subplots(1, 2, figsize=(9, 3), width_ratios=(3, 2))[1]
    group = np.where(responder, "responder", "other")
    bars = dict(hue=group, stat="percent", common_norm=False, bins=40)
    sns.histplot(x=predicted, palette={"responder": RED, "other": GREY}, ax=axes[0], **bars)
    axes[0].axvline(at, color=INK)
    said = f"{called.sum():,} called, {n_false:,} of them falsely; {n_missed:,} missed"
    axes[0].set(xlabel="predicted AUC", ylabel="% of the group", title=said)
    axes[1].barh(list(costs), [cost / len(called) for cost in costs.values()], color=BLUE)
    axes[1].set_xlabel("cost for each pair, in false calls")
    return axes
