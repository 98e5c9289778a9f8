"""Compiled least-squares solver for three-parameter Hill curves, one curve at a time over ragged
arrays.

Imported late by `lib.hill.fit`, which holds the public functions; this module alone needs numba.

With effect d = 1 - growth, top effect A = 1 - einf and u(x) = 1 / (1 + 10**(hs * (x - pec50))) the
model is d = A u(x), so A has a closed form given the other two (variable projection; Golub and
Pereyra 1973) and the search is over (pec50, hs) only: a grid over the whole box finds the basins, a
bounded Newton iteration takes each to its floor. A curve's result depends on its own points alone,
sorted, so neither batch, order nor threads change a bit of it. All in one file: numba's cache on
disk notices a change in the file of the function that is called, not in another.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

PEC50_MAX, HS_MAX = 12.0, 4.0
MIN_DOSES = 4  # three parameters and one degree of freedom
MOST_POINTS = 1000  # more than any dose series has: the rows of many curves under one name
DOSE_LOW, DOSE_HIGH = (
    1.0,
    15.0,
)  # outside: no screen doses at 0.1 M or below 1 fM, so the unit is wrong
GROWTH_LOW, GROWTH_HIGH = -5.0, 10.0
CHUNK = 4096  # curves that a thread takes at a time
FITTED, TOO_FEW, TOO_MANY, NO_POINTS, BAD_DOSE, BAD_GROWTH, STALLED = range(7)
COLUMNS = (
    "status n_doses n_unusable dose_weak dose_strong einf pec50 hs sse einf_se pec50_se hs_se "
    "ic50_se r2fit_raw sse_flat "
    "n_points offender"
).split()

_LN10 = math.log(10.0)
# The grid: slopes by half-effect doses, spaced evenly between the strongest and weakest dose and,
# outside, by the share 10**-s of the effect's odds that is left at the nearer end, since that and
# not the dose shapes the curve there.
_HS_GRID = np.array([0.008, 0.03, 0.1, 0.2, 0.35, 0.55, 0.8, 1.1, 1.5, 2.0, 2.6, 3.2, 4.0])
_OUTSIDE = np.array([0.15, 0.3, 0.5, 0.75, 1.0, 1.4, 1.9, 2.5])
_LEFT_OVER = 10.0**-_OUTSIDE
_INSIDE = 30
_NH, _NP = len(_HS_GRID), _INSIDE + 2 * len(_OUTSIDE)
_STARTS = 6  # basins taken to their floor per curve
_TIE = 1e-11  # sums of squares closer than this are one optimum; the flattest curve is reported
_FLOOR = 1e-12  # predicted fall of the sum of squares at which a descent is done
_STEPS = 200
_FAST = {
    "contract",
    "reassoc",
    "nsz",
    "arcp",
}  # sums may be vectorised; NaN and infinity keep their meaning


def solve(dose, growth, offsets, threads):
    """Fit every curve; see `lib.hill.fit.fit` for the meaning of the arguments.

    Returns
    -------
    ndarray of shape (n_curves, len(COLUMNS))
    """
    out = np.full((len(offsets) - 1, len(COLUMNS)), np.nan)
    order = _by_doses(dose, offsets)
    parts = [order[i : i + CHUNK] for i in range(0, len(order), CHUNK)]
    if threads == 1 or len(parts) <= 1:
        _solve_some(dose, growth, offsets, order, out)
        return out
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: _solve_some(dose, growth, offsets, part, out), parts))
    return out


def _by_doses(dose, offsets):
    """Order that puts curves of equal dose series together, so that the grid's table is built once
    for all of them.
    """
    sizes = np.diff(offsets)
    filled = np.flatnonzero(sizes)
    key = np.zeros(len(sizes))
    if len(filled):
        key[filled] = np.add.reduceat(
            np.clip(np.nan_to_num(dose), -99.0, 99.0) ** 2, offsets[filled]
        )
    return np.lexsort((key, sizes))


@njit(cache=True, nogil=True, fastmath=_FAST)
def _solve_some(dose, growth, offsets, order, out):
    """Fit the curves named in `order`, each into its own row of `out`."""
    room = 1
    for c in order:
        room = max(room, min(offsets[c + 1] - offsets[c], MOST_POINTS))
    x, y, d, e = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    held, n_held = np.empty(room), 0
    table, squares, node = np.empty((room, _NH * _NP)), np.empty(_NH * _NP), np.empty(_NH * _NP)
    grid, power, column, basins = (
        np.empty(_NH * _NP),
        np.empty(_NH * _NP),
        np.empty(_NP),
        np.empty(_STARTS, np.int64),
    )
    for c in order:
        row = out[c]
        n = _usable(dose, growth, offsets[c], offsets[c + 1], x, y, row)
        if row[0] != FITTED:
            continue
        dd = 0.0
        for i in range(n):
            d[i] = 1.0 - min(max(y[i], 0.0), 1.0)
            dd += d[i] * d[i]
        if not _same(x, n, held, n_held):
            _lay_grid(x, n, grid, power)
            _tabulate(x, n, power, table, squares)
            for i in range(n):
                held[i] = x[i]
            n_held = n
        _scan(d, n, table, squares, node)
        flat = _flat(d, n)
        n_basins = _basins(node, flat, column, basins)
        p, h, stalled = _best_basin(x, d, n, dd, flat, grid, basins[:n_basins], e)
        if stalled:
            row[0] = STALLED
        _describe(x, y, d, n, p, h, e, row)


@njit(cache=True, nogil=True)
def _usable(dose, growth, start, stop, x, y, row):
    """Copy the finite points of one curve in order of dose, and say in row[0] whether it can be
    fitted.
    """
    if stop - start > MOST_POINTS:
        row[0], row[1], row[2], row[15] = TOO_MANY, 0, 0, stop - start
        return 0
    n = 0
    for i in range(start, stop):
        if not (math.isfinite(dose[i]) and math.isfinite(growth[i])):
            continue
        k = n
        while k > 0 and (x[k - 1] > dose[i] or (x[k - 1] == dose[i] and y[k - 1] > growth[i])):
            x[k], y[k] = x[k - 1], y[k - 1]
            k -= 1
        x[k], y[k] = dose[i], growth[i]
        n += 1
    n_doses = 0
    row[0] = FITTED
    for i in range(n):
        n_doses += i == 0 or x[i] != x[i - 1]
        if (x[i] < DOSE_LOW or x[i] > DOSE_HIGH) and row[0] != BAD_DOSE:
            row[0], row[16] = BAD_DOSE, x[i]
        elif (y[i] < GROWTH_LOW or y[i] > GROWTH_HIGH) and row[0] != BAD_DOSE:
            row[0], row[16] = BAD_GROWTH, y[i]
    row[1], row[2], row[15] = n_doses, stop - start - n, n
    if n > 0:
        row[3], row[4] = x[n - 1], x[0]
    if row[0] == FITTED and n_doses < MIN_DOSES:
        row[0] = TOO_FEW if n > 0 else NO_POINTS
    return n


@njit(cache=True, nogil=True)
def _same(x, n, held, n_held):
    if n != n_held:
        return False
    for i in range(n):
        if x[i] != held[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _lay_grid(x, n, grid, power):
    """pec50 of every node for these doses, strong to weak along each row, and 10**(hs * (pec50 -
    strongest dose)).
    """
    low, high, m = x[0], x[n - 1], len(_OUTSIDE)
    step = (high - low) / (_INSIDE - 1)
    for j in range(_NH):
        h, inside = _HS_GRID[j], j * _NP + m
        first, last, factor = (
            10.0 ** (-h * low),
            10.0 ** (h * (PEC50_MAX - low)),
            10.0 ** (h * step),
        )
        grid[inside], power[inside] = low, 1.0
        for k in range(inside + 1, inside + _INSIDE):
            grid[k], power[k] = low + (k - inside) * step, power[k - 1] * factor
        end = power[inside + _INSIDE - 1]
        for k in range(m):
            left, right = inside - 1 - k, inside + _INSIDE + k
            grid[left], power[left] = low - _OUTSIDE[k] / h, _LEFT_OVER[k]
            grid[right], power[right] = high + _OUTSIDE[k] / h, end / _LEFT_OVER[k]
            if grid[left] < 0.0:
                grid[left], power[left] = 0.0, first
            if grid[right] > PEC50_MAX:
                grid[right], power[right] = PEC50_MAX, last


@njit(cache=True, nogil=True, fastmath=_FAST)
def _tabulate(x, n, power, table, squares):
    """u at every node and dose, from 10**(h (p - x)) = 10**(h (p - strongest)) 10**(h (strongest -
    x)).
    """
    for k in range(_NH * _NP):
        squares[k] = 0.0
    for i in range(n):
        for j in range(_NH):
            scale = 10.0 ** (_HS_GRID[j] * (x[0] - x[i]))
            for k in range(j * _NP, (j + 1) * _NP):
                z = power[k] * scale
                u = z / (1.0 + z)
                table[i, k] = u
                squares[k] += u * u


@njit(cache=True, nogil=True, fastmath=_FAST)
def _scan(d, n, table, squares, node):
    """Least sum of squares over the top effect at every node of the grid (up to the constant sum of
    d**2).
    """
    for k in range(_NH * _NP):
        node[k] = 0.0
    for i in range(n):
        effect = d[i]
        for k in range(_NH * _NP):
            node[k] += effect * table[i, k]
    for k in range(_NH * _NP):
        a = min(node[k] / squares[k], 1.0) if squares[k] > 1e-300 else 0.0
        node[k] = a * (a * squares[k] - 2.0 * node[k])


@njit(cache=True, nogil=True, fastmath=_FAST)
def _basins(node, flat, column, basins):
    """Nodes no higher than their eight neighbours, lowest first; returns how many of them `basins`
    now names.

    `flat` is the value on the line hs = 0, the neighbour of the first row. Where a shelf of equal
    nodes is lowest, its first node stands for it.
    """
    found, capacity = 0, len(basins)
    for j in range(_NH):
        row, below, above = j * _NP, min(j + 1, _NH - 1) * _NP, max(j - 1, 0) * _NP
        ceiling = flat if j == 0 else np.inf
        for k in range(_NP):
            column[k] = (
                min(min(node[above + k], ceiling), min(node[row + k], node[below + k])) + _TIE
            )
        for k in range(_NP):
            here = node[row + k]
            if (
                here > column[k]
                or here > column[max(k - 1, 0)]
                or here > column[min(k + 1, _NP - 1)]
            ):
                continue
            if not _shelf(node, j, k):
                found = _insert(node, row + k, basins, found, capacity)
    return found


@njit(cache=True, nogil=True)
def _insert(node, k, basins, found, capacity):
    """Keep `basins` sorted by value while node k goes in; the highest falls out of a full list."""
    at = found
    while at > 0 and node[basins[at - 1]] > node[k]:
        if at < capacity:
            basins[at] = basins[at - 1]
        at -= 1
    if at < capacity:
        basins[at] = k
    return min(found + 1, capacity)


@njit(cache=True, nogil=True)
def _shelf(node, j, k):
    """Whether an earlier neighbour of node (j, k) is as low."""
    here = node[j * _NP + k] + _TIE
    if k > 0 and node[j * _NP + k - 1] <= here:
        return True
    if j > 0:
        for i in range(max(k - 1, 0), min(k + 2, _NP)):
            if node[(j - 1) * _NP + i] <= here:
                return True
    return False


@njit(cache=True, nogil=True)
def _flat(d, n):
    """Best flat line hs = 0, growth (1 + einf) / 2, as a node of the grid: its sum of squares less
    that of d.
    """
    mean = 0.0
    for i in range(n):
        mean += d[i] / n
    a = min(2.0 * mean, 1.0)
    return n * a * (0.25 * a - mean)


@njit(cache=True, nogil=True)
def _falls(x, d, n):
    """Whether the effect grows with the strength of the dose, so that some slope above 0 is better
    than none.
    """
    covariance, mean = 0.0, 0.0
    for i in range(n):
        mean += x[i] / n
    for i in range(n):
        covariance += (x[i] - mean) * d[i]
    return covariance < 0.0


@njit(cache=True, nogil=True)
def _best_basin(x, d, n, dd, flat, grid, basins, e):
    """Take basins to their floors, lowest node first, and return the lowest floor (ties: the
    smallest slope).
    """
    middle = min(0.5 * (x[0] + x[n - 1]), PEC50_MAX)
    best, p_best, h_best, stalled = dd + flat, middle, 0.0, False
    for k in basins:
        p, h, f, steps = _descend(x, d, n, dd, min(grid[k], PEC50_MAX), _HS_GRID[k // _NP], best, e)
        if f < best - _TIE or (f < best + _TIE and h < h_best):
            p_best, h_best, stalled = p, h, steps >= _STEPS
        best = min(best, f)
    if h_best == 0.0 and _falls(x, d, n):  # a slope too small for the grid
        for k in (0, _NP - 1):
            p, h, f, steps = _descend(x, d, n, dd, min(grid[k], PEC50_MAX), 1e-3, best, e)
            if f < best - _TIE:
                best, p_best, h_best, stalled = f, p, h, steps >= _STEPS
    if h_best == 0.0:  # a flat line has no half-effect dose: name the middle of the doses
        p_best = middle
    return p_best, h_best, stalled


@njit(cache=True, nogil=True, fastmath=_FAST)
def _sums(x, d, n, p, h, e):
    """Sums over the doses from which the sum of squares and its derivatives follow, for any top
    effect.

    With t = ln(10) (q + h z), z = p - x and q = 0: u = 1 / (1 + exp(-t)), its derivative v, its
    second derivative w.
    """
    for i in range(n):
        e[i] = math.exp(_LN10 * h * (x[i] - p))
    ud, uu, dv, uv, dvz, uvz, vv, vvz, vvzz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    dw, uw, dwz, uwz, dwzz, uwzz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
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


@njit(cache=True, nogil=True)
def _value(sums, dd):
    """Sum of squares with the best top effect within 0 to 1, and whether that effect is below its
    bound.
    """
    ud, uu = sums[0], sums[1]
    if ud < uu:
        return dd - ud * ud / uu, True
    return dd - 2.0 * ud + uu, False


@njit(cache=True, nogil=True)
def _slopes(sums, free):
    """Gradient and Hessian of the sum of squares in (q, h), the top effect following freely or held
    at 1.

    In q and h the logistic argument is linear, so the long valleys of these problems, where dose
    and top effect trade off, are straight; in (pec50, hs) they bend and a Newton iteration crawls
    along them.
    """
    ud, uu, dv, uv, dvz, uvz, vv, vvz, vvzz, dw, uw, dwz, uwz, dwzz, uwzz = sums
    a = ud / uu if free else 1.0
    rq, rh = dv - a * uv, dvz - a * uvz
    hqq = a * (a * vv - (dw - a * uw))
    hqh = a * (a * vvz - (dwz - a * uwz))
    hhh = a * (a * vvzz - (dwzz - a * uwzz))
    if free:
        mq, mh = a * uv - rq, a * uvz - rh
        hqq -= mq * mq / uu
        hqh -= mq * mh / uu
        hhh -= mh * mh / uu
    g, c = -2.0 * a * _LN10, 2.0 * _LN10 * _LN10
    return g * rq, g * rh, c * hqq, c * hqh, c * hhh


@njit(cache=True, nogil=True)
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
        scale = 1.0 / math.sqrt(
            max(hqq * hqq + 2.0 * hqh * hqh + hhh * hhh + 2.0 * abs(det), 1e-60)
        )
        hqq, hqh, hhh = (
            (hqq * hqq + hqh * hqh + abs(det)) * scale,
            hqh * (hqq + hhh) * scale,
            (hhh * hhh + hqh * hqh + abs(det)) * scale,
        )
    shift = 1e-12 * (hqq + hhh) + 1e-30
    hqq, hhh = hqq + shift, hhh + shift
    det = hqq * hhh - hqh * hqh
    sq, sh = (hqh * gh - hhh * gq) / det, (hqh * gq - hqq * gh) / det
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


@njit(cache=True, nogil=True)
def _move(p, h, sq, sh, t):
    """The point a share t along a step; monotone in t, so inside the box when the whole step is."""
    h_new = min(max(h + t * sh, 0.0), HS_MAX)
    return (min(max(p + t * sq / h_new, 0.0), PEC50_MAX) if h_new > 0.0 else p), h_new


@njit(cache=True, nogil=True)
def _descend(x, d, n, dd, p, h, target, e):
    """Bounded Newton iteration from (p, h) to the floor of its basin, given up where that will lie
    above `target`.
    """
    sums = _sums(x, d, n, p, h, e)
    f, free = _value(sums, dd)
    t, steps, noise = 1.0, 1, 4e-16 * dd + 1e-18
    sq, sh, fall = _step(p, h, _slopes(sums, free))
    while steps < _STEPS and t * fall > noise:
        p_new, h_new = _move(p, h, sq, sh, t)
        new = _sums(x, d, n, p_new, h_new, e)
        f_new, free_new = _value(new, dd)
        steps += 1
        if f_new > f and free and not free_new and t == 1.0:
            # The floor may lie where the top effect is at its bound, across a kink of the Hessian:
            # step along it.
            hq, hh, _ = _step(p, h, _slopes(sums, False))
            p_held, h_held = _move(p, h, hq, hh, 1.0)
            held = _sums(x, d, n, p_held, h_held, e)
            f_held, free_held = _value(held, dd)
            steps += 1
            if f_held < f:
                p_new, h_new, new, f_new, free_new, fall = (
                    p_held,
                    h_held,
                    held,
                    f_held,
                    free_held,
                    np.inf,
                )
        if f_new > f + noise:
            t *= 0.25
            continue
        p, h, sums, f, free = p_new, h_new, new, f_new, free_new
        if (t == 1.0 and fall <= _FLOOR) or f - 30.0 * fall > target:
            break
        t = 1.0
        sq, sh, fall = _step(p, h, _slopes(sums, free))
    return (p, h, f, steps) if steps < _STEPS else _at_rest(x, d, n, dd, p, h, f, e)


@njit(cache=True, nogil=True)
def _at_rest(x, d, n, dd, p, h, f, e):
    """Where a descent only crawls, the floor of the bound it leans on, if that is a floor of the
    box.

    A Newton step in (q, h) that leaves the box through h = 0 may have to leave it through a bound
    of pec50 as well, and halving it then leads nowhere; a plateau can fall off ever more slowly
    towards a bound. Along it there is one parameter left.
    """
    sums = _sums(x, d, n, p, h, e)
    outwards = -_slopes(sums, _value(sums, dd)[1])[0]
    ends = (PEC50_MAX if outwards > 0.0 else 0.0, h), (p, HS_MAX)
    for vary_h in (True, False):
        at_p, at_h = ends[0] if vary_h else ends[1]
        at_p, at_h, value, push = _along(x, d, n, dd, at_p, at_h, vary_h, e)
        held = push * outwards <= 0.0 if vary_h else push <= 0.0
        if held and value <= f + 4e-16 * dd + 1e-18:
            return at_p, at_h, value, 0
    return p, h, f, _STEPS


@njit(cache=True, nogil=True)
def _along(x, d, n, dd, p, h, vary_h, e):
    """Bracketed Newton iteration in one parameter; returns the point, its value and the slope
    across (NaN: no rest).
    """
    low, high = 0.0, HS_MAX if vary_h else PEC50_MAX
    for _ in range(_STEPS):
        sums = _sums(x, d, n, p, h, e)
        value, free = _value(sums, dd)
        gq, gh, hqq, _, hhh = _slopes(sums, free)
        here, slope, bend = (h, gh, hhh) if vary_h else (p, gq * h, hqq * h * h)
        low, high = (low, here) if slope > 0.0 else (here, high)
        new = here - slope / bend if bend > 0.0 else -1.0
        new = new if low <= new <= high else 0.5 * (low + high)
        if abs(slope * (new - here)) <= 1e-2 * _FLOOR:
            return p, h, value, gq if vary_h else gh
        p, h = (p, new) if vary_h else (new, h)
    return p, h, value, np.nan


@njit(cache=True, nogil=True)
def _describe(x, y, d, n, p, h, e, row):
    """Write parameters, standard errors and goodness of fit of the chosen optimum into its row."""
    sums = _sums(x, d, n, p, h, e)
    a = min(sums[0] / sums[1], 1.0) if sums[1] > 1e-300 else 0.0
    mean_d, mean_y, f, residual, total, flat = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        mean_d += d[i]
        mean_y += y[i]
    mean_d, mean_y = mean_d / n, mean_y / n
    for i in range(n):
        effect = a / (1.0 + e[i])
        f += (d[i] - effect) ** 2
        residual += (y[i] - 1.0 + effect) ** 2
        total += (y[i] - mean_y) ** 2
        flat += (d[i] - mean_d) ** 2
    row[5], row[6], row[7], row[8], row[14] = 1.0 - a, p, h, f, flat
    row[13] = 1.0 - residual / total if total > 1e-24 * n else np.nan
    _standard_errors(x, n, a, p, h, f, residual, e, row)


@njit(cache=True, nogil=True)
def _standard_errors(x, n, a, p, h, f, residual, e, row):
    """Asymptotic standard errors from QR factors of the Jacobian; NaN where the points do not
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
            for column in range(9, 13):
                row[column] = np.nan
            return
        for i in range(n):
            jac[k, i] /= r[k, k]
    s = math.sqrt(f / (n - 3))
    i11, i22, i33 = 1.0 / r[0, 0], 1.0 / r[1, 1], 1.0 / r[2, 2]
    i12, i23 = -r[0, 1] * i11 * i22, -r[1, 2] * i22 * i33
    i13 = (r[0, 1] * r[1, 2] * i22 - r[0, 2]) * i11 * i33
    row[9] = s * math.sqrt(i11 * i11 + i12 * i12 + i13 * i13)
    row[10] = s * math.sqrt(i22 * i22 + i23 * i23)
    row[11] = s * i33
    if a > 0.5 and h > 0.0:  # delta method for ic50 = pec50 - log10(0.5 / (0.5 - einf)) / hs
        ge, gh = -1.0 / (_LN10 * (a - 0.5) * h), math.log10(0.5 / (a - 0.5)) / (h * h)
        row[12] = math.sqrt(residual / (n - 3)) * math.sqrt(
            (ge * i11) ** 2 + (ge * i12 + i22) ** 2 + (ge * i13 + i23 + gh * i33) ** 2
        )


@njit(cache=True, nogil=True)
def _dot(rows, j, k, n):
    total = 0.0
    for i in range(n):
        total += rows[j, i] * rows[k, i]
    return total
