"""The noise ceiling is the planted one; small n is named; published summaries are compared on one
scale.
"""

import numpy as np
import pandas as pd
import pytest

from lib.hill import repeats

NOISE, SPREAD = 0.05, 0.2


def screen(
    n_cells=400, n_drugs=3, assays=(("GDSC", "GDSC1", 2), ("CCLE", "CCLE", 1)), shift=0.0, seed=0
):
    """Curves with a planted truth per line and drug and planted noise per curve; (study, assay,
    replicates).
    """
    rng = np.random.default_rng(seed)
    truth = 0.6 + SPREAD * rng.standard_normal((n_cells, n_drugs))
    rows = []
    for study, assay, n_repeats in assays:
        for k in range(n_repeats):
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
    ceiling = repeats.replicate_ceiling(screen()).set_index("study")
    assert ceiling.noise_sd.to_numpy() == pytest.approx(NOISE, rel=0.05)
    expected = 1 - NOISE**2 / (NOISE**2 + SPREAD**2)
    assert ceiling.r2.to_numpy() == pytest.approx(expected, abs=0.01)
    assert ceiling.basis.to_dict() == {"GDSC": "same assay", "CCLE": "other study"}


def test_a_perfect_predictor_scores_the_ceiling():
    table = screen(n_cells=3000, n_drugs=1, assays=(("GDSC", "GDSC1", 2),))
    truth = table.groupby("cell_id").auc.transform("mean")  # of two; noise on the truth is known
    ceiling = repeats.replicate_ceiling(table).r2[0]
    noise = (table.auc - truth).var(ddof=0) * 2
    assert 1 - noise / table.auc.var(ddof=0) == pytest.approx(ceiling, abs=1e-6)


