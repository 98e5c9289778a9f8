"""The simulator plants what it says, and the intervals of the analysis keep their promises on it."""

import numpy as np
import pandas as pd
import pytest

from lib.analysis import simulation


@pytest.fixture(scope="module")
def panel():
    """Simulated features and rows of 150 lines and 90 drugs; no line has every drug."""
    rng = np.random.default_rng(0)
    lines = [f"c{i:03d}" for i in range(150)]
    drugs = [f"d{i:02d}" for i in range(90)]
    genes = rng.normal(size=(150, 12)) @ rng.normal(size=(12, 40)) + rng.normal(size=(150, 40))
    expression = pd.DataFrame(genes).assign(cell_id=lines, profile_source="GDSC")
    mutations = pd.DataFrame(rng.poisson(0.3, (150, 30))).assign(cell_id=lines)
    descriptors = pd.DataFrame(rng.normal(size=(90, 50))).assign(drug_id=drugs)
    pairs = [(c, c, d) for c in lines for d in drugs if rng.random() < 0.4]
    rows = pd.DataFrame(pairs, columns=["cell_id", "donor", "drug_id"])
    return rows, expression, mutations, descriptors


@pytest.fixture(scope="module")
def designs(panel):
    rows, expression, mutations, descriptors = panel
    lines = simulation.on_lines(rows, expression, mutations)
    return lines + simulation.on_drugs(rows, descriptors)


@pytest.fixture(scope="module")
def table(designs):
    return simulation.rates(simulation.screens(designs, 16))


def test_a_design_has_the_panels_rows_features_and_folds(designs, panel):
    lines, drugs = designs
    assert lines.n.shape == (150, 90) and lines.n.sum() == len(panel[0]) == drugs.n.sum()
    assert drugs.n.shape == (90, 1)
    for design in designs:
        tested = (design.role == 2).sum(axis=1)
        assert design.role.shape[:2] == (10, 3) and (tested == 1).all()  # once in every repeat
        assert len({repeat.tobytes() for repeat in design.role}) == 10  # each with its own cut


def test_a_screen_of_the_same_seed_is_the_same_and_its_mean_effects_know_no_block(designs):
    one, again = (
        simulation.squared_errors(designs[0], 0.7, np.random.default_rng(s)) for s in (1, 1)
    )
    assert all((one[name] == again[name]).all() for name in one)
    gain = {name: 1 - own.sum() / one["mean_effects"].sum() for name, own in one.items()}
    assert gain["real"] > gain["shuffled"] + 0.02 > 0.02


def test_no_effect_has_no_effect_and_a_larger_share_a_larger_one(table):
    own = table[(table["split"] == "on_cell") & (table["test"] == simulation.UNITS)]
    effects = own[own["n_repeats"] == 10].set_index("planted")["true_effect"]
    assert effects[0.0] == 0 < effects[simulation.SHARES[0]] < effects[simulation.SHARES[1]]


def test_the_papers_test_calls_no_effect_significant_and_the_quoted_interval_does_not(table):
    null = table[table["planted"] == 0].groupby("test")["significant"].mean()
    assert null[simulation.PAPER] > 0.5
    assert null[simulation.QUOTED] < 0.15


def test_the_quoted_interval_is_never_narrower_and_has_one_factor_for_split_and_repeats(table):
    quoted = table[table["test"] == simulation.QUOTED]
    assert (quoted["wider"] >= 1).all()
    assert (quoted.groupby(["split", "n_repeats"])["wider"].nunique() == 1).all()


def test_the_interval_is_widened_until_it_holds_the_truth_on_other_screens():
    """Half as wide as it should be: the factor is near 2, and the coverage near 95 %."""
    rng = np.random.default_rng(0)
    effect = rng.normal(0, 1.0, 4000)
    half = 1.96 / 2
    facts = dict(split="on_cell", planted=0.0, n_repeats=10, test=simulation.UNITS, p=1.0)
    found = pd.DataFrame(dict(facts, effect=effect, low=effect - half, high=effect + half))
    found["screen"] = found.index.astype(str)
    table = simulation.rates(found).set_index("test")
    assert table.loc[simulation.UNITS, "coverage"] == pytest.approx(0.673, abs=0.03)
    assert table.loc[simulation.QUOTED, "wider"] == pytest.approx(2.0, abs=0.1)
    assert 0.93 < table.loc[simulation.QUOTED, "coverage"] < 0.97
    assert table.loc[simulation.QUOTED, "significant"] < 0.07


@pytest.mark.parametrize(
    ("split", "n_repeats", "wider"),
    [("on_cell", 1, 1.1), ("on_cell", 5, 1.2), ("tissue_out", 10, 1.3), ("scaffold_out", 1, 1.5)],
)
def test_a_split_has_the_factor_of_what_it_holds_apart_and_of_its_repeats(split, n_repeats, wider):
    rows = [("on_cell", r, 1.1 + i / 10) for i, r in enumerate((1, 3, 10))] + [("on_drug", 1, 1.5)]
    table = pd.DataFrame(rows, columns=["split", "n_repeats", "wider"])
    table = table.assign(test=simulation.QUOTED, n_screens=99)
    assert simulation.widening(table.assign(n_screens=3), split, n_repeats) is None
    assert simulation.widening(table, split, n_repeats) == pytest.approx(wider)


def test_too_few_lines_or_drugs_are_not_simulated_and_no_factor_is_made_up(panel):
    rows, expression, mutations, descriptors = panel
    assert simulation.on_lines(rows, expression, mutations.iloc[:40]) == []
    assert simulation.on_drugs(rows, descriptors.iloc[:40]) == []
    table = simulation.rates(simulation.screens([], 5))
    assert table.empty and simulation.widening(table, "on_cell", 3) is None


def test_folds_cut_by_study_and_line_reward_what_no_feature_explains(panel):
    price = simulation.leak_price(panel[1]).iloc[0]
    assert price["leaky"] > price["clean"] + 0.05 and price["n_lines"] == 150
    assert simulation.leak_price(panel[1].iloc[:20]).empty
