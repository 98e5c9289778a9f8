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
    start()


def start():
    """Watch this process, where the environment names a file for it and folders (by a colon)."""
    if os.environ.get("RUN_JOURNAL"):
        watch(os.environ["RUN_JOURNAL"], os.environ["RUN_WATCH"].split(":"))


def die_with_parent():
    """Ask Linux to end this process with its parent, also when it hangs in compiled code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def watch(journal, folders):
    """Append to `journal` each path that this process opens for writing or renames into place.

    Only paths below `folders` are noted.
    """
    folders = tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)
    seen = set()
    log = open(journal, "a")  # stays open as long as the process lives

    def hook(event, args):
        if event == "open" and isinstance(args[0], str) and (args[2] or 0) & WRITES:
            note(args[0])
        elif event == "os.rename":
            note(os.fspath(args[1]))

    def note(path):
        path = os.path.abspath(path)
        if path not in seen and path.startswith(folders):
            seen.add(path)
            log.write(path + "\n")
            log.flush()

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
