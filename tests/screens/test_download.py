"""Downloads from a server on loopback that drops connections, sends wrong bytes and stalls."""

import email.utils
import gzip
import hashlib
import http.server
import json
import os
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.paths import STUDIES
from lib.screens import download
from lib.screens.download import Lock, Remote

BODY = bytes(range(256)) * 4096  # 1 MiB


PAGES = {"page": "text/html", "PAGE": "Text/HTML; charset=utf-8"}


class Server(http.server.ThreadingHTTPServer):
    """Answers with the scripted behaviours, then plainly; remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked, self.etag, self.ranges, self.body = [], [], '"one"', True, BODY
        threading.Thread(
            target=self.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True
        ).start()

    def handle_error(self, request, client_address):
        """A client that gave up is part of the tests."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        """Quiet."""

    def do_GET(self):
        server = self.server
        server.asked.append(dict(self.headers, at=time.monotonic()))
        act = server.script.pop(0) if server.script else "plain"
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if server.ranges else 0
        if self.headers.get("If-Range", server.etag) != server.etag:
            start = 0
        if isinstance(act, tuple):
            return self.answer(act[0], b"", act[1])
        if start > len(server.body):
            return self.answer(416, b"", {})
        body, status = server.body[start:], 206 if start else 200
        if act == "wrong":
            body = bytes(len(body))
        headers = {
            "Content-Range": f"bytes {start}-{len(server.body) - 1}/{len(server.body)}",
            "ETag": server.etag,
            "Content-Type": PAGES.get(act, "application/zip"),
        }
        self.answer(status, body, headers, cut=act)

    def answer(self, status, body, headers, cut="plain"):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cut == "drop":
            self.wfile.write(body[: len(body) // 3])
            self.close_connection = True
            return
        if cut == "stall":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            time.sleep(1.5)
            return
        self.wfile.write(body)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Less patience than with a real server."""
    patience(monkeypatch, attempts=4, pause=0.01, longest=0.2, stall=0.5)


def patience(monkeypatch, attempts, pause, longest, stall):
    monkeypatch.setattr(download, "ATTEMPTS", attempts)
    monkeypatch.setattr(download, "PAUSE_S", pause)
    monkeypatch.setattr(download, "LONGEST_PAUSE_S", longest)
    monkeypatch.setattr(download, "STALL_S", stall)


@pytest.fixture
def server():
    served = Server()
    yield served
    served.shutdown()
    served.server_close()


def remote(server, **options):
    return Remote(
        **(
            dict(study="CCLE", file="doses.csv", url=server.url, page="https://example.org/page")
            | options
        )
    )


def get(server, folder, **options):
    return download.fetch_all([remote(server, **options)], folder)[0]


