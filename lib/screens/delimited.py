"""How an official file is opened: header checked, types and ranges declared, each broken row named
with its remedy.

A reader declares a `Layout` and gets a polars frame in the file's own names and units, or one
`TableError` that says file, line, column, value and what to do. The parsing is polars'; only after
it has refused a file is that file read line by line, to find the row to show.

A tab-separated file knows no quoting: a quotation mark in it is a letter, and every line is a row.
Lines that begin with # above the header are skipped.
"""

import csv
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lib.screens import texts
from lib.tables import Column, TableError

ROWS = 1 << 18  # of a batch
PIECE = (1 << 20, 1 << 22)  # bytes that polars parses at a time, at least and at most; else 16 MB
MISSING = ("", "NA", "NaN", "na", "nan")
TYPES = {
    "text": pl.String,
    "id": pl.Categorical,
    "int": pl.Int64,
    "float": pl.Float64,
    "single": pl.Float32,
}
NUMERIC = ("int", "float", "single")
WHOLE = "a whole number", r"[-+]?[0-9]+"
NUMBER = "a number", r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
LOST = "\ufffd"  # stands for bytes that are not UTF-8
CUT = "the download stopped early; delete the file and fetch it again"


@dataclass(frozen=True)
class Layout:
    """A delimited official file: what it is, and the columns that are read, in the file's own
    units.
    """

    name: str
    columns: dict  # name to lib.tables.Column
    separator: str = ","
    missing: tuple = MISSING
    above: str = ""  # a column of the header, where other lines may stand above it
    lossy: bool = False  # bytes that are not UTF-8 may stand in what no row needs

    def found(self, header):
        """The columns that a file with this header has."""
        present = set(header)
        return {name: column for name, column in self.columns.items() if name in present}

    @property
    def quote(self):
        """The quotation mark of the format; None where it has none."""
        return None if self.separator == "\t" else '"'


ID, TEXT, INT = Column("id"), Column("text"), Column("int")
EMPTY_ID = Column("id", nullable=True)
OPTIONAL_ID = Column("id", nullable=True, optional=True)


def read(path, layout):
    """Parse a delimited file, plain or gzip.

    Parameters
    ----------
    path : path
    layout : Layout
        Columns not named in it are skipped; a named column may be absent only if it is optional.

    Returns
    -------
    polars.DataFrame
        The layout's columns, kind "id" as Categorical; a row for every line that is not empty.

    Raises
    ------
    TableError
        Missing, empty or cut file, wrong separator or header, a value of another type or out of
        range.
    """
    return pl.concat(batches(path, layout))


def batches(path, layout):
    """The same in parts of some rows each, for files of many rows.

    The fields of every line are counted beside, since a parser that skips columns takes a row with
    a field too many, or one too few, for a whole one.

    Yields
    ------
    polars.DataFrame

    Raises
    ------
    TableError
        As `read`; parts before a broken value or line have been given by then.
    """
    path = texts.exists(path)
    header = check_header(path, layout)
    rows = 0
    with ThreadPoolExecutor(1) as beside:
        looked = beside.submit(_look, path, layout, len(header))
        try:
            # what a quotation mark or a packed file holds must be known before it is parsed
            known = texts.lacks(path, layout.quote or "\0")
            quoted = not known and looked.result()["quoted"]
            scan = _scan(path, layout, header, layout.quote if quoted else None)
            for part in scan.collect_batches(chunk_size=ROWS, maintain_order=True):
                if all(series.null_count() for series in part) and looked.result()["empty"]:
                    part = part.filter(pl.any_horizontal(pl.all().is_not_null()))
                rows += part.height
                _check_range(part, path, layout, header)
                yield part
            seen = looked.result()
        except (pl.exceptions.PolarsError, *texts.DAMAGED) as error:
            _refuse_broken(path, layout, header)
            reason = str(error).split("\n")[0]
            raise TableError(
                f"{path.name} cannot be read ({reason}; {layout.name}): does each quotation mark "
                "stand in pairs?"
            ) from error
    if not seen["lines"]:
        raise TableError(f"{path.name} has a header and no row: fill it, or fetch it again")
    if seen["odd"]:
        _refuse_broken(path, layout, header)
    elif rows != seen["lines"]:
        raise TableError(f"{path.name}: {seen['lines']} lines, {rows} rows ({layout.name})")


