"""Descriptors of the user's own Dragon 7 export; Dragon is proprietary, so none is bundled."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from lib.paths import DATA
from lib.screens import delimited, texts

EXPORT = DATA / "raw" / "dragon7.txt"  # where an export is looked for
# Of the Dragon 7 table that the paper's group trained on (CANDLE Benchmarks, Pilot1/Attn)
PUBLISHED_COLUMNS = 5270
MISSING = ("na", "NA", "NaN", "nan", "-999", "-999.0", "-", "")
ASIDE = ["NAME", "No.", "No", ""]  # columns that are no descriptors


def read(path):
    """Read a Dragon 7 export.

    The file is Dragon's own text export, tab or comma separated: optional lines of program
    information, a header line with a column `NAME`, then one line per molecule. `NAME` holds the
    drug_id, the InChIKey or the drug name. A column `No.` is ignored; na, NaN, - and -999 are gaps;
    every other column is a descriptor.

    Parameters
    ----------
    path : path

    Returns
    -------
    DataFrame
        Index NAME (as text), one float column per descriptor.

    Raises
    ------
    FileNotFoundError
        With what to export, and the open alternative.
    ValueError
        If there is no NAME column, a name or a column repeats, or a row is shifted; naming file,
        line, value and remedy.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"no Dragon 7 export at {path}: Dragon is proprietary and not part of this "
            "project; export your own "
            "descriptors there (a column NAME with drug_id, InChIKey or drug name), or use "
            "the block rdkit_ecfp"
        )
    with texts.text(path, lossy=False) as file:
        try:
            lines = file.read().splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text ({error}): save it as UTF-8") from error
    top = next((i for i, line in enumerate(lines) if "NAME" in re.split(r'[\t,"]+', line)), None)
    if top is None:
        raise ValueError(
            f"{path}: no header line with a column NAME in {len(lines)} line(s); found {lines[:1]}"
        )
    rows = csv.reader(lines[top:], delimiter="\t" if "\t" in lines[top] else ",")
    header = next(rows)
    table = {}
    for row in filter(None, rows):
        where = f"{path}, line {top + rows.line_num}"
        if len(row) != len(header):
            raise ValueError(
                f"{where}: {len(row)} fields where the header has {len(header)}: a shifted row; "
                "export the table again"
            )
        values = dict(zip(header, row, strict=True))
        if values["NAME"] in table:
            raise ValueError(f"{where}: NAME {values['NAME']!r} repeats; keep one line per drug")
        table[values["NAME"]] = values
    twice = [name for name, n in Counter(header).items() if n > 1]
    if twice:
        raise ValueError(f"{path}: column(s) {twice} stand twice in the header; keep one of each")
    table = pd.DataFrame.from_dict(table, orient="index", columns=header, dtype="str")
    return table.drop(columns=ASIDE, errors="ignore").apply(_numbers, path=path)


def describe(drugs, path=None):
    """Look up the drugs of a table in an export.

    Parameters
    ----------
    drugs : DataFrame
        drug_id and, where present, inchikey and drug_name: the first of these that the export names
        is used.
    path : path or None
        The export; None: `EXPORT`.

    Returns
    -------
    columns : list of str
    values : ndarray of float32, shape (n_drugs, n_columns)
    reasons : list of str
        "" for a drug that was found.

    Raises
    ------
    ValueError
        If none of the drugs is in the export.
    """
    path = Path(path or EXPORT)
    table = read(path)
    found = pd.Series(pd.NA, index=drugs.index, dtype="str")
    for key in ("drug_id", "inchikey", "drug_name"):
        if key in drugs:
            found = found.fillna(drugs[key].where(drugs[key].isin(table.index)))
    if found.isna().all():
        raise ValueError(
            f"{path}: none of its {len(table)} names is a drug_id, InChIKey or drug name of "
            "this panel"
        )
    values = table.reindex(found).to_numpy(dtype=np.float32)
    reasons = found.isna().map({True: f"not in the Dragon export {path.name}", False: ""})
    return [f"dragon7_{name}" for name in table.columns], values, list(reasons)


def _numbers(column, path):
    value = column.str.strip()
    gap = value.isin(MISSING)
    plain = value.str.fullmatch(delimited.NUMBER.pattern)
    numbers = pd.to_numeric(value.where(plain & ~gap))
    bad = column[~gap & ~numbers.abs().le(np.finfo(np.float32).max)]
    if len(bad):
        raise ValueError(
            f"{path}: {bad.iloc[0]!r} in column {column.name!r}, molecule {bad.index[0]!r}, "
            "is not a number: correct it, or write na"
        )
    return numbers.astype(float)
