"""Members of the archives in which the studies pack their tables, and sheets of their workbooks."""

import gzip
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from lib.screens.delimited import exists
from lib.tables import TableError

DEFLATE64 = 9  # the zip method that Python's zipfile cannot open


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
        If the archive is cut, has no such member, or needs a program that is not here.
    """
    path = exists(path)
    if not path.name.lower().endswith((".zip", ".tar.gz", ".tgz", ".tar")):
        yield path
        return
    with tempfile.TemporaryDirectory(
        dir=path.parent if os.access(path.parent, os.W_OK) else None
    ) as folder:
        try:
            unpack = _from_zip if path.name.lower().endswith(".zip") else _from_tar
            yield unpack(path, pattern, Path(folder))
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
            raise TableError(
                f"{path.name} is cut or damaged ({error}): delete it and fetch it again"
            ) from error


def _pick(path, names, pattern):
    found = [name for name in names if re.search(pattern, name) and not name.endswith("/")]
    if len(found) != 1:
        raise TableError(
            f"{path.name} must hold one file like {pattern!r}, found {found or list(names)[:20]}"
        )
    return found[0]


def _from_zip(path, pattern, folder):
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(_pick(path, archive.namelist(), pattern))
        target = folder / Path(info.filename).name
        if info.compress_type == DEFLATE64:
            _unpack_deflate64(path, info, target)
        else:
            with archive.open(info) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    return target


def _unpack_deflate64(path, info, target):
    commands = {"7z": ["e", "-so"], "7zz": ["e", "-so"], "7za": ["e", "-so"], "unzip": ["-p"]}
    program = next((name for name in commands if shutil.which(name)), None)
    if program is None:
        raise TableError(
            f"{path.name} is packed with Deflate64, which Python cannot open: install 7zip or "
            "unzip "
            f"(apt-get install unzip), or unpack {info.filename} by hand beside it"
        )
    with target.open("wb") as sink:
        done = subprocess.run(
            [program, *commands[program], str(path), info.filename],
            stdout=sink,
            stderr=subprocess.PIPE,
        )
    if done.returncode or target.stat().st_size != info.file_size:
        raise TableError(
            f"{path.name} is cut or damaged ({program} exit {done.returncode}): delete it and "
            "fetch it again"
        )


def _from_tar(path, pattern, folder):
    with tarfile.open(path) as archive:
        name = _pick(path, archive.getnames(), pattern)
        target = folder / Path(name).name
        with archive.extractfile(name) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    return target


def sheet(path, skip):
    """First sheet of an Excel file, old or new, every cell as it is, the first row after `skip` as
    header.

    Raises
    ------
    TableError
        If the file is no workbook, or the package that opens it is not installed.
    """
    path = exists(path)
    try:
        return pd.read_excel(path, header=skip, engine="calamine")
    except ImportError as error:
        raise TableError(
            f"{path.name} is an Excel file: pip install python-calamine, or save it as CSV"
        ) from error
    except Exception as error:  # calamine raises its own types for every kind of damage
        raise TableError(
            f"{path.name} cannot be read as a workbook ({error}): delete it and fetch it again"
        ) from error
