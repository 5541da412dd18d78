"""Tar archives read in place: one pass over the headers, then members by offset; nothing is unpacked."""

from __future__ import annotations

import os
import tarfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from goingdeeper.data.sources.problems import printable
from goingdeeper.errors import DataError

MOST_OPEN = 64
"""So many archives stay open; the others are opened for each image."""

Place: TypeAlias = tuple[int, int, int]
"""The number of an archive, and where in it so many bytes begin."""

_BLOCK = 512


class Archives:
    """Archives that several threads read at once: reading by offset moves no position that they share."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self._open: dict[int, int] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._open)

    def descriptor(self, archive: int) -> int:
        """The descriptor that is kept for an archive; -1 where enough others are kept."""
        with self._lock:
            if archive not in self._open and len(self._open) < MOST_OPEN:
                self._open[archive] = _opened(self.files[archive])
            return self._open.get(archive, -1)

    def read(self, place: Place) -> bytes:
        """Raises DataError, naming archive and place, where the bytes are not there."""
        archive, start, size = place
        kept = self.descriptor(archive)
        used = kept if kept >= 0 else _opened(self.files[archive])
        try:
            data = os.pread(used, size, start)
        except OSError as problem:
            raise DataError(
                f"{self.files[archive]} cannot be read at byte {start:,}: {problem.strerror}"
            ) from None
        finally:
            if kept < 0:
                os.close(used)
        if len(data) < size:
            raise DataError(f"{self.files[archive]} is truncated: no {size:,} bytes at byte {start:,}")
        return data


def _opened(file: Path) -> int:
    try:
        return os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as problem:
        raise DataError(f"{file} cannot be opened: {problem.strerror}") from None


def _close(descriptors: dict[int, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


def members(file: Path) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each file; a size of -1 for what is neither a file nor a folder.

    Plain headers are read here and all others by `tarfile`, which takes ten times as long. Unlike with it
    alone, a damaged header in the middle is not taken for the end. Raises DataError, naming the place.
    """
    try:
        with file.open("rb") as stream:
            yield from _members(stream, file)
    except OSError as problem:
        raise DataError(f"{file} cannot be read: {problem.strerror or problem}") from None


def _members(stream: BinaryIO, file: Path) -> Iterator[tuple[str, int, int]]:
    length = os.fstat(stream.fileno()).st_size
    after = 0
    while True:
        at = after
        block = os.pread(stream.fileno(), _BLOCK, at)
        if len(block) < _BLOCK:
            raise DataError(f"{file} is truncated at byte {length:,}: its end mark is missing")
        if block == bytes(_BLOCK):
            break
        try:
            name, start, size, after = _plain(stream, block, at) or _special(stream, at)
        except Exception as problem:  # hostile numbers make `tarfile` raise nearly anything
            raise DataError(
                f"{file} is damaged at byte {at:,}: {problem or type(problem).__name__}"
            ) from None
        if after <= at:
            raise DataError(f"{file} is damaged at byte {at:,}: {printable(name)} ends before it begins")
        if not name.endswith("/"):
            yield name, start, size
    if os.pread(stream.fileno(), 1 << 20, at).strip(b"\0"):
        raise DataError(
            f"{file}: more data follows the end mark at byte {at:,}; the archive was joined or damaged"
        )


def _plain(stream: BinaryIO, block: bytes, at: int) -> tuple[str, int, int, int] | None:
    """Name, start, size and end by the header of a regular file; None for one that is anything else.

    WebDataset's writer puts a pax header before each, for the time's fraction.
    """
    found = _fields(block)
    extended: dict[bytes, bytes] = {}
    if found and found[0] == b"x" and found[2] <= _MOST_EXTENDED:
        at += _BLOCK
        extended = _extended(os.pread(stream.fileno(), found[2], at))
        at += _padded(found[2])
        found = _fields(os.pread(stream.fileno(), _BLOCK, at))
    if not found or found[0] != b"0" or not extended.keys() <= _EXTENDED:
        return None
    name, length = extended.get(b"path", found[1]), extended.get(b"size")
    if length is not None and not length.isdigit():
        return None
    start, size = at + _BLOCK, int(length) if length else found[2]
    return os.fsdecode(name), start, size, start + _padded(size)


_EXTENDED = frozenset(b"path size mtime atime ctime uid gid uname gname".split())
_MOST_EXTENDED = 1 << 12


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _fields(block: bytes) -> tuple[bytes, bytes, int] | None:
    """Type, name and size of a header; None where it is no usual one."""
    posix = block[257:265] == b"ustar\x0000"
    size, checksum = block[124:136].strip(b" \0"), block[148:156].strip(b" \0")
    if not (posix or block[257:265] == b"ustar  \0") or not size.isdigit() or not checksum.isdigit():
        return None
    if int(checksum, 8) != sum(block) - sum(block[148:156]) + 256:  # the sum counts its own field as spaces
        return None
    name = block[:100].partition(b"\0")[0]
    if posix and block[345]:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return block[156:157], name, int(size, 8)


def _extended(data: bytes) -> dict[bytes, bytes]:
    """The records of a pax header: length, key and value of each."""
    found = {}
    while data:
        length, _, rest = data.partition(b" ")
        key, _, value = rest[: int(length) - len(length) - 1].partition(b"=")
        found[key] = value.removesuffix(b"\n")
        data = data[max(1, int(length)) :]
    return found


def _special(stream: BinaryIO, at: int) -> tuple[str, int, int, int]:
    """The same of any header; the size is -1 for what is no regular file, and a folder's name ends with /."""
    stream.seek(at)
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        info = archive.next()
        if info is None:
            raise tarfile.ReadError("no header")
        if info.isdir():
            return f"{info.name}/", info.offset_data, 0, archive.offset
        regular = info.isreg() and not info.issparse()
        return info.name, info.offset_data, info.size if regular else -1, archive.offset
