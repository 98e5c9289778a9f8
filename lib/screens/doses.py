"""From one row per dose to the columns every reader returns: curve ids, duplicates, refusals, contract units.

Rows come in batches and one curve's rows mostly follow one another, so names are kept once per run of rows and a
release of 24 million rows needs little more memory than its doses and readings. Text columns are categorical, since a
release repeats few names often. What a reader leaves out is counted in `frame.attrs["refused"]`: file, reason, rows.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lib.tables import RESPONSES, TableError

COLUMNS = [
    "study",
    "assay",
    "curve_id",
    "cell_name",
    "drug_name",
    "dose",
    "growth",
    "endpoint",
    "file",
    "control",
]
DOSE, GROWTH = (
    RESPONSES.columns["dose"],
    RESPONSES.columns["growth"],
)  # readings beyond it are refused, not clipped
NO_CODE = 2**32 - 1  # stands for a missing value among polars' category codes
SPAN = 7.0  # decades of dose in one curve: the widest design spans 4.5; more means that units are mixed
BLOCK = 1 << 20  # rows looked at together in the checks


@dataclass
class Refused:
    """Rows that a reader leaves out, by reason."""

    file: str
    counts: dict = field(default_factory=dict)

    def add(self, reason, rows):
        """Count rows under a reason; none is not recorded."""
        if rows:
            self.counts[reason] = self.counts.get(reason, 0) + int(rows)

    def keep(self, frame, mask, reason):
        """The rows of a polars frame where the mask holds (a missing mask does not); the others are counted."""
        found = frame.select(mask.fill_null(False)).to_series()
        if found.all():
            return frame  # a filter would copy it
        kept = frame.filter(found)
        self.add(reason, frame.height - kept.height)
        return kept

    def listed(self):
        """As stored in `attrs`."""
        return [(self.file, reason, rows) for reason, rows in self.counts.items()]


@dataclass(frozen=True)
class Series:
    """What names a dose series in a reader's rows, and which further columns are kept.

    `keys` together name one series of the file; `cell_name`, `drug_name`, `control` and the `facts` are the same in all
    of its rows; `readings` differ from row to row. A compound known by a number is named with the prefix.
    """

    study: str
    assay: str
    keys: tuple
    facts: tuple = ()
    readings: tuple = ()
    endpoint: str = "viability"
    prefix: str = ""


def finish(batches, series, refused, conflicts="error"):
    """Assemble a reader's table.

    Parameters
    ----------
    batches : polars.DataFrame or iterable of them
        `cell_name`, `drug_name`, `dose` (-log10 M), `growth`, the columns that `series` names, perhaps `control`.
    series : Series
    refused : Refused
        Also gives the file's short name, which is part of every `curve_id`.
    conflicts : {"error", "mean"}
        What to do where one curve has two different readings at one dose.

    Returns
    -------
    DataFrame
        `COLUMNS`, then facts and readings. Exact repeats of a reading are dropped and counted.

    Raises
    ------
    TableError
        Conflicting readings, or doses of one curve in different units.
    """
    if conflicts not in ("error", "mean"):
        raise ValueError(f"conflicts must be 'error' or 'mean', found {conflicts!r}")
    heads, lengths, rows = _collect(batches, series, refused)
    of_head, first = curve_codes(heads, series.keys)
    codes = np.repeat(of_head, lengths)
    _check_dose(codes, rows["dose"], heads[first], series.keys, refused)
    if not _plainly_unique(of_head, codes, rows["dose"], len(first)):
        codes, rows = _drop_repeats(codes, rows, heads[first], series.keys, refused, conflicts)
    _check_span(codes, rows["dose"], heads[first], series.keys, refused)
    return _assemble(heads[first], codes, rows, series, refused)


def _collect(batches, series, refused):
    """Heads of the runs (one row per run, with its names), the runs' lengths, and the readings as arrays."""
    import polars as pl

    named = [*series.keys, "cell_name", "drug_name", *series.facts]
    heads, lengths, columns = [], [], {name: [] for name in ("dose", "growth", *series.readings)}
    for batch in [batches] if isinstance(batches, pl.DataFrame) else batches:
        batch = refused.keep(batch, _readable(), "no reading, or growth outside -5 to 10")
        if not batch.height:
            continue
        starts = np.flatnonzero(np.concatenate([[True], _changes(batch, series.keys)]))
        kept = [*named, "control"] if "control" in batch.columns else named
        heads.append(batch.select(list(dict.fromkeys(kept)))[starts])
        lengths.append(np.diff(np.append(starts, batch.height)))
        for name, parts in columns.items():
            parts.append(batch[name].to_numpy())
    if not heads:
        raise TableError(
            f"{refused.file}: no row is left; refused: {refused.listed()}. Is this the file of raw doses?"
        )
    return (
        pl.concat(heads),
        np.concatenate(lengths),
        {name: np.concatenate(columns.pop(name)) for name in list(columns)},
    )


