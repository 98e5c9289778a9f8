"""Fit a file of any length: parts of whole curves are read, fitted and written one after the other."""

import os
from pathlib import Path

import pandas as pd

from lib import tables
from lib.hill import fit

READ = ["curve_id", "study", "assay", "cell_id", "drug_id", "dose", "growth", "endpoint", "control"]


def fit_file(source, target, rows=2_000_000, threads=None):
    """Fit a `responses` file into a `fits` file, some of the rows at a time.

    Parameters
    ----------
    source, target : path
        Parquet; the rows of one curve must be neighbours in `source`. `target` is written whole or not at all.
    rows : int
        Rows held at once, about 300 bytes each.
    threads : int, optional
        See `hill.fit`.

    Returns
    -------
    Path
        Of `target`, equal to what `hill.fit_curves` gives for the whole table.

    Raises
    ------
    tables.TableError
        If a file cannot be read, the rows of a curve are not neighbours, or a contract is broken.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    bare, whole = (
        target.with_name(f".{target.name}.{os.getpid()}.{stage}.tmp") for stage in ("bare", "whole")
    )
    try:
        _write(
            bare,
            (fit.fit_curves(part, threads=threads) for part in _whole_curves(Path(source), rows)),
        )
        common = fit.common_range(_once_each(bare, source))
        _write(
            whole, (fit.with_common_auc(part, common) for part in _parts(bare, max(rows // 8, 1)))
        )
        os.replace(whole, target)
    finally:
        bare.unlink(missing_ok=True)
        whole.unlink(missing_ok=True)
    return target


def _parts(path, rows, columns=None):
    import pyarrow.parquet as pq

    if not path.exists():
        raise tables.TableError(
            f"{path} is missing: run the notebook that writes {path.name} first (python run_all.py)"
        )
    try:
        yield from (
            part.to_pandas()
            for part in pq.ParquetFile(path).iter_batches(batch_size=rows, columns=columns)
        )
    except (OSError, ValueError) as error:
        raise tables.TableError(
            f"{path} cannot be read ({error}): delete it and run its notebook again"
        ) from error


def _whole_curves(path, rows):
    """Parts of a `responses` file that are cut between curves."""
    held = []
    for part in _parts(path, rows, READ):
        tables.check(part.assign(file=""), tables.RESPONSES)
        ends = part["curve_id"].eq(part["curve_id"].iloc[-1])
        if not ends.all():
            yield pd.concat([*held, part[~ends]], ignore_index=True)
            held = []
        held.append(part[ends])
    if held:
        yield pd.concat(held, ignore_index=True)


def _once_each(path, source):
    """The columns of a fits file that its common dose ranges need; refuses a curve that came in two parts."""
    frame = pd.read_parquet(
        path, columns=["curve_id", "drug_id", "assay", "dose_strong", "dose_weak", "einf"]
    )
    again = frame["curve_id"].duplicated()
    if again.any():
        name = frame["curve_id"][again].iloc[0]
        raise tables.TableError(
            f"the rows of curve {name!r} are not neighbours in {source}: sort it by curve_id"
        )
    return frame


def _write(path, parts):
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    try:
        for part in parts:
            table = pa.Table.from_pandas(tables.check(part, tables.FITS), preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise tables.TableError("responses holds no row: run notebook 01 again")
