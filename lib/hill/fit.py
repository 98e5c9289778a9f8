"""The Hill fit of every curve of a screen (section 4.3 of the paper), in memory or file by file.

Growth is clipped to [0, 1] for the fit; the bounds are `lib.hill.curve.BOUNDS`. R2 is given against
clipped growth (`r2fit`) and against growth as measured (`r2fit_raw`). The closed forms are in
`lib.hill.curve`; the solver, `lib.hill.solver`, is imported when a fit is asked for, because it
needs numba. `lib.hill.scipy_fit` fits as the paper's group did.
"""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from lib import files, tables
from lib.hill.curve import AUC_HIGH, AUC_LOW, BOUNDS, SHAPE, auc, dss1, ic50

UNDEFINED = "undefined"  # mark of a dose that a curve does not have
MARKS = pd.array(["", ">", "<", UNDEFINED], dtype="str")
ON_BOUND = ["", "einf", "pec50", "einf,pec50", "hs", "einf,hs", "pec50,hs", "einf,pec50,hs"]
ON_BOUND = pd.array(ON_BOUND, dtype="str")
NO_SPREAD = 1e-12  # sum of squares about the mean below which a curve has no R2
COUNTS = ["n_doses", "n_points", "n_unusable"]
COPIED = "dose_weak dose_strong einf pec50 hs r2fit_raw sse sse_flat einf_se pec50_se hs_se".split()
KNOWN = "curve_id study assay cell_id drug_id endpoint control".split()
READ = [*KNOWN, "dose", "growth"]


def fit(dose, growth, offsets=None):
    """Fit a ragged batch of curves, on all processors that this process may use.

    Parameters
    ----------
    dose, growth : array-like of shape (n_points,)
        -log10 M and growth fraction, the points of one curve next to each other, in any order.
        Points that are not finite are left out and counted.
    offsets : array-like of int, shape (n_curves + 1,), optional
        Curve i holds the points offsets[i] to offsets[i + 1]. Default: all points are one curve.

    Returns
    -------
    DataFrame of n_curves rows
        n_doses (different ones), n_points, n_unusable, dose_weak, dose_strong; auc, ic50, pec50,
        ec50se, r2fit (against clipped growth, as the published fits have it), r2fit_raw (against
        growth as measured), einf, hs, auc1, aac1, dss1; einf_se, pec50_se (= ec50se), hs_se,
        ic50_low and ic50_high (95%, cut at the doses tested); sse and sse_flat (of clipped growth,
        about the curve and about its mean); p_flat, at_bound (names of the parameters on a bound),
        extrapolated (share of 4-10 outside the doses); converged, reason. A curve that cannot be
        fitted has NaN, converged = False and a reason. An error that the points do not determine,
        and the R2 of points of one value, are NaN.

        ic50_censor and pec50_censor mark a dose that was never tested, as GI50 is marked (of
        concentrations): ">" the curve is above the level at the strongest dose, "<" below it at
        the weakest, "undefined" without a level or a fit. A marked ic50 is that dose, a bound and
        no estimate; pec50 stays the parameter of the curve.

    Raises
    ------
    ValueError
        If the arrays do not belong together; never because of a curve.

    Examples
    --------
    >>> fits = fit([9, 8, 7, 6, 5], [1.0, 0.99, 0.6, 0.22, 0.2])
    >>> float(fits["pec50"].round(1).iloc[0])
    7.0
    """
    dose, growth, offsets = _ragged(dose, growth, offsets)
    solver = _solver()
    found = solver.solve(dose, growth, offsets, files.processors())
    return _outputs(found, solver)