def _look(path, layout, n_fields):
    """Number of lines that are not empty; whether some line is odd (another number of fields than
    the header), some empty, and some text quoted: else a quotation mark is a letter.

    Of a block of whole lines all but separators and line feeds is taken away; only if what is left
    differs from line to line are they looked at one by one. A quoted text that goes on in the next
    line is odd too: it needs the slower look.
    """
    mark = layout.separator.encode()
    of_line = mark * (n_fields - 1) + b"\n"
    others = bytes(set(range(256)) - set(of_line))
    begins_quoted = re.compile(rb'(?m)(^|%b)"' % re.escape(mark))
    seen = dict(lines=0, odd=False, empty=False, quoted=False)
    for block in texts.blocks(path, texts.top(path, layout.above)[0] + 1):
        if layout.quote and b'"' in block:
            seen["quoted"] |= bool(begins_quoted.search(block))
            block = re.sub(rb'"[^"\n]*"', b"x", block)
            seen["odd"] |= b'"' in block
        left = block.translate(None, others)
        lines = len(left) // n_fields
        if n_fields == 1 or left != of_line * lines:
            whole = block[:-1].split(b"\n")
            full = [line for line in whole if line.strip(b"\r")]
            lines = len(full)
            seen["empty"] |= lines < len(whole)
            seen["odd"] |= any(line.count(mark) != n_fields - 1 for line in full)
        seen["lines"] += lines
    return seen


