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
from lib.sweep import metrics
from lib.sweep.grid import DEFAULTS

FACTORS = (
    "snp scaling rnaseq_set drug_block null_control model dropout strategy optimizer lr patience "
    "selection scope hidden cohort"
).split()
# The level that the others are compared with, where it is present; otherwise the first in
# alphabetical order.
REFERENCE = {name: level for name, level in DEFAULTS.items() if isinstance(level, str)}
REFERENCE |= dict(scaling="none", cohort="top21")
SCORES = ("gain", "npearson", "r2", "rmse", "balanced_accuracy", "mcc")
DRAW = r"_draw\d+$"  # further draws of a random level count with the first
COLUMNS = (
    "arm split panel study factor level reference metric together_with effect low high p interval "
    "low_folds high_folds p_folds low_units high_units p_units effect_paper p_paper cohens_d "
    "n_pairs n_units n_repeats n_folds by_repeat reason members"
).split()


def scores_by_run(ledger, runs, scores):
    """Test scores of single runs (one fold each), all studies together.

    Returns
    -------
    DataFrame
        `runs` with `scores` and `reason`; the minimum-n rule applies to the rows of one fold.
    """
    scored = _scored(ledger, runs, "All", ["run_id", "split"])[["run_id", *scores, "reason"]]
    runs = runs.drop(columns="reason", errors="ignore")  # why it ended; here: why it has no score
    return runs.merge(scored, on="run_id", how="left").fillna({"reason": "not scored"})


def _scored(ledger, runs, study, by):
    """Scores of the test rows of runs in one study (or "All"), pooled as `by` says."""
    rows = ledger.pooled["test"].drop(columns="study" if study == "All" else [])
    if study != "All":
        rows = rows[rows["study"] == study]
    rows = rows.merge(runs[["run_id", "configuration", "split", *PLACE]], on="run_id")
    if study == "All":
        rows = configurations.with_units(rows, runs)
    return metrics.score(metrics.pool(rows, by))


def settings_of(rows, *apart):
    """The settings of runs or configurations as text, without those named in `apart`."""
    return rows[[c for c in configurations.SPEC if c in rows and c not in apart]].astype(str)


def settings_key(rows, *apart):
    """One number per row: rows share it if they differ in no setting but those named in `apart`."""
    return pd.util.hash_pandas_object(settings_of(rows, *apart), index=False)


def levels(rows, factor, reference=None):
    """Reference level (as asked, else of REFERENCE, else the first) and the others, as text."""
    found = sorted(rows[factor].astype(str).unique())
    for wanted in (reference, REFERENCE.get(factor), *found[:1]):
        if wanted in found:
            return wanted, [level for level in found if level != wanted]
    return None, []


def confounded(rows, factor):
    """Settings that each level of a factor fixes, as a learning rate that belongs to an optimizer.

    Their part of the effect cannot be told from the factor's: it is one effect of both, and named
    as such.
    """
    codes = settings_of(rows).apply(lambda setting: pd.factorize(setting)[0])
    n_levels = codes[factor].nunique()
    others = [c for c in codes if c != factor and codes[c].nunique() > 1]
    return [c for c in others if len(codes[[factor, c]].drop_duplicates()) == n_levels]


