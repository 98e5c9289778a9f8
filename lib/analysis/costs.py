"""What a cutoff costs: a regressor's call of responders at any cutoff, priced for two uses.

The paper's closing request (its section 3): a false positive wastes a patient's treatment, a false negative misses a
lead in a virtual screen, and the cutoff of a regressor can be moved after training. A curve over all cutoffs shows
what each use gains over calling nobody, and whether a predictor that knows no feature gains as much.
"""

import numpy as np
import pandas as pd

from lib.sweep.metrics import MIN_CLASS

# Cost of a false positive and of a false negative, in units of the cheaper error; the ratio is an assumption.
USES = {"precision medicine": (5.0, 1.0), "virtual screen": (1.0, 5.0)}


def cost_curve(y, p, label_cutoff=0.5, cutoffs=None):
    """Error rates and costs of calling a responder at every cutoff of the prediction.

    Parameters
    ----------
    y, p : array_like of shape (n,)
        Measured and predicted AUC.
    label_cutoff : float
        A responder is measured at or below it (0.5 in the paper).
    cutoffs : array_like, optional
        Of the prediction; 0.1 to 1.

    Returns
    -------
    DataFrame
        cutoff, tpr, fpr, balanced_accuracy, and one column per use of USES: cost per row, over the cost of the
        cheaper of calling nobody and calling everybody (below 1 the predictor earns something).

    Raises
    ------
    ValueError
        With fewer than 10 responders or 10 non-responders.
    """
    y, p = np.asarray(y, float), np.asarray(p, float)
    cutoffs = np.linspace(0.1, 1.0, 91) if cutoffs is None else np.asarray(cutoffs, float)
    responder = y <= label_cutoff
    n_pos, n_neg = int(responder.sum()), int((~responder).sum())
    if min(n_pos, n_neg) < MIN_CLASS:
        raise ValueError(
            f"n too small for a cost curve: {n_pos} responders and {n_neg} non-responders, 10 of each needed"
        )
    called = [
        np.searchsorted(np.sort(p[mask]), cutoffs, side="right") for mask in (responder, ~responder)
    ]
    tpr, fpr = called[0] / n_pos, called[1] / n_neg
    frame = pd.DataFrame(
        dict(cutoff=cutoffs, tpr=tpr, fpr=fpr, balanced_accuracy=(tpr + 1 - fpr) / 2)
    )
    for use, (false_positive, false_negative) in USES.items():
        cost = false_positive * fpr * n_neg + false_negative * (1 - tpr) * n_pos
        frame[use] = cost / min(false_positive * n_neg, false_negative * n_pos)
    return frame


def cost_table(predictions):
    """Cost curves of several predictors.

    Parameters
    ----------
    predictions : dict of str to DataFrame
        Columns y and p on the same rows, by name of the predictor.

    Returns
    -------
    DataFrame
        predictor and the columns of `cost_curve`, n, n_responders; a predictor without enough of a class has one row
        with the reason.
    """
    parts = []
    for name, rows in predictions.items():
        try:
            curve = cost_curve(rows["y"], rows["p"]).assign(reason="")
        except ValueError as error:
            curve = pd.DataFrame([dict(reason=str(error))])
        n_responders = int((rows["y"] <= 0.5).sum())
        parts.append(curve.assign(predictor=name, n=len(rows), n_responders=n_responders))
    columns = ["predictor", "cutoff", *USES, "n", "n_responders", "reason"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
