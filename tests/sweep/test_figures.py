"""Figures of notebook 05 show what they are given."""

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib.networks import train
from lib.sweep import figures, grid

matplotlib.use("Agg")


def spec(**changes):
    return grid.RunSpec.from_dict(grid.DEFAULTS | {"fold": 0} | changes)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_papers_patience_ends_before_its_rate_falls():
    flat = [1.0] + [2.0] * 60
    replays = {p: train.replay(flat, spec(patience=p)) for p in train.PATIENCE}
    figure = figures.patience(replays)
    lines = figure.axes[0].lines
    drawn = {line.get_label(): line.get_ydata() for line in lines}
    assert set(drawn["paper values"]) == {1.0} and drawn["tuned values"].min() < 1
    assert "100% of the first under the paper values" in figure.message


def test_learning_curves_have_a_panel_per_architecture_and_name_the_best_epochs():
    curves = pd.DataFrame(dict(epoch=[1, 2], train_loss=[0.3, 0.2], inner_loss=[0.3, 0.25]))
    curves = pd.concat([curves.assign(run_id=name) for name in "ab"])
    runs = pd.DataFrame(dict(run_id=list("abc"), model=["mlp", "gated_tanh", "mlp"]))
    runs = runs.assign(best_epoch=[1.0, 2.0, 9.0], inner_loss=0.25)
    figure = figures.learning_curves(curves, runs)
    assert [ax.get_title() or ax.get_title(loc="left") for ax in figure.axes] == [
        "mlp",
        "gated tanh",
    ]
    assert figure.message == "Best epochs of 2 runs: 1 to 2"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["training", "inner validation", "best epoch"]
    assert figures.learning_curves(curves.iloc[:0], runs) == "the sweep kept no learning curves"