def weights(rows, factor, level, reference, together=()):
    """Weights that turn scores of configurations into the mean matched difference of a level.

    Parameters
    ----------
    rows : DataFrame
        One row per configuration.
    factor, level, reference : str
    together : sequence of str
        Settings that go with the factor.

    Returns
    -------
    Series
        By configuration; empty where no settings were run with both levels. Several draws or seeds
        of one level share the weight of their pair.
    """
    two = rows[rows[factor].astype(str).isin([level, reference])]
    side = two[factor].astype(str) == level
    key = settings_key(two, factor, *together)
    two = two[key.map(side.groupby(key).nunique()) == 2]
    key = key[two.index]
    side = side[two.index]
    shared = side.groupby([key, side]).transform("size").to_numpy()
    signed = np.where(side, 1.0, -1.0) / (shared * key.nunique())
    return pd.Series(signed, index=two["configuration"].to_numpy())


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
    every = weights(rows, factor, level, reference, together)
    runs = runs[runs["configuration"].isin(every.index)]
    n_runs = runs["configuration"].value_counts()
    whole = n_runs.index[n_runs == len(runs[PLACE].drop_duplicates())]
    kept = weights(rows[rows["configuration"].isin(whole)], factor, level, reference, together)
    if len(kept) or every.empty:
        left_out = len(every) - len(kept)
        why = f"{left_out} configuration(s) lack a fold, or their partner does: train them (notebook 05)"
        return runs[runs["configuration"].isin(kept.index)], kept, why * (left_out > 0)
    n_at = runs.groupby(PLACE)["configuration"].transform("size")
    common = runs[n_at == len(every)]
    missing = sorted(set(runs["repeat"]) - set(common["repeat"])) or sorted(set(runs["repeat"]))
    why = f"repeat {', '.join(map(str, missing))} lacks a fold of {level} or {reference}"
    return common, every, f"{why} and is left out: train it (notebook 05)"


def factor_contrasts(ledger, runs, scored, at, units, factor, scores, reference, wider):
    """Each level of a factor against its reference.

    Parameters
    ----------
    ledger : configurations.Ledger
    runs : DataFrame
        Runs of one arm, split and panel.
    scored : DataFrame
        Scores by run_id, with reason.
    at : dict
        arm, split, panel and study.
    units : clusters.Units
        Of the split and study. Configurations without scores by line or drug are left out where
        others have them.
    factor : str
    scores : sequence of str
    reference : str or None
    wider : callable or None
        As in `contrast_table`.

    Returns
    -------
    list of dict
        One per level and score, as in COLUMNS.
    """
    reference, others = levels(runs, factor, reference)
    at = dict(at, factor=factor, reference=reference)
    if not others:
        return [dict(at, level=reference, metric="", reason=f"one level only: {reference}")]
    at["together_with"] = ", ".join(confounded(runs, factor))
    table = runs.drop(columns="reason", errors="ignore").merge(scored, on="run_id")
    merged = table.groupby(["configuration", factor], observed=True)[list(scores)].mean()
    merged = merged.reset_index()
    rows = []
    for level in others:
        row = dict(at, level=level)
        for found in _level_rows(ledger, table, row, units, scores, wider):
            known = _paper_test(merged, row, found["metric"]) if "effect" in found else {}
            rows.append(known | found)
    return rows


def _level_rows(ledger, table, row, units, scores, wider):
    """A row for each score of the level that `row` names."""
    together = [name for name in row["together_with"].split(", ") if name]
    two = row["factor"], row["level"], row["reference"], together
    known = table.dropna(subset=[scores[0]])
    own, weight, why = matched_runs(known[known["configuration"].isin(units.kept)], *two)
    if weight.empty:
        own, weight, why = matched_runs(known, *two)
    n_pairs = settings_key(own, row["factor"], *together).nunique()
    row = dict(row, n_pairs=n_pairs)
    if weight.empty:
        reasons = sorted(set(table["reason"].dropna()) - {""})
        why = "no matched pair" if len(known) else f"no run has a score ({'; '.join(reasons)})"
        return [dict(row, metric=score, reason=why) for score in scores]
    row["n_repeats"] = own["repeat"].nunique()
    row["members"] = list(weight.index)
    if len(own) < table["configuration"].isin(weight.index).sum():
        row["members"] = list(own["run_id"])
    drawn = units if set(own["configuration"]) <= units.kept else None
    factor_wider = wider and wider(row["split"], row["n_repeats"])
    whole = _scored(ledger, own, row["study"], ["configuration", "split"])
    whole = whole.set_index("configuration").loc[weight.index]
    rows = []
    for score in scores:
        effect = float(weight @ whole[score])
        found = _intervals(own, weight, effect, drawn, score, factor_wider)
        reasons = dict.fromkeys(filter(None, [why, found["reason"]]))
        rows.append(row | found | dict(metric=score, reason="; ".join(reasons)))
    return rows


