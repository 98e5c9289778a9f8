"""Scalings of expression profiles and mutation counts, fitted on training rows, applied to any row.

The three scalings of the paper's section 4.2.1, under the names its group's files use. Every one
ends in a z-score per gene, the reading of "unit norm" that the group's code has. A gap is filled
with the mean of its own source in training.
"""

import numpy as np
import pandas as pd

from lib.cells.combat import Combat

SCALINGS = ("none", "source", "combat")
# Training lines that must carry a mutation of a gene: with fewer a network learns the line's name.
MIN_CARRIERS = 3
CLIP = 5.0  # standard deviations; mutation counts have a long tail


class Scaling:
    """One interface for the three scalings.

    Parameters
    ----------
    name : {"none", "source", "combat"}
        `none`: z-score per gene over all sources together, no batch handling. `source`: z-score per
        gene within each source. `combat`: ComBat with the source as batch, then the z-score of
        `none`.

    Attributes
    ----------
    kept_ : ndarray of shape (n_genes,), bool
        False for genes without spread in training (in `source`: in any source), and for genes
        that no training profile of some source has a value of; they become 0.
    """

    def __init__(self, name):
        if name not in SCALINGS:
            raise ValueError(f"scaling must be one of {SCALINGS}, found {name!r}")
        self.name = name
        self.combat = Combat() if name == "combat" else None

    def fit(self, X, source):
        """Learn means, spreads and batch effects.

        Parameters
        ----------
        X : ndarray of shape (n_profiles, n_genes)
            Training profiles; NaN = not measured.
        source : array of shape (n_profiles,)

        Returns
        -------
        Scaling

        Raises
        ------
        ValueError
            If a source has too few profiles for this scaling, or no gene has a value in every
            source.
        """
        X = np.asarray(X, float)
        source = np.asarray(source)
        self.sources_, counts = np.unique(source, return_counts=True)
        groups = [source == name for name in self.sources_]
        self.measured_ = np.all([np.isfinite(X[rows]).any(axis=0) for rows in groups], axis=0)
        if not self.measured_.any():
            raise ValueError(
                f"no gene has a training value in every source ({', '.join(self.sources_)}): leave "
                "a source out"
            )
        X = X[:, self.measured_]
        self.fill_ = np.stack([np.nanmean(X[rows], axis=0) for rows in groups])
        X = self._filled(X, source)
        if self.combat:
            X = self.combat.fit_transform(X, source)
        if self.name == "source" and counts.min() < 2:
            lone = self.sources_.tolist()[counts.argmin()]
            raise ValueError(
                f"source {lone!r} has one training profile, too few for a spread: leave the "
                "source out or use scaling 'none' or 'combat'"
            )
        groups = [X[rows] for rows in groups] if self.name == "source" else [X]
        self.mean_ = np.stack([group.mean(axis=0) for group in groups])
        spread = np.stack([group.std(axis=0) for group in groups])
        varies = (spread > 1e-9 * (1 + np.abs(self.mean_))).all(axis=0)
        self.sd_ = np.where(varies, spread, 1.0)
        self.kept_ = self.measured_.copy()
        self.kept_[self.measured_] = varies
        return self

    def transform(self, X, source):
        """Scale profiles of sources that training held.

        Returns
        -------
        ndarray of shape (n_profiles, n_genes), float32

        Raises
        ------
        ValueError
            For a source that training did not hold.
        """
        source = np.asarray(source)
        unseen = np.setdiff1d(source, self.sources_)
        if self.name != "none" and len(unseen):
            raise ValueError(
                f"source {unseen.tolist()[0]!r} was never seen in training "
                f"({', '.join(self.sources_)}): its scale is unknown; train with profiles of it, "
                "or use scaling 'none'"
            )
        X = np.asarray(X, float)
        whole = np.zeros(X.shape, np.float32)
        X = self._filled(X[:, self.measured_], source)
        if self.combat:
            X = self.combat.transform(X, source)
        place = pd.Index(self.sources_).get_indexer(source) if self.name == "source" else 0
        whole[:, self.measured_] = (X - self.mean_[place]) / self.sd_[place]
        whole[:, ~self.kept_] = 0
        return whole

    def _filled(self, X, source):
        place = pd.Index(self.sources_).get_indexer(source)
        # -1, a source that training did not hold, is filled with the mean of the sources
        fill = np.vstack([self.fill_, self.fill_.mean(axis=0)])
        return np.where(np.isnan(X), fill[place], X)


