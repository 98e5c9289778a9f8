"""Scores of the best network, seed averages and top-k ensembles, beside ridge and mean effects.

Every choice is made by inner rows within each fold, every score is read on the same test rows, and
intervals draw whole lines (unseen cells) or drugs (unseen drugs) anew.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.analysis import clusters, configurations, contrasts, provenance
from lib.analysis.percentiles import SPLITS
from lib.sweep import metrics

BEST = "best network"
SEEDS = "its seeds, averaged"
SCORES = ("r2", "gain", "nr2", "rmse", "pearson", "npearson", "balanced_accuracy", "mcc")
COUNTS = ("n", "n_drugs", "n_cells")
COLUMNS = ["split", "study", "predictor", *SCORES, "gain_low", "gain_high", *COUNTS, "n_networks"]
COLUMNS += ["reason", "recipe", "members"]


def table(ledger, k, n_draws):
    """Scores of single networks and of means of networks, by split and study.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions.
    k : int
        Networks of the larger mean.
    n_draws : int
        Bootstrap draws of lines or drugs.

    Returns
    -------
    DataFrame
        split, study, predictor, SCORES, gain_low, gain_high (over lines or drugs), n, n_drugs,
        n_cells, n_networks (most averaged in a fold), reason, recipe, members. Empty where the
        sweep kept no predictions.
    """
    parts = []
    for split in SPLITS:
        block, candidates = _candidates(ledger, split)
        if block is None:
            continue
        runs = choices(ledger, candidates, k)
        ridge = ledger.runs[ledger.runs["model"] == "ridge"]
        ridge = ridge.merge(runs[BEST][["shard", "fold"]], on=["shard", "fold"])
        ridge_kept = len(ridge) > 0 and set(ridge["configuration"]) <= set(block.configurations)
        predicted = {name: averaged(block, own) for name, own in runs.items() if len(own)}
        predicted["mean_effects"] = block.mean_effects
        if ridge_kept:
            runs["ridge"] = ridge
            predicted["ridge"] = averaged(block, ridge)
        for study in ["All", *sorted(set(block.study))]:
            parts += _scored(block, study, predicted, runs, n_draws)
        if not ridge_kept:
            parts.append(_ridge(ledger, ridge, split))
        if runs[SEEDS].empty:
            reason = "one seed of each configuration was run"
            missing = dict(split=split, study="All", predictor=SEEDS, reason=reason)
            parts.append(pd.DataFrame([missing]))
    return configurations.joined(parts, COLUMNS)


def _candidates(ledger, split):
    """The block with most networks on real features, and the runs in it."""
    runs = configurations.networks(ledger.runs[ledger.runs["split"] == split])
    wanted = set(runs["configuration"])
    blocks = [b for b in ledger.predicted if b.split == split and wanted & set(b.configurations)]
    if not blocks:
        return None, runs.iloc[:0]
    block = max(blocks, key=lambda b: (len(b.rows), len(b.configurations)))
    return block, runs[runs["configuration"].isin(block.configurations)]


def choices(ledger, candidates, k):
    """Runs that make up each predictor, by inner error within each fold.

    Returns
    -------
    dict of str to DataFrame
        BEST, SEEDS (empty where no other seed was run), "best k networks, averaged".
    """
    sums = ledger.pooled["inner"].groupby("run_id")[["sum_se", "n"]].sum()
    error = candidates["run_id"].map(sums["sum_se"] / sums["n"])
    ranked = candidates.assign(inner_error=error).dropna(subset="inner_error")
    ranked = ranked.sort_values(["fold", "inner_error", "run_id"])
    best = ranked.groupby("fold").head(1)
    key = contrasts.settings_key(ranked, "seed")
    siblings = ranked[key == key.groupby(ranked["fold"]).transform("first")]
    if siblings["seed"].nunique() < 2:
        siblings = siblings.iloc[:0]
    top = ranked.groupby("fold").head(k)
    return {BEST: best, SEEDS: siblings, f"best {k} networks, averaged": top}


def averaged(block, runs):
    """Mean prediction of the runs of each fold, for every row of a block: (n_rows,)."""
    p = np.full(len(block.y), np.nan)
    for fold, own in runs.groupby("fold"):
        mine = block.fold == fold
        p[mine] = np.mean([block.of(name)[mine] for name in own["configuration"]], axis=0)
    return p


def _scored(block, study, predicted, runs, n_draws):
    """A table of one row per predictor on the rows of one study."""
    mine = np.ones(len(block.y), bool) if study == "All" else block.study == study
    p = np.stack(list(predicted.values()))
    facts = (np.full(mine.sum(), study), block.drug_id[mine], block.cell_id[mine])
    y = block.y[mine]
    scored = metrics.score_rows(
        list(predicted), "test", y, p[:, mine], block.mean_effects[mine], *facts
    )
    scored = metrics.score(scored, block.split)
    known = np.isfinite(scored["r2"])
    sums, _ = block.sums(clusters.unit_of(block.split), study, p)
    if sums.shape[1] >= clusters.LEAST_CLUSTERS:
        gain = clusters.metric_of("gain")(clusters.draws(sums, n_draws))
        low, high = np.quantile(gain, [0.025, 0.975], axis=0)
        scored = scored.assign(gain_low=low, gain_high=high)
        scored.loc[~known, ["gain_low", "gain_high"]] = np.nan
    parts = []
    for name, row in scored.groupby("run_id", sort=False):
        label = metrics.single_mechanism(study, row["n_drugs"].iloc[0])
        reasons = dict.fromkeys([*row["reason"], *row["reason_50"], label])
        row = row.assign(split=block.split, study=study, predictor=name, n_networks=0)
        row["reason"] = "; ".join(filter(None, reasons))
        if name in runs:
            row["n_networks"] = runs[name].groupby("fold").size().max()
            ids = list(runs[name]["run_id"])
            row = provenance.addressed(row, "r2", ids, kind="ensemble", metric="r2")
        parts.append(row)
    return parts


def _ridge(ledger, runs, split):
    """Ridge regression in the shards and folds of the chosen networks, from the ledger's sums."""
    rows = configurations.pool_runs(ledger, runs)
    rows = rows.assign(split=split, predictor="ridge", n_networks=0)
    rows["reason"] = rows["reason"].replace("", "no interval: its predictions were not kept")
    return provenance.addressed(rows, "r2", list(runs["run_id"]), kind="pool", metric="r2")


