"""One update of the weights: losses and gradients of a batch, guarded, then the optimiser's step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from goingdeeper.data.batches import Batch
from goingdeeper.errors import GateError
from goingdeeper.nn.build import Net
from goingdeeper.nn.prepare import hold_norms, prepare
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.recipes.schedules import Now
from goingdeeper.runs.model import Model
from goingdeeper.stages import frozen, under
from goingdeeper.training.average import Average
from goingdeeper.training.engine import Engine
from goingdeeper.training.gradients import LayerNorms, NotFinite, bounded, first_not_finite
from goingdeeper.training.objective import Losses, Objective, objective_for
from goingdeeper.training.optimisers import (
    base_rate,
    bound_norms,
    optimiser,
    restore_state,
    set_rates,
    state_tensors,
)


class Place(NamedTuple):
    """Where in the run an update is. number: finished updates of the whole run; the others count from 1."""

    number: int
    epoch: int
    step: int


def prepared(
    net: Net, recipe: Recipe, seed: int, teacher: Model | None, counts: Mapping[str, int] | None
) -> Objective:
    """The objective, on a network that computes in training as the recipe asks.

    counts: training images of each class. Raises UsageError for settings that do not fit the network.
    """
    prepare(
        net, norm_batch=recipe.norm_batch, norm_decay=recipe.norm_decay, population=recipe.population,
        norm_frozen=recipe.norm_frozen, recompute=recipe.recompute, stochastic_depth=recipe.stochastic_depth,
    )  # fmt: skip
    _hold(net, recipe)
    return objective_for(net, recipe, teacher, counts, torch.Generator().manual_seed(seed))


def _hold(net: Net, recipe: Recipe, alone: bool = False) -> None:
    """Norms keep their statistics where a recipe freezes them, or while the classifier trains alone."""
    still = frozen(net.description, recipe.freeze)
    everywhere = recipe.norm_frozen or alone
    hold_norms(net, lambda name: under(name, still) or (everywhere and not name.startswith("heads.")))


class Updater:
    """What an update works on: the objective as this process sees it, optimiser and running mean.

    counts: training images of each class. capturable: a CUDA graph may hold the optimiser's step.
    head_epochs: first epochs in which the classifier trains alone.
    """

    def __init__(
        self,
        net: Net,
        recipe: Recipe,
        seed: int,
        engine: Engine,
        teacher: Model | None = None,
        counts: Mapping[str, int] | None = None,
        capturable: bool = False,
        head_epochs: int = 0,
    ) -> None:
        self.net, self.recipe, self.seed, self.engine = net, recipe, seed, engine
        self.objective = prepared(net, recipe, seed, teacher, counts)
        self.parameters = self.objective.trained()
        self.optimiser = optimiser(self.parameters, net.description, recipe, capturable=capturable)
        self.average = Average(net, recipe.average) if recipe.average else None
        self.scaler = torch.amp.GradScaler(engine.device.type, enabled=recipe.precision == "float16")
        self.norms = LayerNorms()
        self.head_epochs, self._alone = head_epochs, False
        self._module: nn.Module | None = None

    def turn(self, epoch: int) -> None:
        """Before each epoch: what trains in it."""
        alone = epoch <= self.head_epochs
        if alone != self._alone:
            self.objective.alone(alone)
            _hold(self.net, self.recipe, alone)
            self._alone, self._module = alone, None  # which knows what asks for a gradient

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
        set_rates(self.optimiser, self.recipe, now)
        self.objective.advance(now)
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
        return base_rate(self.recipe, now)

    def losses(self, images: Tensor, labels: Tensor) -> Losses:
        """In the recipe's precision, on the device."""
        kind, device = getattr(torch, self.recipe.precision), self.engine.device.type
        with torch.autocast(device, kind, enabled=self.recipe.precision != "float32"):
            found: Losses = self.module(images, labels)
        return found

    def _seed(self, place: Place) -> None:
        # Dropout draws from torch's global state; each update has a state of its own, so that a resumed run
        # draws what the uninterrupted one would have.
        key = (self.seed, place.number) + ((self.engine.rank,) if self.engine.rank else ())
        # Mixed into 32 bits, as torch's generator for the CPU looks at no more of a seed.
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))

    def _backward(self, part: Batch, place: Place, share: float, last: bool) -> dict[str, float]:
        device, recipe = self.engine.device, self.recipe
        images = part.images.to(device, non_blocking=True)
        loss = self.losses(images, part.labels.to(device, non_blocking=True))
        total = float(loss.total.detach())
        # All processes ask, so that none is left waiting for the others' gradients.
        if self.engine.any(not math.isfinite(total)):
            where = "" if math.isfinite(total) else first_not_finite(self.net, images)
            first = f", first in {where}" if where else ""
            raise diverged(f"the loss is {total} {when(place)}{first}", recipe)
        if last:
            self.scaler.scale(share * loss.total).backward()  # type: ignore[no-untyped-call]
        else:
            with self.engine.apart(self.module):
                self.scaler.scale(share * loss.total).backward()  # type: ignore[no-untyped-call]
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
                raise diverged(f"{problem} {when(place)}", self.recipe) from None
        self.scaler.step(self.optimiser)  # with float16 it leaves out a step that overflowed
        self.scaler.update()
        bound_norms(self.optimiser)
        if self.average:
            self.average.update(self.net, place.number + 1)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: weights, their running mean, the optimiser's state, gradient norms."""
        average = self.average.state if self.average else {}
        parts = {
            "objective": self.objective.state_dict(),
            "average": average,
            "optimiser": state_tensors(self.optimiser, self.parameters),
            "norms": self.norms.tensors(),
            "scaler": {"scale": torch.tensor(self.scaler.get_scale())} if self.scaler.is_enabled() else {},
        }
        return {f"{part}.{name}": value for part, found in parts.items() for name, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """steps: of the epoch that is under way."""
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for full, value in tensors.items():
            part, _, name = full.partition(".")
            parts[part][name] = value
        self.objective.load_state_dict(parts["objective"])
        restore_state(self.optimiser, self.parameters, parts["optimiser"])
        self.norms.restore(parts["norms"], self.parameters, steps)
        if self.average:
            self.average.restore(parts["average"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(
                {**self.scaler.state_dict(), "scale": parts["scaler"]["scale"].item()}
            )


def diverged(what: str, recipe: Recipe) -> GateError:
    slower = min(recipe.optimiser.rate / 5, 0.1)
    return GateError(f"{what}; what was saved before it is kept. Lower the rate: --set rate={slower:.3g}")


def when(place: Place) -> str:
    """For messages."""
    return f"at step {place.step} of epoch {place.epoch}"


def _split(batch: Batch, parts: int) -> list[Batch]:
    if parts == 1:
        return [batch]
    images, labels = batch.images.chunk(parts), batch.labels.chunk(parts)
    return [Batch(*part) for part in zip(images, labels, strict=True)]
