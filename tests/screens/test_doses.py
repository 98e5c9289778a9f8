"""Curves and doses from a reader's rows: codes, categoricals, refusals."""

import numpy as np
import pandas as pd
import pytest
from release_files import DOSERESP, write

from lib.screens import (
    doses,
    nci60,
)


@pytest.mark.parametrize("lines", [[7, 7, 3, 3, 9], [7, 3, 7, 9, 3], [5], [4, 4]])
def test_a_curve_has_one_code_whether_its_rows_follow_one_another_or_come_back(lines):
    import polars as pl

    heads = pl.DataFrame(dict(line=lines, drug=["a"] * len(lines)))
    codes = doses.curve_codes(heads, ("line", "drug"))
    expected, _ = pd.factorize(np.array(lines))
    assert codes.tolist() == expected.tolist() and codes.dtype == np.int32


def test_a_text_column_keeps_its_order_of_appearance_and_its_gaps():
    import polars as pl

    made = doses.categorical(pl.Series(["b", None, "a", "b", None, "c"]))
    assert made.categories.tolist() == ["b", "a", "c"] and made.codes.tolist() == [
        0,
        -1,
        1,
        0,
        -1,
        2,
    ]
    assert doses.categorical(pl.Series([None, None], dtype=pl.String)).codes.tolist() == [-1, -1]


def test_a_refused_row_is_counted_and_not_clipped(tmp_path):
    text = DOSERESP.replace("LNS,1,-100,", "LNS,1,5000,")
    frame = nci60.read_responses(write(tmp_path / "DOSERESP.csv", text))
    assert len(frame) == 2 and frame.growth.max() == 1
    assert ("DOSERESP", "no reading, or growth outside -5 to 10", 2) in frame.attrs["refused"]
