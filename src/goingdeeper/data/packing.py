"""From images to the shards of a prepared store, each with its index."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from goingdeeper.data.alike import averaged, sampled
from goingdeeper.data.decode import JPEG, Pixels, fit, is_upright
from goingdeeper.data.pictures import pixels_digest
from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import Item, Problem, Source
from goingdeeper.data.sources.index import (
    Place,
    Row,
    index_name,
    ppm_header,
    shard_name,
    strip_header,
    strip_size,
)
from goingdeeper.errors import DataError, StoreError
from goingdeeper.files import whole_file, write_whole

SMALL = 64
"""Shorter sides under this are not compressed anew: JPEG would take more from them than it saves."""

BLOCK, TAR_END = 512, bytes(1024)
"""Members of a tar file begin at multiples of the one; the other ends it."""


@dataclass(frozen=True)
class Form:
    """What images become. side: of the shorter side, at most. quality: of the JPEGs. raw: no JPEGs."""

    side: int = 256
    quality: int = 90
    raw: bool = False


@dataclass(frozen=True)
class Packed:
    """What goes into a shard of an image, which is the source's at `number`.

    digest, thumbnail: of the original's pixels; no thumbnail where those are too small to be compared.
    """

    number: int
    item: Item
    content: bytes
    width: int
    height: int
    digest: str
    thumbnail: Pixels | None


def packed(source: Source, form: Form, start: int) -> Iterator[Packed | Problem]:
    """The images from a number on, in order; or what is wrong with them."""
    pool = ThreadPoolExecutor(cpus())
    window = 16 * cpus()  # what is made waits in memory, so only so many at a time
    try:
        for first in range(start, len(source.items), window):
            numbers = range(first, min(first + window, len(source.items)))
            yield from pool.map(lambda number: _packed(source, number, form), numbers)
    finally:
        pool.shutdown(cancel_futures=True)


def _packed(source: Source, number: int, form: Form) -> Packed | Problem:
    item = source.items[number]
    try:
        pixels = source.read(item.path)
        content = _own_jpeg(source, item.path, pixels, form)
        digest, thumbnail = _original(source, item.path, pixels)
    except StoreError:
        raise
    except DataError as problem:
        return Problem(item.path, str(problem), "left out")
    except OSError as problem:
        return Problem(item.path, f"{item.path} cannot be read: {problem.strerror or problem}", "left out")
    if content is None:
        if min(pixels.shape[:2]) > form.side:
            pixels = fit(pixels, form.side)
        content = _encoded(pixels, form)
    return Packed(number, item, content, pixels.shape[1], pixels.shape[0], digest, thumbnail)


def _original(source: Source, path: str, pixels: Pixels) -> tuple[str, Pixels | None]:
    """Hash and thumbnail of an image: those that it had before the first store, where the source is one."""
    if source.originals:
        return source.originals.digest(path), source.originals.thumbnail(path)
    sample = sampled(pixels)
    return pixels_digest(pixels), None if sample is None else averaged(sample[None])[0]


def _own_jpeg(source: Source, path: str, pixels: Pixels, form: Form) -> bytes | None:
    """The image's own file where that can be kept: a JPEG that is small enough and need not be turned."""
    if form.raw or source.content is None or min(pixels.shape[:2]) > form.side:
        return None
    content = source.content(path)
    return content if content.startswith(JPEG) and is_upright(content) else None


def _encoded(pixels: Pixels, form: Form) -> bytes:
    height, width = pixels.shape[:2]
    if form.raw or min(height, width) < SMALL:
        return ppm_header(width, height) + pixels.tobytes()
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        stream, "JPEG", quality=form.quality, subsampling="4:2:0"
    )
    return stream.getvalue()


def write_shards(
    out: Path, number: int, images: Iterator[Packed | Problem], shard_bytes: int
) -> Iterator[dict[str, Any]]:
    """Writes shards from a number on, each with its index, until there are no more images; describes each."""
    waiting = next(images, None)
    while waiting is not None:
        rows: list[Row] = []
        problems: list[Problem] = []
        thumbnails: list[bytes] = []
        with whole_file(out / shard_name(number), shard_bytes) as stream:
            tar = _Tar(stream)
            while waiting is not None:
                if isinstance(waiting, Problem):
                    problems.append(waiting)
                else:
                    small = [] if waiting.thumbnail is None else [waiting.thumbnail.tobytes()]
                    more = _taken(len(waiting.content)) + _taken(strip_size(len(thumbnails) + len(small)))
                    if rows and tar.size + more + len(TAR_END) > shard_bytes:
                        break
                    offset = tar.add(*_member(waiting))
                    rows.append(_row(waiting, offset, len(thumbnails)))
                    thumbnails += small
                waiting = next(images, None)
            strip = strip_header(len(thumbnails)) + b"".join(thumbnails)
            offset = tar.add(f"thumbnails-{number:05}.ppm", strip) if thumbnails else 0
            tar.write(TAR_END)
        index = {
            "bytes": tar.size,
            "sha256": tar.digest.hexdigest(),
            "thumbnails": Place(offset, len(strip), zlib.crc32(strip)),
            "images": rows,
            "problems": [[p.path, p.problem, p.action] for p in problems],
        }
        content = json.dumps(index, ensure_ascii=False).encode() + b"\n"
        write_whole(out / index_name(number), content)
        yield described(content, index)
        number += 1


def described(content: bytes, index: dict[str, Any]) -> dict[str, Any]:
    """A shard as store.json has it, and its problems. content: of its index."""
    return {
        "bytes": index["bytes"],
        "images": len(index["images"]),
        "sha256": index["sha256"],
        "index_sha256": hashlib.sha256(content).hexdigest(),
        "problems": index["problems"],
    }


def _member(image: Packed) -> tuple[str, bytes]:
    """Name and content of a file in a shard. Named by number, as tar's names are short."""
    return f"{image.number:08}.{'jpg' if image.content.startswith(JPEG) else 'ppm'}", image.content


def _row(image: Packed, offset: int, thumbnail: int) -> Row:
    item, content = image.item, image.content
    return Row(
        item.path, item.label, item.split, offset, len(content), image.width, image.height,
        zlib.crc32(content), image.digest, None if image.thumbnail is None else thumbnail,
    )  # fmt: skip


def _taken(length: int) -> int:
    """Bytes that a file of a length takes in a tar file."""
    return BLOCK + length + -length % BLOCK if length else 0


class _Tar:
    """A tar file as it is written, its size and its hash."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.size, self.digest = stream, 0, hashlib.sha256()

    def add(self, name: str, content: bytes) -> int:
        """Returns where the content begins."""
        header = tarfile.TarInfo(name)
        header.size = len(content)
        self.write(header.tobuf(tarfile.USTAR_FORMAT))
        offset = self.size
        self.write(content + bytes(-len(content) % BLOCK))
        return offset

    def write(self, content: bytes) -> None:
        self._stream.write(content)
        self.digest.update(content)
        self.size += len(content)
