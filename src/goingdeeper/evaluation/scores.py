"""Scores with their intervals, from probabilities and true classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Interval = tuple[float, float]


@dataclass(frozen=True)
class ClassScore:
    """One class: images of it, how many were taken for another, error in per cent with its interval."""

    images: int
    wrong: int
    error: float
    interval_95: Interval


@dataclass(frozen=True)
class Score:
    """Errors in per cent with 95 % Wilson intervals; top-5 only where there are six classes or more."""

    protocol: str
    crops: int | None
    models: int
    images: int
    top1_error: float
    top5_error: float | None
    interval_95: Interval
    cross_entropy: float
    per_class: dict[str, ClassScore]


def score(
    log_probabilities: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    *,
    protocol: str = "1crop",
    crops: int | None = 1,
    models: int = 1,
) -> Score:
    """log_probabilities: (N, classes), of the averaged prediction; labels: (N,) class numbers."""
    images = len(labels)
    undecided = log_probabilities.isnan().any(1)  # a network that diverged gets nothing right
    wrong = (log_probabilities.argmax(1) != labels) | undecided
    top5 = None
    if len(classes) > 5:
        five = log_probabilities.topk(5, dim=1).indices
        top5 = 100.0 * int(((five != labels[:, None]).all(1) | undecided).sum()) / images
    per_class = {}
    for number, name in enumerate(classes):
        members = labels == number
        count, missed = int(members.sum()), int((wrong & members).sum())
        if count:
            per_class[name] = ClassScore(count, missed, 100.0 * missed / count, wilson(missed, count))
    errors = int(wrong.sum())
    return Score(
        protocol=protocol,
        crops=crops,
        models=models,
        images=images,
        top1_error=100.0 * errors / images,
        top5_error=top5,
        interval_95=wilson(errors, images),
        cross_entropy=float(torch.nn.functional.nll_loss(log_probabilities, labels)),
        per_class=per_class,
    )


def wilson(wrong: int, images: int) -> Interval:
    """The 95 % Wilson interval of an error rate, in per cent."""
    from scipy.stats import binomtest

    interval = binomtest(wrong, images).proportion_ci(0.95, method="wilson")
    return 100.0 * float(interval.low), 100.0 * float(interval.high)
