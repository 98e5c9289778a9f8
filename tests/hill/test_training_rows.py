"""Training rows are medians over replicate curves, and one function with one filter makes them."""

import json

import numpy as np
import pandas as pd
import pytest

from lib import tables
from lib.hill import quality
from lib.paths import ROOT


@pytest.fixture
def fits():
    rows = [
        ("c1", "GDSC", "GDSC2", "A", "X", "viability", 0.2, 0.9, 0.1, False),
        ("c2", "GDSC", "GDSC2", "A", "X", "viability", 0.4, 0.9, 0.1, False),
        ("c3", "GDSC", "GDSC2", "A", "X", "viability", 0.9, 0.1, 0.1, False),
        ("c4", "GDSC", "GDSC1", "A", "X", "viability", 0.7, 0.9, 5.0, False),
        ("c5", "GDSC", "GDSC2", "A", "MG", "viability", 0.1, 0.9, 0.1, True),
        ("c6", "NCI-60", "NCI-60", "B", "Y", "viability", 0.6, 0.9, 0.1, False),
        ("c7", "NCI-60", "NCI-60", "B", "Y", "growth", 0.3, 0.9, 0.1, False),
        ("c8", "NCI-60", "NCI-60", "B", "Z", "viability", np.nan, np.nan, np.nan, False),
    ]
    names = "curve_id study assay cell_id drug_id endpoint auc r2fit ec50se control".split()
    return pd.DataFrame(rows, columns=names)


def test_replicate_curves_become_their_median_with_n_kept(fits):
    got = tables.check(quality.training_rows(fits), tables.PAIRS).set_index(["assay", "drug_id"])
    assert got.loc[("GDSC2", "X"), ["auc", "n_curves"]].tolist() == [0.4, 3]


def test_two_assays_of_one_study_stay_two_rows(fits):
    assert len(quality.training_rows(fits).query("drug_id == 'X'")) == 2


def test_controls_and_curves_without_a_fit_are_left_out(fits):
    assert set(quality.training_rows(fits).drug_id) == {"X", "Y"}


def test_viability_wins_over_growth_of_the_same_wells(fits):
    row = quality.training_rows(fits).query("drug_id == 'Y'").iloc[0]
    assert row.endpoint == "viability" and row.auc == 0.6


def test_the_uno_filter_drops_poor_fits(fits):
    got = quality.training_rows(fits, "uno")
    assert got.query("drug_id == 'X'").n_curves.tolist() == [2]


def test_an_unknown_filter_is_refused(fits):
    with pytest.raises(ValueError, match="'none' or 'uno', found 'best'"):
        quality.training_rows(fits, "best")


def test_the_target_is_the_area_over_the_fixed_or_over_the_common_range(fits):
    fits["auc_common"] = np.where(fits.drug_id == "X", fits.auc / 2, np.nan)
    got = quality.training_rows(fits, target="auc_common")
    whole = quality.training_rows(fits).query("drug_id == 'X'")
    np.testing.assert_allclose(got.auc, whole.auc / 2)
    assert got.columns.equals(whole.columns) and set(got.drug_id) == {"X"}


@pytest.mark.parametrize("target", ["ic50", "auc_common"])
def test_another_target_or_one_that_fits_lack_is_refused(fits, target):
    with pytest.raises(
        ValueError, match=f"target must be one of .* a column of fits, found '{target}'"
    ):
        quality.training_rows(fits, target=target)


def test_how_many_rows_each_filter_leaves_is_counted_by_study(fits):
    counts = quality.rows_by_filter(fits)
    assert counts.to_dict("index") == {
        "GDSC": dict(none=2, uno=1),
        "NCI-60": dict(none=1, uno=1),
    }


def sources(name):
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def test_no_notebook_writes_training_rows_for_another_to_read():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert not [key for key, text in sources(path.stem).items() if "pairs.parquet" in text]


def test_the_filter_of_the_training_rows_is_a_setting_of_the_sweep_alone():
    assert "fit_filter" not in sources("02_hill_fit")["parameters"]
