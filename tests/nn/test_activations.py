"""Maxout, PReLU, sigmoid, gates and unscaled dropout against the formulas of their papers, in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Layer,
    Linear,
    Maxout,
    Network,
    PReLU,
    Sigmoid,
)
from goingdeeper.nn.build import Net, build

FORMATS = [torch.contiguous_format, torch.channels_last]


def net_of(layer: Layer, input: tuple[int, int, int], **given: Layer) -> Net:
    return build(Network("one", {**given, "it": layer, "fc": Linear(CLASSES)}, input=input, classes=2))


def neighbours(x: np.ndarray, pieces: int) -> np.ndarray:
    """Channel j is the maximum of channels j * pieces to j * pieces + pieces - 1: pylearn2's order.

    Its `MaxoutConvC01B` and `Maxout` take z[i::pieces] for each i and the maximum over i.
    """
    return np.maximum.reduce([x[:, piece::pieces] for piece in range(pieces)])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("pieces", [1, 2, 3, 5])
def test_maxout_takes_neighbouring_channels(pieces, format):
    net = net_of(Conv(4, 3, bias=True, act=Maxout(pieces)), (3, 6, 5)).to(memory_format=format)
    images = torch.randn(2, 3, 6, 5).contiguous(memory_format=format)
    with torch.no_grad():
        net.get_parameter("it.conv.bias").normal_()
        _, found = net.tap(images, ["it.conv", "it.act", "it"])
    weight, bias = (net.get_parameter(f"it.conv.{part}").detach() for part in ("weight", "bias"))
    assert weight.shape == (4 * pieces, 3, 3, 3) and bias.shape == (4 * pieces,)
    linear = F.conv2d(images, weight, bias, padding=1).numpy()
    np.testing.assert_allclose(found["it.conv"].numpy(), linear, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["it"].numpy(), neighbours(linear, pieces), rtol=1e-5, atol=1e-6)
    assert torch.equal(found["it.act"], found["it"])


@pytest.mark.parametrize("pieces", [2, 5])
def test_maxout_of_a_fully_connected_layer(pieces):
    net = net_of(Linear(7, act=Maxout(pieces)), (3, 4, 4))
    images = torch.randn(6, 3, 4, 4)
    weight, bias = (net.get_parameter(f"it.{part}").detach() for part in ("weight", "bias"))
    assert weight.shape == (7 * pieces, 48) and bias.shape == (7 * pieces,)
    linear = images.flatten(1).numpy() @ weight.numpy().T + bias.numpy()
    found = net.tap(images, ["it"])[1]["it"].detach().numpy()
    np.testing.assert_allclose(found, neighbours(linear, pieces), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_batch_norm_comes_before_the_maximum(format):
    """So it has a mean, a variance, gamma and beta for each piece."""
    net = net_of(Conv(3, 3, norm=BatchNorm(), act=Maxout(2)), (4, 5, 5)).to(memory_format=format).train()
    images = torch.randn(8, 4, 5, 5).contiguous(memory_format=format)
    with torch.no_grad():
        for part in ("weight", "bias"):
            net.get_parameter(f"it.norm.{part}").normal_()
        _, found = net.tap(images, ["it.conv", "it.norm", "it"])
    gamma, beta = (net.get_parameter(f"it.norm.{part}").detach().numpy() for part in ("weight", "bias"))
    assert gamma.shape == (6,)
    x = found["it.conv"].numpy()
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    normed = (x - mean) / np.sqrt(var + 1e-5) * gamma.reshape(1, -1, 1, 1) + beta.reshape(1, -1, 1, 1)
    np.testing.assert_allclose(found["it.norm"].numpy(), normed, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["it"].numpy(), neighbours(normed, 2), rtol=1e-3, atol=1e-4)


def test_the_gradient_of_a_maxout_goes_to_the_largest_piece():
    net = net_of(Identity(), (4, 1, 1), maxout=Conv(2, 1, act=Maxout(2)))
    unit = net.get_submodule("maxout.act")
    x = torch.tensor([[1.0, 3.0, -2.0, -4.0]]).reshape(1, 4, 1, 1).requires_grad_()
    unit(x).mul(torch.tensor([10.0, 100.0]).reshape(1, 2, 1, 1)).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 10, 100, 0]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", [Conv, Linear])
def test_prelu_has_a_slope_for_each_channel_or_one_for_all(kind, shared):
    """max(0, x) + a min(0, x); a starts at 0.25 (He et al. 2015, section 2.1)."""
    act = PReLU(shared=shared)
    net = net_of(Conv(5, 3, act=act) if kind is Conv else Linear(5, act=act), (3, 4, 4))
    slopes = net.get_parameter("it.act.weight")
    assert slopes.tolist() == [0.25] * (1 if shared else 5)
    with torch.no_grad():
        slopes.copy_(torch.linspace(-0.5, 1.5, len(slopes)))
        images = torch.randn(2, 3, 4, 4)
        found = net.tap(images, ["it"])[1]["it"].numpy()
        if kind is Conv:
            linear = F.conv2d(images, net.get_parameter("it.conv.weight"), padding=1).numpy()
        else:
            linear = F.linear(images.flatten(1), net.get_parameter("it.weight"), net.get_parameter("it.bias"))
            linear = linear.numpy()
    a = slopes.detach().numpy().reshape((1, -1) + (1,) * (linear.ndim - 2))
    assert (linear < 0).any()
    expected = np.maximum(0, linear) + a * np.minimum(0, linear)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_slopes_start_where_the_record_says():
    net = net_of(Conv(4, 3, act=PReLU(0.1)), (3, 4, 4))
    assert net.get_parameter("it.act.weight").tolist() == pytest.approx([0.1] * 4)


@pytest.mark.parametrize("kind", [Conv, Linear])
def test_sigmoid(kind):
    net = net_of(kind(4, **({"kernel": 1} if kind is Conv else {}), act=None), (3, 2, 2))
    gated = net_of(kind(4, **({"kernel": 1} if kind is Conv else {}), act=Sigmoid()), (3, 2, 2))
    gated.load_state_dict(net.state_dict())
    images = 3 * torch.randn(2, 3, 2, 2)
    linear, found = (one.tap(images, ["it"])[1]["it"].detach().numpy() for one in (net, gated))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-linear)), rtol=1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_a_highway_layer(format):
    """y = H T + x (1 - T): Srivastava et al. 2015, equation 3."""
    highway = Highway(Conv(4, 3, bias=True), Conv(4, 3, bias=True, act=Sigmoid()))
    net = net_of(highway, (4, 5, 6)).to(memory_format=format)
    x = torch.randn(2, 4, 5, 6).contiguous(memory_format=format)

    def conv(part: str) -> np.ndarray:
        weight, bias = (net.get_parameter(f"it.{part}.conv.{what}") for what in ("weight", "bias"))
        return F.conv2d(x, weight, bias + 0.3, padding=1).detach().numpy()

    with torch.no_grad():
        for part in ("transform", "gate"):
            net.get_parameter(f"it.{part}.conv.bias").add_(0.3)
        _, found = net.tap(x, ["it", "it.gate", "it.transform", "it.gate.conv"])
        for part in ("transform", "gate"):
            net.get_parameter(f"it.{part}.conv.bias").sub_(0.3)
    h, t = np.maximum(0, conv("transform")), 1 / (1 + np.exp(-conv("gate")))
    np.testing.assert_allclose(found["it.transform"].numpy(), h, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["it.gate"].numpy(), t, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["it"].numpy(), h * t + x.numpy() * (1 - t), rtol=1e-4, atol=1e-5)


def test_a_closed_gate_carries_and_an_open_one_transforms():
    net = net_of(Highway(Conv(3, 1), Conv(3, 1, bias=True, act=Sigmoid())), (3, 4, 4))
    x = torch.randn(1, 3, 4, 4)
    for bias, expected in ((-200.0, "input"), (200.0, "it.transform")):
        with torch.no_grad():
            net.get_parameter("it.gate.conv.bias").fill_(bias)
            _, found = net.tap(x, ["it", "it.transform"])
        torch.testing.assert_close(found["it"], {"input": x, **found}[expected])


def test_gradients_of_a_highway_layer():
    """Of the input as well: through the transform, through the gate, and carried."""
    net = net_of(Highway(Conv(2, 3), Conv(2, 3, act=Sigmoid())), (2, 3, 3)).double()
    layer = net.get_submodule("it")
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_a_highway_layer_of_vectors():
    net = net_of(Highway(Linear(6), Linear(6, act=Sigmoid())), (3, 4, 4), enter=Linear(6))
    _, found = net.tap(torch.randn(2, 3, 4, 4), ["enter", "it", "it.transform", "it.gate"])
    x, h, t = found["enter"], found["it.transform"], found["it.gate"]
    torch.testing.assert_close(found["it"], h * t + x * (1 - t))


def dropped(layer: Dropout, training: bool) -> Tensor:
    net = net_of(layer, (3, 8, 8)).train(training)
    torch.manual_seed(3)
    return net.tap(torch.ones(8, 3, 8, 8), ["it"])[1]["it"].detach()


def test_dropout_without_rescaling_leaves_what_it_keeps():
    """The kept share is binomial: 1,536 values, five sigma."""
    values = dropped(Dropout(0.25, rescale=False), training=True)
    assert set(values.unique().tolist()) == {0.0, 1.0}
    assert abs(float(values.mean()) - 0.75) < 5 * (0.25 * 0.75 / values.numel()) ** 0.5
    assert torch.equal(dropped(Dropout(0.25, rescale=False), training=False), torch.ones(8, 3, 8, 8))
    assert set(dropped(Dropout(0.75), training=True).unique().tolist()) == {0.0, 4.0}


def test_global_average_of_class_maps_gives_logits():
    """As NIN ends: the class count is the last convolution's, and the logits are a vector in both modes."""
    layers = {"conv": Conv(4, 3), "maps": Conv(CLASSES, 1, act=None), "pool": GlobalAvgPool()}
    net = build(Network("nin", layers, input=(3, 6, 6), classes=5))
    images = torch.randn(2, 3, 6, 6)
    for training in (True, False):
        logits, found = net.train(training).tap(images, ["maps"])
        assert logits.shape == (2, 5)
        torch.testing.assert_close(logits, found["maps"].mean((2, 3)))
