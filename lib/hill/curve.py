"""Closed forms of the three-parameter Hill curve: growth, AUC, IC50, DSS1.

Section 4.3 of the paper. With x = -log10(molar dose), so that a larger x is a weaker dose,

    growth(x) = einf + (1 - einf) / (1 + 10**((pec50 - x) * hs)),    0 <= einf <= 1, 0 <= pec50 <=
    12, 0 <= hs <= 4.

The definitions of AUC1 (AUC over the doses measured), AAC1 (1 - AUC1), IC50 and DSS1 are those of
the paper's group.
"""

import numpy as np

AUC_LOW, AUC_HIGH = 4.0, 10.0  # the paper's fixed range [-log10 M]
SHAPE = ["einf", "pec50", "hs"]
BOUNDS = ((0.0, 0.0, 0.0), (1.0, 12.0, 4.0))  # of SHAPE, low and high
_LN10 = np.log(10.0)


def growth_at(dose, einf, pec50, hs):
    """Growth under a Hill curve.

    Parameters
    ----------
    dose : float or ndarray
        -log10 of the molar dose.
    einf, pec50, hs : float or ndarray, broadcast against `dose`
        Growth fraction at infinite dose, 0 to 1; -log10 of the half-effect dose [M]; Hill slope, >=
        0.

    Returns
    -------
    float or ndarray
        Growth fraction, 1 = untreated. A slope of 0 is the flat line (1 + einf) / 2.

    Examples
    --------
    >>> round(float(growth_at(7.0, einf=0.2, pec50=7.0, hs=1.5)), 3)
    0.6
    """
    return 1.0 - (1.0 - np.asarray(einf)) * _sigmoid(
        _LN10 * np.asarray(hs) * (np.asarray(pec50) - dose)
    )


def auc(einf, pec50, hs, low=AUC_LOW, high=AUC_HIGH):
    """Mean growth under a Hill curve over a dose range.

    Parameters
    ----------
    einf, pec50, hs : float or ndarray of shape (n_curves,)
        Growth fraction at infinite dose, 0 to 1; -log10 of the half-effect dose [M]; Hill slope, >=
        0.
    low, high : float or ndarray of shape (n_curves,)
        Ends of the range [-log10 M]; the paper's 4 to 10 for AUC, the strongest and weakest dose
        measured for AUC1.

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
    The mean of the logistic function over [a, b] is (log(1 + e**b) - log(1 + e**a)) / (b - a);
    where b - a is too small for that difference, its Taylor series about the middle. Equals
    quadrature to 1e-8 (tests/hill/test_fit.py).

    Examples
    --------
    >>> round(float(auc(einf=0.0, pec50=7.0, hs=4.0)), 6)
    0.5
    """
    einf, pec50, hs, low, high = _arrays(einf, pec50, hs, low, high)
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
        -log10 M; NaN where the curve never comes down to the level (einf >= growth) or is flat (hs
        = 0). It may lie far outside the doses measured: `fit` marks such a dose.
    """
    einf, pec50, hs = _arrays(einf, pec50, hs)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        dose = pec50 - np.log10((1.0 - growth) / (growth - einf)) / hs
    return np.where(np.isfinite(dose), dose, np.nan)[()]


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
        Area between the activity 1 - growth and `threshold`, where activity is above it, over the
        measured range, as a share of the largest possible. 0 for a curve that never passes the
        threshold; never negative.

    Notes
    -----
    doi:10.1038/srep05193, equation for DSS1. The other variants divide by the logarithm of the top
    effect or by the share of the range that is active.
    """
    einf, pec50, hs, strong, weak = _arrays(einf, pec50, hs, strong, weak)
    level = 1.0 - threshold
    onset = ic50(einf, pec50, hs, growth=level)
    everywhere = np.isnan(onset) & (growth_at(weak, einf, pec50, hs) < level)  # flat and active
    onset = np.where(everywhere, weak, np.clip(np.nan_to_num(onset, nan=-np.inf), strong, weak))
    width = onset - strong
    inside = auc(einf, pec50, hs, strong, np.where(width > 0, onset, weak))
    area = np.where(width > 0, width * (level - inside), 0.0)
    return np.maximum(area / (level * (weak - strong)), 0.0)[()]


def _arrays(*values):
    return np.broadcast_arrays(*(np.asarray(value, float) for value in values))


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
