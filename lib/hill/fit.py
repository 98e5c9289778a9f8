"""The Hill fit of every curve of a screen (section 4.3 of the paper).

Growth is clipped to [0, 1] for the fit, not for r2fit; the bounds are `BOUNDS`. The closed forms are in
`lib.hill.curve`, the solver is in `lib.hill.solver` and the paper's group's own way in `lib.hill.scipy_fit`; the last
two are imported when a fit is asked for.
"""

import os

import numpy as np
import pandas as pd

from lib import files
from lib.hill.curve import AUC_HIGH, AUC_LOW, BOUNDS, auc, dss1, growth_at, ic50

__all__ = [
    "AUC_HIGH",
    "AUC_LOW",
    "BOUNDS",
    "METHODS",
    "auc",
    "available_threads",
    "common_range",
    "dss1",
    "fit",
    "fit_curves",
    "growth_at",
    "ic50",
    "with_common_auc",
]
METHODS = ("global", "lineage")


def fit(dose, growth, offsets=None, method="global", threads=None):
    """Fit a ragged batch of curves.

    Parameters
    ----------
    dose, growth : array-like of shape (n_points,)
        -log10 M and growth fraction, the points of one curve next to each other, in any order. Points that are not
        finite are left out and counted.
    offsets : array-like of int, shape (n_curves + 1,), optional
        Curve i holds the points offsets[i] to offsets[i + 1]. Default: all points are one curve.
    method : {"global", "lineage"}
        "global" returns the least sum of squares inside the bounds. "lineage" calls SciPy's `curve_fit` as the paper's
        group did, from the middle of the box, and so stops where theirs stopped: for comparison, 1,000 times slower.
    threads : int, optional
        Default: every core this process may use. The result does not depend on it.

    Returns
    -------
    DataFrame of n_curves rows
        n_doses (different ones), n_points, n_unusable, dose_weak, dose_strong; auc, ic50, pec50, ec50se, r2fit, einf,
        hs, auc1, aac1, dss1; einf_se, pec50_se (= ec50se), hs_se, ic50_low and ic50_high (95 %); sse and sse_flat (of
        clipped growth, about the curve and about its mean); p_flat, at_bound (names of the parameters on a bound),
        extrapolated (share of 4-10 outside the doses); converged, reason. A curve that cannot be fitted has NaN,
        converged = False and a reason; an error that the points do not determine is NaN.

    Raises
    ------
    ValueError
        If the arrays do not belong together or the method is unknown; never because of a curve.

    Examples
    --------
    >>> fits = fit([9, 8, 7, 6, 5], [1.0, 0.99, 0.6, 0.22, 0.2])
    >>> float(fits["pec50"].round(1).iloc[0])
    7.0
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, found {method!r}")
    dose, growth, offsets = _ragged(dose, growth, offsets)
    from lib.hill import solver

    raw = solver.solve(dose, growth, offsets, threads or available_threads())
    if method == "lineage":
        from lib.hill import scipy_fit

        scipy_fit.refit(dose, growth, offsets, raw, solver.COLUMNS, solver.STALLED)
    return _outputs(dict(zip(solver.COLUMNS, raw.T, strict=True)), solver)


def fit_curves(responses, method="global", threads=None):
    """Fit every curve of a `responses` table.

    Parameters
    ----------
    responses : DataFrame
        Of the contract `tables.RESPONSES`, or any frame with curve_id, dose and growth; the rows of one curve need not
        be neighbours.
    method, threads
        See `fit`.

    Returns
    -------
    DataFrame
        Of the contract `tables.FITS`, one row per curve in order of first appearance, none dropped: what `fit` returns,
        behind the curve's ids, and `auc_common` (see `common_range`).

    Raises
    ------
    ValueError
        If a column is missing or is not numeric, or a point has no curve_id.
    """
    missing = [name for name in ("curve_id", "dose", "growth") if name not in responses.columns]
    if missing:
        raise ValueError(
            f"responses must have the column(s) {missing}, found {list(responses.columns)}"
        )
    order, offsets, first = _group(responses["curve_id"])
    dose, growth = (_numbers(responses[name])[order] for name in ("dose", "growth"))
    outputs = fit(dose, growth, offsets, method=method, threads=threads)
    carried = [name for name in ("curve_id", *_CARRIED) if name in responses.columns]
    fits = pd.concat([responses[carried].iloc[first].reset_index(drop=True), outputs], axis=1)
    return with_common_auc(fits) if {"drug_id", "assay"} <= set(carried) else fits


_CARRIED = ("study", "assay", "cell_id", "drug_id", "endpoint", "control")


def _group(curve_ids):
    """Order that puts the rows of a curve together, the offsets of the curves, and the first row of each."""
    codes, _ = pd.factorize(curve_ids)
    if (codes < 0).any():
        raise ValueError(
            f"curve_id is missing in row {int(np.argmax(codes < 0))}: every point needs its curve"
        )
    order = slice(None) if (np.diff(codes) >= 0).all() else np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.int64)
    return order, offsets, np.arange(len(codes))[order][offsets[:-1]]


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
        low, high [-log10 M]: the median curve of each assay gives its range, their intersection the common one; NaN
        where they do not overlap.
    """
    spans = (
        fits[fits["einf"].notna()]
        .groupby(["drug_id", "assay"], observed=True)[["dose_strong", "dose_weak"]]
        .median()
    )
    grouped = spans.groupby(level="drug_id", observed=True)
    common = pd.DataFrame({"low": grouped["dose_strong"].max(), "high": grouped["dose_weak"].min()})
    return common.where(common["low"] < common["high"])


