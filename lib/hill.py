"""Three-parameter Hill curves: closed forms of what the paper reports, and the fit of every curve of a screen.

Section 4.3 of the paper. With x = -log10(molar dose), so that a larger x is a weaker dose,

    growth(x) = einf + (1 - einf) / (1 + 10**((pec50 - x) * hs)),    0 <= einf <= 1, 0 <= pec50 <= 12, 0 <= hs <= 4.

Bounds, clipping of growth to [0, 1] for the fit (not for r2fit) and the definitions of AUC1, AAC1, IC50 and DSS1 are
those of the paper's group. The solver is in `lib.hillfit`, imported when a fit is asked for.
"""

import os

import numpy as np
import pandas as pd

AUC_LOW, AUC_HIGH = 4.0, 10.0  # the paper's fixed range [-log10 M]
BOUNDS = ((0.0, 0.0, 0.0), (1.0, 12.0, 4.0))  # einf, pec50, hs
METHODS = ("global", "lineage")
_LN10 = np.log(10.0)


def growth_at(dose, einf, pec50, hs):
    """Growth under a Hill curve.

    Parameters
    ----------
    dose : float or ndarray
        -log10 of the molar dose.
    einf, pec50, hs : float or ndarray, broadcast against `dose`
        Growth fraction at infinite dose, 0 to 1; -log10 of the half-effect dose [M]; Hill slope, >= 0.

    Returns
    -------
    float or ndarray
        Growth fraction, 1 = untreated. A slope of 0 is the flat line (1 + einf) / 2.

    Examples
    --------
    >>> round(float(growth_at(7.0, einf=0.2, pec50=7.0, hs=1.5)), 3)
    0.6
    """
    return 1.0 - (1.0 - np.asarray(einf)) * _sigmoid(_LN10 * np.asarray(hs) * (np.asarray(pec50) - dose))


def auc(einf, pec50, hs, low=AUC_LOW, high=AUC_HIGH):
    """Mean growth under a Hill curve over a dose range.

    Parameters
    ----------
    einf, pec50, hs : float or ndarray of shape (n_curves,)
        Growth fraction at infinite dose, 0 to 1; -log10 of the half-effect dose [M]; Hill slope, >= 0.
    low, high : float or ndarray of shape (n_curves,)
        Ends of the range [-log10 M]; the paper's 4 to 10 for AUC, the strongest and weakest dose measured for AUC1.

    Returns
    -------
    float or ndarray of shape (n_curves,)
        1 means no response at any dose, 0 a full response at every dose.

    Raises
    ------
    ValueError
        If `high` is not above `low`, or any `hs` is negative.

    Notes
    -----
    The mean of the logistic function over [a, b] is (log(1 + e**b) - log(1 + e**a)) / (b - a); where b - a is too small
    for that difference, its Taylor series about the middle. Equals quadrature to 1e-8 (tests/test_hill.py).

    Examples
    --------
    >>> round(float(auc(einf=0.0, pec50=7.0, hs=4.0)), 6)
    0.5
    """
    einf, pec50, hs, low, high = np.broadcast_arrays(*(np.asarray(v, float) for v in (einf, pec50, hs, low, high)))
    _refuse(high <= low, "high must be above low, found high - low =", high - low)
    _refuse(hs < 0, "hs must not be negative, found", hs)
    start, stop = _LN10 * hs * (low - pec50), _LN10 * hs * (high - pec50)
    return einf + (1.0 - einf) * _mean_sigmoid(start, stop)


