"""Figures of notebook 05 show what they are given."""

import itertools

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib.networks import train
from lib.sweep import features, figures, grid

matplotlib.use("Agg")
LEVELS = itertools.product(
    features.SCALINGS, features.GENE_SETS, features.SNP_LEVELS, features.DRUG_BLOCKS
)
SETS = pd.DataFrame([vars(features.FeatureSet("array", *level)) for level in LEVELS])
SETS["feasible"] = SETS.rnaseq_set != "random_2048"


def spec(**changes):
    return grid.RunSpec.from_dict(grid.DEFAULTS | {"fold": 0} | changes)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_every_feature_set_is_a_square_and_the_ring_is_round_the_own_one():
    ax = figures.feature_grid(
        SETS, spec(scaling="combat", snp="counts", drug_block="mordred", rnaseq_set="all")
    )
    squares = ax.collections[0].get_array()
    assert (
        squares.size == len(SETS) == 198 and int(squares.sum()) == int(SETS.feasible.sum()) == 180
    )
    assert not squares.reshape(11, 18)[10].any(), (
        "the last row is the gene set that cannot be built"
    )
    (ring,) = ax.lines
    assert ring.get_ydata()[0] == 0.5 and int(ring.get_xdata()[0]) in range(12, 18)
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert labels[int(ring.get_xdata()[0])] == "mordred + SNP"


@pytest.mark.parametrize(
    "outside", [{"snp": "rank"}, {"drug_block": "ecfp"}, {"null_control": "random_genes"}]
)
def test_a_set_outside_the_papers_grid_has_no_ring(outside):
    assert not figures.feature_grid(SETS, spec(**outside)).lines


def test_the_papers_patience_ends_before_its_rate_falls():
    flat = [1.0] + [2.0] * 60
    ax = figures.patience({p: train.replay(flat, spec(patience=p)) for p in train.PATIENCE})
    drawn = {
        line.get_label(): line.get_ydata()
        for line in ax.lines
        if not line.get_label().startswith("_")
    }
    assert set(drawn["paper"]) == {1.0} and drawn["tuned"].min() < 1
