"""Tables of an own screen, read as text and checked column by column, so that everything wrong is
said at once: one mistake is one sentence, with its count and the first rows.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lib.screens import dose_units, symbols
from lib.screens.lines import FACTS, FORMS
from lib.tables import ENDPOINT, OPTIONAL_TEXT, RESPONSES, TEXT, Table, TableError

NARROW = {
    "responses": Table(
        "responses",
        dict(
            cell_id=TEXT,
            drug_id=TEXT,
            dose=dose_units.ANY,
            growth=RESPONSES.columns["growth"],
            curve_id=OPTIONAL_TEXT,
            assay=OPTIONAL_TEXT,
            endpoint=replace(OPTIONAL_TEXT, values=ENDPOINT.values),
        ),
        key=("cell_id", "drug_id", "dose"),
    ),
    "cells": Table(
        "cells",
        dict(cell_id=TEXT) | dict.fromkeys(["cell_name", *FACTS], OPTIONAL_TEXT),
        key=("cell_id",),
    ),
    "drugs": Table(
        "drugs", dict(drug_id=TEXT, smiles=TEXT, drug_name=OPTIONAL_TEXT), key=("drug_id",)
    ),
}
WIDE = ("expression", "mutations")  # one row per cell line, one column per gene
TAKEN = "study cell_name source profile_source mutation_source".split()  # no gene may have these
LONGEST = 10_000  # characters of a field; the SMILES of insulin has 900
SAVE = "save it as CSV in UTF-8: commas between fields, points in numbers"
NEEDED = "every row needs it"
# How files begin that are no text, whatever they are called.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
UTF16 = (b"\xff\xfe", b"\xfe\xff")
BEGINNINGS = {
    WORKBOOKS: "a workbook or another archive",
    UTF16: "UTF-16 text",
    (b"\x1f\x8b",): "packed by gzip",
    (b"PAR1",): "a Parquet table",
}


@dataclass(eq=False)
class Violation(TableError):
    """One thing wrong: file, line (the header is line 1; 0 for the file as a whole), what was
    found, what to do, and the other lines where the same is wrong. Raised where it leaves no table.
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
    """What is wrong with a file, in the order in which it was found.

    Parameters
    ----------
    file : str
    problems : iterable of (lines, found, remedy)
        As `add` takes them.
    """

    def __init__(self, file, problems=()):
        self.file = file
        for problem in problems:
            self.add(*problem)

    def add(self, lines, found, remedy):
        """One more violation, in one line of the file or in several."""
        line, *also = np.atleast_1d(lines).tolist()
        self.append(Violation(self.file, line, found, remedy, tuple(also)))

    def report(self, block, bad, what, remedy):
        """What is wrong with the values of a column, or of some, where `bad` holds; the first is
        shown.
        """
        block = pd.DataFrame(block)
        rows, columns = np.nonzero(np.reshape(bad, block.shape))
        if len(rows):
            name = block.columns[columns[0]]
            value = np.asarray(block.iat[rows[0], columns[0]]).item()
            text = f"column {name!r} {what}, found {value!r}"
            self.add(block.index[np.unique(rows)], text, remedy)


def read(folder, name, must, gene=None):
    """A table of the folder, from its CSV or its Parquet file, checked.

    Parameters
    ----------
    folder : Path
    name : str
        A key of `NARROW`, or one of `WIDE`.
    must : bool
        Whether the table must be there.
    gene : Column, optional
        What a gene of a wide table holds.

    Returns
    -------
    table : DataFrame or None
        Its index is the line of each row; genes are float32. A bad value is missing in it, a row of
        another length is left out. None where the file or its header cannot be used.
    found : list of Violation
    """
    found = []
    contract = NARROW.get(name, Table(name, dict(cell_id=TEXT), ("cell_id",)))
    try:
        path = _find(folder, name, must)
        if path is None:
            return None, found
        found = Violations(path.name)
        if not path.is_file():
            raise Violation(path.name, 0, "is no plain file", "put the table in its place")
        table = _parquet(path) if path.suffix == ".parquet" else _text(path, found)
        if table.empty and not found:
            found.add(0, "holds no row", "fill it, or fetch it again")
        if table.empty:
            return None, found
        _check_header(table, contract, found)
    except Violation as violation:
        return None, [*found, violation]
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())
        found.add(0, f"cannot be read ({said})", "write it again")
        return None, found
    parts = []
    for column, rule in contract.columns.items():
        if column in table:
            checked = _texts if rule.kind == "text" else _numbers
            parts.append(checked(table[[column]], rule, found))
    if name in WIDE:
        genes = table.drop(columns="cell_id")
        parts.append(_numbers(genes, gene, found).astype(np.float32))
    checked = pd.concat(parts, axis=1)
    if name == "responses":
        checked["dose"] = dose_units.check(checked, table.dose, found)
        _check_series(checked, found)
    else:
        _check_repeats(checked[[*contract.key]], "keep one row", found)
    return checked, found


