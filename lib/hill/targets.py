"""What the choice of the target does to the score of a predictor that knows no feature.

An area over 4-10 counts doses that were never tested, and where these begin depends on the drug's
own doses. Where the ranges of a study's drugs differ, such an area tells the drugs apart by their
ranges, and the mean of a drug alone scores higher than on an area over the doses tested.
"""

import numpy as np
import pandas as pd
from sklearn import metrics

from lib import splits
from lib.hill.quality import medians, screened
from lib.paper import RESPONDER

AREAS = {
    "auc": "fixed range, 4–10",
    "auc_common": "common range of a drug's assays",
    "auc1": "tested range of each curve",
}
PUBLISHED = {
    "auc_published_curve": "fixed range, published curve (no plateau)",
    "auc_published_common": "common range, published curve",
    "auc_tested": "tested range, as published",
}
# split -> the column that folds hold apart, the one whose mean is predicted, keys needed
SPLITS = {"on_cell": ("line", "drug", 20), "on_drug": ("drug", "line", 5)}
N_FOLDS = 3
LEAST_CLASS = 10  # responders and others below which there is no class score
METRICS = "r2 rmse pearson balanced_accuracy mcc".split()
COLUMNS = "study target split n n_lines n_drugs sd variance_between".split()
COLUMNS += [*METRICS, "reason"]


def areas_of_fits(fits, donors):
    """The areas of every line and drug over each range.

    Parameters
    ----------
    fits : DataFrame
    donors : Series
        Donor of each cell_id; lines of one donor are one line.

    Returns
    -------
    DataFrame
        study, assay, line, drug, a column for each of AREAS, or of PUBLISHED, that the fits have:
        medians over replicate curves, made as training rows are; rows without one of the areas are
        left out, so that all targets are scored on the same rows.
    """
    names = [name for name in AREAS | PUBLISHED if name in fits and fits[name].notna().any()]
    rows = medians(screened(fits, names[0]), names).dropna(subset=names, ignore_index=True)
    rows = rows.assign(line=rows["cell_id"].map(donors), drug=rows["drug_id"])
    return rows[["study", "assay", "line", "drug", *names]]


def scores_without_features(rows, targets):
    """Scores of the mean of the training rows of a drug (unseen lines) or of a line (unseen drugs).

    Parameters
    ----------
    rows : DataFrame
        study, line, drug and the targets; one study is scored apart from the others. A row without
        a target is left out of that target.
    targets : sequence of str
        Columns, areas between 0 and 1.

    Returns
    -------
    DataFrame
        A row per study, target and split: study, target, split, n, n_lines, n_drugs, sd of the
        target, variance_between (share of its variance that lies between drugs, or between lines
        for unseen drugs), r2, rmse, pearson, balanced_accuracy and mcc (at 0.5) over the test rows
        of all folds, reason (text, where there is no score).

    Notes
    -----
    Three folds of lines or of drugs, as in the sweep. A drug that is in no training row gets the
    mean of all training rows.
    """
    found = []
    for study, own in rows.groupby("study", sort=False, observed=True):
        for target in targets:
            known = own.dropna(subset=[target])
            for split in SPLITS:
                row = dict(study=study, target=target, split=split)
                found.append(row | _scored(known, known[target], split))
    return pd.DataFrame(found, columns=COLUMNS)


def _scored(rows, y, split):
    """Scores of one study, target and split."""
    unseen, seen, least = SPLITS[split]
    row = dict(n=len(rows), n_lines=rows["line"].nunique(), n_drugs=rows["drug"].nunique())
    n_keys = row[f"n_{unseen}s"]
    if n_keys < least:
        return row | dict(reason=f"n too small ({n_keys} {unseen}s)")
    fold = splits.assign_folds(rows[unseen], N_FOLDS)
    predicted = np.empty(len(rows))
    for k in range(N_FOLDS):
        train = y[fold != k]
        means = train.groupby(rows[seen]).mean()
        predicted[fold == k] = rows.loc[fold == k, seen].map(means).fillna(train.mean())
    own_mean = y.groupby(rows[seen], observed=True).transform("mean")
    row |= dict(
        sd=y.std(ddof=0),
        variance_between=1 - ((y - own_mean) ** 2).mean() / y.var(ddof=0),
        r2=metrics.r2_score(y, predicted),
        rmse=metrics.root_mean_squared_error(y, predicted),
        pearson=np.corrcoef(y, predicted)[0, 1],
    )
    classes = (y <= RESPONDER, predicted <= RESPONDER)
    if classes[0].value_counts().reindex([True, False], fill_value=0).min() < LEAST_CLASS:
        return row | dict(reason=f"fewer than {LEAST_CLASS} responders or others")
    row["balanced_accuracy"] = metrics.balanced_accuracy_score(*classes)
    return row | dict(mcc=metrics.matthews_corrcoef(*classes), reason="")
