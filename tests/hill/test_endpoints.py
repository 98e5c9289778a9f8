"""GI50, TGI and LC50 are where PGI is 50, 0 and -50; what is censored is marked and counted."""

import numpy as np
import pandas as pd
import pytest

from lib import tables
from lib.hill import curve, endpoints, fit
from lib.paths import DATA
from lib.screens import growth

DOSES = np.array([8.0, 7.0, 6.0, 5.0, 4.0])


def responses(percents, endpoint="growth"):
    """Curves of PGI at five doses."""
    parts = []
    for i, percent in enumerate(percents):
        names = dict(curve_id=f"n/f/{i}", cell_id=f"l{i}", drug_id="D", endpoint=endpoint)
        names |= dict(study="NCI-60", assay="NCI-60", control=False, file="f", dose=DOSES)
        parts.append(pd.DataFrame(names | dict(growth=growth.to_growth(percent))))
    return pd.concat(parts, ignore_index=True)


def table(percents):
    points = responses(percents)
    found = endpoints.end_points(points, fit.fit_curves(points))
    return found.set_index(["curve_id", "end_point"])


def test_a_curve_passes_each_level_between_two_doses():
    found = table([[100, 75, 25, -25, -75]]).loc["n/f/0"]
    assert found.dose.tolist() == [6.5, 5.5, 4.5] and found.censor.tolist() == ["", "", ""]


def test_a_level_that_is_never_passed_or_passed_before_the_first_dose_is_censored():
    inactive = table([[100, 100, 100, 95, 90]]).loc["n/f/0"]
    assert inactive.censor.tolist() == [">"] * 3 and inactive.dose.tolist() == [4.0] * 3
    killed = table([[-90, -95, -95, -100, -100]]).loc["n/f/0"]
    assert killed.censor.tolist() == ["<"] * 3 and killed.dose.tolist() == [8.0] * 3


def test_the_fitted_curve_passes_the_same_levels():
    shape = (0.1, 6.0, 1.2)
    found = table([growth.from_growth(curve.growth_at(DOSES, *shape))]).loc["n/f/0"]
    expected = [curve.ic50(*shape, growth=level) for level in (0.75, 0.5, 0.25)]
    np.testing.assert_allclose(found.fitted.astype(float), expected, atol=1e-6)
    assert (found.fitted - found.dose).abs().max() < 0.2


def test_a_partial_response_has_no_fitted_dose_below_its_plateau():
    found = table([[100, 90, 40, 35, 34]]).loc["n/f/0"]
    assert found.fitted.notna().tolist() == [True, False, False]


def test_curves_without_time_zero_have_no_end_points():
    points = responses([[100, 75, 25, -25, -75]], endpoint="viability")
    found = endpoints.end_points(points, fit.fit_curves(points))
    assert found.empty and endpoints.censoring(found).empty
    names = pd.DataFrame(dict(cell_id=["l0"], cell_name=["A"], drug_id=["D"], drug_name=["X"]))
    assert endpoints.by_line_and_drug(found, names, names).empty


def test_censored_curves_are_counted_by_end_point():
    points = responses([[100, 75, 25, -25, -75], [100, 100, 100, 95, 90], [40, 30, 20, 10, 5]])
    counts = endpoints.censoring(endpoints.end_points(points, fit.fit_curves(points)))
    counts = counts.set_index("end_point")
    assert counts.loc["GI50", ["n", "between", "above", "below"]].tolist() == [3, 1, 1, 1]
    assert counts.loc["LC50", ["n", "between", "above", "below"]].tolist() == [3, 1, 2, 0]


def test_the_table_for_reading_marks_what_is_censored():
    points = responses([[100, 75, 25, -25, -75], [100, 100, 100, 95, 90]])
    found = endpoints.end_points(points, fit.fit_curves(points))
    cells = pd.DataFrame(dict(cell_id=["l0", "l1"], cell_name=["A", "B"]))
    drugs = pd.DataFrame(dict(drug_id=["D"], drug_name=["X"]))
    shown = endpoints.by_line_and_drug(found, cells, drugs)
    assert shown.loc[("X", "GI50")].to_dict() == {"A": "0.316", "B": ">100"}


@pytest.fixture(scope="module")
def bundled():
    raw = pd.read_parquet(DATA / "open" / "response" / "nci60_5lines_growth.parquet")
    raw["curve_id"] = raw.cell_name + "|" + raw.drug_name
    return raw.assign(dose=6 - np.log10(raw.dose_um), growth=growth.to_growth(raw.percent_growth))


def test_the_bundled_panel_has_rows_with_time_zero_values(bundled):
    points = bundled.assign(cell_id=bundled.cell_name, drug_id=bundled.drug_name, assay="NCI-60")
    points = points.assign(study="NCI-60", endpoint="growth", control=False)
    fits = tables.check(fit.fit_curves(points), tables.FITS)
    counts = endpoints.censoring(endpoints.end_points(points, fits)).set_index("end_point")
    assert counts.n.tolist() == [50, 50, 50]
    assert counts.between.is_monotonic_decreasing and counts.between["LC50"] > 0
    assert counts.median_difference["GI50"] < 0.15
