"""Fits are summarised without dropping anything unsaid, beside the printed and published numbers,
on one scale.
"""

import numpy as np
import pandas as pd
import pytest
from made_curves import responses

from lib.hill import curve, fit, quality


def test_the_uno_pipelines_filter_keeps_its_own_limits_and_no_undetermined_error(made):
    assert quality.uno_filter(made).tolist() == [True, True, False, False, False, True]


def test_what_the_filter_removes_is_counted_without_controls(made):
    row = quality.filter_effect(made).iloc[0]
    assert (row.n, row.removed, row.by_r2fit, row.by_ec50se) == (5, 0.6, 0.2, 0.4)
    assert (
        row.removed_flat == pytest.approx(2 / 3)
        and row.auc_kept == pytest.approx(0.3)
        and row.auc_removed == 0.95
    )


def test_table_7_stands_beside_the_printed_mean_with_its_difference(made):
    made = made.assign(r2fit_raw=made.r2fit - 1, einf=0.1, hs=[1.0, 2.0, np.nan, np.nan, 2.0, 9.0])
    table = quality.table7(made).set_index(["study", "quantity", "statistic"]).sort_index()
    values = made.r2fit[:5]
    mine = table.loc["CCLE", "r2fit"]
    expected = [values.mean(), values.std(), values.median()]
    np.testing.assert_allclose(mine.ours[["mean", "sd", "median"]].astype(float), expected)
    quartiles = values.quantile([0.25, 0.75])
    np.testing.assert_allclose(mine.ours[["q25", "q75"]].astype(float), quartiles)
    assert mine.published["mean"] == 0.71
    assert mine.difference["mean"] == pytest.approx(values.mean() - 0.71)
    assert "prints no median" in mine.reason["median"]
    hs = table.loc["CCLE", "hs", "mean"]
    assert (hs.n_curves, hs.n_not_fitted) == (3, 2)


def test_the_printed_r2_stands_beside_both_ways_to_measure_it(made):
    table = quality.table7(made.assign(r2fit_raw=made.r2fit - 1, einf=0.1, hs=1.0))
    means = table[(table.study == "CCLE") & (table.statistic == "mean")].set_index("quantity")
    assert means.published[["r2fit", "r2fit_raw"]].tolist() == [0.71, 0.71]
    assert means.ours["r2fit_raw"] == pytest.approx(means.ours["r2fit"] - 1)


def test_a_study_without_curves_keeps_its_printed_values_and_the_reason(made):
    table = quality.table7(made.assign(r2fit_raw=0.5, einf=0.1, hs=1.0))
    rows = table[(table.study == "gCSI") & (table.statistic == "mean")]
    assert rows.published.notna().all() and rows.ours.isna().all() and rows.recipe.isna().all()
    assert rows.reason.str.contains("0 fitted curve").all()


def test_every_kind_of_example_is_found_in_a_screen_or_left_out():
    table = fit.fit_curves(responses(200))
    chosen = quality.examples(table)
    assert "textbook" in chosen and set(chosen.values()) <= set(table.curve_id)
    assert quality.examples(table.iloc[:0]) == {}


def test_trust_is_a_share_of_each_studys_curves():
    table = quality.trust(fit.fit_curves(responses()))
    shares = table.drop(columns=["study", "n", "edge_auc"]).to_numpy()
    assert ((shares >= 0) & (shares <= 1)).all() and table.n[
        0
    ] == 33  # 40 less 4 short ones and 3 more controls
    assert table.extrapolated[0] == pytest.approx(2 / 6, abs=0.01)


def test_an_effect_that_only_begins_at_the_strongest_dose_is_counted_with_its_area():
    dose = np.linspace(9, 5, 9)
    growth = [curve.growth_at(dose, 0.0, pec50, 2.0) for pec50 in (5.0, 4.9, 7.0)]
    names = dict(
        study="CCLE", assay="CCLE", cell_id="l", drug_id="D", endpoint="viability", control=False
    )
    parts = [
        pd.DataFrame(names | dict(curve_id=f"c{i}", dose=dose, growth=g))
        for i, g in enumerate(growth)
    ]
    row = quality.trust(fit.fit_curves(pd.concat(parts, ignore_index=True))).iloc[0]
    assert row.edge == pytest.approx(2 / 3) and row.edge_auc == pytest.approx(
        curve.auc(0, 4.95, 2.0), abs=1e-3
    )


def test_scipy_never_has_the_lower_sum_of_squares():
    table = responses(60)
    side = quality.beside_scipy(fit.fit_curves(table), table, n=20)
    assert len(side) == 20 and side.excess.min() > -1e-9