def test_the_shared_variance_of_two_assays_is_the_planted_one_and_falls_with_a_shift():
    agreement = [
        repeats.replicate_agreement(repeats.replicate_pairs(screen(shift=s))) for s in (0.0, 0.1)
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
    row = repeats.replicate_agreement(repeats.replicate_pairs(table)).iloc[0]
    assert row.pearson > 0.99 and row.within_drug == pytest.approx(
        SPREAD**2 / (SPREAD**2 + NOISE**2), abs=0.02
    )


def test_three_repeats_make_three_pairs_that_weigh_one():
    pairs = repeats.replicate_pairs(screen(n_cells=1, n_drugs=1, assays=(("GDSC", "GDSC1", 3),)))
    assert len(pairs) == 3 and pairs.weight.sum() == pytest.approx(1)
    assert set(pairs.level) == {"same assay"}


def test_levels_tell_assays_of_a_study_from_studies():
    assays = (("GDSC", "GDSC1", 1), ("GDSC", "GDSC2", 1), ("CCLE", "CCLE", 1))
    pairs = repeats.replicate_pairs(screen(n_cells=1, n_drugs=1, assays=assays))
    assert sorted(pairs.level) == ["other study", "other study", "same study"]


def test_two_readouts_of_the_same_wells_are_no_replicates():
    table = screen(n_cells=1, n_drugs=1, assays=(("NCI-60", "NCI-60", 2),))
    table.loc[0, "endpoint"] = "growth"
    assert repeats.replicate_pairs(table).empty


def test_controls_and_curves_without_a_fit_are_no_replicates():
    table = screen(n_cells=1, n_drugs=2, assays=(("GDSC", "GDSC1", 2),))
    table.loc[table.drug_id == "D0", "control"] = True
    table.loc[(table.drug_id == "D1").idxmax(), "auc"] = np.nan
    assert repeats.replicate_pairs(table).empty


def test_few_repeats_or_few_lines_are_called_too_small():
    few = screen(n_cells=19, n_drugs=1, assays=(("GDSC", "GDSC1", 2),))
    narrow = screen(n_cells=2, n_drugs=30, assays=(("GDSC", "GDSC1", 2),))
    for table, words in ((few, "19 pairs of 19 lines"), (narrow, "60 pairs of 2 lines")):
        row = repeats.replicate_agreement(repeats.replicate_pairs(table)).iloc[0]
        assert np.isnan(row["variance_share"]) and row.reason == f"n too small ({words})"
        ceiling = repeats.replicate_ceiling(table).iloc[0]
        assert np.isnan(ceiling.r2) and "n too small" in ceiling.reason


def test_areas_over_the_tested_range_have_no_ceiling():
    table = screen(n_cells=40, n_drugs=3, assays=(("GDSC", "GDSC1", 2),))
    assert repeats.replicate_ceiling(table).r2[0] > 0
    table = table.assign(auc_tested=table.auc, auc=np.nan)
    ceiling = repeats.replicate_ceiling(table).iloc[0]
    assert np.isnan(ceiling.r2) and np.isnan(ceiling.noise_sd) and "tested ranges" in ceiling.reason


def test_a_screen_without_repeats_has_no_ceiling():
    table = screen(n_cells=30, n_drugs=1, assays=(("GDSC", "GDSC1", 1),))
    assert np.isnan(repeats.replicate_ceiling(table).r2[0])
    assert repeats.replicate_agreement(repeats.replicate_pairs(table)).empty


# --- the studies' own summaries ---------------------------------------------------------------


def published(measure, values, curve_ids=None):
    cells = ["l1", "l1", "l2", "l3", "l4"] if curve_ids else ["l1", "l2", "l3", "l4"]
    return pd.DataFrame(
        dict(
            study="CCLE",
            assay="CCLE",
            cell_id=cells,
            drug_id="D",
            curve_id=curve_ids,
            measure=measure,
            sheet="s",
        )
    ).assign(value=values)


def files(n=300, repeat=0.05, theirs=0.05, seed=0):
    """Two curves of each of n lines in one file, and a summary; spread 1, noise of a curve and of
    the summary given.
    """
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(n)
    cells = [f"l{i}" for i in range(n)]
    ids = dict(study="GDSC", assay="GDSC2", drug_id="D")
    curves = [
        pd.DataFrame(
            ids
            | dict(
                curve_id=[f"GDSC/one/{k}_{c}" for c in cells], cell_id=cells, endpoint="viability"
            )
        )
        for k in range(2)
    ]
    fits = pd.concat(curves, ignore_index=True).assign(control=False, auc=0.5)
    fits["aac1"] = np.tile(truth, 2) + repeat * rng.standard_normal(2 * n)
    summary = pd.DataFrame(
        ids | dict(cell_id=cells, curve_id=None, measure="area_above", sheet="s")
    )
    return fits, summary.assign(value=truth + theirs * rng.standard_normal(n))


def test_a_value_per_curve_stands_beside_that_curve_on_our_scale(made):
    side = repeats.beside_published(
        made, published("activity_area", [6.4, 4.8, 0.8, 0.4, 0.0], list("abcde"))
    )
    np.testing.assert_allclose(side.theirs, side.ours)
    assert set(side.our_column) == {"aac1"}


def test_a_value_per_pair_stands_beside_the_median_over_curves(made):
    side = repeats.beside_published(made, published("area_above", [0.7, 0.1, 0.05, 0.0]))
    np.testing.assert_allclose(side.theirs, side.ours)


@pytest.mark.parametrize("measure, value", [("ic50_um", 0.01), ("ln_ic50_um", np.log(0.01))])
def test_an_ic50_becomes_minus_log_molar(made, measure, value):
    side = repeats.beside_published(
        made, published(measure, [value, 1.0, 1.0, 1.0, 1.0], list("abcde"))
    )
    assert side.theirs[0] == pytest.approx(8.0) and side.ours[0] == 8.0


def test_the_median_of_curves_with_bounds_is_a_dose_only_where_most_agree(made):
    made = made.iloc[[0, 1, 1, 2]].assign(curve_id=list("abcd"), cell_id="l1")
    summary = published("ic50_um", 0.1).query("cell_id == 'l1'")
    for marks, expected in [("   ", 7.0), ("  >", 7.0), (" >>", np.nan), ("<  ", 7.0)]:
        three = made.iloc[:3].assign(ic50=[8.0, 7.0, 5.0], ic50_censor=[m.strip() for m in marks])
        ours = repeats.beside_published(three, summary).ours[0]
        np.testing.assert_equal(ours, expected)


def test_agreement_counts_what_has_no_value_and_what_is_capped(made):
    row = repeats.agreement(
        repeats.beside_published(made, published("ic50_um", [0.01, 0.1, 8, 8, 8], list("abcde")))
    )
    assert row.loc[0, ["n", "n_missing", "at_cap"]].tolist() == [2, 3, 0.5]


def test_few_pairs_have_no_rank_correlation_and_come_last(made):
    few = repeats.beside_published(made, published("area_above", [0.7, 0.1, 0.05, 0.0]))
    many = repeats.beside_published(*files())
    table = repeats.agreement(pd.concat([few, many], ignore_index=True))
    assert table.n.tolist() == [300, 4] and table.spearman[0] > 0.9 and np.isnan(table.spearman[1])


def test_ranks_are_compared_and_not_values():
    fits, summary = files(repeat=0, theirs=0)
    row = repeats.agreement(
        repeats.beside_published(fits, summary.assign(value=lambda f: np.exp(5 * f.value)))
    ).iloc[0]
    assert (
        row.spearman == pytest.approx(1)
        and row.pearson < 0.6
        and row.within_drug == pytest.approx(1)
    )


def test_a_data_set_without_summaries_has_an_empty_agreement(made, tmp_path):
    summaries = repeats.summaries(tmp_path / "published.parquet")
    side = repeats.beside_published(made, summaries)
    table = repeats.agreement(side)
    assert side.empty and table.empty
    assert repeats.by_file(made, summaries, table).empty


def test_the_files_are_of_the_summary_that_agrees_least():
    fits, summary = files()
    worse = files(theirs=2.0, seed=0)[1].assign(sheet="worse")
    both = pd.concat([summary, worse], ignore_index=True)
    side = repeats.beside_published(fits, both)
    table = repeats.agreement(side)
    assert table.sheet.tolist() == ["worse", "s"]
    assert set(repeats.by_file(fits, both, table).sheet) == {"worse"}


def files_of(fits, summary):
    table = repeats.agreement(repeats.beside_published(fits, summary))
    return table.iloc[0], repeats.by_file(fits, summary, table).iloc[0]


def test_a_file_stands_beside_the_summary_and_beside_itself():
    row, file = files_of(*files(repeat=0.5, theirs=0.0))
    assert (file.file, file.n, file.n_repeats) == ("one", 300, 300)
    # 1 / (1 + 0.5**2), a little less in ranks
    assert file.own_spearman == pytest.approx(0.79, abs=0.05)
    assert file.spearman == pytest.approx(row.spearman) and file.spearman > file.own_spearman


def test_a_file_with_few_repeats_has_no_correlation_with_itself():
    fits, summary = files()
    file = files_of(fits.iloc[:310], summary)[1]
    assert file.n_repeats == 10 and np.isnan(file.own_spearman)
