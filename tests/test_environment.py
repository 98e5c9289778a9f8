"""One environment: the lock, conda's file and the package's own requirements agree."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lib.paths import ROOT

PYTHONS = ("3.11.0", "3.11.2", "3.12.0", "3.13.0")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lock():
    """The requirements of the lock, and how many hashes each has."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line.split("--hash=") for line in text.splitlines() if line[:1] not in ("#", "")]
    return [(Requirement(line[0].strip()), len(line) - 1) for line in lines]


def chosen(python=None, system=sys.platform):
    """Name and version of what the lock holds for an interpreter and a system."""
    where = dict(sys_platform=system)
    if python:
        where |= dict(python_full_version=python, python_version=python.rpartition(".")[0])
    rows = [entry for entry, _ in lock() if not entry.marker or entry.marker.evaluate(where)]
    names = [entry.name for entry in rows]
    assert len(names) == len(set(names)), "two versions of one package"
    return {entry.name: str(entry.specifier).removeprefix("==") for entry in rows}


def test_every_line_of_the_lock_is_an_exact_public_pin():
    assert all(re.fullmatch(r"==[\w.]+", str(entry.specifier)) for entry, _ in lock())


def test_every_line_but_torch_has_hashes():
    assert [entry.name for entry, n_hashes in lock() if not n_hashes] == ["torch"]


def test_no_cuda_library_is_in_the_lock():
    assert [e.name for e, _ in lock() if re.match("cuda|nvidia|triton", e.name)] == []


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_of_the_package_is_in_the_lock(python, system):
    wanted = [*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])]
    found = chosen(python, system)
    for entry in map(Requirement, wanted):
        assert entry.specifier.contains(found[entry.name.lower()]), entry


def test_the_package_asks_for_the_pythons_that_the_lock_serves():
    asked = SpecifierSet(PROJECT["requires-python"])
    assert all(python in asked for python in PYTHONS) and "3.10.14" not in asked


def test_conda_brings_an_interpreter_that_the_package_takes_and_the_makefile_does_the_rest():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python = next(entry for entry in entries if entry.startswith("python"))
    version = python.removeprefix("python=")
    assert f"{version}.0" in PYTHONS and {"make", "git"} <= set(entries)


def test_what_is_installed_is_what_is_locked():
    found = chosen()
    installed = {name: metadata.version(name).split("+")[0] for name in found}
    assert installed == found


def test_an_older_interpreter_is_refused_in_one_sentence_before_anything_is_installed(tmp_path):
    old = tmp_path / "python3.10"
    old.write_text(
        f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 10, 4)\nexec(sys.argv[2])\n"
    )
    old.chmod(0o755)
    command = ["make", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'environment'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "newer is needed and this is 3.10" in done.stderr
    assert not (tmp_path / "environment").exists()
