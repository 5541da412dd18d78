"""torchvision's names: `resnet18` to `resnet152`, `googlenet`, `inception_v3`, `vgg11` to `vgg19`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from goingdeeper import catalogue
from goingdeeper.layers import Conv, Linear, Network
from goingdeeper.names.naming import Naming, Place, Scale
from goingdeeper.trace import trace

IMAGENET = Scale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), shorter=256)


def resnet_places(network: Network) -> Mapping[str, Place]:
    """`conv2_1.conv1` is `layer1.0.conv1` with `layer1.0.bn1`; timm's are the same."""
    found: dict[str, Place] = {}
    for step in trace(network):
        if isinstance(step.layer, Conv | Linear):
            found[step.path] = _resnet_place(step.path)
    return found


def _resnet_place(path: str) -> Place:
    block, _, part = path.partition(".")
    if not part:
        return Place(block, "bn1")  # conv1, and fc, which has no norm
    stage, index = block.removeprefix("conv").split("_")
    place = f"layer{int(stage) - 1}.{int(index) - 1}"
    if part == "shortcut":
        return Place(f"{place}.downsample.0", f"{place}.downsample.1")
    return Place(f"{place}.{part}", f"{place}.bn{part.removeprefix('conv')}")


NAMINGS = tuple(
    Naming("torchvision", model, partial(catalogue.network, id), id, resnet_places, scale=IMAGENET)
    for model, id in (
        ("resnet18", "resnet-18-b"),
        ("resnet34", "resnet-34-b"),
        ("resnet50", "resnet-50-v1.5"),
        ("resnet101", "resnet-101-v1.5"),
        ("resnet152", "resnet-152-v1.5"),
    )
)
