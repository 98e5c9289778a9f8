"""What one setting does to the score, all others held: the paper's t-test beside two intervals.

For each level of a factor against its reference, the effect is the mean difference of matched
configurations (the same settings with and without the level). One interval is over repeated folds
(Nadeau and Bengio), one draws whole lines or drugs anew; `lib.analysis.simulation` says which one
keeps its promise, and that one is quoted.
"""

import numpy as np
import pandas as pd

from lib.analysis import clusters, configurations, provenance, statistics
from lib.analysis.configurations import PLACE
from lib.sweep.grid import DEFAULTS

FACTORS = (
    "snp scaling rnaseq_set drug_block null_control model dropout strategy optimizer lr patience "
    "selection scope hidden cohort"
).split()
# The level that the others are compared with, where it is present; otherwise the first in
# alphabetical order.
REFERENCE = {name: level for name, level in DEFAULTS.items() if isinstance(level, str)}
REFERENCE |= dict(scaling="none", cohort="top21")
SCORES = "gain npearson r2 rmse balanced_accuracy mcc".split()
NOT_SCORED = "not scored"
DRAW = r"_draw\d+$"  # further draws of a random level count with the first
COLUMNS = (
    "arm split panel study factor level reference metric together_with effect low high p interval "
    "low_folds high_folds p_folds low_units high_units p_units effect_paper p_paper cohens_d "
    "n_pairs n_units n_repeats n_folds by_repeat reason members"
).split()


def scores_by_run(rows, runs, scores):
    """Test scores of single runs (one fold each).

    Parameters
    ----------
    rows : DataFrame
        Of one study (or "All") of `Ledger.pooled`.
    runs : DataFrame
    scores : sequence of str

    Returns
    -------
    DataFrame
        `runs` with `scores` and `reason`; the minimum-n rule applies to the rows of one fold.
    """
    scored = configurations.pooled_scores(rows, runs, ["run_id", "split"])
    runs = runs.drop(columns="reason")  # why it ended; here: why it has no score
    runs = runs.merge(scored[["run_id", *scores, "reason"]], on="run_id", how="left")
    return runs.fillna({"reason": NOT_SCORED})


def settings_key(rows, *apart):
    """One number per row: rows share it if they differ in no setting but those named in `apart`."""
    settings = rows[configurations.SPEC].drop(columns=list(apart))
    return pd.util.hash_pandas_object(settings, index=False)


def levels(rows, factor, reference):
    """Reference level (as asked, else of REFERENCE, else the first) and the others, as text."""
    found = sorted(rows[factor].astype(str).unique())
    wanted = (reference, REFERENCE.get(factor), found[0])
    first = next(level for level in wanted if level in found)
    return first, [level for level in found if level != first]


def confounded(rows, factor):
    """Settings that each level of a factor fixes, as a learning rate that belongs to an optimizer.

    Their part of the effect cannot be told from the factor's: it is one effect of both, and named
    as such.
    """
    codes = rows[configurations.SPEC].astype(str).apply(lambda setting: pd.factorize(setting)[0])
    n_levels = codes[factor].nunique()
    others = [c for c in codes if c != factor and codes[c].nunique() > 1]
    return [c for c in others if len(codes[[factor, c]].drop_duplicates()) == n_levels]


def weights(rows, factor, level, together):
    """Weights that turn scores of configurations into the mean matched difference of a level.

    Parameters
    ----------
    rows : DataFrame
        One row per configuration, of the level and of its reference.
    factor, level : str
    together : sequence of str
        Settings that go with the factor.

    Returns
    -------
    Series
        By configuration; empty where no settings were run with both levels. Several draws or seeds
        of one level share the weight of their pair.
    """
    side = rows.set_index("configuration")[factor].astype(str) == level
    key = settings_key(rows, factor, *together).set_axis(side.index)
    side = side[side.groupby(key).transform("nunique") == 2]
    key = key[side.index]
    shared = side.groupby([key, side]).transform("size")
    return side.map({True: 1.0, False: -1.0}) / (shared * key.nunique())


