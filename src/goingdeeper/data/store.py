"""Writes a prepared store: images made small once, in shards that load fast. `sources/store.py` reads it.

A shard's index is written when the shard is on the disk, and store.json when all of them are. A stopped
preparation goes on behind the last shard whose index is there; what was begun after it is made again.
"""

from __future__ import annotations

import json
import shlex
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goingdeeper.data.packing import Form, Packed, packed, write_shards
from goingdeeper.data.pictures import BAD_SHARE, shortened
from goingdeeper.data.sources import Problem, Source
from goingdeeper.data.sources.index import (
    AGAIN,
    RECORD,
    SCHEMA,
    UNFINISHED,
    Row,
    index_of,
    opened,
    shard_name,
)
from goingdeeper.data.unfinished import alone, begin, check_place, check_plan, finished_shards, plan_of
from goingdeeper.errors import DataError, StoreError
from goingdeeper.files import make_folder, sha256_of, write_whole

__all__ = ["Form", "Made", "prepare", "summary", "verify"]

SHARD_BYTES = 100_000_000


@dataclass(frozen=True)
class Made:
    """A finished store. size: bytes of all shards. problems: what was left out, and why."""

    path: Path
    images: int
    classes: int
    shards: int
    size: int
    problems: tuple[Problem, ...]


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
    plan = plan_of(source, form, shard_bytes)
    check_place(out, source)
    if (out / RECORD).is_file():
        check_plan(out, opened(out, str(out))["made"], plan, "a finished store")
        return summary(out)
    make_folder(out)
    with alone(out):
        begin(out, plan)
        shards = finished_shards(out, frozenset(source.classes))
        problems = [Problem(*problem) for shard in shards for problem in shard["problems"]]
        done, total = sum(shard["images"] + len(shard["problems"]) for shard in shards), len(source.items)

        def watched() -> Iterator[Packed | Problem]:
            for number, found in enumerate(packed(source, form, done), start=done + 1):
                if isinstance(found, Problem):
                    problems.append(found)
                    _check_share(problems, total, bad_share, source.location)
                if progress:
                    progress(number, total)
                yield found

        shards += write_shards(out, len(shards), watched(), shard_bytes)
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
        rows, _ = index_of(root, number, shard, classes)
        file = root / shard_name(number)
        if sha256_of(file) != shard["sha256"]:
            raise StoreError(f"{file} is damaged{_where(file, rows)}; {AGAIN}")
        if progress:
            progress(number + 1, len(shards))
    return summary(root)


def _where(file: Path, rows: Sequence[Row]) -> str:
    """The first image of a damaged shard whose bytes have changed."""
    with file.open("rb") as stream:
        for row in rows:
            stream.seek(row.offset)
            if zlib.crc32(stream.read(row.length)) != row.crc32:
                return f" at {row.path}, bytes {row.offset:,} to {row.offset + row.length:,}"
    return " outside of the images"


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


def _check_share(problems: Sequence[Problem], total: int, bad_share: float, location: str) -> None:
    if len(problems) > bad_share * total:
        listed = shortened("; ".join(problem.problem for problem in problems))
        check = f"`deeper check {shlex.quote(location)} --out FOLDER`"
        raise DataError(
            f"{len(problems)} of {total} images cannot be read so far, over the {100 * bad_share:g} % that "
            f"may be left out (--bad-share 0.05 allows 5 %, and {check} lists them for --exclude); repair or "
            f"remove them: {listed}"
        )
