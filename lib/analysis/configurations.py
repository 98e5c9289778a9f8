"""From the ledger of runs to configurations: folds merged, failures counted, the removal rule,
nested selection.

A configuration is a run without its fold (section 4.7 of the paper concatenates the three folds'
predictions; here their sufficient statistics are added, which is the same). Nothing leaves a table
silently: a configuration with a missing fold, a failed run or a score that the paper's rule removes
keeps its row with the reason.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib.sweep import ledger as store
from lib.sweep import metrics, packing
from lib.sweep.grid import DEFAULTS, NETWORKS, RECIPES, RunSpec

# What identifies a configuration: every setting of a run but its cut into folds.
SPEC = [f.name for f in fields(RunSpec) if f.name not in ("repeat", "fold")]
# The runs that answer the paper's question: real features, nothing fitted or chosen on test rows,
# one target (the commonest of a sweep that has no fitted areas).
MAIN = dict(
    null_control="none", selection="nested", scope="train_fold", target="auc", fit_filter="none"
)
PLACE = ["repeat", "fold"]  # where a run of a configuration stands
VERSIONS = ("commit", "torch", "data_key")
METRICS = ("rmse", "r2", "balanced_accuracy", "mcc")
PERCENTILE = dict.fromkeys(METRICS, 0.99) | dict(rmse=0.01)  # section 4.7


@dataclass
class Ledger:
    """Runs and their scores, with sentences on what is wrong with them."""

    runs: pd.DataFrame
    scores: pd.DataFrame
    notes: list = field(default_factory=list)
    predicted: list = field(default_factory=list)  # of lib.analysis.predictions.load
    packed_clusters: pd.DataFrame | None = None
    units: dict = field(default_factory=dict)  # `clusters.Units` by split, study, n_draws

    @cached_property
    def clusters(self):
        """Test sums of each configuration by study and line or drug (`packing.cluster_sums`)."""
        if self.packed_clusters is not None:
            return self.packed_clusters
        return packing.cluster_sums(self.runs, self.scores)

    @cached_property
    def pooled(self):
        """Scores by study, without those by drug and by cell: {part: DataFrame}."""
        whole = self.scores[(self.scores["drug_id"] == "") & (self.scores["cell_id"] == "")]
        return {part: whole[whole["part"] == part] for part in ("test", "inner")}


def load(work_dir, sweep=None):
    """Every shard of a sweep, or a sweep that `lib.sweep.packing.pack` packed into one folder.

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
        ledger = from_frames(*store.read(Path(sweep)))
        ledger.packed_clusters = packing.packed_clusters(sweep)
        return ledger
    runs = []
    scores = []
    notes = []
    folders, n_earlier = store.shard_folders(work_dir)
    if n_earlier:
        notes.append(f"{n_earlier} shard(s) of an earlier grid are left out")
    absent = (store.declared(work_dir) or set()) - {folder.name for folder in folders}
    if absent:
        notes.append(f"{len(absent)} shard(s) of the grid are not there, first {min(absent)}")
    for folder in folders:
        try:
            shard_runs, shard_scores = store.read(folder)
        except ValueError as error:
            notes.append(f"shard {folder.name} cannot be read and is left out ({error})")
            continue
        runs.append(shard_runs)
        scores.append(shard_scores)
    if not runs:
        place = f"{Path(work_dir).name}/sweep"
        notes.append(f"the ledger is empty: no shard under {place}; run notebook 05 first")
        return _empty(notes)
    return from_frames(pd.concat(runs), pd.concat(scores), notes)


def require_networks(ledger):
    """Stop an analysis that has nothing to analyse.

    Raises
    ------
    ValueError
        If the ledger is empty, or no network of the sweep has a score; with the most frequent
        reason.
    """
    found = ledger.runs[ledger.runs["model"].isin(NETWORKS)] if len(ledger.runs) else ledger.runs
    if found.empty:
        raise ValueError("; ".join([*ledger.notes, "no network to analyse: run notebook 05 first"]))
    if found["status"].isin(store.SCORED).any():
        return
    why = found["reason"].value_counts().index[0]
    raise ValueError(f"every one of the {len(found)} networks failed, most of them because: {why}")