def matched_runs(runs, factor, level, reference, together):
    """Runs of the configurations that a level and its reference share, and their weights.

    Parameters
    ----------
    runs : DataFrame
        Runs that have a score, of one arm, split and panel.

    Returns
    -------
    tuple
        (runs, `weights`, sentence on what was left out). Configurations that lack a repeat or fold
        are left out; if that leaves no pair, the repeats and folds that all of them have are taken.
    """
    runs = runs[runs[factor].astype(str).isin([level, reference])]
    rows = runs.drop_duplicates("configuration")
    every = weights(rows, factor, level, together)
    runs = runs[runs.configuration.isin(every.index)]
    n_runs = rows.configuration.map(runs.configuration.value_counts())
    whole = rows[n_runs == len(runs[PLACE].drop_duplicates())]
    kept = every
    if len(whole) < len(every):
        kept = weights(whole, factor, level, together)
    if len(kept) or every.empty:
        left_out = len(every) - len(kept)
        why = f"{left_out} configuration(s) lack a fold, or their partner does: train them (notebook 05)"
        return runs[runs.configuration.isin(kept.index)], kept, why * (left_out > 0)
    n_at = runs.groupby(PLACE)["configuration"].transform("size")
    common = runs[n_at == len(every)]
    missing = sorted(set(runs.repeat) - set(common.repeat)) or sorted(set(runs.repeat))
    why = f"repeat {', '.join(map(str, missing))} lacks a fold of {level} or {reference}"
    return common, every, f"{why} and is left out: train it (notebook 05)"


def _level_rows(rows, runs, at, units, scores, wider):
    """A row of COLUMNS for each score of a level against its reference.

    Parameters
    ----------
    rows : DataFrame
        Of one study (or "All") of `Ledger.pooled`.
    runs : DataFrame
        `scores_by_run` of one arm, split and panel.
    at : dict
        The first eight of COLUMNS but the metric, and `together_with`.
    units : clusters.Units
        Of the split and study. Configurations without scores by line or drug are left out where
        others have them.
    scores : sequence of str
    wider : callable or None
        As in `contrast_table`.
    """
    factor = at["factor"]
    together = [name for name in at["together_with"].split(", ") if name]
    two = factor, at["level"], at["reference"], together
    known = runs.dropna(subset=scores[0])
    own, weight, why = matched_runs(known[known.configuration.isin(units.kept)], *two)
    if weight.empty:
        own, weight, why = matched_runs(known, *two)
    at = at | dict(n_pairs=settings_key(own, factor, *together).nunique())
    if weight.empty:
        reasons = sorted(set(runs.reason) - {"", NOT_SCORED})
        why = "no matched pair" if len(known) else f"no run has a score ({'; '.join(reasons)})"
        return [dict(at, metric=score, reason=why) for score in scores]
    at["n_repeats"] = own.repeat.nunique()
    at["members"] = list(weight.index)
    if len(own) < runs.configuration.isin(weight.index).sum():
        at["members"] = list(own.run_id)
    wider = wider and wider(at["split"], at["n_repeats"])
    whole = configurations.pooled_scores(rows, own, ["configuration", "split"])
    whole = whole.set_index("configuration").loc[weight.index]
    level = runs[factor].astype(str)
    by_level = [
        runs[level == name].groupby("configuration")[list(scores)].mean()
        for name in (at["reference"], at["level"])
    ]
    found = []
    for score in scores:
        row = dict(at, metric=score)
        paper = statistics.t_test(*(scored[score] for scored in by_level))
        row |= dict(effect_paper=paper["effect"], p_paper=paper["p"])
        row["cohens_d"] = paper.get("cohens_d", np.nan)
        row |= _intervals(own, weight, float(weight @ whole[score]), units, score, wider)
        row["reason"] = "; ".join(dict.fromkeys(filter(None, [why, row["reason"]])))
        found.append(row)
    return found


