"""Growth inhibition by equation 1, and GI50, TGI and LC50 with their censoring."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_files import DATA, SHARED, shared

from lib.screens import growth

readings = st.floats(0.01, 100)


def test_equation_1_at_its_three_anchors():
    # T = C, T = Z, T = 0
    np.testing.assert_array_equal(growth.percent_growth([2.0, 0.5, 0.0], 2.0, 0.5), [100, 0, -100])


def test_equation_1_has_two_branches():
    assert growth.percent_growth(1.25, 2.0, 0.5) == 50  # grew: against the control's growth
    assert growth.percent_growth(0.25, 2.0, 0.5) == -50  # shrank: against the cells at time zero


@given(readings, readings, readings)
def test_percent_growth_is_never_below_minus_100_and_never_infinite(test, control, time_zero):
    value = float(growth.percent_growth(test, control, time_zero))
    assert np.isnan(value) or (value >= -100 and np.isfinite(value))


@given(st.floats(0.1, 10), st.floats(1.01, 5), st.floats(0.001, 4), st.floats(0.001, 1))
def test_more_signal_is_never_less_growth(time_zero, fold, test, more):
    control = time_zero * fold
    values = growth.percent_growth([test, test + more], control, time_zero)
    assert values[1] > values[0]


@pytest.mark.parametrize(
    ("test", "control", "time_zero"),
    [
        (1, 0.5, 0.5),
        (1, 0.4, 0.5),
        (1, 2, 0),
        (1, 2, -1),
        (np.nan, 2, 1),
        (np.inf, 2, 1),
        (1, np.nan, 0.5),
        (1, 2, np.nan),
    ],
)
def test_where_growth_is_undefined_it_is_missing(test, control, time_zero):
    assert np.isnan(growth.percent_growth(test, control, time_zero))


def test_a_shrunken_well_is_defined_even_where_the_control_did_not_grow():
    assert growth.percent_growth(0.25, 0.5, 0.5) == -50


@given(st.floats(-100, 200))
def test_growth_fraction_and_percent_are_inverse(percent):
    assert growth.from_growth(growth.to_growth(percent)) == pytest.approx(percent, abs=1e-9)
    assert growth.to_growth([100, 0, -100]).tolist() == [1, 0.5, 0]


def curve(percent, doses=(8, 7, 6, 5, 4), name="a"):
    points = pd.DataFrame(dict(curve_id=name, dose=doses, percent=percent))
    return growth.end_points(points).iloc[0]


def test_end_points_are_interpolated_on_the_log_dose():
    row = curve([100, 100, 60, 40, -60])
    assert row.gi50 == pytest.approx(5.5) and row.gi50_censor == ""
    assert row.tgi == pytest.approx(5 - 0.4) and row.lc50 == pytest.approx(5 - 0.9)
    assert row.n_doses == 5


def test_a_level_met_exactly_at_a_dose_is_that_dose():
    row = curve([100, 50, 0, -50, -60])
    assert (row.gi50, row.tgi, row.lc50) == (7, 6, 5) and row[
        ["gi50_censor", "tgi_censor", "lc50_censor"]
    ].eq("").all()
    assert (curve([50, 40, 30, 20, 10]).gi50, curve([50, 40, 30, 20, 10]).gi50_censor) == (8, "")


def test_what_is_not_reached_is_censored_at_the_tested_end():
    inactive, potent = curve([100, 99, 98, 97, 96]), curve([-60, -70, -80, -90, -95])
    for name in growth.LEVELS:
        assert (inactive[name], inactive[f"{name}_censor"]) == (4, ">")
        assert (potent[name], potent[f"{name}_censor"]) == (8, "<")


def test_the_first_passage_from_the_weak_end_counts():
    assert curve([100, 20, 90, 20, 10]).gi50 == pytest.approx(8 - 50 / 80)


def test_row_order_repeats_and_gaps_do_not_matter():
    ids = ["a"] * 5 + ["b"] * 4 + ["empty"]
    dose = [4, 6, 8, 5, 7, 6, 6, 5, np.nan, 5]
    percent = [-60, 60, 100, 40, 100, 70, 50, 30, 10, np.nan]
    points = pd.DataFrame(dict(curve_id=ids, dose=dose, percent=percent))
    table = growth.end_points(points).set_index("curve_id")
    assert table.loc["a", "gi50"] == pytest.approx(5.5)
    assert table.loc["b", "gi50"] == pytest.approx(6 - 10 / 30) and table.loc["b", "n_doses"] == 2
    assert table.loc["empty", "gi50_censor"] == "undefined" and np.isnan(table.loc["empty", "gi50"])


@given(st.lists(st.floats(-100, 120), min_size=1, max_size=9, unique=True))
def test_end_points_lie_in_the_tested_range_and_in_order(percent):
    falling = sorted(percent, reverse=True)
    row = curve(falling, doses=tuple(range(9, 9 - len(falling), -1)))
    assert 9 >= row.gi50 >= row.tgi >= row.lc50 >= 9 - len(falling) + 1


def test_many_curves_equal_the_curves_one_by_one():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        dict(curve_id=np.repeat(np.arange(50), 5), dose=np.tile([8, 7, 6, 5, 4], 50))
    )
    frame["percent"] = rng.uniform(-100, 120, len(frame))
    shuffled = frame.sample(frac=1, random_state=0)
    together = growth.end_points(shuffled).set_index("curve_id")
    for name, part in frame.groupby("curve_id"):
        alone = growth.end_points(part).iloc[0]
        assert alone.drop("curve_id").tolist() == together.loc[name].tolist()


def single_agents(path):
    """Rows of NCI-ALMANAC with one drug only, and their growth by equation 1 from the raw readings."""
    raw = pd.read_csv(path, low_memory=False)
    single = raw[raw.NSC2.isna()]
    computed = growth.percent_growth(single.TESTVALUE, single.CONTROLVALUE, single.TZVALUE)
    return single, computed


def test_equation_1_gives_the_published_growth_from_raw_readings():
    single, computed = single_agents(DATA / "ComboDrugGrowth_excerpt.csv")
    assert len(single) >= 90 and (np.abs(computed - single.PERCENTGROWTH) <= 0.05).mean() > 0.95


@shared
def test_almanac_reproduces_the_published_percent_growth():
    path = SHARED / "official_samples" / "nci_almanac_combodruggrowth_subset.csv.gz"
    single, computed = single_agents(path)
    assert len(single) == 7_920
    assert (np.abs(computed - single.PERCENTGROWTH) <= 0.05).mean() >= 0.986 - 5e-5
