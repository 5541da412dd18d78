"""Images to vectors: what a network knows of an image before it names a class, for other programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError, UsageError
from goingdeeper.nn.build import Net
from goingdeeper.nn.heap import kept_heap
from goingdeeper.prediction.predictor import BATCH, Failure, Held, Picture, read_ahead
from goingdeeper.runs.model import Model
from goingdeeper.stages import classifier


@dataclass(frozen=True)
class Vectors:
    """Of a few images, in order: paths, classes (empty where none is known), and values (N, D), float32."""

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    values: NDArray[np.float32]


def vectors(
    model: Model,
    images: Iterable[Picture],
    *,
    layer: str | None = None,
    batch: int = BATCH,
    device: str | torch.device = "cpu",
    labels: dict[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Vectors | Failure]:
    """What the network computes of images at a layer, flattened; a Failure for each that cannot be read.

    images: as `predict` takes them. layer: an address of the trunk; what the classifier is given unless one
    is named. labels: classes of images by path, beside those that sources give. The network is left in
    evaluation mode, on the CPU. Raises UsageError for an address that the network does not have.
    """
    if batch < 1:
        raise UsageError(f"a batch of {batch}; at least 1 is needed")
    place = torch.device(device)
    net, scale, labels = model.net.eval().to(place), model.preprocessing.to(place), labels or {}
    done = 0
    try:
        with kept_heap(place.type):
            for part in read_ahead(images, model.fit, batch):
                yield from (one.pixels for one in part if isinstance(one.pixels, Failure))
                names, classes, fitted = [], [], []
                for one in part:
                    if not isinstance(one.pixels, Failure):
                        names.append(one.name)
                        classes.append(_label(one.image, labels))
                        fitted.append(one.pixels)
                if fitted:
                    with torch.inference_mode():
                        found = _at(net, scale.views(fitted).to(place), layer).flatten(1).float().cpu()
                    yield Vectors(tuple(names), tuple(classes), found.numpy())
                done += len(part)
                if progress:
                    progress(done)
    finally:
        net.to("cpu")


def known_labels(paths: Sequence[str]) -> dict[str, str]:
    """Classes of the image files in folders of class folders, by path."""
    found = {}
    for text in paths:
        if Path(text).is_dir():
            with suppress(DataError):  # a folder of images without classes
                source = open_source(text, split="all")
                found.update({str(Path(text) / item.path): item.label for item in source.items})
    return found


def _label(image: object, labels: dict[str, str]) -> str:
    if isinstance(image, Held):
        return image.label
    return labels.get(os.fspath(image), "") if isinstance(image, str | os.PathLike) else ""


def _at(net: Net, images: Tensor, layer: str | None) -> Tensor:
    """(N, ...): the value at an address, or what the classifier is given."""
    if layer is not None:
        return net.until(images, layer)
    given: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        given.append(inputs[0])

    handle = net.get_submodule(classifier(net.description)).register_forward_pre_hook(keep)
    try:
        net(images)
    finally:
        handle.remove()
    return given[0]
