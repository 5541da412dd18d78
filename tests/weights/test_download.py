"""Files by URL: whole or not at all, gone on with, checked, fetched once; from a server in this process."""

from __future__ import annotations

import hashlib
import resource
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from goingdeeper.errors import DataError, GateError, ResourceError, UsageError
from goingdeeper.weights import download
from goingdeeper.weights.download import check_hash, fetch_url, public

CONTENT = hashlib.shake_256(b"weights").digest(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Host:
    """What the server does, and what it was asked: method, path and range.

    drops: so often it hangs up after `after` bytes. mark: header that says which version a file is. length:
    what it says of the length, where not the truth.
    """

    url: str = ""
    content: bytes = CONTENT
    drops: int = 0
    after: int = 100_000
    mark: tuple[str, str] | None = ("ETag", '"one"')
    errors: list[int] = field(default_factory=list)
    ranges: bool = True
    length: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def host(monkeypatch, tmp_path) -> Iterator[Host]:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "WAIT", 0.01)
    for name in (*download.OFFLINE, "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            if state.errors:
                self.send_error(state.errors.pop(0))
                return
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved"))
                self.end_headers()
                return
            if self.path.startswith("/away/"):
                self.send_response(302)
                self.send_header("Location", "ftp://localhost/w.pth")
                self.end_headers()
                return
            if not self.path.startswith("/w"):
                self.send_error(404)
                return
            body, start = state.content, 0
            unless = self.headers.get("If-Range")
            same = not unless or (state.mark and unless == state.mark[1])
            if wanted and same and state.ranges:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if state.mark:
                self.send_header(*state.mark)
            self.send_header("Content-Length", state.length or str(len(body) - start))
            self.end_headers()
            end = len(body)
            if state.drops:
                state.drops -= 1
                end = start + state.after
            self.wfile.write(body[start:end])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


def part(folder: Path) -> Path:
    (found,) = folder.rglob("*.part")
    return found


def test_a_file_is_fetched_once(host, tmp_path):
    seen = []
    found = fetch_url(f"{host.url}/w.pth", lambda done, total: seen.append((done, total)))
    assert found.file.read_bytes() == CONTENT
    assert found.sha256 == SHA256
    assert found.file.name == "w.pth"
    assert found.file.is_relative_to(tmp_path / "cache" / "goingdeeper")
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch_url(f"{host.url}/w.pth") == found
    assert host.asked == [("/w.pth", None)]
    assert not list(tmp_path.rglob("*.part*"))


def test_a_redirect_is_followed_but_only_to_the_web(host):
    assert fetch_url(f"{host.url}/moved/w.pth").file.read_bytes() == CONTENT
    with pytest.raises(DataError, match=r"ftp://localhost/w\.pth, which is not followed"):
        fetch_url(f"{host.url}/away/w.pth")


def test_a_dropped_connection_is_gone_on_with(host):
    host.drops = 2
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256
    assert [wanted for _, wanted in host.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_connections_that_bring_nothing_are_given_up(host):
    host.drops, host.after = 99, 0
    with pytest.raises(ResourceError, match=r"dropped after 0 of 300,000 bytes; .*run it again"):
        fetch_url(f"{host.url}/w.pth")
    assert len(host.asked) == download.TRIES
    host.drops = 0
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256


def test_bytes_that_came_are_kept_for_the_next_command(host, tmp_path):
    host.drops, host.after = 1, 70_000
    seen = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_url(f"{host.url}/w.pth", stop)
    kept = part(tmp_path).stat().st_size
    assert kept == seen[0] > 0
    host.drops = 0
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256
    assert host.asked[-1] == ("/w.pth", f"bytes={kept}-")


@pytest.mark.parametrize("mark", [None, ("ETag", 'W/"weak"'), ("ETag", '"two"')])
def test_another_file_is_never_joined_to_a_part(host, mark, tmp_path):
    host.content = bytes(300_000)
    host.drops = 99
    host.after = 100_000
    host.mark = ("ETag", '"one"') if mark and "two" in mark[1] else mark

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_url(f"{host.url}/w.pth", stop)
    assert part(tmp_path).stat().st_size > 0
    host.content, host.drops, host.mark = CONTENT, 0, mark
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256


def test_a_part_that_is_longer_than_the_file_is_begun_again(host, tmp_path):
    host.drops = 99

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_url(f"{host.url}/w.pth", stop)
    with part(tmp_path).open("ab") as stream:
        stream.write(bytes(400_000))
    host.drops = 0
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256


def test_a_server_without_ranges_is_asked_for_all_again(host):
    host.drops, host.ranges = 1, False
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256
    assert len(host.asked) == 2


def test_a_server_that_is_busy_is_asked_again(host):
    host.errors = [503, 429]
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256
    host.errors = [500] * download.TRIES
    with pytest.raises(ResourceError, match=r"the server answers 500 .*; see to the network"):
        fetch_url(f"{host.url}/w2.pth")


@pytest.mark.parametrize(
    ("path", "error"), [("none.pth", r"no file at http://.*/none.pth \(404\)"), ("w.pth", r"refused \(403 ")]
)
def test_what_is_not_there_or_refused_is_not_asked_for_twice(host, path, error, tmp_path):
    host.errors = [403] if path == "w.pth" else []
    with pytest.raises(DataError, match=error):
        fetch_url(f"{host.url}/{path}")
    assert len(host.asked) == 1
    assert not [file for file in tmp_path.rglob("*.pth*")]


@pytest.mark.parametrize("variable", download.OFFLINE)
def test_offline_takes_what_is_there_and_nothing_else(host, monkeypatch, variable):
    found = fetch_url(f"{host.url}/w.pth")
    host.asked.clear()
    monkeypatch.setenv(variable, "1")
    assert fetch_url(f"{host.url}/w.pth") == found
    with pytest.raises(ResourceError, match=f"{variable} forbids the network"):
        fetch_url(f"{host.url}/w2.pth")
    assert not host.asked


def test_no_network_is_said_at_once(host, monkeypatch):
    with pytest.raises(ResourceError, match=r"cannot be fetched: .*refused"):
        fetch_url("http://127.0.0.1:9/w.pth")


def test_a_cached_file_that_was_altered_is_refused(host):
    found = fetch_url(f"{host.url}/w.pth")
    found.file.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(GateError, match="was altered after it was fetched; delete it"):
        fetch_url(f"{host.url}/w.pth")
    found.file.unlink()
    assert fetch_url(f"{host.url}/w.pth") == found


@pytest.mark.parametrize("url", ["http://", "https://host", "https://host/", "https:///w.pth"])
def test_a_url_without_a_file_is_refused(host, url):
    with pytest.raises(UsageError, match="names no file"):
        fetch_url(url)


@pytest.mark.parametrize("url", ["http://[::1/w.pth", "http://host:none/w.pth", "http://host:99999/w.pth"])
def test_what_is_no_url_is_refused(host, url):
    with pytest.raises(UsageError, match=r"is no URL: "):
        fetch_url(url)


def test_a_url_may_have_any_letters(host):
    assert fetch_url(f"{host.url}/w \u00e9%20.pth?a=1#part").sha256 == SHA256
    assert host.asked == [("/w%20%C3%A9%20.pth?a=1", None)]


@pytest.mark.parametrize("length", ["many", "-5", "1" * 5000])
def test_a_length_that_is_no_number_is_not_relied_on(host, length):
    host.length = length
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256


def test_what_another_process_has_just_fetched_is_taken(host, monkeypatch):
    def late(handle: object) -> bool:
        monkeypatch.setattr(download, "lock", lambda handle: True)
        fetch_url(f"{host.url}/w.pth")
        return True

    monkeypatch.setattr(download, "lock", late)
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256
    assert len(host.asked) == 1


def test_secrets_of_a_url_are_not_told():
    signed = "https://me:word@host:8080/a/w.pth?X-Amz-Signature=12ab&id=3#part"
    assert public(signed) == "https://host:8080/a/w.pth"
    assert public("https://host/w.pth?download=1") == "https://host/w.pth?download=1"
    assert public("hf:owner/name@main") == "hf:owner/name@main"


def test_a_name_from_a_url_stays_in_the_cache(host, tmp_path):
    found = fetch_url(f"{host.url}/w/..%2F..%2F..%2Fw.pth?download=1")
    assert found.file.parent.parent == tmp_path / "cache" / "goingdeeper"


def test_a_full_disk_is_said_with_what_is_needed(host, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(ResourceError, match=r"the disk is full at .*w.pth, where 0.3 MB are needed"):
            fetch_url(f"{host.url}/w.pth")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert fetch_url(f"{host.url}/w.pth").sha256 == SHA256


def test_hashes(tmp_path):
    file = tmp_path / "w.pth"
    file.write_bytes(CONTENT)
    for expected in (
        SHA256, SHA256[:8].upper(), f"sha256:{SHA256[:8]}",
        f"md5:{hashlib.md5(CONTENT).hexdigest()}", f"sha1:{hashlib.sha1(CONTENT).hexdigest()}",
    ):  # fmt: skip
        check_hash(file, expected, "w.pth")
    with pytest.raises(GateError, match=f"another sha256 than expected: {SHA256[:8]} instead of 01234567"):
        check_hash(file, "01234567", "w.pth")
    with pytest.raises(GateError, match="another md5"):
        check_hash(file, f"md5:{'0' * 32}", "https://host/w.pth")
    for wrong in ("1234567", "crc:12345678", "sha256:xyzxyzxyz", f"{SHA256}0"):
        with pytest.raises(UsageError, match="is no sha256"):
            check_hash(file, wrong, "w.pth")
    assert file.read_bytes() == CONTENT
