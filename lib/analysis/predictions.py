"""Test predictions of a sweep, beside the truth and the mean effects: what sums by study
cannot answer.

A row of the `pairs` table is tested once per configuration, so the predictions of a configuration
are one column over rows. Configurations that share their rows form a block. From a block follow
exact scores by line and by drug (for intervals that draw lines or drugs anew), free cutoffs, and
the mean of several networks. The mean effects of each training fold are fitted again from the
folds; a block whose sums differ from the ledger's is refused.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib import splits
from lib.analysis import configurations
from lib.cells import cohorts
from lib.hill import quality
from lib.sweep import baselines, metrics, packing

GROUPED = "split cohort n_folds selection fit_filter target".split()
FACTS = ["study", "drug_id", "cell_id"]
CHUNK = 64  # configurations whose terms are held in double precision at once


@dataclass
class Block:
    """Configurations that were tested on the same rows, in one repeat.

    `p` has shape (n_configurations, n_rows). `table` has a row each: `row` of the `pairs` table, y,
    the `mean_effects` of the training fold of the row, the `fold` that tests it, study, drug_id and
    cell_id.
    """

    split: str
    cohort: str
    repeat: int
    configurations: list
    p: np.ndarray
    table: pd.DataFrame

    def of(self, configuration):
        """Predictions of one configuration, as float64 of shape (n_rows,)."""
        return self.p[self.configurations.index(configuration)].astype(float)


def scored(rows, p, names, by="study"):
    """Rows of the `scores` table of predictions for test rows.

    Parameters
    ----------
    rows : DataFrame
        `Block.table`, or `of_runs`.
    p : sequence of ndarray of shape (n_rows,)
    names : list of str
        Of the predictions; they stand as `run_id`.
    by : {"study", "cell", "drug"}

    Returns
    -------
    DataFrame
        As `metrics.score_rows`.
    """
    facts = [rows[name].to_numpy() for name in ("mean_effects", *FACTS)]
    y = rows.y.to_numpy()
    parts = [
        metrics.score_rows(names[i : i + CHUNK], "test", y, np.array(p[i : i + CHUNK]), *facts, by)
        for i in range(0, len(names), CHUNK)
    ]
    return pd.concat(parts, ignore_index=True)


def load(ledger, work_dir, fits, cells, sweep=None):
    """Blocks of the predictions that a sweep kept, where they belong to the tables given.

    Parameters
    ----------
    ledger : configurations.Ledger
        Gets a note where predictions are missing or belong to other tables.
    work_dir : path
    fits, cells : DataFrame
        Curves, from which the training rows of each filter and target follow, and lines.
    sweep : path, optional
        Folder of a packed sweep.

    Returns
    -------
    list of Block
    """
    runs = configurations.real_features(ledger.runs, ("null_control", "fit_filter", "target"))
    runs = runs[runs.repeat == 0] if sweep else runs  # what a packed sweep holds
    made = []
    for (split, _), own in runs.groupby(["split", "repeat"]):  # a row is tested once in a repeat
        if sweep:
            wide = packing.packed_predictions(sweep, split)
        else:
            wide = packing.by_configuration(work_dir, own)
        own = own[own.configuration.isin(wide.columns)].drop_duplicates("configuration")
        own["tested"] = [wide[name].notna().to_numpy().tobytes() for name in own.configuration]
        for _, same in own.groupby([*GROUPED, "tested"], sort=False):
            columns = wide[same.configuration].dropna()
            made.append(_block(same.iloc[0], columns, fits, cells))
    good = [block for block in made if block is not None and _agrees(block, ledger)]
    if not made:
        ledger.notes.append(
            "the sweep kept no predictions: no scores by line or drug, cutoffs or ensembles"
        )
    elif len(good) < len(made):
        ledger.notes.append(
            f"predictions of {len(made) - len(good)} of {len(made)} groups of rows are left out: "
            "their rows are not those of this folder's tables"
        )
    return good


def of_runs(ledger, runs):
    """Test rows of runs of one repeat taken as one predictor: the mean where a fold has several.

    Parameters
    ----------
    ledger : configurations.Ledger
    runs : DataFrame
        Rows of `ledger.runs`; the mean effects need no predictions of their own.

    Returns
    -------
    DataFrame
        y, p, mean_effects, study, drug_id, cell_id; empty where a fold's predictions were not kept.
    """
    parts = []
    for run in runs.itertuples():
        own = [b for b in ledger.predicted if b.repeat == run.repeat]
        blocks = [b for b in own if run.configuration in b.configurations]
        if not blocks and run.model == "mean_effects":
            at = run.split, run.cohort
            blocks = [b for b in own if (b.split, b.cohort) == at]
        if not blocks:
            return pd.DataFrame(columns=["y", "p", "mean_effects", *FACTS])
        block = max(blocks, key=lambda b: len(b.table))
        known = run.configuration in block.configurations
        p = block.of(run.configuration) if known else block.table["mean_effects"]
        parts.append(block.table.assign(p=p)[block.table["fold"] == run.fold])
    rows = pd.concat(parts)
    mean = rows.groupby("row")["p"].transform("mean")
    return rows.assign(p=mean).drop_duplicates("row", ignore_index=True)


def _block(settings, columns, fits, cells):
    """A block with its folds and mean effects; None where the rows are not rows of these tables.

    `settings` is the first of its runs; `columns` has a row per tested row, a column per
    configuration.
    """
    pairs = quality.training_rows(fits, settings["fit_filter"], settings["target"])
    rows = columns.index.to_numpy()
    own = np.flatnonzero(cohorts.cohort_mask(pairs, cells, settings["cohort"]))
    if settings["split"] not in splits.KEYS or not len(rows) or not np.isin(rows, own).all():
        return None
    table = cohorts.add_cell_facts(pairs, cells)
    keys = table[splits.KEYS[settings["split"]]].iloc[own].to_numpy(str)
    n_folds = int(settings["n_folds"])
    repeat = int(settings["repeat"])
    role, fold = splits.roles(keys, n_folds, settings["selection"], repeat)
    used = np.isin(own, rows)
    role = role[:, used]
    fold = fold[used]
    mine = table.iloc[rows]
    y = mine.auc.to_numpy(np.float32)
    codes = [pd.factorize(mine[name], sort=True)[0] for name in ("drug_id", "cell_id")]
    facts = mine[FACTS].astype(str).reset_index(drop=True)
    facts = facts.assign(row=rows, y=y.astype(float), fold=fold, mean_effects=0.0)
    for k in range(n_folds):
        effects = baselines.additive(y, codes, np.flatnonzero(role[k] == splits.TRAIN))
        facts.loc[fold == k, "mean_effects"] = effects[fold == k]
    p = columns.to_numpy().T
    return Block(settings["split"], settings["cohort"], repeat, list(columns), p, facts)


def _agrees(block, ledger):
    """Whether a block's sums are those that the ledger has for its first configuration."""
    stored = ledger.pooled["test"]
    own = (stored.configuration == block.configurations[0]) & (stored.repeat == block.repeat)
    stored = stored.loc[own & (stored.study == "All"), metrics.STATISTICS].sum()
    ours = scored(block.table, block.p[:1], [""])[metrics.STATISTICS].sum()
    allowed = pd.Series({"n": 1e-4, "sum_y": 1e-4, "nsum_yy": 1e-4, "sum_se": 0.02})
    off = (ours - stored)[allowed.index].abs()
    return (off <= allowed * stored[allowed.index].abs()).all()
