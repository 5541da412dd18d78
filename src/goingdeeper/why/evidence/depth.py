"""Training loss and validation error against depth, with shortcuts and without."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from goingdeeper.catalogue.resnet import cifar_resnet
from goingdeeper.edits import rename, without_shortcuts
from goingdeeper.why.charts import Lines, Series, spread
from goingdeeper.why.claims import judged
from goingdeeper.why.intervals import interval
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Arm, Terms, Trained

DEPTHS = (8, 14, 20, 32, 44, 56)
SIZE = 16
"""Of the digits, which have 8x8 pixels: all depths fit into the usual time."""
LOSS, ERROR = "train_loss", "val_error"


def training(terms: Terms) -> Part:
    """Networks for CIFAR-10, and shallower ones of the same form, plain and residual, trained alike."""
    from goingdeeper.why.trials import train

    found = train(terms, [*arms("plain", terms.data), *arms("residual", terms.data)], "digits")
    least = {kind: shallowest_least(_by_depth(found, kind, LOSS)) for kind in ("plain", "residual")}
    later = [deep - other for deep, other in zip(least["residual"], least["plain"], strict=True)]
    evidence = (
        judged("depth-first", interval(agreement(_each(found, LOSS), _each(found, ERROR)))),
        judged("depth", interval(least["plain"]), interval(later)),
    )
    side = f"{SIZE}x{SIZE}" if terms.data is None else "the usual size for them"
    return Part(evidence, tuple(_charts(found)), (f"{found.note}; images at {side}",))


def arms(kind: str, data: str | None = None) -> list[Arm]:
    """The networks of one kind, by depth; on other data than the digits at the size that suits it."""
    from goingdeeper.why.trials import Arm

    networks = [cifar_resnet(depth, "a") for depth in DEPTHS]
    if kind == "plain":
        networks = [
            rename(without_shortcuts(one), f"cifar-plain-{depth}")
            for depth, one in zip(DEPTHS, networks, strict=True)
        ]
    size = SIZE if data is None else None
    return [Arm(f"{kind} {depth}", one, size=size) for depth, one in zip(DEPTHS, networks, strict=True)]


def shallowest_least(losses: Sequence[Sequence[float]]) -> list[float]:
    """The depth of the least loss, of each seed. losses: for each depth, of each seed."""
    return [float(DEPTHS[own.index(min(own))]) for own in zip(*losses, strict=True)]


def agreement(losses: Sequence[Sequence[float]], errors: Sequence[Sequence[float]]) -> list[float]:
    """Spearman's rank correlation of the two over the networks, of each seed; 0 where one has no ranks."""
    from scipy.stats import spearmanr

    pairs = list(zip(zip(*losses, strict=True), zip(*errors, strict=True), strict=True))
    return [
        float(spearmanr(loss, error).statistic) if len({*loss}) > 1 < len({*error}) else 0.0
        for loss, error in pairs
    ]


def _each(found: Trained, column: str) -> list[list[float]]:
    return [found.last(arm, column) for arm in found.runs]


def _by_depth(found: Trained, kind: str, column: str) -> list[list[float]]:
    return [found.last(f"{kind} {depth}", column) for depth in DEPTHS]


def _charts(found: Trained) -> list[Lines]:
    return [
        Lines(
            f"depth-{name}",
            title,
            "layers",
            unit,
            tuple(_against_depth(kind, _by_depth(found, kind, column)) for kind in ("plain", "residual")),
        )
        for name, title, unit, column in (
            ("training", f"Training loss on {found.data} after {found.epochs} epochs", "cross-entropy", LOSS),
            ("validation", f"Validation error on {found.data}", "top-1 error, %", ERROR),
        )
    ]


def _against_depth(kind: str, values: Sequence[Sequence[float]]) -> Series:
    """The mean at each depth with its interval, and where the least is."""
    label = f"{kind}, least at {fmean(shallowest_least(values)):.3g} layers"
    return spread(label, [interval(own) for own in values], DEPTHS, least=0)
