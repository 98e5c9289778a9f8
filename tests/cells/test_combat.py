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
    "covariate": dict(covariate=True),
    "nonparametric": dict(parametric=False),
    "mean_only": dict(mean_only=True),
    "mean_only_nonparametric": dict(mean_only=True, parametric=False),
    "reference": dict(reference="GDSC"),
    "reference_covariate": dict(reference="CCLE", covariate=True),
    "one_sample": dict(single=True),
    "one_sample_nonparametric": dict(single=True, parametric=False),
    "flat": dict(flat=True),
    "reference_pair": dict(reference="GDSC", without="CCLE"),
}


def read(name, folder=GOLDEN):
    return pd.read_csv(folder / f"combat_{name}.csv", comment="#")


def case_input(covariate=False, single=False, flat=False, without=None, **options):
    frame = read("input")
    if single:
        frame = frame[(frame.batch != "NCI-60") | ~frame.batch.duplicated()]
    frame = frame[frame.batch != without]
    X, batch = frame.iloc[:, 3:].to_numpy(), frame.batch.to_numpy()
    if flat:
        X[np.ix_(batch == "CCLE", FLAT)] = 2.5
    return X, batch, frame[["blood"]].to_numpy() if covariate else None, options


def simulate(seed, n_genes=30, sizes=(6, 9, 14)):
    """Numbers with batch effects, for properties only."""
    rng = np.random.default_rng(seed)
    batch = np.repeat([f"b{i}" for i in range(len(sizes))], sizes)
    shift, scale = (
        rng.normal(size=(len(sizes), n_genes)),
        rng.uniform(0.5, 2, size=(len(sizes), n_genes)),
    )
    code = np.repeat(np.arange(len(sizes)), sizes)
    return rng.normal(size=(len(batch), n_genes)) * scale[code] + shift[code] + rng.normal(
        size=n_genes
    ), batch


@pytest.mark.parametrize("case", CASES)
def test_every_mode_agrees_with_sva_to_1e_10(case):
    X, batch, covariates, options = case_input(**CASES[case])
    ours = Combat(**options).fit_transform(X, batch, covariates)
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


@pytest.mark.parametrize("covariate", [False, True])
def test_pycombat_is_a_second_opinion(covariate):
    pycombat = pytest.importorskip("pycombat", reason="pycombat 0.20 is an optional second opinion")
    X, batch, covariates, _ = case_input(covariate=covariate)
    theirs = pycombat.Combat().fit_transform(X, batch, X=covariates)
    np.testing.assert_allclose(
        Combat().fit_transform(X, batch, covariates), theirs, rtol=0, atol=1e-10
    )


def test_blocks_of_samples_and_genes_are_an_implementation_detail(monkeypatch):
    X, batch = simulate(4, n_genes=70, sizes=(5, 30))
    expected = [Combat(parametric).fit_transform(X, batch) for parametric in (True, False)]
    monkeypatch.setattr(combat, "ROWS", 1000)
    monkeypatch.setattr(combat, "GENES", 1000)
    for parametric, values in zip((True, False), expected, strict=True):
        np.testing.assert_allclose(
            Combat(parametric).fit_transform(X, batch), values, rtol=0, atol=1e-11
        )


def test_a_reference_batch_and_flat_genes_pass_through_to_the_last_bit():
    X, batch, _, _ = case_input(flat=True)
    model = Combat(reference="GDSC").fit(X, batch)
    corrected = model.transform(X, batch)
    assert (corrected[batch == "GDSC"] == X[batch == "GDSC"]).all()
    assert (corrected[:, FLAT] == X[:, FLAT]).all() and np.flatnonzero(
        ~model.kept_
    ).tolist() == FLAT


def test_one_sample_in_a_batch_turns_the_fit_to_mean_only():
    X, batch, _, _ = case_input(single=True)
    model = Combat().fit(X, batch)
    assert model.mean_only_ and (model.delta_ == 1).all()
    assert not Combat().fit(*case_input()[:2]).mean_only_


def test_held_out_samples_change_neither_the_parameters_nor_the_training_samples():
    X, batch, _, _ = case_input()
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


