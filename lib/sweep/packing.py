"""What a sweep that was packed into one folder holds: sums by line or drug, and the test
predictions of chosen networks. `results/pack.py` writes it.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.sweep import metrics

CLUSTER = "configuration study drug_id cell_id".split()
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


def packed_sums(folder, name):
    """Sums by line or drug of a packed sweep: `clusters` (`cluster_sums`) or `ensembles`
    (`lib.analysis.ensembles.sums`); None where there is no such file.
    """
    path = folder and Path(folder) / f"{name}.parquet"
    return pd.read_parquet(path) if path and path.exists() else None


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


def by_configuration(work_dir, runs):
    """Row of the training rows, then one column of predictions per configuration of one repeat; its
    folds test different rows.
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
