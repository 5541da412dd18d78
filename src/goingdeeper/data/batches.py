"""Batches of tensors. Order and augmentation are pure functions of (seed, epoch, index)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from goingdeeper.data.augment import Chance, augmented
from goingdeeper.data.mixing import DRAWS, mixed
from goingdeeper.data.order import MIX, Visits, Whole, order, uniforms
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import Item
from goingdeeper.recipes.images import Augmentation

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Batch:
    """images: (N, 3, size, size). labels: (N,) class numbers, or (N, classes) targets of mixed images."""

    images: Tensor
    labels: Tensor


def training_batches(
    pictures: Pictures,
    items: Sequence[Item],
    classes: Sequence[str],
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    *,
    batch: int,
    seed: int,
    epoch: int,
    start: int = 0,
    balance: bool = False,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Batch]:
    """The epoch's batches from number `start` on; an incomplete last one is left out.

    balance: each class gets the same share of the epoch. batch: images of all ranks together; of these the
    rank gets its contiguous part, as it would be in the whole batch.
    """
    labels = numbers(items, classes)
    visits = order(len(items), seed, epoch, labels=labels if balance else None, repeats=augmentation.repeats)
    mixing = bool(augmentation.mixup or augmentation.cutmix)

    def load(position: int, pool: ThreadPoolExecutor) -> Batch:
        chosen, own = part(visits.batch(position, batch), rank, ranks, mixing)
        chance = Chance(seed, epoch, chosen)
        paths = [items[i].path for i in chosen.image]
        images = augmented(pictures, paths, preprocessing, augmentation, chance, pool)
        found = torch.from_numpy(labels[chosen.image])
        if mixing:
            draws = uniforms(seed, epoch, [position], DRAWS, MIX)[0]
            images, found = mixed(images, found, len(classes), augmentation.mixup, augmentation.cutmix, draws)
        return Batch(images[own], found[own])

    yield from ahead(load, range(start, steps_in_epoch(len(items), batch)))


def numbers(items: Sequence[Item], classes: Sequence[str]) -> Whole:
    """The items' class numbers."""
    number = {name: index for index, name in enumerate(classes)}
    return np.array([number[item.label] for item in items], np.int64)


def part(visits: Visits, rank: int, ranks: int, pairs: bool) -> tuple[Visits, slice]:
    """A rank's visits of a batch, and where they are among them.

    pairs: images are mixed with their neighbours, 0 with 1 and so on, so that a neighbour at the edge that
    another rank trains on is loaded, too.
    """
    first, last = (len(visits) * end // ranks for end in (rank, rank + 1))
    if not pairs:
        return visits[first:last], slice(None)
    begin = first - first % 2
    return visits[begin : last + last % 2], slice(first - begin, last - begin)


def steps_in_epoch(count: int, batch: int) -> int:
    return max(1, count // batch)


def evaluation_batches(
    pictures: Pictures,
    items: Sequence[Item],
    preprocessing: Preprocessing,
    batch: int,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Tensor]:
    """Every image once, in order, as its central crop.

    Of several ranks each gets consecutive batches: one after another they are the batches of a single one,
    none of them padded or repeated. Some ranks get none where there are more ranks than batches.
    """

    def load(position: int, pool: ThreadPoolExecutor) -> Tensor:
        chosen = items[position * batch : (position + 1) * batch]
        return preprocessing.views(pictures.read([item.path for item in chosen], pool))

    count = -(-len(items) // batch)
    yield from ahead(load, range(count * rank // ranks, count * (rank + 1) // ranks))


def ahead(load: Callable[[int, ThreadPoolExecutor], Loaded], positions: range) -> Iterator[Loaded]:
    """Loads two ahead of the one being used, side by side: threads that end one go on with the other."""
    with ThreadPoolExecutor(cpus()) as pool, ThreadPoolExecutor(2, "loader") as loaders:
        waiting: deque[Future[Loaded]] = deque()
        try:
            for position in positions:
                waiting.append(loaders.submit(load, position, pool))
                if len(waiting) > 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
