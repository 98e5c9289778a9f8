"""Null controls keep what they must and break the rest."""

import numpy as np

from lib.sweep import controls


def test_permuted_profiles_stay_in_their_source():
    values, groups = np.arange(12.0)[:, None], np.repeat(["a", "b"], 6)
    dealt = controls.permuted_rows(values, groups, seed=1)
    assert sorted(dealt[:6, 0]) == list(range(6)) and sorted(dealt[6:, 0]) == list(range(6, 12))
    assert not np.array_equal(dealt, values)
