"""From images to a batch as the network sees it, changed as the augmentation draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goingdeeper.data import colour, crops, holes, policies
from goingdeeper.data.crops import Values
from goingdeeper.data.decode import Pixels, centre
from goingdeeper.data.order import COLOUR, CROP, CUTOUT, ERASE, FLIP, POLICY, Floats, Visits, Whole, uniforms
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing, Windows
from goingdeeper.data.processors import cpus
from goingdeeper.recipes.images import Augmentation, Padded, Window


@dataclass(frozen=True)
class Chance:
    """The random numbers of some visits in one epoch."""

    seed: int
    epoch: int
    visits: Visits

    def __call__(self, stream: int, count: int) -> Floats:
        """(visits, count) in [0, 1)."""
        return uniforms(self.seed, self.epoch, self.visits.keys, count, stream)


def augmented(
    pictures: Pictures,
    paths: Sequence[str],
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    chance: Chance,
    pool: ThreadPoolExecutor,
) -> Tensor:
    """(N, 3, size, size) float32 in channels-last memory; mixing is left to `mixing`.

    Margins and holes are 0 after the input was scaled: the mean colour. Bytes stay bytes up to there, but for
    a change of colours.
    """
    make = _from_fitted if isinstance(augmentation.crop, Padded) else _from_large
    images = make(pictures, paths, preprocessing, augmentation, chance, pool)
    for boxes in blanks(augmentation, preprocessing.size, chance):
        images.mul_(holes.outside(torch.from_numpy(boxes), preprocessing.size)[:, None])
    return images


def _from_fitted(
    pictures: Pictures,
    paths: Sequence[str],
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    chance: Chance,
    pool: ThreadPoolExecutor,
) -> Tensor:
    crop, size = augmentation.crop, preprocessing.size
    assert isinstance(crop, Padded)
    flips = mirrored(augmentation, chance)
    read = pictures.read(paths, pool)
    if preprocessing.whole:  # the square is scaled first, and the window is one of the scaled square
        read = [centre(image, size) for image in read]
    paint = _painter(augmentation, chance)
    images: Sequence[Values] | Values = read
    if paint:
        images = list(pool.map(paint, read, range(len(paths))))
    if preprocessing.whole:
        images = preprocessing.normalise(torch.from_numpy(np.stack(list(images)))).permute(0, 2, 3, 1).numpy()
    sides = np.array([image.shape[:2] for image in images])
    top, left = crops.places(chance(CROP, 2), sides[:, 0], sides[:, 1], size, crop)
    found = crops.windows(images, top, left, size, crop)
    found[flips] = found[flips, :, ::-1]
    if preprocessing.whole:
        return torch.from_numpy(found).permute(0, 3, 1, 2)
    scaled = preprocessing.normalise(torch.from_numpy(found))
    if crop.pad and not crop.reflect:
        left = np.where(flips, size - sides[:, 1] + left, -left)
        boxes = np.stack([-top, left, sides[:, 0], sides[:, 1]], 1)
        scaled.mul_(~holes.outside(torch.from_numpy(boxes), size)[:, None])
    return scaled


def _from_large(
    pictures: Pictures,
    paths: Sequence[str],
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    chance: Chance,
    pool: ThreadPoolExecutor,
) -> Tensor:
    crop, size = augmentation.crop, preprocessing.size
    assert not isinstance(crop, Padded)
    flips = mirrored(augmentation, chance)
    draws = chance(CROP, crops.draws_of(crop))
    paint = _painter(augmentation, chance)
    found = torch.empty((len(paths), 3, size, size), memory_format=torch.channels_last)
    late = preprocessing.whole  # a mean image is taken off before the mirror

    def make(slot: int) -> None:
        full = None
        if augmentation.reduced_decoding:
            part = partial(crops.divisor, crop=crop, size=size, draws=draws[slot])
            image, full = pictures.reduced(paths[slot], part)
        else:
            image = pictures.large(paths[slot])
        image, corner = crops.cropped(image, crop, size, draws[slot], full)
        if flips[slot] and not late:
            image = crops.mirror(image)
        values = paint(image, slot) if paint else image
        windows: Windows | bool = False
        if isinstance(crop, Window):
            top, left = torch.tensor(corner)[:, None]
            windows = Windows(top, left, crops.scaled(crop.side, size))
        preprocessing.normalise_one(values, windows, found[slot])
        if flips[slot] and late:
            found[slot] = found[slot].flip(2)

    share(make, len(paths), pool)
    return found


def share(make: Callable[[int], None], count: int, pool: ThreadPoolExecutor) -> None:
    """Calls with each of so many numbers, on all threads of a pool; a task for each would cost more."""
    numbers = iter(range(count))  # which threads can take from at the same time

    def some() -> None:
        for number in numbers:
            make(number)

    for task in [pool.submit(some) for _ in range(min(count, cpus()))]:
        task.result()


def _painter(augmentation: Augmentation, chance: Chance) -> Callable[[Pixels, int], Values] | None:
    """What takes an image, and its place in the batch, through the policy and the colours."""
    policy, palette = augmentation.policy, augmentation.colour
    if not policy and not palette:
        return None
    for_policy = chance(POLICY, policies.draws_of(policy) if policy else 0)
    for_colour = chance(COLOUR, colour.DRAWS if palette else 0)

    def paint(image: Pixels, slot: int) -> Values:
        if policy:
            image = policies.changed(image, policy, for_policy[slot])
        return colour.recoloured(image, palette, for_colour[slot]) if palette else image

    return paint


def mirrored(augmentation: Augmentation, chance: Chance) -> NDArray[np.bool_]:
    """Which of the images are: half of them, or those whose turn it is."""
    if augmentation.flip and augmentation.alternate_flips:
        # Drawn for no epoch in particular: what is mirrored in one is not in the next.
        drawn = uniforms(chance.seed, 0, chance.visits.keys, 1, FLIP)[:, 0] < 0.5
        return drawn ^ bool(chance.epoch % 2)
    return augmentation.flip & (chance(FLIP, 1)[:, 0] < 0.5)


def blanks(augmentation: Augmentation, size: int, chance: Chance) -> list[Whole]:
    """(N, 4) tops, lefts, heights, widths of what erasing and cutout take away."""
    found = []
    if augmentation.erase:
        found.append(holes.erased(augmentation.erase, size, chance(ERASE, holes.ERASE_DRAWS)))
    if augmentation.cutout:
        found.append(holes.cut_out(augmentation.cutout, size, chance(CUTOUT, 2)))
    return found
