"""Where labelled images come from."""

from __future__ import annotations

import difflib
import os
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from goingdeeper.data.sources import cifar, folder, hdf5, listing, parquet, shards, store
from goingdeeper.data.sources.digits import digits
from goingdeeper.data.sources.folder import image_files
from goingdeeper.data.sources.index import is_store, opened
from goingdeeper.data.sources.problems import Problem, bounded, told
from goingdeeper.data.sources.shapes import shapes
from goingdeeper.data.sources.source import (
    Item,
    Source,
    Split,
    base_of,
    classes_of,
    data_files,
    glyphs,
)
from goingdeeper.errors import DataError

__all__ = [
    "Item",
    "Problem",
    "Source",
    "Split",
    "base_of",
    "bounded",
    "embedded",
    "image_files",
    "open_scored",
    "open_source",
    "original",
    "told",
]

Opener: TypeAlias = Callable[[Path], Source]

_FILES: tuple[tuple[Sequence[str], Opener], ...] = (
    (shards.SUFFIXES, shards.open_at),
    (hdf5.SUFFIXES, hdf5.open_at),
    (parquet.SUFFIXES, parquet.open_at),
)
"""Kinds of file, one of which, or a folder of which, is a source."""

_COMPRESSED = (".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".zip", ".7z", ".rar")
_MOST_NAMES = 10_000

_HELP = (
    "a folder with one folder of images a class, a list (.csv, .tsv, .jsonl), .tar shards, .h5, .parquet, "
    "a folder of CIFAR's batches, a prepared store, digits, or shapes"
)

_EMBEDDED: dict[str, Callable[[], Source]] = {"digits": digits, "shapes": shapes}
"""What comes with the package, by the word that stands for it."""


def open_source(
    location: str | os.PathLike[str],
    classes: tuple[str, ...] | None = None,
    *,
    split: Literal["test", "all"] | None = None,
) -> Source:
    """The images at a location: docs/data.md has the kinds.

    classes: those of a trained model, for images that it is to be scored on; they are matched by name.
    split: "test" for the test images alone, which are otherwise left out; "all" for them and the others.
    Raises DataError where there is nothing to learn from: no images, a single class, a class of the
    validation split that training lacks, or one that the model does not know; MissingExtra where an optional
    package is needed.
    """
    text = os.fspath(location)
    if embedded(text):
        return _known(_chosen(_EMBEDDED[text](), classes is not None, split), classes)
    root = Path(text)
    source = _chosen(_opener(root)(root), classes is not None, split)
    return _known(replace(source, problems=(*source.problems, *_numeric(source, classes))), classes)


def embedded(location: str) -> bool:
    """Whether a location stands for images that come with the package, and for no file called so."""
    return location in _EMBEDDED and not Path(location).exists()


def open_scored(
    location: str | os.PathLike[str], classes: tuple[str, ...], side: Literal["val", "test"] = "val"
) -> Source:
    """The images at a location that a model of these classes is scored on.

    Those of a side where there are such, else all but the test images; the source's `side` says which.
    Raises DataError as `open_source` does.
    """
    source = open_source(location, classes, split="test" if side == "test" else None)
    if any(item.split == side for item in source.items):
        return replace(source, items=tuple(item for item in source.items if item.split == side))
    return source


def original(location: str | os.PathLike[str]) -> str:
    """Where the images of a location came from: what a prepared store was made from, else the location."""
    found = os.fspath(location)
    seen = set()
    while found not in seen and is_store(Path(found)):
        seen.add(found)
        with suppress(DataError):  # which opening it will raise
            found = str(opened(Path(found), found)["made"].get("from", found))
    return found


def _opener(root: Path) -> Opener:
    """What opens the file or folder."""
    try:
        mode = root.stat().st_mode
    except FileNotFoundError:
        close = _close_to(root)
        hint = f"did you mean {' or '.join(close)}? Otherwise " if close else ""
        raise DataError(f"there is no file or folder {root}; {hint}give {_HELP}") from None
    except (OSError, ValueError) as problem:
        raise DataError(f"{root} cannot be opened: {getattr(problem, 'strerror', None) or problem}") from None
    if stat.S_ISREG(mode):
        for suffixes, opener in ((listing.SUFFIXES, listing.open_at), *_FILES):
            if root.suffix.lower() in suffixes:
                return opener
        if root.suffix.lower() in _COMPRESSED:
            raise DataError(
                f"{root} is compressed, and is not read; unpack it, a .tar.gz to a .tar or a folder"
            )
        if root.suffix.lower() in folder.SUFFIXES:
            raise DataError(f"{root} is one image; `deeper predict` names it, other verbs take {_HELP}")
        raise DataError(f"{root} is a file of no kind that is known; give {_HELP}")
    if not stat.S_ISDIR(mode):
        raise DataError(f"{root} is neither a folder nor a regular file; give {_HELP}")
    if is_store(root):
        return store.open_at
    if cifar.is_at(root):
        return cifar.open_at
    for suffixes, opener in _FILES:
        if data_files(root, suffixes):
            return opener
    return folder.open_at


def _close_to(missing: Path) -> list[str]:
    """What there is that is spelt nearly as the first part of the path that is missing."""
    parent = next((folder for folder in missing.parents if folder.is_dir()), None)
    if parent is None:
        return []
    first, *rest = missing.relative_to(parent).parts
    with suppress(OSError):
        names = {part.name.lower(): part.name for part in islice(os.scandir(parent), _MOST_NAMES)}
        if missing == Path(missing.name):
            names = {word: word for word in _EMBEDDED} | names
        close = difflib.get_close_matches(first.lower(), names, n=3, cutoff=0.6)
        found = (parent.joinpath(names[name], *rest) for name in close)
        return [str(path) for path in found if path.exists() or embedded(str(path))]
    return []


def _chosen(source: Source, scored: bool, split: Literal["test", "all"] | None) -> Source:
    """The source with the images that are wanted, each with its split if there is a validation split."""
    test = [item for item in source.items if item.split == "test"]
    items = [item for item in source.items if item.split != "test"]
    if split == "test" or (scored and not items):
        items = test
        if not items:
            raise DataError(
                f"{source.location} holds no test images with classes "
                "(a folder, file or list entry called test)"
            )
    elif not items:
        found = "only test images, which are never trained on" if test else "no images"
        raise DataError(f"{source.location} holds {found}")
    elif not scored and split is None and all(item.split == "val" for item in items):
        raise DataError(f"{source.location} holds only images for validation, and none to train on")
    else:
        items = _split(source, items) + (test if split == "all" else [])
    classes = classes_of(items)
    if len(classes) < 2 and not scored and split is None:
        raise DataError(f"{source.location} holds one class, '{classes[0]}'; a classifier needs at least two")
    splits = Counter(item.split for item in source.items)
    return replace(source, items=tuple(items), classes=classes, oriented=glyphs(classes), splits=splits)


def _split(source: Source, items: list[Item]) -> list[Item]:
    """Training and validation images as the source gives them; no splits where none is for validation."""
    if not any(item.split == "val" for item in items):
        return [item if item.split is None else Item(item.path, item.label) for item in items]
    items = [item if item.split else Item(item.path, item.label, "train") for item in items]
    known = {item.label for item in items if item.split == "train"}
    for item in items:
        if known and item.label not in known:
            raise DataError(
                f"{source.location}, {item.path}: class '{item.label}' is in validation but not in training; "
                "rename or remove it"
            )
    return items


_AS_NAMES = "taken as names"


def _numeric(source: Source, classes: tuple[str, ...] | None) -> list[Problem]:
    numbers = [name for name in source.classes if name.isdigit()]
    said = any(problem.action == _AS_NAMES for problem in source.problems)  # by what a store was made from
    if not numbers or said or classes is not None:
        return []
    listed = f"{', '.join(numbers[:3])}{', ...' if len(numbers) > 3 else ''}"
    return [Problem(source.name, f"class names are numbers ({listed}); 10 sorts before 2", _AS_NAMES)]


def _known(source: Source, classes: tuple[str, ...] | None) -> Source:
    """The source with its classes in the model's order, none of them unknown to it.

    ImageNet's are matched by their identifiers (n01440764), too.
    """
    if classes is None:
        return source
    from goingdeeper.published.imagenet import imagenet  # what is published takes a while to import

    if any(item.label in imagenet() and item.label not in classes for item in source.items):
        named = {wnid: name for wnid, name in imagenet().items() if name in classes and wnid not in classes}
        source = replace(
            source,
            items=tuple(replace(item, label=named.get(item.label, item.label)) for item in source.items),
        )
    for item in source.items:
        if item.label not in classes:
            raise DataError(
                f"{source.place(item.path)}: the model has no class '{item.label}'; "
                f"it knows {', '.join(classes[:12])}{', ...' if len(classes) > 12 else ''}"
            )
    return replace(source, classes=classes)
