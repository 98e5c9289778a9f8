"""The noise ceiling is the planted one; pairs are counted once; same wells are no replicates; small n is said."""

import numpy as np
import pandas as pd
import pytest

from lib.hill import repeats as hill_repeats

NOISE, SPREAD = 0.05, 0.2


def screen(
    n_cells=400, n_drugs=3, assays=(("GDSC", "GDSC1", 2), ("CCLE", "CCLE", 1)), shift=0.0, seed=0
):
    """Curves with a planted truth per line and drug and planted noise per curve; (study, assay, replicates)."""
    rng = np.random.default_rng(seed)
    truth = 0.6 + SPREAD * rng.standard_normal((n_cells, n_drugs))
    rows = []
    for study, assay, repeats in assays:
        for k in range(repeats):
            values = (
                truth + NOISE * rng.standard_normal(truth.shape) + (shift if study == "CCLE" else 0)
            )
            for (cell, drug), value in np.ndenumerate(values):
                rows.append(
                    (
                        f"{assay}/{k}/{cell}/{drug}",
                        study,
                        assay,
                        f"l{cell}",
                        f"D{drug}",
                        "viability",
                        value,
                        False,
                    )
                )
    names = ["curve_id", "study", "assay", "cell_id", "drug_id", "endpoint", "auc", "control"]
    return pd.DataFrame(rows, columns=names)


def test_the_planted_noise_and_ceiling_come_back():
    ceiling = hill_repeats.replicate_ceiling(screen()).set_index("study")
    assert ceiling.noise_sd.to_numpy() == pytest.approx(NOISE, rel=0.05)
    expected = 1 - NOISE**2 / (NOISE**2 + SPREAD**2)
    assert ceiling.r2.to_numpy() == pytest.approx(expected, abs=0.01)
    assert ceiling.basis.to_dict() == {"GDSC": "same assay", "CCLE": "other study"}


def test_a_perfect_predictor_scores_the_ceiling():
    table = screen(n_cells=3000, n_drugs=1, assays=(("GDSC", "GDSC1", 2),))
    truth = table.groupby("cell_id").auc.transform("mean")  # of two; noise on the truth is known
    ceiling = hill_repeats.replicate_ceiling(table).r2[0]
    noise = (table.auc - truth).var(ddof=0) * 2
    assert 1 - noise / table.auc.var(ddof=0) == pytest.approx(ceiling, abs=1e-6)


def test_the_shared_variance_of_two_assays_is_the_planted_one_and_falls_with_a_shift():
    agreement = [
        hill_repeats.replicate_agreement(hill_repeats.replicate_pairs(screen(shift=s)))
        for s in (0.0, 0.1)
    ]
    level, moved = (table[table.level == "other study"].iloc[0] for table in agreement)
    assert level.variance_share == pytest.approx(SPREAD**2 / (SPREAD**2 + NOISE**2), abs=0.01)
    assert level.pearson == pytest.approx(level.variance_share, abs=0.01)
    assert (
        moved.pearson == pytest.approx(level.pearson, abs=1e-9)
        and moved.variance_share < level.variance_share - 0.05
    )
    assert moved["shift"] == pytest.approx(
        level["shift"] + -0.1 * (-1 if moved.assay_1 == "GDSC1" else 1), abs=1e-9
    )


def test_agreement_within_drugs_leaves_out_what_drugs_differ_in():
    table = screen(n_drugs=2)
    table["auc"] += 2.0 * (table.drug_id == "D1")
    row = hill_repeats.replicate_agreement(hill_repeats.replicate_pairs(table)).iloc[0]
    assert row.pearson > 0.99 and row.within_drug == pytest.approx(
        SPREAD**2 / (SPREAD**2 + NOISE**2), abs=0.02
    )


def test_three_repeats_make_three_pairs_that_weigh_one():
    pairs = hill_repeats.replicate_pairs(
        screen(n_cells=1, n_drugs=1, assays=(("GDSC", "GDSC1", 3),))
    )
    assert len(pairs) == 3 and pairs.weight.sum() == pytest.approx(1)
    assert set(pairs.level) == {"same assay"}


def test_levels_tell_assays_of_a_study_from_studies():
    assays = (("GDSC", "GDSC1", 1), ("GDSC", "GDSC2", 1), ("CCLE", "CCLE", 1))
    pairs = hill_repeats.replicate_pairs(screen(n_cells=1, n_drugs=1, assays=assays))
    assert sorted(pairs.level) == ["other study", "other study", "same study"]


def test_two_readouts_of_the_same_wells_are_no_replicates():
    table = screen(n_cells=1, n_drugs=1, assays=(("NCI-60", "NCI-60", 2),))
    table.loc[0, "endpoint"] = "growth"
    assert hill_repeats.replicate_pairs(table).empty


def test_controls_and_curves_without_a_fit_are_no_replicates():
    table = screen(n_cells=1, n_drugs=2, assays=(("GDSC", "GDSC1", 2),))
    table.loc[table.drug_id == "D0", "control"] = True
    table.loc[(table.drug_id == "D1").idxmax(), "auc"] = np.nan
    assert hill_repeats.replicate_pairs(table).empty


def test_few_repeats_or_few_lines_are_called_too_small():
    few = screen(n_cells=19, n_drugs=1, assays=(("GDSC", "GDSC1", 2),))
    narrow = screen(n_cells=2, n_drugs=30, assays=(("GDSC", "GDSC1", 2),))
    for table, words in ((few, "19 pairs of 19 lines"), (narrow, "60 pairs of 2 lines")):
        row = hill_repeats.replicate_agreement(hill_repeats.replicate_pairs(table)).iloc[0]
        assert np.isnan(row["variance_share"]) and row.reason == f"n too small ({words})"
        ceiling = hill_repeats.replicate_ceiling(table).iloc[0]
        assert np.isnan(ceiling.r2) and "n too small" in ceiling.reason


def test_areas_over_the_tested_range_have_no_ceiling():
    table = screen(n_cells=40, n_drugs=3, assays=(("GDSC", "GDSC1", 2),))
    assert hill_repeats.replicate_ceiling(table).r2[0] > 0
    table = table.assign(auc_tested=table.auc, auc=np.nan)
    ceiling = hill_repeats.replicate_ceiling(table).iloc[0]
    assert np.isnan(ceiling.r2) and np.isnan(ceiling.noise_sd) and "tested ranges" in ceiling.reason


def test_a_screen_without_repeats_has_no_ceiling():
    table = screen(n_cells=30, n_drugs=1, assays=(("GDSC", "GDSC1", 1),))
    assert np.isnan(hill_repeats.replicate_ceiling(table).r2[0])
    assert hill_repeats.replicate_agreement(hill_repeats.replicate_pairs(table)).empty
