"""The look of every figure and table, and how a figure is saved and shown with its message and
caption; the figures are in `figures.py` of each room.

One colour per study everywhere, after the colour-blind-safe palette of Okabe and Ito (2008), darker
where it was too pale on white: marks have a contrast of at least 3 : 1, text of 4.5 : 1.
"""

import re
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython import get_ipython
from IPython.display import Image, Markdown, display
from matplotlib.collections import Collection
from matplotlib.lines import Line2D

from lib import files

BLUE = "#0072B2"
AMBER = "#BF8300"
GREEN = "#009E73"
PINK = "#CC79A7"
RED = "#D55E00"
INK = "#333333"
GREY = "#767676"
STUDY_COLOURS = {"CCLE": BLUE, "CTRP": AMBER, "GDSC": GREEN, "gCSI": PINK, "NCI-60": RED}
PALE = "#E5E5E5"  # of areas behind marks: it carries nothing by itself
SHADES = sns.light_palette("#7FB8DA", as_cmap=True)  # dark text on its darkest: more than 4.5 : 1
DASHED = (0, (2, 1))
DPI = 150
# Points of a cloud, or of one line, above which an SVG holds its pixels.
CLOUD = 200
LINE = 500
LETTERS_PER_INCH = 11  # of a message
MINUS = re.compile(r"(?<!\w)-(?=\d)")
EMPTY = "This run has no rows for this table."
RIGHT = dict(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))  # a legend beside its axes


def use_style():
    """The look of every figure and table; called once per notebook."""
    sns.set_theme(context="notebook", style="ticks", font_scale=0.9)
    plt.rcParams |= {
        "figure.dpi": 100,
        "figure.figsize": (7, 4),
        "figure.constrained_layout.use": True,
        "figure.titleweight": "bold",
        "figure.titlesize": "large",
        "axes.titlesize": "medium",
        "axes.titlelocation": "left",
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
        for kind, shown in (("plain", _print), ("html", as_html)):
            form = shell.display_formatter.formatters[f"text/{kind}"]
            form.for_type_by_name("pandas.io.formats.style", "Styler", shown)


def _print(styler, printer, cycle):
    printer.text(as_text(styler))


def as_html(styler):
    """A styled table for a page; where it has no rows, a sentence."""
    return EMPTY if styler.data.empty else styler._repr_html_()


def as_text(styler):
    """A styled table in plain text, its numbers as they are shown; without rows, a sentence."""
    if styler.data.empty:
        return EMPTY
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


def studies_in(names):
    """Studies among the names, in the order of the house style."""
    found = set(names)
    return [study for study in STUDY_COLOURS if study in found]


def legend_below(figure, ax, ncol):
    """One legend for all panels, from the labels of one; a label that comes again counts once."""
    handles, labels = ax.get_legend_handles_labels()
    marks = dict(zip(labels, handles, strict=True))
    figure.legend(
        marks.values(), marks.keys(), ncol=ncol, loc="outside lower left", fontsize="small"
    )


def span(values, form):
    """Least and greatest value in words, as "26% to 81%"; one number where they look the same."""
    ends = values.agg(["min", "max"]).dropna()
    return " to ".join(dict.fromkeys(ends.map(form.format)))


def tell(figure, message, caption):
    """Give a figure its message, which is its title, and the caption that `save` writes.

    Parameters
    ----------
    figure : Figure or Axes
    message : str
        What the figure says, with its numbers from the data.
    caption : str
        The first sentence says what is drawn: it becomes the text for those who cannot see it.

    Returns
    -------
    Figure
    """
    figure = getattr(figure, "figure", figure)
    figure.message, figure.caption = (MINUS.sub("−", text) for text in (message, caption))
    lines = textwrap.wrap(figure.message, int(LETTERS_PER_INCH * figure.get_figwidth()))
    figure.suptitle("\n".join(lines), x=0, ha="left")
    return figure


def save(figure, folder, name):
    """Write a figure as PNG and SVG (150 dpi) with its caption beside, and show it in a notebook.

    In the SVG, clouds of more than `CLOUD` and lines of more than `LINE` points are pixels, so that
    the file stays small; text, axes and all else are vectors. The caption is ``<name>.md``: a line
    with the message, an empty one, the caption.

    Parameters
    ----------
    figure : Figure or str
        From a function that called `tell`; or, where there is nothing to draw, the reason, which is
        printed instead.
    folder : path
        Made if absent.
    name : str
        File name without ending, for example ``fig2_cross_study``.

    Raises
    ------
    ValueError
        If the figure has no message, or a panel without data.
    """
    if isinstance(figure, str):
        print(f"{name} is not drawn: {figure}.")
        return
    if not hasattr(figure, "message"):
        raise ValueError(f"{name} has no message and caption: give them with lib.style.tell")
    if not all(ax.has_data() for ax in figure.axes if ax.get_visible()):
        raise ValueError(f"{name} has a panel without data: leave it out, or return the reason")
    for cloud in figure.findobj(Collection):
        if max(len(cloud.get_offsets()), len(cloud.get_paths())) > CLOUD:
            cloud.set_rasterized(True)
    for line in figure.findobj(Line2D):
        if len(line.get_xdata()) > LINE:
            line.set_rasterized(True)
    path = Path(folder) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = dict(Title=figure.message, Description=figure.caption)
    figure.savefig(path, dpi=DPI, metadata=facts)
    figure.savefig(path.with_suffix(".svg"), dpi=DPI, metadata=facts | dict(Date=None))
    files.write_text(path.with_suffix(".md"), f"{figure.message}\n\n{figure.caption}\n")
    show(figure, path)


def show(figure, path=None):
    """Show a figure in a notebook, its caption below; from the file where it was saved."""
    if get_ipython():
        picture = figure
        if path:
            width = round(plt.imread(path).shape[1] * 100 / DPI)
            alt = f"{figure.message}. {figure.caption.partition('. ')[0].rstrip('.')}."
            picture = Image(filename=path, width=width, alt=alt)
        display(picture, Markdown(figure.caption))
    plt.close(figure)
