"""Keras' names: `keras.applications`' InceptionV3, ResNet50, ResNet101, ResNet152, VGG16 and VGG19."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from goingdeeper import catalogue, edits
from goingdeeper.catalogue.resnet import BLOCKS
from goingdeeper.layers import (
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Identity,
    Layer,
    Linear,
    Named,
    Network,
    Residual,
    children,
)
from goingdeeper.names.naming import Naming, Place, Scale
from goingdeeper.trace import trace

# mode="tf": bytes / 127.5 - 1. mode="caffe": blue, green, red, from 0 to 255, minus ImageNet's means.
TF = Scale((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CAFFE = Scale((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))

SOURCE = "keras.applications of Keras 3.15, with random weights, in the tests"
RESNET_DIFFERS = "convolutions keep biases in front of batch norm; its epsilon is 1.001e-5"


def resnet(depth: int) -> Network:
    """ResNet v1 as Keras has it: the stride is on the first 1x1, as published.

    Its explicit zeros in front of the max pool are our padding: what comes in is never negative.
    """

    def edit(layer: Layer) -> Layer:
        return replace(layer, bias=True, norm=BatchNorm(eps=1.001e-5)) if isinstance(layer, Conv) else layer

    return edits.rename(edits.rewrite(catalogue.network(f"resnet-{depth}"), edit), f"resnet-{depth}-keras")


def resnet_places(network: Network) -> Mapping[str, Place]:
    """`conv2_1.conv1` is `conv2_block1_1_conv` with `conv2_block1_1_bn`; number 0 is the projection."""
    found = {"conv1": Place("conv1_conv", "conv1_bn"), "fc": Place("predictions")}
    for path in _held(network):
        block, _, part = path.partition(".")
        if part:
            stage, index = block.split("_")
            number = "0" if part == "shortcut" else part.removeprefix("conv")
            unit = f"{stage}_block{index}_{number}"
            found[path] = Place(f"{unit}_conv", f"{unit}_bn")
    return found


def vgg_places(network: Network) -> Mapping[str, Place]:
    found = {"fc6": Place("fc1"), "fc7": Place("fc2"), "fc8": Place("predictions")}
    for path in _held(network):
        if path.startswith("conv"):
            group, index = path.removeprefix("conv").split("_")
            found[path] = Place(f"block{group}_conv{index}")
    return found


def inception_places(network: Network) -> Mapping[str, Place]:
    """`conv2d`, `conv2d_1` and so on as the layers are made, which is our order, too."""
    convolutions = [path for path in _held(network) if path != "fc"]
    found = {
        path: Place(numbered("conv2d", index), numbered("batch_normalization", index))
        for index, path in enumerate(convolutions)
    }
    return found | {"fc": Place("predictions")}


def by_position(network: Network) -> Mapping[str, Place]:
    """The groups of a `.weights.h5` file without names: counted by kind in the order of `layer_order`."""
    places: dict[str, Place] = {}
    kinds: dict[str, str] = {}
    for step in trace(network):
        if isinstance(step.layer, Conv | Linear):
            place = Place(f"{step.path} main", f"{step.path} norm")
            places[step.path] = place
            kinds[place.main] = "conv2d" if isinstance(step.layer, Conv) else "dense"
            kinds[place.norm] = "batch_normalization"
    counts = Counter[str]()
    groups: dict[str, str] = {}
    for name in layer_order(network, places):
        groups[name] = f"layers/{numbered(kinds[name], counts[kinds[name]])}"
        counts[kinds[name]] += 1
    return {path: Place(groups[place.main], groups.get(place.norm, "")) for path, place in places.items()}


def numbered(kind: str, index: int) -> str:
    return f"{kind}_{index}" if index else kind


def layer_order(network: Network, places: Mapping[str, Place]) -> list[str]:
    """The layers that hold weights in the order in which Keras lists, writes and reads them.

    The order is by distance from the output, farthest first, and then as met on the way back from there. A
    weights file is read by it alone, whatever the names in it.
    """
    nodes: list[tuple[str, tuple[int, ...]]] = [("", ())]
    _walk(network.layers, "", 0, places, nodes)
    distance = [0] * len(nodes)
    for index in range(len(nodes) - 1, -1, -1):
        for source in nodes[index][1]:
            distance[source] = max(distance[source], distance[index] + 1)
    met: dict[int, int] = {}
    waiting = [len(nodes) - 1]
    while waiting:
        index = waiting.pop()
        if index not in met:
            met[index] = len(met)
            waiting += reversed(nodes[index][1])
    order = sorted(met, key=lambda index: (-distance[index], met[index]))
    return [nodes[index][0] for index in order if nodes[index][0]]


def _walk(
    layers: Named,
    above: str,
    last: int,
    places: Mapping[str, Place],
    nodes: list[tuple[str, tuple[int, ...]]],
) -> int:
    """Adds the layers of Keras' graph, each with the indices of those it reads; the index of the last one."""

    def add(name: str, *sources: int) -> int:
        nodes.append((name, sources))
        return len(nodes) - 1

    for name, layer in layers:
        path = f"{above}{name}"
        match layer:
            case Chain():
                last = _walk(children(layer), f"{path}.", last, places, nodes)
            case Concat():
                ends = [_walk((one,), f"{path}.", last, places, nodes) for one in children(layer)]
                last = add("", *ends)
            case Residual():
                shortcut = _walk((("shortcut", layer.shortcut),), f"{path}.", last, places, nodes)
                body = _walk(layer.body, f"{path}.", last, places, nodes)
                last = add("", add("", shortcut, body))
            case Conv():
                last = add(places[path].main, last)
                if layer.norm:
                    last = add(places[path].norm, last)
                    last = add("", last) if layer.act else last
            case Linear():
                last = add(places[path].main, last)
            case Identity():
                pass
            case _:
                last = add("", last)
    return last


def _held(network: Network) -> list[str]:
    """Addresses of what holds weights."""
    return [step.path for step in trace(network) if isinstance(step.layer, Conv | Linear)]


def _namings() -> tuple[Naming, ...]:
    inception = Naming(
        "keras", "InceptionV3", partial(catalogue.network, "inception-v3-keras"), "inception-v3-keras",
        inception_places, "keras", TF, source=SOURCE,
    )  # fmt: skip
    resnets = [
        Naming(
            "keras", f"ResNet{depth}", partial(resnet, depth), f"resnet-{depth}", resnet_places, "keras",
            CAFFE, bgr=True, differs=RESNET_DIFFERS, source=SOURCE,
        )
        for depth in BLOCKS if depth >= 50
    ]  # fmt: skip
    vggs = [
        Naming(
            "keras", f"VGG{depth}", partial(catalogue.network, f"vgg-{depth}"), f"vgg-{depth}", vgg_places,
            "keras", CAFFE, bgr=True, source=SOURCE,
        )
        for depth in (16, 19)
    ]  # fmt: skip
    named = [inception, *resnets, *vggs]
    return (*named, *(replace(one, model=f"{one.model}, by position", places=by_position) for one in named))


NAMINGS = _namings()
