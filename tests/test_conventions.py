"""What visitors and their tools look for: licences, citation, workflows, recipes; each true."""

import re
import tomllib

import pytest
import yaml

from lib.paths import ROOT

SPDX = {  # how a card in data/open.yml begins: the licence in REUSE.toml
    "MIT": "MIT",
    "Apache-2.0": "Apache-2.0",
    "BSD-3": "BSD-3-Clause",
    "CC BY 4.0": "CC-BY-4.0",
    "CC BY-SA 4.0": "CC-BY-SA-4.0",
    "GPL-3": "GPL-3.0-only",
    "GPL ≥ 3": "GPL-3.0-or-later",
    "LGPL-3": "LGPL-3.0-only",
    "US government data": "LicenseRef-US-Government",
    "the repository has no licence file": "LicenseRef-Not-Stated",
    "identifiers": "LicenseRef-Identifiers",
    "gene symbols": "LicenseRef-Identifiers",
    "numbers computed from identifiers": "LicenseRef-Identifiers",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENDINGS = ("py", "yml", "toml", "lock", "md", "parquet")  # of files that texts name
LOCK = (ROOT / "requirements.lock").read_text()


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text())


def licence(path):
    """The licence that REUSE.toml gives a file: that of the last entry that fits."""
    entries = tomllib.loads((ROOT / "REUSE.toml").read_text())["annotations"]
    fits = [entry for entry in entries if entry["path"] == "**" or path in entry["path"]]
    return fits[-1]["SPDX-License-Identifier"]


def test_each_bundled_file_has_the_licence_of_its_card_and_its_text_is_here():
    for card in read_yaml("data/open.yml")["files"]:
        given = licence(f"data/open/{card['name']}")
        assert given == SPDX[re.split(r"[;,(]", card["terms"])[0].strip()], card["name"]
        assert (ROOT / "LICENSES" / f"{given}.txt").exists()
    assert licence("lib/files.py") == PROJECT["license"] == "MIT"


def test_the_citation_and_the_changelog_have_the_version_of_the_package():
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert (
        f"## {citation['version']} ({citation['date-released']})"
        in (ROOT / "CHANGELOG.md").read_text()
    )


@pytest.mark.parametrize("name", ["tests", "pages"])
def test_a_workflow_runs_targets_of_the_makefile_on_pythons_that_are_supported(name):
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = " ".join(re.findall(r"run: make ([a-z -]+) PYTHON=python", text)).split()
    assert targets and all(f"\n{target}:" in makefile for target in targets)
    assert set(re.findall(r'"(3\.\d+)"', text)) <= {"3.11", "3.12", "3.13"}


def test_the_tests_run_on_each_python_and_system_of_the_readme():
    matrix = read_yaml(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest"]


def test_containers_and_binder_install_the_lock():
    container, build = ROOT / "apptainer.def", ROOT / ".binder" / "postBuild"
    for path in (container, build):
        assert "-r" in path.read_text() and "requirements.lock" in path.read_text(), path
    assert build.stat().st_mode & 0o100
    assert "uv" in read_yaml(".binder/environment.yml")["dependencies"]


def test_hooks_use_the_formatter_of_the_lock_and_leave_executed_copies_alone():
    hooks = {hook["id"]: hook for hook in read_yaml(".pre-commit-config.yaml")["repos"][0]["hooks"]}
    for name in ("ruff-check", "ruff-format"):
        assert hooks[name]["additional_dependencies"][0] in LOCK
    wanted = re.compile(hooks["nbstripout"]["files"])
    assert wanted.search("notebooks/01_ingest.ipynb")
    assert not wanted.search("results/notebooks/01_ingest.ipynb")


def test_the_overviews_name_what_is_there():
    """Functions as `module.name`, modules that are run, and files, folders and rooms."""
    text = "".join((ROOT / name).read_text() for name in ("lib/README.md", "CONTRIBUTING.md"))
    functions = set(re.findall(r"`([a-z_]+)\.([a-z_]+)(?:\([^`]*\))?`", text))
    functions = {(module, name) for module, name in functions if name not in ENDINGS}
    assert len(functions) >= 3
    for module, name in functions:
        (path,) = ROOT.glob(f"lib/**/{module}.py")
        assert re.search(rf"^def {name}\(", path.read_text(), re.MULTILINE), (module, name)
    runs = [name.replace(".", "/") + ".py" for name in re.findall(r"`python -m ([a-z_.]+)", text)]
    named = set(re.findall(r"`([\w./]+(?:/\w*|\.py|\.yml|\.toml|\.md))`", text))
    assert len(named) > 30 and len(runs) > 2
    for name in (*named, *runs):
        places = [*ROOT.glob(name), *ROOT.glob(f"lib/**/{name}"), *ROOT.glob(f"lib/{name}.py")]
        assert places, name


def test_the_recipes_name_what_is_there():
    """Names in capitals, and functions, are in one of the files that their recipe names."""
    recipes = (ROOT / "lib" / "README.md").read_text().partition("**A study.**")[2]
    recipes = [text for text in recipes.split("\n\n") if "Strangers" not in text]
    assert len(recipes) >= 6
    for recipe in recipes:
        quoted = re.findall(r"`([^`<>]+)`", recipe)
        files = [name for name in quoted if re.fullmatch(r"[\w/]+\.(py|yml)", name)]
        texts = [text.read_text() for name in files for text in ROOT.glob(f"lib/**/{name}")]
        texts += [text.read_text() for name in files for text in ROOT.glob(name)]
        for word in quoted:
            if re.fullmatch(r"[A-Z_]{4,}|read_\w+", word):
                assert any(re.search(rf"\b{word}\b", text) for text in texts), (word, files)
