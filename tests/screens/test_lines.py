"""One id per line over all studies: ids join names, names never join ids."""

import pandas as pd
import pytest

from lib.screens import lines, molecules


def aliases(*rows):
    frame = pd.DataFrame(rows, columns=["study", "cell_name", "depmap_id", "cellosaurus_id"])
    return lines.link(frame.assign(tissue=None, cancer_type=None))


def names(*rows):
    return pd.DataFrame(rows, columns=["study", "cell_name"])


def test_spellings_meet_under_one_key():
    assert lines.normalise("Hs 578T") == lines.normalise("HS-578-T") == "HS578T"


def test_two_names_that_share_an_accession_are_one_line():
    known = aliases(
        ("CCLE", "SJRH30", "ACH-2", "CVCL_1"),
        ("CTRP", "RH-30", "ACH-1", "CVCL_1"),
        ("GDSC", "X", None, "CVCL_1"),
    )
    found = lines.resolve_names(names(("CCLE", "SJRH30"), ("CTRP", "RH-30"), ("GDSC", "X")), known)
    assert found.cell_id.tolist() == ["ACH-1"] * 3


def test_one_spelling_of_two_lines_is_not_merged():
    known = aliases(("CCLE", "TT", "ACH-1", "CVCL_1"), ("GDSC", "T.T", "ACH-2", "CVCL_2"))
    found = lines.resolve_names(
        names(("CCLE", "TT"), ("GDSC", "T.T"), ("gCSI", "tt")), known
    ).set_index("study")
    assert found.cell_id["CCLE"] != found.cell_id["GDSC"]
    assert found.rule["gCSI"] == "ambiguous name" and found.cell_id["gCSI"] == "NAME:TT"


def test_a_name_unknown_in_its_study_is_found_by_its_spelling():
    known = aliases(("CCLE", "HT-29", "ACH-552", "CVCL_0320"))
    found = lines.resolve_names(names(("NCI-60", "HT29")), known).iloc[0]
    assert (found.cell_id, found.rule) == ("ACH-552", "normalised name")


def test_a_name_nobody_knows_gets_its_own_id():
    found = lines.resolve_names(
        names(("gCSI", "My-Line 7")), aliases(("CCLE", "A549", "ACH-1", None))
    ).iloc[0]
    assert (found.cell_id, found.rule) == ("NAME:MYLINE7", "new name")


def test_a_name_without_ids_in_one_catalogue_meets_the_line_that_another_knows():
    known = aliases(
        ("CTRP", "A549", None, None),
        ("CCLE", "A-549", "ACH-1", "CVCL_1"),
        ("CTRP", "own", None, None),
    )
    found = lines.resolve_names(names(("CTRP", "A549"), ("CTRP", "own")), known)
    assert found.cell_id.tolist() == ["ACH-1", "NAME:OWN"]
    assert found.rule.tolist() == ["normalised name", "alias table"]


def test_a_name_without_ids_that_two_lines_bear_is_refused_as_ambiguous():
    known = aliases(
        ("CTRP", "TT", None, None), ("CCLE", "TT", "ACH-1", None), ("GDSC", "T-T", "ACH-2", None)
    )
    found = lines.resolve_names(names(("CTRP", "TT")), known).iloc[0]
    assert (found.cell_id, found.rule) == ("NAME:TT", "ambiguous name")


def test_a_fact_of_each_name_is_spread_over_text_and_categorical_rows_alike():
    rows = pd.DataFrame(dict(study=["A", "B", "A", "A"], drug_name=["x", "x", "y", "x"]))
    listed = pd.DataFrame(dict(study=["A", "B"], drug_name="x", drug_id=["1", "2"]))
    plain = lines.spread(rows, listed, "drug_name", "drug_id")
    coded = lines.spread(rows.astype("category"), listed, "drug_name", "drug_id")
    assert plain.fillna("-").tolist() == ["1", "2", "-", "1"] and plain.dtype == "str"
    assert coded.astype("str").fillna("-").tolist() == plain.fillna("-").tolist()
    assert isinstance(coded.dtype, pd.CategoricalDtype)


def test_stereochemistry_is_kept_as_a_flag_beside_the_id():
    table = pd.DataFrame(
        dict(study="CCLE", drug_name=["R", "flat"], smiles=["C[C@H](N)C(=O)O", "CC(N)C(=O)O"])
    )
    drug_names = molecules.resolve_drugs(table.assign(smiles_origin="a"))[1].set_index("drug_name")
    assert drug_names.drug_id.nunique() == 1 and drug_names.inchikey.nunique() == 2
    assert drug_names.stereo_dropped.to_dict() == dict(R=True, flat=False)


