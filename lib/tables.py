"""Contracts of the tables that one notebook hands to the next: columns, units, keys, ranges.

A wide table (expression, mutations, descriptors) names its key columns here; every other column is
a float feature. Units everywhere: dose is -log10(M), growth is 1 for untreated and 0 for nothing
left, AUC is 1 for no response.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.paths import STUDIES


class TableError(ValueError):
    """A table that breaks its contract: the message names table, value found and remedy."""


@dataclass(frozen=True)
class Column:
    """One column of a table or of a file: its kind, its range (inclusive) or values, what may be
    missing, its unit.
    """

    # "text", "float", "int", "bool"; of a file also "id" (few distinct texts), "single" (precision)
    kind: str
    low: float = -np.inf
    high: float = np.inf
    values: tuple = ()
    nullable: bool = False  # a value may be missing
    optional: bool = False  # the whole column may be missing
    unit: str = ""
    remedy: str = ""

    @property
    def allowed(self):
        """The values that it may hold, as an error says it."""
        if self.values:
            return f"one of {self.values}"
        return f"between {self.low:g} and {self.high:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Table:
    """A named table: its columns, and those that together identify a row."""

    name: str
    columns: dict
    key: tuple


# Scales that expression may be declared on, one list for the check of an own screen and for
# notebook 03, and what a value can be: a TPM is a share of a million. A name may be followed by
# words of the source, as in "log2 intensity (mean of five arrays)".
LINEAR_SCALES = ("FPKM", "RPKM", "TPM")
SCALES = {
    "TPM": (0, 1e6),
    "FPKM": (0, 1e8),
    "RPKM": (0, 1e8),
    "log2(TPM+1)": (0, 20),
    "log2(FPKM+1)": (0, 27),
    "log2 intensity": (-10, 30),
    "RMA": (-10, 30),
    "RMA log2": (-10, 30),
    "z-scored within the cell": (-1000, 1000),
}


def scale_range(scale):
    """Lowest and highest value on a declared scale; None for a scale that is not known."""
    for name, ends in SCALES.items():
        if scale == name:
            return ends
        if name not in LINEAR_SCALES and str(scale).startswith(f"{name} "):
            return ends
    return None


TEXT, MAYBE_TEXT = Column("text"), Column("text", nullable=True)
OPTIONAL_TEXT = Column("text", nullable=True, optional=True)
STUDY = Column("text", values=STUDIES, remedy="spell the study as in lib.tables.STUDIES")
ENDPOINT = Column("text", values=("viability", "growth"))
DOSE = Column(
    "float",
    0,
    15,
    unit="-log10 M",
    remedy="is this column in µM? convert it with dose = 6 - log10(µM)",
)
# Of concentrations: ">" a dose above the strongest tested, "<" one below the weakest
CENSOR = Column("text", values=("", ">", "<", "undefined"))
COUNT = Column("int", 0)
NUMBER = Column("float", nullable=True)
OPTIONAL_NUMBER = Column("float", nullable=True, optional=True)
ONE = 1 + 1e-9  # a sum of shares may be a rounding error more
SHARE = Column("float", 0, ONE, nullable=True)
OPTIONAL_SHARE = Column("float", 0, ONE, nullable=True, optional=True)
R2 = Column("float", high=ONE, nullable=True)

RESPONSES = Table(
    "responses",
    dict(
        study=STUDY,
        assay=TEXT,
        curve_id=TEXT,
        cell_id=TEXT,
        drug_id=TEXT,
        dose=DOSE,
        growth=Column(
            "float", -5, 10, unit="fraction", remedy="1 is untreated; divide per cent by 100"
        ),
        endpoint=ENDPOINT,
        file=TEXT,
        control=Column("bool"),
    ),
    key=("curve_id", "dose"),
)
CELLS = Table(
    "cells",
    dict(
        cell_id=TEXT,
        cell_name=TEXT,
        depmap_id=MAYBE_TEXT,
        cellosaurus_id=MAYBE_TEXT,
        tissue=MAYBE_TEXT,
        cancer_type=MAYBE_TEXT,
        donor=TEXT,
    ),
    key=("cell_id",),
)
CELL_NAMES = Table(
    "cell_names",
    dict(study=STUDY, cell_name=TEXT, cell_id=TEXT, rule=TEXT),
    key=("study", "cell_name"),
)
SALT = dict(removed=OPTIONAL_TEXT, chosen=OPTIONAL_TEXT)  # taken off a drawing; how it was told
DRUGS = Table(
    "drugs", dict(drug_id=TEXT, drug_name=TEXT, smiles=TEXT, inchikey=TEXT) | SALT, key=("drug_id",)
)
DRUG_NAMES = Table(
    "drug_names",
    dict(study=STUDY, drug_name=TEXT, drug_id=TEXT, smiles_origin=TEXT),
    key=("study", "drug_name"),
)
EXPRESSION = Table(
    "expression", dict(cell_id=TEXT, profile_source=TEXT), key=("cell_id", "profile_source")
)
MUTATIONS = Table(
    "mutations", dict(cell_id=TEXT, mutation_source=TEXT), key=("cell_id", "mutation_source")
)
DRUG_BLOCK = Table("drug_block", dict(drug_id=TEXT), key=("drug_id",))
FITS = Table(
    "fits",
    dict(
        curve_id=TEXT,
        study=STUDY,
        assay=TEXT,
        cell_id=TEXT,
        drug_id=TEXT,
        endpoint=ENDPOINT,
        n_doses=COUNT,
        auc=SHARE,  # mean over 4-10
        ic50=Column("float", 0, 15, nullable=True, unit="-log10 M"),  # within the doses tested
        ic50_censor=CENSOR,
        # Of the curve, wherever it is.
        pec50=Column("float", 0, 12, nullable=True, unit="-log10 M"),
        pec50_censor=CENSOR,
        ec50se=Column("float", 0, nullable=True),
        r2fit=R2,
        r2fit_raw=R2,
        einf=Column("float", 0, 1, nullable=True),
        hs=Column("float", 0, 4, nullable=True),
        auc1=SHARE,
        aac1=Column("float", -1e-9, 1, nullable=True),
        dss1=Column("float", 0, 1, nullable=True),
        converged=Column("bool"),
        reason=MAYBE_TEXT,
        # Of areas that were published without doses: as published, over the range tested; and over
        # 4-10 under the published curve, which has two parameters and no plateau (1 to 0).
        auc_tested=OPTIONAL_NUMBER,
        auc_published_curve=OPTIONAL_SHARE,
        auc_published_common=OPTIONAL_SHARE,
        curve_pec50=OPTIONAL_NUMBER,  # -log10 M
        curve_slope=Column("float", 0, nullable=True, optional=True),
        range_strong=OPTIONAL_NUMBER,  # -log10 M
        range_weak=OPTIONAL_NUMBER,  # -log10 M
        curve_error=OPTIONAL_NUMBER,  # area
        curve_reason=OPTIONAL_TEXT,
    ),
    key=("curve_id",),
)
PAIR_KEY = "study assay cell_id drug_id".split()
PAIRS = Table(
    "pairs",
    dict(
        study=STUDY,
        assay=TEXT,
        cell_id=TEXT,
        drug_id=TEXT,
        auc=Column("float", 0, ONE),
        n_curves=Column("int", 1),
        endpoint=ENDPOINT,
    ),
    key=tuple(PAIR_KEY),
)
# Bemis-Murcko scaffold as SMILES, "acyclic" for a drug without a ring; missing where there is no
# structure
SCAFFOLDS = Table("scaffolds", dict(drug_id=TEXT, scaffold=MAYBE_TEXT), key=("drug_id",))
_STATISTICS = (
    "n sum_y sum_yy sum_p sum_pp sum_yp sum_se nsum_y nsum_yy nsum_p nsum_pp nsum_yp "
    "tp_50 fp_50 tn_50 fn_50 tp_30 fp_30 tn_30 fn_30 n_drugs n_cells"
).split()
SCORES = Table(
    "scores",
    dict(
        run_id=TEXT,
        part=Column("text", values=("inner", "test")),
        study=TEXT,
        drug_id=TEXT,
        cell_id=TEXT,
        **dict.fromkeys(_STATISTICS, NUMBER),
    ),
    key=("run_id", "part", "study", "drug_id", "cell_id"),
)
RUNS = Table(
    "runs",
    dict(
        run_id=TEXT,
        configuration=TEXT,
        shard=TEXT,
        model=TEXT,
        split=TEXT,
        repeat=COUNT,
        fold=COUNT,
        n_folds=Column("int", 2),
        data_key=TEXT,
        status=Column("text", values=("early_stop", "epoch_cap", "diverged", "failed")),
        reason=MAYBE_TEXT,
    ),
    key=("run_id",),
)

# Notebook: how the names of the tables begin that it writes; notebook 01 writes all others.
WRITERS = {
    "02": "fits",
    "03": "profiles|gene_set|snp_|cell_types",
    "04": "drug_(?!names)|scaffolds",
    "05": "runs|scores",
}

_TYPES = pd.api.types
_KINDS = {
    "text": lambda s: _TYPES.is_string_dtype(s) or isinstance(s.dtype, pd.CategoricalDtype),
    "float": lambda s: _TYPES.is_numeric_dtype(s) and not _TYPES.is_bool_dtype(s),
    "int": _TYPES.is_integer_dtype,
    "bool": _TYPES.is_bool_dtype,
}


def violations(frame, table):
    """Every way in which a frame breaks its contract, one sentence each.

    Parameters
    ----------
    frame : DataFrame
    table : Table

    Returns
    -------
    list of str
        Empty when the frame keeps the contract. Each sentence names column, row and value found.
    """
    needed = [name for name, column in table.columns.items() if not column.optional]
    missing = [name for name in needed if name not in frame]
    if missing:
        return [f"{table.name}: column(s) {missing} missing, found {list(frame.columns)[:30]}"]
    found = []
    for name, column in table.columns.items():
        if name in frame:
            found += _column_problems(frame[name], column)
    found += _key_problems(frame, table)
    return [f"{table.name}: {problem}" for problem in found]


def _column_problems(series, column):
    if len(series) and not _KINDS[column.kind](series):
        first = series.iloc[:1].tolist()[0]
        found = f"found {series.dtype} (first value {first!r})"
        return [f"column {series.name!r} must be {column.kind}, {found}"]
    absent = series.isna()
    bad = {}
    if not column.nullable:
        bad["is missing"] = absent
    if column.values:
        bad[f"must be {column.allowed}"] = ~absent & ~series.isin(column.values)
    elif column.kind in ("float", "int"):
        bad[f"must be {column.allowed}"] = ~absent & ~series.between(column.low, column.high)
    return [_sentence(series, rows, text, column) for text, rows in bad.items() if rows.any()]


def _sentence(series, bad, text, column):
    """What is wrong with a column, its first bad value, how many there are, and the remedy."""
    rows = np.flatnonzero(bad)
    first = series.iloc[rows[:1]].tolist()[0]
    where = f"found {first!r} in row {rows[0]} ({len(rows)} such rows)"
    return f"column {series.name!r} {text}: {where}; {column.remedy}".rstrip("; ")


def _key_problems(frame, table):
    repeated = frame.duplicated(list(table.key), keep=False)
    if not repeated.any():
        return []
    example = frame.loc[repeated, list(table.key)].iloc[0].to_dict()
    what = f"key {table.key} repeats in {repeated.sum()} rows, for example {example}"
    return [f"{what}; one row per key is allowed"]


def check(frame, table):
    """Return the frame unchanged, or raise with every violation of the contract.

    Raises
    ------
    TableError
        Listing every violation, one per line.
    """
    problems = violations(frame, table)
    if problems:
        raise TableError("\n".join(problems))
    return frame


def writer(path):
    """Number of the notebook that writes a table."""
    for number, names in WRITERS.items():
        if re.match(names, Path(path).stem):
            return number
    return "01"


def require(path):
    """The path of a table; where it is missing, a `TableError` that says which notebook writes it."""
    path = Path(path)
    if not path.exists():
        first = f"run notebook {writer(path)} first (python run_all.py)"
        raise TableError(f"{path} is missing: {first}")
    return path


def read(path, table=None, columns=None):
    """Read a parquet table and check it.

    Raises
    ------
    TableError
        If the file is missing, truncated, or breaks its contract; the message says which notebook
        writes it.
    """
    path = require(path)
    try:
        frame = pd.read_parquet(path, columns=columns, use_threads=False)  # 2 GB for 20,000 genes
    except (OSError, ValueError) as error:
        raise TableError(
            f"{path} cannot be read ({error}): delete it and run notebook {writer(path)} again"
        ) from error
    return frame if table is None or columns is not None else check(frame, table)


def write(frame, path, table=None):
    """Check a table and write it whole or not at all (a temporary file, then a rename).

    Returns
    -------
    Path
        Of the file written.
    """
    path = Path(path)
    if table is not None:
        check(frame, table)
    with files.whole(path) as part:
        frame.to_parquet(part, compression="zstd", index=False)
    return path


def folder(path):
    """The folder, made if absent."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def read_or_empty(path, table):
    """Read a table that a data set may lack; where it is absent, an empty one of its contract."""
    if Path(path).exists():
        return read(path, table)
    return pd.DataFrame(columns=list(table.columns))
