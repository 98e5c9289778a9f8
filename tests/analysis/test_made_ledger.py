"""The made-up ledger of the tests has the shape of the real one and shows what it plants."""

import made_ledger
from numpy.testing import assert_allclose

from lib import tables
from lib.analysis import configurations


def test_a_simulated_ledger_keeps_the_contract_of_the_tables_and_says_it_is_simulated():
    runs, scores = made_ledger.ledger(dict(split=["on_cell"], snp=["none", "counts"]))
    tables.check(runs, tables.RUNS)
    tables.check(scores, tables.SCORES)
    assert set(runs["shard"]) == set(runs["commit"]) == {"simulated"}
    assert scores["run_id"].isin(runs["run_id"]).all()


def test_a_planted_skill_is_the_gain_that_the_ledger_shows():
    """A run that knows a share s of what mean effects leave removes 1 - (1 - s)^2 of it."""
    runs, scores = made_ledger.ledger(dict(split=["on_cell"], snp=["none"]), n_cells=260)
    ledger = configurations.from_frames(runs, scores)
    merged = configurations.merge_folds(ledger)
    ridge = merged[(merged["model"] == "ridge") & (merged["study"] == "All")].iloc[0]
    assert_allclose(ridge["gain"], 1 - (1 - made_ledger.RIDGE_SKILL) ** 2, atol=1e-9)
