"""The look of every figure and table, and how a figure is saved; the figures are in `figures.py` of
each room.

One colour per study and one marker per split everywhere, from the colour-blind-safe palette of
Okabe and Ito (2008).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython import get_ipython
from IPython.display import display
from matplotlib.collections import Collection
from matplotlib.lines import Line2D

from lib import files

STUDY_COLOURS = {
    "CCLE": "#0072B2",
    "CTRP": "#E69F00",
    "GDSC": "#009E73",
    "gCSI": "#CC79A7",
    "NCI-60": "#D55E00",
}
SPLIT_MARKERS = {"on_cell": "o", "on_drug": "s"}
GREY = "#999999"
SKY = "#56B4E9"
YELLOW = "#F0E442"
DPI = 150
# Points of a cloud, or of one line, above which an SVG holds its pixels.
CLOUD = 200
LINE = 500


def use_style():
    """The look of every figure and table; called once per notebook."""
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
        "svg.fonttype": "none",  # text stays text: a tenth of the bytes of its outlines
    }
    pd.options.display.precision = 3
    pd.options.styler.format.precision = 2
    pd.options.styler.format.thousands = ","
    pd.options.styler.format.na_rep = "–"
    shell = get_ipython()
    if shell:
        plain = shell.display_formatter.formatters["text/plain"]
        plain.for_type_by_name("pandas.io.formats.style", "Styler", _print)


def _print(styler, printer, cycle):
    printer.text(as_text(styler))


def as_text(styler):
    """A styled table in plain text, its numbers as they are shown."""
    text = styler.to_string(delimiter="\t", sparse_index=False, sparse_columns=False)
    rows = pd.DataFrame([line.split("\t") for line in text.splitlines()])
    return rows.to_string(index=False, header=False)


def folded(title, frame):
    """Show a table that a page unfolds when its title is clicked; in plain text the title alone."""
    table = frame.to_html(index=False, border=0)
    page = f"<details><summary>{title}</summary>{table}</details>"
    display({"text/plain": title, "text/html": page}, raw=True)


def listing(paths):
    """Show the files written, for the end of a notebook: rows, size and hash, folded away."""
    import pyarrow.parquet as pq

    rows = []
    for path in map(Path, paths):
        row = {"file": path.name, "rows": ""}
        if path.suffix == ".parquet":
            row["rows"] = f"{pq.read_metadata(path).num_rows:,}"
        row["KB"] = f"{path.stat().st_size / 1024:,.0f}"
        row["sha256"] = files.sha256(path)[:12]
        rows.append(row)
    folded(f"{len(rows)} files written", pd.DataFrame(rows))


def nothing(ax, text):
    """Axes that say in words why there is nothing to draw."""
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", wrap=True, color="#555555"
    )
    ax.set(xticks=[], yticks=[])


def save(figure, folder, name):
    """Write a figure as PNG and as SVG (150 dpi), under the paper's numbering.

    In the SVG, clouds of more than `CLOUD` and lines of more than `LINE` points are pixels, so that
    the file stays small; text, axes and all else are vectors.

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
    for cloud in figure.findobj(Collection):
        if max(len(cloud.get_offsets()), len(cloud.get_paths())) > CLOUD:
            cloud.set_rasterized(True)
    for line in figure.findobj(Line2D):
        if len(line.get_xdata()) > LINE:
            line.set_rasterized(True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    figure.savefig(paths[0], dpi=DPI)
    figure.savefig(paths[1], dpi=DPI, metadata={"Date": None})
    return paths