def ic50(einf, pec50, hs, growth=0.5):
    """Dose at which a Hill curve crosses a level of growth.

    Parameters
    ----------
    einf, pec50, hs : float or ndarray of shape (n_curves,)
    growth : float
        The level, between 0 and 1; 0.5 for IC50, 0.9 for the onset of activity in the DSS.

    Returns
    -------
    float or ndarray of shape (n_curves,)
        -log10 M; NaN where the curve never comes down to the level (einf >= growth) or is flat (hs = 0). It may lie
        outside the doses measured.
    """
    einf, pec50, hs = np.broadcast_arrays(*(np.asarray(v, float) for v in (einf, pec50, hs)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        dose = pec50 - np.log10((1.0 - growth) / (growth - einf)) / hs
    return np.where((einf < growth) & (hs > 0) & np.isfinite(dose), dose, np.nan)[()]


def dss1(einf, pec50, hs, strong, weak, threshold=0.1):
    """Drug sensitivity score of Yadav and colleagues (2014), first variant, as a fraction.

    Parameters
    ----------
    einf, pec50, hs : float or ndarray of shape (n_curves,)
    strong, weak : float or ndarray of shape (n_curves,)
        Strongest (smallest) and weakest (largest) dose measured [-log10 M].
    threshold : float
        Least activity that counts, as a fraction of the untreated growth.

    Returns
    -------
    float or ndarray of shape (n_curves,)
        Area between the activity 1 - growth and `threshold`, where activity is above it, over the measured range, as
        a share of the largest possible. 0 for a curve that never passes the threshold; never negative.

    Notes
    -----
    doi:10.1038/srep05193, equation for DSS1. The other variants divide by the logarithm of the top effect or by the
    share of the range that is active.
    """
    arrays = np.broadcast_arrays(*(np.asarray(v, float) for v in (einf, pec50, hs, strong, weak)))
    einf, pec50, hs, strong, weak = arrays
    _refuse(weak <= strong, "weak must be above strong in -log10(M), found weak - strong =", weak - strong)
    onset = ic50(einf, pec50, hs, growth=1.0 - threshold)
    everywhere = np.isnan(onset) & (growth_at(weak, einf, pec50, hs) < 1.0 - threshold)  # flat and active
    onset = np.where(everywhere, weak, np.clip(np.nan_to_num(onset, nan=-np.inf), strong, weak))
    width = onset - strong
    inside = auc(einf, pec50, hs, strong, np.where(width > 0, onset, weak))
    area = np.where(width > 0, width * (1.0 - threshold - inside), 0.0)
    return np.maximum(area / ((1.0 - threshold) * (weak - strong)), 0.0)[()]


def fit(dose, growth, offsets, method="global", threads=None):
    """Fit a ragged batch of curves.

    Parameters
    ----------
    dose, growth : array-like of shape (n_points,)
        -log10 M and growth fraction, the points of one curve next to each other, in any order.
    offsets : array-like of int, shape (n_curves + 1,)
        Curve i holds the points offsets[i] to offsets[i + 1].
    method : {"global", "lineage"}
        "global" returns the least sum of squares inside the bounds. "lineage" calls SciPy's `curve_fit` as the paper's
        group did, from the middle of the box, and so stops where theirs stopped: for comparison, 1,000 times slower.
    threads : int, optional
        Default: every core this process may use. The result does not depend on it.

    Returns
    -------
    DataFrame of n_curves rows
        n_doses, n_points, n_unusable, dose_weak, dose_strong, auc, ic50, pec50, ec50se, r2fit, einf, hs, auc1, aac1,
        dss1, einf_se, pec50_se (= ec50se), hs_se, ic50_low, ic50_high (95 %), sse and sse_flat (of clipped growth about
        the curve and about its mean), p_flat, converged, reason, at_bound, extrapolated. A curve that cannot be fitted
        has NaN, converged = False and a reason.

    Raises
    ------
    ValueError
        If the arrays do not belong together or the method is unknown; never because of a curve.
    """
    dose, growth, offsets = _ragged(dose, growth, offsets)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, found {method!r}")
    from lib import hillfit

    raw = hillfit.solve(dose, growth, offsets, threads or available_threads())
    if method == "lineage":
        hillfit.solve_lineage(dose, growth, offsets, raw)
    return _outputs(dict(zip(hillfit.COLUMNS, raw.T, strict=True)), hillfit)


def fit_curves(responses, method="global", threads=None):
    """Fit every curve of a `responses` table.

    Parameters
    ----------
    responses : DataFrame
        Of the contract `tables.RESPONSES`; rows of one curve need not be neighbours.
    method, threads
        See `fit`.

    Returns
    -------
    DataFrame
        Of the contract `tables.FITS`, one row per curve in order of first appearance, none dropped. `auc_common` is
        the AUC over the doses that every assay of the drug covers (see `common_range`).
    """
    codes, _ = pd.factorize(responses["curve_id"])
    if (codes < 0).any():
        raise ValueError(f"curve_id is missing in row {int(np.argmax(codes < 0))}: every point needs its curve")
    order = slice(None) if (np.diff(codes) >= 0).all() else np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    dose, growth = (responses[name].to_numpy(float)[order] for name in ("dose", "growth"))
    outputs = fit(dose, growth, offsets, method=method, threads=threads)
    first = np.arange(len(codes))[order][offsets[:-1]]
    carried = [c for c in ("curve_id", *_CARRIED) if c in responses.columns]
    fits = pd.concat([responses[carried].iloc[first].reset_index(drop=True), outputs], axis=1)
    return with_common_auc(fits) if "drug_id" in carried and "assay" in carried else fits


_CARRIED = ("study", "assay", "cell_id", "drug_id", "endpoint", "control")


def common_range(fits):
    """Dose range that every assay of a drug covers.

    Parameters
    ----------
    fits : DataFrame
        With drug_id, assay, dose_strong and dose_weak.

    Returns
    -------
    DataFrame of shape (n_drugs, 2), index drug_id
        low, high [-log10 M]: the median curve of each assay gives its range, their intersection the common one; NaN
        where they do not overlap.
    """
    spans = fits.groupby(["drug_id", "assay"], observed=True)[["dose_strong", "dose_weak"]].median()
    grouped = spans.groupby(level="drug_id", observed=True)
    common = pd.DataFrame({"low": grouped["dose_strong"].max(), "high": grouped["dose_weak"].min()})
    return common.where(common["low"] < common["high"])


def with_common_auc(fits):
    """Add `auc_common`, the AUC over `common_range`; NaN where there is no such range or no fit."""
    common = common_range(fits).reindex(fits["drug_id"])
    known = common["low"].notna().to_numpy() & fits["einf"].notna().to_numpy()
    values = np.full(len(fits), np.nan)
    ends = common.to_numpy()[known].T
    values[known] = auc(*fits.loc[known, ["einf", "pec50", "hs"]].to_numpy(float).T, *ends)
    return fits.assign(auc_common=values)


def available_threads():
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


def _mean_sigmoid(start, stop):
    """Mean of the logistic function between two ends, start <= stop, to about 1e-12."""
    width, middle = stop - start, 0.5 * (start + stop)
    near = width < 1e-2
    s = _sigmoid(middle)
    curvature = s * (1.0 - s) * (1.0 - 2.0 * s)
    series = s + curvature * width**2 / 24.0
    area = np.logaddexp(0.0, stop) - np.logaddexp(0.0, start)
    return np.where(near, series, area / np.where(near, 1.0, width))[()]


def _refuse(bad, sentence, values):
    if np.any(bad):
        raise ValueError(f"{sentence} {np.asarray(values)[bad].ravel()[0]:.6g}")


def _ragged(dose, growth, offsets):
    dose, growth = np.ascontiguousarray(dose, dtype=float), np.ascontiguousarray(growth, dtype=float)
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    if dose.ndim != 1 or dose.shape != growth.shape:
        raise ValueError(f"dose and growth must be vectors of one length, found shapes {dose.shape} and {growth.shape}")
    if (
        offsets.ndim != 1
        or len(offsets) < 1
        or offsets[0] != 0
        or offsets[-1] != len(dose)
        or (np.diff(offsets) < 0).any()
    ):
        raise ValueError(
            f"offsets must rise from 0 to the number of points, {len(dose)}, found {offsets[:5]}...{offsets[-1:]}"
        )
    return dose, growth, offsets


def _outputs(raw, hillfit):
    """Table of `fit` from the solver's columns."""
    status = raw["status"].astype(int)
    fitted = np.isin(status, (hillfit.FITTED, hillfit.STALLED))
    shape = {name: raw[name] for name in ("einf", "pec50", "hs")}
    strong, weak = raw["dose_strong"], raw["dose_weak"]
    table = {name: raw[name].astype(int) for name in ("n_doses", "n_points", "n_unusable")}
    table |= dict(dose_weak=weak, dose_strong=strong) | shape
    table |= {name: raw[name] for name in ("r2fit", "sse", "sse_flat", "einf_se", "pec50_se", "hs_se")}
    table["ec50se"] = raw["pec50_se"]
    some = {k: np.where(fitted, v, 0.5) for k, v in shape.items()}  # placeholders keep the closed forms quiet
    ends = np.where(fitted, strong, 0.0), np.where(fitted, weak, 1.0)
    table["auc"] = np.where(fitted, auc(**some), np.nan)
    table["ic50"] = np.where(fitted, ic50(**some), np.nan)
    table["auc1"] = np.where(fitted, auc(**some, low=ends[0], high=ends[1]), np.nan)
    table["aac1"] = 1.0 - table["auc1"]
    table["dss1"] = np.where(fitted, dss1(**some, strong=ends[0], weak=ends[1]), np.nan)
    table["ic50_low"], table["ic50_high"] = _interval(table["ic50"], raw["ic50_se"], raw["n_points"] - 3)
    table["p_flat"] = _flat_test(raw["sse"], raw["sse_flat"], raw["n_points"])
    table["extrapolated"] = 1.0 - _overlap(strong, weak) / (AUC_HIGH - AUC_LOW)
    table["at_bound"] = _at_bound(shape)
    table["converged"] = status == hillfit.FITTED
    table["reason"] = _reasons(status, raw, hillfit)
    return pd.DataFrame(table)


def _interval(value, error, freedom, level=0.95):
    """Confidence interval by the delta method and Student's t; NaN where the points do not determine it."""
    from scipy.special import stdtrit

    half = error * stdtrit(np.where(freedom > 0, freedom, np.nan), 0.5 + level / 2)
    return value - half, value + half


def _flat_test(sse, sse_flat, n):
    """P value of the fit against a flat line (F test, 2 and n - 3 degrees of freedom, in closed form)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(sse_flat > 1e-12, np.minimum(sse / sse_flat, 1.0), 1.0)
        return np.where(np.isnan(sse), np.nan, ratio ** ((n - 3) / 2))


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
        hillfit.TOO_FEW: lambda n, v: f"{n} dose(s) with a finite growth, at least {hillfit.MIN_DOSES} are needed",
        hillfit.NO_POINTS: lambda n, v: "no point with a finite dose and growth",
        hillfit.BAD_DOSE: lambda n, v: (
            f"dose {v:.6g} is outside {low:g} to {high:g} -log10(M): is it in µM? convert it with dose = 6 - log10(µM)"
        ),
        hillfit.BAD_GROWTH: lambda n, v: f"growth {v:.6g} is outside -5 to 10: is it in per cent? divide it by 100",
        hillfit.STALLED: lambda n, v: "the search for the least sum of squares did not come to rest",
    }
    reasons = np.full(len(status), None, dtype=object)
    for i in np.flatnonzero(status != hillfit.FITTED):
        reasons[i] = sentence[status[i]](int(raw["n_doses"][i]), raw["offender"][i])
    return pd.array(reasons, dtype="str")
