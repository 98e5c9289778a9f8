"""The curves behind GDSC's published areas and IC50s: slope and dose range, recovered.

GDSC's curve (package gdscIC50) is 1 / (1 + exp((x - middle) / width)) in x = log2 of the dose. It
has no plateau, and all curves of a line in one assay share the width. The published area is its
mean over the doses tested, the published IC50 its middle. So the areas of a line's drugs determine
the width, and the areas of a drug's lines its strongest dose: all are found together, by
Gauss-Newton steps in which a curve that does not fit loses its weight. Drugs that were screened
over several ranges, or over their union, have these found one after another.
"""

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.special import expit

# doublings from the weakest to the strongest dose: 256-fold, and six steps of 3.162
REACH = {"GDSC1": 8.0, "GDSC2": 6 * np.log2(3.162)}
TOLERANCE = 2e-4  # of an area; nearly all curves miss theirs by less than a tenth of this
SCALES = np.geomspace(0.1, 5e-4, 25)  # misfit at which a curve keeps a quarter of its weight
LEAST_CURVES = 10  # that a further range of a drug explains, or a line needs
LEAST_CHANGE = 1e-4  # root of the sum of squared slopes d area / d width of a line's curves
MOST_RANGES = 6
ALIKE = 1e-5  # two ranges whose errors are both below this cannot be told apart
DAMPING = 1e-4  # of the normal equations
REACHES = np.arange(4, 18, 0.02)  # looked through for a further range
BIN = 0.04  # doublings; strongest doses this close are one
NUMBERS = "curve_pec50 curve_slope range_strong range_weak curve_error".split()
COLUMNS = [*NUMBERS, "curve_reason"]
NO_IC50 = "no IC50"
NO_CURVE = "the area is not between 0 and 1"
NO_WIDTH = "the line's curves do not determine its slope"
NO_RANGE = "no range of the drug explains the area"
EITHER = "two ranges of the drug explain the area: the curve is known, its range is not"


def recover(rows, reach):
    """The curve behind each published pair of an area and an IC50 of one assay.

    Parameters
    ----------
    rows : DataFrame
        cell_name, drug_name, auc (mean over the tested range, 1 = no response), ln_ic50_um; a pair
        of names may repeat where two compounds share a name.
    reach : float
        Doublings of the dose from the weakest to the strongest.

    Returns
    -------
    DataFrame
        Index as `rows`: curve_pec50 (-log10 M), curve_slope (Hill slope of a curve from 1 to 0),
        range_strong and range_weak (-log10 M), curve_error (published area less that of the curve
        over its range), curve_reason ("", or why the curve or its range is missing).
    """
    out = pd.DataFrame(np.nan, index=rows.index, columns=NUMBERS).assign(curve_reason="")
    inside = rows["auc"].between(0, 1, inclusive="neither")
    measured = rows["ln_ic50_um"].notna()
    out.loc[~inside, "curve_reason"] = NO_CURVE
    out.loc[~measured, "curve_reason"] = NO_IC50
    use = rows[inside & measured]
    if use.empty:
        return out
    curves = pd.DataFrame(
        dict(
            area=use["auc"].astype(float),
            middle=use["ln_ic50_um"] / np.log(2),
            line=pd.factorize(use["cell_name"])[0],
            drug=pd.factorize(use["drug_name"])[0],
        )
    )
    found = _solve(curves, reach)
    out.loc[use.index, found.columns] = found
    return out


def _solve(curves, reach):
    """Width, top and reach of every curve, as the columns of `recover`."""
    top = _start(curves, reach)
    width = np.full(curves["line"].max() + 1, 1.5)
    width, top = _descend(curves, curves["drug"], np.full(len(top), reach), width, top)
    curves = curves.assign(width=width[curves["line"]])
    ranges = [_ranges(own, top[drug], reach) for drug, own in curves.groupby("drug", sort=True)]
    curves = curves.join(pd.concat(ranges))
    explained = curves["error"].abs() <= TOLERANCE
    use = curves[explained]
    group, _ = pd.factorize(pd.MultiIndex.from_frame(use[["drug", "range"]]))
    of_group = use.drop_duplicates(["drug", "range"])
    width, top = _descend(use, group, of_group["reach"].to_numpy(), width, of_group["top"])
    curves.loc[explained, "top"] = top[group]
    curves["width"] = width[curves["line"]]
    open_lines = _open_lines(curves[explained], len(width))
    return _described(curves, curves["line"].isin(open_lines))


def _described(curves, is_open):
    """Units of the tables, and the reason for each value that is missing."""
    shape = [curves[name] for name in ("middle", "width", "top", "reach")]
    found = pd.DataFrame(
        dict(
            curve_pec50=6 - curves["middle"] * np.log10(2),
            curve_slope=1 / (curves["width"] * np.log(2)),
            range_strong=6 - curves["top"] * np.log10(2),
            range_weak=6 - (curves["top"] - curves["reach"]) * np.log10(2),
            curve_error=curves["area"] - _area(*shape),
            curve_reason=np.where(curves["either"], EITHER, ""),
        )
    )
    unexplained = ~(found["curve_error"].abs() <= TOLERANCE)
    found.loc[curves["either"], ["range_strong", "range_weak"]] = np.nan
    found.loc[unexplained, NUMBERS[:4]] = np.nan
    found.loc[unexplained, "curve_reason"] = NO_RANGE
    found.loc[is_open, NUMBERS] = np.nan
    found.loc[is_open, "curve_reason"] = NO_WIDTH
    return found


