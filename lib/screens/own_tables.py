"""Tables of an own screen, read as text and checked value by value, so that everything wrong is said at once."""

import csv
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.tables import RESPONSES, Column

STRONGEST = 1.5  # -log10 M: 30 mM; no screen goes there, but µM values taken for -log10 M do
TEXT, MAYBE = Column("text"), Column("text", nullable=True)
DOSE = Column(
    "float", STRONGEST, 15, unit="-log10 M", remedy="is this column in µM? dose = 6 - log10(µM)"
)
# table -> columns that it needs, columns that it may have, its key
NARROW = {
    "responses": (
        dict(cell_id=TEXT, drug_id=TEXT, dose=DOSE, growth=RESPONSES.columns["growth"]),
        dict(
            curve_id=MAYBE,
            assay=MAYBE,
            endpoint=Column("text", values=("viability", "growth"), nullable=True),
        ),
        None,
    ),
    "cells": (
        dict(cell_id=TEXT),
        dict.fromkeys(
            ("cell_name", "depmap_id", "cellosaurus_id", "tissue", "cancer_type", "donor"), MAYBE
        ),
        "cell_id",
    ),
    "drugs": (dict(drug_id=TEXT, smiles=TEXT), dict(drug_name=MAYBE), "drug_id"),
}


@dataclass(frozen=True)
class Violation:
    """One thing wrong: file, line (the header is line 1; 0 for the file as a whole), what was found, what to do."""

    file: str
    line: int
    found: str
    remedy: str

    def __str__(self):
        where = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{where}: {self.found}; {self.remedy}"


def narrow(path, name, found):
    """A table as checked columns, or None where its header cannot be used; bad rows are reported, not returned."""
    needed, optional, key = NARROW[name]
    table = _as_text(path, found)
    if table is None:
        return None
    missing = [column for column in needed if column not in table]
    if missing:
        columns = [column for column in table if column != "line"]
        text = f"column(s) {missing} missing, found {columns[:20]}"
        found.append(Violation(path.name, 1, text, _header_remedy(columns)))
        return None
    for column in [c for c in table if c not in needed and c not in optional and c != "line"]:
        remedy = f"rename it to one of {[*needed, *optional]} or remove it"
        found.append(Violation(path.name, 1, f"unknown column {column!r}", remedy))
    out = table[["line"]].copy()
    for column, rule in (needed | optional).items():
        if column in table:
            out[column] = _column(table[column], table.line, rule, path.name, found)
    _repeats(out, path.name, key, found)
    return out


def _header_remedy(columns):
    joined = " ".join(columns)
    other = next((mark for mark in (";", "\t", "|") if mark in joined), None)
    return (
        f"separate fields by commas, not by {other!r}"
        if other
        else "name the columns as examples/own_screen does"
    )


def _as_text(path, found):
    """Every field as text with its line; rows of another length are reported and left out."""
    if path.suffix == ".parquet":
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            found.append(Violation(path.name, 0, f"cannot be read ({error})", "write it again"))
            return None
        return table.assign(line=np.arange(2, len(table) + 2))
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError as error:
        found.append(
            Violation(path.name, 0, f"is not UTF-8 text ({error.reason})", "save it as UTF-8")
        )
        return None
    if not header or not rows:
        found.append(Violation(path.name, 0, "holds no row", "fill it, or fetch it again"))
        return None
    for name in sorted({name for name in header if header.count(name) > 1}):
        found.append(Violation(path.name, 1, f"column {name!r} stands twice", "keep one"))
        return None
    for line, row in rows:
        if len(row) != len(header):
            text = f"{len(row)} fields where the header has {len(header)}"
            remedy = "a shifted row or a decimal comma? give every column one field"
            found.append(Violation(path.name, line, text, remedy))
    rows = [(line, row) for line, row in rows if len(row) == len(header)]
    table = pd.DataFrame([row for _, row in rows], columns=header, dtype="str")
    table = table.apply(lambda column: column.str.strip()).replace(
        {"": None, "NA": None, "nan": None}
    )
    return table.assign(line=[line for line, _ in rows])


def _column(values, lines, rule, file, found):
    """One column in its own kind; each value that cannot be used is reported and becomes missing."""

    def report(bad, what, remedy):
        for line, value in zip(lines[bad], values[bad], strict=True):
            found.append(
                Violation(
                    file, int(line), f"column {values.name!r} {what}, found {value!r}", remedy
                )
            )

    empty = values.isna()
    if not rule.nullable:
        report(empty, "is empty", "every row needs it")
    if rule.kind == "text":
        text = values.astype("str").where(~empty, None)
        if rule.values:
            report(~empty & ~text.isin(rule.values), f"must be one of {rule.values}", "correct it")
        return text
    numbers = pd.to_numeric(values, errors="coerce")
    comma = values.astype("str").str.fullmatch(r"[-+]?\d+,\d+").fillna(False).astype(bool)
    bad = ~empty & ~np.isfinite(numbers)
    report(bad & comma, "must be a number", "write a decimal point, not a comma")
    report(bad & ~comma, "must be a number", "correct or remove the row")
    outside = ~bad & ~empty & ~numbers.between(rule.low, rule.high)
    report(
        outside, f"must be between {rule.low:g} and {rule.high:g} {rule.unit}".rstrip(), rule.remedy
    )
    return numbers


def _repeats(table, file, key, found):
    """Rows that say the same thing again, or something else under the same key."""
    if key is None:
        key = (
            ["curve_id"]
            if "curve_id" in table and table.curve_id.notna().all()
            else ["cell_id", "drug_id"]
        )
        key = [*key, "dose"]
    key = [key] if isinstance(key, str) else key
    whole = table.dropna(subset=key)
    again = whole[whole.duplicated(key)]
    first = whole.drop_duplicates(key).set_index(key).line
    for values in again[[*key, "line"]].itertuples(index=False):
        name = values[:-1] if len(key) > 1 else values[0]
        text = f"{' '.join(key)} {name!r} stands in line {first.loc[name]} already"
        remedy = "give replicates their own curve_id" if "dose" in key else "keep one row"
        found.append(Violation(file, int(values[-1]), text, remedy))


def wide(path, name, found):
    """A table of one row per line and one column per gene as float32, or None; every bad value is reported."""
    table = _as_text(path, found)
    if table is None:
        return None
    if "cell_id" not in table:
        columns = [column for column in table if column != "line"]
        found.append(
            Violation(
                path.name,
                1,
                f"column 'cell_id' missing, found {columns[:8]}",
                _header_remedy(columns),
            )
        )
        return None
    names = _column(table.cell_id, table.line, TEXT, path.name, found)
    _repeats(pd.DataFrame(dict(line=table.line, cell_id=names)), path.name, "cell_id", found)
    low = 0 if name == "mutations" else -np.inf
    rule = Column("float", low, nullable=True, remedy="counts and events are not negative")
    genes = [column for column in table if column not in ("cell_id", "line")]
    values = [
        _column(table[gene], table.line, rule, path.name, found).to_numpy(np.float32)
        for gene in genes
    ]
    frame = pd.DataFrame(
        np.array(values, np.float32).reshape(len(genes), len(table)).T, columns=genes
    )
    frame.insert(0, "cell_name", names.to_numpy())
    return frame
