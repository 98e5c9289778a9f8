"""Archives and workbooks: opened, or named as cut, damaged or in need of a program."""

import gzip
import shutil

import pytest
from release_files import DATA, PLATE, gcsi_archive, wells

from lib.screens import (
    archives,
    gcsi,
    gdsc,
    nci60,
)
from lib.tables import TableError


def test_a_half_downloaded_archive_is_named(tmp_path):
    whole = gcsi_archive(tmp_path / "whole.tar.gz").read_bytes()
    cut = tmp_path / "gCSI_GRdata_v1.3.tsv.tar.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        TableError, match="gCSI_GRdata_v1.3.tsv.tar.gz is cut or damaged.*fetch it again"
    ):
        gcsi.read_responses(cut)
    plain = tmp_path / "GDSC1_raw_data.csv.gz"
    packed = gzip.compress(wells(PLATE * 50).encode())
    plain.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TableError, match=r"GDSC1_raw_data.csv.gz cannot be read.*fetch it again"):
        gdsc.read_responses(plain)
    packed = (DATA / "DOSERESP_deflate64.zip").read_bytes()
    (tmp_path / "DOSERESP.zip").write_bytes(packed[:-200])
    with pytest.raises(TableError, match="DOSERESP.zip is cut or damaged"):
        nci60.read_responses(tmp_path / "DOSERESP.zip")


@pytest.mark.skipif(
    not (shutil.which("unzip") or shutil.which("7z")), reason="neither unzip nor 7z is here"
)
def test_a_deflate64_archive_is_opened():
    frame = nci60.read_responses(DATA / "DOSERESP_deflate64.zip")
    assert frame.curve_id.nunique() == 82 and frame.dose.max() == 8


def test_a_deflate64_archive_without_the_programs_says_what_to_install(monkeypatch):
    monkeypatch.setattr(archives.shutil, "which", lambda name: None)
    with pytest.raises(
        TableError, match="Deflate64.*install 7zip or unzip.*or unpack DOSERESP.csv by hand"
    ):
        nci60.read_responses(DATA / "DOSERESP_deflate64.zip")


def test_a_workbook_needs_its_package_or_is_named_as_damaged(tmp_path):
    path = tmp_path / "RNA__RNA_seq_composite_expression.xls"
    path.write_bytes(b"not a workbook")
    with pytest.raises(
        TableError, match="pip install python-calamine|cannot be read as a workbook"
    ):
        nci60.read_expression(path)
