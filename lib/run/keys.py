"""Content keys: what a notebook's result depends on, and whether that has changed.

A key has four parts: the notebook's cells, its parameters, the tables it reads (by content) and the modules of `lib` it
imports, directly or through one another. Two runs with equal keys give the same tables, so the second is not needed.
"""

import ast
import functools
import hashlib
import json
import os
from pathlib import Path

import lib
from lib import files

LIB = Path(lib.__file__).parent


def sha(text):
    """First 20 hexadecimal digits of the SHA-256 of a text or of bytes."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:20]


class Hashes:
    """Hashes of files, remembered by size and modification time so that large inputs are read once.

    Parameters
    ----------
    root : Path
        Paths are recorded relative to this folder, so that a result may move between machines.
    store : Path, optional
        JSON file that keeps the memory between runs.
    """

    def __init__(self, root, store=None):
        self.root, self.store, self.known = Path(root), store, {}
        if store and store.exists():
            self.known = json.loads(store.read_text())

    def of(self, path):
        """Hash of one file's content; None where there is no such file."""
        path = self.root / path
        try:
            stat = path.stat()
        except OSError:
            return None
        stamp = [stat.st_size, stat.st_mtime_ns]
        name = self.name(path)
        if self.known.get(name, [None])[:2] != stamp:
            self.known[name] = [*stamp, files.sha256(path)[:20]]
        return self.known[name][2]

    def under(self, folder):
        """Hashes of every file below a folder (or of the one file named), keyed by relative path."""
        folder = self.root / folder
        files = (
            [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
        )
        return {self.name(p): self.of(p) for p in files if "__pycache__" not in p.parts}

    def name(self, path):
        return os.path.relpath(path, self.root)

    def save(self):
        if self.store:
            files.write_text(self.store, json.dumps(self.known))


def cells(path):
    """The cells of a notebook file, as dictionaries of nbformat 4; a Python file counts as one cell."""
    text = Path(path).read_text()
    if Path(path).suffix == ".py":
        return [{"cell_type": "code", "id": Path(path).name, "source": text}]
    try:
        return json.loads(text)["cells"]
    except (json.JSONDecodeError, KeyError) as error:
        raise ValueError(
            f"{path} is not a notebook ({error}); restore it from version control"
        ) from None


def source(cell):
    """A cell's text; the file keeps it as one string or as a list of lines."""
    return "".join(cell["source"])


def code(path):
    """The Python of a notebook, without IPython's magic and shell lines."""
    lines = "\n".join(source(c) for c in cells(path) if c["cell_type"] == "code").splitlines()
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)


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
    tagged = [c for c in cells(path) if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(
            f"{Path(path).name} has {len(tagged)} cells tagged 'parameters'; it needs exactly one"
        )
    declared = {}
    for statement in ast.parse(source(tagged[0])).body:
        target = (
            statement.target
            if isinstance(statement, ast.AnnAssign)
            else getattr(statement, "targets", [None])[0]
        )
        try:
            declared[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            line = ast.unparse(statement)
            raise ValueError(
                f"{Path(path).name}: the parameters cell may hold literals only, found {line!r}"
            ) from None
    return declared


@functools.lru_cache(maxsize=1000)
def imported(text):
    """Modules of `lib` that a Python text imports anywhere, as dotted names below `lib`.

    `from lib.screens import ccle` gives both `screens` and `screens.ccle`: whether the last name is a module or a
    function is for the caller to find out. `import_module(f"lib.screens.{name}")` gives `screens.*`.
    """
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            names |= {
                f"{text}*" if text.endswith(".") else text
                for text in texts
                if isinstance(text, str)
            }
    return frozenset(name.removeprefix("lib.") for name in names if name.startswith("lib."))


def library(path, folder=LIB):
    """Hashes of the library files that a notebook uses: the modules it imports, what these import, and so on.

    Returns
    -------
    dict of str to str
        File relative to `lib` to hash.
    """
    found, waiting = {}, set(imported(code(path)))
    while waiting:
        for file in _modules(folder, waiting.pop()):
            name = str(file.relative_to(folder))
            if name not in found:
                text = file.read_text()
                found[name] = sha(text)
                waiting |= imported(text)
    beside = (
        p
        for p in folder.rglob("*")
        if p.is_file() and p.suffix != ".py" and p.parent.name != "__pycache__"
    )
    return found | {str(p.relative_to(folder)): sha(p.read_bytes()) for p in beside}


def _modules(folder, name):
    if name.endswith("*"):
        return list(folder.joinpath(*name.split(".")[:-1]).rglob("*.py"))
    path = folder.joinpath(*name.split("."))
    return [p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()]


def program(path, folder=LIB):
    """The two parts of a content key that are code: `source` and `lib`."""
    text = json.dumps([[c["cell_type"], source(c)] for c in cells(path)])
    return {"source": sha(text), "lib": library(path, folder)}


def key(path, params, inputs, folder=LIB):
    """The content key of one execution of a notebook.

    Parameters
    ----------
    path : Path
        The source notebook.
    params : dict
        The parameters it is given.
    inputs : dict of str to str
        The files it may read, to their hashes.

    Returns
    -------
    dict
        Parts `source`, `lib`, `parameters`, `inputs`; equal keys mean equal results.
    """
    return program(path, folder) | {"parameters": params, "inputs": inputs}


def digest(key):
    """A content key as one short text."""
    return sha(json.dumps(key, sort_keys=True))


def difference(old, new):
    """Why a result made under the key `old` is not good under `new`, in a few words; empty where it is."""
    if old.get("source") != new["source"]:
        return "the notebook changed"
    for part, word in (("parameters", "parameter"), ("lib", "lib"), ("inputs", "input")):
        names = sorted(n for n in old[part] | new[part] if old[part].get(n) != new[part].get(n))
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return f"{word} {names[0]}{more} changed"
    return ""
