"""The Hill fit as the paper's group ran it: SciPy's `curve_fit`, curve by curve. For comparison with `lib.hill.fit`.

Settings: growth clipped to [0, 1]; the bounds of `lib.hill.curve`; no starting point given, so SciPy takes the middle
of the box; at most 300 evaluations, doubled after a failure while below 10,000. It stops in the nearest local minimum.
"""

import warnings

import numpy as np

from lib.hill.curve import BOUNDS, growth_at


def curve_fit(dose, growth):
    """Parameters and covariance of one curve, or None where SciPy gives up.

    Parameters
    ----------
    dose, growth : ndarray of shape (n_points,)
        -log10 M and growth fraction, not clipped yet.

    Returns
    -------
    tuple of ndarray, shapes (3,) and (3, 3), or None
        einf, pec50, hs.
    """
    from scipy import optimize

    evaluations = 300
    while evaluations < 10_000:
        try:
            return optimize.curve_fit(
                _curve, dose, np.clip(growth, 0, 1), bounds=BOUNDS, max_nfev=evaluations
            )
        except RuntimeError:
            evaluations *= 2
    return None


def _curve(dose, einf, pec50, hs):
    return einf + (1 - einf) / (1 + 10 ** ((pec50 - dose) * hs))


def refit(dose, growth, offsets, raw, names, stalled):
    """Replace, in place, the solver's optimum by SciPy's in every row that can be fitted.

    Parameters
    ----------
    dose, growth, offsets
        As in `lib.hill.fit.fit`.
    raw : ndarray of shape (n_curves, len(names))
        What `lib.hill.solver.solve` returned.
    names : sequence of str
        Its columns.
    stalled : int
        Status of a curve on which SciPy gives up.
    """
    at = {name: i for i, name in enumerate(names)}
    fitted = ["einf", "pec50", "hs", "sse", "einf_se", "pec50_se", "hs_se", "ic50_se", "r2fit"]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # OptimizeWarning: a flat curve has no covariance, which is the result
        for i in np.flatnonzero(raw[:, at["status"]] == 0):
            points = slice(offsets[i], offsets[i + 1])
            keep = np.isfinite(dose[points]) & np.isfinite(growth[points])
            found = curve_fit(dose[points][keep], growth[points][keep])
            if found is None:
                raw[i, at["status"]] = stalled
            values = (
                [np.nan] * len(fitted)
                if found is None
                else _summary(dose[points][keep], growth[points][keep], *found)
            )
            raw[i, [at[name] for name in fitted]] = values


def _summary(dose, growth, found, covariance):
    errors = np.sqrt(np.diag(covariance))
    curve = growth_at(dose, *found)
    total = np.sum((growth - growth.mean()) ** 2)
    residual, sse = np.sum((growth - curve) ** 2), np.sum((np.clip(growth, 0, 1) - curve) ** 2)
    r2fit = 1 - residual / total if total > 0 else np.nan
    slopes = _ic50_slopes(*found)
    ic50_se = np.sqrt(slopes @ covariance @ slopes * residual / sse) if sse > 0 else np.nan
    return [*found, sse, *errors, ic50_se, r2fit]


def _ic50_slopes(einf, pec50, hs):
    if einf >= 0.5 or hs == 0:
        return np.full(3, np.nan)
    return np.array(
        [-1 / (np.log(10) * (0.5 - einf) * hs), 1.0, np.log10(0.5 / (0.5 - einf)) / hs**2]
    )