def with_common_auc(fits, common=None):
    """Add `auc_common`, the AUC over `common_range`; NaN where there is no such range or no fit.

    Parameters
    ----------
    fits : DataFrame
    common : DataFrame, optional
        What `common_range` gave for a larger table, of which `fits` is a part.
    """
    ends = (common_range(fits) if common is None else common).reindex(fits["drug_id"]).to_numpy()
    shape = fits[["einf", "pec50", "hs"]].to_numpy(float)
    known = np.isfinite(ends).all(axis=1) & np.isfinite(shape).all(axis=1)
    values = np.full(len(fits), np.nan)
    values[known] = auc(*shape[known].T, *ends[known].T)
    return fits.assign(auc_common=values)


def available_threads():
    """Threads for a fit: the processors of this process, or fewer if NUMBA_NUM_THREADS says so."""
    cores = files.processors()
    return max(1, min(cores, int(os.environ.get("NUMBA_NUM_THREADS", cores))))


def _ragged(dose, growth, offsets):
    dose, growth = (
        np.ascontiguousarray(dose, dtype=float),
        np.ascontiguousarray(growth, dtype=float),
    )
    offsets = np.ascontiguousarray([0, dose.size] if offsets is None else offsets, dtype=np.int64)
    if dose.ndim != 1 or dose.shape != growth.shape:
        raise ValueError(
            f"dose and growth must be vectors of one length, found shapes {dose.shape} and {growth.shape}"
        )
    ends = (offsets[0], offsets[-1]) if offsets.ndim == 1 and len(offsets) else None
    if ends != (0, len(dose)) or (np.diff(offsets) < 0).any():
        raise ValueError(
            f"offsets must rise from 0 to the number of points, {len(dose)}, found {offsets}"
        )
    return dose, growth, offsets


