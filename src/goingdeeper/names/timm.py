"""timm's names: `resnet18` to `resnet152`, `inception_v3`, `vgg11` to `vgg19`; it has no others of ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from goingdeeper import catalogue
from goingdeeper.layers import Network
from goingdeeper.names.naming import Naming, Place, Scale
from goingdeeper.names.torchvision import (
    IMAGENET,
    MINUS_ONE_TO_ONE,
    feature_places,
    inception_v3_places,
    resnet_places,
)


def vgg_places(network: Network) -> Mapping[str, Place]:
    """torchvision's convolutions; the hidden fully connected layers are convolutions of 7x7 and 1x1."""
    return feature_places(network) | {
        "fc6": Place("pre_logits.fc1", convolved=True),
        "fc7": Place("pre_logits.fc2", convolved=True),
        "fc8": Place("head.fc"),
    }


PROVEN = "timm 1.0.31: logits of its own definition"

# The scale of timm's default weights; those of other tags (`tv_in1k`, ...) differ in size and mean.
NAMINGS = (
    *(
        Naming(
            "timm", model, partial(catalogue.network, id), id, resnet_places,
            scale=Scale(IMAGENET.mean, IMAGENET.std, shorter=235), source=PROVEN,
        )
        for model, id in (
            ("resnet18", "resnet-18-b"),
            ("resnet34", "resnet-34-b"),
            ("resnet50", "resnet-50-v1.5"),
            ("resnet101", "resnet-101-v1.5"),
            ("resnet152", "resnet-152-v1.5"),
        )
    ),
    Naming(
        "timm", "inception_v3", partial(catalogue.network, "inception-v3"), "inception-v3",
        inception_v3_places,
        scale=Scale(MINUS_ONE_TO_ONE.mean, MINUS_ONE_TO_ONE.std, shorter=341),
        optional=("heads.mixed6e.",), source=PROVEN,
    ),
    *(
        Naming(
            "timm", model, partial(catalogue.network, id), id, vgg_places, scale=IMAGENET, source=PROVEN,
        )
        for model, id in (
            ("vgg11", "vgg-11"), ("vgg13", "vgg-13"), ("vgg16", "vgg-16"), ("vgg19", "vgg-19"),
        )
    ),
)  # fmt: skip