def test_a_persons_decision_wins():
    known = aliases(("CCLE", "A549", "ACH-1", None))
    chosen = pd.DataFrame([("CCLE", "A549", "ACH-9")], columns=["study", "cell_name", "cell_id"])
    found = lines.resolve_names(names(("CCLE", "A549")), known, chosen).iloc[0]
    assert (found.cell_id, found.rule) == ("ACH-9", "override")


def test_salts_and_stereo_give_one_drug_and_a_broken_structure_is_refused():
    table = pd.DataFrame(
        [
            ("CCLE", "Erlotinib", "COCCOc1cc2ncnc(Nc3cccc(C#C)c3)c2cc1OCCOC", "a"),
            ("GDSC", "erlotinib HCl", "COCCOc1cc2ncnc(Nc3cccc(C#C)c3)c2cc1OCCOC.Cl", "b"),
            ("GDSC", "broken", "C1CC", "b"),
            ("gCSI", "absent", None, "c"),
        ],
        columns=["study", "drug_name", "smiles", "smiles_origin"],
    )
    drugs, drug_names, refused = molecules.resolve_drugs(table)
    assert len(drugs) == 1 and drugs.drug_name[0] == "Erlotinib"
    assert set(drug_names.drug_name) == {"Erlotinib", "erlotinib HCl"}
    assert set(refused.drug_name) == {"broken", "absent"} and refused.reason.str.len().min() > 5


def own(*rows, columns=("cell_id", "depmap_id", "cellosaurus_id", "donor")):
    return lines.listed(pd.DataFrame(rows, columns=columns)).set_index("cell_name")


@pytest.mark.parametrize(
    "pair", [("p53+/+", "p53-/-"), ("D1.1", "D-11"), ("a549", "A549"), ("TK+", "TK-"), ("β1", "γ1")]
)
def test_names_of_one_own_table_are_lines_of_their_own_however_alike(pair):
    found = own(*[(name, None, None, None) for name in pair])
    assert found.cell_id.to_dict() == {name: f"NAME:{name}" for name in pair}
    assert found.donor.isna().all()


def test_own_lines_that_share_an_id_are_two_lines_of_one_donor():
    found = own(
        ("PC-9", None, "CVCL_B260", None),
        ("PC-9 resistant", None, "CVCL_B260", None),
        ("H1", "ACH-000001", "CVCL_0001", None),
        ("H2", "ACH-000001", "CVCL_0002", "P7"),
        ("H3", None, "CVCL_0002", None),
        ("A549", None, "CVCL_0023", None),
    )
    assert found.cell_id.is_unique and found.cell_id["A549"] == "CVCL_0023"
    assert found.donor.fillna("-").tolist() == ["CVCL_B260"] * 2 + ["P7"] * 3 + ["-"]


@pytest.mark.parametrize("word", ["unknown", "n/a", "none", "-", "NA", "ach-000001", "0", ""])
def test_what_has_not_the_form_of_an_id_joins_nothing(word):
    for ids in ((word, None), (None, word), (word, word)):
        known = aliases(("CCLE", "A", *ids), ("GDSC", "B", *ids))
        assert known.cell_id.tolist() == ["NAME:A", "NAME:B"]
        assert known[["depmap_id", "cellosaurus_id"]].isna().all(axis=None)


def test_names_of_one_study_that_nothing_but_their_spelling_joins_are_two_lines():
    known = aliases(("CCLE", "D1.1", None, None), ("CCLE", "D-11", None, None))
    asked = names(("CCLE", "D1.1"), ("CCLE", "D-11"), ("gCSI", "TK+"), ("gCSI", "TK-"))
    found = lines.resolve_names(asked, known)
    assert found.cell_id.tolist() == ["NAME:D1.1", "NAME:D-11", "NAME:TK+", "NAME:TK-"]
    alike = lines.resolve_names(names(("gCSI", "HT-29"), ("CTRP", "HT29")), aliases())
    assert alike.cell_id.tolist() == ["NAME:HT29"] * 2


@pytest.mark.parametrize("column", ["donor", "names", "reason"])
def test_the_shipped_donor_table_is_complete(column):
    from lib.paths import DATA

    table = pd.read_csv(DATA / "identity" / "same_donor.csv")
    assert table[column].notna().all() and table.donor.is_unique
    listed = table.names.str.split(";").explode()
    assert listed.is_unique and (listed == listed.map(lines.normalise)).all()
