"""A finished sweep in one folder: every run, every score, sums by line or drug, and the test
predictions of chosen networks.

    python -m lib.sweep.packing WORK_DIR OUT_DIR [--beside BASELINE]
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.sweep import baselines, metrics
from lib.sweep.ledger import shard_folders

CLUSTER = ["configuration", "study", "drug_id", "cell_id"]
STEP = 0.005  # of packed predictions: adds 2e-6 to a mean squared error of 1e-2
ABSENT = -32768  # a row that a configuration did not test


def packed_predictions(folder, split):
    """Predictions of a packed sweep: one column per configuration over `row`; no column where there
    is no such file.
    """
    path = Path(folder) / f"predictions_{split}.parquet"
    if not path.exists():
        return pd.DataFrame()
    table = pd.read_parquet(path).sort_values("row").set_index("row")
    centre = table.pop("centre").to_numpy()[:, None]
    steps = table.to_numpy()
    p = np.where(steps == ABSENT, np.nan, centre + STEP * steps).astype(np.float32)
    return pd.DataFrame(p, index=table.index, columns=table.columns)


def packed_clusters(folder):
    """Sums by line or drug of a packed sweep (`cluster_sums`); None where there is no such file."""
    path = Path(folder) / "clusters.parquet"
    return pd.read_parquet(path) if path.exists() else None


def cluster_sums(runs, scores):
    """Test sums of every configuration by study and line, or by study and drug, over all repeats.

    Parameters
    ----------
    runs, scores : DataFrame
        Tables of shards that kept scores by line or by drug.

    Returns
    -------
    DataFrame
        configuration, study, drug_id, cell_id (one of the two is ""), `metrics.STATISTICS`.
    """
    one_unit = (scores["drug_id"] != "") ^ (scores["cell_id"] != "")
    rows = scores[one_unit & (scores["part"] == "test")]
    rows = rows.merge(runs[["run_id", "configuration"]], on="run_id")
    return rows.groupby(CLUSTER)[metrics.STATISTICS].sum(skipna=False).reset_index()


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
    folders, _ = shard_folders(work_dir)
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
        clusters.append(cluster_sums(runs, scores))
        pooled.append(scores[(scores["drug_id"] == "") & (scores["cell_id"] == "")])
    clusters = pd.concat(clusters).groupby(CLUSTER, as_index=False).sum()
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
        found = by_configuration(work_dir, own)
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
    centre = np.round(np.nanmean(p, axis=1) / STEP) * STEP
    steps = np.round((p - centre[:, None]) / STEP)
    whole = np.where(np.isnan(steps), ABSENT, steps).astype(np.int16)
    table = pd.DataFrame(whole, index=found.index, columns=found.columns)
    table.insert(0, "centre", centre.astype(np.float32))
    return table.reset_index()


def by_configuration(work_dir, runs):
    """Row of the training rows, then one column of predictions per configuration; its folds test
    different rows.
    """
    names = runs.set_index("run_id").configuration
    columns = {}
    for shard in runs["shard"].unique():
        path = Path(work_dir) / "sweep" / str(shard) / "predictions.parquet"
        if not path.exists():
            continue
        found = pd.read_parquet(path, columns=["run_id", "row", "p"])
        own = found[found.run_id.isin(names.index)]
        for run_id, part in own.groupby("run_id", observed=True, sort=False):
            columns.setdefault(names[run_id], []).append(part.set_index("row").p)
    joined = {name: pd.concat(parts) for name, parts in columns.items()}
    return pd.DataFrame(joined).rename_axis("row").sort_index()


def main(argv=None):
    """Command line: pack a finished sweep."""
    parser = argparse.ArgumentParser(description="Pack a finished sweep into one folder.")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--beside", help="keep predictions of shards that hold this baseline only")
    options = parser.parse_args(argv)
    for path in pack(options.work_dir, options.out_dir, options.beside):
        print(f"{path} {path.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
