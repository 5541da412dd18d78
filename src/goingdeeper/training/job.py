"""What a run works on, and how far it has come: plain records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from goingdeeper.data.batches import steps_in_epoch
from goingdeeper.data.pictures import Pictures
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item
from goingdeeper.nn.build import Net
from goingdeeper.recipes.recipe import Recipe
from goingdeeper.runs.model import Model


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
    teacher: Model | None = None

    @property
    def steps_per_epoch(self) -> int:
        return steps_in_epoch(len(self.train), self.recipe.batch)

    @property
    def counts(self) -> dict[str, int]:
        """Training images of each class."""
        return counted(self.train, self.classes)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.recipe.iterations or self.recipe.epochs * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """The last one may be cut short where the recipe counts iterations."""
        return -(-self.steps // self.steps_per_epoch)

    @property
    def head_epochs(self) -> int:
        """First epochs in which the classifier trains alone: half of all at most."""
        return min(self.recipe.head_epochs, self.epochs // 2)


def counted(items: Sequence[Item], classes: Sequence[str]) -> dict[str, int]:
    found = Counter(item.label for item in items)
    return {name: found[name] for name in classes}


@dataclass
class Progress:
    """How far training has come; plain data, so that a checkpoint holds it as JSON.

    step: finished steps of the current epoch. sums: over those steps and all processes. rows: metrics.csv's.
    misses: share of misclassified images in the last steps, per cent, while the rate waits for learning to
    begin; learnt: the step at which it had. gradients: norm by layer over the last finished epoch.
    """

    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_error: float = math.inf
    best_loss: float = math.inf
    misses: list[float] = field(default_factory=list)
    learnt: int | None = None
    gradients: dict[str, float] = field(default_factory=dict)