def learning_curves(ledger, work_dir, sweep, k):
    """Learning curves of the best networks in fold 0, the fold whose curves a sweep keeps.

    Parameters
    ----------
    ledger : configurations.Ledger
        With predictions.
    work_dir, sweep : path
        As for `configurations.load`.
    k : int

    Returns
    -------
    DataFrame
        split, run_id, rank (0 is the best by inner error), epoch, train_loss, inner_loss; empty
        where none were kept.
    """
    columns = ["split", "run_id", "rank", "epoch", "train_loss", "inner_loss"]
    parts = []
    for split in SPLITS:
        _, candidates = _candidates(ledger, split)
        *_, top = choices(ledger, candidates[candidates["fold"] == 0], k).values()
        rank = {run_id: i for i, run_id in enumerate(top["run_id"])}
        curves = _curves(top, work_dir, sweep)
        parts += [own.assign(split=split, rank=own["run_id"].map(rank)) for own in curves]
    return configurations.joined(parts, columns)


def _curves(runs, work_dir, sweep):
    """Learning curves of some runs, a table per file; all reading of this module is here."""
    folder = Path(work_dir) / "sweep"
    paths = [folder / shard / "curves.parquet" for shard in sorted(set(runs["shard"]))]
    if sweep and paths:
        paths = [Path(sweep) / "curves.parquet"]
    wanted = [("run_id", "in", list(runs["run_id"]))]
    return [pd.read_parquet(path, filters=wanted) for path in paths if path.exists()]
