"""Mixing scores say what they claim on data whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from lib.cells.mixing import (
    _neighbours,
    _silhouette,
    components,
    mixing,
    scaled,
    second_opinion,
    sentence,
)

N = 120
SOURCE = np.repeat(["CCLE", "GDSC"], N)
LINE = np.tile([f"L{i}" for i in range(N)], 2)
TYPE = np.tile([f"T{i % 4}" for i in range(N)], 2)


def panel(batch=0.0, biology=3.0, noise=0.3, seed=0, n_genes=50):
    rng = np.random.default_rng(seed)
    types = rng.normal(size=(4, n_genes)) * biology
    lines = rng.normal(size=(N, n_genes)) + types[np.arange(N) % 4]
    shift = rng.normal(size=n_genes) * batch
    return np.vstack([lines, lines + shift]) + noise * rng.normal(size=(2 * N, n_genes))


def test_two_copies_of_the_same_lines_are_mixed_and_keep_types_and_lines():
    found = mixing(panel(), SOURCE, LINE, TYPE)
    assert abs(found["silhouette"]) < 0.02 and found["lisi"] > 0.9 and found["kbet"] < 0.1
    assert found["type_kept"] == 1 and found["line_kept"] > 0.95


def test_a_batch_shift_separates_the_sources():
    found = mixing(panel(batch=10), SOURCE, LINE, TYPE)
    assert found["silhouette"] > 0.5 and found["lisi"] < 0.01 and found["kbet"] == 1


def test_a_type_is_kept_only_if_the_other_source_says_so():
    turned = np.concatenate(
        [TYPE[:N], np.roll(TYPE[N:], 1)]
    )  # the other source calls every type by another name
    assert mixing(panel(batch=1), SOURCE, LINE, turned)["type_kept"] == 0


def test_a_small_source_counts_as_much_as_a_large_one():
    rows = np.r_[:N, N : N + 10]
    found = mixing(panel(batch=30)[rows], SOURCE[rows], LINE[rows], TYPE[rows], k=9)
    assert found["kbet"] == pytest.approx(0.5), (
        "all of the small source is apart, none of the large one"
    )
    assert found["silhouette"] > 0.5 and found["lisi"] == pytest.approx(0)


def test_the_silhouette_is_that_of_scikit_learn():
    from sklearn.metrics import silhouette_samples

    points, names = panel(batch=2), np.repeat(["a", "b", "c", "d"], [100, 99, 40, 1])
    np.testing.assert_allclose(
        _silhouette(points, names), silhouette_samples(points, names), atol=1e-6
    )


def test_a_profile_is_not_its_own_neighbour():
    points = np.random.default_rng(0).normal(size=(30, 3))
    assert all(row not in near for row, near in enumerate(_neighbours(points, 5)))


def test_without_biology_types_are_kept_by_chance_only():
    values = np.random.default_rng(0).normal(size=(2 * N, 50))
    found = mixing(values, SOURCE, LINE, TYPE)
    assert found["type_kept"] == pytest.approx(0.25, abs=0.12) and found["line_kept"] < 0.1


def test_missing_types_are_left_out_and_a_lone_type_cannot_count():
    types = TYPE.astype(object).copy()
    types[:3] = None
    types[5] = "only here"
    assert mixing(panel(), SOURCE, LINE, types)["type_kept"] == 1


def test_a_single_source_has_nothing_to_mix_and_no_combat():
    one = np.repeat("GDSC", N)
    assert list(scaled(panel()[:N], one)) == ["before", "none", "source"]
    assert all(np.isnan(value) for value in mixing(panel()[:N], one, LINE[:N], TYPE[:N]).values())
    assert np.isnan(second_opinion(panel()[:N], one))


def test_the_second_opinion_agrees_with_ours():
    pytest.importorskip("pycombat", reason="pycombat 0.20 is an optional second opinion")
    assert second_opinion(panel(batch=2), SOURCE) < 1e-10


def test_scalings_fitted_on_some_profiles_are_applied_to_all():
    train = np.arange(2 * N) % 3 > 0
    whole, part = scaled(panel(batch=2), SOURCE), scaled(panel(batch=2), SOURCE, train)
    assert list(whole) == ["before", "none", "source", "combat"]
    np.testing.assert_allclose(
        part["source"][train & (SOURCE == "GDSC")].mean(axis=0), 0, atol=1e-6
    )
    assert np.abs(part["source"] - whole["source"]).max() > 0.01


def test_the_sentence_holds_no_missing_number():
    def table(source, lines):
        rows = {
            ("p", name): mixing(x, source, lines, TYPE)
            for name, x in scaled(panel(batch=2), source).items()
        }
        return pd.DataFrame(rows).T

    both = sentence(table(SOURCE, LINE), "p")
    assert "(none)" in both and "same line in" in both and "nan" not in both
    assert "same line" not in sentence(table(SOURCE, np.arange(2 * N).astype(str)), "p")
    assert (
        sentence(table(np.repeat("GDSC", 2 * N), LINE), "p")
        == "Panel p has one source, so there is nothing to mix."
    )


def test_without_a_line_in_two_sources_the_share_is_missing():
    assert np.isnan(mixing(panel(), SOURCE, np.arange(2 * N).astype(str), TYPE)["line_kept"])


@pytest.mark.parametrize("n_genes", [30, 300])
def test_components_are_those_of_scikit_learn(n_genes):
    from sklearn.decomposition import PCA

    values = panel(n_genes=n_genes)
    model = PCA(5, svd_solver="full")
    theirs = model.fit_transform(values)
    ours, share = components(values, 5)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-6)
    np.testing.assert_allclose(share, model.explained_variance_ratio_, atol=1e-9)
    assert (ours[np.abs(ours).argmax(axis=0), range(5)] > 0).all()
