"""A gradient above rounding reaches every parameter of every network.

A gradient is a sum over images and positions. Where its terms cancel, rounding leaves about 1e-16 of the sum
of their magnitudes; that sum is taken with the gradient, in double precision, and the two are compared.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import goingdeeper as gd
from goingdeeper import catalogue
from goingdeeper.nn.build import Net, build
from goingdeeper.trace import replace_classes, replace_input, trace

REACHED, ROUNDING = 1e-4, 1e-12


# Sides in pixels of those that cannot take the few that leave several values before the last pool.
SIDES = {
    "alexnet": 67, "fitnet": 32, "googlenet": 79, "googlenet-torchvision": 63, "highway-19-fc": 32,
    "inception": 299, "inception-v3-keras": 75, "prelu": 111, "resnet-50-signs": 64,
}  # fmt: skip


def side(id: str) -> int:
    longest = max((start for start in SIDES if id.startswith(start)), key=len, default="")
    return SIDES.get(longest, 16 if catalogue.network(id).input[1] == 32 else 33)


def heavy(id: str) -> bool:
    cost = gd.cost(id, (3, side(id), side(id)))
    return cost.macs > 1e8 or cost.params > 2e7 or len(trace(catalogue.network(id))) > 150


def shares(net: Net, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Each parameter's largest gradient, by the sum of the magnitudes of its terms."""
    terms: dict[str, torch.Tensor] = {}

    def watch(name: str, module: nn.Module) -> None:
        def see(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            typical = float(inputs[0].detach().abs().mean())

            def keep(gradient: torch.Tensor) -> None:
                by_channel = gradient.abs().transpose(0, 1).flatten(1).sum(1).max()
                scale = 1.0 if isinstance(module, nn.BatchNorm2d) else typical
                terms[f"{name}.weight"], terms[f"{name}.bias"] = scale * by_channel, by_channel

            output.register_hook(keep)

        module.register_forward_hook(see)

    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear | nn.PReLU):
            watch(name, module)
    torch.manual_seed(0)  # dropout
    logits, heads = net.train().tap(images, [f"heads.{name}" for name in dict(net.description.heads)])
    loss = F.cross_entropy(logits, labels)
    for head in heads.values():
        loss = loss + 0.3 * F.cross_entropy(head, labels)
    loss.backward()
    return {name: float(value.grad.abs().max() / terms[name]) for name, value in net.named_parameters()}


def biases_before_norms(net: Net) -> set[str]:
    """Batch norm takes the mean away and a bias with it, so nothing can reach these."""
    return {
        f"{name}.conv.bias"
        for name, unit in net.named_modules()
        if isinstance(getattr(unit, "conv", None), nn.Conv2d)
        and hasattr(unit, "norm")
        and unit.conv.bias is not None
    }


@pytest.mark.parametrize(
    "id",
    [pytest.param(id, marks=pytest.mark.slow) if heavy(id) else id for id in catalogue.names()],
)
def test_a_gradient_reaches_every_parameter(id, real_images):
    network = replace_classes(replace_input(catalogue.network(id), (3, side(id), side(id))), 10)
    net = build(network).double()
    # Not one image of each class: where all logits start alike, the last biases would have no gradient then.
    images, labels = real_images(4 if side(id) > 100 else 8, side(id))
    found = shares(net, images.double(), labels)
    excepted = biases_before_norms(net)
    assert len(excepted) == {"resnet-50-signs": 53, "bn-inception-caffe": 69}.get(id, 0)
    assert found.keys() == dict(net.named_parameters()).keys()
    unreached = {name for name, share in found.items() if not share > REACHED}
    assert unreached == excepted
    assert all(found[name] < ROUNDING for name in excepted)
