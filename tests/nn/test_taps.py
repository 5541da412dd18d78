"""Values by address, against what plain forward hooks see and against the rest of the network run by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from goingdeeper.errors import UsageError
from goingdeeper.nn.build import create_model
from goingdeeper.trace import addresses

SIZES = {"googlenet": 79, "resnet-18-a": 33, "resnet-50-v1.5": 32, "cifar-resnet-20-b": 16, "plain-18": 32}


def hooked(net, images, heads=()):
    """Every module's output, copied before anything can work on it in place."""
    seen = {}
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.detach().clone()}))
        for name, module in net.named_modules()
        if name in addresses(net.description)
    ]
    with torch.no_grad():
        logits = net.tap(images, heads)[0]
    for handle in handles:
        handle.remove()
    return logits, seen


@pytest.mark.parametrize("id", SIZES)
def test_every_address_gives_what_a_hook_sees(id):
    net = create_model(id, num_classes=5, size=SIZES[id]).eval()
    images = torch.randn(2, 3, SIZES[id], SIZES[id])
    logits, seen = hooked(net, images, [f"heads.{name}" for name in dict(net.description.heads)])
    with torch.no_grad():
        again, found = net.tap(images, seen)
        assert torch.equal(net(images), logits)
    assert torch.equal(again, logits)
    assert found.keys() == seen.keys()
    for address, value in found.items():
        assert torch.equal(value, seen[address]), address


def test_values_after_the_norm_are_from_before_the_relu():
    net = create_model("resnet-18-b", num_classes=3, size=32)
    images = torch.randn(2, 3, 32, 32)
    _, found = net.tap(images, ["conv1.conv", "conv1.norm", "conv1.act", "conv1"])
    convolved = F.conv2d(images, net.get_parameter("conv1.conv.weight"), stride=2, padding=3)
    torch.testing.assert_close(found["conv1.conv"], convolved)
    normed = F.batch_norm(convolved, None, None, training=True)
    torch.testing.assert_close(found["conv1.norm"], normed, rtol=1e-4, atol=1e-4)
    assert found["conv1.norm"].min() < -1
    assert torch.equal(found["conv1.act"], found["conv1.norm"].clamp(min=0))
    assert torch.equal(found["conv1"], found["conv1.act"])


def test_a_convolution_without_norm_is_tapped_before_its_relu():
    net = create_model("googlenet", num_classes=3, size=79).eval()
    images = torch.randn(1, 3, 79, 79)
    _, found = net.tap(images, ["3a.5x5.reduce.conv", "3a.5x5.reduce", "pool2"])
    weight, bias = (net.get_parameter(f"3a.5x5.reduce.conv.{part}") for part in ("weight", "bias"))
    by_hand = F.conv2d(found["pool2"], weight, bias)
    torch.testing.assert_close(found["3a.5x5.reduce.conv"], by_hand)
    assert found["3a.5x5.reduce.conv"].min() < 0 == found["3a.5x5.reduce"].min()


def test_heads_and_what_is_inside_them():
    net = create_model("googlenet", num_classes=3, size=79).eval()
    images = torch.randn(2, 3, 79, 79)
    _, found = net.tap(images, ["heads.4a", "heads.4a.conv.conv", "heads.4d.fc1", "4a", "4d"])
    assert found["heads.4a"].shape == (2, 3)
    assert "heads.4d" not in found
    for name in ("4a", "4d"):
        pooled = F.avg_pool2d(found[name], 5, 3)
        get = lambda address, name=name: net.get_parameter(f"heads.{name}.{address}")  # noqa: E731
        convolved = F.conv2d(pooled, get("conv.conv.weight"), get("conv.conv.bias"))
        hidden = F.linear(convolved.relu().flatten(1), get("fc1.weight"), get("fc1.bias")).relu()
        logits = F.linear(hidden, get("fc2.weight"), get("fc2.bias"))
        if name == "4a":
            torch.testing.assert_close(found["heads.4a.conv.conv"], convolved)
            torch.testing.assert_close(found["heads.4a"], logits)
        else:
            torch.testing.assert_close(found["heads.4d.fc1"], hidden)


@pytest.mark.parametrize(("id", "projects"), [("resnet-18-a", False), ("resnet-18-b", True)])
def test_a_shortcut_is_tapped_by_its_address(id, projects):
    net = create_model(id, num_classes=3, size=32).eval()
    _, found = net.tap(torch.randn(2, 3, 32, 32), ["conv2_2", "conv3_1.shortcut", "conv3_1.conv2", "conv3_1"])
    subsampled = found["conv2_2"][:, :, ::2, ::2]
    if projects:
        assert found["conv3_1.shortcut"].min() < 0  # projections have no ReLU
    else:
        assert torch.equal(found["conv3_1.shortcut"][:, :64], subsampled)
        assert not found["conv3_1.shortcut"][:, 64:].any()
    assert torch.equal(found["conv3_1"], (found["conv3_1.conv2"] + found["conv3_1.shortcut"]).relu())


@pytest.mark.parametrize(
    ("id", "address"),
    [("googlenet", "4b"), ("googlenet", "pool3"), ("resnet-18-a", "conv3_1"), ("cifar-resnet-20-b", "conv1")],
)
def test_gradients_flow_through_taps(id, address):
    """The logits' gradient at a tap is that of running the rest of the network from its value."""
    net = create_model(id, num_classes=3, size=SIZES[id]).eval()
    logits, found = net.tap(torch.randn(2, 3, SIZES[id], SIZES[id]), [address])
    (through,) = torch.autograd.grad(logits.square().sum(), found[address])
    value = found[address].detach().requires_grad_()
    names = [name for name, _ in net.description.layers]
    rest = value
    for name in names[names.index(address) + 1 :]:
        rest = net.get_submodule(name)(rest)
    (by_hand,) = torch.autograd.grad(rest.square().sum(), value)
    assert by_hand.abs().max() > 0
    torch.testing.assert_close(through, by_hand)


def test_a_loss_on_a_tap_reaches_only_what_is_before_it():
    net = create_model("resnet-18-a", num_classes=3, size=32)
    _, found = net.tap(torch.randn(2, 3, 32, 32), ["conv3_1.conv1.norm"])
    found["conv3_1.conv1.norm"].square().sum().backward()
    reached = {name for name, value in net.named_parameters() if value.grad is not None}
    expected = {name for name in dict(net.named_parameters()) if name < "conv3_1.conv2"}
    assert reached == expected


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("3a.5x5.reduc", "did you mean 3a.5x5.reduce"),
        ("heads.4b", "did you mean heads.4"),
        ("heads", "heads.4"),
        ("", "unknown address in googlenet"),
        ("conv9", "did you mean conv"),
        ("3a.5x5.reduce.conv.weight", "did you mean 3a.5x5.reduce"),
    ],
)
def test_an_unknown_address_suggests_close_ones(address, hint):
    net = create_model("googlenet", num_classes=3, size=79)
    with pytest.raises(UsageError, match=f"unknown address in googlenet: '{address}'.*{hint}|{hint}"):
        net.tap(torch.zeros(1, 3, 79, 79), ["3a", address])


def test_no_address_no_taps():
    net = create_model("cifar-resnet-20-a", num_classes=3, size=8)
    assert net.tap(torch.zeros(2, 3, 8, 8), [])[1] == {}
