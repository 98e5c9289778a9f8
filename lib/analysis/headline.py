"""The headline table: best networks beside predictors that know no feature; what choosing on test rows is worth."""

import numpy as np
import pandas as pd

from lib.analysis import configurations, costs, percentiles, predictions
from lib.analysis.layers import LEAST_ROWS
from lib.sweep import metrics
from lib.sweep.baselines import BASELINES

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


def headline(ledger, ceiling=None):
    """The best networks, chosen by inner score in each fold, beside the predictors that know no feature.

    Parameters
    ----------
    ledger : configurations.Ledger
    ceiling : DataFrame, optional
        `layers.ceiling`: study, r2, balanced_accuracy and mcc that replicates leave explainable, basis ("other study"
        counts the shifts between studies as noise too and so is low). The distance to it is the third layer of a score.

    Returns
    -------
    DataFrame
        One row per split, study and predictor: SCORES, n, n_drugs, n_cells, n_responders, how many networks
        were trained and how they stopped, reason, recipe, members. Networks and naive predictors share every test
        row.
    """
    rows = []
    others = sorted(set(ledger.runs["split"]) - set(percentiles.SPLITS))
    for split in [*percentiles.SPLITS, *others]:
        runs = configurations.networks(ledger.runs[ledger.runs["split"] == split])
        if runs.empty:
            continue
        panel, cohort = runs.groupby(["panel"]).size().idxmax(), percentiles.main_cohort(runs)
        runs = runs[(runs["panel"] == panel) & (runs["cohort"] == cohort)]
        best = configurations.choose(ledger, runs)
        chosen = {"network, chosen by inner score": best}
        present = [name for name in BASELINES if name in set(ledger.runs["model"])]
        chosen |= {model: _beside(ledger.runs, model, best) for model in present}
        for predictor, own in chosen.items():
            rows += _headline_rows(ledger, own, predictor, split, panel, cohort, runs)
    table = pd.DataFrame(rows)
    if len(table) and ceiling is not None:
        by_study = ceiling.set_index("study")
        table["ceiling_basis"] = table["study"].map(by_study["basis"])
        for name in [n for n in ("r2", "balanced_accuracy", "mcc") if n in by_study]:
            table[f"ceiling_{name}"] = table["study"].map(by_study[name])
            table[f"below_ceiling_{name}"] = table[f"ceiling_{name}"] - table[name]
    return table


def _beside(runs, model, best):
    """Runs of a baseline in the shards and folds of the chosen networks, so that their rows are the same."""
    places = best[["shard", "fold"]].drop_duplicates()
    return runs[runs["model"] == model].merge(places, on=["shard", "fold"]).drop_duplicates("fold")


def _headline_rows(ledger, own, predictor, split, panel, cohort, runs):
    counts = runs["status"].value_counts()
    stops = {
        f"n_{name}": int(counts.get(name, 0))
        for name in ("early_stop", "epoch_cap", "diverged", "failed")
    }
    rows = []
    for row in configurations.pool_runs(ledger, own).to_dict("records"):
        head = dict(
            split=split, panel=panel, cohort=cohort, study=row["study"], predictor=predictor
        )
        head |= {name: row[name] for name in SCORES} | {
            name: int(row[name]) for name in ("n", "n_drugs", "n_cells")
        }
        label = metrics.single_mechanism(row["study"], row["n_drugs"])
        why = dict.fromkeys(
            r for r in (row["reason"], row["reason_50"], row["reason_30"], label) if r
        )
        head |= dict(
            n_responders=int(row["tp_50"] + row["fn_50"]),
            n_networks=len(runs),
            **stops,
            reason="; ".join(why),
        )
        recipe = (
            dict(kind="pool", metric="r2", study=row["study"]) if np.isfinite(row["r2"]) else None
        )
        rows.append(head | dict(recipe=recipe, members=list(own["run_id"]) if recipe else None))
    return rows


def by_study(best, ceiling):
    """R2 of the headline by study, wide, with the replicate ceiling as the last row."""
    wide = (
        best.pivot(index=["split", "predictor"], columns="study", values="r2")
        if len(best)
        else pd.DataFrame()
    )
    top = ceiling.set_index("study")["r2"].rename(("", "replicate ceiling")).to_frame().T
    top.index = pd.MultiIndex.from_tuples(top.index, names=["split", "predictor"])
    return pd.concat([wide, top.reindex(columns=wide.columns if len(wide) else top.columns)])


