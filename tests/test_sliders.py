"""Sliders stand still where nobody can move them, and a cutoff is priced by its errors."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lib import sliders
from lib.hill import curve, figures


@pytest.fixture(autouse=True)
def closed():
    """Figures in matplotlib's own style, whichever another test left, and none left open."""
    with plt.rc_context():
        plt.rcdefaults()
        yield
    plt.close("all")


def test_without_a_browser_the_first_values_are_drawn_once():
    drawn = []
    sliders.show(lambda **values: drawn.append(values), at=(0.5, 0, 1), miss=(5, 1, 50))
    assert drawn == [{"at": 0.5, "miss": 5}]


def test_with_somebody_to_move_them_there_is_a_slider_for_each_number(monkeypatch):
    import ipywidgets

    kernel = type("Kernel", (), {"_allow_stdin": True})
    monkeypatch.setattr(sliders, "get_ipython", lambda: type("Shell", (), {"kernel": kernel}))
    made = {}
    monkeypatch.setattr(ipywidgets, "interact", lambda draw, **numbers: made.update(numbers))
    sliders.show(figures.one_curve, einf=(0.2, 0, 1))
    slider = made["einf"]
    assert (slider.value, slider.min, slider.max, slider.step) == (0.2, 0, 1, 0.01)


def test_a_curve_shows_its_area_and_its_ic50_only_where_it_has_one():
    assert figures.one_curve(0.0, 7.0, 4.0).get_title() == "AUC 0.50, IC50 7.0"
    flat = figures.one_curve(0.6, 7.0, 1.0)
    assert flat.get_title() == f"AUC {curve.auc(0.6, 7.0, 1.0):.2f}, no IC50"


def test_a_cutoff_counts_false_calls_and_missed_responders():
    measured, predicted = [0.3, 0.4, 0.8, 0.9], [0.4, 0.7, 0.5, 0.9]
    left, right = sliders.cutoff(measured, predicted, at=0.6, miss=5)
    assert left.get_title() == "2 called, 1 of them falsely; 1 missed"
    costs = dict(zip([t.get_text() for t in right.get_yticklabels()], right.patches, strict=True))
    found = {name: bar.get_width() for name, bar in costs.items()}
    assert found == {"this cutoff": 6 / 4, "calling nobody": 10 / 4, "calling everybody": 2 / 4}


def test_a_cutoff_above_all_predictions_costs_what_calling_everybody_costs():
    rng = np.random.default_rng(0)
    right = sliders.cutoff(rng.random(50), rng.random(50), at=1.0, miss=3)[1]
    assert right.patches[0].get_width() == right.patches[2].get_width()