def _outputs(raw, hillfit):
    """Table of `fit` from the solver's columns."""
    status = raw["status"].astype(int)
    fitted = np.isfinite(raw["einf"])
    shape = {name: raw[name] for name in ("einf", "pec50", "hs")}
    strong, weak = raw["dose_strong"], raw["dose_weak"]
    table = {name: raw[name].astype(int) for name in ("n_doses", "n_points", "n_unusable")}
    table |= dict(dose_weak=weak, dose_strong=strong) | shape
    table |= {
        name: raw[name] for name in ("r2fit", "sse", "sse_flat", "einf_se", "pec50_se", "hs_se")
    }
    table["ec50se"] = raw["pec50_se"]
    some = {
        k: np.where(fitted, v, 0.5) for k, v in shape.items()
    }  # placeholders keep the closed forms quiet
    ends = np.where(fitted, strong, 0.0), np.where(fitted, weak, 1.0)
    table["auc"] = np.where(fitted, auc(**some), np.nan)
    table["ic50"] = np.where(fitted, ic50(**some), np.nan)
    table["auc1"] = np.where(fitted, auc(**some, low=ends[0], high=ends[1]), np.nan)
    table["aac1"] = 1.0 - table["auc1"]
    table["dss1"] = np.where(fitted, dss1(**some, strong=ends[0], weak=ends[1]), np.nan)
    table["ic50_low"], table["ic50_high"] = _interval(
        table["ic50"], raw["ic50_se"], raw["n_points"] - 3
    )
    table["p_flat"] = np.where(fitted, _flat_test(raw["r2fit"], raw["n_points"]), np.nan)
    table["extrapolated"] = 1.0 - _overlap(strong, weak) / (AUC_HIGH - AUC_LOW)
    table["at_bound"] = _at_bound(shape)
    table["converged"] = status == hillfit.FITTED
    table["reason"] = _reasons(status, raw, hillfit)
    return pd.DataFrame(table)


def _interval(value, error, freedom, level=0.95):
    """Confidence interval by the delta method and Student's t, from the scatter as measured; NaN if undetermined."""
    from scipy.special import stdtrit

    half = error * stdtrit(np.where(freedom > 0, freedom, np.nan), 0.5 + level / 2)
    return value - half, value + half


def _flat_test(r2fit, n):
    """P value of the fit against a flat line: the F test with 2 and n - 3 degrees of freedom, in closed form.

    The idea is CurveCurator's (Bayer and colleagues 2023, doi:10.1038/s41467-023-43696-z). On growth as measured, since
    clipping makes the noise of an inactive curve one-sided. Cautious: of flat simulated curves with normal noise about
    1 % fall below 0.05 (tests/hill/test_fit.py), as only falling curves can fit.
    """
    return np.clip(1.0 - np.nan_to_num(r2fit, nan=0.0), 0.0, 1.0) ** ((n - 3) / 2)


def _overlap(strong, weak):
    return np.maximum(np.minimum(weak, AUC_HIGH) - np.maximum(strong, AUC_LOW), 0.0)


def _at_bound(shape):
    names = np.full(len(shape["hs"]), "", dtype=object)
    for (name, value), low, high in zip(shape.items(), *BOUNDS, strict=True):
        hit = (value <= low) | (value >= high)
        names[hit] = [f"{text},{name}" if text else name for text in names[hit]]
    return names.astype(str)


def _reasons(status, raw, hillfit):
    """One sentence per curve that was not fitted, None for the others."""
    low, high = hillfit.DOSE_LOW, hillfit.DOSE_HIGH
    sentence = {
        hillfit.TOO_FEW: lambda n, v: (
            f"{n} dose(s) with a finite growth, at least {hillfit.MIN_DOSES} are needed"
        ),
        hillfit.TOO_MANY: lambda n, v: (
            f"more than {hillfit.MOST_POINTS} points: does one curve_id name many curves?"
        ),
        hillfit.NO_POINTS: lambda n, v: "no point with a finite dose and growth",
        hillfit.BAD_DOSE: lambda n, v: (
            f"dose {v:.6g} is outside {low:g} to {high:g} -log10(M): "
            + (
                "is it log10(M)? take its negative"
                if v < 0
                else "is it in µM? convert it with dose = 6 - log10(µM)"
            )
        ),
        hillfit.BAD_GROWTH: lambda n, v: (
            f"growth {v:.6g} is outside -5 to 10: is it in per cent? divide it by 100"
        ),
        hillfit.STALLED: lambda n, v: (
            "the search for the least sum of squares did not come to rest"
        ),
    }
    reasons = np.full(len(status), None, dtype=object)
    for i in np.flatnonzero(status != hillfit.FITTED):
        reasons[i] = sentence[status[i]](int(raw["n_doses"][i]), raw["offender"][i])
    return pd.array(reasons, dtype="str")
