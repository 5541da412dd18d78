"""The order in which an epoch visits images, and the random numbers of each visit.

Both are pure functions of (seed, epoch, image), so that a stopped run goes on exactly and neither threads nor
ranks change a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Whole: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

CROP, FLIP, COLOUR, POLICY, ERASE, CUTOUT, MIX = range(7)
"""Each has random numbers of its own: switching one augmentation on leaves the others as they were."""

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 2**64 - 1


@dataclass(frozen=True)
class Visits:
    """Images by number in the order they are seen.

    version: how often the epoch showed the image before; each version has random numbers of its own.
    """

    image: Whole
    version: Whole

    @property
    def keys(self) -> Whole:
        """A number for `uniforms`, different for every version of every image."""
        return self.image + (self.version << 40)

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, part: slice | Whole) -> Visits:
        return Visits(self.image[part], self.version[part])

    def batch(self, position: int, size: int) -> Visits:
        """The batch at a position. Versions of an image stand apart in it, so that ranks share them out."""
        found = self[position * size : (position + 1) * size]
        return found[np.argsort(found.version, kind="stable")]


def order(count: int, seed: int, epoch: int, *, labels: Whole | None = None, repeats: int = 1) -> Visits:
    """As many visits as there are images, `count`, in random order.

    labels: class numbers of the images; each class then gets the same number of visits, give or take one,
    and so does each image among its class. repeats: each image comes so many times in a row, and so only
    count / repeats of them in an epoch, as in the code of Touvron et al. 2021 (DeiT).
    """
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    different = -(-count // repeats)
    if labels is None:
        image = random.permutation(count)[:different]
        version = np.zeros(different, np.int64)
    else:
        image, version = _balanced(np.asarray(labels), different, random)
    image = np.repeat(image, repeats)[:count]
    again = np.tile(np.arange(repeats), different)[:count]
    return Visits(image, np.repeat(version, repeats)[:count] * repeats + again)


def _balanced(labels: Whole, count: int, random: np.random.Generator) -> tuple[Whole, Whole]:
    classes = np.unique(labels)
    shares = np.full(len(classes), count // len(classes))
    shares[random.permutation(len(classes))[: count % len(classes)]] += 1
    images, versions = [], []
    for label, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == label)
        rounds = -(-int(share) // len(members))
        images.append(
            np.concatenate([random.permutation(members) for _ in range(rounds)] or [members[:0]])[:share]
        )
        versions.append(np.repeat(np.arange(rounds), len(members))[:share])
    shuffled = random.permutation(count)
    return np.concatenate(images)[shuffled], np.concatenate(versions)[shuffled]


def uniforms(seed: int, epoch: int, keys: Whole | Sequence[int], count: int, stream: int = 0) -> Floats:
    """(len(keys), count) numbers in [0, 1): those of one key depend on (seed, epoch, stream, key) alone.

    SplitMix64 (Steele, Lea and Flood 2014) from a hashed start: a generator for each image would take
    longer than the image.
    """
    state = 0
    for part in (seed, epoch, stream):
        state = int(_scrambled(np.array([(state + part + _GOLDEN) & _WORD], np.uint64))[0])
    starts = _scrambled(np.asarray(keys).astype(np.uint64) * np.uint64(_GOLDEN) ^ np.uint64(state))
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return (_scrambled(starts[:, None] + steps) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _scrambled(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def whole(uniform: Floats, below: int | Whole) -> Whole:
    """Whole numbers from 0 to below - 1, each equally likely."""
    found: Whole = np.minimum((uniform * below).astype(np.int64), np.asarray(below) - 1)
    return found  # without the minimum, rounding might reach `below`


def normals(uniform: Floats) -> Floats:
    """(..., 2 k) uniforms to (..., k) numbers of the standard normal distribution, after Box and Muller."""
    first, second = np.split(uniform, 2, axis=-1)
    found: Floats = np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
    return found
