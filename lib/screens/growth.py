"""NCI-60 growth inhibition: equation 1 of the paper, and the doses at which growth is halved,
stopped and undone.

PGI is on the NCI's scale: 100 as the control, 0 no growth since time zero, -100 every cell killed.
"""

import numpy as np

# PGI at which each is read off (paper, section 4.3); LC50: half of the cells present at time zero
# are gone
LEVELS = {"gi50": 50.0, "tgi": 0.0, "lc50": -50.0}


def percent_growth(test, control, time_zero):
    """Percentage growth inhibition, the paper's equation 1.

    Parameters
    ----------
    test, control, time_zero : array_like of equal shape
        Readings of treated wells and control wells at the end, and of wells fixed at time zero.

    Returns
    -------
    ndarray of float
        100 (T - Z) / (C - Z) where T >= Z, else 100 (T - Z) / Z. NaN where it is undefined: a
        missing or infinite reading, no time-zero signal (Z <= 0), or a control that did not grow (C
        <= Z) while T >= Z.

    Examples
    --------
    >>> percent_growth([1.0, 0.5, 0.0], 1.0, 0.5).tolist()
    [100.0, 0.0, -100.0]
    """
    test, control, time_zero = np.broadcast_arrays(test, control, time_zero)
    grown = test >= time_zero
    below = np.where(grown, control - time_zero, time_zero)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = 100 * (test - time_zero) / below
    defined = (below > 0) & (time_zero > 0) & np.isfinite(percent)
    return np.where(defined, percent, np.nan)


def to_growth(percent):
    """Growth fraction of the compendium from per cent growth: (PGI + 100) / 200; 1 is untreated, 0
    all killed.
    """
    return (np.asarray(percent, float) + 100) / 200


def from_growth(growth):
    """Per cent growth from the growth fraction; the inverse of `to_growth`."""
    return 200 * np.asarray(growth, float) - 100


def end_points(points):
    """GI50, TGI and LC50 of many curves, by linear interpolation of PGI on the log dose, as the NCI
    does.

    The first passage from the weakest dose on counts. Repeated doses of a curve are averaged first;
    missing readings are left out.

    Parameters
    ----------
    points : DataFrame
        curve_id, dose (-log10 M), percent (PGI).

    Returns
    -------
    DataFrame
        One row per curve: curve_id, n_doses, and for each of gi50, tgi, lc50 the value (-log10 M)
        and `<name>_censor`, which speaks of concentrations as the NCI does: "" for a value between
        tested doses, ">" where growth stays above the level even at the strongest dose (the value
        is that dose), "<" where it is below the level already at the weakest (the value is that
        dose), "undefined" (value NaN) for a curve without a reading.
    """
    out = points[["curve_id"]].drop_duplicates(ignore_index=True)
    read = points[np.isfinite(points.dose) & np.isfinite(points.percent)]
    means = read.groupby(["curve_id", "dose"], sort=False, observed=True).percent.mean()
    table = means.reset_index().sort_values("dose", ascending=False)
    out["n_doses"] = out.curve_id.map(table.curve_id.value_counts()).fillna(0).astype(int)
    for name, level in LEVELS.items():
        found = _passage(table, level)
        out[name] = out.curve_id.map(found.value).astype(float)
        out[f"{name}_censor"] = out.curve_id.map(found.flag).astype("str").fillna("undefined")
    return out


def _passage(table, level):
    """Dose at which each curve first comes down to a level, weak to strong, with the censoring
    flag: one row per curve.
    """
    curves = table.groupby("curve_id", observed=True)
    before = curves[["dose", "percent"]].shift()
    share = (before.percent - level) / (before.percent - table.percent)
    value = before.dose + share * (table.dose - before.dose)
    weakest = before.dose.isna()
    beyond = weakest & (table.percent < level)
    found = table.assign(value=value.mask(weakest, table.dose), flag=np.where(beyond, "<", ""))
    first = found[table.percent <= level].groupby("curve_id", observed=True).first()
    never = curves.dose.last().to_frame("value").assign(flag=">")
    return first[["value", "flag"]].combine_first(never)
