"""Images to answers: files or pixels in, the likeliest classes out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from goingdeeper.data.decode import Pixels, decode, rgb
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import cifar, hdf5, image_files, listing, open_source, parquet, shards
from goingdeeper.data.sources.source import data_files
from goingdeeper.data.sources.store import is_store
from goingdeeper.errors import DataError, StoreError, UsageError, shown
from goingdeeper.runs.model import Model

BATCH = 32

LISTS, ARCHIVES = listing.SUFFIXES, (*shards.SUFFIXES, *hdf5.SUFFIXES, *parquet.SUFFIXES)
"""Files that list images, and files that hold them."""


@dataclass(frozen=True)
class Answer:
    """The likeliest classes of one image, best first, with their probabilities (0 to 1).

    accepted: False where the first of them is below the threshold that was asked for: none of the classes.
    """

    path: str
    top: tuple[tuple[str, float], ...]
    accepted: bool = True


@dataclass(frozen=True)
class Failure:
    """An image that could not be read, and why."""

    path: str
    problem: str


@dataclass(frozen=True)
class Held:
    """An image within a source of another kind than files: its path for people, and what reads its pixels.

    label: its class there, empty where it has none.
    """

    path: str
    read: Callable[[], Pixels]
    label: str = ""


def predict(
    model: Model,
    images: Iterable[str | os.PathLike[str] | Held | Pixels | Image.Image],
    *,
    top: int = 5,
    threshold: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Answer | Failure]:
    """One answer an image, in order; an image that cannot be read gives a Failure and the rest go on.

    images: paths, PIL images, arrays of (height, width, 3) RGB bytes, or what `expand` gives. threshold: the
    least probability with which the likeliest class is accepted. Raises UsageError where `top` is under 1 or
    the threshold no probability, StoreError where a prepared store has changed since it was made.
    """
    if top < 1:
        raise UsageError(f"the {top} likeliest classes; at least 1 is needed")
    if not 0 <= threshold <= 1:
        raise UsageError(f"a threshold of {threshold:g} is no probability; give one from 0 to 1")
    waiting = iter(images)
    done = 0
    while part := list(islice(waiting, BATCH)):
        yield from _answers(model, part, top, threshold, done)
        done += len(part)
        if progress:
            progress(done)


def expand(paths: Sequence[str]) -> list[str | Held]:
    """Files as they are, folders as the image files in and below them; all images of any other source.

    Other sources are what `open_source` takes, in folders that hold no image files. A path that is not there
    stays, for `predict` to answer. Raises DataError where there are no images.
    """
    found: list[str | Held] = []
    for text in paths:
        path = Path(text)
        try:
            folder = stat.S_ISDIR(path.stat().st_mode)
        except FileNotFoundError:
            folder = False
        except (OSError, ValueError) as problem:
            raise DataError(
                f"{shown(text)} cannot be opened: {getattr(problem, 'strerror', None) or problem}"
            ) from None
        if folder:
            inside = sorted(str(file) for file in image_files(path, deep=True))
        else:
            inside = [text] if text != "digits" or path.exists() else []
        if inside and not (path.suffix.lower() in (*LISTS, *ARCHIVES) and path.is_file()):
            found += inside
        elif folder and not (is_store(path) or cifar.is_at(path) or data_files(path, ARCHIVES)):
            raise DataError(f"{shown(text)} holds no images")
        else:
            found += _held(text, folder)
    return found


def _held(location: str, folder: bool) -> list[Held]:
    source = open_source(location, split="all")
    # The paths in a file begin with its name, or are relative to where a list is.
    place = Path(location) if folder else Path(location).parent
    return [
        Held(str(place / item.path), partial(source.read, item.path), item.label) for item in source.items
    ]


def _answers(
    model: Model,
    part: Sequence[str | os.PathLike[str] | Held | Pixels | Image.Image],
    top: int,
    threshold: float,
    first: int,
) -> list[Answer | Failure]:
    names, slots, fitted = read(part, model.preprocessing, first)
    if fitted:
        with torch.inference_mode():
            likely = model.net(model.preprocessing.views(fitted)).softmax(1)
        values, numbers = likely.topk(min(top, len(model.classes)), dim=1)
    answers: list[Answer | Failure] = []
    for name, slot in zip(names, slots, strict=True):
        if isinstance(slot, Failure):
            answers.append(slot)
        else:
            pairs = zip(numbers[slot].tolist(), values[slot].tolist(), strict=True)
            chosen = tuple((model.classes[n], p) for n, p in pairs)
            answers.append(Answer(name, chosen, chosen[0][1] >= threshold))
    return answers


def read(
    part: Sequence[str | os.PathLike[str] | Held | Pixels | Image.Image],
    preprocessing: Preprocessing,
    first: int = 0,
) -> tuple[list[str], list[int | Failure], list[Pixels]]:
    """Each image's name and its place among those that could be read, with these, fitted to the input.

    first: number of the first image, for the names of pixels.
    """
    fitted: list[Pixels] = []
    slots: list[int | Failure] = []
    names: list[str] = []
    for number, image in enumerate(part, first):
        names.append(_name(image) if isinstance(image, str | os.PathLike | Held) else f"image {number}")
        try:
            if isinstance(image, Held):
                pixels = image.read()
            else:
                pixels = _read(image) if isinstance(image, str | os.PathLike) else _checked(image)
        except StoreError:  # no fault of the image's
            raise
        except DataError as problem:
            slots.append(Failure(names[-1], str(problem)))
            continue
        slots.append(len(fitted))
        fitted.append(preprocessing.fit(pixels))
    return names, slots, fitted


def _name(path: str | os.PathLike[str] | Held) -> str:
    """The path as it is, where JSON and CSV can hold it."""
    text = path.path if isinstance(path, Held) else os.fspath(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return shown(text)
    return text


def _read(path: str | os.PathLike[str]) -> Pixels:
    if _name(path) != os.fspath(path):
        raise DataError(f"{shown(path)} cannot be answered: its name is not UTF-8; rename it")
    return decode(Path(path))


def _checked(image: Pixels | Image.Image) -> Pixels:
    if isinstance(image, Image.Image):
        if image.mode == "F":
            raise DataError("a PIL image of 32 bits does not say what is white; give 8 or 16 bits a channel")
        try:
            return rgb(image)
        except Exception as problem:  # one that was opened from a file is read only now
            raise DataError(f"a PIL image cannot be read: {problem}") from None
    if not isinstance(image, np.ndarray):
        raise DataError(f"{type(image).__name__} is neither a path, a PIL image nor an array of bytes")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
        raise DataError(
            f"an array of shape {image.shape} and type {image.dtype} is not (height, width, 3) bytes"
        )
    return image
