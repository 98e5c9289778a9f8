"""ComBat: empirical-Bayes removal of batch effects, fitted on some samples and applied to others.

Written from the equations of Johnson, Li and Rabinovic (Biostatistics 2007, section 3 and supplement A), with the
conventions of R's `sva::ComBat` where the paper leaves a choice: the variances of priors and batches divide by n - 1,
the pooled variance divides by n, the iteration stops on the change relative to the *signed* old value, a gene that is
flat within any batch passes through unchanged, and one batch of a single sample turns the whole fit to mean-only.

The model of gene g, sample i of batch k, covariates c_i:

    x_ig = alpha_g + c_i beta_g + gamma_kg + delta_kg * noise,     noise ~ N(0, sigma_g^2)

Everything the estimate needs per batch and gene is a mean and a sum of squared residuals, so the data are read twice
and never copied whole; the correction of a batch is then one scale and one shift per gene.
"""

import numpy as np

ROWS = 8  # samples per block: a block of 19,000 genes stays in the processor's cache
GENES = 64  # genes per block of the non-parametric weights (GENES x n_genes doubles)
MAX_ITERATIONS = 10_000


class Combat:
    """Batch correction with `fit` on training samples and `transform` on any sample of a known batch.

    Parameters
    ----------
    parametric : bool
        Normal and inverse-gamma priors (iterated), or the empirical distribution of the genes themselves.
    mean_only : bool
        Correct location only; chosen automatically when a batch has one sample (see `mean_only_`).
    reference : label, optional
        A batch that stays as it is and to which the others are moved.
    unseen : {"refuse", "estimate"}
        A batch that training did not hold: refused, or, with a `reference`, estimated against it from the samples given
        to `transform`. Under a reference the batches do not inform each other, so this equals a joint fit.
    tolerance : float
        Relative change at which the iteration stops; sva's 1e-4.

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
        Whether only the location was corrected.
    """

    def __init__(
        self, parametric=True, mean_only=False, reference=None, unseen="refuse", tolerance=1e-4
    ):
        if unseen not in ("refuse", "estimate"):
            raise ValueError(f"unseen must be 'refuse' or 'estimate', found {unseen!r}")
        if unseen == "estimate" and reference is None:
            raise ValueError(
                "unseen='estimate' needs a reference batch: name one with reference=..."
            )
        self.parametric, self.mean_only, self.reference = parametric, mean_only, reference
        self.unseen, self.tolerance = unseen, tolerance

    def fit(self, X, batch, covariates=None):
        """Estimate batch effects.

        Parameters
        ----------
        X : array of shape (n_samples, n_genes)
            Finite, on a log-like scale.
        batch : array of shape (n_samples,)
        covariates : array of shape (n_samples, n_covariates), optional
            Numbers (code a category as 0/1 columns) whose effect is kept; no intercept column.

        Returns
        -------
        Combat

        Raises
        ------
        ValueError
            For a missing value, a single batch, no batch with two samples, an unknown or one-sample reference, a
            covariate that batch explains, or fewer than two genes that vary within every batch.
        """
        X, batch, covariates = _checked(X, batch, covariates)
        self.levels_, code = np.unique(batch, return_inverse=True)
        rows = [np.flatnonzero(code == k) for k in range(len(self.levels_))]
        sizes = np.array([len(r) for r in rows])
        self._check_batches(sizes)
        means, squares, varies, self.beta_ = _moments(X, rows, covariates)
        self.kept_ = varies[sizes > 1].all(axis=0)
        if self.kept_.sum() < 2:
            raise ValueError(
                f"ComBat needs at least 2 genes that vary within every batch, found {int(self.kept_.sum())} of "
                f"{X.shape[1]}; drop the flat genes or the flat batch"
            )
        self.mean_only_ = bool(self.mean_only or (sizes == 1).any())
        self._standardise(means, squares, sizes)
        effects = [self._effect(m, s, n) for m, s, n in zip(means, squares, sizes, strict=True)]
        self.gamma_, self.delta_ = (np.array(values) for values in zip(*effects, strict=True))
        if self.reference is not None:
            k = self._reference_index()
            self.gamma_[k], self.delta_[k] = 0.0, 1.0
        return self

    def transform(self, X, batch, covariates=None):
        """Correct samples with the effects that were fitted.

        Parameters
        ----------
        X, batch, covariates
            As in `fit`; the same genes and covariates in the same order.

        Returns
        -------
        ndarray of shape (n_samples, n_genes)

        Raises
        ------
        ValueError
            For a batch that training did not hold (unless `unseen="estimate"`), a missing value, or other genes.
        """
        X, batch, covariates = _checked(X, batch, covariates)
        self._check_transform(X, covariates)
        corrected = np.empty_like(X)
        for level in np.unique(batch).tolist():
            rows = np.flatnonzero(batch == level)
            gamma, delta = self._level_effect(level, X, rows, covariates)
            self._apply(X, corrected, rows, gamma, delta, covariates)
        return corrected

    def fit_transform(self, X, batch, covariates=None):
        """`fit`, then `transform` of the same samples."""
        return self.fit(X, batch, covariates).transform(X, batch, covariates)

    def _check_batches(self, sizes):
        if len(sizes) < 2:
            raise ValueError(
                f"ComBat needs at least 2 batches, found only {self.levels_.tolist()[0]!r}; use scaling 'source'"
            )
        if sizes.max() < 2:
            raise ValueError(
                "ComBat needs at least one batch of 2 samples: every batch here has one sample"
            )
        if self.reference is None:
            return
        if self.reference not in self.levels_.tolist():
            raise ValueError(
                f"reference {self.reference!r} is no batch of the training samples: {_names(self.levels_)}"
            )
        if sizes[self._reference_index()] < 2:
            raise ValueError(
                f"reference {self.reference!r} has one sample: choose a batch of at least 2 samples"
            )

    def _reference_index(self):
        return self.levels_.tolist().index(self.reference)

    def _standardise(self, means, squares, sizes):
        if self.reference is None:
            self.mean_, self.variance_ = (
                sizes / sizes.sum() @ means,
                squares.sum(axis=0) / sizes.sum(),
            )
        else:
            k = self._reference_index()
            self.mean_, self.variance_ = means[k], squares[k] / sizes[k]

    def _effect(self, mean, square, n):
        """Shrunken location and variance ratio of one batch: two arrays of shape (n_genes,)."""
        keep = self.kept_
        located = (mean - self.mean_)[keep] / np.sqrt(self.variance_[keep])
        spread = square[keep] / self.variance_[keep]
        gamma, delta = np.zeros(keep.shape), np.ones(keep.shape)
        if self.parametric and self.mean_only_:
            prior = located.var(ddof=1)
            gamma[keep] = (prior * located + located.mean()) / (prior + 1)
        elif self.parametric:
            gamma[keep], delta[keep] = _iterate(located, spread, n, self.tolerance)
        else:
            gamma[keep], delta[keep] = _integrate(located, spread, n, self.mean_only_)
        return gamma, delta

    def _level_effect(self, level, X, rows, covariates):
        known = self.levels_.tolist()
        if level in known:
            return self.gamma_[known.index(level)], self.delta_[known.index(level)]
        if self.unseen == "refuse":
            raise ValueError(
                f"batch {level!r} was never seen in training ({_names(self.levels_)}): its effect is unknown; fit with "
                "samples of it, or choose a reference batch and unseen='estimate'"
            )
        if len(rows) == 1 and not self.mean_only_:
            raise ValueError(
                f"unseen batch {level!r} has one sample, too few for a variance: fit with mean_only=True"
            )
        mean, square, varies, _ = _moments(X, [rows], covariates, self.beta_)
        gamma, delta = self._effect(mean[0], square[0], len(rows))
        flat = ~varies[0] if len(rows) > 1 else np.zeros(len(gamma), bool)
        return np.where(flat, 0.0, gamma), np.where(flat, 1.0, delta)

    def _check_transform(self, X, covariates):
        if X.shape[1] != len(self.mean_):
            raise ValueError(
                f"ComBat was fitted on {len(self.mean_)} genes, found {X.shape[1]}: give the same genes"
            )
        if covariates.shape[1] != len(self.beta_):
            raise ValueError(
                f"ComBat was fitted with {len(self.beta_)} covariate(s), found {covariates.shape[1]}: give the same"
            )

    def _apply(self, X, corrected, rows, gamma, delta, covariates):
        # x* = (x - m - sd gamma) / sqrt(delta) + m with m = alpha + c beta is x scale + shift + c beta (1 - scale);
        # gamma 0 and delta 1 give x back to the last bit, as a reference batch and a flat gene need.
        scale = 1 / np.sqrt(delta)
        shift = self.mean_ * (1 - scale) - np.sqrt(self.variance_) * gamma * scale
        for block in _blocks(rows):
            values = X[block] * scale
            values += shift
            if covariates.shape[1]:
                values += covariates[block] @ (self.beta_ * (1 - scale))
            corrected[block] = values


