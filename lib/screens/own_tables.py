"""Tables of an own screen, read as text and checked column by column, so that everything wrong is
said at once: one mistake is one sentence, with its count and the first rows.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.screens import dose_units, symbols
from lib.screens.lines import FORMS
from lib.tables import RESPONSES, TEXT, Column, Table

OPTIONAL = Column("text", nullable=True, optional=True)
ENDPOINT = Column("text", values=("viability", "growth"), nullable=True, optional=True)
FACTS = ("cell_name", *FORMS, "tissue", "cancer_type", "donor")
NARROW = {
    "responses": Table(
        "responses",
        dict(
            cell_id=TEXT,
            drug_id=TEXT,
            dose=dose_units.ANY,
            growth=RESPONSES.columns["growth"],
            curve_id=OPTIONAL,
            assay=OPTIONAL,
            endpoint=ENDPOINT,
        ),
        key=("cell_id", "drug_id", "dose"),  # or the curve_id and the dose
    ),
    "cells": Table("cells", dict(cell_id=TEXT) | dict.fromkeys(FACTS, OPTIONAL), key=("cell_id",)),
    "drugs": Table("drugs", dict(drug_id=TEXT, smiles=TEXT, drug_name=OPTIONAL), key=("drug_id",)),
}
WIDE = ("expression", "mutations")  # one row per cell line, one column per gene
LONGEST = 10_000  # characters of a field; the SMILES of insulin has 900
SAVE = "save it as CSV in UTF-8: commas between fields, points in numbers"
# How files begin that are no text, whatever they are called.
BEGINNINGS = {
    b"PK\x03\x04": "a workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "a workbook",
    b"\x1f\x8b": "packed by gzip",
    b"PAR1": "a Parquet table",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


@dataclass(frozen=True)
class Violation:
    """One thing wrong: file, line (the header is line 1; 0 for the file as a whole), what was
    found, what to do, and the other lines where the same is wrong.
    """

    file: str
    line: int
    found: str
    remedy: str
    also: tuple = ()

    def __str__(self):
        where = f"{self.file}, line {self.line}" if self.line else self.file
        said = f"{where}: {self.found}; {self.remedy}"
        if not self.also:
            return said
        more = ", …" if len(self.also) > 2 else ""
        first = ", ".join(map(str, self.also[:2]))
        return f"{said} ({1 + len(self.also)} rows: lines {self.line}, {first}{more})"


class Violations(list):
    """What is wrong with a folder, in the order in which it was found."""

    def add(self, file, lines, found, remedy):
        """One more violation, in one line of the file or in several."""
        line, *also = np.atleast_1d(lines).tolist()
        self.append(Violation(file, line, found, remedy, tuple(also)))

    def report(self, file, block, bad, what, remedy):
        """What is wrong with the values of a column, or of some, where `bad` holds; the first is
        shown.
        """
        block = pd.DataFrame(block)
        rows, columns = np.nonzero(np.reshape(bad, block.shape))
        if len(rows):
            name = block.columns[columns[0]]
            value = np.asarray(block.iat[rows[0], columns[0]]).item()
            text = f"column {name!r} {what}, found {value!r}"
            self.add(file, block.index[np.unique(rows)], text, remedy)


def read(path, name, found, gene=None):
    """A table of the folder, checked.

    Parameters
    ----------
    path : Path
    name : str
        A key of `NARROW`, or one of `WIDE`.
    found : Violations
        What is wrong is added here.
    gene : Column, optional
        What a gene of a wide table holds.

    Returns
    -------
    DataFrame or None
        Its index is the line of each row; genes are float32. A bad value is missing in it, a row of
        another length is left out. None where the file or its header cannot be used.
    """
    try:
        table = _parquet(path) if path.suffix == ".parquet" else _text(path, found)
    except (OSError, ValueError) as error:
        what = "is a folder" if path.is_dir() else f"cannot be read ({error})"
        found.add(path.name, 0, what, "put the table in its place, or write it again")
        return None
    if table is None:
        return None
    if table.empty:
        found.add(path.name, 0, "holds no row", "fill it, or fetch it again")
        return None
    contract = NARROW[name] if name in NARROW else Table(name, dict(cell_id=TEXT), ("cell_id",))
    if not _header_holds(table, contract, path.name, found):
        return None
    columns = {}
    for column, rule in contract.columns.items():
        if column in table:
            if rule.kind == "text":
                columns[column] = _texts(table[column], rule, path.name, found)
            else:
                columns[column] = _numbers(table[[column]], rule, path.name, found)[column]
    checked = pd.DataFrame(columns)
    if name in WIDE:
        genes = _numbers(table.drop(columns="cell_id"), gene, path.name, found)
        checked = pd.concat([checked, genes.astype(np.float32)], axis=1)
    if name == "responses":
        checked["dose"] = dose_units.check(checked, table.dose, path.name, found)
    _repeats(checked, contract, path.name, found)
    return checked


def curve_ids(responses):
    """The series of every row: its `curve_id`, else its line and compound."""
    pair = responses.cell_id + "|" + responses.drug_id
    return responses.curve_id.fillna(pair) if "curve_id" in responses else pair


def _header_holds(table, contract, file, found):
    """Whether every column that is needed is there; unknown ones and spoiled genes are reported."""
    needed = [name for name, rule in contract.columns.items() if not rule.optional]
    missing = [name for name in needed if name not in table]
    if missing:
        text = f"column(s) {missing} missing, found {list(table)[:20]}"
        found.add(file, 1, text, "name the columns as examples/own_screen does")
        return False
    other = [name for name in table if name not in contract.columns]
    if contract.name in NARROW:
        for column in other:
            remedy = f"rename it to one of {list(contract.columns)} or remove it"
            found.add(file, 1, f"unknown column {column!r}", remedy)
        return True
    if not other:
        found.add(file, 1, "holds no gene", "give every gene a column, or leave the table out")
    problems = symbols.problems(other)
    for reason, part in problems[problems != ""].groupby(problems):
        names = [other[i] for i in part.index]
        text = f"{len(names)} gene(s), such as {', '.join(map(repr, names[:3]))}: {reason}"
        found.add(file, 1, text, "write the gene's symbol (format the cells as text first)")
    return bool(other)


def _parquet(path):
    """The table with what is no number as text, so that a truth value or a date is no number."""
    table = pd.read_parquet(path)
    kinds = dict.fromkeys(table, "str")
    for name, kind in table.dtypes.items():
        if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
            kinds[name] = kind if isinstance(kind, np.dtype) else float
    return table.astype(kinds).set_axis(range(2, len(table) + 2))


def _text(path, found):
    """Every field as text, indexed by its line; what a field of another kind of file, of another
    dialect or of another length is, is reported. None where nothing can be read.
    """
    raw = path.read_bytes()
    for beginning, what in BEGINNINGS.items():
        if raw.startswith(beginning):
            found.add(path.name, 0, f"is {what} under the name of a CSV file", SAVE)
            return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        found.add(path.name, line, f"is not UTF-8 text (byte {raw[error.start]:#x})", SAVE)
        return None
    header, rows = _rows(text, path.name, found)
    twice = [name for name, n in Counter(header).items() if n > 1 or not name]
    if rows is None or not header:
        return pd.DataFrame() if rows == {} else None
    for mark in ";\t|":
        if mark in header[0]:
            text = f"fields are separated by {mark!r}"
            remedy = f"separate fields by commas, not by {mark!r}, and write decimal points"
            found.add(path.name, 1, text, remedy)
            return None
    if twice:
        text = f"column {twice[0]!r} stands twice" if twice[0] else "a column has no name"
        found.add(path.name, 1, text, "keep one of each name")
        return None
    short = {line: row for line, row in rows.items() if len(row) != len(header)}
    if short:
        text = f"{len(next(iter(short.values())))} fields where the header has {len(header)}"
        remedy = "a shifted row or a decimal comma? give every column one field"
        found.add(path.name, list(short), text, remedy)
        rows = {line: row for line, row in rows.items() if line not in short}
        if not rows:
            return None
    table = pd.DataFrame(rows.values(), index=list(rows), columns=header, dtype="str")
    return table.replace({"": None})


def _rows(text, file, found):
    """The header, and every row that is not empty by the line where it begins. No rows (None) where
    a quotation mark or a field without end swallows the rest.
    """
    csv.field_size_limit(max(len(text), 1 << 17))
    reader = csv.reader(io.StringIO(text, newline=""))
    rows = {}
    begins = 1
    for row in reader:
        row = [field.strip() for field in row]
        longest = max(row, key=len, default="")
        if reader.line_num > begins:
            text = f"a quotation mark opens here and runs on to line {reader.line_num}"
            found.add(file, begins, text, "close it, or take it and the line break out")
            return [], None
        if len(longest) > LONGEST:
            header = next(iter(rows.values()), row)
            name = header[min(row.index(longest), len(header) - 1)]
            text = f"column {name[:40]!r} holds {len(longest):,} characters"
            found.add(file, begins, text, f"correct the field: {LONGEST:,} are allowed")
            return [], None
        if any(row):
            rows[begins] = row
        begins = reader.line_num + 1
    header = rows.pop(min(rows, default=0), [])
    return header, rows


def _texts(values, rule, file, found):
    """One column of text; a word for missing is missing."""
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")  # a number for a name: 7, not 7.0
    text = values.astype("str").str.strip()
    word = text.str.lower().isin(symbols.NONE)
    if not rule.nullable:
        found.report(file, values, text.isna(), "is empty", "every row needs it")
        remedy = "it reads as missing: give it another name"
        found.report(file, values, word & text.notna(), "is a word for missing", remedy)
    text = text.mask(word)
    if rule.values:
        bad = text.notna() & ~text.isin(rule.values)
        found.report(file, values, bad, f"must be {rule.allowed}", "correct it")
    if text.name in FORMS:
        bad = text.notna() & ~text.str.fullmatch(FORMS[text.name], na=False)
        remedy = f"write the catalogue's id ({FORMS[text.name]}), or leave it empty"
        found.report(file, values, bad, "is no id of the catalogue", remedy)
        text = text.mask(bad)
    return text


def _numbers(block, rule, file, found):
    """Columns of numbers; each value that cannot be used is reported and becomes missing."""
    numbers = block.apply(pd.to_numeric, errors="coerce")
    unread = (block.notna() & ~np.isfinite(numbers)).to_numpy()
    texts = [str(value).strip().lower() for value in block.to_numpy(object)[unread]]
    bad = unread.copy()
    bad[unread] = [text not in symbols.NONE for text in texts]
    if not rule.nullable:
        empty = block.isna() | (unread & ~bad)
        found.report(file, block, empty, "is empty", "every row needs it")
    remedy = "correct or remove the row"
    if any("," in text for text in texts):
        remedy = "write a decimal point, not a comma"
    found.report(file, block, bad, "must be a number", remedy)
    outside = (numbers < rule.low) | (numbers > rule.high)
    allowed = rule.allowed
    if rule.kind == "int":
        outside |= numbers % 1 > 0
        allowed = f"a whole number {allowed}"
    found.report(file, block, outside & np.isfinite(numbers), f"must be {allowed}", rule.remedy)
    return numbers.where(np.isfinite(numbers) & ~outside)


def _repeats(table, contract, file, found):
    """Rows that say the same thing again, or something else under the same key."""
    named = list(contract.key)
    key = table[named]
    remedy = "keep one row"
    if contract.name == "responses":
        named = ["curve_id", "dose"] if "curve_id" in table else named
        key = _series(table, file, found)
        remedy = "give replicates their own curve_id"
    again = key.notna().all(axis=1) & key.duplicated()
    if again.any():
        first = key.index[(key == key[again].iloc[0]).all(axis=1)][0]
        name = next(table.loc[again, named].itertuples(index=False, name=None))
        name = name if len(name) > 1 else name[0]
        text = f"{' '.join(named)} {name!r} stands in line {first} already"
        found.add(file, key.index[again], text, remedy)


def _series(table, file, found):
    """Series and dose of every row; a series is of one line, compound, assay and endpoint."""
    curve = curve_ids(table).rename("curve_id")
    facts = table.reindex(columns=["cell_id", "drug_id", "assay", "endpoint"])
    facts = facts.astype("str").fillna("")
    other = (facts != facts.groupby(curve, dropna=False).transform("first")).any(axis=1)
    text = "names another line, compound, assay or endpoint elsewhere"
    found.report(file, curve, other & curve.notna(), text, "one series, one id")
    return table[["dose"]].assign(curve=curve)
