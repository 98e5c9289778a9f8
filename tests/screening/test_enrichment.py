"""Enrichment: RDKit's and scikit-learn's numbers, and what chance and a perfect ranking give."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from lib.paths import RESULTS, ROOT
from lib.screening import enrichment


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_rdkit_and_scikit_learn(seed):
    from rdkit.ML.Scoring import Scoring

    rng = np.random.default_rng(seed)
    active = rng.random(500) < np.linspace(0.3, 0.02, 500)
    found = dict(zip(enrichment.METRICS, enrichment.scores(active), strict=True))
    pairs = [(None, bool(a)) for a in active]
    bedroc = Scoring.CalcBEDROC(pairs, 1, enrichment.ALPHA)
    assert found["BEDROC"] == pytest.approx(bedroc, abs=1e-9)
    for share, name in zip(enrichment.SHARES, enrichment.METRICS, strict=False):
        expected = Scoring.CalcEnrichment(pairs, 1, [share])[0]
        assert found[name] == pytest.approx(expected, rel=0.05)
    expected = average_precision_score(active, -np.arange(500.0))
    assert found["average precision"] == pytest.approx(expected, abs=1e-9)


def test_a_perfect_ranking_and_none():
    perfect = enrichment.scores(np.arange(1000) < 50)
    np.testing.assert_allclose(perfect, [20, 20, 10, 1, 1], atol=1e-6)
    assert np.isnan(enrichment.scores(np.zeros(10, bool))).all()


def rows(skill, n_drugs=60, n=30, seed=0):
    rng = np.random.default_rng(seed)
    drug = np.repeat(np.arange(n_drugs), n)
    auc = 0.75 + 0.15 * rng.normal(size=n_drugs)[drug] + 0.05 * rng.normal(size=len(drug))
    table = pd.DataFrame({"drug_id": drug.astype(str), "auc": auc, "kind": "new drug"})
    noise = rng.normal(size=(3, len(drug)))
    table["predicted"] = skill * auc + (1 - skill) * noise[0]
    return table.assign(neighbour=noise[1], base=noise[2])


def test_skill_is_seen_and_its_absence_is_said():
    skilled = enrichment.table(rows(0.9), n_draws=60)
    assert any("better than mean effects" in line for line in enrichment.verdict(skilled))
    chance = enrichment.table(rows(0.0), n_draws=60)
    assert all("not told apart" in line for line in enrichment.verdict(chance))
    assert len(chance) == len(enrichment.RANKINGS) * len(enrichment.METRICS)


def test_intervals_are_over_drugs_and_hold_the_value():
    """Ten times the rows of each drug say nothing new about drugs: the interval stays as wide."""
    few = enrichment.table(rows(0.7, n=10), n_draws=100)
    many = enrichment.table(pd.concat([rows(0.7, n=10)] * 10), n_draws=100)
    widths = [(t.high - t.low)[t.metric == "average precision"].iloc[0] for t in (few, many)]
    assert widths[1] > 0.7 * widths[0]
    assert (few.low <= few.value + 1e-9).mean() > 0.9


def test_without_new_drugs_the_table_is_empty_and_without_responders_unknown():
    assert enrichment.table(rows(0.5).assign(kind="new line")).columns.tolist() == enrichment.TABLE
    none = enrichment.table(rows(0.5).assign(auc=0.9), n_draws=5)
    assert none.value.isna().all() and none.low.isna().all() and (none.n_responders == 0).all()


def test_the_example_says_of_the_nearest_drug_what_the_committed_table_says():
    said = "\n".join(enrichment.verdict(pd.read_csv(RESULTS / "tables" / "enrichment.csv")))
    assert "both new: networks are worse than nearest training drug" in said
    assert "new drug: networks are not told apart from nearest training drug" in said
    text = " ".join((ROOT / "examples" / "own_compounds" / "README.md").read_text().split())
    assert "(`both new`) the networks find responders worse than a plain guess" in text
    assert "(`new drug`) the two are not told apart" in text
