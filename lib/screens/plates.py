"""The door for a laboratory's own export: from wells to the tables of an own screen. What columns,
unit and signal are is declared; nothing is guessed, and what was understood is reported.

    python -m lib.screens.own import EXPORT... --out FOLDER --unit uM --signal raw --untreated DMSO
        --cell "Cell line" --drug Drug --dose Conc --value Signal

A long table has a row per well; several `--value` are replicates. In a wide table `--dose headings`
or `--drug headings` says what the headings of the readings are (equal or empty ones are
replicates). A grid of a plate (rows A to P, columns 1 to 24) needs `--map`, a long table with a
column `well`. Text of any separator and workbooks are read; `=NAME` states one name for all rows,
`=FILE` the name of the file.
"""

import argparse
import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.screens.dose_units import DOSE
from lib.screens.symbols import NONE
from lib.tables import TableError

DECADES = {"M": 0, "mM": 3, "uM": 6, "µM": 6, "nM": 9}  # -log10 M = decades - log10(dose)
# Readings to be divided by the untreated wells of their plate and line; viability in per cent, and
# as a share of the untreated; inhibition in per cent.
SIGNALS = ("raw", "percent", "fraction", "inhibition")
FACTS = ("cell", "drug", "dose", "plate")


def main(arguments):
    """Command line; exit status 1 if the export is not as declared."""
    parser = argparse.ArgumentParser(prog="python -m lib.screens.own import")
    parser.add_argument("exports", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path, help="a new folder")
    parser.add_argument("--unit", required=True, choices=[*DECADES, "log10M"])
    parser.add_argument("--signal", required=True, choices=SIGNALS)
    for fact in FACTS:
        parser.add_argument(f"--{fact}", required=fact != "plate", help="its column, or =NAME")
    parser.add_argument("--map", type=Path, help="what is in each well of a plate's grid")
    parser.add_argument("--sheet", help="of a workbook with several")
    parser.add_argument("--skip", type=int, default=0, help="lines before the header")
    parser.add_argument("--decimal", default=".", choices=[".", ","])
    for name, text in (
        ("value", "columns with the readings"),
        ("untreated", "drug names of control wells; so is dose 0"),
        ("killed", "drug names of wells without living cells"),
        ("ignore", "columns of a wide table to pass by"),
        ("only", "COLUMN=VALUE of the rows to take, such as Hours=72"),
    ):
        parser.add_argument(f"--{name}", nargs="+", default=[], help=text)
    options = parser.parse_args(arguments)
    try:
        notes = []
        wells = [_wells(path, options, notes) for path in options.exports]
        responses, report = understand(pd.concat(wells, ignore_index=True), options)
        _write(responses, notes + report, options.out)
    except (TableError, OSError) as error:
        print(error)
        return 1
    return 0


def understand(wells, options):
    """Growth at -log10 M of every treated well, and what was understood.

    Parameters
    ----------
    wells : DataFrame
        cell, drug, dose, plate, value, where.
    options : argparse.Namespace

    Returns
    -------
    responses : DataFrame
        cell_id, drug_id, dose, growth, curve_id; the n-th reading of a dose is of replicate n.
    report : list of str

    Raises
    ------
    TableError
    """
    untreated = wells.drug.isin(options.untreated)
    if options.unit != "log10M":
        untreated |= wells.dose == 0
    killed = wells.drug.isin(options.killed)
    treated = wells[wells.value.notna() & ~untreated & ~killed]
    bad = treated[treated[["cell", "drug", "dose"]].isna().any(axis=1)]
    if len(bad) or treated.empty:
        where = bad["where"].tolist()[:3]
        raise TableError(
            f"{len(bad)} readings have no cell, drug or dose, {len(treated) - len(bad)} have: "
            f"{where}; name the control wells with --untreated and --killed"
        )
    dose = _molar(treated.dose, options.unit)
    growth = treated.value if options.signal == "fraction" else treated.value / 100
    if options.signal == "inhibition":
        growth = 1 - growth
    if options.signal == "raw":
        growth = _normalised(treated, wells[untreated], wells[killed])
    # every replicate is a curve: an average hides the outlier that a fit of each of them shows
    replicate = treated.groupby(["cell", "drug", "dose"]).cumcount() + 1
    report = [
        f"{len(wells)} readings of {wells.plate.nunique()} plate(s) or file(s): {len(treated)} "
        f"treated, {untreated.sum()} untreated, {killed.sum()} killed, {wells.value.isna().sum()} "
        "empty and left out",
        f"{treated.cell.nunique()} line(s), {treated.drug.nunique()} compound(s), up to "
        f"{replicate.max()} replicate(s)",
        f"doses declared in {options.unit}, {treated.dose.min():g} to {treated.dose.max():g}: "
        f"{dose.min():.2f} to {dose.max():.2f} -log10 M",
        f"signal declared {options.signal}: growth {growth.min():.2f} to {growth.max():.2f}",
    ]
    curve = treated.cell + "|" + treated.drug + "|" + replicate.astype("str")
    responses = dict(
        cell_id=treated.cell,
        drug_id=treated.drug,
        dose=dose.round(4),
    )
    return pd.DataFrame(responses | dict(growth=growth.round(6), curve_id=curve)), report


