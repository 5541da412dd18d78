"""The training loop: epochs of steps, a score after each, everything needed to go on kept."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

import torch
from torch import Tensor

from goingdeeper.data.batches import Batch, evaluation_batches, training_batches
from goingdeeper.data.resident import Resident
from goingdeeper.errors import DataError
from goingdeeper.evaluation.predict import log_probabilities
from goingdeeper.evaluation.scores import Score, score
from goingdeeper.recipes.losses import CrossEntropy, Hint
from goingdeeper.recipes.schedules import Now
from goingdeeper.stopping import StopRequest
from goingdeeper.training.captured import LOOK, CapturedUpdater
from goingdeeper.training.checkpoints import Checkpoint, save_checkpoint
from goingdeeper.training.engine import Engine
from goingdeeper.training.events import EpochEnd, Events, Pace
from goingdeeper.training.job import Job, Progress
from goingdeeper.training.stuck import Plateau
from goingdeeper.training.update import Place, Updater, diverged
from goingdeeper.training.ways import Way, choose_way

SAVE_STEPS, SAVE_EVERY, SAVE_SHARE = 10, 60.0, 50
"""Every so many steps: a checkpoint, if the last one is a minute old, and 50 times what it took to write."""

EVALUATION_BATCH = 128
"""At most; where training takes fewer images at a time, memory may be short."""

EVALUATION = 1 / 3
"""What evaluating a batch costs of a training step."""


class _Stopped(Exception):
    """Ends an evaluation that is no longer wanted."""


class Trainer:
    """The state of a training run: network, optimiser, progress, and the best weights so far.

    way: how batches reach the update, where not by `choose_way`.
    """

    def __init__(
        self,
        job: Job,
        checkpoint: Checkpoint | None = None,
        engine: Engine | None = None,
        way: Way | None = None,
    ) -> None:
        self.job = job
        self.engine = engine or Engine(job.device)
        self.net = job.net.to(self.engine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        way = way or choose_way(self.net, job.recipe, job.pictures, job.train, self.engine)
        self.update = Updater(
            self.net,
            job.recipe,
            job.seed,
            self.engine,
            job.teacher,
            job.counts,
            capturable=way == "captured",
            head_epochs=job.head_epochs,
        )
        self.resident = None
        if way != "loaded":
            self.resident = Resident(
                job.pictures, job.train, job.classes, job.preprocessing, job.recipe.augmentation,
                self.engine.device,
            )  # fmt: skip
        self.captured = (
            CapturedUpdater(self.update, self.resident) if way == "captured" and self.resident else None
        )
        self.plateau = Plateau(len(job.classes))
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.recent: deque[float] = deque(maxlen=50)
        self.saved, self.save_took = time.monotonic(), 0.0
        if checkpoint:
            self._restore(checkpoint)

    @property
    def done(self) -> bool:
        return self.progress.epoch > self.job.epochs or self.given_up

    @property
    def given_up(self) -> bool:
        """Whether the validation error has not become better for as long as the recipe waits.

        Epochs of the classifier alone do not count.
        """
        patience = self.job.recipe.stop_after
        since = self.progress.epoch - 1 - max(self.progress.best_epoch, self.job.head_epochs)
        return patience > 0 and since >= patience

    def run(
        self, stop: StopRequest, checkpoints: Path, events: Events, epoch_end: Callable[[], None]
    ) -> None:
        """Trains until the last epoch or until asked to stop, then saves a checkpoint.

        epoch_end: called after each epoch's checkpoint. Raises GateError where the loss is not a number,
        before the update and before a checkpoint of such weights, and DataError, after a checkpoint, where an
        image has gone.
        """
        while not self.done and not self.engine.any(bool(stop)):
            try:
                end = self._close_epoch(stop) if self._epoch(stop, checkpoints, events) else None
            except DataError:  # from loading, so between two steps
                if self.engine.ranks == 1:  # the others may be waiting within one
                    self._save(checkpoints)
                raise
            self._save(checkpoints)
            if end:
                epoch_end()
                events.epoch(end)
        if self.given_up and self.progress.epoch <= self.job.epochs:
            waited = self.job.recipe.stop_after
            events.note(
                f"ended after epoch {self.progress.epoch - 1}: no better validation error for {waited} "
                f"epoch{'' if waited == 1 else 's'}; --set stop_after=0 goes on"
            )

    def batches(self) -> Iterator[Batch]:
        """What is left of the current epoch, and the network ready for it."""
        job, progress = self.job, self.progress
        self.update.turn(progress.epoch)
        self.net.train()
        balance = job.recipe.balance == "sampling"
        if self.resident:
            return self.resident.batches(
                batch=job.recipe.batch, seed=job.seed, epoch=progress.epoch, start=progress.step,
                balance=balance,
            )  # fmt: skip
        return training_batches(
            job.pictures, job.train, job.classes, job.preprocessing, job.recipe.augmentation,
            batch=job.recipe.batch, seed=job.seed, epoch=progress.epoch, start=progress.step,
            balance=balance, rank=self.engine.rank, ranks=self.engine.ranks,
        )  # fmt: skip

    def step(self, batch: Batch) -> dict[str, float]:
        """One update; the losses and errors, summed over this process's part of the batch."""
        progress = self.progress
        place = Place(self._number(), progress.epoch, progress.step + 1)
        return self.update(batch, self._now(), place)

    def tries(self) -> Iterator[None]:
        """Steps that lead nowhere, to see what they take; each is done when it is yielded."""
        if self.captured:
            self.net.train()
            self.captured.draw(self.progress.epoch)
            for number in range(self._steps()):
                self.captured.run(range(number, number + 1), self._now(), self.progress.epoch)
                yield
            return
        batches = self.batches()
        try:
            for batch in batches:
                self.step(batch)
                yield
        finally:
            batches.close()  # type: ignore[attr-defined]

    def _steps(self) -> int:
        """In the current epoch."""
        done = (self.progress.epoch - 1) * self.job.steps_per_epoch
        return min(self.job.steps_per_epoch, self.job.steps - done)

    def _epoch(self, stop: StopRequest, checkpoints: Path, events: Events) -> bool:
        """Whether all steps of the epoch are done."""
        progress = self.progress
        steps = self._steps()
        if self.captured:
            return self._captured_epoch(self.captured, steps, stop, events)
        batches = self.batches()
        clock = time.perf_counter()
        try:
            while progress.step < steps and not self.engine.any(bool(stop)):
                batch = next(batches)
                loaded = time.perf_counter()
                values = self.step(batch)
                now = time.perf_counter()
                self._finished(values, len(batch.labels), now - clock, loaded - clock, events)
                clock = now
                events.step(self._pace(steps))
                if progress.step % SAVE_STEPS == 0 and progress.step < steps and self.engine.any(self._due()):
                    self._save(checkpoints)
                    clock = time.perf_counter()
        finally:
            batches.close()  # type: ignore[attr-defined]
        return progress.step >= steps

    def _captured_epoch(
        self, captured: CapturedUpdater, steps: int, stop: StopRequest, events: Events
    ) -> bool:
        """The same, looking at the losses only now and then: at each step only where a rule asks for that."""
        progress, rule = self.progress, self.job.recipe.until_learning
        clock = time.perf_counter()
        self.net.train()
        captured.draw(progress.epoch)
        while progress.step < steps and not stop:
            ahead = 1 if rule and progress.learnt is None else LOOK
            window = range(progress.step, min(steps, progress.step + ahead))
            failure = captured.failure
            found = captured.run(window, self._now(), progress.epoch, stop)
            if captured.failure != failure:
                events.note(f"the step could not be captured as a CUDA graph: {captured.failure}")
            now = time.perf_counter()
            for values in found:
                self._finished(values, captured.count, (now - clock) / len(found), 0.0, events)
            clock = now
            events.step(self._pace(steps))
        return progress.step >= steps

    def _finished(
        self, values: Mapping[str, float], count: int, seconds: float, wait: float, events: Events
    ) -> None:
        """After each step: its sums, and what is to be learnt of them."""
        self.progress.step += 1
        self.progress.seconds += seconds
        self._add({**values, "images": count, "seconds": seconds, "wait": wait})
        self.recent.append(seconds)
        self._learning(values["wrong"], count)
        if isinstance(self.job.recipe.loss, CrossEntropy):
            self._watch(values["loss_main"] / count, events)

    def _learning(self, wrong: float, count: int) -> None:
        """Ends the rate's waiting once the training error is low enough."""
        rule, progress = self.job.recipe.until_learning, self.progress
        if rule is None or progress.learnt is not None:
            return
        total = self.engine.sums({"wrong": wrong, "images": count})
        progress.misses = [*progress.misses, 100 * total["wrong"] / total["images"]][-rule.over :]
        if len(progress.misses) == rule.over and statistics.fmean(progress.misses) < rule.error:
            progress.learnt, progress.misses = self._number(), []

    def _watch(self, loss: float, events: Events) -> None:
        stuck = self.plateau.after(loss, self.job.recipe.optimiser.rate)
        if stuck:
            events.note(stuck)

    def _number(self) -> int:
        """Steps of the run that are finished."""
        return (self.progress.epoch - 1) * self.job.steps_per_epoch + self.progress.step

    def _now(self) -> Now:
        errors = [row["val_error"] for row in self.progress.rows]
        return Now(self._number(), self.job.steps, self.job.steps_per_epoch, errors, self.progress.learnt)

    def _add(self, values: Mapping[str, float]) -> None:
        sums = self.progress.sums
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value

    def _pace(self, steps: int) -> Pace:
        progress, sums, job = self.progress, self.progress.sums, self.job
        remaining = job.steps - self._number()
        evaluations = (job.epochs - progress.epoch + 1) * len(job.val) / job.recipe.batch
        left = None
        if len(self.recent) > min(10, steps):  # the first step of a process takes longer
            left = (remaining + EVALUATION * evaluations) * statistics.median(self.recent)
        return Pace(
            progress.epoch, job.epochs, progress.step, steps, sums["loss"] / sums["images"],
            self.engine.ranks * sums["images"] / sums["seconds"], 100 * sums["wait"] / sums["seconds"], left,
        )  # fmt: skip

    def _close_epoch(self, stop: StopRequest) -> EpochEnd | None:
        """Scores the epoch and turns to the next; None, and nothing changed, where asked to stop midway."""
        progress, hint = self.progress, isinstance(self.job.recipe.loss, Hint)
        start = time.perf_counter()
        found = self._evaluate(stop)
        if found is None:
            return None
        if not math.isfinite(found.cross_entropy):
            what = f"the validation loss is {found.cross_entropy} after epoch {progress.epoch}"
            raise diverged(what, self.job.recipe)
        progress.seconds += time.perf_counter() - start
        row = self._row(found)
        progress.rows.append(row)
        progress.gradients = self.update.norms.by_layer()
        # A hint trains no classifier, so that only its loss says how good an epoch was.
        before = (0.0 if hint else progress.best_error, progress.best_loss)
        if (0.0 if hint else found.top1_error, found.cross_entropy) < before:
            progress.best_epoch = progress.epoch
            progress.best_error, progress.best_loss = found.top1_error, found.cross_entropy
            average = self.update.average
            weights = average.state if average else self.net.state_dict()
            self.best = {name: value.detach().cpu().clone() for name, value in weights.items()}
        end = EpochEnd(
            progress.epoch, self.job.epochs, row["train_loss"], row["val_loss"],
            row["val_error"], progress.best_error, progress.seconds, row,
        )  # fmt: skip
        progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, {}
        return end

    def _row(self, found: Score) -> dict[str, float]:
        """metrics.csv's row of the epoch."""
        progress = self.progress
        sums = self.engine.sums(progress.sums)
        images = sums["images"]
        parts = [name for name in sums if name.startswith("loss_")]
        heads = {f"train_{name}": sums[name] / images for name in parts} if len(parts) > 1 else {}
        return {
            "epoch": progress.epoch,
            "train_loss": sums["loss"] / images,
            **heads,
            "train_error": 100 * sums["wrong"] / images,
            "val_loss": found.cross_entropy,
            "val_error": found.top1_error,
            "learning_rate": self.update.rate(dataclasses.replace(self._now(), step=self._number() - 1)),
            "images_per_second": self.engine.ranks * images / sums["seconds"],
            "data_wait": 100 * sums["wait"] / sums["seconds"],
            "seconds": progress.seconds,
        }

    def _evaluate(self, stop: StopRequest) -> Score | None:
        job, engine = self.job, self.engine

        def look(done: int, total: int) -> None:
            if stop and done < total:
                raise _Stopped

        number = {name: index for index, name in enumerate(job.classes)}
        labels = torch.tensor([number[item.label] for item in job.val])
        average = self.update.average
        found: Tensor | None = None
        with average.in_place(self.net) if average else nullcontext():
            engine.same(self.net)
            with suppress(_Stopped):
                found = log_probabilities(
                    self.net, job.pictures, job.val, job.preprocessing, device=engine.device, progress=look,
                    batch=min(EVALUATION_BATCH, job.recipe.batch), rank=engine.rank, ranks=engine.ranks,
                )  # fmt: skip
        if engine.any(found is None) or found is None:
            return None
        result = score(engine.gather(found), labels, job.classes)
        if isinstance(job.recipe.loss, Hint):
            return dataclasses.replace(result, cross_entropy=self._hint())
        return result

    @torch.no_grad()
    def _hint(self) -> float:
        """The hint's loss on the validation images."""
        job, engine, objective = self.job, self.engine, self.update.objective
        sums = {"loss": 0.0, "images": 0.0}
        objective.eval()
        for images in evaluation_batches(
            job.pictures, job.val, job.preprocessing, job.recipe.batch, engine.rank, engine.ranks
        ):
            labels = torch.zeros(len(images), dtype=torch.int64)
            loss = objective(images.to(engine.device), labels.to(engine.device)).total
            sums = {"loss": sums["loss"] + len(images) * float(loss), "images": sums["images"] + len(images)}
        objective.train()
        total = engine.sums(sums)
        return total["loss"] / total["images"]

    def _due(self) -> bool:
        """Whether what a crash would cost is worth a checkpoint in the middle of an epoch."""
        return time.monotonic() - self.saved > max(SAVE_EVERY, SAVE_SHARE * self.save_took)

    def _save(self, folder: Path) -> None:
        begun = time.monotonic()
        progress = dataclasses.replace(self.progress, sums=self.engine.sums(self.progress.sums))
        if self.engine.main:
            tensors = {f"best.{name}": value for name, value in self.best.items()} | self.update.tensors()
            save_checkpoint(folder, self._number(), dataclasses.asdict(progress), tensors)
        self.saved = time.monotonic()
        self.save_took = self.saved - begun

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.progress = Progress(**checkpoint.progress)
        if not self.engine.main:  # the sums are those of all
            self.progress.sums = dict.fromkeys(self.progress.sums, 0.0)
        prefix = "best."
        tensors = checkpoint.tensors
        self.best = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
        self.update.restore(
            {n: v for n, v in tensors.items() if not n.startswith(prefix)}, self.progress.step
        )
