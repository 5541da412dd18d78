"""How another library calls a network's weights, as data: for each of our tensors its key, shape and form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from goingdeeper.layers import Conv, Linear, Network, PReLU, pair, pieces
from goingdeeper.shapes import Shape, width
from goingdeeper.trace import Step, trace

Form: TypeAlias = Literal["same", "hwio", "transposed", "hwc", "map", "reversed", "hwio reversed", "divided"]
"""How their tensor differs from ours.

same: not at all. hwio: a convolution as (height, width, in, out); ours is (out, in, height, width).
transposed: a fully connected layer as (in, out). hwc: the same, of a map flattened as (height, width,
channels). map: a fully connected layer as a convolution over the whole map, (out, channels, height, width).
reversed: the input channels are blue, green, red. hwio reversed: both. divided: theirs is divided
by the one number of the tensor `by`, which is written as 1.
"""

Dialect: TypeAlias = Literal["torch", "keras", "caffe"]
"""How a layer's name becomes the names of its tensors."""


@dataclass(frozen=True)
class Entry:
    """One tensor: our key, theirs, their shape, and the form in which they keep it.

    chw: for `hwc`, the (channels, height, width) of the map that was flattened.
    """

    ours: str
    theirs: str
    shape: tuple[int, ...]
    form: Form = "same"
    by: str = ""
    chw: Shape = ()


@dataclass(frozen=True)
class Place:
    """The layers that hold one unit's tensors: its convolution or fully connected layer, its batch norm.

    scale: where gamma and beta stand in a layer of their own, as in Caffe; else they are the norm's. act: its
    activation, where that has weights. convolved: a fully connected layer that is kept as a convolution over
    the whole map.
    """

    main: str
    norm: str = ""
    scale: str = ""
    act: str = ""
    convolved: bool = False


@dataclass(frozen=True)
class Scale:
    """The input that the weights were trained with, in our terms: RGB bytes / 255, minus mean, over std.

    shorter: side in pixels that images are resized to before the central crop; None for the input's own.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    shorter: int | None = None


@dataclass(frozen=True)
class Naming:
    """What one library calls one network.

    library: `torchvision`, `timm`, `keras`, `caffe`, `cifar`, `cadene` or, for our own keys, `goingdeeper`.
    model: its own name for the network. network: the description exactly as that library computes it.
    nearest: the id in our catalogue that it is, or that it differs from by what `differs` says. places: our
    units' addresses and their layers. bgr: the first convolution reads blue, green, red. optional: prefixes
    of our keys that a file may lack (auxiliary heads). beside: their keys, or patterns, that hold nothing of
    ours. source: where the names are from, and what they were checked against: a definition's logits, or
    lists of keys.
    """

    library: str
    model: str
    network: Callable[[], Network]
    nearest: str
    places: Callable[[Network], Mapping[str, Place]]
    dialect: Dialect = "torch"
    scale: Scale | None = None
    bgr: bool = False
    differs: str = ""
    optional: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    source: str = field(default="", compare=False)


def entries(naming: Naming, network: Network | None = None) -> list[Entry]:
    """Each tensor of the network, heads included, in the order of the description.

    network: the naming's own unless given: with another class count or input. `num_batches_tracked`, which
    counts batches and computes nothing, is among them only in the torch dialect.
    """
    network = naming.network() if network is None else network
    places = naming.places(network)
    first = True
    found: list[Entry] = []
    for step in units(network):
        assert isinstance(step.layer, Conv | Linear)
        found += _unit(step.path, step.layer, step.shape_in, network, places[step.path], naming, first)
        first = False
    return found


def units(network: Network) -> list[Step]:
    """The convolutions and fully connected layers, in order, those of heads last."""
    return [step for step in trace(network) if isinstance(step.layer, Conv | Linear)]


def _unit(
    path: str, layer: Conv | Linear, shape: Shape, network: Network, place: Place, naming: Naming, first: bool
) -> list[Entry]:
    outputs = width(layer.filters if isinstance(layer, Conv) else layer.features, network.classes)
    outputs *= pieces(layer)
    main = f"{path}.conv" if isinstance(layer, Conv) else path
    weight, bias = _main_keys(naming.dialect, place)
    if isinstance(layer, Conv):
        kernel = (outputs, shape[0] // layer.groups, *pair(layer.kernel))
        turned = naming.bgr and first
        if naming.dialect == "keras":
            form: Form = "hwio reversed" if turned else "hwio"
            made = Entry(f"{main}.weight", weight, (*kernel[2:], kernel[1], kernel[0]), form)
        else:
            made = Entry(f"{main}.weight", weight, kernel, "reversed" if turned else "same")
    else:
        inputs = math.prod(shape)
        if naming.dialect == "keras":
            spatial = len(shape) == 3 and math.prod(shape[1:]) > 1
            made = Entry(
                f"{main}.weight", weight, (inputs, outputs),
                "hwc" if spatial else "transposed", chw=shape if spatial else (),
            )  # fmt: skip
        elif place.convolved:
            made = Entry(f"{main}.weight", weight, (outputs, *(*shape, 1, 1)[:3]), "map")
        else:
            made = Entry(f"{main}.weight", weight, (outputs, inputs))
    found = [made]
    if layer.bias:
        found.append(Entry(f"{main}.bias", bias, (outputs,)))
    if isinstance(layer, Conv) and layer.norm:
        found += _norm(f"{path}.norm", outputs, layer.norm.scale, naming.dialect, place)
    if isinstance(layer.act, PReLU):
        slopes = 1 if layer.act.shared else outputs
        found.append(Entry(f"{path}.act.weight", f"{place.act}.weight", (slopes,)))
    return found


def _main_keys(dialect: Dialect, place: Place) -> tuple[str, str]:
    if dialect == "torch":
        return f"{place.main}.weight", f"{place.main}.bias"
    if dialect == "keras":
        return f"{place.main}/kernel", f"{place.main}/bias"
    return f"{place.main}[0]", f"{place.main}[1]"


def _norm(path: str, channels: int, gamma: bool, dialect: Dialect, place: Place) -> list[Entry]:
    by = ""
    if dialect == "torch":
        names = [f"{place.norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    elif dialect == "keras":
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        names = [f"{place.norm}/{part}" for part in parts]
    elif not place.scale:  # a fork's BN layer holds all four
        names = [f"{place.norm}[{blob}]" for blob in range(4)]
    else:
        by = f"{place.norm}[2]"
        names = [f"{place.scale}[0]", f"{place.scale}[1]", f"{place.norm}[0]", f"{place.norm}[1]"]
    form: Form = "divided" if by else "same"
    found = [
        *([Entry(f"{path}.weight", names[0], (channels,))] if gamma else []),
        Entry(f"{path}.bias", names[1], (channels,)),
        Entry(f"{path}.running_mean", names[2], (channels,), form, by),
        Entry(f"{path}.running_var", names[3], (channels,), form, by),
    ]
    if dialect == "torch":
        found.append(Entry(f"{path}.num_batches_tracked", f"{place.norm}.num_batches_tracked", ()))
    return found
