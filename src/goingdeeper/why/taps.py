"""What the layers of a trained network give for images of its run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from goingdeeper.data.decode import Pixels, centre
from goingdeeper.data.sources import open_source
from goingdeeper.data.split import turns
from goingdeeper.errors import DataError
from goingdeeper.prediction.predictor import Failure, Held, read_ahead
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model
from goingdeeper.runs.sides import sides_of

BATCH = 32


def images_of(run: RunFolder, learned: bool, most: int) -> list[Held]:
    """So many images of a run's source, of each class as many: those that it learned from, or held out.

    The run has read them all.
    """
    source = open_source(run.run()["data"]["location"])
    sides = sides_of(run, source)
    wanted = ("train",) if learned else ("val", "test")
    items = [item for item in source.items if sides.get(item.path) in wanted]
    return [Held(item.path, partial(source.read, item.path), item.label) for item in turns(items, most, 0)]


def squares(model: Model, images: Sequence[Held]) -> Iterator[list[Pixels]]:
    """What the network sees of the images, (size, size, 3) bytes, `BATCH` at a time.

    Raises DataError, naming it, for an image that cannot be read.
    """
    for part in read_ahead(images, model.fit, BATCH):
        fitted = []
        for one in part:
            if isinstance(one.pixels, Failure):
                raise DataError(one.pixels.problem)
            fitted.append(centre(one.pixels, model.preprocessing.size))
        yield fitted


def tapped(model: Model, images: Sequence[Held], addresses: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Values at addresses, (n, ...), of `BATCH` images at a time; the network is left in evaluation mode."""
    net, wanted = model.net.eval(), frozenset(addresses)
    for part in squares(model, images):
        with torch.inference_mode():
            yield net.tap(model.preprocessing.views(part), wanted)[1]