def _solver():
    """The solver. Numba keeps its compiled code beside the source or in the user's cache folder.

    Where neither can be written, as in a read-only checkout without a home, a folder of this user
    under the temporary one holds it.
    """
    try:
        from lib.hill import solver
    except RuntimeError:  # numba found no folder that it can write
        import numba

        folder = Path(tempfile.gettempdir(), f"numba-of-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():  # somebody else's: their code would run here
            folder = tempfile.mkdtemp()
        numba.config.CACHE_DIR = str(folder)
        from lib.hill import solver
    return solver


def fit_curves(responses):
    """Fit every curve of a `responses` table.

    Parameters
    ----------
    responses : DataFrame
        Of the contract `tables.RESPONSES`, or any frame with curve_id, dose and growth; the rows of
        one curve need not be neighbours.

    Returns
    -------
    DataFrame
        Of the contract `tables.FITS`, one row per curve in order of first appearance, none dropped:
        what `fit` returns, behind the curve's ids, and `auc_common` (see `common_range`).

    Raises
    ------
    ValueError
        If a column is missing or is not numeric, or a point has no curve_id.
    """
    missing = [name for name in ("curve_id", "dose", "growth") if name not in responses]
    if missing:
        raise ValueError(
            f"responses must have the column(s) {missing}, found {list(responses.columns)}"
        )
    codes, _ = pd.factorize(responses["curve_id"])
    if (codes < 0).any():
        raise ValueError(
            f"curve_id is missing in row {int(np.argmax(codes < 0))}: every point needs its curve"
        )
    order = np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    dose = _numbers(responses["dose"])[order]
    growth = _numbers(responses["growth"])[order]
    known = responses[[name for name in KNOWN if name in responses]]
    known = known.iloc[order[offsets[:-1]]].reset_index(drop=True)
    fits = pd.concat([known, fit(dose, growth, offsets)], axis=1)
    if {"drug_id", "assay"} <= set(known):
        fits = with_common_auc(fits, common_range(fits))
    return fits


def _numbers(column):
    try:
        return column.to_numpy(float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{column.name} must be numbers: {error}") from error


def common_range(fits):
    """Dose range that every assay of a drug covers.

    Parameters
    ----------
    fits : DataFrame
        With drug_id, assay, dose_strong, dose_weak and einf; curves without a fit do not count.

    Returns
    -------
    DataFrame of shape (n_drugs, 2), index drug_id
        low, high [-log10 M]: the median curve of each assay gives its range, their intersection the
        common one; NaN where they do not overlap.
    """
    fitted = fits[fits["einf"].notna()]
    ends = fitted.groupby(["drug_id", "assay"], observed=True)[["dose_strong", "dose_weak"]]
    by_drug = ends.median().groupby(level="drug_id", observed=True)
    common = by_drug.agg(low=("dose_strong", "max"), high=("dose_weak", "min"))
    return common.where(common["low"] < common["high"])


def with_common_auc(fits, common):
    """Add `auc_common`, the AUC over `common` (see `common_range`); NaN without a
    range or a fit.
    """
    use = fits[SHAPE].join(common.reindex(fits["drug_id"]).set_axis(fits.index)).dropna()
    values = pd.Series(auc(*use.to_numpy(float).T), index=use.index)
    return fits.assign(auc_common=values.reindex(fits.index))


def _ragged(dose, growth, offsets):
    dose = np.ascontiguousarray(dose, float)
    growth = np.ascontiguousarray(growth, float)
    offsets = np.ascontiguousarray([0, dose.size] if offsets is None else offsets, np.int64)
    if dose.ndim != 1 or dose.shape != growth.shape:
        raise ValueError(
            "dose and growth must be vectors of one length, "
            f"found shapes {dose.shape} and {growth.shape}"
        )
    ends = (offsets[0], offsets[-1]) if offsets.ndim == 1 and len(offsets) else None
    if ends != (0, len(dose)) or (np.diff(offsets) < 0).any():
        raise ValueError(
            f"offsets must rise from 0 to the number of points, {len(dose)}, found {offsets}"
        )
    return dose, growth, offsets


def _outputs(found, solver):
    """Table of `fit` from the solver's array."""
    of = dict(zip(solver.COLUMNS, found.T.copy(), strict=True))
    shape = [of[name] for name in SHAPE]
    fitted = np.isfinite(of["einf"])
    strong = np.where(fitted, of["dose_strong"], np.nan)
    weak = np.where(fitted, of["dose_weak"], np.nan)
    fits = {name: of[name].astype(int) for name in COUNTS} | {name: of[name] for name in COPIED}
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN where there is no fit
        spread = np.where(of["sse_flat"] > NO_SPREAD, of["sse_flat"], np.nan)
        crossing = _crossing(*shape)
        auc1 = auc(*shape, strong, weak)
        fits |= dict(
            ec50se=of["pec50_se"],
            r2fit=1 - of["sse"] / spread,
            ic50=np.clip(crossing, strong, weak),
            ic50_censor=_marks(crossing, strong, weak),
            pec50_censor=_marks(np.where(of["hs"] > 0, of["pec50"], np.nan), strong, weak),
            auc=auc(*shape),
            auc1=auc1,
            dss1=dss1(*shape, strong, weak),
            aac1=1 - auc1,
        )
        # delta method and Student's t, from the scatter as measured
        sizes, size_of = np.unique(of["n_points"], return_inverse=True)
        half = of["ic50_se"] * stdtrit(sizes - 3, 0.975)[size_of]
        half[(crossing < strong) | (crossing > weak)] = np.nan
        p_flat = np.where(fitted, _flat_test(of["r2fit_raw"], of["n_points"]), np.nan)
    covered = np.minimum(of["dose_weak"], AUC_HIGH) - np.maximum(of["dose_strong"], AUC_LOW)
    fits |= dict(
        ic50_low=np.maximum(fits["ic50"] - half, strong),
        ic50_high=np.minimum(fits["ic50"] + half, weak),
        p_flat=p_flat,
        extrapolated=1 - np.maximum(covered, 0) / (AUC_HIGH - AUC_LOW),
        at_bound=_at_bound(fits),
        converged=of["status"] == solver.FITTED,
        reason=_reasons(found, solver),
    )
    return pd.DataFrame(fits, copy=False)


def _crossing(einf, pec50, hs):
    """Dose at which a curve crosses one half, minus infinity for a curve that stays above it."""
    dose = ic50(einf, pec50, hs)
    return np.where(np.isnan(dose) & (einf > 0), -np.inf, dose)


def _flat_test(r2, n):
    """P value of the fit against a flat line: F test with 2 and n - 3 degrees, in closed form.

    The idea is CurveCurator's (Bayer and colleagues 2023, doi:10.1038/s41467-023-43696-z). On
    growth as measured, since clipping makes the noise of an inactive curve one-sided. Cautious: of
    flat simulated curves with normal noise about 1% fall below 0.05 (tests/hill/test_fit.py), as
    only falling curves can fit.
    """
    return (1 - np.nan_to_num(r2)).clip(0, 1) ** ((n - 3) / 2)


def _marks(dose, strong, weak):
    """Where a dose is that was never tested: an item of MARKS per curve."""
    return MARKS.take(np.select([dose < strong, dose > weak, np.isnan(dose)], [1, 2, 3], 0))


def _at_bound(fits):
    """Names of the parameters on a bound, an item of ON_BOUND per curve."""
    code = np.zeros(len(fits["hs"]), int)
    for name, low, high, bit in zip(SHAPE, *BOUNDS, (1, 2, 4), strict=True):
        code += bit * ((fits[name] <= low) | (fits[name] >= high))
    return ON_BOUND.take(code)


def _reasons(found, solver):
    """One sentence per curve that was not fitted, None for the others."""
    reasons = pd.Series(None, index=range(len(found)), dtype="str")
    faults = pd.DataFrame(found, columns=solver.COLUMNS)
    for row in faults[faults["status"] != solver.FITTED].itertuples():
        sentence = solver.REASONS[row.status]
        if row.status == solver.BAD_DOSE and row.offender < 0:
            sentence = solver.NEGATIVE
        reasons[row.Index] = sentence.format(n=int(row.n_doses), value=row.offender)
    return reasons


def fit_file(source, target, rows=2_000_000):
    """Fit a `responses` file of any length into a `fits` file, some of the rows at a time.

    Parameters
    ----------
    source, target : path
        Parquet; the rows of one curve must be neighbours in `source`. `target` is written whole or
        not at all.
    rows : int
        Rows held at once, about 300 bytes each.

    Returns
    -------
    Path
        Of `target`, equal to what `fit_curves` gives for the whole table.

    Raises
    ------
    tables.TableError
        If a file cannot be read, the rows of a curve are not neighbours, or a contract is broken.
    """
    target = Path(target)
    with files.whole(target) as part, tempfile.TemporaryDirectory(dir=target.parent) as folder:
        first = Path(folder, "fits.parquet")  # its common ranges are of single parts
        _write(first, map(fit_curves, _whole_curves(Path(source), rows)))
        common = common_range(_once_each(first, source))
        _write(part, (with_common_auc(fits, common) for fits in _parts(first, rows // 8 + 1)))
    return target


def _parts(path, rows, columns=None):
    import pyarrow.parquet as pq

    path = tables.require(path)
    try:
        for part in pq.ParquetFile(path).iter_batches(batch_size=rows, columns=columns):
            yield part.to_pandas()
    except (OSError, ValueError) as error:
        raise tables.TableError(
            f"{path} cannot be read ({error}): delete it and run its notebook again"
        ) from error


def _whole_curves(path, rows):
    """Parts of a `responses` file that are cut between curves."""
    held = []
    for part in _parts(path, rows, READ):
        tables.check(part.assign(file=""), tables.RESPONSES)
        part = pd.concat([*held, part], ignore_index=True)
        last = part["curve_id"] == part["curve_id"].iloc[-1]
        held = [part[last]]
        if not last.all():
            yield part[~last]
    yield from held


def _once_each(path, source):
    """The columns that common dose ranges need; refuses a curve that came in two parts."""
    columns = "curve_id drug_id assay dose_strong dose_weak einf".split()
    frame = pd.read_parquet(path, columns=columns)
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
    with ExitStack() as stack:
        for part in parts:
            table = pa.Table.from_pandas(tables.check(part, tables.FITS), preserve_index=False)
            if writer is None:
                opened = pq.ParquetWriter(path, table.schema, compression="zstd")
                writer = stack.enter_context(opened)
            writer.write_table(table)
    if writer is None:
        raise tables.TableError("responses holds no row: run notebook 01 again")