def test_a_file_arrives_whole_and_is_locked(server, tmp_path):
    outcome = get(server, tmp_path)
    assert (outcome.status, outcome.size) == ("fetched", len(BODY))
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == BODY
    entry = json.loads((tmp_path / "lock.json").read_text())["CCLE/doses.csv"]
    assert entry["sha256"] == hashlib.sha256(BODY).hexdigest() and entry["size"] == len(BODY)
    assert entry["url"] == server.url and entry["date"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert sorted(p.name for p in (tmp_path / "CCLE").iterdir()) == ["doses.csv"]
    assert "Mozilla" in server.asked[0]["User-Agent"]


def test_a_second_run_asks_nobody(server, tmp_path):
    get(server, tmp_path)
    assert get(server, tmp_path).status == "had" and len(server.asked) == 1


def test_a_dropped_connection_goes_on_from_where_it_broke(server, tmp_path):
    server.script = ["drop", "drop"]
    assert get(server, tmp_path).status == "fetched"
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == BODY
    starts = [int(asked.get("Range", "bytes=0-")[6:-1]) for asked in server.asked]
    third = len(BODY) // 3
    assert (
        len(starts) == 3
        and starts[0] == 0
        and third - download.CHUNK < starts[1] <= third < starts[2]
    )
    assert server.asked[1]["If-Range"] == '"one"'


def test_an_interrupted_run_is_resumed_by_the_next(server, tmp_path):
    server.script = ["drop"] * 4
    assert get(server, tmp_path).status == "failed"
    assert (
        not (tmp_path / "CCLE" / "doses.csv").exists()
        and (tmp_path / "CCLE" / "doses.csv.part").exists()
    )
    before = len(server.asked)
    assert get(server, tmp_path).status == "fetched" and len(server.asked) == before + 1
    assert (
        server.asked[-1]["Range"].startswith("bytes=") and server.asked[-1]["Range"] != "bytes=0-"
    )


def test_a_stalled_server_is_left_and_asked_again(server, tmp_path):
    server.script = ["stall"]
    assert get(server, tmp_path).status == "fetched"
    assert server.asked[1]["Range"] == f"bytes={len(BODY) // 2}-"


def test_a_server_without_ranges_is_read_again_from_the_start(server, tmp_path):
    server.script, server.ranges = ["drop"], False
    assert get(server, tmp_path).status == "fetched"
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == BODY


def test_a_release_that_changed_between_two_tries_is_not_pieced_together(server, tmp_path):
    server.script = ["drop"] * 4
    get(server, tmp_path)
    server.etag, server.body = '"two"', BODY[::-1]
    assert get(server, tmp_path).status == "fetched"
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == BODY[::-1]


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "CCLE").mkdir()
    (tmp_path / "CCLE" / "doses.csv.part").write_bytes(BODY + b"more")
    assert get(server, tmp_path).status == "fetched"
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == BODY


@pytest.mark.parametrize("status", [202, 403, 429, 503])
def test_a_server_that_asks_to_wait_is_obeyed(server, tmp_path, status):
    server.script = [(status, {"Retry-After": "1"}), (status, {})]
    assert get(server, tmp_path).status == "fetched"
    waits = [b["at"] - a["at"] for a, b in zip(server.asked, server.asked[1:], strict=False)]
    assert waits[0] >= 0.2 and waits[1] >= 0.02  # its own wait, capped, then the doubled pause


def test_a_wait_given_as_a_date_is_understood(server, tmp_path, monkeypatch):
    patience(monkeypatch, 3, 0.01, 5, 1)
    server.script = [(429, {"Retry-After": email.utils.formatdate(time.time() + 1.2, usegmt=True)})]
    outcome = get(server, tmp_path)
    assert outcome.status == "fetched" and server.asked[1]["at"] - server.asked[0]["at"] > 0.15


def test_pauses_double_and_are_capped(server, tmp_path, monkeypatch):
    patience(monkeypatch, 8, 1, 10, 1)
    slept = []
    monkeypatch.setattr(download.time, "sleep", slept.append)
    server.script = [(503, {})] * 6 + [(503, {"Retry-After": "9999"})]
    outcome = get(server, tmp_path)
    assert outcome.status == "fetched" and slept == [1, 2, 4, 8, 10, 10, 10]


def test_throttling_without_end_is_named_with_the_way_by_hand(server, tmp_path):
    server.script = [(403, {})] * 9
    outcome = get(server, tmp_path)
    said = download.report([outcome], tmp_path)
    assert (
        outcome.status == "failed" and f"HTTP 403 from {server.url}" in said and "(4 tries)" in said
    )
    assert (
        "https://example.org/page" in said
        and f"place it as {tmp_path / 'CCLE' / 'doses.csv'}" in said
    )


