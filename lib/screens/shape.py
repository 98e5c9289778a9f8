"""Whether every row of a delimited file has as many fields as its header, counted over the bytes.

A parser that skips columns takes a row with a field too many, or one too few, for a whole one: the values that follow
are then read from the wrong column without a word. Counting separators finds that for one pass over the file.
"""

import gzip
from pathlib import Path

import numpy as np

CHUNK = 1 << 18  # fits a core's cache
NEWLINE, RETURN, QUOTE = 10, 13, 34


def whole(path, separator, n_fields, skip=0):
    """True if the separators outside quotes are as many as rows of `n_fields` fields have.

    Parameters
    ----------
    path : path
        Plain or gzip.
    separator : str
        One character.
    n_fields : int
        Of the header.
    skip : int
        Lines above the header, which are not looked at.

    Returns
    -------
    bool
        Also True where quotes do not pair up, since then nothing can be said; empty lines do not count as rows.
    """
    path, opened = Path(path), gzip.open if Path(path).suffix == ".gz" else open
    separators = rows = quotes = 0
    last = NEWLINE  # the byte before the chunk
    with opened(path, "rb") as handle:
        for _ in range(skip):
            handle.readline()
        while block := handle.read(CHUNK):
            data = np.frombuffer(block, np.uint8)
            ends = data == NEWLINE
            between = data == ord(separator)
            if quotes % 2 or QUOTE in block:
                outside, quotes = _outside(data, quotes)
                ends, between = ends & outside, between & outside
            separators += np.count_nonzero(between)
            rows += np.count_nonzero(ends) - _empty(data, ends, last)
            last = (block.rstrip(b"\r") or bytes([last]))[-1]
    rows += last != NEWLINE
    return bool(quotes % 2 or separators == rows * (n_fields - 1))


def _outside(data, quotes):
    """Mask of the bytes outside quotes, and the count of quotes so far (a quote in a quoted text is doubled)."""
    marks = np.cumsum(data == QUOTE, dtype=np.int64) + quotes
    return marks % 2 == 0, int(marks[-1])


def _empty(data, ends, last):
    """Line ends that close an empty line: those after another line end, perhaps with a carriage return between."""
    if RETURN in data[:2048]:
        ends = ends[data != RETURN]
    return (
        int(ends[0] and last == NEWLINE) + np.count_nonzero(ends[1:] & ends[:-1])
        if len(ends)
        else 0
    )
