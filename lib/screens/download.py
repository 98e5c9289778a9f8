"""Downloads of the official releases: resumable, parallel, held to a lock file.

    python -m lib.screens.download                     # everything into data/raw
    python -m lib.screens.download --study CCLE gCSI   # some studies
    python -m lib.screens.download --list              # what is there, what is missing

A file arrives under `name.part` and gets its name only when it is whole and agrees with the lock
(`lock.json`: URL, size, sha256 and date of every file). A server that asks to wait (202, 403, 429,
5xx) is obeyed, with its own Retry-After where it gives one.
"""

import argparse
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests
import urllib3
import yaml

from lib import files
from lib.paths import DATA
from lib.screens.lock import FetchError, Lock

CATALOGUE = Path(__file__).with_name("official.yml")
# The NCI's server refuses agents that are not browsers
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
WAITING = (202, 403, 429, 500, 502, 503, 504)
CHUNK = 1 << 16  # bytes; a broken connection loses at most this much
ATTEMPTS = 6
WORKERS = 4  # files at a time
PAUSE_S = 2.0  # before the second attempt; doubled each time
LONGEST_PAUSE_S = 300.0
STALL_S = 60.0  # without a byte, after which a connection is given up
BROKEN = (
    requests.exceptions.Timeout,
    requests.exceptions.ConnectionError,
    urllib3.exceptions.ReadTimeoutError,
    urllib3.exceptions.ProtocolError,
)
SLOWEST = 1000  # bytes a second over that time
LARGEST = 50_000_000_000  # bytes of a file; every release is far below it


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
    chosen = studies or list(listed)
    unknown = sorted(set(chosen) - set(listed))
    if unknown:
        raise ValueError(f"unknown studies {unknown}: choose from {list(listed)}")
    remotes = []
    for study in chosen:
        group = listed[study]
        about = dict(study=study, terms=group["terms"], page=group["page"])
        remotes += [Remote(**about, **entry) for entry in group["files"]]
    return remotes


def fetch_all(remotes, folder):
    """Fetch files in parallel; one that fails never stops the others. A terminal shows bars.

    Parameters
    ----------
    remotes : sequence of Remote
    folder : path

    Returns
    -------
    list of Outcome
        In the order given.
    """
    from rich import progress
    from rich.console import Console

    folder = Path(folder)
    lock = Lock(folder / "lock.json")
    bars = progress.Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())

    def outcome(remote):
        try:
            return fetch(remote, folder, lock, bars)
        except OSError as error:  # a full disk, a folder that may not be written
            reason = f"{error.strerror or error} ({error.filename or folder})"
        except ValueError as error:  # ours, or of an address that is none
            reason = str(error)
        return Outcome(remote, "failed", reason)

    with bars, ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(outcome, remotes))


def look(remotes, folder):
    """What is here of a release, as `fetch_all` would say it; nobody is asked."""
    folder = Path(folder)
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
    tick = partial(bars.update, bars.add_task(remote.path, total=None))
    for attempt in range(ATTEMPTS):
        try:
            _download(remote, part, bool(lock.expected(remote)), tick)
            return Outcome(remote, "fetched", size=_accept(remote, part, target, lock))
        except _Again as again:
            last = again
        if attempt + 1 < ATTEMPTS:
            pause = PAUSE_S * 2**attempt if last.wait is None else last.wait
            time.sleep(min(pause, LONGEST_PAUSE_S))
    raise FetchError(f"{last} ({ATTEMPTS} tries)")


def _keep(remote, target, lock):
    """Size of a file that is there. It must be the published or recorded one, and is read again
    where size or time is another than recorded; one placed by hand is recorded.
    """
    found = target.stat()
    entry = lock.entries.get(remote.path)
    if entry and (entry.size, entry.changed) == (found.st_size, found.st_mtime_ns):
        return entry.size
    sha256 = files.sha256(target)
    expected = remote.sha256 or (entry.sha256 if entry else sha256)
    if sha256 != expected:
        raise FetchError(
            f"{target} has {found.st_size} bytes of sha256 {sha256}, {expected} is recorded: "
            f"delete the file to fetch it again, or its entry in {lock.path.name} to accept it"
        )
    return lock.record(remote, target, sha256, entry.url if entry else "placed by hand")


def _download(remote, part, known, tick):
    """Append to the part file what is still missing of it; `known`: its sha256 is."""
    mark = _mark(part)
    # nothing but the release's tag says that the rest is of the same file
    have = part.stat().st_size if part.exists() and mark.exists() else 0
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark.read_text()}
    try:
        with requests.get(remote.url, headers=headers, stream=True, timeout=(30, STALL_S)) as reply:
            _judge(reply, remote, part, known)
            have = _continues(reply, part, have)
            total = have + (_length(reply) or 0)
            with part.open("ab" if have else "wb") as sink:
                for block in _blocks(reply):
                    if max(have, total) > LARGEST:
                        part.unlink()
                        raise FetchError(f"{remote.url} sends more than {LARGEST:,} bytes")
                    sink.write(block)
                    have += len(block)
                    tick(completed=have, total=total or None)
        if part.stat().st_size != have:
            raise FetchError(f"{part} is written by another process too: wait for it")
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        if isinstance(error, BROKEN) and not isinstance(error, requests.exceptions.SSLError):
            kind = type(error).__name__
            raise _Again(f"the connection to {remote.url} broke ({kind})") from error
        raise FetchError(f"{remote.url} cannot be asked ({error})") from error


