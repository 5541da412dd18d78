"""Batches of tensors. Order and augmentation are pure functions of (seed, epoch, index)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from goingdeeper.data.decode import Pixels
from goingdeeper.data.pictures import Pictures, cpus
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item
from goingdeeper.recipes.images import Augmentation, Padded

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Batch:
    images: Tensor
    labels: Tensor


def order(count: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits `count` images."""
    return [int(i) for i in np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)]


def draws(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one image in one epoch, whoever loads it and when."""
    return np.random.Generator(np.random.Philox(key=[seed, (epoch << 32) | (index + 1)]))


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
) -> Iterator[Batch]:
    """The epoch's batches from number `start` on; an incomplete last one is left out."""
    number = {name: index for index, name in enumerate(classes)}
    labels = torch.tensor([number[item.label] for item in items])
    visits = order(len(items), seed, epoch)
    size = preprocessing.size

    def load(position: int, pool: ThreadPoolExecutor) -> Batch:
        chosen = visits[position * batch : (position + 1) * batch]
        fitted = pictures.read([items[i].path for i in chosen], pool)
        out = np.zeros((len(chosen), size, size, 3), np.uint8)
        inside = np.zeros((len(chosen), size, size), bool)
        for slot, (index, image) in enumerate(zip(chosen, fitted, strict=True)):
            _crop(image, augmentation, draws(seed, epoch, index), out[slot], inside[slot])
        images = preprocessing.normalise(torch.from_numpy(out))
        if not inside.all():
            images.mul_(torch.from_numpy(inside)[:, None])  # zeros after normalisation: the mean colour
        return Batch(images, labels[torch.tensor(chosen)])

    yield from _ahead(load, range(start, steps_in_epoch(len(items), batch)))


def steps_in_epoch(count: int, batch: int) -> int:
    return max(1, count // batch)


def evaluation_batches(
    pictures: Pictures, items: Sequence[Item], preprocessing: Preprocessing, batch: int
) -> Iterator[Tensor]:
    """Every image once, in order, as its central crop."""

    def load(position: int, pool: ThreadPoolExecutor) -> Tensor:
        chosen = items[position * batch : (position + 1) * batch]
        return preprocessing.views(pictures.read([item.path for item in chosen], pool))

    yield from _ahead(load, range(-(-len(items) // batch)))


def _crop(
    image: Pixels,
    augmentation: Augmentation,
    random: np.random.Generator,
    out: Pixels,
    inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> None:
    """A random size x size window of the image with a margin around it, into `out`."""
    size = out.shape[0]
    assert isinstance(augmentation.crop, Padded)
    pad = round(augmentation.crop.pad * size)
    top = int(random.integers(0, image.shape[0] + 2 * pad - size + 1)) - pad
    left = int(random.integers(0, image.shape[1] + 2 * pad - size + 1)) - pad
    mirror = augmentation.flip and random.random() < 0.5
    first_row, last_row = max(0, top), min(image.shape[0], top + size)
    first_column, last_column = max(0, left), min(image.shape[1], left + size)
    rows = slice(first_row - top, last_row - top)
    columns = slice(first_column - left, last_column - left)
    out[rows, columns] = image[first_row:last_row, first_column:last_column]
    inside[rows, columns] = True
    if mirror:
        out[:] = out[:, ::-1].copy()
        inside[:] = inside[:, ::-1].copy()


def _ahead(load: Callable[[int, ThreadPoolExecutor], Loaded], positions: range) -> Iterator[Loaded]:
    """Loads on a thread, two ahead of the one being used."""
    ready: queue.Queue[Loaded | BaseException | None] = queue.Queue(maxsize=2)
    stopped = threading.Event()

    def put(value: Loaded | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return ready.put(value, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            with ThreadPoolExecutor(cpus()) as pool:
                for position in positions:
                    if stopped.is_set():
                        return
                    put(load(position, pool))
            put(None)
        except BaseException as problem:
            put(problem)

    thread = threading.Thread(target=work, name="loader", daemon=True)
    thread.start()
    try:
        while (value := ready.get()) is not None:
            if isinstance(value, BaseException):
                raise value
            yield value
    finally:
        stopped.set()
        thread.join()
