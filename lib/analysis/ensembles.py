"""Scores of the best network, seed averages and top-k ensembles, beside ridge, boosted trees and
mean effects.

Every choice is made by inner rows within each fold of each repeat, every score is read on the same
test rows, and intervals draw whole lines (unseen cell lines) or drugs (unseen drugs) anew.
"""

import pandas as pd

from lib.analysis import (
    clusters,
    configurations,
    contrasts,
    headline,
    predictions,
    provenance,
    statistics,
)
from lib.analysis.configurations import PLACE
from lib.analysis.percentiles import SPLITS
from lib.sweep import metrics, packing

BEST = "best network"
SEEDS = "seeds of the best network, averaged"
FITTED = ("ridge", "boosted_trees")  # baselines whose predictions a sweep may keep
BESIDE = ("mean_effects", *FITTED)
SCORES = "r2 gain nr2 rmse pearson npearson balanced_accuracy mcc".split()
COLUMNS = ["arm", "split", "study", "predictor", *SCORES]
COLUMNS += (
    "gain_low gain_high over_low over_high over over_p baseline n n_drugs n_cells n_units "
    "n_networks n_repeats reason recipe members"
).split()
KEY = "split arm predictor study drug_id cell_id".split()


def table(ledger, best, k, n_draws, wider=None):
    """Scores of single networks and of means of networks, by split and study.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions, or of a packed sweep.
    best : DataFrame
        `headline.headline`: its baselines are those compared with.
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
        n_drugs, n_cells, n_units (lines or drugs), n_networks (most averaged in a fold), n_repeats
        (of the folds; sums are means over them), reason, recipe, members. Empty where the sweep
        kept no predictions.
    """
    known = packing.packed_sums(ledger.packed, "ensembles")
    known = sums(ledger, best, k) if known is None else known
    parts = []
    for split, arm, runs in chosen(ledger, best, k):
        own = known[(known.split == split) & (known.arm == arm)]
        own = own[own.predictor.isin([*runs, "mean_effects"])]
        if len(own):
            facts = dict(split=split, arm=arm)
            parts.append(_of_arm(ledger, own, runs, facts, n_draws, wider).assign(**facts))
    return provenance.joined(parts, COLUMNS)


def chosen(ledger, best, k):
    """Split, arm and the runs of each predictor by its name, in the repeats that the arm has."""
    for facts, own in headline.data_sets(ledger):
        split = facts["split"]
        beside = best[(best.split == split) & (best.panel == facts["panel"])]
        if beside.empty or split not in SPLITS:
            continue
        for arm, candidates in configurations.networks(own).groupby(configurations.arm(own)):
            runs = choices(ledger, candidates, k)
            here = ledger.runs[ledger.runs.repeat.isin(runs[BEST].repeat)]
            for name in BESIDE:
                members = beside.loc[beside.predictor == name, "members"].explode()
                runs[name] = here[here.run_id.isin(members)]
            runs = {name: own for name, own in runs.items() if len(own)}
            if BEST in runs:
                yield split, arm, runs


def sums(ledger, best, k):
    """Test sums of each predictor in each line or drug, added over repeats.

    Parameters are those of `table`.

    Returns
    -------
    DataFrame
        KEY (one of drug_id and cell_id is ""), `metrics.STATISTICS`; without a predictor whose
        predictions were not kept in every repeat.
    """
    parts = []
    for split, arm, runs in chosen(ledger, best, k):
        found = {
            name: [predictions.of_runs(ledger, part) for _, part in own.groupby("repeat")]
            for name, own in runs.items()
        }
        by = clusters.units_of(split)[0].removesuffix("_id")
        found["mean_effects"] = [rows.assign(p=rows.mean_effects) for rows in found[BEST]]
        for name, rows in found.items():
            if all(map(len, rows)):
                own = pd.concat([predictions.scored(part, [part.p], [name], by) for part in rows])
                parts.append(own.assign(split=split, arm=arm, predictor=name))
    found = provenance.joined(parts, [*KEY, *metrics.STATISTICS])
    return found.groupby(KEY, as_index=False)[metrics.STATISTICS].sum(skipna=False)


