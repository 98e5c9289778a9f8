"""A folder's blocks: read once, read again when written again, refused with a reason when absent or
contradictory.
"""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lib import tables
from lib.paths import ROOT
from lib.sweep import store


def profiles(source, lines=("A", "B"), genes=("G1", "G2")):
    values = np.arange(len(lines) * len(genes), dtype=np.float32).reshape(len(lines), -1)
    keys = pd.DataFrame(dict(cell_id=list(lines), profile_source=source))
    return pd.concat([keys, pd.DataFrame(values, columns=list(genes))], axis=1)


def drugs(names, columns, seed=0):
    values = np.random.default_rng(seed).normal(size=(len(names), len(columns))).astype(np.float32)
    return pd.concat(
        [pd.DataFrame(dict(drug_id=list(names))), pd.DataFrame(values, columns=list(columns))],
        axis=1,
    )


def test_every_source_of_a_kind_is_read_and_checked(tmp_path):
    for source in ("GDSC", "NCI-60"):
        tables.write(profiles(source), tmp_path / f"expression_{source}.parquet")
    found = store.sources(tmp_path, "expression", tables.EXPRESSION)
    assert list(found) == ["GDSC", "NCI-60"] and found["NCI-60"].G2.tolist() == [1, 3]
    with pytest.raises(
        tables.TableError, match=r"no mutations_\*.parquet in .*: run notebook 01 first"
    ):
        store.sources(tmp_path, "mutations", tables.MUTATIONS)
    tables.write(pd.concat([profiles("X")] * 2), tmp_path / "expression_X.parquet")
    with pytest.raises(tables.TableError, match="repeats in 4 rows"):
        store.sources(tmp_path, "expression", tables.EXPRESSION)


def test_a_scale_is_the_one_that_notebook_01_declares(tmp_path):
    with pytest.raises(tables.TableError, match="scales.parquet is missing: run notebook 01 first"):
        store.scales(tmp_path, "expression")
    declared = dict(
        table=["expression_GDSC", "expression_CCLE", "mutations_CCLE"],
        scale=["RMA", "FPKM", "count"],
    )
    tables.write(pd.DataFrame(declared), tmp_path / "scales.parquet")
    assert store.scales(tmp_path, "expression") == {"GDSC": "RMA", "CCLE": "FPKM"}
    assert store.scales(tmp_path, "mutations") == {"CCLE": "count"}


def test_joined_drug_blocks_are_side_by_side_and_a_drug_without_one_half_is_a_row_of_gaps(tmp_path):
    left, right = drugs("abcd", ["x", "y"]), drugs("dca", ["z"], seed=1)
    left.loc[0, "x"] = np.nan  # one value that could not be computed
    right.loc[0, "z"] = np.nan  # no value at all
    tables.write(left, tmp_path / "drug_one.parquet")
    tables.write(right, tmp_path / "drug_two.parquet")
    keys, columns, values = store.Store(tmp_path).drug_block("one+two")
    assert keys.drug_id.tolist() == ["a", "b", "c", "d"] and columns.tolist() == ["x", "y", "z"]
    np.testing.assert_array_equal(values[0], np.array([np.nan, left.y[0], right.z[2]], np.float32))
    np.testing.assert_array_equal(
        values[2], np.array([left.x[2], left.y[2], right.z[1]], np.float32)
    )
    assert np.isnan(values[[1, 3]]).all(), "b is not in the second block, d has no value there"


def test_a_block_is_one_read_only_array_until_its_file_is_written_again(tmp_path):
    tables.write(profiles("GDSC"), tmp_path / "profiles_array.parquet")
    _, genes, values = store.Store(tmp_path).profiles("array")
    assert store.Store(tmp_path).profiles("array")[2] is values and genes.tolist() == ["G1", "G2"]
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 1
    tables.write(profiles("GDSC", lines="ABC"), tmp_path / "profiles_array.parquet")
    assert store.Store(tmp_path).profiles("array")[2].shape == (3, 2)


def test_a_block_that_was_edited_in_its_size_and_dated_back_is_read_again(tmp_path):
    path = tmp_path / "profiles_array.parquet"
    profiles("GDSC").to_parquet(path, compression=None)
    for name in ("GDSC", "CCLE"):
        path.write_bytes(path.read_bytes().replace(b"GDSC", name.encode()))
        os.utime(path, (1, 1))
        assert set(store.Store(tmp_path).profiles("array")[0].profile_source) == {name}


def test_a_gene_set_of_one_panel_is_not_found_on_another(tmp_path):
    tables.write(profiles("GDSC"), tmp_path / "profiles_array.parquet")
    tables.write(profiles("GDSC"), tmp_path / "profiles_other.parquet")
    sets = pd.DataFrame(
        dict(
            rnaseq_set=["all", "all", "mine"],
            symbol=["G1", "G2", "G2"],
            panel=["array", "array", "other"],
        )
    )
    tables.write(sets, tmp_path / "gene_sets.parquet")
    report = pd.DataFrame(dict(rnaseq_set=["all"], panel=["array"], feasible=[True], reason=[""]))
    tables.write(report, tmp_path / "gene_set_report.parquet")
    folder = store.Store(tmp_path)
    assert folder.genes_of("array", "all").tolist() == [0, 1] and folder.genes_of(
        "other", "mine"
    ).tolist() == [1]
    with pytest.raises(
        ValueError, match=r"gene set 'mine' on panel 'array': no such level; it has \['all'\]"
    ):
        folder.genes_of("array", "mine")


def test_a_broken_block_is_named(tmp_path):
    folder = store.Store(tmp_path)
    with pytest.raises(
        tables.TableError,
        match="profiles_array.parquet is not in .*: run notebook 03 first",
    ):
        folder.profiles("array")
    tables.write(
        profiles("GDSC").drop(columns="profile_source"), tmp_path / "profiles_array.parquet"
    )
    with pytest.raises(tables.TableError, match=r"lacks the column\(s\) \['profile_source'\]"):
        folder.profiles("array")
    (tmp_path / "profiles_array.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(tables.TableError, match="cannot be read"):
        folder.profiles("array")


def test_feature_code_needs_numpy_and_pandas_only():
    heavy = "sklearn scipy rdkit matplotlib numba polars pydantic papermill parsl statsmodels torch".split()
    check = (
        f"import sys, lib.sweep.features; print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
