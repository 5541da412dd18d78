"""The layers that compute something themselves, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from goingdeeper.errors import DescriptionError
from goingdeeper.layers.checks import typed, within
from goingdeeper.layers.parts import RELU, Activation, BatchNorm, Maxout, ReLU

CLASSES: Final = "classes"
"""Stands for the network's class count wherever a width is written."""

Width: TypeAlias = int | Literal["classes"]
Pair: TypeAlias = tuple[int, int]
Sides: TypeAlias = tuple[int, int, int, int]
"""Padding at the top, bottom, left and right, in pixels."""


@dataclass(frozen=True)
class Conv:
    """A convolution unit: convolution, then `norm`, then `act`.

    filters: channels that come out, after a Maxout if there is one. kernel: one number or (height, width).
    padding: pixels on each side, or (top, bottom, left, right); left out, the map keeps its size at stride 1.
    """

    filters: Width
    kernel: int | Pair
    stride: int = 1
    padding: int | Sides | None = None
    groups: int = 1
    bias: bool = False
    norm: BatchNorm | None = None
    act: Activation | None = RELU

    def __post_init__(self) -> None:
        typed(self)
        within(self, 1, "filters", "kernel", "stride", "groups")
        within(self, 0, "padding")


@dataclass(frozen=True)
class MaxPool:
    """Maximum over a window. `ceil` rounds the output size up instead of down."""

    kernel: int | Pair
    stride: int = 1
    padding: int | Sides | None = None
    ceil: bool = False

    def __post_init__(self) -> None:
        typed(self)
        _window(self)


@dataclass(frozen=True)
class AvgPool:
    """Mean over a window. `count_padding` says whether padded taps count in the divisor."""

    kernel: int | Pair
    stride: int = 1
    padding: int | Sides | None = None
    ceil: bool = False
    count_padding: bool = True

    def __post_init__(self) -> None:
        typed(self)
        _window(self)


@dataclass(frozen=True)
class GlobalAvgPool:
    """Mean over the whole map."""


@dataclass(frozen=True)
class AdaptiveAvgPool:
    """Means over bins x bins equal parts of the map: a map of bins x bins.

    Where the size does not divide, borders are rounded outwards and neighbouring parts overlap.
    """

    bins: int

    def __post_init__(self) -> None:
        typed(self)
        within(self, 1, "bins")


@dataclass(frozen=True)
class SpatialPyramid:
    """Maxima over n x n equal parts of the map for each n of `bins`, as one vector, channels first.

    Borders are rounded outwards. He et al. 2014, "Spatial pyramid pooling", section 2.2.
    """

    bins: tuple[int, ...]

    def __post_init__(self) -> None:
        typed(self)
        if not self.bins:
            raise DescriptionError("SpatialPyramid: no bins")
        within(self, 1, "bins")


@dataclass(frozen=True)
class LRN:
    """Local response normalisation across channels: x / (k + alpha/size * sum of squares)^beta."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        typed(self)
        within(self, 1, "size")


@dataclass(frozen=True)
class Linear:
    """A fully connected layer on everything that comes in (a map is flattened)."""

    features: Width
    bias: bool = True
    act: Activation | None = None

    def __post_init__(self) -> None:
        typed(self)
        within(self, 1, "features")


@dataclass(frozen=True)
class Dropout:
    """In training a share `rate` of the values is set to 0; the rest is scaled up by 1 / (1 - rate).

    rescale: False leaves the rest as it is.
    """

    rate: float
    rescale: bool = True

    def __post_init__(self) -> None:
        typed(self)
        within(self, 0, "rate", most=1)


@dataclass(frozen=True)
class Identity:
    pass


@dataclass(frozen=True)
class ZeroPad:
    """Option A's shortcut: every `stride`-th pixel, missing channels filled with zeros.

    side: "after" appends the zeros behind the real channels; "both" puts half of them on either side.
    He et al. 2015, section 3.3.
    """

    filters: int
    stride: int = 1
    side: Literal["after", "both"] = "after"

    def __post_init__(self) -> None:
        typed(self)
        within(self, 1, "filters", "stride")


@dataclass(frozen=True)
class Slice:
    """Channels `first` to `first + channels` of a map, then `act`.

    A branch's part of a convolution that was merged from those of several branches.
    """

    first: int
    channels: int
    act: ReLU | None = None

    def __post_init__(self) -> None:
        typed(self)
        within(self, 0, "first")
        within(self, 1, "channels")


@dataclass(frozen=True)
class Bias:
    """Adds a learned number to each channel, then `act`.

    What stays behind an average pool that has changed places with the convolution behind it.
    """

    act: ReLU | None = RELU

    def __post_init__(self) -> None:
        typed(self)


Leaf: TypeAlias = (
    Conv | MaxPool | AvgPool | GlobalAvgPool | AdaptiveAvgPool | SpatialPyramid
    | LRN | Linear | Dropout | Identity | ZeroPad | Slice | Bias
)  # fmt: skip

LEAVES: Final = (
    Conv, MaxPool, AvgPool, GlobalAvgPool, AdaptiveAvgPool, SpatialPyramid,
    LRN, Linear, Dropout, Identity, ZeroPad, Slice, Bias,
)  # fmt: skip


def pieces(layer: Conv | Linear) -> int:
    """Linear outputs for each of the layer's own: more than one before a Maxout."""
    return layer.act.pieces if isinstance(layer.act, Maxout) else 1


def pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def sides(layer: Conv | MaxPool | AvgPool) -> Sides:
    """The layer's padding (top, bottom, left, right), the size-keeping default resolved."""
    if layer.padding is None:
        height, width = pair(layer.kernel)
        return ((height - 1) // 2, height // 2, (width - 1) // 2, width // 2)
    if isinstance(layer.padding, int):
        return (layer.padding,) * 4
    return layer.padding


def _window(pool: MaxPool | AvgPool) -> None:
    within(pool, 1, "kernel", "stride")
    within(pool, 0, "padding")
    height, width = pair(pool.kernel)
    top, bottom, left, right = sides(pool)
    if max(top, bottom) > height // 2 or max(left, right) > width // 2:
        # Beyond that a window could lie in the padding alone; torch has the same rule.
        raise DescriptionError(f"{type(pool).__name__}: the padding is more than half of the kernel")
