"""A finished sweep joined into one folder: every run, every score, sums by line or drug, and the
test predictions of chosen networks. `lib.sweep.packing` reads it.

    python -m results.pack WORK_DIR OUT_DIR [--beside BASELINE] [--add]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, tables
from lib.analysis import clusters, configurations, ensembles, headline, predictions
from lib.sweep import baselines, grid, ledger, metrics, packing
from results import keep

NAMES = ("runs", "scores", "clusters", "ensembles", "predictions_*")  # of the files it writes
K_BEST = 10  # networks that are averaged, as notebook 06 has it


def pack(work_dir, out_dir, beside=None, add=False):
    """Join the shards of a sweep into one folder.

    `runs` is whole; `scores` holds the sums by study, `clusters` those by line or by
    drug, added over repeats and folds; `predictions_<split>` has one column per configuration.

    Parameters
    ----------
    work_dir, out_dir : path
    beside : str, optional
        Predictions of networks, and sums by line or drug of baselines, are kept of the shards that
        hold this baseline only; of predictions, the first repeat's.
    add : bool
        What the folder holds stays; a configuration trained again, in every repeat that it has
        there, is replaced.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    ValueError
        If there is no finished shard, or a configuration to be replaced lacks a run.
    """
    folders, _ = ledger.shard_folders(work_dir)
    if not folders:
        raise ValueError(
            f"{work_dir} holds no finished shard: train one first (python -m lib.sweep.run)"
        )
    out_dir = Path(out_dir)
    runs = pd.concat([pd.read_parquet(folder / "runs.parquet") for folder in folders])
    parts = _kept(out_dir, runs) if add else {"runs": [], "scores": [], "clusters": []}
    parts["runs"].append(runs)
    for folder in folders:
        scores = pd.read_parquet(folder / "scores.parquet")
        parts["clusters"].append(packing.cluster_sums(runs, scores))
        parts["scores"].append(scores[(scores["drug_id"] == "") & (scores["cell_id"] == "")])
    joined = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    joined["scores"] = _rounded(joined["scores"], 32)
    joined["clusters"] = _clusters(joined["clusters"], joined["runs"], beside)
    written = [
        _plain(frame, out_dir / f"{name}.parquet") for name, frame in joined.items() if len(frame)
    ]
    follows = runs["model"].isin(baselines.MEANS)  # from the rows, without what was kept
    kept = runs[(runs["repeat"] == 0) & ~follows]
    if beside:
        kept = kept[kept["shard"].isin(runs["shard"][runs["model"] == beside])]
    for split, own in kept.groupby("split"):
        found = packing.by_configuration(work_dir, own)
        if add:
            there = packing.packed_predictions(out_dir, split)
            there = there.drop(columns=found.columns.intersection(there.columns))
            found = pd.concat([there, found], axis=1).sort_index()
        if len(found.columns):
            path = out_dir / f"predictions_{split}.parquet"
            written.append(
                _write(_in_steps(found.rename_axis("row")), path, list(found), ["centre"])
            )
    return written


def _kept(out_dir, runs):
    """What a pack holds of other configurations than those of these runs, if they replace it."""
    runs_there, scores = (pd.read_parquet(out_dir / f"{n}.parquet") for n in ("runs", "scores"))
    sums = packing.packed_sums(out_dir, "clusters")
    sums = pd.DataFrame(columns=packing.CLUSTER) if sums is None else sums
    again = runs_there["run_id"].isin(runs["run_id"])
    replaced = runs_there["configuration"].isin(runs_there["configuration"][again])
    lacking = runs_there["run_id"][replaced & ~again]
    if len(lacking):
        raise ValueError(
            f"a configuration of {out_dir} was trained again without its run {lacking.iloc[0]}: "
            "train all of its repeats, or pack without --add"
        )
    gone = runs_there[replaced]
    scores = scores[~scores["run_id"].isin(gone["run_id"])]
    sums = sums[~sums["configuration"].isin(gone["configuration"])]
    return {"runs": [runs_there[~replaced]], "scores": [scores], "clusters": [sums]}


def pack_ensembles(work_dir, out_dir):
    """Sums of the networks that inner rows choose, alone and averaged, over all repeats of a pack
    (`ensembles.sums`); these need more predictions than it holds.

    Parameters
    ----------
    work_dir, out_dir : path
        The first with `fits` and `cells`, on which its sweep was trained, and with the predictions
        of every repeat.

    Returns
    -------
    list of Path
        The file written; none without these predictions, and an earlier one is removed.
    """
    path = Path(out_dir) / "ensembles.parquet"
    path.unlink(missing_ok=True)
    fits = tables.read(Path(work_dir) / "fits.parquet")
    cells = tables.read(Path(work_dir) / "cells.parquet")
    blocks = predictions.load(configurations.load(work_dir), work_dir, fits, cells)
    packed = configurations.load(work_dir, out_dir)
    packed.predicted = blocks
    sums = _single(ensembles.sums(packed, headline.headline(headline.predictors(packed)), K_BEST))
    return [_plain(sums, path)] if len(sums) else []


def _clusters(sums, runs, beside):
    """Sums by the unit that the split holds apart, added over repeats, to 16 binary digits: an
    interval over lines or drugs needs no more.
    """
    facts = runs.drop_duplicates("configuration").set_index("configuration")
    unit = np.where(sums["cell_id"] != "", "cell_id", "drug_id")
    splits = sums["configuration"].map(facts["split"])
    held = [one in clusters.units_of(name) for one, name in zip(unit, splits, strict=True)]
    sums = sums[np.array(held, bool)]
    if beside:  # elsewhere the mean effects are the same again
        is_baseline = ~facts["model"].isin(grid.NETWORKS)
        again = ~facts["shard"].isin(runs["shard"][runs["model"] == beside])
        sums = sums[~sums["configuration"].isin(facts.index[is_baseline & again])]
    sums = sums.groupby(packing.CLUSTER, as_index=False).sum()
    return _single(_rounded(sums, 16))


def _rounded(table, digits):
    """A table with the sums among its columns to so many binary digits: the rest is no news, but
    most of the bytes.
    """
    bits = table[metrics.STATISTICS].to_numpy(np.float64).view(np.uint64)
    lost = np.uint64(53 - digits)
    half = np.uint64(1) << (lost - np.uint64(1))
    rounded = ((bits + half) >> lost << lost).view(np.float64)
    return table.assign(**dict(zip(metrics.STATISTICS, rounded.T, strict=True)))


def _single(sums):
    """Sums in single precision."""
    return sums.astype(dict.fromkeys(metrics.STATISTICS, np.float32))


def _plain(frame, path):
    """Write a table whose floating columns are its numbers."""
    numbers = list(frame.select_dtypes("float"))
    return _write(frame, path, numbers, [column for column in frame if column not in numbers])


def _write(frame, path, numbers, texts):
    """Write a table with the bytes of its numbers apart (half of the usual size) and a dictionary
    for its texts.
    """
    encoded = dict.fromkeys(numbers, "BYTE_STREAM_SPLIT")
    rest = [column for column in frame if column not in numbers and column not in texts]
    encoded |= dict.fromkeys(rest, "DELTA_BINARY_PACKED")  # row numbers, in order
    with files.whole(path) as part:
        frame.to_parquet(
            part,
            index=False,
            compression="zstd",
            compression_level=19,
            use_dictionary=texts,
            column_encoding=encoded,
        )
    return path


def _in_steps(found):
    """Predictions as whole steps from each row's mean over the configurations: a third of the bytes
    of float16.
    """
    p = found.to_numpy(np.float32)
    centre = np.round(np.nanmean(p, axis=1) / packing.STEP) * packing.STEP
    steps = np.round((p - centre[:, None]) / packing.STEP)
    whole = np.where(np.isnan(steps), packing.ABSENT, steps).astype(np.int16)
    table = pd.DataFrame(whole, index=found.index, columns=found.columns)
    table.insert(0, "centre", centre.astype(np.float32))
    return table.reset_index()


def main(argv=None):
    """Command line: pack a finished sweep; returns the exit status."""
    parser = argparse.ArgumentParser(description="Pack a finished sweep into one folder.")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--beside", help="keep predictions of shards that hold this baseline only")
    parser.add_argument("--add", action="store_true", help="beside the runs that OUT_DIR holds")
    options = parser.parse_args(argv)
    there = [path for name in NAMES for path in options.out_dir.glob(f"{name}.parquet")]
    try:
        keep.require_own(there)
        written = pack(options.work_dir, options.out_dir, options.beside, options.add)
        written += pack_ensembles(options.work_dir, options.out_dir)
        keep.remember(written)
    except (OSError, ValueError, KeyError) as error:
        what = f"{options.work_dir} cannot be packed: {' '.join(str(error).split())}"
        print(what, file=sys.stderr)
        return 1
    for path in written:
        print(f"{path} {path.stat().st_size / 2**20:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
