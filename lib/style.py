"""Figures: one function per figure. Each draws on the axes given (or new ones), labels them and returns them.

One colour per study and one marker per split everywhere, from the colour-blind-safe palette of Okabe and Ito (2008).
"""

from pathlib import Path

import matplotlib.pyplot as plt
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


# --- notebook 02 ---------------------------------------------------------------------------------------------------


# --- notebook 04 ---------------------------------------------------------------------------------------------------


# --- notebook 03 ---------------------------------------------------------------------------------------------------
