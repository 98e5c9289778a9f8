"""The published numbers are those of the paper's text."""

import re

import pytest

from lib import paper, splits
from lib.paths import ROOT
from lib.sweep import grid

TEXT = ROOT.parent / "shared" / "paper"


def test_every_table_of_the_paper_has_all_its_cells():
    counts = paper.values()["item"].value_counts()
    expected = dict(
        table1=16, table2=24, table3=24, table4=24, table5=48, table6=32, table7=30, tests=19
    )
    assert {name: int(counts[name]) for name in expected} == expected


def test_a_number_is_found_by_its_place_in_the_paper():
    table = paper.values("table1").set_index(["split", "level", "metric"])["value"]
    assert table["on_cell", "counts", "r2"] == 0.712
    assert ("on_cell", "binary", "r2") not in table


def test_an_unknown_item_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no 'table8'.*table7"):
        paper.values("table8")


def test_the_open_stand_in_is_named_as_what_it_is():
    assert paper.published_level("drug_block", "rdkit_ecfp") == (
        "dragon7",
        "rdkit_ecfp stands in for dragon7",
    )
    assert paper.published_level("drug_block", "mordred") == ("mordred", "")
    assert paper.published_level("rnaseq_set", "oncogenes")[1] == ""


@pytest.mark.shared
@pytest.mark.skipif(not TEXT.exists(), reason="the paper's text is not beside this checkout")
def test_the_rows_of_tables_1_to_7_stand_in_the_papers_text():
    text = next(TEXT.glob("*.txt")).read_text()
    lines = [re.findall(r"\d+\.\d+", line) for line in text.splitlines()]
    found = {
        tuple(float(x) for x in numbers[-width:])
        for numbers in lines
        for width in (4, 6, 8)
        if len(numbers) >= width
    }
    frame = paper.values()
    for item in ("table1", "table2", "table3", "table4", "table5"):
        rows = frame[frame["item"] == item]
        for key, row in rows.groupby(["split", "level"], sort=False):
            assert tuple(row["value"]) in found, f"{item} {key}"
    for key, row in frame[frame["item"].isin(["table6", "table7"])].groupby(
        ["item", "study"], sort=False
    ):
        assert tuple(row["value"]) in found, key


def test_every_split_and_every_setting_of_a_grid_can_be_shown_in_words():
    assert set(paper.SPLIT_NAMES) == set(splits.SPLITS)
    settings = set(grid.RunSpec.__dataclass_fields__)
    assert set(paper.FACTOR_NAMES) <= settings
    assert set(paper.METRIC_NAMES) >= {"r2", "rmse", "gain", "npearson", "balanced_accuracy", "mcc"}
