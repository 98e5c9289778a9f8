"""Test predictions of a sweep, beside the truth and the mean effects: what sums by study
cannot answer.

A row of the `pairs` table is tested once per configuration, so the predictions of a configuration
are one column over rows. Configurations that share their rows form a block. From a block follow
exact scores by line and by drug (for intervals that draw lines or drugs anew), free cutoffs, and
the mean of several networks. The mean effects of each training fold are fitted again from the
folds; a block whose sums differ from the ledger's is refused.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lib import splits
from lib.analysis import configurations
from lib.cells import cohorts
from lib.hill import quality
from lib.sweep import baselines, metrics, packing
from lib.sweep import ledger as store

GROUPED = ["split", "cohort", "n_folds", "selection", "fit_filter", "target"]
CHUNK = 64  # configurations whose terms are held in double precision at once


@dataclass
class Block:
    """Configurations that were tested on the same rows.

    `p` has shape (n_configurations, n_rows). `table` has a row each: `row` of the `pairs` table, y,
    the `mean_effects` of the training fold of the row, the `fold` that tests it, study, drug_id and
    cell_id.
    """

    split: str
    cohort: str
    configurations: list
    p: np.ndarray
    table: pd.DataFrame
    _sums: dict = field(default_factory=dict)

    def of(self, configuration):
        """Predictions of one configuration, as float64 of shape (n_rows,)."""
        return self.p[self.configurations.index(configuration)].astype(float)

    def sums(self, unit, study="All"):
        """Sufficient statistics of each configuration in each line or drug.

        Parameters
        ----------
        unit : {"cell_id", "drug_id"}
        study : str

        Returns
        -------
        tuple of ndarray (n_configurations, n_clusters, n_statistics) and array of cluster names
        """
        if (unit, study) not in self._sums:
            self._sums[unit, study] = self.sums_of(self.p, unit, study)
        return self._sums[unit, study]

    def sums_of(self, p, unit, study="All"):
        """`sums` of any predictions of the same rows, p of shape (n_models, n_rows)."""
        use = np.ones(len(self.table), bool) if study == "All" else self.table["study"] == study
        own = self.table[use]
        names, group = np.unique(own[unit].to_numpy(str), return_inverse=True)
        facts = own["mean_effects"].to_numpy(), group, len(names)
        parts = np.array_split(p, -(-len(p) // CHUNK))
        y = own["y"].to_numpy()
        sums = [metrics.group_sums(y, part[:, np.asarray(use)], *facts) for part in parts]
        return np.concatenate(sums), names


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
    runs = ledger.runs[ledger.runs["repeat"] == 0]  # a row is tested once in a repeat
    runs = configurations.real_features(runs, ("null_control", "fit_filter", "target"))
    columns = _packed(Path(sweep), runs) if sweep else _shards(Path(work_dir), runs)
    settings = runs.drop_duplicates("configuration").set_index("configuration")
    groups = {}
    for name, (rows, p) in columns.items():
        facts = tuple(settings.loc[name, GROUPED])
        groups.setdefault((facts, rows.tobytes()), []).append((name, rows, p))
    made = [_block(facts, members, fits, cells) for (facts, _), members in groups.items()]
    good = [block for block in made if block is not None and _agrees(block, ledger, runs)]
    if not columns:
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
    """Test rows of a set of runs taken as one predictor (one run per fold).

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
        block = _block_of(ledger.predicted, run)
        if block is None:
            return pd.DataFrame(columns=["y", "p", "mean_effects", "study", "drug_id", "cell_id"])
        known = run.configuration in block.configurations
        p = block.of(run.configuration) if known else block.table["mean_effects"]
        parts.append(block.table.assign(p=p)[block.table["fold"] == run.fold])
    return pd.concat(parts, ignore_index=True)


