"""The shape rule of every kind of layer: size and receptive field of what it gives for what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from goingdeeper.errors import DescriptionError, ShapeError
from goingdeeper.layers import (
    CLASSES,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    Bias,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Pair,
    Slice,
    SpatialPyramid,
    Width,
    ZeroPad,
    pair,
    sides,
)


def width(value: Width, classes: int) -> int:
    """A width with the class-count placeholder resolved."""
    return classes if value == CLASSES else int(value)


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
class Flow:
    """What goes from layer to layer."""

    shape: Shape
    field: Field


class TooSmall(Exception):
    """A window or a part of a map would be larger than the map."""


def leaf(layer: Layer, path: str, flow: Flow, classes: int) -> Flow:
    """What a leaf gives. Raises ShapeError, naming the path, where it cannot take what it is given."""
    shape, field = flow.shape, flow.field
    match layer:
        case Linear():
            whole = shape[1:] or (1, 1)
            return Flow((width(layer.features, classes),), field.through((whole[0], whole[1]), (1, 1)))
        case Dropout() | Identity():
            return flow
    if len(shape) != 3:
        raise ShapeError(f"{path} needs a map (channels, height, width); it is given a vector of {shape[0]}")
    channels, height, wide = shape
    match layer:
        case Conv():
            filters = width(layer.filters, classes)
            if channels % layer.groups or filters % layer.groups:
                raise ShapeError(
                    f"{path}: {channels} channels in and {filters} filters do not divide "
                    f"into {layer.groups} groups"
                )
            return _windowed(layer, path, flow, filters, ceil=False)
        case MaxPool() | AvgPool():
            return _windowed(layer, path, flow, channels, ceil=layer.ceil)
        case GlobalAvgPool():
            return Flow((channels, 1, 1), field.through((height, wide), (1, 1)))
        case AdaptiveAvgPool(bins):
            _check_bins(path, bins, shape)
            window = _widest_part(height, bins), _widest_part(wide, bins)
            return Flow((channels, bins, bins), field.through(window, (height // bins, wide // bins)))
        case SpatialPyramid(bins):
            _check_bins(path, max(bins), shape)
            window = _widest_part(height, min(bins)), _widest_part(wide, min(bins))
            return Flow((channels * sum(n * n for n in bins),), field.through(window, (1, 1)))
        case LRN():
            return flow
        case Bias():
            return flow
        case Slice():
            if layer.first + layer.channels > channels:
                last = layer.first + layer.channels
                raise ShapeError(f"{path} takes channels {layer.first} to {last}; it is given {channels}")
            return Flow((layer.channels, height, wide), field)
        case ZeroPad():
            if layer.filters < channels:
                raise ShapeError(
                    f"{path}: zero-padding cannot take {channels} channels down to {layer.filters}"
                )
            s = layer.stride
            return Flow((layer.filters, -(-height // s), -(-wide // s)), field.through((1, 1), (s, s)))
    raise DescriptionError(f"{path}: {type(layer).__name__} has no shape rule")


def _windowed(layer: Conv | MaxPool | AvgPool, path: str, flow: Flow, channels: int, *, ceil: bool) -> Flow:
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
            raise TooSmall(f"{path} ({kind} {kernel[0]}x{kernel[1]}) would be given {dims(flow.shape)}")
        out.append(count)
    return Flow((channels, *out), flow.field.through(kernel, (layer.stride, layer.stride)))


def equal_parts(size: int, count: int) -> list[tuple[int, int]]:
    """Start and end of `count` equal parts, borders rounded outwards."""
    return [(index * size // count, -(-(index + 1) * size // count)) for index in range(count)]


def _widest_part(size: int, count: int) -> int:
    return max(end - start for start, end in equal_parts(size, count))


def _check_bins(path: str, bins: int, shape: Shape) -> None:
    if min(shape[1:]) < bins:
        raise TooSmall(f"{path} ({bins}x{bins} parts) would be given {dims(shape)}")


def joined(layer: Concat, path: str, ends: list[Flow]) -> Flow:
    first = ends[0].shape
    for (name, _), end in zip(layer.branches, ends, strict=True):
        if end.shape[1:] != first[1:]:
            raise ShapeError(
                f"{path}: branch {name} gives {dims(end.shape)}, "
                f"branch {layer.branches[0][0]} {dims(first)}; "
                "branches join only where their maps are of one size"
            )
    return Flow((sum(end.shape[0] for end in ends), *first[1:]), _widest(ends))


def added(path: str, body: Flow, shortcut: Flow) -> Flow:
    if body.shape != shortcut.shape:
        if len(body.shape) != len(shortcut.shape):
            remedy = "a map and a vector do not add"
        elif body.shape[1:] != shortcut.shape[1:]:
            remedy = "give both the same stride"
        else:
            remedy = f"{'widen' if body.shape[0] > shortcut.shape[0] else 'narrow'} the shortcut"
        raise ShapeError(
            f"{path}: the residual gives {dims(body.shape)}, the shortcut {dims(shortcut.shape)}; {remedy}"
        )
    return Flow(body.shape, _widest([body, shortcut]))


def gated(path: str, start: Flow, transform: Flow, gate: Flow) -> Flow:
    for name, flow in (("transform", transform), ("gate", gate)):
        if flow.shape != start.shape:
            raise ShapeError(
                f"{path}: it is given {dims(start.shape)}, its {name} gives {dims(flow.shape)}; "
                "a highway layer keeps the shape"
            )
    return Flow(start.shape, _widest([start, transform, gate]))


def _widest(flows: list[Flow]) -> Field:
    """Where branches meet, the largest view of each axis counts."""
    return Field(
        (max(f.field.size[0] for f in flows), max(f.field.size[1] for f in flows)),
        (max(f.field.jump[0] for f in flows), max(f.field.jump[1] for f in flows)),
    )


def dims(shape: Shape) -> str:
    """`64x56x56`"""
    return "x".join(str(size) for size in shape)
