"""WebDataset's tar shards: images with their labels beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from goingdeeper.data.decode import content as file_content
from goingdeeper.data.decode import decode, header_size
from goingdeeper.data.sources.archive import Archives, Place, members
from goingdeeper.data.sources.folder import HIDDEN
from goingdeeper.data.sources.folder import SUFFIXES as IMAGES
from goingdeeper.data.sources.problems import Passed, printable
from goingdeeper.data.sources.source import Item, Source, data_files, gathered, split_of
from goingdeeper.errors import DataError

SUFFIXES = (".tar",)
CLASSES = "classes.txt"
"""Class names, a line each, for labels that are numbers; beside the shards or in one."""


def open_at(root: Path) -> Source:
    """The images of one shard, or of all in a folder: name.jpg with name.cls or name.json beside it.

    Raises DataError, naming shard and place, for archives that are damaged and images without a label.
    """
    files = [file.absolute() for file in data_files(root, SUFFIXES)]
    whole = root.is_dir()
    base = root.absolute() if whole else root.absolute().parent
    shards = Archives(files)
    listed = base / CLASSES
    names = _names(file_content(listed), listed) if listed.is_file() else None
    passed = Passed()
    places: dict[str, Place] = {}
    items: list[Item] = []
    for number, file in enumerate(files):
        shard = file.relative_to(base).as_posix()
        split = split_of(shard) if whole else None
        inside = dict(_members(shards, number, passed))
        if CLASSES in inside and names is None:
            names = _names(shards.read(inside[CLASSES]), file / CLASSES)
        for name, place, label in _samples(inside, shards, file, passed):
            path = f"{shard}/{name}"
            places[path] = place
            items.append(Item(path, _class_name(label, names, path), split))

    def content(path: str) -> bytes:
        if path not in places:
            raise DataError(f"{path}: no such image; the data changed since it was listed")
        return shards.read(places[path])

    return gathered(
        root,
        items,
        read=lambda path: decode(content(path), str(base / path)),
        size=lambda path: header_size(content(path)),
        content=content,
        problems=passed.problems(),
    )


def _members(shards: Archives, number: int, passed: Passed) -> Iterator[tuple[str, Place]]:
    """The regular files of a shard, by name; links, devices and names that lead out of it are passed over."""
    file = shards.files[number]
    seen = set()
    for full, start, size in members(file):
        name = full.removeprefix("./")
        shown = f"{file.name}/{name}"
        if size < 0:
            passed.add("no regular file (a link, device or sparse file)", shown)
        elif name.startswith("/") or ".." in name.split("/"):
            passed.add("a name that leads out of the archive", shown)
        elif "/." in shown:
            passed.add(HIDDEN, shown)
        elif printable(name) != name:
            passed.add("its name is not UTF-8", shown)
        elif name in seen:
            raise DataError(f"{file}: two files are called {name} (the second at byte {start:,})")
        else:
            seen.add(name)
            yield name, (number, start, size)


def _samples(
    inside: dict[str, Place], shards: Archives, file: Path, passed: Passed
) -> Iterator[tuple[str, Place, str | int]]:
    """Each image of a shard with its class: what is called the same up to the first dot belongs together."""
    images: dict[str, str] = {}
    labels: dict[str, str] = {}
    for name in inside:
        folder, slash, last = name.rpartition("/")
        stem, _, kind = last.partition(".")
        key, kind = folder + slash + stem, "." + kind.rpartition(".")[2].lower()
        if kind in IMAGES:
            if key in images:
                raise DataError(f"{file}: {key} has two images, {images[key]} and {name}")
            images[key] = name
        elif kind == ".cls" or (kind == ".json" and key not in labels):
            labels[key] = name
    for key, name in images.items():
        if key not in labels:
            raise DataError(f"{file}: {name} has no label; {key}.cls or {key}.json is missing")
        label = labels.pop(key)
        yield name, inside[name], _label(shards.read(inside[label]), f"{file}: {label}")
    for name in labels.values():
        passed.add("a label without an image", f"{file.name}/{name}")


def _label(data: bytes, where: str) -> str | int:
    """The class of a sample; a number where it is one."""
    found: object
    try:
        text = data.decode("utf-8-sig").strip()
        found = text
        if where.lower().endswith(".json"):
            record = json.loads(text)
            found = next((record[name] for name in ("label", "class", "cls") if name in record), None)
    except (ValueError, TypeError, RecursionError) as problem:
        raise DataError(f"{where} is damaged: {problem or type(problem).__name__}") from None
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 10:
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise DataError(f"{where} names no class")
    return found


def _class_name(label: str | int, names: list[str] | None, where: str) -> str:
    if isinstance(label, str) or names is None:
        if names is not None and label not in names:
            raise DataError(f"{where}: its class '{label}' is not in {CLASSES}")
        return str(label)
    if not 0 <= label < len(names):
        raise DataError(f"{where}: class number {label}, where {CLASSES} names {len(names)}")
    return names[label]


def _names(data: bytes, file: Path) -> list[str]:
    try:
        names = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8") from None
    while names and not names[-1]:
        names.pop()
    if not all(names) or len(set(names)) < len(names):
        raise DataError(f"{file}: a class without a name, or twice the same")
    return names
