"""How the rate and the momentum go on: factors, as functions of how far training has come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["epochs", "iterations"]


@dataclass(frozen=True)
class Now:
    """Where training stands, on the recipe's own clock.

    step: finished steps of the whole run. steps: all of them. per_epoch: steps in an epoch. errors:
    validation error after each finished epoch, per cent. learnt: the step at which the training error first
    was below the warm-up's bound, None before.
    """

    step: float
    steps: float
    per_epoch: float
    errors: Sequence[float] = ()
    learnt: int | None = None

    def come(self, unit: Unit) -> float:
        """Epochs or iterations so far."""
        return self.step / self.per_epoch if unit == "epochs" else self.step


@dataclass(frozen=True)
class Constant:
    """The same throughout."""

    def factor(self, now: Now) -> float:
        return 1.0


@dataclass(frozen=True)
class Steps:
    """Times `times` at each of the places in `at`."""

    at: tuple[float, ...] = ()
    times: float = 0.1
    unit: Unit = "iterations"

    def factor(self, now: Now) -> float:
        return self.times ** sum(now.come(self.unit) >= place for place in self.at)


@dataclass(frozen=True)
class Exponential:
    """Times `times` every so many epochs or iterations; in stairs, or without."""

    times: float = 0.94
    every: float = 2.0
    unit: Unit = "epochs"
    stairs: bool = True

    def factor(self, now: Now) -> float:
        periods = now.come(self.unit) / self.every
        return self.times ** (math.floor(periods) if self.stairs else periods)


@dataclass(frozen=True)
class Polynomial:
    """(1 - t / T)^power over the whole run: Caffe's `poly`."""

    power: float = 0.5

    def factor(self, now: Now) -> float:
        return math.pow(max(0.0, 1 - now.step / now.steps), self.power)


@dataclass(frozen=True)
class Inverse:
    """(1 + gamma t)^-power with t in iterations: Caffe's `inv`."""

    gamma: float = 1e-4
    power: float = 0.75

    def factor(self, now: Now) -> float:
        return math.pow(1 + self.gamma * now.step, -self.power)


@dataclass(frozen=True)
class Linear:
    """1 up to epoch `since`, `end` from epoch `until` on; in equal steps from epoch to epoch between them.

    Epochs count from 1; `since=0` makes the first step in the first epoch, as Pylearn2 does.
    """

    end: float = 0.01
    until: int = 30
    since: int = 1

    def factor(self, now: Now) -> float:
        epoch = 1 + math.floor(now.come("epochs"))
        done = (epoch - self.since) / max(1, self.until - self.since)
        return 1 + min(1.0, max(0.0, done)) * (self.end - 1)


@dataclass(frozen=True)
class Plateau:
    """Times `times` when the validation error has not fallen for `patience` epochs, at most `most` times."""

    times: float = 0.1
    patience: int = 5
    most: int = 3

    def factor(self, now: Now) -> float:
        best, waited, drops = math.inf, 0, 0
        for error in now.errors:
            best, waited = (error, 0) if error < best else (best, waited + 1)
            if waited >= self.patience and drops < self.most:
                drops, waited = drops + 1, 0
        return self.times**drops


@dataclass(frozen=True)
class WarmupCosine:
    """The rate climbs linearly for `warmup_epochs`, then follows half a cosine down to `end`.

    start: where it climbs from, as a share of the rate; 0 gives equal steps up to the full rate, none of
    them without learning. end: as a share, too.
    """

    warmup_epochs: float = 2.0
    start: float = 0.0
    end: float = 0.0

    def factor(self, now: Now) -> float:
        warm = min(self.warmup_epochs * now.per_epoch, now.steps / 2)
        if now.step < warm:
            done = now.step / warm if self.start else (now.step + 1) / (warm + 1)
            return self.start + (1 - self.start) * done
        done = (now.step - warm) / max(1.0, now.steps - warm)
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass(frozen=True)
class UntilLearning:
    """`share` of the rate until the training error is below `error` per cent, over the last `over` steps.

    He et al. 2015, section 4.2, for 110 layers.
    """

    share: float = 0.1
    error: float = 80.0
    over: int = 100

    def factor(self, now: Now) -> float:
        return self.share if now.learnt is None else 1.0


Schedule: TypeAlias = Constant | Steps | Exponential | Polynomial | Inverse | Linear | Plateau | WarmupCosine
