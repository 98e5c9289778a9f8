"""The house: which room may import which, how large it is, how dense it reads, what the tree
weighs.
"""

import subprocess

import pytest
from importlinter import cli

from benchmarks import house
from lib.paths import ROOT

SOLVER = "hill/solver.py"  # one algorithm, read in one sitting
EMPTY = ("__init__.py", "README.md")


@pytest.fixture(scope="module")
def modules():
    return house.modules().set_index("module")


def test_imports_run_one_way_and_in_no_circle(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS


def test_the_library_does_not_grow(modules):
    assert modules["tokens"].sum() <= 144_850


def test_a_line_of_code_says_one_thing(modules):
    assert modules["tokens"].sum() / modules["code_lines"].sum() <= 10.2
    assert modules["widest"].max() <= 125


def test_no_module_and_no_function_is_too_long_to_read(modules):
    long = modules["all_lines"].drop(SOLVER)
    assert long[long > 400].to_dict() == {}
    assert modules["longest_body"][modules["longest_body"] > 40].to_dict() == {}


def test_every_option_is_set_by_somebody():
    unset, n = house.options()
    assert n > 100 and unset == []


def test_the_tracked_tree_stays_small():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    files = [ROOT / name.decode() for name in names.stdout.split(b"\0") if name]
    assert sum(path.stat().st_size for path in files if path.is_file()) <= 60e6


def test_the_count_sees_tokens_lines_and_options_as_a_reader_does(tmp_path):
    text = '"""Doc."""\n\n\ndef add(a, b=1):\n    """Sum."""\n    # why\n    return a + b\n'
    found = house.measure(text)
    assert (found["code_lines"], found["bodies"], found["tokens"]) == (2, [1], 14)
    given = house.calls(["add(1, b=2)", "partial(mul, 3)", "add(*values)"])
    assert given["add"] == {"keywords": {"b"}, "positional": 1, "unpacked": True}
    assert given["mul"]["positional"] == 1