def _molar(given, unit):
    """-log10 M of doses in the declared unit."""
    if unit == "log10M":
        dose = -given
    else:
        dose = DECADES[unit] - np.log10(given.clip(lower=1e-99))
    if not dose.between(DOSE.low, DOSE.high).all():
        raise TableError(
            f"in {unit} doses would be {dose.min():.3g} to {dose.max():.3g} -log10 M; "
            f"they must be {DOSE.allowed}: is the unit another?"
        )
    return dose


def _normalised(treated, untreated, killed):
    """Readings between the mean of the untreated wells of their plate and line (1) and that of the
    killed ones of their plate (0; a reading of 0 where the screen has none).
    """
    key = ["plate", "cell"]
    top = untreated.groupby(key).value.mean()
    top = top.reindex(pd.MultiIndex.from_frame(treated[key])).set_axis(treated.index)
    bottom = treated.plate.map(killed.groupby("plate").value.mean())
    bottom = bottom.astype(float) if len(killed) else 0 * top
    wrong = treated[~(top > bottom)]
    if len(wrong):
        raise TableError(
            f"plate and line {wrong[key].iloc[0].tolist()}: no untreated well above its blank; name "
            "the control wells with --untreated (and --killed), and the plates with --plate"
        )
    return (treated.value - bottom) / (top - bottom)


def _wells(path, options, notes):
    """One row per reading of a file: cell, drug, dose, plate, value, and where it stands."""
    table = _table(path, options)
    values = options.value
    if options.map:
        table = _mapped(table, path, options)
        values = ["value"]
    for rule in options.only:
        name, _, value = rule.partition("=")
        table = table[_column(table, name, path) == value]
    headings = [fact for fact in FACTS if getattr(options, fact) == "headings"]
    named = {fact: getattr(options, fact) for fact in FACTS if fact not in headings}
    facts = pd.DataFrame(index=table.index)
    for fact, name in named.items():
        if name in ("=FILE", None):
            facts[fact] = path.stem
        else:
            facts[fact] = name[1:] if name[:1] == "=" else _column(table, name, path)
    others = set(table) - {*named.values(), *options.ignore}
    if headings:
        values = others
    for name in set(values) - set(table):
        _column(table, name, path)
    unused = [f"{name} ({table[name].nunique()} values)" for name in sorted(others - {*values})]
    notes.append(f"{path.name}: {len(table)} rows; columns not used: {', '.join(unused) or 'none'}")
    parts = []
    for place, name in enumerate(table):
        if name in values:
            part = facts.assign(**dict.fromkeys(headings, name), value=table.iloc[:, place])
            parts.append(part.assign(where=[f"{path.name}, line {n}" for n in table.index]))
    if not parts or table.empty:
        raise TableError(
            f"{path.name}: no reading is left; name the columns of the readings with --value"
        )
    wells = pd.concat(parts)[[*FACTS, "value", "where"]].astype("str")
    unit = options.unit.replace("uM", "µM")
    wells["dose"] = wells.dose.str.replace("μ", "µ").str.removesuffix(unit)
    for name in ("dose", "value"):
        wells[name] = _numbers(wells, name, options.decimal)
    return wells


