"""Ways to describe one compound: against RDKit itself, and by hand."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem, Descriptors, MACCSkeys

from lib.drugs import descriptors

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def _values(part, smiles=ASPIRIN):
    reason, values = descriptors.describe((part, smiles))
    assert reason == "" and len(values) == len(descriptors.columns(part))
    return values


@pytest.mark.parametrize("diameter, bits", [(2, 512), (4, 2048), (6, 1024)])
def test_ecfp_is_rdkits_circular_fingerprint(diameter, bits):
    with_rdkit = AllChem.GetMorganGenerator(radius=diameter // 2, fpSize=bits).GetFingerprint(
        Chem.MolFromSmiles(ASPIRIN)
    )
    found = _values(f"ecfp{diameter}_{bits}")
    assert set(np.flatnonzero(found)) == set(with_rdkit.GetOnBits()) and set(found) == {0.0, 1.0}


def test_maccs_are_keys_1_to_166():
    on = {i - 1 for i in MACCSkeys.GenMACCSKeys(Chem.MolFromSmiles(ASPIRIN)).GetOnBits()}
    assert set(np.flatnonzero(_values("maccs"))) == on and len(_values("maccs")) == 166


def test_rdkit_block_holds_its_217_descriptors_under_their_names():
    found = dict(zip(descriptors.columns("rdkit"), _values("rdkit"), strict=True))
    assert len(found) == 217
    for name in ("MolWt", "TPSA", "RingCount", "BertzCT"):
        assert found[f"rdkit_{name}"] == getattr(Descriptors, name)(Chem.MolFromSmiles(ASPIRIN))


def test_a_salt_is_described_as_its_parent():
    np.testing.assert_array_equal(
        _values("ecfp4_256", "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"), _values("ecfp4_256")
    )


def test_characters_can_be_read_back():
    one_hot = _values("smiles_40").reshape(40, -1)
    assert (
        "".join(descriptors.ALPHABET[i] for i in one_hot[: len(ASPIRIN)].argmax(axis=1)) == ASPIRIN
    )
    assert one_hot.sum() == len(ASPIRIN) and _values("smiles_5").sum() == 5
    assert _values("smiles_9", "C[SeH]").reshape(9, -1)[3].argmax() == descriptors.ALPHABET.index(
        "e"
    )
    assert (
        descriptors.columns("smiles_5")[0] == "smiles_0_#" and len(set(descriptors.ALPHABET)) == 48
    )


def test_names_of_blocks_stand_for_their_parts():
    assert descriptors.parts("mordred+rdkit_ecfp") == ["mordred", "rdkit", "ecfp4_2048"]
    assert descriptors.parts("ecfp+rdkit_ecfp") == ["ecfp4_2048", "rdkit"]


@pytest.mark.parametrize("name", ["dragon", "ecfp5_512", "ecfp4_0", "mordred+", "maccs_3", ""])
def test_an_unknown_block_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match="unknown drug block .* use mordred, rdkit"):
        descriptors.parts(name)


def test_a_bad_structure_gives_its_reason():
    assert descriptors.describe(("maccs", "C1CC")) == (
        "broken SMILES 'C1CC': check rings, brackets and atom symbols",
        None,
    )
