"""A finished sweep joined into one folder: every run, every score, sums by line or drug, and the
test predictions of chosen networks. `lib.sweep.packing` reads it.

    python -m results.pack WORK_DIR OUT_DIR [--beside BASELINE]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.sweep import baselines, ledger, metrics, packing
from results import keep

NAMES = ("runs", "scores", "clusters", "predictions_*")  # of the files that are written


def pack(work_dir, out_dir, beside=None):
    """Join the shards of a sweep into one folder.

    `runs` is whole; `scores` holds the sums by study, `clusters` those by line or by
    drug, added over repeats and folds; `predictions_<split>` has one column per configuration.

    Parameters
    ----------
    work_dir, out_dir : path
    beside : str, optional
        Predictions are kept of the shards that hold this baseline only. Of repeats, the first.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    ValueError
        If there is no finished shard.
    """
    folders, _ = ledger.shard_folders(work_dir)
    if not folders:
        raise ValueError(
            f"{work_dir} holds no finished shard: train one first (python -m lib.sweep.run)"
        )
    runs = [pd.read_parquet(folder / "runs.parquet") for folder in folders]
    runs = pd.concat(runs, ignore_index=True)
    clusters = []
    pooled = []
    for folder in folders:
        scores = pd.read_parquet(folder / "scores.parquet")
        clusters.append(packing.cluster_sums(runs, scores))
        pooled.append(scores[(scores["drug_id"] == "") & (scores["cell_id"] == "")])
    clusters = pd.concat(clusters).groupby(packing.CLUSTER, as_index=False).sum()
    # in single precision: an interval over lines needs no more
    clusters = clusters.astype(dict.fromkeys(metrics.STATISTICS, np.float32))
    joined = {"runs": runs, "scores": pd.concat(pooled, ignore_index=True), "clusters": clusters}
    written = []
    for name, frame in joined.items():
        if len(frame):
            floats = list(frame.select_dtypes("float"))
            texts = [column for column in frame if column not in floats]
            written.append(_write(frame, Path(out_dir) / f"{name}.parquet", floats, texts))
    follows = runs["model"].isin(baselines.MEANS)  # from the rows, without what was kept
    kept = runs[(runs["repeat"] == 0) & ~follows]
    if beside:
        kept = kept[kept["shard"].isin(runs["shard"][runs["model"] == beside])]
    for split, own in kept.groupby("split"):
        found = packing.by_configuration(work_dir, own)
        if len(found.columns):
            path = Path(out_dir) / f"predictions_{split}.parquet"
            written.append(_write(_in_steps(found), path, list(found), []))
    return written


def _write(frame, path, numbers, texts):
    """Write a table with the bytes of its numbers apart (half of the usual size) and a dictionary
    for its texts.
    """
    with files.whole(path) as part:
        frame.to_parquet(
            part,
            index=False,
            compression="zstd",
            compression_level=19,
            use_dictionary=texts,
            use_byte_stream_split=numbers,
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
    options = parser.parse_args(argv)
    there = [path for name in NAMES for path in options.out_dir.glob(f"{name}.parquet")]
    try:
        keep.require_own(there)
        written = pack(options.work_dir, options.out_dir, options.beside)
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
