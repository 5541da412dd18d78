"""One pass over all images: what each of them is, and how long reading it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from goingdeeper.data.alike import Thumbnails, sampled
from goingdeeper.data.decode import Header, Pixels, header
from goingdeeper.data.pictures import in_order, pixels_digest
from goingdeeper.data.sources import Item, Source
from goingdeeper.errors import DataError, StoreError

EMPTY = 4.0
"""Almost one colour are images whose channels all have a smaller standard deviation, of 255."""


@dataclass(frozen=True)
class Look:
    """One image: hash and size of its pixels, and what its file's header says; None where there is no file.

    digest: of a prepared store's images, that of the original. deviation: standard deviation of the channel
    that varies most. seconds: of a processor, to read and decode.
    """

    digest: str
    width: int
    height: int
    deviation: float
    header: Header | None
    seconds: float

    @property
    def area(self) -> int:
        return self.width * self.height


@dataclass(frozen=True)
class Scan:
    """What was found by path: looks at the readable images, and what is wrong with the others."""

    looks: dict[str, Look] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)

    @property
    def digests(self) -> dict[str, str]:
        return {path: look.digest for path, look in self.looks.items()}


def scan(source: Source, progress: Callable[[int, int], None] | None = None) -> Scan:
    """Reads every image once, on all processors. progress: called with (images read, images in all).

    Raises StoreError where a prepared store has changed since it was made.
    """
    found = Scan()
    for done, (item, seen) in enumerate(_looks(source), start=1):
        if isinstance(seen, str):
            found.failed[item.path] = seen
        else:
            look, sample = seen
            found.looks[item.path] = look
            if sample is not None:
                found.thumbnails.add(item.path, sample)
        if progress:
            progress(done, len(source.items))
    return found


def _looks(source: Source) -> Iterator[tuple[Item, tuple[Look, Pixels | None] | str]]:
    originals = source.originals

    def look(item: Item) -> tuple[Look, Pixels | None] | str:
        start = time.thread_time()
        try:
            pixels = source.read(item.path)
            seconds = time.thread_time() - start
            says = header(source.content(item.path)) if source.content else None
        except StoreError:  # no fault of the image's: what else of the store has changed is not known
            raise
        except DataError as problem:
            return str(problem)
        except OSError as problem:
            return f"{item.path} cannot be read: {problem.strerror or problem}"
        sample = sampled(pixels)
        deviation = _deviation(pixels if sample is None else sample)
        if deviation < EMPTY:
            deviation = _deviation(pixels)
        height, width = pixels.shape[:2]
        if originals:  # alike are the images that a split would keep together
            digest, sample = originals.digest(item.path), originals.thumbnail(item.path)
        else:
            digest = pixels_digest(pixels)
        return Look(digest, width, height, deviation, says, seconds), sample

    return in_order(source.items, look)


def _deviation(pixels: Pixels) -> float:
    return float(pixels.reshape(-1, 3).std(0, dtype=np.float32).max())