def _intervals(own, weight, effect, units, score, wider):
    """Effect with both intervals; the quoted one stands in low, high and p."""
    by_place = own.pivot(index="configuration", columns=PLACE, values=score)
    by_fold = weight @ by_place.loc[weight.index]
    folds = statistics.fold_t_test(by_fold, 1 / max(own.n_folds.max(), 2), effect)
    quoted = folds
    plain = statistics.result()
    interval = "folds"
    if set(own.configuration) <= units.kept:
        draws = units.deviations(weight, score)
        plain = statistics.unit_test(effect, *draws)
        if wider is not None and np.isfinite(plain["p"]):
            quoted = statistics.unit_test(effect, *draws, wider)
            interval = units.name
    row = dict(effect=effect, interval=interval, reason=quoted["reason"])
    row |= dict(n_folds=folds["n"], n_units=plain["n"])
    for name, found in (("", quoted), ("_folds", folds), ("_units", plain)):
        row |= {f"{end}{name}": found[end] for end in ("low", "high", "p")}
    by_repeat = by_fold.groupby(level="repeat").mean()
    return row | dict(by_repeat=" ".join(f"{effect:.5f}" for effect in by_repeat))


def designs(runs, factors):
    """The runs that tell the effect of each factor, as (factor, arm, split, panel, runs).

    Networks on real features (the null control itself may be the factor); in the paper's arm those
    of the paper's design.
    """
    runs = runs.assign(arm=configurations.arm(runs))
    names = ["null_control", "rnaseq_set"]
    runs[names] = runs[names].replace(DRAW, "", regex=True)
    for factor in factors:
        own = configurations.networks(runs, vary=(factor,))
        own = pd.concat([own[own.arm == "sound"], configurations.paper_design(own)])
        for place, part in own.groupby(["arm", "split", "panel"]):
            yield factor, *place, part


def contrast_table(
    ledger,
    factors=FACTORS,
    scores=SCORES,
    reference=None,
    studies=("All",),
    n_draws=200,
    wider=None,
):
    """Every level of every factor, in each arm, split, panel and study.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions, or scores by line and drug, for the interval over lines or drugs.
    factors, scores, studies : sequence of str
    reference : str, optional
    n_draws : int
        Bootstrap draws of lines or drugs.
    wider : callable, optional
        `simulation.widening` of its rates: maps a split and a number of repeats to the factor of
        the interval over lines or drugs. Without it, or where it has none, the interval over folds
        is quoted.

    Returns
    -------
    DataFrame
        COLUMNS, and `p_holm`, `p_paper_holm`: Holm's adjustment within arm, split, study and score.
        A factor with one level gives one row with that reason.
    """
    found = []
    for study in studies:
        rows = ledger.pooled["test"]
        rows = rows[rows.study == study]
        scored = scores_by_run(rows, ledger.runs, scores)
        for factor, arm, split, panel, runs in designs(scored, factors):
            key = split, study, n_draws
            if key not in ledger.units:
                ledger.units[key] = clusters.Units(ledger, *key)
            first, others = levels(runs, factor, reference)
            at = dict(arm=arm, split=split, panel=panel, study=study, factor=factor)
            at["reference"] = first
            if not others:
                found.append(dict(at, level=first, metric="", reason=f"one level only: {first}"))
            at["together_with"] = ", ".join(confounded(runs, factor))
            for level in others:
                facts = (at | dict(level=level), ledger.units[key], scores, wider)
                found += _level_rows(rows, runs, *facts)
    table = pd.DataFrame(found, columns=COLUMNS)
    for name in ("p", "p_paper"):
        family = table.groupby("arm split panel study metric".split())[name]
        table[f"{name}_holm"] = family.transform(statistics.holm)
    table = table.astype(dict.fromkeys("n_pairs n_units n_repeats n_folds".split(), "Int64"))
    place = "factor level reference metric study together_with".split()
    return provenance.addressed(table, "effect", by=place, kind="contrast")


def matched(rows, factor):
    """Which configurations have a partner: the same settings with another level of the factor.

    Parameters
    ----------
    rows : DataFrame
        Configurations, in any number of rows each.
    factor : str

    Returns
    -------
    Series of bool
        By row. A design in which fewer than a third have one is no cross (a fraction of a
        factorial, balanced by its levels): there every row counts.
    """
    has = rows.groupby(settings_key(rows, factor))[factor].transform("nunique") > 1
    return has if has.mean() >= 1 / 3 else pd.Series(True, index=rows.index)
