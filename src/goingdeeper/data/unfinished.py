"""What is at the place of a prepared store before it is written: nothing, a part of it, or something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from goingdeeper.data.packing import Form, described
from goingdeeper.data.sources import Source
from goingdeeper.data.sources.index import (
    RECORD,
    SCHEMA,
    UNFINISHED,
    index_name,
    index_of,
    is_store,
    shard_name,
)
from goingdeeper.errors import StoreError, UsageError
from goingdeeper.files import lock, sha256_of, write_whole
from goingdeeper.version import __version__


def plan_of(source: Source, form: Form, shard_bytes: int) -> dict[str, Any]:
    """All that the bytes of the store depend on but the images themselves."""
    lines = "\n".join(f"{item.path}\0{item.label}\0{item.split}" for item in source.items)
    return {
        "schema": SCHEMA,
        "from": source.location,
        "images": len(source.items),
        "list_sha256": hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(),
        **asdict(form),
        "shard_bytes": shard_bytes,
        "goingdeeper": __version__,
        "pillow": version("pillow"),
        "torch": version("torch"),
    }


def check_place(out: Path, source: Source) -> None:
    """Raises UsageError where something else is there, or the images themselves."""
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
def alone(out: Path) -> Iterator[None]:
    """Keeps a second preparation out of the folder."""
    file = out / ".lock"
    with file.open("wb") as handle:
        if not lock(handle):
            raise UsageError(f"{out} is being written by another process; wait for it, or give another -o")
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def begin(out: Path, plan: dict[str, Any]) -> None:
    """Notes the plan, and removes what a kill left.

    Raises UsageError where another plan was begun and a shard of it is finished.
    """
    file = out / UNFINISHED
    if file.is_file() and any(out.glob("shard-*.json")):
        try:
            before = json.loads(file.read_bytes())
        except ValueError:
            before = {}
        check_plan(out, before, plan, "an unfinished store")
    for left in out.iterdir():
        if _is_left_over(left) and left.name != ".lock":
            left.unlink()
    write_whole(file, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")


def check_plan(out: Path, before: dict[str, Any], plan: dict[str, Any], what: str) -> None:
    """Raises UsageError where what is there was made by another plan."""
    changed = [name for name in plan if before.get(name) != plan[name]]
    if not changed:
        return
    told = dict.fromkeys(_change(name, before, plan) for name in changed if name != "list_sha256")
    how = f"other settings ({'; '.join(told)})" if told else "other images"
    if not before:
        how = "settings that cannot be read"
    raise UsageError(f"{out} holds {what} of {how}; give another -o, or remove it")


def _change(name: str, before: dict[str, Any], plan: dict[str, Any]) -> str:
    if name in ("raw", "quality"):  # one choice, whatever a plan has for the other
        was, now = ("raw" if one.get("raw") else f"quality {one.get('quality')}" for one in (before, plan))
        return f"{was}, now {now}"
    return f"{name} {before.get(name, 1 if name == 'schema' else 'unknown')}, now {plan[name]}"


def finished_shards(out: Path, classes: frozenset[str]) -> list[dict[str, Any]]:
    """The shards that are whole, as far as they follow one another."""
    found: list[dict[str, Any]] = []
    while True:
        number = len(found)
        try:
            content = (out / index_name(number)).read_bytes()
            index = json.loads(content)
            shard = described(content, index)
            index_of(out, number, shard, classes)
            if sha256_of(out / shard_name(number)) != shard["sha256"]:
                return found
        except (OSError, ValueError, KeyError, TypeError, StoreError):
            return found
        found.append(shard)
