"""A file fitted by parts equals the table fitted whole; a file that cannot be fitted leaves nothing behind."""

import pandas as pd
import pytest
from made_curves import responses

from lib import tables
from lib.hill import fit, fitfile


@pytest.fixture
def source(tmp_path):
    return tables.write(responses(), tmp_path / "responses.parquet", tables.RESPONSES)


@pytest.mark.parametrize("rows", [7, 64, 10_000])
def test_a_file_fitted_by_parts_equals_the_table_fitted_whole(source, tmp_path, rows):
    whole = fit.fit_curves(pd.read_parquet(source))
    by_parts = pd.read_parquet(
        fitfile.fit_file(source, tmp_path / "out" / "fits.parquet", rows=rows)
    )
    pd.testing.assert_frame_equal(whole, tables.check(by_parts, tables.FITS), check_exact=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["fits.parquet"]


def test_a_curve_in_two_places_of_the_file_is_refused_and_nothing_is_written(tmp_path):
    mixed = responses().sort_values("dose", kind="stable")
    source = tables.write(mixed, tmp_path / "responses.parquet")
    with pytest.raises(tables.TableError, match="rows of curve 'c0.*' are not neighbours"):
        fitfile.fit_file(source, tmp_path / "fits.parquet", rows=16)
    assert [p.name for p in tmp_path.iterdir()] == ["responses.parquet"]


def test_a_missing_file_names_the_notebook_to_run(tmp_path):
    with pytest.raises(tables.TableError, match="responses.parquet is missing: run the notebook"):
        fitfile.fit_file(tmp_path / "responses.parquet", tmp_path / "fits.parquet")


def test_a_truncated_file_is_refused(source, tmp_path):
    source.write_bytes(source.read_bytes()[:500])
    with pytest.raises(tables.TableError, match="cannot be read"):
        fitfile.fit_file(source, tmp_path / "fits.parquet")


def test_doses_in_micromolar_stop_the_file_with_the_remedy(tmp_path):
    wrong = responses().assign(dose=lambda f: 10 ** (6 - f.dose) * 100)
    source = tables.write(wrong, tmp_path / "responses.parquet")
    with pytest.raises(tables.TableError, match="is this column in µM"):
        fitfile.fit_file(source, tmp_path / "fits.parquet")


def test_an_empty_file_is_refused(tmp_path):
    source = tables.write(responses().iloc[:0], tmp_path / "responses.parquet")
    with pytest.raises(tables.TableError, match="responses holds no row"):
        fitfile.fit_file(source, tmp_path / "fits.parquet")
