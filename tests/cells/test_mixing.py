"""Mixing scores say what they claim on data whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from lib.cells import mixing as module
from lib.cells.mixing import by_panel, components, mixing, scaled, second_opinion

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


def test_a_small_source_counts_as_much_as_a_large_one(monkeypatch):
    monkeypatch.setattr(module, "N_NEIGHBOURS", 9)
    rows = np.r_[:N, N : N + 10]
    found = mixing(panel(batch=30)[rows], SOURCE[rows], LINE[rows], TYPE[rows])
    assert found["kbet"] == pytest.approx(0.5), (
        "all of the small source is apart, none of the large one"
    )
    assert found["silhouette"] > 0.5 and found["lisi"] == pytest.approx(0)


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


def test_every_panel_is_scored_before_and_after_each_scaling():
    keys = pd.DataFrame(dict(cell_id=LINE, profile_source=SOURCE))
    frame = pd.concat([keys, pd.DataFrame(panel(batch=2)).add_prefix("G")], axis=1)
    one_source = frame[frame.profile_source == "GDSC"]
    table = by_panel(dict(both=frame, one=one_source), pd.Series(TYPE[:N], index=LINE[:N]))
    assert table.index.tolist() == [
        *(("both", name) for name in ("before", "none", "source", "combat")),
        *(("one", name) for name in ("before", "none", "source")),
    ]
    expected = mixing(scaled(panel(batch=2), SOURCE)["combat"], SOURCE, LINE, TYPE)
    assert table.loc[("both", "combat")].to_dict() == pytest.approx(expected, abs=1e-6)
    assert table.loc["one"].isna().all(axis=None)


def test_without_a_line_in_two_sources_the_share_is_missing():
    assert np.isnan(mixing(panel(), SOURCE, np.arange(2 * N).astype(str), TYPE)["line_kept"])


@pytest.mark.parametrize("n_genes", [30, 300])
def test_components_are_those_of_a_full_decomposition_up_to_their_sign(n_genes):
    values = panel(n_genes=n_genes)
    model = PCA(5, svd_solver="full")
    theirs = model.fit_transform(values)
    ours, share = components(values, 5)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-9)
    np.testing.assert_allclose(share, model.explained_variance_ratio_, atol=1e-12)
    np.testing.assert_array_equal(components(values, 5)[0], ours)


def test_a_gap_counts_as_the_mean_of_its_gene_and_few_profiles_have_few_components():
    values = panel()[:9]
    values[3, 4] = np.nan
    filled = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    np.testing.assert_array_equal(components(values, 20)[0], components(filled, 20)[0])
    assert components(values, 20)[0].shape == (9, 8)


def test_the_second_opinion_stands_on_a_panel_with_gaps():
    pytest.importorskip("pycombat", reason="pycombat 0.20 is an optional second opinion")
    values = panel(batch=2)
    values[3, 4] = np.nan
    assert second_opinion(values, SOURCE) < 1e-10
