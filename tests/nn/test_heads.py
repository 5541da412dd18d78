"""Heads on layers within blocks and on parts of units: keys, values, gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from goingdeeper.layers import (
    CLASSES,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    GlobalAvgPool,
    Linear,
    Maxout,
    Network,
)
from goingdeeper.nn.build import build
from goingdeeper.training.objective import Objective

LAYERS = {
    "conv1": Conv(6, 3, bias=True),
    "conv2": Conv(4, 3, norm=BatchNorm(), act=Maxout(2)),
    "3a": Concat({"1x1": Conv(3, 1), "3x3": {"reduce": Conv(2, 1), "conv": Conv(5, 3)}}),
    "pool": GlobalAvgPool(),
    "fc": Linear(CLASSES),
}
HEADS = {
    "conv1.conv": Linear(CLASSES),
    "conv2.norm": Chain({"pool": AvgPool(2, 2, 0), "conv": Conv(3, 1), "fc": Linear(CLASSES)}),
    "conv2.act": Linear(CLASSES),
    "3a.3x3.reduce": Linear(CLASSES),
    "3a.3x3.conv.act": Linear(CLASSES),
    "pool": Linear(CLASSES),
}
NETWORK = Network("headed", LAYERS, HEADS, (3, 6, 6), 4)


def test_keys_are_heads_then_the_address_then_the_layer():
    keys = {key for key in build(NETWORK).state_dict() if key.startswith("heads.")}
    whole = ["conv1.conv", "conv2.norm.fc", "conv2.act", "3a.3x3.reduce", "3a.3x3.conv.act", "pool"]
    expected = {f"heads.{address}.{part}" for address in whole for part in ("weight", "bias")}
    assert keys == expected | {"heads.conv2.norm.conv.conv.weight"}


def test_a_head_within_an_inner_layer_has_the_key_of_its_layer():
    """A convolution as a head's layer adds its own level: `heads.conv1.conv.conv.weight` and no more."""
    heads = {"conv1": {"conv": Conv(CLASSES, 1, act=None), "pool": GlobalAvgPool()}}
    net = build(Network("one", LAYERS, heads, (3, 6, 6), 4))
    assert "heads.conv1.conv.conv.weight" in net.state_dict()
    assert net.tap(torch.zeros(2, 3, 6, 6), ["heads.conv1"])[1]["heads.conv1"].shape[:2] == (2, 4)


@pytest.mark.parametrize("training", [True, False])
def test_a_head_reads_what_its_address_gives(training):
    net = build(NETWORK).train(training)
    images = torch.randn(5, 3, 6, 6)
    _, found = net.tap(images, [*HEADS, *(f"heads.{address}" for address in HEADS)])
    for address in HEADS:
        if address != "conv2.norm":
            weight, bias = (net.get_parameter(f"heads.{address}.{part}") for part in ("weight", "bias"))
            expected = F.linear(found[address].flatten(1), weight, bias)
            torch.testing.assert_close(found[f"heads.{address}"], expected)
    x = F.conv2d(F.avg_pool2d(found["conv2.norm"], 2), net.get_parameter("heads.conv2.norm.conv.conv.weight"))
    weight, bias = (net.get_parameter(f"heads.conv2.norm.fc.{part}") for part in ("weight", "bias"))
    torch.testing.assert_close(found["heads.conv2.norm"], F.linear(x.relu().flatten(1), weight, bias))


def test_what_a_part_gives_is_from_before_the_relu_that_works_in_place():
    net = build(NETWORK).eval()
    images = torch.randn(5, 3, 6, 6)
    logits, found = net.tap(images, ["conv1.conv", "heads.conv1.conv", "conv1"])
    weight, bias = (net.get_parameter(f"conv1.conv.{part}") for part in ("weight", "bias"))
    convolved = F.conv2d(images, weight, bias, padding=1)
    torch.testing.assert_close(found["conv1.conv"], convolved)
    assert convolved.min() < 0
    assert torch.equal(found["conv1"], found["conv1.conv"].relu())
    assert torch.equal(logits, net(images))


def test_a_head_on_a_part_sends_its_gradient_through_that_part():
    """And through nothing behind it: where the unit gives zero, the head still learns."""
    net = build(NETWORK)
    with torch.no_grad():
        net.get_parameter("conv1.conv.bias").fill_(-100)  # the ReLU lets nothing pass
    images = torch.randn(5, 3, 6, 6)
    head = net.tap(images, ["heads.conv1.conv"])[1]["heads.conv1.conv"]
    weights = torch.randn_like(head)
    (head * weights).sum().backward()
    reached = {name for name, value in net.named_parameters() if value.grad is not None}
    assert reached == {
        "conv1.conv.weight", "conv1.conv.bias", "heads.conv1.conv.weight", "heads.conv1.conv.bias"
    }  # fmt: skip
    passed = (weights @ net.get_parameter("heads.conv1.conv.weight")).reshape(5, 6, 6, 6).detach()
    by_hand = torch.nn.grad.conv2d_weight(images, (6, 3, 3, 3), passed, padding=1)
    torch.testing.assert_close(net.get_parameter("conv1.conv.weight").grad, by_hand, rtol=1e-4, atol=1e-4)


def test_the_objective_adds_every_head():
    """main + 0.3 of each, and each loss is that of the head's own logits."""
    net = build(NETWORK).train()
    images, labels = torch.randn(5, 3, 6, 6), torch.tensor([0, 1, 2, 3, 0])
    loss = Objective(net)(images, labels)
    logits, found = net.tap(images, [f"heads.{address}" for address in HEADS])
    sides = {address: F.cross_entropy(found[f"heads.{address}"], labels) for address in HEADS}
    torch.testing.assert_close(loss.total, F.cross_entropy(logits, labels) + 0.3 * sum(sides.values()))
    assert loss.parts.keys() == {"main", *HEADS}
    for address, side in sides.items():
        torch.testing.assert_close(loss.parts[address], side.detach())


def test_heads_are_off_in_a_plain_pass():
    net = build(NETWORK)
    net(torch.randn(5, 3, 6, 6)).sum().backward()
    assert all(value.grad is None for name, value in net.named_parameters() if name.startswith("heads."))
    assert all(
        value.grad is not None for name, value in net.named_parameters() if not name.startswith("heads.")
    )
