"""The page of layer kinds: every rule beside an example that the code computes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass, replace
from importlib.resources import files
from typing import Any

import torch
from layers_words import ENTRY, HEAD, HEADS, OWN

from goingdeeper import catalogue
from goingdeeper.costs.counts import Counts, total, within
from goingdeeper.layers import (
    CLASSES,
    CONTAINERS,
    LEAVES,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Bias,
    Chain,
    Concat,
    Conv,
    Draw,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Initialisation,
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Network,
    PReLU,
    ReLU,
    Residual,
    Sigmoid,
    Slice,
    SpatialPyramid,
    Start,
    ZeroPad,
)
from goingdeeper.nn.build import Net
from goingdeeper.shapes import Shape, dims
from goingdeeper.trace import Step, trace

PARTS = (BatchNorm, ReLU, PReLU, Maxout, Sigmoid)
ROWS = ("shape", "receptive field", "parameters", "multiply-adds", "in torch")
MOST = 8
"""Networks named as users of a kind."""


@dataclass(frozen=True)
class Kind:
    """What a reader needs to see of one kind. example: a layer, and the (channels, height, width) it gets."""

    shape: str
    field: str
    params: str
    macs: str
    module: str
    example: tuple[Layer, tuple[int, int, int]]


SAME, NONE, UNCOUNTED = "as it comes in", "none", "none counted"
WINDOW = "grows by (kernel - 1) x distance; the distance is multiplied by the stride"
WHOLE = "grows by (size of the map - 1) x distance"
POOLED = (
    "as of a convolution; the same number of channels. `ceil` rounds up, and drops a last window that would "
    "start in the padding"
)
BLOCK = Conv(64, 3, norm=BatchNorm())

KINDS: dict[Any, Kind] = {
    Conv: Kind(
        "filters x H' x W', where H' = floor((H + padding above and below - kernel height) / stride) + 1, "
        "and W' likewise; without `padding`, H x W at stride 1",
        WINDOW,
        "kernel height x kernel width x (channels / groups) x filters, and `filters` more with a bias; "
        "the weights and biases `pieces` times before a Maxout; then those of `norm` and `act`",
        "weights x H' x W'",
        "`Conv2d`, then `norm` and `act`; padding that differs from side to side by `ZeroPad2d`",
        (Conv(64, 7, stride=2, norm=BatchNorm()), (3, 224, 224)),
    ),
    MaxPool: Kind(
        POOLED, WINDOW, NONE, UNCOUNTED, "`max_pool2d`", (MaxPool(3, 2, 0, ceil=True), (64, 112, 112))
    ),
    AvgPool: Kind(POOLED, WINDOW, NONE, UNCOUNTED, "`avg_pool2d`", (AvgPool(5, 3, 0), (512, 14, 14))),
    GlobalAvgPool: Kind(
        "channels x 1 x 1", WHOLE, NONE, UNCOUNTED, "`mean` over the map", (GlobalAvgPool(), (1024, 7, 7))
    ),
    AdaptiveAvgPool: Kind(
        "channels x bins x bins; part i of an axis of n values goes from floor(i n / bins) to "
        "ceil((i + 1) n / bins)",
        "grows by (ceil(n / bins) - 1) x distance; the distance is multiplied by floor(n / bins)",
        NONE,
        UNCOUNTED,
        "`avg_pool2d` where the size divides, else means of slices",
        (AdaptiveAvgPool(4), (512, 14, 14)),
    ),
    SpatialPyramid: Kind(
        "a vector of channels x the sum of n x n over `bins`; parts as of AdaptiveAvgPool",
        WHOLE,
        NONE,
        UNCOUNTED,
        "`max_pool2d` where the size divides, else maxima of slices; then `cat`",
        (SpatialPyramid((7, 3, 2, 1)), (512, 14, 14)),
    ),
    LRN: Kind(SAME, SAME, NONE, UNCOUNTED, "`LocalResponseNorm`", (LRN(), (64, 56, 56))),
    Linear: Kind(
        "a vector of `features`",
        WHOLE,
        "values that come in x features, and `features` more with a bias; `pieces` times before a Maxout; "
        "then those of `act`",
        "the weights",
        "`flatten`, `Linear`, then `act`",
        (Linear(4096), (256, 6, 6)),
    ),
    Dropout: Kind(SAME, SAME, NONE, UNCOUNTED, "`Dropout`", (Dropout(0.4), (1024, 1, 1))),
    Identity: Kind(SAME, SAME, NONE, UNCOUNTED, "`Identity`", (Identity(), (64, 56, 56))),
    ZeroPad: Kind(
        "filters x ceil(H / stride) x ceil(W / stride)",
        "the distance is multiplied by the stride",
        NONE,
        UNCOUNTED,
        "slices, then `pad` of the channels",
        (ZeroPad(128, 2), (64, 56, 56)),
    ),
    Slice: Kind(
        "`channels`, H, W", SAME, NONE, UNCOUNTED, "`narrow`, then `act`", (Slice(64, 96), (176, 28, 28))
    ),
    Bias: Kind(SAME, SAME, "C biases", UNCOUNTED, "an addition, then `act`", (Bias(), (32, 28, 28))),
    Chain: Kind(
        "one layer after the other",
        "one after the other",
        "the sum",
        "the sum",
        "its parts in turn",
        (Chain({"reduce": Conv(64, 1, bias=True), "conv": Conv(192, 3, bias=True)}), (64, 56, 56)),
    ),
    Concat: Kind(
        "the sum of the channels; the branches' maps have to be of one size",
        "the largest of the branches, each axis for itself",
        "the sum",
        "the sum",
        "the branches on one input, then `cat`",
        (Concat({"1x3": Conv(384, (1, 3)), "3x1": Conv(384, (3, 1))}), (384, 8, 8)),
    ),
    Residual: Kind(
        "the body's, which has to be the shortcut's",
        "the larger one",
        "the sum",
        "the sum; the addition is not counted",
        "body and shortcut on one input, then `+` and `relu`",
        (
            Residual({"conv1": BLOCK, "conv2": Conv(64, 3, norm=BatchNorm(), act=None)}, Identity()),
            (64, 56, 56),
        ),
    ),
    Highway: Kind(
        "as it comes in; transform and gate have to keep it",
        "the larger one",
        "the sum",
        "the sum; the products are not counted",
        "transform and gate on one input, then `lerp` between the input and the transformed",
        (
            Highway(Conv(32, 3, bias=True), Conv(32, 3, bias=True, act=Sigmoid())),
            (32, 32, 32),
        ),
    ),
    BatchNorm: Kind(
        SAME,
        SAME,
        "2 a channel, gamma and beta; 1 without `scale`. Running statistics are not parameters",
        UNCOUNTED,
        "`BatchNorm2d`",
        (Conv(64, 3, norm=BatchNorm()), (64, 56, 56)),
    ),
    ReLU: Kind(SAME, SAME, NONE, UNCOUNTED, "`ReLU`", (Conv(64, 3), (64, 56, 56))),
    PReLU: Kind(
        SAME,
        SAME,
        "1 a channel or unit; 1 if `shared`",
        UNCOUNTED,
        "`PReLU`",
        (Conv(64, 3, act=PReLU()), (64, 56, 56)),
    ),
    Maxout: Kind(
        "the unit's own width; before it `pieces` times as many channels or features",
        SAME,
        "none; the unit has `pieces` times as many weights and biases",
        "`pieces` times those of the unit",
        "`unflatten`, then `amax`",
        (Conv(64, 3, act=Maxout(2)), (64, 56, 56)),
    ),
    Sigmoid: Kind(SAME, SAME, NONE, UNCOUNTED, "`Sigmoid`", (Conv(64, 3, act=Sigmoid()), (64, 56, 56))),
}


def page() -> str:
    """docs/layers.md."""
    lines = _head().splitlines()
    users = _users()
    for title, kinds in (
        ("Layers", LEAVES),
        ("Containers", CONTAINERS),
        ("Parts of convolutions and fully connected layers", PARTS),
    ):
        lines += [f"## {title}", ""]
        for kind in kinds:
            lines += _section(kind, KINDS[kind], users.get(kind, []))
    return "\n".join(lines)


def _head() -> str:
    entries = files("goingdeeper.published").joinpath("networks.toml").read_text("utf-8").split("\n\n")
    [entry] = [text for text in entries if f'\nid = "{ENTRY}"\n' in text]
    parts = {
        "OWN": OWN,
        "NETWORK": _record(Network),
        "HEADS": HEADS,
        "INITIAL": "\n\n".join(map(_record, (Initialisation, Start, Draw))),
        "ENTRY": f"{entry.strip()}\n",
    }
    return re.sub(r"^(OWN|NETWORK|HEADS|INITIAL|ENTRY)\b", lambda found: parts[found[0]], HEAD, flags=re.M)


def _record(kind: type) -> str:
    return f"`{kind.__name__}({_fields(kind)})`: {inspect.cleandoc(kind.__doc__ or '')}"


def _section(kind: type, about: Kind, users: list[str]) -> Iterator[str]:
    layer, given = about.example
    yield f"### {kind.__name__}"
    yield ""
    yield inspect.cleandoc(kind.__doc__ or "") if _documented(kind) else "Passes on what it is given."
    yield ""
    yield f"`{kind.__name__}({_fields(kind)})`"
    yield ""
    yield f"| | rule | `{layer_text(layer)}` |"
    yield "| --- | --- | --- |"
    rules = (about.shape, about.field, about.params, about.macs, about.module)
    numbers = (*_computed(layer, given, part=kind in PARTS), _modules(layer, given))
    for what, rule, number in zip(ROWS, rules, numbers, strict=True):
        yield f"| {what} | {rule} | {number} |"
    yield ""
    named = ", ".join(users[:MOST]) + (f" and {len(users) - MOST} more" if len(users) > MOST else "")
    yield f"In {named}." if users else "In no network of the catalogue."
    yield ""


def _computed(layer: Layer, given: tuple[int, int, int], *, part: bool) -> tuple[str, str, str, str]:
    """Shapes, receptive field, parameters and multiply-adds; of a part, those without it, too."""
    step, counts = measured(layer, given)
    shapes = f"{dims(given)} to {_dims(step.shape_out)}"
    field, params, macs = "x".join(map(str, step.field.size)), f"{counts.params:,}", f"{counts.macs:,}"
    if part and isinstance(layer, Conv):
        _, bare = measured(replace(layer, norm=None, act=None), given)
        params, macs = f"{params}, without it {bare.params:,}", f"{macs}, without it {bare.macs:,}"
    return shapes, field, params, macs


def measured(layer: Layer, given: tuple[int, int, int]) -> tuple[Step, Counts]:
    """The layer's step on the input alone, and what it costs with all that is in it."""
    steps = [step for step in trace(_around(layer, given)) if within(step.path, "example")]
    return steps[-1], total(steps)


