"""Rows of the ledger from predictions: `runs`, `scores` and what is kept beside them; networks and
baselines.
"""

import functools
import time

import numpy as np
import pandas as pd

from lib import splits
from lib.sweep import baselines, ledger, metrics

SHOWN = "r2 rmse pearson npearson gain balanced_accuracy mcc".split()
COUNTS = ["n", "n_cells", "n_drugs"]
NOVELTY = ["study", "rows", "predictor", *COUNTS, *SHOWN, "reason"]
# The best network first, then the baselines from the cleverest to the simplest.
PREDICTORS = ["best network", *baselines.BASELINES[::-1]]
PARTS = {"inner": splits.INNER, "test": splits.TEST}
ROLES = {"n_train": splits.TRAIN, "n_inner": splits.INNER, "n_test": splits.TEST}
ROLES["n_unused"] = splits.UNUSED
SIZES = "epochs best_epoch n_parameters n_used".split()


def best_beside_baselines(runs, scores, by=()):
    """Test scores, all folds together, of each fold's network of lowest inner loss and of every
    baseline.

    Parameters
    ----------
    runs, scores : DataFrame
        Tables of one shard (one split).
    by : str or sequence of str
        Columns of `scores` to keep apart, for example "study".

    Returns
    -------
    DataFrame
        predictor, `by`, n, n_cells, n_drugs, the scores, and the reason where one is withheld; the
        best network comes first.
    """
    by = [by] if isinstance(by, str) else list(by)
    rows = scores[(scores.part == "test") & (scores.drug_id == "") & (scores.cell_id == "")]
    joined = rows.merge(_best_and_baselines(runs), on="run_id")
    table = metrics.score(metrics.pool(joined, ["predictor", "split", *by]))
    table = table.astype(dict.fromkeys(COUNTS, int))
    table = table.sort_values("predictor", key=_place, kind="stable", ignore_index=True)
    return table[["predictor", *by, *COUNTS, *SHOWN, "reason"]]


def by_novelty(runs, predictions, rows):
    """Test scores by study and by what is new about the test rows (`splits.novelty`), where
    predictions were kept.

    The training side of a fold is every row that another fold tests.

    Parameters
    ----------
    runs, predictions : DataFrame
        Tables of one shard that holds out studies.
    rows : DataFrame
        The `pairs` table with cell facts; `predictions.row` counts its rows.

    Returns
    -------
    DataFrame
        study, rows, predictor, n, n_cells, n_drugs, the scores and the reason where one is
        withheld.
    """
    kept = predictions.astype({"run_id": str}).merge(_best_and_baselines(runs), on="run_id")
    tested = np.full(len(rows), -1)
    tested[kept.row] = kept.fold
    parts = []
    for fold, one in kept.groupby("fold"):
        role = np.select([tested == fold, tested >= 0], [splits.TEST, splits.TRAIN], splits.UNUSED)
        p = one.pivot(index="predictor", columns="row", values="p").astype(np.float64)
        p = p.sort_index(key=_place)
        for name, is_in in splits.novelty(rows, role).items():
            own = rows[is_in]
            names = [own[column].to_numpy(object) for column in ("study", "drug_id", "cell_id")]
            predicted = p[own.index]
            base = predicted.loc["mean_effects"].to_numpy()
            facts = own.auc.to_numpy(), predicted.to_numpy(), base, *names
            part = metrics.score_rows(list(p.index), "test", *facts)
            parts.append(part.assign(rows=name, predictor=part.run_id))
    table = metrics.score(pd.concat(parts, ignore_index=True), "study_out")
    return table.astype(dict.fromkeys(COUNTS, int))[NOVELTY]


def _place(names):
    return names.map(PREDICTORS.index)


def _best_and_baselines(runs):
    """Each fold's network of lowest inner loss and every baseline: run_id, predictor (its name in a
    table), split, fold.
    """
    is_baseline = runs.model.isin(baselines.BASELINES)
    # a diverged run has an inner loss and no score
    networks = runs[~is_baseline & runs.status.isin(ledger.SCORED)]
    best = networks.loc[networks.groupby("fold").inner_loss.idxmin()]
    named = [best.assign(predictor="best network"), runs[is_baseline].assign(predictor=runs.model)]
    return pd.concat(named)["run_id predictor split fold".split()]


