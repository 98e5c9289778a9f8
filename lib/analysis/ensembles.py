"""Scores of the best network, seed averages and top-k ensembles, beside ridge and mean effects.

Every choice is made by inner rows within each fold, every score is read on the same test rows, and
intervals draw whole lines (unseen cell lines) or drugs (unseen drugs) anew.
"""

import numpy as np
import pandas as pd

from lib.analysis import (
    clusters,
    configurations,
    contrasts,
    headline,
    provenance,
    statistics,
)
from lib.analysis.percentiles import SPLITS
from lib.sweep import metrics

BEST = "best network"
SEEDS = "its seeds, averaged"
BESIDE = ("ridge", "mean_effects")
INTERVALS = ("gain_low", "gain_high", "over_low", "over_high")
SCORES = ("r2", "gain", "nr2", "rmse", "pearson", "npearson", "balanced_accuracy", "mcc")
COUNTS = ("n", "n_drugs", "n_cells")
COLUMNS = ["arm", "split", "study", "predictor", *SCORES, *INTERVALS, "over", "over_p", "baseline"]
COLUMNS += [*COUNTS, "n_units", "n_networks"]
COLUMNS += ["reason", "recipe", "members"]


def table(ledger, best, k, n_draws, wider=None):
    """Scores of single networks and of means of networks, by split and study.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions.
    best : DataFrame
        `headline.headline`: its rows are those that are scored, its ridge is the one compared with.
    k : int
        Networks of the larger mean.
    n_draws : int
        Bootstrap draws of lines or drugs.
    wider : callable, optional
        As for `contrasts.contrast_table`.

    Returns
    -------
    DataFrame
        arm, split, study, predictor, SCORES, gain_low, gain_high (over lines or drugs), `over` (its
        gain less that of the better baseline) with over_low, over_high, over_p, baseline, n,
        n_drugs, n_cells, n_units (lines or drugs), n_networks (most averaged in a fold),
        reason, recipe, members. Empty where the sweep kept no predictions.
    """
    parts = []
    for facts, own in headline.data_sets(ledger):
        beside = best[(best["split"] == facts["split"]) & (best["panel"] == facts["panel"])]
        if len(beside) and facts["split"] in SPLITS:
            own = own[own["repeat"] == 0]
            for arm, runs in configurations.networks(own).groupby(configurations.arm(own)):
                parts += _of_arm(ledger, arm, runs, beside, k, n_draws, wider)
    return provenance.joined(parts, COLUMNS)


def _of_arm(ledger, arm, candidates, beside, k, n_draws, wider):
    """Rows of the networks of one arm and of the baselines beside them."""
    split = candidates["split"].iloc[0]
    wanted = set(candidates["configuration"])
    held = {len(wanted & set(b.configurations)): b for b in ledger.predicted if b.split == split}
    if not max(held, default=0):
        return []
    block = held[max(held)]
    candidates = candidates[candidates["configuration"].isin(block.configurations)]
    runs = choices(ledger, candidates, k)
    predicted = {name: averaged(block, own) for name, own in runs.items() if len(own)}
    predicted["mean_effects"] = block.table["mean_effects"].to_numpy()
    ridge = beside.loc[beside["predictor"] == "ridge", "members"].explode()
    own = ledger.runs[ledger.runs["run_id"].isin(ridge)]
    if len(own) and set(own["configuration"]) <= set(block.configurations):
        runs["ridge"] = own
        predicted["ridge"] = averaged(block, own)
    factor = (wider and wider(split, 1)) or 1.0
    parts = []
    for study in ["All", *sorted(set(block.table["study"]))]:
        exact = beside[beside["study"] == study].set_index("predictor")
        parts += _scored(block, study, predicted, runs, n_draws, factor, exact)
    if runs[SEEDS].empty:
        reason = "one seed of each configuration was run"
        missing = dict(
            split=split,
            study="All",
            predictor=SEEDS,
            reason=reason,
        )
        parts.append(pd.DataFrame([missing]))
    return [part.assign(arm=arm) for part in parts]


