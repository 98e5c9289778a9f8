"""The Hill fit as the paper's group ran it: SciPy's `curve_fit`, curve by curve, for comparison.

Settings: growth clipped to [0, 1]; the bounds of `lib.hill.curve`; no starting point given, so
SciPy takes the middle of the box; at most 300 evaluations, doubled after a failure while below
10,000. It stops in the nearest local minimum.
"""

import warnings

import numpy as np
import pandas as pd
from scipy import optimize

from lib.hill.curve import BOUNDS, SHAPE, auc, growth_at


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


def refit(points):
    """SciPy's optimum of every curve of some responses, as the frame that `fit.fit_curves` gives.

    Returns
    -------
    DataFrame
        curve_id, einf, pec50, hs, auc, sse (of clipped growth); NaN where SciPy gives up.
    """
    rows = []
    with warnings.catch_warnings():
        # OptimizeWarning: a flat curve has no covariance, which is the result
        warnings.simplefilter("ignore")
        for name, own in points.groupby("curve_id", sort=False, observed=True):
            row = dict(curve_id=name)
            best = curve_fit(own["dose"].to_numpy(), own["growth"].to_numpy())
            if best is not None:
                shape = best[0]
                residuals = own["growth"].clip(0, 1) - growth_at(own["dose"], *shape)
                row |= dict(zip(SHAPE, shape, strict=True))
                row |= dict(auc=auc(*shape), sse=(residuals**2).sum())
            rows.append(row)
    return pd.DataFrame(rows, columns=["curve_id", *SHAPE, "auc", "sse"])
