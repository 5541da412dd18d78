"""The verbs as Python functions: what `import goingdeeper` offers and what the command line calls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from goingdeeper.checks.health import LIST, Health, examine
from goingdeeper.checks.labels import suspects
from goingdeeper.checks.page import page
from goingdeeper.data.decode import Pixels
from goingdeeper.data.sources import Source, open_source
from goingdeeper.errors import DataError, GoingDeeperError, MissingExtra, UsageError, shown
from goingdeeper.evaluation.compare import Comparison
from goingdeeper.evaluation.compare import compare as _compare
from goingdeeper.evaluation.evaluate import VIEWS, Evaluation, Member, Side
from goingdeeper.evaluation.evaluate import evaluate as _evaluate
from goingdeeper.evaluation.mistakes import evaluated_mistakes, written_mistakes
from goingdeeper.evaluation.scores import Score
from goingdeeper.files import make_folder, write_whole
from goingdeeper.opened import Given, PathLike, Run, expanded, load_trained
from goingdeeper.prediction.explain import Explainer
from goingdeeper.prediction.features import Vectors, known_labels, vectors
from goingdeeper.prediction.predictor import BATCH, Failure
from goingdeeper.reports.pictures import shrunk
from goingdeeper.reports.report import write_report
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.sides import sides_of
from goingdeeper.training.events import Events
from goingdeeper.training.plan import Wishes, choose_device
from goingdeeper.training.several import raise_problems, siblings, train_siblings
from goingdeeper.training.train import train as _train

PICTURE = 160
"""Pixels of a side, at most, of a picture in the report."""


def train(
    source: PathLike,
    *,
    model: str | None = None,
    recipe: str = "",
    epochs: int | None = None,
    batch: int | None = None,
    size: int | None = None,
    seed: int = 0,
    device: str = "auto",
    from_run: PathLike | None = None,
    time: str | None = None,
    devices: int = 1,
    teacher: PathLike | None = None,
    init_seed: int | None = None,
    split_seed: int = 0,
    split: PathLike | None = None,
    fold: str | None = None,
    test_share: float = 0.0,
    tensorboard: bool = False,
    exclude: PathLike | None = None,
    group: bool | None = None,
    settings: Mapping[str, object] | None = None,
    weights: PathLike | None = None,
    out: PathLike | None = None,
    events: Events | None = None,
) -> Run:
    """Trains a classifier on a folder of class folders, on `digits` or `shapes`, and writes a run folder.

    What is left out is chosen from the images and the machine, and recorded with its reason in run.json.
    model: a network's id, or a file NAME.json as `to_json` writes it. from_run: a run whose weights are gone
    on from, with its network, size and classes. time: a budget such as "10m", instead of epochs. devices:
    processes that share each batch; a script that asks for several needs the guard
    `if __name__ == "__main__":`. teacher: a run that the recipe's loss learns from. init_seed: of the initial
    weights alone. split_seed: of the images held out, the same for all seeds. split: a run whose sides are
    taken. fold: "2/5" holds out the second of five parts. test_share: of the images, for a test set that
    training never sees and `evaluate(..., split="test")` scores.
    tensorboard: curves in the run folder for it, too; an extra. exclude: a list of images to leave out, as
    `check` writes it. group: images that are nearly the same stay on one side of a split that is drawn.
    weights: a run or model folder, or what `deeper import` takes, fitted to other classes; the recipe is then
    `finetune`.
    settings: recipe fields by name, such as {"rate": 0.05, "flip": False}. An unfinished run of the same
    settings and images goes on. Raises DataError for unusable images, UsageError for unknown names.
    """
    wishes = _wishes(
        source, model=model, recipe=recipe, epochs=epochs, batch=batch, size=size, seed=seed, device=device,
        from_run=from_run, time=time, devices=devices, teacher=teacher, init_seed=init_seed,
        split_seed=split_seed, split=split, fold=fold, test_share=test_share, tensorboard=tensorboard,
        exclude=exclude, group=group, settings=settings, weights=weights,
    )  # fmt: skip
    folder = _train(wishes, Path(out) if out is not None else None, events)
    report(folder.path)
    return load_trained(folder.path)


def train_several(
    source: PathLike,
    *,
    seeds: Iterable[int] = (0,),
    models: Iterable[str | None] = (None,),
    jobs: int | None = None,
    out: PathLike | None = None,
    events: Callable[[str], Events] | None = None,
    **options: Any,
) -> list[Run]:
    """Trains each network with each seed, side by side in processes of their own; in this order.

    jobs: runs at a time, as many as there are processors (4 on a GPU); of these each gets an equal share.
    out: the folder that holds theirs. events: makes those of a run of its name, such as "seed 1". options: as
    `train`, but for devices. A script needs the guard `if __name__ == "__main__":`. Raises, once all have
    ended, what one of them has met; `load` gives the others.
    """
    known = Wishes.__dataclass_fields__.keys() - {"source", "seed", "model"}
    for name in options.keys() - known:
        raise UsageError(f"train_several has no option {name}; it has seeds and models, and those of train")
    place = Path(out) if out is not None else None
    runs = siblings(_wishes(source, **options), list(models), list(seeds), place)
    train_siblings(runs, [events(run.name) if events else Events() for run in runs], jobs)
    for run in runs:
        if run.folder:
            report(run.folder.path)
    raise_problems(runs)
    return [load_trained(run.folder.path) for run in runs if run.folder]


def _wishes(source: PathLike, **options: Any) -> Wishes:
    """What `train` was asked for, with paths and settings as text."""
    if not isinstance(options.get("recipe", ""), str):
        raise UsageError("recipe: give its name; settings={...} changes settings of it")
    for name in ("from_run", "teacher", "split", "exclude", "weights"):
        options[name] = _path(options.get(name))
    settings = options.pop("settings", None) or {}
    return Wishes(
        os.fspath(source), settings=tuple((key, str(value)) for key, value in settings.items()), **options
    )


def check(
    source: PathLike,
    *,
    out: PathLike | None = None,
    run: Run | PathLike | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Health:
    """What is wrong with the images at a location, those of test/ too, and their numbers.

    out: a folder for check.html, with pictures, and exclude.txt. run: also finds the labels that a trained
    run doubts. progress: called with (images done, images in all). Raises DataError where there is nothing
    to read, or where the run knows none of the classes; UsageError where `out` lies in the source's folder.
    """
    images = Path(source)
    if out is not None and images.is_dir() and Path(out).resolve().is_relative_to(images.resolve()):
        raise UsageError(f"{out} lies in the folder of the images; give a place outside of it")
    trained = run if run is None or isinstance(run, Run) else load_trained(run)
    health, collection, seen = examine(source, progress)
    if trained is not None:
        items = [item for item in collection.source.items if item.path in seen.looks]
        unknown = Counter(item.label for item in items if item.label not in trained.model.classes)
        health = replace(
            health,
            suspects=suspects(trained.model, collection.source, items, progress),
            unknown=dict(sorted(unknown.items())),
            learned=_learned(trained, replace(collection.source, items=tuple(items))),
        )
    if out is not None:
        folder = Path(out)
        listed = (folder / LIST).resolve()
        text = page(health, collection.source, str(listed))
        make_folder(folder)
        # File names that are not Unicode arrive as lone surrogates, which UTF-8 cannot hold.
        write_whole(listed, health.exclude_list(str(listed)).encode("utf-8", "backslashreplace"))
        write_whole(folder / "check.html", text.encode("utf-8", "backslashreplace"))
    return health


def _learned(run: Run, source: Source) -> int:
    """How many images of a source a run was trained on."""
    if not (run.path / "run.json").is_file():
        return 0
    return list(sides_of(RunFolder(run.path), source).values()).count("train")


def features(
    run: Run | PathLike,
    images: Given | Iterable[Given],
    *,
    layer: str | None = None,
    batch: int = BATCH,
    device: str = "auto",
) -> Vectors:
    """What a run knows of images before it names a class: paths, classes where known, values (N, D).

    layer: an address, whose value is flattened; what the classifier is given unless one is named. Raises
    DataError, naming the file, for an image that cannot be read; UsageError for an unknown address.
    """
    trained = run if isinstance(run, Run) else load_trained(run)
    given = [images] if isinstance(images, str | os.PathLike | np.ndarray | Image.Image) else list(images)
    places = [os.fspath(each) for each in given if isinstance(each, str | os.PathLike)]
    parts = []
    for part in vectors(
        trained.model, expanded(given), layer=layer, batch=batch, device=choose_device(device).value,
        labels=known_labels(places),
    ):  # fmt: skip
        if isinstance(part, Failure):
            raise DataError(part.problem)
        parts.append(part)
    if not parts:
        raise DataError("no images were given")
    return Vectors(
        tuple(path for part in parts for path in part.paths),
        tuple(name for part in parts for name in part.classes),
        np.concatenate([part.values for part in parts]),
    )


def evaluate(
    runs: Run | PathLike | Sequence[Run | PathLike],
    images: PathLike | None = None,
    *,
    protocol: str = "1crop",
    split: Side = "val",
    device: str = "auto",
    devices: int = 1,
) -> Score:
    """The score of a run, or of several together, on a folder of class folders, or on what they held out.

    Several are an ensemble: the mean of their probabilities, classes matched by name. protocol: the views of
    each image, as `goingdeeper.evaluation.protocols.PROTOCOLS` names them. split: "val" or "test", which of
    the images. devices: processes, or GPUs, that share the images.
    """
    found = evaluation(runs, images, protocol=protocol, split=split, device=device, devices=devices)
    score = found.score()
    found.forget()
    return score


def evaluation(
    runs: Run | PathLike | Sequence[Run | PathLike],
    images: PathLike | None = None,
    *,
    protocol: str = "1crop",
    split: Side = "val",
    batch: int = VIEWS,
    device: str = "auto",
    devices: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """As `evaluate`, with what each model says of each image."""
    several = [runs] if isinstance(runs, Run | str | os.PathLike) else list(runs)
    members = []
    for each in several:
        run = each if isinstance(each, Run) else load_trained(each)
        folder = RunFolder(run.path) if (run.path / "run.json").is_file() else None
        members.append(Member(run.model, folder))
    if not members:
        raise UsageError("no run to evaluate; give at least one")
    return _evaluate(
        members, _path(images), protocol_name=protocol, side=split, batch=batch,
        device=choose_device(device, devices).value, devices=devices, progress=progress,
    )  # fmt: skip


def compare(a: Run | PathLike, b: Run | PathLike, images: PathLike | None = None) -> Comparison:
    """Whether two runs, or models, differ in the top-1 error of the same images.

    images: labelled images that both are scored on, with one crop, or None for what finished runs have
    written down of the same validation images. Raises UsageError where these, or the classes, are not the
    same.
    """
    names = [one.path if isinstance(one, Run) else Path(one) for one in (a, b)]
    if images is not None:
        found = evaluation([a, b], images)
        outcome = compared(found, names[0], names[1])
        found.forget()
        return outcome
    first, second = written_mistakes(RunFolder(names[0]), RunFolder(names[1]))
    return _compare(first.values(), (second[image] for image in first), (shown(names[0]), shown(names[1])))


def compared(found: Evaluation, a: Path, b: Path) -> Comparison:
    """The comparison of the two models of an evaluation."""
    first, second = evaluated_mistakes(found)
    return _compare(first, second, (shown(a), shown(b)))


def report(path: PathLike) -> Path:
    """Writes report.html of a run folder, finished or not, and gives its path."""
    folder = RunFolder(Path(path))
    data = folder.run()["data"]
    try:
        source: Source | None = open_source(data["location"])
    except (DataError, MissingExtra):
        source = None  # the images have gone; the report says so in their place

    @lru_cache(maxsize=1)  # a picture, then what speaks for a class in it
    def pixels(name: str) -> Pixels | None:
        try:
            return source.read(name) if source else None
        except (DataError, ValueError, IndexError):
            return None

    @cache
    def explainer() -> Explainer | None:
        try:
            return Explainer(load_trained(folder.path).model)
        except GoingDeeperError:  # there is no model yet, or it is damaged, or without a map
            return None

    def picture(name: str) -> bytes | None:
        found = pixels(name)
        return None if found is None else shrunk(found, PICTURE)

    def heat(name: str, said: str) -> bytes | None:
        found = pixels(name)
        if found is None or (explain := explainer()) is None or said not in explain.model.classes:
            return None
        return shrunk(explain.overlay(found, said), PICTURE)

    return write_report(folder, picture, heat)


def _path(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)