def choices(ledger, candidates, k):
    """Runs that make up each predictor, by inner error within each fold.

    Returns
    -------
    dict of str to DataFrame
        BEST, SEEDS (empty where no other seed was run), "best k networks, averaged".
    """
    ranked = configurations.ranked(ledger, candidates)
    best = ranked.groupby("fold").head(1)
    key = contrasts.settings_key(ranked, "seed")
    siblings = ranked[key == key.groupby(ranked["fold"]).transform("first")]
    if siblings["seed"].nunique() < 2:
        siblings = siblings.iloc[:0]
    top = ranked.groupby("fold").head(k)
    return {BEST: best, SEEDS: siblings, f"best {k} networks, averaged": top}


def averaged(block, runs):
    """Mean prediction of the runs of each fold, for every row of a block: (n_rows,)."""
    p = np.full(len(block.table), np.nan)
    for fold, own in runs.groupby("fold"):
        mine = block.table["fold"] == fold
        p[mine] = np.mean([block.of(name)[mine] for name in own["configuration"]], axis=0)
    return p


def _scored(block, study, predicted, runs, n_draws, wider, exact):
    """A table of one row per predictor on the rows of one study; `exact` has the baselines."""
    p = np.stack(list(predicted.values()))
    mine = (block.table["study"] == study) | (study == "All")
    own = block.table[mine]
    y, mean_effects = (own[name].to_numpy() for name in ("y", "mean_effects"))
    facts = (np.full(len(own), study), own["drug_id"], own["cell_id"])
    scored = metrics.score_rows(list(predicted), "test", y, p[:, mine], mean_effects, *facts)
    scored = metrics.score(scored, block.split)
    sums, _ = block.sums_of(p, clusters.units_of(block.split)[0], study)
    scored = _with_intervals(scored, clusters.draws(sums, n_draws), sums[0, :, 0], wider)
    parts = []
    for name, row in scored.groupby("run_id", sort=False):
        label = metrics.single_mechanism(study, row["n_drugs"].iloc[0])
        reasons = dict.fromkeys([*row["reason"], *row["reason_50"], label])
        row = row.assign(split=block.split, study=study, predictor=name, n_networks=0)
        row["reason"] = "; ".join(filter(None, reasons))
        if name in BESIDE and name in exact.index:  # predictions may be kept in few digits
            row[list(SCORES)] = exact.loc[[name], list(SCORES)].to_numpy(float)
        if name in runs:
            row["n_networks"] = runs[name].groupby("fold").size().max()
            ids = list(runs[name]["run_id"])
            row = provenance.addressed(row, "r2", ids, kind="ensemble", metric="r2")
        parts.append(row)
    return parts


def _with_intervals(scored, drawn, n_rows, wider):
    """Intervals of the gain, and of its difference to the better baseline, over lines or drugs."""
    scored = scored.assign(n_units=(n_rows > 0).sum(), baseline="")
    known = scored["r2"].notna() & (scored["n_units"] >= statistics.LEAST_UNITS)
    baselines = scored[scored["run_id"].isin(BESIDE)]
    if not known.any():
        return scored
    gain = clusters.metric_of("gain")(drawn)  # (n_draws, n_predictors)
    scored["gain_low"], scored["gain_high"] = np.quantile(gain, [0.025, 0.975], axis=0)
    best = baselines["gain"].idxmax()
    for i in scored.index.difference(baselines.index):
        effect = scored.loc[i, "gain"] - scored.loc[best, "gain"]
        test = statistics.unit_test(effect, gain[:, i] - gain[:, best], n_rows, wider)
        scored.loc[i, ["over", "over_low", "over_high", "over_p"]] = [
            test[name] for name in ("effect", "low", "high", "p")
        ]
        scored.loc[i, "baseline"] = scored.loc[best, "run_id"]
    numbers = [name for name in (*INTERVALS, "over", "over_p") if name in scored]
    scored.loc[~known, numbers] = np.nan
    return scored
