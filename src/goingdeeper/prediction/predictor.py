"""Images to answers: files or pixels in, the likeliest classes out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goingdeeper.data.decode import Pixels, decode, rgb
from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import cifar, embedded, hdf5, image_files, listing, open_source, parquet, shards
from goingdeeper.data.sources.source import data_files
from goingdeeper.data.sources.store import is_store
from goingdeeper.errors import DataError, StoreError, UsageError, shown

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


Picture: TypeAlias = str | os.PathLike[str] | Held | Pixels | Image.Image
"""What is answered: a path, an image of a source, an array of (height, width, 3) RGB bytes, a PIL image."""


class Classifier(Protocol):
    """What answers: a run's `Model`, or an `ExportedModel`, which needs no torch."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def fit(self, pixels: Pixels) -> Pixels:
        """The image at the size that the network's central square is taken from."""

    def logits(self, fitted: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, classes), of fitted images."""


def predict(
    model: Classifier,
    images: Iterable[Picture],
    *,
    top: int = 5,
    threshold: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Answer | Failure]:
    """One answer an image, in order; an image that cannot be read gives a Failure and the rest go on.

    images: those of a sequence, which waits for nobody, are read while the ones before are answered.
    threshold: the least probability with which the likeliest class is accepted. Raises UsageError where `top`
    is under 1 or the threshold no probability, StoreError where a prepared store has changed since it was
    made.
    """
    for _, answer in answered(model, images, top, threshold, progress):
        yield answer


def answered(
    model: Classifier,
    images: Iterable[Picture],
    top: int,
    threshold: float,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[Seen, Answer | Failure]]:
    """As `predict`, each answer with the image as it was seen."""
    if top < 1:
        raise UsageError(f"the {top} likeliest classes; at least 1 is needed")
    if not 0 <= threshold <= 1:
        raise UsageError(f"a threshold of {threshold:g} is no probability; give one from 0 to 1")
    done = 0
    for part in read_ahead(images, model.fit):
        yield from zip(part, _answers(model, part, top, threshold), strict=True)
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
            inside = [] if embedded(text) else [text]
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


@dataclass(frozen=True)
class Seen:
    """One of the images: its name, and its fitted pixels or why it cannot be read."""

    image: Picture
    name: str
    pixels: Pixels | Failure


def read_ahead(
    images: Iterable[Picture], fit: Callable[[Pixels], Pixels], batch: int = BATCH
) -> Iterator[list[Seen]]:
    """Batches of fitted images; the next is read, on threads, while one is worked on.

    Decoding leaves Python's lock, and so do runtimes. Raises StoreError.
    """
    waiting = enumerate(images)
    pool = ThreadPoolExecutor(cpus())

    def begun() -> list[Future[Seen]]:
        return [_begun(pool, image, number, fit) for number, image in islice(waiting, batch)]

    try:
        part = begun()
        while part:
            # What is no sequence may be a camera, and the next image far away.
            ahead = begun() if isinstance(images, Sequence) else None
            yield [one.result() for one in part]
            part = begun() if ahead is None else ahead
    finally:
        pool.shutdown(cancel_futures=True)


def _begun(
    pool: ThreadPoolExecutor, image: Picture, number: int, fit: Callable[[Pixels], Pixels]
) -> Future[Seen]:
    if isinstance(image, str | os.PathLike | Held):
        return pool.submit(_seen, image, number, fit)
    done: Future[Seen] = Future()  # a PIL image may come twice, and two threads must not load it
    done.set_result(_seen(image, number, fit))
    return done


def _seen(image: Picture, number: int, fit: Callable[[Pixels], Pixels]) -> Seen:
    name = _name(image) if isinstance(image, str | os.PathLike | Held) else f"image {number}"
    try:
        if isinstance(image, Held):
            pixels = image.read()
        else:
            pixels = _read(image) if isinstance(image, str | os.PathLike) else _checked(image)
    except StoreError:  # no fault of the image's
        raise
    except DataError as problem:
        return Seen(image, name, Failure(name, str(problem)))
    return Seen(image, name, fit(pixels))


def _answers(
    model: Classifier, part: Sequence[Seen], top: int, threshold: float
) -> Iterator[Answer | Failure]:
    fitted = [one.pixels for one in part if not isinstance(one.pixels, Failure)]
    likely: Iterator[NDArray[np.float32]] = iter(_softmax(model.logits(fitted)) if fitted else ())
    for one in part:
        if isinstance(one.pixels, Failure):
            yield one.pixels
            continue
        values = next(likely)
        best = np.argsort(-values, kind="stable")[:top]
        chosen = tuple((model.classes[n], float(values[n])) for n in best)
        yield Answer(one.name, chosen, chosen[0][1] >= threshold)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    odds = np.exp(logits - logits.max(1, keepdims=True))
    likely: NDArray[np.float32] = odds / odds.sum(1, keepdims=True)
    return likely


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
