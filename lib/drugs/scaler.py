"""Scaling of drug descriptors with everything decided on the training drugs of a fold (numpy only).

Which columns are dropped, what fills a gap, the centre, the spread: all come from `fit`, so that a
held-out drug cannot change the features of any other drug. The width never changes: a dropped
column becomes zeros, and matrices of different folds can be stacked.
"""

import numpy as np

MAX_MISSING = 0.2  # Mordred leaves gaps where a descriptor is undefined, as for an absent atom type
MAX_RATIO = 1e4  # RDKit's `Ipc` spans 20 orders of magnitude: after centring, one drug is left
REASONS = ("missing", "extreme", "constant", "duplicated")
BIT_SPREAD = 0.5  # the largest standard deviation a 0/1 column can have
# Standard deviations by which columns that count as equal may differ: they are stored as float32
TOLERANCE = 1e-5


class DescriptorScaler:
    """Filter, fill and standardise descriptor columns.

    A column is dropped as missing when more than `MAX_MISSING` of the training drugs have no finite
    value; as extreme when its largest distance from the median exceeds `MAX_RATIO` times the
    typical (median non-zero) distance; as a duplicate when it equals an earlier one after scaling.

    Parameters
    ----------
    min_varied : int
        A column is dropped as constant when fewer training drugs differ from its median: with 1, a
        column that singles out one drug would be kept, and a network can only learn that drug's
        name from it.
    clip : float
        Scaled values are limited to plus or minus this many standard deviations, also for held-out
        drugs.

    Attributes
    ----------
    keep : ndarray of bool, shape (p,)
    reason : ndarray of str, shape (p,)
        "" for a kept column, else one of `REASONS`; the first that applies, in that order.
    missing : ndarray of float, shape (p,)
        Share of training drugs without a finite value.
    binary : ndarray of bool, shape (p,)
        Columns that hold only 0 and 1 in training.
    median, mean, sd : ndarray of float, shape (p,)
        Fill value, centre and divisor, in the descriptor's own unit.
    low, high : ndarray of float, shape (p,)
        Values outside are clipped, in the descriptor's own unit.

    Notes
    -----
    Fingerprint bits (0/1) are centred on their training frequency and divided by 0.5, never by
    their own standard deviation: a bit that 1 drug in 100 has would become 9.9 for that drug and
    dominate its other features. This way a bit set in half of the drugs has unit variance like any
    descriptor, a rare bit less, and no value exceeds 2.
    """

    def __init__(self, min_varied=2, clip=5.0):
        self.min_varied = min_varied
        self.clip = clip

    def fit(self, x):
        """Learn filters, fills and scales from training drugs.

        Parameters
        ----------
        x : ndarray of shape (n_train, p)
            NaN and infinity count as missing. Drugs without any value are left out of every
            statistic.

        Returns
        -------
        DescriptorScaler
            Itself.

        Raises
        ------
        ValueError
            If fewer than two drugs have any value.
        """
        x = _finite(x)
        x = x[np.isfinite(x).any(axis=1)]
        if len(x) < 2:
            raise ValueError(
                f"scaling needs at least 2 training drugs with descriptors, found {len(x)}"
            )
        self.missing = np.isnan(x).mean(axis=0)
        self.median = _median(x)
        x = np.where(np.isnan(x), self.median, x)
        self.binary = ((x == 0) | (x == 1)).all(axis=0)
        distance = np.abs(x - self.median)
        # smaller distances are float32 rounding
        varied = distance > 1e-6 * np.maximum(np.abs(self.median), 1e-3)
        self.reason = self._simple_reasons(distance, varied)
        self._scale(x)
        self._mark_duplicates((x - self.mean) / self.sd)
        self.keep = self.reason == ""
        return self

    def transform(self, x):
        """Scaled features of any drugs, training or held out.

        Parameters
        ----------
        x : ndarray of shape (n, p)

        Returns
        -------
        ndarray of float32, shape (n, p)
            Dropped columns are 0. A gap becomes the training median. A drug without any value
            becomes all zeros, the average training drug: leave such drugs out beforehand
            (`drug_quality` names them with the reason).
        """
        x = _finite(x)
        if x.shape[1] != len(self.keep):
            raise ValueError(
                f"{x.shape[1]} descriptor columns given, the scaler was fitted on {len(self.keep)}"
            )
        empty = ~np.isfinite(x).any(axis=1)
        x = np.clip(np.where(np.isnan(x), self.median, x), self.low, self.high)
        scaled = np.where(self.keep, (x - self.mean) / self.sd, 0.0)
        scaled[empty] = 0.0
        return scaled.astype(np.float32)

    def fit_transform(self, x):
        """`fit` on the drugs and return them scaled."""
        return self.fit(x).transform(x)

    def _simple_reasons(self, distance, varied):
        typical = _median(np.where(varied, distance, np.nan))
        extreme = varied.any(axis=0) & (distance.max(axis=0) > MAX_RATIO * typical)
        constant = varied.sum(axis=0) < self.min_varied
        found = [self.missing > MAX_MISSING, extreme, constant]
        return np.select(found, REASONS[:3], "").astype("U10")  # room for "duplicated"

    def _scale(self, x):
        self.mean = x.mean(axis=0)
        with np.errstate(over="ignore"):  # an extreme column may overflow; it is dropped
            spread = x.std(axis=0)
        spread[(spread == 0) | ~np.isfinite(spread)] = 1.0
        self.sd = np.where(self.binary, BIT_SPREAD, spread)
        self.low = self.mean - self.clip * self.sd
        self.high = self.mean + self.clip * self.sd

    def _mark_duplicates(self, z):
        """Of columns equal after scaling (up to sign), keep the first.

        Columns that differ by less than a tolerance everywhere have projections on one fixed
        direction that differ by less than tolerance x the direction's absolute sum, so only such
        neighbours in sorted order are compared.
        """
        live = np.flatnonzero(self.reason == "")
        direction = np.random.default_rng(0).normal(size=len(z))
        projection = np.abs(direction @ z[:, live])
        order = np.argsort(projection, kind="stable")
        live = live[order]
        projection = projection[order]
        reach = TOLERANCE * np.abs(direction).sum()
        ends = np.searchsorted(projection, projection + reach, side="right")
        for i, end in enumerate(ends):
            for j in range(i + 1, end):
                if _same(z[:, live[i]], z[:, live[j]]):
                    self.reason[max(live[i], live[j])] = "duplicated"


def _finite(x):
    x = np.array(x, np.float64, ndmin=2)
    x[~np.isfinite(x)] = np.nan
    return x


def _median(x):
    """Median over rows without NaN; 0 for a column without any value."""
    empty = np.isnan(x).all(axis=0)
    return np.nanmedian(np.where(empty, 0.0, x), axis=0)


def _same(a, b):
    return np.abs(a - b).max() < TOLERANCE or np.abs(a + b).max() < TOLERANCE
