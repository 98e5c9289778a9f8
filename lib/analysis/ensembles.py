"""Scores of the best network, seed averages and top-k ensembles, beside ridge, boosted trees and
mean effects.

Every choice is made by inner rows within each fold, every score is read on the same test rows, and
intervals draw whole lines (unseen cell lines) or drugs (unseen drugs) anew.
"""

import numpy as np
import pandas as pd

from lib.analysis import clusters, configurations, contrasts, headline, provenance, statistics
from lib.analysis.percentiles import SPLITS
from lib.sweep import metrics

BEST = "best network"
SEEDS = "seeds of the best network, averaged"
FITTED = ("ridge", "boosted_trees")  # baselines whose predictions a sweep may keep
BESIDE = (*FITTED, "mean_effects")
SCORES = "r2 gain nr2 rmse pearson npearson balanced_accuracy mcc".split()
COLUMNS = ["arm", "split", "study", "predictor", *SCORES]
COLUMNS += (
    "gain_low gain_high over_low over_high over over_p baseline n n_drugs n_cells n_units "
    "n_networks reason recipe members"
).split()


def table(ledger, best, k, n_draws, wider=None):
    """Scores of single networks and of means of networks, by split and study.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions.
    best : DataFrame
        `headline.headline`: its rows are those that are scored, its baselines those compared with.
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
        gain less that of the best baseline) with over_low, over_high, over_p, baseline, n,
        n_drugs, n_cells, n_units (lines or drugs), n_networks (most averaged in a fold),
        reason, recipe, members. Empty where the sweep kept no predictions.
    """
    parts = []
    for facts, own in headline.data_sets(ledger):
        split = facts["split"]
        beside = best[(best.split == split) & (best.panel == facts["panel"])]
        if len(beside) and split in SPLITS:
            own = own[own.repeat == 0]
            for arm, runs in configurations.networks(own).groupby(configurations.arm(own)):
                found = _of_arm(ledger, runs, beside, k, n_draws, wider)
                parts.append(found.assign(arm=arm, split=split))
    return provenance.joined(parts, COLUMNS)


def _of_arm(ledger, candidates, beside, k, n_draws, wider):
    """Rows of the networks of one arm and of the baselines beside them, by study."""
    split = candidates.split.iloc[0]
    held = {len(_held(b, candidates)): b for b in ledger.predicted if b.split == split}
    if not max(held, default=0):
        return pd.DataFrame()
    block = held[max(held)]
    runs = choices(ledger, _held(block, candidates), k)
    predicted = {name: averaged(block, own) for name, own in runs.items()}
    predicted["mean_effects"] = block.table.mean_effects.to_numpy()
    for name in FITTED:
        own = beside.loc[beside.predictor == name, "members"].explode()
        own = ledger.runs[ledger.runs.run_id.isin(own)]
        if 0 < len(own) == len(_held(block, own)):
            runs[name] = own
            predicted[name] = averaged(block, own)
    factor = (wider and wider(split, 1)) or 1.0
    studies = ["All", *sorted(set(block.table.study))]
    found = pd.concat([_scored(block, study, predicted, n_draws, factor) for study in studies])
    exact = beside[beside.predictor.isin(BESIDE)].set_index(["study", "predictor"])
    found.update(exact[SCORES])  # predictions may be kept in few digits
    found = provenance.addressed(found.reset_index(), "r2", None, kind="ensemble", metric="r2")
    found["members"] = found.predictor.map({name: list(own.run_id) for name, own in runs.items()})
    found["recipe"] = found.recipe.where(found.members.notna())
    most = {name: own.fold.value_counts().max() for name, own in runs.items()}
    found["n_networks"] = found.predictor.map(most).fillna(0)
    if SEEDS not in runs:
        reason = "one seed of each configuration was run"
        missing = dict(study="All", predictor=SEEDS, reason=reason)
        found = pd.concat([found, pd.DataFrame([missing])])
    return found


def _held(block, runs):
    """The runs whose predictions a block holds."""
    return runs[runs.configuration.isin(block.configurations)]


def choices(ledger, candidates, k):
    """Runs that make up each predictor, by inner error within each fold.

    Returns
    -------
    dict of str to DataFrame
        BEST, SEEDS (where another seed was run), "best k networks, averaged" (k, or as many as
        each fold has, if these are at least two).
    """
    ranked = configurations.ranked(ledger, candidates)
    best = ranked.groupby("fold").head(1)
    key = contrasts.settings_key(ranked, "seed")
    siblings = ranked[key == key.groupby(ranked.fold).transform("first")]
    found = {BEST: best}
    if siblings.seed.nunique() > 1:
        found[SEEDS] = siblings
    k = min(k, ranked.fold.value_counts().min())
    if k > 1:
        found[f"best {k} networks, averaged"] = ranked.groupby("fold").head(k)
    return found


def averaged(block, runs):
    """Mean prediction of the runs of each fold, for every row of a block: (n_rows,)."""
    p = np.full(len(block.table), np.nan)
    for fold, own in runs.groupby("fold"):
        mine = block.table.fold == fold
        p[mine] = np.mean([block.of(name)[mine] for name in own.configuration], axis=0)
    return p


def _scored(block, study, predicted, n_draws, wider):
    """A row for each predictor on the rows of one study; study and predictor are the index."""
    p = np.stack(list(predicted.values()))
    mine = (block.table.study == study) | (study == "All")
    own = block.table[mine]
    y, mean_effects = (own[name].to_numpy() for name in ("y", "mean_effects"))
    facts = (np.full(len(own), study), own.drug_id, own.cell_id)
    found = metrics.score_rows(list(predicted), "test", y, p[:, mine], mean_effects, *facts)
    found = metrics.score(found, block.split).rename(columns={"run_id": "predictor"})
    found["reason"] = headline.why_missing(found, ["reason", "reason_50"])
    sums, _ = block.sums_of(p, clusters.units_of(block.split)[0], study)
    table = _intervals(found.set_index("predictor"), sums, n_draws, wider)
    return found.join(table, on="predictor").set_index(["study", "predictor"])


def _intervals(scored, sums, n_draws, wider):
    """Intervals of the gain, and of its difference to the best baseline, over lines or drugs."""
    n_rows = sums[0, :, 0]
    n_units = (n_rows > 0).sum()
    table = pd.DataFrame({"n_units": n_units, "baseline": ""}, scored.index)
    known = scored.index[scored.r2.notna()]
    if known.empty or n_units < statistics.LEAST_UNITS:
        return table
    drawn = clusters.metric_of("gain")(statistics.resampled(sums, n_draws))
    drawn = pd.DataFrame(drawn, columns=scored.index)
    table["gain_low"] = drawn[known].quantile(0.025)
    table["gain_high"] = drawn[known].quantile(0.975)
    best = scored.gain[scored.index.isin(BESIDE)].idxmax()
    for name in known.difference(BESIDE, sort=False):
        over = scored.gain[name] - scored.gain[best]
        test = statistics.unit_test(over, drawn[name] - drawn[best], n_rows, wider)
        numbers = [test[part] for part in ("effect", "low", "high", "p")]
        table.loc[name, "over over_low over_high over_p".split()] = numbers
        table.loc[name, "baseline"] = best
    return table
