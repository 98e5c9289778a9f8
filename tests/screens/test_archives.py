"""Archives and workbooks: opened, or named as cut, damaged or in need of a program."""

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile

import pytest
from release_files import DATA, PLATE, gcsi_archive, wells

from lib.screens import (
    archives,
    gcsi,
    gdsc,
    nci60,
    own,
    texts,
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
    with pytest.raises(TableError, match="cannot be read as a workbook"):
        nci60.read_expression(path)


def tar_of(path, *members, mode="w:gz"):
    """A tar archive of (name, type, bytes or link)."""
    with tarfile.open(path, mode) as archive:
        for name, kind, body in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(body)
                archive.addfile(info, io.BytesIO(body))
            else:
                info.linkname = body
                archive.addfile(info)
    return path


def zip_of(path, name, body=b"a\n", kind=stat.S_IFREG, flags=0):
    """A zip archive of one member, with its type and flags as they are given."""
    info = zipfile.ZipInfo(name)
    info.external_attr = kind << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, body)
    raw = path.read_bytes()
    local, central = raw.index(b"PK\x03\x04") + 6, raw.index(b"PK\x01\x02") + 8
    for at in (local, central):
        raw = raw[:at] + bytes([flags]) + raw[at + 1 :]
    path.write_bytes(raw)
    return path


def refused(path, says, folder):
    before = sorted(folder.rglob("*"))
    with pytest.raises(TableError, match=says), archives.member(path, r"\.tsv"):
        pytest.fail("opened")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["x.tsv/..", "../x.tsv", "/tmp/x.tsv", "a/../../x.tsv", "..\\x.tsv"]
)
def test_a_member_outside_of_its_archive_is_refused(tmp_path, name):
    path = zip_of(tmp_path / "a.zip", name)
    refused(path, r"a.zip: member .* lies outside", tmp_path)
    path = tar_of(tmp_path / "a.tar.gz", (name, tarfile.REGTYPE, b"a\n"))
    refused(path, r"a.tar.gz: member .* lies outside", tmp_path)


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
    ],
)
@pytest.mark.parametrize("ending", [".tar.gz", ".tgz", ".tar"])
def test_a_member_that_is_no_plain_file_is_refused(tmp_path, kind, ending):
    mode = "w" if ending == ".tar" else "w:gz"
    path = tar_of(tmp_path / f"a{ending}", ("a.tsv", kind, "/etc/passwd"), mode=mode)
    refused(path, "member 'a.tsv' is no plain file", tmp_path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFDIR])
def test_a_zip_member_that_is_no_plain_file_is_refused(tmp_path, kind):
    path = zip_of(tmp_path / "a.zip", "a.tsv", kind=kind)
    refused(path, "member 'a.tsv' is no plain file", tmp_path)


def test_an_encrypted_or_oddly_packed_member_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", "a.tsv", flags=1)
    refused(path, "member 'a.tsv' is no plain file .*encrypted", tmp_path)
    raw = bytearray(zip_of(tmp_path / "b.zip", "a.tsv").read_bytes())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        raw[raw.index(mark) + at] = 97
    (tmp_path / "b.zip").write_bytes(raw)
    refused(tmp_path / "b.zip", "b.zip is cut or damaged .*fetch it again", tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "SMALL", 1 << 16)
    zeros = bytes(1 << 20)
    refused(zip_of(tmp_path / "a.zip", "a.tsv", zeros), "would unpack to 1,048,576", tmp_path)
    path = tar_of(tmp_path / "a.tar.gz", ("a.tsv", tarfile.REGTYPE, zeros))
    refused(path, "would unpack to 1,048,576 bytes", tmp_path)
    path = tar_of(tmp_path / "b.tar.gz", ("other", tarfile.REGTYPE, zeros))
    refused(path, "it unpacks to more than 100 times", tmp_path)
    path = tar_of(tmp_path / "c.tar.gz", ("n" * (1 << 20), tarfile.REGTYPE, b""))  # a long name
    refused(path, "it unpacks to more than 100 times", tmp_path)
    zip_of(tmp_path / "a.xlsx", "xl/workbook.xml", zeros)
    with pytest.raises(TableError, match="a.xlsx cannot be read as a workbook .*1,048,576"):
        archives.workbook(tmp_path / "a.xlsx")


def test_a_member_that_lies_about_its_length_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", "a.tsv", b"x" * 1000)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 24] = 7  # of 1000 bytes, says 775
    path.write_bytes(raw)
    refused(path, "a.zip is cut or damaged", tmp_path)


def test_an_archive_of_too_many_members_or_of_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MEMBERS", 5)
    members = [(f"{i}.txt", tarfile.REGTYPE, b"") for i in range(9)]
    refused(tar_of(tmp_path / "a.tar.gz", *members), "more than 5 members", tmp_path)
    refused(tar_of(tmp_path / "b.tar.gz", *members[:3]), "must hold one file like", tmp_path)
    twice = [("a.tsv", tarfile.REGTYPE, b"a"), ("b/a.tsv", tarfile.REGTYPE, b"b")]
    refused(tar_of(tmp_path / "c.tar.gz", *twice), r"found \['a.tsv', 'b/a.tsv'\]", tmp_path)


def test_what_a_mac_adds_to_an_archive_is_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.tsv", "a\n")
        archive.writestr("__MACOSX/._a.tsv", "x")
    with archives.member(tmp_path / "a.zip", r"\.tsv$") as file:
        assert file.read_text() == "a\n"


def test_a_pipe_or_a_folder_in_place_of_an_archive_is_named(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    (tmp_path / "b.zip").mkdir()
    refused(tmp_path / "a.zip", "is no plain file", tmp_path)
    refused(tmp_path / "b.zip", "is no plain file", tmp_path)


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
HEAD = '<?xml version="1.0"?>'


def book_of(path, *cells):
    """A workbook with a 1 in some cells."""
    rows = [f'<row r="{row}"><c r="{column}{row}"><v>1</v></c></row>' for column, row in cells]
    related = f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type='
    parts = {
        "[Content_Types].xml": f'{HEAD}<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{SHEET}.sheet.main+xml"/>'
        f'<Override PartName="/xl/s.xml" ContentType="{SHEET}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{related}"{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{related}"{OFFICE}/worksheet" Target="s.xml"/></Relationships>',
        "xl/s.xml": f'{HEAD}<worksheet xmlns="{MAIN}"><sheetData>{"".join(rows)}</sheetData>'
        "</worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("cell", [("XFD", 1048576), ("ZZZZZZ", 4294967295)])
def test_a_cell_at_the_end_of_a_sheet_costs_its_workbook_alone(tmp_path, cell, capsys):
    near = book_of(tmp_path / "near.xlsx", ("A", 1), ("B", 2))
    assert archives.workbook(near).shape == (1, 2)
    far = book_of(tmp_path / "far.xlsx", ("A", 1), cell)
    with pytest.raises(TableError, match="far.xlsx cannot be read as a workbook"):
        archives.workbook(far)
    words = "--unit uM --signal raw --cell A --drug B --dose C --value D".split()
    assert own.main(["import", str(far), "--out", str(tmp_path / "out"), *words]) == 1
    assert capsys.readouterr().out.startswith("far.xlsx cannot be read as a workbook")
    assert not (tmp_path / "out").exists()
