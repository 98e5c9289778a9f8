"""The cohorts are the most frequent named types among the lines that were screened."""

import pandas as pd
import pytest

from lib.cells import cohorts


@pytest.fixture
def cells():
    types = ["Lung"] * 4 + ["Skin"] * 3 + ["Brain_NOS"] * 9 + [None, "Unknown"]
    return pd.DataFrame(dict(cell_id=[f"c{i}" for i in range(len(types))], cancer_type=types))


def test_sites_without_a_type_never_make_a_cohort(cells):
    assert cohorts.top_types(cells, 6) == ["Lung", "Skin"]


def test_a_cohort_counts_screened_lines_only(cells):
    rows = pd.DataFrame(dict(cell_id=["c4", "c5", "c6", "c0", "c16", "c8"]))
    assert cohorts.cohort_mask(rows, cells, "top6").tolist() == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert cohorts.cohort_mask(rows, cells, "all").all()


def test_an_unknown_cohort_is_refused(cells):
    with pytest.raises(ValueError, match="found 'top5'"):
        cohorts.cohort_mask(pd.DataFrame(dict(cell_id=["c0"])), cells, "top5")
