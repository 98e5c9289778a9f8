"""Figures have a message, a caption, dark enough colours and data in every panel; the same figure
gives the same file.
"""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb

from lib import style
from lib.paths import ROOT, STUDIES


@pytest.fixture(autouse=True)
def closed():
    with plt.rc_context():
        style.use_style()
        yield
    plt.close("all")


def cloud(n):
    figure, ax = plt.subplots()
    ax.scatter(*np.random.default_rng(0).normal(size=(2, n)), label="lines")
    return style.tell(ax, f"{n} lines lie at -1 to 1", "Lines of the NCI-60. Each is a point.")


def saved(figure, folder, name="fig"):
    style.save(figure, folder, name)
    return folder / f"{name}.svg"


def test_a_figure_is_written_as_png_and_svg_with_its_caption_beside(tmp_path):
    style.save(cloud(5), tmp_path / "new", "fig1")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"fig1.png", "fig1.svg", "fig1.md"}
    message, caption = (tmp_path / "new/fig1.md").read_text().removesuffix("\n").split("\n\n")
    assert message == "5 lines lie at −1 to 1"  # a minus is no hyphen, the NCI-60 has one
    assert caption == "Lines of the NCI-60. Each is a point."
    svg = (tmp_path / "new/fig1.svg").read_text()
    assert message in svg and caption in svg


def test_in_a_notebook_a_saved_figure_is_shown_once_with_its_caption_below(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(style, "get_ipython", lambda: True)
    monkeypatch.setattr(style, "display", lambda *what: shown.extend(what))
    style.save(cloud(5), tmp_path, "fig1")
    picture, caption = shown
    assert picture.alt == "5 lines lie at −1 to 1. Lines of the NCI-60."
    assert caption.data == "Lines of the NCI-60. Each is a point."
    assert not plt.get_fignums()  # or the notebook would draw it again


def test_what_has_nothing_to_draw_says_so_and_writes_nothing(tmp_path, capsys):
    style.save("the sweep has one level of SNPs", tmp_path, "fig3_snp")
    assert capsys.readouterr().out == "fig3_snp is not drawn: the sweep has one level of SNPs.\n"
    assert not list(tmp_path.iterdir())


def test_no_figure_is_saved_without_a_message_or_with_an_empty_panel(tmp_path):
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2])
    with pytest.raises(ValueError, match="fig1 has no message"):
        style.save(figure, tmp_path, "fig1")
    right.text(0.5, 0.5, "n too small")
    style.tell(figure, "A half is empty", "Left a line.")
    with pytest.raises(ValueError, match="fig1 has a panel without data"):
        style.save(figure, tmp_path, "fig1")
    assert not list(tmp_path.iterdir())


def test_a_long_message_is_broken_to_the_width_of_its_figure():
    figure = style.tell(plt.subplots(figsize=(4, 3))[0], "word " * 30, "Words.")
    lines = figure.get_suptitle().splitlines()
    assert len(lines) > 2 and max(map(len, lines)) <= 4 * style.LETTERS_PER_INCH


def test_one_legend_names_each_label_once():
    figure, ax = plt.subplots()
    for colour in "ab":
        ax.plot([1, 2], label="runs")
        ax.plot([2, 1], label=colour)
    style.legend_below(figure, ax, ncol=3)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["runs", "a", "b"]


def contrast(colour):
    """Of a colour on white (WCAG 2)."""
    parts = np.array(to_rgb(colour))
    parts = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return 1.05 / (parts @ [0.2126, 0.7152, 0.0722] + 0.05)


def test_text_and_marks_are_dark_enough_on_white():
    names = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
    texts = [style.INK, style.GREY, *(plt.rcParams[name] for name in names)]
    assert min(map(contrast, texts)) >= 4.5
    studies = list(style.STUDY_COLOURS.values())
    marks = [style.BLUE, style.AMBER, style.GREEN, style.PINK, style.RED, *studies]
    assert min(map(contrast, marks)) >= 3
    assert style.STUDY_COLOURS.keys() == set(STUDIES) and len(set(studies)) == len(studies)
    assert contrast("#E69F00") < 2.3 and contrast("black") == pytest.approx(21)  # the measure


