"""Files of text as they come: there or not, packed or not, comments above the header, a header."""

import csv
import gzip
import io
import mmap
import re
import zlib
from pathlib import Path

from lib.tables import TableError

GZIP = b"\x1f\x8b"
RATIO = 100  # times its packed size that a file may unpack to; tables unpack to 5 to 20 times
SMALL = 1 << 26  # bytes that any file may unpack to
BLOCK = 1 << 18  # bytes that are looked at together
DAMAGED = (EOFError, OSError, zlib.error)  # of a packed file
RETURN = "carriage returns alone as line ends; save it with line feeds"


def exists(path):
    """The path of a plain file with something in it, or an error that says how to get it.

    Raises
    ------
    TableError
    """
    path = Path(path)
    if not path.exists():
        raise TableError(
            f"{path} is missing: python -m lib.screens.download gets a file of the releases, or "
            "says how to place it by hand"
        )
    if not path.is_file():
        raise TableError(f"{path} is no plain file: remove it and fetch the file again")
    if path.stat().st_size == 0:
        raise TableError(f"{path.name} is empty: delete it and fetch it again")
    return path


def most(path):
    """Bytes that a packed file may unpack to."""
    return SMALL + RATIO * path.stat().st_size


def _begins(path, n_bytes):
    with path.open("rb") as file:
        return file.read(n_bytes)


def lacks(path, mark):
    """Whether a file is plain and the mark stands nowhere in it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return held[:2] != GZIP and held.find(mark.encode()) < 0


def blocks(path, skip):
    """The file in blocks of whole lines, unpacked, from behind its first lines; each block ends
    with a line feed.

    Raises
    ------
    TableError
        If a packed file unpacks to far more than it holds.
    """
    left = most(path)
    opened = gzip.open if _begins(path, 2) == GZIP else open
    with opened(path, "rb") as file:
        for _ in range(skip):
            file.readline(left)
        while block := file.read(BLOCK):
            block += file.readline(left)
            left -= len(block)
            if left < 0:
                raise TableError(
                    f"{path.name} unpacks to more than {RATIO} times its size: fetch it again"
                )
            yield block if block.endswith(b"\n") else block + b"\n"


class Packed(gzip.GzipFile):
    """A packed file that ends in an error where it unpacks to far more than it holds."""

    def read(self, size=-1):
        if self.tell() > most(Path(self.name)):
            raise OSError(f"it unpacks to more than {RATIO} times its size")
        return super().read(size)


def text(path, lossy):
    """Open a plain or gzip text file for reading; a line ends with a line feed."""
    begins = _begins(path, 512)
    packed = begins.startswith(GZIP)
    if b"\0" in begins and not packed:
        raise TableError(
            f"{path.name} is no UTF-8 text: a workbook, an archive or UTF-16; save it as UTF-8 text"
        )
    file = io.BufferedReader(Packed(path)) if packed else path.open("rb")
    errors = "replace" if lossy else "strict"
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors=errors, newline="\n")


def top(path, column=""):
    """Number of the lines above the header, and the header without its end.

    Above it stand lines that begin with #, or any that do not name the column.

    Raises
    ------
    TableError
        If the file is no text, has no such line, or ends its lines with carriage returns alone.
    """
    path = exists(path)
    try:
        with text(path, lossy=True) as lines:
            for above, line in enumerate(lines):
                if "\r" in line.rstrip("\r\n"):
                    raise TableError(f"{path.name}, line {above + 1}: {RETURN}")
                named = not column or column in re.split(r'[\t,"]+', line.rstrip("\r\n"))
                if named and not line.startswith("#"):
                    return above, line.rstrip("\r\n")
    except DAMAGED as error:
        raise TableError(
            f"{path.name} cannot be read ({error}): delete it and fetch it again"
        ) from error
    what = f" with a column {column}" if column else ""
    raise TableError(f"{path.name} has no header line{what}: delete it and fetch it again")


def names(path, separator, column=""):
    """The names in the header line of a text file."""
    _, first = top(path, column)
    quoting = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    return next(csv.reader([first], delimiter=separator, quoting=quoting))


def stem(path):
    """File name without its endings: the short name that curve ids carry."""
    return re.sub(r"(\.(csv|tsv|txt|gz|zip|tar|tgz|xlsx?))+$", "", Path(path).name)
