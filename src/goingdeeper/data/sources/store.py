"""A prepared store: images in shards, read by offset. `data/store.py` writes it, `index.py` has its form.

Nothing is written or locked, so that several machines can read one store.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.decode import Pixels, decode
from goingdeeper.data.sources.index import (
    AGAIN,
    RECORD,
    THUMBNAIL,
    Place,
    index_of,
    is_store,
    opened,
    ppm_header,
    shard_name,
    strip_header,
)
from goingdeeper.data.sources.problems import Problem
from goingdeeper.data.sources.source import Item, Originals, Source
from goingdeeper.errors import DataError, StoreError

__all__ = ["is_store", "open_at"]


def open_at(root: Path) -> Source:
    """The images of a prepared store.

    Every size is checked here, and the index; the bytes of an image when it is read first. Raises DataError,
    naming the shard and the image, where the store is not whole.
    """
    record = opened(root, str(root))
    entries = _entries(root, record)
    return Source(
        name=root.resolve().name,
        location=str(root.resolve()),
        classes=tuple(record["classes"]),
        items=entries.items,
        content=entries.content,
        read=entries.read,
        size=entries.size,
        oriented=record["oriented"],
        problems=tuple(Problem(*problem) for problem in record["problems"]),
        originals=Originals(entries.digest, entries.thumbnail, _made(record)),
    )


def _made(record: dict[str, Any]) -> str:
    """One hash of all shards: the same only for stores of the same bytes."""
    return hashlib.sha256("".join(shard["sha256"] for shard in record["shards"]).encode()).hexdigest()


@dataclass(frozen=True)
class _Entries:
    """Where images are. numbers: (N, 7): shard, offset, length, width, height, crc32, thumbnail or -1.

    digests: (N, 32). thumbnails: all of a shard's.
    """

    root: Path
    items: tuple[Item, ...]
    numbers: NDArray[np.int64]
    digests: NDArray[np.uint8]
    thumbnails: Callable[[int], Pixels]
    place: dict[str, int]
    checked: bytearray

    def file(self, path: str) -> NDArray[np.uint8]:
        """The file that the store has of an image."""
        entry = self.place[path]
        shard, offset, length, _, _, crc, _ = self.numbers[entry].tolist()
        # Compared once: it would take as long as the rest for uncompressed images.
        found = _part(self.root, shard, path, offset, length, None if self.checked[entry] else crc)
        self.checked[entry] = 1
        return found

    def content(self, path: str) -> bytes:
        return self.file(path).tobytes()

    def read(self, path: str) -> Pixels:
        found = self.file(path)
        width, height = self.size(path)
        header = ppm_header(width, height)
        if found[:2].tobytes() != header[:2]:
            return decode(found.tobytes(), f"{self.root}/{path}")
        if len(found) != len(header) + 3 * width * height:
            raise StoreError(f"{self.root}: {path} is no image of {width}x{height}; {AGAIN}")
        return found[len(header) :].reshape(height, width, 3)

    def size(self, path: str) -> tuple[int, int]:
        width, height = self.numbers[self.place[path], 3:5].tolist()
        return width, height

    def digest(self, path: str) -> str:
        return bytes(self.digests[self.place[path]]).hex()

    def thumbnail(self, path: str) -> Pixels | None:
        shard, *_, number = self.numbers[self.place[path]].tolist()
        return None if number < 0 else self.thumbnails(shard)[number]


def _part(root: Path, shard: int, what: str, offset: int, length: int, crc: int | None) -> NDArray[np.uint8]:
    """Some bytes of a shard. Raises StoreError where they are not there, or others than their crc32 tells."""
    name = root / shard_name(shard)
    found = np.empty(length, np.uint8)
    try:
        with name.open("rb", buffering=0) as stream:  # a handle of its own: threads share no position
            stream.seek(offset)
            size = stream.readinto(found.data)
    except OSError as problem:
        raise StoreError(f"{name} cannot be read at {what}: {problem.strerror}") from None
    if size != length:
        raise StoreError(f"{name} is truncated at {what}, byte {offset + (size or 0):,}; {AGAIN}")
    if crc is not None and zlib.crc32(found.data) != crc:
        raise StoreError(f"{name} is damaged at {what}, bytes {offset:,} to {offset + length:,}; {AGAIN}")
    return found


def _entries(root: Path, record: dict[str, Any]) -> _Entries:
    items: list[Item] = []
    numbers: list[NDArray[np.int64]] = [np.empty((0, 7), np.int64)]
    digests: list[bytes] = []
    places: list[Place] = []
    known = {name: name for name in record["classes"]}  # one string a class, not one an image
    for number, shard in enumerate(record["shards"]):
        rows, thumbnails = index_of(root, number, shard, frozenset(known))
        items += [Item(row.path, known[row.label], row.split) for row in rows]
        part = [
            (number, *row[3:8], -1 if row.thumbnail is None else row.thumbnail) for row in rows
        ]  # fmt: skip
        numbers.append(np.array(part, np.int64).reshape(-1, 7))
        digests.append(bytes.fromhex("".join(row.digest for row in rows)))
        places.append(thumbnails)

    @lru_cache(2)  # images are surveyed in order, a few at a time
    def all_of(shard: int) -> Pixels:
        offset, length, crc = places[shard]
        found = _part(root, shard, "the thumbnails", offset, length, crc)
        count = length // math.prod(THUMBNAIL)
        return found[len(strip_header(count)) :].reshape(count, *THUMBNAIL)

    place = {item.path: entry for entry, item in enumerate(items)}
    if len(place) != len(items):
        raise DataError(f"{root / RECORD}: two images have one path; {AGAIN}")
    return _Entries(
        root, tuple(items), np.concatenate(numbers),
        np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32), all_of, place, bytearray(len(items)),
    )  # fmt: skip
