"""Delimited files: fields counted as a CSV reader counts them, missing files and web pages named."""

import re

import pytest
from release_files import write

from lib.screens import (
    ccle,
    delimited,
    gcsi,
    gdsc,
    nci60,
)
from lib.tables import Column, TableError


@pytest.mark.parametrize("module", [ccle, gdsc, gcsi, nci60])
def test_a_missing_or_empty_file_says_how_to_get_it(module, tmp_path):
    path = tmp_path / "GDSC1_raw_data.csv"
    with pytest.raises(TableError, match="is missing: python -m lib.screens.download"):
        module.read_responses(path)
    path.write_bytes(b"")
    with pytest.raises(TableError, match="is empty"):
        module.read_responses(path)


def test_a_web_page_saved_as_data_is_not_taken_for_a_table(tmp_path):
    with pytest.raises(TableError, match="missing; found"):
        nci60.read_responses(
            write(tmp_path / "DOSERESP.csv", "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n")
        )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        (["1,2,3", "4,5,6"], True),
        (["1,2,3", "", "4,5,6"], True),
        (['1,"2,two",3', "4,5,6"], True),
        (['1,"2\nlines",3', "4,5,6"], True),
        (['1,"say ""2"", two",3'], True),
        (["1,2,3", "4,5"], False),
        (["1,2,3", "4,5,6,7"], False),
        (['1,"2,two",3', "4,5,6,"], False),
    ],
)
def test_fields_are_counted_as_a_csv_reader_counts_them(tmp_path, monkeypatch, rows, whole, end):
    text = "a,b,c" + end + end.join(rows)
    for size in (1 << 18, 3):  # a chunk of three bytes cuts every row
        monkeypatch.setattr(delimited, "CHUNK", size)
        for ending in (end, ""):
            assert (
                delimited.every_row_has(3, write(tmp_path / "t.csv", text + ending), ",") is whole
            )


def test_layouts_say_their_line_even_below_quoted_line_breaks(tmp_path):
    what = delimited.Layout("a table", {"a": Column("float"), "b": delimited.TEXT})
    path = write(tmp_path / "t.csv", 'a,b\n1,"two\nlines"\nx,y\n')
    with pytest.raises(
        TableError, match=re.escape("t.csv, line 4: column 'a' must be a number, found 'x'")
    ):
        delimited.read(path, what)
