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
from lib.paper import RESPONDER
from lib.sweep import metrics
from lib.sweep.baselines import BASELINES

NETWORK = "network, chosen by inner score"
OPTIMISTIC = "network, chosen by test score"  # the paper's way; in no table but winners_curse
COUNTS = ("n", "n_drugs", "n_cells")
STOPS = ("early_stop", "epoch_cap", "diverged", "failed")
COLUMNS = (
    "split panel cohort study predictor r2 gain nr2 rmse pearson npearson balanced_accuracy mcc "
    "balanced_accuracy_30 mcc_30 r2_by_repeat n n_drugs n_cells n_responders n_networks "
    "n_early_stop n_epoch_cap n_diverged n_failed reason recipe members"
).split()
LIMITED = ("r2", "balanced_accuracy", "mcc")  # scores that have a ceiling
SAME_ROWS = (*PLACE, "n_test")  # of a run: equal where it tests the rows of another
# Lines of a drug, drugs of a line: with fewer there is no score within it.
LEAST_ROWS = {"drug_id": 20, "cell_id": 5}
UNIT_NAMES = {"drug_id": "drug", "cell_id": "line"}
LAYERS = ("gain", "pearson", "below_ceiling")
UNIT_COLUMNS = (
    "split predictor unit name n r2 gain pearson ceiling_r2 below_ceiling reason recipe members"
).split()


def predictors(ledger):
    """The best network beside each baseline, on the same test rows: the one home of these scores.

    In each fold the run with the smallest inner error is taken and its test rows are read once.

    Parameters
    ----------
    ledger : configurations.Ledger

    Returns
    -------
    DataFrame
        COLUMNS: a row per split, panel, study and predictor. Sums are means over the repeats of the
        folds, in each of which every row is tested once; `r2_by_repeat` has R² in every repeat, and
        counts say how many networks of a repeat were to be chosen from and how they stopped.
    """
    parts = []
    for facts, runs in data_sets(ledger):
        networks = configurations.networks(runs)
        first = networks[networks.repeat == networks.repeat.min()]
        stopped = first["status"].value_counts().reindex(STOPS, fill_value=0)
        facts |= dict(stopped.add_prefix("n_"), n_networks=len(first))
        best = configurations.choose(ledger, networks)
        chosen = {NETWORK: best, OPTIMISTIC: configurations.choose(ledger, networks, "test")}
        same = best[best.columns.intersection(SAME_ROWS)]
        for model in BASELINES:
            own = runs[runs.model == model].merge(same)
            chosen[model] = configurations.choose(ledger, own)
        parts += [_rows(ledger, own, facts | dict(predictor=name)) for name, own in chosen.items()]
    return provenance.joined(parts, COLUMNS)


def data_sets(ledger):
    """Networks of each split and panel and the baselines beside them, as (facts, runs).

    Runs on real features, of the shards that hold most baselines, so that both read the same
    description of lines and drugs, and of the cohort with most networks.
    """
    runs = configurations.real_features(ledger.runs)
    others = set(runs.split) - set(percentiles.SPLITS)
    for split in [*percentiles.SPLITS, *sorted(others)]:
        for panel, own in runs[runs.split == split].groupby("panel"):
            kinds = own.model.where(own.model.isin(BASELINES))
            n_kinds = kinds.groupby([own.repeat, own.shard]).transform("nunique")
            own = own[n_kinds == n_kinds.groupby(own.repeat).transform("max")]
            cohorts = configurations.networks(own)["cohort"].mode()
            for cohort in cohorts[:1]:
                facts = dict(split=split, panel=panel, cohort=cohort)
                yield facts, own[own.cohort == cohort]


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
    table = table[table.predictor != OPTIMISTIC].reset_index(drop=True)
    if ceiling is not None:
        limits = ceiling.set_index("study")
        table["ceiling_basis"] = table.study.map(limits["basis"])
        for name in LIMITED:
            table[f"ceiling_{name}"] = table.study.map(limits[name])
            table[f"below_ceiling_{name}"] = table[f"ceiling_{name}"] - table[name]
    return table


def _of_main_panel(every):
    most = every.groupby("split")["n_networks"].transform("max") == every.n_networks
    return every[most].drop_duplicates(["split", "study", "predictor"])


def _rows(ledger, own, facts):
    """One row per study of a predictor (one run per fold of each repeat)."""
    if own.empty:
        return own
    table = configurations.pool_runs(ledger, own).assign(**facts)
    by_repeat = metrics.score(configurations.pool_repeats(ledger, own))
    known = by_repeat.dropna(subset="r2").groupby("study")["r2"]
    texts = known.agg(lambda own: " ".join(own.map("{:.4f}".format)))
    table["r2_by_repeat"] = table.study.map(texts).fillna("")
    table["n_responders"] = table.tp_50 + table.fn_50
    table["reason"] = why_missing(table, ["reason", "reason_50", "reason_30"])
    counts = [*COUNTS, "n_responders"]
    table[counts] = table[counts].round().astype(int)
    return provenance.addressed(table, "r2", list(own.run_id), kind="pool", metric="r2")


