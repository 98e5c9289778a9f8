"""Downloads of the official releases: resumable, parallel, held to a lock file.

    python -m lib.screens.download                     # everything into data/raw
    python -m lib.screens.download --study CCLE gCSI   # some studies
    python -m lib.screens.download --list              # what is there, what is missing

A file arrives under `name.part` and gets its name only when it is whole and agrees with the lock
(`lock.json`: URL, size, sha256 and date of every file). A server that asks to wait (202, 403, 429,
5xx) is obeyed, with its own Retry-After where it gives one.
"""

import argparse
import email.utils
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from lib import files
from lib.paths import DATA

CATALOGUE = Path(__file__).with_name("official.yml")
# The NCI's server refuses agents that are not browsers
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
WAITING = (202, 403, 429, 500, 502, 503, 504)
CHUNK = 1 << 16  # bytes; a broken connection loses at most this much
ATTEMPTS = 6
PAUSE_S = 2.0  # before the second attempt; doubled each time
LONGEST_PAUSE_S = 300.0
STALL_S = 60.0  # without a byte, after which a connection is given up


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
class Outcome:
    """What became of one file: "had", "fetched" or "failed", with the reason."""

    remote: Remote
    status: str
    reason: str = ""
    size: int = 0


def catalogue(studies=None):
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
    listed = yaml.safe_load(CATALOGUE.read_text())
    unknown = sorted(set(studies or []) - set(listed))
    if unknown:
        raise ValueError(f"unknown studies {unknown}: choose from {list(listed)}")
    remotes = []
    for study in listed:
        group = listed[study]
        if not studies or study in studies:
            about = dict(study=study, terms=group["terms"], page=group["page"])
            remotes += [Remote(**about, **entry) for entry in group["files"]]
    return remotes


class Lock:
    """The lock file: URL, size and sha256 of every file; written whole after each of them."""

    def __init__(self, path):
        self.path = Path(path)
        self.guard = threading.Lock()
        try:
            self.entries = json.loads(self.path.read_text()) if self.path.exists() else {}
        except ValueError as error:
            raise FetchError(
                f"{self.path} is not JSON ({error}): delete it; files are checked and "
                "recorded again"
            ) from error

    def expected(self, remote):
        """sha256 that the file must have: published, else recorded for the address, else empty."""
        entry = self.entries.get(remote.path, {})
        recorded = entry.get("sha256", "") if entry.get("url") == remote.url else ""
        return remote.sha256 or recorded

    def record(self, remote, size, sha256, url):
        """Write one file's entry."""
        date = time.strftime("%Y-%m-%d", time.gmtime())
        with self.guard:
            self.entries[remote.path] = dict(url=url, size=size, sha256=sha256, date=date)
            entries = dict(sorted(self.entries.items()))
            files.write_text(self.path, json.dumps(entries, indent=1) + "\n")


def fetch_all(remotes, folder=None, workers=4):
    """Fetch files in parallel; one that fails never stops the others. A terminal shows bars.

    Parameters
    ----------
    remotes : sequence of Remote
    folder : path, optional
        `data/raw` by default.
    workers : int

    Returns
    -------
    list of Outcome
        In the order given.
    """
    from rich import progress
    from rich.console import Console

    folder = DATA / "raw" if folder is None else Path(folder)
    lock = Lock(folder / "lock.json")
    bars = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )

    def outcome(remote):
        try:
            return fetch(remote, folder, lock, bars)
        except FetchError as error:
            return Outcome(remote, "failed", str(error))
        except OSError as error:  # a full disk, a folder that may not be written
            reason = f"{error.strerror or error} ({error.filename or folder})"
            return Outcome(remote, "failed", reason)

    with bars, ThreadPoolExecutor(workers) as pool:
        return list(pool.map(outcome, remotes))


def look(remotes, folder=None):
    """What is here of a release, as `fetch_all` would say it; nobody is asked."""
    folder = DATA / "raw" if folder is None else Path(folder)
    outcomes = []
    for remote in remotes:
        path = folder / remote.path
        if path.exists():
            outcomes.append(Outcome(remote, "had", size=path.stat().st_size))
        else:
            outcomes.append(Outcome(remote, "failed", "not here"))
    return outcomes


class _Again(Exception):
    """Worth another try: why, and how long the server asked to wait (None: it did not say)."""

    def __init__(self, reason, wait=None):
        super().__init__(reason)
        self.wait = wait


def fetch(remote, folder, lock, bars):
    """Fetch one file from where an earlier try left off; FetchError with what was said last."""
    target = folder / remote.path
    if target.exists():
        return Outcome(remote, "had", size=_keep(remote, target, lock))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    bar = bars.add_task(remote.path, total=None)
    for attempt in range(ATTEMPTS):
        try:
            _download(
                remote, part, lambda done, total: bars.update(bar, completed=done, total=total)
            )
            return Outcome(remote, "fetched", size=_accept(remote, part, target, lock))
        except _Again as again:
            last = again
        if attempt + 1 < ATTEMPTS:
            pause = PAUSE_S * 2**attempt if last.wait is None else last.wait
            time.sleep(min(pause, LONGEST_PAUSE_S))
    raise FetchError(f"{last} ({ATTEMPTS} tries)")


