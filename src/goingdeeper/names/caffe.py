"""Caffe's names: the authors' ResNets and VGGs, BVLC's GoogLeNet and AlexNet, BN-Inception, and NIN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from string import ascii_lowercase

from goingdeeper import catalogue, edits
from goingdeeper.catalogue.resnet import BLOCKS
from goingdeeper.layers import LRN, AvgPool, Conv, Layer, Linear, MaxPool, Network
from goingdeeper.names.naming import Naming, Place, Scale
from goingdeeper.trace import trace

BYTE = (1 / 255, 1 / 255, 1 / 255)


def _less(red: float, green: float, blue: float, shorter: int | None = None) -> Scale:
    """Bytes minus a mean a channel, not divided."""
    return Scale((red / 255, green / 255, blue / 255), BYTE, shorter)


BVLC = _less(123, 117, 104)
VGG = _less(123.68, 116.779, 103.939, shorter=256)


def resnet(depth: int) -> Network:
    """The authors' definition: the stem's max pool is unpadded and rounds up; 50 keeps the stem's bias."""
    network = catalogue.network(f"resnet-{depth}")
    network = edits.replace_layer(network, "pool1", MaxPool(3, stride=2, padding=0, ceil=True))
    stem = dict(network.layers)["conv1"]
    if depth == 50 and isinstance(stem, Conv):
        network = edits.replace_layer(network, "conv1", replace(stem, bias=True))
    return edits.rename(network, f"resnet-{depth}-caffe")


def alexnet() -> Network:
    """BVLC's replication: local response normalisation with k = 1 and the sum divided by n."""

    def edit(layer: Layer) -> Layer:
        return LRN(size=5, alpha=1e-4, beta=0.75, k=1.0) if isinstance(layer, LRN) else layer

    return edits.rename(edits.rewrite(catalogue.network("alexnet"), edit), "alexnet-caffe")


def nin() -> Network:
    """The authors' model for Caffe: its second pool takes the mean."""
    pool = AvgPool(3, stride=2, padding=0, ceil=True)
    return edits.rename(
        edits.replace_layer(catalogue.network("nin-cifar10"), "pool2", pool), "nin-cifar10-caffe"
    )


def same_places(network: Network) -> Mapping[str, Place]:
    """Layers are called as ours."""
    return {path: Place(path) for path in _held(network)}


def resnet_places(network: Network) -> Mapping[str, Place]:
    """`conv3_2.conv1` is `res3b_branch2a`, `bn3b_branch2a` and `scale3b_branch2a`, the projection `branch1`.

    Blocks are a, b, c and so on, but a, b1, b2 and so on in the stages 3 and 4 of the deeper two.
    """
    found = {"conv1": Place("conv1", "bn_conv1", "scale_conv1"), "fc": Place("fc1000")}
    deeper = "conv4_7" in dict(network.layers)
    for path in _held(network):
        block, _, part = path.partition(".")
        if part:
            stage, number = block.removeprefix("conv").split("_")
            index = int(number) - 1
            letter = f"b{index}" if deeper and stage in "34" and index else ascii_lowercase[index]
            branch = "1" if part == "shortcut" else f"2{ascii_lowercase[int(part[-1]) - 1]}"
            unit = f"{stage}{letter}_branch{branch}"
            found[path] = Place(f"res{unit}", f"bn{unit}", f"scale{unit}")
    return found


MODULE = {
    "1x1": "1x1",
    "3x3.reduce": "3x3_reduce",
    "3x3.conv": "3x3",
    "5x5.reduce": "5x5_reduce",
    "5x5.conv": "5x5",
    "double3x3.reduce": "double_3x3_reduce",
    "double3x3.conv1": "double_3x3_1",
    "double3x3.conv2": "double_3x3_2",
    "pool.proj": "pool_proj",
}
STEM = {"conv1": "conv1/7x7_s2", "conv2.reduce": "conv2/3x3_reduce", "conv2.conv": "conv2/3x3"}
HEADS = {"heads.4a": "loss1", "heads.4d": "loss2"}
HEAD = {"conv": "conv", "fc1": "fc", "fc2": "classifier"}


