"""Reports on drug blocks: columns, overlap, likeness."""

import numpy as np
import pandas as pd
import pytest
from rdkit import DataStructs
from rdkit.Chem import AllChem, MolFromSmiles

from lib.drugs import descriptors, quality
from lib.sweep import controls

SMILES = ["CCO", "CCCO", "c1ccccc1O", "c1ccccc1N", "CC(=O)Oc1ccccc1C(=O)O", "C1CC"]
DRUGS = pd.DataFrame({"drug_id": list("abcdef"), "drug_name": list("ABCDEF"), "smiles": SMILES})


@pytest.fixture(scope="module")
def bits():
    return descriptors.compute_block(DRUGS, "ecfp4_512", cache_dir=None)


def test_every_column_and_every_drug_has_a_line(bits):
    found = quality.quality(*bits, "ecfp4_512")
    assert found.groupby("kind").size().to_dict() == {"column": 512, "drug": 6}
    assert "broken SMILES" in found[~found.keep & (found.kind == "drug")].reason.item()
    table = quality.summary(found)
    row = table.loc["ecfp4_512"]
    assert (
        row.kept + row[["missing", "extreme", "constant", "duplicated"]].sum()
        == row["columns"]
        == 512
    )
    assert (row.drugs, row.drugs_failed) == (6, 1)


def test_tanimoto_is_rdkits(bits):
    prints = [
        AllChem.GetMorganGenerator(radius=2, fpSize=512).GetFingerprint(MolFromSmiles(s))
        for s in SMILES[:5]
    ]
    expected = [[DataStructs.TanimotoSimilarity(a, b) for b in prints] for a in prints]
    few = bits[0].iloc[:5, 1:].to_numpy()
    np.testing.assert_allclose(quality.tanimoto(few, few), expected, atol=1e-12)


def test_the_nearest_neighbour_is_another_drug(bits):
    found = quality.nearest_neighbours(bits[0], DRUGS, range(6)).set_index("drug_id")
    assert len(found) == 5 and (found.index != found.nearest_id).all()
    assert found.nearest_id["c"] == "d" and found.nearest_name["a"] == "B"
    assert found.tanimoto.is_monotonic_decreasing


def test_the_nearest_training_drug_is_never_of_the_own_fold(bits):
    folds = [0, 0, 1, 1, 2, 2]
    found = quality.nearest_neighbours(bits[0], DRUGS, folds).set_index("drug_id")
    assert (found.across_folds <= found.tanimoto).all()
    few = bits[0].iloc[:5, 1:].to_numpy()
    likeness = quality.tanimoto(few, few)
    assert found.across_folds["c"] == pytest.approx(likeness[2, [0, 1, 4]].max())


def test_a_control_keeps_nothing_of_the_likeness_of_drugs():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, 20))[rng.integers(0, 3, 60)] + 0.1 * rng.normal(
        size=(60, 20)
    )  # three families
    block = pd.DataFrame(x, columns=[f"x{i}" for i in range(20)])
    block.insert(0, "drug_id", [f"d{i:02d}" for i in range(60)])
    assert quality.likeness_kept(block, block) == pytest.approx(1)
    for kind in ("permuted", "random", "onehot"):
        assert abs(quality.likeness_kept(block, controls.drug_control(block, kind))) < 0.15


def test_a_block_is_redundant_with_its_own_linear_copy_and_not_with_noise():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    one = (
        pd.DataFrame(x, columns=list("wxyz"))
        .assign(drug_id="d")
        .pipe(lambda f: f[["drug_id", *"wxyz"]])
    )
    two = pd.DataFrame({"drug_id": one.drug_id, "p": -2 * x[:, 0] + 1, "q": rng.normal(size=60)})
    found = quality.redundancy(one, two)
    np.testing.assert_allclose(found["w"], 1, atol=1e-6)
    assert (found[["x", "y", "z"]] < 0.5).all()
    assert (quality.redundancy(one, two, seed=1) < 0.5).all()
