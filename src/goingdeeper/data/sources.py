"""Where labelled images come from: a folder of class folders, or the embedded digits."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from goingdeeper.data.decode import Pixels, decode, header_size
from goingdeeper.errors import DataError

Split: TypeAlias = Literal["train", "val"]

SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .gif .webp .bmp .tif .tiff .ppm .pgm .pnm".split())
_VAL_NAMES = ("val", "valid", "validation")


@dataclass(frozen=True)
class Item:
    """One image: its path inside the source, its class name, and its split where the source gives one."""

    path: str
    label: str
    split: Split | None = None


@dataclass(frozen=True)
class Problem:
    """Something wrong with an image, and what was done about it."""

    path: str
    problem: str
    action: str


@dataclass(frozen=True)
class Source:
    """Labelled images that can be read by path.

    location: what reopens the source. content, read, size: bytes, pixels, and (width, height) by header
    of the image at a path. oriented: the images are glyphs, which a mirror would change.
    """

    name: str
    location: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    content: Callable[[str], bytes]
    read: Callable[[str], Pixels]
    size: Callable[[str], tuple[int, int] | None]
    oriented: bool
    problems: tuple[Problem, ...] = ()


def open_source(location: str | os.PathLike[str], classes: tuple[str, ...] | None = None) -> Source:
    """The images at a location: `digits`, or a folder of class folders, or one with train/ and val/.

    classes: those of a trained model, for images that it is to be scored on; they are matched by name.
    Raises DataError where there is nothing to learn from: no folder, no images, a single class, a class
    of the validation split that training lacks, or one that the model does not know.
    """
    text = os.fspath(location)
    if text == "digits" and not Path(text).exists():
        return _known(_digits(), classes)
    root = Path(text)
    try:
        folder = stat.S_ISDIR(root.stat().st_mode)
    except FileNotFoundError:
        raise DataError(
            f"there is no folder {text}; give a folder with one folder of images a class, or digits"
        ) from None
    except (OSError, ValueError) as problem:
        raise DataError(f"{text} cannot be opened: {getattr(problem, 'strerror', None) or problem}") from None
    if not folder:
        raise DataError(f"{text} is a file; give a folder with one folder of images a class")
    return _known(_folder(root, text, 2 if classes is None else 1), classes)


def _known(source: Source, classes: tuple[str, ...] | None) -> Source:
    """The source with its classes in the model's order, none of them unknown to it."""
    if classes is None:
        return source
    for item in source.items:
        if item.label not in classes:
            raise DataError(
                f"{source.name}/{item.path}: the model has no class '{item.label}'; "
                f"it knows {', '.join(classes[:12])}{', ...' if len(classes) > 12 else ''}"
            )
    return replace(source, classes=classes)


def _folder(root: Path, location: str, least: int) -> Source:
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
        content=lambda path: (root / path).read_bytes(),
        read=lambda path: decode(root / path),
        size=lambda path: header_size(root / path),
        oriented=all(len(name) == 1 or name.isdigit() for name in classes),
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


@cache
def _digits() -> Source:
    """The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn; no network is used."""
    from sklearn.datasets import load_digits

    grey, labels = load_digits(return_X_y=True)
    pictures = np.round(grey.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)

    def read(path: str) -> Pixels:
        return np.repeat(pictures[int(path.removeprefix("digits/"))][:, :, None], 3, axis=2)

    return Source(
        name="digits",
        location="digits",
        classes=tuple(str(digit) for digit in range(10)),
        items=tuple(Item(f"digits/{index:04}", str(label)) for index, label in enumerate(labels)),
        content=lambda path: read(path).tobytes(),
        read=read,
        size=lambda path: (8, 8),
        oriented=True,
    )
