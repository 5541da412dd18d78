"""torchvision's names: `resnet18` to `resnet152`, `googlenet`, `inception_v3`, `vgg11` to `vgg19`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from goingdeeper import catalogue
from goingdeeper.layers import Conv, Layer, MaxPool, Network
from goingdeeper.names.naming import Naming, Place, Scale, units

IMAGENET = Scale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), shorter=256)

# Their `transform_input` turns ImageNet's scale into that of the TensorFlow graph, [-1, 1].
MINUS_ONE_TO_ONE = Scale((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), shorter=256)


def resnet_places(network: Network) -> Mapping[str, Place]:
    """`conv2_1.conv1` is `layer1.0.conv1` with `layer1.0.bn1`; timm's are the same."""
    return {step.path: _resnet_place(step.path) for step in units(network)}


def _resnet_place(path: str) -> Place:
    block, _, part = path.partition(".")
    if not part:
        return Place(block, "bn1")  # conv1, and fc, which has no norm
    stage, index = block.removeprefix("conv").split("_")
    place = f"layer{int(stage) - 1}.{int(index) - 1}"
    if part == "shortcut":
        return Place(f"{place}.downsample.0", f"{place}.downsample.1")
    return Place(f"{place}.{part}", f"{place}.bn{part.removeprefix('conv')}")


GOOGLENET = {
    "conv2.reduce": "conv2",
    "conv2.conv": "conv3",
    "1x1": "branch1",
    "3x3.reduce": "branch2.0",
    "3x3.conv": "branch2.1",
    "5x5.reduce": "branch3.0",
    "5x5.conv": "branch3.1",
    "pool.proj": "branch4.1",
    "heads.4a": "aux1",
    "heads.4d": "aux2",
}

INCEPTION_V3 = {
    "conv1a": "Conv2d_1a_3x3",
    "conv2a": "Conv2d_2a_3x3",
    "conv2b": "Conv2d_2b_3x3",
    "conv3b": "Conv2d_3b_1x1",
    "conv4a": "Conv2d_4a_3x3",
    "heads.mixed6e.conv1": "AuxLogits.conv0",
    "heads.mixed6e.conv2": "AuxLogits.conv1",
    "heads.mixed6e.fc": "AuxLogits.fc",
    "1x1": "branch1x1",
    "pool.proj": "branch_pool",
}
DOUBLE_3X3 = {
    "double3x3.reduce": "branch3x3dbl_1",
    "double3x3.conv1": "branch3x3dbl_2",
    "double3x3.conv2": "branch3x3dbl_3",
}
# By the letters of our modules, of which those of one kind have the same branches.
INCEPTION_V3_BRANCHES = {
    ("5b", "5c", "5d"): {"5x5.reduce": "branch5x5_1", "5x5.conv": "branch5x5_2", **DOUBLE_3X3},
    ("6a",): {"3x3": "branch3x3", **DOUBLE_3X3},
    ("6b", "6c", "6d", "6e"): {
        "7x7.reduce": "branch7x7_1",
        "7x7.1x7": "branch7x7_2",
        "7x7.7x1": "branch7x7_3",
        "double7x7.reduce": "branch7x7dbl_1",
        "double7x7.7x1_1": "branch7x7dbl_2",
        "double7x7.1x7_1": "branch7x7dbl_3",
        "double7x7.7x1_2": "branch7x7dbl_4",
        "double7x7.1x7_2": "branch7x7dbl_5",
    },
    ("7a",): {
        "3x3.reduce": "branch3x3_1",
        "3x3.conv": "branch3x3_2",
        "7x7.reduce": "branch7x7x3_1",
        "7x7.1x7": "branch7x7x3_2",
        "7x7.7x1": "branch7x7x3_3",
        "7x7.conv": "branch7x7x3_4",
    },
    ("7b", "7c"): {
        "3x3.reduce": "branch3x3_1",
        "3x3.fork.1x3": "branch3x3_2a",
        "3x3.fork.3x1": "branch3x3_2b",
        "double3x3.reduce": "branch3x3dbl_1",
        "double3x3.conv": "branch3x3dbl_2",
        "double3x3.fork.1x3": "branch3x3dbl_3a",
        "double3x3.fork.3x1": "branch3x3dbl_3b",
    },
}


