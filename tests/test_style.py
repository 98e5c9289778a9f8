"""Figures are saved twice, small, and the same figure gives the same file."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib import style


@pytest.fixture(autouse=True)
def closed():
    with plt.rc_context():
        style.use_style()
        yield
    plt.close("all")


def cloud(n):
    figure, ax = plt.subplots()
    ax.scatter(*np.random.default_rng(0).normal(size=(2, n)), label="lines")
    ax.set(title=f"n = {n}")
    return ax


def test_a_figure_or_its_axes_are_written_as_png_and_svg(tmp_path):
    ax = cloud(5)
    paths = style.save(ax, tmp_path / "new", "fig1") + style.save(ax.figure, tmp_path, "fig2")
    assert [path.name for path in paths] == ["fig1.png", "fig1.svg", "fig2.png", "fig2.svg"]
    assert plt.imread(paths[0]).shape[:2] == plt.imread(paths[2]).shape[:2]


def test_the_same_figure_gives_the_same_svg(tmp_path):
    first, again = (style.save(cloud(50), tmp_path, name)[1] for name in ("a", "b"))
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("n, pixels", [(style.CLOUD, 0), (style.CLOUD + 1, 1)])
def test_a_cloud_of_many_points_is_pixels_in_the_svg_and_a_small_one_is_not(tmp_path, n, pixels):
    text = style.save(cloud(n), tmp_path, "fig")[1].read_text()
    assert text.count("<image") == pixels


def test_a_line_and_a_mesh_of_many_points_are_pixels_too(tmp_path):
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(np.arange(20_000) % 7, "o")
    right.pcolormesh(np.arange(900.0).reshape(30, 30))
    svg = style.save(figure, tmp_path, "fig")[1]
    assert svg.read_text().count("<image") == 2 and svg.stat().st_size < 100_000


def test_what_a_figure_rasterises_itself_stays_so(tmp_path):
    ax = cloud(5)
    ax.collections[0].set_rasterized(True)
    assert "<image" in style.save(ax, tmp_path, "fig")[1].read_text()


def test_empty_axes_say_why():
    ax = plt.subplots()[1]
    style.nothing(ax, "no line was assessed")
    assert ax.texts[0].get_text() == "no line was assessed" and len(ax.get_xticks()) == 0


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