def _blocks(reply):
    """The bytes of the body as they were sent; a body that only trickles is given up."""
    since = time.monotonic()
    got = 0
    while block := reply.raw.read1(CHUNK, decode_content=False):
        yield block
        got += len(block)
        if time.monotonic() - since > STALL_S:
            if got < SLOWEST * STALL_S:
                raise _Again(f"fewer than {SLOWEST} bytes a second from {reply.url}", 0)
            since = time.monotonic()
            got = 0


def _continues(reply, part, have):
    """Bytes that the answer goes on from: those we have, or none where it is the whole file.

    The tag of the release is kept beside the part file.
    """
    mark = _mark(part)
    tag = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
    if reply.status_code == 206:
        span = reply.headers.get("Content-Range", "")
        total = have + (_length(reply) or 0)
        rest = f"bytes {have}-{total - 1}/{total}"
        if have and span == rest and tag in (None, mark.read_text()):
            return have
        part.unlink(missing_ok=True)
        raise _Again(f"{reply.url} answers with another piece ({span!r})", 0)
    mark.unlink(missing_ok=True)
    if tag:
        mark.write_text(tag)
    return 0


def _length(reply):
    """Bytes that the answer says it has; None where it says none, or no number."""
    said = reply.headers.get("Content-Length", "")
    return int(said) if re.fullmatch("[0-9]{1,15}", said) else None


def _mark(part):
    """File beside a part file with the release's tag, so that two releases are never joined."""
    return part.with_name(part.name + ".etag")


def _judge(reply, remote, part, known):
    """Raise unless the answer is the file or the rest of it."""
    safe = remote.url.startswith("https:")
    if safe and not all(hop.url.startswith("https:") for hop in [*reply.history, reply]):
        raise FetchError(f"{remote.url} sends us on to {reply.url}, which is not encrypted")
    if reply.status_code in WAITING:
        raise _Again(f"HTTP {reply.status_code} from {reply.url}", _retry_after(reply))
    if reply.status_code == 416:  # the part is longer than the file: it is of another release
        part.unlink(missing_ok=True)
        raise _Again(f"HTTP 416 from {reply.url}", 0)
    if reply.status_code not in (200, 206):
        raise FetchError(f"HTTP {reply.status_code} from {reply.url}: has the file moved?")
    is_page = "text/html" in reply.headers.get("Content-Type", "").lower()
    if is_page and not part.name.endswith(".html.part"):
        raise FetchError(
            f"{reply.url} answers with a web page, not the file: has it moved, or does it ask "
            "for a login?"
        )
    chunked = "chunked" in reply.headers.get("Transfer-Encoding", "")
    if _length(reply) is None and not chunked and not known:
        raise FetchError(f"{reply.url} does not say how long the file is, so it may be cut")


def _retry_after(reply):
    """Seconds that a Retry-After header, in seconds or a date, asks for; None without one."""
    try:
        return urllib3.Retry().get_retry_after(reply.raw)
    except (urllib3.exceptions.HTTPError, ValueError, OverflowError):
        return None


def _accept(remote, part, target, lock):
    """Give a whole part its name if it agrees with the lock, and return its size; else drop it."""
    _mark(part).unlink(missing_ok=True)
    found = files.sha256(part)
    expected = lock.expected(remote)
    if not part.stat().st_size:
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
    return lock.record(remote, target, found, remote.url)


def report(outcomes, folder):
    """What was had, and how to place by hand what was not, as lines of plain text."""
    folder = Path(folder)
    had = []
    failed = []
    for outcome in outcomes:
        remote = outcome.remote
        if outcome.status != "failed":
            had.append(f"{outcome.status:8} {remote.path} {outcome.size / 1e6:,.1f} MB")
        else:
            failed.append(f"failed   {remote.path}: {outcome.reason}")
            failed.append(f"         by hand: {remote.url}  (or see {remote.page}; {remote.terms})")
            failed.append(f"         place it as {folder / remote.path}")
    return "\n".join(had + failed)


def main(arguments=None):
    """Command line; exit status 1 if any file could not be had."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.screens.download", description="Fetch the official releases."
    )
    parser.add_argument("--study", nargs="+", help="studies to fetch; all by default")
    parser.add_argument("--folder", default=str(DATA / "raw"))
    parser.add_argument(
        "--list", action="store_true", help="say what is there and what is missing; fetch nothing"
    )
    options = parser.parse_args(arguments)
    try:
        remotes = catalogue(options.study)
        outcomes = (look if options.list else fetch_all)(remotes, options.folder)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(report(outcomes, options.folder))
    return int(any(outcome.status == "failed" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