def _keep(remote, target, lock):
    """Size of a file that is there: it must be the recorded one; one placed by hand is recorded."""
    size = target.stat().st_size
    entry = lock.entries.get(remote.path)
    if entry and entry["size"] != size:
        raise FetchError(
            f"{target} has {size} bytes, {entry['size']} are recorded in {lock.path.name}: "
            "delete the file to fetch it again, or its entry to accept it"
        )
    if not entry:
        found = files.sha256(target)
        if remote.sha256 and found != remote.sha256:
            raise FetchError(
                f"{target} has sha256 {found}, {remote.sha256} is published: "
                "delete it to fetch it again"
            )
        lock.record(remote, size, found, url="placed by hand")
    return size


def _download(remote, part, tick):
    """Append to the part file what is still missing of it."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    mark = _mark(part)
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if mark.exists():
            headers["If-Range"] = mark.read_text()
    try:
        with requests.get(remote.url, headers=headers, stream=True, timeout=(30, STALL_S)) as reply:
            _judge(reply, part)
            tag = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
            mark.unlink(missing_ok=True)
            if tag:
                mark.write_text(tag)
            have = have if reply.status_code == 206 else 0  # 200: the server sends all of it again
            total = have + int(reply.headers.get("Content-Length") or 0)
            with part.open("ab" if have else "wb") as sink:
                for block in reply.iter_content(CHUNK):
                    sink.write(block)
                    have += len(block)
                    tick(have, total or None)
    except requests.exceptions.Timeout as error:
        raise _Again(f"no byte for {STALL_S:g} s from {remote.url}", 0) from error
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise _Again(f"the connection to {remote.url} broke ({type(error).__name__})") from error
    except requests.exceptions.RequestException as error:
        raise FetchError(f"{remote.url} cannot be asked ({error})") from error


def _mark(part):
    """File beside a part file with the release's tag, so that two releases are never joined."""
    return part.with_name(part.name + ".etag")


def _judge(reply, part):
    """Raise unless the answer is the file or the rest of it."""
    if reply.status_code in WAITING:
        raise _Again(f"HTTP {reply.status_code} from {reply.url}", _retry_after(reply))
    if reply.status_code == 416:  # the part is longer than the file: it is of another release
        part.unlink(missing_ok=True)
        raise _Again(f"HTTP 416 from {reply.url}", 0)
    if reply.status_code not in (200, 206):
        raise FetchError(f"HTTP {reply.status_code} from {reply.url}: has the file moved?")
    is_page = "text/html" in reply.headers.get("Content-Type", "")
    if is_page and not part.name.endswith(".html.part"):
        raise FetchError(
            f"{reply.url} answers with a web page, not the file: has it moved, or does it ask "
            "for a login?"
        )


def _retry_after(reply):
    """Seconds that a Retry-After header, in seconds or a date, asks for; None without one."""
    value = reply.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        date = email.utils.parsedate_to_datetime(value) if value.endswith("GMT") else None
        return None if date is None else max(0.0, date.timestamp() - time.time())


def _accept(remote, part, target, lock):
    """Give a whole part its name if it agrees with the lock, and return its size; else drop it."""
    _mark(part).unlink(missing_ok=True)
    size = part.stat().st_size
    found = files.sha256(part)
    expected = lock.expected(remote)
    if not size:
        part.unlink()
        raise _Again(f"{remote.url} sent an empty file")
    if expected and found != expected:
        part.unlink()
        raise _Again(
            f"{remote.url} sent sha256 {found}, {expected} is recorded: "
            "remove its entry in lock.json to accept it",
            0,
        )
    part.replace(target)
    lock.record(remote, size, found, remote.url)
    return size


def report(outcomes, folder=None):
    """What was had, and how to place by hand what was not, as lines of plain text."""
    folder = DATA / "raw" if folder is None else Path(folder)
    had = []
    failed = []
    for outcome in outcomes:
        remote = outcome.remote
        if outcome.status != "failed":
            had.append(f"{outcome.status:8} {remote.path} {outcome.size / 1e6:,.1f} MB")
        else:
            failed.append(f"failed   {remote.path}: {outcome.reason}")
            failed.append(f"         by hand: {remote.url}  (or see {remote.page})")
            failed.append(f"         place it as {folder / remote.path}")
    return "\n".join(had + failed)


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
            for outcome in look(remotes, options.folder):
                state = "missing" if outcome.reason else "there"
                print(f"{state:8} {outcome.remote.path}  [{outcome.remote.terms}]")
                print(f"         {outcome.remote.url}")
            return 0
        outcomes = fetch_all(remotes, options.folder, options.workers)
    except (ValueError, FetchError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report(outcomes, options.folder))
    return int(any(outcome.status == "failed" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
