"""A prepared store: images in shards, read by offset. `data/store.py` writes it.

store.json         what it holds, how it was made, and the size and sha256 of every shard and its index
shard-00000.tar    about 100 MB of JPEG or PPM files, which any program can take out
shard-00000.json   the images of that shard: path, class, split, offset, length, width, height, crc32

Nothing is written or locked, so that several machines can read one store.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.decode import Pixels, decode
from goingdeeper.data.sources.source import Item, Problem, Source
from goingdeeper.errors import DataError, StoreError

SCHEMA = 1
RECORD, UNFINISHED = "store.json", "unfinished.json"
AGAIN = "make the store again with `deeper prepare`"

Row: TypeAlias = tuple[str, str, str | None, int, int, int, int, int]
"""path, class, split, offset, length, width, height, crc32: an image in the index of a shard."""


def shard_name(number: int) -> str:
    return f"shard-{number:05}.tar"


def index_name(number: int) -> str:
    return f"shard-{number:05}.json"


def ppm_header(width: int, height: int) -> bytes:
    """What precedes the bytes of uncompressed pixels."""
    return f"P6\n{width} {height}\n255\n".encode()


def is_store(root: Path) -> bool:
    """Whether a folder is a prepared store, finished or not."""
    return (root / RECORD).is_file() or (root / UNFINISHED).is_file()


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
    )


def opened(root: Path, location: str) -> dict[str, Any]:
    """store.json. Raises DataError where there is none that can be used."""
    file = root / RECORD
    if not file.is_file():
        raise DataError(f"{location} is an unfinished store; run the same `deeper prepare` command again")
    try:
        record: dict[str, Any] = json.loads(file.read_bytes())
        schema = record["schema"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise DataError(f"{file} is damaged: {problem}; {AGAIN}") from None
    if schema != SCHEMA:
        raise DataError(f"{location} is a store of another version (schema {schema}, here {SCHEMA}); {AGAIN}")
    try:
        _kinds(record, shards=list, classes=list, oriented=bool, problems=list, images=int, made=dict)
        for shard in record["shards"]:
            _kinds(shard, bytes=int, images=int, sha256=str, index_sha256=str)
        if not all(isinstance(name, str) for name in record["classes"]) or not record["classes"]:
            raise ValueError("classes are names")
        if not all(
            len(problem) == 3 and all(isinstance(p, str) for p in problem) for problem in record["problems"]
        ):
            raise ValueError("a problem has a path, what it is and what was done")
        if sum(shard["images"] for shard in record["shards"]) != record["images"]:
            raise ValueError("the shards hold another number of images")
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{file} is damaged: {problem}; {AGAIN}") from None
    return record


def _kinds(record: Any, **kinds: type) -> None:
    if not isinstance(record, dict):
        raise TypeError("an object is missing")
    for name, kind in kinds.items():
        if type(record[name]) is not kind:
            raise TypeError(f"'{name}' is no {kind.__name__}")


def rows_of(root: Path, number: int, shard: dict[str, Any], classes: frozenset[str]) -> list[Row]:
    """The index of a shard. Raises StoreError where it or the shard's size is not what store.json says."""
    place, index = root / shard_name(number), root / index_name(number)
    try:
        size = place.stat().st_size
        content = index.read_bytes()
    except OSError as problem:
        raise StoreError(f"{problem.filename} cannot be read: {problem.strerror}; {AGAIN}") from None
    if hashlib.sha256(content).hexdigest() != shard["index_sha256"]:
        raise StoreError(f"{index} is damaged; {AGAIN}")
    try:
        rows: list[Row] = json.loads(content)["images"]
        for row in rows:
            path, label, split, *numbers = row
            offset, length, *_ = numbers
            if not (
                len(numbers) == 5
                and isinstance(path, str)
                and label in classes
                and split in (None, "train", "val", "test")
                and all(type(number) is int and 0 <= number < 2**48 for number in numbers)
                and offset + length <= shard["bytes"]
            ):
                raise ValueError(f"'{path}' is not described")
        if len(rows) != shard["images"]:
            raise ValueError(f"{len(rows)} images of {shard['images']}")
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise StoreError(f"{index} is damaged: {problem}; {AGAIN}") from None
    if size != shard["bytes"]:
        gone = next((row[0] for row in rows if row[3] + row[4] > size), None)
        first = f", from {gone} on" if gone is not None else ""
        raise StoreError(f"{place} has {size:,} bytes of {shard['bytes']:,}{first}; {AGAIN}")
    return rows


@dataclass(frozen=True)
class _Entries:
    """Where images are. numbers: (N, 6): shard, offset, length, width, height, crc32."""

    root: Path
    items: tuple[Item, ...]
    numbers: NDArray[np.int64]
    place: dict[str, int]
    checked: bytearray

    def file(self, path: str) -> NDArray[np.uint8]:
        """The file that the store has of an image."""
        entry = self.place[path]
        shard, offset, length, _, _, crc = self.numbers[entry].tolist()
        name = self.root / shard_name(shard)
        found = np.empty(length, np.uint8)
        try:
            with name.open("rb", buffering=0) as stream:  # a handle of its own: threads share no position
                stream.seek(offset)
                size = stream.readinto(found.data)
        except OSError as problem:
            raise StoreError(f"{name} cannot be read at {path}: {problem.strerror}") from None
        if size != length:
            raise StoreError(f"{name} is truncated at {path}, byte {offset + (size or 0):,}; {AGAIN}")
        if not self.checked[entry]:  # once: it would take as long as the rest for uncompressed images
            if zlib.crc32(found.data) != crc:
                raise StoreError(
                    f"{name} is damaged at {path}, bytes {offset:,} to {offset + length:,}; {AGAIN}"
                )
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


def _entries(root: Path, record: dict[str, Any]) -> _Entries:
    items: list[Item] = []
    numbers: list[NDArray[np.int64]] = [np.empty((0, 6), np.int64)]
    known = {name: name for name in record["classes"]}  # one string a class, not one an image
    for number, shard in enumerate(record["shards"]):
        rows = rows_of(root, number, shard, frozenset(known))
        items += [Item(row[0], known[row[1]], row[2]) for row in rows]  # type: ignore[arg-type]
        part = np.array([row[3:] for row in rows], np.int64).reshape(-1, 5)
        numbers.append(np.insert(part, 0, number, axis=1))
    place = {item.path: entry for entry, item in enumerate(items)}
    if len(place) != len(items):
        raise DataError(f"{root / RECORD}: two images have one path; {AGAIN}")
    return _Entries(root, tuple(items), np.concatenate(numbers), place, bytearray(len(items)))
