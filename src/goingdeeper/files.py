"""Files written whole or not at all, and kept from a second process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from goingdeeper.errors import NO_ROOM, ResourceError


def write_whole(file: Path, content: str | bytes) -> None:
    """Writes a file aside, syncs it and renames it into place, so that it is whole or absent.

    Raises ResourceError, with the room that is needed, where the disk is full.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with whole_file(file, len(data)) as stream:
        stream.write(data)


@contextmanager
def whole_file(file: Path, needed: int) -> Iterator[IO[bytes]]:
    """A file that is written piece by piece within, and is in its place where that ends without an exception.

    needed: bytes, for the ResourceError where the disk is full. Otherwise as `write_whole`.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with room_for(file, needed), writable(file):
            with _synced(aside) as stream:
                yield stream
            aside.replace(file)
            sync_folder(file.parent)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def write_synced(file: Path, content: bytes) -> None:
    """Writes a file in its place, and returns when the disk has it; its name may not be on the disk yet."""
    with _synced(file) as stream:
        stream.write(content)


@contextmanager
def _synced(file: Path) -> Iterator[IO[bytes]]:
    """A file whose content the disk has when the block ends without an exception."""
    with file.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def make_folder(folder: Path) -> None:
    """Makes a folder with those above it, if it is not there, to outlive a power cut.

    Raises ResourceError in /proc and the like.
    """
    with writable(folder):
        new = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for one in new:
            sync_folder(one.parent)


@contextmanager
def writable(place: Path) -> Iterator[None]:
    """Within, a place that takes no files, such as /proc, is a ResourceError."""
    try:
        yield
    except FileNotFoundError as problem:
        raise ResourceError(f"cannot write at {place}: {problem.strerror}; choose another place") from None


def sync_folder(folder: Path) -> None:
    """Returns when the disk has the names in a folder: those of new files, and those after a rename."""
    if os.name == "nt":  # which opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def room_for(place: Path, needed: int) -> Iterator[None]:
    """Within, a full disk is a ResourceError that says what was to be written and how many bytes it needs."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in NO_ROOM:
            raise
        size = f"{needed / 1e6:,.1f} MB" if needed >= 100_000 else f"{needed:,} bytes"
        raise ResourceError(
            f"the disk is full at {place}, where {size} are needed; free some space and run the same "
            "command again"
        ) from None


def sha256_of(file: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def lock(handle: IO[bytes]) -> bool:
    """Takes a file for this process, until it is closed; False where another process has it."""
    try:
        import fcntl
    except ImportError:  # not on Windows; there nothing keeps a second process out
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
