"""Compiled least-squares solver for three-parameter Hill curves, one curve at a time over ragged
arrays.

Imported late by `lib.hill.fit`, which holds the public functions; this module alone needs numba.

With effect d = 1 - growth, top effect A = 1 - einf and u(x) = 1 / (1 + 10**(hs * (x - pec50))) the
model is d = A u(x), so A has a closed form given the other two (variable projection; Golub and
Pereyra 1973) and the search is over (pec50, hs) only. A grid over the whole box finds the basins of
the sum of squares; a bounded Newton iteration takes each basin to its minimum. A curve's result
depends on its own sorted points alone: batch, order and threads do not change a bit of it.

All functions stand in one file, because numba's cache on disk sees changes of the file of the
function that is called, and of no other.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numba import config, njit

from lib import files

if not config.CACHE_DIR:  # compiled code lies under the content of this file, not its date
    _COMPILED = f"solver-{files.sha256(__file__)[:12]}"
    config.CACHE_DIR = str(Path(__file__).with_name("__pycache__") / _COMPILED)

PEC50_MAX, HS_MAX = 12.0, 4.0
MIN_DOSES = 4  # three parameters and one degree of freedom
MOST_POINTS = 1000  # more than any dose series has: the rows of many curves under one name
# No screen doses at 0.1 M or more, or below 1 fM: outside, the unit is wrong.
DOSE_LOW, DOSE_HIGH = 1.0, 15.0
GROWTH_LOW, GROWTH_HIGH = -5.0, 10.0
CHUNK = 4096  # curves that a thread takes at a time
FITTED, TOO_FEW, TOO_MANY, NO_POINTS, BAD_DOSE, BAD_GROWTH, STALLED = range(7)
_OUTSIDE_RANGE = f"dose {{value:.6g}} is outside {DOSE_LOW:g} to {DOSE_HIGH:g} -log10(M): is it "
NEGATIVE = f"{_OUTSIDE_RANGE}log10(M)? take its negative"
REASONS = {
    TOO_FEW: f"{{n}} dose(s) with a finite growth, at least {MIN_DOSES} are needed",
    TOO_MANY: f"more than {MOST_POINTS} points: does one curve_id name many curves?",
    NO_POINTS: "no point with a finite dose and growth",
    BAD_DOSE: f"{_OUTSIDE_RANGE}in µM? convert it with dose = 6 - log10(µM)",
    BAD_GROWTH: "growth {value:.6g} is outside -5 to 10: is it in per cent? divide it by 100",
    STALLED: "the search for the least sum of squares did not converge",
}
COLUMNS = "status n_doses n_unusable dose_weak dose_strong einf pec50 hs sse einf_se".split()
COLUMNS += "pec50_se hs_se ic50_se r2fit_raw sse_flat n_points offender".split()

_LN10 = math.log(10.0)
# The grid: slopes by half-effect doses, spaced evenly between the strongest and weakest dose and,
# outside, by the share 10**-s of the effect's odds that is left at the nearer end, since that and
# not the dose shapes the curve there.
_HS_GRID = np.array([0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 2.0, 2.6, 3.2, 4.0])
# From the fourth on, each slope is the sum of two before it: its exponential is their product.
_FREE = 3
_SUMMANDS = np.array(
    [[2, 2], [3, 3], [4, 3], [4, 4], [6, 4], [6, 6], [8, 4], [9, 5], [8, 8], [11, 6]]
)
_OUTSIDE = np.array([0.15, 0.3, 0.5, 0.75, 1.0, 1.4, 1.9, 2.5])
_LEFT_OVER = 10.0**-_OUTSIDE
_INSIDE = 32  # with those outside 48 to a row: whole vectors
_NH, _NP = len(_HS_GRID), _INSIDE + 2 * len(_OUTSIDE)
_STARTS = 6  # basins followed to their minimum per curve
_TIE = 1e-11  # sums of squares closer than this are one optimum; the flattest curve is reported
_FLOOR = 1e-12  # predicted fall of the sum of squares at which a descent is done
_STEPS = 200
_ALONG = 100  # steps along a bound
_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinity keep their meaning

# Compiled into the one function that is kept on disk, `_solve_some`. Sums of a `_sum` may be
# vectorised, as a zero below a division gives infinity there instead of an exception.
_part = njit(nogil=True)
_sum = njit(nogil=True, fastmath=_FAST, error_model="numpy")


def solve(dose, growth, offsets, threads):
    """Fit every curve; see `lib.hill.fit.fit` for the meaning of the arguments.

    Returns
    -------
    ndarray of shape (n_curves, len(COLUMNS))
    """
    out = np.full((len(offsets) - 1, len(COLUMNS)), np.nan)
    order = _by_doses(dose, offsets)
    parts = [order[i : i + CHUNK] for i in range(0, len(order), CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: _solve_some(dose, growth, offsets, part, out), parts))
    return out


def _by_doses(dose, offsets):
    """Order in which curves of equal doses are neighbours, so that they share one table."""
    sizes = np.diff(offsets)
    squares = np.clip(np.nan_to_num(dose), -99.0, 99.0) ** 2
    sums = np.bincount(np.repeat(np.arange(len(sizes)), sizes), squares, len(sizes))
    return np.lexsort((sums, sizes))


@njit(cache=True, nogil=True, fastmath=_FAST)
def _solve_some(dose, growth, offsets, order, out):
    """Fit the curves named in `order`, each into its own row of `out`."""
    x = np.empty(MOST_POINTS)
    y = np.empty(MOST_POINTS)
    d = np.empty(MOST_POINTS)
    e = np.empty(MOST_POINTS)
    held = np.empty(MOST_POINTS)
    n_held = 0
    table = np.empty((MOST_POINTS, _NH * _NP))
    squares = np.empty(_NH * _NP)
    node = np.empty(_NH * _NP)
    grid = np.empty(_NH * _NP)
    power = np.empty(_NH * _NP)
    column = np.full(_NP + 2, np.inf)
    least = np.empty(_NP)
    scales = np.empty((3, _NH))
    basins = np.empty(_STARTS, np.int64)
    for c in order:
        row = out[c]
        n = _usable(dose, growth, offsets[c], offsets[c + 1], x, y, row)
        if row[0] != FITTED:
            continue
        dd = 0.0
        for i in range(n):
            d[i] = 1.0 - min(max(y[i], 0.0), 1.0)
            dd += d[i] * d[i]
        if not np.array_equal(x[:n], held[:n_held]):
            _lay_grid(x, n, grid, power, scales)
            _tabulate(x, n, power, table, squares, scales[0])
            held[:n] = x[:n]
            n_held = n
        _scan(d, n, table, squares, node)
        flat = _flat(d, n)
        n_basins = _basins(node, flat, column, least, basins)
        p, h, stalled = _best_basin(x, d, n, dd, flat, grid, basins[:n_basins], e)
        if stalled:
            row[0] = STALLED
        _describe(x, y, d, n, p, h, e, row)


@_part
def _usable(dose, growth, start, stop, x, y, row):
    """Copy the finite points of one curve, sorted by dose; row[0] says whether it can be fitted."""
    n = 0
    row[15] = stop - start
    if row[15] > MOST_POINTS:
        row[0] = TOO_MANY
        row[1] = row[2] = 0
        return n
    for i in range(start, stop):
        if not (math.isfinite(dose[i]) and math.isfinite(growth[i])):
            continue
        k = n
        while k > 0 and (x[k - 1] > dose[i] or (x[k - 1] == dose[i] and y[k - 1] > growth[i])):
            x[k] = x[k - 1]
            y[k] = y[k - 1]
            k -= 1
        x[k] = dose[i]
        y[k] = growth[i]
        n += 1
    n_doses = 0
    row[0] = FITTED
    for i in range(n):
        n_doses += i == 0 or x[i] != x[i - 1]
        if row[0] == BAD_DOSE:
            continue
        if x[i] < DOSE_LOW or x[i] > DOSE_HIGH:
            row[0] = BAD_DOSE
            row[16] = x[i]
        elif y[i] < GROWTH_LOW or y[i] > GROWTH_HIGH:
            row[0] = BAD_GROWTH
            row[16] = y[i]
    row[1] = n_doses
    row[2] = row[15] - n
    row[15] = n
    if n > 0:
        row[3] = x[n - 1]
        row[4] = x[0]
    if row[0] == FITTED and n_doses < MIN_DOSES:
        row[0] = TOO_FEW if n > 0 else NO_POINTS
    return n


@_part
def _powers(v, found):
    """10**(slope * v) for every slope of the grid."""
    for j in range(_FREE):
        found[j] = math.exp(_LN10 * _HS_GRID[j] * v)
    for j in range(len(_SUMMANDS)):
        found[_FREE + j] = found[_SUMMANDS[j, 0]] * found[_SUMMANDS[j, 1]]


@_part
def _lay_grid(x, n, grid, power, scales):
    """pec50 of every node for these doses, strong to weak along each row, and 10**(hs * (pec50 -
    strongest dose)).
    """
    low = x[0]
    high = x[n - 1]
    m = len(_OUTSIDE)
    step = (high - low) / (_INSIDE - 1)
    _powers(step, scales[0])
    _powers(-low, scales[1])
    _powers(PEC50_MAX - low, scales[2])
    for j in range(_NH):
        h = _HS_GRID[j]
        inside = j * _NP + m
        factor, first, last = scales[0, j], scales[1, j], scales[2, j]
        grid[inside] = low
        power[inside] = 1.0
        for k in range(1, _INSIDE):
            grid[inside + k] = low + k * step
            power[inside + k] = power[inside + k - 1] * factor
        for k in range(m):
            left = inside - 1 - k
            right = inside + _INSIDE + k
            grid[left] = low - _OUTSIDE[k] / h
            power[left] = _LEFT_OVER[k]
            grid[right] = high + _OUTSIDE[k] / h
            power[right] = power[inside + _INSIDE - 1] / _LEFT_OVER[k]
            if grid[left] < 0.0:
                grid[left] = 0.0
                power[left] = first
            if grid[right] > PEC50_MAX:
                grid[right] = PEC50_MAX
                power[right] = last


@_sum
def _tabulate(x, n, power, table, squares, scales):
    """u at every node and dose, from 10**(h (p - x)) = 10**(h (p - strongest)) 10**(h (strongest -
    x)).
    """
    squares[:] = 0.0
    for i in range(n):
        _powers(x[0] - x[i], scales)
        for j in range(_NH):
            scale = scales[j]
            for k in range(j * _NP, (j + 1) * _NP):
                z = power[k] * scale
                u = z / (1.0 + z)
                table[i, k] = u
                squares[k] += u * u


@_sum
def _scan(d, n, table, squares, node):
    """Least sum of squares over the top effect at every node of the grid (up to the constant sum of
    d**2).
    """
    node[:] = 0.0
    for i in range(n):
        effect = d[i]
        for k in range(_NH * _NP):
            node[k] += effect * table[i, k]
    for k in range(_NH * _NP):
        a = min(node[k] / squares[k], 1.0) if squares[k] > 1e-300 else 0.0
        node[k] = a * (a * squares[k] - 2.0 * node[k])


@_sum
def _basins(node, flat, column, least, basins):
    """Nodes no higher than their eight neighbours, lowest first; returns how many `basins` names.

    `flat` is the value on the line hs = 0, the neighbour of the first row. Of neighbouring nodes
    of equal value the first stands for all.
    """
    found = 0
    for j in range(_NH):
        row = j * _NP
        below = min(j + 1, _NH - 1) * _NP
        above = max(j - 1, 0) * _NP
        ceiling = flat if j == 0 else np.inf
        for k in range(_NP):
            lowest = min(node[row + k], node[below + k])
            column[1 + k] = min(min(node[above + k], ceiling), lowest) + _TIE
        n_low = 0
        for k in range(_NP):  # `column` has an infinity at either end
            least[k] = min(min(column[k], column[k + 1]), column[k + 2])
            n_low += node[row + k] <= least[k]
        if n_low == 0:
            continue
        for k in range(_NP):
            if node[row + k] <= least[k] and not _shelf(node, j, k):
                found = _insert(node, row + k, basins, found)
    return found


@_part
def _insert(node, k, basins, found):
    """Keep `basins` sorted by value while node k goes in; the highest falls out of a full list."""
    at = found
    while at > 0 and node[basins[at - 1]] > node[k]:
        if at < _STARTS:
            basins[at] = basins[at - 1]
        at -= 1
    if at < _STARTS:
        basins[at] = k
    return min(found + 1, _STARTS)


@_part
def _shelf(node, j, k):
    """Whether an earlier neighbour of node (j, k) is as low."""
    here = node[j * _NP + k] + _TIE
    if k > 0 and node[j * _NP + k - 1] <= here:
        return True
    above = (j - 1) * _NP
    return j > 0 and node[above + max(k - 1, 0) : above + min(k + 2, _NP)].min() <= here


@_part
def _flat(d, n):
    """Best flat line hs = 0, growth (1 + einf) / 2, as a node of the grid: its sum of squares less
    that of d.
    """
    mean = d[:n].mean()
    a = min(2.0 * mean, 1.0)
    return n * a * (0.25 * a - mean)


@_part
def _best_basin(x, d, n, dd, flat, grid, basins, e):
    """The lowest minimum of all basins, lowest node first; of equal ones that of the smallest
    slope.

    If no slope of the grid is better than the flat line although the curve falls, a slope below the
    grid's is tried from both ends of its first row.
    """
    best = dd + flat
    middle = min(0.5 * (x[0] + x[n - 1]), PEC50_MAX)
    p_best = middle
    h_best = 0.0
    stalled = False
    for i in range(len(basins) + 2):
        if i < len(basins):
            k = basins[i]
            slope = _HS_GRID[k // _NP]
        elif h_best == 0.0 and ((x[:n] - x[:n].mean()) * d[:n]).sum() < 0.0:
            k = (i - len(basins)) * (_NP - 1)
            slope = 1e-3
        else:
            break
        p, h, f, steps = _descend(x, d, n, dd, min(grid[k], PEC50_MAX), slope, best, e)
        if f < best - _TIE or (f < best + _TIE and h < h_best):
            p_best = p
            h_best = h
            stalled = steps >= _STEPS
        best = min(best, f)
    if h_best == 0.0:  # a flat line has no half-effect dose: name the middle of the doses
        p_best = middle
    return p_best, h_best, stalled


@_sum
def _sums(x, d, n, p, h, e):
    """Sums over the doses from which the sum of squares and its derivatives follow, for any top
    effect.

    With t = ln(10) (q + h z), z = p - x and q = 0: u = 1 / (1 + exp(-t)), its derivative v, its
    second derivative w.
    """
    for i in range(n):
        e[i] = math.exp(_LN10 * h * (x[i] - p))
    ud = uu = dv = uv = dvz = uvz = vv = vvz = vvzz = 0.0
    dw = uw = dwz = uwz = dwzz = uwzz = 0.0
    for i in range(n):
        z = p - x[i]
        u = 1.0 / (1.0 + e[i])
        v = e[i] * u * u
        w = v * (1.0 - 2.0 * u)
        vz, wz = v * z, w * z
        wzz = wz * z
        ud += u * d[i]
        uu += u * u
        dv += d[i] * v
        uv += u * v
        dvz += d[i] * vz
        uvz += u * vz
        vv += v * v
        vvz += v * vz
        vvzz += vz * vz
        dw += d[i] * w
        uw += u * w
        dwz += d[i] * wz
        uwz += u * wz
        dwzz += d[i] * wzz
        uwzz += u * wzz
    return ud, uu, dv, uv, dvz, uvz, vv, vvz, vvzz, dw, uw, dwz, uwz, dwzz, uwzz


@_part
def _value(sums, dd):
    """Sum of squares with the best top effect within 0 to 1, and whether that effect is below its
    bound.
    """
    ud = sums[0]
    uu = sums[1]
    if ud < uu:
        return dd - ud * ud / uu, True
    return dd - 2.0 * ud + uu, False


@_part
def _slopes(sums, free):
    """Gradient and Hessian of the sum of squares in (q, h), with the best top effect or with 1.

    In q and h the logistic argument is linear, so the long valleys of these problems, where dose
    and top effect trade off, are straight; in (pec50, hs) they bend and Newton steps are short.
    """
    ud, uu, dv, uv, dvz, uvz, vv, vvz, vvzz, dw, uw, dwz, uwz, dwzz, uwzz = sums
    a = ud / uu if free else 1.0
    rq = dv - a * uv
    rh = dvz - a * uvz
    hqq = a * (a * vv - (dw - a * uw))
    hqh = a * (a * vvz - (dwz - a * uwz))
    hhh = a * (a * vvzz - (dwzz - a * uwzz))
    if free:
        mq = a * uv - rq
        mh = a * uvz - rh
        hqq -= mq * mq / uu
        hqh -= mq * mh / uu
        hhh -= mh * mh / uu
    g = -2.0 * a * _LN10
    c = 2.0 * _LN10 * _LN10
    return g * rq, g * rh, c * hqq, c * hqh, c * hhh


@_part
def _step(p, h, slopes):
    """Newton step (in q and h) that ends inside the box: where it would leave, the best point of
    that side.

    Returns the step and the fall of the sum of squares that its gradient promises.
    """
    gq, gh, hqq, hqh, hhh = slopes
    det = hqq * hhh - hqh * hqh
    if (
        hqq <= 0.0 or det <= 0.0
    ):  # the positive matrix (H H)**0.5 instead, in closed form for 2 by 2
        size = hqq * hqq + 2.0 * hqh * hqh + hhh * hhh + 2.0 * abs(det)
        scale = 1.0 / math.sqrt(max(size, 1e-60))
        both = hqh * (hqq + hhh) * scale
        hqq = (hqq * hqq + hqh * hqh + abs(det)) * scale
        hhh = (hhh * hhh + hqh * hqh + abs(det)) * scale
        hqh = both
    shift = 1e-12 * (hqq + hhh) + 1e-30
    hqq += shift
    hhh += shift
    det = hqq * hhh - hqh * hqh
    sq = (hqh * gh - hhh * gq) / det
    sh = (hqh * gq - hqq * gh) / det
    if not 0.0 <= h + sh <= HS_MAX:
        sh = (HS_MAX if sh > 0.0 else 0.0) - h
        sq = -(gq + hqh * sh) / hqq
    p_new = p + sq / (h + sh) if h + sh > 0.0 else p
    if not 0.0 <= p_new <= PEC50_MAX:
        c = (0.0 if p_new < 0.0 else PEC50_MAX) - p  # on this side q = c (h + sh)
        sh = -(gq * c + gh + hqq * c * c * h + hqh * c * h) / (hqq * c * c + 2.0 * hqh * c + hhh)
        sh = min(max(h + sh, 0.0), HS_MAX) - h
        sq = c * (h + sh)
    return sq, sh, -(gq * sq + gh * sh)


@_part
def _move(p, h, sq, sh, t):
    """The point a share t along a step; inside the box for every t if the whole step ends there."""
    h_new = min(max(h + t * sh, 0.0), HS_MAX)
    if h_new > 0.0:
        p = min(max(p + t * sq / h_new, 0.0), PEC50_MAX)
    return p, h_new


@_part
def _descend(x, d, n, dd, p, h, target, e):
    """Bounded Newton iteration from (p, h) to the minimum of its basin, given up where that will
    lie above `target`.
    """
    sums = _sums(x, d, n, p, h, e)
    f, free = _value(sums, dd)
    noise = 4e-16 * dd + 1e-18
    t = 1.0
    steps = 1
    sq, sh, fall = _step(p, h, _slopes(sums, free))
    while steps < _STEPS and t * fall > noise:
        p_new, h_new = _move(p, h, sq, sh, t)
        new = _sums(x, d, n, p_new, h_new, e)
        f_new, free_new = _value(new, dd)
        steps += 1
        if f_new > f and free and not free_new and t == 1.0:
            # The Hessian jumps where the top effect reaches its bound, and the minimum may lie
            # there: step with the top effect held at its bound.
            hq, hh, _ = _step(p, h, _slopes(sums, False))
            p_held, h_held = _move(p, h, hq, hh, 1.0)
            held = _sums(x, d, n, p_held, h_held, e)
            f_held, free_held = _value(held, dd)
            steps += 1
            if f_held < f:
                p_new = p_held
                h_new = h_held
                new = held
                f_new = f_held
                free_new = free_held
                fall = np.inf
        if f_new > f + noise:
            t *= 0.25
            continue
        p = p_new
        h = h_new
        sums = new
        f = f_new
        free = free_new
        if (t == 1.0 and fall <= _FLOOR) or f - 30.0 * fall > target:
            break
        t = 1.0
        sq, sh, fall = _step(p, h, _slopes(sums, free))
    if steps >= _STEPS:
        return _on_a_bound(x, d, n, dd, p, h, f, e)
    return p, h, f, steps


@_part
def _on_a_bound(x, d, n, dd, p, h, f, e):
    """If the search stalls at a bound, minimise along that bound; accept if the gradient points
    outwards (KKT).

    A step that leaves the box through h = 0 may have to leave it through a bound of pec50 as well,
    and a shorter one then leads nowhere; or the sum of squares falls ever more slowly towards a
    bound. Along the bound one parameter is left: Newton steps inside a bracket, or its middle.
    """
    sums = _sums(x, d, n, p, h, e)
    rises = _slopes(sums, _value(sums, dd)[1])[0] > 0.0
    bound = 0.0 if rises else PEC50_MAX
    for vary_h in (True, False):
        here = h if vary_h else p
        low = 0.0
        high = HS_MAX if vary_h else PEC50_MAX
        value = push = np.inf
        for _ in range(_ALONG):
            p_new = bound if vary_h else here
            h_new = here if vary_h else HS_MAX
            sums = _sums(x, d, n, p_new, h_new, e)
            value, free = _value(sums, dd)
            gq, gh, hqq, _, hhh = _slopes(sums, free)
            slope = gh if vary_h else gq
            bend = hhh if vary_h else hqq * HS_MAX
            push = gq if vary_h else gh
            if slope > 0.0:
                high = here
            else:
                low = here
            here -= slope / bend if bend > 0.0 else np.inf
            if not low <= here <= high:
                here = 0.5 * (low + high)
        outwards = push >= 0.0 if vary_h and rises else push <= 0.0
        if outwards and value <= f + 4e-16 * dd + 1e-18:
            return p_new, h_new, value, 0
    return p, h, f, _STEPS


@_part
def _describe(x, y, d, n, p, h, e, row):
    """Write parameters, standard errors and goodness of fit of the chosen optimum into its row."""
    sums = _sums(x, d, n, p, h, e)
    a = min(sums[0] / sums[1], 1.0) if sums[1] > 1e-300 else 0.0
    mean_d = d[:n].mean()
    mean_y = y[:n].mean()
    f = residual = total = flat = 0.0
    for i in range(n):
        effect = a / (1.0 + e[i])
        f += (d[i] - effect) ** 2
        residual += (y[i] - 1.0 + effect) ** 2
        total += (y[i] - mean_y) ** 2
        flat += (d[i] - mean_d) ** 2
    row[5] = 1.0 - a
    row[6] = p
    row[7] = h
    row[8] = f
    row[14] = flat
    if total > 1e-24 * n:
        row[13] = 1.0 - residual / total
    _standard_errors(x, n, a, p, h, f, residual, e, row)


@_part
def _standard_errors(x, n, a, p, h, f, residual, e, row):
    """Asymptotic standard errors from QR factors of the Jacobian; left NaN where the points do not
    determine them.

    Those of the parameters are the group's, from the scatter of clipped growth; that of ic50, which
    has an interval, is from the scatter as measured.
    """
    jac = np.empty((3, n))
    for i in range(n):
        u = 1.0 / (1.0 + e[i])
        jac[0, i] = u
        jac[1, i] = -a * _LN10 * h * e[i] * u * u
        jac[2, i] = -a * _LN10 * (p - x[i]) * e[i] * u * u
    r = np.zeros((3, 3))
    for k in range(3):
        size = _dot(jac, k, k, n)
        for j in range(k):
            r[j, k] = _dot(jac, j, k, n)
            for i in range(n):
                jac[k, i] -= r[j, k] * jac[j, i]
        r[k, k] = math.sqrt(_dot(jac, k, k, n))
        if r[k, k] <= 1e-12 * math.sqrt(size) or size < 1e-300:
            return
        for i in range(n):
            jac[k, i] /= r[k, k]
    i11 = 1.0 / r[0, 0]
    i22 = 1.0 / r[1, 1]
    i33 = 1.0 / r[2, 2]
    i12 = -r[0, 1] * i11 * i22
    i23 = -r[1, 2] * i22 * i33
    i13 = (r[0, 1] * r[1, 2] * i22 - r[0, 2]) * i11 * i33
    s = math.sqrt(f / (n - 3))
    row[9] = s * math.sqrt(i11 * i11 + i12 * i12 + i13 * i13)
    row[10] = s * math.sqrt(i22 * i22 + i23 * i23)
    row[11] = s * i33
    if a > 0.5 and h > 0.0:  # delta method for ic50 = pec50 - log10(0.5 / (0.5 - einf)) / hs
        ge = -1.0 / (_LN10 * (a - 0.5) * h)
        gh = math.log10(0.5 / (a - 0.5)) / (h * h)
        square = (ge * i11) ** 2 + (ge * i12 + i22) ** 2 + (ge * i13 + i23 + gh * i33) ** 2
        row[12] = math.sqrt(residual / (n - 3)) * math.sqrt(square)


@_part
def _dot(rows, j, k, n):
    total = 0.0
    for i in range(n):
        total += rows[j, i] * rows[k, i]
    return total
