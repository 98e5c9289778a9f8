"""Run benchmarks and write what they return into benchmarks/README.md.

    python -m benchmarks              every benchmarks/bench_*.py
    python -m benchmarks hill drugs   those

Each module has a `main()` that returns its section as Markdown, which is replaced between its
markers; others stay.
"""

import importlib
import re
import sys
import traceback
from pathlib import Path

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
HEADER = """# Benchmarks

Ratios between this code and a named peer, both measured in one run on the same machine; `make bench` measures them all
again, `python -m benchmarks NAME` one of them. Absolute times belong to the machine and to its load on that day.
"""


IN_SHORT = {  # the three numbers to remember: where each stands, and what it means
    r"`hill.fit`, all outputs \|.*\| ([\d,]+ ×) \|": "Hill fits per processor second against SciPy",
    r"whole reader, contract table in hand \|.*\| ([\d.]+) \|": "of the memory of pandas for an ingest",
    r"average\): \*\*([\d.]+ minutes)\*\*": "a thousand networks on two cores",
}


def in_short(text):
    """The page with its three numbers on top, read from the sections."""
    found = [(re.search(pattern, text), meaning) for pattern, meaning in IN_SHORT.items()]
    lines = [f"* **{number[1]}**: {meaning}" for number, meaning in found if number]
    block = "\n".join(["<!-- in short -->", *lines, "<!-- end of in short -->"])
    rest = re.sub("<!-- in short -->.*?<!-- end of in short -->\n*", "", text, flags=re.S)
    title, _, rest = rest.partition("\n\n")
    return f"{title}\n\n{block}\n\n{rest}"


def put(text, name, section):
    """The page with the section of one benchmark replaced, or added at the end."""
    start, stop = (
        f"<!-- {name}: written by python -m benchmarks {name} -->",
        f"<!-- end of {name} -->",
    )
    block = f"{start}\n{section.strip()}\n{stop}"
    if start in text and stop in text:
        return text[: text.index(start)] + block + text[text.index(stop) + len(stop) :]
    return f"{text.rstrip()}\n\n{block}\n"


def main(names):
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise SystemExit(f"unknown benchmark(s) {unknown}; there are {known}")
    failed = []
    for name in names or known:
        print(f"{name} ...", flush=True)
        try:
            section = importlib.import_module(f"benchmarks.bench_{name}").main()
        except Exception:
            traceback.print_exc()
            failed.append(name)
            continue
        text = README.read_text(encoding="utf-8") if README.exists() else HEADER
        README.write_text(in_short(put(text, name, section)), encoding="utf-8")
        print(section, flush=True)
    raise SystemExit(f"failed: {failed}" if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
