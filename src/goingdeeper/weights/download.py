"""Files from the network: by URL, or `hf:owner/name` from the Hugging Face Hub; each is fetched once.

The Hub's files lie in the Hub's own cache. Those of URLs lie beside it in `goingdeeper/`, in the folder that
HF_HOME names (`~/.cache/huggingface`). HF_HUB_OFFLINE, or GOINGDEEPER_OFFLINE, keeps all to what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from goingdeeper.errors import DataError, GateError, ResourceError, UsageError
from goingdeeper.files import lock, make_folder, room_for, sha256_of, sync_folder, write_whole
from goingdeeper.version import __version__

Progress = Callable[[int, int], None]
"""Called with the bytes that are here, and those in all."""

OFFLINE = ("GOINGDEEPER_OFFLINE", "HF_HUB_OFFLINE")
SECONDS = 30
"""Without a byte for so long, a connection counts as dropped."""

TRIES = 5
"""Connections in a row that bring nothing, before it is given up; each waits twice as long as the last."""

WAIT = 0.5
"""Seconds before the second of these."""

BLOCK = 1 << 20

SECRET = re.compile("token|sig|key|secret|pass|auth|credential|policy|session", re.IGNORECASE)
"""Words of a query that lets in whoever has it, such as X-Amz-Signature."""


@dataclass(frozen=True)
class Fetched:
    """A file on this machine, and where it came from.

    source: what was asked for, or a file's name. revision: the Hub's commit. licence: as the Hub has it.
    """

    file: Path
    source: str
    sha256: str
    revision: str = ""
    licence: str = ""


def is_remote(source: str) -> bool:
    """Whether a source is a URL or one of the Hub's."""
    return bool(re.match("(https?|hf):", source))


def public(source: str) -> str:
    """What may be written into a model of where it is from: a URL without names, passwords and signatures.

    Those of a query are left out with it where one of its words tells of them.
    """
    if not re.match("https?:", source):
        return source
    parts = urlsplit(source)
    query = "" if SECRET.search(parts.query) else parts.query
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment=""))


def offline() -> str:
    """The environment variable that forbids the network, or nothing."""
    said = {name: os.environ.get(name, "").upper() for name in OFFLINE}
    return next((name for name, value in said.items() if value in ("1", "ON", "YES", "TRUE")), "")


def cache() -> Path:
    """The folder for files of URLs."""
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "goingdeeper"


def check_hash(file: Path, expected: str, source: str) -> None:
    """Raises GateError where a file's hash is not the expected one. The file stays.

    expected: sha256, or `KIND:HEX` with sha256, sha1 or md5; of it the first digits are enough.
    """
    kind, _, digits = expected.rpartition(":")
    kind, digits = kind or "sha256", digits.lower()
    if kind not in ("sha256", "sha1", "md5") or not re.fullmatch("[0-9a-f]{8,64}", digits):
        raise UsageError(
            f"'{expected}' is no sha256; give its 64 hexadecimal digits, or 8 of the first at least"
        )
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    if not found.startswith(digits):
        again = "; delete it to fetch it again" if is_remote(source) else ""
        raise GateError(
            f"{source} has another {kind} than expected: {found[: max(8, len(digits))]} instead of {digits}; "
            f"nothing is imported, and {file} is kept{again}"
        )


def fetch_url(url: str, progress: Progress | None = None) -> Fetched:
    """The file behind a URL, from the cache where it was fetched before.

    A partial file is gone on with where the server says that it is still the same. Raises UsageError for
    what is no URL, DataError where there is no such file, ResourceError for the network and a full disk,
    GateError where a cached file was altered.
    """
    try:
        parts = urlsplit(url)
        hosted = parts.hostname and parts.port != 0
    except ValueError as problem:
        raise UsageError(f"{url} is no URL: {problem}") from None
    name = re.sub(r"[^\w.+-]", "_", unquote(parts.path).rpartition("/")[2]).lstrip(".")
    if not hosted or not name:
        raise UsageError(f"{url} names no file; give a URL such as https://host/folder/resnet50.pth")
    folder = cache() / hashlib.sha256(url.encode()).hexdigest()[:16]
    file, facts = folder / name, folder / f"{name}.json"
    if kept := _kept(url, file, facts):
        return kept
    if variable := offline():
        raise ResourceError(f"{url} is not in the cache, and {variable} forbids the network; unset it")
    make_folder(folder)
    with (folder / ".lock").open("wb") as handle:
        if not lock(handle):
            raise ResourceError(
                f"another process is fetching {url}; wait for it and run the same command again"
            )
        if kept := _kept(url, file, facts):  # by another process, before this one had the lock
            return kept
        _download(url, file, progress)
        found = sha256_of(file)
        write_whole(facts, json.dumps({"url": url, "sha256": found}) + "\n")
    return Fetched(file, url, found)