def _empty(notes):
    return Ledger(
        pd.DataFrame(columns=["run_id", "shard", "configuration", *PLACE, *SPEC, "status"]),
        _no_scores(),
        notes,
    )


def from_frames(runs, scores, notes=()):
    """A ledger from its two tables, with the notes that they call for."""
    runs = runs.drop_duplicates("run_id", keep="last").reset_index(drop=True)
    keys = scores[metrics.KEYS].astype(str)
    scores = scores[~keys.duplicated(keep="last")].reset_index(drop=True)
    found = [*_version_notes(runs), *_fold_notes(runs), *_failure_notes(runs)]
    return Ledger(runs, scores, [*notes, *found])


def only(ledger, names):
    """The part of a ledger that belongs to some configurations."""
    return Ledger(
        ledger.runs[ledger.runs["configuration"].isin(names)],
        ledger.scores,
        ledger.notes,
        ledger.predicted,
        ledger.packed_clusters,
    )


def _no_scores():
    numbers = [*metrics.STATISTICS, "n_drugs", "n_cells"]
    return pd.DataFrame(columns=[*metrics.KEYS, *numbers]).astype(dict.fromkeys(numbers, float))


def _version_notes(runs):
    """Versions that differ where they should not; the data key belongs to a panel
    and a drug block.
    """
    notes = []
    for name in [v for v in VERSIONS if v in runs]:
        within = [w for w in ("panel", "drug_block") if w in runs and name == "data_key"]
        facts = runs[[*within, name]].dropna().drop_duplicates()
        mixed = facts[facts.duplicated(within, keep=False)] if within else facts
        if len(mixed) > 1:
            told = ", ".join(sorted(set(mixed[name].astype(str))))
            notes.append(f"results of different versions are mixed: {name} is {told}")
    return notes


def _fold_notes(runs):
    present = runs.drop_duplicates(["configuration", *PLACE])["configuration"].value_counts()
    short = present < _n_places(runs).reindex(present.index)
    said = f"{short.sum()} of {len(short)} configurations lack a fold and get no merged score"
    return [said] * bool(short.any())


def _n_places(runs):
    """How many repeats and folds each configuration should have: all folds of its repeats."""
    grouped = runs.groupby("configuration")
    return grouped["repeat"].nunique() * grouped["n_folds"].first()


