"""The bundled panel's own readers: units, series of the added file, the array's list of lines."""

import numpy as np
import pytest

from lib.paths import DATA
from lib.screens import bundled
from lib.tables import TableError


@pytest.fixture(scope="module")
def bundle():
    return bundled.load()


def test_the_added_series_have_seven_doses_over_a_thousandfold_and_two_strongest_doses(bundle):
    rows = bundle.responses[bundle.responses.file == "gdsc2_5cancers"]
    ends = rows.groupby("curve_id").dose.agg(["min", "max", "size"])
    assert (ends["size"] == 7).all() and len(ends) == 4_936
    np.testing.assert_allclose(ends["max"] - ends["min"], 3, atol=0.01)
    assert rows.growth.between(0, 1).all() and rows.drug_name.nunique() == 20
    assert rows.groupby("drug_name").dose.min().round(2).nunique() > 5
    assert rows[["cell_name", "drug_name"]].notna().all().all()


def test_every_compound_of_the_added_series_has_a_structure(bundle):
    names = set(bundle.responses[bundle.responses.file == "gdsc2_5cancers"].drug_name)
    known = bundle.smiles[(bundle.smiles.study == "GDSC") & bundle.smiles.smiles.notna()]
    assert names <= set(known.drug_name)
    assert not known.duplicated(["study", "drug_name"]).any()


def test_no_gene_of_the_array_stands_at_its_floor_in_every_line(bundle):
    frame = bundle.expression["GDSC"].set_index("cell_name")
    assert frame.shape == (935, 6_735) and frame.std().min() > 0.02
    assert frame.isna().mean().max() <= 0.01


def test_a_missing_table_is_named_with_the_remedy(tmp_path):
    with pytest.raises(TableError, match="ccle.parquet is missing: restore it with git checkout"):
        bundled.load(tmp_path)
    assert (DATA / "open" / "expression" / "gdsc_rma.parquet").exists()


def test_the_ncis_gi50_stands_beside_our_half_effect_doses(bundle):
    rows = bundle.published[bundle.published.measure == "gi50"]
    assert len(rows) == 10_849 and rows.value.between(4, 8).all()
    assert set(rows.study) == {"NCI-60"} and rows.drug_name.nunique() == 149


def test_the_second_table_of_mutations_keeps_its_own_lines_and_genes(bundle):
    table = bundled.mutated_genes().set_index("cell_name")
    assert table.shape == (803, 7_429) and set(np.unique(table)) == {0, 1}
    assert table.to_numpy().sum() == 267_310 and table.index.is_unique
    shared = table.columns.intersection(bundle.expression["GDSC"].columns)
    assert len(shared) > 6_000
