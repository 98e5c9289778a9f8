"""Descriptor scaling: decided on training drugs, sound for fingerprint bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.drugs.scaler import DescriptorScaler


def _table(n=40, p=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 10.0 ** rng.integers(-3, 4, p), size=(n, p))
    x[:, 3] = rng.integers(0, 2, n)
    x[rng.random((n, p)) < 0.05] = np.nan
    return x


def test_kept_training_columns_have_mean_zero_and_unit_spread():
    z = DescriptorScaler(clip=100).fit_transform(_table())
    dense = [i for i in range(12) if i != 3]
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z[:, dense].std(axis=0), 1, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1e6, 1e6))
def test_held_out_drugs_change_nothing_that_was_fitted(seed, value):
    x = _table(seed=seed)
    train, test = x[:30], x[30:]
    before = DescriptorScaler().fit(train)
    scaled = before.transform(test)[:1]
    test = test.copy()
    test[1:] = value
    np.testing.assert_array_equal(
        before.transform(np.vstack([train, test]))[:31], before.transform(x)[:31]
    )
    np.testing.assert_array_equal(DescriptorScaler().fit(train).transform(test)[:1], scaled)


def test_columns_are_judged_on_training_drugs_alone():
    x = np.random.default_rng(1).normal(size=(20, 3))
    x[:10, 0] = 5.0  # constant in training, varied in test
    x[:5, 1] = np.nan  # half missing in training, a quarter overall
    scaler = DescriptorScaler().fit(x[:10])
    assert list(scaler.reason) == ["constant", "missing", ""]
    assert (scaler.transform(x)[:, :2] == 0).all()


@pytest.mark.parametrize("factor, shift", [(1, 0), (-3, 1), (1e-3, 10)])
def test_a_rescaled_copy_is_dropped_and_the_first_is_kept(factor, shift):
    x = np.random.default_rng(2).normal(size=(30, 5))
    x[:, 4] = factor * x[:, 1] + shift
    assert list(DescriptorScaler().fit(x).reason) == ["", "", "", "", "duplicated"]


def test_a_nearly_equal_column_is_no_duplicate():
    x = np.random.default_rng(2).normal(size=(30, 2))
    x[:, 1] = x[:, 0]
    x[4, 1] += 0.01
    assert (DescriptorScaler().fit(x).reason == "").all()


def test_twenty_orders_of_magnitude_are_extreme():
    x = np.random.default_rng(3).normal(size=(30, 2))
    x[0, 1] = 1e20
    assert list(DescriptorScaler().fit(x).reason) == ["", "extreme"]


def test_rounding_noise_around_a_constant_is_constant():
    x = np.random.default_rng(3).normal(size=(30, 2))
    x[:, 1] = 1e3 * (1 + 1e-8 * x[:, 1])
    assert list(DescriptorScaler().fit(x).reason) == ["", "constant"]


def test_a_column_that_only_names_one_drug_is_dropped():
    x = np.random.default_rng(4).normal(size=(30, 2))
    x[:, 1] = 0
    x[7, 1] = 3.0
    assert DescriptorScaler().fit(x).reason[1] == "constant"
    assert DescriptorScaler(min_varied=1).fit(x).reason[1] == ""


def test_rare_fingerprint_bits_stay_bounded():
    bits = (np.random.default_rng(5).random((200, 64)) < 0.02).astype(float)
    scaler = DescriptorScaler().fit(bits)
    z = scaler.transform(np.vstack([bits, np.ones((1, 64))]))
    assert scaler.binary.all() and scaler.keep.sum() > 20
    assert np.abs(z).max() <= 2
    half = np.array([[0.0], [1.0]] * 10)
    np.testing.assert_allclose(DescriptorScaler().fit_transform(half).std(), 1, atol=1e-6)


def test_an_outlier_among_held_out_drugs_is_clipped():
    x = np.random.default_rng(6).normal(size=(50, 2))
    z = DescriptorScaler(clip=5).fit(x).transform([[1e30, -np.inf]])
    np.testing.assert_allclose(z[0, 0], 5, rtol=1e-6)
    assert abs(z[0, 1]) < 0.5  # infinity is a gap: the median


def test_a_drug_without_descriptors_counts_for_nothing_and_is_zero():
    x = np.random.default_rng(7).normal(size=(20, 3))
    padded = np.vstack([x, np.full((10, 3), np.nan)])
    np.testing.assert_array_equal(
        DescriptorScaler().fit(padded).transform(padded)[:20], DescriptorScaler().fit_transform(x)
    )
    assert (DescriptorScaler().fit(padded).transform(padded)[20:] == 0).all()


def test_scaling_ignores_row_order_and_leaves_its_input_alone():
    x = _table(seed=8)
    x[4, 2] = np.inf
    copy, order = x.copy(), np.random.default_rng(0).permutation(len(x))
    one, two = DescriptorScaler().fit(x), DescriptorScaler().fit(x[order])
    np.testing.assert_allclose(one.transform(x), two.transform(x), atol=1e-6)
    assert list(one.reason) == list(two.reason)
    np.testing.assert_array_equal(x, copy)
    assert one.transform(x).dtype == np.float32


def test_too_few_drugs_and_a_wrong_width_are_refused():
    with pytest.raises(ValueError, match="at least 2 training drugs with descriptors, found 1"):
        DescriptorScaler().fit([[1.0, 2.0], [np.nan, np.nan]])
    scaler = DescriptorScaler().fit(_table())
    with pytest.raises(ValueError, match="3 descriptor columns given, the scaler was fitted on 12"):
        scaler.transform(np.zeros((1, 3)))
