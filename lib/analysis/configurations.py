"""From the ledger of runs to configurations: folds merged, failures counted, the removal rule,
nested selection.

A configuration is a run without its fold (section 4.7 of the paper concatenates the three folds'
predictions; here their sufficient statistics are added, which is the same). Nothing leaves a table
silently: a configuration with a missing fold, a failed run or a score that the paper's rule removes
keeps its row with the reason.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import tables
from lib.sweep import ledger as store
from lib.sweep import metrics, packing
from lib.sweep.grid import DEFAULTS, NETWORKS, RECIPES, TYPES

PLACE = ["repeat", "fold"]  # where a run of a configuration stands
# What identifies a configuration: every setting of a run but its cut into folds.
SPEC = [name for name in TYPES if name not in PLACE]
# The runs that answer the paper's question: real features, nothing fitted or chosen on test rows,
# one target (the commonest of a sweep that has no fitted areas).
MAIN = dict(
    null_control="none", selection="nested", scope="train_fold", target="auc", fit_filter="none"
)
VERSIONS = ("commit", "torch", "data_key")
METRICS = ("rmse", "r2", "balanced_accuracy", "mcc")
PERCENTILE = dict.fromkeys(METRICS, 0.99) | dict(rmse=0.01)  # section 4.7
COUNTED = {"n_test_drugs": "n_drugs", "n_test_cells": "n_cells"}  # over all studies, of a run


@dataclass
class Ledger:
    """Runs and their scores, with sentences on what is wrong with them."""

    runs: pd.DataFrame
    scores: pd.DataFrame
    notes: list = field(default_factory=list)
    predicted: list = field(default_factory=list)  # of lib.analysis.predictions.load
    packed: Path | None = None  # folder of a packed sweep
    units: dict = field(default_factory=dict)  # `clusters.Units` by split, study, n_draws

    @cached_property
    def clusters(self):
        """Test sums of each configuration by study and line or drug (`packing.cluster_sums`)."""
        found = packing.packed_sums(self.packed, "clusters")
        return packing.cluster_sums(self.runs, self.scores) if found is None else found

    @cached_property
    def pooled(self):
        """Sums of each run by study, with its configuration, split and place: {part: DataFrame}.

        Study "All" has the rows of every study once more. Lines and drugs occur in several studies,
        so there their numbers are those that the run counted over all of them.
        """
        whole = self.scores[(self.scores["drug_id"] == "") & (self.scores["cell_id"] == "")]
        facts = self.runs[["run_id", "configuration", "split", *PLACE, *COUNTED]]
        single = whole.merge(facts, on="run_id")
        every = single.drop(columns=COUNTED.values()).rename(columns=COUNTED)
        both = pd.concat([single.drop(columns=COUNTED.keys()), every.assign(study="All")])
        return {part: both[both["part"] == part] for part in ("test", "inner")}


def load(work_dir, sweep=None):
    """Every shard of a sweep, or a sweep that `results.pack` packed into one folder.

    Parameters
    ----------
    work_dir : path
        Folder that holds `sweep/<shard>/runs.parquet` and `scores.parquet`; shards that its grid
        does not name (`lib.sweep.ledger.declare`) are left out.
    sweep : path, optional
        Folder of a packed sweep; `work_dir` then holds the tables it was trained on and is not
        searched.

    Returns
    -------
    Ledger
        An unreadable shard, missing folds and mixed versions are
        sentences in `notes`, never an exception: what can be analysed is.

    Raises
    ------
    TableError
        If a packed sweep cannot be read or lacks a column, or the list of shards is damaged.
    """
    if sweep:
        return replace(from_frames(*_read(Path(sweep))), packed=Path(sweep))
    found = []
    notes = []
    folders, n_earlier = store.shard_folders(work_dir)
    if n_earlier:
        notes.append(f"{n_earlier} shard(s) of an earlier grid are left out")
    absent = (store.declared(work_dir) or set()) - {folder.name for folder in folders}
    if absent:
        notes.append(f"{len(absent)} shard(s) of the grid are not there, first {min(absent)}")
    for folder in folders:
        try:
            found.append(_read(folder))
        except ValueError as error:
            notes.append(f"shard {folder.name} cannot be read and is left out ({error})")
    if not found:
        place = f"{Path(work_dir).name}/sweep"
        notes.append(f"the ledger is empty: no shard under {place}; run notebook 05 first")
        return Ledger(*_nothing(), notes)
    runs, scores = (pd.concat(frames) for frames in zip(*found, strict=True))
    return from_frames(runs, scores, notes)


def _read(folder):
    """Runs and scores of a shard or a packed sweep, with every setting and fact of a run."""
    runs, scores = store.read(folder)
    lacking = [name for name in _nothing()[0] if name not in runs]
    if lacking:
        raise tables.TableError(
            f"{folder.name}/runs.parquet has no column {lacking[0]!r}: train or pack the sweep again"
        )
    return runs, scores


def _nothing():
    """The two tables of a sweep without a run."""
    facts = ["run_id", "shard", "configuration", "status", "reason", *VERSIONS, *COUNTED]
    sums = dict.fromkeys([*metrics.STATISTICS, *COUNTED.values()], float)
    scores = pd.DataFrame(columns=[*metrics.KEYS, *sums]).astype(sums)
    return pd.DataFrame(columns=[*facts, *TYPES]), scores


def require_networks(ledger):
    """Stop an analysis that has nothing to analyse.

    Raises
    ------
    ValueError
        If the ledger is empty, or no network of the sweep has a score; with the most frequent
        reason.
    """
    found = ledger.runs[ledger.runs.model.isin(NETWORKS)]
    if found.empty:
        raise ValueError("; ".join([*ledger.notes, "no network to analyse: run notebook 05 first"]))
    if not found.status.isin(store.SCORED).any():
        why = found.reason.value_counts().index[0]
        raise ValueError(
            f"every one of the {len(found)} networks failed, most of them because: {why}"
        )


def from_frames(runs, scores, notes=()):
    """A ledger from its two tables, with the notes that they call for."""
    runs = runs.drop_duplicates("run_id", keep="last").reset_index(drop=True)
    keys = scores[metrics.KEYS].astype(str)
    scores = scores[~keys.duplicated(keep="last")].reset_index(drop=True)
    return Ledger(runs, scores, [*notes, *_faults(runs)])


def only(ledger, names):
    """The part of a ledger that belongs to some configurations."""
    runs = ledger.runs[ledger.runs.configuration.isin(names)]
    return replace(ledger, runs=runs, units={})


def _faults(runs):
    """Sentences on versions that are mixed, folds that are missing and runs that failed."""
    notes = []
    for name in VERSIONS:
        # The data key belongs to a panel and a drug block, the others to the whole sweep.
        by = [runs.panel, runs.drug_block] if name == "data_key" else np.zeros(len(runs))
        n_versions = runs[name].groupby(by).transform("nunique")
        mixed = sorted(set(runs.loc[n_versions > 1, name].dropna().astype(str)))
        if mixed:
            told = ", ".join(mixed)
            notes.append(f"results of different versions are mixed: {name} is {told}")
    n_found = runs.drop_duplicates(["configuration", *PLACE])["configuration"].value_counts()
    n_short = (n_found < _n_places(runs)[n_found.index]).sum()
    if n_short:
        notes.append(
            f"{n_short} of {len(n_found)} configurations lack a fold and get no merged score"
        )
    bad = runs[~runs.status.isin(store.SCORED)]
    if len(bad):
        kinds = ", ".join(f"{n} {name}" for name, n in bad.status.value_counts().items())
        notes.append(
            f"{len(bad)} of {len(runs)} runs gave no usable model ({kinds}); they count in every "
            "denominator"
        )
    return notes


def _n_places(runs):
    """How many repeats and folds each configuration should have: all folds of its repeats."""
    grouped = runs.groupby("configuration")
    return grouped["repeat"].nunique() * grouped["n_folds"].first()


def pooled_scores(rows, runs, by):
    """Scores of the runs given, pooled as `by` says.

    Parameters
    ----------
    rows : DataFrame
        Of `Ledger.pooled`, all or those of one study.
    runs : DataFrame
        Rows of `Ledger.runs`.
    by : list of str

    Returns
    -------
    DataFrame
        `by` and the columns of `metrics.score`.
    """
    return metrics.score(metrics.pool(rows[rows.run_id.isin(runs.run_id)], by))


def merge_folds(ledger, part="test", runs=None):
    """One row per configuration and study: the folds' statistics added, then scored.

    Parameters
    ----------
    ledger : Ledger
    part : {"test", "inner"}
    runs : DataFrame, optional
        Some of `ledger.runs`; all of them by default.

    Returns
    -------
    DataFrame
        configuration, study ("All" pools the studies), the settings, every metric of
        `metrics.score`, `loss` (Huber with delta 1, which for errors below 1 is half their mean
        square), n_folds_scored, `reason` where there is no score. A configuration without any score
        has a row of study "All"; one that lacks a fold has its rows without scores.
    """
    runs = ledger.runs if runs is None else runs
    rows = ledger.pooled[part]
    rows = rows[rows.run_id.isin(runs.run_id)]
    table = metrics.score(metrics.pool(rows, ["configuration", "split", "study"]))
    table = table.drop(columns="split")
    table["loss"] = table.sum_se / table.n / 2
    absent = runs.loc[~runs.configuration.isin(table.configuration), "configuration"].unique()
    extra = pd.DataFrame(dict(configuration=absent, study="All", n=0, reason="no run was scored"))
    table = pd.concat([table, extra], ignore_index=True) if len(extra) else table
    settings = runs.drop_duplicates("configuration").set_index("configuration")[SPEC]
    places = rows.drop_duplicates(["configuration", *PLACE])["configuration"].value_counts()
    table = table.join(settings, on="configuration")
    n_scored = table.configuration.map(places).fillna(0)
    table["n_folds_scored"] = n_scored
    short = n_scored < table.configuration.map(_n_places(runs))
    why = n_scored.map("only {:.0f} fold(s) scored".format)
    table["reason"] = table.reason.mask(short & (n_scored > 0), why)
    table.loc[short, [*METRICS, "pearson", "nr2", "npearson", "gain", "loss"]] = np.nan
    return table


def ranked(ledger, candidates, part="inner"):
    """Runs that have a score, with their mean squared `error`, in each fold the best first.

    Parameters
    ----------
    ledger : Ledger
    candidates : DataFrame
        Rows of `ledger.runs` that share their rows.
    part : {"inner", "test"}
        "test" is the paper's way: it shows what the winner's curse is worth.
    """
    rows = ledger.pooled[part]
    rows = rows[rows.study == "All"]
    sums = rows.groupby("run_id")[["sum_se", "n"]].sum(skipna=False)
    table = candidates.assign(error=candidates.run_id.map(sums["sum_se"] / sums["n"]))
    table = table.dropna(subset="error")
    return table.sort_values(["split", *PLACE, "error", "run_id"], ignore_index=True)


def choose(ledger, candidates, part="inner"):
    """The run of each fold that is best on its own inner rows: nested selection, so that test rows
    choose nothing.

    Parameters are those of `ranked`.
    """
    return ranked(ledger, candidates, part).drop_duplicates(["split", *PLACE], ignore_index=True)


def pool_runs(ledger, runs):
    """Scores of a set of runs taken as one predictor (one run per fold of each repeat), by study and
    over all studies.

    Returns
    -------
    DataFrame
        One row per split and study; sums and counts are means over the repeats.
    """
    sums = pool_repeats(ledger, runs).drop(columns="repeat")
    return metrics.score(sums.groupby(["split", "study"], as_index=False).mean(skipna=False))


def pool_repeats(ledger, runs):
    """Sums of a set of runs, its folds added, by split, study and repeat."""
    rows = ledger.pooled["test"]
    return metrics.pool(rows[rows.run_id.isin(runs.run_id)], ["split", "study", "repeat"])


def networks(runs, vary=()):
    """The trained networks on real features that never saw a test row; settings in `vary` may take
    any value.

    Parameters
    ----------
    runs : DataFrame
        Runs or configurations.
    vary : tuple of str
        Keys of MAIN that are compared rather than held.
    """
    return real_features(runs[runs.model.isin(NETWORKS)], vary)


def real_features(runs, vary=()):
    """Runs (of any model) that hold the settings of MAIN."""
    held = pd.Series(MAIN)
    if len(runs) and not (runs.target == held["target"]).any():
        held["target"] = runs.target.mode()[0]
    held = held.drop(list(set(vary) & set(MAIN)))
    return runs[(runs[held.index] == held).all(axis=1)]


def paper_design(runs):
    """Runs of the paper's recipe, without those that depart from its training in both their start
    and their patience.

    Such networks are trained to be good, not to be compared: they are in the headline and in
    `lib.analysis.ensembles`, and would tilt a percentile towards the feature sets that they happen
    to use.
    """
    tuned = (runs.init.astype(float) != DEFAULTS["init"]) & (runs.patience == "tuned")
    return runs[(arm(runs) == "paper") & ~tuned]


def arm(runs):
    """`sound` for runs with a setting of that recipe (`grid.RECIPES`), `paper` for the others.

    Returns
    -------
    Series of str
    """
    plain = pd.Series(DEFAULTS)[list(RECIPES["sound"])]
    is_sound = (runs[plain.index] != plain).any(axis=1)
    return is_sound.map({True: "sound", False: "paper"})