@pytest.mark.parametrize(
    ("act", "says"),
    [
        ((404, {}), "HTTP 404 .*has the file moved"),
        ("page", "answers with a web page"),
        ("PAGE", "answers with a web page"),
        ((416, {}), None),
        ((401, {}), "HTTP 401"),
    ],
)
def test_what_no_patience_mends_is_said_at_once(server, tmp_path, act, says):
    server.script = [act]
    outcome = get(server, tmp_path)
    if says is None:
        assert outcome.status == "fetched"
        return
    assert outcome.status == "failed" and len(server.asked) == 1
    assert re.search(says, outcome.reason)


def test_wrong_bytes_are_never_given_the_files_name(server, tmp_path):
    server.script = ["wrong"] * 9
    outcome = get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest())
    assert (
        outcome.status == "failed"
        and hashlib.sha256(bytes(len(BODY))).hexdigest() in outcome.reason
    )
    assert list((tmp_path / "CCLE").iterdir()) == []


def test_wrong_bytes_once_are_fetched_again(server, tmp_path):
    server.script = ["wrong"]
    assert get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest()).status == "fetched"


def test_the_lock_holds_a_later_download_to_the_first(server, tmp_path):
    get(server, tmp_path)
    (tmp_path / "CCLE" / "doses.csv").unlink()
    server.body = BODY[::-1]
    outcome = get(server, tmp_path)
    assert (
        outcome.status == "failed"
        and "remove its entry in lock.json to accept it" in outcome.reason
    )
    assert not (tmp_path / "CCLE" / "doses.csv").exists()


def test_an_empty_answer_is_no_file(server, tmp_path):
    server.body = b""
    assert "sent an empty file" in get(server, tmp_path).reason


def test_a_file_placed_by_hand_is_kept_and_recorded(server, tmp_path):
    (tmp_path / "CCLE").mkdir()
    (tmp_path / "CCLE" / "doses.csv").write_bytes(b"by hand")
    assert get(server, tmp_path).status == "had" and server.asked == []
    assert (
        json.loads((tmp_path / "lock.json").read_text())["CCLE/doses.csv"]["url"]
        == "placed by hand"
    )


def test_a_file_that_changed_since_it_was_recorded_is_named(server, tmp_path):
    get(server, tmp_path)
    (tmp_path / "CCLE" / "doses.csv").write_bytes(b"short")
    assert "has 5 bytes of sha256" in get(server, tmp_path).reason


