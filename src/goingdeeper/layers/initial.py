"""How initial weights are drawn: rules as plain data, read by `nn`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from goingdeeper.layers.checks import typed, within


@dataclass(frozen=True)
class Draw:
    """A distribution of zero mean and variance `gain` / fan.

    fan: "in" is kernel area times input channels of a group, "out" times filters, "average" the mean of
    both, "one" is 1, for a variance that does not depend on the layer. distribution: "truncated" is the
    normal one cut off at two standard deviations, which leaves 77 % of the variance.
    """

    distribution: Literal["normal", "truncated", "uniform"]
    gain: float
    fan: Literal["in", "out", "average", "one"] = "in"

    def __post_init__(self) -> None:
        typed(self)
        within(self, 0, "gain")


HE = Draw("normal", 2.0)
"""He et al. 2015, "Delving deep into rectifiers", section 2.2."""

XAVIER = Draw("uniform", 1.0)
"""Caffe's form of Glorot and Bengio 2010."""

_LIBRARY = Draw("uniform", 1 / 3)


def normal(std: float) -> Draw:
    """N(0, std), whatever the layer."""
    return Draw("normal", std**2, "one")


def truncated(std: float) -> Draw:
    """N(0, std) cut off at two standard deviations, whatever the layer."""
    return Draw("truncated", std**2, "one")


def uniform(bound: float) -> Draw:
    """U(-bound, bound), whatever the layer."""
    return Draw("uniform", bound**2 / 3, "one")


@dataclass(frozen=True)
class Start:
    """How some layers start, where they differ from the network's rule; None keeps the rule."""

    weights: Draw | None = None
    bias: float | None = None

    def __post_init__(self) -> None:
        typed(self)


Starts: TypeAlias = tuple[tuple[str, Start], ...]


@dataclass(frozen=True, init=False)
class Initialisation:
    """A paper's rule for initial weights and biases; batch norm starts at gamma 1, beta 0.

    classifier_bias: of layers as wide as there are classes. apart: exceptions by address or pattern, such
    as `heads.*` or `*.gate`, heads' addresses included; the first that matches counts.
    """

    conv: Draw = HE
    linear: Draw = _LIBRARY
    bias: float = 0.0
    classifier_bias: float = 0.0
    apart: Starts = ()

    def __init__(
        self,
        conv: Draw = HE,
        linear: Draw = _LIBRARY,
        bias: float = 0.0,
        classifier_bias: float = 0.0,
        apart: Mapping[str, Start] | Starts = (),
    ) -> None:
        pairs = tuple(apart.items()) if isinstance(apart, Mapping) else apart
        for name, value in (
            ("conv", conv),
            ("linear", linear),
            ("bias", bias),
            ("classifier_bias", classifier_bias),
            ("apart", pairs),
        ):
            object.__setattr__(self, name, value)
        typed(self)
