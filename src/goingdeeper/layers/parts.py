"""Parts of units: batch normalisation and activations, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from goingdeeper.layers.checks import typed, within


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation over the channels; `scale` says whether gamma is learned (beta always is)."""

    eps: float = 1e-5
    momentum: float = 0.1
    scale: bool = True

    def __post_init__(self) -> None:
        typed(self)
        within(self, 0, "eps")
        within(self, 0, "momentum", most=1)


@dataclass(frozen=True)
class ReLU:
    """max(0, x). Nair and Hinton 2010."""


@dataclass(frozen=True)
class PReLU:
    """max(0, x) + a min(0, x) with a learned slope a, one a channel or, shared, one a layer.

    He et al. 2015, "Delving deep into rectifiers", section 2.1.
    """

    slope: float = 0.25
    shared: bool = False

    def __post_init__(self) -> None:
        typed(self)


@dataclass(frozen=True)
class Maxout:
    """The maximum over groups of `pieces` neighbouring linear outputs. Goodfellow et al. 2013, section 3.

    The layer's width is what comes out; it computes `pieces` times as many linear outputs.
    """

    pieces: int = 2

    def __post_init__(self) -> None:
        typed(self)
        within(self, 1, "pieces")


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-x)), as in gates."""


Activation: TypeAlias = ReLU | PReLU | Maxout | Sigmoid
RELU: Final = ReLU()
