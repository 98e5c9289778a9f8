"""How an official file is opened: header checked, types and ranges declared, each broken row named with its remedy.

A reader declares a `Layout` and gets a polars frame in the file's own names and units, or one `TableError` that says
file, line, column, value and what to do. The parsing is polars'; only after it has refused a file is that file read
line by line, to find the row to show.
"""

import csv
import gzip
import os
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.screens import shape
from lib.tables import TableError

PIECE = (
    1 << 20,
    1 << 22,
)  # bytes that polars parses at a time, at least and at most; 16 MB if it is not told

MISSING = ("", "NA", "NaN", "na", "nan")
NUMERIC = ("int", "float", "value")


@dataclass(frozen=True)
class Field:
    """One column of a file: its kind, its range in the file's own unit, whether it and its values must be there."""

    kind: str = "text"  # "text", "id" (text of few distinct values), "int", "float", "value" (a number in single precision)
    low: float = -np.inf
    high: float = np.inf
    required: bool = True
    empty: bool = False  # the column must be there, but a row may leave it empty
    remedy: str = ""


@dataclass(frozen=True)
class Layout:
    """A delimited official file: what it is, where it comes from, the columns that are read."""

    name: str
    fields: dict
    separator: str = ","
    missing: tuple = MISSING
    skip: int = 0  # lines above the header
    labels: int = 0  # rows of labels between header and data
    lossy: bool = False  # bytes that are not UTF-8 are replaced, as in tables of chemical names


ID, TEXT = Field("id"), Field("text")
MAYBE_ID, MAYBE_TEXT = Field("id", required=False), Field("text", required=False)
EMPTY_ID = Field("id", empty=True)


def read(path, layout):
    """Parse a delimited file, plain or gzip.

    Parameters
    ----------
    path : path
    layout : Layout
        Columns not named in it are skipped; a named column may be absent only if it is not required.

    Returns
    -------
    polars.DataFrame
        The layout's columns, kind "id" as Categorical.

    Raises
    ------
    TableError
        Missing, empty or cut file, wrong separator or header, a value of another type or out of range.
    """
    import polars as pl

    header = check_header(path, layout)
    with _counting(path, layout, header):
        try:
            frame = _scan(path, layout, header).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise diagnose(path, layout, header, str(error).split("\n")[0]) from error
    return _checked(frame, path, layout, header)


def batches(path, layout, rows=1 << 18):
    """The same in parts of some rows each, parsed while the caller works on the part before; for files of many rows.

    Yields
    ------
    polars.DataFrame

    Raises
    ------
    TableError
        As `read`; parts before the broken row have been given by then.
    """
    import polars as pl

    header = check_header(path, layout)
    with _counting(path, layout, header):
        try:
            for part in _scan(path, layout, header).collect_batches(
                chunk_size=rows, maintain_order=True
            ):
                yield _checked(part, path, layout, header)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise diagnose(path, layout, header, str(error).split("\n")[0]) from error


@contextmanager
def _counting(path, layout, header):
    """Count the fields of every row beside the parsing; a count that is off names the row."""
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(shape.whole, path, layout.separator, len(header), layout.skip)
        yield
        try:
            unbroken = whole.result()
        except (OSError, EOFError) as error:
            raise diagnose(path, layout, header, str(error)) from error
    if not unbroken:
        raise diagnose(
            path, layout, header, f"not every row has the {len(header)} fields of the header"
        )


def _scan(path, layout, header):
    import polars as pl

    # many pieces are read ahead: of a small file they must be small, or it is held whole beside what is read from it
    os.environ["POLARS_CSV_CHUNK_SIZE"] = str(np.clip(path.stat().st_size // 128, *PIECE))
    fields = {name: field for name, field in layout.fields.items() if name in header}
    types = {
        "text": pl.String,
        "id": pl.Categorical,
        "int": pl.Int64,
        "float": pl.Float64,
        "value": pl.Float32,
    }
    schema = {name: types[fields[name].kind] if name in fields else pl.String for name in header}
    options = dict(
        separator=layout.separator,
        null_values=list(layout.missing) or None,
        skip_lines=layout.skip,
        skip_rows_after_header=layout.labels,
        encoding="utf8-lossy" if layout.lossy else "utf8",
    )
    return pl.scan_csv(path, schema=schema, **options).select(list(fields))


def _checked(frame, path, layout, header):
    """The layout's columns of a parsed frame, or the error of the first row that breaks it."""
    fields = {name: field for name, field in layout.fields.items() if name in header}
    if _out_of_range(frame, fields):
        raise diagnose(path, layout, header, "a required value is missing or out of range")
    return frame


def _out_of_range(frame, fields):
    """Whether any required value is missing or any number leaves its range."""
    for name, field in fields.items():
        series = frame[name]
        if field.required and not field.empty and series.null_count():
            return True
        if field.kind in NUMERIC and series.len() > series.null_count():
            inside = field.low <= series.min() and series.max() <= field.high
            if not inside or (field.kind != "int" and series.is_nan().any()):
                return True
    return False


def check_header(path, layout):
    """First line of the file as names; an error says which are missing and what the separator seems to be.

    Raises
    ------
    TableError
    """
    path = exists(path)
    first = first_line(path, layout.skip)
    if not first:
        raise TableError(f"{path.name} has no header: delete it and fetch it again ({layout.name})")
    header = next(csv.reader([first], delimiter=layout.separator))
    needed = [
        name for name, field in layout.fields.items() if field.required and name not in header
    ]
    if needed:
        raise TableError(_header_problem(path, layout, first, header, needed))
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise TableError(
            f"{path.name}: column(s) {twice} stand twice in the header; keep one of each ({layout.name})"
        )
    _check_end(path, layout, header)
    return header


def _header_problem(path, layout, first, header, needed):
    other = next(
        (s for s in ",;\t|" if s != layout.separator and len(first.split(s)) > max(2, len(header))),
        None,
    )
    if other is not None and len(header) <= 2:
        return (
            f"{path.name}: fields are separated by {other!r}, {layout.name} by {layout.separator!r}; "
            f"save it again with {layout.separator!r} (first line: {first[:80]!r})"
        )
    return (
        f"{path.name}: column(s) {needed} missing; found {header[:30]}. Is this {layout.name}? "
        "Keep the header line of the official file"
    )


def _check_end(path, layout, header):
    """The last line of a plain file must have as many fields as the header, or the download stopped early."""
    if path.suffix == ".gz":
        return  # a cut gzip stream fails on its own
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - 65536))
        tail = handle.read().decode("utf-8", "replace").rstrip("\r\n").split("\n")
    if len(tail) < 2 or '"' in tail[-1]:
        return
    found = tail[-1].count(layout.separator) + 1
    if found < len(header):
        raise TableError(
            f"{path.name}: the last line has {found} of {len(header)} fields ({tail[-1][:60]!r}): "
            "the download stopped early; delete the file and fetch it again"
        )


