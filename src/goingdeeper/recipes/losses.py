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
    """Each class on its own, the mean over classes; labels smoothed as in CrossEntropy.

    present: of a mixed image, each class with more than this share counts as wholly there, before smoothing;
    0 keeps the shares. Wightman et al. 2021, section 3: mixed images have several labels, each of them 1.
    """

    smoothing: float = 0.0
    present: float = 0.0


@dataclass(frozen=True)
class SquaredHinge:
    """One against all: the sum over k of max(0, 1 - t s)^2, t = 1 for the image's class and -1 elsewhere.

    A mixed image is of each class with its share, and not of it with the rest.
    """


@dataclass(frozen=True)
class Hint:
    """A teacher's map, which the student's map is to predict through a convolution that is removed later.

    1/2 |teacher - regressor(student)|^2, the sum over the map, the mean over images. Romero et al. 2015,
    section 2.2. student, teacher: addresses in the two networks; the defaults are those of FitNet-19 and the
    maxout network.
    """

    student: str = "pool2"
    teacher: str = "pool2"


@dataclass(frozen=True)
class Distillation:
    """Cross-entropy with the labels, and weight times that with the teacher, both sides at a temperature.

    Romero et al. 2015, equation 2: logits are divided by the temperature. schedule: on the weight.
    """

    temperature: float = 3.0
    weight: float = 4.0
    schedule: Linear | Constant = Constant()


Loss: TypeAlias = CrossEntropy | BinaryCrossEntropy | SquaredHinge | Hint | Distillation
