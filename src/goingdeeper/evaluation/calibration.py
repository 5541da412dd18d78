"""Whether a network is right as often as it says: the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Images whose largest probability is above `low` and at most `high`; all figures in per cent."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Confidence, the largest probability of an image, beside how often it is right; in per cent.

    error: the expected calibration error, the mean over images of the distance between confidence and
    accuracy of their bin, in points. bins: of 15 of equal width, those that have images.
    """

    error: float
    mean_confidence: float
    accuracy: float
    bins: tuple[Bin, ...]


def calibration(confidences: Tensor, right: Tensor) -> Calibration | None:
    """Guo et al. 2017, On calibration of modern neural networks, section 2. None without images.

    confidences: (N,), log of the largest probability; right: (N,), whether that class is the true one.
    """
    images = len(right)
    if not images:
        return None
    confidence, hits = confidences.double().exp().clamp(max=1.0), right.double()
    edges = torch.arange(1, BINS, dtype=torch.float64) / BINS
    place = torch.bucketize(confidence, edges)  # a bin holds its upper edge, as in the paper
    counts, sure, correct = (
        place.bincount(weights, minlength=BINS).tolist()
        for weights in (torch.ones_like(hits), confidence, hits)
    )
    return Calibration(
        error=100.0 * sum(abs(s - c) for s, c in zip(sure, correct, strict=True)) / images,
        mean_confidence=100.0 * float(confidence.mean()),
        accuracy=100.0 * float(hits.mean()),
        bins=tuple(
            Bin(100.0 * k / BINS, 100.0 * (k + 1) / BINS, int(n), 100.0 * sure[k] / n, 100.0 * correct[k] / n)
            for k, n in enumerate(counts)
            if n
        ),
    )
