"""Mordred's descriptors: published values, hand calculation, and the package itself."""

import warnings

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, rdBase

from lib.drugs import mordred2d
from lib.paths import ROOT

GOLDEN = ROOT / "tests" / "golden" / "mordred_references.csv.gz"
# Rings, fused and bridged; charge, halogens, boron, sulphur; one atom, one bond, two fragments, isotopes, stereo.
MOLECULES = """
C CC O=C=O C1CC1 C12C3C4C1C5C2C3C45 c1ccc2ccccc2c1 C[N+](C)(C)CCO CC(=O)O.CN FC(F)(F)C(Cl)(Br)I
CC(C)CC(NC(=O)C(Cc1ccccc1)NC(=O)c1cnccn1)B(O)O CS(=O)(=O)c1ccc(cc1)C#N [2H]C([2H])O C[C@H](N)C(=O)O
CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5 O=C1C2CCCCC2C(=O)N1CCCCN1CCN(CC1)c1nsc2ccccc12
""".split()


@pytest.fixture(scope="module")
def plan():
    return mordred2d.Plan()


def _molecule(smiles):
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(smiles)


def test_there_are_1613_named_descriptors_in_the_package_order(plan):
    from mordred import Calculator, descriptors

    assert plan.names == [str(d) for d in Calculator(descriptors, ignore_3D=True).descriptors]
    assert len(plan.names) == len(set(plan.names)) == 1613


def test_published_reference_values_are_met(plan):
    table = pd.read_csv(GOLDEN, skiprows=1, keep_default_na=False)
    found = {
        smiles: dict(zip(plan.names, plan(_molecule(smiles)), strict=True))
        for smiles in table.smiles.unique()
    }
    got = np.array([found[s][d] for s, d in zip(table.smiles, table.descriptor, strict=True)])
    want = pd.to_numeric(
        table.value.replace({"True": "1", "False": "0"}), errors="coerce"
    ).to_numpy()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    off = np.abs(got - want) >= 1.5 * 10.0**-table.digits  # the comparison the authors use
    # Information contents count bonds of one Kekule form. Today's RDKit draws another one for ellagic acid than the
    # authors' did; the package itself gives the values found here, and misses its own 20 references.
    redrawn = (table.molecule == "EllagicAcid") & (table.reference == "InformationContent")
    assert len(table) > 7000 and not (off & ~redrawn).any(), table[off & ~redrawn].assign(
        got=got[off & ~redrawn]
    )
    assert off.sum() <= 20


@pytest.mark.parametrize(
    "smiles, name, value",
    [
        ("CCCC", "WPath", 10),  # Wiener index of n-butane: 3 x 1 + 2 x 2 + 1 x 3
        ("c1ccccc1", "WPath", 27),  # of benzene: 6 x 1 + 6 x 2 + 3 x 3
        ("CCCC", "Zagreb1", 10),  # sum of squared degrees: 1 + 4 + 4 + 1
        ("CC(C)C", "Xc-3d", 1 / np.sqrt(3)),  # one cluster of three bonds, degrees 3, 1, 1, 1
        ("CCC", "Xp-1d", np.sqrt(2)),  # Randic index of propane: 2 / sqrt(2)
        ("C1CCCCC1", "MPC5", 6),  # a path of five bonds starts in every bond gap of the ring
        ("c1ccccc1", "piPC1", np.log(1 + 9)),  # six bonds of order 1.5
        ("CC", "IC0", -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))),  # 2 carbon, 6 hydrogen
        ("CCO", "nAtom", 9),
        ("CCO", "MW", 46.0418648),  # mass of the most common isotopes
        ("c1ccccc1O", "nAromAtom", 6),
        ("C#N", "MDEC-11", np.nan),  # no pair of carbons
    ],
)
def test_values_known_by_hand(plan, smiles, name, value):
    found = plan(_molecule(smiles))[plan.names.index(name)]
    np.testing.assert_allclose(found, value, rtol=1e-7)


def test_shortcuts_give_the_package_values_and_gaps(plan):
    from mordred import Calculator, descriptors

    molecules = [_molecule(s) for s in MOLECULES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an error would become a gap in the package's table
        table = Calculator(descriptors, ignore_3D=True).pandas(molecules, nproc=1, quiet=True)
    want = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    want[~np.isfinite(want)] = np.nan
    got = np.array([plan(m) for m in molecules])
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-9)


def test_another_version_of_the_package_runs_its_own_code(monkeypatch):
    monkeypatch.setattr(mordred2d, "version", lambda name: "9.9")
    plain = mordred2d.Plan()
    assert not any(replacement for _, _, replacement in plain._steps)
    np.testing.assert_allclose(
        plain(_molecule("c1ccncc1CO")), mordred2d.Plan(True)(_molecule("c1ccncc1CO")), rtol=1e-11
    )


def test_longest_paths_that_never_end_cost_only_their_own_columns():
    plan = mordred2d.Plan(detour_limit=0.0)
    found = dict(zip(plan.names, plan(_molecule("c1ccc2ccccc2c1")), strict=True))
    lost = [name for name in found if name.endswith("_Dt") or name == "DetourIndex"]
    assert len(lost) == 14 and np.isnan([found[name] for name in lost]).all()
    assert found["WPath"] == 109


def test_one_molecule_leaves_no_trace_in_the_next(plan):
    first = plan(_molecule("CCO"))
    plan(_molecule("c1ccc2ccccc2c1"))
    np.testing.assert_array_equal(plan(_molecule("CCO")), first)
