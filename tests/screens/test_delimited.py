"""Delimited files: fields counted as a CSV reader counts them, missing files and web pages named."""

import gzip
import re
import zipfile
from dataclasses import replace

import pytest
from release_files import write

from lib.screens import (
    ccle,
    delimited,
    gcsi,
    gdsc,
    nci60,
    texts,
)
from lib.tables import OPTIONAL_TEXT, Column, TableError


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


THREE = delimited.Layout("a table", {"a": delimited.INT, "b": delimited.TEXT, "c": delimited.TEXT})
TABBED = replace(THREE, separator="\t")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("rows", "n"),
    [
        (["1,2,3", "4,5,6"], 2),
        (["1,2,3", "", "4,5,6"], 2),
        (["1,2,3", "", ""], 1),
        (['1,"2,two",3', "4,5,6"], 2),
        (['1,"2\nlines",3', "4,5,6"], 2),
        (['1,"say ""2"", two",3'], 1),
        (["1,2,3", "4,5"], "line 3: the last line has 2 of 3 fields"),
        (["1,2,3", "4,5", "6,7,8"], "line 3: 2 fields where the header has 3"),
        (["1,2,3", "4,5,6,7"], "line 3: 4 fields where the header has 3"),
        (['1,"2,two",3', "4,5,6,"], "line 3: 4 fields where the header has 3"),
        (["1,2,3,4", "5,6"], "line 2: 4 fields where the header has 3"),  # on average right
    ],
)
def test_rows_read_are_the_lines_of_the_file_or_the_odd_one_is_named(tmp_path, rows, n, end):
    for ending in (end, ""):
        for pack in (bytes, gzip.compress):
            text = "a,b,c" + end + end.join(rows) + ending
            path = tmp_path / "t.csv"
            path.write_bytes(pack(text.encode()))
            if isinstance(n, int):
                assert delimited.read(path, THREE).height == n
                continue
            with pytest.raises(TableError, match=n):
                delimited.read(path, THREE)


@pytest.mark.parametrize("remark", ['"near the 5', 'a "b" c', '"', '"whole"', '5" end', '""'])
def test_a_quotation_mark_in_a_tab_separated_file_is_a_letter(tmp_path, remark):
    rows = [f"{i}\t{remark if i % 4 == 0 else 'x'}\tz" for i in range(12)]
    found = delimited.read(write(tmp_path / "t.txt", "\n".join(["a\tb\tc", *rows])), TABBED)
    assert found.height == 12 and found["b"][4] == remark


@pytest.mark.parametrize(
    "rows",
    [
        ['1,"near,3', "2,y,z", '3,"far,z'],
        ["1,x,z", '2,"near,z', "3,y,z"],
        ['1,"near', '2,"far'],
        ['1,x,"', "2,y,z", '3,y,"', "4,y,z"],
        ["1,x,y", '2,y,"'],
        ["1,x,y", '2,"x"y,z'],
    ],
)
def test_a_stray_quotation_mark_that_takes_in_rows_is_refused(tmp_path, rows):
    path = write(tmp_path / "t.csv", "\n".join(["a,b,c", *rows]) + "\n")
    with pytest.raises(
        TableError, match=r"t.csv, line \d: (a quotation mark takes|the last|2 f|.*quotation mark)"
    ):
        delimited.read(path, THREE)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b,c\r1,2,3\r4,5,6\r", "line 1: carriage returns alone"),
        (b"# by hand\ra,b,c\r1,2,3", "line 1: carriage returns alone"),
        (b"a,b,c\n1,2,3\r4,5,6\n", "line 2: .*carriage returns alone"),
        ("a,b,c\n1,2,3\n".encode("utf-16"), "is no UTF-8 text"),
        ("a,b,c\n1,2,3\n".encode("utf-16-be"), "is no UTF-8 text"),
        ("a,b,c\n1,2,3\n".encode("utf-32"), "is no UTF-8 text"),
        ("a,b,c\n1,Zürich,3\n".encode("latin-1"), "is not UTF-8 text .*save it as UTF-8"),
        (b"# nothing else\n", "has no header"),
        (b"\xef\xbb\xbf", "has no header"),
        (b"a,b,c\n", "has a header and no row"),
        (b"a,b,c", "has a header and no row"),
        (b"# x\r\na,b,c\r\n\r\n", "has a header and no row"),
        (b"a;b;c\n1;2;3\n", "fields are separated by ';'"),
    ],
)
def test_bytes_that_are_no_table_of_lines_are_named(tmp_path, data, says):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(TableError, match=says):
        delimited.read(tmp_path / "t.csv", THREE)


