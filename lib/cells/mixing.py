"""How far profile sources are mixed, and what is left of biology: numbers to stand beside the PCA of Figure 5.

All of them look at the first principal components. Mixing: silhouette of the sources, LISI (Korsunsky 2019), kBET
(Büttner 2019). Biology: does a line's nearest neighbour in another source have its cancer type; is it the same line.
"""

import numpy as np
import pandas as pd

from lib.cells.combat import Combat
from lib.cells.scaling import SCALINGS, Scaling


def scaled(values, source, train=None):
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
        "before", "none", "source", "combat" (not with a single source); gaps filled in all but the first.
    """
    train = np.ones(len(values), bool) if train is None else train
    names = [name for name in SCALINGS if name != "combat" or len(np.unique(source)) > 1]
    fitted = {name: Scaling(name).fit(values[train], source[train]) for name in names}
    return dict(before=values) | {
        name: one.transform(values, source) for name, one in fitted.items()
    }


def second_opinion(values, source):
    """Largest difference between our ComBat and PyPI's pycombat; NaN with one source or where it is not installed."""
    if len(np.unique(source)) < 2:
        return float("nan")
    try:
        from pycombat import Combat as Peer
    except ImportError:
        return float("nan")
    values = np.asarray(values, dtype=float)
    return float(
        np.abs(Combat().fit_transform(values, source) - Peer().fit_transform(values, source)).max()
    )


def components(values, n=20):
    """Scores of the first principal components.

    Parameters
    ----------
    values : ndarray of shape (n_profiles, n_genes)
        A gap counts as the gene's mean.
    n : int

    Returns
    -------
    scores : ndarray of shape (n_profiles, n)
        The sign of a component is such that its largest score is positive.
    share : ndarray of shape (n,)
        Share of the variance.
    """
    centred = np.asarray(values, dtype=float) - np.nanmean(values, axis=0)
    centred[np.isnan(centred)] = 0
    # The smaller of the two cross-products holds the same spectrum and takes a tenth of the time of a full SVD.
    wide = centred.shape[1] > centred.shape[0]
    spectrum, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    spectrum, vectors = spectrum[::-1][:n].clip(min=0), vectors[:, ::-1][:, :n]
    scores = vectors * np.sqrt(spectrum) if wide else centred @ vectors
    largest = np.abs(scores).argmax(axis=0)
    return scores * np.sign(scores[largest, np.arange(scores.shape[1])]), spectrum / (
        centred**2
    ).sum()


def mixing(values, source, cell_id, cancer_type, n_components=20, k=30):
    """Mixing of sources and retention of biology.

    Parameters
    ----------
    values : ndarray of shape (n_profiles, n_genes)
    source, cell_id : array of str, shape (n_profiles,)
    cancer_type : array, shape (n_profiles,)
        Missing where unknown.
    n_components, k : int
        Principal components looked at; neighbours of LISI and kBET.

    Returns
    -------
    dict of str to float
        Missing with a single source. The first three are averaged over sources, so that a small one counts as much as
        a large one. `silhouette` of the sources, -1 to 1: 0 or below is mixed, 1 is apart. `lisi`: sources among the k
        neighbours, each relative to its share of the panel (inverse Simpson index), 0 = one's own only, 1 = every
        source in its share. `kbet`: share of profiles whose neighbourhood has another composition than the panel
        (chi-squared, 5 %). `type_kept`: share of profiles whose nearest neighbour in another source, a different line,
        has the same cancer type; averaged over types. `line_kept`: share of the profiles of a line in two sources whose
        nearest neighbour there is the same line.
    """
    points, _ = components(values, n_components)
    source = np.asarray(source)
    if len(np.unique(source)) < 2:
        return dict.fromkeys(["silhouette", "lisi", "kbet", "type_kept", "line_kept"], float("nan"))
    near = _neighbours(points, min(k, len(points) - 1))
    return dict(
        silhouette=_by_source(_silhouette(points, source), source),
        lisi=_lisi(near, source),
        kbet=_kbet(near, source),
        type_kept=_type_kept(points, source, np.asarray(cell_id), pd.Series(cancer_type)),
        line_kept=_line_kept(points, source, np.asarray(cell_id)),
    )


