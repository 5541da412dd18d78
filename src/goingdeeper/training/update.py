"""One update of the weights: losses and gradients of a batch, guarded, then the optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from goingdeeper.data.batches import Batch
from goingdeeper.errors import GateError, UsageError
from goingdeeper.nn.build import Net
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Now
from goingdeeper.training.average import Average
from goingdeeper.training.engine import Engine
from goingdeeper.training.gradients import LayerNorms, NotFinite, bounded, first_not_finite
from goingdeeper.training.objective import Objective
from goingdeeper.training.optimisers import optimiser


class Place(NamedTuple):
    """Where in the run an update is. number: finished updates of the whole run; the others count from 1."""

    number: int
    epoch: int
    step: int


class Updater:
    """What an update works on: the objective as this process sees it, optimiser and running mean."""

    def __init__(self, net: Net, recipe: Recipe, seed: int, engine: Engine) -> None:
        self.net, self.recipe, self.seed, self.engine = net, recipe, seed, engine
        if engine.device.type == "cpu" and recipe.precision == "float16":
            raise UsageError("precision float16 needs a GPU; on the CPU give --set precision=bfloat16")
        self.objective = Objective(net, recipe.loss, recipe.head_weights)
        self.parameters = dict(net.named_parameters())
        self.optimiser = optimiser(self.parameters, recipe)
        self.average = Average(net, recipe.average) if recipe.average else None
        self.scaler = torch.amp.GradScaler(engine.device.type, enabled=recipe.precision == "float16")
        self.norms = LayerNorms()
        self._module: nn.Module | None = None

    @property
    def module(self) -> nn.Module:
        """The objective, distributed and compiled; made at the first update, after weights were restored."""
        if self._module is None:
            module = self.engine.distributed(self.objective)
            self._module = torch.compile(module) if self.recipe.compile else module  # type: ignore[assignment]
        assert self._module is not None
        return self._module

    def __call__(self, batch: Batch, now: Now, place: Place) -> dict[str, float]:
        """Losses and number of misclassified images, summed over this process's part of the batch.

        Raises GateError, before the weights are touched, where a loss or a gradient is no number.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(now)
        self.optimiser.zero_grad(set_to_none=True)
        parts = _split(batch, self.recipe.accumulate)
        sums: dict[str, float] = {}
        with torch.random.fork_rng(devices=[self.engine.device] if self.engine.device.type == "cuda" else []):
            self._seed(place)
            for number, part in enumerate(parts):
                last = number == len(parts) - 1
                values = self._backward(part, place, len(part.labels) / len(batch.labels), last)
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + value
        self._step(place)
        return sums

    def rate(self, now: Now) -> float:
        return self.recipe.optimiser.rate * self.recipe.schedule.factor(now)

    def _seed(self, place: Place) -> None:
        """Dropout draws from torch's global state; each update has a state of its own, so that a resumed run

        draws what the uninterrupted one would have.
        """
        key = (self.seed, place.number) + ((self.engine.rank,) if self.engine.rank else ())
        # Mixed into 32 bits, as torch's generator for the CPU looks at no more of a seed.
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))

    def _backward(self, part: Batch, place: Place, share: float, last: bool) -> dict[str, float]:
        device, recipe = self.engine.device, self.recipe
        images = part.images.to(device, non_blocking=True)
        labels = part.labels.to(device, non_blocking=True)
        kind = getattr(torch, recipe.precision)
        with torch.autocast(device.type, kind, enabled=recipe.precision != "float32"):
            loss = self.module(images, labels)
        total = float(loss.total.detach())
        # All processes ask, so that none is left waiting for the others' gradients.
        if self.engine.any(not math.isfinite(total)):
            where = "" if math.isfinite(total) else first_not_finite(self.net, images)
            first = f", first in {where}" if where else ""
            raise diverged(f"the loss is {total} {_when(place)}{first}", recipe)
        if last:
            self.scaler.scale(share * loss.total).backward()
        else:
            with self.engine.apart(self.module):
                self.scaler.scale(share * loss.total).backward()
        count = len(part.labels)
        heads = {f"loss_{name}": count * float(value) for name, value in loss.parts.items()}
        return {"loss": count * total, **heads, "wrong": float(loss.wrong)}

    def _step(self, place: Place) -> None:
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimiser)
        try:
            self.norms.add(bounded(self.parameters, self.recipe.clip))
        except NotFinite as problem:
            if not self.scaler.is_enabled() or self.scaler.get_scale() < 1:
                raise diverged(f"{problem} {_when(place)}", self.recipe) from None
        self.scaler.step(self.optimiser)  # with float16 it leaves out a step that overflowed
        self.scaler.update()
        if self.average:
            self.average.update(self.net, place.number + 1)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: weights, their running mean, the optimiser's state."""
        found = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        if self.average:
            found |= {f"average.{name}": value for name, value in self.average.state.items()}
        for name, parameter in self.parameters.items():
            state = self.optimiser.state.get(parameter, {})
            if state.get("momentum_buffer") is not None:
                found[f"momentum.{name}"] = state["momentum_buffer"]
        return found | {f"norms.{name}": value for name, value in self.norms.tensors().items()}

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """steps: of the epoch that is under way."""
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "average": {}, "momentum": {}, "norms": {}}
        for full, value in tensors.items():
            part, _, name = full.partition(".")
            parts[part][name] = value
        self.net.load_state_dict(parts["net"])
        self.norms.restore(parts["norms"], self.parameters, steps)
        if self.average:
            self.average.restore(parts["average"])
        for name, value in parts["momentum"].items():
            parameter = self.parameters[name]
            buffer = torch.empty_like(parameter).copy_(value)
            self.optimiser.state[parameter]["momentum_buffer"] = buffer


def diverged(what: str, recipe: Recipe) -> GateError:
    slower = min(recipe.optimiser.rate / 5, 0.1)
    return GateError(f"{what}; what was saved before it is kept. Lower the rate: --set rate={slower:.3g}")


def _when(place: Place) -> str:
    return f"at step {place.step} of epoch {place.epoch}"


def _split(batch: Batch, parts: int) -> list[Batch]:
    if parts == 1:
        return [batch]
    images, labels = batch.images.chunk(parts), batch.labels.chunk(parts)
    return [Batch(*part) for part in zip(images, labels, strict=True)]