def test_an_unseen_batch_moved_to_the_reference_equals_a_joint_fit():
    X, batch, _, _ = case_input()
    pair, new = batch != "NCI-60", batch == "NCI-60"
    model = Combat(reference="GDSC", unseen="estimate").fit(X[pair], batch[pair])
    joint = read("reference").iloc[:, 1:].to_numpy()
    np.testing.assert_allclose(model.transform(X[new], batch[new]), joint[new], rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="'NCI-60' has one sample"):
        model.transform(X[new][:1], batch[new][:1])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), parametric=st.booleans())
def test_the_order_of_samples_and_the_names_of_batches_do_not_matter(seed, parametric):
    X, batch = simulate(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    plain = Combat(parametric).fit_transform(X, batch)
    shuffled = Combat(parametric).fit_transform(X[order], np.char.replace(batch, "b0", "z")[order])
    np.testing.assert_allclose(shuffled, plain[order], rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.floats(0.1, 10), offset=st.floats(-5, 5))
def test_units_pass_through(seed, slope, offset):
    X, batch = simulate(seed)
    expected = Combat().fit_transform(X, batch) * slope + offset
    np.testing.assert_allclose(
        Combat().fit_transform(X * slope + offset, batch), expected, rtol=0, atol=1e-8
    )


def test_batch_differences_shrink_and_a_kept_covariate_stays():
    X, batch = simulate(3, n_genes=200, sizes=(40, 60))
    blood = (np.arange(len(X)) % 2).astype(float)
    X[:, :50] += 2 * blood[:, None]

    def gap(values, rows):
        return np.abs(values[rows].mean(axis=0) - values[~rows].mean(axis=0)).mean()

    corrected = Combat().fit_transform(X, batch, blood)
    assert gap(corrected, batch == "b0") < 0.1 * gap(X, batch == "b0")
    assert gap(corrected[:, :50], blood == 1) == pytest.approx(2, abs=0.3)


def test_likelihoods_do_not_underflow_with_many_samples():
    X, batch = simulate(1, n_genes=20, sizes=(400, 9000))
    assert np.isfinite(Combat(parametric=False).fit_transform(X, batch)).all()


def test_the_input_is_not_changed():
    X, batch = simulate(2)
    before = X.copy()
    Combat().fit(X, batch, np.arange(len(X)) % 2).transform(X, batch, np.arange(len(X)) % 2)
    assert (X == before).all()


X, BATCH = simulate(0)
HOLE = np.where(np.arange(X.size).reshape(X.shape) == 31, np.nan, X)
BAD = {
    "found 1 missing or infinite, first nan in sample 1, gene 1": lambda: Combat().fit(HOLE, BATCH),
    "found shape .3,. for 29 samples": lambda: Combat().fit(X, BATCH[:3]),
    "the batch of sample 0 is missing": lambda: Combat().fit(
        X, np.array([None, *BATCH[1:]], dtype=object)
    ),
    "found only 'b0'; use scaling 'source'": lambda: Combat().fit(X[:6], BATCH[:6]),
    "every batch here has one sample": lambda: Combat().fit(X[:2], ["a", "b"]),
    "reference 'GDSC' is no batch": lambda: Combat(reference="GDSC").fit(X, BATCH),
    "reference 'b0' has one sample": lambda: Combat(reference="b0").fit(X[5:], BATCH[5:]),
    "found 0 of 30; drop the flat genes": lambda: Combat().fit(np.ones_like(X), BATCH),
    "determined by batch": lambda: Combat().fit(X, BATCH, BATCH == "b0"),
    "one row per sample: found shape .4, 1.": lambda: Combat().fit(X, BATCH, np.ones(4)),
    "batch 'new' was never seen in training .b0, b1, b2.": lambda: (
        Combat().fit(X, BATCH).transform(X[:1], ["new"])
    ),
    "fitted on 30 genes, found 29": lambda: Combat().fit(X, BATCH).transform(X[:, 1:], BATCH),
    "fitted with 0 covariate.s., found 1": lambda: (
        Combat().fit(X, BATCH).transform(X, BATCH, np.ones(len(X)))
    ),
    "needs a reference batch": lambda: Combat(unseen="estimate"),
    "'refuse' or 'estimate', found 'guess'": lambda: Combat(unseen="guess"),
    "at least one of each, found shape .0, 5.": lambda: Combat().fit(np.zeros((0, 5)), []),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_in_one_sentence(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
