"""ComBat against R's sva, against PyPI's pycombat, and against its own promises."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.cells import combat
from lib.cells.combat import Combat
from lib.paths import ROOT

GOLDEN = ROOT / "tests" / "golden"
FLAT = [2, 10]  # genes that combat.R makes flat within CCLE
CASES = {
    "parametric": {},
    "one_sample": dict(single=True),
    "flat": dict(flat=True),
}


def read(name, folder=GOLDEN):
    return pd.read_csv(folder / f"combat_{name}.csv", comment="#")


def case_input(single=False, flat=False):
    frame = read("input")
    if single:
        frame = frame[(frame.batch != "NCI-60") | ~frame.batch.duplicated()]
    X, batch = frame.iloc[:, 3:].to_numpy(), frame.batch.to_numpy()
    if flat:
        X[np.ix_(batch == "CCLE", FLAT)] = 2.5
    return X, batch


def simulate(seed, n_genes=30, sizes=(6, 9, 14)):
    """Numbers with batch effects, for properties only."""
    rng = np.random.default_rng(seed)
    batch = np.repeat([f"b{i}" for i in range(len(sizes))], sizes)
    shift = rng.normal(size=(len(sizes), n_genes))
    scale = rng.uniform(0.5, 2, size=(len(sizes), n_genes))
    code = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.normal(size=(len(batch), n_genes)) * scale[code] + shift[code]
    return X + rng.normal(size=n_genes), batch


@pytest.mark.parametrize("case", CASES)
def test_every_case_agrees_with_sva_to_1e_10(case):
    X, batch = case_input(**CASES[case])
    ours = Combat().fit_transform(X, batch)
    np.testing.assert_allclose(ours, read(case).iloc[:, 1:], rtol=0, atol=1e-10)


@pytest.mark.slow
def test_the_golden_files_are_what_r_makes_today(tmp_path):
    if not shutil.which("Rscript"):
        pytest.skip("R is not installed: apt-get install r-bioc-sva")
    done = subprocess.run(
        ["Rscript", GOLDEN / "combat.R", GOLDEN, tmp_path], capture_output=True, text=True
    )
    if "there is no package called" in done.stderr:
        pytest.skip("R's sva is not installed: apt-get install r-bioc-sva")
    assert done.returncode == 0, done.stderr
    for case in CASES:
        np.testing.assert_allclose(
            read(case, tmp_path).iloc[:, 1:], read(case).iloc[:, 1:], rtol=0, atol=1e-12
        )


def test_pycombat_is_a_second_opinion():
    pycombat = pytest.importorskip("pycombat", reason="pycombat 0.20 is an optional second opinion")
    X, batch = case_input()
    theirs = pycombat.Combat().fit_transform(X, batch)
    np.testing.assert_allclose(Combat().fit_transform(X, batch), theirs, rtol=0, atol=1e-10)


def test_blocks_of_samples_are_an_implementation_detail(monkeypatch):
    X, batch = simulate(4, n_genes=70, sizes=(5, 30))
    expected = Combat().fit_transform(X, batch)
    monkeypatch.setattr(combat, "ROWS", 1000)
    np.testing.assert_allclose(Combat().fit_transform(X, batch), expected, rtol=0, atol=1e-11)


def test_flat_genes_pass_through_to_the_last_bit():
    X, batch = case_input(flat=True)
    model = Combat().fit(X, batch)
    assert (model.transform(X, batch)[:, FLAT] == X[:, FLAT]).all()
    assert np.flatnonzero(~model.kept_).tolist() == FLAT


def test_one_sample_in_a_batch_turns_the_fit_to_mean_only():
    X, batch = case_input(single=True)
    model = Combat().fit(X, batch)
    assert model.mean_only_ and (model.delta_ == 1).all()
    assert not Combat().fit(*case_input()).mean_only_


def test_held_out_samples_change_neither_the_parameters_nor_the_training_samples():
    X, batch = case_input()
    train = np.arange(len(X)) % 3 > 0
    model, other = Combat().fit(X[train], batch[train]), X.copy()
    other[~train] += 100
    again = Combat().fit(other[train], batch[train])
    for name in ("gamma_", "delta_", "mean_", "variance_"):
        assert (getattr(model, name) == getattr(again, name)).all()
    one_by_one = np.vstack([model.transform(X[[i]], batch[[i]]) for i in np.flatnonzero(~train)])
    np.testing.assert_array_equal(model.transform(X[~train], batch[~train]), one_by_one)
    whole = Combat().fit_transform(X, batch)
    assert np.abs(whole[train] - model.transform(X[train], batch[train])).max() > 1e-3, (
        "fitting on all must differ"
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_samples_and_the_names_of_batches_do_not_matter(seed):
    X, batch = simulate(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    plain = Combat().fit_transform(X, batch)
    shuffled = Combat().fit_transform(X[order], np.char.replace(batch, "b0", "z")[order])
    np.testing.assert_allclose(shuffled, plain[order], rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.floats(0.1, 10), offset=st.floats(-5, 5))
def test_units_pass_through(seed, slope, offset):
    X, batch = simulate(seed)
    expected = Combat().fit_transform(X, batch) * slope + offset
    moved = Combat().fit_transform(X * slope + offset, batch)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-8)


def test_batch_differences_shrink():
    X, batch = simulate(3, n_genes=200, sizes=(40, 60))

    def gap(values):
        first = batch == "b0"
        return np.abs(values[first].mean(axis=0) - values[~first].mean(axis=0)).mean()

    assert gap(Combat().fit_transform(X, batch)) < 0.1 * gap(X)


def test_the_input_is_not_changed():
    X, batch = simulate(2)
    before = X.copy()
    Combat().fit(X, batch).transform(X, batch)
    assert (X == before).all()


X, BATCH = simulate(0)
HOLE = np.where(np.arange(X.size).reshape(X.shape) == 31, np.nan, X)
BAD = {
    "found 1 missing or infinite, first nan in sample 1, gene 1": lambda: Combat().fit(HOLE, BATCH),
    "found only 'b0'; use scaling 'source'": lambda: Combat().fit(X[:6], BATCH[:6]),
    "every batch here has one sample": lambda: Combat().fit(X[:2], ["a", "b"]),
    "found 0 of 30; drop the flat genes": lambda: Combat().fit(np.ones_like(X), BATCH),
    "batch 'new' was never seen in training .b0, b1, b2.": lambda: (
        Combat().fit(X, BATCH).transform(X[:1], ["new"])
    ),
    "at least one of each, found shape .0, 5.": lambda: Combat().fit(np.zeros((0, 5)), []),
    "did not converge in 1 iterations": lambda: one_iteration(),
}


def one_iteration():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(combat, "MAX_ITERATIONS", 1)
        Combat().fit(X, BATCH)


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_in_one_sentence(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
