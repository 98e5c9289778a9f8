"""How good can it get? One network, the mean of its seeds, the mean of the best ones, beside what knows no feature.

Every choice is made by inner rows within each fold, every score is read on the same test rows, and intervals draw
whole lines (unseen cells) or drugs (unseen drugs) anew.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.analysis import clusters, configurations
from lib.analysis.predictions import Block
from lib.sweep import metrics

BEST = "best network"
SEEDS = "its seeds, averaged"
SCORES = ("r2", "gain", "nr2", "rmse", "pearson", "npearson", "balanced_accuracy", "mcc")


def table(ledger, k=10, n_draws=300):
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
        split, study, predictor, SCORES, gain_low, gain_high (over lines or drugs), n, n_drugs, n_cells, n_networks
        (most averaged in a fold), reason, recipe, members. Empty where the sweep kept no predictions.
    """
    rows = []
    for split in ("on_cell", "on_drug"):
        block, candidates = _candidates(ledger, split)
        if block is None:
            continue
        chosen = choices(ledger, candidates, k)
        named = {name: own for name, own in chosen.items() if len(own)}
        p = {name: averaged(block, own) for name, own in named.items()} | {
            "mean_effects": block.floor
        }
        ridge = ledger.runs[ledger.runs["model"] == "ridge"].merge(
            chosen[BEST][["shard", "fold"]], on=["shard", "fold"]
        )
        kept = bool(len(ridge)) and set(ridge["configuration"]) <= set(block.configurations)
        named |= {"ridge": ridge} if kept else {}
        p |= {"ridge": averaged(block, ridge)} if kept else {}
        rows += _scored(block, p, named, n_draws)
        rows += [] if kept else _ridge(ledger, ridge, split)
        rows += [dict(split=split, study="All", predictor=name, reason="one seed of each configuration was run")
                 for name, own in chosen.items() if own.empty]  # fmt: skip
    columns = [
        "split",
        "study",
        "predictor",
        *SCORES,
        "gain_low",
        "gain_high",
        "n",
        "n_drugs",
        "n_cells",
        "n_networks",
    ]
    return pd.DataFrame(rows, columns=[*columns, "reason", "recipe", "members"])


def _candidates(ledger, split):
    """The block with most networks on real features, and the runs in it."""
    runs = configurations.networks(ledger.runs[ledger.runs["split"] == split])
    blocks = [
        b
        for b in ledger.predicted
        if b.split == split and set(b.configurations) & set(runs["configuration"])
    ]
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
    inner = ledger.pooled["inner"]
    sums = (
        inner[inner["run_id"].isin(candidates["run_id"])].groupby("run_id")[["sum_se", "n"]].sum()
    )
    error = candidates["run_id"].map(sums["sum_se"] / sums["n"])
    ranked = (
        candidates.assign(inner_error=error)
        .dropna(subset="inner_error")
        .sort_values(["fold", "inner_error", "run_id"])
    )
    best = ranked.groupby("fold").head(1)
    same = [c for c in configurations.SPEC if c in ranked and c != "seed"] + ["fold"]
    key = pd.util.hash_pandas_object(ranked[same].astype(str), index=False)
    siblings = ranked[key.isin(key[best.index]).to_numpy()]
    siblings = siblings if siblings["seed"].nunique() > 1 else siblings.iloc[:0]
    return {
        BEST: best,
        SEEDS: siblings,
        f"best {k} networks, averaged": ranked.groupby("fold").head(k),
    }


def averaged(block, runs):
    """Mean prediction of the runs of each fold, for every row of a block: (n_rows,)."""
    p = np.full(len(block.y), np.nan)
    for fold, own in runs.groupby("fold"):
        mine = block.fold == fold
        p[mine] = np.mean([block.of(name)[mine] for name in own["configuration"]], axis=0)
    return p


