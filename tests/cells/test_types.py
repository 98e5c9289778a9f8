"""Type-like labels find again what was put in; a platform is no type."""

import numpy as np
import pandas as pd
import pytest

from lib.cells import cohorts
from lib.cells import figures as cell_figures
from lib.cells import types as cell_types
from lib.screens import own
from lib.tables import TableError

TYPES = ["Glioma", "Melanoma", "Myeloma"]


def panel(n=40, genes=60, noise=0.7, seed=0, source="GDSC", shift=0.0):
    """Lines of three types, each with its own genes up; the rest is noise."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, noise, (3 * n, genes)) + shift
    for i in range(3):
        values[i * n : (i + 1) * n, 10 * i : 10 * i + 10] += 2
    frame = pd.DataFrame(values, columns=[f"G{j:02d}" for j in range(genes)])
    frame.insert(0, "cell_id", [f"{source}{i}" for i in range(3 * n)])
    frame.insert(1, "profile_source", source)
    return frame, pd.Series(np.repeat(TYPES, n), index=frame.cell_id)


def test_too_few_genes_make_no_labels():
    frame, truth = panel(genes=40)
    types, report = cell_types.from_tables(
        tables_of(frame, truth), {"expression_GDSC": "log2(TPM+1)"}, n_types=3
    )
    assert types.empty and report.empty and list(types) == cell_types.TYPES


def test_types_that_differ_in_expression_are_found_and_named_by_their_majority():
    frame, truth = panel()
    lines = cell_types.profiles(frame, ["GDSC"])
    types = cell_types.label(lines, lines, truth.iloc[::3], 3)
    assert (
        set(types.cancer_type.str[3:]) == set(TYPES)
        and (types.label_kind == "autoencoder, whole_panel").all()
    )
    assert (
        cell_types.agreement(types.set_index("cell_id").cancer_type, truth)["adjusted_rand"] > 0.95
    )


def test_the_same_seed_gives_the_same_labels_and_leaves_torchs_own_generator_alone():
    import torch

    lines, truth = cell_types.profiles(panel()[0], ["GDSC"]), panel()[1]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again = (cell_types.label(lines, lines, truth, 4, seed=3) for _ in range(2))
    assert torch.rand(1) == expected
    pd.testing.assert_frame_equal(first, again)


def test_the_annotation_names_clusters_but_does_not_find_them():
    frame, truth = panel()
    lines = cell_types.profiles(frame, ["GDSC"])
    shuffled = pd.Series(np.random.default_rng(0).permutation(truth), index=truth.index)
    a, b = (cell_types.label(lines, lines, known, 3).cluster for known in (truth, shuffled))
    assert (a == b).all()


def test_a_platform_is_no_type():
    first, truth = panel(seed=1)
    second, more = panel(seed=2, source="NCI-60", shift=5.0)
    lines = cell_types.profiles(pd.concat([first, second]), ["GDSC", "NCI-60"])
    types = cell_types.label(lines, lines, truth, 3).set_index("cell_id").cancer_type
    assert cell_types.agreement(types, pd.concat([truth, more]))["adjusted_rand"] > 0.95


def test_a_line_profiled_twice_counts_once_by_the_preferred_source():
    first, _ = panel(n=4)
    second = first.assign(profile_source="CCLE", G00=first.G00[::-1].to_numpy())
    lines = cell_types.profiles(pd.concat([first, second]), ["CCLE", "GDSC"])
    assert lines.index.is_unique and len(lines) == 12
    assert lines.G00.rank().tolist() == second.G00.rank().tolist()


def test_site_names_and_unknown_name_no_cluster():
    cluster = pd.Series([0, 0, 0, 1, 1, 2], index=list("abcdef"))
    types = pd.Series(
        ["Lung_NOS", "Lung_NOS", "Sarcoma", "Unknown", None, "Glioma"], index=list("abcdef")
    )
    assert cell_types.name_clusters(cluster, types).to_dict() == {
        0: "01 Sarcoma",
        1: "02 unnamed",
        2: "03 Glioma",
    }


def test_agreement_is_one_for_equal_partitions_and_chance_for_shuffled_ones():
    truth = panel()[1]
    same = cell_types.agreement(truth.map(dict(zip(TYPES, "xyz", strict=True))), truth)
    assert same["adjusted_rand"] == same["purity"] == 1 and same["n_lines"] == 120
    shuffled = pd.Series(np.random.default_rng(1).permutation(truth), index=truth.index)
    other = cell_types.agreement(shuffled, truth)
    assert (
        abs(other["adjusted_rand"]) < 0.05
        and abs(other["purity"] - other["purity_by_chance"]) < 0.1
    )


@pytest.mark.parametrize(
    ("lines", "n_types", "says"),
    [
        (panel(n=4)[0], 12, "12 clusters need more than 12 profiles"),
        (panel(genes=40)[0], 3, "share 40 gene symbols"),
    ],
)
def test_what_cannot_be_clustered_is_said(lines, n_types, says):
    lines = cell_types.profiles(lines, ["GDSC"])
    with pytest.raises(ValueError, match=says):
        cell_types.label(lines, lines, pd.Series(dtype="str"), n_types)


def tables_of(frame, truth):
    ids = frame.cell_id
    cells = pd.DataFrame(
        dict(cell_id=ids, cell_name=ids, tissue="x", cancer_type=ids.map(truth), donor=ids)
    )
    return {"expression_GDSC": frame, "cells": cells}


def test_annotated_types_stay_the_default_and_the_others_reach_the_cohorts_by_name():
    frame, truth = panel()
    tables = tables_of(frame, truth)
    types, report = cell_types.from_tables(
        tables, {"expression_GDSC": "log2(TPM+1)"}, ["NCI-60"], n_types=4
    )
    assert (
        set(report["labels"]) == {"autoencoder", "principal components"}
        and report.purity.between(0.5, 1).any()
    )
    assert cell_types.choose(tables["cells"], types, "annotated") is tables["cells"]
    chosen = cell_types.choose(tables["cells"], types, "autoencoder")
    assert (
        chosen.annotated_type.equals(tables["cells"].cancer_type)
        and chosen.cancer_type.str[:3].nunique() == 4
    )
    rows = pd.DataFrame(dict(cell_id=chosen.cell_id))
    assert cohorts.cohort_mask(rows, chosen, "top6").all()
    with pytest.raises(ValueError, match="found 'tissue'"):
        cell_types.choose(tables["cells"], types, "tissue")


def tumour_folder(tmp_path, **changes):
    frame, truth = panel(seed=7, source="TCGA", shift=5.0)
    files = {
        "screen.yml": "expression_scale: log2(TPM+1)\n",
        "cells.csv": pd.DataFrame(dict(cell_id=frame.cell_id, cancer_type=truth.to_numpy())).to_csv(
            index=False
        ),
        "expression.csv": frame.drop(columns="profile_source").to_csv(index=False),
    } | changes
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_tumours_teach_the_autoencoder_and_name_the_clusters_of_lines(tmp_path):
    frame, truth = panel()
    tables = tables_of(frame, pd.Series("Unknown", index=truth.index))
    types, _ = cell_types.from_tables(
        tables, {"expression_GDSC": "log2(TPM+1)"}, n_types=3, tumours=tumour_folder(tmp_path)
    )
    labels = types.set_index("cell_id").cancer_type.str[3:]
    assert set(labels) == set(TYPES) and (labels == truth).mean() > 0.95


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"screen.yml": "study: x\n"}, "expression_scale is None"),
        ({"cells.csv": "cell_id,tissue\nTCGA0,Skin\n"}, "column 'cancer_type' missing"),
        ({"cells.csv": "cell_id,cancer_type\nTCGA0,Glioma\n"}, "cell_id 'TCGA1' is not in cells"),
    ],
)
def test_a_broken_table_of_tumours_is_named(tmp_path, changes, says):
    with pytest.raises(TableError, match=says):
        own.load_tumours(tumour_folder(tmp_path, **changes))


def test_a_folder_of_tumours_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TableError, match="is no folder"):
        own.load_tumours(tmp_path / "nothing")


def test_the_figure_shows_every_label_and_gathers_rare_annotations(monkeypatch):
    frame, truth = panel(n=5)
    types = pd.DataFrame(dict(cell_id=truth.index, cancer_type=truth.to_numpy()))
    monkeypatch.setattr(cell_figures, "N_TISSUES", 2)
    figure = cell_figures.type_agreement(types, truth)
    (ax,) = figure.axes
    assert figure.message.startswith("100% of the lines")
    assert [t.get_text() for t in ax.get_yticklabels()] == TYPES
    assert [t.get_text() for t in ax.get_xticklabels()][-1] == "other"
    assert sorted(int(t.get_text()) for t in ax.texts) == [5, 5, 5]


def test_clusters_of_one_name_are_one_row_of_the_figure():
    types = pd.DataFrame(dict(cell_id=list("abc"), cancer_type=["01 Glioma", "02 Glioma", "03 x"]))
    figure = cell_figures.type_agreement(types, pd.Series(dict(a="Brain", b="Brain", c="Skin")))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["Glioma", "x"]
    assert [t.get_text() for t in figure.axes[0].texts] == ["2", "1"]


def test_lines_are_counted_by_type_and_study_under_either_label_in_the_same_rows():
    names = pd.DataFrame(dict(study=["CCLE", "CCLE", "CCLE", "GDSC"], cell_id=["a", "a", "b", "a"]))
    labels = {
        "one": pd.Series(dict(a="Glioma", b="Lung_NOS")),
        "other": pd.Series(dict(a="01 Glioma", b="02 y")),
    }
    figure = cell_figures.types_by_study(labels, names)
    first, second = figure.axes
    assert figure.message == "Cell lines with a cancer type: 2 one, 2 other"
    assert [t.get_text() for t in first.get_yticklabels()] == ["Glioma"]  # a site is no type
    assert [t.get_text() for t in first.texts] == [t.get_text() for t in second.texts] == ["1", "1"]
    assert [t.get_text() for t in second.get_xticklabels()] == ["CCLE\n2", "GDSC\n1"]


def test_the_shade_of_a_study_is_its_own_share():
    names = pd.DataFrame(dict(study=["gCSI"] * 4 + ["NCI-60"], cell_id=list("abcde")))
    types = pd.Series(dict(a="Glioma", b="Glioma", c="Glioma", d="Melanoma", e="Melanoma"))
    ax = cell_figures.types_by_study({"annotated": types}, names).axes[0]
    counts = np.array([int(t.get_text()) for t in ax.texts]).reshape(2, 2)
    np.testing.assert_allclose(ax.collections[0].get_array(), counts / counts.sum(0))


def test_a_data_set_without_expression_or_with_few_lines_still_gets_through():
    frame, truth = panel(n=4)
    tables = tables_of(frame, truth)
    types, report = cell_types.from_tables(tables, {"expression_GDSC": "log2(TPM+1)"}, n_types=30)
    assert types.cluster.nunique() == 3 and len(report)
    none, empty = cell_types.from_tables(dict(cells=tables["cells"]), {})
    assert len(none) == len(empty) == 0 and list(empty) == list(report)
    with_no_annotation = tables | dict(cells=tables["cells"].assign(tissue=None, cancer_type=None))
    types, report = cell_types.from_tables(with_no_annotation, {"expression_GDSC": "log2(TPM+1)"})
    assert types.cancer_type.str.endswith("unnamed").all() and report.empty
    unnamed = cell_figures.type_agreement(types, pd.Series(dtype="str")).axes[0]
    assert [t.get_text() for t in unnamed.get_xticklabels()] == ["not annotated"]


def test_a_data_set_without_labels_gets_a_sentence_for_a_figure():
    empty = pd.DataFrame(columns=cell_types.TYPES, dtype="str")
    assert "no expression" in cell_figures.type_agreement(empty, pd.Series(dtype="str"))
    names = pd.DataFrame(dict(study=["GDSC"], cell_id=["a"]))
    labels = {"annotated": pd.Series(dict(a="Glioma")), "none": empty.set_index("cell_id").cluster}
    (ax,) = cell_figures.types_by_study(labels, names).axes
    assert "annotated" in (ax.get_title(), ax.get_title(loc="left"))
    assert cell_figures.types_by_study({}, names) == "no line has a cancer type"
