"""Each figure labels what it draws, keeps one colour per study, and says why where there is nothing to draw."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lib import style
from lib.analysis import figures

STUDIES = ["CCLE", "CTRP", "GDSC", "NCI-60"]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def merged():
    rng = np.random.default_rng(0)
    grid = [
        (split, study, i) for split in ("on_cell", "on_drug") for study in STUDIES for i in range(8)
    ]
    frame = pd.DataFrame(grid, columns=["split", "study", "i"])
    frame["r2"], frame["balanced_accuracy"] = (
        rng.uniform(0.5, 0.8, len(frame)),
        rng.uniform(0.6, 0.9, len(frame)),
    )
    frame.loc[(frame["study"] == "CTRP") & (frame["split"] == "on_drug"), "r2"] = np.nan
    return frame


def texts(figure):
    return [t.get_text() for ax in figure.axes for t in ax.texts]


def test_figure_1_prints_the_share_of_responders_and_names_the_settings():
    pairs = pd.DataFrame(dict(auc=np.r_[np.full(5, 0.3), np.full(95, 0.9)]))
    importances = pd.DataFrame(
        dict(split="on_cell", factor=["optimizer", "snp"], importance=[0.5, 0.01], low=[0.4, -0.01], high=[0.6, 0.03],
             paper=[0.9, 0.1], meta_r2=0.5)
    )  # fmt: skip
    figure = figures.fig1_auc_and_importances(pairs, importances)
    assert "5.0 % responders (paper: 3.86 %)" in figure.axes[0].get_title(loc="left")
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()] == ["SNPs", "optimizer"]


def test_figure_2_draws_each_study_in_its_colour_and_says_where_n_is_too_small(merged):
    naive = merged.drop_duplicates(["split", "study"])
    figure = figures.fig2_cross_study(merged, naive)
    edges = {
        to_hex(c.get_edgecolor()[0][:3])
        for c in figure.axes[0].collections
        if len(c.get_edgecolor())
    }
    assert {style.STUDY_COLOURS[s].lower() for s in STUDIES} <= edges
    assert texts(figure).count("n too\nsmall") == 1
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == STUDIES


def test_figure_2_labels_a_study_of_one_or_two_drugs_and_draws_the_zero_line(merged):
    counted = merged.assign(
        n_drugs=merged["study"].map(dict(CCLE=24.0, CTRP=2.0, GDSC=9.0)).fillna(1.0)
    )
    nulls = merged.assign(null_control=merged["split"].map(figures.ZERO_LINE))
    figure = figures.fig2_cross_study(
        counted, merged.drop_duplicates(["split", "study"]), nulls=nulls
    )
    labels = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert labels == ["CCLE", "CTRP\n(2 drugs)", "GDSC", "NCI-60\n(1 drug)"]
    assert (
        sum(line.get_marker() == "X" for line in figure.axes[0].lines) == 2 * 4 - 1 + 1
    )  # n too small; the legend's


def test_figure_2_draws_a_useless_score_at_the_edge(merged):
    low = merged.assign(r2=-3.0)
    figure = figures.fig2_cross_study(low, low.drop_duplicates(["split", "study"]))
    assert figure.axes[0].get_ylim()[0] > -1


def test_figure_3_has_a_panel_per_split_and_metric():
    rows = [
        (s, "GDSC", lv, m, 0.5, 0.6)
        for s in ("on_cell", "on_drug")
        for lv in ("none", "counts")
        for m in ("r2", "balanced_accuracy")
    ]
    figure = figures.fig3_snp(
        pd.DataFrame(rows, columns=["split", "study", "level", "metric", "p98", "best"])
    )
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["unseen cells"] * 2 + [
        "unseen drugs"
    ] * 2
    assert figure.axes[2].get_xlabel() == "R²"


def test_figure_4_prints_n_per_study():
    figure = figures.fig4_cells_by_type(
        pd.DataFrame({"CCLE": [3, 1], "GDSC": [0, 2]}, index=["Sarcoma", "Lung_X"])
    )
    assert [ax.get_title() for ax in figure.axes] == ["CCLE, n = 4", "GDSC, n = 2"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["Sarcoma", "Lung X"]


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
    figure = figures.fig6_contrasts(pd.DataFrame(rows, columns=names))
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
    figure = figures.fig7_false_positives(rates)
    assert "promised: 5 %" in texts(figure)


def test_figure_8_draws_a_line_per_split_and_predictor_and_the_price_of_no_call():
    from lib.analysis import costs

    y = np.r_[np.full(20, 0.3), np.full(80, 0.9)]
    known = costs.priced(pd.DataFrame(dict(y=y, p=y))).assign(predictor="network, chosen")
    naive = costs.priced(pd.DataFrame(dict(y=y, p=0.8))).assign(predictor="mean_effects")
    curves = pd.concat([known, naive])
    figure = figures.fig8_cost_of_a_cutoff(curves.assign(split="on_cell"))
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == [
        "network, unseen cells",
        "mean_effects, unseen cells",
    ]
    assert "5 : 1" in figure.axes[0].get_title(loc="left")
    nothing = figures.fig8_cost_of_a_cutoff(pd.DataFrame(columns=["split", "predictor", "reason"]))
    assert "the sweep kept no predictions" in texts(nothing)


def test_figure_9_prints_n_in_every_cell_and_no_score_from_too_few_lines():
    rows = [("CCLE", "CCLE", "ridge", 0.8, 24, 120), ("CCLE", "NCI-60", "ridge", np.nan, 3, 19)]
    names = ["trained_on", "tested_on", "model", "pearson", "n_drugs", "n_cells"]
    figure = figures.fig9_cross_study(pd.DataFrame(rows, columns=names))
    assert texts(figure) == ["0.80\n24 drugs\n120 lines", "n too small\n3 drugs\n19 lines"]
    rows += [
        ("all other studies", "CCLE", m, 0.5, 24, 300)
        for m in ("ridge", "network, chosen by inner score")
    ]
    figure = figures.fig9_cross_study(pd.DataFrame(rows, columns=names))
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["CCLE", "all others,\nridge", "all others,\nnetwork"]


def test_nothing_to_draw_says_why():
    empty = pd.DataFrame(
        columns=[
            "split",
            "study",
            "metric",
            "effect",
            "r2",
            "balanced_accuracy",
            "p98",
            "level",
            "best",
        ]
    )
    assert "no kept configuration" in texts(figures.fig2_cross_study(empty, empty))
    assert "no contrast could be estimated" in texts(figures.fig6_contrasts(empty))
    nothing = pd.DataFrame(
        [dict(split="", factor="", importance=np.nan, reason="no configuration")]
    )
    figure = figures.fig1_auc_and_importances(pd.DataFrame(dict(auc=[0.3, 0.9])), nothing)
    assert "no configuration" in texts(figure)
