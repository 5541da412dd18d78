"""Whether a quantised model answers as well as the one it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goingdeeper.deploy.calibration import Samples
from goingdeeper.evaluation.compare import compare
from goingdeeper.evaluation.scores import Interval
from goingdeeper.runtimes.runner import Runner


@dataclass(frozen=True)
class Gate:
    """Errors of the same images before and after, in per cent; their difference with its 95 % interval, and
    the limit that it must not exceed, in points."""

    metric: str
    before: float
    after: float
    limit: float
    passed: bool
    difference: float
    interval_95: Interval
    images: int


def judged(before: NDArray[np.bool_], after: NDArray[np.bool_], limit: float) -> Gate:
    """before, after: (N,), which images were mistaken."""
    found = compare(before.tolist(), after.tolist())
    return Gate(
        "top1_error", found.a_error, found.b_error, limit, found.difference <= limit, found.difference,
        found.interval_95, found.images,
    )  # fmt: skip


def mistaken(
    runner: Runner, samples: Samples, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.bool_]:
    """(N,): which validation images are given another class, or no number for one."""
    found: list[NDArray[np.bool_]] = []
    done = 0
    for pixels in samples.batches():
        logits = runner(pixels)
        right = samples.labels[done : done + len(pixels)]
        found.append((logits.argmax(1) != right) | ~np.isfinite(logits).all(1))
        done += len(pixels)
        if progress:
            progress(done, len(samples.labels))
    return np.concatenate(found)