class Scorer:
    """Makes the rows of the ledger from predictions."""

    def __init__(self, problem, rows, keep):
        self.problem = problem
        self.rows = rows
        self.keep = keep
        predict = functools.partial(baselines.predict, "mean_effects", problem)
        self.mean_effects = functools.cache(predict)
        self.names = [
            np.asarray(problem.studies, object)[problem.study],
            np.asarray(problem.drugs, object)[problem.drug],
            np.asarray(problem.cells, object)[problem.cell],
        ]

    def baselines(self, specs):
        """Tables of baselines on one fold."""
        started = time.perf_counter()
        fold = specs[0].fold
        y = self.problem.y
        predicted = np.stack([baselines.predict(s.model, self.problem, fold) for s in specs])
        parts = self._parts(fold)
        stops = parts.get("inner", parts["test"])
        train = self.problem.role[fold] == splits.TRAIN
        ended = {"status": "early_stop", "reason": "closed form", "lr_end": 0.0}
        ended |= dict.fromkeys(SIZES, 0)
        ended["seconds"] = (time.perf_counter() - started) / len(specs)
        runs = []
        for p in predicted:
            inner_loss, train_loss = (_huber(y[rows] - p[rows]) for rows in (stops, train))
            runs.append({"inner_loss": inner_loss, "train_loss": train_loss} | ended)
        return self._tables(
            specs, runs, {part: predicted[:, where] for part, where in parts.items()}
        )

    def networks(self, trained):
        """Tables of a trained stack; a sample of learning curves goes along (fold 0)."""
        frames = self._tables(trained.specs, trained.runs, trained.predicted)
        curves = []
        for spec, curve in zip(trained.specs, trained.curves, strict=True):
            curves += [(spec.run_id, *point) for point in curve if spec.fold == 0]
        columns = "run_id epoch train_loss inner_loss lr".split()
        frames["curves"] = pd.DataFrame(curves, columns=columns)
        return frames

    def _parts(self, fold):
        """Rows by part; under `selection: paper` there are none that stop but the test rows."""
        role = self.problem.role[fold]
        found = {part: np.flatnonzero(role == which) for part, which in PARTS.items()}
        return {part: where for part, where in found.items() if len(where)}

    def _tables(self, specs, runs, predicted):
        fold = specs[0].fold
        counts = self._counts(fold)
        frames = {"runs": _run_table(specs, [run | counts for run in runs])}
        scored = [i for i, run in enumerate(runs) if run["status"] != "diverged"]
        if not scored:
            return frames | {"scores": _no_scores()}
        ids = [specs[i].run_id for i in scored]
        base = self.mean_effects(fold)
        parts = self._parts(fold)
        scores = []
        for part, where in parts.items():
            facts = self.problem.y[where], predicted[part][scored], base[where]
            names = [name[where] for name in self.names]
            units = ["study", *(u for u in ("drug", "cell") if u in self.keep and part == "test")]
            scores += [metrics.score_rows(ids, part, *facts, *names, by=unit) for unit in units]
        frames["scores"] = pd.concat(scores, ignore_index=True)
        if "predictions" in self.keep:
            frames["predictions"] = self._predictions(ids, parts["test"], predicted["test"][scored])
        return frames

    def _counts(self, fold):
        role = self.problem.role[fold]
        found = {name: int((role == which).sum()) for name, which in ROLES.items()}
        for name, codes in (("cells", self.problem.cell), ("drugs", self.problem.drug)):
            found[f"n_test_{name}"] = len(np.unique(codes[role == splits.TEST]))
        return found

    def _predictions(self, ids, where, predicted):
        columns = {
            "run_id": pd.Categorical(np.repeat(ids, len(where))),
            "row": np.tile(self.rows[where].astype(np.int32), len(ids)),
            "y": np.tile(self.problem.y[where].astype(np.float16), len(ids)),
            "p": predicted.astype(np.float16).ravel(),
        }
        return pd.DataFrame(columns)


def _huber(error):
    size = np.abs(error)
    return float(np.where(size <= 1, 0.5 * size**2, size - 0.5).mean())


def _run_table(specs, facts):
    rows = [
        {"run_id": spec.run_id, "configuration": spec.config_id} | spec.to_dict() | found
        for spec, found in zip(specs, facts, strict=True)
    ]
    return pd.DataFrame(rows)


def _no_scores():
    numbers = [*metrics.STATISTICS, *metrics.UNIT_COUNTS]
    types = dict.fromkeys(metrics.KEYS, "str") | dict.fromkeys(numbers, float)
    return pd.DataFrame(columns=list(types)).astype(types)


def failed(specs, reason):
    """Rows of runs that could not be trained."""
    facts = {"status": "failed", "reason": reason}
    facts |= dict.fromkeys(("inner_loss", "train_loss", "lr_end"), np.nan)
    facts |= dict.fromkeys((*SIZES, *ROLES, "n_test_cells", "n_test_drugs"), 0)
    facts["seconds"] = 0.0
    return {"runs": _run_table(specs, [facts] * len(specs)), "scores": _no_scores()}
