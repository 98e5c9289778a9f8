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


def test_figure_6_fills_only_what_the_folds_support():
    rows = [
        ("on_cell", "snp", "counts", "none", "r2", 0.02, 0.01, 0.03, 0.01, 1e-9),
        ("on_cell", "scaling", "combat", "none", "r2", 0.02, -0.1, 0.14, 0.4, 1e-9),
    ]
    names = [
        "split",
        "factor",
        "level",
        "reference",
        "metric",
        "effect",
        "low",
        "high",
        "p",
        "p_paper",
    ]
    figure = figures_beyond.fig6_contrasts(pd.DataFrame(rows, columns=names))
    faces = [
        to_hex(line.get_markerfacecolor())
        for line in figure.axes[0].lines
        if line.get_marker() == "o"
    ][:2]
    assert faces == [style.STUDY_COLOURS["NCI-60"].lower(), "#ffffff"]


def test_figure_7_draws_the_promise():
    rates = pd.DataFrame(
        dict(test="t", fold_sd=[0.0, 0.01], rate=[0.05, 0.8], low=[0.03, 0.7], high=[0.08, 0.9])
    )
    figure = figures_beyond.fig7_false_positives(rates)
    assert "promised: 5 %" in texts(figure)


def test_figure_8_draws_a_line_per_split_and_predictor_and_the_price_of_no_call():
    y = np.r_[np.full(20, 0.3), np.full(80, 0.9)]
    known = costs.priced(pd.DataFrame(dict(y=y, p=y))).assign(predictor="network, chosen")
    baseline = costs.priced(pd.DataFrame(dict(y=y, p=0.8))).assign(predictor="mean_effects")
    curves = pd.concat([known, baseline])
    figure = figures_beyond.fig8_cost_of_a_cutoff(curves.assign(split="on_cell"))
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == [
        "network, unseen cells",
        "mean_effects, unseen cells",
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


def test_random_genes_are_a_line_per_fold_and_shuffled_genes_a_dotted_one():
    levels = [("random", f"random_{n}", n, 0.1 * i) for i, n in enumerate((32, 128, 512))]
    levels += [("named", "lincs1000", 500, 0.25), ("shuffled", "lincs1000, shuffled", 500, 0.0)]
    rows = [
        (k, level, n, fold, m, v + fold / 50)
        for k, level, n, v in levels
        for fold in range(3)
        for m in ("r2", "npearson")
    ]
    table = pd.DataFrame(
        rows, columns=["kind", "level", "n_genes", "fold", "metric", "median"]
    ).assign(split="on_cell")
    figure = figures_beyond.fig10_random_genes(table)
    ax = figure.axes[0]
    curves = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert len(curves) == 4 and curves[-1].get_ydata().tolist() == pytest.approx([0.02, 0.12, 0.22])
    assert (
        sum(line.get_linestyle() == ":" for line in ax.lines) == 4
    )  # three folds and the legend's
    assert "lincs1000, mean and range of folds" in [
        t.get_text() for t in figure.legends[0].get_texts()
    ]


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
    assert figures_beyond.fig8_cost_of_a_cutoff(empty) is None
    assert figures_beyond.fig9_cross_study(empty) is None
    assert figures_beyond.fig10_random_genes(empty) is None
    assert figures_beyond.fig11_quality(empty, empty) is None