def _block_of(blocks, run):
    """The block that holds a run's predictions, or for the mean effects the largest one of its
    split and cohort.
    """
    own = [b for b in blocks if run.configuration in b.configurations]
    if not own and run.model == "mean_effects":
        own = [b for b in blocks if (b.split, b.cohort) == (run.split, run.cohort)]
    return max(own, key=lambda b: len(b.table), default=None)


def _packed(folder, runs):
    """Predictions of a packed sweep: configuration to (rows, p)."""
    one = runs.drop_duplicates("configuration")
    found = {}
    for split, own in one.groupby("split"):
        table = packing.packed_predictions(folder, split)
        if table is None:
            continue
        rows = table["row"].to_numpy()
        for name in own.loc[own["configuration"].isin(table.columns), "configuration"]:
            p = table[name].to_numpy()
            known = ~np.isnan(p)
            found[name] = rows[known], p[known]
    return found


def _shards(work_dir, runs):
    """Predictions that shards kept: configuration to (rows, p), where every fold did."""
    parts = {}
    for shard, own in runs.groupby("shard"):
        table = store.shard_predictions(work_dir, shard)
        if table is None:
            continue
        names = own.set_index("run_id")["configuration"]
        for run_id, part in table.groupby("run_id", observed=True, sort=False):
            if run_id in names.index:
                parts.setdefault(names[run_id], []).append(
                    (part["row"].to_numpy(), part["p"].to_numpy())
                )
    wanted = runs.groupby("configuration")["n_folds"].first()
    whole = {
        name: [np.concatenate(a) for a in zip(*own, strict=True)]
        for name, own in parts.items()
        if len(own) == wanted[name]
    }
    order = {name: np.argsort(rows) for name, (rows, _) in whole.items()}
    return {name: (rows[order[name]], p[order[name]]) for name, (rows, p) in whole.items()}


def _block(facts, members, fits, cells):
    """A block with its folds and mean effects; None where the rows are not rows of these tables."""
    split, cohort, n_folds, selection, fit_filter, target = facts
    rows = members[0][1]
    pairs = quality.training_rows(fits, fit_filter, target)
    if split not in splits.KEYS or not len(rows) or rows.max() >= len(pairs):
        return None
    own = np.flatnonzero(cohorts.cohort_mask(pairs, cells, cohort))
    table = cohorts.add_cell_facts(pairs, cells)
    role, fold = splits.roles(
        table[splits.KEYS[split]].iloc[own].to_numpy(str), int(n_folds), selection=selection
    )
    used = np.isin(own, rows)
    if used.sum() != len(rows):
        return None
    mine, role, fold = table.iloc[rows], role[:, used], fold[used]
    y = mine["auc"].to_numpy(np.float32)
    codes = [pd.factorize(mine[c], sort=True)[0] for c in ("drug_id", "cell_id")]
    facts = mine[["study", "drug_id", "cell_id"]].astype(str).reset_index(drop=True)
    facts = facts.assign(row=rows, y=y.astype(float), fold=fold, mean_effects=0.0)
    for k in range(int(n_folds)):
        effects = baselines.additive(y, codes, np.flatnonzero(role[k] == splits.TRAIN))
        facts.loc[fold == k, "mean_effects"] = effects[fold == k]
    names, _, p = zip(*members, strict=True)
    return Block(split, cohort, list(names), np.stack(p), facts)


def _agrees(block, ledger, runs):
    """Whether a block's sums are those that the ledger has for its first configuration."""
    ids = runs.loc[runs["configuration"] == block.configurations[0], "run_id"]
    stored = ledger.pooled["test"]
    stored = stored.loc[stored["run_id"].isin(ids), metrics.STATISTICS].sum()
    ours = pd.Series(block.sums_of(block.p[:1], "study")[0].sum((0, 1)), metrics.STATISTICS)
    exact = ["n", "sum_y", "nsum_yy"]
    agree = np.isclose(ours[exact], stored[exact], rtol=1e-4).all()
    return agree and np.isclose(ours["sum_se"], stored["sum_se"], rtol=0.02)
