"""Small images held on a device as bytes, and an epoch's batches made of them there.

The random numbers are those of `training_batches`, and so are the batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.data import crops, holes
from goingdeeper.data.augment import Chance, blanks, mirrored
from goingdeeper.data.batches import Batch, numbers, part, steps_in_epoch
from goingdeeper.data.mixing import DRAWS, mixed
from goingdeeper.data.order import CROP, MIX, Visits, order, uniforms
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item
from goingdeeper.recipes.images import Augmentation, Padded


def can_reside(augmentation: Augmentation, sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether batches of such images can be made on a device: of one size, with no colours or policies.

    sizes: the images' shapes, in any order of height and width.
    """
    plain = augmentation.colour is None and augmentation.policy is None
    return isinstance(augmentation.crop, Padded) and plain and len(set(sizes)) == 1


@dataclass(frozen=True)
class Turn:
    """What is drawn for the images of one or more batches, as tensors with one row an image.

    images: numbers in the set. holes: (N, holes, 4), tops, lefts, heights, widths.
    """

    images: Tensor
    tops: Tensor
    lefts: Tensor
    flips: Tensor
    holes: Tensor
    labels: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Turn:
        return Turn(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def to(self, device: str | torch.device) -> Turn:
        return Turn(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Resident:
    """A set of images on a device. pixels: (N, H, W, 3) bytes, all of them fitted to the input's size."""

    def __init__(
        self,
        pictures: Pictures,
        items: Sequence[Item],
        classes: Sequence[str],
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        device: str | torch.device,
    ) -> None:
        assert isinstance(augmentation.crop, Padded)
        self.preprocessing, self.augmentation, self.crop = (
            preprocessing.to(device), augmentation, augmentation.crop,
        )  # fmt: skip
        self.classes, self.labels = len(classes), numbers(items, classes)
        self.pixels = torch.from_numpy(np.stack([pictures[item.path] for item in items])).to(device)

    def turns(self, visits: Visits, seed: int, epoch: int) -> Turn:
        """What the visits' images draw, on the device."""
        chance, size = Chance(seed, epoch, visits), self.preprocessing.size
        height, width = (size, size) if self.preprocessing.whole else self.pixels.shape[1:3]
        top, left = crops.places(chance(CROP, 2), height, width, size, self.crop)
        found = blanks(self.augmentation, size, chance)
        boxes = np.stack(found, 1) if found else np.zeros((len(visits), 0, 4), np.int64)
        arrays = (
            visits.image, top, left, mirrored(self.augmentation, chance), boxes, self.labels[visits.image]
        )  # fmt: skip
        return Turn(*map(torch.from_numpy, arrays)).to(self.pixels.device)

    def epoch(self, *, batch: int, seed: int, epoch: int, balance: bool = False) -> Turn:
        """What an epoch's images draw, batch after batch."""
        visits = self._visits(seed, epoch, balance)
        steps = steps_in_epoch(len(self.labels), batch)
        return self.turns(_joined([visits.batch(step, batch) for step in range(steps)]), seed, epoch)

    def compose(self, turn: Turn) -> Tensor:
        """(N, 3, size, size): the images so drawn. Shapes depend on nothing but N, and nothing is awaited."""
        size, margin, device = self.preprocessing.size, self._margin, self.pixels.device
        along = torch.arange(size, device=device)
        rows = turn.tops[:, None] + along
        columns = turn.lefts[:, None] + torch.where(turn.flips[:, None], size - 1 - along, along)
        if self.preprocessing.whole:
            images = self._whole(turn.images, rows, columns)
        else:
            height, width = self.pixels.shape[1:3]
            inner_rows, inner_columns = self._within(rows, height), self._within(columns, width)
            places = turn.images[:, None, None], inner_rows[:, :, None], inner_columns[:, None, :]
            images = self.preprocessing.normalise(self.pixels[places])
            if margin and not self.crop.reflect:
                inside = (rows == inner_rows)[:, :, None] & (columns == inner_columns)[:, None, :]
                images.mul_(inside[:, None])
        for boxes in turn.holes.unbind(1):
            images.mul_(holes.outside(boxes, size)[:, None])
        return images

    def batches(
        self,
        *,
        batch: int,
        seed: int,
        epoch: int,
        start: int = 0,
        balance: bool = False,
        rank: int = 0,
        ranks: int = 1,
    ) -> Iterator[Batch]:
        """As `training_batches`, on the device."""
        changes = self.augmentation
        mixing = bool(changes.mixup or changes.cutmix)
        visits = self._visits(seed, epoch, balance)
        steps = range(start, steps_in_epoch(len(self.labels), batch))
        shares = [part(visits.batch(step, batch), rank, ranks, mixing) for step in steps]
        if not shares:
            return
        turns, done = self.turns(_joined([share for share, _ in shares]), seed, epoch), 0
        for step, (share, own) in zip(steps, shares, strict=True):
            turn = turns[done : done + len(share)]
            done += len(share)
            images, labels = self.compose(turn), turn.labels
            if mixing:
                draws = uniforms(seed, epoch, [step], DRAWS, MIX)[0]
                images, labels = mixed(images, labels, self.classes, changes.mixup, changes.cutmix, draws)
            yield Batch(images[own], labels[own])

    def _visits(self, seed: int, epoch: int, balance: bool) -> Visits:
        labels = self.labels if balance else None
        return order(len(self.labels), seed, epoch, labels=labels, repeats=self.augmentation.repeats)

    @property
    def _margin(self) -> int:
        return round(self.crop.pad * self.preprocessing.size)

    def _within(self, places: Tensor, length: int) -> Tensor:
        """Rows or columns of the image for those of the window: mirrored at the edges, or held there."""
        if self.crop.reflect:
            period = max(1, 2 * (length - 1))
            return torch.minimum(places % period, -places % period)
        return places.clamp(0, length - 1)

    def _whole(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Windows of central squares that were scaled, with their margin of zeros."""
        size, margin = self.preprocessing.size, self._margin
        top, left = ((side - size) // 2 for side in self.pixels.shape[1:3])
        squares = self.pixels[images, top : top + size, left : left + size]
        scaled = self.preprocessing.normalise(squares).permute(0, 2, 3, 1)
        if self.crop.reflect:
            rows, columns = self._within(rows, size), self._within(columns, size)
        elif margin:
            scaled = F.pad(scaled, (0, 0, margin, margin, margin, margin))
            rows, columns = rows + margin, columns + margin
        each = torch.arange(len(images), device=scaled.device)[:, None, None]
        return scaled[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _joined(parts: Sequence[Visits]) -> Visits:
    return Visits(
        np.concatenate([part.image for part in parts]), np.concatenate([part.version for part in parts])
    )
