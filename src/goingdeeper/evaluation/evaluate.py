"""Scores of trained models, one or several together, on labelled images by a protocol."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from goingdeeper.data.pictures import BAD_SHARE, survey
from goingdeeper.data.sources import Item, Problem, Source, Split, embedded, open_scored, open_source
from goingdeeper.errors import DataError, Interrupted, UsageError
from goingdeeper.evaluation.kept import Kept
from goingdeeper.evaluation.predict import Part, parts
from goingdeeper.evaluation.protocols import Protocol, protocol
from goingdeeper.evaluation.scores import Score, score
from goingdeeper.evaluation.shards import Work, shared
from goingdeeper.evaluation.views import starts
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import Model
from goingdeeper.stopping import stop_requests
from goingdeeper.version import __version__

Side: TypeAlias = Literal["val", "test"]

VIEWS = 32
"""Views at a time; more take memory and no less time."""


@dataclass(frozen=True)
class Member:
    """A model, and the run folder that it is of, if it is of one."""

    model: Model
    run: RunFolder | None = None


@dataclass(frozen=True)
class Evaluation:
    """What each model says of the images by one protocol.

    likely: of each model the log of its averaged probabilities, (N, classes), all in the order of `classes`.
    labels: (N,) class numbers. problems: images that could not be read, which are not among the items. side:
    of which split all of them are, where the location says so.
    """

    protocol: Protocol
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    labels: Tensor
    likely: tuple[Tensor, ...]
    problems: tuple[Problem, ...]
    side: Split | None = None
    kept: tuple[Kept, ...] = field(default=(), repr=False, compare=False)

    def forget(self) -> None:
        """Removes what was kept on disk in case of an interruption; to be called once this has been used."""
        for each in self.kept:
            each.drop()

    def joined(self, models: int | None = None) -> Tensor:
        """Log of the mean of the first models' probabilities, (N, classes)."""
        chosen = self.likely[:models]
        if len(chosen) == 1:
            return chosen[0]
        return torch.stack([each.double().exp() for each in chosen]).mean(0).log().float()

    def score(self, models: int | None = None) -> Score:
        """That of the first models together; all of them where it is not said how many."""
        count = len(self.likely) if models is None else models
        return score(
            self.joined(count), self.labels, self.classes,
            protocol=self.protocol.name, crops=self.protocol.crops, models=count,
        )  # fmt: skip


