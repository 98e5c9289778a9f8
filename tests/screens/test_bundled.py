"""The bundled panel's own readers: units, series of the added file, the array's list of lines."""

import numpy as np
import pandas as pd
import pytest

from data import build_open
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


def test_no_pair_of_the_added_series_is_repeated_over_one_range(bundle):
    rows = bundle.responses[bundle.responses.file == "gdsc2_5cancers"]
    tops = rows.groupby(["curve_id", "cell_name", "drug_name"]).dose.min().round(3).reset_index()
    pair = ["cell_name", "drug_name"]
    assert (
        tops.groupby(pair).size().gt(1).sum() == 534 and not tops.duplicated([*pair, "dose"]).any()
    )


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


def test_three_screens_agree_less_over_doses_of_their_own_and_within_a_drug():
    table = pd.read_csv(DATA / "open" / "published" / "three_way.csv")
    r = table.pivot(index=["assay_1", "assay_2"], columns="area", values="pearson")
    assert len(r) == 3 and (r.as_published < r.doses_in_common).all()
    assert (table.within_drug < table.pearson).all() and (table.n_units == 16_588).all()
    known = table.variance_share.notna()
    assert (known == (table.area == "doses_in_common")).all() and table.variance_share.max() < 1


def test_the_agreement_of_three_screens_is_counted_by_pair_and_has_no_value_of_theirs():
    draw = np.random.default_rng(0)
    true, frame = draw.uniform(size=200), {"ccle": np.arange(200) % 40, "Drug.Name": "D"}
    for screen, noise in (("REP", 0.2), ("CTD2", 0.1), ("GDSC", 0)):
        frame[f"{screen}_auc_overlap_mean"] = true + draw.normal(0, noise, 200)
        frame[f"{screen}_published_auc_mean"] = 21 * true + draw.normal(0, 21 * noise, 200)
    table = build_open.three_way(pd.DataFrame(frame), None)
    share = table.set_index(["area", "assay_1", "assay_2"]).variance_share
    assert share["doses_in_common", "CTRPv2", "GDSC"] == pytest.approx(
        1 - 0.005 / true.var(), abs=0.03
    )
    assert share["as_published"].isna().all() and not table.isin(true).any(axis=None)


def test_the_second_table_of_mutations_keeps_its_own_lines_and_genes(bundle):
    table = bundled.mutated_genes().set_index("cell_name")
    assert table.shape == (803, 7_429) and set(np.unique(table)) == {0, 1}
    assert table.to_numpy().sum() == 267_310 and table.index.is_unique
    shared = table.columns.intersection(bundle.expression["GDSC"].columns)
    assert len(shared) > 6_000
