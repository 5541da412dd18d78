"""The table of models by crops, as GoogLeNet's paper has it: what each step of averaging costs and gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from goingdeeper.errors import UsageError
from goingdeeper.evaluation.compare import compare
from goingdeeper.evaluation.evaluate import Evaluation
from goingdeeper.evaluation.scores import Interval, answered_right


@dataclass(frozen=True)
class Row:
    """The first `models` by a protocol. Errors in per cent, differences to the first row in points.

    crops, cost: views of an image, and those times models; None where they depend on the image.
    difference_95: Newcombe's interval for the same images, as in `compare`.
    """

    models: int
    protocol: str
    crops: int | None
    cost: int | None
    images: int
    top1_error: float
    interval_95: Interval
    top5_error: float | None
    difference: float | None
    difference_95: Interval | None


def breakdown(found: Sequence[Evaluation]) -> list[Row]:
    """A row for the first model, the first two, and so on, by each protocol; the first row is the base.

    Raises UsageError where the protocols did not score the same images.
    """
    base = found[0]
    if any(one.items != base.items for one in found):
        raise UsageError("the protocols did not read the same images; repair those that cannot be read")
    rows: list[Row] = []
    first = _mistakes(base, 1)
    for models in range(1, len(base.likely) + 1):
        for one in found:
            scored = one.score(models)
            crops, to_base = scored.crops, compare(first, _mistakes(one, models))
            rows.append(
                Row(
                    models, scored.protocol, crops, crops and crops * models, scored.images,
                    scored.top1_error, scored.interval_95, scored.top5_error,
                    to_base.difference if rows else None, to_base.interval_95 if rows else None,
                )
            )  # fmt: skip
    return rows


def _mistakes(found: Evaluation, models: int) -> list[bool]:
    wrong: list[bool] = (~answered_right(found.joined(models), found.labels)).tolist()
    return wrong
