"""A threshold below which an image is answered with "none of these", chosen on validation images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from goingdeeper.errors import DataError, UsageError
from goingdeeper.evaluation.scores import Interval, answered_right, wilson


@dataclass(frozen=True)
class NoneOfThese:
    """A threshold on the largest probability (0 to 1), and what it does on the images it was chosen on.

    An image is accepted where its largest probability is the threshold or more, and is otherwise none of
    these. share: the per cent of right answers that it might reject at most. right, right_rejected: images
    that are classified right, and of these the rejected. coverage: the accepted in per cent of all images;
    error: the mistakes among them in per cent. Intervals are Wilson's.
    """

    share: float
    threshold: float
    images: int
    right: int
    right_rejected: int
    accepted: int
    coverage: float
    coverage_interval_95: Interval
    wrong: int
    error: float
    interval_95: Interval


def none_of_these(log_probabilities: Tensor, labels: Tensor, share: float = 5.0) -> NoneOfThese:
    """The largest threshold that rejects at most `share` per cent of the images that are classified right.

    That holds for the given images, exactly: of m right ones at most k = floor(share / 100 * m) lie below
    it; images with equal probabilities are kept or rejected together, so that there may be fewer. An image
    that comes from where these came from, is classified right, and was not used to choose anything is
    rejected with a probability of at most (k + 1) / (m + 1), over the draw of all of them. Where m is below
    100 / share, k is 0: the threshold is the least probability of a right answer. Nothing is said about
    images of no class at all; how many of these are rejected has to be tried. On images that also chose the
    weights, probabilities and coverage tend to be somewhat high.

    log_probabilities: (N, classes); labels: (N,); images whose probabilities are not numbers are rejected.
    Raises UsageError for a share that is not from 0 to below 100, DataError where no answer is right.
    """
    if not 0 <= share < 100:
        raise UsageError(f"a share of {share:g} % of the right answers; give one from 0 to below 100")
    sure = log_probabilities.double().amax(1).exp().clamp(max=1.0)
    right = answered_right(log_probabilities, labels)
    if not right.any():
        raise DataError(
            f"none of the {len(labels)} images is classified right, so no threshold can be "
            "chosen; train longer, or name other images"
        )
    ordered = sure[right].sort().values
    # As the share is written: a float's 0.29 % of 10,000 need not be 29.
    allowed = math.floor(Fraction(str(float(share))) / 100 * len(ordered))
    threshold = float(ordered[allowed])
    accepted = sure >= threshold  # what is no number is not
    images, kept, wrong = len(labels), int(accepted.sum()), int((accepted & ~right).sum())
    return NoneOfThese(
        share=float(share),
        threshold=threshold,
        images=images,
        right=len(ordered),
        right_rejected=int((right & ~accepted).sum()),
        accepted=kept,
        coverage=100.0 * kept / images,
        coverage_interval_95=wilson(kept, images),
        wrong=wrong,
        error=100.0 * wrong / kept,
        interval_95=wilson(wrong, kept),
    )
