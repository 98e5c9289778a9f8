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

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.screens import archives, own_tables
from lib.screens.dose_units import DOSE
from lib.screens.symbols import NONE
from lib.tables import TableError

DECADES = {"M": 0, "mM": 3, "uM": 6, "µM": 6, "nM": 9}  # -log10 M = decades - log10(dose)
# Readings to be divided by the untreated wells of their plate and line; viability in per cent, and
# as a share of the untreated; inhibition in per cent.
SIGNALS = ("raw", "percent", "fraction", "inhibition")
SERIES = ["cell", "drug", "dose"]
FACTS = [*SERIES, "plate"]
ZEROS = "(?<=[A-P])0+"  # of a well's number
LISTS = {  # options that take several values
    "value": "columns with the readings",
    "untreated": "drug names of control wells; so is dose 0",
    "killed": "drug names of wells without living cells",
    "ignore": "columns of a wide table to pass by",
    "only": "COLUMN=VALUE of the rows to take, such as Hours=72",
}


def add_arguments(parser):
    """What must and may be declared of an export."""
    parser.add_argument("exports", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path, help="a new folder")
    parser.add_argument("--unit", required=True, choices=[*DECADES, "log10M"])
    parser.add_argument("--signal", required=True, choices=SIGNALS)
    for fact in FACTS:
        parser.add_argument(f"--{fact}", required=fact in SERIES, help="its column, or =NAME")
    parser.add_argument("--map", type=Path, help="what is in each well of a plate's grid")
    parser.add_argument("--sheet", help="of a workbook with several")
    parser.add_argument("--skip", type=int, default=0, help="lines before the header")
    parser.add_argument("--decimal", default=".", choices=[".", ","])
    for name, text in LISTS.items():
        parser.add_argument(f"--{name}", nargs="+", default=[], help=text)


def run(options):
    """Import the exports that a command line declares; exit status 1 if they are not as declared."""
    report = []
    try:
        wells = [_wells(path, options, report) for path in options.exports]
        responses = understand(pd.concat(wells, ignore_index=True), options, report)
        _write(responses, report, options.out)
    except (TableError, OSError) as error:
        print(error)
        return 1
    return 0


def understand(wells, options, report):
    """Growth at -log10 M of every treated well.

    Parameters
    ----------
    wells : DataFrame
        cell, drug, dose, plate, value, where.
    options : argparse.Namespace
    report : list of str
        What was understood is added.

    Returns
    -------
    DataFrame
        cell_id, drug_id, dose, growth, curve_id; the n-th reading of a dose is of replicate n.

    Raises
    ------
    TableError
    """
    untreated = wells.drug.isin(options.untreated)
    if options.unit != "log10M":
        untreated |= wells.dose == 0
    killed = wells.drug.isin(options.killed)
    empty = wells.value.isna()
    treated = wells[~empty & ~untreated & ~killed]
    bad = treated["where"][treated[SERIES].isna().any(axis=1)]
    if len(bad) or treated.empty:
        raise TableError(
            f"{len(bad)} readings have no cell, drug or dose, {len(treated) - len(bad)} have: "
            f"{bad.tolist()[:3]}; name the control wells with --untreated and --killed"
        )
    dose = _molar(treated.dose, options.unit)
    if options.signal == "raw":
        growth = _normalised(treated, wells[untreated], wells[killed])
    else:
        growth = treated.value / (1 if options.signal == "fraction" else 100)
    if options.signal == "inhibition":
        growth = 1 - growth
    # every replicate is a curve: an average hides the outlier that a fit of each of them shows
    replicate = treated.groupby(SERIES).cumcount() + 1
    report += [
        f"{len(wells)} readings of {wells.plate.nunique()} plate(s) or file(s): {len(treated)} "
        f"treated, {untreated.sum()} untreated, {killed.sum()} killed, {empty.sum()} "
        "empty and left out",
        f"{treated.cell.nunique()} line(s), {treated.drug.nunique()} compound(s), up to "
        f"{replicate.max()} replicate(s)",
        f"doses declared in {options.unit}, {treated.dose.min():g} to {treated.dose.max():g}: "
        f"{dose.min():.2f} to {dose.max():.2f} -log10 M",
        f"signal declared {options.signal}: growth {growth.min():.2f} to {growth.max():.2f}",
    ]
    responses = dict(
        cell_id=treated.cell,
        drug_id=treated.drug,
        dose=dose.round(4),
        growth=growth.round(6),
        curve_id=treated.cell + "|" + treated.drug + "|" + replicate.astype("str"),
    )
    return pd.DataFrame(responses)


def _molar(given, unit):
    """-log10 M of doses in the declared unit."""
    logged = unit == "log10M"
    dose = -given if logged else DECADES[unit] - np.log10(given.clip(lower=1e-99))
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
    top = treated[key].join(untreated.groupby(key).value.mean(), on=key).value
    bottom = treated.plate.map(killed.groupby("plate").value.mean()) if len(killed) else 0
    wrong = treated[key][~(top > bottom)]
    if len(wrong):
        raise TableError(
            f"plate and line {wrong.iloc[0].tolist()}: no untreated well above its blank; name "
            "the control wells with --untreated (and --killed), and the plates with --plate"
        )
    return (treated.value - bottom) / (top - bottom)


