"""Cohorts hold lines of a named type, and labels keep their kind."""

import pandas as pd
import pytest

from lib.cells import cohorts


def test_annotated_types_leave_out_lines_without_one():
    frame = pd.DataFrame(dict(cell_id=["A", "B"], cancer_type=["Melanoma", None], donor=["A", "B"]))
    assert cohorts.annotated_types(frame).to_dict("records") == [
        dict(cell_id="A", label_kind="annotated", cancer_type="Melanoma")
    ]


def test_labels_that_are_not_annotated_keep_their_kind():
    made = pd.DataFrame(dict(cell_id=["a"], cancer_type=["lung"], label_kind=["autoencoder"]))
    assert list(cohorts.annotated_types(made).label_kind) == ["autoencoder"]


def test_the_most_frequent_types_are_named_ones_and_ties_go_by_the_alphabet():
    types = ["Glioma", "Melanoma", "Myeloma", "Myeloma"] + ["Lung_NOS", "Unknown", None] * 3
    assert cohorts.top_types(pd.DataFrame(dict(cancer_type=types)), 2) == ["Myeloma", "Glioma"]


def test_a_cohort_holds_the_frequent_types_among_the_screened_lines_only():
    cells = pd.DataFrame(dict(cell_id=list("abcdefgh"), cancer_type=list("ABCDEFGG")))
    rows = pd.DataFrame(dict(cell_id=list("abcdefg")))  # of G one line is screened
    assert cohorts.cohort_mask(rows, cells, "top6").tolist() == [True] * 6 + [False]
    assert cohorts.cohort_mask(rows, cells, "all").all()
    with pytest.raises(ValueError, match="cohort must be .* found 'top5'"):
        cohorts.cohort_mask(rows, cells, "top5")