def _scan(path, layout, header, quote):
    # many pieces are read ahead: of a small file they must be small, or it is held whole beside
    # what is read from it
    os.environ["POLARS_CSV_CHUNK_SIZE"] = str(np.clip(path.stat().st_size // 128, *PIECE))
    found = layout.found(header)
    kinds = {name: column.kind for name, column in found.items()}
    return pl.scan_csv(
        path,
        schema={name: TYPES[kinds.get(name, "text")] for name in header},
        separator=layout.separator,
        quote_char=quote,
        null_values=list(layout.missing) or None,
        encoding="utf8-lossy" if layout.lossy else "utf8",
        skip_lines=texts.top(path, layout.above)[0],
    ).select(list(found))


def _check_range(frame, path, layout, header):
    """Refuse a frame in which a required value is missing or not UTF-8, or a number leaves its
    range.
    """
    for series in frame:
        column = layout.columns[series.name]
        known = series.drop_nulls()
        wrong = len(known) < len(series) and not column.nullable
        if column.kind in NUMERIC and len(known):
            inside = column.low <= known.min() and known.max() <= column.high
            wrong |= not inside or (column.kind != "int" and not known.is_finite().all())
        elif layout.lossy and not column.nullable:
            wrong |= known.unique().cast(str).str.contains(LOST, literal=True).any()
        if wrong:
            _refuse_broken(path, layout, header)
            raise TableError(f"{path.name}: a value is missing or out of range ({layout.name})")


def check_header(path, layout):
    """First line of the file as names; an error says which are missing and what the separator seems
    to be.

    Raises
    ------
    TableError
    """
    header = texts.names(path, layout.separator, layout.above)
    if not header:
        raise TableError(f"{path.name} begins with an empty line: put its header there")
    needed = [name for name, column in layout.columns.items() if not column.optional]
    absent = [name for name in needed if name not in header]
    twice = sorted(name for name, n in Counter(header).items() if n > 1)
    if absent:
        problem = _other_separator(path, layout, header) or (
            f"column(s) {absent} missing; found {header[:30]}. Is this {layout.name}? "
            "Keep the header line of the official file"
        )
    elif twice:
        problem = f"column(s) {twice} stand twice in the header; keep one of each ({layout.name})"
    else:
        return header
    raise TableError(f"{path.name}: {problem}")


def _other_separator(path, layout, header):
    _, first = texts.top(path, layout.above)
    for other in ",;\t|":
        if len(header) <= 2 < len(first.split(other)):
            return (
                f"fields are separated by {other!r}, {layout.name} by {layout.separator!r}; "
                f"save it again with {layout.separator!r} (first line: {first[:80]!r})"
            )
    return None


def _refuse_broken(path, layout, header):
    """Find the first row that breaks the layout and raise for it; nothing where every row keeps
    it.
    """
    quoting = csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE
    above = texts.top(path, layout.above)[0]
    try:
        with texts.text(path, layout.lossy) as lines:
            for _ in range(above):
                next(lines)
            rows = csv.reader(lines, delimiter=layout.separator, quoting=quoting, strict=True)
            next(rows)
            for row in rows:
                problem = row and _row_problem(row, header, layout)
                if problem:
                    line = above + rows.line_num - sum(value.count("\n") for value in row)
                    if len(row) < len(header) and next(rows, None) is None:
                        problem = f"the last line has {len(row)} of {len(header)} fields: {CUT}"
                    raise TableError(f"{path.name}, line {line}: {problem}")
    except texts.DAMAGED as error:
        raise TableError(
            f"{path.name} cannot be read to its end ({error}): delete it and fetch it again"
        ) from error
    except UnicodeDecodeError as error:
        raise TableError(f"{path.name} is not UTF-8 text ({error}): save it as UTF-8") from error
    except csv.Error as error:
        what = f"{error}: {texts.RETURN}, or a quotation mark that never closes"
        raise TableError(f"{path.name}, line {above + rows.line_num}: {what}") from error


def _row_problem(row, header, layout):
    whole = layout.separator.join(row)
    below = whole.split("\n")[1:]
    if any(line.count(layout.separator) >= len(header) - 1 for line in below):
        return "a quotation mark takes in the rows below; remove it, or write it twice"
    if len(row) != len(header):
        return (
            f"{len(row)} fields where the header has {len(header)} (it begins {whole[:60]!r}): "
            "a shifted or cut row, or a decimal comma; restore the official row"
        )
    values = dict(zip(header, row, strict=True))
    for name, column in layout.found(header).items():
        problem = _value_problem(values[name], column, layout.missing)
        if problem:
            return f"column {name!r} {problem}"
    return None


def _value_problem(value, column, missing):
    if value in missing or not value:
        found = f" (found {value!r})" if value else ""
        return None if column.nullable else f"is empty{found}; every row needs it"
    if LOST in value and not column.nullable:
        return f"is not UTF-8 text, found {value!r}; save the file as UTF-8"
    if column.kind not in NUMERIC:
        return None
    what, written = WHOLE if column.kind == "int" else NUMBER
    if not re.fullmatch(written, value):
        comma = re.fullmatch(r"[-+]?\d+,\d+", value)
        hint = "; a decimal comma? write a point" if comma else ""
        return f"must be {what}, found {value!r}{hint}"
    if column.low <= float(value) <= column.high:
        return None
    return f"must be {column.allowed}, found {value}; {column.remedy}".rstrip("; ")


def matrix(path, layout, low, high):
    """A wide file of numbers: the layout's columns, and every other one in single precision.

    Parameters
    ----------
    path : path
    layout : Layout
    low, high : float
        Range of every value.

    Returns
    -------
    polars.DataFrame
    """
    value = Column("single", low, high, nullable=True, optional=True)
    header = check_header(path, layout)
    columns = {name: layout.columns.get(name, value) for name in header}
    return read(path, replace(layout, columns=columns))


def refuse_twice(path, column):
    """Raise for a value of a column of polars that stands in more than one row."""
    twice = column.filter(column.is_duplicated()).drop_nulls()
    if len(twice):
        raise TableError(
            f"{path.name}: {column.name} {twice[0]!r} stands in more than one row "
            f"({len(twice)} such); keep one each"
        )
