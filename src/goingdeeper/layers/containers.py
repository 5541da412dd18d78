"""The layers that hold others: chains, branches, residual and highway layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from goingdeeper.errors import DescriptionError
from goingdeeper.layers.checks import shown, typed
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
        object.__setattr__(self, "shortcut", as_layer(shortcut, "shortcut"))
        object.__setattr__(self, "act", act)
        typed(self, "body")


@dataclass(frozen=True, init=False)
class Highway:
    """transform(x) gate(x) + x (1 - gate(x)): both keep the shape. Srivastava et al. 2015, equation 3."""

    transform: Layer
    gate: Layer

    def __init__(self, transform: Layer | Names, gate: Layer | Names) -> None:
        object.__setattr__(self, "transform", as_layer(transform, "transform"))
        object.__setattr__(self, "gate", as_layer(gate, "gate"))


Layer: TypeAlias = Leaf | Chain | Concat | Residual | Highway
Named: TypeAlias = tuple[tuple[str, Layer], ...]
Names: TypeAlias = "Mapping[str, Layer | Names] | Named"

CONTAINERS: Final = (Chain, Concat, Residual, Highway)


def named(layers: Names, above: str = "") -> Named:
    """Ordered (name, layer) pairs from a mapping; inner mappings become chains. Refuses unusable names."""
    pairs = paired(layers, above)
    check_names([name for name, _ in pairs], above)
    return tuple((name, as_layer(layer, f"{above}.{name}" if above else name)) for name, layer in pairs)


def paired(layers: Names, above: str = "") -> tuple[tuple[str, Layer | Names], ...]:
    """Layers by name as pairs, nothing else of them checked. Raises DescriptionError."""
    pairs = layers.items() if isinstance(layers, Mapping) else layers
    if not isinstance(pairs, Collection) or not all(map(_is_pair, pairs)):
        place = f"{above}: " if above else ""
        remedy = "a dict such as {'conv': Conv(64, 3)} is expected"
        raise DescriptionError(f"{place}{shown(layers)} is not layers by name; {remedy}")
    return tuple(pairs)


def _is_pair(one: object) -> bool:
    return isinstance(one, tuple) and len(one) == 2


def as_layer(layer: Layer | Names, path: str) -> Layer:
    """A record as it is, a mapping as a chain. Raises DescriptionError, naming the path, for other things."""
    if isinstance(layer, LEAVES + CONTAINERS):
        return layer
    if isinstance(layer, Mapping | tuple):
        return Chain(named(layer, path))
    raise DescriptionError(f"{path}: {shown(layer)} is not a layer; a record such as Conv(64, 3) is expected")


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