def _wells(path, options, report):
    """One row per reading of a file: cell, drug, dose, plate, value, and where it stands."""
    table = _table(path, options)
    values = options.value
    if options.map:
        table = _mapped(table, path, options)
        values = ["value"]
    for rule in options.only:
        name, _, value = rule.partition("=")
        table = table[_column(table, name, path) == value]
    named = {fact: getattr(options, fact) for fact in FACTS}
    others = set(table) - {*named.values(), *options.ignore}
    if "headings" in named.values():
        values = others
    for name in set(values) - set(table):
        _column(table, name, path)
    unused = [f"{name} ({table[name].nunique()} values)" for name in sorted(others - {*values})]
    unused = ", ".join(unused) or "none"
    report.append(f"{path.name}: {len(table)} rows; columns not used: {unused}")
    readings = table.loc[:, table.columns.isin(values)]
    if readings.empty:
        raise TableError(
            f"{path.name}: no reading is left; name the columns of the readings with --value"
        )
    wells = readings.T.stack(future_stack=True).rename_axis(["heading", "line"])
    wells = wells.reset_index(name="value")
    for fact, name in named.items():
        if name == "headings":
            wells[fact] = wells.heading
        elif name in ("=FILE", None):
            wells[fact] = path.stem
        elif name.startswith("="):
            wells[fact] = name[1:]
        else:
            wells[fact] = wells.line.map(_column(table, name, path))
    wells = wells.astype("str")
    wells["where"] = f"{path.name}, line " + wells.line
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
    bad = wells[text.notna() & ~np.isfinite(numbers)]
    if len(bad):
        first = bad.iloc[0]
        raise TableError(
            f"{first['where']}: {name} must be a number in the declared unit, found "
            f"{first[name]!r} ({len(bad)} such); decimal commas need --decimal , and columns of a "
            "wide table that are no readings --ignore"
        )
    return numbers


def _mapped(grid, path, options):
    """The map's rows, with the signal of their well in the plate's grid as `value`."""
    wells = grid.set_index(grid.columns[0]).stack(future_stack=True)
    wells.index = pd.Index([f"{letter}{number}" for letter, number in wells.index], dtype="str")
    if not wells.index.str.fullmatch("[A-P][0-9]+").all():
        raise TableError(f"{path.name} is no grid of a plate: rows A to P, columns 1 to 24")
    wells.index = wells.index.str.replace(ZEROS, "", regex=True)
    table = _table(options.map, options)
    names = _column(table, "well", options.map).str.replace(ZEROS, "", regex=True)
    differ = sorted(set(wells.index) ^ set(names))
    if differ or names.duplicated().any():
        raise TableError(f"{path.name} and {options.map.name} differ in wells {differ[:5]}")
    return table.assign(value=names.map(wells))


def _table(path, options):
    """Every field as text, indexed by its line, from text of any separator or from a workbook."""
    raw = path.read_bytes()
    if raw.startswith(own_tables.WORKBOOKS):
        rows = _sheet(path, options.sheet)
    else:
        encoding = "utf-16" if raw.startswith(own_tables.UTF16) else "utf-8-sig"
        text = own_tables.decoded(raw, path.name, encoding)
        header = "".join(text.splitlines()[options.skip :][:1])
        mark = max(";\t,", key=header.count)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))
        except csv.Error as error:
            raise TableError(f"{path.name}: {error}; does a quotation mark never close?") from None
    rows = [[field.strip() for field in row] for row in rows]
    rows = {line: row for line, row in enumerate(rows, 1) if line > options.skip and any(row)}
    found = own_tables.Violations(path.name)
    table = own_tables.frame(rows, found)
    if found:
        raise found[0]
    if table.empty:
        raise TableError(f"{path.name} holds no row below its header")
    if options.drug == "headings":
        table.columns = table.columns.to_series().replace("", None).ffill()
    return table


def _sheet(path, name):
    book = archives.workbook(path, sheet_name=None, header=None, dtype=str)
    if len(book) > 1 and name not in book:
        raise TableError(f"{path.name} has the sheets {list(book)}: name one with --sheet")
    return book.get(name, next(iter(book.values()))).fillna("").to_numpy().tolist()


def _write(responses, report, folder):
    """The three tables and the report, in a folder that holds none of them."""
    tables = dict(
        responses=responses,
        cells=responses[["cell_id"]].drop_duplicates(),
        drugs=responses[["drug_id"]].drop_duplicates().assign(smiles=""),
    )
    there = [name for name in (*tables, "import") if list(folder.glob(f"{name}.*"))]
    if there:
        raise TableError(f"{folder} holds {there} already: name a new folder with --out")
    for name, table in tables.items():
        with files.whole(folder / f"{name}.csv") as part:
            table.to_csv(part, index=False)
    report.append("next: structures into drugs.csv, profiles, screen.yml as in examples/own_screen")
    text = "\n".join(["# What was understood", "", *[f"* {line}" for line in report], ""])
    files.write_text(folder / "import.md", text)
    print(text)
