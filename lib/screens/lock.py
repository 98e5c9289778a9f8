"""What was fetched, and its sum: a later run is held to it."""

import threading
import time
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from lib import files


class FetchError(ValueError):
    """A file that could not be had; the message says why."""


class Entry(BaseModel):
    """What is recorded of a file: sha256 and, so that it need not be read again, size and time."""

    url: str
    size: int
    sha256: str
    date: str
    changed: int = 0  # ns


ENTRIES = TypeAdapter(dict[str, Entry])


class Lock:
    """The lock file: an entry for every file; written whole after each of them."""

    def __init__(self, path):
        self.path = Path(path)
        self.guard = threading.Lock()
        self.entries = {}
        try:
            if self.path.is_file():
                self.entries = ENTRIES.validate_json(self.path.read_bytes())
        except ValueError as error:
            what = error.errors()[0]
            where = "/".join(map(str, what["loc"])) or "all of it"
            raise FetchError(
                f"{self.path} is no record of files ({where}: {what['msg']}): delete it; files are "
                "checked and recorded again"
            ) from error

    def expected(self, remote):
        """sha256 that the file must have: published, else recorded for the address, else empty."""
        entry = self.entries.get(remote.path)
        return remote.sha256 or (entry.sha256 if entry and entry.url == remote.url else "")

    def record(self, remote, target, sha256, url):
        """Write one file's entry; its size."""
        date = time.strftime("%Y-%m-%d", time.gmtime())
        found = target.stat()
        entry = Entry(
            url=url, size=found.st_size, sha256=sha256, date=date, changed=found.st_mtime_ns
        )
        with self.guard:
            self.entries[remote.path] = entry
            self.entries = dict(sorted(self.entries.items()))
            files.write_text(self.path, ENTRIES.dump_json(self.entries, indent=1).decode() + "\n")
        return entry.size