def test_one_failure_stops_no_other_and_files_are_fetched_side_by_side(server, tmp_path):
    server.script = ["stall"]
    dead = remote(server, study="GDSC", url="http://127.0.0.1:9/nothing")
    some = [remote(server, file=f"{i}.csv") for i in range(6)]
    outcomes = download.fetch_all([dead, *some], tmp_path)
    assert [o.status for o in outcomes] == ["failed"] + ["fetched"] * 6
    assert (
        "connection" in outcomes[0].reason
        and len(json.loads((tmp_path / "lock.json").read_text())) == 6
    )


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "CCLE").write_text("a file where the folder should be")
    assert (
        "exists" in get(server, tmp_path).reason.lower()
        or "not a directory" in get(server, tmp_path).reason.lower()
    )


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "[]",
        "3",
        "null",
        '{"gCSI/a.gz": "x"}',
        '{"gCSI/a.gz": {"url": "x"}}',
        "\x00",
        '{"a": []}',
    ],
)
def test_a_lock_file_of_another_shape_is_named(tmp_path, capsys, text):
    (tmp_path / "lock.json").write_text(text)
    with pytest.raises(download.FetchError, match="lock.json is no record of files .* delete it"):
        Lock(tmp_path / "lock.json")
    assert download.main(["--folder", str(tmp_path), "--study", "gCSI"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_catalogue_covers_all_studies_and_their_doses():
    listed = download.catalogue()
    doses = {one.study for one in listed if one.table == "responses"}
    assert doses == set(STUDIES)
    assert all(one.url.startswith("http") and one.terms and one.page for one in listed)
    assert len({one.path for one in listed}) == len(listed)
    with pytest.raises(ValueError, match="unknown studies"):
        download.catalogue(["CCLEE"])


def test_readers_find_their_files_where_the_catalogue_puts_them():
    from lib.screens.official import READERS

    listed = {(one.study, one.file) for one in download.catalogue()}
    for study, module in READERS.items():
        for files in module.FILES.values():
            for file in (files,) if isinstance(files, str) else files:
                assert (study, file) in listed


def test_the_command_line_ends_with_a_status(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "catalogue", lambda studies: [remote(server, sha256="0" * 64)])
    assert download.main(["--folder", str(tmp_path)]) == 1 and "by hand" in capsys.readouterr().out
    assert (
        download.main(["--folder", str(tmp_path), "--list"]) == 1
        and "not here" in capsys.readouterr().out
    )
    monkeypatch.setattr(download, "catalogue", lambda studies: [remote(server)])
    assert download.main(["--folder", str(tmp_path)]) == 0 and "fetched" in capsys.readouterr().out


def test_progress_is_drawn_on_a_terminal_only(server, tmp_path, capsys, monkeypatch):
    download.fetch_all([remote(server)], tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(download.sys.stderr, "isatty", lambda: True, raising=False)
    download.fetch_all([remote(server, file="b.csv")], tmp_path)
    assert "CCLE/b.csv" in capsys.readouterr().err


class Bare(http.server.ThreadingHTTPServer):
    """Answers as a function of the path and headers says, byte by byte."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), BareHandler)
        self.answer, self.asked = answer, []
        run = threading.Thread(target=self.serve_forever, kwargs=dict(poll_interval=0.01))
        run.daemon = True
        run.start()

    def handle_error(self, request, client_address):
        """A client that gave up is part of the tests."""


class BareHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        """Quiet."""

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        self.close_connection = True
        for piece in self.server.answer(self.headers.get("Range")):
            self.wfile.write(piece)
            self.wfile.flush()


def head(*lines, status="200 OK"):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def ask(answer, folder, **options):
    server = Bare(answer)
    bad = Remote(
        "CCLE", "doses.csv", f"http://127.0.0.1:{server.server_address[1]}/file", **options
    )
    (outcome,) = download.fetch_all([bad], folder)
    server.shutdown()
    server.server_close()
    return outcome, server.asked


def parts_of(folder):
    return sorted(path.name for path in (folder / "CCLE").glob("doses.csv"))


SUM = hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("length", ["Content-Length: abc", "Content-Length: -3", "X: y"])
def test_a_file_of_unknown_length_is_no_file_unless_its_sum_is_known(tmp_path, length):
    outcome, _ = ask(lambda asked: [head(length), BODY[:300]], tmp_path)
    assert outcome.status == "failed" and "does not say how long" in outcome.reason
    assert parts_of(tmp_path) == []
    outcome, _ = ask(lambda asked: [head(length), BODY], tmp_path, sha256=SUM)
    assert outcome.status == "fetched"


@pytest.mark.parametrize("length", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
def test_a_body_shorter_than_said_is_no_file(tmp_path, length):
    outcome, _ = ask(lambda asked: [head(length), b"5\r\nabcde\r\n"], tmp_path)
    assert outcome.status == "failed" and "broke" in outcome.reason and parts_of(tmp_path) == []


def test_a_chunked_body_is_a_file_when_its_end_is_marked(tmp_path):
    body = b"5\r\nabcde\r\n0\r\n\r\n"
    outcome, _ = ask(lambda asked: [head("Transfer-Encoding: chunked"), body], tmp_path)
    assert (outcome.status, outcome.size) == ("fetched", 5)


def test_bytes_are_kept_as_sent_whatever_the_server_calls_them(tmp_path):
    packed = gzip.compress(BODY)
    lines = (f"Content-Length: {len(packed)}", "Content-Encoding: gzip")
    ask(lambda asked: [head(*lines), packed], tmp_path)
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == packed


@pytest.mark.parametrize(
    "value",
    ["soon", "", "-5", "nan", "1e999", "inf", "99 bottles GMT", "Fri, 31 Dec 99999 23:59:59 GMT"],
)
def test_an_odd_wait_costs_no_more_than_the_usual_pause(server, tmp_path, value):
    server.script = [(429, {"Retry-After": value})]
    assert get(server, tmp_path).status == "fetched"


def test_a_file_replaced_between_two_tries_is_never_a_mixture(tmp_path):
    old, new = b"o" * 500_000, b"n" * 500_000

    def answer(asked):
        if asked:
            start = int(asked[6:-1])
            span = f"Content-Range: bytes {start}-499999/500000"
            length = f"Content-Length: {500_000 - start}"
            return [head(span, length, status="206 Partial Content"), new[start:]]
        first = len(seen) == 0
        seen.append(asked)
        return [head("Content-Length: 500000"), old[:200_000] if first else new]

    seen = []
    outcome, _ = ask(answer, tmp_path)
    data = (tmp_path / "CCLE" / "doses.csv").read_bytes()
    assert outcome.status == "fetched" and data == new


@pytest.mark.parametrize(
    ("span", "tag"),
    [
        ("bytes 0-499999/500000", '"one"'),
        ("bytes 7-499999/500000", '"one"'),
        ("", '"one"'),
        ("items 3", '"one"'),
        ("bytes {start}-499999/500000", '"two"'),
    ],
)
def test_a_piece_that_is_not_the_rest_of_the_same_file_is_not_joined(tmp_path, span, tag):
    def answer(asked):
        if asked and len(seen) < 2:
            seen.append(asked)
            said = span.replace("{start}", asked[6:-1])
            lines = ("Content-Length: 9", f"Content-Range: {said}", f"ETag: {tag}")
            return [head(*lines, status="206 Partial Content"), b"wrongness"]
        body = BODY[: 1 << 19] if not seen else BODY
        seen.append(asked)
        return [head(f"Content-Length: {len(BODY)}", 'ETag: "one"'), body]

    seen = []
    outcome, _ = ask(answer, tmp_path)
    assert outcome.status == "fetched"
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == BODY


def test_a_piece_that_nobody_asked_for_is_not_the_file(tmp_path):
    lines = ("Content-Length: 5", "Content-Range: bytes 0-4/500000")
    outcome, _ = ask(lambda asked: [head(*lines, status="206 Partial Content"), b"abcde"], tmp_path)
    assert outcome.status == "failed" and "another piece" in outcome.reason


@pytest.mark.parametrize(
    "place",
    [
        "file:///etc/hostname",
        "ftp://127.0.0.1/x",
        "http://[bad",
        "data:,x",
        "http://127.0.0.1:9999999",
    ],
)
def test_an_address_that_leads_elsewhere_costs_its_file_alone(tmp_path, place):
    lines = (f"Location: {place}", "Content-Length: 0")
    outcome, asked = ask(lambda asked: [head(*lines, status="302 Found")], tmp_path)
    assert outcome.status == "failed" and len(asked) == 1 and parts_of(tmp_path) == []


def test_an_encrypted_address_is_not_left_for_an_open_one():
    hop = SimpleNamespace(url="https://a.org/x")
    reply = SimpleNamespace(url="http://a.org/x", history=[hop], status_code=200, headers={})
    with pytest.raises(download.FetchError, match="is not encrypted"):
        download._judge(reply, Remote("CCLE", "a", "https://a.org/x"), Path("a.part"), False)


def test_a_body_that_trickles_or_stalls_costs_its_file_alone(tmp_path, monkeypatch):
    patience(monkeypatch, attempts=2, pause=0.01, longest=0.1, stall=0.3)

    def answer(asked):
        yield head("Content-Length: 1000")
        for _ in range(20):
            yield b"x"
            time.sleep(0.05)

    outcome, asked = ask(answer, tmp_path)
    assert outcome.status == "failed" and "fewer than 1000 bytes a second" in outcome.reason
    assert len(asked) == 2 and parts_of(tmp_path) == []


@pytest.mark.parametrize("says", ["Transfer-Encoding: chunked", "Content-Length: 99999999999999"])
def test_a_body_without_end_is_refused_and_leaves_nothing(tmp_path, monkeypatch, says):
    monkeypatch.setattr(download, "LARGEST", 1_000_000)

    def answer(asked):
        yield head(says)
        for _ in range(200):  # 13 MB
            yield b"10000\r\n" + bytes(0x10000) + b"\r\n"

    outcome, asked = ask(answer, tmp_path)
    assert outcome.status == "failed" and "sends more than 1,000,000 bytes" in outcome.reason
    assert len(asked) == 1 and not any(
        path.is_file() for path in (tmp_path / "CCLE").glob("*.part")
    )


def test_a_kept_file_with_a_wrong_bit_is_noticed(server, tmp_path):
    for options in ({}, dict(sha256=SUM)):
        get(server, tmp_path, **options)
        path = tmp_path / "CCLE" / "doses.csv"
        path.write_bytes(b"\x01" + BODY[1:])
        assert "is recorded: delete the file" in get(server, tmp_path, **options).reason
        path.unlink()
        assert get(server, tmp_path, **options).status == "fetched"


def test_a_kept_file_that_was_only_touched_is_read_again_and_kept(server, tmp_path):
    get(server, tmp_path)
    os.utime(tmp_path / "CCLE" / "doses.csv")
    assert get(server, tmp_path).status == "had" and len(server.asked) == 1


@pytest.mark.parametrize("rest", ["1-9/{n}", "{start}-{end}/*", "{start}-{end}/{n}"])
def test_a_rest_that_is_shorter_than_the_rest_is_not_the_file(tmp_path, rest):
    half = len(BODY) // 2

    def answer(asked):
        if asked:
            start = int(asked[6:-1])
            span = rest.format(start=start, end=start + 99, n=len(BODY))
            lines = ("Content-Length: 100", f"Content-Range: bytes {span}", 'ETag: "one"')
            return [head(*lines, status="206 Partial Content"), BODY[start : start + 100]]
        seen.append(asked)
        whole = BODY if len(seen) > 1 else BODY[:half]
        return [head(f"Content-Length: {len(BODY)}", 'ETag: "one"'), whole]

    seen = []
    outcome, _ = ask(answer, tmp_path)
    assert outcome.status == "fetched"
    assert (tmp_path / "CCLE" / "doses.csv").read_bytes() == BODY


def test_a_part_that_another_process_writes_too_is_not_the_file(tmp_path):
    part = tmp_path / "CCLE" / "doses.csv.part"

    def answer(asked):
        yield head(f"Content-Length: {len(BODY)}") + BODY[:100]
        while not part.exists():
            time.sleep(0.01)
        with part.open("ab") as other:
            other.write(bytes(2 * len(BODY)))
        yield BODY[100:]

    outcome, _ = ask(answer, tmp_path)
    assert "is written by another process too" in outcome.reason and parts_of(tmp_path) == []


@pytest.mark.parametrize("length", ["9" * 5000, "5, 5", "+5", "5 5", "\u0665", "1e3"])
def test_an_odd_length_is_none_and_its_file_is_named(tmp_path, length):
    lines = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    outcome, _ = ask(lambda asked: [lines, b"abcde"], tmp_path)
    assert outcome.status == "failed" and "does not say how long the file is" in outcome.reason
    assert parts_of(tmp_path) == []


def test_a_folder_in_the_place_of_the_record_costs_the_files_alone(tmp_path, server, capsys):
    (tmp_path / "lock.json").mkdir()
    outcome = get(server, tmp_path)
    assert outcome.status == "failed" and "lock.json" in outcome.reason
