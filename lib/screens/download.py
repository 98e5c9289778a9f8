"""Downloads of the official releases: resumable, parallel, held to a lock file; each failure is named with a remedy.

    python -m lib.screens.download                     # everything into data/raw
    python -m lib.screens.download --study CCLE gCSI   # some studies
    python -m lib.screens.download --list              # what is there, what is missing, where to find it

A file arrives under `name.part` and gets its name only when it is whole and agrees with the lock (`lock.json`: URL,
size, sha256 and date of every file). A server that asks to wait (202, 403, 429, 503) is obeyed, with its own
Retry-After where it gives one.
"""

import argparse
import email.utils
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lib import files
from lib.paths import DATA

CATALOGUE = Path(__file__).with_name("official.yml")
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"  # the NCI's server refuses others
WAITING = (202, 403, 429, 500, 502, 503, 504)
CHUNK = 1 << 16  # a broken connection loses at most this much


class FetchError(RuntimeError):
    """A file that could not be had; the message says why."""


@dataclass(frozen=True)
class Remote:
    """One file of a release."""

    study: str
    file: str
    url: str
    table: str = ""
    terms: str = ""
    page: str = ""
    sha256: str = ""

    @property
    def path(self):
        """Where it lies below the raw folder."""
        return f"{self.study}/{self.file}"


@dataclass(frozen=True)
class Patience:
    """How long to try: attempts in all, first pause (doubled each time) and longest pause, seconds without a byte."""

    attempts: int = 6
    pause: float = 2.0
    longest: float = 300.0
    stall: float = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of one file: "had", "fetched" or "failed", with the reason."""

    remote: Remote
    status: str
    reason: str = ""
    size: int = 0


def catalogue(studies=None, path=CATALOGUE):
    """Files of the official releases.

    Parameters
    ----------
    studies : sequence of str, optional
        All by default.

    Returns
    -------
    list of Remote

    Raises
    ------
    ValueError
        For an unknown study.
    """
    import yaml

    listed = yaml.safe_load(Path(path).read_text())
    unknown = sorted(set(studies or []) - set(listed))
    if unknown:
        raise ValueError(f"unknown studies {unknown}: choose from {list(listed)}")
    return [
        Remote(
            study,
            entry["file"],
            entry["url"],
            entry["table"],
            group["terms"],
            group["page"],
            entry.get("sha256", ""),
        )
        for study, group in listed.items()
        if not studies or study in studies
        for entry in group["files"]
    ]


class Lock:
    """The lock file: what was fetched from where, held by size and sha256; written whole after every file."""

    def __init__(self, path):
        self.path, self.guard = Path(path), threading.Lock()
        try:
            self.entries = json.loads(self.path.read_text()) if self.path.exists() else {}
        except ValueError as error:
            raise FetchError(
                f"{self.path} is not JSON ({error}): delete it; files are checked and recorded again"
            ) from error

    def expected(self, remote):
        """sha256 that the file must have: as published, else as recorded for the same address, else empty."""
        entry = self.entries.get(remote.path, {})
        return remote.sha256 or (entry.get("sha256", "") if entry.get("url") == remote.url else "")

    def record(self, remote, size, sha256, url=None):
        """Write one file's entry."""
        date = time.strftime("%Y-%m-%d", time.gmtime())
        with self.guard:
            self.entries[remote.path] = dict(
                url=url or remote.url, size=size, sha256=sha256, date=date
            )
            files.write_text(
                self.path, json.dumps(dict(sorted(self.entries.items())), indent=1) + "\n"
            )


def fetch_all(remotes, folder=None, workers=4, patience=None, show=None):
    """Fetch files in parallel; one that fails never stops the others.

    Parameters
    ----------
    remotes : sequence of Remote
    folder : path, optional
        `data/raw` by default.
    workers : int
    patience : Patience, optional
    show : bool, optional
        A live bar; by default only on a terminal.

    Returns
    -------
    list of Outcome
        In the order given.
    """
    folder = DATA / "raw" if folder is None else Path(folder)
    lock, patience = Lock(folder / "lock.json"), patience or Patience()
    with Progress(show) as progress, ThreadPoolExecutor(workers) as pool:
        return list(
            pool.map(lambda remote: _outcome(remote, folder, lock, patience, progress), remotes)
        )


