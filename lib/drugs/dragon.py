"""Descriptors of the user's own Dragon 7 export; Dragon is proprietary, so none is bundled."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from lib.paths import DATA

EXPORT = DATA / "raw" / "dragon7.txt"  # where an export is looked for
# Of the Dragon 7 table that the paper's group trained on (CANDLE Benchmarks, Pilot1/Attn)
PUBLISHED_COLUMNS = 5270
MISSING = ["na", "NA", "NaN", "nan", "-999", "-999.0", ""]


def read(path):
    """Read a Dragon 7 export.

    The file is Dragon's own text export, tab or comma separated: optional lines of program
    information, a header line with a column `NAME`, then one line per molecule. `NAME` holds the
    drug_id, the InChIKey or the drug name. A column `No.` is ignored; na, NaN and -999 are gaps;
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
        If there is no NAME column, a name repeats, or a cell is no number.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"no Dragon 7 export at {path}: Dragon is proprietary and not part of this "
            "project; export your own "
            "descriptors there (a column NAME with drug_id, InChIKey or drug name), or use "
            "the block rdkit_ecfp"
        )
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    headers = [i for i, line in enumerate(lines) if "NAME" in re.split(r'[\t,"]+', line)]
    if not headers:
        raise ValueError(
            f"{path}: no header line with a column NAME in {len(lines)} line(s); found {lines[:1]}"
        )
    header = headers[0]
    table = pd.read_csv(
        path,
        sep="\t" if "\t" in lines[header] else ",",
        skiprows=header,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
    )
    table = table.set_index("NAME").filter(regex=r"^(?!No\.?$|Unnamed)")
    if table.index.has_duplicates:
        repeated = table.index[table.index.duplicated()][0]
        raise ValueError(f"{path}: NAME {repeated!r} repeats; keep one line per drug")
    return table.apply(_numbers, path=path)


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
    gap = column.str.strip().isin(MISSING)
    numbers = pd.to_numeric(column.mask(gap), errors="coerce")
    bad = column[numbers.isna() & ~gap]
    if len(bad):
        raise ValueError(
            f"{path}: {bad.iloc[0]!r} in column {column.name!r}, molecule {bad.index[0]!r}, "
            "is not a number"
        )
    return numbers.astype(float)
