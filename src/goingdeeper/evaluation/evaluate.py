"""A trained model's score on labelled images: the run's own validation split, or a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from goingdeeper.data.pictures import BAD_SHARE, survey
from goingdeeper.data.sources import Item, Problem, Source, open_source
from goingdeeper.errors import DataError, UsageError, unknown
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.evaluation.scores import Score, score
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model

Side: TypeAlias = Literal["val", "test"]

PROTOCOLS = ("1crop",)


def evaluate(
    model: Model,
    images: str | None,
    run: RunFolder | None,
    *,
    protocol: str = "1crop",
    side: Side = "val",
    batch: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Score, tuple[Problem, ...]]:
    """The score, and the images that could not be read.

    images: a folder of class folders (of its split `side` where it has one), or None for the images of that
    side that the run held out. Raises DataError for an unknown class, UsageError for an
    unknown protocol or a model folder given without images.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS, f"the protocols are: {', '.join(PROTOCOLS)}")
    if batch < 1:
        raise UsageError(f"a batch of {batch}; at least 1 is needed")
    if images is None:
        source = _held_out(run, model.classes, side)
    else:
        source = open_source(images, model.classes, split="test" if side == "test" else None)
    if any(item.split == side for item in source.items):
        source = replace(source, items=tuple(item for item in source.items if item.split == side))
    found = survey(source, model.preprocessing.size, BAD_SHARE, progress)
    items = [item for item in source.items if item.path in found.digests]
    number = {name: index for index, name in enumerate(model.classes)}
    labels = torch.tensor([number[item.label] for item in items])
    likely = log_probabilities(model.net, found.pictures, items, model.preprocessing, batch=batch)
    return score(likely, labels, model.classes, protocol=protocol), found.problems


def _held_out(run: RunFolder | None, classes: tuple[str, ...], side: Side) -> Source:
    if run is None:
        raise UsageError("a model folder has no validation images of its own; name a folder of images")
    try:
        location = str(run.run()["data"]["location"])
    except (KeyError, TypeError):
        raise DataError(f"{run.path / 'run.json'} does not say where its images are; name a folder") from None
    if location != "digits" and not Path(location).exists():
        raise DataError(f"the run's images are no longer at {location}; name a folder of images")
    held_out = tuple(Item(row["path"], row["class"], side) for row in run.split() if row["split"] == side)
    if side == "test" and not held_out:
        return open_source(location, classes, split="test")
    source = open_source(location, classes)
    if not held_out:
        what = "validation" if side == "val" else side
        raise DataError(f"{run.path} has no {what} images in its split.csv; name a folder of images")
    for item in held_out:
        if item.label not in classes:
            raise DataError(f"{run.path / 'split.csv'}: the model has no class '{item.label}'")
    return replace(source, items=held_out, problems=())
