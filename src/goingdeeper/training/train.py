"""One training run from a source of images to a finished run folder, or on from where it was stopped."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, get_args

from goingdeeper.data.batches import steps_in_epoch
from goingdeeper.data.exclude import list_record, read_exclude_list, without
from goingdeeper.data.pictures import Survey, survey
from goingdeeper.data.preprocessing import Preprocessing, check_input, prepare_input
from goingdeeper.data.seeds import check_seed
from goingdeeper.data.sources import Source, Split, open_source
from goingdeeper.data.split import Division, divide
from goingdeeper.errors import DataError, GateError, Interrupted, UsageError
from goingdeeper.nn.build import Net, build
from goingdeeper.nn.heap import kept_heap
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.settings import change, full_name, lasting
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.listing import going_on, locked
from goingdeeper.runs.model import Model
from goingdeeper.stopping import StopRequest, stop_requests
from goingdeeper.training.budget import epochs_within, seconds
from goingdeeper.training.checkpoints import newest_checkpoint
from goingdeeper.training.engine import Engine
from goingdeeper.training.events import Events
from goingdeeper.training.finish import finish, write_metrics
from goingdeeper.training.groups import shares
from goingdeeper.training.job import Job, Progress, counted
from goingdeeper.training.launch import train_on_several
from goingdeeper.training.log import Log
from goingdeeper.training.loop import Trainer
from goingdeeper.training.memory import not_enough, out_of_memory
from goingdeeper.training.place import check_out, choose_folder
from goingdeeper.training.plan import (
    GROUP,
    Plan,
    Wishes,
    choose_device,
    choose_holding,
    choose_network,
    choose_recipe,
    named_recipe,
)
from goingdeeper.training.reason import Reason
from goingdeeper.training.record import announce, resolve
from goingdeeper.training.start import adapt, begin, begin_from, origin, take_over
from goingdeeper.training.tensorboard import TensorBoard, check_tensorboard
from goingdeeper.training.update import prepared


def train(wishes: Wishes, out: Path | None = None, events: Events | None = None) -> RunFolder:
    """Trains a network and writes a run folder; an unfinished run of the same wishes and data goes on.

    In several processes where `devices` says so, or as one of those that torchrun has started. Raises
    UsageError, DataError or ResourceError before anything is written; Interrupted, with everything
    finished saved, after Ctrl-C or SIGTERM.
    """
    events = events or Events()
    seeds = {"seed": wishes.seed, "init-seed": wishes.init_seed, "split-seed": wishes.split_seed}
    for name, seed in seeds.items():
        if seed is not None:
            check_seed(name, seed)
    if out is not None:
        check_out(out)
    if wishes.tensorboard:
        check_tensorboard()
    started = int(os.environ.get("WORLD_SIZE", "0"))
    if started:
        wishes = replace(wishes, devices=started)
    elif wishes.devices > 1:
        choose_device(wishes.device, wishes.devices)  # before as many processes are started
        return train_on_several(wishes, out, events)
    return _train(wishes, out, events)


def epoch_seconds(wishes: Wishes) -> tuple[float, int]:
    """The seconds that an epoch takes here, with its evaluation, and its training images.

    Tries some steps; writes nothing. Raises as `train` does.
    """
    ready = _prepare(wishes, Events())
    engine = Engine(ready.plan.device)
    try:
        with kept_heap(ready.plan.device):
            _, taken = epochs_within(ready.job(ready.scale()), 0.0, engine)
    finally:
        engine.close()
    return taken, len(ready.division.train)


@dataclass(frozen=True)
class _Ready:
    """What is settled before a folder is chosen."""

    wishes: Wishes
    source: Source
    found: Survey
    division: Division
    plan: Plan
    recipe: Recipe
    reasons: list[Reason]
    net: Net
    begun: Model | None
    teacher: Model | None
    excluded: tuple[str, ...] | None

    def record(self) -> dict[str, Any]:
        """What run.json holds before the first step."""
        origins = {"from": self.begun, "teacher": self.teacher}
        weights = {name: origin(model) if model else None for name, model in origins.items()}
        return (
            weights
            | resolve(
                self.wishes, self.source, self.found, self.division, self.plan, self.recipe, self.reasons
            )
            | {"excluded": None if self.excluded is None else list_record(self.excluded)}
            | {"epochs": -(-self.recipe.iterations // self.steps_per_epoch) or self.recipe.epochs}
        )

    @property
    def steps_per_epoch(self) -> int:
        return steps_in_epoch(len(self.division.train), self.recipe.batch)

    def scale(self) -> Preprocessing:
        """That of the weights which are gone on from, or of the teacher, or fitted to the training images."""
        size = self.plan.size
        if before := self.begun or self.teacher:
            return before.preprocessing.at(size)
        return prepare_input(self.recipe.input, self.found.pictures, self.division.train, size)

    def job(self, scale: Preprocessing) -> Job:
        return Job(
            self.net, self.recipe, self.found.pictures, self.division.train, self.division.val,
            self.source.classes, scale, self.wishes.seed, self.plan.device,
            self.teacher,
        )  # fmt: skip

    def lasting(self, epochs: int, why: str) -> _Ready:
        """The same for another length."""
        reasons = [r for r in self.reasons if r.what != "epochs"] + [Reason("epochs", str(epochs), why)]
        recipe = lasting(self.recipe, epochs, self.steps_per_epoch)
        return replace(self, recipe=recipe, reasons=reasons)


def _train(wishes: Wishes, out: Path | None, events: Events) -> RunFolder:
    clock = time.perf_counter()
    budget = seconds(wishes.time) if wishes.time is not None else 0.0
    ready = _prepare(wishes, events)
    engine = Engine(ready.plan.device)
    try:
        path, before = engine.from_main(_place(out, ready) if engine.main else ("", None))
        folder = RunFolder(Path(path))
        with locked(folder) if engine.main else nullcontext(), kept_heap(ready.plan.device):
            scale = ready.scale()
            if before and wishes.time:  # the epochs that fitted were counted when the run began
                ready = ready.lasting(before["epochs"], "as the run began")
            elif budget:
                events.note(f"trying some steps, to see what fits into {wishes.time}")
                left = budget - (time.perf_counter() - clock)
                epochs, each = engine.from_main(epochs_within(ready.job(scale), left, engine))
                ready = ready.lasting(epochs, f"--time {wishes.time} at {each:.3g} s an epoch here")
            run = {**before, "status": "running"} if before else ready.record()
            if engine.main and wishes.tensorboard:
                events = TensorBoard(folder.path / "tensorboard", events)
            log = _begin(folder, run, ready.division, events, bool(before)) if engine.main else events
            _run(ready.job(scale), engine, folder, run, ready.source, log)
    finally:
        engine.close()
    return folder


def _prepare(wishes: Wishes, events: Events) -> _Ready:
    source = open_source(wishes.source)
    holding = choose_holding(wishes)
    excluded = read_exclude_list(Path(wishes.exclude)) if wishes.exclude is not None else None
    if excluded is not None:
        source = without(source, excluded, str(wishes.exclude))
        many = "" if len(excluded) == 1 else "s"
        events.note(f"{len(excluded):,} image{many} left out, as {wishes.exclude} says")
    device = choose_device(wishes.device, wishes.devices)
    begun = begin(wishes)
    teacher = begin_from(wishes.teacher)
    plan = choose_network(wishes, source, device.value, begun, teacher)
    asked = change(named_recipe(wishes, plan.network), dict(wishes.settings))
    group = GROUP if wishes.group is None else wishes.group
    found = survey(
        source,
        plan.size,
        asked.bad_share,
        events.reading,
        asked.augmentation.crop,
        group,
        "--set bad_share=0.05 allows 5 %",
    )
    division = divide(source, found.digests, holding, found.groups)
    _check_classes(source, division)
    if wishes.group and (holding.given is not None or any(item.split for item in source.items)):
        events.note(f"--group parts nothing here; the split is {division.rule}")
    if wishes.weights is not None:
        _check_enough(division)
    recipe, reasons = choose_recipe(wishes, plan.network, source, len(division.train))
    if before := begun or teacher:
        if any(full_name(recipe, key).startswith("input") for key, _ in wishes.settings):
            flag = ("--from" if wishes.weights is None else "--weights") if begun else "--teacher"
            raise UsageError(f"{flag} keeps the scale of its weights' input; leave out --set input")
        before.preprocessing.at(plan.size)
    else:
        check_input(recipe.input, plan.size)
    net = build(plan.network, seed=wishes.seed if wishes.init_seed is None else wishes.init_seed)
    if device.value == "cpu" and recipe.precision == "float16":
        raise UsageError("precision float16 needs a GPU; on the CPU give --set precision=bfloat16")
    objective = prepared(net, recipe, wishes.seed, teacher, counted(division.train, source.classes))
    shares(objective.trained(), plan.network, recipe)  # so that nothing is written for rules that do not fit
    reasons = [device, *plan.reasons, *reasons]
    if begun:
        start = take_over if wishes.weights is None else adapt
        reasons += start(net, begun, source.classes, recipe)
    return _Ready(wishes, source, found, division, plan, recipe, reasons, net, begun, teacher, excluded)


def _place(out: Path | None, ready: _Ready) -> tuple[str, dict[str, Any] | None]:
    """Where the run goes, and its record where it goes on."""
    folder, resuming = choose_folder(out, ready.record())
    return str(folder.path), folder.run() if resuming else None


def _begin(folder: RunFolder, run: dict[str, Any], division: Division, events: Events, resuming: bool) -> Log:
    folder.write_run(run)
    folder.write_rows(
        "split.csv",
        ("path", "class", "split"),
        sorted((i.path, i.label, side) for side in get_args(Split) for i in getattr(division, side)),
    )
    log = Log(folder.path / "log.jsonl", events)
    log.write("resumed" if resuming else "started", command=run["command"], versions=run["versions"])
    announce(log, run, folder, resuming)
    return log


def _run(
    job: Job, engine: Engine, folder: RunFolder, run: dict[str, Any], source: Source, events: Events
) -> None:
    checkpoint = newest_checkpoint(folder.checkpoints, events.note)
    try:
        with stop_requests() as stop:
            trainer = Trainer(job, checkpoint, engine)
            if checkpoint:
                events.note(f"going on from {_reached(trainer.progress)}")

            def write() -> None:
                if engine.main:
                    write_metrics(folder, trainer)

            def leave() -> NoReturn:
                saved = f"interrupted; everything is saved up to {_reached(trainer.progress)}"
                _interrupt(saved, stop, folder, run, events)

            try:
                trainer.run(stop, folder.checkpoints, events, write)
                if engine.any(bool(stop)):
                    leave()
                if engine.main:
                    result = finish(trainer, folder, run, source, lambda: leave() if stop else None)
                    events.write("finished", **result)
                engine.wait()
            except KeyboardInterrupt:
                _interrupt("stopped at once; the last checkpoint is kept", stop, folder, run, events)
            except GateError as problem:
                events.write("stopped", reason=str(problem))
                raise
    except (MemoryError, RuntimeError) as problem:  # torch.OutOfMemoryError is one of these
        if not out_of_memory(problem):
            raise
        raise not_enough(problem, job, engine) from None
    finally:
        events.close()


def _interrupt(
    saved: str, stop: StopRequest, folder: RunFolder, run: dict[str, Any], events: Events
) -> NoReturn:
    events.write("interrupted", signal=stop.signal or signal.SIGINT, reason=saved)
    if isinstance(events, Log):
        folder.write_run({**run, "status": "interrupted"})
    raise Interrupted(f"{saved}. Go on with: {going_on(folder, run)}", stop.signal or signal.SIGINT)


def _reached(progress: Progress) -> str:
    if progress.step:
        return f"epoch {progress.epoch}, step {progress.step}"
    return f"the end of epoch {progress.epoch - 1}" if progress.epoch > 1 else "the start"


def _check_enough(division: Division) -> None:
    """Raises DataError for a class that cannot have an image on either side of the split."""
    counts = Counter(item.label for item in (*division.train, *division.val))
    name, count = min(counts.items(), key=lambda pair: pair[1])
    if count < 2:
        raise DataError(f"class '{name}' has {count} image; fine-tuning needs 2 a class, one to be scored on")


def _check_classes(source: Source, division: Division) -> None:
    present = {item.label for item in division.train}
    for name in source.classes:
        if name not in present:
            raise DataError(
                f"class '{name}' of {source.name} has no readable image to train on; add some or remove it"
            )
