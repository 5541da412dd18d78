"""The views of images that a protocol asks for, as batches for a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from goingdeeper.data.batches import ahead
from goingdeeper.data.decode import Pixels
from goingdeeper.data.preprocessing import Preprocessing, Windows
from goingdeeper.data.resize import resize
from goingdeeper.data.sources import Item, Problem, Source
from goingdeeper.errors import DataError
from goingdeeper.evaluation.protocols import Box, Plan, Protocol, plan


@dataclass(frozen=True)
class Seen:
    """Whole images from number `first` on: the sheets that their views are cut of, and their plans; None is
    that of one that cannot be read."""

    first: int
    sheets: list[list[Tensor]]
    plans: list[Plan | None]
    problems: list[Problem]

    def to(self, device: torch.device) -> Seen:
        """The same with its sheets on a device; there the views are cut, which are many times as large."""
        return replace(self, sheets=[[sheet.to(device) for sheet in own] for own in self.sheets])


def starts(protocol: Protocol, batch: int, count: int) -> range:
    """The numbers of the images that parts of about `batch` views begin with; dense ones are of one image."""
    return range(0, count, max(1, batch * (1 + protocol.mirror) // (protocol.crops or batch * 2)))


def seen(
    source: Source,
    items: Sequence[Item],
    protocol: Protocol,
    preprocessing: Preprocessing,
    step: int,
    begin: Sequence[int],
) -> Iterator[Seen]:
    """The items from each of these numbers on, `step` at a time, read on threads while others are used."""

    def load(position: int, pool: ThreadPoolExecutor) -> Seen:
        first = begin[position]
        made = list(
            pool.map(lambda item: _look(source, item, protocol, preprocessing), items[first : first + step])
        )
        return Seen(
            first,
            [sheets for sheets, _, _ in made],
            [planned for _, planned, _ in made],
            [problem for _, _, problem in made if problem],
        )

    yield from ahead(load, range(len(begin)))


def _look(
    source: Source, item: Item, protocol: Protocol, preprocessing: Preprocessing
) -> tuple[list[Tensor], Plan | None, Problem | None]:
    try:
        pixels = source.read(item.path)
    except DataError as problem:
        return [], None, Problem(item.path, str(problem), "left out")
    planned = plan(protocol, *pixels.shape[:2], preprocessing.size, preprocessing.shorter)
    return [torch.from_numpy(sheet) for sheet in sheets(pixels, planned)], planned, None


def sheets(pixels: Pixels, planned: Plan) -> list[Pixels]:
    """(height, width, 3) each: the image at the sizes that the views are cut from."""
    whole: dict[tuple[int, int], Pixels] = {pixels.shape[:2]: pixels}
    made = []
    for height, width, box, side, _ in planned.sheets:
        if (height, width) not in whole:
            whole[height, width] = resize(pixels, height, width)
        part = whole[height, width][box.top : box.top + box.height, box.left : box.left + box.width]
        # Torch takes no arrays that it must not write to.
        made.append(np.require(part, requirements=("C", "W")) if side is None else resize(part, side, side))
    return made


def cut(found: Seen, preprocessing: Preprocessing, most: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The views of all images, (V, 3, height, width) at a time, as the network wants them, on the device of
    the sheets; of each the number of its image among them, and how often it is taken.

    Views of one size come up to `most` at a time, in parts as equal as can be; others alone.
    """
    parts, owners, times = [], [], []
    for number, (own, planned) in enumerate(zip(found.sheets, found.plans, strict=True)):
        for sheet, box, count, _ in planned.views if planned else ():
            part = own[sheet][box.top : box.top + box.height, box.left : box.left + box.width]
            parts.append((part, _place(planned, sheet, box) if planned else None))
            owners.append(number)
            times.append(count)
    alike = len({part.shape for part, _ in parts}) == 1
    count = -(-len(parts) // most) if alike else len(parts)
    ends = [len(parts) * k // count for k in range(count + 1)] if parts else [0]
    for first, last in pairwise(ends):
        yield (
            _normalised(parts[first:last], preprocessing),
            torch.tensor(owners[first:last], device=parts[first][0].device),
            torch.tensor(times[first:last], dtype=torch.float64, device=parts[first][0].device),
        )


def _place(planned: Plan, number: int, box: Box) -> Windows | None:
    """Where a view lies in the central square of the image that it was cut from, if it was, unsquashed."""
    sheet = planned.sheets[number]
    side = min(sheet.height, sheet.width)
    if sheet.side is not None or sheet.squashed:
        return None
    top, left = box.top - (sheet.height - side) // 2, box.left - (sheet.width - side) // 2
    return Windows(torch.tensor([top]), torch.tensor([left]), side)


def _normalised(parts: list[tuple[Tensor, Windows | None]], preprocessing: Preprocessing) -> Tensor:
    if preprocessing.mean_image is None:
        return preprocessing.normalise(torch.stack([part for part, _ in parts]))
    # A mean image is taken off where it was fitted; of what was squashed, by its means of the channels.
    each = [preprocessing.normalise(part[None], place or False) for part, place in parts]
    return torch.cat(each)
