"""The saved table: best pairs and means by tissue are those that pandas gives."""

import made_screen
import pandas as pd
import pytest

from lib.screening import hits, model, screen


@pytest.fixture(scope="module")
def saved(made, tmp_path_factory):
    names = list(made_screen.SMILES)
    compounds = pd.DataFrame({"compound": names, "smiles": made_screen.SMILES.values()})
    frames = list(screen.screen(compounds, ["all"], made / "model"))
    path = tmp_path_factory.mktemp("hits") / "hits.parquet"
    screen.save(frames, path)
    return path, pd.concat(frames)


def test_the_best_pair_of_each_compound_comes_best_first_within_its_kind(saved):
    path, whole = saved
    found = hits.best(path, 5)
    assert found.newness.tolist() == ["both known"] * 5 + ["new line"] * 5
    for kind, own in found.groupby("newness"):
        every = whole[whole.newness == kind].groupby("compound").predicted.min()
        expected = every.sort_values().head(5)
        assert own.compound.tolist() == expected.index.tolist()
        assert own.predicted.tolist() == pytest.approx(expected.tolist())


def test_means_by_tissue_are_those_of_pandas(made, saved):
    path, whole = saved
    lines = model.read(made / "model").tables["lines"]
    found = hits.by_tissue(path, lines, ["aspirin", "caffeine"])
    joined = whole.merge(lines[["cell_id", "tissue"]], on="cell_id")
    expected = joined.groupby(["compound", "tissue"]).predicted.mean()
    assert found.index.tolist() == ["aspirin", "caffeine"] and set(found) == {"lung", "skin"}
    assert found.loc["aspirin", "skin"] == pytest.approx(expected["aspirin", "skin"])


def test_among_equal_predictions_the_first_stands_first(tmp_path):
    compounds = [f"c{i:03d}" for i in range(500)]
    rows = [
        (f"l{j:04d}", name, 0.5 + (i % 7 > 2))
        for j in range(1000)
        for i, name in enumerate(compounds)
    ]
    table = pd.DataFrame(rows, columns=["line", "compound", "predicted"]).assign(newness="new drug")
    table.to_parquet(tmp_path / "hits.parquet", row_group_size=500)
    for _ in range(5):
        found = hits.best(tmp_path / "hits.parquet", 100)
        assert set(found.line) == {"l0000"}
        assert (
            found.compound.tolist()
            == [name for i, name in enumerate(compounds) if i % 7 <= 2][:100]
        )
