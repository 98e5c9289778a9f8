"""Loaded into the kernel of every run: notes the files that a notebook writes; none is declared.

Python tells an audit hook of every file opened and every rename, so tables, figures and CSV files
are all seen.
"""

import os
import subprocess
import sys
from pathlib import Path

from lib import files

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def load_ipython_extension(_):
    """Entry point of IPython's extensions.

    With the kernel ends what it started: forks by themselves, other programs by a shell of its
    session, which reads from a pipe that nobody else holds.
    """
    files.die_with_parent()
    os.register_at_fork(after_in_child=files.die_with_parent)
    subprocess.Popen(["sh", "-c", "read _; kill -KILL 0"], stdin=os.pipe()[0])
    watch(os.environ)


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


def lines(journal):
    """What a journal names, in order; nothing where there is none yet."""
    return journal.read_text().splitlines() if journal.exists() else []


def written(lines):
    """Files that lines of a journal name and that still exist; a folder stands for its files."""
    found = set()
    for line in lines:
        path = Path(line)
        found.update([path, *path.rglob("*")])
    return {path for path in found if path.is_file()}