def why_missing(table, reasons):
    """Why each row of `metrics.score` lacks a score, and whether its study is one mechanism."""
    whys = []
    for row in table.to_dict("records"):
        label = metrics.single_mechanism(row["study"], row["n_drugs"])
        told = dict.fromkeys([*[row[name] for name in reasons], label])
        whys.append("; ".join(filter(None, told)))
    return whys


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
    own = _of_main_panel(every[every.study == "All"])
    table = own.pivot(index=["split", "n_networks"], columns="predictor", values="r2")
    table = table.reindex(columns=[OPTIMISTIC, NETWORK])
    table.columns = ["chosen_on_test", "chosen_on_inner"]
    table = table.eval("winners_curse = chosen_on_test - chosen_on_inner").reset_index()
    table.insert(1, "metric", "r2")
    return table.assign(n_networks=table.pop("n_networks"))


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
    columns = "study r2 basis noise_sd n_drugs reason".split()
    table = replicates.reindex(columns=columns).astype({"noise_sd": float})
    noise = table[table.study.isin(pairs.study)].set_index("study")["noise_sd"].dropna()
    areas = pairs.set_index("study")["auc"]
    calls = {study: _expected_calls(areas.loc[[study]], sd) for study, sd in noise.items()}
    calls = pd.DataFrame(calls, index="tp_50 fp_50 tn_50 fn_50".split()).T
    calls.loc["All"] = calls.sum()
    table.loc[len(table)] = _all_studies(noise, pairs)
    smaller = np.minimum(calls.tp_50 + calls.fn_50, calls.fp_50 + calls.tn_50)
    for name in ("balanced_accuracy", "mcc"):
        scores = pd.Series(metrics.FORMULAS[name](calls), calls.index)
        table[name] = table.study.map(scores[smaller >= metrics.MIN_CLASS])
    return table


def _expected_calls(y, noise_sd):
    """Expected tp, fp, tn, fn of calling the truth against noisy measurements of it."""
    y = y.to_numpy(float)
    share = max(0.0, 1 - noise_sd**2 / y.var())
    truth = y.mean() + np.sqrt(share) * (y - y.mean())
    positive = norm.cdf((RESPONDER - truth) / noise_sd)
    called = truth <= RESPONDER
    found = positive[called], 1 - positive[called], 1 - positive[~called], positive[~called]
    return [part.sum() for part in found]


def _all_studies(noise, pairs):
    """The row of `ceiling` over all studies whose noise is known, as a dict."""
    own = pairs[pairs.study.isin(noise.index)]
    row = dict(study="All", basis="", reason="no study repeats enough of its pairs")
    if len(own):
        variance = (own.study.astype(str).map(noise) ** 2).mean()
        row |= dict(r2=1 - variance / own.auc.var(ddof=0), noise_sd=np.sqrt(variance))
        left_out = ", ".join(sorted(set(pairs.study) - set(noise.index)))
        reason = f"without {left_out}, whose noise is not known" if left_out else ""
        row |= dict(basis="the studies' own", reason=reason)
    return pd.Series(row)


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
    for row, rows in kept_rows(ledger, best):
        for unit, name in UNIT_NAMES.items():
            table = _units(rows, noise, unit)
            table = table.assign(split=row.split, unit=name, predictor=row.predictor)
            recipe = dict(kind="unit", metric="gain", study="All", unit=unit)
            parts.append(provenance.addressed(table, "gain", row.members, ["name"], **recipe))
    return provenance.joined(parts, UNIT_COLUMNS)


def kept_rows(ledger, best):
    """Each predictor over all studies whose predictions were kept, with its test rows in the first
    repeat.
    """
    whole = best[best.study == "All"].dropna(subset="members")
    for row in whole.itertuples():
        runs = ledger.runs[ledger.runs.run_id.isin(row.members)]
        runs = runs[runs.repeat == runs.repeat.min()]
        rows = predictions.of_runs(ledger, runs)
        if len(rows):
            yield row._replace(members=list(runs.run_id)), rows


def _units(rows, noise, unit):
    """The three layers within each drug or line of test rows with y, p, mean_effects and study."""
    whole = rows.assign(study="All")
    sums = predictions.scored(whole, [rows.p], [""], by=unit.removesuffix("_id"))
    enough = sums.assign(**metrics.LEAST)  # LEAST_ROWS holds here instead
    table = metrics.score(enough, split="on_cell").rename(columns={unit: "name"})
    noise_of_row = rows.study.map(noise).astype(float)
    grouped = rows.assign(noise=noise_of_row**2).groupby(unit, observed=True)
    top = 1 - grouped["noise"].mean() / grouped["y"].var(ddof=0)
    table["ceiling_r2"] = table["name"].map(top.replace(-np.inf, np.nan))
    table["below_ceiling"] = table.ceiling_r2 - table.r2
    few = table.n < LEAST_ROWS[unit]
    table.loc[few, ["r2", "ceiling_r2", *LAYERS]] = np.nan
    table.loc[few, "reason"] = table.n.map((metrics.TOO_SMALL + " ({:.0f} rows)").format)
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
        split, unit, n_scored, and `<layer>_q25`, `_median`, `_q75` for each of LAYERS.
    """
    grouped = units.astype(dict.fromkeys(LAYERS, float)).groupby(["split", "unit"])
    table = grouped[list(LAYERS)].quantile([0.25, 0.5, 0.75]).unstack()
    words = {0.25: "q25", 0.5: "median", 0.75: "q75"}
    table.columns = [f"{layer}_{words[share]}" for layer, share in table]
    return table.assign(n_scored=grouped["gain"].count()).reset_index()


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
    whole = best[best.study == "All"].set_index(keys)["pearson"].rename("pearson_global")
    own = units.astype({"pearson": float}).replace({"unit": {"drug": "drugs", "line": "lines"}})
    wide = own.pivot_table("pearson", keys, "unit", aggfunc=["median", "count"])
    kinds = {"median": "pearson_within", "count": "n"}
    wide.columns = [f"{kinds[kind]}_{unit}" for kind, unit in wide.columns]
    return whole.to_frame().join(wide, how="inner").reset_index()
