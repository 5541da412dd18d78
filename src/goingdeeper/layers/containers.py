"""The layers that hold others: chains, branches, residual and highway layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from goingdeeper.errors import DescriptionError
from goingdeeper.layers.leaves import LEAVES, Leaf
from goingdeeper.layers.naming import check_names
from goingdeeper.layers.parts import RELU, ReLU


@dataclass(frozen=True, init=False)
class Chain:
    """Layers one after another, by name."""

    layers: Named

    def __init__(self, layers: Names) -> None:
        object.__setattr__(self, "layers", named(layers))


@dataclass(frozen=True, init=False)
class Concat:
    """Branches on the same input, joined along the channels."""

    branches: Named

    def __init__(self, branches: Names) -> None:
        object.__setattr__(self, "branches", named(branches))


@dataclass(frozen=True, init=False)
class Residual:
    """body(x) + shortcut(x), then `act`. The body's layers are addressed without a level of their own."""

    body: Named
    shortcut: Layer
    act: ReLU | None = RELU

    def __init__(self, body: Names, shortcut: Layer | Names, act: ReLU | None = RELU) -> None:
        object.__setattr__(self, "body", named(body))
        object.__setattr__(self, "shortcut", as_layer(shortcut))
        object.__setattr__(self, "act", act)


@dataclass(frozen=True, init=False)
class Highway:
    """transform(x) gate(x) + x (1 - gate(x)): both keep the shape. Srivastava et al. 2015, equation 3."""

    transform: Layer
    gate: Layer

    def __init__(self, transform: Layer | Names, gate: Layer | Names) -> None:
        object.__setattr__(self, "transform", as_layer(transform))
        object.__setattr__(self, "gate", as_layer(gate))


Layer: TypeAlias = Leaf | Chain | Concat | Residual | Highway
Named: TypeAlias = tuple[tuple[str, Layer], ...]
Names: TypeAlias = "Mapping[str, Layer | Names] | Named"

CONTAINERS: Final = (Chain, Concat, Residual, Highway)


def named(layers: Names) -> Named:
    """Ordered (name, layer) pairs from a mapping; inner mappings become chains. Refuses unusable names."""
    pairs = tuple(layers.items()) if isinstance(layers, Mapping) else tuple(layers)
    check_names([name for name, _ in pairs])
    return tuple((name, as_layer(layer)) for name, layer in pairs)


def as_layer(layer: Layer | Names) -> Layer:
    if isinstance(layer, LEAVES + CONTAINERS):
        return layer
    if isinstance(layer, Mapping | tuple):
        return Chain(layer)
    raise DescriptionError(f"{layer!r} is not a layer record")


def children(layer: Layer) -> Named:
    """The named parts of a container, in order; a residual's shortcut comes last. A leaf has none."""
    match layer:
        case Chain():
            return layer.layers
        case Concat():
            return layer.branches
        case Residual():
            return (*layer.body, ("shortcut", layer.shortcut))
        case Highway():
            return (("transform", layer.transform), ("gate", layer.gate))
        case _:
            return ()