def evaluate(
    members: Sequence[Member],
    images: str | None,
    *,
    protocol_name: str = "1crop",
    side: Side = "val",
    batch: int = VIEWS,
    device: str = "cpu",
    devices: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """What the models say, one after another, each by its own input size and scale.

    images: a folder of class folders (of its split `side` where it has one), or None for the images of that
    side that the runs held out. batch: views at a time. devices: processes that share the images. What takes
    long is kept in the run folders while it lasts: interrupted, the same call goes on. Raises DataError for
    an unknown class, models whose classes differ, or too many unreadable images; UsageError for an unknown
    protocol, one that a network cannot take, or a model folder given without images; Interrupted. The caller
    has the outcome `forget` what is kept once it has been used.
    """
    chosen = protocol(protocol_name)
    if batch < 1 or devices < 1:
        what = f"a batch of {batch}" if batch < 1 else f"{devices} devices"
        raise UsageError(f"{what}; at least 1 is needed")
    classes = members[0].model.classes
    for member in members[1:]:
        _check_classes(classes, members[0].model, member.model)
    source = _images(members, images, side)
    items = source.items
    total, done, problems = len(members) * len(items), 0, dict[str, Problem]()
    found, keeping = [], []
    with stop_requests() as stop:
        for member in members:
            kept = Kept(_place(member, source, chosen, batch))
            keeping.append(kept)
            likely = torch.full((len(items), len(classes)), torch.nan)
            order = [member.model.classes.index(name) for name in classes]
            for part in _parts(member.model, source, chosen, batch, device, devices, kept):
                if any(part.read):
                    rows = torch.tensor(part.read).nonzero().flatten()
                    likely[part.first + rows] = part.likely[rows][:, order]
                problems |= {problem.path: problem for problem in part.problems}
                if len(problems) > BAD_SHARE * len(items):
                    survey(source, member.model.preprocessing.size)  # which refuses them, all counted
                done += len(part.read)
                if progress:
                    progress(done, total)
                if stop and done < total:
                    saved = all([one.write() for one in keeping])
                    raise Interrupted(_left(done, total, saved), stop.signal or 2)
            found.append(likely)
    for kept in keeping:
        kept.end()
    read = torch.tensor([item.path not in problems for item in items])
    number = {name: index for index, name in enumerate(classes)}
    left = tuple(item for item in items if item.path not in problems)
    return Evaluation(
        chosen, classes, left, torch.tensor([number[item.label] for item in left]),
        tuple(likely[read] for likely in found), (*source.problems, *problems.values()), source.side,
        tuple(keeping),
    )  # fmt: skip


def _parts(
    model: Model, source: Source, protocol: Protocol, batch: int, device: str, devices: int, kept: Kept
) -> Iterator[Part]:
    """Those that were kept, then the rest, which is kept."""
    yield from kept.parts
    seen = {part.first for part in kept.parts}
    begin = [first for first in starts(protocol, batch, len(source.items)) if first not in seen]
    if devices > 1 and len(begin) > 1:
        work = Work(model.path, source.location, source.items, protocol, batch, device, begin)
        rest = shared(work, min(devices, len(begin)))
    else:
        rest = parts(
            model.net, source, source.items, protocol, model.preprocessing,
            batch=batch, device=device, begin=begin,
        )  # fmt: skip
    for part in rest:
        kept.add(part)
        yield part


def _left(done: int, total: int, saved: bool) -> str:
    if saved:
        return f"interrupted; {done:,} of {total:,} images are scored, and the same command goes on with them"
    return f"interrupted after {done:,} of {total:,} images; nothing is kept, as the run cannot be written"


def _place(member: Member, source: Source, protocol: Protocol, batch: int) -> Path | None:
    """The file for what is found, named after all that it depends on; None for a model without a run."""
    if member.run is None:
        return None
    facts = [
        __version__, member.model.config.get("seal"), member.model.config.get("weights"), asdict(protocol),
        batch, source.location, _state(Path(source.location)),
        [(item.path, item.label, _state(Path(source.location, item.path))) for item in source.items],
    ]  # fmt: skip
    name = hashlib.sha256(json.dumps(facts).encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return member.run.path / "evaluation" / f"{name}.part"


def _state(file: Path) -> tuple[int, int] | None:
    """What changes where a file does."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return None if stat.S_ISDIR(found.st_mode) else (found.st_size, found.st_mtime_ns)


def _check_classes(classes: tuple[str, ...], first: Model, other: Model) -> None:
    """Raises DataError where two models do not know the same classes, in whatever order."""
    only = {*classes} - {*other.classes}, {*other.classes} - {*classes}
    names = [
        f"{model.path} alone has {', '.join(map(repr, sorted(own)[:3]))}{', ...' if len(own) > 3 else ''}"
        for model, own in zip((first, other), only, strict=True)
        if own
    ]
    if names:
        raise DataError(f"the models have different classes: {'; '.join(names)}")


def _images(members: Sequence[Member], images: str | None, side: Side) -> Source:
    """The source, its items those to be scored."""
    classes = members[0].model.classes
    if images is None:
        sources = [side_of_run(member.run, classes, side) for member in members]
        for member, own in zip(members[1:], sources[1:], strict=True):
            if (own.location, {*own.items}) != (sources[0].location, {*sources[0].items}):
                place = member.run.path if member.run else member.model.path
                raise UsageError(
                    f"{place} held out other images than the first run; name a folder of images, "
                    "or train with --split RUN"
                )
        source = sources[0]
    else:
        source = open_scored(images, classes, side)
    if not source.items:
        raise DataError(f"{source.name} has no images to score")
    return source


def side_of_run(
    run: RunFolder | None,
    classes: tuple[str, ...],
    side: Side,
    remedy: str = "name a folder of images",
) -> Source:
    """The source of a run, its items those that it held out for a side. Raises as `evaluate`.

    remedy: what to do where the run does not have them.
    """
    if run is None:
        raise UsageError(f"a model folder has no validation images of its own; {remedy}")
    try:
        location = str(run.run()["data"]["location"])
    except (KeyError, TypeError):
        raise DataError(f"{run.path / 'run.json'} does not say where its images are; {remedy}") from None
    if not (embedded(location) or Path(location).exists()):
        raise DataError(f"the run's images are no longer at {location}; {remedy}")
    held_out = tuple(Item(row["path"], row["class"], side) for row in run.split() if row["split"] == side)
    if side == "test" and not held_out:
        return open_source(location, classes, split="test")
    source = open_source(location, classes)
    if not held_out:
        what = "validation" if side == "val" else side
        raise DataError(f"{run.path} has no {what} images in its split.csv; {remedy}")
    for item in held_out:
        if item.label not in classes:
            raise DataError(f"{run.path / 'split.csv'}: the model has no class '{item.label}'")
    return replace(source, items=held_out, problems=())