def _kept(url: str, file: Path, facts: Path) -> Fetched | None:
    """The file, where all of it was fetched before. Raises GateError where it was altered since."""
    known = _facts(facts)
    if not file.is_file() or "sha256" not in known:
        return None
    if sha256_of(file) != known["sha256"]:
        raise GateError(f"{file} was altered after it was fetched; delete it to fetch {url} again")
    return Fetched(file, url, known["sha256"])


def _download(url: str, file: Path, progress: Progress | None) -> None:
    part, facts = file.with_name(f"{file.name}.part"), file.with_name(f"{file.name}.part.json")
    failures = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        mark = _facts(facts).get("mark", "")
        if before and not mark:  # nothing says that it is still the same file
            part.unlink()
            before = 0
        headers = {"User-Agent": f"goingdeeper/{__version__}", "Accept-Encoding": "identity"}
        if before:
            headers |= {"Range": f"bytes={before}-", "If-Range": mark}
        try:
            with _opener.open(Request(_ascii(url), headers=headers), timeout=SECONDS) as answer:
                total = _begun(answer, part, facts, before)
                with room_for(file, total), part.open("ab") as stream:
                    _copy(answer, stream, total, progress)
            part.replace(file)
            facts.unlink(missing_ok=True)
            sync_folder(file.parent)
            return
        except HTTPError as problem:
            with problem:
                if problem.code == 416 and before:  # longer than the file: not a part of it
                    part.unlink()
                    continue
                if problem.code < 500 and problem.code not in (408, 429):
                    _refused(url, problem)
            cause = f"the server answers {problem.code} {problem.reason}"
        except (URLError, HTTPException, ConnectionError, TimeoutError, _Short) as problem:
            cause = str(getattr(problem, "reason", problem)) or type(problem).__name__
        now = part.stat().st_size if part.is_file() else 0
        failures = 1 if now > before else failures + 1
        if failures >= TRIES or (not now and _hopeless(cause)):
            kept = f"{now:,} bytes are kept, and the same command goes on" if now else "run it again"
            raise ResourceError(f"{url} cannot be fetched: {cause}; see to the network, then {kept}")
        time.sleep(WAIT * 2 ** (failures - 1))


def _ascii(url: str) -> str:
    """As a request has it: spaces and letters beyond ASCII as %20 and the like, the host's as IDNA."""
    parts = urlsplit(url)
    with suppress(UnicodeError):
        parts = parts._replace(netloc=parts.netloc.encode("idna").decode("ascii"))
    return quote(urlunsplit(parts._replace(fragment="")), safe="%/:=&?~#+!$,;'@()*[]")


class _Short(Exception):
    """Fewer bytes came than were announced."""


def _begun(answer: HTTPResponse, part: Path, facts: Path, before: int) -> int:
    """The bytes of the whole file, 0 where they are not known; the part emptied if it is not gone on with."""
    said = answer.headers.get("Content-Length") or ""
    length = int(said) if re.fullmatch("[0-9]{1,15}", said) else 0
    if answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {before}-"):
        return before + length
    mark = answer.headers.get("ETag") or ""
    if not mark or mark.startswith("W/"):  # a weak one does not promise the same bytes
        mark = answer.headers.get("Last-Modified") or ""
    part.unlink(missing_ok=True)
    write_whole(facts, json.dumps({"mark": mark}))
    if answer.status == 206:
        raise _Short("another part of the file came than was asked for")
    return length


def _copy(answer: HTTPResponse, stream: IO[bytes], total: int, progress: Progress | None) -> None:
    done = stream.tell()
    while block := answer.read1(BLOCK):
        stream.write(block)
        done += len(block)
        if progress and total:
            progress(done, total)
    stream.flush()
    os.fsync(stream.fileno())
    if total and done < total:
        raise _Short(f"the connection dropped after {done:,} of {total:,} bytes")


def _refused(url: str, problem: HTTPError) -> NoReturn:
    if problem.code in (404, 410):
        raise DataError(f"there is no file at {url} ({problem.code}); check the address") from None
    raise DataError(
        f"{url} is refused ({problem.code} {problem.reason}); fetch it by hand, and import the file"
    ) from None


def _hopeless(cause: str) -> bool:
    """Whether nobody answers at all, which waiting will hardly change."""
    return any(
        word in cause
        for word in (
            "Name or service",
            "name resolution",
            "getaddrinfo",
            "unreachable",
            "refused",
            "certificate",
        )
    )


class _Redirects(HTTPRedirectHandler):
    """Follows where http(s) leads, but from https to nothing less."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise HTTPError(req.full_url, code, f"leads to {newurl}, which is not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = build_opener(_Redirects)


def _facts(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text("utf-8"))
        if isinstance(found, dict):
            return found
    return {}
