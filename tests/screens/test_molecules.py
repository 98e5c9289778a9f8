"""Identity of compounds: salts, charges, bad structures."""

import time

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


FREE = {
    "tafamidis": "OC(=O)c1ccc2nc(oc2c1)-c1cc(Cl)cc(Cl)c1",
    "imipramine": "CN(C)CCCN1c2ccccc2CCc2ccccc12",
    "diatrizoic acid": "CC(=O)Nc1c(I)c(NC(C)=O)c(I)c(C(O)=O)c1I",
    "metformin": "CN(C)C(=N)NC(N)=N",
    "amantadine": "NC12CC3CC(CC(C3)C1)C2",
}
LARGE = [
    "CNCC(O)C(O)C(O)C(O)CO",
    "OC(=O)c1cc2ccccc2c(Cc2c(O)c(C(O)=O)cc3ccccc23)c1O",
    "O=C([O-])c1ccc2ccccc2c1O",
    "C(CNCc1ccccc1)NCc1ccccc1",
    "OC(=O)C(c1ccccc1)(c1ccccc1)c1ccccc1",
    "CCCCCCCCCCCCCCCCCC(=O)[O-]",
    "c1ccc(cc1)[B-](c1ccccc1)(c1ccccc1)c1ccccc1",
    "OCC1OC(OC(C(O)CO)C(O)C(O)C(=O)O)C(O)C(O)C1O",
    "OS(=O)(=O)c1cccc2c1cccc2S(=O)(=O)O",
    "Oc1c(cc(cc1[N+](=O)[O-])[N+](=O)[O-])[N+](=O)[O-]",
    "CCCCCCCCCCCCOS(=O)(=O)[O-].[Na+]",
    "OC(=O)/C=C/C(=O)O.O.CCO",
]


@pytest.mark.parametrize("counterion", LARGE)
def test_the_drug_of_a_salt_is_the_drug_however_large_its_counterion_is(counterion):
    found = {name: molecules.standardise(f"{counterion}.{smiles}") for name, smiles in FREE.items()}
    for name, drug in found.items():
        free = molecules.standardise(FREE[name])
        assert (drug.drug_id, drug.smiles) == (free.drug_id, free.smiles)
        assert drug.reason == "" and drug.removed and drug.chosen == "counterion list"
        assert (free.removed, free.chosen) == ("", "")
    assert len({drug.drug_id for drug in found.values()}) == len(FREE)


def test_a_listed_counterion_alone_or_with_an_ion_is_the_drug():
    for smiles in LARGE[:6]:
        assert molecules.standardise(smiles).reason == ""
    salicylate = molecules.standardise("O=C([O-])c1ccccc1O.[Na+]")
    assert salicylate.drug_id == molecules.standardise("OC(=O)c1ccccc1O").drug_id
    piperazine = molecules.standardise("C1CNCCN1.OC(=O)CC(O)(CC(=O)O)C(=O)O")
    assert piperazine.smiles == "C1CNCCN1" and piperazine.chosen == "counterion list"
    lysine = molecules.standardise("NCCCCC(N)C(=O)O.CC(C)Cc1ccc(cc1)C(C)C(=O)O")
    assert lysine.chosen == "counterion that is a drug too" and lysine.removed.startswith("NCCCC")


MIXTURES = [
    "Cc1ccccc1O.Cc1cccc(O)c1.Cc1ccc(O)cc1",
    "COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC.Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1",
    "CCN(CC)CCOC(=O)c1ccc(N)cc1.CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O.O",
    "C[N+](C)(C)CCO.O=C([O-])c1ccccc1O",
]


@pytest.mark.parametrize("smiles", MIXTURES)
def test_a_mixture_is_no_drug_of_its_parts_and_says_so(smiles):
    found = molecules.standardise(smiles)
    assert found.reason.startswith("mixture of ") and found.chosen == "mixture"
    parts = {molecules.standardise(part).drug_id for part in smiles.split(".")}
    assert found.drug_id and found.drug_id not in parts
    turned = molecules.standardise(".".join(smiles.split(".")[::-1]))
    assert (turned.drug_id, turned.smiles) == (found.drug_id, found.smiles)


NAVITOCLAX = (
    "CC1(C)CCC(=C(C1)CN1CCN(CC1)c1ccc(cc1)C(=O)NS(=O)(=O)c1ccc(NC(CCN2CCOCC2)CSc2ccccc2)"
    "c(c1)S(=O)(=O)C(F)(F)F)c1ccc(Cl)cc1"
)


def test_an_unlisted_companion_is_taken_off_only_where_it_is_tiny():
    assert molecules.standardise(f"{NAVITOCLAX}.CSC#CF").chosen == "size"
    for name in ("metformin", "amantadine", "imipramine"):  # combinations, as CTRP screens them
        assert molecules.standardise(f"{NAVITOCLAX}.{FREE[name]}").chosen == "mixture"
    assert molecules.standardise("CSC#CF.CSC#CCF").chosen == "mixture"


def test_the_order_of_a_drawing_does_not_choose_the_drug():
    one, other = "C[C@H](N)c1ccc2ccccc2c1", "C[C@@H](N)c1ccc2ccccc2c1"
    found = {molecules.standardise(f"{a}.{b}").smiles for a, b in ((one, other), (other, one))}
    assert len(found) == 1


@pytest.mark.parametrize(
    "smiles", ["CCO, CCO, CCO", "CCO CCO", "CCO;CCN", "c1ccccc1\tCCO", "CCO,\nCCN"]
)
def test_several_structures_in_one_field_are_named(smiles):
    found = molecules.standardise(smiles)
    assert found.drug_id is None and "several structures in one field" in found.reason
    assert molecules.standardise("CCO ethanol").smiles == "CCO"


def test_no_listed_counterion_is_listed_twice_or_unreadable():
    listed = pd.read_csv(molecules.COUNTERIONS)
    assert len(molecules.counterions()) == len(listed) > 300
    assert set(listed.kind) == {"counterion", "drug too"} and listed.name.is_unique


def test_the_choice_of_the_drug_is_in_the_drug_tables():
    names = pd.DataFrame(
        dict(
            study=["CCLE", "CCLE", "GDSC"],
            drug_name=["tafamidis", "tafamidis meglumine", "imipramine pamoate"],
            smiles=[
                FREE["tafamidis"],
                FREE["tafamidis"] + "." + LARGE[0],
                FREE["imipramine"] + "." + LARGE[1],
            ],
            smiles_origin="test",
        )
    )
    drugs, drug_names, refused = molecules.resolve_drugs(names)
    tables.check(drugs, tables.DRUGS)
    assert refused.empty and len(drugs) == 2
    by_name = drug_names.set_index("drug_name")
    assert by_name.chosen["tafamidis"] == "" and by_name.removed["tafamidis meglumine"]
    assert drugs.set_index("drug_name").chosen["imipramine pamoate"] == "counterion list"


def test_a_text_longer_than_any_small_molecule_is_not_parsed():
    started = time.process_time()
    for text in ("C" * 500_000, "C1CC1" * 100_000, ".".join(["CCO"] * 100_000)):
        drug = molecules.standardise(text)
        assert drug.drug_id is None and drug.reason.startswith(
            f"too long: {len(text):,} characters"
        )
    assert time.process_time() - started < 1
