"""What a content key sees and what it ignores."""

import os

import pytest
from small_run import PARAMETERS, notebook

from lib.paths import ROOT
from lib.run import keys


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library in the place of the real one."""
    folder = tmp_path / "lib"
    (folder / "screens").mkdir(parents=True)
    texts = {
        "hill.py": "from lib import tables",
        "tables.py": "import numpy",
        "style.py": "",
        "screens/__init__.py": "from lib import tables",
        "screens/ccle.py": "import lib.style",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(keys, "LIB", folder)
    return folder


def key(path, parameters, inputs):
    return keys.program(path) | {"parameters": parameters, "inputs": inputs}


def write(tmp_path, code):
    path = tmp_path / "01_ingest.ipynb"
    notebook(path, code)
    return path


def test_a_key_names_the_modules_that_the_notebook_uses_and_no_others(tmp_path, library):
    path = write(tmp_path, "%matplotlib inline\nfrom lib import hill")
    assert set(keys.library(path)) == {"hill.py", "tables.py"}


def test_the_key_of_notebook_01_names_the_readers_of_every_data_set():
    found = keys.library(ROOT / "notebooks" / "01_ingest.ipynb")
    readers = ("ccle", "ctrp", "gdsc", "gcsi", "nci60", "bundled", "own")
    assert {f"screens/{name}.py" for name in readers} <= found.keys()


def test_imports_from_packages_and_inside_functions_are_followed(tmp_path, library):
    path = write(tmp_path, "from lib.screens import ccle")
    assert set(keys.library(path)) == {
        "screens/__init__.py",
        "screens/ccle.py",
        "tables.py",
        "style.py",
    }


def test_no_module_of_the_library_imports_one_that_a_key_would_not_see():
    """An import by computed name is not followed; the one there is names what others import."""
    found = [path for path in keys.LIB.rglob("*.py") if "import_module(" in path.read_text()]
    assert {path.name for path in found} <= {"workers.py"}


def test_tables_beside_the_library_count_and_caches_do_not(tmp_path, library):
    (library / "aliases.csv").write_text("a,b")
    (library / "__pycache__").mkdir()
    (library / "__pycache__" / "hill.nbi").write_text("x")
    (library / "__pycache__" / "solver-1").mkdir()
    (library / "__pycache__" / "solver-1" / "hill.nbi").write_text("x")
    assert set(keys.library(write(tmp_path, "pass"))) == {"aliases.csv"}


def test_outputs_do_not_change_a_key_but_text_and_parameters_do(tmp_path, library):
    path = write(tmp_path, "1 + 1")
    first = key(path, {"n": 1}, {})
    text = path.read_text()
    path.write_text(text.replace('"execution_count": null', '"execution_count": 3'))
    assert key(path, {"n": 1}, {}) == first
    assert keys.difference(first, key(path, {"n": 2}, {})) == "parameter n changed"
    path.write_text(text.replace("1 + 1", "1 + 2"))
    assert keys.difference(first, key(path, {"n": 1}, {})) == "the notebook changed"


def test_a_changed_module_or_input_is_named(tmp_path, library):
    path = write(tmp_path, "from lib import hill")
    first = key(path, {}, {"a.parquet": "1"})
    assert keys.difference(first, key(path, {}, {"a.parquet": "2"})) == "input a.parquet changed"
    (library / "tables.py").write_text("import pandas")
    assert keys.difference(first, key(path, {}, {"a.parquet": "1"})) == "lib tables.py changed"


def test_a_changed_file_of_equal_size_gets_a_new_hash_also_from_a_kept_store(tmp_path):
    table, store = tmp_path / "t.parquet", tmp_path / "hashes.json"
    table.write_text("aaaa")
    first = keys.Hashes(tmp_path, store)
    before = first.of(table)
    first.save()
    table.write_text("bbbb")
    assert keys.Hashes(tmp_path, store).of("t.parquet") not in (before, None)


def test_parameters_are_read_with_their_defaults(tmp_path):
    path = write(tmp_path, "pass")
    assert keys.parameters(path) == {
        "work_dir": "data/processed/demo",
        "out_dir": "results/runs/demo",
    }


def test_two_parameter_cells_are_refused(tmp_path):
    path = write(tmp_path, "pass")
    path.write_text(
        path.read_text().replace(
            '"id": "body", "metadata": {}', '"id": "body", "metadata": {"tags": ["parameters"]}'
        )
    )
    with pytest.raises(ValueError, match="has 2 cells tagged 'parameters'; it needs exactly one"):
        keys.parameters(path)


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text(PARAMETERS)
    with pytest.raises(ValueError, match="x.ipynb is not a notebook"):
        keys.cells(path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '{"t.parquet": 1}', '{"t.parquet": []}', '{"t.parquet": [4, 1]}',
     '{"t.parquet": {"sha": "x"}}', '{"t.parquet": [4, 1, 1]}', '{"t.parquet": [4, 1, 1, [2]]}',
     '{"t.parquet": [null, 1, 1, "x"]}', "[" * 3000],
)  # fmt: skip
def test_a_damaged_memory_of_hashes_is_forgotten(tmp_path, text):
    (tmp_path / "t.parquet").write_text("aaaa")
    (tmp_path / "hashes.json").write_text(text)
    found = keys.Hashes(tmp_path, tmp_path / "hashes.json")
    assert found.of("t.parquet") == keys.sha("aaaa")
    found.save()
    assert keys.Hashes(tmp_path, tmp_path / "hashes.json").known.keys() == {"t.parquet"}


def test_an_edit_that_keeps_size_and_date_is_seen(tmp_path):
    table, store = tmp_path / "t.parquet", tmp_path / "hashes.json"
    table.write_text("aaaa")
    stat = table.stat()
    first = keys.Hashes(tmp_path, store)
    before = first.of(table)
    first.save()
    table.write_text("bbbb")
    os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert keys.Hashes(tmp_path, store).of("t.parquet") not in (before, None)


def test_a_pipe_and_a_name_that_no_file_can_have_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = keys.Hashes(tmp_path)
    for name in ("pipe", "a\0b", "x" * 5000, "/dev/zero", ".."):
        assert found.of(name) is None