def diagnose(path, layout, header, reason):
    """Find the first row that breaks the layout and say so; the reason stands in where none is found.

    Returns
    -------
    TableError
    """
    positions = [
        (header.index(name), name, field) for name, field in layout.fields.items() if name in header
    ]
    try:
        with text(path, layout.lossy) as lines:
            rows = csv.reader(lines, delimiter=layout.separator)
            for number, row in enumerate(rows):
                inside = number > layout.skip + layout.labels and row
                problem = _row_problem(row, positions, header, layout) if inside else None
                if problem:
                    return TableError(f"{path.name}, line {rows.line_num}: {problem}")
    except (EOFError, OSError, zipfile.BadZipFile) as error:
        return TableError(
            f"{path.name} cannot be read to its end ({error}): delete it and fetch it again"
        )
    except UnicodeDecodeError as error:
        return TableError(f"{path.name} is not UTF-8 text ({error}): save it as UTF-8")
    except csv.Error as error:
        return TableError(f"{path.name} is no delimited text ({error}): fetch it again")
    return TableError(f"{path.name}: {reason} ({layout.name})")


def _row_problem(row, positions, header, layout):
    if len(row) != len(header):
        return (
            f"{len(row)} fields where the header has {len(header)} (it begins {layout.separator.join(row)[:60]!r}): "
            "a shifted or cut row, or a decimal comma; restore the official row"
        )
    for i, name, field in positions:
        problem = _value_problem(row[i], field, layout.missing)
        if problem:
            return f"column {name!r} {problem}"
    return None


def _value_problem(value, field, missing):
    stripped = value.strip()
    if stripped in missing or stripped == "":
        return "is empty; every row needs it" if field.required and not field.empty else None
    if field.kind not in NUMERIC:
        return None
    try:
        number = int(stripped) if field.kind == "int" else float(stripped)
    except ValueError:
        hint = "; a decimal comma? write a point" if re.fullmatch(r"[-+]?\d+,\d+", stripped) else ""
        return f"must be {'a whole number' if field.kind == 'int' else 'a number'}, found {value!r}{hint}"
    if field.low <= number <= field.high:
        return None
    return (
        f"must be between {field.low:g} and {field.high:g}, found {value}; {field.remedy}".rstrip(
            "; "
        )
    )


def exists(path):
    """The path, or an error that says how to get the file.

    Raises
    ------
    TableError
    """
    path = Path(path)
    if not path.exists():
        raise TableError(
            f"{path} is missing: python -m lib.screens.download gets it, or says how to place it by hand"
        )
    if path.is_file() and path.stat().st_size == 0:
        raise TableError(f"{path.name} is empty: delete it and fetch it again")
    return path


def text(path, lossy=False):
    """Open a plain or gzip text file for reading."""
    path, options = Path(path), dict(encoding="utf-8", errors="replace" if lossy else "strict")
    return gzip.open(path, "rt", **options) if path.suffix == ".gz" else path.open(**options)


def first_line(path, skip=0):
    """A line of a text file without its end: the first, or the one after `skip` others; empty where there is none."""
    try:
        with text(path, lossy=True) as lines:
            for _ in range(skip):
                lines.readline()
            return lines.readline().rstrip("\r\n").lstrip("\ufeff")
    except (EOFError, OSError) as error:
        raise TableError(
            f"{Path(path).name} cannot be read ({error}): delete it and fetch it again"
        ) from error


def stem(path):
    """File name without its endings: the short name that curve ids carry."""
    return re.sub(r"(\.(csv|tsv|txt|gz|zip|tar|tgz|xlsx?))+$", "", Path(path).name)


def matrix(path, name, keys, low=-np.inf, high=np.inf, **options):
    """A wide file of numbers: the key columns, and every other column a single-precision value.

    Parameters
    ----------
    path : path
    name : str
        What the file is, for errors.
    keys : dict of str to Field
    low, high : float
        Range of every value.
    options
        Further fields of `Layout`.

    Returns
    -------
    polars.DataFrame
    """
    bare = Layout(name, keys, **options)
    header = check_header(path, bare)
    fields = {
        column: keys.get(column, Field("value", low, high, required=False)) for column in header
    }
    return read(path, Layout(name, fields, **options))