def googlenet_places(network: Network) -> Mapping[str, Place]:
    """`3a.5x5.conv` is `inception3a.branch3.1.conv` with `inception3a.branch3.1.bn`."""
    return {step.path: _inner(step.layer, _googlenet_name(step.path)) for step in units(network)}


def _googlenet_name(path: str) -> str:
    if path.startswith("heads."):
        head, part = path.rsplit(".", 1)
        return f"{GOOGLENET[head]}.{part}"
    module, _, branch = path.partition(".")
    if branch in GOOGLENET:
        return f"inception{module}.{GOOGLENET[branch]}"
    return GOOGLENET.get(path, path)


def inception_v3_places(network: Network) -> Mapping[str, Place]:
    """`mixed7b.3x3.fork.1x3` is `Mixed_7b.branch3x3_2a.conv` with `Mixed_7b.branch3x3_2a.bn`."""
    return {step.path: _inner(step.layer, _inception_v3_name(step.path)) for step in units(network)}


def _inception_v3_name(path: str) -> str:
    if not path.startswith("mixed"):
        return INCEPTION_V3.get(path, path)
    module, _, branch = path.removeprefix("mixed").partition(".")
    (special,) = (found for modules, found in INCEPTION_V3_BRANCHES.items() if module in modules)
    return f"Mixed_{module}.{(INCEPTION_V3 | special)[branch]}"


def _inner(layer: Layer, name: str) -> Place:
    """Convolutions with their batch norm are modules of two parts; fully connected layers are not."""
    return Place(f"{name}.conv", f"{name}.bn") if isinstance(layer, Conv) else Place(name)


def vgg_places(network: Network) -> Mapping[str, Place]:
    """`conv1_1` is `features.0`: positions count convolutions, their ReLUs and pools."""
    return feature_places(network) | {
        "fc6": Place("classifier.0"),
        "fc7": Place("classifier.3"),
        "fc8": Place("classifier.6"),
    }


def feature_places(network: Network) -> dict[str, Place]:
    """Of VGG's convolutions, which timm keeps by the same names."""
    found, position = {}, 0
    for name, layer in network.layers:
        if isinstance(layer, Conv):
            found[name] = Place(f"features.{position}")
        position += {Conv: 2, MaxPool: 1}.get(type(layer), 0)
    return found


PROVEN = "torchvision 0.28: logits of its own definition"

NAMINGS = (
    *(
        Naming(
            "torchvision", model, partial(catalogue.network, id), id, resnet_places,
            scale=IMAGENET, source=PROVEN,
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
        "torchvision", "googlenet", partial(catalogue.network, "googlenet-torchvision"),
        "googlenet-torchvision", googlenet_places,
        scale=MINUS_ONE_TO_ONE, optional=("heads.4a.", "heads.4d."), source=PROVEN,
    ),
    Naming(
        "torchvision", "inception_v3", partial(catalogue.network, "inception-v3"), "inception-v3",
        inception_v3_places,
        scale=Scale(MINUS_ONE_TO_ONE.mean, MINUS_ONE_TO_ONE.std, shorter=342),
        optional=("heads.mixed6e.",), source=PROVEN,
    ),
    *(
        Naming(
            "torchvision", model, partial(catalogue.network, id), id, vgg_places,
            scale=IMAGENET, source=PROVEN,
        )
        for model, id in (
            ("vgg11", "vgg-11"), ("vgg13", "vgg-13"), ("vgg16", "vgg-16"), ("vgg19", "vgg-19"),
        )
    ),
)  # fmt: skip
