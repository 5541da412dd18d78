"""What training tells whoever watches it. The command line draws it; Python may pass its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pace:
    """One training step done. The loss is the mean of the epoch so far; seconds_left is for the run."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    images_per_second: float
    data_wait: float
    seconds_left: float | None


@dataclass(frozen=True)
class EpochEnd:
    """One epoch done. Errors are per cent; `best` is the lowest validation error; row is metrics.csv's."""

    epoch: int
    epochs: int
    train_loss: float
    val_loss: float
    val_error: float
    best: float
    seconds: float
    row: Mapping[str, float] = field(default_factory=dict, repr=False)


class Events:
    """Silent; a watcher overrides what it wants to hear of."""

    def note(self, text: str) -> None:
        """A line worth reading once."""

    def write(self, event: str, **facts: object) -> None:
        """Something for the record alone."""

    def reading(self, done: int, total: int) -> None:
        """Images read in the first pass over the data."""

    def step(self, pace: Pace) -> None:
        """A training step is done."""

    def epoch(self, end: EpochEnd) -> None:
        """An epoch is done and evaluated."""

    def close(self) -> None:
        """Nothing more comes."""
