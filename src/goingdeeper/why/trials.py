"""Trainings that a claim is judged by: networks that differ in one thing, with several seeds, in a time."""

from __future__ import annotations

import hashlib
import heapq
import json
import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from goingdeeper.data.exclude import exclude_list
from goingdeeper.data.processors import cpus
from goingdeeper.data.seeds import check_seed
from goingdeeper.data.sources import Source, base_of, open_source
from goingdeeper.data.split import VAL_SHARE, turns
from goingdeeper.errors import Interrupted, RunFolderError, UsageError
from goingdeeper.files import lock, make_folder, write_whole
from goingdeeper.layers import Network
from goingdeeper.notation import to_data
from goingdeeper.runs.folder import RunFolder
from goingdeeper.training.budget import seconds
from goingdeeper.training.events import Events
from goingdeeper.training.plan import Wishes
from goingdeeper.training.several import Sibling, raise_problems, side_by_side, train_siblings
from goingdeeper.version import __version__
from goingdeeper.why.charts import Series, spread
from goingdeeper.why.intervals import Interval, interval

EPOCHS, MOST = 10, 60
"""Epochs at the fewest, for which images are left out if need be, and at the most."""
LEAST = 30
"""Training images of each class at the fewest."""
TRIED = 2000
"""Images of the training whose pace is measured."""
BEGIN, SHARE = 8.0, 0.85
"""Seconds that a training takes besides its epochs, and the share of the time that is planned with."""


@dataclass(frozen=True)
class Arm:
    """A network and how it is trained. name: as figures call it. network: its id, or its description."""

    name: str
    network: str | Network
    recipe: str = "scratch"
    settings: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    batch: int | None = None


@dataclass(frozen=True)
class Terms:
    """What trainings are made with.

    time: that of all trainings of a topic together, such as `10m`. seeds: at least two, as one has no
    interval. data: images instead of the topic's own. folder: where the runs are kept, and found again.
    events: makes those that a training of a name tells.
    """

    time: str = "10m"
    seeds: tuple[int, ...] = (0, 1, 2)
    data: str | None = None
    folder: Path = Path("why/runs")
    events: Callable[[str], Events] = field(default=lambda name: Events())

    def __post_init__(self) -> None:
        seconds(self.time)
        for seed in self.seeds:
            check_seed("seed", seed)
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise UsageError("trainings need two or more different seeds: one alone has no interval")


@dataclass(frozen=True)
class Trained:
    """Finished runs of each arm by its name, in the order of the seeds."""

    runs: dict[str, tuple[RunFolder, ...]]
    data: str
    images: int
    epochs: int
    seeds: tuple[int, ...]

    @cached_property
    def metrics(self) -> dict[str, tuple[list[dict[str, float]], ...]]:
        """metrics.csv of each run."""
        return {name: tuple(run.metrics() for run in runs) for name, runs in self.runs.items()}

    def last(self, arm: str, column: str) -> list[float]:
        """A column of metrics.csv after the last epoch, of each seed."""
        return [rows[-1][column] for rows in self.metrics[arm]]

    def gap(self, a: str, b: str, column: str) -> Interval:
        """a - b after the last epoch, paired by seed."""
        return self.paired(lambda arm: self.last(arm, column), a, b)

    def paired(self, of: Callable[[str], Sequence[float]], a: str, b: str) -> Interval:
        """a - b of any figure that there is for each seed of an arm."""
        return interval([one - other for one, other in zip(of(a), of(b), strict=True)])

    def curve(self, arm: str, column: str, label: str = "") -> Series:
        """The mean over the seeds by epoch, with its interval."""
        runs = self.metrics[arm]
        found = [interval([rows[epoch][column] for rows in runs]) for epoch in range(len(runs[0]))]
        most = 100 if column.endswith("error") else math.inf
        return spread(label or arm, found, (row["epoch"] for row in runs[0]), least=0, most=most)

    @property
    def conditions(self) -> str:
        """What was trained on what, for the reader."""
        return (
            f"trained on {self.images:,} images of {self.data}, {self.epochs} epochs, {len(self.seeds)} seeds"
        )

    @property
    def note(self) -> str:
        """The conditions, and what intervals are over."""
        return f"{self.conditions}; intervals are of 95 % over the seeds, of differences paired by seed"


