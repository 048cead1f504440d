"""A file is fetched whole or not at all, checked by its hash, and resumed; from a server of this machine alone."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from visionkit.engine.weights import download
from visionkit.errors import UserError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]
NAME = f"net-{HASH}.pth"


class Server(ThreadingHTTPServer):
    """Serves CONTENT under every name; what it does wrong is set by the test."""

    ranges = True
    sends: int | None = None  # bytes of an answer, after which the connection ends
    status = 0  # answers so and nothing else
    goes_on: threading.Event | None = None  # an answer stops in its middle until then
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{NAME}"


class Handler(BaseHTTPRequestHandler):
    """Answers a GET, with Range where the server has it."""

    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.server.status:
            self.send_error(self.server.status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        body = CONTENT[start:][: self.server.sends]
        self.wfile.write(body[: len(body) // 2])
        if self.server.goes_on:
            self.server.goes_on.wait(30)
        self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server, and torch's cache in an empty folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("LOCAL_RANK", "RANK", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the log says."""
    monkeypatch.setattr(logging.getLogger("visionkit"), "propagate", True)
    caplog.set_level(logging.INFO, logger="visionkit")
    return caplog


def _part(content: bytes) -> Path:
    path = download.place(f"http://x/{NAME}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_it_lands_whole_in_torchs_cache_and_is_fetched_once(server: Server, said: Any, tmp_path: Path) -> None:
    path = download.fetch(server.url, 1)
    assert path == tmp_path / "hub/checkpoints" / NAME
    assert path.read_bytes() == CONTENT
    assert [found.name for found in path.parent.iterdir()] == [NAME]
    assert f"downloading {NAME}, 1 MB" in said.text
    assert len(re.findall(r"\d of 1 MB", said.text)) >= 3  # without a terminal, a line now and then
    assert download.fetch(server.url, 1) == path
    assert server.asked == [None]


def test_a_part_is_resumed_where_it_ended(server: Server, said: Any) -> None:
    server.sends = 300_000
    with pytest.raises(UserError, match=r"ended after 300000 of 1048576 bytes.*goes on behind the 0\.3 MB"):
        download.fetch(server.url, 1)
    assert not download.place(server.url).exists()
    server.sends = None
    assert download.fetch(server.url, 1).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]
    assert "of which 0 MB are there" in said.text


@pytest.mark.parametrize("first_fails", [False, True])
def test_who_comes_second_waits_for_the_first(server: Server, said: Any, first_fails: bool) -> None:
    """The first one's answer stops in its middle until the second has begun to wait."""
    server.goes_on = threading.Event()
    if first_fails:  # what it brings has another hash, so it removes the part that the second waits for
        _part(b"x" * 1000)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(download.fetch, server.url, 1)
        _until(lambda: bool(server.asked))
        second = pool.submit(download.fetch, server.url, 1)
        _until(lambda: "waiting for another process" in said.text or len(server.asked) > 1)
        server.goes_on.set()
        if first_fails:
            with pytest.raises(UserError, match="not the file that its name promises"):
                first.result()
        else:
            assert first.result() == second.result()
        path = second.result()
    assert path.read_bytes() == CONTENT
    assert server.asked == (["bytes=1000-", None] if first_fails else [None])
    assert [found.name for found in path.parent.iterdir()] == [NAME]


def _until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that in 30 s")


def test_a_server_without_ranges_sends_all_of_it_again(server: Server) -> None:
    server.ranges = False
    _part(CONTENT[:1000])
    assert download.fetch(server.url, 1).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"])
def test_a_part_with_nothing_left_to_ask_for(server: Server, part: bytes) -> None:
    _part(part)
    assert download.fetch(server.url, 1).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(part)}-", *([None] if len(part) > len(CONTENT) else [])]


def test_another_hash_is_refused_and_removed(server: Server) -> None:
    part = _part(b"x" + CONTENT[1:500_000])  # resumed behind a byte that is wrong
    with pytest.raises(UserError, match="not the file that its name promises"):
        download.fetch(server.url, 1)
    assert not part.exists()
    assert not download.place(server.url).exists()
    assert download.fetch(server.url, 1).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 407, 500])
def test_an_answer_of_the_server_is_told_in_one_line(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(UserError, match=rf"{NAME} \(1 MB\) cannot be downloaded from .*HTTP Error {status}") as raised:
        download.fetch(server.url, 1)
    assert f"put that file into {download.place(server.url).parent}" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_full_disk_is_told_and_the_part_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_answer: Any, file: Any, _advance: Any) -> None:
        file.write(CONTENT[:70_000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(download, "_copy", full)
        with pytest.raises(UserError, match=r"No space left on device.*goes on behind the 0\.1 MB that are there"):
            download.fetch(server.url, 1)
    assert download.fetch(server.url, 1).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=70000-"


def test_a_place_that_cannot_be_written_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot be downloaded"):
        download.fetch(server.url, 1)


def test_no_server_at_all(server: Server) -> None:
    address = server.url
    server.server_close()
    with pytest.raises(UserError, match="cannot be downloaded"):
        download.fetch(address.replace(str(server.server_address[1]), "9"), 1)