def googlenet_places(network: Network) -> Mapping[str, Place]:
    """`3a.3x3.conv` is `inception_3a/3x3`; `heads.4a.fc2` is `loss1/classifier`."""
    found = {path: Place(name) for path, name in (_inception(network, "loss3/classifier")).items()}
    for path in _held(network):
        head, _, part = path.rpartition(".")
        if head in HEADS:
            found[path] = Place(f"{HEADS[head]}/{HEAD[part]}")
    return found


def bn_inception_places(classifier: str, network: Network) -> Mapping[str, Place]:
    """The same with `_bn` behind each: slope, bias, mean and variance in one layer, as in a fork of Caffe."""
    return {path: Place(name, f"{name}_bn") for path, name in _inception(network, classifier).items()}


def _inception(network: Network, classifier: str) -> dict[str, str]:
    found = STEM | {"fc": classifier}
    for path in _held(network):
        module, _, part = path.partition(".")
        if path not in found and part in MODULE:
            found[path] = f"inception_{module}/{MODULE[part]}"
    return found


def _held(network: Network) -> list[str]:
    return [step.path for step in trace(network) if isinstance(step.layer, Conv | Linear)]


LISTED = "key lists and shapes after the public definition"

NAMINGS = (
    Naming(
        "caffe", "bvlc_googlenet", partial(catalogue.network, "googlenet"), "googlenet", googlenet_places,
        "caffe", BVLC, bgr=True, optional=("heads.",),
        source=f"{LISTED} (BVLC/caffe, models/bvlc_googlenet); images were squashed to 256x256",
    ),
    *(
        Naming(
            "caffe", f"ResNet-{depth}", partial(resnet, depth), f"resnet-{depth}", resnet_places, "caffe",
            replace(BVLC, shorter=256), bgr=True,
            differs="the stem's max pool is unpadded and rounds up"
            + ("; conv1 keeps its bias" if depth == 50 else ""),
            source=f"{LISTED} (KaimingHe/deep-residual-networks); ResNet_mean.binaryproto, its mean image, "
            "is not at hand: the channel means are inferred",
        )
        for depth in BLOCKS if depth >= 50
    ),
    *(
        Naming(
            "caffe", f"VGG_ILSVRC_{depth}_layers", partial(catalogue.network, f"vgg-{depth}"), f"vgg-{depth}",
            same_places, "caffe", VGG, bgr=True, source=f"{LISTED} (the authors' gists)",
        )
        for depth in (16, 19)
    ),
    Naming(
        "caffe", "bvlc_alexnet", alexnet, "alexnet", same_places, "caffe", BVLC, bgr=True,
        differs="local response normalisation with k = 1 and alpha = 1e-4 / 5",
        source=f"{LISTED} (BVLC/caffe, models/bvlc_alexnet); the mean image's channel means; images were "
        "squashed to 256x256",
    ),
    *(
        Naming(
            "caffe", model, partial(catalogue.network, "bn-inception-caffe"), "bn-inception-caffe",
            partial(bn_inception_places, classifier), "caffe", BVLC, bgr=True, source=f"{LISTED} {source}",
        )
        for model, classifier, source in (
            ("BN-Inception", "fc", "(yjxiong's fork of Caffe); the classifier's name is inferred"),
            ("TSN BN-Inception", "fc-action", "(yjxiong/temporal-segment-networks, the RGB networks)"),
        )
    ),
    Naming(
        "caffe", "cifar10_nin", nin, "nin-cifar10", same_places, "caffe",
        differs="the second pool takes the mean",
        source=f"{LISTED} (the authors' gist); its input is whitened CIFAR-10, red first (inferred)",
    ),
)  # fmt: skip
