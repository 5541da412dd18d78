"""Scores with their intervals, from probabilities and true classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from goingdeeper.evaluation.calibration import Calibration, calibration

Interval = tuple[float, float]

UNEVEN = 1.5
"""Classes are called uneven where the largest has over so many times the images of the smallest."""


@dataclass(frozen=True)
class ClassScore:
    """One class: images of it, how many were taken for another, images taken for it; figures in per cent.

    precision: of the images taken for the class, those that are of it; None where there are none. recall: of
    its own images, those that were recognised, 100 minus the error. Intervals are Wilson's; F1, which is no
    proportion of anything that was counted, has none.
    """

    images: int
    wrong: int
    error: float
    interval_95: Interval
    predicted: int
    precision: float | None
    precision_interval_95: Interval | None
    recall: float
    recall_interval_95: Interval
    f1: float


@dataclass(frozen=True)
class Confused:
    """So many images of class `true` were taken for `predicted`."""

    true: str
    predicted: str
    images: int


@dataclass(frozen=True)
class Score:
    """Errors in per cent with 95 % Wilson intervals; top-5 only where there are six classes or more.

    An image whose probabilities are not numbers counts as wrong and as taken for no class; undecided: how
    many there are. per_class: classes that have images, by name. balanced_accuracy, macro_f1: the means of
    recall and F1 over these, in per cent. confused: the mistakes, the commonest first. calibration: of the
    decided images, None without any.
    """

    protocol: str
    crops: int | None
    models: int
    images: int
    top1_error: float
    top5_error: float | None
    interval_95: Interval
    top5_interval_95: Interval | None
    cross_entropy: float
    per_class: dict[str, ClassScore]
    balanced_accuracy: float
    macro_f1: float
    calibration: Calibration | None
    undecided: int
    classes: tuple[str, ...]
    confused: tuple[Confused, ...]

    @property
    def confusion(self) -> list[list[int]]:
        """Counts of images, a row for each true class, a column for each predicted one, as in `classes`.

        A row lacks the undecided images of its class.
        """
        number = {name: index for index, name in enumerate(self.classes)}
        rows = [[0] * len(number) for _ in number]
        for name, found in self.per_class.items():
            rows[number[name]][number[name]] = found.images - found.wrong
        for pair in self.confused:
            rows[number[pair.true]][number[pair.predicted]] = pair.images
        return rows

    @property
    def uneven(self) -> bool:
        """Whether one class has so many more images than another that the error is mostly its own."""
        sizes = [found.images for found in self.per_class.values()]
        return max(sizes) > UNEVEN * min(sizes)


def score(
    log_probabilities: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    *,
    protocol: str = "1crop",
    crops: int | None = 1,
    models: int = 1,
) -> Score:
    """log_probabilities: (N, classes), of the averaged prediction; labels: (N,) class numbers; N is not 0."""
    images = len(labels)
    undecided = log_probabilities.isnan().any(1)
    predicted = log_probabilities.argmax(1)
    right = answered_right(log_probabilities, labels)
    missed5 = None
    if len(classes) > 5:
        five = log_probabilities.topk(5, dim=1).indices
        missed5 = int(((five != labels[:, None]).all(1) | undecided).sum())
    per_class = _per_class(labels, predicted[~undecided], right, classes)
    errors = images - int(right.sum())
    return Score(
        protocol=protocol,
        crops=crops,
        models=models,
        images=images,
        top1_error=100.0 * errors / images,
        top5_error=None if missed5 is None else 100.0 * missed5 / images,
        interval_95=wilson(errors, images),
        top5_interval_95=None if missed5 is None else wilson(missed5, images),
        # Summed exactly, so that the order of the images is no matter.
        cross_entropy=-math.fsum(log_probabilities[torch.arange(images), labels].tolist()) / images,
        per_class=per_class,
        balanced_accuracy=sum(found.recall for found in per_class.values()) / len(per_class),
        macro_f1=sum(found.f1 for found in per_class.values()) / len(per_class),
        calibration=calibration(log_probabilities[~undecided].amax(1), right[~undecided]),
        undecided=int(undecided.sum()),
        classes=tuple(classes),
        confused=_confused(labels[~(right | undecided)], predicted[~(right | undecided)], classes),
    )


def answered_right(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """(N,) whether each image was taken for what it is; a network that diverged gets nothing right."""
    return (log_probabilities.argmax(1) == labels) & ~log_probabilities.isnan().any(1)


def _per_class(
    labels: Tensor, predicted: Tensor, right: Tensor, classes: Sequence[str]
) -> dict[str, ClassScore]:
    found = {}
    counts = [part.bincount(minlength=len(classes)).tolist() for part in (labels, predicted, labels[right])]
    for name, images, taken, hits in zip(classes, *counts, strict=True):
        if images:
            found[name] = ClassScore(
                images=images,
                wrong=images - hits,
                error=100.0 * (images - hits) / images,
                interval_95=wilson(images - hits, images),
                predicted=taken,
                precision=100.0 * hits / taken if taken else None,
                precision_interval_95=wilson(hits, taken) if taken else None,
                recall=100.0 * hits / images,
                recall_interval_95=wilson(hits, images),
                f1=200.0 * hits / (images + taken),
            )
    return found


def _confused(labels: Tensor, predicted: Tensor, classes: Sequence[str]) -> tuple[Confused, ...]:
    """From the mistakes alone: a matrix of many classes would mostly hold zeros."""
    counts = Counter(zip(labels.tolist(), predicted.tolist(), strict=True))
    ordered = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
    return tuple(Confused(classes[true], classes[taken], images) for (true, taken), images in ordered)


@lru_cache(1 << 16)  # scipy takes half a millisecond, and a thousand classes repeat few counts
def wilson(count: int, images: int) -> Interval:
    """The 95 % Wilson interval of a proportion, such as an error rate, in per cent."""
    from scipy.stats import binomtest

    interval = binomtest(count, images).proportion_ci(0.95, method="wilson")
    return 100.0 * float(interval.low), 100.0 * float(interval.high)