def _find(folder, name, must):
    """The file of a table, or None; refused where another lies in its place."""
    file = f"{name}.csv"
    alike = [path for path in folder.iterdir() if path.name.lower().split(".")[0] == name]
    paths = [path for path in alike if path.name in (file, f"{name}.parquet")]
    if len(paths) > 1:
        raise Violation(file, 0, f"{name}.parquet is there too", "keep one of them")
    if paths:
        return paths[0]
    if alike:
        book = alike[0].suffix.lower() in (".xlsx", ".xls", ".xlsm", ".ods")
        text = "is a workbook" if book else f"lies where {file} is wanted"
        raise Violation(alike[0].name, 0, text, f"{SAVE}, under the name {file}")
    if must:
        raise Violation(file, 0, "is missing", "examples/own_screen shows what it holds")
    return None


def curve_ids(responses):
    """The series of every row: its `curve_id`, else its line and compound."""
    pair = responses.cell_id + "|" + responses.drug_id
    return responses.curve_id.fillna(pair) if "curve_id" in responses else pair


def _check_header(table, contract, found):
    """Every column that is needed is there; unknown ones and spoiled genes are reported."""
    needed = [name for name, rule in contract.columns.items() if not rule.optional]
    missing = [name for name in needed if name not in table]
    if missing:
        text = f"column(s) {missing} missing, found {list(table)[:20]}"
        raise Violation(found.file, 1, text, "name the columns as examples/own_screen does")
    other = [name for name in table if name not in contract.columns]
    if contract.name in NARROW:
        for column in other:
            remedy = f"rename it to one of {list(contract.columns)} or remove it"
            found.add(1, f"unknown column {column!r}", remedy)
        return
    if not other:
        remedy = "give every gene a column, or leave the table out"
        raise Violation(found.file, 1, "holds no gene", remedy)
    problems = symbols.problems(pd.Series(other, other))
    problems[problems.index.isin(TAKEN)] = "the name of a column of another table"
    for reason, part in problems[problems != ""].groupby(problems):
        text = f"{len(part)} gene(s), such as {', '.join(map(repr, part.index[:3]))}: {reason}"
        found.add(1, text, "write the gene's symbol (format the cells as text first)")


def _parquet(path):
    """The table with what is no number as text, so that a truth value or a date is no number."""
    table = pd.read_parquet(path)
    kinds = dict.fromkeys(table, "str")
    for name, kind in table.select_dtypes("number", "timedelta").dtypes.items():
        kinds[name] = kind if isinstance(kind, np.dtype) else float
    return table.astype(kinds).set_axis(range(2, len(table) + 2))


def _text(path, found):
    """Every field as text, indexed by its line; what a field of another kind of file, of another
    dialect or of another length is, is reported.
    """
    file = path.name
    raw = path.read_bytes()
    for beginning, what in BEGINNINGS.items():
        if raw.startswith(beginning):
            raise Violation(file, 0, f"is {what} under the name of a CSV file", SAVE)
    lines = _rows(decoded(raw, file), file)
    header = next(iter(lines.values()), [])
    for mark in ";\t|":
        if mark in "".join(header[:1]):
            remedy = f"separate fields by commas, not by {mark!r}, and write decimal points"
            raise Violation(file, 1, f"fields are separated by {mark!r}", remedy)
    for name, n in Counter(header).items():
        if n > 1 or not name:
            text = f"column {name!r} stands twice" if name else "a column has no name"
            raise Violation(file, 1, text, "keep one of each name")
    return frame(lines, found)


def frame(lines, found):
    """The table of the lines' fields; lines of another length than the first are reported and left
    out.
    """
    header = lines.pop(min(lines, default=0), [])
    whole = {line: row for line, row in lines.items() if len(row) == len(header)}
    odd = [line for line in lines if line not in whole]
    if odd:
        text = f"{len(lines[odd[0]])} fields where the header has {len(header)}"
        found.add(odd, text, "a shifted row or a decimal comma? give every column one field")
    return pd.DataFrame.from_dict(whole, "index", "str", header).replace({"": None})


