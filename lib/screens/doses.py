"""From one row per dose to the columns every reader returns: curve ids, duplicates, refusals,
contract units.

Rows come in batches and one curve's rows mostly follow one another, so names are kept once per run
of rows and a release of 24 million rows needs little more memory than its doses and readings. Text
columns are categorical, since a release repeats few names often. What a reader leaves out is
counted in `frame.attrs["refused"]`: file, reason, rows.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from lib.tables import RESPONSES, TableError

COLUMNS = "study assay curve_id cell_name drug_name dose growth endpoint file control".split()
DOSE = RESPONSES.columns["dose"]
GROWTH = RESPONSES.columns["growth"]  # readings beyond it are refused, not clipped
# decades of dose in one curve: the widest design spans 4.5; more means that units are mixed
SPAN = 7.0


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
        """The rows of a polars frame where the mask holds (a missing mask does not); the others are
        counted.
        """
        kept = frame.filter(mask.fill_null(False))
        self.add(reason, frame.height - kept.height)
        return kept

    def listed(self):
        """As stored in `attrs`."""
        return [(self.file, reason, rows) for reason, rows in self.counts.items()]


@dataclass(frozen=True)
class Series:
    """What names a dose series in a reader's rows: `keys` together name one series of the file.

    A compound known by a number is named with the prefix.
    """

    study: str
    assay: str
    keys: tuple
    endpoint: str = "viability"
    prefix: str = ""


def finish(batches, series, refused):
    """Assemble a reader's table.

    Parameters
    ----------
    batches : iterable of polars.DataFrame
        `cell_name`, `drug_name`, `dose` (-log10 M), `growth`, the keys of the series, perhaps
        `control`.
    series : Series
    refused : Refused
        Also gives the file's short name, which is part of every `curve_id`.

    Returns
    -------
    DataFrame
        `COLUMNS`. Exact repeats of a reading are dropped and counted.

    Raises
    ------
    TableError
        Conflicting readings, or doses of one curve in different units.
    """
    heads, readings = _collect(batches, series, refused)
    of_head = curve_codes(heads, series.keys)
    curves = heads.filter(~pd.Series(of_head).duplicated().to_numpy())
    keys = curves.select(series.keys)
    rows = {name: readings[name].to_numpy() for name in readings.columns}
    del readings  # as large as the table itself
    rows = pd.DataFrame(dict(code=np.repeat(of_head, heads["length"])) | rows, copy=False)
    _check_doses(rows, keys, refused)
    if not _plainly_unique(rows):
        rows = _drop_repeats(rows, keys, refused)
    return _assemble(curves, rows, series, refused)


def _collect(batches, series, refused):
    """Heads of the runs (one row per run, with its names and its length), and every dose and
    reading.
    """
    growth = pl.col("growth")
    readable = growth.is_finite() & growth.is_between(GROWTH.low, GROWTH.high)
    same = [pl.col(name).eq_missing(pl.col(name).shift()) for name in series.keys]
    begins = (pl.int_range(pl.len()) == 0) | ~pl.all_horizontal(same)
    heads = []
    readings = []
    for batch in batches:
        batch = refused.keep(batch, readable, "no reading, or growth outside -5 to 10")
        if batch.height:
            starts = batch.select(begins.arg_true()).to_series()
            length = np.diff(starts.to_numpy(), append=batch.height)
            heads.append(batch[starts].drop("dose", "growth").with_columns(length=length))
            readings.append(batch.select("dose", "growth"))
    if not heads:
        raise TableError(
            f"{refused.file}: no row is left; refused: {refused.listed()}. "
            "Is this the file of raw doses?"
        )
    return pl.concat(heads), pl.concat(readings)


def curve_codes(heads, keys):
    """A number from 0 per distinct key, in order of appearance: array of int32, shape (n_rows,)."""
    plain = heads.select(pl.col(name).to_physical() for name in keys).to_pandas()
    groups = plain.groupby(list(keys), sort=False, dropna=False)
    return groups.ngroup().to_numpy(np.int32)


def _check_doses(rows, keys, refused):
    """Doses must lie in the contract's range, and those of one curve no further apart than any
    design.
    """
    bad = rows[~rows.dose.between(DOSE.low, DOSE.high)]
    if len(bad):
        raise TableError(
            f"{refused.file}: dose must be {DOSE.allowed.replace(DOSE.unit, f'({DOSE.unit})')}, "
            f"found {bad.dose.iloc[0]:.4g} in curve {keys.row(bad.code.iloc[0], named=True)}; "
            f"{DOSE.remedy}"
        )
    if rows.dose.max() - rows.dose.min() <= SPAN:
        return
    ends = rows.groupby("code").dose.agg(["min", "max"])
    wide = ends[ends["max"] - ends["min"] > SPAN]
    if len(wide):
        low, high = wide.iloc[0]
        raise TableError(
            f"{refused.file}: doses of {keys.row(wide.index[0], named=True)} run from "
            f"{low:.3g} to {high:.3g} "
            f"(-log10 M): units are mixed in {len(wide)} curve(s); give all doses in one unit"
        )


def _plainly_unique(rows):
    """True where each curve is one run of rows and doses only rise or only fall in it: then none
    can repeat.
    """
    code = rows.code.to_numpy()
    step = np.diff(rows.dose.to_numpy())
    inside = code[1:] == code[:-1]
    if len(code) - inside.sum() > code.max() + 1 or (inside & (step == 0)).any():
        return False
    turn = (step[1:] > 0) != (step[:-1] > 0)
    return not (turn & inside[1:] & inside[:-1]).any()


def _drop_repeats(rows, keys, refused):
    """The rows without exact repeats; two readings of one curve at one dose are an error."""
    rounded = rows.assign(dose=rows.dose.round(9))
    repeated = rounded.duplicated()
    refused.add("exact repeat of a reading", repeated.sum())
    once = rounded[~repeated]
    twice = once[once.duplicated(["code", "dose"], keep=False)]
    if len(twice):
        code, dose = twice[["code", "dose"]].iloc[0]
        same = twice[(twice.code == code) & (twice.dose == dose)]
        raise TableError(
            f"{refused.file}: {keys.row(int(code), named=True)} has {len(same)} different readings "
            f"{same.growth.round(4).tolist()} at dose {dose:.4g} (-log10 M; {len(twice)} such "
            "rows): remove the wrong one"
        )
    return rows[~repeated]


def _assemble(curves, rows, series, refused):
    code = rows.code.to_numpy()
    key = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("") for name in series.keys], separator="|"
    )
    ids = curves.select(pl.lit(f"{series.study}/{refused.file}/") + key).to_series()
    table = pd.DataFrame(
        dict(
            study=constant(series.study, len(code)),
            assay=constant(series.assay, len(code)),
            curve_id=pd.Categorical.from_codes(code, texts(ids)),
            cell_name=_spread(categorical(curves["cell_name"]), code),
            drug_name=_spread(categorical(curves["drug_name"], series.prefix), code),
            dose=rows.dose.to_numpy(),
            growth=rows.growth.to_numpy(),
            endpoint=constant(series.endpoint, len(code)),
            file=constant(refused.file, len(code)),
            control=curves["control"].to_numpy()[code] if "control" in curves.columns else False,
        ),
        copy=False,
    )
    table.attrs["refused"] = refused.listed()
    return table


def _spread(of_curves, code):
    """A fact of each curve as a categorical of its rows."""
    return pd.Categorical.from_codes(of_curves.codes[code], dtype=of_curves.dtype, validate=False)


def constant(value, n):
    """One text value, n times."""
    return pd.Categorical.from_codes(np.zeros(n, np.int8), categories=[value], validate=False)


def texts(column):
    """A polars column of text as an index of pandas, whose text is not copied."""
    chunks = pa.chunked_array([column.to_arrow()])
    return pd.Index(pd.array(chunks, dtype=pd.StringDtype("pyarrow", na_value=np.nan)))


def categorical(column, prefix=""):
    """A polars column of text or whole numbers as a pandas categorical whose categories are the
    values present.
    """
    if column.dtype == pl.String:
        column = column.cast(pl.Categorical)
    codes, _ = pd.factorize(column.to_physical().to_numpy())
    present = column.drop_nulls().unique(maintain_order=True)  # in order of appearance
    names = [prefix + name for name in present.cast(pl.String)]
    return pd.Categorical.from_codes(codes, pd.Index(names, dtype="str"))
