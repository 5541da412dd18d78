"""What a prepared store's folder says of itself: store.json, and the index of each shard.

store.json         what it holds, how it was made, and the size and sha256 of every shard and its index
shard-00000.tar    about 100 MB of JPEG or PPM files, which any program can take out
shard-00000.json   the images of that shard (`Row`), and where its thumbnails are (`Place`)
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from goingdeeper.data.sources.source import Split
from goingdeeper.errors import DataError, StoreError

SCHEMA = 2
RECORD, UNFINISHED = "store.json", "unfinished.json"
AGAIN = "remove the store and make it again with `deeper prepare`"

THUMBNAIL = (16, 16, 3)
"""Height, width and channels; those of a shard are one PPM picture, a strip of them below one another."""


class Row(NamedTuple):
    """An image in the index of a shard.

    offset, length, crc32: of its file. digest: sha256 of the original's pixels. thumbnail: the number of the
    original's among the thumbnails of the shard.
    """

    path: str
    label: str
    split: Split | None
    offset: int
    length: int
    width: int
    height: int
    crc32: int
    digest: str
    thumbnail: int | None


class Place(NamedTuple):
    """Where in a shard the thumbnails are."""

    offset: int
    length: int
    crc32: int


def shard_name(number: int) -> str:
    return f"shard-{number:05}.tar"


def index_name(number: int) -> str:
    return f"shard-{number:05}.json"


def ppm_header(width: int, height: int) -> bytes:
    """What precedes the bytes of uncompressed pixels."""
    return f"P6\n{width} {height}\n255\n".encode()


def strip_header(count: int) -> bytes:
    """What precedes so many thumbnails; nothing where there are none, as a PPM has one row at least."""
    return ppm_header(THUMBNAIL[1], THUMBNAIL[0] * count) if count else b""


def strip_size(count: int) -> int:
    """Bytes of the picture of so many thumbnails."""
    return len(strip_header(count)) + count * math.prod(THUMBNAIL)


def is_store(root: Path) -> bool:
    """Whether a folder is a prepared store, finished or not."""
    return (root / RECORD).is_file() or (root / UNFINISHED).is_file()


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


def index_of(
    root: Path, number: int, shard: dict[str, Any], classes: frozenset[str]
) -> tuple[list[Row], Place]:
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
        found = json.loads(content)
        thumbnails = _place(found["thumbnails"], shard["bytes"])
        rows = [_row(row, shard["bytes"], classes) for row in found["images"]]
        if len(rows) != shard["images"]:
            raise ValueError(f"{len(rows)} images of {shard['images']}")
        count = sum(row.thumbnail is not None for row in rows)
        if [row.thumbnail for row in rows if row.thumbnail is not None] != list(range(count)):
            raise ValueError("the thumbnails are not in the order of the images")
        if thumbnails.length != strip_size(count):
            raise ValueError(f"no place for {count} thumbnails")
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise StoreError(f"{index} is damaged: {problem}; {AGAIN}") from None
    if size != shard["bytes"]:
        gone = next((row.path for row in rows if row.offset + row.length > size), None)
        first = f", from {gone} on" if gone is not None else ""
        raise StoreError(f"{place} has {size:,} bytes of {shard['bytes']:,}{first}; {AGAIN}")
    return rows, thumbnails


def _row(values: Any, size: int, classes: frozenset[str]) -> Row:
    """values: of a row as it was written. size: of the shard. Raises ValueError or TypeError."""
    row = Row(*values)
    numbers = (row.offset, row.length, row.width, row.height, row.crc32, row.thumbnail or 0)
    if not (
        isinstance(row.path, str)
        and row.label in classes
        and row.split in (None, "train", "val", "test")
        and all(type(number) is int and 0 <= number < 2**48 for number in numbers)
        and row.offset + row.length <= size
        and re.fullmatch("[0-9a-f]{64}", row.digest)
    ):
        raise ValueError(f"'{row.path}' is not described")
    return row


def _place(values: Any, size: int) -> Place:
    place = Place(*values)
    if not all(type(number) is int and 0 <= number for number in place):
        raise ValueError("no place of the thumbnails")
    if place.offset + place.length > size:
        raise ValueError("the thumbnails lie behind the end")
    return place
