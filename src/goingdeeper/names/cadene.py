"""The names of Cadene/pretrained-models.pytorch for its ports from Caffe: `bninception`, `cafferesnet101`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from goingdeeper import catalogue, edits
from goingdeeper.layers import MaxPool, Network
from goingdeeper.names.naming import Naming, Place, Scale, units
from goingdeeper.names.torchvision import resnet_places

BRANCHES = {
    "1x1": "1x1",
    "3x3.reduce": "3x3_reduce",
    "3x3.conv": "3x3",
    "double3x3.reduce": "double_3x3_reduce",
    "double3x3.conv1": "double_3x3_1",
    "double3x3.conv2": "double_3x3_2",
    "pool.proj": "pool_proj",
}
STEM = {"conv1": "conv1_7x7_s2", "conv2.reduce": "conv2_3x3_reduce", "conv2.conv": "conv2_3x3"}


def bytes_minus(blue: float, green: float, red: float) -> Scale:
    """Caffe's scale, bytes minus a mean by channel, in our order and terms."""
    return Scale((red / 255, green / 255, blue / 255), (1 / 255, 1 / 255, 1 / 255), shorter=256)


def bn_inception_places(network: Network) -> Mapping[str, Place]:
    """`3a.double3x3.conv1` is `inception_3a_double_3x3_1` with `inception_3a_double_3x3_1_bn`."""
    return {step.path: _bn_inception_place(step.path) for step in units(network)}


def _bn_inception_place(path: str) -> Place:
    if path == "fc":
        return Place("last_linear")
    module, _, branch = path.partition(".")
    name = STEM.get(path) or f"inception_{module}_{BRANCHES[branch]}"
    return Place(name, f"{name}_bn")


def resnet_101() -> Network:
    """The authors' network as Caffe computes it: the stem's pool has no padding and rounds up."""
    pool = MaxPool(3, stride=2, padding=0, ceil=True)
    return edits.replace_layer(catalogue.network("resnet-101"), "pool1", pool)


def last_linear_places(network: Network) -> Mapping[str, Place]:
    """torchvision's, but for the classifier."""
    return {**resnet_places(network), "fc": Place("last_linear")}


PROVEN = "Cadene/pretrained-models.pytorch, 181b05d: logits of a definition written again from its own"

NAMINGS = (
    Naming(
        "cadene", "bninception", partial(catalogue.network, "bn-inception-caffe"), "bn-inception-caffe",
        bn_inception_places, scale=bytes_minus(104, 117, 128), bgr=True, source=PROVEN,
    ),
    Naming(
        "cadene", "cafferesnet101", resnet_101, "resnet-101",
        last_linear_places, scale=bytes_minus(102.9801, 115.9465, 122.7717), bgr=True,
        differs="the stem's max pool has no padding and rounds up", source=PROVEN,
    ),
)  # fmt: skip
