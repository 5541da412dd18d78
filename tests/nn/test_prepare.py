"""What a recipe asks of a network: refusals, the decay of running statistics, stochastic depth."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Identity, Linear, Network, Residual
from goingdeeper.nn.build import build, create_model
from goingdeeper.nn.prepare import prepare

BLOCKS, RATE = 4, 0.8
NETWORK = Network(
    "four",
    {
        **{
            f"b{number}": Residual({"conv": Conv(3, 1, act=None)}, Identity(), act=None)
            for number in range(1, BLOCKS + 1)
        },
        "pool": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    },
    heads={"b2": {"block": Residual({"conv": Conv(3, 1)}, Identity()), "fc": Linear(CLASSES)}},
    input=(3, 2, 2),
    classes=3,
)


@pytest.mark.parametrize(
    ("id", "settings", "said"),
    [
        ("nin-cifar10", {"norm_batch": 64}, "norm_batch=64: nin-cifar10 has no batch norm; leave it out"),
        ("nin-cifar10", {"norm_decay": 0.99}, "norm_decay=0.99: nin-cifar10 has no batch norm"),
        ("nin-cifar10", {"population": True}, "population=True: nin-cifar10 has no batch norm"),
        (
            "nin-cifar10",
            {"recompute": 2},
            "recompute=2: nin-cifar10 has no residual, Concat or highway blocks",
        ),
        ("googlenet", {"stochastic_depth": 0.5}, "stochastic_depth=0.5: googlenet has no residual blocks"),
        ("cifar-resnet-20-a", {"norm_batch": 1}, "norm_batch=1: statistics need 2 images or more; 0 takes"),
        ("cifar-resnet-20-a", {"norm_batch": -2}, "norm_batch=-2: "),
        ("cifar-resnet-20-a", {"norm_decay": 1.0}, "norm_decay=1.0: from 0 to less than 1"),
        ("cifar-resnet-20-a", {"recompute": -1}, "recompute=-1: 1 block or more"),
        ("cifar-resnet-20-a", {"stochastic_depth": 1.0}, "stochastic_depth=1.0: from 0 to less than 1"),
        ("cifar-resnet-20-a", {"stochastic_depth": -0.1}, "stochastic_depth=-0.1: "),
    ],
)
def test_what_makes_no_sense_is_refused(id, settings, said):
    net = create_model(id, num_classes=3, size=79 if id == "googlenet" else 32)
    with pytest.raises(UsageError) as refused:
        prepare(net, **settings)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_nothing_asked_changes_nothing():
    net = create_model("nin-cifar10", size=32, num_classes=3)
    prepare(net)
    net = create_model("cifar-resnet-20-a", num_classes=3)
    prepare(net)
    assert {type(module) for module in net.modules() if isinstance(module, nn.BatchNorm2d)} == {
        nn.BatchNorm2d
    }


def test_the_decay_is_one_minus_torchs_momentum():
    """Inception's 0.9997 (reference: TensorFlow-Slim's batch norm decay)."""
    net = create_model("cifar-resnet-20-a", num_classes=3).train()
    prepare(net, norm_decay=0.9997)
    conv1 = net.get_submodule("conv1.conv")
    images = torch.randn(8, 3, 32, 32)
    net(images)
    mean = conv1(images).mean((0, 2, 3))
    torch.testing.assert_close(net.get_buffer("conv1.norm.running_mean"), 0.0003 * mean)


def branches(net, images):
    """What each block added to its shortcut, by what its body gave, image by image."""
    addresses = [f"b{n}{part}" for n in range(1, BLOCKS + 1) for part in ("", ".conv", ".shortcut")]
    found = net.tap(images, addresses)[1]
    return [
        ((found[f"b{n}"] - found[f"b{n}.shortcut"]) / found[f"b{n}.conv"]).detach().flatten(1)
        for n in range(1, BLOCKS + 1)
    ]


def test_bodies_are_left_out_in_proportion_to_depth_and_made_up_for():
    """Block i of L with probability i/L of the rate: Huang et al. 2016, equation 4."""
    net = build(NETWORK).double().train()
    prepare(net, stochastic_depth=RATE)
    torch.manual_seed(0)
    images = 5000
    dropped = []
    for number, ratio in enumerate(branches(net, torch.randn(images, 3, 2, 2).double()), 1):
        chance = RATE * number / BLOCKS
        left_out = ratio.abs().amax(1) < 1e-6
        made_up = (ratio - 1 / (1 - chance)).abs().amax(1) < 1e-6
        assert bool((left_out ^ made_up).all())  # all of an image or nothing
        spread = (chance * (1 - chance) / images) ** 0.5
        assert abs(float(left_out.double().mean()) - chance) < 4 * spread
        dropped.append(left_out.double())
    for one, next_one in pairwise(dropped):
        assert abs(float(torch.corrcoef(torch.stack([one, next_one]))[0, 1])) < 4 / images**0.5


def test_evaluation_leaves_nothing_out():
    net = build(NETWORK).double().eval()
    prepare(net, stochastic_depth=RATE)
    for ratio in branches(net, torch.randn(50, 3, 2, 2).double()):
        torch.testing.assert_close(ratio, torch.ones_like(ratio))


def test_blocks_of_heads_are_never_left_out():
    net = build(NETWORK).train()
    prepare(net, stochastic_depth=RATE)
    torch.manual_seed(0)
    found = net.tap(torch.randn(200, 3, 2, 2), ["b2", "heads.b2.block.conv", "heads.b2.block"])[1]
    torch.testing.assert_close(
        found["heads.b2.block"], (found["b2"] + found["heads.b2.block.conv"]).relu(), rtol=0, atol=0
    )


def test_torchs_global_generator_decides():
    net = build(NETWORK).train()
    prepare(net, stochastic_depth=RATE)
    images = torch.randn(20, 3, 2, 2)
    passes = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        passes.append(net(images))
    assert torch.equal(passes[0], passes[1])
    assert not torch.equal(passes[0], passes[2])
