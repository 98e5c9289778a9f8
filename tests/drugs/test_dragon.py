"""The user's own Dragon 7 export: read when present, asked for clearly when not."""

import numpy as np
import pandas as pd
import pytest

from lib.drugs import descriptors, dragon

DRUGS = pd.DataFrame(
    {
        "drug_id": ["AAA", "BBB", "CCC"],
        "drug_name": ["one", "two", "three"],
        "smiles": ["C", "CC", "CCC"],
        "inchikey": ["AAA-X-N", "BBB-X-N", "CCC-X-N"],
    }
)


def _export(folder, text):
    path = folder / "dragon7.txt"
    path.write_text(text)
    return path


def test_an_export_is_found_by_id_key_or_name(tmp_path):
    path = _export(
        tmp_path,
        "Dragon 7.0\nNo.\tNAME\tMW\tAMW\n1\tAAA\t16.0\t-999\n2\ttwo\t30.1\tna\n3\tZZZ\t1\t2\n",
    )
    values, report = descriptors.compute_block(DRUGS, "dragon7", dragon_file=path)
    assert list(values.columns) == ["drug_id", "dragon7_MW", "dragon7_AMW"]
    np.testing.assert_allclose(values.dragon7_MW, [16.0, 30.1, np.nan], rtol=1e-6)
    assert values.dragon7_AMW.isna().all()
    assert list(report.reason) == ["", "", "not in the Dragon export dragon7.txt"]


def test_a_comma_separated_export_joins_other_blocks(tmp_path):
    path = _export(tmp_path, '"NAME","MW"\n"AAA-X-N",16.0\n"BBB-X-N",30.1\n"CCC-X-N",44.1\n')
    values, report = descriptors.compute_block(DRUGS, "dragon7+maccs", dragon_file=path)
    assert values.shape == (3, 1 + 1 + 166) and (report.reason == "").all()


def test_a_drug_that_one_part_lacks_has_no_row_in_the_whole(tmp_path):
    path = _export(tmp_path, "NAME\tMW\nAAA\t16.0\nBBB\t30.1\n")
    values, report = descriptors.compute_block(DRUGS, "dragon7+maccs", dragon_file=path)
    assert values.iloc[2, 1:].isna().all() and values.iloc[:2, 1:].notna().all(axis=None)
    assert report.missing[2] == 1


def test_an_absent_export_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="proprietary .* use the block rdkit_ecfp"):
        descriptors.compute_block(DRUGS, "dragon7", dragon_file=tmp_path / "none.txt")


@pytest.mark.parametrize(
    "text, message",
    [
        ("No.\tMolecule\tMW\n1\tAAA\t16\n", "no header line with a column NAME"),
        ("NAME\tMW\nAAA\t16\nAAA\t17\n", "NAME 'AAA' repeats"),
        ("NAME\tMW\nAAA\tsixteen\n", "line 2: column 'MW' must be a number, found 'sixteen'"),
        ("NAME\tMW\nAAA\tinf\n", "line 2: column 'MW' must be a number, found 'inf'"),
        (
            "NAME\tMW\nAAA\t1\nBBB\t1e400\n",
            "line 3: column 'MW' must be between .*, found 1e400; correct it, or write na",
        ),
        ("NAME\tMW\nAAA\t-1e39\n", "column 'MW' must be between .* found -1e39"),
        ("NAME\tMW\nAAA\t1_0\n", "column 'MW' must be a number, found '1_0'"),
        ("NAME\tMW\nAAA\t１\n", "column 'MW' must be a number, found '１'"),
        ("NAME\tMW\nAAA\t1,5\n", "found '1,5'; a decimal comma"),
        ("NAME\tMW\nAAA\t1\t2\n", "line 2: 3 fields where the header has 2"),
        ("Dragon 7\nNAME\tMW\tA\nAAA\t1\t2\nBBB\t1\n", "line 4: the last line has 2 of 3 fields"),
        ("NAME\tMW\tMW\nAAA\t1\t2\n", r"column\(s\) \['MW'\] stand twice"),
        ("NAME\tNAME\nAAA\tBBB\n", r"column\(s\) \['NAME'\] stand twice"),
        ("NAME\tMW\nQQQ\t16\n", "none of its 1 names is a drug_id"),
    ],
)
def test_a_faulty_export_is_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        dragon.describe(DRUGS, _export(tmp_path, text))


@pytest.mark.parametrize("gap", ["-", "na", "", "NaN", "-999", "-999.0"])
def test_a_gap_is_written_in_many_ways(tmp_path, gap):
    path = _export(tmp_path, f"No.\tNAME\tMW\tSv\n1\tAAA\t16\t{gap}\n\n2\tBBB\t-1.5e3\t2\n")
    table = dragon.read(path)
    assert list(table) == ["MW", "Sv"] and table.MW.tolist() == [16, -1500]
    assert np.isnan(table.Sv["AAA"]) and table.Sv["BBB"] == 2


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_an_export_in_another_encoding_is_refused_with_its_name(tmp_path, encoding):
    path = tmp_path / "dragon7.txt"
    path.write_bytes("NAME\tMW\nCaféine\t1\n".encode(encoding))
    with pytest.raises(ValueError, match="dragon7.txt is no.* UTF-8 text.*save it as UTF-8"):
        dragon.read(path)


def test_an_export_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "dragon7.txt"
    path.write_bytes("\ufeffNAME\tMW\r\nCaféine\t1\r\n".encode())
    assert dragon.read(path).MW.to_dict() == {"Caféine": 1}
