"""How far profile sources are mixed, and what is left of biology: numbers beside Figure 5.

All of them look at the first principal components. Mixing: silhouette of the sources, LISI
(Korsunsky 2019), kBET (Büttner 2019). Biology: does a line's nearest neighbour in another source
have its cancer type; is it the same line.
"""

import numpy as np
import pandas as pd
from scipy.stats import chi2
from sklearn.decomposition import PCA
from sklearn.metrics import euclidean_distances, silhouette_samples
from sklearn.neighbors import NearestNeighbors

from lib.cells.combat import Combat
from lib.cells.expression import gene_columns
from lib.cells.scaling import SCALINGS, Scaling

N_COMPONENTS = 20
N_NEIGHBOURS = 30  # of LISI and kBET
SCORES = "silhouette lisi kbet type_kept line_kept".split()


def scaled(values, source, train=slice(None)):
    """A panel before and after each scaling.

    Parameters
    ----------
    values : ndarray of shape (n_profiles, n_genes)
    source : array of shape (n_profiles,)
    train : ndarray of bool, shape (n_profiles,), optional
        Profiles to fit on; all of them, the paper's way, by default.

    Returns
    -------
    dict of str to ndarray
        "before", "none", "source", "combat" (not with a single source); gaps filled in all but the
        first.
    """
    made = {"before": values}
    for name in SCALINGS:
        if name != "combat" or len(np.unique(source)) > 1:
            fitted = Scaling(name).fit(values[train], source[train])
            made[name] = fitted.transform(values, source)
    return made


def second_opinion(values, source):
    """Largest difference between our ComBat and PyPI's pycombat; a gap counts as the gene's mean.

    Returns
    -------
    float
        NaN with one source, or where pycombat is not installed.
    """
    if len(np.unique(source)) < 2:
        return np.nan
    try:
        from pycombat import Combat as Peer
    except ImportError:
        return np.nan
    values = _filled(values)
    difference = Combat().fit_transform(values, source) - Peer().fit_transform(values, source)
    return float(np.abs(difference).max())


def components(values, n):
    """Scores of the first principal components.

    Parameters
    ----------
    values : ndarray of shape (n_profiles, n_genes)
        A gap counts as the gene's mean.
    n : int

    Returns
    -------
    scores : ndarray of shape (n_profiles, n)
        Fewer columns for a panel of n or fewer profiles or genes.
    share : ndarray of shape (n,)
        Share of the variance.
    """
    values = _filled(values)
    # ARPACK gives what a full decomposition gives, to 1e-12, in a fifth of its time.
    model = PCA(min(n, min(values.shape) - 1), svd_solver="arpack", random_state=0)
    return model.fit_transform(values), model.explained_variance_ratio_


def _filled(values):
    """Values in which a gap is the mean of its gene."""
    values = np.asarray(values, float)
    return np.where(np.isnan(values), np.nanmean(values, axis=0), values)


def by_panel(panels, cancer_type):
    """`mixing` of every panel before and after each scaling.

    Parameters
    ----------
    panels : dict of str to DataFrame
        See `lib.cells.expression.panels`.
    cancer_type : Series
        By `cell_id`.

    Returns
    -------
    DataFrame
        Index panel and scaling; columns as `mixing`.
    """
    rows = {}
    for name, frame in panels.items():
        source = frame.profile_source.to_numpy(str)
        types = frame.cell_id.map(cancer_type)
        for scaling, values in scaled(frame[gene_columns(frame)].to_numpy(), source).items():
            rows[name, scaling] = mixing(values, source, frame.cell_id, types)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["panel", "scaling"])


def mixing(values, source, cell_id, cancer_type):
    """Mixing of sources and retention of biology.

    Parameters
    ----------
    values : ndarray of shape (n_profiles, n_genes)
    source, cell_id : array of str, shape (n_profiles,)
    cancer_type : array, shape (n_profiles,)
        Missing where unknown.

    Returns
    -------
    dict of str to float
        Missing with a single source. The first three are averaged over sources, so that a small one
        counts as much as a large one. `silhouette` of the sources, -1 to 1: 0 or below is mixed, 1
        is apart. `lisi`: sources among the 30 neighbours, each relative to its share of the panel
        (inverse Simpson index), 0 = one's own only, 1 = every source in its share. `kbet`: share of
        profiles whose neighbourhood has another composition than the panel (chi-squared, 5%).
        `type_kept`: share of profiles whose nearest neighbour in another source, a different line,
        has the same cancer type; averaged over types. `line_kept`: share of the profiles of a line
        in two sources whose nearest neighbour there is the same line.
    """
    source = np.asarray(source)
    cell_id = np.asarray(cell_id)
    if len(np.unique(source)) < 2:
        return dict.fromkeys(SCORES, np.nan)
    distance = euclidean_distances(components(values, N_COMPONENTS)[0])
    lisi, rejected = _neighbourhoods(distance, source)
    silhouette = silhouette_samples(distance, source, metric="precomputed")
    return dict(
        silhouette=_by_group(silhouette, source),
        lisi=_by_group(lisi, source),
        kbet=_by_group(rejected, source),
        type_kept=_type_kept(distance, source, cell_id, pd.Series(cancer_type)),
        line_kept=_line_kept(distance, source, cell_id),
    )


def _by_group(values, group):
    """Mean over groups of their means."""
    return float(pd.Series(values).astype(float).groupby(group).mean().mean())


def _neighbourhoods(distance, source):
    """LISI of each profile's nearest other profiles, and whether kBET rejects their composition."""
    k = min(N_NEIGHBOURS, len(source) - 1)
    search = NearestNeighbors(n_neighbors=k, metric="precomputed").fit(distance)
    near = source[search.kneighbors(return_distance=False)]
    names = np.unique(source)
    shares = (near[..., None] == names).mean(axis=1)
    whole = (source[:, None] == names).mean(axis=0)
    relative = shares / whole  # a source with few profiles cannot fill a neighbourhood
    relative /= relative.sum(axis=1, keepdims=True)
    lisi = (1 / (relative**2).sum(axis=1) - 1) / (len(names) - 1)
    statistic = k * ((shares - whole) ** 2 / whole).sum(axis=1)
    return lisi, statistic > chi2.ppf(0.95, len(names) - 1)


def _type_kept(distance, source, cell_id, cancer_type):
    known = cancer_type.notna().to_numpy()
    types = cancer_type[known].to_numpy(str)
    distance = distance[np.ix_(known, known)]
    source = source[known]
    cell_id = cell_id[known]
    other = (source[:, None] != source) & (cell_id[:, None] != cell_id)
    possible = (other & (types[:, None] == types)).any(axis=1)
    nearest = np.where(other, distance, np.inf).argmin(axis=1)
    return _by_group((types[nearest] == types)[possible], types[possible])


def _line_kept(distance, source, cell_id):
    hits = []
    for name in np.unique(source):
        there = np.flatnonzero(source == name)
        rows = np.flatnonzero((source != name) & np.isin(cell_id, cell_id[there]))
        nearest = there[distance[np.ix_(rows, there)].argmin(axis=1)]
        hits.extend(cell_id[nearest] == cell_id[rows])
    return float(np.mean(hits)) if hits else np.nan
