"""Loaded into the kernel of every run: notes the files that a notebook writes; none is declared.

Python tells an audit hook of every file opened and every rename, so tables, figures and CSV files
are all seen.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def load_ipython_extension(_):
    """Entry point of IPython's extensions."""
    die_with_parent()
    watch(os.environ)


def die_with_parent():
    """Ask Linux to end this process with its parent, also when it hangs in compiled code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def watch(environment):
    """Append to the file RUN_JOURNAL each path that this process opens for writing or renames into
    place below the folders RUN_WATCH, which colons separate; nothing where there is no such file.
    """
    if "RUN_JOURNAL" not in environment:
        return
    folders = environment["RUN_WATCH"].split(":")
    folders = tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)
    seen = set()
    log = open(environment["RUN_JOURNAL"], "a")  # stays open as long as the process lives

    def hook(event, args):
        if event == "open" and isinstance(args[0], str) and (args[2] or 0) & WRITES:
            path = args[0]
        elif event == "os.rename":
            path = os.fspath(args[1])
        else:
            return
        path = os.path.abspath(path)
        if path not in seen and path.startswith(folders):
            seen.add(path)
            print(path, file=log, flush=True)

    sys.addaudithook(hook)


def written(journal):
    """Files that the journal names and that still exist, sorted; a folder stands for its files."""
    if not journal.exists():
        return []
    found = set()
    for line in journal.read_text().splitlines():
        path = Path(line)
        found.update([path, *path.rglob("*")])
    return sorted(path for path in found if path.is_file())
