"""Compiled least-squares solver for three-parameter Hill curves, one curve at a time over ragged arrays.

Imported late by `lib.hill`, which holds the public functions; this module alone needs numba.

With effect d = 1 - growth, top effect A = 1 - einf and u(x) = 1 / (1 + 10**(-hs * (pec50 - x))) the model is d = A u(x),
so A has a closed form given the other two (variable projection; Golub and Pereyra 1973) and the search is over
(pec50, hs) only: a grid over the whole box finds every basin, a bounded Newton iteration takes each to its floor.
A curve's result depends on its own points alone, sorted, so neither batch, order nor threads change a bit of it.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

PEC50_MAX, HS_MAX = 12.0, 4.0
MIN_DOSES = 4  # three parameters and one degree of freedom
DOSE_LOW, DOSE_HIGH = 1.0, 15.0  # outside: no screen doses at 0.1 M or below 1 fM, so the unit is wrong
GROWTH_LOW, GROWTH_HIGH = -5.0, 10.0
FITTED, TOO_FEW, NO_POINTS, BAD_DOSE, BAD_GROWTH, STALLED = range(6)
COLUMNS = (
    "status n_doses n_unusable dose_weak dose_strong einf pec50 hs sse einf_se pec50_se hs_se ic50_se r2fit sse_flat "
    "n_points offender"
).split()

_LN10 = math.log(10.0)
_HS_GRID = np.array([0.0, 0.1, 0.2, 0.35, 0.55, 0.8, 1.1, 1.5, 2.0, 2.6, 3.2, 4.0])
_PEC50_GRID = np.linspace(0.0, PEC50_MAX, 61)
_NH, _NP = len(_HS_GRID), len(_PEC50_GRID)
_POWER = 10.0 ** np.outer(_HS_GRID, _PEC50_GRID).ravel()  # 10**(hs * pec50) at every node of the grid
_STARTS = 6  # basins taken to their floor per curve
_TIE = 1e-11  # sums of squares closer than this are one optimum; the flattest curve is reported
_FLOOR = 1e-14  # predicted fall of the sum of squares at which a descent is done
_STEPS = 200
_FAST = {"contract", "reassoc", "nsz", "arcp"}  # sums may be vectorised; NaN and infinity keep their meaning


def solve(dose, growth, offsets, threads, chunk=4096):
    """Fit every curve; see `lib.hill.fit` for the meaning of the arguments.

    Returns
    -------
    ndarray of shape (n_curves, len(COLUMNS))
    """
    out = np.full((len(offsets) - 1, len(COLUMNS)), np.nan)
    order = _by_doses(dose, offsets)
    parts = [order[i : i + chunk] for i in range(0, len(order), chunk)]
    if threads == 1 or len(parts) <= 1:
        _solve_some(dose, growth, offsets, order, out)
        return out
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: _solve_some(dose, growth, offsets, part, out), parts))
    return out


def _by_doses(dose, offsets):
    """Order that puts curves of equal dose series together, so that the grid's table is built once for all of them."""
    sizes = np.diff(offsets)
    filled = np.flatnonzero(sizes)
    key = np.zeros(len(sizes))
    if len(filled):
        key[filled] = np.add.reduceat(np.nan_to_num(dose) ** 2, offsets[filled])
    return np.lexsort((key, sizes))


@njit(cache=True, nogil=True, fastmath=_FAST)
def _solve_some(dose, growth, offsets, order, out):
    """Fit the curves named in `order`, each into its own row of `out`."""
    room = 1
    for c in order:
        room = max(room, offsets[c + 1] - offsets[c])
    x, y, d, work = np.empty(room), np.empty(room), np.empty(room), np.empty((3, room))
    held, n_held = np.empty(room), 0
    table, squares = np.empty((room, _NH * _NP)), np.empty(_NH * _NP)
    node, profile, best_h = np.empty(_NH * _NP), np.empty(_NP), np.empty(_NP, np.int64)
    for c in order:
        row = out[c]
        n = _usable(dose, growth, offsets[c], offsets[c + 1], x, y, row)
        if row[0] != FITTED:
            continue
        for i in range(n):
            d[i] = 1.0 - min(max(y[i], 0.0), 1.0)
        if not _same(x, n, held, n_held):
            _tabulate(x, n, table, squares)
            held[:n] = x[:n]
            n_held = n
        _scan(d, n, table, squares, node, profile, best_h)
        p, h, stalled = _best_basin(x, d, n, profile, best_h, work)
        if stalled:
            row[0] = STALLED
        _describe(x, y, d, n, p, h, work, row)


@njit(cache=True, nogil=True)
def _usable(dose, growth, start, stop, x, y, row):
    """Copy the finite points of one curve in order of dose, and say in row[0] whether it can be fitted."""
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
        if x[i] < DOSE_LOW or x[i] > DOSE_HIGH:
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


@njit(cache=True, nogil=True, fastmath=_FAST)
def _tabulate(x, n, table, squares):
    """u at every node and dose; one power per (slope, dose) since 10**(h (p - x)) = 10**(h p) 10**(-h x)."""
    squares[:] = 0.0
    for i in range(n):
        for j in range(_NH):
            scale = 10.0 ** (-_HS_GRID[j] * x[i])
            for k in range(j * _NP, (j + 1) * _NP):
                z = _POWER[k] * scale
                u = z / (1.0 + z)
                table[i, k] = u
                squares[k] += u * u


