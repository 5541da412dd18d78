"""A folder with one folder of images a class, or with train/ and val/ of such folders."""

from __future__ import annotations

import os
from pathlib import Path

from goingdeeper.data.decode import content, decode, header_size
from goingdeeper.data.sources.source import Item, Problem, Source, Split, glyphs
from goingdeeper.errors import DataError

SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .gif .webp .bmp .tif .tiff .ppm .pgm .pnm".split())
_VAL_NAMES = ("val", "valid", "validation")


def folder(root: Path, location: str, least: int) -> Source:
    """The images of the class folders in a folder.

    location: as it was given. least: so many classes are needed. Raises DataError where there is nothing to
    learn from.
    """
    parts = {part.name.lower(): part for part in _folders(root)}
    val = next((parts[name] for name in _VAL_NAMES if name in parts), None)
    problems: list[Problem] = []
    if "train" in parts:
        items = _items(parts["train"], root, "train" if val else None, problems)
        known = {item.label for item in items}
        if items and val:
            held_out = _items(val, root, "val", problems)
            if not held_out:
                raise DataError(f"{val} holds no images; without that folder a split is drawn")
            for item in held_out:
                if item.label not in known:
                    raise DataError(
                        f"{root / item.path}: class '{item.label}' is in {val.name}/ but not in "
                        f"{parts['train'].name}/; rename or remove it"
                    )
            items += held_out
        class_root = parts["train"]
    else:
        items, class_root = _items(root, root, None, problems), root
    classes = tuple(sorted({item.label for item in items}))
    if not items:
        loose = len(image_files(class_root))
        found = f"{loose} images, but none in a class folder" if loose else "no images"
        raise DataError(
            f"{class_root} holds {found}; put them into one folder a class, such as {class_root}/cat/1.jpg"
        )
    if len(classes) < least:
        raise DataError(
            f"{location} holds one class, '{classes[0]}'; a classifier needs at least two folders"
        )
    return Source(
        name=root.resolve().name,
        location=str(root.resolve()),
        classes=classes,
        items=tuple(items),
        content=lambda path: content(root / path),
        read=lambda path: decode(root / path),
        size=lambda path: header_size(root / path),
        oriented=glyphs(classes),
        problems=tuple(problems),
    )


def _items(folder: Path, root: Path, split: Split | None, problems: list[Problem]) -> list[Item]:
    """The images of the class folders in a folder; what cannot be taken is added to the problems."""
    items = []
    for part in _folders(folder):
        if folder == root and part.name.lower() == "test":
            continue
        place = part.relative_to(root).as_posix()
        if part.is_symlink() and folder.resolve().is_relative_to(part.resolve()):
            problems.append(Problem(_printable(place), "a link to a folder around it", "left out"))
            continue
        files = [file.relative_to(root).as_posix() for file in image_files(part, deep=True)]
        if not files and split != "val":
            problem = "a class folder without images"
            problems.append(Problem(_printable(place), problem, "left out of the classes"))
        for path in files:
            if _printable(path) == path:
                items.append(Item(path, part.name, split))
            else:  # no CSV, JSON or page could hold such a name
                problems.append(Problem(_printable(path), "its name is not UTF-8; rename it", "left out"))
    return items


def _printable(path: str) -> str:
    """The path with bytes that are no UTF-8 written as backslash escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _folders(folder: Path) -> list[Path]:
    """The visible folders in a folder. Run folders, and folders of them, are not classes."""
    try:
        found = [
            part
            for part in folder.iterdir()
            if part.is_dir() and not part.name.startswith(".") and not _holds_runs(part)
        ]
    except OSError as problem:
        raise DataError(f"{folder} cannot be opened: {problem.strerror or problem}") from None
    return sorted(found, key=lambda part: part.name)


def _holds_runs(folder: Path) -> bool:
    return (folder / "run.json").is_file() or next(folder.glob("*/run.json"), None) is not None


def image_files(folder: Path, deep: bool = False) -> list[Path]:
    """The visible image files in a folder, and in those below it if `deep`; linked folders are not entered.

    Raises DataError for a folder that cannot be opened.
    """

    def refuse(problem: OSError) -> None:
        raise DataError(f"{problem.filename} cannot be opened: {problem.strerror}")

    found = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if deep else []
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                found.append(Path(place) / name)
    return found
