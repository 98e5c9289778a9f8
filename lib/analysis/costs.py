"""What a cutoff costs: a regressor's call of responders at any cutoff, priced for two uses.

The paper's closing request (its section 3): a false positive wastes a patient's treatment, a false
negative misses a lead in a virtual screen, and the cutoff of a regressor can be moved after
training. A curve over all cutoffs shows what each use gains over calling nobody, and whether the
mean effects alone gain as much.
"""

import numpy as np
import pandas as pd

from lib.analysis import headline, provenance
from lib.paper import RESPONDER
from lib.sweep.metrics import MIN_CLASS

# Cost of a false positive and of a false negative, in units of the cheaper error; the ratio is an
# assumption.
USES = {"precision medicine": (5.0, 1.0), "virtual screen": (1.0, 5.0)}
PREDICTORS = (headline.NETWORK, "mean_effects")
COLUMNS = ["cutoff", "tpr", "fpr", "balanced_accuracy", *USES, "reason", "n", "n_responders"]
COLUMNS += "split predictor recipe members".split()
AT = np.linspace(0.1, 1.0, 91)  # cutoffs of the prediction [AUC]


def curves(ledger, best):
    """Cost curves of headline predictors over all studies, from the predictions kept.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions.
    best : DataFrame
        `headline.headline`, with `members`.

    Returns
    -------
    DataFrame
        split, predictor, the columns of `cost_curve`, n, n_responders, reason (a predictor with too
        few of a class has one row and this), recipe, members; empty where the sweep kept no
        predictions.
    """
    use = next(iter(USES))
    parts = []
    for row, rows in headline.kept_rows(ledger, best[best.predictor.isin(PREDICTORS)]):
        table = priced(rows).assign(split=row.split, predictor=row.predictor)
        recipe = dict(kind="cost", metric=use, study="All")
        parts.append(provenance.addressed(table, use, row.members, ["cutoff"], **recipe))
    return provenance.joined(parts, COLUMNS)


def priced(rows):
    """`cost_curve` of one predictor with n, n_responders and reason; rows have y and p."""
    n_pos = int((rows.y <= RESPONDER).sum())
    n_neg = len(rows) - n_pos
    if min(n_pos, n_neg) < MIN_CLASS:
        reason = (
            f"n too small for a cost curve: {n_pos} responders and {n_neg} non-responders, "
            "10 of each needed"
        )
        curve = pd.DataFrame([dict(reason=reason)], columns=["cutoff", *USES, "reason"])
    else:
        curve = cost_curve(rows.y, rows.p).assign(reason="")
    return curve.assign(n=len(rows), n_responders=n_pos)


def cost_curve(y, p):
    """Error rates and costs of calling a responder at every cutoff of the prediction.

    Parameters
    ----------
    y, p : array_like of shape (n,)
        Measured and predicted AUC. A responder is measured at or below 0.5, as in the paper.

    Returns
    -------
    DataFrame
        cutoff, tpr, fpr, balanced_accuracy, and one column per use of USES: cost per row, over the
        cost of the cheaper of calling nobody and calling everybody (below 1 the predictor earns
        something).
    """
    p = np.asarray(p, float)
    responder = np.asarray(y, float) <= RESPONDER
    positive = np.sort(p[responder])
    negative = np.sort(p[~responder])
    tpr = np.searchsorted(positive, AT, side="right") / len(positive)
    fpr = np.searchsorted(negative, AT, side="right") / len(negative)
    frame = pd.DataFrame({"cutoff": AT, "tpr": tpr, "fpr": fpr})
    frame["balanced_accuracy"] = (tpr + 1 - fpr) / 2
    for use, (false_positive, false_negative) in USES.items():
        everybody = false_positive * len(negative)
        nobody = false_negative * len(positive)
        frame[use] = (everybody * fpr + nobody * (1 - tpr)) / min(everybody, nobody)
    return frame