@njit(cache=True, nogil=True, fastmath=_FAST)
def _scan(d, n, table, squares, node, profile, best_h):
    """Least sum of squares over slope and top effect, for each pec50 of the grid (up to the constant sum of d**2)."""
    node[:] = 0.0
    for i in range(n):
        effect = d[i]
        for k in range(_NH * _NP):
            node[k] += effect * table[i, k]
    for k in range(_NH * _NP):
        a = min(node[k] / squares[k], 1.0) if squares[k] > 1e-300 else 0.0
        node[k] = a * (a * squares[k] - 2.0 * node[k])
    for k in range(_NP):
        profile[k], best_h[k] = node[k], 0
    for j in range(1, _NH):
        for k in range(_NP):
            if node[j * _NP + k] < profile[k]:
                profile[k], best_h[k] = node[j * _NP + k], j


@njit(cache=True, nogil=True)
def _best_basin(x, d, n, profile, best_h, work):
    """Take the lowest basins of the profile to their floors and return the lowest (ties: the smallest slope)."""
    best, p_best, h_best, stalled = np.inf, 0.5 * (x[0] + x[n - 1]), 0.0, False
    for _ in range(_STARTS):
        k = _next_basin(profile)
        if k < 0:
            break
        p, h, f, steps = _descend(x, d, n, _PEC50_GRID[k], _HS_GRID[best_h[k]], work)
        if f < best - _TIE or (f < best + _TIE and h < h_best):
            p_best, h_best, stalled = p, h, steps >= _STEPS
        best = min(best, f)
        _close_basin(profile, k)
    if h_best == 0.0:  # a flat line has no half-effect dose: name the middle of the doses
        p_best = 0.5 * (x[0] + x[n - 1])
    return p_best, h_best, stalled


@njit(cache=True, nogil=True)
def _next_basin(profile):
    """The node with the lowest value that has not been closed, or -1."""
    k = -1
    for i in range(_NP):
        if profile[i] < np.inf and (k < 0 or profile[i] < profile[k]):
            k = i
    return k


@njit(cache=True, nogil=True)
def _close_basin(profile, k):
    """Mark the nodes that run uphill from node k to both sides; what stays open lies beyond a ridge."""
    for step in (-1, 1):
        i, last = k + step, profile[k]
        while 0 <= i < _NP and profile[i] < np.inf and profile[i] >= last - _TIE:
            last = max(last, profile[i])
            profile[i] = np.inf
            i += step
    profile[k] = np.inf


@njit(cache=True, nogil=True, fastmath=_FAST)
def _evaluate(x, d, n, p, h, work):
    """Sum of squares at (pec50, hs) with the best top effect, its gradient and its Hessian.

    Derivatives are in (q, h), where the logistic argument is ln(10) (q + h (p - x)) and q = 0 here: a straight line in
    x, along which the valleys of these problems are straight too; in (p, h) they bend and a Newton iteration crawls.
    """
    u, v = work[0], work[1]
    ud, uu = 0.0, 0.0
    for i in range(n):
        e = math.exp(_LN10 * h * (x[i] - p))
        u[i] = 1.0 / (1.0 + e)
        v[i] = e * u[i] * u[i]
        ud += u[i] * d[i]
        uu += u[i] * u[i]
    free = ud < uu
    a = ud / uu if free else 1.0
    f, rq, rh, uq, uh, jqq, jqh, jhh, cqq, cqh, chh = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        r = d[i] - a * u[i]
        z = p - x[i]
        w = v[i] * (1.0 - 2.0 * u[i])
        vz = v[i] * z
        f += r * r
        rq += r * v[i]
        rh += r * vz
        uq += u[i] * v[i]
        uh += u[i] * vz
        jqq += v[i] * v[i]
        jqh += v[i] * vz
        jhh += vz * vz
        cqq += r * w
        cqh += r * w * z
        chh += r * w * z * z
    c = 2.0 * _LN10 * _LN10
    hqq = c * a * (a * jqq - cqq)
    hqh = c * a * (a * jqh - cqh)
    hhh = c * a * (a * jhh - chh)
    if free:
        mq, mh = a * uq - rq, a * uh - rh
        hqq -= c * mq * mq / uu
        hqh -= c * mq * mh / uu
        hhh -= c * mh * mh / uu
    g = -2.0 * a * _LN10
    return f, a, g * rq, g * rh, hqq, hqh, hhh


