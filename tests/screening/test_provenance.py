"""From an address in a table of notebook 07 to its rows, and to the same number again."""

import itertools
import json
import shutil

import made_screen
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from lib import files
from lib.paths import ROOT
from lib.screening import enrichment, fit, provenance

TABLES = {"coverage": "reached", "enrichment": "value", "hits": "predicted"}


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    """Notebook 07 on the made screen, cell by cell; its results and its work folder."""
    out = tmp_path_factory.mktemp("run")
    work = shutil.copytree(made / "work", out / "work")
    compounds = pd.DataFrame(made_screen.SMILES.items(), columns=["compound", "smiles"])
    compounds.to_parquet(out / "compounds.parquet")
    given = {"compounds": str(out / "compounds.parquet"), "settings": made_screen.SETTINGS}
    given |= {"n_draws": 5, "work_dir": str(work), "out_dir": str(out)}
    names = {"display": lambda *_: None}
    cells = nbformat.read(ROOT / "notebooks" / "07_screen.ipynb", as_version=4).cells
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fit, "LEAST_SHIFTED", 20)
        for cell in cells:
            if cell.cell_type == "code" and cell.id != "cutoff":
                exec(cell.source, names)
                names.update(given if cell.id == "parameters" else {})
    plt.close("all")
    return out, work


def again(found):
    """The number of a recipe from its rows, with formulas of their own."""
    recipe, rows = found["recipe"], found["rows"]
    if recipe["kind"] == "hit":
        return rows.predicted.item()
    if recipe["kind"] == "coverage":
        low, high = (rows[f"{end}_{recipe['level']:.0%}"] for end in ("low", "high"))
        return ((rows.auc >= low) & (rows.auc <= high)).mean()
    rows = rows.assign(random=np.random.default_rng(0).random(len(rows)))
    column = enrichment.RANKINGS[recipe["ranking"]]
    active = (rows.sort_values(column, kind="stable").auc <= 0.5).to_numpy()
    if recipe["metric"] == "average precision":
        return average_precision_score(active, -np.arange(len(active)))
    first = max(1, round(int(recipe["metric"].split()[1][:-1]) / 100 * len(active)))
    return active[:first].mean() / active.mean()


@pytest.mark.parametrize("name", TABLES)
def test_numbers_taken_at_random_are_made_again_from_their_rows(run, name):
    table = pd.read_csv(run[0] / "tables" / f"{name}.csv").dropna(subset=TABLES[name])
    if name == "enrichment":
        table = table[table.metric != "BEDROC"]  # `test_enrichment.py` holds it to RDKit's
    assert table.address.is_unique
    last_of_each = table.drop_duplicates("by", keep="last") if name == "coverage" else table[:0]
    chosen = pd.concat([table.sample(8, random_state=0), last_of_each])
    for row in chosen.to_dict("records"):
        found = provenance.lookup(row["address"], *run)
        assert again(found) == pytest.approx(row[TABLES[name]], rel=1e-5), row["address"]
        assert len(found["rows"]) == row.get("n", row.get("n_pairs", 1))
        assert found["ensembles"] == [row.get("newness", row.get("kind"))] and not found["stale"]


def test_an_address_leads_to_hashes_of_its_file_of_the_tables_and_of_the_library(run, made):
    out, work = run
    found = provenance.lookup("coverage-000", out, work)
    assert found["inputs"] == {"held_out.parquet": files.sha256(work / "held_out.parquet")}
    read = json.loads((out / "tables" / "screen_sources.json").read_text())["inputs"]
    assert read["fits.parquet"] == files.sha256(work / "fits.parquet")
    assert {"drugs.parquet", "profiles_array.parquet", "drug_maccs.parquet"} <= set(read)
    for name in TABLES:
        table = pd.read_csv(out / "tables" / f"{name}.csv")
        assert dict(table[["data_hash", "lib_hash"]].iloc[0]) == found["stamp"]
        assert table.data_hash.nunique() == table.lib_hash.nunique() == 1


def test_a_changed_table_is_called_stale_and_an_unknown_address_is_refused(run, tmp_path):
    out, work = run
    held_out = pd.read_parquet(work / "held_out.parquet")
    held_out.iloc[:-1].to_parquet(tmp_path / "held_out.parquet")
    stale = provenance.lookup("coverage-000", out, tmp_path)["stale"]
    assert stale == ["held_out.parquet has changed since"]
    with pytest.raises(KeyError, match="no number has the address 'hits-999'.*coverage-000"):
        provenance.lookup("hits-999", out, work)


def test_a_caption_that_a_figure_shows_is_not_repeated_below_it():
    cells = nbformat.read(ROOT / "notebooks" / "07_screen.ipynb", as_version=4).cells
    below = [b.source for a, b in itertools.pairwise(cells) if "style.save(" in a.source]
    assert len(below) == 5 and not [text for text in below if text.startswith("*")]
