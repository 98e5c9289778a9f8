"""A finished sweep is joined whole: every run, every score, predictions of each row once per
configuration.
"""

import numpy as np
import pandas as pd
import pytest

from lib.sweep import grid, ledger


def write_sweep(folder, n_rows=12):
    """Two configurations on three folds, in one shard; each row is tested in the fold of its
    number.
    """
    specs = [s for s in grid.expand(dict(dropout=[0.0, 0.2], baselines=[]))]
    runs = pd.DataFrame(
        [
            s.to_dict()
            | dict(
                run_id=s.run_id, configuration=s.config_id, shard=s.shard_id, status="early_stop"
            )
            for s in specs
        ]
    )
    rows = np.arange(n_rows)
    parts = [
        pd.DataFrame(
            dict(
                run_id=s.run_id,
                row=rows[rows % 3 == s.fold],
                y=0.5,
                p=s.dropout + 0.01 * rows[rows % 3 == s.fold],
            )
        )
        for s in specs
    ]
    shard = folder / "sweep" / specs[0].shard_id
    shard.mkdir(parents=True)
    runs.assign(hidden=runs.hidden.astype(str)).to_parquet(shard / "runs.parquet")
    pd.DataFrame(dict(run_id=runs.run_id, part="test", n=4.0)).to_parquet(shard / "scores.parquet")
    pd.concat(parts).to_parquet(shard / "predictions.parquet")
    return specs


def test_every_row_is_predicted_once_per_configuration_to_half_a_step(tmp_path):
    specs = write_sweep(tmp_path)
    ledger.pack(tmp_path, tmp_path / "out")
    found = ledger.packed_predictions(tmp_path / "out", "on_cell").set_index("row")
    assert set(found.columns) == {s.config_id for s in specs}
    assert found.index.tolist() == list(range(12))
    for spec in specs:
        off = np.abs(found[spec.config_id] - (spec.dropout + 0.01 * np.arange(12)))
        assert off.max() <= 0.5 * ledger.STEP + 1e-6


def test_a_row_that_a_configuration_did_not_test_stays_absent(tmp_path):
    specs = write_sweep(tmp_path)
    path = tmp_path / "sweep" / specs[0].shard_id / "predictions.parquet"
    table = pd.read_parquet(path)
    table[(table.row != 4) | ~table.run_id.isin([s.run_id for s in specs[:3]])].to_parquet(path)
    ledger.pack(tmp_path, tmp_path / "out")
    found = ledger.packed_predictions(tmp_path / "out", "on_cell").set_index("row")
    assert np.isnan(found.loc[4]).sum() == 1 and found.drop(index=4).notna().all(axis=None)


def test_runs_and_scores_are_joined_whole(tmp_path):
    specs = write_sweep(tmp_path)
    ledger.pack(tmp_path, tmp_path / "out")
    assert set(pd.read_parquet(tmp_path / "out" / "runs.parquet").run_id) == {
        s.run_id for s in specs
    }
    assert len(pd.read_parquet(tmp_path / "out" / "scores.parquet")) == len(specs)


def test_only_wanted_configurations_keep_their_predictions(tmp_path):
    write_sweep(tmp_path)
    ledger.pack(tmp_path, tmp_path / "out", dropout=0.1)
    found = ledger.packed_predictions(tmp_path / "out", "on_cell")
    assert found.shape == (12, 2)


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no finished shard: train one first"):
        ledger.pack(tmp_path, tmp_path / "out")
