"""Each figure labels what it draws and keeps one colour per study; an empty one is not saved."""

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
    return frame.assign(n_drugs=24.0)


@pytest.fixture(scope="module")
def nulls(merged):
    return merged.assign(null_control=merged["split"].map(figures.ZERO_LINE))


def texts(figure):
    return [t.get_text() for ax in figure.axes for t in ax.texts]


def test_figure_1_prints_the_share_of_responders_and_names_the_settings():
    pairs = pd.DataFrame(dict(auc=np.r_[np.full(5, 0.3), np.full(95, 0.9)]))
    importances = pd.DataFrame(
        dict(
            split="on_cell",
            factor=["optimizer", "snp"],
            importance=[0.5, 0.01],
            low=[0.4, -0.01],
            high=[0.6, 0.03],
            paper=[0.9, 0.1],
            meta_r2=0.5,
        )
    )
    figure = figures.fig1_auc_and_importances(pairs, importances)
    assert "5.0 % responders (paper: 3.86 %)" in figure.axes[0].get_title(loc="left")
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()] == ["SNPs", "optimizer"]


def test_figure_2_draws_each_study_in_its_colour_and_says_where_n_is_too_small(merged, nulls):
    mean_effects = merged.drop_duplicates(["split", "study"])
    figure = figures.fig2_cross_study(merged, mean_effects, nulls.iloc[:0])
    edges = {
        to_hex(c.get_edgecolor()[0][:3])
        for c in figure.axes[0].collections
        if len(c.get_edgecolor())
    }
    assert {style.STUDY_COLOURS[s].lower() for s in STUDIES} <= edges
    assert texts(figure).count("n too\nsmall") == 1
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == STUDIES


def test_figure_2_labels_a_study_of_one_or_two_drugs_and_draws_the_zero_line(merged, nulls):
    counted = merged.assign(
        n_drugs=merged["study"].map(dict(CCLE=24.0, CTRP=2.0, GDSC=9.0)).fillna(1.0)
    )
    figure = figures.fig2_cross_study(counted, merged.drop_duplicates(["split", "study"]), nulls)
    labels = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert labels == ["CCLE", "CTRP\n(2 drugs)", "GDSC", "NCI-60\n(1 drug)"]
    assert (
        sum(line.get_marker() == "X" for line in figure.axes[0].lines) == 2 * 4 - 1 + 1
    )  # n too small; the legend's


def test_figure_2_draws_a_useless_score_at_the_edge(merged, nulls):
    low = merged.assign(r2=-3.0)
    figure = figures.fig2_cross_study(low, low.drop_duplicates(["split", "study"]), nulls)
    assert figure.axes[0].get_ylim()[0] > -1


def test_figure_3_has_a_panel_per_split_and_metric():
    rows = [
        (s, "GDSC", lv, m, 0.5, 0.6)
        for s in ("on_cell", "on_drug")
        for lv in ("none", "counts")
        for m in ("r2", "balanced_accuracy")
    ]
    figure = figures.fig3_snp(
        pd.DataFrame(rows, columns=["split", "study", "level", "metric", "p98", "best"]).assign(
            settings="all"
        )
    )
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["unseen cell lines"] * 2 + [
        "unseen drugs"
    ] * 2
    assert figure.axes[2].get_xlabel() == "R²"


def test_figure_4_prints_n_per_study():
    figure = figures.fig4_cells_by_type(
        pd.DataFrame({"CCLE": [3, 1], "GDSC": [0, 2]}, index=["Sarcoma", "Lung_X"])
    )
    assert [ax.get_title() for ax in figure.axes] == ["CCLE, n = 4", "GDSC, n = 2"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["Sarcoma", "Lung X"]


def test_an_empty_figure_is_none_and_is_not_saved(merged, tmp_path):
    empty = merged.iloc[:0]
    nulls = empty.assign(null_control="")
    assert figures.fig2_cross_study(empty.assign(n_drugs=0), empty, nulls) is None
    assert figures.fig3_snp(pd.DataFrame(columns=["split", "study", "level"])) is None
    assert figures.fig4_cells_by_type(pd.DataFrame()) is None
    figures.save_if_drawn(None, tmp_path, "fig2")
    assert not list(tmp_path.iterdir())
    figures.save_if_drawn(plt.figure(figsize=(1, 1)), tmp_path, "fig2")
    assert {path.name for path in tmp_path.glob("figures/*")} == {"fig2.png", "fig2.svg"}


def test_a_panel_without_importances_says_why():
    nothing = pd.DataFrame(
        [dict(split="", factor="", importance=np.nan, reason="no configuration")]
    )
    figure = figures.fig1_auc_and_importances(pd.DataFrame(dict(auc=[0.3, 0.9])), nothing)
    assert "no configuration" in texts(figure)
