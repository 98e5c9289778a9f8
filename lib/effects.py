"""Mean effects of study, drug and line: what is known of a response before any feature is read."""

import numpy as np

FACTORS = ("study", "drug", "line")
# What the folds of a split hold out; a test row has no training row of it.
HELD_OUT = {
    "on_cell": {"line"},
    "tissue_out": {"line"},
    "on_drug": {"drug"},
    "scaffold_out": {"drug"},
    "study_out": {"study"},
    "both_unseen": {"drug", "line"},
}
SHRINK = 1.0  # pseudo-observations that pull an effect towards zero
TOLERANCE = 1e-7  # largest change of an effect [AUC] at which the sweeps stop
MOST_SWEEPS = 500


def known(split):
    """Factors whose effects a test row of a split can know, joined by "+"."""
    return "+".join(name for name in FACTORS if name not in HELD_OUT[split])


def additive(y, codes, train):
    """Least-squares global mean plus one effect per level of each factor, by backfitting.

    SHRINK pseudo-observations at zero pull each effect towards it; the sweeps over the factors end
    when no effect moves by more than TOLERANCE.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    codes : list of int ndarrays of shape (n_rows,)
        Factors in order of precedence, for example drug and cell codes.
    train : int ndarray
        Rows to fit on.

    Returns
    -------
    ndarray of shape (n_rows,)
        Fitted values. A level that has no training row gets effect 0.
    """
    mean, effects = fit(y, codes, train)
    fitted = np.zeros(len(y))
    for code, effect in zip(codes, effects, strict=True):
        fitted += effect[code]
    return mean + fitted


def fit(y, codes, train):
    """The global mean and the effects that `additive` adds up.

    Returns
    -------
    mean : float
    effects : list of ndarray
        One value per level of each factor.
    """
    y = np.asarray(y, np.float64)[train]
    mean = y.mean()
    effects = [np.zeros(int(code.max()) + 1) for code in codes]
    codes = [code[train] for code in codes]
    residual = y - mean
    for _ in range(MOST_SWEEPS if len(codes) > 1 else len(codes)):
        change = 0.0
        for code, effect in zip(codes, effects, strict=True):
            n_levels = len(effect)
            total = np.bincount(code, residual, minlength=n_levels) - SHRINK * effect
            step = total / np.maximum(np.bincount(code, minlength=n_levels) + SHRINK, 1)
            effect += step
            residual -= step[code]
            change = max(change, np.abs(step).max())
        if change < TOLERANCE:
            break
    return mean, effects
