"""The closed forms equal quadrature, lie between their plateaus and agree with the numbers the
group prints.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from lib.hill import curve
from lib.paths import ROOT

GOLDEN = ROOT / "tests" / "golden"
plateaus = st.floats(0, 1)
potencies = st.floats(0, 12)
slopes = st.one_of(st.just(0.0), st.floats(1e-12, 1e-2), st.floats(1e-2, 4), st.floats(4, 60))
strongest = st.floats(1, 9)
widths = st.floats(0.01, 6)


def integral(function, low, high, kinks):
    inside = sorted(k for k in kinks if low < k < high)
    parts = zip([low, *inside], [*inside, high], strict=True)
    return sum(quad(function, a, b, epsabs=1e-12, epsrel=1e-12, limit=500)[0] for a, b in parts)


@settings(deadline=None, max_examples=200)
@given(plateaus, potencies, slopes, strongest, widths)
def test_the_area_equals_quadrature_at_any_slope_zero_included(einf, pec50, hs, low, width):
    numeric = (
        integral(lambda x: float(curve.growth_at(x, einf, pec50, hs)), low, low + width, [pec50])
        / width
    )
    assert curve.auc(einf, pec50, hs, low, low + width) == pytest.approx(numeric, abs=1e-8)


@pytest.mark.parametrize(
    "odds", [1e-3, 9.9e-3, 1.01e-2, 0.1]
)  # the series ends at a span of 0.01 in the log odds
@pytest.mark.parametrize("away", [-0.6, 0.0, 0.6])
def test_the_area_is_exact_on_both_sides_of_the_switch_to_its_series(odds, away):
    high = 7 + odds / np.log(10)
    numeric = integral(lambda x: float(curve.growth_at(x, 0.0, 7 + away, 1.0)), 7, high, []) / (
        high - 7
    )
    assert curve.auc(0.0, 7 + away, 1.0, 7, high) == pytest.approx(numeric, abs=1e-9)


@settings(deadline=None, max_examples=200)
@given(plateaus, potencies, slopes, strongest, widths)
def test_the_drug_sensitivity_score_equals_quadrature_of_the_active_part(
    einf, pec50, hs, low, width
):
    high, onset = low + width, curve.ic50(einf, pec50, hs, growth=0.9)
    kinks = [pec50] if np.isnan(onset) else [pec50, float(onset)]
    active = integral(
        lambda x: max(0.9 - float(curve.growth_at(x, einf, pec50, hs)), 0.0), low, high, kinks
    )
    score = curve.dss1(einf, pec50, hs, low, high)
    assert score == pytest.approx(active / (0.9 * width), abs=1e-8) and 0 <= score <= 1


@given(plateaus, potencies, slopes)
def test_the_area_lies_between_the_curves_ends(einf, pec50, hs):
    ends = curve.growth_at(np.array([4.0, 10.0]), einf, pec50, hs)
    assert ends[0] - 1e-12 <= curve.auc(einf, pec50, hs) <= ends[1] + 1e-12


@given(st.floats(0, 0.95), potencies, st.floats(0.05, 4), st.floats(0.01, 5))
def test_a_more_potent_drug_never_has_a_larger_area(einf, pec50, hs, more):
    assert curve.auc(einf, pec50 + more, hs) <= curve.auc(einf, pec50, hs) + 1e-12


@given(plateaus, plateaus, potencies, slopes)
def test_a_lower_plateau_never_has_a_larger_area(one, two, pec50, hs):
    assert curve.auc(min(one, two), pec50, hs) <= curve.auc(max(one, two), pec50, hs) + 1e-12


@given(st.floats(0, 0.49), potencies, st.floats(0.05, 4), st.floats(-3, 3))
def test_areas_do_not_depend_on_where_the_dose_axis_starts(einf, pec50, hs, shift):
    moved = curve.auc(einf, pec50 + shift, hs, 4 + shift, 10 + shift)
    assert moved == pytest.approx(curve.auc(einf, pec50, hs), abs=1e-12)
    assert curve.ic50(einf, pec50 + shift, hs) == pytest.approx(
        curve.ic50(einf, pec50, hs) + shift, abs=1e-9
    )


@given(st.floats(0, 0.49), st.floats(3, 11), st.floats(0.1, 4))
def test_growth_at_the_ic50_is_one_half(einf, pec50, hs):
    assert curve.growth_at(curve.ic50(einf, pec50, hs), einf, pec50, hs) == pytest.approx(
        0.5, abs=1e-9
    )


@pytest.mark.parametrize("einf, hs", [(0.5, 1.0), (0.7, 2.0), (0.2, 0.0), (0.0, 0.0)])
def test_a_curve_that_never_crosses_one_half_has_no_ic50(einf, hs):
    assert np.isnan(curve.ic50(einf, 7.0, hs))


def test_a_flat_line_lies_midway_between_its_plateau_and_one():
    assert curve.growth_at(7.0, 0.4, 7.0, 0.0) == pytest.approx(0.7)
    assert curve.auc(0.4, 7.0, 0.0) == pytest.approx(0.7)
    assert curve.dss1(0.4, 7.0, 0.0, 5.0, 9.0) == pytest.approx((0.9 - 0.7) / 0.9)


def test_a_potent_curve_has_a_high_score():
    pec50 = 9 - np.log10(32)  # 32 nM
    assert curve.dss1(0.05, pec50, 1.0, 4.0, 9.0) > 0.6


def test_the_printed_areas_and_scores_follow_from_the_printed_parameters():
    points = pd.read_csv(GOLDEN / "hill_gcsi_points.csv", comment="#").groupby("curve_id").dose
    fits = pd.read_csv(GOLDEN / "hill_gcsi_fits.csv", comment="#").set_index("curve_id")
    shape, ends = [fits[name] for name in ("einf", "pec50", "hs")], (points.min(), points.max())
    np.testing.assert_allclose(curve.auc(*shape), fits.auc, atol=1e-4)
    np.testing.assert_allclose(curve.auc(*shape, *ends), fits.auc1, atol=2e-4)
    np.testing.assert_allclose(curve.dss1(*shape, *ends), fits.dss1, atol=2e-4)
    np.testing.assert_allclose(curve.ic50(*shape), fits.ic50, atol=2e-3)


def test_extreme_parameters_neither_overflow_nor_warn():
    for hs in (0.0, 1e-300, 1e-9, 1e3):
        for pec50 in (-300.0, 0.0, 12.0, 300.0):
            assert 0 <= curve.auc(0.0, pec50, hs) <= 1
            assert 0 <= curve.dss1(0.0, pec50, hs, 4.0, 10.0) <= 1


def test_a_range_the_wrong_way_round_is_refused():
    with pytest.raises(ValueError, match="high must be above low, found high - low = -6"):
        curve.auc(0.0, 7.0, 1.0, low=10.0, high=4.0)


def test_a_negative_slope_is_refused():
    with pytest.raises(ValueError, match="hs must not be negative, found -1"):
        curve.auc(0.0, 7.0, -1.0)