def _of_arm(ledger, known, runs, facts, n_draws, wider):
    """Rows of the networks of one arm and of the baselines beside them, by study."""
    split = facts["split"]
    n_repeats = runs[BEST].repeat.nunique()
    factor = (wider and wider(split, n_repeats)) or 1.0
    alone = [name for name in (BEST, *BESIDE) if name in runs]
    exact = {name: configurations.pool_runs(ledger, runs[name]) for name in alone}
    studies = ["All", *sorted(set(known.study))]
    found = pd.concat(
        [_scored(known, name, split, n_repeats, exact, n_draws, factor) for name in studies]
    )
    recipe = dict(kind="ensemble", metric="r2", file="sweep/ensembles.parquet") | facts
    found = provenance.addressed(found.reset_index(), "r2", None, ["study", "predictor"], **recipe)
    found["members"] = found.predictor.map({name: list(own.run_id) for name, own in runs.items()})
    most = {name: own.groupby(PLACE).size().max() for name, own in runs.items()}
    found["n_networks"] = found.predictor.map(most)
    if SEEDS not in runs:
        why = "one seed of each configuration was run"
        found = pd.concat([found, pd.DataFrame([dict(study="All", predictor=SEEDS, reason=why)])])
    return found.assign(n_repeats=n_repeats)


def choices(ledger, candidates, k):
    """Runs that make up each predictor, by inner error within each fold of each repeat.

    Returns
    -------
    dict of str to DataFrame
        BEST, SEEDS (where another seed was run), "best k networks, averaged" (k, or as many as
        each fold has, if these are at least two).
    """
    ranked = configurations.ranked(ledger, candidates)
    ranked["key"] = contrasts.settings_key(ranked, "seed")
    of_fold = ranked.groupby(PLACE)
    siblings = ranked[ranked.key == of_fold.key.transform("first")]
    found = {BEST: of_fold.head(1)}
    if siblings.seed.nunique() > 1:
        found[SEEDS] = siblings
    k = min(k, of_fold.size().min())
    if k > 1:
        found[f"best {k} networks, averaged"] = of_fold.head(k)
    return found


def _scored(known, study, split, n_repeats, exact, n_draws, wider):
    """A row for each predictor on the rows of one study; study and predictor are the index."""
    known = known[(known.study == study) | (study == "All")]
    names, by_unit = clusters.stacked(known, "predictor", clusters.units_of(split)[0])
    table = pd.DataFrame(by_unit.sum(1) / n_repeats, names, metrics.STATISTICS)
    scores = {name: own.set_index("study").loc[study] for name, own in exact.items()}
    table[metrics.UNIT_COUNTS] = scores[BEST][metrics.UNIT_COUNTS].tolist()
    table = metrics.score(table.assign(study=study), split)
    table["reason"] = headline.why_missing(table, ["reason", "reason_50"])
    for name in table.index.intersection(list(scores)):  # predictions may be kept in few digits
        table.loc[name, SCORES] = scores[name][SCORES]
    table = table.join(_intervals(table, by_unit, n_draws, wider))
    return table.reset_index().set_index(["study", "predictor"])


def _intervals(scored, sums, n_draws, wider):
    """Intervals of the gain, and of its difference to the best baseline, over lines or drugs; both
    `wider` by the same factor.
    """
    n_rows = sums[0, :, 0]
    n_units = (n_rows > 0).sum()
    table = pd.DataFrame({"n_units": n_units, "baseline": ""}, scored.index)
    known = scored.index[scored.r2.notna()]
    if known.empty or n_units < statistics.LEAST_UNITS:
        return table
    drawn = clusters.metric_of("gain")(statistics.resampled(sums, n_draws))
    drawn = pd.DataFrame(drawn, columns=scored.index)
    off = drawn[known].quantile([0.025, 0.975]) - scored.gain
    table[["gain_low", "gain_high"]] = (scored.gain + wider * off).T
    best = scored.gain[scored.index.isin(BESIDE)].idxmax()
    for name in known.difference(BESIDE, sort=False):
        over = scored.gain[name] - scored.gain[best]
        test = statistics.unit_test(over, drawn[name] - drawn[best], n_rows, wider)
        numbers = [test[part] for part in ("effect", "low", "high", "p")]
        table.loc[name, "over over_low over_high over_p".split()] = numbers
        table.loc[name, "baseline"] = best
    return table