def test_the_palette_is_the_only_place_that_names_a_colour():
    apart = ("style.py", "progress.py")  # the log of a run is read without this module
    paths = [path for path in (ROOT / "lib").rglob("*.py") if path.name not in apart]
    found = {path.name: re.findall(r"#[0-9A-Fa-f]{6}\b", path.read_text()) for path in paths}
    assert {name: colours for name, colours in found.items() if colours} == {}


def test_the_same_figure_gives_the_same_svg(tmp_path):
    first, again = (saved(cloud(50), tmp_path, name) for name in ("a", "b"))
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("n, pixels", [(style.CLOUD, 0), (style.CLOUD + 1, 1)])
def test_a_cloud_of_many_points_is_pixels_in_the_svg_and_a_small_one_is_not(tmp_path, n, pixels):
    assert saved(cloud(n), tmp_path).read_text().count("<image") == pixels


def test_a_line_and_a_mesh_of_many_points_are_pixels_too(tmp_path):
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(np.arange(20_000) % 7, "o")
    right.pcolormesh(np.arange(900.0).reshape(30, 30))
    svg = saved(style.tell(figure, "Many points", "Points and a mesh."), tmp_path)
    assert svg.read_text().count("<image") == 2 and svg.stat().st_size < 100_000


def test_what_a_figure_rasterises_itself_stays_so(tmp_path):
    figure = cloud(5)
    figure.axes[0].collections[0].set_rasterized(True)
    assert "<image" in saved(figure, tmp_path).read_text()


def test_a_styled_table_reads_as_text_with_the_numbers_that_a_page_shows():
    frame = pd.DataFrame({"study": ["CCLE", "all"], "curves": [11670.0, np.nan], "r": [0.5, 0.123]})
    text = style.as_text(frame.style.format({"curves": "{:,.0f}"}, na_rep="–").hide(axis="index"))
    assert [line.split() for line in text.splitlines()] == [
        ["study", "curves", "r"],
        ["CCLE", "11,670", "0.50"],
        ["all", "–", "0.12"],
    ]


def test_in_a_styled_table_of_groups_every_row_has_its_own_labels():
    index = pd.MultiIndex.from_product([["array", "all"], ["none", "combat"]])
    lines = style.as_text(pd.DataFrame({"r": [0.1, 0.2, 0.3, 0.4]}, index).style).splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["array", "none", "0.10"],
        ["array", "combat", "0.20"],
    ]


def test_in_a_notebook_no_table_shows_the_address_of_an_object():
    from IPython.testing.globalipapp import start_ipython

    shell = start_ipython()
    style.use_style()
    data = shell.display_formatter.format(pd.DataFrame({"n": [1.0]}).style)[0]
    assert "0x" not in data["text/plain"] and "1.00" in data["text/plain"]


def test_files_are_listed_behind_one_sentence(tmp_path, monkeypatch):
    pd.DataFrame({"cell_id": ["a"] * 1200}).to_parquet(tmp_path / "cells.parquet")
    (tmp_path / "one.csv").write_text("a\n")
    shown = []
    monkeypatch.setattr(style, "display", lambda data, raw: shown.append(data))
    style.listing(sorted(tmp_path.iterdir()))
    assert shown[0]["text/plain"] == "2 files written"
    page = shown[0]["text/html"]
    assert page.startswith("<details><summary>2 files written</summary>")
    assert "<td>cells.parquet</td>" in page and "<td>1,200</td>" in page


def test_a_table_without_rows_is_a_sentence_on_a_page_and_in_text():
    frame = pd.DataFrame({"study": ["CCLE"], "r2": [0.5]})
    for shown in (style.as_html, style.as_text):
        assert shown(frame.iloc[:0].style) == style.EMPTY
        assert "CCLE" in shown(frame.style) and style.EMPTY not in shown(frame.style)


def test_text_on_the_darkest_shade_of_a_heat_map_can_be_read():
    shade = style.SHADES(1.0)[:3]
    figure, ax = plt.subplots()
    sns.heatmap([[0, 1]], annot=True, cmap=style.SHADES, cbar=False, ax=ax)
    (text,) = {to_rgb(label.get_color()) for label in ax.texts}
    assert contrast(text) / contrast(shade) >= 4.5


def test_a_span_that_looks_like_one_number_is_one():
    assert style.span(pd.Series([0.256, 0.81, np.nan]), "{:.0%}") == "26% to 81%"
    assert style.span(pd.Series([3.0, 3.0]), "{:.0f}") == "3"
    assert style.span(pd.Series([np.nan]), "{:.0f}") == ""
