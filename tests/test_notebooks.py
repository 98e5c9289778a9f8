"""Notebooks are arguments in one anatomy: thin, literal parameters, no outputs, and the copies."""

import ast
import re

import nbformat
import pytest

from lib.paths import RESULTS, ROOT

SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [
    "01_ingest",
    "02_hill_fit",
    "03_cell_features",
    "04_drug_features",
    "05_train_sweep",
    "06_analysis",
    "07_screen",
]
COPIES = sorted((RESULTS / "notebooks").glob("*.ipynb"))
FIRST, LAST = ["title", "io", "parameters", "setup"], ["found", "questions"]


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    """Code cells without those that papermill adds."""
    added = ("injected-parameters", "papermill-error-cell-tag")
    return [
        c
        for c in notebook.cells
        if c.cell_type == "code" and not set(added) & set(c.metadata.get("tags", []))
    ]


def test_the_seven_notebooks_are_there():
    assert [path.stem for path in SOURCES] == NAMES


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
class TestSource:
    def test_it_is_valid_and_carries_no_outputs(self, path):
        notebook = read(path)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert all(not cell.outputs and cell.execution_count is None for cell in code(notebook))

    def test_its_cells_follow_the_anatomy(self, path):
        ids = [cell.id for cell in read(path).cells]
        assert ids[: len(FIRST)] == FIRST
        assert ids[-len(LAST) :] == LAST
        assert len(set(ids)) == len(ids) and all(len(name) < 40 for name in ids)

    def test_its_title_asks_a_question(self, path):
        title = read(path).cells[0].source
        assert title.startswith(f"# {path.stem[:2]} · ") and "?**" in title

    def test_one_cell_holds_the_parameters_as_annotated_literals(self, path):
        tagged = [
            cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])
        ]
        assert len(tagged) == 1
        for node in ast.parse(tagged[0].source).body:
            assert isinstance(node, ast.AnnAssign), ast.unparse(node)
            ast.literal_eval(node.value)

    def test_it_defines_nothing_and_stays_thin(self, path):
        for cell in code(read(path)):
            tree = ast.parse(cell.source)
            kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
            assert not [node for node in ast.walk(tree) if isinstance(node, kinds)], cell.id
            assert len(cell.source.splitlines()) <= 25, (
                f"{cell.id} has {len(cell.source.splitlines())} lines"
            )

    def test_no_result_is_typed_into_its_prose(self, path):
        """A decimal with three or more digits in prose should come from a variable."""
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                assert not re.findall(r"(?<![\d.])0\.\d{3,}", cell.source), cell.id

    def test_a_score_that_is_spread_over_columns_is_named_in_them(self, path):
        for cell in code(read(path)):
            spread = re.search(r"pivot\([^)]*values=\"(r2|gain)\"", cell.source)
            if spread and "show(" in cell.source:
                assert "add_prefix(" in cell.source, f"{cell.id} shows {spread[1]} without its name"


@pytest.mark.parametrize("path", COPIES, ids=lambda p: p.stem)
class TestReference:
    def test_it_ran_from_the_source_as_it_stands(self, path):
        source = read(ROOT / "notebooks" / f"{path.stem.split('.')[0]}.ipynb")
        copy = [(cell.id, cell.source) for cell in code(read(path))]
        assert copy == [(cell.id, cell.source) for cell in code(source)], (
            "run `make reference` and commit the copies"
        )

    def test_it_ran_to_the_end_without_an_error(self, path):
        cells = code(read(path))
        assert [cell.execution_count is not None for cell in cells] == [True] * len(cells)
        assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]

    def test_it_is_small_and_names_no_machine(self, path):
        text = path.read_text()
        assert len(text) < 1.5 * 2**20
        assert str(ROOT) not in text and "/home/" not in text


@pytest.mark.parametrize(
    "path",
    [*COPIES, *RESULTS.glob("*/notebooks/*.ipynb")],
    ids=lambda p: str(p.relative_to(RESULTS)),
)
def test_every_link_of_a_copy_leads_to_a_file(path):
    prose = "".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", prose)
    assert links and [link for link in links if not (path.parent / link).exists()] == []


def test_the_reference_run_has_a_copy_of_every_notebook():
    assert {path.stem.split(".")[0] for path in COPIES} == set(NAMES)