def _scored(block, p, named, n_draws):
    names, stack = list(p), np.stack(list(p.values()))
    rows = []
    for study in ["All", *sorted(set(block.study))]:
        mine = np.ones(len(block.y), bool) if study == "All" else block.study == study
        facts = np.full(mine.sum(), study), block.drug_id[mine], block.cell_id[mine]
        scored = metrics.score_rows(
            names, "test", block.y[mine], stack[:, mine], block.floor[mine], *facts
        )
        scored = metrics.score(scored.set_index("run_id").loc[names].reset_index(), block.split)
        limits = _intervals(block, stack, study, n_draws)
        for row, (low, high) in zip(scored.to_dict("records"), limits, strict=True):
            rows.append(_row(block, row, study, named.get(row["run_id"]), low, high))
    return rows


def _row(block, row, study, runs, low, high):
    known = np.isfinite(row["r2"])
    label = metrics.single_mechanism(study, row["n_drugs"])
    why = "; ".join(dict.fromkeys(r for r in (row["reason"], row["reason_50"], label) if r))
    found = dict(split=block.split, study=study, predictor=row["run_id"], reason=why)
    found |= {name: row[name] for name in (*SCORES, "n", "n_drugs", "n_cells")}
    found |= dict(gain_low=low if known else np.nan, gain_high=high if known else np.nan)
    found |= dict(n_networks=0 if runs is None else int(runs.groupby("fold").size().max()))
    if not known or runs is None:
        return found | dict(recipe=None, members=None)
    recipe = dict(kind="ensemble", metric="r2", study=study)
    return found | dict(recipe=recipe, members=list(runs["run_id"]))


def _intervals(block: Block, stack, study, n_draws):
    sums = block.sums("drug_id" if block.split == "on_drug" else "cell_id", study, p=stack)[0]
    if sums.shape[1] < 10:
        return [(np.nan, np.nan)] * len(stack)
    drawn = clusters.draws(sums, n_draws)
    return np.quantile(clusters.metric_of("gain")(drawn), [0.025, 0.975], axis=0).T


def _ridge(ledger, runs, split):
    """Ridge regression in the shards and folds of the chosen networks, from the ledger's sums."""
    scored = configurations.pool_runs(ledger, runs) if len(runs) else pd.DataFrame()
    rows = []
    for row in scored.to_dict("records"):
        why = row["reason"] or "no interval: its predictions were not kept"
        found = dict(split=split, study=row["study"], predictor="ridge", n_networks=0, reason=why)
        found |= {name: row[name] for name in (*SCORES, "n", "n_drugs", "n_cells")}
        recipe = (
            dict(kind="pool", metric="r2", study=row["study"]) if np.isfinite(row["r2"]) else None
        )
        rows.append(found | dict(recipe=recipe, members=list(runs["run_id"]) if recipe else None))
    return rows


def learning_curves(ledger, work_dir, sweep=None, k=10):
    """Learning curves of the best networks in fold 0, the fold whose curves a sweep keeps.

    Returns
    -------
    DataFrame
        split, run_id, rank (0 is the best by inner error), epoch, train_loss, inner_loss; empty where none were kept.
    """
    parts = []
    for split in ("on_cell", "on_drug"):
        _, candidates = _candidates(ledger, split)
        if candidates.empty:
            continue
        first = choices(ledger, candidates[candidates["fold"] == 0], k)[
            f"best {k} networks, averaged"
        ]
        curves = _curves(first, Path(work_dir), sweep)
        rank = dict(zip(first["run_id"], range(len(first)), strict=True))
        parts.append(curves.assign(split=split, rank=curves["run_id"].map(rank)))
    columns = ["split", "run_id", "rank", "epoch", "train_loss", "inner_loss"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _curves(runs, work_dir, sweep):
    if sweep:
        paths = [Path(sweep) / "curves.parquet"]
    else:
        paths = [
            work_dir / "sweep" / shard / "curves.parquet" for shard in sorted(set(runs["shard"]))
        ]
    found = [
        pd.read_parquet(path, filters=[("run_id", "in", list(runs["run_id"]))])
        for path in paths
        if path.exists()
    ]
    return (
        pd.concat(found, ignore_index=True)
        if found
        else pd.DataFrame(columns=["run_id", "epoch", "train_loss", "inner_loss"])
    )
