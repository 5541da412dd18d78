"""A trained model's score on labelled images: the run's own validation split, or a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from goingdeeper.data.pictures import BAD_SHARE, survey
from goingdeeper.data.sources import Item, Problem, Source, open_source
from goingdeeper.errors import DataError, UsageError, unknown
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.evaluation.scores import Score, score
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model

PROTOCOLS = ("1crop",)


def evaluate(
    model: Model,
    images: str | None,
    run: RunFolder | None,
    *,
    protocol: str = "1crop",
    batch: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Score, tuple[Problem, ...]]:
    """The score, and the images that could not be read.

    images: a folder of class folders (its validation split where it has one), or None for the
    validation images that the run held out. Raises DataError for an unknown class, UsageError for an
    unknown protocol or a model folder given without images.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS, f"the protocols are: {', '.join(PROTOCOLS)}")
    if batch < 1:
        raise UsageError(f"a batch of {batch}; at least 1 is needed")
    source = _held_out(run, model.classes) if images is None else open_source(images, model.classes)
    if any(item.split == "val" for item in source.items):
        source = replace(source, items=tuple(item for item in source.items if item.split == "val"))
    found = survey(source, model.preprocessing.size, BAD_SHARE, progress)
    items = [item for item in source.items if item.path in found.digests]
    number = {name: index for index, name in enumerate(model.classes)}
    labels = torch.tensor([number[item.label] for item in items])
    likely = log_probabilities(model.net, found.pictures, items, model.preprocessing, batch=batch)
    return score(likely, labels, model.classes, protocol=protocol), found.problems


def _held_out(run: RunFolder | None, classes: tuple[str, ...]) -> Source:
    if run is None:
        raise UsageError("a model folder has no validation images of its own; name a folder of images")
    try:
        location = str(run.run()["data"]["location"])
    except (KeyError, TypeError):
        raise DataError(f"{run.path / 'run.json'} does not say where its images are; name a folder") from None
    if location != "digits" and not Path(location).exists():
        raise DataError(f"the run's images are no longer at {location}; name a folder of images")
    source = open_source(location, classes)
    val = tuple(Item(row["path"], row["class"], "val") for row in run.split() if row["split"] == "val")
    if not val:
        raise DataError(f"{run.path} has no validation images in its split.csv; name a folder of images")
    for item in val:
        if item.label not in classes:
            raise DataError(f"{run.path / 'split.csv'}: the model has no class '{item.label}'")
    return replace(source, items=val, problems=())
