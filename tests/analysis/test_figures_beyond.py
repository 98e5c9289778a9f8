"""Effects, costs, transfer, random genes and ensembles are drawn as their tables hold them."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lib import style
from lib.analysis import costs, figures_beyond


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def texts(figure):
    return [t.get_text() for ax in figure.axes for t in ax.texts]


def test_figure_6_fills_only_what_the_interval_supports_and_ticks_each_repeat():
    rows = [
        ("on_cell", "snp", "counts", "none", "gain", 0.02, 0.01, 0.03, 0.01, 1e-9, "0.01 0.03"),
        ("on_cell", "scaling", "combat", "none", "gain", 0.02, -0.1, 0.14, 0.4, 1e-9, "0.02 0.02"),
    ]
    names = "split factor level reference metric effect low high p p_paper by_repeat".split()
    figure = figures_beyond.fig6_contrasts(pd.DataFrame(rows, columns=names))
    lines = figure.axes[0].lines
    faces = [to_hex(line.get_markerfacecolor()) for line in lines if line.get_marker() == "o"][:2]
    assert faces == [style.STUDY_COLOURS["NCI-60"].lower(), "#ffffff"]
    ticks = [list(line.get_xdata()) for line in lines if line.get_marker() == "|"][:2]
    assert ticks == [[0.01, 0.03], [0.02, 0.02]]


def test_figure_7_has_a_curve_for_each_test_and_the_promise():
    facts = dict(split="on_cell", planted=0.0, significant=0.05, coverage=0.95)
    rates = [facts | dict(test=t, n_repeats=r) for t in "ba" for r in (1, 10)]
    rates = pd.DataFrame(rates)
    rates["coverage"] = rates["test"].map(dict(a=0.9, b=0.3))
    figure = figures_beyond.fig7_promises(rates)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b"]
    curves = {line.get_label(): line.get_ydata()[0] for line in figure.axes[1].lines[:2]}
    assert curves == dict(a=0.9, b=0.3)
    colours = [[line.get_color() for line in ax.lines[:2]] for ax in figure.axes]
    assert colours[0] == colours[1]
    dashed = [line.get_ydata()[0] for ax in figure.axes for line in ax.lines[-1:]]
    assert dashed == [0.05, 0.95]


def test_figure_8_draws_a_line_per_split_and_predictor_and_the_price_of_no_call():
    y = np.r_[np.full(20, 0.3), np.full(80, 0.9)]
    known = costs.priced(pd.DataFrame(dict(y=y, p=y))).assign(predictor="network, chosen")
    baseline = costs.priced(pd.DataFrame(dict(y=y, p=0.8))).assign(predictor="mean_effects")
    curves = pd.concat([known, baseline])
    figure = figures_beyond.fig8_cost_of_a_cutoff(curves.assign(split="on_cell"))
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == [
        "network, unseen cell lines",
        "mean_effects, unseen cell lines",
    ]
    assert "5 : 1" in figure.axes[0].get_title(loc="left")


def test_figure_9_prints_n_in_every_cell_and_no_score_from_too_few_lines():
    rows = [("CCLE", "CCLE", "ridge", 0.8, 24, 120), ("CCLE", "NCI-60", "ridge", np.nan, 3, 19)]
    names = ["trained_on", "tested_on", "model", "pearson", "n_drugs", "n_cells"]
    figure = figures_beyond.fig9_cross_study(pd.DataFrame(rows, columns=names))
    assert texts(figure) == ["0.80\n24 drugs\n120 lines", "n too small\n3 drugs\n19 lines"]
    rows += [
        ("all other studies", "CCLE", m, 0.5, 24, 300)
        for m in ("ridge", "network, chosen by inner score")
    ]
    figure = figures_beyond.fig9_cross_study(pd.DataFrame(rows, columns=names))
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["CCLE", "all others,\nridge", "all others,\nnetwork"]


@pytest.mark.parametrize("by", ["fold", "repeat"])
def test_random_genes_are_a_curve_with_a_band_and_shuffled_genes_dotted_lines(by):
    levels = [("random", f"random_{n}", n, 0.1 * i) for i, n in enumerate((32, 128, 512))]
    levels += [("named", "lincs1000", 500, 0.25), ("shuffled", "lincs1000, shuffled", 500, 0.0)]
    rows = []
    for kind, level, n, value in levels:
        for at in range(3):
            row = dict(kind=kind, level=level, n_genes=n, repeat=0, fold=0, split="on_cell")
            rows += [
                row | {by: at, "metric": m, "median": value + at / 50} for m in ("gain", "npearson")
            ]
    figure = figures_beyond.fig10_random_genes(pd.DataFrame(rows))
    ax = figure.axes[0]
    (curve,) = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert curve.get_ydata().tolist() == pytest.approx([0.02, 0.12, 0.22])
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.0, 0.24))
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert len(dotted) == 4  # three parts and the legend's
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert "lincs1000, mean and range" in labels


def test_gains_are_drawn_per_study_and_ridge_without_an_interval_too():
    facts = dict(study=["All", "All", "CCLE"], predictor=["best network", "ridge", "best network"])
    facts |= dict(gain=[0.1, 0.12, 0.08], gain_low=[0.05, None, 0.01], gain_high=[0.15, None, 0.12])
    table = pd.DataFrame(facts).assign(split="on_cell")
    curves = pd.DataFrame(dict(epoch=range(3), train_loss=[3.0, 2, 1], inner_loss=[3.0, 2, 2]))
    curves = curves.assign(split="on_cell", run_id="a", rank=0)
    figure = figures_beyond.fig11_quality(table, curves)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["ridge", "best network"]
    assert "the sweep kept no predictions, or n is too small" in texts(figure)


def test_a_figure_without_data_is_none():
    columns = (
        "split study predictor metric gain median effect rank trained_on tested_on model reason"
    )
    empty = pd.DataFrame(columns=columns.split(), dtype=object)
    assert figures_beyond.fig6_contrasts(empty) is None
    assert figures_beyond.fig7_promises(empty) is None
    assert figures_beyond.fig8_cost_of_a_cutoff(empty) is None
    assert figures_beyond.fig9_cross_study(empty) is None
    assert figures_beyond.fig10_random_genes(empty) is None
    assert figures_beyond.fig11_quality(empty, empty) is None
