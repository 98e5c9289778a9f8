"""Members of the archives in which the studies pack their tables, and sheets of their workbooks.

An archive comes from a stranger: a member is a plain file inside the folder, not encrypted, and
unpacks to no more than `most` bytes, which is looked at before anything is unpacked.
"""

import os
import re
import resource
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path, PurePosixPath

import pandas as pd

from lib import files
from lib.screens import texts
from lib.tables import TableError

ENCRYPTED = 1  # flag of a zip member
DEFLATE64 = 9  # the zip method that Python's zipfile cannot open
MEMBERS = 10_000  # of a tar archive, looked at
MEMORY = 8 << 30  # bytes of address space for reading a workbook
AGAIN = "delete it and fetch it again"


@contextmanager
def member(path, pattern):
    """The file of an archive whose name matches, unpacked to a folder that is removed afterwards.

    A plain file is passed through.

    Zip archives packed with Deflate64 (as the NCI packs DOSERESP) need the program `7z` or `unzip`.

    Parameters
    ----------
    path : path
        A .zip, .tar.gz or .tgz archive, or the file itself.
    pattern : str
        Regular expression, searched in the member's name.

    Raises
    ------
    TableError
        If the archive is cut, has no such member or one that may not be unpacked, or needs a
        program that is not here.
    """
    path = texts.exists(path)
    name = path.name.lower()
    if not name.endswith((".zip", ".tar.gz", ".tgz", ".tar")):
        yield path
        return
    beside = path.parent if os.access(path.parent, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        unpack = _from_zip if name.endswith(".zip") else _from_tar
        with _named(path, "is cut or damaged"):
            target = unpack(path, pattern, Path(folder))
        yield target


@contextmanager
def _named(path, what):
    """Any error as one that names the file: every kind of damage has its own type."""
    try:
        yield
    except TableError:
        raise
    except Exception as error:
        raise TableError(f"{path.name} {what} ({error}): {AGAIN}") from error


def _pick(path, names, pattern):
    real = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
    found = [name for name in real if re.search(pattern, name)]
    if len(found) != 1:
        raise TableError(
            f"{path.name} must hold one file like {pattern!r}, found {found or real[:20]}"
        )
    return found[0]


def _target(path, folder, name, size, plain):
    """Where a member is unpacked to, if it may be."""
    inside = PurePosixPath(name.replace("\\", "/"))
    if inside.is_absolute() or ".." in inside.parts:
        what = "lies outside of the archive"
    elif not plain:
        what = "is no plain file (a folder, a link, a device, or encrypted)"
    elif size > texts.most(path):
        what = f"would unpack to {size:,} bytes"
    else:
        return folder / inside.name
    raise TableError(f"{path.name}: member {name!r} {what}: {AGAIN}")


def _copy(source, target, size):
    """Write so many bytes, no more and no fewer."""
    with target.open("wb") as sink:
        while block := source.read(1 << 20):
            size -= len(block)
            if size < 0:
                raise ValueError("a member is longer than it says")
            sink.write(block)
    if size:
        raise ValueError("a member is shorter than it says")


def _from_zip(path, pattern, folder):
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(_pick(path, archive.namelist(), pattern))
        kind = stat.S_IFMT(info.external_attr >> 16)
        plain = kind in (0, stat.S_IFREG) and not info.flag_bits & ENCRYPTED
        target = _target(path, folder, info.filename, info.file_size, plain)
        if info.compress_type == DEFLATE64:
            _unpack_deflate64(path, info, target)
        else:
            with archive.open(info) as source:
                _copy(source, target, info.file_size)
    return target


def _unpack_deflate64(path, info, target):
    commands = {"7z": ["e", "-so"], "unzip": ["-p"]}
    program = next((name for name in commands if shutil.which(name)), None)
    # a program may take other signs for an option or for several files
    if program is None or not re.fullmatch(r"\w[\w. /()+-]*", info.filename):
        raise TableError(
            f"{path.name} is packed with Deflate64, which Python cannot open: install 7zip or "
            f"unzip (apt-get install unzip), or unpack {info.filename} by hand beside it"
        )
    command = [program, *commands[program], str(path), info.filename]
    pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with subprocess.Popen(command, **pipes) as running:
        _copy(running.stdout, target, info.file_size)
    if running.returncode:
        raise ValueError(f"{program} exit {running.returncode}")


def _from_tar(path, pattern, folder):
    """One pass over the archive, member by member, so that nothing is read ahead."""
    opened = open if path.suffix == ".tar" else texts.Packed
    names = []
    with opened(path, "rb") as packed:
        with tarfile.open(fileobj=packed, mode="r|") as archive:
            for info in archive:
                names.append(info.name)
                if len(names) > MEMBERS:
                    raise ValueError(f"it has more than {MEMBERS} members")
                if re.search(pattern, info.name):
                    plain = info.isfile() and not info.issparse()
                    target = _target(path, folder, info.name, info.size, plain)
                    _copy(archive.extractfile(info), target, info.size)
    _pick(path, names, pattern)
    return target


def workbook(path, **how):
    """An Excel file, old or new, as `pandas.read_excel` gives it.

    It is read in a process of its own, of bounded memory: a cell in the last row and column makes
    the parser ask for the whole sheet, and end its process.

    Raises
    ------
    TableError
        If the file is no workbook, or unpacks to far more than it holds.
    """
    path = texts.exists(path)
    with _named(path, "cannot be read as a workbook"):
        if zipfile.is_zipfile(path):  # a new one
            with zipfile.ZipFile(path) as book:
                size = sum(info.file_size for info in book.infolist())
            if size > texts.most(path):
                raise ValueError(f"it would unpack to {size:,} bytes")
        with ProcessPoolExecutor(1, get_context("spawn"), _bounded) as pool:
            return pool.submit(pd.read_excel, path, engine="calamine", **how).result()


def _bounded():
    """What a process that reads a workbook may use."""
    files.die_with_parent()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:  # else it is bounded already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, most))
