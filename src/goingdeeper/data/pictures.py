"""Images read, checked and fitted to the network once; kept in memory where they have room."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from goingdeeper.data.alike import Thumbnails, groups, sampled
from goingdeeper.data.crops import most
from goingdeeper.data.decode import Pixels, decode_reduced, fit
from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import Item, Problem, Source
from goingdeeper.errors import DataError, StoreError
from goingdeeper.recipes.images import Crop, Padded

Result = TypeVar("Result")

FITTED = Padded()
"""Crops that take images as they are evaluated: fitted to the input."""

BAD_SHARE = 0.01
"""Training goes on without images that cannot be read only up to this share of all."""


@dataclass(frozen=True)
class Survey:
    """What one pass over all images found.

    digests: hash of the pixels by path, for the readable ones; of the originals' where the source is a store.
    sizes: (width, height) by path, as stored.
    groups: of images that are alike, the least digest by path, where that was asked for.
    """

    digests: dict[str, str]
    sizes: dict[str, tuple[int, int]]
    problems: tuple[Problem, ...]
    pictures: Pictures
    groups: dict[str, str] = field(default_factory=dict)


class Pictures:
    """Images by path with their shorter side at `size`; decoded again at each use where memory is short.

    most: the shorter side that training crops from at most; larger images are fitted to it first, whether
    memory keeps them or not. whole: the images for such crops that memory keeps.
    """

    def __init__(
        self,
        source: Source,
        size: int,
        resident: dict[str, Pixels],
        most: float | None = None,
        whole: dict[str, Pixels] | None = None,
    ) -> None:
        self._source, self.size, self._resident = source, size, resident
        self.most, self._whole = size if most is None else most, whole or {}

    def __getitem__(self, path: str) -> Pixels:
        kept = self._resident.get(path)
        if kept is not None:
            return kept
        whole = self._whole.get(path)
        if whole is None or min(whole.shape[:2]) >= self.most:  # fitted once: twice gives other pixels
            whole = self._source.read(path)
        return fit(whole, self.size)

    def large(self, path: str) -> Pixels:
        """The image that training crops from: as it was stored, or fitted to `most`."""
        kept = self._whole.get(path)
        return kept if kept is not None else no_larger(self._source.read(path), self.most)

    def reduced(self, path: str, divisor: Callable[[int, int], int]) -> tuple[Pixels, tuple[int, int]]:
        """The image that training crops from, decoded at a part of its size as `decode_reduced` does, and the
        height and width that it has.

        Memory serves only where the outcome is the same: what may be reduced, or was, is decoded again.
        """
        kept = self._whole.get(path)
        if kept is not None and min(kept.shape[:2]) < min(self.most, 2 * self.size):
            return kept, kept.shape[:2]
        if self._source.content is None:
            pixels = self._source.read(path)
            return pixels, pixels.shape[:2]
        return decode_reduced(self._source.content(path), self._source.place(path), divisor)

    def read(self, paths: Sequence[str], pool: ThreadPoolExecutor) -> list[Pixels]:
        """Several at a time; decoding leaves Python's lock, so threads share the work."""
        if all(path in self._resident for path in paths):
            return [self._resident[path] for path in paths]
        return list(pool.map(self.__getitem__, paths))


def no_larger(pixels: Pixels, most: float) -> Pixels:
    """The image, with its shorter side at `most` where it is beyond that."""
    return fit(pixels, int(most)) if min(pixels.shape[:2]) > most else pixels


