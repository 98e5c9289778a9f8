"""A finished sweep as three small tables: every run, every score, and the test predictions of chosen configurations.

`python -m lib.sweep.packing WORK_DIR OUT_DIR` joins the shards below `WORK_DIR/sweep`. Predictions are joined over
folds (a row is tested once per configuration) into one float16 column per configuration, a file per split.
"""

import argparse
from pathlib import Path

import pandas as pd

from lib import tables
from lib.sweep import grid


def pack(work_dir, out_dir, wanted=lambda run: True):
    """Join the shards of a sweep and write `runs`, `scores`, `curves` and `predictions_<split>`.

    Parameters
    ----------
    work_dir : path
        With `sweep/<shard>/runs.parquet`, `scores.parquet`, perhaps `predictions.parquet` and `curves.parquet`.
    out_dir : path
    wanted : callable
        Takes a row of `runs`; says whether the predictions of its configuration are kept.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    ValueError
        If there is no finished shard.
    """
    folders = sorted(path.parent for path in Path(work_dir).glob("sweep/*/runs.parquet"))
    if not folders:
        raise ValueError(
            f"{work_dir} holds no finished shard: train one first (python -m lib.sweep.run)"
        )
    joined = {name: _join(folders, name) for name in ("runs", "scores", "curves")}
    written = [
        tables.write(frame, Path(out_dir) / f"{name}.parquet")
        for name, frame in joined.items()
        if len(frame)
    ]
    runs = joined["runs"]
    kept = runs[[wanted(run) for run in runs.itertuples()]].set_index("run_id")
    for split, part in kept.groupby("split"):
        found = _predictions(folders, part)
        if len(found.columns) > 1:
            written.append(tables.write(found, Path(out_dir) / f"predictions_{split}.parquet"))
    return written


def configuration(run):
    """Id of the configuration of a row of `runs`: the run without its fold."""
    values = {
        name: getattr(run, name, grid.LATER.get(name)) for name in grid.RunSpec.__dataclass_fields__
    }
    return grid.RunSpec.from_dict(values).config_id


def _join(folders, name):
    found = [
        pd.read_parquet(folder / f"{name}.parquet")
        for folder in folders
        if (folder / f"{name}.parquet").exists()
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _predictions(folders, kept):
    """Row of the `pairs` table, then one float16 column of predictions per configuration, named by its id."""
    columns = {}
    names = {run.Index: configuration(run) for run in kept.itertuples()}
    for folder in folders:
        path = folder / "predictions.parquet"
        if not path.exists():
            continue
        found = pd.read_parquet(path, columns=["run_id", "row", "p"])
        for run_id, part in found[found.run_id.isin(names)].groupby(
            "run_id", observed=True, sort=False
        ):
            columns.setdefault(names[run_id], []).append(part.set_index("row").p)
    joined = {name: pd.concat(parts).astype("float16") for name, parts in columns.items()}
    return pd.DataFrame(joined).rename_axis("row").reset_index()


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument(
        "--dropout",
        type=float,
        default=1.0,
        help="keep predictions of networks with at most this rate",
    )
    options = parser.parse_args(arguments)
    for path in pack(
        options.work_dir, options.out_dir, lambda run: run.hidden and run.dropout <= options.dropout
    ):
        print(f"{path} {path.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
