"""Downloads that were cut off and go on, from a server of the test's own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from thesisbench.data.files.fetch import FetchError, download
from thesisbench.data.files.resume import locked, partial_of

CONTENT = bytes(range(256)) * 40
CHECKSUM = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Sends CONTENT, and remembers from where.

    Attributes:
        cut: bytes after which a connection ends, None for none. ranges: whether it can start in
            the middle. asked: first byte of each answer.
    """

    cut: int | None = None
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "bytes=0-") if self.server.ranges else "bytes=0-"
        first = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append(first)
        if first >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.end_headers()
        self.wfile.write(CONTENT[first : self.server.cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "set" / "file.tar"


def cut_off(server: Server, place: Path, checksum: str | None, cut: int = 3000) -> None:
    server.cut = cut
    with pytest.raises(FetchError, match="the connection ended after 3000 of 10240 bytes"):
        download([server.url], place, checksum)
    server.cut = None


def test_what_came_is_used_when_the_checksum_is_known(server: Server, place: Path) -> None:
    cut_off(server, place, CHECKSUM)
    assert partial_of(place).read_bytes() == CONTENT[:3000]
    download([server.url], place, CHECKSUM)
    assert place.read_bytes() == CONTENT
    assert server.asked == [0, 3000]
    assert [path.name for path in place.parent.iterdir()] == ["file.tar"]


def test_without_a_checksum_nothing_is_used_again(server: Server, place: Path) -> None:
    cut_off(server, place, None)
    assert not place.parent.exists(), "nothing is left behind"
    download([server.url], place)
    assert place.read_bytes() == CONTENT
    assert server.asked == [0, 0]


def test_a_server_that_starts_anew_gives_the_same_file(server: Server, place: Path) -> None:
    cut_off(server, place, CHECKSUM)
    server.ranges = False
    download([server.url], place, CHECKSUM)
    assert place.read_bytes() == CONTENT
    assert server.asked == [0, 0]


def test_all_bytes_but_the_name_is_enough(server: Server, place: Path) -> None:
    place.parent.mkdir()
    partial_of(place).write_bytes(CONTENT)
    download([server.url], place, CHECKSUM)
    assert place.read_bytes() == CONTENT


def test_the_rest_of_another_file_is_thrown_away(server: Server, place: Path) -> None:
    place.parent.mkdir()
    partial_of(place).write_bytes(b"x" * 3000)
    with pytest.raises(FetchError, match="does not have the checksum md5:"):
        download([server.url], place, CHECKSUM)
    assert not list(place.parent.iterdir())
    download([server.url], place, CHECKSUM)
    assert place.read_bytes() == CONTENT


def test_two_at_once_do_not_mix(server: Server, place: Path) -> None:
    place.parent.mkdir()
    with locked(partial_of(place), keep=True) as file:
        file.write(CONTENT[:10])
        file.flush()
        with pytest.raises(FetchError, match="another process is downloading it"):
            download([server.url], place, CHECKSUM)
    assert partial_of(place).read_bytes() == CONTENT[:10]
    assert server.asked == []
