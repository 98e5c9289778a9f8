"""Each figure says its message from its table's numbers; one without data is a sentence."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lib import style
from lib.analysis import figures
from lib.sweep.grid import DEFAULTS, RECIPES

STUDIES = ["CCLE", "GDSC", "NCI-60"]


@pytest.fixture(autouse=True)
def house_style():
    with plt.rc_context():
        style.use_style()
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def merged():
    rng = np.random.default_rng(0)
    splits = ("on_cell", "on_drug")
    grid = [(split, study, i) for split in splits for study in [*STUDIES, "CTRP"] for i in range(8)]
    frame = pd.DataFrame(grid, columns=["split", "study", "configuration"])
    frame["r2"] = rng.uniform(0.5, 0.8, len(frame))
    frame["balanced_accuracy"] = rng.uniform(0.6, 0.9, len(frame))
    frame = frame.assign(**{name: DEFAULTS[name] for name in RECIPES["sound"]})
    return frame.assign(n_drugs=frame["study"].map({"CTRP": 2.0}).fillna(24.0))


@pytest.fixture(scope="module")
def base(merged):
    return merged.drop_duplicates(["split", "study"]).assign(r2=0.65)


def shuffled(merged):
    return merged.assign(null_control=merged["split"].map(figures.ZERO_LINE))


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def test_figure_1_prints_the_share_of_responders_and_names_the_doses_of_its_target():
    pairs = pd.DataFrame(dict(auc=np.r_[np.full(5, 0.3), np.full(95, 0.9)]))
    figure = figures.fig1_target(pairs, "tested range, as published")
    assert figure.message == "5.0% of the training rows are responders; in the paper 3.86%"
    assert figure.axes[0].get_xlabel() == "AUC (1 = no response), tested range, as published"


def test_importances_name_the_settings_and_how_well_the_tree_knows_the_scores():
    facts = dict(factor=["optimizer", "snp"], importance=[0.5, 0.01], low=[0.4, -0.01])
    facts |= dict(high=[0.6, 0.03], paper=[0.9, 0.1])
    importances = pd.DataFrame(facts).assign(split="on_cell", meta_r2=0.4, paper_meta_r2=1, n=60)
    figure = figures.fig1_importances(importances)
    assert "R² 1.00 in sample, 0.40 out of bag (unseen cell lines)" in figure.message
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["SNPs", "optimizer"]
    assert figures.fig1_importances(importances.iloc[:0]).startswith("no tree explains")


def test_figure_2_draws_each_study_in_its_colour_and_counts_who_beats_the_mean_effects(
    merged, base
):
    low = merged.assign(r2=merged["r2"].where(merged["split"] == "on_cell", 0.1))
    figure = figures.fig2_cross_study(low, base, shuffled(merged).iloc[:0], "the paper's recipe")
    own = low[(low["split"] == "on_cell") & (low["study"] != "CTRP")]
    share = f"{(own['r2'] > 0.65).mean():.0%}"
    assert figure.message == (
        f"Networks of the paper's recipe that beat the mean effects in R², study by study: {share} on "
        "unseen cell lines, 0% on unseen drugs"
    )
    faces = [c.get_facecolor() for c in figure.axes[0].collections]
    drawn = {to_hex(face) for colours in faces for face in colours}
    assert {style.STUDY_COLOURS[study].lower() for study in STUDIES} <= drawn
    labels = [t.get_text() for t in figure.axes[-1].get_xticklabels()]
    assert labels == STUDIES  # CTRP has two drugs here


def test_figure_2_has_at_most_its_quantiles_and_none_below_its_edge(merged, base):
    many = pd.concat([merged.assign(r2=merged["r2"] + i / 1000) for i in range(20)])
    many.loc[many["study"] == "GDSC", "r2"] = -3.0
    figure = figures.fig2_cross_study(many, base, shuffled(merged), "x")
    points = [len(c.get_offsets()) for c in figure.axes[0].collections[:3]]
    assert points[0] == len(figures.DOTS) == 20 and sum(points) == 40
    assert figure.axes[0].get_ylim()[0] > -1
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "X"]
    assert np.isfinite(crosses[0].get_ydata()).sum() == 3


def test_figure_2_says_of_how_many_configurations_the_removal_rule_leaves_the_share(merged, base):
    removed = merged["configuration"].mask(merged["configuration"] < 2).notna()
    removed &= merged["split"] == "on_drug"
    ruled = merged.assign(removed=np.where(removed, "r2 is not above 0", ""), r2=0.7)
    message = figures.fig2_cross_study(ruled, base, shuffled(merged), "x").message
    assert message.endswith(
        "100% on unseen cell lines, 100% on unseen drugs (2 of 8 configurations kept)"
    )


def test_figure_2_has_shuffled_networks_of_its_own_recipe_only(merged, base):
    nulls = shuffled(merged).assign(r2=0.3)
    nulls = pd.concat([nulls, nulls.assign(**RECIPES["sound"], r2=0.9)])
    for recipe, r2 in dict(paper=0.3, sound=0.9).items():
        own = merged.assign(**RECIPES[recipe])
        figure = figures.fig2_cross_study(own, base, nulls, recipe)
        (cross,) = [line for line in figure.axes[0].lines if line.get_marker() == "X"]
        assert set(cross.get_ydata()) == {r2}


def snp_table(levels, settings="all"):
    rows = [
        (split, study, level, "r2", 0.5 + i / 10, settings)
        for split in ("on_cell", "on_drug")
        for study in ("All", "GDSC")
        for i, level in enumerate(levels)
    ]
    names = ["split", "study", "level", "metric", "p98", "settings"]
    return pd.DataFrame(rows, columns=names).assign(n_configurations=3.0, n_drugs=24)


def test_figure_3_says_each_level_and_has_a_panel_per_split(base):
    figure = figures.fig3_snp(snp_table(["none", "counts"]), base)
    assert titles(figure) == ["unseen cell lines", "unseen drugs"]
    assert "unseen drugs none 0.50, counts 0.60" in figure.message


def test_figure_3_draws_the_settings_of_shuffled_snps_where_there_are_any(base):
    matched = snp_table(["none", "counts", "shuffled"], "as shuffled")
    matched = matched[matched["split"] == "on_cell"]
    table = pd.concat([snp_table(["none", "rank"]), matched])
    message = figures.fig3_snp(table, base).message
    assert "unseen cell lines none 0.50, counts 0.60, shuffled 0.70" in message
    assert "unseen drugs none 0.50, rank 0.60" in message
    caption = figures.fig3_snp(matched[::-1].assign(n_configurations=3.0), base).caption
    assert "behind a mark stand 3 configurations" in caption
    message = figures.fig3_snp(matched[::-1], base).message
    assert "unseen cell lines none 0.50, counts 0.60, shuffled 0.70" in message


def test_figure_4_has_one_scale_for_all_studies_and_prints_n():
    counts = pd.DataFrame({"CCLE": [30, 1], "GDSC": [0, 2]}, index=["Sarcoma", "Lung_X"])
    figure = figures.fig4_cells_by_type(counts)
    assert titles(figure) == ["CCLE, n = 31", "GDSC, n = 2"]
    assert len({ax.get_xlim() for ax in figure.axes}) == 1
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["Sarcoma", "Lung X"]
    assert figure.message == "2 to 31 lines of a study have a frequent cancer type"


def test_a_figure_without_data_is_a_sentence(merged, base):
    empty = merged.iloc[:0]
    nulls = shuffled(merged).iloc[:0]
    assert "no configuration of x" in figures.fig2_cross_study(empty, base, nulls, "x")
    assert "no two levels of SNPs" in figures.fig3_snp(snp_table(["none"]), base)
    assert "no two levels of SNPs" in figures.fig3_snp(snp_table([]), base)
    assert "cancer type" in figures.fig4_cells_by_type(pd.DataFrame())