def look(remotes, folder=None):
    """What is here of a release, as `fetch_all` would say it; nobody is asked."""
    folder = DATA / "raw" if folder is None else Path(folder)
    found = [(remote, folder / remote.path) for remote in remotes]
    return [
        Outcome(remote, "had", size=path.stat().st_size)
        if path.exists()
        else Outcome(remote, "failed", "not here")
        for remote, path in found
    ]


def _outcome(remote, folder, lock, patience, progress):
    try:
        status, size = fetch(remote, folder, lock, patience, progress.tick)
        return Outcome(remote, status, size=size)
    except FetchError as error:
        return Outcome(remote, "failed", str(error))
    except OSError as error:  # a full disk, a folder that may not be written
        return Outcome(remote, "failed", f"{error.strerror or error} ({error.filename or folder})")


def fetch(remote, folder, lock, patience=None, tick=lambda remote, done, total: None):
    """One file, from where an earlier try left off.

    Returns
    -------
    status : {"had", "fetched"}
    size : int

    Raises
    ------
    FetchError
        With what the server said last.
    """
    patience, target = patience or Patience(), Path(folder) / remote.path
    if target.exists():
        return "had", _keep(remote, target, lock)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    last, pause = "", patience.pause
    for attempt in range(patience.attempts):
        try:
            _download(remote, part, patience, tick)
            return "fetched", _accept(remote, part, target, lock)
        except _Again as again:
            last, wait = again.reason, again.wait
        if attempt + 1 < patience.attempts:
            time.sleep(min(pause if wait is None else wait, patience.longest))
            pause *= 2
    raise FetchError(f"{last} ({patience.attempts} tries)")


class _Again(Exception):
    """Worth another try: why, and how long the server asked to wait (None: it did not say)."""

    def __init__(self, reason, wait=None):
        super().__init__(reason)
        self.reason, self.wait = reason, wait


def _keep(remote, target, lock):
    """A file that is there: its size must be the recorded one; placed by hand, it is checked and recorded."""
    size, entry = target.stat().st_size, lock.entries.get(remote.path)
    if entry and entry["size"] == size:
        return size
    if entry:
        raise FetchError(
            f"{target} has {size} bytes, {entry['size']} are recorded in {lock.path.name}: delete the file to fetch "
            "it again, or its entry to accept it"
        )
    found = files.sha256(target)
    if remote.sha256 and found != remote.sha256:
        raise FetchError(
            f"{target} has sha256 {found}, {remote.sha256} is published: delete it to fetch it again"
        )
    lock.record(remote, size, found, url="placed by hand")
    return size


def _download(remote, part, patience, tick):
    """Append to the part file what is still missing of it."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    mark = part.with_name(part.name + ".etag")
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if mark.exists():
            headers["If-Range"] = mark.read_text()
    try:
        with requests.get(
            remote.url, headers=headers, stream=True, timeout=(30, patience.stall)
        ) as reply:
            have = _start(reply, part, mark, have)
            total = have + int(reply.headers.get("Content-Length") or 0)
            with part.open("ab" if have else "wb") as sink:
                for block in reply.iter_content(CHUNK):
                    sink.write(block)
                    have += len(block)
                    tick(remote, have, total)
    except requests.exceptions.Timeout as error:
        raise _Again(f"no byte for {patience.stall:g} s from {remote.url}", 0) from error
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise _Again(f"the connection to {remote.url} broke ({type(error).__name__})") from error
    except requests.exceptions.RequestException as error:
        raise FetchError(f"{remote.url} cannot be asked ({error})") from error


def _start(reply, part, mark, have):
    """Judge the answer's status; bytes already held that it goes on from."""
    if reply.status_code in WAITING:
        raise _Again(f"HTTP {reply.status_code} from {reply.url}", _retry_after(reply))
    if reply.status_code == 416:  # the part is longer than the file: it is of another release
        part.unlink(missing_ok=True)
        raise _Again(f"HTTP 416 from {reply.url}", 0)
    if reply.status_code not in (200, 206):
        raise FetchError(f"HTTP {reply.status_code} from {reply.url}: has the file moved?")
    if "text/html" in reply.headers.get("Content-Type", "") and not part.name.endswith(
        ".html.part"
    ):
        raise FetchError(
            f"{reply.url} answers with a web page, not the file: has it moved, or does it ask for a login?"
        )
    tag = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
    mark.write_text(tag) if tag else mark.unlink(missing_ok=True)
    return have if reply.status_code == 206 else 0  # 200: the server sends all of it again