def sentence(mixed, panel):
    """What `mixing` found on a panel, in words.

    Parameters
    ----------
    mixed : DataFrame
        Index panel and scaling ("before" and the scalings), columns as `mixing` returns.
    panel : str
    """
    rows = mixed.loc[panel].drop("before")
    if rows.silhouette.isna().all():
        return f"Panel {panel} has one source, so there is nothing to mix."
    text = {
        name: ", ".join(f"{value:.2f} ({s})" for s, value in rows[name].dropna().items())
        for name in rows
    }
    found = f"On {panel} the silhouette of the sources is {text['silhouette']}."
    if text["type_kept"]:
        found += f" The nearest neighbour in another source has the same cancer type in {text['type_kept']} of cases"
        found += f" and is the same line in {text['line_kept']}." if text["line_kept"] else "."
    return found


def _by_source(values, source):
    return float(pd.Series(values).astype(float).groupby(source).mean().mean())


def _distances(points):
    squares = (points**2).sum(axis=1)
    return (squares[:, None] + squares - 2 * points @ points.T).clip(min=0)


def _neighbours(points, k):
    """Rows of the k nearest other profiles: (n_profiles, k)."""
    distance = _distances(points)
    np.fill_diagonal(distance, np.inf)
    return np.argpartition(distance, k - 1, axis=1)[:, :k]


def _composition(near, source):
    """Share of each source among the neighbours, and in the panel."""
    names, code = np.unique(source, return_inverse=True)
    shares = np.stack([(code[near] == i).mean(axis=1) for i in range(len(names))], axis=1)
    return shares, np.bincount(code) / len(code)


def _silhouette(points, source):
    """As scikit-learn's `silhouette_samples`, whose import alone takes longer than this."""
    names, code = np.unique(source, return_inverse=True)
    member = np.eye(len(names))[code]
    distance = np.sqrt(_distances(points))
    np.fill_diagonal(distance, 0)
    total, size = distance @ member, member.sum(axis=0)
    rows = np.arange(len(code))
    own = total[rows, code] / np.maximum(size[code] - 1, 1)
    other = np.where(member, np.inf, total / size).min(axis=1)
    return np.where(size[code] > 1, (other - own) / np.maximum(own, other), 0)


def _lisi(near, source):
    shares, whole = _composition(near, source)
    relative = shares / whole  # a source with few profiles cannot fill a neighbourhood
    relative /= relative.sum(axis=1, keepdims=True)
    return _by_source((1 / (relative**2).sum(axis=1) - 1) / (len(whole) - 1), source)


def _kbet(near, source):
    from scipy.stats import chi2

    shares, whole = _composition(near, source)
    statistic = near.shape[1] * ((shares - whole) ** 2 / whole).sum(axis=1)
    return _by_source(statistic > chi2.ppf(0.95, len(whole) - 1), source)


def _type_kept(points, source, cell_id, cancer_type):
    known = cancer_type.notna().to_numpy()
    points, source, cell_id = points[known], source[known], cell_id[known]
    labels = cancer_type[known].to_numpy(dtype=str)
    distance = _distances(points)
    distance[(source[:, None] == source) | (cell_id[:, None] == cell_id)] = np.inf
    possible = np.array(
        [label in labels[row < np.inf] for label, row in zip(labels, distance, strict=True)]
    )
    same = pd.Series(labels[distance.argmin(axis=1)] == labels)[possible]
    return float(same.groupby(labels[possible]).mean().mean())


def _line_kept(points, source, cell_id):
    distance = _distances(points)
    twice = pd.Series(cell_id).duplicated(keep=False).to_numpy()
    hits = [
        cell_id[np.where(source == other, distance[row], np.inf).argmin()] == cell_id[row]
        for row in np.flatnonzero(twice)
        for other in np.unique(source[(cell_id == cell_id[row]) & (source != source[row])])
    ]
    return float(np.mean(hits)) if hits else float("nan")
