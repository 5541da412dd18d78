"""What training minimises, as plain data; `training` computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from goingdeeper.recipes.schedules import Constant, Linear


@dataclass(frozen=True)
class CrossEntropy:
    """With label smoothing over all K classes: q(k) = (1 - e) [k = y] + e / K."""

    smoothing: float = 0.0


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Each class on its own, the mean over classes; labels smoothed as in CrossEntropy."""

    smoothing: float = 0.0


@dataclass(frozen=True)
class SquaredHinge:
    """One against all: the sum over k of max(0, 1 - t s)^2, t = 1 for the image's class and -1 elsewhere."""


@dataclass(frozen=True)
class Hint:
    """A teacher's map, which the student's map is to predict through a convolution that is removed later.

    1/2 |teacher - regressor(student)|^2, the sum over the map, the mean over images. Romero et al. 2015,
    section 2.2. student, teacher: addresses in the two networks.
    """

    student: str
    teacher: str


@dataclass(frozen=True)
class Distillation:
    """Cross-entropy with the labels, and weight times that with the teacher, both sides at a temperature.

    Romero et al. 2015, equation 2. schedule: on the weight.
    """

    temperature: float = 3.0
    weight: float = 4.0
    schedule: Linear | Constant = Constant()


Loss: TypeAlias = CrossEntropy | BinaryCrossEntropy | SquaredHinge | Hint | Distillation
