"""The open panel is read whole: every curve, every refusal and every repeat is accounted for."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import yaml

from lib import tables
from lib.paths import DATA
from lib.screens import datasets, harmonise, lines


@pytest.fixture(scope="module")
def bundle():
    return datasets.load("open")


@pytest.fixture(scope="module")
def ingested(bundle):
    return harmonise.harmonise(bundle)


def test_every_bundled_file_is_the_one_on_its_card():
    sums = dict(
        line.split()[::-1] for line in (DATA / "open" / "SHA256SUMS").read_text().splitlines()
    )
    found = {p.relative_to(DATA / "open").as_posix() for p in (DATA / "open").rglob("*.*")} - {
        "SHA256SUMS"
    }
    assert found == set(sums)
    cards = (DATA / "README.md").read_text()
    for name, digest in sums.items():
        assert hashlib.sha256((DATA / "open" / name).read_bytes()).hexdigest() == digest, name
        assert f"### `open/{name}`" in cards and digest in cards, name


def test_the_bundle_stays_below_thirty_megabytes():
    assert sum(p.stat().st_size for p in (DATA / "open").rglob("*") if p.is_file()) < 30 * 2**20


def test_every_card_states_origin_and_terms():
    for card in yaml.safe_load((DATA / "open.yml").read_text())["files"]:
        assert len(card["origin"]) > 5 and len(card["terms"]) > 2, card["name"]
        assert "none stated" not in card["terms"], card["name"]


def test_the_tables_keep_their_contracts(ingested):
    contracts = [tables.RESPONSES, tables.CELLS, tables.CELL_NAMES, tables.DRUGS, tables.DRUG_NAMES]
    for contract in contracts:
        tables.check(ingested[contract.name], contract)
    for name in ("expression_GDSC", "expression_NCI-60", "expression_CCLE"):
        tables.check(ingested[name], tables.EXPRESSION)


def test_no_curve_is_lost(bundle, ingested):
    given = set(bundle.responses.curve_id)
    kept, dropped = set(ingested["responses"].curve_id), set(ingested["repeats"].curve_id)
    assert kept | dropped == given and not kept & dropped


def test_a_dropped_series_has_the_values_of_the_one_kept(bundle, ingested):
    series = bundle.responses.sort_values(["curve_id", "dose"]).groupby("curve_id").growth
    for curve, kept in ingested["repeats"].itertuples(index=False):
        np.testing.assert_allclose(series.get_group(curve), series.get_group(kept), atol=1e-6)


def test_doses_and_growth_are_converted_once():
    raw = pd.read_parquet(DATA / "open" / "response" / "ccle.parquet").iloc[0]
    got = datasets.load("open").responses.query("study == 'CCLE'").iloc[0]
    assert got.dose == pytest.approx(-np.log10(raw.dose_um * 1e-6)) and got.growth == raw.viability


def test_percent_growth_is_rescaled_so_that_stasis_is_one_half(bundle):
    raw = pd.read_parquet(DATA / "open" / "response" / "nci60_5lines_growth.parquet")
    got = bundle.responses.query("endpoint == 'growth'")
    np.testing.assert_allclose(got.growth, (raw.percent_growth + 100) / 200, rtol=1e-6)
    assert (got.study == "NCI-60").all()


def test_the_positive_control_of_the_plates_is_marked(bundle):
    controls = bundle.responses[bundle.responses.control]
    assert set(controls.drug_name) == {"MG-132"} and set(controls.file) == {"gdsc2_example"}


def test_a_line_screened_by_five_studies_has_one_id(ingested):
    names = ingested["cell_names"]
    hits = names[names.cell_name.map(lines.normalise).isin(["786O", "7860"])]
    assert hits.study.nunique() == 5 and hits.cell_id.nunique() == 1


def test_misidentified_lines_share_their_donor(ingested):
    cells = (
        ingested["cells"].assign(key=lambda t: t.cell_name.map(lines.normalise)).set_index("key")
    )
    assert cells.donor["NCIADRRES"] == cells.donor["OVCAR8"]
    assert cells.donor["SNB19"] == cells.donor["U251MG"]


def test_one_drug_has_one_id_under_all_its_names(ingested):
    names = ingested["drug_names"]
    plx = names[names.drug_name.isin(["PLX4720", "PLX-4720"])]
    assert plx.study.nunique() == 2 and plx.drug_id.nunique() == 1


def test_a_profile_stands_for_one_line_and_only_for_screened_ones(ingested):
    for name in (
        "expression_GDSC",
        "expression_NCI-60",
        "expression_CCLE",
        "mutations_CCLE",
        "mutations_GDSC",
    ):
        assert (
            ingested[name].cell_id.is_unique
            and ingested[name].cell_id.isin(ingested["cells"].cell_id).all()
        )


def test_every_mutation_event_of_a_screened_line_is_kept(bundle, ingested):
    assert (
        ingested["mutations_GDSC"].iloc[:, 2:].to_numpy().sum()
        > 0.9 * bundle.mutations["GDSC"].iloc[:, 1:].to_numpy().sum()
    )
    assert set(np.unique(bundle.mutations["GDSC"].iloc[:, 1:])) == {0, 1}


def test_gdsc_profiles_are_on_the_log_scale_that_they_declare(bundle):
    assert bundle.scales["expression_GDSC"].startswith("RMA log2")
    values = bundle.expression["GDSC"].iloc[:, 1:].to_numpy()
    assert np.isnan(values).mean() < 0.001 and np.isnan(values).any()
    assert 1.5 < np.nanmin(values) < 2.5 and 13 < np.nanmax(values) < 15
    assert len(np.unique(np.nanmean(values, axis=1).round(1))) > 2  # lines differ in level
    known = bundle.expression["GDSC"].set_index("cell_name")
    assert known.loc["JVM2", "RNF11"] == pytest.approx(4.58, abs=0.006)


def test_every_studys_own_summaries_of_screened_compounds_are_kept_however_they_are_spelled(
    bundle, ingested
):
    given, kept = bundle.published, ingested["published"]
    screened = {
        (s, lines.normalise(d))
        for s, d in set(
            zip(ingested["drug_names"].study, ingested["drug_names"].drug_name, strict=True)
        )
    }
    known = [
        (s, lines.normalise(d)) in screened
        for s, d in zip(given.study, given.drug_name, strict=True)
    ]
    assert {"CCLE", "CTRP", "GDSC", "gCSI", "NCI-60"} == set(kept.study)
    share = kept.study.value_counts() / given[known].study.value_counts()
    assert (share > 0.95).all() and share.max() <= 1, share
    once = kept[kept.study != "NCI-60"]  # there a compound may have several NSC numbers
    assert not once.duplicated(
        ["study", "assay", "cell_id", "drug_id", "curve_id", "measure", "sheet"]
    ).any()


def test_a_spelling_that_fits_two_molecules_of_a_study_is_left_out():
    names = pd.DataFrame(
        dict(study="GDSC", drug_name=["Nutlin-3a", "Nutlin 3a", "Taxol"], drug_id=["A", "B", "C"])
    )
    asked = pd.DataFrame(
        dict(
            study=["GDSC"] * 4 + ["CTRP"],
            drug_name=["Nutlin-3a", "NUTLIN-3A", "TAXOL", "x", "Taxol"],
        )
    )
    found = harmonise._molecules(asked, names)
    assert dict(zip(found.drug_name, found.drug_id, strict=True)) == {
        "Nutlin-3a": "A",
        "TAXOL": "C",
    }


def test_every_join_is_listed_also_of_names_that_differ_in_signs_only(ingested):
    names = ingested["cell_names"].groupby("cell_id").cell_name.nunique()
    merged = harmonise.merges(ingested)
    assert set(merged.cell_id) == set(names[names > 1].index)
    assert merged.punctuation.is_monotonic_increasing and 0 < merged.punctuation.sum() < len(merged)
    joined = merged.set_index("names").punctuation
    assert joined["786-0; 786-O"] == False and joined["MCF-7; MCF7"] == True  # noqa: E712
    drugs = ingested["drug_names"].groupby("drug_id").drug_name.nunique()
    assert set(harmonise.one_molecule(ingested).drug_id) >= set(drugs[drugs > 1].index)


def test_a_profile_or_a_summary_that_finds_no_place_is_counted(bundle, ingested):
    left = harmonise.left_out(bundle, ingested)
    for source, frame in bundle.mutations.items():
        lost = left[left["where"] == f"mutations_{source}"]["rows"].sum()
        assert len(frame) == len(ingested[f"mutations_{source}"]) + lost
    again = left[left.reason.str.startswith("second profile of a line")].iloc[0]
    assert again["rows"] == 3 and "MDA-MB-157" in again.reason
    published = left[left["where"] == "published"]["rows"].sum()
    assert len(bundle.published) == len(ingested["published"]) + published


def test_coverage_adds_up(ingested):
    table = harmonise.coverage(ingested).set_index("study")
    assert (
        table.curves[:-1].sum() == table.curves["all"]
        and table.points[:-1].sum() == table.points["all"]
    )


def rows(**changes):
    base = dict(assay="A", cell_id="c", drug_id="d", endpoint="viability", file="f", curve_id="x")
    frame = pd.DataFrame(dict(dose=[5.0, 6, 7, 8], growth=[0.1, 0.4, 0.8, 1.0]))
    return frame.assign(**(base | changes))


def test_conflicting_values_of_one_point_are_an_error_with_the_values():
    clash = pd.concat([rows(), rows(growth=0.5).iloc[[1]]])
    with pytest.raises(
        ValueError, match=r"curve 'x' has 2 different growth values \[0.4, 0.5\] at dose 6"
    ):
        harmonise.drop_repeats(clash)


def test_the_same_point_twice_is_kept_once():
    kept, repeats = harmonise.drop_repeats(pd.concat([rows(), rows()]))
    assert len(kept) == 4 and repeats.empty


def test_a_series_of_another_drug_is_no_repeat():
    kept, repeats = harmonise.drop_repeats(pd.concat([rows(), rows(curve_id="y", drug_id="e")]))
    assert len(kept) == 8 and repeats.empty


def test_equal_values_in_another_order_are_no_repeat():
    other = rows(curve_id="y", growth=[1.0, 0.8, 0.4, 0.1])
    assert harmonise.drop_repeats(pd.concat([rows(), other]))[1].empty


def test_categorical_rows_give_the_repeats_of_plain_ones():
    shuffled = pd.concat([rows(curve_id="y"), rows(curve_id="z", drug_id="e"), rows()]).sample(
        frac=1, random_state=0
    )
    kept, repeats = harmonise.drop_repeats(shuffled)
    text = ["assay", "cell_id", "drug_id", "endpoint", "file", "curve_id"]
    coded, again = harmonise.drop_repeats(shuffled.astype(dict.fromkeys(text, "category")))
    assert repeats.to_numpy().tolist() == again.to_numpy().tolist() == [["y", "x"]]
    assert kept.to_numpy().tolist() == coded.to_numpy().tolist()


def test_a_table_in_order_is_not_copied_and_another_is_sorted():
    ordered = pd.concat([rows(), rows(curve_id="y")], ignore_index=True)
    assert harmonise._in_order(ordered[::-1]).equals(ordered)
    assert np.shares_memory(harmonise._in_order(ordered).dose.to_numpy(), ordered.dose.to_numpy())


def test_an_unknown_study_is_named(bundle):
    with pytest.raises(ValueError, match=r"unknown studies \['GCSI'\]: choose from"):
        harmonise.harmonise(bundle, ["GCSI"])


def test_an_unknown_data_set_is_named():
    with pytest.raises(ValueError, match="found 'opne'"):
        datasets.load("opne")


def test_a_missing_or_truncated_bundle_file_is_named(tmp_path):
    import shutil

    copy = tmp_path / "open"
    shutil.copytree(DATA / "open", copy)
    (copy / "response" / "ccle.parquet").write_bytes(b"PAR1half")
    with pytest.raises(tables.TableError, match="ccle.parquet cannot be read"):
        datasets.load("open", copy)
    (copy / "response" / "ccle.parquet").unlink()
    with pytest.raises(tables.TableError, match="ccle.parquet is missing: restore it"):
        datasets.load("open", copy)