def _failure_notes(runs):
    bad = runs[runs["status"].isin(["failed", "diverged"])]
    if bad.empty:
        return []
    kinds = ", ".join(f"{n} {name}" for name, n in bad["status"].value_counts().items())
    return [
        f"{len(bad)} of {len(runs)} runs gave no usable model ({kinds}); they count in every "
        "denominator"
    ]


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
        square), n_folds_scored, `reason` where there is no score.
    """
    runs = ledger.runs if runs is None else runs
    spec = [name for name in SPEC if name in runs]
    joined = ledger.pooled[part].merge(
        runs[["run_id", "configuration", "split", *PLACE]], on="run_id"
    )
    both = _with_all(joined, runs)
    merged = metrics.score(metrics.pool(both, ["configuration", "split", "study"]))
    places = joined.drop_duplicates(["configuration", *PLACE])["configuration"]
    folds = places.value_counts().rename("n_folds_scored")
    settings = runs.drop_duplicates("configuration").set_index("configuration")[spec]
    table = (
        merged.drop(columns="split")
        .join(settings, on="configuration")
        .join(folds, on="configuration")
    )
    table["loss"] = table["sum_se"] / table["n"] / 2
    return _with_unscored(table, settings, _n_places(runs))


def _with_all(joined, runs):
    return pd.concat([joined, with_units(joined.assign(study="All"), runs)])


def with_units(joined, runs):
    """Score rows that will be pooled over studies, with the numbers of drugs and lines over all
    studies.

    Lines and drugs occur in several studies, so those numbers cannot be added; `n_test_drugs` and
    `n_test_cells` of the runs hold them. Without those columns the largest study stands, which is
    never more than the truth.
    """
    for unit in [u for u in ("n_drugs", "n_cells") if f"n_test_{u[2:]}" in runs]:
        known = joined["run_id"].map(runs.set_index("run_id")[f"n_test_{unit[2:]}"])
        joined = joined.assign(**{unit: np.maximum(joined[unit], known.fillna(0))})
    return joined


def _with_unscored(table, settings, n_places):
    """Configurations without any score get a row for study "All"; those that lack a fold lose
    theirs, with reason.
    """
    absent = settings.index.difference(table["configuration"])
    extra = (
        settings.loc[absent]
        .reset_index()
        .assign(study="All", n=0, n_folds_scored=0, reason="no run was scored")
    )
    table = pd.concat([table, extra], ignore_index=True) if len(extra) else table
    short = table["n_folds_scored"] < n_places.reindex(table["configuration"]).to_numpy(float)
    scored = short & (table["n_folds_scored"] > 0)
    why = table["n_folds_scored"].map("only {:.0f} fold(s) scored".format)
    table["reason"] = table["reason"].mask(scored, why)
    withheld = [
        name for name in (*METRICS, "pearson", "nr2", "npearson", "gain", "loss") if name in table
    ]
    table.loc[short, withheld] = np.nan
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
    sums = ledger.pooled[part].groupby("run_id")[["sum_se", "n"]].sum(skipna=False)
    table = candidates.assign(error=candidates["run_id"].map(sums["sum_se"] / sums["n"]))
    table = table.dropna(subset="error")
    return table.sort_values(["split", *PLACE, "error", "run_id"], ignore_index=True)


def choose(ledger, candidates, part="inner"):
    """The run of each fold that is best on its own inner rows: nested selection, so that test rows
    choose nothing.

    Parameters are those of `ranked`.
    """
    return ranked(ledger, candidates, part).drop_duplicates(["split", *PLACE], ignore_index=True)


def pool_runs(ledger, runs):
    """Scores of a set of runs taken as one predictor (one run per fold), by study and over all
    studies.

    Returns
    -------
    DataFrame
        One row per split and study.
    """
    joined = ledger.pooled["test"].merge(runs[["run_id", "split", *PLACE]], on="run_id")
    if joined.empty:
        return pd.DataFrame(columns=["split", "study", "reason", *METRICS])
    both = _with_all(joined, runs)
    return metrics.score(metrics.pool(both, ["split", "study"]))


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
    return real_features(runs[runs["model"].isin(NETWORKS)], vary)


def real_features(runs, vary=()):
    """Runs (of any model) that hold the settings of MAIN."""
    held = dict(MAIN)
    if "target" in runs and not (runs["target"] == MAIN["target"]).any():
        held["target"] = runs["target"].mode().get(0, MAIN["target"])
    mask = pd.Series(True, index=runs.index)
    for name in [n for n in held if n in runs and n not in vary]:
        mask &= runs[name].astype(str) == held[name]
    return runs[mask]


def paper_design(runs):
    """Runs of the paper's recipe, without those that depart from its training in both their start
    and their patience.

    Such networks are trained to be good, not to be compared: they are in the headline and in
    `lib.analysis.ensembles`, and would tilt a percentile towards the feature sets that they happen
    to use.
    """
    runs = runs[arm(runs) == "paper"]
    return runs[~((runs["init"].astype(float) != DEFAULTS["init"]) & (runs["patience"] == "tuned"))]


def arm(runs):
    """`sound` for runs with a setting of that recipe (`grid.RECIPES`), `paper` for the others.

    Returns
    -------
    Series of str
    """
    is_sound = pd.Series(False, index=runs.index)
    for name in RECIPES["sound"]:
        if name in runs:
            is_sound |= runs[name] != DEFAULTS[name]
    return is_sound.map({True: "sound", False: "paper"})
