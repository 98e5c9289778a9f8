"""How an official file is opened: header checked, types and ranges declared, each broken row named
with its remedy.

A reader declares a `Layout` and gets a polars frame in the file's own names and units, or one
`TableError` that says file, line, column, value and what to do. The parsing is polars'; only after
it has refused a file is that file read line by line, to find the row to show.
"""

import csv
import gzip
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from lib.tables import Column, TableError

ROWS = 1 << 18  # of a batch
PIECE = (1 << 20, 1 << 22)  # bytes that polars parses at a time, at least and at most; else 16 MB
CHUNK = 1 << 18  # bytes looked at together when fields are counted: fits a core's cache
NEWLINE, RETURN, QUOTE = 10, 13, 34
MISSING = ("", "NA", "NaN", "na", "nan")
TYPES = {
    "text": pl.String,
    "id": pl.Categorical,
    "int": pl.Int64,
    "float": pl.Float64,
    "single": pl.Float32,
}
NUMERIC = ("int", "float", "single")


@dataclass(frozen=True)
class Layout:
    """A delimited official file: what it is, and the columns that are read, in the file's own
    units.
    """

    name: str
    columns: dict  # name to lib.tables.Column
    separator: str = ","
    missing: tuple = MISSING
    lossy: bool = False  # bytes that are not UTF-8 are replaced, as in tables of chemical names

    def found(self, header):
        """The columns that a file with this header has."""
        present = set(header)
        return {name: column for name, column in self.columns.items() if name in present}


