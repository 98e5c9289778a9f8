"""The headline table, what choosing on test rows is worth, and a verdict in a line on each claim of the paper."""

import numpy as np
import pandas as pd

from lib import configurations, costs, metrics, paper_tables, published
from lib.baselines import BASELINES

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
        `replicates.replicate_ceiling`: study, r2 that replicates leave explainable, basis ("other study" counts the
        shifts between studies as noise too and so is low). The distance to it is the third layer of a score.

    Returns
    -------
    DataFrame
        One row per split, study and predictor: SCORES, n, n_drugs, n_cells, n_responders, how many networks
        were trained and how they stopped, reason, recipe, members. Networks and naive predictors share every test
        row.
    """
    rows = []
    others = sorted(set(ledger.runs["split"]) - set(paper_tables.SPLITS))
    for split in [*paper_tables.SPLITS, *others]:
        runs = configurations.networks(ledger.runs[ledger.runs["split"] == split])
        if runs.empty:
            continue
        panel, cohort = runs.groupby(["panel"]).size().idxmax(), paper_tables.main_cohort(runs)
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
        table["ceiling_r2"], table["ceiling_basis"] = (table["study"].map(by_study[name]) for name in ("r2", "basis"))
        table["below_ceiling"] = table["ceiling_r2"] - table["r2"]
    return table


def _beside(runs, model, best):
    """Runs of a baseline in the shards and folds of the chosen networks, so that their rows are the same."""
    places = best[["shard", "fold"]].drop_duplicates()
    return runs[runs["model"] == model].merge(places, on=["shard", "fold"]).drop_duplicates("fold")


def _headline_rows(ledger, own, predictor, split, panel, cohort, runs):
    counts = runs["status"].value_counts()
    stops = {f"n_{name}": int(counts.get(name, 0)) for name in ("early_stop", "epoch_cap", "diverged", "failed")}
    rows = []
    for row in configurations.pool_runs(ledger, own).to_dict("records"):
        head = dict(split=split, panel=panel, cohort=cohort, study=row["study"], predictor=predictor)
        head |= {name: row[name] for name in SCORES} | {name: int(row[name]) for name in ("n", "n_drugs", "n_cells")}
        why = dict.fromkeys(r for r in (row["reason"], row["reason_50"], row["reason_30"]) if r)
        head |= dict(
            n_responders=int(row["tp_50"] + row["fn_50"]), n_networks=len(runs), **stops, reason="; ".join(why)
        )
        recipe = dict(kind="pool", metric="r2", study=row["study"]) if np.isfinite(row["r2"]) else None
        rows.append(head | dict(recipe=recipe, members=list(own["run_id"]) if recipe else None))
    return rows


def by_study(best, ceiling):
    """R2 of the headline by study, wide, with the replicate ceiling as the last row."""
    wide = best.pivot(index=["split", "predictor"], columns="study", values="r2") if len(best) else pd.DataFrame()
    top = ceiling.set_index("study")["r2"].rename(("", "replicate ceiling")).to_frame().T
    top.index = pd.MultiIndex.from_tuples(top.index, names=["split", "predictor"])
    return pd.concat([wide, top.reindex(columns=wide.columns if len(wide) else top.columns)])


def cost_curves(work_dir, ledger, best, predictors=("network, chosen by inner score", "mean_effects")):
    """Cost curves of headline predictors over all studies, from the predictions that the sweep kept.

    Returns
    -------
    DataFrame
        split and the columns of `costs.cost_table`; empty where no predictions were kept.
    """
    parts = []
    for split, own in best[best["study"] == "All"].groupby("split", sort=False) if len(best) else []:
        members = own[own["predictor"].isin(predictors)].set_index("predictor")["members"].dropna()
        runs = {name: ledger.runs[ledger.runs["run_id"].isin(ids)] for name, ids in members.items()}
        kept = {name: configurations.predictions(work_dir, r) for name, r in runs.items()}
        parts.append(costs.cost_table({name: rows for name, rows in kept.items() if len(rows)}).assign(split=split))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["split", "predictor", "reason"])


LEAST_ROWS = {"drug_id": 20, "cell_id": 5}  # lines of a drug, drugs of a line: fewer give no correlation


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
        members, why = row["members"] or [], []
        for unit, name in (("drug_id", "drugs"), ("cell_id", "lines")):
            values = _within(ledger.scores, members, unit)
            found |= {f"pearson_within_{name}": values.median(), f"n_{name}": len(values)}
            why += [] if len(values) else [f"no scores by {unit} were kept"]
        rows.append(found | dict(reason="; ".join(why)))
    return pd.DataFrame(rows)


def _within(scores, members, unit):
    """Correlation within each drug (or line) that has enough rows; a constant prediction counts as 0."""
    own = scores[(scores["part"] == "test") & (scores[unit] != "") & scores["run_id"].isin(members)]
    sums = own.groupby(unit)[metrics.STATISTICS].sum()
    sums = sums[sums["n"] >= LEAST_ROWS[unit]]
    if sums.empty:
        return pd.Series(dtype=float)
    return metrics.score(sums.assign(n_drugs=10**6, n_cells=10**6).reset_index(), split="on_cell")["pearson"].dropna()


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
            pooled = configurations.pool_runs(ledger, configurations.choose(ledger, runs, metric, part=part))
            match = pooled[pooled["study"] == "All"] if len(pooled) else pooled
            scored[part] = float(match[metric].iloc[0]) if len(match) else np.nan
        price = scored["test"] - scored["inner"]
        row = dict(split=split, metric=metric, chosen_on_test=scored["test"], chosen_on_inner=scored["inner"])
        rows.append(row | dict(winners_curse=price, n_networks=len(runs)))
    return pd.DataFrame(rows)


def verdicts(contrasts, importances, headline):
    """Our line on each of the paper's five claims, from the contrasts at the right unit.

    Parameters
    ----------
    contrasts : DataFrame
        `contrasts.contrast_table`.
    importances : DataFrame
        Rows of `importances.out_of_bag` with a `split` column.
    headline : DataFrame
        `headline`.

    Returns
    -------
    DataFrame
        claim, verdict: numbers printed from the tables, "not tested" where the sweep has no such contrast.
    """
    lines = {
        "SNPs help": _claim(contrasts, "snp"),
        "scaling and ComBat do not matter": _claim(contrasts, "scaling"),
        "the gene set does not matter, beyond 128 random genes": _claim(contrasts, "rnaseq_set"),
        "drug descriptors matter on unseen drugs only": _claim(contrasts, "drug_block"),
        "hyper-parameters outweigh features": _outweigh(importances),
        "networks beat predictors that know no feature": _beaten(headline),
    }
    return pd.DataFrame(lines.items(), columns=["claim", "verdict"])


def _claim(contrasts, factor, metric="r2"):
    rows = contrasts[(contrasts["factor"] == factor) & (contrasts["metric"] == metric)].dropna(subset="effect")
    if rows.empty:
        return "not tested: this sweep has one level only, or no estimable contrast"
    said = []
    for split, own in rows.groupby("split", sort=False):
        best = own.loc[own["effect"].abs().idxmax()]
        adjusted, plain = best.get("p_holm", np.nan) < 0.05, best["low"] > 0 or best["high"] < 0
        before = "differs from 0 only before Holm's adjustment" if plain else "cannot be told from 0"
        sure = "differs from 0" if adjusted else before
        said.append(
            f"{split}: largest effect on R² {best['effect']:+.3f} ({best['low']:+.3f} to {best['high']:+.3f} over "
            f"{int(best['n_folds'])} folds; {best['level']} − {best['reference']}), {sure}"
        )
    return "; ".join(said)


FEATURES = ("snp", "scaling", "rnaseq_set", "drug_block", "null_control", "panel")


def _outweigh(importances):
    said = []
    for split, own in importances.dropna(subset=["importance"]).groupby("split", sort=False):
        is_feature = own["factor"].isin(FEATURES)
        sums = own["importance"].clip(lower=0).groupby(is_feature).sum()
        said.append(
            f"{split}: summed out-of-bag importance {sums.get(False, 0):.2f} for training settings, "
            f"{sums.get(True, 0):.2f} for features (tree R² {own['meta_r2'].iloc[0]:.2f} on configurations left out)"
        )
    return "; ".join(said) or "not tested: too few configurations"


def _beaten(headline):
    if headline.empty:
        return "not tested: no scored network"
    said = []
    for split, own in headline[headline["study"] == "All"].groupby("split", sort=False):
        r2 = own.set_index("predictor")["r2"]
        network, floor = r2.iloc[0], r2.drop(r2.index[0]).dropna()
        if floor.empty or not np.isfinite(network):
            said.append(f"{split}: {own['reason'].iloc[0] or 'no score'}")
            continue
        said.append(f"{split}: R² {network:.3f}, best of the others {floor.max():.3f} ({floor.idxmax()})")
    return "; ".join(said)


def paper_claims(headline):
    """The paper's headline claims (its section 3) beside the best networks here, chosen without test rows.

    Returns
    -------
    DataFrame
        split, metric, published (a lower bound in the paper), ours, difference, n_drugs, n_cells, reason.
    """
    rows = []
    lines = published.values("claims")
    at_30 = lines[lines["metric"] == "balanced_accuracy_30"]  # printed without a split: beside both
    both = [at_30.assign(split=split) for split in paper_tables.SPLITS]
    for line in pd.concat([lines[lines["level"] == "best network"], *both]).itertuples():
        own = headline[(headline["split"] == line.split) & (headline["study"] == "All")] if len(headline) else headline
        own = own[own["predictor"].str.startswith("network")] if len(own) else own
        value = float(own[line.metric].iloc[0]) if len(own) else np.nan
        reason = "" if np.isfinite(value) else (own["reason"].iloc[0] if len(own) else "no scored network")
        row = dict(
            split=line.split, metric=line.metric, published=line.value, ours=value, difference=value - line.value
        )
        counts = {name: int(own[name].iloc[0]) if len(own) else 0 for name in ("n_drugs", "n_cells")}
        rows.append(row | counts | dict(reason=reason))
    return pd.DataFrame(rows)