def train(terms: Terms, arms: Sequence[Arm], data: str) -> Trained:
    """Trains every arm with every seed, side by side, for as many epochs as fit into the time.

    All see the same images for the same epochs. Where fewer than `EPOCHS` epochs of all images would fit,
    images are left out, of each class as many. What is trained already is taken as it is, and what was
    interrupted goes on. Raises UsageError where the time is too short for anything to be seen, and
    RunFolderError where another process trains the same.
    """
    begun = time.perf_counter()
    source = open_source(terms.data or data)
    asked = _asked(terms, arms, source)
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    place = terms.folder.resolve() / digest[:10]
    make_folder(place)
    with (place / ".lock").open("wb") as handle:
        if not lock(handle):
            raise RunFolderError(f"another process trains in {place}; wait for it, or give another -o")
        return _trained(terms, arms, source, place, asked, begun)


def _trained(
    terms: Terms, arms: Sequence[Arm], source: Source, place: Path, asked: dict[str, Any], begun: float
) -> Trained:
    """The same in a folder that is this process's own. begun: when the time began."""
    wishes = {arm.name: _wishes(arm, source, place) for arm in arms}
    events = terms.events("")
    plan = place / "plan.json"
    if not plan.is_file():
        events.note(f"trying some steps of each network, to see what fits into {terms.time}")
        at_once = side_by_side(len(arms) * len(terms.seeds), wishes[arms[0].name].device)
        paces = _paces(list(wishes.values()), at_once, source, place)
        left = seconds(terms.time) - (time.perf_counter() - begun)
        images, epochs = _fitting(terms, source, paces, at_once, left)
        write_whole(place / "left-out.txt", _left_out(source, images))
        found = {"asked": asked, "images": images, "epochs": epochs, "paces": paces}
        write_whole(plan, json.dumps(found, indent=2) + "\n")
    known = json.loads(plan.read_text("utf-8"))
    events.note(
        f"{len(arms) * len(terms.seeds)} trainings of {known['epochs']} epochs, on {known['images']:,} images"
    )
    slowest_first = sorted(zip(arms, known["paces"], strict=True), key=lambda pair: -pair[1])
    runs = [
        Sibling(
            f"{arm.name}, seed {seed}",
            replace(wishes[arm.name], seed=seed, epochs=known["epochs"], exclude=str(place / "left-out.txt")),
            place / f"{'-'.join(arm.name.split())}-{seed}",
        )
        for arm, _ in slowest_first
        for seed in terms.seeds
    ]
    _run(runs, terms)
    folders = {run.name: run.folder for run in runs if run.folder}
    return Trained(
        {arm.name: tuple(folders[f"{arm.name}, seed {seed}"] for seed in terms.seeds) for arm in arms},
        source.name, known["images"], known["epochs"], terms.seeds, 
    )  # fmt: skip


def _run(runs: list[Sibling], terms: Terms) -> None:
    events, common = [terms.events(run.name) for run in runs], terms.events("")
    try:
        train_siblings(
            runs, events, told=lambda ended: common.note(f"{ended} of {len(runs)} trainings have ended")
        )
    except Interrupted as stopped:
        done = sum(1 for run in runs if run.folder)
        raise Interrupted(
            f"interrupted; {done} of {len(runs)} trainings are finished. The same command goes on",
            stopped.exit_status - 128,
        ) from None
    finally:
        for one in events:
            one.close()
    raise_problems(runs)


def _asked(terms: Terms, arms: Sequence[Arm], source: Source) -> dict[str, Any]:
    """What tells trainings apart from others."""
    return {
        "version": __version__,
        "data": source.location,
        "images": _fingerprint(source),
        "folder": str(terms.folder.resolve()),
        "time": terms.time,
        "seeds": terms.seeds,
        "arms": [asdict(replace(arm, network=_description(arm.network))) for arm in arms],
    }