def _readable():
    import polars as pl

    growth = pl.col("growth")
    return growth.is_finite() & (growth >= GROWTH.low) & (growth <= GROWTH.high)


def _changes(batch, keys):
    """Whether each row but the first differs from the row before it in any key."""
    changed = np.zeros(batch.height - 1, bool)
    for name in keys:
        values = _plain(batch[name])
        changed |= values[1:] != values[:-1]
    return changed


def _plain(column):
    """Numbers that stand for a column's values."""
    import polars as pl

    column = column.cast(pl.Categorical) if column.dtype == pl.String else column
    return (
        column.to_physical().fill_null(NO_CODE).to_numpy()
        if column.dtype == pl.Categorical
        else column.to_numpy()
    )


def curve_codes(heads, keys):
    """A number from 0 per distinct key, and the row where each is first seen.

    Returns
    -------
    codes : array of int32, shape (n_rows,)
    first : array of int, shape (n_curves,)
    """
    packed, room = np.zeros(heads.height, np.int64), 2**63 - 1
    for name in keys:
        values, size = _integers(_plain(heads[name]))
        if size > room:  # the product of the columns' sizes would pass 64 bits
            packed, known = pd.factorize(packed)
            room = (2**63 - 1) // len(known)
        packed = packed * size + values
        room //= size
    starts = np.concatenate([[True], packed[1:] != packed[:-1]])
    if _all_distinct(packed[starts]):
        return np.cumsum(starts, dtype=np.int32) - 1, np.flatnonzero(starts)
    codes, unique = pd.factorize(packed)
    first = np.full(len(unique), -1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes.astype(np.int32), first


def _all_distinct(values):
    """Whether no number stands twice: releases give curve after curve, and a sort is cheaper than a look-up."""
    ordered = np.sort(values)
    return not (ordered[1:] == ordered[:-1]).any()


def _integers(values):
    """Values as whole numbers from 0, and how many they may be; looked up only where their range is wide."""
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if high - low < 1 << 24:
            return values.astype(np.int64) - low, high - low + 1
    codes, unique = pd.factorize(values, use_na_sentinel=False)
    return codes, len(unique)


def _plainly_unique(of_head, codes, dose, n_curves):
    """True where each curve is one run of rows and doses only rise or only fall in it: then none can repeat."""
    if int((of_head[1:] != of_head[:-1]).sum()) + 1 != n_curves:
        return False
    for at in range(0, len(dose), BLOCK):
        part = slice(at, at + BLOCK + 2)  # two rows of overlap: a turn is seen from three
        same, step = codes[part][1:] == codes[part][:-1], np.diff(dose[part])
        if (same & (step == 0)).any() or ((step[1:] * step[:-1] < 0) & same[1:] & same[:-1]).any():
            return False
    return True


def _drop_repeats(codes, rows, curves, keys, refused, conflicts):
    """Codes and readings without exact repeats; conflicting readings are refused or averaged."""
    table = pd.DataFrame(dict(code=codes, dose=rows["dose"].round(9), growth=rows["growth"]))
    repeated = table.duplicated().to_numpy()
    refused.add("exact repeat of a reading", repeated.sum())
    table = table[~repeated]
    twice = table.duplicated(["code", "dose"], keep=False)
    if twice.any() and conflicts == "error":
        raise _conflict(table[twice], curves, keys, refused)
    if twice.any():
        table = table.assign(growth=table.groupby(["code", "dose"]).growth.transform("mean"))
        again = table.duplicated(["code", "dose"])
        refused.add("averaged into another reading of the same curve and dose", again.sum())
        table = table[~again]
    kept = table.index.to_numpy()
    rows = {name: values[kept] for name, values in rows.items()}
    return codes[kept], rows | dict(growth=table.growth.to_numpy())


def _conflict(twice, curves, keys, refused):
    code, dose = int(twice.code.iloc[0]), float(twice.dose.iloc[0])
    same = twice[(twice.code == code) & (twice.dose == dose)]
    return TableError(
        f"{refused.file}: {curves.select(keys).row(code, named=True)} has {len(same)} different readings "
        f"{same.growth.round(4).tolist()} at dose {dose:.4g} (-log10 M; {len(twice)} such rows): remove the wrong one, "
        "or read with conflicts='mean'"
    )


def _check_dose(codes, dose, curves, keys, refused):
    """Doses must lie in the contract's range."""
    if DOSE.low <= dose.min() and dose.max() <= DOSE.high:
        return
    at = int(np.flatnonzero(~((dose >= DOSE.low) & (dose <= DOSE.high)))[0])
    raise TableError(
        f"{refused.file}: dose must be between {DOSE.low:g} and {DOSE.high:g} (-log10 M), found {dose[at]:.4g} in "
        f"curve {curves.select(keys).row(int(codes[at]), named=True)}; {DOSE.remedy}"
    )


def _check_span(codes, dose, curves, keys, refused):
    """Doses of one curve further apart than any design: some are in another unit."""
    if dose.max() - dose.min() <= SPAN:
        return
    low, high = np.full(curves.height, np.inf), np.full(curves.height, -np.inf)
    np.minimum.at(low, codes, dose)
    np.maximum.at(high, codes, dose)
    wide = np.flatnonzero(high - low > SPAN)
    if len(wide):
        name = curves.select(keys).row(int(wide[0]), named=True)
        raise TableError(
            f"{refused.file}: doses of {name} run from {low[wide[0]]:.3g} to {high[wide[0]]:.3g} (-log10 M): "
            f"units are mixed in {len(wide)} curve(s); give all doses in one unit"
        )


def _assemble(curves, codes, rows, series, refused):
    n = len(codes)
    with ThreadPoolExecutor(1) as pool:
        names = pool.submit(
            _names, curves, codes, series, refused
        )  # a third of the work after the parsing
        control = (
            curves["control"].to_numpy()[codes]
            if "control" in curves.columns
            else np.zeros(n, bool)
        )
        frame = dict(
            study=constant(series.study, n),
            assay=constant(series.assay, n),
            curve_id=None,
            cell_name=_spread(curves["cell_name"], codes),
            drug_name=_spread(curves["drug_name"], codes, series.prefix),
            dose=rows["dose"],
            growth=rows["growth"],
            endpoint=constant(series.endpoint, n),
            file=constant(refused.file, n),
            control=control,
        )
        frame |= {name: _spread(curves[name], codes) for name in series.facts}
        frame |= {name: rows[name] for name in series.readings}
        frame["curve_id"] = names.result()
    table = pd.DataFrame(frame, copy=False)
    table.attrs["refused"] = refused.listed()
    return table


def _names(curves, codes, series, refused):
    """Curve ids, study, file and the keys joined by |, as a categorical of the rows."""
    import polars as pl

    keys = [pl.col(name).cast(pl.String).fill_null("") for name in series.keys]
    text = pl.concat_str(
        [pl.lit(f"{series.study}/{refused.file}/"), pl.concat_str(keys, separator="|")]
    )
    parts = [
        curves[at : at + BLOCK].select(text).to_series().to_arrow()
        for at in range(0, curves.height, BLOCK)
    ]
    names = pd.Index(texts(parts))
    spelled = [name for name in series.keys if not curves[name].dtype.is_numeric()]
    if any(
        curves[name].unique().cast(pl.String).str.contains("|", literal=True).any()
        for name in spelled
    ):
        return pd.Categorical.from_codes(codes, names, validate=False)
    # Distinct keys without | give distinct names: looking all of them up again would cost as much as parsing the file.
    dtype = pd.CategoricalDtype._from_fastpath(names, ordered=False)
    return pd.Categorical.from_codes(codes, dtype=dtype, validate=False)


def _spread(of_curve, codes, prefix=""):
    """A fact of each curve as a categorical of its rows."""
    values = categorical(of_curve, prefix)
    return pd.Categorical.from_codes(values.codes[codes], dtype=values.dtype, validate=False)


def constant(value, n):
    """One text value, n times."""
    return pd.Categorical.from_codes(np.zeros(n, np.int8), categories=[value], validate=False)


def texts(parts):
    """Text of pandas from pieces of pyarrow, which are not copied."""
    import pyarrow as pa

    return pd.array(pa.chunked_array(parts), dtype=pd.StringDtype("pyarrow", na_value=np.nan))


def categorical(column, prefix=""):
    """A polars column of text or whole numbers as a pandas categorical whose categories are the values present."""
    import polars as pl

    if column.dtype.is_integer() and not column.null_count():
        codes, unique = pd.factorize(column.to_numpy())
        return _small(codes, [f"{prefix}{value}" for value in unique])
    column = (
        column if column.dtype == pl.Categorical else column.cast(pl.String).cast(pl.Categorical)
    )
    present = column.drop_nulls().unique(maintain_order=True)  # in order of appearance
    plain, missing = column.to_physical(), int(present.to_physical().max() or 0) + 1
    lookup = np.full(missing + 1, -1, np.int32)
    lookup[present.to_physical().to_numpy()] = np.arange(len(present))
    return _small(lookup[plain.fill_null(missing).to_numpy()], present.cast(pl.String).to_list())


def _small(codes, names):
    kind = np.int8 if len(names) < 128 else np.int16 if len(names) < 32768 else np.int32
    return pd.Categorical.from_codes(codes.astype(kind), categories=pd.Index(names, dtype="str"))