class MutationScaling:
    """Mutation counts or events as features, fitted on training lines.

    Parameters
    ----------
    kind : {"counts", "binary", "log1p", "rank"}
        `counts` and `binary`: as they are. `log1p`: ln(1 + count). `rank`: share of the training
        lines of the same mutation source with a smaller count, ties half; sources that carry many
        more mutations become comparable.

    Notes
    -----
    Then a z-score per gene, limited to 5 SD. A gene with fewer than 3 carriers in training becomes
    0; so does a gene or line that was not assessed, and one last column tells the assessed lines
    (1) from the others (0).
    """

    KINDS = ("counts", "binary", "log1p", "rank")

    def __init__(self, kind):
        if kind not in self.KINDS:
            raise ValueError(f"snp must be one of {('none', *self.KINDS)}, found {kind!r}")
        self.kind = kind

    def fit(self, X, source):
        """Learn from training lines.

        Parameters
        ----------
        X : ndarray of shape (n_lines, n_genes)
            Counts or 0/1 events, NaN = not assessed.
        source : array of shape (n_lines,)
            Mutation source of each line, "" for a line without one.

        Raises
        ------
        ValueError
            If no training line was assessed.
        """
        X = np.asarray(X, float)
        source = np.asarray(source)
        if not np.isfinite(X).any():
            raise ValueError(
                "no training line has mutations assessed: use snp 'none' or add a mutation table"
            )
        # NaN sorts last
        self.sorted_ = {name: np.sort(X[source == name], axis=0) for name in np.unique(source)}
        levels = self._levels(X, source)
        carriers = (X > 0).sum(axis=0)
        n = np.isfinite(levels).sum(axis=0).clip(min=1)
        self.mean_ = np.nansum(levels, axis=0) / n
        spread = np.sqrt(np.nansum((levels - self.mean_) ** 2, axis=0) / n)
        self.kept_ = (carriers >= MIN_CARRIERS) & (spread > 1e-9)
        self.sd_ = np.where(self.kept_, spread, 1.0)
        return self

    def transform(self, X, source):
        """Scaled features and the column `assessed`.

        Returns
        -------
        ndarray of shape (n_lines, n_genes + 1), float32
        """
        X = np.asarray(X, float)
        scaled = (self._levels(X, np.asarray(source)) - self.mean_) / self.sd_
        scaled = np.where(np.isfinite(scaled) & self.kept_, scaled, 0.0).clip(-CLIP, CLIP)
        return np.column_stack([scaled, np.isfinite(X).any(axis=1)]).astype(np.float32)

    def _levels(self, X, source):
        if self.kind == "log1p":
            return np.log1p(X)
        if self.kind != "rank":
            return X
        ranks = np.full_like(X, np.nan)
        for name, reference in self.sorted_.items():
            ranks[source == name] = _ranks(X[source == name], reference)
        return ranks


def _ranks(X, reference):
    """Share of a sorted reference below each value, ties half; NaN stays NaN. Columns are genes."""
    n = np.isfinite(reference).sum(axis=0)
    ranks = np.full_like(X, np.nan)
    for gene in np.flatnonzero(n):
        column = reference[: n[gene], gene]
        low = np.searchsorted(column, X[:, gene], "left")
        high = np.searchsorted(column, X[:, gene], "right")
        ranks[:, gene] = (low + high) / (2 * n[gene])
    return np.where(np.isnan(X), np.nan, ranks)
