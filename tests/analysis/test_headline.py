"""Ceilings agree with simulated noise; the layers within a drug or a line are those of its rows."""

import made_sweep
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

from lib.analysis import (
    claims,
    configurations,
    ensembles,
    headline,
    percentiles,
    predictions,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    work = tmp_path_factory.mktemp("headline")
    cells, pairs = made_sweep.write(work)
    ledger = configurations.load(work)
    ledger.predicted = predictions.load(ledger, work, pairs, cells)
    noise = pd.DataFrame(
        dict(
            study=made_sweep.STUDIES,
            r2=0.9,
            noise_sd=0.02,
            basis="same assay",
            n_drugs=20,
            reason="",
        )
    )
    return ledger, pairs, headline.ceiling(noise, pairs)


def test_the_ceiling_of_the_classes_is_what_the_truth_scores_against_noisy_measurements():
    rng = np.random.default_rng(0)
    truth = rng.normal(0.7, 0.2, 200_000)
    measured = truth + rng.normal(0, 0.1, len(truth))
    pairs = pd.DataFrame(dict(study="GDSC", auc=measured))
    noise = pd.DataFrame(
        [dict(study="GDSC", r2=0.8, noise_sd=0.1, basis="same assay", n_drugs=9, reason="")]
    )
    found = headline.ceiling(noise, pairs).set_index("study").loc["GDSC"]
    assert_allclose(
        found["balanced_accuracy"],
        balanced_accuracy_score(measured <= 0.5, truth <= 0.5),
        atol=0.01,
    )
    assert_allclose(found["mcc"], matthews_corrcoef(measured <= 0.5, truth <= 0.5), atol=0.01)


def test_all_studies_together_name_those_whose_noise_is_not_known(made):
    _, pairs, ceiling = made
    assert ceiling.set_index("study").loc["All", "reason"] == ""
    known = dict(study="CCLE", r2=0.9, noise_sd=0.02, basis="same assay", n_drugs=9, reason="")
    unknown = dict(
        study="GDSC", r2=np.nan, noise_sd=np.nan, basis="", n_drugs=0, reason="n too small"
    )
    noise = pd.DataFrame([known, unknown])
    found = headline.ceiling(noise, pairs).set_index("study")
    assert found.loc["All", "reason"] == "without GDSC, NCI-60, whose noise is not known"
    assert_allclose(
        found.loc["All", "r2"], 1 - 0.02**2 / pairs.loc[pairs["study"] == "CCLE", "auc"].var(ddof=0)
    )
    assert (
        np.isnan(found.loc["GDSC", "balanced_accuracy"])
        and found.loc["GDSC", "reason"] == "n too small"
    )


def test_a_study_without_responders_has_no_ceiling_of_the_classes():
    pairs = pd.DataFrame(dict(study="CTRP", auc=np.random.default_rng(0).normal(0.9, 0.05, 300)))
    noise = pd.DataFrame(
        [dict(study="CTRP", r2=0.7, noise_sd=0.01, basis="same assay", n_drugs=2, reason="")]
    )
    found = headline.ceiling(noise, pairs)
    assert found["r2"].notna().all() and found["balanced_accuracy"].isna().all()


def test_the_headline_has_the_distance_to_the_ceiling_for_both_kinds_of_score(made):
    ledger, _, ceiling = made
    best = headline.headline(headline.predictors(ledger), ceiling)
    known = best[best["study"] == "GDSC"]
    assert_allclose(known["below_ceiling_r2"], known["ceiling_r2"] - known["r2"])
    assert_allclose(known["below_ceiling_mcc"], known["ceiling_mcc"] - known["mcc"])


@pytest.fixture(scope="module")
def within(made):
    ledger, _, ceiling = made
    best = headline.headline(headline.predictors(ledger), ceiling)
    return best, headline.by_unit(ledger, best, ceiling)


def network_of(within, unit):
    own = within[1]
    return own[(own["unit"] == unit) & (own["predictor"] == headline.NETWORK)]


@pytest.mark.parametrize("unit", ["drug", "line"])
def test_the_layers_of_a_unit_are_those_of_its_rows(made, within, unit):
    ledger, _, _ = made
    table = network_of(within, unit)
    assert set(table["split"]) == {"on_cell", "on_drug"}
    assert len(table) == 2 * {"drug": 20, "line": 90}[unit]
    row = table[(table["split"] == "on_cell") & table["gain"].notna()].iloc[3]
    rows = predictions.of_runs(ledger, ledger.runs[ledger.runs["run_id"].isin(row["members"])])
    own = rows[rows[{"drug": "drug_id", "line": "cell_id"}[unit]] == row["name"]]
    error = ((own["y"] - own["p"]) ** 2).sum()
    assert_allclose(row["gain"], 1 - error / ((own["y"] - own["mean_effects"]) ** 2).sum())
    assert_allclose(row["r2"], 1 - error / ((own["y"] - own["y"].mean()) ** 2).sum())
    assert_allclose(row["pearson"], np.corrcoef(own["y"], own["p"])[0, 1])
    assert_allclose(row["ceiling_r2"], 1 - 0.02**2 / own["y"].var(ddof=0))


def test_a_unit_of_few_rows_has_its_n_instead_of_a_score(made, within, monkeypatch):
    ledger, _, ceiling = made
    monkeypatch.setitem(headline.LEAST_ROWS, "cell_id", 30)
    table = headline.by_unit(ledger, within[0], ceiling)
    few = table[(table["unit"] == "line") & (table["n"] < 30)]
    assert len(few) and few["gain"].isna().all() and few["recipe"].isna().all()
    assert few["reason"].str.startswith("n too small (20 rows)").all()


def test_correlations_within_drugs_and_lines_are_medians_over_them(made, within):
    ledger, _, _ = made
    found = headline.aggregations(*within).set_index(["split", "predictor"])
    best = within[0]
    for at, row in found.iterrows():
        own = best[(best["study"] == "All") & (best["predictor"] == at[1])]
        members = own.set_index("split").loc[at[0], "members"]
        rows = predictions.of_runs(ledger, ledger.runs[ledger.runs["run_id"].isin(members)])
        assert_allclose(row["pearson_global"], np.corrcoef(rows["y"], rows["p"])[0, 1], atol=1e-3)
        for unit, name in (("drug_id", "drugs"), ("cell_id", "lines")):
            each = [np.corrcoef(part["y"], part["p"])[0, 1] for _, part in rows.groupby(unit)]
            assert row[f"n_{name}"] == len(each)
            assert_allclose(row[f"pearson_within_{name}"], np.median(each), atol=1e-6)


def test_the_spread_counts_what_has_a_score_and_an_empty_ledger_has_none(made, within, tmp_path):
    ceiling = made[2]
    table = network_of(within, "drug")
    found = headline.spread(table).set_index("split")
    assert (found["n_scored"] == table.groupby("split")["gain"].count()).all()
    assert_allclose(
        found.loc["on_cell", "gain_median"], table.loc[table["split"] == "on_cell", "gain"].median()
    )
    empty = configurations.load(tmp_path)
    best = headline.headline(headline.predictors(empty))
    nothing = headline.by_unit(empty, best, ceiling)
    assert nothing.empty and headline.spread(nothing).empty
    assert headline.aggregations(best, nothing).empty


def test_a_predictor_has_one_number_for_a_data_set_and_split(made):
    """The headline, the baselines of table 1, the ensembles and the paper's claims agree."""
    ledger, _, ceiling = made
    every = headline.predictors(ledger)
    best = headline.headline(every, ceiling)
    good = ensembles.table(ledger, best, k=2, n_draws=20)
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    kept = merged.assign(removed="")
    table1 = percentiles.factor_table(every, kept, merged.iloc[:0], "table1", "snp", ("r2",))
    for split in percentiles.SPLITS:
        known = best[(best["study"] == "All") & (best["split"] == split)]
        known = known.set_index("predictor")["r2"]
        assert "mean_effects" in known
        own = good[(good["study"] == "All") & (good["split"] == split)].set_index("predictor")["r2"]
        rows = table1[(table1["factor"] == "baseline") & (table1["split"] == split)]
        rows = rows.set_index("level")["ours"]
        for name in known.index.drop(headline.NETWORK):
            assert rows[name] == known[name]
            assert name not in ensembles.BESIDE or own[name] == known[name]
        claimed = claims.paper_claims(best).query("split == @split and metric == 'r2'")
        assert claimed["ours"].tolist() == [known[headline.NETWORK]]
        price = headline.selection_price(every).set_index("split")
        assert price.loc[split, "chosen_on_inner"] == known[headline.NETWORK]
