"""The headline table: the best networks beside the baselines, and the three layers of a score.

A score is read in three layers: raw, over the mean effects of drug and line, and below what
replicate measurements leave explainable (`ceiling`). `headline` has them by study, `by_unit` within
each drug and each line.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from lib.analysis import configurations, percentiles, predictions, provenance
from lib.analysis.configurations import PLACE
from lib.sweep import metrics
from lib.sweep.baselines import BASELINES

NETWORK = "network, chosen by inner score"
OPTIMISTIC = "network, chosen by test score"  # the paper's way; in no table but winners_curse
SCORES = (
    "r2",
    "gain",
    "nr2",
    "rmse",
    "pearson",
    "npearson",
    "balanced_accuracy",
    "mcc",
    "balanced_accuracy_30",
    "mcc_30",
)
COUNTS = ("n", "n_drugs", "n_cells")
STOPS = ("early_stop", "epoch_cap", "diverged", "failed")
COLUMNS = ["split", "panel", "cohort", "study", "predictor", *SCORES, "r2_by_repeat", *COUNTS]
COLUMNS += ["n_responders", "n_networks", *[f"n_{name}" for name in STOPS]]
COLUMNS += ["reason", "recipe", "members"]
LIMITED = ("r2", "balanced_accuracy", "mcc")  # scores that have a ceiling
SAME_ROWS = (*PLACE, "n_test")  # of a run: equal where it tests the rows of another
CALLS = [f"{kind}_50" for kind in ("tp", "fp", "tn", "fn")]
# Lines of a drug, drugs of a line: with fewer there is no score within it.
LEAST_ROWS = {"drug_id": 20, "cell_id": 5}
UNIT_NAMES = {"drug_id": "drug", "cell_id": "line"}
UNIT_COLUMNS = ["split", "predictor", "unit", "name", "n", "r2", "gain", "pearson", "ceiling_r2"]
UNIT_COLUMNS += ["below_ceiling", "reason", "recipe", "members"]
ENOUGH = dict(n_drugs=10**6, n_cells=10**6)  # the rule of small n is applied by rows instead


def predictors(ledger):
    """The best network beside each baseline, on the same test rows: the one home of these scores.

    In each fold the run with the smallest inner error is taken and its test rows are read once.

    Parameters
    ----------
    ledger : configurations.Ledger

    Returns
    -------
    DataFrame
        COLUMNS: a row per split, panel, study and predictor, of the first repeat of the folds, in
        which every row is tested once; `r2_by_repeat` has R² in every repeat, and counts say how
        many networks were to be chosen from and how they stopped.
    """
    parts = []
    for facts, runs in data_sets(ledger):
        found = configurations.networks(runs)
        first = found[found["repeat"] == found["repeat"].min()]
        facts |= _how_they_stopped(first)
        best = configurations.choose(ledger, found)
        chosen = {NETWORK: best, OPTIMISTIC: configurations.choose(ledger, found, "test")}
        for model in BASELINES:
            own = runs[runs["model"] == model]
            own = own.merge(best[[name for name in SAME_ROWS if name in best]])
            chosen[model] = configurations.choose(ledger, own)
        parts += [_rows(ledger, own, facts | dict(predictor=name)) for name, own in chosen.items()]
    return provenance.joined(parts, COLUMNS)


def data_sets(ledger):
    """Networks of each split and panel and the baselines beside them, as (facts, runs).

    Runs on real features, of the shards that hold most baselines, so that both read the same
    description of lines and drugs, and of the cohort with most networks.
    """
    runs = configurations.real_features(ledger.runs)
    others = set(runs["split"]) - set(percentiles.SPLITS)
    for split in [*percentiles.SPLITS, *sorted(others)]:
        for panel, own in runs[runs["split"] == split].groupby("panel"):
            kinds = own["model"].where(own["model"].isin(BASELINES))
            n_kinds = kinds.groupby([own["repeat"], own["shard"]]).transform("nunique")
            own = own[n_kinds == n_kinds.groupby(own["repeat"]).transform("max")]
            cohorts = configurations.networks(own).groupby("cohort").size()
            if len(cohorts):
                cohort = cohorts.idxmax()
                yield (
                    dict(split=split, panel=panel, cohort=cohort),
                    own[own["cohort"] == cohort],
                )


def headline(every, ceiling=None):
    """The predictors of each split on the panel with most networks, and what is left to explain.

    Parameters
    ----------
    every : DataFrame
        `predictors`.
    ceiling : DataFrame, optional
        `ceiling`: study, r2, balanced_accuracy and mcc that replicates leave explainable, basis
        ("other study" counts the shifts between studies as noise too and so is low). The distance
        to it is the third layer of a score.

    Returns
    -------
    DataFrame
        Rows of `every`; with a ceiling `ceiling_basis` and, for each score of LIMITED,
        `ceiling_<score>` and `below_ceiling_<score>`.
    """
    table = _of_main_panel(every)
    table = table[table["predictor"] != OPTIMISTIC].reset_index(drop=True)
    return table if ceiling is None else _below(table, ceiling.set_index("study"))


def _of_main_panel(every):
    most = every.groupby("split")["n_networks"].transform("max") == every["n_networks"]
    return every[most].drop_duplicates(["split", "study", "predictor"])


def _how_they_stopped(runs):
    counts = runs["status"].value_counts()
    stops = {f"n_{name}": int(counts.get(name, 0)) for name in STOPS}
    return dict(n_networks=len(runs), **stops)


def _rows(ledger, own, facts):
    """One row per study of a predictor (one run per fold of each repeat)."""
    scored = {at: configurations.pool_runs(ledger, part) for at, part in own.groupby("repeat")}
    if not scored:
        return own.iloc[:0]
    first = min(scored)
    table = scored[first]
    r2 = pd.DataFrame({at: part.set_index("study")["r2"] for at, part in scored.items()})
    texts = r2.apply(lambda row: " ".join(f"{value:.4f}" for value in row.dropna()), axis=1)
    table["r2_by_repeat"] = table["study"].map(texts)
    table["n_responders"] = table["tp_50"] + table["fn_50"]
    table["reason"] = [why_missing(row) for row in table.to_dict("records")]
    table = table.assign(**facts).astype(dict.fromkeys([*COUNTS, "n_responders"], int))
    members = list(own.loc[own["repeat"] == first, "run_id"])
    return provenance.addressed(table, "r2", members, kind="pool", metric="r2")


def why_missing(scored):
    """Why a row of `metrics.score` lacks a score, and whether its study is one mechanism."""
    label = metrics.single_mechanism(scored["study"], scored["n_drugs"])
    why = [scored["reason"], scored["reason_50"], scored["reason_30"], label]
    return "; ".join(dict.fromkeys(filter(None, why)))


def _below(table, limits):
    """`headline` with the ceiling of each study and the distance to it."""
    table["ceiling_basis"] = table["study"].map(limits["basis"])
    for name in LIMITED:
        table[f"ceiling_{name}"] = table["study"].map(limits[name])
        table[f"below_ceiling_{name}"] = table[f"ceiling_{name}"] - table[name]
    return table


def selection_price(every):
    """What choosing on the test rows is worth: the paper's selection beside the nested one.

    Parameters
    ----------
    every : DataFrame
        `predictors`.

    Returns
    -------
    DataFrame
        split, metric "r2", chosen_on_test, chosen_on_inner, winners_curse, n_networks; of all
        studies together.
    """
    own = _of_main_panel(every[every["study"] == "All"])
    names = {OPTIMISTIC: "chosen_on_test", NETWORK: "chosen_on_inner"}
    own = own[own["predictor"].isin(names)].replace({"predictor": names})
    table = own.pivot(index=["split", "n_networks"], columns="predictor", values="r2")
    table = table.reindex(columns=names.values()).reset_index().rename_axis(columns=None)
    price = table["chosen_on_test"] - table["chosen_on_inner"]
    table = table.assign(metric="r2", winners_curse=price)
    return table[["split", "metric", *names.values(), "winners_curse", "n_networks"]]


def ceiling(replicates, pairs):
    """Best scores that a predictor of the true value could reach, given the replicates' noise.

    Parameters
    ----------
    replicates : DataFrame
        `repeats.replicate_ceiling`: study, r2, basis, noise_sd, n_drugs, reason.
    pairs : DataFrame
        Training rows with study and auc.

    Returns
    -------
    DataFrame
        study, r2, balanced_accuracy, mcc, basis, noise_sd, n_drugs, reason; the row "All" pools the
        studies whose noise is known.

    Notes
    -----
    For the classes the truth of a row is taken as its measurement drawn towards the study's mean
    until its variance is that of the measurements less the noise; a measurement of it is a
    responder with the probability that normal noise gives, and the ceiling is the expected table of
    calls of the truth against such measurements.
    """
    columns = ["study", "r2", "basis", "noise_sd", "n_drugs", "reason"]
    table = replicates.reindex(columns=columns)
    table["noise_sd"] = table["noise_sd"].astype(float)
    areas = dict(iter(pairs.groupby("study", observed=True)["auc"]))
    known = table["noise_sd"].notna() & table["study"].isin(list(areas))
    noise = table[known].set_index("study")["noise_sd"]
    calls = {study: _expected_calls(areas[study], sd) for study, sd in noise.items()}
    calls = pd.DataFrame(calls, index=CALLS).T
    calls.loc["All"] = calls.sum()
    table.loc[len(table)] = _all_studies(noise, pairs)
    sums = pd.DataFrame(0.0, index=table["study"], columns=metrics.STATISTICS)
    sums[CALLS] = calls.reindex(table["study"]).fillna(0)
    scored = metrics.score(sums.assign(**ENOUGH), split="on_cell")
    for name in ("balanced_accuracy", "mcc"):
        table[name] = scored[name].to_numpy()
    return table


def _expected_calls(y, noise_sd):
    """Expected tp, fp, tn, fn of calling the truth against noisy measurements of it."""
    cutoff = metrics.CUTOFFS["50"]
    y = y.to_numpy(float)
    share = max(0.0, 1 - noise_sd**2 / y.var())
    truth = y.mean() + np.sqrt(share) * (y - y.mean())
    positive = norm.cdf((cutoff - truth) / noise_sd)
    called = truth <= cutoff
    found = positive[called], 1 - positive[called], 1 - positive[~called], positive[~called]
    return [part.sum() for part in found]


def _all_studies(noise, pairs):
    """The row of `ceiling` over all studies whose noise is known, as a dict."""
    own = pairs[pairs["study"].isin(noise.index)]
    row = dict(
        study="All",
        r2=np.nan,
        basis="",
        noise_sd=np.nan,
        n_drugs=np.nan,
    )
    if own.empty:
        return dict(row, reason="no study repeats enough of its pairs")
    variance = (own["study"].astype(str).map(noise) ** 2).mean()
    row |= dict(r2=1 - variance / own["auc"].var(ddof=0), noise_sd=np.sqrt(variance))
    left_out = sorted(set(pairs["study"]) - set(noise.index))
    reason = f"without {', '.join(left_out)}, whose noise is not known" if left_out else ""
    return dict(row, basis="the studies' own", reason=reason)


def by_unit(ledger, best, limits):
    """The headline predictors within each drug and each line, in the three layers of a score.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions.
    best : DataFrame
        `headline`, with `members`.
    limits : DataFrame
        `ceiling`.

    Returns
    -------
    DataFrame
        UNIT_COLUMNS: one row per drug or line (`unit`, `name`), and predictor whose predictions were
        kept.
    """
    noise = limits.set_index("study")["noise_sd"]
    parts = []
    for row in best[best["study"] == "All"].dropna(subset="members").itertuples():
        runs = ledger.runs[ledger.runs["run_id"].isin(row.members)]
        rows = predictions.of_runs(ledger, runs)
        for unit, name in UNIT_NAMES.items() if len(rows) else ():
            table = _units(rows, noise, unit)
            table = table.assign(split=row.split, unit=name, predictor=row.predictor)
            recipe = dict(
                kind="unit",
                metric="gain",
                study="All",
                unit=unit,
            )
            parts.append(provenance.addressed(table, "gain", row.members, ["name"], **recipe))
    return provenance.joined(parts, UNIT_COLUMNS)


def _units(rows, noise, unit):
    """The three layers within each drug or line of test rows with y, p, mean_effects and study."""
    names, group = np.unique(rows[unit].to_numpy(str), return_inverse=True)
    y, p, mean_effects = (rows[name].to_numpy() for name in ("y", "p", "mean_effects"))
    sums = metrics.group_sums(y, p[None], mean_effects, group, len(names))[0]
    sums = pd.DataFrame(sums, columns=metrics.STATISTICS)
    scored = metrics.score(sums.assign(**ENOUGH), split="on_cell")
    table = scored[["n", "r2", "gain", "pearson", "reason"]].assign(name=names)
    noise_of_unit = (rows["study"].map(noise).astype(float) ** 2).groupby(group).mean()
    top = 1 - noise_of_unit / rows["y"].groupby(group).var(ddof=0)
    table["ceiling_r2"] = top.replace(-np.inf, np.nan).to_numpy()
    few = table["n"] < LEAST_ROWS[unit]
    table.loc[few, ["r2", "gain", "pearson", "ceiling_r2"]] = np.nan
    why = table["n"].map(lambda n: f"{metrics.TOO_SMALL} ({int(n)} rows)")
    table["reason"] = table["reason"].mask(few, why)
    table["below_ceiling"] = table["ceiling_r2"] - table["r2"]
    return table


def spread(units):
    """Median and quartiles of each layer over drugs and over lines, and how many have a score.

    Parameters
    ----------
    units : DataFrame
        Rows of `by_unit`.

    Returns
    -------
    DataFrame
        split, unit, n_units, n_scored, and `<layer>_q25`, `_median`, `_q75` for gain, pearson and
        below_ceiling.
    """
    grouped = units.astype(dict(gain=float, pearson=float, below_ceiling=float))
    grouped = grouped.groupby(["split", "unit"])
    table = grouped["gain"].agg(n_units="size", n_scored="count")
    for name in ("gain", "pearson", "below_ceiling"):
        for word, share in (("q25", 0.25), ("median", 0.5), ("q75", 0.75)):
            table[f"{name}_{word}"] = grouped[name].quantile(share)
    return table.reset_index()


def aggregations(best, units):
    """Correlation of each headline predictor over all rows, within drugs and within lines.

    Over all rows the drugs' means dominate. Within a drug the question is which line responds,
    within a line which drug works; the three can have different winners.

    Parameters
    ----------
    best : DataFrame
        `headline`.
    units : DataFrame
        `by_unit`.

    Returns
    -------
    DataFrame
        split, predictor, pearson_global, pearson_within_drugs, pearson_within_lines, n_drugs,
        n_lines: medians over drugs with at least 20 lines and over lines with at least 5 drugs.
    """
    keys = ["split", "predictor"]
    whole = best[best["study"] == "All"].set_index(keys)["pearson"].rename("pearson_global")
    kinds = {"median": "pearson_within_{}s", "count": "n_{}s"}
    own = units.astype(dict(pearson=float))
    wide = own.pivot_table("pearson", keys, "unit", aggfunc=list(kinds))
    wide.columns = [kinds[kind].format(unit) for kind, unit in wide.columns]
    return whole.to_frame().join(wide, how="inner").reset_index()
