"""How large the library is and how dense it reads: counted from its own source, docstrings and
comments apart.

    python -m benchmarks.house              # a row per room and the sum
    python -m benchmarks.house modules      # a row per file
    python -m benchmarks.house options      # parameters with a default that nobody sets

A code line holds at least one token that is neither comment nor docstring; a token is a name,
number, string or operator of Python's own tokenizer. The body of a function is its code lines below
the signature. An option is set by nobody if no call in the library, the notebooks, `run_all.py`,
`benchmarks`, `data`, `examples` or `results` gives it a value, by name or by position; tests do not
count.
"""

import ast
import io
import json
import sys
import tokenize

import pandas as pd

from lib.paths import ROOT

NO_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)
CALLERS = ("lib", "benchmarks", "data", "examples", "results")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FREE = (
    "self",
    "cls",
    "argv",
)  # `argv` of a command line is there for whoever calls it without a shell


def modules(folder=ROOT / "lib"):
    """One row per file of the library.

    Returns
    -------
    DataFrame
        room, module, all_lines, code_lines, tokens, longest_body, widest (columns), bodies (list of
        int).
    """
    rows = []
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        room = inside.parts[0] if len(inside.parts) > 1 else "ground"
        rows.append({"room": room, "module": str(inside), **measure(path.read_text())})
    return pd.DataFrame(rows)


def measure(text):
    """Counts of one file."""
    tree = ast.parse(text)
    documented = docstring_lines(tree)
    code_lines = set()
    n_tokens = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in NO_CODE or token.start[0] in documented:
            continue
        n_tokens += 1
        code_lines.update(range(token.start[0], token.end[0] + 1))
    bodies = []
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            body = set(range(node.body[0].lineno, node.end_lineno + 1))
            bodies.append(len(code_lines & body))
    lines = text.splitlines()
    return {
        "all_lines": len(lines),
        "code_lines": len(code_lines),
        "tokens": n_tokens,
        "longest_body": max(bodies, default=0),
        "widest": max((len(line) for line in lines), default=0),
        "bodies": bodies,
    }


def docstring_lines(tree):
    """Numbers of the lines that docstrings take."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            found.update(range(first.lineno, first.end_lineno + 1))
    return found


def rooms(table):
    """One row per room and the sum, from `modules`."""
    parts = [(room, part) for room, part in table.groupby("room")]
    rows = []
    for room, part in [*parts, ("all", table)]:
        bodies = pd.Series([length for lengths in part["bodies"] for length in lengths])
        row = {
            "room": room,
            "files": len(part),
            "code_lines": part["code_lines"].sum(),
            "tokens": part["tokens"].sum(),
            "tokens_per_line": part["tokens"].sum() / max(part["code_lines"].sum(), 1),
            "largest_file": part["all_lines"].max(),
            "body_median": bodies.median(),
            "body_p90": bodies.quantile(0.9),
            "body_max": bodies.max(),
            "widest": part["widest"].max(),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def sources():
    """Every Python text that may call the library: files, and notebooks as one text each."""
    files = [path for name in CALLERS for path in sorted((ROOT / name).rglob("*.py"))]
    for path in [*files, ROOT / "run_all.py"]:
        yield path.read_text()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        yield "\n".join(code)


def calls(texts):
    """What calls give, by the name of what is called: keywords, the most positional values, whether
    one is unpacked.
    """
    found = {}
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            called = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", None)
            )
            values = node.args
            if (
                called == "partial" and values
            ):  # functools.partial(function, ...) gives values to the function
                called = getattr(values[0], "attr", getattr(values[0], "id", None))
                values = values[1:]
            known = found.setdefault(
                called, {"keywords": set(), "positional": 0, "unpacked": False}
            )
            known["keywords"].update(keyword.arg for keyword in node.keywords)
            known["positional"] = max(known["positional"], len(values))
            unpacked = any(isinstance(value, ast.Starred) for value in values)
            known["unpacked"] |= unpacked or any(keyword.arg is None for keyword in node.keywords)
    return found


def options(folder=ROOT / "lib"):
    """Parameters with a default that no call sets.

    Returns
    -------
    unset : list of str
        "module function(parameter)".
    n : int
        Parameters with a default in all.
    """
    given = calls(sources())
    unset = []
    n = 0
    for path in sorted(folder.rglob("*.py")):
        for name, function, bound in functions(ast.parse(path.read_text())):
            known = given.get(name, {"keywords": set(), "positional": 0, "unpacked": False})
            for place, parameter in defaults(function, bound):
                n += 1
                by_place = place is not None and place < known["positional"]
                if not (known["unpacked"] or parameter in known["keywords"] or by_place):
                    unset.append(f"{path.relative_to(folder)} {name}({parameter})")
    return unset, n


def functions(tree):
    """Functions and methods with the name that calls them, and whether their first parameter is
    bound.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, FUNCTIONS):
                    yield (node.name if method.name == "__init__" else method.name), method, True
        elif isinstance(node, FUNCTIONS):
            methods = {id(m) for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for m in c.body}
            if id(node) not in methods:
                yield node.name, node, False


def defaults(function, bound):
    """Parameters with a default: their place among positional values (None where only a name
    reaches them).
    """
    ordered = [*function.args.posonlyargs, *function.args.args]
    first = len(ordered) - len(function.args.defaults)
    for place, parameter in enumerate(ordered):
        if place >= first and parameter.arg not in FREE:
            yield place - bound, parameter.arg
    for parameter, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if default is not None and parameter.arg not in FREE:
            yield None, parameter.arg


def main(argv):
    if argv == ["options"]:
        unset, n = options()
        print("\n".join(unset))
        print(f"{len(unset)} of {n} options are set by nobody")
        return
    table = modules()
    shown = table.drop(columns="bodies") if argv == ["modules"] else rooms(table)
    print(shown.to_string(index=False, float_format="{:.1f}".format))


if __name__ == "__main__":
    main(sys.argv[1:])