def _iterate(located, spread, n, tolerance):
    """Posterior modes under the normal and inverse-gamma priors, by the paper's alternating equations.

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
    centre, width = located.mean(), located.var(ddof=1)
    m, v = ratio.mean(), ratio.var(ddof=1)
    gamma, delta = located, ratio
    for _ in range(MAX_ITERATIONS):
        new_gamma = (width * n * located + delta * centre) / (width * n + delta)
        # (sum2 / 2 + b) / (n / 2 + a - 1) with a = 2 + m^2 / v and b = m + m^3 / v, times v / v so that v may be 0
        sum2 = spread + n * (located - new_gamma) ** 2
        new_delta = (sum2 / 2 * v + m * v + m**3) / ((n / 2 + 1) * v + m**2)
        change = max(_relative(new_gamma, gamma), _relative(new_delta, delta))
        gamma, delta = new_gamma, new_delta
        if change <= tolerance:
            return gamma, delta
    raise ValueError(
        f"ComBat did not converge in {MAX_ITERATIONS} iterations (change {change:.3g}); raise tolerance"
    )


def _relative(new, old):
    # sva divides by the signed old value, so negative ones never hold the iteration back
    return np.max(np.abs(new - old) / np.where(old == 0, np.finfo(float).tiny, old))


def _integrate(located, spread, n, mean_only):
    """Posterior means with the other genes' estimates as the prior; log weights, so that no likelihood underflows.

    Parameters and returns as `_iterate`.
    """
    ratio = np.ones_like(spread) if mean_only else spread / (n - 1)
    gamma, delta = np.empty_like(located), np.empty_like(located)
    constant, half = -n / 2 * np.log(ratio), -0.5 / ratio
    for start in range(0, len(located), GENES):
        own = np.arange(start, min(start + GENES, len(located)))
        weights = (
            located[own, None] - located
        )  # (GENES, n_genes); in place from here, as time goes into memory traffic
        np.square(weights, out=weights)
        weights *= n
        weights += spread[
            own, None
        ]  # sum of squares of gene `own` about the location of every other gene
        weights *= half
        weights += constant
        weights[np.arange(len(own)), own] = -np.inf
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        total = weights.sum(axis=1)
        gamma[own], delta[own] = weights @ located / total, weights @ ratio / total
    return gamma, delta


def _moments(X, batches, covariates, beta=None):
    """Means at zero covariates, sums of squared residuals and whether a gene varies, per batch.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_genes)
    batches : list of ndarray
        Row numbers of each batch.
    covariates : ndarray of shape (n_samples, n_covariates)
    beta : ndarray of shape (n_covariates, n_genes), optional
        Slopes to use; estimated within batches when not given.

    Returns
    -------
    means, squares, varies : ndarray of shape (n_batches, n_genes)
    beta : ndarray of shape (n_covariates, n_genes)
    """
    raw = np.stack(
        [sum(X[block].sum(axis=0) for block in _blocks(rows)) / len(rows) for rows in batches]
    )
    centred = covariates.astype(float, copy=True)
    for rows in batches:
        centred[rows] -= centred[rows].mean(axis=0)
    beta = _slopes(X, batches, centred) if beta is None else beta
    squares, varies = np.zeros_like(raw), np.zeros(raw.shape, bool)
    for k, rows in enumerate(batches):
        first = X[rows[0]]
        for block in _blocks(rows):
            values = X[block]
            varies[k] |= (values != first).any(axis=0)
            values -= raw[k]
            if beta.shape[0]:
                values -= centred[block] @ beta
            squares[k] += np.einsum("ij,ij->j", values, values)
    offsets = np.stack([covariates[rows].mean(axis=0) for rows in batches])
    return raw - offsets @ beta, squares, varies, beta


def _slopes(X, batches, centred):
    # Least squares with one intercept per batch equals least squares on what is centred within batches (Frisch-Waugh).
    if not centred.shape[1]:
        return np.zeros((0, X.shape[1]))
    if np.linalg.matrix_rank(centred) < centred.shape[1]:
        raise ValueError(
            "a covariate is constant, repeated, or determined by batch, so its effect cannot be told from the batch's: "
            "remove it"
        )
    return np.linalg.solve(centred.T @ centred, centred.T @ X)


def _blocks(rows):
    return (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))


def _checked(X, batch, covariates):
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or not X.size:
        raise ValueError(
            f"X must be samples x genes with at least one of each, found shape {X.shape}"
        )
    if not np.isfinite(X.sum()) and not np.isfinite(X).all():
        sample, gene = np.argwhere(~np.isfinite(X))[0]
        raise ValueError(
            f"ComBat needs a finite value for every gene: found {int((~np.isfinite(X)).sum())} missing or infinite, "
            f"first {X[sample, gene]} in sample {sample}, gene {gene}; impute on training samples or drop the gene"
        )
    batch = np.asarray(batch)
    if batch.shape != (len(X),):
        raise ValueError(
            f"batch must have one label per sample: found shape {batch.shape} for {len(X)} samples"
        )
    missing = [i for i, label in enumerate(batch.tolist()) if label is None or label != label]
    if missing:
        raise ValueError(
            f"the batch of sample {missing[0]} is missing ({len(missing)} such samples): name its source"
        )
    covariates = (
        np.zeros((len(X), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    )
    covariates = covariates[:, None] if covariates.ndim == 1 else covariates
    if len(covariates) != len(X) or not np.isfinite(covariates).all():
        raise ValueError(
            f"covariates must be finite numbers, one row per sample: found shape {covariates.shape}"
        )
    return X, batch, covariates


def _names(levels):
    return ", ".join(map(str, levels))
