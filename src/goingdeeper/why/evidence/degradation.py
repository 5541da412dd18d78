"""Deeper plain networks are worse, even on what they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from goingdeeper.published.results import published_error, table
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import judged, measured
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Arm, Terms

KINDS = ("plain", "residual")
LOSS = "train_loss"
DEPTHS = (20, 56, 110)


def arithmetic() -> Part:
    """What He et al. print, and what their curves show."""
    error = {row.network: row.top1_error for row in table("resnet-table2") if row.top1_error is not None}
    names = ("plain-18", "plain-34", "resnet-18-a", "resnet-34-a")
    values = [error[name] for name in names]
    plain = [_error(f"cifar-plain-{depth}") for depth in DEPTHS]
    residual = [_error(f"cifar-resnet-{depth}-a") for depth in DEPTHS]
    charts = (
        Lines(
            "degradation-printed",
            "ImageNet, 10 crops (He et al. 2015, Table 2)",
            "layers",
            "top-1 error, %",
            (
                curve("plain", (18.0, 34.0), values[:2]),
                curve("residual", (18.0, 34.0), values[2:]),
            ),
        ),
        Lines(
            "degradation-read-off",
            "CIFAR-10 (He et al. 2015, Figure 6 and Table 6)",
            "layers",
            "test error, %",
            (
                curve("plain, read off the figure; 110 layers: over 60 %", DEPTHS[:2], plain[:2]),
                curve("residual", DEPTHS, residual),
            ),
        ),
    )
    evidence = (
        measured("degradation-printed", *values),
        measured("degradation-read-off", *plain, *residual),
    )
    return Part(evidence, charts)


def training(terms: Terms) -> Part:
    """Networks for CIFAR-10 of 20 and 56 layers, plain and residual, trained alike."""
    from goingdeeper.why.intervals import interval
    from goingdeeper.why.trials import train

    found = train(terms, arms(), "digits")
    loss = {arm.name: found.last(arm.name, LOSS) for arm in arms()}
    gaps = {
        kind: [deep - other for deep, other in zip(loss[f"{kind} 56"], loss[f"{kind} 20"], strict=True)]
        for kind in KINDS
    }
    closed = [one - other for one, other in zip(gaps["plain"], gaps["residual"], strict=True)]
    evidence = (
        judged("degradation-trained", interval(gaps["plain"]), interval(closed)),
        judged(
            "degradation-reversed",
            interval(gaps["residual"]),
            found.gap("residual 20", "plain 20", LOSS),
            found.gap("residual 56", "residual 20", "val_error"),
        ),
        judged(
            "degradation-sooner",
            found.paired(lambda arm: early(found.metrics[arm]), "residual 20", "plain 20"),
        ),
    )
    charts = tuple(
        Lines(
            f"degradation-{name}",
            title,
            "epoch",
            unit,
            tuple(found.curve(arm.name, column) for arm in arms()),
        )
        for name, title, unit, column in (
            ("training", f"Training loss on {found.data}", "cross-entropy", LOSS),
            ("validation", f"Validation error on {found.data}", "top-1 error, %", "val_error"),
        )
    )
    return Part(evidence, charts, (found.note,))


def arms() -> tuple[Arm, ...]:
    """Residual and plain networks of 20 and 56 layers, in this order."""
    from goingdeeper.why.trials import Arm

    ids = {"plain": "cifar-plain-{}", "residual": "cifar-resnet-{}-a"}
    return tuple(
        Arm(f"{kind} {depth}", ids[kind].format(depth)) for kind in KINDS[::-1] for depth in (20, 56)
    )


def early(runs: Sequence[list[dict[str, float]]]) -> list[float]:
    """The mean training loss of the first half of the epochs, of each run."""
    return [fmean(row[LOSS] for row in rows[: len(rows) // 2]) for rows in runs]


def _error(network: str) -> float:
    found = published_error(network)
    assert found and found.top1_error is not None
    return found.top1_error
