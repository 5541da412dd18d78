"""Which images are nearly the same: re-encoded, resized, brighter, or shot in one burst.

Each image becomes a thumbnail of 16x16 pixels, and the signs of its 63 lowest frequencies a hash, as
"perceptual hashes" are made (Zauner 2010, section 3.2.1). Two images are alike if their hashes differ in few
bits and their thumbnails correlate. What is the same image but for its mirror or a crop is not found.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from goingdeeper.data.decode import Pixels

SIDE = 16
"""Of a thumbnail; smaller images than that are alike too easily, and are compared by their pixels only."""

BITS, ALIKE = 10, 0.94
"""So many bits of alike images' hashes differ at most, and so much their thumbnails correlate at least.

Chosen by looking at CIFAR-10 as JPEGs and at photographs of hands: below 0.94 two shots of one gesture are
alike, and from 11 bits on a third of CIFAR's pairs are two things before one sky.
"""

FEW, MOST = 4, 0.98
"""The same where more than `CROWDED` of all images would be alike: handwriting on white, frames of a film."""

CROWDED = 0.2

FLAT = 4.0
"""Thumbnails of a smaller standard deviation, of 255, show too little to be compared."""

_TABLES, _KEY_BITS, _NEAR = 24, 14, 24
_BLOCK = 256


class Thumbnails:
    """Collects thumbnails; those of images of one size are made together, which takes a third of the time."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._waiting: dict[int, tuple[list[int], list[Pixels]]] = {}
        self._made: list[tuple[list[int], Pixels]] = []

    def add(self, name: str, sample: Pixels) -> None:
        """sample: what `sampled` made of the image."""
        side = len(sample)
        if side not in self._waiting:
            self._waiting[side] = [], []
        numbers, samples = self._waiting[side]
        numbers.append(len(self.names))
        samples.append(sample)
        self.names.append(name)
        if len(samples) == _BLOCK:
            self._make(side)

    def all(self) -> Pixels:
        """(N, 16, 16, 3), in the order of the names."""
        for side in list(self._waiting):
            self._make(side)
        found = np.empty((len(self.names), SIDE, SIDE, 3), np.uint8)
        for numbers, made in self._made:
            found[numbers] = made
        return found

    def _make(self, side: int) -> None:
        numbers, samples = self._waiting.pop(side)
        self._made.append((numbers, averaged(np.stack(samples))))


def sampled(pixels: Pixels) -> Pixels | None:
    """(64, 64, 3) or (32, 32, 3): the image whatever its shape; None for what is under 16 pixels.

    Small images give single pixels spread evenly, as resizing took as long as a tenth of decoding.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short < SIDE:
        return None
    if short >= 8 * SIDE:
        planes = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(2, 0, 1)[None]
        small = F.interpolate(planes, (2 * SIDE, 2 * SIDE), mode="bilinear", antialias=True)
        return small[0].permute(1, 2, 0).contiguous().numpy()
    side = 4 * SIDE if short > 2 * SIDE else 2 * SIDE
    rows = pixels if height == side else pixels.take(_places(height, side), 0)
    return rows if width == side else rows.take(_places(width, side), 1)


@cache
def _places(length: int, count: int) -> NDArray[np.intp]:
    return (2 * np.arange(count) + 1) * length // (2 * count)


def averaged(samples: Pixels) -> Pixels:
    """(N, 16, 16, 3): means of the squares of what was sampled."""
    count, side = samples.shape[:2]
    part = side // SIDE
    rows = samples.reshape(count, SIDE, part, side * 3)
    total = rows[:, :, 0].astype(np.uint16)
    for number in range(1, part):
        total += rows[:, :, number]
    columns = total.reshape(count, SIDE, SIDE, part, 3)
    total = columns[:, :, :, 0].copy()
    for number in range(1, part):
        total += columns[:, :, :, number]
    means: Pixels = ((total + part * part // 2) // (part * part)).astype(np.uint8)
    return means


def alike(thumbnails: Pixels) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(P, 2) numbers of images that are alike, the smaller one first, in order; (P,) how they correlate.

    Images that are the same must have been taken out: thousands of them would crowd out the others.
    """
    pairs, bits, similar = _confirmed(thumbnails)
    chosen = (bits <= BITS) & (similar >= ALIKE)
    if len(np.unique(pairs[chosen])) > CROWDED * len(thumbnails):
        chosen = (bits <= FEW) & (similar >= MOST)
    return pairs[chosen], similar[chosen]


def alike_digests(digests: Mapping[str, str], thumbnails: Thumbnails) -> list[tuple[str, str, float]]:
    """Pairs of digests whose images are alike, and how they correlate.

    digests: by path; of images with equal pixels one is compared. The same images give the same pairs,
    wherever they are kept.
    """
    first: dict[str, int] = {}
    for number, name in enumerate(thumbnails.names):
        if name in digests:
            first.setdefault(digests[name], number)
    if not first:
        return []
    order = sorted(first)
    pairs, similar = alike(thumbnails.all()[[first[digest] for digest in order]])
    return [(order[i], order[j], s) for (i, j), s in zip(pairs.tolist(), similar.tolist(), strict=True)]


