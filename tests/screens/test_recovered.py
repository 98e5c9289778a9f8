"""Slope and range of published curves: recovered from made areas, and what cannot be is named."""

import numpy as np
import pandas as pd
import pytest

from lib.hill import curve
from lib.screens import recovered

REACH = recovered.REACH["GDSC2"]
N_LINES = 60


def mean_of_curve(middle, width, top, reach):
    """The published area by quadrature: the mean of the curve over the doublings tested."""
    x = top - reach + reach * (np.arange(2000) + 0.5) / 2000
    return (1 / (1 + np.exp((x - middle) / width))).mean()


def screen(ranges, seed=3):
    """Lines with a width each, drugs with the ranges (top, reach) given, pairs of areas and IC50s.

    A line of a drug of several ranges is screened over one of them.
    """
    draw = np.random.default_rng(seed)
    widths = draw.uniform(0.8, 3, N_LINES)
    rows = []
    for drug, given in ranges.items():
        for line, width in enumerate(widths):
            top, reach = given[line % len(given)]
            middle = top - reach / 2 + draw.normal(2, 3)
            area = mean_of_curve(middle, width, top, reach)
            row = dict(cell_name=f"L{line}", drug_name=drug, auc=area, top=top, reach=reach)
            rows.append(row | dict(ln_ic50_um=middle * np.log(2), width=width))
    return pd.DataFrame(rows)


ONE = {f"D{i}": [(i / 2, REACH)] for i in range(12)}
KINDS = {
    "one range": ONE,
    "two strongest doses": ONE | {"X": [(3.3, REACH), (1.0, REACH)]},
    "two reaches of one dose": ONE | {"X": [(3.3, REACH), (3.3, 12.0)]},
    "a range, another, and their union": ONE | {"X": [(3, REACH), (1, REACH), (3, REACH + 2)]},
    "every drug of another reach": {f"D{i}": [(i / 2, REACH)] for i in range(12)}
    | {"Y": [(2.0, 8.0)]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_slope_range_and_fixed_area_come_back(kind):
    rows = screen(KINDS[kind])
    found = recovered.recover(rows, REACH)
    slope = 1 / (rows.width * np.log(2))
    np.testing.assert_allclose(found.curve_slope, slope, rtol=1e-4)
    strong, weak = 6 - rows.top * np.log10(2), 6 - (rows.top - rows.reach) * np.log10(2)
    np.testing.assert_allclose(found.range_strong, strong, atol=2e-3)
    np.testing.assert_allclose(found.range_weak, weak, atol=2e-3)
    area = curve.auc(0.0, found.curve_pec50, found.curve_slope)
    truth = curve.auc(0.0, 6 - rows.ln_ic50_um / np.log(10), slope)
    np.testing.assert_allclose(area, truth, atol=1e-4)
    assert found.curve_error.abs().max() <= recovered.TOLERANCE


def test_two_compounds_of_one_name_have_a_range_each():
    rows = screen(ONE | {"X": [(3.3, REACH)]})
    twice = screen({"X": [(0.0, REACH)]})  # the same lines: the first draws of the seed
    both = pd.concat([rows, twice], ignore_index=True)
    mine = recovered.recover(both, REACH)[both.drug_name == "X"]
    tops = (6 - mine.range_strong) / np.log10(2)
    np.testing.assert_allclose(tops, both.top[both.drug_name == "X"], atol=0.01)


def test_the_order_of_the_rows_does_not_matter():
    rows = screen(KINDS["two strongest doses"])
    mixed = rows.sample(frac=1, random_state=1)
    one, other = recovered.recover(rows, REACH), recovered.recover(mixed, REACH)
    pd.testing.assert_frame_equal(one, other.loc[one.index], rtol=1e-6, atol=1e-6)


BAD = {
    "auc 0": (dict(auc=0.0), recovered.NO_CURVE),
    "auc 1": (dict(auc=1.0), recovered.NO_CURVE),
    "auc above 1": (dict(auc=1.2), recovered.NO_CURVE),
    "auc missing": (dict(auc=np.nan), recovered.NO_CURVE),
    "IC50 missing": (dict(ln_ic50_um=np.nan), recovered.NO_IC50),
    "an area that belongs to no range": (dict(auc=0.03), recovered.NO_RANGE),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_pair_without_a_curve_is_named_and_harms_no_other(kind):
    change, reason = BAD[kind]
    rows = screen(ONE)
    at = rows.auc.sub(0.8).abs().idxmin()
    rows.loc[at, list(change)] = list(change.values())
    found = recovered.recover(rows, REACH)
    assert found.curve_reason[at] == reason
    assert found.loc[at, ["curve_pec50", "curve_slope", "range_strong"]].isna().all()
    others = found.drop(index=at)
    assert (others.curve_reason == "").all() and others.curve_slope.notna().all()


def test_a_line_of_few_curves_has_no_slope():
    rows = screen(ONE)
    few = rows[(rows.cell_name != "L3") | rows.drug_name.isin(["D1", "D2", "D4"])]
    found = recovered.recover(few, REACH)[few.cell_name == "L3"]
    assert (found.curve_reason == recovered.NO_WIDTH).all() and found.curve_slope.isna().all()


def test_a_line_whose_areas_do_not_depend_on_the_slope_has_none():
    rows = screen(ONE)
    flat = rows.cell_name == "L3"
    rows.loc[flat, "auc"] = 0.5  # the middle of the range is the IC50, whatever the slope
    rows.loc[flat, "ln_ic50_um"] = (rows.top - rows.reach / 2)[flat] * np.log(2)
    found = recovered.recover(rows, REACH)
    assert (found.curve_reason[flat] == recovered.NO_WIDTH).all()
    assert found.curve_slope[~flat].notna().all()


def test_where_two_ranges_explain_an_area_the_curve_is_kept_and_the_range_is_not_guessed():
    rows = screen(KINDS["two strongest doses"])
    mine = (rows.drug_name == "X") & (rows.index % 4 == 0)
    middle = rows.top + 15 * rows.width  # no response within either range
    area = [
        mean_of_curve(*row) for row in zip(middle, rows.width, rows.top, rows.reach, strict=True)
    ]
    rows = rows.assign(
        auc=rows.auc.mask(mine, pd.Series(area)),
        ln_ic50_um=rows.ln_ic50_um.mask(mine, middle * np.log(2)),
    )
    found = recovered.recover(rows, REACH)
    assert (found.curve_reason[mine] == recovered.EITHER).all()
    assert (found.curve_reason[~mine] == "").all()
    assert found.range_strong[mine].isna().all() and found.curve_slope[mine].notna().all()


def test_an_assay_without_a_usable_pair_is_no_error():
    rows = screen(ONE).head(3).assign(ln_ic50_um=np.nan)
    assert (recovered.recover(rows, REACH).curve_reason == recovered.NO_IC50).all()
    assert recovered.recover(rows.head(0), REACH).empty
