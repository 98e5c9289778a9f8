"""Identity of compounds: salts, charges, bad structures."""

import pandas as pd
import pytest

from lib import tables
from lib.screens import molecules

PEPTIDE = "NCC(=O)" * 125 + "O"  # 501 heavy atoms


@pytest.mark.parametrize(
    "salt, parent",
    [
        ("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]", "CC(=O)Oc1ccccc1C(=O)O"),
        ("CC(=O)O[Na]", "CC(=O)O"),
        ("CN1CCC(CC1)c1ccccc1.Cl", "CN1CCC(c2ccccc2)CC1"),
        ("C[NH+](C)CCO.[Cl-]", "CN(C)CCO"),
        ("CS(=O)(=O)O.c1ccc2[nH]ccc2c1CCN", "NCCc1cccc2[nH]ccc12"),
    ],
)
def test_a_salt_and_its_parent_are_one_drug(salt, parent):
    found = molecules.standardise(salt)
    assert found.smiles == parent
    assert found.drug_id == molecules.standardise(parent).drug_id
    assert found.reason == "" and found.removed


def test_identity_is_the_published_inchikey_of_the_free_compound():
    assert (
        molecules.standardise("COCCOc1cc2ncnc(Nc3cccc(C#C)c3)c2cc1OCCOC.Cl").drug_id
        == "AAKJLRGGTJKAMG"
    )  # erlotinib
    assert (
        molecules.standardise("CC(=O)Oc1ccccc1C(=O)O").inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
    )  # aspirin


def test_stereoisomers_share_an_id_and_the_drawing_says_so():
    drawn, flat = molecules.standardise("C[C@H](N)C(=O)O"), molecules.standardise("CC(N)C(=O)O")
    assert drawn.drug_id == flat.drug_id and drawn.inchikey != flat.inchikey
    assert drawn.stereo_dropped and drawn.stereo_undefined == 0
    assert not flat.stereo_dropped and flat.stereo_undefined == 1


def test_the_drawn_tautomer_is_kept():
    assert molecules.standardise("Oc1ccccn1").smiles == "Oc1ccccn1"
    assert molecules.standardise("O=c1cccc[nH]1").smiles == "O=c1cccc[nH]1"
    assert (
        molecules.standardise("Oc1ccccn1").drug_id == molecules.standardise("O=c1cccc[nH]1").drug_id
    )


def test_a_quaternary_charge_stays_and_is_told():
    assert molecules.standardise("C[N+](C)(C)CCO.[Cl-]").charge == 1


@pytest.mark.parametrize(
    "smiles, reason, identified",
    [
        ("C1CC", "broken SMILES", False),
        ("[R1]CC", "broken SMILES", False),
        ("C(C)(C)(C)(C)C", "Explicit valence", False),
        ("c1cccc1", "kekulize", False),
        ("", "no SMILES", False),
        (None, "no SMILES", False),
        (float("nan"), "no SMILES", False),
        ("*CCO*", "polymer", False),
        ("CCO |Sg:n:0,1:n:ht|", "polymer", True),
        ("[NH3][Pt]([NH3])(Cl)Cl", "metal complex (Pt)", True),
        ("[Na+].[Cl-]", "no carbon", True),
        (PEPTIDE, "501 heavy atoms", True),
    ],
)
def test_a_molecule_that_cannot_be_described_says_why(smiles, reason, identified):
    found = molecules.standardise(smiles)
    assert reason in found.reason
    assert (found.drug_id is not None) == identified


def test_a_metal_complex_keeps_its_ligands_and_its_identity():
    dative, loose = (
        molecules.standardise("[NH3][Pt]([NH3])(Cl)Cl"),
        molecules.standardise("N.N.Cl[Pt]Cl"),
    )
    assert dative.removed == loose.removed == ""
    assert dative.drug_id == loose.drug_id == "LXZZYRPGZAFOLE"  # cisplatin


def test_a_table_keeps_every_row_in_order():
    table = pd.DataFrame(
        {"drug_name": ["a", "b", "c"], "smiles": ["CCO", None, "C1CC"]}, index=[7, 3, 5]
    )
    found = molecules.standardise_all(table)
    assert list(found.index) == [7, 3, 5] and list(found.drug_name) == ["a", "b", "c"]
    assert list(found.smiles_drawn[:1]) == ["CCO"] and list(found.reason == "") == [
        True,
        False,
        False,
    ]
    assert len(molecules.standardise_all(table.iloc[:0])) == 0


def test_a_table_without_structures_is_refused():
    with pytest.raises(ValueError, match="no column 'smiles'"):
        molecules.standardise_all(pd.DataFrame({"drug_name": ["a"]}))


def test_a_scaffold_is_the_rings_and_their_links_and_a_drug_without_rings_is_acyclic():
    smiles = ["Cc1ccccc1C(=O)NC1CCCC1", "O=C(NC1CCCC1)c1ccccc1", "CCO", "not a drug", None]
    table = pd.DataFrame(dict(drug_id=list("abcde"), smiles=smiles))
    found = tables.check(molecules.scaffolds(table), tables.SCAFFOLDS).scaffold
    assert found[0] == found[1] == "O=C(NC1CCCC1)c1ccccc1"
    assert found[2] == "acyclic" and found[3:].isna().all()
