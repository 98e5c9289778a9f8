"""Loaded into the kernel of every run: writes down which files the notebook writes, so that nobody has to declare them.

Python tells an audit hook of every file opened and every rename, so tables, figures and CSV files are all seen.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def load_ipython_extension(_):
    """Entry point of IPython's extensions; needs RUN_JOURNAL (a file) and RUN_WATCH (folders, separated by a colon)."""
    die_with_parent()
    start()


def start():
    """Watch this process, where the environment asks for it."""
    if os.environ.get("RUN_JOURNAL"):
        watch(Path(os.environ["RUN_JOURNAL"]), os.environ["RUN_WATCH"].split(":"))


def die_with_parent():
    """Ask Linux to end this process with its parent, also when it hangs in compiled code; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def watch(journal, folders):
    """Append to `journal` each path below `folders` that this process opens for writing or renames into place."""
    folders, seen = tuple(os.path.join(os.path.abspath(f), "") for f in folders), set()
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
    """Files that the journal names and that still exist, sorted; a folder stands for the files in it."""
    lines = set(Path(journal).read_text().splitlines()) if Path(journal).exists() else set()
    paths = [Path(line) for line in lines]
    files = [f for p in paths if p.is_dir() for f in p.rglob("*")] + paths
    return sorted({f for f in files if f.is_file()})
