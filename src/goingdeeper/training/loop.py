"""The training loop: epochs of steps, a score after each, everything needed to go on kept."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from goingdeeper.data.batches import Batch, Preprocessing, steps_in_epoch, training_batches
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.sources import Item
from goingdeeper.errors import GateError
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.evaluation.scores import Score, score
from goingdeeper.nn.build import Net
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Now
from goingdeeper.training.average import Average
from goingdeeper.training.checkpoints import Checkpoint, save_checkpoint
from goingdeeper.training.events import EpochEnd, Events, Pace
from goingdeeper.training.gradients import NotFinite, bounded, first_not_finite
from goingdeeper.training.objective import Objective
from goingdeeper.training.optimisers import optimiser
from goingdeeper.training.stopping import StopRequest
from goingdeeper.training.stuck import Plateau

EVALUATION = 1 / 3
"""What evaluating a batch costs of a training step."""


@dataclass(frozen=True)
class Job:
    """What the loop works on."""

    net: Net
    recipe: Recipe
    pictures: Pictures
    train: Sequence[Item]
    val: Sequence[Item]
    classes: Sequence[str]
    preprocessing: Preprocessing
    seed: int
    device: str


@dataclass
class Progress:
    """How far training has come; plain data, so that a checkpoint holds it as JSON.

    step: finished steps of the current epoch. sums: over those steps. rows: metrics.csv's.
    """

    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_error: float = math.inf
    best_loss: float = math.inf


class _Stopped(Exception):
    """Ends an evaluation that is no longer wanted."""


class Trainer:
    """The state of a training run: network, optimiser, progress, and the best weights so far."""

    def __init__(self, job: Job, checkpoint: Checkpoint | None = None) -> None:
        self.job = job
        self.net = job.net.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = Objective(self.net, job.recipe.loss, job.recipe.head_weights)
        self.parameters = dict(self.net.named_parameters())
        self.optimiser = optimiser(self.parameters, job.recipe)
        self.average = Average(self.net, job.recipe.average) if job.recipe.average else None
        self.plateau = Plateau(len(job.classes))
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.recent: deque[float] = deque(maxlen=50)
        if checkpoint:
            self._restore(checkpoint)

    @property
    def steps_per_epoch(self) -> int:
        return steps_in_epoch(len(self.job.train), self.job.recipe.batch)

    def run(
        self, stop: StopRequest, checkpoints: Path, events: Events, epoch_end: Callable[[], None]
    ) -> None:
        """Trains until the last epoch or until asked to stop, then saves a checkpoint.

        epoch_end: called after each epoch's checkpoint. Raises GateError where the loss is not a number,
        before the update and before a checkpoint of such weights.
        """
        while self.progress.epoch <= self.job.recipe.epochs and not stop:
            end = self._close_epoch(stop) if self._epoch(stop, events) else None
            self._save(checkpoints)
            if end:
                epoch_end()
                events.epoch(end)

    def batches(self) -> Iterator[Batch]:
        """What is left of the current epoch, and the network ready for it."""
        job, progress = self.job, self.progress
        self.net.train()
        return training_batches(
            job.pictures, job.train, job.classes, job.preprocessing, job.recipe.augmentation,
            batch=job.recipe.batch, seed=job.seed, epoch=progress.epoch, start=progress.step,
        )  # fmt: skip

    def _epoch(self, stop: StopRequest, events: Events) -> bool:
        """Whether all steps of the epoch are done."""
        progress = self.progress
        steps = self.steps_per_epoch
        batches = self.batches()
        clock = time.perf_counter()
        try:
            while not stop and progress.step < steps:
                batch = next(batches)
                loaded = time.perf_counter()
                values = self.step(batch)
                now = time.perf_counter()
                progress.step += 1
                progress.seconds += now - clock
                self._add(
                    {**values, "images": len(batch.labels), "seconds": now - clock, "wait": loaded - clock}
                )
                self.recent.append(now - clock)
                clock = now
                events.step(self._pace(steps))
                self._watch(values["loss_main"] / len(batch.labels), events)
        finally:
            batches.close()  # type: ignore[attr-defined]
        return progress.step >= steps

    def _watch(self, loss: float, events: Events) -> None:
        stuck = self.plateau.after(loss, self.job.recipe.optimiser.rate)
        if stuck:
            events.note(stuck)

    def step(self, batch: Batch) -> dict[str, float]:
        """One update; the losses and errors, summed over the batch."""
        job, progress = self.job, self.progress
        number = self._number()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(number)
        images = batch.images.to(job.device, non_blocking=True)
        labels = batch.labels.to(job.device, non_blocking=True)
        self.optimiser.zero_grad(set_to_none=True)
        # Dropout draws from torch's global state; each step has a state of its own, so that a resumed run
        # draws what the uninterrupted one would have.
        with torch.random.fork_rng(devices=[job.device] if job.device != "cpu" else []):
            # Mixed into 32 bits, as torch's generator for the CPU looks at no more of a seed.
            torch.manual_seed(int(np.random.SeedSequence((job.seed, number)).generate_state(1)[0]))
            loss = self.objective(images, labels)
        total = float(loss.total.detach())
        when = f"at step {progress.step + 1} of epoch {progress.epoch}"
        if not math.isfinite(total):
            place = first_not_finite(self.net, images)
            raise self._diverged(f"the loss is {total} {when}{f', first in {place}' if place else ''}")
        loss.total.backward()
        try:
            bounded(self.parameters, job.recipe.clip)
        except NotFinite as problem:
            raise self._diverged(f"{problem} {when}") from None
        self.optimiser.step()
        if self.average:
            self.average.update(self.net, number + 1)
        count = len(labels)
        parts = {f"loss_{name}": count * float(value) for name, value in loss.parts.items()}
        return {"loss": count * total, **parts, "wrong": float(loss.wrong)}

    def _number(self) -> int:
        """Steps of the run that are finished."""
        return (self.progress.epoch - 1) * self.steps_per_epoch + self.progress.step

    def _rate(self, step: int) -> float:
        recipe = self.job.recipe
        steps = recipe.epochs * self.steps_per_epoch
        return recipe.optimiser.rate * recipe.schedule.factor(Now(step, steps, self.steps_per_epoch))

    def _add(self, values: Mapping[str, float]) -> None:
        sums = self.progress.sums
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value

    def _pace(self, steps: int) -> Pace:
        progress, sums = self.progress, self.progress.sums
        epochs = self.job.recipe.epochs
        remaining = (epochs - progress.epoch + 1) * steps - progress.step
        evaluations = (epochs - progress.epoch + 1) * len(self.job.val) / self.job.recipe.batch
        left = None
        if len(self.recent) > min(10, steps):  # the first step of a process takes longer
            left = (remaining + EVALUATION * evaluations) * statistics.median(self.recent)
        return Pace(
            progress.epoch, epochs, progress.step, steps, sums["loss"] / sums["images"],
            sums["images"] / sums["seconds"], 100 * sums["wait"] / sums["seconds"], left,
        )  # fmt: skip

    def _close_epoch(self, stop: StopRequest) -> EpochEnd | None:
        """Scores the epoch and turns to the next; None, and nothing changed, where asked to stop midway."""
        progress, sums = self.progress, self.progress.sums
        start = time.perf_counter()
        with self.average.in_place(self.net) if self.average else nullcontext():
            found = self._evaluate(stop)
        if found is None:
            return None
        if not math.isfinite(found.cross_entropy):
            raise self._diverged(f"the validation loss is {found.cross_entropy} after epoch {progress.epoch}")
        progress.seconds += time.perf_counter() - start
        images = sums["images"]
        heads = {
            f"train_loss_{n}": sums[f"loss_{n}"] / images for n in ("main", *dict(self.net.description.heads))
        }
        row = {
            "epoch": progress.epoch,
            "train_loss": sums["loss"] / images,
            **(heads if len(heads) > 1 else {}),
            "train_error": 100 * sums["wrong"] / images,
            "val_loss": found.cross_entropy,
            "val_error": found.top1_error,
            "learning_rate": self._rate(progress.epoch * self.steps_per_epoch - 1),
            "images_per_second": images / sums["seconds"],
            "data_wait": 100 * sums["wait"] / sums["seconds"],
            "seconds": progress.seconds,
        }
        progress.rows.append(row)
        if (found.top1_error, found.cross_entropy) < (progress.best_error, progress.best_loss):
            progress.best_epoch = progress.epoch
            progress.best_error, progress.best_loss = found.top1_error, found.cross_entropy
            weights = self.average.state if self.average else self.net.state_dict()
            self.best = {name: value.detach().cpu().clone() for name, value in weights.items()}
        end = EpochEnd(
            progress.epoch, self.job.recipe.epochs, row["train_loss"], row["val_loss"],
            row["val_error"], progress.best_error, progress.seconds,
        )  # fmt: skip
        progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, {}
        return end

    def _evaluate(self, stop: StopRequest) -> Score | None:
        job = self.job

        def look(done: int, total: int) -> None:
            if stop and done < total:
                raise _Stopped

        number = {name: index for index, name in enumerate(job.classes)}
        labels = torch.tensor([number[item.label] for item in job.val])
        try:
            found = log_probabilities(
                self.net, job.pictures, job.val, job.preprocessing, device=job.device, progress=look
            )
        except _Stopped:
            return None
        return score(found, labels, job.classes)

    def _diverged(self, what: str) -> GateError:
        slower = min(self.job.recipe.optimiser.rate / 5, 0.1)
        return GateError(f"{what}; what was saved before it is kept. Lower the rate: --set rate={slower:.3g}")

    def _save(self, folder: Path) -> None:
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.average.state.items()}
        for name, parameter in self.parameters.items():
            state = self.optimiser.state.get(parameter, {})
            if state.get("momentum_buffer") is not None:
                tensors[f"momentum.{name}"] = state["momentum_buffer"]
        save_checkpoint(folder, self._number(), dataclasses.asdict(self.progress), tensors)

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.progress = Progress(**checkpoint.progress)
        parts: dict[str, dict[str, Tensor]] = {
            "net": {}, "best": {}, "average": {}, "momentum": {},
        }  # fmt: skip
        for full, value in checkpoint.tensors.items():
            part, _, name = full.partition(".")
            parts[part][name] = value
        self.net.load_state_dict(parts["net"])
        self.best = parts["best"]
        if self.average:
            self.average.restore(parts["average"])
        for name, value in parts["momentum"].items():
            parameter = self.parameters[name]
            buffer = torch.empty_like(parameter).copy_(value)
            self.optimiser.state[parameter]["momentum_buffer"] = buffer
