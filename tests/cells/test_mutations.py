"""Mutations: kinds of features stay apart; a line that nobody looked at is missing, not zero."""

import re

import numpy as np
import pandas as pd
import pytest

from lib.cells import figures, mutations


def table_of(values, source="CCLE"):
    genes = pd.DataFrame(np.array(values, dtype=np.float32), columns=["KRAS", "TP53"])
    lines = [f"L{i}" for i in range(len(values))]
    return pd.concat([pd.DataFrame(dict(cell_id=lines, mutation_source=source)), genes], axis=1)


def test_counts_and_events_never_share_a_table():
    tables = dict(
        CCLE=table_of([[0, 3], [np.nan, 1]]),
        GDSC=table_of([[0, 1]], "GDSC"),
        SANGER=table_of([[1, 1]], "SANGER"),
    )
    kinds = mutations.split_mutations(
        tables, dict(CCLE="count of protein changes", GDSC="0/1 event", SANGER="0/1 event")
    )
    assert (
        kinds["counts"].mutation_source.unique().tolist() == ["CCLE"]
        and kinds["counts"].KRAS.isna().sum() == 1
    )
    assert kinds["binary"].mutation_source.tolist() == ["GDSC", "SANGER"]


def test_shares_of_change_are_neither_counts_nor_events():
    exome = {"NCI-60": table_of([[0, 50.5]])}
    kinds = mutations.split_mutations(exome, {"NCI-60": "per cent of protein-affecting change"})
    assert list(kinds) == ["percent"] and kinds["percent"].iloc[0, 2:].tolist() == [0, 50.5]


def test_a_screen_without_mutations_has_no_burden():
    none = mutations.burdens(mutations.split_mutations({}, {}))
    assert none.empty and {"cell_id", "mutation_source", "n_mutations", "kind"} == set(none)
    assert (
        mutations.burdens(dict(counts=table_of([[1, 2]]))).to_dict("records")[0]["n_mutations"] == 3
    )


def test_a_wrong_declaration_of_mutations_is_refused():
    with pytest.raises(ValueError, match="CCLE are declared '0/1 event' but hold 3"):
        mutations.split_mutations(dict(CCLE=table_of([[0, 3]])), dict(CCLE="0/1 event"))
    with pytest.raises(ValueError, match="CCLE declare ''"):
        mutations.split_mutations(dict(CCLE=table_of([[0, 3]])), {})
    with pytest.raises(ValueError, match="but hold -1"):
        mutations.split_mutations(dict(CCLE=table_of([[0, -1]])), dict(CCLE="counts"))


@pytest.mark.parametrize(
    ("scale", "value"),
    [
        ("count of variants", 0.33),
        ("count of variants", np.inf),
        ("count of variants", 2000001),
        ("0/1 event", 0.5),
        ("0/1 event", np.inf),
        ("per cent of change", 101),
        ("per cent of change", -0.5),
    ],
)
def test_what_a_scale_cannot_hold_is_refused(scale, value):
    with pytest.raises(ValueError, match=re.escape(f"declared {scale!r} but hold {value:g}")):
        mutations.split_mutations(dict(CCLE=table_of([[0, value]])), dict(CCLE=scale))


def test_a_line_that_was_hardly_looked_at_is_masked_and_named():
    table = table_of([[5, 9], [1, 0], [np.nan, np.nan], [0, 0]])
    masked, set_aside = mutations.mask_unsequenced(dict(counts=table, binary=table), 10)
    assert masked["binary"] is table
    masked = masked["counts"]
    assert masked.isna().any(axis=1).tolist() == [
        False,
        True,
        True,
        True,
    ] and masked.cell_id.equals(table.cell_id)
    assert set_aside.to_numpy().tolist() == [["L1", "CCLE", 1], ["L3", "CCLE", 0]]
    every, _ = mutations.mask_unsequenced(dict(counts=table), 0)
    assert every["counts"].equals(table) and table.KRAS[1] == 1


def test_without_counts_nobody_is_set_aside():
    snp = dict(binary=table_of([[1, 0]], "GDSC"))
    masked, set_aside = mutations.mask_unsequenced(snp, 10)
    assert masked is snp and set_aside.empty and list(set_aside) == mutations.BURDEN


def test_the_burden_of_a_study_is_that_of_its_lines_in_the_counts_or_else_in_the_next_table():
    names = pd.DataFrame(dict(study=["A", "A", "B", "B"], cell_id=["L0", "L0", "L1", "L2"]))
    events = table_of([[1, 0], [1, 1], [1, 1]], "GDSC")
    snp = mutations.split_mutations(
        dict(GDSC=events, CCLE=table_of([[2, 3], [np.nan, np.nan], [0, 1]])),
        dict(GDSC="0/1 event", CCLE="count of variants"),
    )
    rows = mutations.burden_by_study(snp, names)
    assert rows[["study", "cell_id", "n_mutations", "kind"]].to_numpy().tolist() == [
        ["A", "L0", 5, "counts"],
        ["B", "L2", 1, "counts"],
    ]
    assert mutations.burden_by_study(dict(binary=events), names).n_mutations.tolist() == [1, 2, 2]
    assert mutations.burden_by_study({}, names).empty


def test_the_figure_of_burdens_shows_each_study_and_where_the_papers_excess_would_lie():
    studies = ["GDSC", "CCLE", "CCLE", "NCI-60"]
    burden = pd.DataFrame(dict(study=studies, n_mutations=[5.0, 7.0, 9.0, 6.0]))
    figure = figures.mutation_burden(burden)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["CCLE (n = 2)", "GDSC (n = 1)", "NCI-60 (n = 1)"]
    assert figure.message == "Mutations of the median line: CCLE 8, GDSC 5, NCI-60 6"
    (dashes,) = [c for c in figure.axes[0].collections if "100 ×" in c.get_label()]
    assert dashes.get_segments()[0][0][0] == 650
    empty = figures.mutation_burden(mutations.burden_by_study({}, burden.assign(cell_id="a")))
    assert empty == "no line has its mutations assessed"
