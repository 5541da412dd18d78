"""Walks a description with a shape in hand: what every layer is given and what it gives, no torch."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from goingdeeper.errors import DescriptionError, ShapeError, unknown
from goingdeeper.layers import (
    CLASSES,
    LEAVES,
    LRN,
    AvgPool,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Named,
    Network,
    Pair,
    Residual,
    Width,
    ZeroPad,
    children,
    pair,
    sides,
)

Shape: TypeAlias = tuple[int, ...]
"""(channels, height, width) of a map, (features,) of a vector; the batch is not part of it."""


@dataclass(frozen=True)
class Field:
    """Receptive field: pixels of the input that one value sees, and the distance between two neighbours."""

    size: Pair = (1, 1)
    jump: Pair = (1, 1)

    def through(self, kernel: Pair, stride: Pair) -> Field:
        (h, w), (dh, dw) = self.size, self.jump
        return Field((h + (kernel[0] - 1) * dh, w + (kernel[1] - 1) * dw), (dh * stride[0], dw * stride[1]))


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


@dataclass(frozen=True)
class _Flow:
    shape: Shape
    field: Field


def trace(network: Network, input: tuple[int, int, int] | None = None) -> tuple[Step, ...]:
    """Every step of the network and then of its heads (`heads.NAME...`), in order of execution.

    Raises ShapeError where shapes do not meet, or, naming the smallest square input that works, where
    the input is too small.
    """
    return _trace(network if input is None else replace_input(network, input))


@lru_cache(maxsize=256)
def _trace(network: Network) -> tuple[Step, ...]:
    try:
        return tuple(_steps(network))
    except _TooSmall as problem:
        channels, height, width = network.input
        smallest = smallest_input(network)
        remedy = f"the smallest input it takes is {smallest}x{smallest}" if smallest else "no input fits"
        raise ShapeError(
            f"{network.name} cannot take {channels}x{height}x{width}: {problem}; {remedy}"
        ) from None


def replace_input(network: Network, input: tuple[int, int, int]) -> Network:
    """The same network for another input, (channels, height, width)."""
    return network if network.input == tuple(input) else replace(network, input=input)


def replace_classes(network: Network, classes: int) -> Network:
    """The same network for another number of classes."""
    return network if network.classes == classes else replace(network, classes=classes)


def smallest_input(network: Network) -> int | None:
    """Side of the smallest square input the network, heads included, can take; None if none up to 1024 is."""
    for side in range(1, 1025):
        try:
            for _ in _steps(replace(network, input=(network.input[0], side, side))):
                pass
        except (_TooSmall, ShapeError):  # branches may meet at some sizes and not at others
            continue
        return side
    return None


def width(value: Width, network: Network) -> int:
    """A width with the class-count placeholder resolved."""
    return network.classes if value == CLASSES else int(value)


def find(network: Network, address: str) -> Layer:
    """The layer at an address such as `3a.5x5.reduce` or `heads.4a.fc1`."""
    here: Layer | None = None
    parts = address.split(".")
    level: Named = network.layers
    above: list[str] = []
    if parts[0] == "heads" and network.heads:
        level, above, parts = network.heads, ["heads"], parts[1:]
    for depth, part in enumerate(parts):
        inner = dict(level)
        if part not in inner:
            before = ".".join(above + parts[:depth])
            shown = ", ".join(list(inner)[:12]) + (", ..." if len(inner) > 12 else "")
            raise unknown(
                f"address in {network.name}{' at ' + before if before else ''}:",
                part,
                inner,
                f"it has: {shown}" if inner else "nothing is inside that layer",
            )
        here = inner[part]
        level = children(here)
    if here is None:
        raise DescriptionError(
            f"{network.name}: 'heads' is not a layer; name one, such as heads.{level[0][0]}"
        )
    return here


class _TooSmall(Exception):
    pass


def _steps(network: Network) -> Iterator[Step]:
    flow = _Flow(network.input, Field())
    heads = dict(network.heads)
    inputs: dict[str, _Flow] = {}
    for name, layer in network.layers:
        flow = yield from _walk(layer, name, flow, network)
        inputs[name] = flow
    if len(flow.shape) != 1:
        raise DescriptionError(
            f"{network.name} ends in a map of {dims(flow.shape)}, not in a vector of logits"
        )
    for name, head in heads.items():
        if name not in inputs:
            raise unknown(
                f"address of a head in {network.name}:", name, inputs, "heads read top-level layers"
            )
        flow = yield from _walk(head, f"heads.{name}", inputs[name], network)
        if flow.shape != (network.classes,):
            raise ShapeError(f"heads.{name} gives {dims(flow.shape)}, not {network.classes} logits")


def _walk(layer: Layer, path: str, flow: _Flow, network: Network) -> Generator[Step, None, _Flow]:
    start = flow
    match layer:
        case Chain():
            for name, inner in layer.layers:
                flow = yield from _walk(inner, f"{path}.{name}", flow, network)
        case Concat():
            ends = []
            for name, inner in layer.branches:
                ends.append((yield from _walk(inner, f"{path}.{name}", start, network)))
            flow = _joined(layer, path, ends)
        case Residual():
            for name, inner in layer.body:
                flow = yield from _walk(inner, f"{path}.{name}", flow, network)
            side = yield from _walk(layer.shortcut, f"{path}.shortcut", start, network)
            flow = _added(path, flow, side)
        case _:
            flow = _leaf(layer, path, start, network)
    yield Step(path, layer, start.shape, flow.shape, flow.field)
    return flow


def _leaf(layer: Layer, path: str, flow: _Flow, network: Network) -> _Flow:
    shape, field = flow.shape, flow.field
    match layer:
        case Linear():
            whole = shape[1:] or (1, 1)
            return _Flow((width(layer.features, network),), field.through((whole[0], whole[1]), (1, 1)))
        case Dropout() | Identity():
            return flow
    if len(shape) != 3:
        raise ShapeError(f"{path} needs a map (channels, height, width); it is given a vector of {shape[0]}")
    channels, height, wide = shape
    match layer:
        case Conv():
            filters = width(layer.filters, network)
            if channels % layer.groups or filters % layer.groups:
                raise ShapeError(
                    f"{path}: {channels} channels in and {filters} filters do not divide "
                    f"into {layer.groups} groups"
                )
            return _windowed(layer, path, flow, filters, ceil=False)
        case MaxPool() | AvgPool():
            return _windowed(layer, path, flow, channels, ceil=layer.ceil)
        case GlobalAvgPool():
            return _Flow((channels, 1, 1), field.through((height, wide), (1, 1)))
        case LRN():
            return flow
        case ZeroPad():
            if layer.filters < channels:
                raise ShapeError(
                    f"{path}: zero-padding cannot take {channels} channels down to {layer.filters}"
                )
            s = layer.stride
            return _Flow((layer.filters, -(-height // s), -(-wide // s)), field.through((1, 1), (s, s)))
    raise DescriptionError(f"{path}: {type(layer).__name__} has no shape rule")


def _windowed(layer: Conv | MaxPool | AvgPool, path: str, flow: _Flow, channels: int, *, ceil: bool) -> _Flow:
    kernel = pair(layer.kernel)
    top, bottom, left, right = sides(layer)
    out = []
    for size, window, before, after in (
        (flow.shape[1], kernel[0], top, bottom),
        (flow.shape[2], kernel[1], left, right),
    ):
        free = size + before + after - window
        count = (-(-free // layer.stride) if ceil else free // layer.stride) + 1
        if ceil and (count - 1) * layer.stride >= size + before:
            count -= 1  # a last window that would start in the padding is dropped, as torch and Caffe do
        if (free < 0 and not ceil) or count < 1:
            kind = type(layer).__name__.lower()
            raise _TooSmall(f"{path} ({kind} {kernel[0]}x{kernel[1]}) would be given {dims(flow.shape)}")
        out.append(count)
    return _Flow((channels, *out), flow.field.through(kernel, (layer.stride, layer.stride)))


def _joined(layer: Concat, path: str, ends: list[_Flow]) -> _Flow:
    first = ends[0].shape
    for (name, _), end in zip(layer.branches, ends, strict=True):
        if len(end.shape) != 3 or end.shape[1:] != first[1:]:
            raise ShapeError(
                f"{path}: branch {name} gives {dims(end.shape)}, "
                f"branch {layer.branches[0][0]} {dims(first)}; "
                "branches join only where their maps are of one size"
            )
    return _Flow((sum(end.shape[0] for end in ends), *first[1:]), _widest(ends))


def _added(path: str, body: _Flow, shortcut: _Flow) -> _Flow:
    if body.shape != shortcut.shape:
        same_map = body.shape[1:] == shortcut.shape[1:]
        wide = "widen" if body.shape[0] > shortcut.shape[0] else "narrow"
        remedy = f"{wide} the shortcut" if same_map else "give both the same stride"
        raise ShapeError(
            f"{path}: the residual gives {dims(body.shape)}, the shortcut {dims(shortcut.shape)}; {remedy}"
        )
    return _Flow(body.shape, _widest([body, shortcut]))


def _widest(flows: list[_Flow]) -> Field:
    """Where branches meet, the largest view of each axis counts."""
    return Field(
        (max(f.field.size[0] for f in flows), max(f.field.size[1] for f in flows)),
        (max(f.field.jump[0] for f in flows), max(f.field.jump[1] for f in flows)),
    )


def dims(shape: Shape) -> str:
    """`64x56x56`"""
    return "x".join(str(size) for size in shape)
