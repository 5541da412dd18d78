"""What a drawing writes: each layer in the papers' words, its kind, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping

from goingdeeper.costs.counts import Counts, counts, total, within
from goingdeeper.layers import (
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Layer,
    Linear,
    MaxPool,
    Pair,
    ReLU,
    Residual,
    Slice,
    SpatialPyramid,
    ZeroPad,
    pair,
)
from goingdeeper.shapes import Shape, dims
from goingdeeper.tables.words import activation, amount, extras
from goingdeeper.trace import Step


def label(step: Step, *, stacked: bool = False) -> tuple[str, ...]:
    """What the layer does: `3x3 conv, 128, /2` on one line, or stacked on two short ones."""
    layer = step.layer
    match layer:
        case Conv():
            depthwise = "depthwise " if 1 < layer.groups == step.shape_in[0] else ""
            groups = [f"{layer.groups} groups"] if layer.groups > 1 and not depthwise else []
            parts = [
                f"{window(layer.kernel)} {depthwise}conv",
                str(step.shape_out[0]),
                *_stride(layer),
                *groups,
            ]
        case MaxPool() | AvgPool():
            name = "max pool" if isinstance(layer, MaxPool) else "avg pool"
            if stacked:
                parts = [name, window(layer.kernel), *_stride(layer)]
            else:
                parts = [f"{window(layer.kernel)} {name}", *_stride(layer)]
        case GlobalAvgPool():
            parts = ["global avg pool"]
        case AdaptiveAvgPool():
            parts = [f"avg pool to {layer.bins}x{layer.bins}"]
        case SpatialPyramid():
            parts = ["spatial pyramid", ", ".join(map(str, layer.bins))]
        case Linear():
            parts = [f"fc {step.shape_out[0]}"]
        case Dropout():
            parts = [f"dropout {layer.rate * 100:g} %"]
        case ZeroPad():
            parts = ["zero-pad", str(layer.filters), *_stride(layer)]
        case LRN():
            parts = ["LRN"]
        case Slice():
            parts = ["channels", f"{layer.first} to {layer.first + layer.channels}"]
        case _:
            parts = [type(layer).__name__.lower()]
    if stacked and len(parts) > 1:
        return (parts[0], ", ".join(parts[1:]))
    return (", ".join(parts),)


def details(step: Step, *, stacked: bool = False, close: bool = False) -> tuple[str, ...]:
    """The lines in a layer's box: its label, then what comes with it; from afar only what is not ReLU."""
    more = extras(step.layer) if close else _unusual(step.layer)
    return (*label(step, stacked=stacked), *([more] if more else []))


def kind(layer: Layer) -> str:
    """The colour class of a layer: convolutions by the area of their kernel, 1xn and nx1 apart."""
    match layer:
        case Conv():
            height, wide = pair(layer.kernel)
            if 1 in (height, wide) and height != wide:
                return "convline"
            return next((f"conv{area}" for area in (1, 9, 25) if height * wide <= area), "conv49")
        case MaxPool() | AvgPool() | GlobalAvgPool() | AdaptiveAvgPool() | SpatialPyramid():
            return "pool"
        case LRN():
            return "norm"
        case Linear():
            return "fc"
        case Concat() | Residual() | Highway():
            return "join"
        case ZeroPad():
            return "pad"
        case _:
            return "other"


def window(kernel: int | Pair) -> str:
    height, wide = pair(kernel)
    return f"{height}x{wide}"


def tooltip(path: str, steps: Mapping[str, Step]) -> str:
    """Address, what it is, shapes, parameters, multiply-adds and receptive field, a line each.

    steps: the network's, by path; a block is the sum of those within it.
    """
    step = steps[path]
    if step.leaf:
        what, sums = ", ".join(filter(None, (*label(step), extras(step.layer)))), counts(step)
    else:
        what, sums = _block(step.layer), total(inner for inner in steps.values() if within(inner.path, path))
    return "\n".join((
        path,
        what,
        change(step.shape_in, step.shape_out),
        f"{sums.params:,} parameters",
        f"{sums.macs:,} multiply-adds",
        f"receptive field {window(step.field.size)}",
    ))  # fmt: skip


def change(shape_in: Shape, shape_out: Shape) -> str:
    """`192x28x28 to 256x28x28`"""
    return f"{dims(shape_in)} to {dims(shape_out)}"


def amounts(sums: Counts) -> list[str]:
    return [f"{amount(sums.params)} parameters", f"{amount(sums.macs)} multiply-adds"]


def span(first: str, last: str) -> str:
    """`conv4_2…36` for conv4_2 to conv4_36."""
    if first == last:
        return first
    stem = last.rstrip("0123456789")
    numbered = stem and first.startswith(stem) and first[len(stem) :].isdigit()
    return f"{first}…{last[len(stem) :] if numbered else last}"


def _stride(layer: Conv | MaxPool | AvgPool | ZeroPad) -> list[str]:
    return [f"/{layer.stride}"] if layer.stride > 1 else []


def _unusual(layer: Layer) -> str:
    act = layer.act if isinstance(layer, Conv | Linear) else None
    return "" if isinstance(act, ReLU) else activation(act)


def _block(layer: Layer) -> str:
    match layer:
        case Concat():
            return f"{len(layer.branches)} branches, concatenated"
        case Residual():
            return "residual block" + (", then ReLU" if layer.act else "")
        case Highway():
            return "highway layer: transform × gate + input × (1 − gate)"
        case _:
            return "chain"