def decoded(raw, file, encoding="utf-8-sig"):
    """The text of a file."""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        text = f"is not UTF-8 text (byte {raw[error.start]:#x})"
        raise Violation(file, line, text, SAVE) from error


def _rows(text, file):
    """Fields of every line that is not empty, by its number; refused where a quotation mark or a
    field without end swallows the rest.
    """
    csv.field_size_limit(max(len(text), 1 << 17))
    reader = csv.reader(io.StringIO(text, newline=""))
    found = {}
    for line, row in enumerate(reader, 1):
        row = [field.strip() for field in row]
        longest = max(row, key=len, default="")
        if reader.line_num > line:
            text = f"a quotation mark opens here and runs on to line {reader.line_num}"
            raise Violation(file, line, text, "close it, or take it and the line break out")
        if len(longest) > LONGEST:
            header = next(iter(found.values()), row)
            name = header[min(row.index(longest), len(header) - 1)]
            text = f"column {name[:40]!r} holds {len(longest):,} characters"
            raise Violation(file, line, text, f"correct the field: {LONGEST:,} are allowed")
        if any(row):
            found[line] = row
    return found


def _texts(block, rule, found):
    """A column of text; a word for missing is missing."""
    values = block.squeeze(axis=1)
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")  # a number for a name: 7, not 7.0
    text = values.astype("str").str.strip()
    word = text.str.lower().isin(symbols.NONE)
    if not rule.nullable:
        found.report(values, text.isna(), "is empty", NEEDED)
        remedy = "it reads as missing: give it another name"
        found.report(values, word, "is a word for missing", remedy)
    text = text.mask(word)
    if rule.values:
        bad = text.notna() & ~text.isin(rule.values)
        found.report(values, bad, f"must be {rule.allowed}", "correct it")
    if text.name in FORMS:
        form = FORMS[text.name]
        bad = ~text.str.fullmatch(form, na=True)
        remedy = f"write the catalogue's id ({form}), or leave it empty"
        found.report(values, bad, "is no id of the catalogue", remedy)
    return text


def _numbers(block, rule, found):
    """Columns of numbers; each value that cannot be used is reported and becomes missing."""
    numbers = block.apply(pd.to_numeric, errors="coerce")
    numbers = numbers.where(np.isfinite(numbers))
    unread = (block.notna() & numbers.isna()).to_numpy()
    texts = [str(value).strip().lower() for value in block.to_numpy(object)[unread]]
    bad = unread.copy()
    bad[unread] = [text not in symbols.NONE for text in texts]
    if not rule.nullable:
        found.report(block, numbers.isna() & ~bad, "is empty", NEEDED)
    comma = any("," in text for text in texts)
    remedy = "write a decimal point, not a comma" if comma else "correct or remove the row"
    found.report(block, bad, "must be a number", remedy)
    outside = (numbers < rule.low) | (numbers > rule.high)
    allowed = rule.allowed
    if rule.kind == "int":
        outside |= numbers % 1 > 0
        allowed = f"a whole number {allowed}"
    found.report(block, outside, f"must be {allowed}", rule.remedy)
    return numbers.mask(outside)


def _check_series(table, found):
    """A series is of one line, compound, assay and endpoint, and has a dose once."""
    curve = curve_ids(table).rename("curve_id")
    facts = table.reindex(columns="cell_id drug_id assay endpoint".split())
    facts = facts.astype("str").fillna("")
    other = (facts != facts.groupby(curve, dropna=False).transform("first")).any(axis=1)
    text = "names another line, compound, assay or endpoint elsewhere"
    found.report(curve, other & curve.notna(), text, "one series, one id")
    named = ["curve_id"] if "curve_id" in table else ["cell_id", "drug_id"]
    key = table.assign(curve_id=curve)[[*named, "dose"]]
    _check_repeats(key, "give replicates their own curve_id", found)


def _check_repeats(key, remedy, found):
    """Rows that say the same thing again, or something else under the same key."""
    again = key[key.notna().all(axis=1) & key.duplicated()]
    if len(again):
        first = key.index[(key == again.iloc[0]).all(axis=1)][0]
        name = next(again.itertuples(index=False, name=None))
        name = name if len(name) > 1 else name[0]
        text = f"{' '.join(key)} {name!r} stands in line {first} already"
        found.add(again.index, text, remedy)
