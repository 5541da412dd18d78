"""The hand-sign ResNet-50 of the deep-learning course's exercise, as the blog post has it."""

from __future__ import annotations

from goingdeeper import edits
from goingdeeper.catalogue.resnet import resnet
from goingdeeper.layers import AvgPool, Conv, Draw, Initialisation, Layer, MaxPool, Network

GLOROT = Draw("uniform", 1.0, "average")


def resnet_50_signs() -> Network:
    """ResNet-50 on 64x64 images: biases kept, stem pool unpadded, 2x2 average pool at the end."""

    def with_bias(layer: Layer) -> Layer:
        return Conv(**{**vars(layer), "bias": True}) if isinstance(layer, Conv) else layer

    network = edits.rewrite(resnet(50, "b"), with_bias)
    network = edits.replace_layer(network, "pool1", MaxPool(3, stride=2, padding=0))
    network = edits.replace_layer(network, "pool5", AvgPool(2, stride=2, padding=0))
    return Network(
        "resnet-50-signs",
        network.layers,
        input=(3, 64, 64),
        classes=6,
        init=Initialisation(conv=GLOROT, linear=GLOROT),
    )


NETWORKS = {"resnet-50-signs": resnet_50_signs}