def survey(
    source: Source,
    size: int,
    bad_share: float = BAD_SHARE,
    progress: Callable[[int, int], None] | None = None,
    crop: Crop = FITTED,
    grouped: bool = False,
    remedy: str = "",
) -> Survey:
    """Reads every image once. Unreadable ones are listed, and left out. A store's images, of which everything
    is known that is asked for here, are read only as far as memory keeps them.

    progress: called with (images read, images in all). crop: what training will make of the images; all but
    Padded take larger ones than `size`. grouped: also find the images that are alike. remedy: as
    `check_share`. Raises DataError where more than `bad_share` of the images cannot be read.
    """
    room = _free_memory() // 3
    largest = most(crop, size)
    resident: dict[str, Pixels] = {}
    whole: dict[str, Pixels] = {}
    digests: dict[str, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    thumbnails = Thumbnails()
    unreadable: list[Problem] = []
    total = len(source.items)
    looks = _look(source, size, crop, grouped, lambda: room > 3 * size * size)
    for done, (item, found) in enumerate(looks, start=1):
        if isinstance(found, DataError):
            unreadable.append(Problem(item.path, str(found), "left out"))
        else:
            digests[item.path], sizes[item.path] = found.digest, found.size
            if found.sample is not None:
                thumbnails.add(item.path, found.sample)
            for kept, pixels in ((whole, found.whole), (resident, found.fitted)):
                if pixels is not None and room > pixels.nbytes:
                    room -= pixels.nbytes
                    kept[item.path] = pixels
        if progress:
            progress(done, total)
    check_share(unreadable, total, bad_share, source.location, remedy)
    pictures = Pictures(source, size, resident, largest, whole)
    problems = (*source.problems, *unreadable)
    return Survey(digests, sizes, problems, pictures, groups(digests, thumbnails) if grouped else {})


@dataclass(frozen=True)
class _Look:
    """One image: its hash, (width, height), what may be kept of it, and what its thumbnail is made from."""

    digest: str
    size: tuple[int, int]
    fitted: Pixels | None
    whole: Pixels | None
    sample: Pixels | None


def _look(
    source: Source, size: int, crop: Crop, grouped: bool, keeping: Callable[[], bool]
) -> Iterator[tuple[Item, _Look | DataError]]:
    """keeping: whether memory has room for one image more."""
    largest, originals = most(crop, size), source.originals

    def look(item: Item) -> _Look | DataError:
        known = None
        if originals:
            known = originals.digest(item.path), originals.thumbnail(item.path) if grouped else None
            stored = source.size(item.path)
            if stored and not keeping():
                return _Look(known[0], stored, None, None, known[1])
        try:
            pixels = source.read(item.path)
        except StoreError:  # no fault of the image's: what else of the store has changed is not known
            raise
        except DataError as problem:
            return problem
        except OSError as problem:
            return DataError(f"{item.path} cannot be read: {problem.strerror or problem}")
        fitted = whole = None
        if not isinstance(crop, Padded) and item.split != "val":
            whole = no_larger(pixels, largest)
        if whole is None or min(whole.shape[:2]) >= largest:  # otherwise it can be fitted from the whole
            # A copy: a crop would keep the whole frame alive.
            fitted = np.ascontiguousarray(fit(pixels, size))
        digest, sample = known or (pixels_digest(pixels), sampled(pixels) if grouped else None)
        return _Look(digest, (pixels.shape[1], pixels.shape[0]), fitted, whole, sample)

    return in_order(source.items, look)


def in_order(items: Sequence[Item], work: Callable[[Item], Result]) -> Iterator[tuple[Item, Result]]:
    """Each item with what becomes of it, on all processors."""
    with ThreadPoolExecutor(cpus()) as pool:
        window = 16 * cpus()  # decoded frames wait in memory, so only so many at a time
        for start in range(0, len(items), window):
            part = items[start : start + window]
            yield from zip(part, pool.map(work, part), strict=True)


def pixels_digest(pixels: Pixels) -> str:
    """sha256 of an image's size and pixels, in hexadecimal: the same whatever kind of file held them."""
    found = hashlib.sha256(f"{pixels.shape}".encode())
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


def check_share(
    unreadable: Sequence[Problem], total: int, bad_share: float, location: str, remedy: str = ""
) -> None:
    """Raises DataError where more than `bad_share` of the images cannot be read.

    location: of the images, which the error says how to list. remedy: how more may be left out, if they may.
    """
    bad = len(unreadable)
    if bad > bad_share * total:
        listed = "; ".join(one.problem for one in unreadable)
        listing = f"`deeper check {shlex.quote(location)} --out FOLDER` lists them"
        allowed = f"{remedy}, and {listing} for --exclude" if remedy else listing
        raise DataError(
            f"{bad} of {total} images cannot be read, over the {100 * bad_share:g} % that may be left out "
            f"({allowed}); "
            f"repair or remove them: {shortened(listed)}"
        )


def _free_memory() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2 << 30


def shortened(text: str, limit: int = 300) -> str:
    """A list with semicolons, cut after one of them."""
    return text if len(text) <= limit else text[:limit].rsplit("; ", 1)[0] + "; ..."
