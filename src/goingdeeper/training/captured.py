"""The steps of a small net with no look at each: on a GPU one captured CUDA graph, launched over and over."""

from __future__ import annotations

import threading
from dataclasses import replace

import torch

from goingdeeper.data.batches import Batch
from goingdeeper.data.resident import Resident, Turn
from goingdeeper.recipes.schedules import Now
from goingdeeper.stopping import StopRequest
from goingdeeper.training.gradients import bounded_unseen
from goingdeeper.training.optimisers import set_rates
from goingdeeper.training.update import Place, Updater, diverged, when

LOOK = 50
"""Steps after which the host looks at the losses."""

WARM_UP = 3
"""Steps before the capture, for what libraries choose and allocate at first."""

_CAPTURING = threading.Lock()  # CUDA graphs of a process are captured one at a time


class CapturedUpdater:
    """Updates of `update`, whose optimiser is capturable, with batches made of `resident` on its device.

    The same numbers as `update` on the same batches. A step composes its images, computes losses and
    gradients, bounds these, moves weights and running mean, and notes its losses, all on the device; from a
    loss or gradient that is no number on, weights stay as they are. On the CPU, and where a capture fails
    (`failure` says why), the same runs as ordinary calls.
    """

    def __init__(self, update: Updater, resident: Resident) -> None:
        self.update, self.resident = update, resident
        self.count = min(update.recipe.batch, len(resident.labels))
        self.graph: torch.cuda.CUDAGraph | None = None
        self.failure = ""
        self._turn: Turn | None = None
        device = update.engine.device
        self._position = torch.zeros((), dtype=torch.int64, device=device)
        self._along = torch.arange(self.count, device=device)
        steps, values = max(1, len(resident.labels) // self.count), len(update.objective.names) + 3
        self._values = torch.zeros(steps, values, dtype=torch.float64, device=device)
        self._squares = torch.zeros(len(update.parameters), dtype=torch.float64, device=device)
        self._share = torch.zeros((), device=device)
        self._bad = torch.zeros((), device=device)
        update.optimiser.found_inf = self._bad  # type: ignore[attr-defined]
        # Its steps before the capture are meant, and no reason for torch to warn.
        update.optimiser._warned_capturable_if_run_uncaptured = True

    def draw(self, epoch: int) -> None:
        """Draws all random numbers of an epoch, into the places that a graph reads them from."""
        recipe = self.update.recipe
        found = self.resident.epoch(
            batch=self.count, seed=self.update.seed, epoch=epoch, balance=recipe.balance == "sampling"
        )
        if self._turn is None:
            self._turn = found
        for name in found.__dataclass_fields__:
            getattr(self._turn, name).copy_(getattr(found, name))

    def run(
        self, steps: range, now: Now, epoch: int, stop: StopRequest | None = None
    ) -> list[dict[str, float]]:
        """Steps of the drawn epoch, counted from 0, or as many as there are before a request to stop.

        now: at the first of them. What `Updater` gives, for each. Raises GateError as it does, with weights
        as they were before the step whose loss or gradient is no number.
        """
        update, norms = self.update, self.update.norms
        self._position.fill_(steps.start)
        self._bad.zero_()
        self._squares.zero_() if norms.squares is None else self._squares.copy_(norms.squares)
        done = 0
        for done, _ in enumerate(steps, 1):
            ahead = replace(now, step=now.step + done - 1)
            set_rates(update.optimiser, update.recipe, ahead)
            update.objective.advance(ahead)
            if update.average:
                self._share.fill_(update.average.share(int(ahead.step) + 1))
            self._launch()
            if stop:
                break
        rows = self._values[steps.start : steps.start + done].tolist()  # waits for the device
        for number, row in enumerate(rows):
            if row[-1]:
                where = Place(int(now.step) + number, epoch, steps.start + number + 1)
                self._tell(replace(now, step=where.number), where)
        norms.squares, norms.names = self._squares.clone(), tuple(update.parameters)
        norms.steps += done
        return [self._named(row) for row in rows]

    def _launch(self) -> None:
        if self.graph is None and self._position.is_cuda and not self.failure:
            self._capture()
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()

    def _step(self) -> None:
        """One update. Nothing here may wait for the device, or depend on what it computes."""
        update = self.update
        assert self._turn is not None
        turn = self._turn[self._position * self.count + self._along]
        update.optimiser.zero_grad(set_to_none=True)
        loss = update.losses(self.resident.compose(turn), turn.labels)
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm, each = bounded_unseen(update.parameters, update.recipe.clip)
        total = loss.total.detach()
        self._bad.copy_(torch.maximum(self._bad, (~(total.isfinite() & norm.isfinite())).float()))
        update.optimiser.step()
        if update.average:
            update.average.move(update.net, self._share)
        self._squares.add_(torch.stack(each).double().square())
        values = [total, *loss.parts.values(), loss.wrong, self._bad]
        row = torch.stack([value.double() for value in values])
        self._values.index_copy_(0, self._position.view(1), row.view(1, -1))
        self._position.add_(1)

    def _capture(self) -> None:
        """Makes the graph; all that the steps before it changed is put back."""
        own = {**self.update.tensors(), "bad": self._bad, "at": self._position, "squares": self._squares}
        before = {name: value.clone() for name, value in own.items()}
        current, stream = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        graph = torch.cuda.CUDAGraph()
        # The outer stream is the one to return to, also where the capture fails.
        with _CAPTURING, torch.cuda.stream(current):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    self._position.copy_(before["at"])
                    self._step()
            try:
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    self._step()
                self.graph = graph
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as problem:
                self.failure = str(problem).splitlines()[0]
        current.wait_stream(stream)
        for name, value in own.items():
            value.copy_(before[name])

    def _named(self, row: list[float]) -> dict[str, float]:
        total, *parts, wrong, _ = row
        names = [f"loss_{name}" for name in self.update.objective.names]
        heads = dict(zip(names, (self.count * part for part in parts), strict=True))
        return {"loss": self.count * total, **heads, "wrong": wrong}

    def _tell(self, now: Now, place: Place) -> None:
        """Raises what the step's ordinary computation finds; its optimiser still leaves the weights alone."""
        assert self._turn is not None
        start = (place.step - 1) * self.count
        turn: Turn = self._turn[start : start + self.count]
        self.update(Batch(self.resident.compose(turn), turn.labels), now, place)
        raise diverged(f"a loss or gradient is no number {when(place)}", self.update.recipe)
