"""The Hill fit as the paper's group ran it: SciPy's `curve_fit`, curve by curve, for comparison.

Settings: growth clipped to [0, 1]; the bounds of `lib.hill.curve`; no starting point given, so
SciPy takes the middle of the box; at most 300 evaluations, doubled after a failure while below
10,000. It stops in the nearest local minimum.
"""

import warnings

import numpy as np
from scipy import optimize

from lib.hill import solver
from lib.hill.curve import BOUNDS, growth_at

COLUMNS = ["einf", "pec50", "hs", "sse", "einf_se", "pec50_se", "hs_se", "ic50_se", "r2fit_raw"]


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
    growth = np.clip(growth, 0, 1)
    evaluations = 300
    while evaluations < 10_000:
        try:
            return optimize.curve_fit(_curve, dose, growth, bounds=BOUNDS, max_nfev=evaluations)
        except RuntimeError:
            evaluations *= 2
    return None


def _curve(dose, einf, pec50, hs):
    return einf + (1 - einf) / (1 + 10 ** ((pec50 - dose) * hs))


def refit(dose, growth, offsets, found):
    """Replace, in place, the solver's optimum by SciPy's in every row that was fitted.

    Parameters
    ----------
    dose, growth, offsets
        As in `lib.hill.fit.fit`.
    found : DataFrame of n_curves rows
        The columns of `lib.hill.solver.COLUMNS`.
    """
    with warnings.catch_warnings():
        # OptimizeWarning: a flat curve has no covariance, which is the result
        warnings.simplefilter("ignore")
        for i in np.flatnonzero(found["status"] == solver.FITTED):
            points = slice(offsets[i], offsets[i + 1])
            finite = np.isfinite(dose[points]) & np.isfinite(growth[points])
            x = dose[points][finite]
            y = growth[points][finite]
            best = curve_fit(x, y)
            if best is None:
                found.loc[i, "status"] = solver.STALLED
                found.loc[i, COLUMNS] = np.nan
            else:
                found.loc[i, COLUMNS] = _summary(x, y, *best)


def _summary(dose, growth, shape, covariance):
    """Values of COLUMNS for one optimum."""
    curve = growth_at(dose, *shape)
    sse = np.sum((np.clip(growth, 0, 1) - curve) ** 2)
    residual = np.sum((growth - curve) ** 2)
    total = np.sum((growth - growth.mean()) ** 2)
    r2 = 1 - residual / total if total > 0 else np.nan
    errors = np.sqrt(np.diag(covariance))
    slopes = _ic50_slopes(*shape)
    ic50_se = np.sqrt(slopes @ covariance @ slopes * residual / sse) if sse > 0 else np.nan
    return [*shape, sse, *errors, ic50_se, r2]


def _ic50_slopes(einf, pec50, hs):
    """Derivatives of the IC50 by einf, pec50 and hs; NaN where there is no IC50."""
    if einf >= 0.5 or hs == 0:
        return np.full(3, np.nan)
    by_einf = -1 / (np.log(10) * (0.5 - einf) * hs)
    by_hs = np.log10(0.5 / (0.5 - einf)) / hs**2
    return np.array([by_einf, 1.0, by_hs])
