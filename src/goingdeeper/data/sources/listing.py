"""A list of images: CSV, TSV or JSON lines of path, label and, if wanted, split."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from goingdeeper.data.decode import content, decode, header_size
from goingdeeper.data.sources.folder import SUFFIXES as IMAGES
from goingdeeper.data.sources.problems import Passed, printable
from goingdeeper.data.sources.source import SPLITS, Item, Source, gathered
from goingdeeper.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
LABELS = ("label", "class", "class_name", "category")

Row = tuple[int, str, str, str]
"""Line, path, label, split."""


def open_at(file: Path) -> Source:
    """The images of a list; their paths are relative to its folder.

    Raises DataError, naming file and line, for a list that cannot be understood.
    """
    folder = file.resolve().parent
    rows = _json_lines(file) if file.suffix.lower() in (".jsonl", ".ndjson") else _table(file)
    items: dict[str, Item] = {}
    lines: dict[str, int] = {}
    passed = Passed()
    for line, path, label, split in rows:
        item = _item(file, line, path, label, split)
        known = items.setdefault(path, item)
        if known != item:
            raise DataError(
                f"{file}, line {line}: {path} is {_said(item)} here and {_said(known)} on line {lines[path]}"
            )
        if path in lines:
            passed.add(f"listed again: line {line}", path, "taken once")
        lines.setdefault(path, line)
    return gathered(
        file,
        list(items.values()),
        read=lambda path: decode(folder / path),
        size=lambda path: header_size(folder / path),
        content=lambda path: content(folder / path),
        problems=passed.problems(),
    )


def _item(file: Path, line: int, path: str, label: str, split: str) -> Item:
    for what, text in (("path", path), ("label", label)):
        if not text:
            raise DataError(f"{file}, line {line}: no {what}")
        if "\0" in text or printable(text) != text:
            raise DataError(
                f"{file}, line {line}: the {what} {text[:40]!r} cannot be a file's or a class's name"
            )
    if split and split.lower() not in SPLITS:
        raise DataError(f"{file}, line {line}: unknown split '{split[:40]}'; it is train, val or test")
    return Item(path, label, SPLITS[split.lower()] if split else None)


def _said(item: Item) -> str:
    return f"'{item.label}'" + (f" in {item.split}" if item.split else "")


def _text(file: Path) -> str:
    data = content(file)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise DataError(
            f"{file}, line {line}: byte 0x{data[problem.start]:02x} is not UTF-8; save the list as UTF-8"
        ) from None


def _table(file: Path) -> Iterator[Row]:
    text = _text(file)
    first = text.partition("\n")[0]
    comma = "\t" if file.suffix.lower() == ".tsv" else next((mark for mark in ",;\t" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, skipinitialspace=True, strict=True)
    columns: tuple[int, ...] = ()
    width = 0
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                named, width = _columns(file, reader.line_num, row), len(row)
                columns = named or (0, 1)
                if named:
                    continue
            if len(row) != width:
                raise DataError(
                    f"{file}, line {reader.line_num}: {len(row)} columns, where {width} are expected"
                )
            path, label, *split = (row[column].strip() for column in columns)
            yield reader.line_num, path, label, split[0] if split else ""
    except csv.Error as problem:
        raise DataError(f"{file}, line {reader.line_num}: {problem}") from None


def _columns(file: Path, line: int, row: list[str]) -> tuple[int, ...] | None:
    """Where path, label and split are, by the header; None where the first row is an image's already."""
    names = [cell.strip().lower() for cell in row]
    found = [[names.index(name) for name in known if name in names] for known in (PATHS, LABELS, ("split",))]
    if found[0] and found[1]:
        return tuple(places[0] for places in found if places)
    if len(row) == 2 and "." + names[0].rpartition(".")[2] in IMAGES:
        return None
    told = ", ".join(cell.strip()[:40] or "''" for cell in row[:12])
    if any("." + name.rpartition(".")[2] in IMAGES for name in names):
        raise DataError(
            f"{file}, line {line}: {told} is no header, and without one there are two columns, path and "
            "label; begin with a line such as path,label,split"
        )
    needed = ((PATHS, found[0]), (LABELS, found[1]))
    missing = [f"no {known[0]} ({', '.join(known)})" for known, places in needed if not places]
    raise DataError(f"{file}, line {line}: {' and '.join(missing)} among the columns {told}; rename them")


def _json_lines(file: Path) -> Iterator[Row]:
    for line, text in enumerate(_text(file).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as problem:
            reason = problem.msg if isinstance(problem, json.JSONDecodeError) else type(problem).__name__
            raise DataError(f"{file}, line {line}: not JSON ({reason})") from None
        if not isinstance(row, dict):
            raise DataError(f'{file}, line {line}: not of the form {{"path": "a.jpg", "label": "cat"}}')
        names = {name.lower(): name for name in reversed(row)}
        cells = []
        for known in (PATHS, LABELS, ("split",)):
            value = next((row[names[name]] for name in known if name in names), None)
            if isinstance(value, bool) or not isinstance(value, str | int | None):
                raise DataError(f"{file}, line {line}: {known[0]} is {json.dumps(value)[:40]}, no text")
            cells.append("" if value is None else str(value).strip())
        yield line, cells[0], cells[1], cells[2]
