"""Scalings are fitted on training rows only, and do to each source what their name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.cells.combat import Combat
from lib.cells.scaling import CLIP, SCALINGS, MutationScaling, Scaling

SOURCES = np.repeat(["CCLE", "GDSC", "NCI-60"], [20, 25, 10])


def profiles(seed=0, n_genes=12):
    rng = np.random.default_rng(seed)
    shift = dict(zip(np.unique(SOURCES), rng.normal(size=(3, n_genes)) * 3, strict=True))
    return rng.normal(size=(len(SOURCES), n_genes)) + np.stack([shift[s] for s in SOURCES])


def counts(seed=0, n_genes=15):
    """NCI-60 carries many more mutations."""
    rng = np.random.default_rng(seed)
    return rng.poisson(
        np.where(SOURCES == "NCI-60", 20, 0.5)[:, None], size=(len(SOURCES), n_genes)
    ).astype(float)


@pytest.mark.parametrize("name", SCALINGS)
def test_training_genes_get_mean_0_and_sd_1(name):
    X = profiles()
    scaled = Scaling(name).fit(X, SOURCES).transform(X, SOURCES)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-6)


def test_source_scaling_does_so_within_each_source_and_none_does_not():
    X = profiles()
    by_source, whole = (
        Scaling(name).fit(X, SOURCES).transform(X, SOURCES) for name in ("source", "none")
    )
    for source in np.unique(SOURCES):
        np.testing.assert_allclose(by_source[SOURCES == source].mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(by_source[SOURCES == source].std(axis=0), 1, atol=1e-6)
    assert np.abs(whole[SOURCES == "GDSC"].mean(axis=0)).max() > 0.3


def test_none_is_the_plain_standard_scaler():
    from sklearn.preprocessing import StandardScaler

    X = profiles()
    np.testing.assert_allclose(
        Scaling("none").fit(X, SOURCES).transform(X, SOURCES),
        StandardScaler().fit_transform(X),
        atol=1e-6,
    )


def test_combat_scaling_is_combat_and_a_z_score():
    X = profiles()
    corrected = Combat().fit_transform(X, SOURCES)
    expected = (corrected - corrected.mean(axis=0)) / corrected.std(axis=0)
    np.testing.assert_allclose(
        Scaling("combat").fit(X, SOURCES).transform(X, SOURCES), expected, atol=1e-6
    )


@pytest.mark.parametrize("name", SCALINGS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_held_out_profiles_change_neither_the_fit_nor_each_other(name, seed):
    X, rng = profiles(seed), np.random.default_rng(seed)
    train = rng.permutation(len(X)) % 3 > 0
    scaling, other = Scaling(name).fit(X[train], SOURCES[train]), X.copy()
    other[~train] *= 7
    again = Scaling(name).fit(other[train], SOURCES[train])
    assert (
        scaling.transform(X[train], SOURCES[train]) == again.transform(other[train], SOURCES[train])
    ).all()
    held = np.flatnonzero(~train)
    alone = np.vstack([scaling.transform(X[[i]], SOURCES[[i]]) for i in held])
    np.testing.assert_array_equal(scaling.transform(X[held], SOURCES[held]), alone)


@pytest.mark.parametrize("name", SCALINGS)
def test_the_order_of_profiles_does_not_matter(name):
    X, order = profiles(), np.random.default_rng(1).permutation(len(SOURCES))
    plain = Scaling(name).fit(X, SOURCES).transform(X, SOURCES)
    shuffled = Scaling(name).fit(X[order], SOURCES[order]).transform(X[order], SOURCES[order])
    np.testing.assert_allclose(shuffled, plain[order], atol=1e-5)


@pytest.mark.parametrize("name", SCALINGS)
def test_a_gap_is_filled_with_its_own_source_and_a_flat_gene_becomes_zero(name):
    X = profiles()
    X[:, 3] = 1.7
    mean = X[SOURCES == "GDSC"][1:, 5].mean()
    X[20, 5] = np.nan  # the first GDSC profile
    scaling = Scaling(name).fit(X, SOURCES)
    filled = np.where(np.isnan(X), mean, X)
    np.testing.assert_allclose(
        scaling.transform(X, SOURCES), scaling.transform(filled, SOURCES), atol=1e-6
    )
    assert (scaling.transform(X, SOURCES)[:, 3] == 0).all() and np.flatnonzero(
        ~scaling.kept_
    ).tolist() == [3]


def test_a_source_that_training_did_not_hold_is_refused_except_by_none():
    X, train = profiles(), SOURCES != "NCI-60"
    for name in ("source", "combat"):
        scaling = Scaling(name).fit(X[train], SOURCES[train])
        with pytest.raises(
            ValueError, match=r"source 'NCI-60' was never seen in training \(CCLE, GDSC\)"
        ):
            scaling.transform(X, SOURCES)
    hole = np.where(np.arange(X.size).reshape(X.shape) == X.size - 1, np.nan, X)
    assert np.isfinite(Scaling("none").fit(X[train], SOURCES[train]).transform(hole, SOURCES)).all()


def test_bad_sources_are_named():
    X = profiles()
    with pytest.raises(ValueError, match="source 'NCI-60' has one training profile"):
        Scaling("source").fit(X[:46], SOURCES[:46])
    X[:20] = np.nan
    with pytest.raises(ValueError, match="no gene has a training value in every source"):
        Scaling("none").fit(X, SOURCES)
    with pytest.raises(ValueError, match="scaling must be one of .* found 'quantile'"):
        Scaling("quantile")


@pytest.mark.parametrize("hole", [slice(0, 20), slice(None)])
@pytest.mark.parametrize("name", SCALINGS)
def test_a_gene_that_training_never_saw_in_a_source_is_zero_and_moves_no_other_gene(name, hole):
    X = profiles()
    others = np.delete(np.arange(X.shape[1]), 4)
    without = Scaling(name).fit(X[:, others], SOURCES)
    X[hole, 4] = np.nan
    scaling = Scaling(name).fit(X, SOURCES)
    assert not scaling.kept_[4]
    X[:, 4] = 7.0  # measured later, in a test line
    scaled = scaling.transform(X, SOURCES)
    assert (scaled[:, 4] == 0).all()
    np.testing.assert_allclose(
        scaled[:, others], without.transform(X[:, others], SOURCES), atol=1e-5
    )


@pytest.mark.parametrize("kind", MutationScaling.KINDS)
def test_mutation_features_are_z_scores_of_training_lines_within_the_limit(kind):
    X = np.minimum(counts(), 1) if kind == "binary" else counts()
    light = SOURCES != "NCI-60"
    scaling = MutationScaling(kind).fit(X[light], SOURCES[light])
    scaled = scaling.transform(X, SOURCES)
    assert scaled.shape == (len(X), X.shape[1] + 1) and np.abs(scaled).max() <= CLIP
    np.testing.assert_allclose(scaled[light, :-1].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[light, :-1].std(axis=0), 1, atol=1e-5)


def test_rank_makes_sources_of_unequal_burden_comparable_and_counts_do_not():
    X, heavy = counts(), SOURCES == "NCI-60"

    def gap(kind):
        scaled = MutationScaling(kind).fit(X, SOURCES).transform(X, SOURCES)[:, :-1]
        return scaled[heavy].mean() - scaled[~heavy].mean()

    assert gap("counts") > gap("log1p") / 2 > 0.5 and abs(gap("rank")) < 0.01


def test_log1p_is_the_z_score_of_the_logarithm():
    X = counts()
    logged = MutationScaling("counts").fit(np.log1p(X), SOURCES).transform(np.log1p(X), SOURCES)
    np.testing.assert_array_equal(
        MutationScaling("log1p").fit(X, SOURCES).transform(X, SOURCES), logged
    )


def test_rank_is_the_share_of_training_lines_below_with_ties_half():
    X = np.array([[0], [0], [1], [5.0], [np.nan]])
    scaling = MutationScaling("rank").fit(X, np.repeat("CCLE", 5))
    held_out = np.array([[0], [1], [3], [9], [np.nan]])
    ranks = scaling._levels(held_out, np.repeat("CCLE", 5)).ravel()
    np.testing.assert_allclose(ranks, [0.25, 0.625, 0.75, 1, np.nan])


def test_a_gene_with_few_carriers_and_a_line_not_assessed_are_zero_and_said_so():
    X = np.zeros((30, 2))
    X[:2, 0], X[:3, 1] = 1, 1
    X[29] = np.nan
    scaling = MutationScaling("counts").fit(X, np.repeat("CCLE", 30))
    scaled = scaling.transform(X, np.repeat("CCLE", 30))
    assert (
        scaling.kept_.tolist() == [False, True] and (scaled[:, 0] == 0).all() and scaled[0, 1] > 0
    )
    assert scaled[29].tolist() == [0, 0, 0] and (scaled[:29, 2] == 1).all()


def test_held_out_lines_do_not_change_the_mutation_features_of_training_lines():
    X, train = counts(), np.arange(len(SOURCES)) % 3 > 0
    other = X.copy()
    other[~train] += 50
    for kind in ("counts", "log1p", "rank"):
        fits = [MutationScaling(kind).fit(x[train], SOURCES[train]) for x in (X, other)]
        assert (
            fits[0].transform(X[train], SOURCES[train])
            == fits[1].transform(other[train], SOURCES[train])
        ).all()


def test_bad_mutation_levels_are_named():
    with pytest.raises(ValueError, match="snp must be one of .* found 'presence'"):
        MutationScaling("presence")
    with pytest.raises(ValueError, match="no training line has mutations assessed"):
        MutationScaling("counts").fit(np.full((3, 2), np.nan), np.repeat("", 3))
