"""The notebooks as a course: goals, terms, and a solution to every question that runs."""

import ast
import builtins
import dataclasses
import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from made_screen import SMILES

from lib import splits, tables
from lib.drugs import descriptors
from lib.drugs import quality as drug_quality
from lib.hill import figures
from lib.networks import train
from lib.paths import RESULTS, ROOT
from lib.screens import molecules
from lib.sweep import grid

FOLDER = ROOT / "notebooks"
SOURCES = sorted(FOLDER.glob("0*.ipynb"))
GLOSSARY = (FOLDER / "glossary.md").read_text()
SOLUTIONS = (FOLDER / "solutions.md").read_text()
TERMS = """
AUC | AAC | EC50 and IC50 | Hill slope | Plateau | GI50, TGI and LC50 | ComBat | LISI | kBET | Holm | Nadeau–Bengio |
Bootstrap over whole lines | Gain | Normalised r | Conformal interval | Tanimoto | Applicability domain | Confounded |
Mean-effects baseline | Shuffled-feature control | Unseen cell lines and unseen drugs | Ensemble | Noise ceiling
"""
WORDS_A_MINUTE = 100  # with the code and the figures between them


def cells(path):
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def prose(path):
    return "\n".join(c.source for c in cells(path).values() if c.cell_type == "markdown")


def heading(text):
    """The anchor that a Markdown heading gets."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def sections(text):
    """Text below each heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def solution(path):
    return sections(SOLUTIONS)[f"Notebook {path.stem[:2]}"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
class TestNotebook:
    def test_its_title_says_what_is_learnt_and_how_long_it_takes(self, path):
        title = cells(path)["title"].source
        goals = title.partition("**You will learn**")[2].partition("About ")[0]
        assert 2 <= goals.count("\n* ") <= 4
        told = re.search(r"About (\d+) minutes to read; .*runs in at most (\d+) minute", title)
        read, run = map(int, told.groups())
        assert read == pytest.approx(len(prose(path).split()) / WORDS_A_MINUTE, abs=8)
        table = pd.read_csv(RESULTS / "tables" / "timings.csv")
        seconds = table.seconds[table.notebook.str.startswith(path.stem)].max()
        assert run - 3 < seconds / 60 <= run

    def test_it_leads_to_the_glossary_and_to_its_solutions(self, path):
        place = f"solutions.md#notebook-{path.stem[:2]}"
        assert "](glossary.md)" in cells(path)["title"].source
        assert place in cells(path)["title"].source and place in cells(path)["questions"].source

    def test_the_terms_it_links_are_in_the_glossary(self, path):
        linked = set(re.findall(r"glossary\.md#([\w-]+)", prose(path)))
        assert linked - set(map(heading, sections(GLOSSARY))) == set()

    def test_it_asks_to_predict_before_a_result_is_seen(self, path):
        assert prose(path).count("**Predict before you run.**") >= 2

    def test_every_question_has_a_solution(self, path):
        questions = re.split(r"^\d\. ", cells(path)["questions"].source, flags=re.M)[1:]
        asked = [" ".join(q.partition("\n\n")[0].split()) for q in questions]
        solved = re.findall(r"^\*\*\d\. (.+?)\*\*\n\n\S", solution(path), flags=re.M | re.S)
        assert asked == [" ".join(text.split()) for text in solved]

    def test_the_code_of_its_solutions_uses_what_it_has_made(self, path):
        source = [c.source for c in cells(path).values() if c.cell_type == "code"]
        made = names("\n".join(source), ast.Store)
        code = "\n".join(re.findall(r"```python\n(.+?)```", solution(path), re.S))
        own = names(code, ast.Store)
        assert names(code, ast.Load) - own - made - set(dir(builtins)) == set()

    def test_a_missing_table_of_its_own_leads_back_to_it(self, path):
        rows = [row for row in cells(path)["io"].source.splitlines() if "| here →" in row]
        told = "\n".join(row for row in rows if "only" not in row)
        for name in re.findall(r"`([\w<>*]+)\.parquet`", told) if path.stem < "05" else []:
            assert tables.writer(f"{name}.parquet") == path.stem[:2], name


def names(code, context):
    """Names that Python code stores or loads; what it imports is stored."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            found.add(node.id)
        if isinstance(node, ast.arg | ast.alias) and context is ast.Store:
            found.add(node.arg if isinstance(node, ast.arg) else node.asname or node.name)
    return found


def test_the_glossary_explains_every_term_in_two_sentences_and_says_where_it_is_used():
    entries = sections(GLOSSARY)
    assert set(map(str.strip, TERMS.split("|"))) <= set(entries)
    assert sorted(entries, key=str.lower) == list(entries)
    for name, text in entries.items():
        told, _, place = text.strip().rpartition("→")
        assert len(re.findall(r"[^.]\.(?=\s|$)", told)) == 2, name
        assert all((FOLDER / link).exists() for link in re.findall(r"\]\((.+?)\)", place)), name


def ingest():
    responses = pd.DataFrame(
        dict(study="CCLE", assay="CCLE", curve_id="a", cell_id="l", drug_id="D", dose=[8.0, 7.0])
    )
    responses = responses.assign(growth=[1.0, 0.4], endpoint="viability", file="f", control=False)
    return dict(ingested=dict(responses=tables.check(responses, tables.RESPONSES)), tables=tables)


def cell_features():
    panel = pd.DataFrame(dict(cell_id=["l1", "l2", "l3"], profile_source=["GDSC", "GDSC", "CCLE"]))
    known = pd.DataFrame(dict(cell_id=["l1", "l2", "l3"], tissue=["blood", "lung", "lung"]))
    return dict(made=dict(array=panel), shown="array", known=known.set_index("cell_id"))


def drug_features():
    drugs = pd.DataFrame({"drug_name": SMILES.keys(), "smiles": SMILES.values()})
    drugs = molecules.standardise_all(drugs)[["drug_id", "drug_name", "smiles", "inchikey"]]
    bits = descriptors.compute_block(drugs, "ecfp")[0]
    folds = splits.assign_folds(drugs.drug_id, 3)
    return dict(neighbours=drug_quality.nearest_neighbours(bits, drugs, folds))


def sweep():
    example = grid.expand({"model": "mlp", "split": "on_cell"})[0]
    flat = [1.0] + [2.0] * 60
    return dict(train=train, dataclasses=dataclasses, flat=flat, example=example)


def screen():
    """Three drugs that are predicted well on many lines, and seven on few lines that are not."""
    n = np.array([100] * 3 + [5] * 7)
    drug = np.repeat(np.arange(10), n)
    rows = pd.DataFrame(dict(kind="new drug", drug_id=drug.astype(str), predicted=0.5))
    return dict(rows=rows.assign(auc=np.where(drug < 3, 0.55, 0.9)))


MADE = {
    "01": (ingest, "column 'growth' must be between"),
    "02": (lambda: dict(figures=figures), "IC50 nan"),
    "03": (cell_features, "lung 100.0 50.0"),
    "04": (drug_features, "0.2: "),
    "05": (sweep, "paper: falls after 20, stops after 10; 1 rate(s) used"),
    "07": (screen, "of the drugs, each counted once: 0.40"),
}


@pytest.mark.parametrize("number", MADE)
def test_the_code_of_a_solution_runs_on_small_tables(number, capsys):
    code = re.findall(r"```python\n(.+?)```", sections(SOLUTIONS)[f"Notebook {number}"], re.S)
    namespace, said = MADE[number]
    with plt.rc_context():
        exec("\n".join(code), namespace() | dict(pd=pd))
    plt.close("all")
    assert said in " ".join(capsys.readouterr().out.split())