def _retry_after(reply):
    """Seconds that a Retry-After header asks for, given in seconds or as a date."""
    value = reply.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        date = email.utils.parsedate_to_datetime(value) if value.endswith("GMT") else None
        return None if date is None else max(0.0, date.timestamp() - time.time())


def _accept(remote, part, target, lock):
    """Give a whole part its name if it agrees with the lock; otherwise drop it."""
    found, expected, size = files.sha256(part), lock.expected(remote), part.stat().st_size
    mark = part.with_name(part.name + ".etag")
    mark.unlink(missing_ok=True)
    if not size:
        part.unlink()
        raise _Again(f"{remote.url} sent an empty file")
    if expected and found != expected:
        part.unlink()
        raise _Again(
            f"{remote.url} sent sha256 {found}, {expected} is recorded: remove its entry in lock.json to accept it",
            0,
        )
    os.replace(part, target)
    lock.record(remote, size, found)
    return size


class Progress:
    """A live bar per file on a terminal, nothing elsewhere."""

    def __init__(self, show=None):
        self.bar, self.tasks = None, {}
        if sys.stderr.isatty() if show is None else show:
            from rich import progress
            from rich.console import Console

            columns = (
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.DownloadColumn(),
            )
            more = (progress.TransferSpeedColumn(), progress.TimeRemainingColumn())
            self.bar = progress.Progress(*columns, *more, console=Console(stderr=True))

    def __enter__(self):
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *error):
        if self.bar:
            self.bar.stop()

    def tick(self, remote, done, total):
        """Bytes of one file so far."""
        if self.bar:
            task = self.tasks.get(remote.path)
            if task is None:
                task = self.tasks[remote.path] = self.bar.add_task(remote.path)
            self.bar.update(task, completed=done, total=total or None)


def report(outcomes, folder=None):
    """What was had, and how to place by hand what was not.

    Returns
    -------
    str
        Lines of plain text.
    """
    folder = DATA / "raw" if folder is None else Path(folder)
    lines = [
        f"{o.status:8} {o.remote.path} {o.size / 1e6:,.1f} MB"
        for o in outcomes
        if o.status != "failed"
    ]
    for o in (o for o in outcomes if o.status == "failed"):
        lines.append(f"failed   {o.remote.path}: {o.reason}")
        lines.append(f"         by hand: {o.remote.url}  (or see {o.remote.page})")
        lines.append(f"         place it as {folder / o.remote.path}")
    return "\n".join(lines)


def main(arguments=None):
    """Command line; exit status 1 if any file could not be had."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.screens.download", description="Fetch the official releases."
    )
    parser.add_argument("--study", nargs="+", help="studies to fetch; all by default")
    parser.add_argument("--folder", default=str(DATA / "raw"))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument(
        "--list", action="store_true", help="say what is there and what is missing; fetch nothing"
    )
    options = parser.parse_args(arguments)
    try:
        remotes = catalogue(options.study)
        if options.list:
            print(_listing(remotes, Path(options.folder)))
            return 0
        outcomes = fetch_all(remotes, options.folder, options.workers)
    except (ValueError, FetchError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report(outcomes, options.folder))
    return int(any(outcome.status == "failed" for outcome in outcomes))


def _listing(remotes, folder):
    lines = []
    for remote in remotes:
        there = (folder / remote.path).exists()
        lines.append(
            f"{'there' if there else 'missing':8} {remote.path}  [{remote.terms}]\n         {remote.url}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