def groups(digests: Mapping[str, str], thumbnails: Thumbnails) -> dict[str, str]:
    """Of images that are alike, also by way of others, the least digest of them all, by path."""
    of = grouped((one, other) for one, other, _ in alike_digests(digests, thumbnails))
    return {path: of[digest] for path, digest in digests.items() if digest in of}


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The least name of all that are linked to a name, by that name."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for one, other in pairs:
        least, greater = sorted((root(one), root(other)))
        parent[greater] = least
    return {name: root(name) for name in parent}


def hashes(thumbnails: Pixels) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """A bit for each of an image's 63 lowest frequencies, set where it is above their median; and those.

    (N,); (N, 63), of length 1, of the grey image.
    """
    places = 2 * np.arange(SIDE) + 1
    waves = np.rint(256 * np.cos(np.pi * np.outer(places, np.arange(8)) / (2 * SIDE)))
    bits = np.empty(len(thumbnails), np.uint64)
    low = np.empty((len(thumbnails), 63), np.float32)
    for start in range(0, len(thumbnails), 4096):
        part = thumbnails[start : start + 4096]
        count = len(part)
        # Whole numbers, of grey below 2^24 and then below 2^53: exact in whatever order they are added.
        grey = part.reshape(-1, 3).astype(np.float32) @ np.array([299, 587, 114], np.float32)
        along = grey.reshape(-1, SIDE).astype(np.float64) @ waves
        both = along.reshape(count, SIDE, 8).transpose(0, 2, 1).reshape(-1, SIDE) @ waves
        waved = both.reshape(count, 8, 8).transpose(0, 2, 1).reshape(count, 64)[:, 1:]
        above = waved > np.partition(waved, 31, axis=1)[:, 31:32]
        bits[start : start + 4096] = np.packbits(np.pad(above, ((0, 0), (1, 0))), axis=1).view(">u8").ravel()
        length = np.sqrt(np.einsum("nk,nk->n", waved, waved))
        low[start : start + 4096] = waved / np.maximum(length, 1)[:, None]
    return bits, low


def _confirmed(thumbnails: Pixels) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of few different bits, in order; how many differ, and the correlation."""
    bits, low = hashes(thumbnails)
    pairs = _candidates(bits)
    # Most pairs differ in their low frequencies already, which are compared ten times as fast.
    pairs = pairs[np.einsum("pk,pk->p", low[pairs[:, 0]], low[pairs[:, 1]]) > ALIKE - 0.02]
    similar = [
        correlation(
            thumbnails[pairs[start : start + _BLOCK, 0]], thumbnails[pairs[start : start + _BLOCK, 1]]
        )
        for start in range(0, len(pairs), _BLOCK)
    ]
    return pairs, differing(bits[pairs[:, 0]], bits[pairs[:, 1]]), np.concatenate(similar or [np.empty(0)])


def _candidates(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(P, 2): pairs of few different bits that share all bits of at least one of several draws of 14.

    This is locality-sensitive hashing: of pairs that differ in 8 bits of 63, 98 in a hundred are found.
    Those of more than 24 images in a row with the same bits are compared with the next 24 only, in the order
    of hashes.
    """
    count = len(bits)
    order = np.argsort(bits, kind="stable")
    ordered = bits[order]
    draw = random.Random(0)
    found = []
    for _ in range(_TABLES):
        key: NDArray[np.uint16] = np.zeros(count, np.uint16)
        for place in draw.sample(range(63), _KEY_BITS):
            key = (key << np.uint16(1)) | ((ordered >> np.uint64(place)) & np.uint64(1)).astype(np.uint16)
        by_key = np.argsort(key, kind="stable")
        key, hashed, image = key[by_key], ordered[by_key], order[by_key]
        places = np.arange(count)
        for step in range(1, _NEAR + 1):
            places = places[places + step < count]
            places = places[key[places] == key[places + step]]
            if not len(places):
                break
            close = places[differing(hashed[places], hashed[places + step]) <= BITS]
            one, other = image[close], image[close + step]
            found.append(np.minimum(one, other) * count + np.maximum(one, other))
    numbers = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    return np.stack([numbers // max(count, 1), numbers % max(count, 1)], axis=1)


def differing(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """In how many bits two hashes differ."""
    x = one ^ other  # NumPy counts bits itself from 2.0 on
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((x * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)


def correlation(one: Pixels, other: Pixels) -> NDArray[np.float64]:
    """Of thumbnails, (P, 16, 16, 3) each, about the mean of each channel; 0 where one shows too little."""
    a, b = _centred(one), _centred(other)
    squares, others = np.einsum("pk,pk->p", a, a), np.einsum("pk,pk->p", b, b)
    least = a.shape[1] * (FLAT * SIDE * SIDE) ** 2
    shown = (squares >= least) & (others >= least)
    scale = np.sqrt(np.where(shown, squares, 1.0)) * np.sqrt(np.where(shown, others, 1.0))
    return np.where(shown, np.einsum("pk,pk->p", a, b) / scale, 0.0)


def _centred(thumbnails: Pixels) -> NDArray[np.float64]:
    """(P, 768): 256 times the pixels, less that of their channel's mean; whole numbers."""
    values = thumbnails.reshape(len(thumbnails), SIDE * SIDE, 3).astype(np.int32)
    centred = SIDE * SIDE * values - values.sum(1, dtype=np.int32)[:, None]
    flat: NDArray[np.float64] = centred.reshape(len(values), -1).astype(np.float64)
    return flat
