"""Walks a description with a shape in hand: what every layer is given and what it gives, no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from goingdeeper.errors import DescriptionError, ShapeError, unknown
from goingdeeper.layers import (
    LEAVES,
    Chain,
    Concat,
    Conv,
    Highway,
    Layer,
    Named,
    Network,
    Residual,
    children,
    pieces,
)
from goingdeeper.shapes import Field, Flow, Shape, TooSmall, added, dims, gated, joined, leaf


@dataclass(frozen=True)
class Step:
    """One layer met on the walk. A container's step comes after those of its contents."""

    path: str
    layer: Layer
    shape_in: Shape
    shape_out: Shape
    field: Field

    @property
    def leaf(self) -> bool:
        return isinstance(self.layer, LEAVES)


def trace(network: Network, input: tuple[int, int, int] | None = None) -> tuple[Step, ...]:
    """Every step of the network and then of its heads (`heads.NAME...`), in order of execution.

    Raises ShapeError where shapes do not meet, or, naming the smallest square input that works, where
    the input is too small.
    """
    return _trace(network if input is None else replace_input(network, input))


@lru_cache(maxsize=256)
def _trace(network: Network) -> tuple[Step, ...]:
    try:
        return tuple(_walked(network))
    except TooSmall as problem:
        channels, height, width = network.input
        smallest = smallest_input(network)
        remedy = f"the smallest input it takes is {smallest}x{smallest}" if smallest else "no input fits"
        bare = smallest_input(replace(network, heads=())) if network.heads else None
        if bare and bare != smallest:
            remedy += f", {bare}x{bare} without its heads"
        raise ShapeError(
            f"{network.name} cannot take {channels}x{height}x{width}: {problem}; {remedy}"
        ) from None


def replace_input(network: Network, input: tuple[int, int, int]) -> Network:
    """The same network for another input, (channels, height, width)."""
    return network if network.input == input else replace(network, input=input)


def replace_classes(network: Network, classes: int) -> Network:
    """The same network for another number of classes."""
    return network if network.classes == classes else replace(network, classes=classes)


def smallest_input(network: Network) -> int | None:
    """Side of the smallest square input the network, heads included, can take; None if none up to 1024 is."""

    def square(side: int) -> Network:
        return replace(network, input=(network.input[0], side, side))

    try:
        _walked(square(1024))
    except TooSmall:
        return None  # no map is larger for a smaller input
    except ShapeError:
        pass
    for side in range(1, 1025):
        try:
            _walked(square(side))
        except (TooSmall, ShapeError):  # branches may meet at some sizes and not at others
            continue
        return side
    return None


def find(network: Network, address: str) -> Layer:
    """The layer at an address such as `3a.5x5.reduce` or `heads.4a.fc1`; UsageError for an unknown one."""
    if network.heads and address.split(".")[0] == "heads":
        return _find_in_head(network, address)
    return _find(network, network.layers, address.split("."), "")


def _find_in_head(network: Network, address: str) -> Layer:
    for name, head in network.heads:  # its name is the address that it reads, dots included
        if f"{address}.".startswith(f"heads.{name}."):
            inside = address.removeprefix(f"heads.{name}").removeprefix(".")
            return _find(network, children(head), inside.split("."), f"heads.{name}") if inside else head
    names = [f"heads.{name}" for name, _ in network.heads]
    if address == "heads":
        raise DescriptionError(f"{network.name}: 'heads' is not a layer; name one, such as {names[0]}")
    raise unknown(f"address in {network.name}:", address, names, f"the heads are {', '.join(names)}")


def _find(network: Network, level: Named, parts: list[str], above: str) -> Layer:
    name, *rest = parts
    inner = dict(level)
    if name not in inner:
        shown = ", ".join(list(inner)[:12]) + (", ..." if len(inner) > 12 else "")
        raise unknown(
            f"address in {network.name}{f' at {above}' if above else ''}:",
            name,
            inner,
            f"it has: {shown}" if inner else "nothing is inside that layer",
        )
    path = f"{above}.{name}" if above else name
    return _find(network, children(inner[name]), rest, path) if rest else inner[name]


def _walked(network: Network) -> list[Step]:
    steps: list[Step] = []
    flow = Flow(network.input, Field())
    for name, layer in network.layers:
        flow = _walk(layer, name, flow, network, steps)
    _check_logits(network.layers[-1][0], flow, network)
    if network.heads:
        known = {step.path: step for step in steps}
        for address, head in network.heads:
            start = _read(address, known, network)
            flow = _walk(head, f"heads.{address}", start, network, steps)
            _check_logits(f"heads.{address}", flow, network)
    return steps


def _check_logits(path: str, flow: Flow, network: Network) -> None:
    if flow.shape[1:] not in ((), (1, 1)):
        raise ShapeError(
            f"{path} in {network.name} gives a map of {dims(flow.shape)}, not a vector of logits"
        )
    if flow.shape[0] != network.classes:
        raise ShapeError(
            f"{path} in {network.name} gives {flow.shape[0]}, not {network.classes} logits; "
            "CLASSES stands for the right width"
        )


def _read(address: str, known: dict[str, Step], network: Network) -> Flow:
    """What a head finds at the address that it reads, be it a part of a convolution unit."""
    if address in known:
        return Flow(known[address].shape_out, known[address].field)
    unit, _, part = address.rpartition(".")
    step = known.get(unit)
    if step and isinstance(step.layer, Conv) and part in unit_parts(step.layer):
        channels = step.shape_out[0] * (1 if part == "act" else pieces(step.layer))
        return Flow((channels, *step.shape_out[1:]), step.field)
    raise unknown(
        f"address of a head in {network.name}:", address, known, "a head reads a layer of the trunk"
    )


def addresses(network: Network) -> list[str]:
    """Every address in the network: its layers, inner ones first, and the parts of its convolution units."""
    found = []
    for step in trace(network):
        if isinstance(step.layer, Conv):
            found += [f"{step.path}.{part}" for part in unit_parts(step.layer)]
        found.append(step.path)
    return found


def unit_parts(layer: Conv) -> tuple[str, ...]:
    """The addressable parts of a convolution unit: `conv`, `norm`, `act`."""
    return ("conv", *(["norm"] if layer.norm else []), *(["act"] if layer.act else []))


def _walk(layer: Layer, path: str, flow: Flow, network: Network, steps: list[Step]) -> Flow:
    start = flow
    match layer:
        case Chain():
            for name, inner in layer.layers:
                flow = _walk(inner, f"{path}.{name}", flow, network, steps)
        case Concat():
            ends = [_walk(inner, f"{path}.{name}", start, network, steps) for name, inner in layer.branches]
            flow = joined(layer, path, ends)
        case Residual():
            for name, inner in layer.body:
                flow = _walk(inner, f"{path}.{name}", flow, network, steps)
            flow = added(path, flow, _walk(layer.shortcut, f"{path}.shortcut", start, network, steps))
        case Highway():
            transform, gate = (
                _walk(inner, f"{path}.{name}", start, network, steps) for name, inner in children(layer)
            )
            flow = gated(path, start, transform, gate)
        case _:
            flow = leaf(layer, path, start, network.classes)
    steps.append(Step(path, layer, start.shape, flow.shape, flow.field))
    return flow
