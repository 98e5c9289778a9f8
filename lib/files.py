"""Files written whole or not at all, their hashes, and the processors that this process may use."""

import contextlib
import hashlib
import os
from pathlib import Path


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


def processors():
    """Processors that this process may use: those it is bound to, and no more than OMP_NUM_THREADS
    grants it.

    The conductor sets that variable where several notebooks share a machine, and a batch system
    where jobs do.
    """
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    granted = (
        os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    )  # "4,2": of the outermost level
    return max(1, min(bound, int(granted))) if granted.isdigit() else bound
