"""Four small networks of equal multiply-adds: Inception modules, and modules with fewer sizes of kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from goingdeeper import edits
from goingdeeper.catalogue.googlenet import inception
from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Network,
)

Widths: TypeAlias = tuple[int, int, int]


def kernels() -> Mapping[str, Network]:
    """The four by what their modules are made of, for `shapes`; their multiply-adds differ by less than 2 %.

    All have the same stem, pools and classifier, and three modules, on maps of 32x32, 16x16 and 8x8. Every
    kernel over 1x1 has a reduction in front of it, and the branches that a module has are in proportion as
    GoogLeNet's 3a has them; with fewer branches it is as wide as the same multiply-adds allow.
    """
    return {
        "1x1, 3x3, 5x5, pool": _network("four-branches", _branches, (32, 48, 64)),
        "1x1 and 3x3": _network("1x1+3x3", _one_and_three, (26, 39, 52)),
        "5x5": _network("5x5", _only(5), (14, 20, 27)),
        "7x7": _network("7x7", _only(7), (10, 15, 19)),
    }


def _network(name: str, module: Callable[[int], Layer], widths: Widths) -> Network:
    down = MaxPool(3, stride=2, padding=0, ceil=True)
    plain = Network(name, {
        "conv1": Conv(16, 3, stride=2),
        "2": module(widths[0]), "pool2": down,
        "3": module(widths[1]), "pool3": down,
        "4": module(widths[2]),
        "pool4": GlobalAvgPool(), "fc": Linear(CLASSES),
    }, input=(3, 64, 64), classes=8)  # fmt: skip
    return edits.with_batch_norm(plain, BatchNorm())


def _branches(width: int) -> Layer:
    """3a's 64, 96, 128, 16, 32 and 32 of 256 filters."""
    part = width // 16
    return inception(4 * part, 6 * part, 8 * part, part, 2 * part, 2 * part)


def _one_and_three(width: int) -> Layer:
    """3a's 64, 96 and 128."""
    return Concat({
        "1x1": Conv(width // 3, 1),
        "3x3": {"reduce": Conv(width // 2, 1), "conv": Conv(width - width // 3, 3)},
    })  # fmt: skip


def _only(kernel: int) -> Callable[[int], Layer]:
    """A reduction to half as many filters, as in front of 3a's 5x5."""
    return lambda width: Chain({"reduce": Conv(width // 2, 1), "conv": Conv(width, kernel)})
