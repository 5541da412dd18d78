"""What a layer or block is, in the words of the papers' tables: `[3x3, 64; 3x3, 64] x 3`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from goingdeeper.layers import (
    LEAVES,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    Bias,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Named,
    Residual,
    Slice,
    SpatialPyramid,
    ZeroPad,
    children,
    pair,
    sides,
)
from goingdeeper.tables.words import activation, extras


def describe(layer: Layer) -> str:
    """One line: `conv 7x7/2, 64`, `1x1, 64 -> 3x3, 192`, `[3x3, 64; 3x3, 64] + projection 1x1/2`."""
    match layer:
        case Conv():
            return f"conv {_plainly(layer)}"
        case Residual():
            return f"[{'; '.join(_plainly(inner) for _, inner in layer.body)}] + {shortcut(layer.shortcut)}"
        case _:
            return _plainly(layer)


def describe_fully(layer: Layer) -> str:
    """One line with everything that comes along: `conv 3x3/2, 64, pad 0, batch norm, ReLU`."""
    parts = [describe(layer)]
    if isinstance(layer, Conv | MaxPool | AvgPool) and sides(layer) != sides(replace(layer, padding=None)):
        all_around = sides(layer) if len({*sides(layer)}) > 1 else sides(layer)[:1]
        parts.append(f"pad {'/'.join(map(str, all_around))}")
    if isinstance(layer, MaxPool | AvgPool) and layer.ceil:
        parts.append("ceil")
    if isinstance(layer, Conv | Linear) and isinstance(layer.act, Maxout):  # `describe` has said it
        layer = replace(layer, act=None)
    return ", ".join(filter(None, (*parts, extras(layer))))


def lines(layer: Layer, longest: int) -> tuple[str, ...]:
    """The same on several lines, where one would be too long: a line a branch or a layer of a chain."""
    if isinstance(layer, Concat):
        return tuple(_plainly(branch) for _, branch in layer.branches)
    text = describe(layer)
    if isinstance(layer, Chain) and len(text) > longest:
        return tuple(_plainly(inner) for _, inner in layer.layers)
    return (text,)


def stage_lines(blocks: Named) -> tuple[str, ...]:
    """A stage of blocks: what repeats, then what the blocks do about their strides and shortcuts.

    `[1x1, 128; 3x3, 128; 1x1, 512] x 4` and `first: /2 in conv1, projection 1x1/2`.
    """
    runs = _runs([_repeated(block) for _, block in blocks])
    doings = [_doing(block) for _, block in blocks]
    return (*(f"[{body}]" + (f" x {count}" if count > 1 else "") for body, count in runs), *_doings(doings))


def shortcut(layer: Layer) -> str:
    """`identity`, `zero-padding /2` or `projection 1x1/2`, the papers' options."""
    match layer:
        case Conv():
            return f"projection {window(layer)}"
        case ZeroPad():
            return "zero-padding" + (f" /{layer.stride}" if layer.stride > 1 else "")
        case _:
            return _plainly(layer)


def depth(layer: Layer) -> int:
    """Layers with weights on the longest path; a shortcut's projection does not count, as in the papers."""
    match layer:
        case Conv() | Linear():
            return 1
        case Concat():
            return max(depth(branch) for _, branch in layer.branches)
        case Chain():
            return sum(depth(inner) for _, inner in layer.layers)
        case Residual():
            return sum(depth(inner) for _, inner in layer.body)
        case Highway():
            return max(depth(layer.transform), depth(layer.gate))
        case _:
            return 0


def leaves(layers: Named, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Every leaf with its address below `prefix`, in order."""
    for name, layer in layers:
        if isinstance(layer, LEAVES):
            yield prefix + name, layer
        else:
            yield from leaves(children(layer), f"{prefix}{name}.")


def _plainly(layer: Layer, stride: bool = True) -> str:
    """Without the word conv: within chains, branches and blocks."""
    match layer:
        case Conv():
            groups = f", {layer.groups} groups" if layer.groups > 1 else ""
            return f"{window(layer, stride)}, {layer.filters}{groups}{_maxout(layer)}"
        case MaxPool():
            return f"max pool {window(layer, stride)}"
        case AvgPool():
            return f"avg pool {window(layer, stride)}"
        case GlobalAvgPool():
            return "global average"
        case AdaptiveAvgPool():
            return f"average to {layer.bins}x{layer.bins}"
        case SpatialPyramid():
            return f"spatial pyramid {', '.join(map(str, layer.bins))}"
        case LRN():
            return f"LRN {layer.size}"
        case Linear():
            return f"linear {layer.features}{_maxout(layer)}"
        case Dropout():
            return f"dropout {layer.rate * 100:g} %"
        case Identity():
            return "identity"
        case ZeroPad():
            return f"zero-padding to {layer.filters}" + (f" /{layer.stride}" if layer.stride > 1 else "")
        case Slice():
            return f"channels {layer.first} to {layer.first + layer.channels}"
        case Bias():
            return "bias"
        case Chain():
            return " -> ".join(_plainly(inner, stride) for _, inner in layer.layers)
        case Concat():
            return f"{{{' | '.join(_plainly(inner, stride) for _, inner in layer.branches)}}}"
        case Residual():
            return describe(layer) if stride else f"[{_repeated(layer)}]"
        case Highway():
            return f"highway {_plainly(layer.transform, stride)}"


def _maxout(layer: Conv | Linear) -> str:
    return f", {activation(layer.act)}" if isinstance(layer.act, Maxout) else ""


def window(layer: Conv | MaxPool | AvgPool, stride: bool = True) -> str:
    """`3x3/2`"""
    height, width = pair(layer.kernel)
    return f"{height}x{width}" + (f"/{layer.stride}" if stride and layer.stride > 1 else "")


def _repeated(block: Layer) -> str:
    """What a block has in common with its neighbours: everything but strides and the shortcut."""
    match block:
        case Residual():
            return "; ".join(_plainly(inner, stride=False) for _, inner in block.body)
        case Chain():
            return "; ".join(_plainly(inner, stride=False) for _, inner in block.layers)
        case _:
            return _plainly(block, stride=False)


def _runs(bodies: list[str]) -> Iterator[tuple[str, int]]:
    """Equal neighbours, or pairs that take turns as in Highway-32, with how often they come."""
    place = 0
    while place < len(bodies):
        for period in (1, 2):
            one, count = bodies[place : place + period], 1
            while bodies[place + count * period : place + (count + 1) * period] == one:
                count += 1
            if count > 1:
                break
        else:
            one = one[:1]
        yield "; ".join(one), count
        place += count * len(one)


def _doing(block: Layer) -> str:
    inside = block.body if isinstance(block, Residual) else children(block) or (("", block),)
    strided = [
        f"/{layer.stride}" + (f" in {name}" if name else "")
        for name, layer in leaves(inside)
        if isinstance(layer, Conv | MaxPool | AvgPool) and layer.stride > 1
    ]
    return ", ".join([*strided, *([shortcut(block.shortcut)] if isinstance(block, Residual) else [])])


def _doings(doings: list[str]) -> tuple[str, ...]:
    first, *others = doings
    if len({*others}) > 1:
        return ("strides and shortcuts differ from block to block",)
    if {*others} <= {first}:
        return {"": (), "identity": ("identity shortcuts",)}.get(first, (f"each: {first}",))
    said = (f"first: {first}", f"then: {others[0]}")
    return tuple(
        text for text, doing in zip(said, (first, others[0]), strict=True) if doing not in ("", "identity")
    )
