"""The contracts of the tables refuse what breaks them, in words, and write whole files only."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lib import tables
from lib.paths import ROOT


@pytest.fixture
def responses():
    return pd.DataFrame(
        dict(
            study="CCLE",
            assay="CCLE",
            curve_id="CCLE/a/1",
            cell_id="ACH-1",
            drug_id="AAAA",
            dose=[5.0, 6.0, 7.0],
            growth=[0.2, 0.5, 0.9],
            endpoint="viability",
            file="a",
            control=False,
        )
    )


def test_a_sound_table_passes_unchanged(responses):
    assert tables.check(responses, tables.RESPONSES) is responses


@pytest.mark.parametrize(
    "column, value, words",
    [
        ("dose", 8000.0, "is this column in µM"),
        ("dose", -2.0, "found -2.0 in row 1"),
        ("growth", 97.5, "divide per cent by 100"),
        ("study", "CCLE2", "spell the study"),
        ("cell_id", None, "'cell_id' is missing"),
        ("drug_id", None, "'drug_id' is missing"),
        ("endpoint", "GR", "must be one of"),
        ("dose", np.nan, "'dose' is missing"),
    ],
)
def test_a_bad_value_is_named_with_row_and_remedy(responses, column, value, words):
    responses.loc[1, column] = value
    with pytest.raises(tables.TableError, match=words):
        tables.check(responses, tables.RESPONSES)


def test_a_repeated_key_is_named(responses):
    twice = pd.concat([responses, responses.iloc[[0]]], ignore_index=True)
    with pytest.raises(
        tables.TableError,
        match=r"repeats in 2 rows, for example \{'curve_id': 'CCLE/a/1', 'dose': 5.0\}",
    ):
        tables.check(twice, tables.RESPONSES)


def test_a_missing_column_is_named(responses):
    with pytest.raises(tables.TableError, match=r"column\(s\) \['dose'\] missing"):
        tables.check(responses.drop(columns="dose"), tables.RESPONSES)


def test_every_violation_is_listed_at_once(responses):
    responses.loc[0, "dose"], responses.loc[2, "growth"] = 99.0, -40.0
    found = tables.violations(responses, tables.RESPONSES)
    assert len(found) == 2


def test_text_where_numbers_belong_is_refused(responses):
    responses["dose"] = ["5,0", "6,0", "7,0"]
    with pytest.raises(tables.TableError, match=r"must be float, found .* \(first value '5,0'\)"):
        tables.check(responses, tables.RESPONSES)


def test_a_table_comes_back_as_it_was_written(responses, tmp_path):
    path = tables.write(responses, tmp_path / "sub" / "responses.parquet", tables.RESPONSES)
    pd.testing.assert_frame_equal(tables.read(path, tables.RESPONSES), responses)
    assert [p.name for p in path.parent.iterdir()] == ["responses.parquet"]


def test_a_broken_table_is_not_written(responses, tmp_path):
    responses.loc[0, "dose"] = 99.0
    with pytest.raises(tables.TableError):
        tables.write(responses, tmp_path / "responses.parquet", tables.RESPONSES)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_keeps_the_earlier_file(responses, tmp_path, monkeypatch):
    path = tables.write(responses, tmp_path / "responses.parquet")
    before = path.read_bytes()

    def full_disk(self, target, **options):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full_disk)
    with pytest.raises(OSError, match="No space"):
        tables.write(responses, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["responses.parquet"]


def test_a_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(
        tables.TableError,
        match=r"fits.parquet is missing: run notebook 02 first",
    ):
        tables.read(tmp_path / "fits.parquet", tables.FITS)


def test_a_truncated_file_names_the_remedy(responses, tmp_path):
    path = tables.write(responses, tmp_path / "responses.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        tables.TableError,
        match="cannot be read .* delete it and run notebook 01 again",
    ):
        tables.read(path, tables.RESPONSES)


def test_a_table_that_a_data_set_lacks_reads_as_an_empty_one(tmp_path):
    path = tmp_path / "mutations_CCLE.parquet"
    empty = tables.read_or_empty(path, tables.MUTATIONS)
    assert empty.empty and list(empty) == list(tables.MUTATIONS.columns)
    frame = pd.DataFrame({"cell_id": ["a"], "mutation_source": ["CCLE"], "KRAS": [1.0]})
    tables.write(frame, path, tables.MUTATIONS)
    assert tables.read_or_empty(path, tables.MUTATIONS).equals(frame)


def test_a_table_of_many_columns_is_read_in_little_memory(tmp_path):
    names = [f"gene{i}" for i in range(16_000)]
    values = np.random.default_rng(0).normal(size=(40, len(names))).astype(np.float32)
    wide = pd.DataFrame(values, columns=names)
    wide.insert(0, "cell_id", [f"c{i}" for i in range(40)])
    path = tables.write(wide, tmp_path / "wide.parquet")
    code = (
        "import resource; from lib import tables\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        f"before = peak(); tables.read({str(path)!r}); print(peak() - before)"
    )
    used = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert int(used) < 290  # MB; 370 to 530 with the threads of the reader
