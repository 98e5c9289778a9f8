"""How an official file is opened: header checked, types and ranges declared, each broken row named with its remedy.

A reader declares a `Layout` and gets a polars frame in the file's own names and units, or one `TableError` that says file,
line, column, value and what to do. The parsing is polars'; only after it has refused a file is that file read line by line,
to find the row to show.
"""

import csv
import gzip
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.tables import TableError

MISSING = ("", "NA", "NaN", "na", "nan")
DEFLATE64 = 9  # the zip method that Python's zipfile cannot open


@dataclass(frozen=True)
class Field:
    """One column of a file: its kind, its range in the file's own unit, whether every row must have it."""

    kind: str = "text"  # "text", "id" (text of few distinct values), "int", "float"
    low: float = -np.inf
    high: float = np.inf
    required: bool = True
    remedy: str = ""


@dataclass(frozen=True)
class Layout:
    """A delimited official file: what it is, where it comes from, the columns that are read."""

    name: str
    fields: dict
    separator: str = ","
    missing: tuple = MISSING
    guard: bool = True  # read the last column too: a row with a field too many is found only so


ID, TEXT = Field("id"), Field("text")
MAYBE_ID, MAYBE_TEXT = Field("id", required=False), Field("text", required=False)


def read(path, layout, filters=None):
    """Parse a delimited file, plain or gzip.

    Parameters
    ----------
    path : path
    layout : Layout
        Columns not named in it are skipped; a named column may be absent only if it is not required.
    filters : polars expression, optional
        Rows to keep, applied while reading; ranges are checked on every row of the file that is kept.

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

    path = Path(path)
    header = check_header(path, layout)
    fields = {name: field for name, field in layout.fields.items() if name in header}
    types = {"text": pl.String, "id": pl.Categorical, "int": pl.Int64, "float": pl.Float64}
    schema = {name: types[fields[name].kind] if name in fields else pl.String for name in header}
    wanted = list(fields) + [header[-1]] * (layout.guard and header[-1] not in fields)
    options = dict(separator=layout.separator, null_values=list(layout.missing) or None)
    rows = pl.scan_csv(path, schema=schema, **options).select(wanted)
    try:
        frame = (rows if filters is None else rows.filter(filters)).collect(engine="streaming").select(list(fields))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise diagnose(path, layout, header, str(error).split("\n")[0]) from error
    if _out_of_range(frame, fields):
        raise diagnose(path, layout, header, "a required value is missing or out of range")
    return frame


def _out_of_range(frame, fields):
    """Whether any required value is missing or any number leaves its range."""
    for name, field in fields.items():
        series = frame[name]
        if field.required and series.null_count():
            return True
        if field.kind in ("int", "float") and series.len() > series.null_count():
            # NaN fails both comparisons, so a literal NaN is caught as well
            if not (series.min() >= field.low and series.max() <= field.high) or (
                field.kind == "float" and series.is_nan().any()
            ):
                return True
    return False


def check_header(path, layout):
    """First line of the file as names; an error says which are missing and what the separator seems to be.

    Raises
    ------
    TableError
    """
    path = exists(path)
    with text(path) as lines:
        first = lines.readline().rstrip("\r\n").lstrip("\ufeff")
    if not first:
        raise TableError(f"{path.name} is empty: download it again ({layout.name})")
    header = next(csv.reader([first], delimiter=layout.separator))
    needed = [name for name, field in layout.fields.items() if field.required and name not in header]
    if needed:
        raise TableError(_header_problem(path, layout, first, header, needed))
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise TableError(f"{path.name}: column(s) {twice} stand twice in the header; keep one of each ({layout.name})")
    _check_end(path, layout, header)
    return header


def _header_problem(path, layout, first, header, needed):
    other = next((s for s in ",;\t|" if s != layout.separator and len(first.split(s)) > max(2, len(header))), None)
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
    positions = [(header.index(name), name, field) for name, field in layout.fields.items() if name in header]
    try:
        with text(path) as lines:
            rows = csv.reader(lines, delimiter=layout.separator)
            next(rows)
            for row in rows:
                problem = _row_problem(row, positions, header, layout) if row else None
                if problem:
                    return TableError(f"{path.name}, line {rows.line_num}: {problem}")
    except (EOFError, OSError, zipfile.BadZipFile) as error:
        return TableError(f"{path.name} cannot be read to its end ({error}): delete it and fetch it again")
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
        return "is empty; every row needs it" if field.required else None
    if field.kind not in ("int", "float"):
        return None
    try:
        number = int(stripped) if field.kind == "int" else float(stripped)
    except ValueError:
        hint = "; a decimal comma? write a point" if re.fullmatch(r"[-+]?\d+,\d+", stripped) else ""
        return f"must be {'a whole number' if field.kind == 'int' else 'a number'}, found {value!r}{hint}"
    if field.low <= number <= field.high:
        return None
    return f"must be between {field.low:g} and {field.high:g}, found {value}; {field.remedy}".rstrip("; ")


def exists(path):
    """The path, or an error that says how to get the file.

    Raises
    ------
    TableError
    """
    path = Path(path)
    if not path.exists():
        raise TableError(f"{path} is missing: python -m lib.fetch gets it, or says how to place it by hand")
    if path.is_file() and path.stat().st_size == 0:
        raise TableError(f"{path.name} is empty: delete it and fetch it again")
    return path


def text(path):
    """Open a plain or gzip text file for reading."""
    path = Path(path)
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    return opened


@contextmanager
def member(path, pattern):
    """The file of an archive whose name matches, unpacked to a folder that is removed afterwards; a plain file as it is.

    Zip archives packed with Deflate64 (as the NCI packs DOSERESP) need the program `7z` or `unzip`.

    Parameters
    ----------
    path : path
        A .zip, .tar.gz or .tgz archive, or the file itself.
    pattern : str
        Regular expression, searched in the member's name.

    Raises
    ------
    TableError
        If the archive is cut, has no such member, or needs a program that is not here.
    """
    path = exists(path)
    if not path.name.lower().endswith((".zip", ".tar.gz", ".tgz", ".tar")):
        yield path
        return
    with tempfile.TemporaryDirectory(dir=path.parent if os.access(path.parent, os.W_OK) else None) as folder:
        try:
            unpack = _from_zip if path.name.lower().endswith(".zip") else _from_tar
            yield unpack(path, pattern, Path(folder))
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
            raise TableError(f"{path.name} is cut or damaged ({error}): delete it and fetch it again") from error


def _pick(path, names, pattern):
    found = [name for name in names if re.search(pattern, name) and not name.endswith("/")]
    if len(found) != 1:
        raise TableError(f"{path.name} must hold one file like {pattern!r}, found {found or list(names)[:20]}")
    return found[0]


def _from_zip(path, pattern, folder):
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(_pick(path, archive.namelist(), pattern))
        target = folder / Path(info.filename).name
        if info.compress_type == DEFLATE64:
            _unpack_deflate64(path, info, target)
        else:
            with archive.open(info) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    return target


def _unpack_deflate64(path, info, target):
    commands = {"7z": ["e", "-so"], "7zz": ["e", "-so"], "7za": ["e", "-so"], "unzip": ["-p"]}
    program = next((name for name in commands if shutil.which(name)), None)
    if program is None:
        raise TableError(
            f"{path.name} is packed with Deflate64, which Python cannot open: install 7zip (apt-get install 7zip) or unzip, "
            f"or unpack {info.filename} by hand beside it"
        )
    with target.open("wb") as sink:
        done = subprocess.run([program, *commands[program], str(path), info.filename], stdout=sink, stderr=subprocess.PIPE)
    if done.returncode or target.stat().st_size != info.file_size:
        raise TableError(f"{path.name} is cut or damaged ({program} exit {done.returncode}): delete it and fetch it again")


def _from_tar(path, pattern, folder):
    with tarfile.open(path) as archive:
        name = _pick(path, archive.getnames(), pattern)
        target = folder / Path(name).name
        with archive.extractfile(name) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    return target


def sheet(path, name=0, skip=0):
    """One sheet of an Excel file, old or new, every cell as it is, the first row after `skip` as header.

    Raises
    ------
    TableError
        If the file is no workbook, or the package that opens it is not installed.
    """
    import pandas as pd

    path = exists(path)
    try:
        return pd.read_excel(path, sheet_name=name, header=skip, engine="calamine")
    except ImportError as error:
        raise TableError(f"{path.name} is an Excel file: pip install python-calamine, or save it as CSV") from error
    except Exception as error:  # calamine raises its own types for every kind of damage
        raise TableError(f"{path.name} cannot be read as a workbook ({error}): delete it and fetch it again") from error
