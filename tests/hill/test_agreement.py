"""Our fits and the studies' own summaries meet on one scale; what is missing, capped or few is counted and said."""

import numpy as np
import pandas as pd
import pytest

from lib.hill import agreement


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


def screen(n=300, repeat=0.05, theirs=0.05, seed=0):
    """Two curves of each of n lines in one file, and a summary; spread 1, noise of a curve and of the summary given."""
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


def read(fits, summary):
    beside = agreement.beside_published(fits, summary)
    return agreement.reading(fits, summary, beside, agreement.agreement(beside))


def test_a_value_per_curve_stands_beside_that_curve_on_our_scale(made):
    side = agreement.beside_published(
        made, published("activity_area", [6.4, 4.8, 0.8, 0.4, 0.0], list("abcde"))
    )
    np.testing.assert_allclose(side.theirs, side.ours)
    assert set(side.our_column) == {"aac1"}


def test_a_value_per_pair_stands_beside_the_median_over_curves(made):
    side = agreement.beside_published(made, published("area_above", [0.7, 0.1, 0.05, 0.0]))
    np.testing.assert_allclose(side.theirs, side.ours)


@pytest.mark.parametrize("measure, value", [("ic50_um", 0.01), ("ln_ic50_um", np.log(0.01))])
def test_an_ic50_becomes_minus_log_molar(made, measure, value):
    side = agreement.beside_published(
        made, published(measure, [value, 1.0, 1.0, 1.0, 1.0], list("abcde"))
    )
    assert side.theirs[0] == pytest.approx(8.0) and side.ours[0] == 8.0


def test_agreement_counts_what_has_no_value_and_what_is_capped(made):
    row = agreement.agreement(
        agreement.beside_published(made, published("ic50_um", [0.01, 0.1, 8, 8, 8], list("abcde")))
    )
    assert row.loc[0, ["n", "n_missing", "at_cap"]].tolist() == [2, 3, 0.5]


def test_few_pairs_have_no_rank_correlation_and_come_last(made):
    few = agreement.beside_published(made, published("area_above", [0.7, 0.1, 0.05, 0.0]))
    many = agreement.beside_published(*screen())
    table = agreement.agreement(pd.concat([few, many], ignore_index=True))
    assert table.n.tolist() == [300, 4] and table.spearman[0] > 0.9 and np.isnan(table.spearman[1])


def test_ranks_are_compared_and_not_values():
    fits, summary = screen(repeat=0, theirs=0)
    row = agreement.agreement(
        agreement.beside_published(fits, summary.assign(value=lambda f: np.exp(5 * f.value)))
    ).iloc[0]
    assert (
        row.spearman == pytest.approx(1)
        and row.pearson < 0.6
        and row.within_drug == pytest.approx(1)
    )


def test_a_data_set_without_summaries_has_an_empty_agreement(made, tmp_path):
    side = agreement.beside_published(made, agreement.summaries(tmp_path / "published.parquet"))
    assert side.empty and agreement.agreement(side).empty
    assert read(made, published("area_above", 0.0).iloc[:0]) == (
        "This data set brings no published summary with 20 values to compare."
    )


def test_quarters_of_a_summary_hold_every_pair_once():
    side = agreement.beside_published(*screen(n=99, repeat=0, theirs=0))
    table = agreement.by_quarter(side, agreement.agreement(side).iloc[0])
    assert table.n.sum() == 99 and table.spearman.tolist() == [pytest.approx(1)] * 4
    assert table.largest.is_monotonic_increasing and table.largest.iloc[-1] == side.theirs.max()


def test_a_file_stands_beside_the_summary_and_beside_itself():
    fits, summary = screen(repeat=0.5, theirs=0.0)
    row = agreement.agreement(agreement.beside_published(fits, summary)).iloc[0]
    file = agreement.by_file(fits, summary, row).iloc[0]
    assert (file.file, file.n, file.n_repeats) == ("one", 300, 300)
    assert file.own_spearman == pytest.approx(
        0.79, abs=0.05
    )  # 1 / (1 + 0.5**2), a little less in ranks
    assert file.spearman == pytest.approx(row.spearman) and file.spearman > file.own_spearman


@pytest.mark.parametrize(
    "repeat, theirs, verdict",
    [
        (0.5, 0.5, "about as far apart as two measurements are"),
        (0.05, 1.0, "further apart than noise alone explains"),
        (1.0, 0.05, "closer than two measurements are"),
    ],
)
def test_the_reading_of_the_weakest_follows_from_the_data(repeat, theirs, verdict):
    assert verdict in read(*screen(repeat=repeat, theirs=theirs))


def test_the_reading_says_where_repeats_are_too_few():
    fits, summary = screen()
    text = read(fits.iloc[:310], summary)
    assert "repeats too few pairs (10) to say" in text and "nan" not in text