def _paper_test(merged, row, score):
    level = merged[row["factor"]].astype(str)
    values = merged[score]
    test = statistics.t_test(values[level == row["reference"]], values[level == row["level"]])
    cohens_d = test.get("cohens_d", np.nan)
    return dict(effect_paper=test["effect"], p_paper=test["p"], cohens_d=cohens_d)


def _intervals(own, weight, effect, drawn, score, wider):
    """Effect with both intervals; the quoted one stands in effect, low, high and p."""
    by_place = own.pivot(index="configuration", columns=PLACE, values=score).loc[weight.index]
    test_share = 1 / max(own["n_folds"].max(), 2)
    by_fold = weight @ by_place
    folds = statistics.fold_t_test(by_fold, test_share, effect)
    found = dict(
        n_folds=folds["n"],
        n_units=0,
        reason=folds["reason"],
        interval="folds",
    )
    found |= {name: folds[name] for name in ("effect", "low", "high", "p")}
    found |= {f"{name}_folds": folds[name] for name in ("low", "high", "p")}
    if drawn is not None:
        draws = drawn.deviations(weight, score)
        plain = statistics.unit_test(effect, *draws)
        found |= {f"{name}_units": plain[name] for name in ("low", "high", "p")}
        found["n_units"] = plain["n"]
        if wider is not None and np.isfinite(plain["p"]):
            quoted = statistics.unit_test(effect, *draws, wider)
            found |= {name: quoted[name] for name in ("low", "high", "p", "reason")}
            found["interval"] = drawn.name
    by_repeat = by_fold.groupby(level="repeat").mean()
    return found | dict(by_repeat=" ".join(f"{effect:.5f}" for effect in by_repeat))


def designs(runs, factors):
    """The runs that tell the effect of each factor, as (factor, arm, split, panel, runs).

    Networks on real features (the null control itself may be the factor); in the paper's arm those
    of the paper's design.
    """
    runs = runs.assign(arm=configurations.arm(runs))
    names = [name for name in ("null_control", "rnaseq_set") if name in runs]
    runs[names] = runs[names].replace(DRAW, "", regex=True)
    for factor in factors:
        if factor not in runs:
            continue
        own = configurations.networks(runs, vary=(factor,))
        own = pd.concat([own[own["arm"] == "sound"], configurations.paper_design(own)])
        for (arm_of, split, panel), part in own.groupby(["arm", "split", "panel"], dropna=False):
            yield factor, arm_of, split, panel, part


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
    rows = []
    for study in studies:
        scored = _scored(ledger, ledger.runs, study, ["run_id", "split"])
        scored = scored[["run_id", *scores, "reason"]]
        for factor, arm_of, split, panel, runs in designs(ledger.runs, factors):
            at = dict(
                arm=arm_of,
                split=split,
                panel=panel,
                study=study,
            )
            key = split, study, n_draws
            if key not in ledger.units:
                ledger.units[key] = clusters.Units(ledger, *key)
            settled = (ledger.units[key], factor, scores, reference, wider)
            rows += factor_contrasts(ledger, runs, scored, at, *settled)
    found = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("p", "p_paper"):
        family = found.groupby(["arm", "split", "panel", "study", "metric"], dropna=False)[name]
        found[f"{name}_holm"] = family.transform(statistics.holm)
    found = found.astype(dict.fromkeys(["n_pairs", "n_units", "n_repeats", "n_folds"], "Int64"))
    place = ["factor", "level", "reference", "metric", "study", "together_with"]
    members = found.pop("members")
    return provenance.addressed(found, "effect", [], place, kind="contrast").assign(members=members)


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
