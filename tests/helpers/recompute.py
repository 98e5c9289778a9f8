"""How each kind of number is made again from `scores` (or predictions, or another table) and its
recipe alone.

Metrics and effects are written out here apart from the modules that made the numbers, so that one
checks the other; bootstrap trees and the transfer between studies are run again with their seeds.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib import paper, tables
from lib.analysis import (
    configurations,
    importances,
    predictions,
    provenance,
    transfer,
)
from lib.hill.quality import areas, screened, training_rows
from lib.sweep import store


def recompute(address, out_dir, work_dir, sweep=None):
    """The number of an address again, from `scores`, predictions or `fits` and its recipe alone."""
    found = provenance.lookup(address, out_dir, work_dir, sweep)
    ledger = _ledger(work_dir, sweep)
    return make(found["recipe"], found["runs"], ledger, work_dir, sweep)


@lru_cache(maxsize=1)
def _ledger(work_dir, sweep):
    return configurations.load(work_dir, sweep)


def make(recipe, runs, ledger, work_dir, sweep=None):
    """The number of a recipe.

    Parameters
    ----------
    recipe : dict
        `kind`, `metric`, `study`, and what belongs to the kind.
    runs : DataFrame
        The runs that the number rests on.
    ledger : configurations.Ledger
    work_dir, sweep : path
        As for `configurations.load`.

    Returns
    -------
    float
    """
    if recipe["kind"] in ("cost", "ensemble", "unit"):
        ledger.predicted = ledger.predicted or _predictions(ledger, work_dir, sweep)
    return float(KINDS[recipe["kind"]](recipe, runs, ledger, Path(work_dir)))


def _predictions(ledger, work_dir, sweep):
    fits = tables.read(Path(work_dir) / "fits.parquet")
    cells = tables.read(Path(work_dir) / "cells.parquet")
    return predictions.load(ledger, work_dir, fits, cells, sweep)


def _rows(recipe, runs, ledger):
    """Test rows of `scores` by study, joined to configuration and fold."""
    own = ledger.scores
    own = own[(own["part"] == "test") & (own["drug_id"] == "") & (own["cell_id"] == "")]
    rows = own.merge(runs[["run_id", "configuration", "fold"]], on="run_id")
    return _of_study(rows, recipe)


def _of_study(rows, recipe):
    study = recipe.get("study", "All")
    return rows if study == "All" else rows[rows["study"] == study]


def _sums(rows, by):
    return (
        rows.drop(columns=["run_id", "part", "study", "drug_id", "cell_id"])
        .groupby(by)
        .sum(numeric_only=True)
    )


def _pool(recipe, runs, ledger, _):
    """The members' statistics added, then one metric."""
    return metric(_rows(recipe, runs, ledger).sum(numeric_only=True), recipe["metric"])


def _merged(recipe, runs, ledger):
    """A metric of each configuration, its folds added."""
    sums = _sums(_rows(recipe, runs, ledger), "configuration")
    return pd.Series({name: metric(row, recipe["metric"]) for name, row in sums.iterrows()})


def _percentile(recipe, runs, ledger, _):
    """A quantile over configurations."""
    return np.nanquantile(_merged(recipe, runs, ledger), recipe["q"])


def _point(recipe, runs, ledger, _):
    """One configuration of those that a figure draws."""
    return _merged(recipe, runs[runs["configuration"] == recipe["configuration"]], ledger).iloc[0]


def _column(recipe, runs, ledger, work_dir):
    """A statistic of a column of another table."""
    frame = pd.read_parquet(work_dir / recipe["file"])
    frame = screened(frame) if recipe["file"] == "fits.parquet" else frame
    values = _of_study(frame, recipe)[recipe["column"]].replace([np.inf, -np.inf], np.nan).dropna()
    known = dict(mean=values.mean, sd=values.std, median=values.median, n=lambda: len(values))
    known |= dict(q25=lambda: values.quantile(0.25), q75=lambda: values.quantile(0.75))
    return known[recipe["statistic"]]()


def _contrast(recipe, runs, ledger, _):
    """An effect of a level: the mean difference of the configurations that differ in it alone."""
    sums = _sums(_rows(recipe, runs, ledger), "configuration")
    scores = pd.Series({key: metric(row, recipe["metric"]) for key, row in sums.iterrows()})
    settings = runs.drop_duplicates("configuration").set_index("configuration")
    text = settings[[c for c in configurations.SPEC if c in settings]].astype(str)
    text = text.replace(r"_draw\d+$", "", regex=True)
    level = text.pop(recipe["factor"])
    text = text.drop(columns=[name for name in recipe["together_with"].split(", ") if name])
    differences = []
    for names in text.groupby(list(text)).groups.values():
        own = scores[names].groupby(level[names]).mean()
        differences.append(own[recipe["level"]] - own[recipe["reference"]])
    return np.mean(differences)


def _test(recipe, runs, ledger, _):
    """The p of one of the paper's tests, on merged configurations."""
    from scipy import stats
    from statsmodels.stats.multicomp import pairwise_tukeyhsd

    scores = _merged(recipe, runs, ledger).dropna()
    levels = (
        runs.drop_duplicates("configuration")
        .set_index("configuration")
        .loc[scores.index, recipe["factor"]]
    )
    levels = levels.astype(str).map(lambda level: paper.published_level(recipe["factor"], level)[0])
    if recipe["test"] == "t-test":
        return stats.ttest_ind(scores[levels == "counts"], scores[levels == "none"]).pvalue
    if recipe["test"] == "ANOVA":
        return stats.f_oneway(*(own for _, own in scores.groupby(levels) if len(own) > 1)).pvalue
    wanted = set(recipe["test"].removeprefix("Tukey HSD: ").split(" vs "))
    found = pairwise_tukeyhsd(scores, levels)
    pairs = [{row[0], row[1]} for row in found.summary().data[1:]]
    return found.pvalues[pairs.index(wanted)]


