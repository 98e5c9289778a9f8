"""Descriptors of the user's own Dragon 7 export; Dragon is proprietary, so none is bundled."""

from pathlib import Path

import numpy as np

from lib.paths import DATA
from lib.screens import delimited, texts
from lib.screens.delimited import TEXT, Layout
from lib.tables import Column, TableError

EXPORT = DATA / "raw" / "dragon7.txt"  # where an export is looked for
# Of the Dragon 7 table that the paper's group trained on (CANDLE Benchmarks, Pilot1/Attn)
PUBLISHED_COLUMNS = 5270
MISSING = ("na", "NA", "NaN", "nan", "-999", "-999.0", "-", "")
LARGEST = float(np.finfo(np.float32).max)
NUMBER = Column("float", -LARGEST, LARGEST, nullable=True, remedy="correct it, or write na")
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
    TableError
        If there is no NAME column, a name or a column repeats, a row is shifted, or a value is no
        finite number; naming file, line, value and remedy.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"no Dragon 7 export at {path}: Dragon is proprietary and not part of this project; "
            "export your own descriptors there (a column NAME with drug_id, InChIKey or drug "
            "name), or use the block rdkit_ecfp"
        )
    first = texts.top(path, "NAME")[1]
    separator = "\t" if "\t" in first else ","
    header = texts.names(path, separator, "NAME")
    columns = dict.fromkeys([name for name in header if name not in ASIDE], NUMBER)
    layout = Layout("a Dragon 7 export", columns | {"NAME": TEXT}, separator, MISSING, above="NAME")
    table = delimited.read(path, layout).to_pandas().set_index("NAME")
    if table.index.has_duplicates:
        repeated = table.index[table.index.duplicated()][0]
        raise TableError(f"{path}: NAME {repeated!r} repeats; keep one line per drug")
    return table


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
    keys = drugs.reindex(columns=["drug_id", "inchikey", "drug_name"])
    found = keys.where(keys.isin(table.index)).bfill(axis=1)["drug_id"]
    if found.isna().all():
        raise ValueError(
            f"{path}: none of its {len(table)} names is a drug_id, InChIKey or drug name of "
            "this panel"
        )
    values = table.reindex(found).to_numpy(np.float32)
    reasons = found.isna().map({True: f"not in the Dragon export {path.name}", False: ""})
    return [f"dragon7_{name}" for name in table.columns], values, list(reasons)
