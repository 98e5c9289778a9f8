"""Scores for the rare strong responses: the paper's 4 % of rows that a squared error hardly sees.

A responder is a row with AUC at or below a cutoff; a call is a prediction at or below a threshold, so that low
predicted AUC ranks first. These need predictions; scores that follow from sums alone are in lib/sweep/metrics.py.
"""

import numpy as np
import pandas as pd


def prevalence(pairs, cutoff=0.5, by=("study", "drug_id")):
    """Rows, responders and their share, per drug and study or any other grouping.

    Returns
    -------
    DataFrame
        `by`, n, n_responders, prevalence; most frequent responders first.
    """
    grouped = pairs.assign(responder=pairs.auc <= cutoff).groupby(list(by), observed=True).responder
    table = grouped.agg(n="size", n_responders="sum", prevalence="mean").reset_index()
    return table.sort_values(["prevalence", "n"], ascending=False, ignore_index=True)


def tail_rmse(y, p, cutoff=0.5):
    """Root mean squared error over the responders only; NaN where there is none."""
    tail = np.asarray(y) <= cutoff
    return (
        float(np.sqrt(np.mean((np.asarray(y)[tail] - np.asarray(p)[tail]) ** 2)))
        if tail.any()
        else np.nan
    )


def precision_recall(y, p, cutoff=0.5):
    """Precision and recall at every threshold of the prediction, and the average precision.

    Returns
    -------
    DataFrame
        threshold, precision, recall, in order of rising recall; rows of equal prediction share a threshold.
    float
        Average precision: the sum of precision times the gain in recall. A random order has the prevalence.
    """
    y, p = np.asarray(y, float), np.asarray(p, float)
    responder = y <= cutoff
    if not responder.any():
        return pd.DataFrame(columns=["threshold", "precision", "recall"], dtype=float), np.nan
    order = np.argsort(p, kind="stable")
    hits, ranked = np.cumsum(responder[order]), p[order]
    last = np.append(
        np.flatnonzero(np.diff(ranked)), len(ranked) - 1
    )  # the last row of each run of ties
    precision, recall = hits[last] / (last + 1), hits[last] / responder.sum()
    average = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    return pd.DataFrame(dict(threshold=ranked[last], precision=precision, recall=recall)), average


def enrichment(y, p, cutoff=0.5, share=0.01):
    """How many times more responders the top share of predictions holds than a random share would.

    Rows tied at the boundary count in proportion. NaN where there is no responder.
    """
    y, p = np.asarray(y, float), np.asarray(p, float)
    responder = y <= cutoff
    if not responder.any():
        return np.nan
    n_top = max(share * len(y), 1.0)
    boundary = np.sort(p)[int(np.ceil(n_top)) - 1]
    above, tied = p < boundary, p == boundary
    hits = responder[above].sum() + responder[tied].mean() * (n_top - above.sum())
    return float(hits / n_top / responder.mean())


def cost_curve(y, p, cutoff=0.5, costs=((1, 1), (10, 1), (1, 10)), thresholds=None):
    """Cost of calling responders at each threshold of the prediction, for any weighing of the two errors.

    In precision medicine a false call treats a patient in vain; in screening a missed compound is lost.

    Parameters
    ----------
    y, p : ndarray of shape (n_rows,)
    cutoff : float
        AUC at or below which a row is a responder.
    costs : sequence of (float, float)
        Cost of a false call (type I) and of a missed responder (type II).
    thresholds : ndarray, optional
        0 to 1 in steps of 0.01 by default.

    Returns
    -------
    DataFrame
        threshold, type1 and type2 (rates), cost_false, cost_missed, cost (per row), best (the cheapest threshold).
    """
    y, p = np.asarray(y, float), np.asarray(p, float)
    responder = y <= cutoff
    thresholds = np.linspace(0, 1, 101) if thresholds is None else np.asarray(thresholds, float)
    called = p[None] <= thresholds[:, None]
    false, missed = (called & ~responder).mean(1), (~called & responder).mean(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        type1, type2 = false / (~responder).mean(), missed / responder.mean()
    rates = dict(threshold=thresholds, type1=type1, type2=type2)
    parts = [
        pd.DataFrame(rates | dict(cost_false=a, cost_missed=b, cost=a * false + b * missed))
        for a, b in costs
    ]
    return pd.concat(
        [part.assign(best=part.cost == part.cost.min()) for part in parts], ignore_index=True
    )
