"""Rows of the ledger from predictions: `runs`, `scores` and what is kept beside them; networks and
baselines.
"""

import time

import numpy as np
import pandas as pd

from lib import splits
from lib.sweep import baselines, ledger, metrics

SHOWN = "r2 rmse pearson npearson gain balanced_accuracy mcc".split()
NOVELTY = ["study", "rows", "predictor", "n", "n_cells", "n_drugs", *SHOWN, "reason"]


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
    by, chosen = [by] if isinstance(by, str) else list(by), _best_and_baselines(runs)
    rows = scores[(scores.part == "test") & (scores.drug_id == "") & (scores.cell_id == "")]
    joined = rows.merge(chosen[["run_id", "predictor", "split", "fold"]], on="run_id")
    table = metrics.score(metrics.pool(joined, ["predictor", "split", *by]))
    return _in_order(table)[
        ["predictor", *by, "n", "n_cells", "n_drugs", *SHOWN, "reason"]
    ].reset_index(drop=True)


def by_novelty(runs, predictions, rows):
    """Test scores by study and by what is new about the test rows (`splits.novelty`), where
    predictions were kept.

    The training side of a fold is every row that another fold tests.

    Parameters
    ----------
    runs, predictions : DataFrame
        Tables of one shard.
    rows : DataFrame
        The `pairs` table with cell facts; `predictions.row` counts its rows.

    Returns
    -------
    DataFrame
        study, rows, predictor, n, n_cells, n_drugs, the scores and the reason where one is
        withheld.

    Raises
    ------
    ValueError
        For `both_unseen`, whose folds leave rows out.
    """
    if "both_unseen" in set(runs.split):
        raise ValueError(
            "both_unseen has no rows to tell apart: every test row is new in line and drug"
        )
    chosen = _best_and_baselines(runs)
    kept = predictions.astype({"run_id": str}).merge(
        chosen[["run_id", "predictor", "split", "fold"]], on="run_id"
    )
    fold_of = (
        kept.drop_duplicates("row")
        .set_index("row")
        .fold.reindex(range(len(rows)), fill_value=-1)
        .to_numpy()
    )
    parts = []
    for fold, one in kept.groupby("fold"):
        role = np.where(
            fold_of == fold, splits.TEST, np.where(fold_of >= 0, splits.TRAIN, splits.UNUSED)
        )
        p = one.pivot(index="predictor", columns="row", values="p").astype(np.float64)
        for name, is_in in splits.novelty(rows, role).items():
            where = np.flatnonzero(is_in)
            names = [rows[c].to_numpy(object)[where] for c in ("study", "drug_id", "cell_id")]
            y, predicted = rows.auc.to_numpy()[where], p[where]
            base = predicted.loc["mean_effects"].to_numpy()
            part = metrics.score_rows(list(p.index), "test", y, predicted.to_numpy(), base, *names)
            parts.append(part.assign(rows=name, predictor=part.run_id))
    table = _in_order(
        metrics.score(pd.concat(parts, ignore_index=True), split=chosen.split.iloc[0])
    )
    order = {name: i for i, name in enumerate(splits.novelty(rows[:0], np.zeros(0)))}
    table = table.sort_values(
        ["study", "rows"], key=lambda c: c.map(order) if c.name == "rows" else c, kind="stable"
    )
    return table[NOVELTY].reset_index(drop=True)


def _best_and_baselines(runs):
    """Each fold's network of lowest inner loss and every baseline, with the name it has in a
    table.
    """
    is_baseline = runs.model.isin(baselines.BASELINES)
    networks = runs[
        ~is_baseline & runs.status.isin(ledger.SCORED)
    ]  # a diverged run has an inner loss and no score
    best = networks.loc[networks.groupby("fold").inner_loss.idxmin()].assign(
        predictor="best network"
    )
    return pd.concat([best, runs[is_baseline].assign(predictor=runs.model)])


def _in_order(table):
    """The best network first, then the baselines from the cleverest to the simplest."""
    order = ["best network", *baselines.BASELINES[::-1]]
    table = table.astype(dict.fromkeys(("n", "n_cells", "n_drugs"), int))
    return table.sort_values("predictor", key=lambda names: names.map(order.index), kind="stable")


