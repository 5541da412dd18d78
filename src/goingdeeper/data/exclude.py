"""Lists of images to leave out: one path a line, each below a comment that says why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from goingdeeper.data.sources import Source
from goingdeeper.errors import DataError


def exclude_list(rows: Iterable[tuple[str, str]], heading: Iterable[str] = ()) -> str:
    """The text of a list. rows: (path, reason). heading: lines of comment."""
    lines = [f"# {_one_line(line)}" for line in heading]
    for path, reason in rows:
        lines += [f"# {_one_line(reason)}", _quoted(path)]
    return "".join(f"{line}\n" for line in lines)


def read_exclude_list(file: Path) -> tuple[str, ...]:
    """The paths of a list, each once.

    A line that starts with # is a comment, one that starts with " a path as a JSON string. Raises DataError,
    naming file and line, for what cannot be read.
    """
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{file} is not UTF-8 (byte {problem.start}); save it as UTF-8") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise DataError(f"{file} cannot be read: {reason}; --exclude takes a list of paths") from None
    found: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        path = line.strip(" \t\r")
        if not path or path.startswith("#"):
            continue
        if path.startswith('"'):
            try:
                path = json.loads(path)
            except ValueError:
                raise DataError(f"{file}, line {number}: {path} is no JSON string") from None
        found[path] = None
    return tuple(found)


def without(source: Source, paths: Iterable[str], list_name: str) -> Source:
    """The source without the images at these paths.

    Classes that lose all their images stay, for training to name. Raises DataError, naming the first, where a
    path is not in the source, nor among what a store has left out already; or where no image stays.
    """
    excluded = dict.fromkeys(paths)
    known = {item.path for item in source.items}
    known.update(problem.path for problem in source.problems if problem.action == "left out")
    for path in excluded:
        if path not in known:
            hint = "; a store made with this list has left its images out" if source.originals else ""
            raise DataError(
                f"{list_name}: {source.name} has no image '{path}'; paths are those of the source, such as "
                f"{source.items[0].path}{hint}"
            )
    items = tuple(item for item in source.items if item.path not in excluded)
    if not items:
        raise DataError(f"{list_name} names all images of {source.name}; keep some")
    return replace(source, items=items)


def list_record(paths: Collection[str]) -> dict[str, object]:
    """What run.json keeps of a list: how many paths, and one sha256 for the same ones in any order."""
    lines = "\n".join(map(json.dumps, sorted(paths)))
    return {"images": len(paths), "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def _quoted(path: str) -> str:
    """As it is, unless reading it back would give another path."""
    plain = path and path[0] not in '#"' and path == path.strip(" \t\r") and not {"\n", "\r"} & {*path}
    return path if plain and not path.startswith("\ufeff") else json.dumps(path)


def _one_line(text: str) -> str:
    return " ".join(text.split())
