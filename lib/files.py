"""Files written whole or not at all, YAML read with care, hashes, and the processors that this
process may use.
"""

import contextlib
import ctypes
import hashlib
import os
import re
import signal
import sys
from pathlib import Path

import yaml

MOST_BYTES = 1_000_000  # of a YAML file
MOST_VALUES = 100_000  # of a YAML file, counting what an alias repeats: a bomb is not unpacked
# Numbers of YAML that read as others than they look: 010 is 8, 1:30 is 90, 0x1f is 31.
OTHER = re.compile(r"[-+]?0[\dbx_]|.*[:_]")
# What PyYAML raises; without a YAMLError where a tag does not fit its text (`!!int x`).
NOT_YAML = (
    yaml.YAMLError, OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError
)  # fmt: skip


@contextlib.contextmanager
def whole(path):
    """Write a file whole or not at all.

    Gives a path beside the target to write to. It is renamed to the target when the block ends, and
    removed when the block fails; a reader sees the old file or the new one. Folders are made.

    >>> with whole("table.csv") as part:  # doctest: +SKIP
    ...     part.write_text("a,b")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path, text):
    """Write a text file whole or not at all."""
    with whole(path) as part:
        part.write_text(text)


def sha256(path):
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path, kind):
    """What a JSON file holds, as pydantic reads the kind; None if it is missing, no plain file, cut
    or of another kind.
    """
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(kind).validate_json(path.read_bytes() if path.is_file() else b"")
    except (OSError, ValueError):
        return None


def read_yaml(path):
    """Plain values of a YAML file, None if it is empty; no tag makes an object or runs code.

    Raises
    ------
    ValueError
        In one sentence that names the file: it is no YAML, a key stands twice, an alias contains
        itself, or there are too many values.
    """
    path = Path(path)
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is no plain file, or larger than {MOST_BYTES:,} bytes")
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            return None
        for n_values, _ in enumerate(_nodes(node, ())):
            if n_values > MOST_VALUES:
                raise ValueError(f"it holds more than {MOST_VALUES:,} values")
        return loader.construct_document(node)
    except NOT_YAML as error:
        said = " ".join(str(error).split())
    raise ValueError(f"{path.name} is not YAML that can be used: {said}; mend it and start again")


def _nodes(node, above):
    """Yield every node of a YAML document, following aliases; refuses circles and repeated keys."""
    if node in above:
        raise ValueError(f"the value of line {node.start_mark.line + 1} contains itself")
    yield node
    if node.tag.endswith((":int", ":float")) and OTHER.match(node.value):
        raise ValueError(f"{node.value[:40]!r} reads as another number: write plain digits")
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _nodes(child, above)
    if isinstance(node, yaml.MappingNode):
        lines = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in lines:
                    first = lines[key.value]
                    raise ValueError(f"{key.value!r} stands twice, in lines {first} and {line}")
                lines[key.value] = line
            yield from _nodes(key, above)
            yield from _nodes(value, above)


def die_with_parent():
    """Ask Linux to end this process with its parent, also when it hangs in compiled code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def processors():
    """Processors that this process may use: those it is bound to, and no more than OMP_NUM_THREADS
    grants it.

    The conductor sets that variable where several notebooks share a machine, and a batch system
    where jobs do.
    """
    bound = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        bound = len(os.sched_getaffinity(0))
    # "4,2": of the outermost level
    granted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, min(bound, int(granted))) if granted.isdigit() else bound