def _fingerprint(source: Source) -> str:
    """A hash of every image's path, label, split and, where it is a file, size."""
    base = base_of(source.location)
    digest = hashlib.sha256()
    for item in sorted(source.items, key=lambda item: item.path):
        try:
            size = (base / item.path).stat().st_size
        except OSError:  # one that is inside of a file, or drawn
            size = 0
        digest.update(f"{item.path}\0{item.label}\0{item.split}\0{size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _description(network: str | Network) -> Any:
    return network if isinstance(network, str) else to_data(network)


def _wishes(arm: Arm, source: Source, place: Path) -> Wishes:
    model = arm.network
    if not isinstance(model, str):
        file = place / f"{model.name}.json"
        write_whole(file, json.dumps(to_data(model), indent=2) + "\n")
        model = str(file)
    return Wishes(
        source.location, model=model, recipe=arm.recipe, settings=arm.settings, size=arm.size, batch=arm.batch
    )


def _paces(wishes: Sequence[Wishes], at_once: int, source: Source, place: Path) -> list[float]:
    """Seconds that an image of an epoch takes here, as many trainings side by side as there will be.

    Where networks are fewer than that, each is tried several times, so that none is tried alone.
    """
    few = place / "tried.txt"
    write_whole(few, _left_out(source, TRIED))
    tasks = [(replace(one, exclude=str(few)), max(1, cpus() // at_once)) for one in wishes]
    with multiprocessing.get_context("spawn").Pool(at_once, _deaf) as pool:
        found = pool.starmap(_pace, tasks * math.ceil(at_once / len(tasks)), chunksize=1)
    return [fmean(found[place :: len(tasks)]) for place in range(len(tasks))]


def _deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits ends this one


def _pace(wishes: Wishes, threads: int) -> float:
    import torch

    from goingdeeper.training.train import epoch_seconds

    torch.set_num_threads(threads)
    taken, images = epoch_seconds(wishes)
    return taken / images


def _fitting(
    terms: Terms, source: Source, paces: Sequence[float], at_once: int, left: float
) -> tuple[int, int]:
    """Training images and epochs that fit into the seconds left. Raises UsageError where too few do."""
    learned = sum(item.split == "train" for item in source.items)
    whole = learned or round((1 - VAL_SHARE) * len(source.items))
    least = min(whole, LEAST * len(source.classes))
    runs = len(paces) * len(terms.seeds)
    begin = lasting([BEGIN] * runs, at_once)
    each = lasting([*paces] * len(terms.seeds), at_once)
    passes = (SHARE * left - begin) / each
    if passes < EPOCHS * least:
        needed = (begin + EPOCHS * least * each) / SHARE + seconds(terms.time) - left
        raise UsageError(
            f"--time {terms.time} is too short for {runs} trainings to show anything on {source.name}; "
            f"{EPOCHS} epochs of {least:,} images take about {math.ceil(needed / 60)}m here"
        )
    if passes >= EPOCHS * whole:
        return whole, min(MOST, int(passes / whole))
    return int(passes / EPOCHS), EPOCHS


def lasting(times: Sequence[float], at_once: int) -> float:
    """Seconds until all have ended, so many at a time, the longest begun first."""
    ends = [0.0] * at_once
    for one in sorted(times, reverse=True):
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


def _left_out(source: Source, images: int) -> str:
    """The list of what to leave out, so that so many training images stay, of each class as many.

    Of images that come with a split, each side keeps its own.
    """
    both = round(images / (1 - VAL_SHARE))
    learned = [item for item in source.items if item.split == "train"]
    held_out = [item for item in source.items if item.split != "train"]
    taken = turns(learned, images, 0) + turns(held_out, both - images if learned else both, 0)
    kept = {item.path for item in taken}
    return exclude_list((item.path, "not needed") for item in source.items if item.path not in kept)
