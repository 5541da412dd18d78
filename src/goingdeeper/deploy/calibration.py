"""The images that a quantised model is calibrated and judged on: the run's own, or those of a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.decode import centre
from goingdeeper.data.pictures import Pictures, survey
from goingdeeper.data.sources import Item, Source, open_source
from goingdeeper.data.split import Holding, divide, turns
from goingdeeper.errors import DataError, UsageError
from goingdeeper.evaluation.evaluate import side_of_run
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model
from goingdeeper.runs.sides import sides_by_name, sides_of

LEAST = 10
"""Images that ranges may be taken from at the fewest."""

USUAL = 300
"""Images that ranges are taken from unless told; NNCF's own figure."""

BATCH = 32


@dataclass(frozen=True)
class Samples:
    """Images of a model's classes, as its network takes them.

    calibration: (N, size, size, 3) RGB bytes, of the training side. facts: their number, where they are from
    and how they were chosen, for config.json. validation: of the other side; labels: their class numbers.
    rule: what gave the sides, for people; empty where the run or the place did.
    """

    calibration: NDArray[np.uint8]
    facts: dict[str, Any]
    validation: tuple[Item, ...]
    labels: NDArray[np.int64]
    size: int
    pictures: Pictures
    rule: str = ""

    def batches(self) -> Iterator[NDArray[np.uint8]]:
        """The validation images in order, (n, size, size, 3)."""
        for start in range(0, len(self.validation), BATCH):
            yield _squares(self.pictures, self.validation[start : start + BATCH], self.size)


def samples(model: Model, images: str | None = None, count: int = USUAL) -> Samples:
    """What a model is quantised with.

    images: a place with labelled images; its training side is calibrated on and its validation side judged
    on. Where it has none and holds images of the run whose folder the model is in, the sides are the run's;
    so are those of images that are called like the run's, as in a copy. Otherwise sides are drawn as in
    training. None takes the sides of that run. What the run was trained on, or is called so, is never judged
    on. count: of images to calibrate on, by turns one of each class. Images that cannot be read are left
    out. Raises UsageError for a model without a run and without images, and where `count` is under `LEAST`;
    DataError where there are fewer training images than that, or no validation images.
    """
    if count < LEAST:
        raise UsageError(f"{count} images to calibrate on are too few; at least {LEAST} are needed")
    preprocessing = model.preprocessing
    side = preprocessing.shorter or preprocessing.size
    sides = _sides(model, images, side)
    source, place, seed = sides.source, sides.place, sides.seed
    taken = turns(sides.learned, count, seed)
    pictures = survey(replace(source, items=(*taken, *sides.held_out)), side)
    readable = [item for item in taken if item.path in pictures.digests]
    validation = tuple(item for item in sides.held_out if item.path in pictures.digests)
    if len(readable) < LEAST:
        raise DataError(
            f"{place} has {len(readable)} training images to calibrate on; at least {LEAST} are needed; "
            "name others with --images PLACE"
        )
    if not validation:
        raise DataError(
            f"{place} has no validation images that can be read and were not trained on, by their place or "
            "name; name others with --images PLACE"
        )
    numbers = {name: number for number, name in enumerate(model.classes)}
    facts = {
        "images": len(readable),
        "from": f"the training side of {source.name}",
        "choice": f"by turns one of each class, seed {seed}" + (", all" if len(taken) < count else ""),
    }
    return Samples(
        _squares(pictures.pictures, readable, preprocessing.size), facts, validation,
        np.array([numbers[item.label] for item in validation], np.int64),
        preprocessing.size, pictures.pictures, sides.rule,
    )  # fmt: skip


@dataclass(frozen=True)
class _Sides:
    """The images to calibrate on and to judge on, how their place is called, and the seed of the choice."""

    source: Source
    learned: Sequence[Item]
    held_out: Sequence[Item]
    place: str
    seed: int
    rule: str = ""


def _sides(model: Model, images: str | None, size: int) -> _Sides:
    run = RunFolder(model.path.parent) if (model.path.parent / "run.json").is_file() else None
    seed = int(run.run().get("seed", 0)) if run else 0
    if images is None:
        if run is None:
            raise UsageError(
                f"{model.path} has no images of its own to calibrate on and to measure the error; "
                "name some with --images PLACE"
            )
        source = side_of_run(run, model.classes, "val", "name others with --images PLACE")
        rows = [row for row in run.split() if row["split"] == "train"]
        items = [Item(row["path"], row["class"], "train") for row in rows]
        return _Sides(source, items, source.items, f"{run.path}", seed)
    source = open_source(images, model.classes)
    known = sides_of(run, source) if run else {}
    named = sides_by_name(run, source) if run and not known else {}
    rule = ""
    held_out = [item for item in source.items if item.split == "val"]
    if held_out:
        learned = [item for item in source.items if item.split == "train"]
    else:
        learned, held_out = (
            [item for item in source.items if (known or named).get(item.path) == side]
            for side in ("train", "val")
        )
        if not known:
            drawn, rule = _drawn(source, named, size, run)
            learned, held_out = learned + drawn[0], held_out + drawn[1]
    trained = {path for path, side in (known or named).items() if side == "train"}
    held_out = [item for item in held_out if item.path not in trained]
    return _Sides(source, learned, held_out, images, seed, rule)


def _drawn(
    source: Source, named: Mapping[str, str], size: int, run: RunFolder | None
) -> tuple[tuple[list[Item], list[Item]], str]:
    """The sides of images that are called like none of the run's, drawn as in training; and what to say of
    all of the source's."""
    by_name = f"{len(named):,} of {len(source.items):,} images are called like the run's and have its sides"
    rest = tuple(item for item in source.items if item.path not in named)
    if not rest:
        return ([], []), f"{source.name}: {by_name}"
    seed = int(run.run().get("wishes", {}).get("split_seed", 0)) if run else 0
    digests = survey(source, size).digests
    known = {digests[path] for path in named if path in digests}
    fresh = tuple(item for item in rest if digests.get(item.path, "") not in {*known, ""})
    if named and max(Counter(item.label for item in fresh).values(), default=0) < 2:
        return ([], []), f"{source.name}: {by_name}; the others are left out"
    division = divide(replace(source, items=fresh), digests, Holding(seed))
    rule = f"{source.name}: sides drawn anew of {len(fresh):,} images, {division.rule}"
    return ([*division.train], [*division.val]), f"{rule}; {by_name}" if named else rule


def _squares(pictures: Pictures, items: Sequence[Item], size: int) -> NDArray[np.uint8]:
    return np.stack([centre(pictures[item.path], size) for item in items])
