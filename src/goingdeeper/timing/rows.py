"""What comes out of a measurement: a row for each candidate, and why others have none."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goingdeeper.deploy.export import difference
from goingdeeper.errors import GoingDeeperError
from goingdeeper.timing.candidates import Candidate
from goingdeeper.timing.floor import Peak
from goingdeeper.timing.side_by_side import Ratio, ratio
from goingdeeper.timing.workers import Worker


@dataclass(frozen=True)
class Row:
    """What was measured of a candidate.

    images_per_second: the median of the blocks. latency_ms: of a batch, over all calls. memory: bytes that
    its process took at most, beyond Python and NumPy. load_seconds: from the start of the library to the
    first answer. ratio_to: how many times as fast as each rival. error: the largest difference of a
    logit from the original's, relative to the largest of its image.
    """

    candidate: Candidate
    images_per_second: float
    latency_ms_p50: float
    latency_ms_p90: float
    memory: int | None
    load_seconds: float
    error: float
    ratio_to: Mapping[str, Ratio]
    means: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True)
class Wrong:
    """A candidate that was refused: its logits are not the network's."""

    candidate: Candidate
    error: float

    @property
    def said(self) -> str:
        one = self.candidate
        whose = "" if one.ours else " on the network as published"
        return f"{one.name}{whose}, batch {one.batch}: logits differ by {self.error:.1e} of the largest"


@dataclass(frozen=True)
class Bench:
    """rows: by batch, ours first, the fastest first. skipped: why a candidate has no row.

    failed: the error of one that was asked for by name. rounds: those that were finished at every batch.
    noise: whether int8 was calibrated on that.
    """

    network: str
    macs: int
    machine: Mapping[str, Any]
    peak: Peak
    rounds: int
    seconds: float
    rows: tuple[Row, ...]
    wrong: tuple[Wrong, ...]
    skipped: tuple[str, ...]
    failed: GoingDeeperError | None
    interrupted: bool
    noise: bool = False

    def floor(self, row: Row) -> float:
        """The share of the time that the published network's multiply-adds take at the machine's peak."""
        return self.peak.seconds(self.macs) * row.images_per_second


def rows_of(
    times: Mapping[Candidate, Sequence[Sequence[float]]],
    workers: Mapping[Candidate, Worker],
    expected: NDArray[np.float32],
) -> list[Row]:
    """Of what was measured at one batch; of two ways to share it among threads the faster one."""
    means = {one: tuple(statistics.fmean(taken) for taken in blocks) for one, blocks in times.items()}
    best: dict[tuple[str, str, str], Candidate] = {}
    for one in sorted(means, key=lambda one: statistics.median(means[one])):
        best.setdefault((one.what, one.runtime, one.precision), one)
    rivals = {one.what: one for one in best.values() if not one.ours}
    found = []
    for one in best.values():
        calls = np.concatenate([np.asarray(taken) for taken in times[one]])
        seconds = statistics.median(means[one])
        worker = workers[one]
        p50, p90 = (float(value) for value in 1000 * np.percentile(calls, [50, 90]))
        found.append(
            Row(
                one, one.batch / seconds, p50, p90, worker.memory, worker.seconds,
                error_of(worker.answer, expected),
                {what: ratio(means[rival], means[one]) for what, rival in rivals.items()}, means[one],
            )
        )  # fmt: skip
    return sorted(found, key=lambda row: not row.candidate.ours)


def error_of(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference of a logit, relative to its image's largest; infinite where there is none."""
    worst = difference(found, expected) if found.shape == expected.shape else math.inf
    return math.inf if math.isnan(worst) else worst