def cost_curves(ledger, best, predictors=("network, chosen by inner score", "mean_effects")):
    """Cost curves of headline predictors over all studies, from the predictions that the sweep kept.

    Returns
    -------
    DataFrame
        split and the columns of `costs.cost_table`, recipe, members; empty where no predictions were kept.
    """
    parts = []
    for split, own in (
        best[best["study"] == "All"].groupby("split", sort=False) if len(best) else []
    ):
        members = own[own["predictor"].isin(predictors)].set_index("predictor")["members"].dropna()
        runs = {name: ledger.runs[ledger.runs["run_id"].isin(ids)] for name, ids in members.items()}
        kept = {name: predictions.of_runs(ledger, own) for name, own in runs.items()}
        table = costs.cost_table({name: rows for name, rows in kept.items() if len(rows)}).assign(
            split=split
        )
        parts.append(_with_cost_recipes(table, members))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=["split", "predictor", "reason"])
    )


def _with_cost_recipes(table, members):
    use = next(iter(costs.USES))
    recipes = [
        dict(kind="cost", metric=use, cutoff=row["cutoff"], study="All")
        if not row["reason"]
        else None
        for row in table.to_dict("records")
    ]
    return table.assign(recipe=recipes, members=[members[name] for name in table["predictor"]])


def aggregations(ledger, best):
    """The headline predictors' correlation with the truth in three ways: over all rows, within drugs, within lines.

    Over all rows the drugs' means dominate. Within a drug the question is which line responds, within a line which drug
    works; the three can have different winners.

    Parameters
    ----------
    ledger : configurations.Ledger
    best : DataFrame
        `headline`, with `members`.

    Returns
    -------
    DataFrame
        split, predictor, pearson_global, pearson_within_drugs, n_drugs, pearson_within_lines, n_lines, reason:
        medians over drugs with at least 20 lines and over lines with at least 5 drugs.
    """
    rows = []
    for row in best[best["study"] == "All"].to_dict("records") if len(best) else []:
        found = dict(split=row["split"], predictor=row["predictor"], pearson_global=row["pearson"])
        runs, why = ledger.runs[ledger.runs["run_id"].isin(row["members"] or [])], []
        for unit, name in (("drug_id", "drugs"), ("cell_id", "lines")):
            values = _within(ledger, runs, unit)
            found |= {f"pearson_within_{name}": values.median(), f"n_{name}": len(values)}
            why += [] if len(values) else [f"no scores by {unit} were kept"]
        rows.append(found | dict(reason="; ".join(why)))
    return pd.DataFrame(rows)


def _within(ledger, runs, unit):
    """Correlation within each drug (or line) that has enough rows; a constant prediction counts as 0."""
    rows = predictions.of_runs(ledger, runs)
    if len(rows):
        names, group = np.unique(rows[unit].to_numpy(str), return_inverse=True)
        facts = (
            rows["y"].to_numpy(),
            rows["p"].to_numpy()[None],
            rows["floor"].to_numpy(),
            group,
            len(names),
        )
        sums = pd.DataFrame(metrics.group_sums(*facts)[0], columns=metrics.STATISTICS)
    else:
        own = ledger.scores[(ledger.scores["part"] == "test") & (ledger.scores[unit] != "")]
        sums = own[own["run_id"].isin(runs["run_id"])].groupby(unit)[metrics.STATISTICS].sum()
    sums = sums[sums["n"] >= LEAST_ROWS[unit]]
    if sums.empty:
        return pd.Series(dtype=float)
    return metrics.score(sums.assign(n_drugs=10**6, n_cells=10**6).reset_index(), split="on_cell")[
        "pearson"
    ].dropna()


def selection_price(ledger, metric="r2"):
    """What choosing on the test rows is worth: the paper's selection beside nested selection, per split.

    Returns
    -------
    DataFrame
        split, study "All", chosen_on_test, chosen_on_inner, winners_curse, n_networks.
    """
    rows = []
    for split, runs in configurations.networks(ledger.runs).groupby("split"):
        scored = {}
        for part in ("test", "inner"):
            pooled = configurations.pool_runs(
                ledger, configurations.choose(ledger, runs, metric, part=part)
            )
            match = pooled[pooled["study"] == "All"] if len(pooled) else pooled
            scored[part] = float(match[metric].iloc[0]) if len(match) else np.nan
        price = scored["test"] - scored["inner"]
        row = dict(
            split=split,
            metric=metric,
            chosen_on_test=scored["test"],
            chosen_on_inner=scored["inner"],
        )
        rows.append(row | dict(winners_curse=price, n_networks=len(runs)))
    return pd.DataFrame(rows)
