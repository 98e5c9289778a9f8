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
        ("NAME\tMW\nAAA\tsixteen\n", "'sixteen' in column 'MW', molecule 'AAA', is not a number"),
        ("NAME\tMW\nQQQ\t16\n", "none of its 1 names is a drug_id"),
    ],
)
def test_a_faulty_export_is_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        dragon.describe(DRUGS, _export(tmp_path, text))