def _column(table, name, path):
    """The one column of this name."""
    n = list(table).count(name)
    if n != 1:
        many = f"{n} columns" if n else "no column"
        raise TableError(f"{path.name}: {many} {name!r}; found {list(table)[:20]}")
    return table[name]


def _numbers(wells, name, decimal):
    text = wells[name].str.strip()
    text = text.mask(text.str.lower().isin(NONE))
    if decimal == ",":
        text = text.str.replace(".", "?").str.replace(",", ".")
    numbers = pd.to_numeric(text, errors="coerce")
    bad = text.notna() & ~np.isfinite(numbers)
    if bad.any():
        first = wells[bad].iloc[0]
        raise TableError(
            f"{first['where']}: {name} must be a number in the declared unit, found "
            f"{first[name]!r} ({bad.sum()} such); decimal commas need --decimal , and columns of a "
            "wide table that are no readings --ignore"
        )
    return numbers


def _mapped(grid, path, options):
    """The map's rows, with the signal of their well in the plate's grid as `value`."""
    letters = grid.iloc[:, 0]
    numbers = grid.columns[1:]
    if not letters.str.fullmatch("[A-P]").all() or not numbers.str.fullmatch("[0-9]+").all():
        raise TableError(f"{path.name} is no grid of a plate: rows A to P, columns 1 to 24")
    wells = grid.iloc[:, 1:].set_axis(letters).stack(future_stack=True)
    wells.index = [f"{letter}{int(number)}" for letter, number in wells.index]
    table = _table(options.map, options)
    names = _column(table, "well", options.map).str.replace(r"(?<=[A-P])0+", "", regex=True)
    differ = sorted(set(wells.index) ^ set(names))
    if differ or names.duplicated().any():
        raise TableError(f"{path.name} and {options.map.name} differ in wells {differ[:5]}")
    return table.assign(value=names.map(wells))


def _table(path, options):
    """Every field as text, indexed by its line, from text of any separator or from a workbook."""
    raw = path.read_bytes()
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        rows = _sheet(path, options.sheet)
    else:
        utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        try:
            text = raw.decode("utf-16" if utf16 else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise TableError(f"{path.name} is not UTF-8 text ({error}): save it so") from error
        header = [*text.splitlines(), ""][options.skip :][:1]
        mark = max(";\t,", key="".join(header).count)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))
    rows = [[field.strip() for field in row] for row in rows]
    lines = {n: row for n, row in enumerate(rows, 1) if n > options.skip and any(row)}
    header = lines.pop(min(lines, default=0), [])
    if not lines:
        raise TableError(f"{path.name} holds no row below its header")
    for line, row in lines.items():
        if len(row) != len(header):
            raise TableError(f"{path.name}, line {line}: {len(row)} fields of {len(header)}")
    table = pd.DataFrame(lines.values(), index=list(lines), columns=header, dtype="str")
    if options.drug == "headings":
        table.columns = pd.Series(header).replace("", None).ffill()
    return table.replace("", None)


def _sheet(path, name):
    try:
        book = pd.read_excel(path, sheet_name=None, header=None, dtype=str, engine="calamine")
    except Exception as error:  # calamine raises its own types for every kind of damage
        raise TableError(f"{path.name} cannot be read as a workbook ({error})") from error
    if len(book) > 1 and name not in book:
        raise TableError(f"{path.name} has the sheets {list(book)}: name one with --sheet")
    return book.get(name, [*book.values()][0]).fillna("").to_numpy().tolist()


def _write(responses, report, folder):
    """The three tables and the report, in a folder that holds none of them."""
    tables = dict(
        responses=responses,
        cells=responses[["cell_id"]].drop_duplicates(),
    )
    tables["drugs"] = responses[["drug_id"]].drop_duplicates().assign(smiles="")
    there = [name for name in tables if (folder / f"{name}.csv").exists()]
    if there:
        raise TableError(f"{folder} holds {there} already: name a new folder with --out")
    for name, table in tables.items():
        with files.whole(folder / f"{name}.csv") as part:
            table.to_csv(part, index=False)
    report.append("next: structures into drugs.csv, profiles, screen.yml as in examples/own_screen")
    text = "\n".join(["# What was understood", "", *[f"* {line}" for line in report], ""])
    files.write_text(folder / "import.md", text)
    print(text)
