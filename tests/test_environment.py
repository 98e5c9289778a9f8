"""One environment, three spellings: the lock, conda's file and the package's own requirements."""

import re
import sys
from importlib import metadata

import pytest
import yaml

from lib.paths import ROOT


def lock():
    lines = [
        line.split("#")[0].strip() for line in (ROOT / "requirements.lock").read_text().splitlines()
    ]
    return dict(line.split("==") for line in lines if line)


def conda():
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def test_every_line_of_the_lock_is_an_exact_public_pin():
    assert all(re.fullmatch(r"[\w.]+", version) for version in lock().values())


def test_conda_installs_the_lock_and_the_package():
    pip = next(entry["pip"] for entry in conda() if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "-e ."]


def test_every_version_that_conda_pins_is_the_locks():
    pinned = dict(
        entry.split("=", 1) for entry in conda() if isinstance(entry, str) and "=" in entry
    )
    assert pinned.pop("python") == "3.11"
    assert {name: version.lstrip("=") for name, version in pinned.items()} == {
        name: lock()[name] for name in pinned
    }


def test_every_requirement_of_the_package_is_in_the_lock():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[<>=~ ]", entry)[0].lower() for entry in wanted}
    assert names <= {name.lower() for name in lock()}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is made for Python 3.11")
def test_what_is_installed_is_what_is_locked():
    installed = {name: metadata.version(name).split("+")[0] for name in lock()}
    assert installed == lock()