class Scorer:
    """Makes the rows of the ledger from predictions."""

    def __init__(self, problem, rows, keep):
        self.problem, self.rows, self.keep = problem, rows, keep
        self.mean_effects, p = {}, problem
        self.names = [
            np.asarray(n, object)[c]
            for n, c in ((p.studies, p.study), (p.drugs, p.drug), (p.cells, p.cell))
        ]

    def baselines(self, specs):
        """Tables of baselines on one fold."""
        started, fold, role = time.perf_counter(), specs[0].fold, self.problem.role[specs[0].fold]
        predicted = np.stack([baselines.predict(s.model, self.problem, fold) for s in specs])
        bad = [s.model for s, p in zip(specs, predicted, strict=True) if not np.isfinite(p).all()]
        if bad:
            raise ValueError(f"{', '.join(bad)}: predictions are not finite in fold {fold}")
        parts = {
            p: np.flatnonzero(role == r)
            for p, r in (("inner", splits.INNER), ("test", splits.TEST))
        }
        rows = {part: where for part, where in parts.items() if len(where)}
        y, train_rows = self.problem.y, role == splits.TRAIN
        huber = [_huber(y[train_rows] - p[train_rows]) for p in predicted]
        stops = rows.get("inner", rows["test"])
        facts = [
            dict(inner_loss=_huber(y[stops] - p[stops]), train_loss=h)
            for p, h in zip(predicted, huber, strict=True)
        ]
        seconds = (time.perf_counter() - started) / len(specs)
        shared = dict(status="early_stop", reason="closed form", lr_end=0.0)
        shared |= dict.fromkeys(("epochs", "best_epoch", "n_parameters", "n_used"), 0)
        runs = [fact | shared | dict(seconds=seconds) for fact in facts]
        return self._tables(
            specs, runs, rows, {part: predicted[:, where] for part, where in rows.items()}
        )

    def networks(self, trained):
        """Tables of a trained stack; a sample of learning curves goes along (fold 0)."""
        parts = {
            p: rows for p, rows in trained.rows.items() if len(rows) and not self._twice(p, trained)
        }
        frames = self._tables(trained.specs, trained.runs, parts, trained.predicted)
        sampled = [
            (s.run_id, c) for s, c in zip(trained.specs, trained.curves, strict=True) if s.fold == 0
        ]
        curves = [(run, *point) for run, curve in sampled for point in curve]
        frames["curves"] = pd.DataFrame(
            curves, columns=["run_id", "epoch", "train_loss", "inner_loss", "lr"]
        )
        return frames

    def _twice(self, part, trained):
        return (
            part == "inner" and trained.specs[0].selection == "paper"
        )  # the test rows under another name

    def _tables(self, specs, runs, rows, predicted):
        fold, ok = specs[0].fold, [i for i, r in enumerate(runs) if r["status"] != "diverged"]
        if fold not in self.mean_effects:
            self.mean_effects[fold] = baselines.predict("mean_effects", self.problem, fold)
        ids, counts = [specs[i].run_id for i in ok], self._counts(fold)
        scores, frames = [], {"runs": _run_table(specs, [r | counts for r in runs])}
        for part, where in rows.items():
            args = (self.problem.y[where], predicted[part][ok], self.mean_effects[fold][where])
            names = [n[where] for n in self.names]
            units = ["study"] + [u for u in ("drug", "cell") if u in self.keep and part == "test"]
            scores += [
                metrics.score_rows(ids, part, *args, *names, by=unit) for unit in units if ids
            ]
        frames["scores"] = pd.concat(scores, ignore_index=True) if scores else _no_scores()
        if "predictions" in self.keep and ids:
            frames["predictions"] = self._predictions(ids, rows["test"], predicted["test"][ok])
        return frames

    def _counts(self, fold):
        p, names = (
            self.problem,
            dict(n_train=splits.TRAIN, n_inner=splits.INNER, n_test=splits.TEST),
        )
        role = p.role[fold]
        found = {
            name: int((role == which).sum())
            for name, which in (names | {"n_unused": splits.UNUSED}).items()
        }
        test = role == splits.TEST
        return found | dict(
            n_test_cells=len(np.unique(p.cell[test])), n_test_drugs=len(np.unique(p.drug[test]))
        )

    def _predictions(self, ids, where, predicted):
        n, y = len(where), self.problem.y[where].astype(np.float16)
        columns = dict(
            run_id=pd.Categorical(np.repeat(ids, n)),
            row=np.tile(self.rows[where].astype(np.int32), len(ids)),
        )
        return pd.DataFrame(
            columns | dict(y=np.tile(y, len(ids)), p=predicted.astype(np.float16).ravel())
        )


def _huber(error):
    size = np.abs(error)
    return float(np.where(size <= 1, 0.5 * size**2, size - 0.5).mean())


def _run_table(specs, facts):
    rows = []
    for spec, found in zip(specs, facts, strict=True):
        ids = {"run_id": spec.run_id, "configuration": spec.config_id}
        rows.append({**ids, **spec.to_dict(), **found})
    return pd.DataFrame(rows)


def _no_scores():
    text = pd.DataFrame({name: pd.Series(dtype="str") for name in metrics.KEYS})
    return text.assign(
        **{n: pd.Series(dtype=float) for n in [*metrics.STATISTICS, "n_drugs", "n_cells"]}
    )


def failed(specs, reason):
    """Rows of runs that could not be trained."""
    counts = (
        "epochs best_epoch n_parameters n_used n_train n_inner n_test n_unused "
        "n_test_cells n_test_drugs"
    ).split()
    nothing = (
        dict.fromkeys(("inner_loss", "train_loss", "lr_end"), np.nan)
        | dict.fromkeys(counts, 0)
        | {"seconds": 0.0}
    )
    return {
        "runs": _run_table(specs, [dict(status="failed", reason=reason) | nothing] * len(specs)),
        "scores": _no_scores(),
    }
