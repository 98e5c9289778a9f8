"""Does a ranking find responders? Enrichment, average precision and BEDROC, beside plain rankings.

Ranked are the held-out pairs of drugs that no network of their fold saw. The plain rankings: the
mean effects alone, and the same with the effect of the nearest training drug, which is how a
chemist would guess. Intervals are percentiles over drugs drawn again with replacement: the rows of
one drug are not independent.
"""

import numpy as np
import pandas as pd

from lib.paper import RESPONDER

SHARES = (0.01, 0.05, 0.10)
ALPHA = 20.0  # of BEDROC: 80% of the score comes from the first 8% of the ranking
RANKINGS = {
    "networks": "predicted",
    "nearest training drug": "neighbour",
    "mean effects": "base",
    "random": "random",
}
METRICS = ("enrichment 1%", "enrichment 5%", "enrichment 10%", "average precision", "BEDROC")
INTERVAL = [0.025, 0.975]
VALUE = ["value", "low", "high"]
GAIN = ["gain", "gain_low", "gain_high"]
TABLE = ["kind", "ranking", "metric", "n_pairs", "n_drugs", "n_responders", *VALUE, *GAIN]


def scores(active):
    """Metrics of a ranking.

    Parameters
    ----------
    active : ndarray of bool, shape (n,)
        Responders in the order of the ranking, best first.

    Returns
    -------
    ndarray of shape (len(METRICS),)
        Enrichment: share of responders among the first 1, 5 or 10%, over their share in all.
        Average precision: mean over responders of the precision down to each. BEDROC (Truchon and
        Bayly 2007): 0 to 1, weighs early ranks. NaN without responders.
    """
    n = len(active)
    total = active.sum()
    if total == 0:
        return np.full(len(METRICS), np.nan)
    found = np.cumsum(active)
    firsts = [max(1, round(share * n)) for share in SHARES]
    enriched = [found[first - 1] / first * n / total for first in firsts]
    place = np.flatnonzero(active) + 1
    precision = (found[place - 1] / place).mean()
    return np.array([*enriched, precision, _bedroc(place / n, total / n, n)])


def _bedroc(place, share, n):
    """From the relative ranks of the responders and their share."""
    uniform = (1 - np.exp(-ALPHA)) / np.expm1(ALPHA / n) / n
    early = np.exp(-ALPHA * place).mean() / uniform
    half = ALPHA / 2
    factor = share * np.sinh(half) / (np.cosh(half) - np.cosh(half - ALPHA * share))
    return early * factor + 1 / (1 - np.exp(ALPHA * (1 - share)))


def table(rows, n_draws=200):
    """Metrics of every ranking, and what the networks add to each.

    Parameters
    ----------
    rows : DataFrame
        Out-of-fold rows with new drugs: kind, drug_id, auc, predicted, neighbour, base.
    n_draws : int
        Draws of drugs for the intervals.

    Returns
    -------
    DataFrame
        kind, ranking, metric, n_pairs, n_drugs, n_responders, value, low, high; gain, gain_low,
        gain_high: the networks' value less this ranking's, on the same draws.
    """
    found = [pd.DataFrame(columns=TABLE)]
    for kind, part in rows[rows.kind.isin(("new drug", "both new"))].groupby("kind", observed=True):
        rng = np.random.default_rng(0)
        part = part.assign(random=rng.random(len(part)))
        drug, names = pd.factorize(part.drug_id)
        n = len(names)
        times = [np.ones(n, int)]  # how often each drug is drawn; first, all as they are
        times += [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(n_draws)]
        active = (part.auc <= RESPONDER).to_numpy()
        counts = {"n_pairs": len(part), "n_drugs": n, "n_responders": int(active.sum())}
        networks = None
        for ranking, column in RANKINGS.items():
            order = np.argsort(part[column].to_numpy(), kind="stable")
            drawn = [scores(np.repeat(active[order], some[drug[order]])) for some in times]
            values = pd.DataFrame(drawn, columns=METRICS)
            networks = values if networks is None else networks
            own = pd.DataFrame({"kind": kind, "ranking": ranking, "metric": METRICS} | counts)
            for draws, columns in ((values, VALUE), (networks - values, GAIN)):
                ends = draws[1:].quantile(INTERVAL)
                own[columns] = pd.concat([draws[:1], ends]).T.to_numpy()
            found.append(own)
    return pd.concat(found[1:] or found, ignore_index=True)


def verdict(table):
    """One sentence per kind and plain ranking, by average precision: better, worse, or not told
    apart.
    """
    lines = []
    metric = "average precision"
    for row in table[(table.metric == metric) & (table.ranking != "networks")].itertuples():
        told = "better than" if row.gain_low > 0 else "worse than" if row.gain_high < 0 else ""
        lines.append(
            f"{row.kind}: networks are {told or 'not told apart from'} {row.ranking} "
            f"({metric} {row.gain:+.3f}, interval {row.gain_low:+.3f} to {row.gain_high:+.3f})"
        )
    return lines