def _around(layer: Layer, given: tuple[int, int, int]) -> Network:
    return Network("example", {"example": layer, "fc": Linear(CLASSES)}, input=given, classes=10)


def _modules(layer: Layer, given: tuple[int, int, int]) -> str:
    """The modules that it is built of, by name: `ConvUnit: conv Conv2d, act ReLU`."""
    with torch.device("meta"):
        module = Net(_around(layer, given)).get_submodule("example")
    parts = ", ".join(f"{name} {type(part).__name__}" for name, part in module.named_children())
    return f"{type(module).__name__}{f': {parts}' if parts else ''}"


def _dims(shape: Shape) -> str:
    return dims(shape) if len(shape) > 1 else f"a vector of {shape[0]:,}"


def _documented(kind: type) -> bool:
    return bool(kind.__doc__) and not str(kind.__doc__).startswith(f"{kind.__name__}(")


def _fields(kind: type) -> str:
    fields = inspect.signature(kind).parameters.values()
    return ", ".join(
        one.name if one.default is one.empty else f"{one.name}={layer_text(one.default)}" for one in fields
    )


def layer_text(value: object) -> str:
    """A record as one would write it: fields at their defaults are left out."""
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return f"{{{', '.join(f'{name!r}: {layer_text(inner)}' for name, inner in value)}}}"
    if not is_dataclass(value):
        return repr(value)
    given = []
    for one in inspect.signature(type(value)).parameters.values():
        own = getattr(value, one.name)
        if own != one.default:
            given.append(layer_text(own) if one.default is one.empty else f"{one.name}={layer_text(own)}")
    return f"{type(value).__name__}({', '.join(given)})"


def _users() -> dict[type, list[str]]:
    """The networks that have each kind, heads included, in the catalogue's order."""
    found: dict[type, list[str]] = {}
    for name in catalogue.names():
        kinds: set[type] = set()
        for step in trace(catalogue.network(name)):
            parts = (getattr(step.layer, "norm", None), getattr(step.layer, "act", None))
            kinds |= {type(one) for one in (step.layer, *parts) if one is not None}
        for kind in kinds:
            found.setdefault(kind, []).append(name)
    return found
