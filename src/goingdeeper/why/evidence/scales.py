"""Objects of all sizes, and networks with one size of kernel or several, at equal multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from goingdeeper.data.sources.shapes import SIZES, size_of
from goingdeeper.errors import UsageError
from goingdeeper.why.charts import Lines, Series, spread
from goingdeeper.why.claims import judged
from goingdeeper.why.intervals import interval
from goingdeeper.why.kernels import kernels
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Arm, Terms, Trained

DATA = "shapes"
BATCH = 32
"""Small, so that many steps fit into a time."""
BRANCHES, NARROW, MIDDLE, WIDE = kernels()
STEPS = 6
"""Half octaves, from the smallest object to the largest, which is 8 times as wide."""
EDGES = tuple(SIZES[0] * (SIZES[1] / SIZES[0]) ** (step / STEPS) for step in range(STEPS + 1))

Sizes = tuple[float, float]
ALL, SMALL, LARGE = SIZES, (EDGES[0], EDGES[2]), (EDGES[-3], EDGES[-1])


def training(terms: Terms) -> Part:
    """Four networks on generated shapes: their errors on the validation images by the object's size.

    Raises UsageError for other images, of whose objects no size is known.
    """
    from goingdeeper.why.trials import train

    if terms.data not in (None, DATA):
        raise UsageError(
            f"--data {terms.data}: the size of what is in an image is known of {DATA} alone; leave --data out"
        )
    found = train(terms, arms(), DATA)

    def errors(name: str, sizes: Sizes = ALL) -> list[float]:
        return [error(run.predictions(), sizes) for run in found.runs[name]]

    def small(name: str) -> list[float]:
        return errors(name, SMALL)

    def large(name: str) -> list[float]:
        return errors(name, LARGE)

    evidence = (
        judged("scales", *(found.paired(errors, BRANCHES, other) for other in (NARROW, MIDDLE, WIDE))),
        judged("scales-suit", found.paired(small, NARROW, WIDE), found.paired(large, WIDE, NARROW)),
    )
    note = f"{found.note}; errors are those of the epoch with the fewest"
    return Part(evidence, (_chart(found, errors),), (note,))


def arms() -> list[Arm]:
    from goingdeeper.why.trials import Arm

    return [Arm(name, network, batch=BATCH) for name, network in kernels().items()]


def error(rows: Iterable[Mapping[str, str]], sizes: Sizes, size: Callable[[str], float] = size_of) -> float:
    """Per cent of the predictions of objects of these sizes, the upper end left out, that are wrong.

    rows: as `predictions.csv` has them. Raises ValueError where there is no such object.
    """
    low, high = sizes
    wrong = [row["predicted"] != row["true"] for row in rows if low <= size(row["path"]) < high]
    if not wrong:
        raise ValueError(f"no object of {low:.3g} to {high:.3g} pixels")
    return 100 * fmean(wrong)


def _chart(found: Trained, errors: Callable[[str, Sizes], Sequence[float]]) -> Lines:
    steps = list(pairwise(EDGES))

    def line(name: str) -> Series:
        by_size = [interval(errors(name, sizes)) for sizes in steps]
        return spread(name, by_size, (math.sqrt(low * high) for low, high in steps), least=0, most=100)

    return Lines(
        "scales",
        "Equal multiply-adds, kernels of one size or of several",
        "size of the object, pixels",
        f"validation error on {found.data}, %",
        tuple(line(name) for name in found.runs),
        x_scale="log",
    )
