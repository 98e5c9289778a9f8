"""The paper's way beside ours; committed profiles show it and the six splits."""

import made_sweep
import pytest

from lib.analysis import configurations, ways
from lib.paths import ROOT
from lib.run import profiles
from lib.sweep import grid

SMALL = dict(hidden=[[8]], baselines=["mean_effects", "ridge"], cohort="all")


def ledger(folder, skill=lambda spec: 0.4, **levels):
    made_sweep.write(folder, SMALL | levels, skill)
    return configurations.load(folder)


def test_a_way_is_compared_with_the_same_network_trained_our_way(tmp_path):
    levels = dict(selection=["nested", "paper"], snp=["none", "counts"])
    table = ways.ways(ledger(tmp_path, lambda s: 0.6 if s.selection == "paper" else 0.4, **levels))
    by_way = table.set_index("selection")
    assert by_way.loc["nested", "gain_change"] == 0 and by_way.loc["nested", "n_runs"] == 2
    assert by_way.loc["paper", "gain_change"] == pytest.approx(0.84 - 0.64, abs=0.02)


def test_a_way_without_the_same_network_trained_our_way_is_left_out(tmp_path):
    made_sweep.write(tmp_path, [SMALL, SMALL | dict(scope="whole_frame", snp="counts")])
    assert ways.ways(configurations.load(tmp_path)).scope.tolist() == ["train_fold"]


def test_a_sweep_of_one_way_has_an_empty_table_of_the_same_columns(tmp_path):
    table = ways.ways(ledger(tmp_path))
    assert table.empty and list(table.columns) == ways.WAY_COLUMNS


@pytest.mark.parametrize(
    ("name", "field", "levels"),
    [
        ("paper_way", "selection", {"nested", "paper"}),
        ("paper_way", "scope", {"train_fold", "whole_frame"}),
        ("paper_way", "patience", {"paper", "tuned"}),
        ("splits", "split", set(grid.CHOICES["split"])),
    ],
)
def test_committed_profiles_show_the_papers_way_and_every_split(name, field, levels):
    notebooks = tuple(path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb")))
    profile = profiles.load(name, ROOT / "profiles", notebooks)
    assert {getattr(spec, field) for spec in grid.expand(profile.sweep)} == levels
