"""The names of akamaster/pytorch_resnet_cifar10, the well-known CIFAR residual networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from goingdeeper import catalogue, edits
from goingdeeper.layers import Layer, Network, ZeroPad
from goingdeeper.names.naming import Naming, Place, Scale
from goingdeeper.names.torchvision import IMAGENET, resnet_places

DEPTHS = (20, 32, 44, 56, 110, 1202)


def symmetric(id: str) -> Network:
    """A network of option A with half of the missing channels on either side of the real ones."""

    def edit(layer: Layer) -> Layer:
        return replace(layer, side="both") if isinstance(layer, ZeroPad) else layer

    return edits.rewrite(catalogue.network(id), edit)


def places(network: Network) -> Mapping[str, Place]:
    """torchvision's below the `module.` of the wrapper they were saved from; the classifier is `linear`."""
    return {
        path: Place("module.linear")
        if path == "fc"
        else Place(f"module.{place.main}", f"module.{place.norm}")
        for path, place in resnet_places(network).items()
    }


NAMINGS = tuple(
    Naming(
        "cifar", f"resnet{depth}", partial(symmetric, f"cifar-resnet-{depth}-a"), f"cifar-resnet-{depth}-a",
        places, scale=Scale(IMAGENET.mean, IMAGENET.std),
        differs="option A with half of the zeros before the channels and half after",
        source="akamaster/pytorch_resnet_cifar10, 4e4f8da: logits of a definition written again from its own",
    )
    for depth in DEPTHS
)  # fmt: skip