def _importance(recipe, runs, ledger, _):
    """What shuffling one factor (or one side) costs trees of the same seed."""
    merged = configurations.merge_folds(ledger, runs=runs)
    whole = merged[merged["study"] == "All"]
    factors, n_draws = recipe["factors"], recipe["n_draws"]
    if recipe["kind"] == "side":
        found = importances.jointly(whole, factors, n_draws)
    else:
        found = importances.by_split(whole, factors, recipe["metric"], n_draws)
    return found.set_index("factor").loc[recipe["factor"], "importance"]


def _cost(recipe, runs, ledger, _):
    """Cost per row of the calls at one cutoff, over that of the cheaper of calling nobody and
    everybody.
    """
    from lib.analysis import costs

    rows = predictions.of_runs(ledger, runs)
    responder, called = rows["y"] <= 0.5, rows["p"] <= recipe["cutoff"]
    false_positive, false_negative = costs.USES[recipe["metric"]]
    cost = (
        false_positive * (called & ~responder).sum() + false_negative * (~called & responder).sum()
    )
    return cost / min(false_positive * (~responder).sum(), false_negative * responder.sum())


def _ensemble(recipe, runs, ledger, _):
    """A metric of the mean prediction of the runs of each fold, or of its sums in a packed sweep."""
    if not runs.duplicated(["repeat", "fold"]).any():
        return _pool(recipe, runs, ledger, _)
    path = ledger.packed and ledger.packed / Path(recipe["file"]).name
    if path and path.exists():
        sums = pd.read_parquet(path)
        for name in ("split", "arm", "predictor"):
            sums = sums[sums[name] == recipe[name]]
        return metric(_of_study(sums, recipe).sum(numeric_only=True), recipe["metric"])
    folds = [
        [predictions.of_runs(ledger, runs.loc[[i]]) for i in own.index]
        for _, own in runs.groupby(["repeat", "fold"])
    ]
    means = [members[0].assign(p=np.mean([m["p"] for m in members], axis=0)) for members in folds]
    return _of_rows(pd.concat(means), recipe)


def _unit(recipe, runs, ledger, _):
    """A metric of a predictor on the rows of one line or drug."""
    rows = predictions.of_runs(ledger, runs)
    return _of_rows(rows[rows[recipe["unit"]] == recipe["name"]], recipe)


def _of_rows(rows, recipe):
    rows = _of_study(rows, recipe)
    error = ((rows["y"] - rows["p"]) ** 2).sum()
    total = ((rows["y"] - rows["y"].mean()) ** 2).sum() if recipe["metric"] == "r2" else (
        (rows["y"] - rows["mean_effects"]) ** 2).sum()  # fmt: skip
    return 1 - error / total


def _transfer(recipe, runs, ledger, work_dir):
    """A cell of the matrix of studies: the predictor is fitted again."""
    table = _transfer_table(work_dir).set_index(["model", "trained_on", "tested_on"])
    return table.loc[(recipe["model"], recipe["trained_on"], recipe["tested_on"]), recipe["metric"]]


@lru_cache(maxsize=1)
def _transfer_table(work_dir):
    fits = tables.read(work_dir / "fits.parquet")
    rows = training_rows(fits, target=areas(fits))
    cells = tables.read(work_dir / "cells.parquet")
    return transfer.transfer(store.Store(work_dir), rows, cells)


KINDS = dict(
    pool=_pool, percentile=_percentile, point=_point, column=_column, contrast=_contrast, test=_test,
    importance=_importance, side=_importance, cost=_cost, ensemble=_ensemble, unit=_unit, transfer=_transfer,
)  # fmt: skip


def metric(s, name):
    """A metric from sums, written out apart from lib.sweep.metrics so that one checks the other."""
    if name.startswith(("balanced_accuracy", "mcc")):
        cutoff = "30" if name.endswith("_30") else "50"
        tp, fp, tn, fn = (s[f"{kind}_{cutoff}"] for kind in ("tp", "fp", "tn", "fn"))
        if name.startswith("balanced_accuracy"):
            return (tp / (tp + fn) + tn / (tn + fp)) / 2
        margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return (tp * tn - fp * fn) / margins**0.5 if margins > 0 else 0.0
    spread = s["sum_yy"] - s["sum_y"] ** 2 / s["n"]
    normalised = s["nsum_yy"] - s["nsum_y"] ** 2 / s["n"]
    return {
        "rmse": lambda: (s["sum_se"] / s["n"]) ** 0.5,
        "r2": lambda: 1 - s["sum_se"] / spread,
        "nr2": lambda: 1 - s["sum_se"] / normalised,
        "gain": lambda: 1 - s["sum_se"] / s["nsum_yy"],
        "pearson": lambda: _correlation(s, ""),
        "npearson": lambda: _correlation(s, "n"),
    }[name]()


def _correlation(s, kind):
    y, yy, p, pp, yp = (s[f"{kind}sum_{name}"] for name in ("y", "yy", "p", "pp", "yp"))
    return (yp - y * p / s["n"]) / ((yy - y * y / s["n"]) * (pp - p * p / s["n"])) ** 0.5
