"""Content keys: what a notebook's result depends on, and whether that has changed.

A key has four parts: the notebook's cells, its parameters, the tables it reads (by content) and the
modules of `lib` it imports, directly or through one another. Two runs with equal keys give the same
tables, so the second is not needed.
"""

import ast
import functools
import hashlib
import json
import os
import re
from pathlib import Path

import lib
from lib import files

LIB = Path(lib.__file__).parent
SHORT = 20  # hexadecimal digits kept of a SHA-256


def sha(text):
    """Start of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]


def sha_of_file(path):
    """Start of the SHA-256 of a file's content: that of its text, where it is one."""
    return files.sha256(path)[:SHORT]


def below(path):
    """The file, or the files of a folder, sorted; without what Python keeps there."""
    inside = [path, *sorted(path.rglob("*"))]
    return [file for file in inside if file.is_file() and "__pycache__" not in file.parts]


class Hashes:
    """Hashes of files, remembered by size and modification time so that large ones are read once.

    Parameters
    ----------
    root : Path
        Paths are recorded relative to this folder, so that a result may move between machines.
    store : Path, optional
        JSON file that keeps the memory between runs.
    """

    def __init__(self, root, store=None):
        self.root = Path(root)
        self.store = store
        # Only a memory: no harm if lost.
        self.known = store and files.read_json(store, dict[str, tuple[int, int, int, str]]) or {}

    def of(self, path):
        """Hash of one file's content; None where there is no file that can be read."""
        path = self.root / path
        name = os.path.relpath(path, self.root)
        try:
            if not path.is_file():  # a pipe, for instance: it could not be read to its end
                return None
            stat = path.stat()
            # With the moment of the last change of its entry, which nobody can set back.
            stamp = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
            if self.known.get(name, ())[:3] != stamp:
                self.known[name] = *stamp, sha_of_file(path)
        except OSError:
            return None
        return self.known[name][3]

    def of_all(self, paths):
        """Hashes by the path relative to `root`, of files below it."""
        return {os.path.relpath(path, self.root): self.of(path) for path in paths}

    def under(self, path):
        """Hashes of a file, or of every file below a folder, by relative path."""
        return self.of_all(below(self.root / path))

    def save(self):
        files.write_text(self.store, json.dumps(self.known))


def cells(path):
    """Cells of a notebook file, as dictionaries of nbformat 4; a Python file counts as one cell."""
    path = Path(path)
    text = path.read_text()
    if path.suffix == ".py":
        return [{"cell_type": "code", "id": path.name, "source": text}]
    try:
        return json.loads(text)["cells"]
    except (json.JSONDecodeError, KeyError) as error:
        what = f"{path} is not a notebook ({error})"
        raise ValueError(f"{what}; restore it from version control") from None


def source(cell):
    """A cell's text; the file keeps it as one string or as a list of lines."""
    return "".join(cell["source"])


def code(path):
    """The Python of a notebook, without IPython's magic and shell lines."""
    text = "\n".join(source(cell) for cell in cells(path) if cell["cell_type"] == "code")
    return re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", text)


def parameters(path):
    """Parameters that a notebook declares in its cell tagged `parameters`.

    Returns
    -------
    dict of str to object
        Name to default value.

    Raises
    ------
    ValueError
        If there is not exactly one such cell, or it holds anything but assignments of literals.
    """
    name = Path(path).name
    tagged = [c for c in cells(path) if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        found = f"{len(tagged)} cells tagged 'parameters'"
        raise ValueError(f"{name} has {found}; it needs exactly one")
    declared = {}
    for statement in ast.parse(source(tagged[0])).body:
        try:
            target = getattr(statement, "target", None) or statement.targets[0]
            declared[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            line = ast.unparse(statement)
            what = f"the parameters cell may hold literals only, found {line!r}"
            raise ValueError(f"{name}: {what}") from None
    return declared


@functools.lru_cache(maxsize=1000)
def imported(text):
    """Modules of `lib` that a Python text imports anywhere, as dotted names below `lib`.

    `from lib.screens import ccle` gives both `screens` and `screens.ccle`: whether the last name is
    a module or a function is for the caller to find out. A name that is computed is not seen.
    """
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name.removeprefix("lib.") for name in names if name.startswith("lib."))


def library(path):
    """Hashes of the library files that a notebook uses.

    These are the modules it imports, what those import, and so on, and every file beside them that
    is no module.

    Returns
    -------
    dict of str to str
        File relative to `lib` to hash.
    """
    found = {}
    waiting = set(imported(code(path)))
    while waiting:
        module = LIB.joinpath(*waiting.pop().split("."))
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            name = str(file.relative_to(LIB))
            if name not in found and file.is_file():
                found[name] = sha_of_file(file)
                waiting |= imported(file.read_text())
    for file in below(LIB):
        if file.suffix != ".py":
            found[str(file.relative_to(LIB))] = sha_of_file(file)
    return found


def program(path):
    """The two parts of a content key that are code: `source` and `lib`."""
    text = json.dumps([[cell["cell_type"], source(cell)] for cell in cells(path)])
    return {"source": sha(text), "lib": library(path)}


def digest(key):
    """A content key as one short text."""
    return sha(json.dumps(key, sort_keys=True))


def difference(old, new):
    """Why a result made under the key `old` is not good under `new`; empty where it is."""
    if old["source"] != new["source"]:
        return "the notebook changed"
    for part, word in (("parameters", "parameter"), ("lib", "lib"), ("inputs", "input")):
        before = old[part]
        names = sorted(n for n in before | new[part] if before.get(n) != new[part].get(n))
        if names:
            return f"{word} {first_of(names)} changed"
    return ""


def first_of(names):
    """The first of some names, and how many more there are."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