def _softplus(x):
    return np.logaddexp(0, x)


def _area(middle, width, top, reach):
    """Mean of the curve over the doublings from top - reach to top."""
    strong = _softplus((top - middle) / width)
    weak = _softplus((top - reach - middle) / width)
    return 1 - width / reach * (strong - weak)


def _top(area, middle, width, reach):
    """The strongest dose at which the curve has the area; the inverse of `_area`."""
    k = (1 - area) * reach / width
    return middle + width * (np.log(np.expm1(k)) - np.log(-np.expm1(k - reach / width)))


def _start(curves, reach):
    """A strongest dose by drug: exact for a curve of area 0.5, whatever its width."""
    weight = np.exp(-(((curves["area"] - 0.5) / 0.1) ** 2)) + 1e-6
    top = curves["middle"] + reach * (1 - curves["area"])
    return (weight * top).groupby(curves["drug"]).sum() / weight.groupby(curves["drug"]).sum()


def _descend(curves, group, reach, width, top):
    """All widths (by line) and tops (by group of curves) at once."""
    known = curves["area"].to_numpy(), curves["middle"].to_numpy()
    line = curves["line"].to_numpy()
    group = np.asarray(group)
    top = np.array(top, float)
    for scale in SCALES:
        change = _derivatives(*known, width[line], top[group], reach[group])
        d_width, d_top = _step(*change, scale, line, len(width), group)
        width = np.clip(width + np.clip(d_width, -0.3, 0.3), 0.05, 8)
        top = top + np.clip(d_top, -1, 1)
    return width, top


def _derivatives(area, middle, width, top, reach):
    """Error of each area, and the derivatives of the curve's area by width and by top."""
    strong = (top - middle) / width
    weak = strong - reach / width
    drop = _softplus(strong) - _softplus(weak)
    error = area - 1 + width / reach * drop
    by_width = (expit(strong) * strong - expit(weak) * weak - drop) / reach
    by_top = (expit(weak) - expit(strong)) / reach
    return error, by_width, by_top


def _step(error, by_width, by_top, scale, line, n_lines, group):
    """One Gauss-Newton step; a curve whose error is `scale` keeps a quarter of its weight."""
    weight = (1 + (error / scale) ** 2) ** -2
    h_width = np.bincount(line, weight * by_width**2, n_lines)
    h_top = np.bincount(group, weight * by_top**2)
    h_width += DAMPING * np.median(h_width) + 1e-12
    h_top += DAMPING * np.median(h_top) + 1e-12
    shape = (n_lines, len(h_top))
    cell = np.ravel_multi_index((line, group), shape)
    both = np.bincount(cell, weight * by_width * by_top, np.prod(shape)).reshape(shape)
    g_width = np.bincount(line, weight * by_width * error, n_lines)
    g_top = np.bincount(group, weight * by_top * error)
    # The widths are eliminated first: their block of the normal equations is diagonal.
    schur = np.diag(h_top) - both.T @ (both / h_width[:, None])
    d_top = np.linalg.solve(schur, g_top - both.T @ (g_width / h_width))
    return (g_width - both @ d_top) / h_width, d_top


def _ranges(own, top, reach):
    """Ranges of one drug, and the one that explains each of its curves best."""
    known = own[["area", "middle", "width"]].to_numpy().T
    ranges = []
    further = (top, reach)
    while further is not None:
        ranges.append(further)
        found = np.array(ranges)
        error = known[0] - _area(known[1], known[2], *found.T[:, :, None])
        left = (np.abs(error) > TOLERANCE).all(axis=0)
        looked = left.sum() >= LEAST_CURVES and len(ranges) < MOST_RANGES
        further = _further(*known[:, left]) if looked else None
    best = np.abs(error).argmin(axis=0)
    out = dict(top=found[best, 0], reach=found[best, 1], range=best)
    out["error"] = error[best, np.arange(len(best))]
    out["either"] = (np.abs(error) <= ALIKE).sum(axis=0) > 1
    return pd.DataFrame(out, index=own.index)


def _further(area, middle, width):
    """The range (top, reach) that explains most of some curves of one drug, or None."""
    tops = _top(area, middle, width, REACHES[:, None])
    place = np.round((tops - tops.min()) / BIN).astype(int)
    n = place.max() + 1
    rows = np.arange(len(REACHES))[:, None]
    votes = np.bincount((rows * n + place).ravel(), minlength=len(REACHES) * n)
    row, column = divmod(votes.argmax(), n)
    near = np.abs(place[row] - column) <= 1

    def misfit(guess):
        return area[near] - _area(middle[near], width[near], *guess)

    start = [tops[row][near].mean(), REACHES[row]]
    top, reach = least_squares(misfit, start, loss="cauchy", f_scale=TOLERANCE / 10).x
    explained = np.abs(area - _area(middle, width, top, reach)) <= TOLERANCE
    return (top, reach) if explained.sum() >= LEAST_CURVES else None


def _open_lines(use, n_lines):
    """Lines of too few explained curves, or of curves whose area hardly depends on the width."""
    shape = [use[name].to_numpy() for name in "area middle width top reach".split()]
    _, by_width, _ = _derivatives(*shape)
    n = np.bincount(use["line"], minlength=n_lines)
    total = np.sqrt(np.bincount(use["line"], by_width**2, n_lines))
    return np.flatnonzero((n < LEAST_CURVES) | (total < LEAST_CHANGE))
