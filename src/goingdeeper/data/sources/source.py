"""What a source of labelled images is, whatever its form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from goingdeeper.data.decode import Pixels
from goingdeeper.data.sources.problems import Problem, printable
from goingdeeper.errors import DataError

Split: TypeAlias = Literal["train", "val", "test"]

SPLITS: dict[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""The splits by what people call them, in lower case."""


@dataclass(frozen=True)
class Item:
    """One image: its path inside the source, its class name, and its split where the source gives one."""

    path: str
    label: str
    split: Split | None = None


@dataclass(frozen=True)
class Originals:
    """What is known of the images as they were before a store was made of them, by path.

    digest: hash of the pixels. thumbnail: (16, 16, 3), None for what was too small to be compared. made: one
    hash of all that the store has now.
    """

    digest: Callable[[str], str]
    thumbnail: Callable[[str], Pixels | None]
    made: str


@dataclass(frozen=True)
class Source:
    """Labelled images that can be read by path, from several threads at once.

    location: what reopens the source. content, read, size: file bytes, pixels, and (width, height) by header
    of the image at a path; content is None where the source holds pixels, not files. oriented: the images
    are glyphs, which a mirror would change. originals: where the pixels may be others than they were. splits:
    the images of each split, or of none (None), that the location has, among the items or not.
    """

    name: str
    location: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    content: Callable[[str], bytes] | None
    read: Callable[[str], Pixels]
    size: Callable[[str], tuple[int, int] | None]
    oriented: bool
    problems: tuple[Problem, ...] = ()
    originals: Originals | None = None
    splits: Mapping[Split | None, int] = field(default_factory=dict)

    @property
    def side(self) -> Split | None:
        """The split that all images are of, by what the location says; None for several, or none."""
        found = {item.split for item in self.items}
        if found == {None} and self.splits.keys() - {"test"} == {"train"}:
            return "train"  # which the images do not have where there is none for validation
        return found.pop() if len(found) == 1 else None

    def place(self, path: str) -> str:
        """Where the image at a path is."""
        return str(base_of(self.location) / path)


def gathered(
    root: Path,
    items: Sequence[Item],
    read: Callable[[str], Pixels],
    size: Callable[[str], tuple[int, int] | None],
    content: Callable[[str], bytes] | None = None,
    problems: Sequence[Problem] = (),
) -> Source:
    """The source at a path. Its classes are in the order of their names, wherever the images are kept."""
    classes = classes_of(items)
    for name in classes:
        if printable(name) != name:
            raise DataError(f"{root}: the class {name!r} is not UTF-8; rename it")
    place = root.resolve()
    return Source(
        name=place.name,
        location=str(place),
        classes=classes,
        items=tuple(items),
        content=content,
        read=read,
        size=size,
        oriented=glyphs(classes),
        problems=tuple(problems),
    )


@contextmanager
def naming(file: Path, place: str = "") -> Iterator[None]:
    """Turns what a library raises on damaged files, nearly anything, into an error that names the place."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as problem:
        text = " ".join(str(problem).split()) or type(problem).__name__
        raise DataError(f"{file}{f', {place}' if place else ''} cannot be read: {text[:200]}") from None


def classes_of(items: Sequence[Item]) -> tuple[str, ...]:
    """The classes of some images, in the order of their names."""
    return tuple(sorted({item.label for item in items}))


def glyphs(classes: tuple[str, ...]) -> bool:
    """Whether the classes are single characters or numbers, whose images a mirror would change."""
    return all(len(name) == 1 or name.isdigit() for name in classes)


def base_of(location: str) -> Path:
    """What an image's path at a location goes on from: in a file it begins with its name, or is beside it."""
    at = Path(location)
    return at if at.is_dir() else at.parent


def split_of(name: str) -> Split | None:
    """The split that a file is named after, as in train-0001.tar, test_signs.h5 or data/val.parquet."""
    found = {SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS}
    if "test" in found:  # whatever else it says, it is not to be trained on
        return "test"
    return found.pop() if len(found) == 1 else None


def data_files(root: Path, suffixes: Sequence[str]) -> list[Path]:
    """The file itself, or a folder's visible files of some suffixes, also in its folders named after splits.

    A folder with other folders in it is one of class folders: it gives none.
    """
    if not root.is_dir():
        return [root]
    try:
        inside = [part for part in root.iterdir() if not part.name.startswith(".")]
        folders = [part for part in inside if part.is_dir()]
        if any(part.name.lower() not in (*SPLITS, "data") for part in folders):
            return []
        inside += [file for part in folders for file in part.iterdir() if not file.name.startswith(".")]
    except OSError as problem:
        raise DataError(f"{problem.filename} cannot be opened: {problem.strerror or problem}") from None
    return sorted(file for file in inside if file.suffix.lower() in suffixes and file.is_file())


def row_of(path: str, counts: dict[str, int]) -> tuple[str, int]:
    """The file and the number of an image called file/number; counts: the images of each file.

    Raises DataError where there is no such image.
    """
    name, _, row = path.rpartition("/")
    if not row.isdecimal() or int(row) >= counts.get(name, 0):
        raise DataError(f"{path}: no such image; the data changed since it was listed")
    return name, int(row)
