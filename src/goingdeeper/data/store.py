"""Writes a prepared store: images made small once, in shards that load fast. `sources/store.py` reads it.

A shard's index is written when the shard is on the disk, and store.json when all of them are. A stopped
preparation goes on behind the last shard whose index is there; what was begun after it is made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from goingdeeper.data.decode import JPEG, Pixels, fit, is_upright
from goingdeeper.data.pictures import BAD_SHARE, cpus, shortened
from goingdeeper.data.sources import Item, Problem, Source
from goingdeeper.data.sources.store import (
    AGAIN,
    RECORD,
    SCHEMA,
    UNFINISHED,
    Row,
    index_name,
    is_store,
    opened,
    ppm_header,
    rows_of,
    shard_name,
)
from goingdeeper.errors import DataError, StoreError, UsageError
from goingdeeper.files import lock, room_for, sync_folder, write_whole
from goingdeeper.version import __version__

SHARD_BYTES = 100_000_000

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
class Made:
    """A finished store. size: bytes of all shards. problems: what was left out, and why."""

    path: Path
    images: int
    classes: int
    shards: int
    size: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _File:
    """What goes into a shard of an image. number: the image's in the source."""

    number: int
    item: Item
    content: bytes
    width: int
    height: int


def prepare(
    source: Source,
    out: Path,
    form: Form,
    *,
    bad_share: float = BAD_SHARE,
    progress: Callable[[int, int], None] | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Made:
    """Writes the images of a source into a store, goes on with one that was stopped, or finds it finished.

    The same images, form and versions give the same bytes. Raises UsageError where something else is at
    `out`; DataError where more than `bad_share` of the images cannot be read; ResourceError where the disk
    is full. What is finished is kept then.
    """
    plan = _plan(source, form, shard_bytes)
    _check_place(out, source)
    if (out / RECORD).is_file():
        _check_plan(out, opened(out, str(out))["made"], plan, "a finished store")
        return summary(out)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        _begin(out, plan)
        shards = _finished(out, frozenset(source.classes))
        problems = [Problem(*problem) for shard in shards for problem in shard["problems"]]
        done, total = sum(shard["images"] + len(shard["problems"]) for shard in shards), len(source.items)

        def watched() -> Iterator[_File | Problem]:
            for number, found in enumerate(_files(source, form, done), start=done + 1):
                if isinstance(found, Problem):
                    problems.append(found)
                    _check_share(problems, total, bad_share)
                if progress:
                    progress(number, total)
                yield found

        shards += _shards(out, len(shards), watched(), shard_bytes)
        _finish(out, source, plan, shards, problems)
    return summary(out)


def summary(root: Path) -> Made:
    """What a finished store holds. Raises DataError where it cannot be used."""
    record = opened(root, str(root))
    shards, problems = record["shards"], tuple(Problem(*problem) for problem in record["problems"])
    size = sum(shard["bytes"] for shard in shards)
    return Made(root, record["images"], len(record["classes"]), len(shards), size, problems)


def verify(root: Path, progress: Callable[[int, int], None] | None = None) -> Made:
    """Reads every byte of a store. Raises StoreError, naming shard and image, where one has changed."""
    record = opened(root, str(root))
    classes, shards = frozenset(record["classes"]), record["shards"]
    for number, shard in enumerate(shards):
        rows = rows_of(root, number, shard, classes)
        file = root / shard_name(number)
        if _sha256(file) != shard["sha256"]:
            raise StoreError(f"{file} is damaged{_where(file, rows)}; {AGAIN}")
        if progress:
            progress(number + 1, len(shards))
    return summary(root)


def _where(file: Path, rows: Sequence[Row]) -> str:
    """The first image of a damaged shard whose bytes have changed."""
    with file.open("rb") as stream:
        for path, _, _, offset, length, _, _, crc in rows:
            stream.seek(offset)
            if zlib.crc32(stream.read(length)) != crc:
                return f" at {path}, bytes {offset:,} to {offset + length:,}"
    return " between the images"


# The plan, and what is there already


def _plan(source: Source, form: Form, shard_bytes: int) -> dict[str, Any]:
    """All that the bytes of the store depend on but the images themselves."""
    lines = "\n".join(f"{item.path}\0{item.label}\0{item.split}" for item in source.items)
    return {
        "from": source.location,
        "images": len(source.items),
        "list_sha256": hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(),
        **asdict(form),
        "shard_bytes": shard_bytes,
        "goingdeeper": __version__,
        "pillow": version("pillow"),
        "torch": version("torch"),
    }


def _check_place(out: Path, source: Source) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; give a folder that is not there yet")
    if out.is_dir() and not is_store(out) and any(not _is_left_over(file) for file in out.iterdir()):
        raise UsageError(f"{out} is there already and is not a store; give another -o")
    images = Path(source.location)
    if images.is_dir() and out.resolve().is_relative_to(images.resolve()):
        raise UsageError(f"{out} lies in the folder of the images; give a place outside of it")


def _is_left_over(file: Path) -> bool:
    """Whether it is what a killed preparation leaves of its own."""
    return file.name == ".lock" or file.name.startswith((".shard-", f".{RECORD}.", f".{UNFINISHED}."))


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keeps a second preparation out of the folder."""
    file = out / ".lock"
    with file.open("wb") as handle:
        if not lock(handle):
            raise UsageError(f"{out} is being written by another process; wait for it, or give another -o")
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def _begin(out: Path, plan: dict[str, Any]) -> None:
    file = out / UNFINISHED
    if file.is_file():
        try:
            before = json.loads(file.read_bytes())
        except ValueError:
            before = {}
        _check_plan(out, before, plan, "an unfinished store")
    for left in out.iterdir():
        if _is_left_over(left) and left.name != ".lock":
            left.unlink()
    write_whole(file, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")


def _check_plan(out: Path, before: dict[str, Any], plan: dict[str, Any], what: str) -> None:
    changed = [name for name in plan if before.get(name) != plan[name]]
    if not changed:
        return
    told = [f"{name} {before.get(name)}, now {plan[name]}" for name in changed if name != "list_sha256"]
    how = f"other settings ({'; '.join(told)})" if told else "other images"
    raise UsageError(f"{out} holds {what} of {how}; give another -o, or remove it")


def _finished(out: Path, classes: frozenset[str]) -> list[dict[str, Any]]:
    """The shards that are whole, as far as they follow one another."""
    found: list[dict[str, Any]] = []
    while True:
        number = len(found)
        try:
            content = (out / index_name(number)).read_bytes()
            index = json.loads(content)
            shard = _described(content, index)
            rows_of(out, number, shard, classes)
            if _sha256(out / shard_name(number)) != shard["sha256"]:
                return found
        except (OSError, ValueError, KeyError, TypeError, StoreError):
            return found
        found.append(shard)


def _described(content: bytes, index: dict[str, Any]) -> dict[str, Any]:
    """A shard as store.json has it, and its problems. content: of its index."""
    return {
        "bytes": index["bytes"],
        "images": len(index["images"]),
        "sha256": index["sha256"],
        "index_sha256": hashlib.sha256(content).hexdigest(),
        "problems": index["problems"],
    }


def _finish(
    out: Path, source: Source, plan: dict[str, Any], shards: list[dict[str, Any]], bad: list[Problem]
) -> None:
    record = {
        "schema": SCHEMA,
        "images": sum(shard["images"] for shard in shards),
        "classes": source.classes,
        "oriented": source.oriented,
        "made": plan,
        "problems": [[p.path, p.problem, p.action] for p in (*source.problems, *bad)],
        "shards": [{name: shard[name] for name in shard if name != "problems"} for shard in shards],
    }
    write_whole(out / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    (out / UNFINISHED).unlink(missing_ok=True)


# From images to shards


def _files(source: Source, form: Form, start: int) -> Iterator[_File | Problem]:
    """The images from a number on, in order; or what is wrong with them."""
    pool = ThreadPoolExecutor(cpus())
    window = 16 * cpus()  # what is made waits in memory, so only so many at a time
    try:
        for first in range(start, len(source.items), window):
            numbers = range(first, min(first + window, len(source.items)))
            yield from pool.map(lambda number: _file(source, number, form), numbers)
    finally:
        pool.shutdown(cancel_futures=True)


def _file(source: Source, number: int, form: Form) -> _File | Problem:
    item = source.items[number]
    try:
        pixels = source.read(item.path)
        content = _own_jpeg(source, item.path, pixels, form)
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
    return _File(number, item, content, pixels.shape[1], pixels.shape[0])


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


def _shards(
    out: Path, number: int, files: Iterator[_File | Problem], shard_bytes: int
) -> Iterator[dict[str, Any]]:
    """Writes shards from a number on, each with its index, until there are no more files."""
    waiting = next(files, None)
    while waiting is not None:
        rows: list[Row] = []
        problems: list[Problem] = []
        digest, size = hashlib.sha256(), 0
        with _aside(out / shard_name(number), shard_bytes) as stream:

            def write(content: bytes, stream: IO[bytes] = stream, digest: Any = digest) -> None:
                stream.write(content)
                digest.update(content)

            while waiting is not None:
                if isinstance(waiting, Problem):
                    problems.append(waiting)
                else:
                    member = _member(waiting)
                    if rows and size + len(member) + len(TAR_END) > shard_bytes:
                        break
                    item, length = waiting.item, len(waiting.content)
                    rows.append((
                        item.path, item.label, item.split, size + BLOCK, length,
                        waiting.width, waiting.height, zlib.crc32(waiting.content),
                    ))  # fmt: skip
                    write(member)
                    size += len(member)
                waiting = next(files, None)
            write(TAR_END)
        index = {
            "bytes": size + len(TAR_END),
            "sha256": digest.hexdigest(),
            "images": rows,
            "problems": [[p.path, p.problem, p.action] for p in problems],
        }
        content = json.dumps(index, ensure_ascii=False).encode() + b"\n"
        write_whole(out / index_name(number), content)
        yield _described(content, index)
        number += 1


def _member(file: _File) -> bytes:
    """A file with its header as a tar file has it. Named by number, as tar's names are short."""
    suffix = "jpg" if file.content.startswith(JPEG) else "ppm"
    header = tarfile.TarInfo(f"{file.number:08}.{suffix}")
    header.size = len(file.content)
    return header.tobuf(tarfile.USTAR_FORMAT) + file.content + bytes(-len(file.content) % BLOCK)


@contextmanager
def _aside(file: Path, needed: int) -> Iterator[IO[bytes]]:
    """A file that is there when it is whole and on the disk; its name until then is a hidden one."""
    aside = file.with_name(f".{file.name}")
    try:
        with room_for(file, needed):
            with aside.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(file)
            sync_folder(file.parent)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def _check_share(problems: Sequence[Problem], total: int, bad_share: float) -> None:
    if len(problems) > bad_share * total:
        listed = shortened("; ".join(problem.problem for problem in problems))
        raise DataError(
            f"{len(problems)} of {total} images cannot be read so far, over the {100 * bad_share:g} % that "
            f"may be left out (--bad-share 0.05 allows 5 %); repair or remove them: {listed}"
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
