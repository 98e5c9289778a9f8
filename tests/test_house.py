"""The house: which room may import which, held by the contracts of `pyproject.toml`."""

from importlinter import cli

from lib.paths import ROOT


def test_imports_run_one_way_and_in_no_circle(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS
