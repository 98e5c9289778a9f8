"""Tables of an own screen, read as text and checked value by value, so that everything wrong is
said at once.
"""

import csv
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.tables import RESPONSES, TEXT, Column, Table

STRONGEST = 1.5  # -log10 M: 30 mM; no screen goes there, but µM values taken for -log10 M do
DOSE = Column(
    "float", STRONGEST, 15, unit="-log10 M", remedy="is this column in µM? dose = 6 - log10(µM)"
)
OPTIONAL = Column("text", nullable=True, optional=True)
ENDPOINT = Column("text", values=("viability", "growth"), nullable=True, optional=True)
FACTS = ("cell_name", "depmap_id", "cellosaurus_id", "tissue", "cancer_type", "donor")
NARROW = {
    "responses": Table(
        "responses",
        dict(
            cell_id=TEXT,
            drug_id=TEXT,
            dose=DOSE,
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


@dataclass(frozen=True)
class Violation:
    """One thing wrong: file, line (the header is line 1; 0 for the file as a whole), what was
    found, what to do.
    """

    file: str
    line: int
    found: str
    remedy: str

    def __str__(self):
        where = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{where}: {self.found}; {self.remedy}"


class Violations(list):
    """What is wrong with a folder, in the order in which it was found."""

    def add(self, file, line, found, remedy):
        """One more violation."""
        self.append(Violation(file, int(line), found, remedy))


def read(path, name, found):
    """A table of the folder, checked.

    Parameters
    ----------
    path : Path
    name : str
        A key of `NARROW`, or one of `WIDE`.
    found : Violations
        What is wrong is added here.

    Returns
    -------
    DataFrame or None
        Its index is the line of each row; a wide table is float32. A bad value is missing in it, a
        row of another length is left out. None where the header cannot be used.
    """
    table = _as_text(path, found)
    if table is None:
        return None
    contract = NARROW[name] if name in NARROW else _wide_contract(name, table)
    if not _header_holds(table, contract, path.name, found):
        return None
    columns = {}
    for column, rule in contract.columns.items():
        if column in table:
            columns[column] = _column(table[column], rule, path.name, found)
    checked = pd.DataFrame(columns)
    _repeats(checked, contract, path.name, found)
    return checked


def _wide_contract(name, table):
    """One row per cell line; every other column is a gene."""
    low = 0 if name == "mutations" else -np.inf
    gene = Column("single", low, nullable=True, remedy="counts and events are not negative")
    return Table(name, dict.fromkeys(table, gene) | dict(cell_id=TEXT), key=("cell_id",))


def _header_holds(table, contract, file, found):
    """Whether every column that is needed is there; unknown ones are reported."""
    needed = [name for name, rule in contract.columns.items() if not rule.optional]
    missing = [name for name in needed if name not in table]
    for column in table:
        if column not in contract.columns and not missing:
            remedy = f"rename it to one of {list(contract.columns)} or remove it"
            found.add(file, 1, f"unknown column {column!r}", remedy)
    if missing and contract.name in WIDE:
        text = f"column 'cell_id' missing, found {list(table)[:8]}"
        found.add(file, 1, text, _header_remedy(table))
    elif missing:
        text = f"column(s) {missing} missing, found {list(table)[:20]}"
        found.add(file, 1, text, _header_remedy(table))
    return not missing


def _header_remedy(table):
    for mark in (";", "\t", "|"):
        if mark in " ".join(table):
            return f"separate fields by commas, not by {mark!r}"
    return "name the columns as examples/own_screen does"


def _as_text(path, found):
    """Every field as text, indexed by its line; rows of another length are
    reported and left out.
    """
    if path.suffix == ".parquet":
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            found.add(path.name, 0, f"cannot be read ({error})", "write it again")
            return None
        return table.set_axis(range(2, len(table) + 2))
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError as error:
        found.add(path.name, 0, f"is not UTF-8 text ({error.reason})", "save it as UTF-8")
        return None
    if not header or not rows:
        found.add(path.name, 0, "holds no row", "fill it, or fetch it again")
        return None
    twice = sorted(name for name, n in Counter(header).items() if n > 1)
    if twice:
        found.add(path.name, 1, f"column {twice[0]!r} stands twice", "keep one")
        return None
    whole = {}
    for line, row in rows:
        if len(row) == len(header):
            whole[line] = row
            continue
        text = f"{len(row)} fields where the header has {len(header)}"
        remedy = "a shifted row or a decimal comma? give every column one field"
        found.add(path.name, line, text, remedy)
    table = pd.DataFrame(list(whole.values()), index=list(whole), columns=header, dtype="str")
    table = table.apply(lambda column: column.str.strip())
    return table.replace({"": None, "NA": None, "nan": None})


def _column(values, rule, file, found):
    """One column in its own kind; each value that cannot be used is reported and
    becomes missing.
    """

    def report(bad, what, remedy):
        for line, value in values[bad].items():
            found.add(file, line, f"column {values.name!r} {what}, found {value!r}", remedy)

    empty = values.isna()
    if not rule.nullable:
        report(empty, "is empty", "every row needs it")
    text = values.astype("str").where(~empty, None)
    if rule.kind == "text":
        if rule.values:
            report(~empty & ~text.isin(rule.values), f"must be {rule.allowed}", "correct it")
        return text
    numbers = pd.to_numeric(values, errors="coerce")
    comma = text.str.fullmatch(r"[-+]?\d+,\d+").fillna(False).astype(bool)
    bad = ~empty & ~np.isfinite(numbers)
    report(bad & comma, "must be a number", "write a decimal point, not a comma")
    report(bad & ~comma, "must be a number", "correct or remove the row")
    outside = ~empty & ~bad & ~numbers.between(rule.low, rule.high)
    report(outside, f"must be {rule.allowed}", rule.remedy)
    return numbers.astype(np.float32) if rule.kind == "single" else numbers


def _repeats(table, contract, file, found):
    """Rows that say the same thing again, or something else under the same key."""
    key = list(contract.key)
    if "curve_id" in table and table.curve_id.notna().all():
        key = ["curve_id", "dose"]
    remedy = "give replicates their own curve_id" if "dose" in key else "keep one row"
    whole = table[key].dropna()
    lines = {}
    for line, *values in whole.itertuples():
        name = tuple(values) if len(key) > 1 else values[0]
        first = lines.setdefault(name, line)
        if first != line:
            text = f"{' '.join(key)} {name!r} stands in line {first} already"
            found.add(file, line, text, remedy)