ID, TEXT, INT = Column("id"), Column("text"), Column("int")
EMPTY_ID = Column("id", nullable=True)
OPTIONAL_ID = Column("id", nullable=True, optional=True)
OPTIONAL_TEXT = Column("text", nullable=True, optional=True)


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
        The layout's columns, kind "id" as Categorical.

    Raises
    ------
    TableError
        Missing, empty or cut file, wrong separator or header, a value of another type or out of
        range.
    """
    parts = list(batches(path, layout))
    if not parts:
        raise TableError(f"{path.name} has a header and no row: delete it and fetch it again")
    return pl.concat(parts)


def batches(path, layout):
    """The same in parts of some rows each, parsed while the caller works on the part before; for
    files of many rows.

    The fields of every row are counted beside the parsing.

    Yields
    ------
    polars.DataFrame

    Raises
    ------
    TableError
        As `read`; parts before the broken row have been given by then.
    """
    header = check_header(path, layout)
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(every_row_has, len(header), path, layout.separator)
        try:
            scan = _scan(path, layout, header)
            for part in scan.collect_batches(chunk_size=ROWS, maintain_order=True):
                if _out_of_range(part, layout):
                    reason = "a required value is missing or out of range"
                    raise diagnose(path, layout, header, reason)
                yield part
            whole = counted.result()
        except (pl.exceptions.PolarsError, OSError, EOFError) as error:
            raise diagnose(path, layout, header, str(error).split("\n")[0]) from error
    if not whole:
        reason = f"not every row has the {len(header)} fields of the header"
        raise diagnose(path, layout, header, reason)


def _scan(path, layout, header):
    # many pieces are read ahead: of a small file they must be small, or it is held whole beside
    # what is read from it
    os.environ["POLARS_CSV_CHUNK_SIZE"] = str(np.clip(path.stat().st_size // 128, *PIECE))
    found = layout.found(header)
    kinds = {name: column.kind for name, column in found.items()}
    return pl.scan_csv(
        path,
        schema={name: TYPES[kinds.get(name, "text")] for name in header},
        separator=layout.separator,
        null_values=list(layout.missing) or None,
        encoding="utf8-lossy" if layout.lossy else "utf8",
    ).select(list(found))


def _out_of_range(frame, layout):
    """Whether any required value is missing or any number leaves its range."""
    for series in frame:
        column = layout.columns[series.name]
        if series.null_count() and not column.nullable:
            return True
        if column.kind in NUMERIC and series.null_count() < series.len():
            inside = column.low <= series.min() and series.max() <= column.high
            if not inside or (column.kind != "int" and series.is_nan().any()):
                return True
    return False


def check_header(path, layout):
    """First line of the file as names; an error says which are missing and what the separator seems
    to be.

    Raises
    ------
    TableError
    """
    exists(path)
    first = first_line(path)
    if not first:
        raise TableError(f"{path.name} has no header: delete it and fetch it again ({layout.name})")
    header = next(csv.reader([first], delimiter=layout.separator))
    found = layout.found(header)
    needed = [name for name, column in layout.columns.items() if not column.optional]
    absent = [name for name in needed if name not in found]
    if absent:
        raise TableError(f"{path.name}: {_header_problem(layout, first, header, absent)}")
    twice = sorted(name for name, n in Counter(header).items() if n > 1)
    if twice:
        raise TableError(
            f"{path.name}: column(s) {twice} stand twice in the header; keep one of each "
            f"({layout.name})"
        )
    _check_end(path, layout, header)
    return header


def _header_problem(layout, first, header, absent):
    for other in ",;\t|":
        if len(header) <= 2 < len(first.split(other)):
            return (
                f"fields are separated by {other!r}, {layout.name} by {layout.separator!r}; "
                f"save it again with {layout.separator!r} (first line: {first[:80]!r})"
            )
    return (
        f"column(s) {absent} missing; found {header[:30]}. Is this {layout.name}? "
        "Keep the header line of the official file"
    )


def _check_end(path, layout, header):
    """The last line of a plain file must have as many fields as the header, or the download stopped
    early.
    """
    if path.suffix == ".gz":
        return  # a cut gzip stream fails on its own
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - 65536))
        tail = handle.read().decode("utf-8", "replace").rstrip("\r\n").split("\n")
    found = tail[-1].count(layout.separator) + 1
    if len(tail) > 1 and '"' not in tail[-1] and found < len(header):
        raise TableError(
            f"{path.name}: the last line has {found} of {len(header)} fields ({tail[-1][:60]!r}): "
            "the download stopped early; delete the file and fetch it again"
        )


def every_row_has(n_fields, path, separator):
    """Whether every row has so many fields, counted over the bytes of a plain or gzip file.

    A parser that skips columns takes a row with a field too many, or one too few, for a whole one:
    the values that follow are then read from the wrong column without a word. Counting separators
    outside quotes finds that for one pass over the file. Also True where quotes do not pair up,
    since then nothing can be said; empty lines do not count.
    """
    separators = rows = quotes = 0
    last = NEWLINE  # the byte before the chunk
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as handle:
        while block := handle.read(CHUNK):
            data = np.frombuffer(block, np.uint8)
            ends = data == NEWLINE
            between = data == ord(separator)
            if quotes % 2 or QUOTE in block:
                marks = quotes + np.cumsum(data == QUOTE)  # a quote in a quoted text is doubled
                quotes = int(marks[-1])
                ends &= marks % 2 == 0
                between &= marks % 2 == 0
            separators += np.count_nonzero(between)
            rows += np.count_nonzero(ends) - _empty_lines(data, ends, last)
            last = (block.rstrip(b"\r") or bytes([last]))[-1]
    rows += last != NEWLINE
    return bool(quotes % 2 or separators == rows * (n_fields - 1))


def _empty_lines(data, ends, last):
    """Line ends that follow another line end, perhaps with a carriage return between."""
    if RETURN in data[:2048]:
        ends = ends[data != RETURN]
    if not len(ends):
        return 0
    return int(ends[0] and last == NEWLINE) + np.count_nonzero(ends[1:] & ends[:-1])


def diagnose(path, layout, header, reason):
    """Find the first row that breaks the layout and say so; the reason stands in where none is
    found.

    Returns
    -------
    TableError
    """
    found = layout.found(header)
    try:
        with text(path, layout.lossy) as lines:
            rows = csv.reader(lines, delimiter=layout.separator)
            next(rows)
            for row in rows:
                problem = _row_problem(row, header, found, layout) if row else None
                if problem:
                    return TableError(f"{path.name}, line {rows.line_num}: {problem}")
    except (EOFError, OSError) as error:
        return TableError(
            f"{path.name} cannot be read to its end ({error}): delete it and fetch it again"
        )
    except UnicodeDecodeError as error:
        return TableError(f"{path.name} is not UTF-8 text ({error}): save it as UTF-8")
    except csv.Error as error:
        return TableError(f"{path.name} is no delimited text ({error}): fetch it again")
    return TableError(f"{path.name}: {reason} ({layout.name})")


def _row_problem(row, header, found, layout):
    if len(row) != len(header):
        return (
            f"{len(row)} fields where the header has {len(header)} "
            f"(it begins {layout.separator.join(row)[:60]!r}): "
            "a shifted or cut row, or a decimal comma; restore the official row"
        )
    values = dict(zip(header, row, strict=True))
    for name, column in found.items():
        problem = _value_problem(values[name], column, layout.missing)
        if problem:
            return f"column {name!r} {problem}"
    return None


def _value_problem(value, column, missing):
    stripped = value.strip()
    if stripped in missing or stripped == "":
        return None if column.nullable else "is empty; every row needs it"
    if column.kind not in NUMERIC:
        return None
    whole = column.kind == "int"
    try:
        number = int(stripped) if whole else float(stripped)
    except ValueError:
        comma = re.fullmatch(r"[-+]?\d+,\d+", stripped)
        hint = "; a decimal comma? write a point" if comma else ""
        return f"must be {'a whole number' if whole else 'a number'}, found {value!r}{hint}"
    if column.low <= number <= column.high:
        return None
    return f"must be {column.allowed}, found {value}; {column.remedy}".rstrip("; ")


def exists(path):
    """The path, or an error that says how to get the file.

    Raises
    ------
    TableError
    """
    path = Path(path)
    if not path.exists():
        raise TableError(
            f"{path} is missing: python -m lib.screens.download gets it, "
            "or says how to place it by hand"
        )
    if path.is_file() and path.stat().st_size == 0:
        raise TableError(f"{path.name} is empty: delete it and fetch it again")
    return path


def text(path, lossy):
    """Open a plain or gzip text file for reading."""
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8", errors="replace" if lossy else "strict")


def first_line(path):
    """First line of a text file without its end; empty where there is none."""
    try:
        with text(path, lossy=True) as lines:
            return lines.readline().rstrip("\r\n").lstrip("\ufeff")
    except (EOFError, OSError) as error:
        raise TableError(
            f"{path.name} cannot be read ({error}): delete it and fetch it again"
        ) from error


def stem(path):
    """File name without its endings: the short name that curve ids carry."""
    return re.sub(r"(\.(csv|tsv|txt|gz|zip|tar|tgz|xlsx?))+$", "", path.name)


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