@pytest.mark.parametrize("value", ['5" end', 'x"y', 'x"', 'a "b" c', "5'-\"x"])
def test_a_quotation_mark_inside_an_unquoted_text_is_a_letter(tmp_path, value):
    text = f"a,b,c\n1,x,y\n2,{value},y\n3,y,{value}\n"
    found = delimited.read(write(tmp_path / "t.csv", text), THREE)
    assert found.rows() == [(1, "x", "y"), (2, value, "y"), (3, "y", value)]
    with pytest.raises(TableError, match="t.csv.*quotation mark"):
        delimited.read(write(tmp_path / "t.csv", text + '4,"x"y,z\n'), THREE)


def test_a_workbook_under_the_name_of_a_text_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.csv", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(TableError, match="no UTF-8 text: a workbook, an archive"):
        delimited.read(tmp_path / "t.csv", THREE)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match="is no plain file"):
        delimited.read(tmp_path / "folder.csv", THREE)


@pytest.mark.parametrize("above", ["", "#version 2.4\n", '# "by\r\n#hand\r\n'])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_comments_and_a_byte_order_mark_stand_above_the_header(tmp_path, above, bom, pack):
    path = tmp_path / "t.txt"
    path.write_bytes(pack(f"{bom}{above}a\tb\tc\n1\t#x\ty\n2\t#\tz\n".encode()))
    assert delimited.read(path, TABBED)["b"].to_list() == ["#x", "#"]
    path.write_bytes(pack(f"{bom}{above}a\tb\tc\n1\t2\t3\nx\t2\t3\n".encode()))
    with pytest.raises(TableError, match=f"line {3 + above.count('#')}: column 'a'"):
        delimited.read(path, TABBED)


@pytest.mark.parametrize(
    "value",
    [
        "１",
        "٣",
        "0,5",
        "1_0",
        "1 ",
        "1d3",
        "0x1",
        "inf",
        "-Infinity",
        "1e400",
        "−1",
        "½",
        " ",
    ],
)
def test_a_number_is_written_in_plain_digits(tmp_path, value):
    for kind in ("float", "single", "int"):
        what = delimited.Layout("a table", {"a": Column(kind, -1e9, 1e9)}, "\t")
        path = write(tmp_path / "t.csv", f"a\tb\n1\tx\n{value}\tx\n")
        with pytest.raises(TableError, match=rf"line 3: column 'a' must be .*{re.escape(value)}"):
            delimited.read(path, what)


def test_layouts_say_their_line_even_below_quoted_line_breaks(tmp_path):
    what = delimited.Layout("a table", {"a": Column("float"), "b": delimited.TEXT})
    path = write(tmp_path / "t.csv", 'a,b\n1,"two\nlines"\nx,y\n')
    with pytest.raises(
        TableError, match=re.escape("t.csv, line 4: column 'a' must be a number, found 'x'")
    ):
        delimited.read(path, what)


def test_bytes_that_are_not_utf8_are_refused_where_a_row_needs_the_value(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a,b,c\n1,Caféine,x\n2,Cafèine,y\n".encode("latin-1"))
    what = replace(THREE, lossy=True)
    with pytest.raises(TableError, match="line 2: column 'b' is not UTF-8 text.*save the file as"):
        delimited.read(path, what)
    noted = replace(what, columns={"a": delimited.INT, "b": OPTIONAL_TEXT})
    assert delimited.read(path, noted).height == 2


def test_a_packed_text_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "SMALL", 1 << 16)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 200_000))
    with pytest.raises(TableError, match="t.csv.gz unpacks to more than 100 times its size"):
        delimited.read(tmp_path / "t.csv.gz", THREE)


@pytest.mark.parametrize(
    "text", [b"a" * 3_000_000, b"#\n" * 1_500_000, b"a,b,c\n" + b"1" * 3_000_000]
)
def test_a_packed_text_of_one_line_or_of_comments_without_end_is_refused(
    tmp_path, monkeypatch, text
):
    monkeypatch.setattr(texts, "SMALL", 1 << 16)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text))
    with pytest.raises(TableError, match="t.csv.gz .*unpacks to more than 100 times its size"):
        delimited.read(tmp_path / "t.csv.gz", THREE)
