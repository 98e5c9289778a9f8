"""Doubtful merges are listed with what the responses say."""

import numpy as np
import pandas as pd
import pytest

from lib.screens import doubts, harmonise
from lib.screens.bundle import Bundle

DRUGS = [f"d{i}" for i in range(10)]


def bundle(same=1.0, n_drugs=10):
    """Twenty lines in CCLE; A and A2 share an accession and, with `same` 1, respond alike."""
    rng = np.random.default_rng(0)
    profile = {f"L{i}": rng.normal(size=10) for i in range(18)}
    profile["A"] = rng.normal(size=10)
    profile["A2"] = same * profile["A"]
    rows = [
        dict(cell_name=name, drug_name=drug, dose=dose, growth=0.5 + 0.1 * profile[name][i])
        for name in profile
        for i, drug in enumerate(DRUGS[:n_drugs])
        for dose in (5.0, 6.0)
    ]
    responses = pd.DataFrame(rows).assign(
        study="CCLE", assay="CCLE", endpoint="viability", file="f", control=False
    )
    responses["curve_id"] = responses.cell_name + "|" + responses.drug_name
    names = list(profile)
    ids = dict(A=("ACH-1", "CVCL_1"), A2=("ACH-2", "CVCL_1"))
    aliases = pd.DataFrame(
        [("CCLE", n, *ids.get(n, (f"ACH-9{n}", f"CVCL_9{n}")), None, None) for n in names],
        columns=["study", "cell_name", "depmap_id", "cellosaurus_id", "tissue", "cancer_type"],
    )
    smiles = pd.DataFrame(
        dict(study="CCLE", drug_name=DRUGS, smiles=["C" * (i + 1) for i in range(10)])
    )
    table = pd.DataFrame(np.zeros((20, 3)), columns=["g1", "g2", "g3"]).assign(cell_name=names)
    table.loc[18:, ["g1", "g2"]] = [[1, 1], [1, 0]]
    return Bundle(responses, aliases, smiles.assign(smiles_origin="x"), mutations={"CCLE": table})


def test_a_merge_that_catalogues_contradict_and_one_study_has_twice_is_listed_with_its_evidence():
    given = bundle()
    row = doubts.doubtful(given, harmonise.harmonise(given)).iloc[0]
    assert (row.cell_id, row["names"]) == ("ACH-1", "A; A2")
    assert row.why == "two ids: ACH-1, ACH-2; two names in CCLE"
    assert row.n_drugs == 10 and row.response_r == pytest.approx(1) and row.strangers_closer == 0
    assert row.mutated == "1 of 2"


def test_lines_that_respond_differently_are_no_closer_than_strangers():
    given = bundle(same=-1.0)
    row = doubts.doubtful(given, harmonise.harmonise(given)).iloc[0]
    assert row.response_r < 0 and row.strangers_closer > 0.5


def test_too_few_drugs_say_nothing():
    given = bundle(n_drugs=5)
    row = doubts.doubtful(given, harmonise.harmonise(given)).iloc[0]
    assert row.n_drugs == 5 and pd.isna(row.response_r)


def test_a_line_that_was_not_assessed_is_named_and_not_counted_as_unmutated():
    given = bundle()
    given.mutations["CCLE"].loc[19, ["g1", "g2", "g3"]] = np.nan
    assert doubts.doubtful(given, harmonise.harmonise(given)).mutated[0] == "not assessed: A2"


def test_what_to_expect_of_one_line_is_read_off_two_studies():
    rows = bundle().responses.rename(columns=dict(cell_name="cell_id", drug_name="drug_id"))
    both = pd.concat([rows, rows.assign(study="GDSC", growth=rows.growth + 0.2)])
    found = doubts.same_line_r(both)
    assert (
        found["studies"] == "CCLE and GDSC"
        and found["n_drugs"] == 10
        and found["median_r"] == pytest.approx(1)
    )
    assert doubts.same_line_r(rows) == {}


def test_published_areas_speak_where_there_are_no_doses():
    given = bundle()
    areas = (
        given.responses.groupby(["study", "assay", "cell_name", "drug_name"])
        .growth.mean()
        .rename("value")
    )
    given.published = areas.reset_index().assign(measure="auc_tested", curve_id=None, sheet="s")
    given.responses = given.responses.iloc[:0]
    row = doubts.doubtful(given, harmonise.harmonise(given)).iloc[0]
    assert row.n_drugs == 10 and row.response_r == pytest.approx(1)


def test_a_name_with_controls_only_gives_no_evidence():
    given = bundle()
    given.responses["control"] = given.responses.cell_name == "A2"
    assert pd.isna(doubts.doubtful(given, harmonise.harmonise(given)).n_drugs[0])
