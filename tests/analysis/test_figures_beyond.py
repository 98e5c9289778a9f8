"""Effects, costs, transfer, random genes and ensembles are drawn as their tables hold them."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lib import style
from lib.analysis import costs, figures_beyond, simulation


@pytest.fixture(autouse=True)
def house_style():
    with plt.rc_context():
        style.use_style()
        yield
    plt.close("all")


def texts(figure):
    return [t.get_text() for ax in figure.axes for t in ax.texts]


EFFECTS = "split factor level reference metric effect low high p p_paper together_with".split()


def effects(*rows):
    table = pd.DataFrame([(*row, "")[: len(EFFECTS)] for row in rows], columns=EFFECTS)
    return table.assign(arm="paper")


def test_figure_6_fills_what_the_interval_supports_and_marks_the_papers_test():
    table = effects(
        ("on_cell", "snp", "counts", "none", "gain", 0.02, 0.01, 0.03, 0.01, 0.9),
        ("on_cell", "scaling", "combat", "none", "gain", 0.02, -0.1, 0.14, 0.4, 1e-9),
    )
    figure = figures_beyond.fig6_contrasts(table, claims_only=True)
    (marks,) = [c for c in figure.axes[0].collections if len(c.get_offsets()) == 2]
    assert [to_hex(face) for face in marks.get_facecolor()] == [style.INK, "#ffffff"]
    assert texts(figure) == ["t"] and figure.axes[0].texts[0].xy[1] == 1
    assert figure.message == (
        "Effects whose 95% interval excludes 0, by the paper's recipe: 1 of 2 on unseen cell lines"
    )
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels[0] == "SNPs: SNP counts − without SNPs"


def test_two_settings_that_only_change_together_are_one_effect():
    same = ("gain", 0.3, 0.2, 0.4, 0.01, 0.01)
    mirror = ("gain", -0.3, -0.4, -0.2, 0.01, 0.01)
    table = effects(
        ("on_cell", "optimizer", "sgd", "adam", *same, "lr"),
        ("on_cell", "lr", "0.0008", "0.5", *mirror, "optimizer"),
        ("on_drug", "lr", "0.5", "0.0008", *same, "optimizer"),
        ("on_cell", "dropout", "0.2", "0.0", *same),
        ("on_cell", "dropout", "0.45", "0.0", *same),
    )
    found = figures_beyond.one_of_each_pair(table)["name"].tolist()
    assert found == [
        "optimizer and learning rate: sgd − adam",
        "learning rate and optimizer: 0.5 − 0.0008",  # of the other split
        "dropout: 0.2 − 0.0",
        "dropout: 0.45 − 0.0",
    ]


def test_the_claims_are_in_one_figure_and_all_effects_in_the_supplement():
    same = ("gain", 0.3, 0.2, 0.4, 0.01, np.nan)
    table = effects(
        ("on_cell", "rnaseq_set", "all", "lincs1000", *same),
        ("on_cell", "rnaseq_set", "random_32", "lincs1000", *same),
        ("on_cell", "hidden", "32x16", "128x64", *same),
        ("on_cell", "rnaseq_set", "all", "lincs1000", "npearson", *same[1:]),
    )
    main, rest = (figures_beyond.fig6_contrasts(table, only) for only in (True, False))
    assert [len(figure.axes) for figure in (main, rest)] == [1, 2]
    assert [len(figure.axes[0].get_yticks()) for figure in (main, rest)] == [1, 3]


def test_figure_7_has_a_curve_for_each_test_and_the_promise():
    facts = dict(split="on_cell", planted=0.0, significant=0.05, coverage=0.95, n_screens=9)
    tests = {simulation.PAPER: 0.9, "b": 0.3}
    rates = [facts | dict(test=t, n_repeats=r) for t in tests for r in (1, 10)]
    rates = pd.DataFrame(rates)
    rates["coverage"] = rates["test"].map(tests)
    rates.loc[rates["test"] == simulation.PAPER, "significant"] = [0.5, 0.7]
    figure = figures_beyond.fig7_promises(rates)
    assert figure.message.endswith("intervals 5%, the paper's t-test 50% to 70%")
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert set(legend) == {simulation.PAPER, "b", "promised"}
    dashed = [line.get_ydata()[0] for ax in figure.axes for line in ax.lines[-1:]]
    assert dashed == [0.05, 0.95]


def test_figure_8_draws_a_line_per_split_and_predictor_and_says_the_lowest_cost():
    y = np.r_[np.full(20, 0.3), np.full(80, 0.9)]
    known = costs.priced(pd.DataFrame(dict(y=y, p=y))).assign(predictor="network, chosen")
    baseline = costs.priced(pd.DataFrame(dict(y=y, p=0.8))).assign(predictor="mean_effects")
    curves = pd.concat([known, baseline]).assign(split="on_cell")
    figure = figures_beyond.fig8_cost_of_a_cutoff(curves)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "network, unseen cell lines",
        "mean effects, unseen cell lines",
    ]
    assert "a false positive costs 5" in figure.axes[0].get_title(loc="left")
    assert "precision medicine 0.00 (network, unseen cell lines)" in figure.message


def test_figure_9_prints_n_in_every_cell_and_no_score_from_too_few_lines():
    rows = [("CCLE", "CCLE", "ridge", 0.8, 24, 120), ("CCLE", "NCI-60", "ridge", np.nan, 3, 19)]
    rows += [("GDSC", "CCLE", "ridge", 0.6, 9, 50)]
    names = ["trained_on", "tested_on", "model", "pearson", "n_drugs", "n_cells"]
    figure = figures_beyond.fig9_cross_study(pd.DataFrame(rows, columns=names))
    assert texts(figure) == [
        "0.80\ndrugs: 24\nlines: 120",
        "too few\ndrugs: 3\nlines: 19",
        "0.60\ndrugs: 9\nlines: 50",
        "–",
    ]
    assert figure.message == (
        "Mean correlation of ridge with the truth on held-out lines: 0.60 on another study, 0.80 on "
        "the one it learned from"
    )
    rows += [
        ("all other studies", "CCLE", m, 0.5, 24, 300)
        for m in ("ridge", "network, chosen by inner score")
    ]
    figure = figures_beyond.fig9_cross_study(pd.DataFrame(rows, columns=names))
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["CCLE", "GDSC", "all others,\nnetwork", "all others,\nridge"]


@pytest.mark.parametrize("by", ["fold", "repeat"])
def test_random_genes_are_a_curve_with_a_band_and_shuffled_genes_one_band(by):
    levels = [("random", f"random_{n}", n, 0.1 * i) for i, n in enumerate((32, 128, 512))]
    levels += [("named", "lincs1000", 500, 0.25), ("shuffled", "lincs1000, shuffled", 500, 0.0)]
    rows = []
    for kind, level, n, value in levels:
        for at in range(3):
            row = dict(kind=kind, level=level, n_genes=n, repeat=0, fold=0, split="on_cell")
            rows += [
                row | {by: at, "metric": m, "median": value + at / 50} for m in ("gain", "npearson")
            ]
    table = pd.DataFrame(rows).assign(arm="sound")
    figure = figures_beyond.fig10_random_genes(table)
    ax = figure.axes[0]
    curve = ax.lines[0]
    assert curve.get_ydata().tolist() == pytest.approx([0.02, 0.12, 0.22])
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.0, 0.24))
    dotted = [line for line in ax.lines if line.get_label() == "shuffled genes"]
    assert [line.get_ydata()[0] for line in dotted] == [pytest.approx(0.02)]
    assert "0.02 (32 genes) to 0.22 (512 genes), shuffled 0.02" in figure.message
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels == ["random genes", "landmark genes", "shuffled genes"]


def quality(**changes):
    facts = dict(predictor=["best network", "ridge", "mean_effects"], gain=[0.1, 0.12, 0.0])
    facts |= dict(gain_low=[0.05, 0.08, 0.0], gain_high=[0.15, 0.14, 0.0])
    table = pd.DataFrame(facts).assign(split="on_cell", study="All", arm="sound", n_units=525)
    return table.assign(**changes)


def test_gains_are_drawn_for_both_splits_and_both_recipes_with_ridge_once():
    weak = quality(split="on_drug", gain_low=-0.1)
    table = pd.concat([quality(arm="paper", gain=0.02), quality(), weak])
    figure = figures_beyond.fig11_quality(table)
    lines, drugs = ([t.get_text() for t in ax.get_yticklabels()] for ax in figure.axes)
    assert lines == ["best network", "best network (the paper's recipe)", "ridge"]
    assert drugs == ["best network", "ridge"]  # no row without a value
    assert figure.message == (
        "Of the mean effects' squared error the features remove at most 12% (ridge) on unseen cell "
        "lines and nothing that can be told from 0 on unseen drugs"
    )
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_a_figure_without_data_is_a_sentence():
    columns = "split study predictor metric gain median effect trained_on tested_on model reason"
    columns += " arm factor level together_with pearson planted"
    empty = pd.DataFrame(columns=columns.split(), dtype=object)
    assert isinstance(figures_beyond.fig6_contrasts(empty, True), str)
    assert isinstance(figures_beyond.fig7_promises(empty), str)
    assert isinstance(figures_beyond.fig8_cost_of_a_cutoff(empty), str)
    assert isinstance(figures_beyond.fig9_cross_study(empty), str)
    assert isinstance(figures_beyond.fig10_random_genes(empty), str)
    assert isinstance(figures_beyond.fig11_quality(empty), str)