@njit(cache=True, nogil=True)
def _step(p, h, gq, gh, hqq, hqh, hhh, damping):
    """Damped Newton step inside the box; a coordinate stays on its bound while the descent leads out of the box."""
    free_p = not ((p <= 0.0 and gq >= 0.0) or (p >= PEC50_MAX and gq <= 0.0))
    free_h = not ((h <= 0.0 and gh >= 0.0) or (h >= HS_MAX and gh <= 0.0))
    sq, sh = 0.0, 0.0
    if free_p and free_h:
        mid, half = 0.5 * (hqq + hhh), math.sqrt(0.25 * (hqq - hhh) ** 2 + hqh * hqh)
        top = max(abs(mid + half), abs(mid - half), 1e-30)
        shift = damping * top + max(0.0, 1e-9 * top - (mid - half)) * (1.0 + 1e-3)
        det = (hqq + shift) * (hhh + shift) - hqh * hqh
        sq = (hqh * gh - (hhh + shift) * gq) / det
        sh = (hqh * gq - (hqq + shift) * gh) / det
    elif free_p:
        sq = -gq / (max(abs(hqq), 1e-30) * (1.0 + damping))
    elif free_h:
        sh = -gh / (max(abs(hhh), 1e-30) * (1.0 + damping))
    h_new = min(max(h + sh, 0.0), HS_MAX)
    p_new = min(max(p + sq / h_new, 0.0), PEC50_MAX) if h_new > 0.0 else p
    return p_new, h_new


@njit(cache=True, nogil=True)
def _descend(x, d, n, p, h, work):
    """Bounded Newton iteration from (p, h) to the floor of its basin."""
    f, a, gq, gh, hqq, hqh, hhh = _evaluate(x, d, n, p, h, work)
    damping = 0.0
    for step in range(_STEPS):
        p_new, h_new = _step(p, h, gq, gh, hqq, hqh, hhh, damping)
        sq, sh = (p_new - p) * h_new, h_new - h
        if p_new == p and sh == 0.0:
            return p, h, f, step
        fall = -(gq * sq + gh * sh + 0.5 * (hqq * sq * sq + 2.0 * hqh * sq * sh + hhh * sh * sh))
        new = _evaluate(x, d, n, p_new, h_new, work)
        if new[0] <= f:
            done = abs(fall) <= _FLOOR and f - new[0] <= _FLOOR and damping < 1e-2
            p, h = p_new, h_new
            f, a, gq, gh, hqq, hqh, hhh = new
            if done:
                return p, h, f, step
            damping = damping * 0.1 if damping > 1e-6 else 0.0
        elif damping > 1e12 or (abs(fall) <= _FLOOR and damping == 0.0):
            return p, h, f, step
        else:
            damping = max(10.0 * damping, 1e-3)
    return p, h, f, _STEPS


@njit(cache=True, nogil=True)
def _describe(x, y, d, n, p, h, work, row):
    """Write parameters, standard errors and goodness of fit of the chosen optimum into its row."""
    f, a, _, _, _, _, _ = _evaluate(x, d, n, p, h, work)
    row[5], row[6], row[7], row[8] = 1.0 - a, p, h, f
    mean_d, mean_y, residual, total, flat = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        mean_d += d[i] / n
        mean_y += y[i] / n
    for i in range(n):
        residual += (y[i] - 1.0 + a * work[0, i]) ** 2
        total += (y[i] - mean_y) ** 2
        flat += (d[i] - mean_d) ** 2
    row[13] = 1.0 - residual / total if total > 0.0 else np.nan
    row[14] = flat
    _standard_errors(x, n, a, p, h, f, work, row)


@njit(cache=True, nogil=True)
def _standard_errors(x, n, a, p, h, f, work, row):
    """Asymptotic standard errors from the Jacobian's QR factors; infinite where the curve leaves them undetermined."""
    jac = np.empty((3, n))
    for i in range(n):
        jac[0, i] = work[0, i]
        jac[1, i] = -a * _LN10 * h * work[1, i]
        jac[2, i] = -a * _LN10 * (p - x[i]) * work[1, i]
    r = np.zeros((3, 3))
    for k in range(3):
        size = math.sqrt(np.sum(jac[k] ** 2))
        for j in range(k):
            r[j, k] = np.sum(jac[j] * jac[k])
            jac[k] -= r[j, k] * jac[j]
        r[k, k] = math.sqrt(np.sum(jac[k] ** 2))
        if r[k, k] <= 1e-12 * size or size < 1e-150:
            row[9:13] = np.inf
            return
        jac[k] /= r[k, k]
    s = math.sqrt(f / (n - 3))
    i11, i22, i33 = 1.0 / r[0, 0], 1.0 / r[1, 1], 1.0 / r[2, 2]
    i12, i23 = -r[0, 1] * i11 * i22, -r[1, 2] * i22 * i33
    i13 = (r[0, 1] * r[1, 2] * i22 - r[0, 2]) * i11 * i33
    row[9] = s * math.sqrt(i11 * i11 + i12 * i12 + i13 * i13)
    row[10] = s * math.sqrt(i22 * i22 + i23 * i23)
    row[11] = s * i33
    if a > 0.5 and h > 0.0:  # delta method for ic50 = pec50 - log10(0.5 / (0.5 - einf)) / hs
        ge, gh = -1.0 / (_LN10 * (a - 0.5) * h), math.log10(0.5 / (a - 0.5)) / (h * h)
        row[12] = s * math.sqrt((ge * i11) ** 2 + (ge * i12 + i22) ** 2 + (ge * i13 + i23 + gh * i33) ** 2)
