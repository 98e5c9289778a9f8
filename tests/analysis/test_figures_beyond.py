"""The curve of random genes and the gains of ensembles draw what their tables hold, or say why not."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib.analysis import figures_beyond


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def texts(figure):
    return [t.get_text() for ax in figure.axes for t in ax.texts]


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
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["best network", "ridge"]
    assert "the sweep kept no predictions, or n is too small" in texts(figure)


def test_nothing_to_draw_says_why():
    empty = pd.DataFrame(
        columns=["split", "study", "predictor", "metric", "gain", "median", "run_id"]
    )
    assert "fewer than two sizes of random gene sets were run" in texts(
        figures_beyond.fig10_random_genes(empty)
    )
    assert "no learning curves were kept" in texts(figures_beyond.fig11_quality(empty, empty))
