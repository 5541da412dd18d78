"""Hints: FitNet-19 with its maxout teacher as published, and the regressor by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from goingdeeper import catalogue
from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Maxout, MaxPool, Network, PReLU
from goingdeeper.nn.build import build
from goingdeeper.nn.modules import MaxOverPieces
from goingdeeper.recipes.losses import Hint
from goingdeeper.training.hints import hint_losses, probed, regressor

FITNET, MAXOUT = catalogue.network("fitnet-19"), catalogue.network("maxout-cifar10")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(name, filters=4, kernel=3, act=None, size=8, padding=None):
    conv = Conv(filters, kernel, padding=padding, bias=True, **({"act": act} if act else {}))
    layers = {"conv": conv, "pool": MaxPool(2, stride=2, padding=0), "mean": GlobalAvgPool()}
    return Network(name, {**layers, "fc": Linear(CLASSES)}, input=(3, size, size), classes=3)


def test_fitnet_19_is_guided_as_published():
    """80x8x8 to 192x7x7 by a 2x2 maxout convolution of two pieces; U(-0.05, 0.05) in the release."""
    found = regressor(FITNET, MAXOUT, Hint(), seeded())
    conv, act = found.get_submodule("conv"), found.get_submodule("act")
    assert (conv.kernel_size, conv.padding, conv.stride) == ((2, 2), (0, 0), (1, 1))
    assert conv.weight.shape == (2 * 192, 80, 2, 2)
    assert isinstance(act, MaxOverPieces)
    assert act.pieces == 2
    assert found(torch.randn(2, 80, 8, 8)).shape == (2, 192, 7, 7)
    assert 0.0499 < float(conv.weight.detach().abs().max()) <= 0.05
    assert float(conv.weight.detach().std()) == pytest.approx(0.05 / 3**0.5, rel=0.01)
    assert not conv.bias.any()


def test_a_hint_of_fitnet_19_trains_its_first_eleven_layers():
    shape, reached = probed(FITNET, Hint().student)
    assert shape == (80, 8, 8)
    units = {name.split(".")[0] for name in reached}
    assert units == {f"conv1_{i}" for i in range(1, 6)} | {f"conv2_{i}" for i in range(1, 7)}
    assert probed(MAXOUT, Hint().teacher)[0] == (192, 7, 7)


@pytest.mark.parametrize("address", ["conv2_1.conv2.conv", "conv2_2", "conv3_1.shortcut", "fc", "conv1"])
def test_what_a_value_depends_on_is_what_a_backward_pass_reaches(address):
    net = build(replace(catalogue.network("cifar-resnet-20-b"), input=(3, 16, 16)))
    net.tap(torch.randn(2, 3, 16, 16), [address])[1][address].sum().backward()
    reached = {name for name, parameter in net.named_parameters() if parameter.grad is not None}
    assert probed(net.description, address)[1] == reached


def test_the_loss_by_hand():
    """A 2x2 maxout convolution without padding as sums, then half the squares."""
    student, teacher = torch.randn(2, 5, 4, 3).double(), torch.randn(2, 3, 3, 2).double()
    unit = regressor(
        replace(small("s", 5), input=(3, 4, 3)),
        replace(small("t", 3, (2, 2), Maxout(2), padding=0), input=(3, 4, 3)),
        Hint("conv", "conv"), seeded(),
    ).double()  # fmt: skip
    nn.init.normal_(unit.conv.bias)
    weight, bias = (p.detach().numpy() for p in (unit.conv.weight, unit.conv.bias))
    expected = []
    for x, wanted in zip(student.numpy(), teacher.numpy(), strict=True):
        total = 0.0
        for c, i, j in np.ndindex(3, 3, 2):
            window = x[:, i : i + 2, j : j + 2]
            linear = [(weight[2 * c + p] * window).sum() + bias[2 * c + p] for p in range(2)]
            total += (wanted[c, i, j] - max(linear)) ** 2 / 2
        expected.append(total)
    np.testing.assert_allclose(hint_losses(student, teacher, unit).detach().numpy(), expected, rtol=1e-12)


def test_the_regressor_ends_as_the_teachers_layer_does():
    def last(teacher, address):
        return dict(
            regressor(small("s", 9, size=8), teacher, Hint("conv", address), seeded()).named_children()
        )

    assert isinstance(last(small("t", act=PReLU(0.1)), "pool")["act"], nn.PReLU)
    assert last(small("t", act=PReLU(0.1)), "pool")["act"].weight.tolist() == pytest.approx([0.1] * 4)
    assert isinstance(last(small("t"), "conv.act")["act"], nn.ReLU)
    assert isinstance(last(small("t", act=Maxout(3)), "conv")["act"], MaxOverPieces)
    assert "act" not in last(small("t"), "conv.conv")  # before the ReLU any value may stand
    residual = replace(catalogue.network("cifar-resnet-20-a"), input=(3, 8, 8))
    assert isinstance(last(residual, "conv2_1")["act"], nn.ReLU)
    assert "act" not in last(residual, "conv2_1.conv2")
    highway = replace(catalogue.network("highway-19"), input=(3, 8, 8))
    assert "act" not in last(highway, next(n for n, v in highway.layers if type(v).__name__ == "Highway"))


def test_equal_maps_need_no_regressor():
    found = regressor(small("s"), small("t"), Hint("conv", "conv"), seeded())
    assert isinstance(found, nn.Identity)
    x, y = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    expected = ((x - y) ** 2).sum((1, 2, 3)) / 2
    torch.testing.assert_close(hint_losses(x, y, found), expected)


def test_a_fully_connected_layer_teaches_through_a_kernel_as_large_as_the_map():
    found = regressor(FITNET, MAXOUT, Hint("pool2", "fc1"), seeded())
    assert found.get_submodule("conv").weight.shape == (500 * 5, 80, 8, 8)
    losses = hint_losses(torch.randn(2, 80, 8, 8), torch.randn(2, 500), found)
    assert losses.shape == (2,)


def test_the_regressor_is_its_generators_alone():
    state = torch.random.get_rng_state()
    weights = [
        regressor(FITNET, MAXOUT, Hint(), seeded(seed)).get_parameter("conv.weight") for seed in (3, 3, 4)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (Hint("pool3", "pool2"), "pool3 in fitnet-19 gives 128x1x1, pool2 in the teacher maxout-cifar10"),
        (Hint("conv2_7", "pool2"), "unknown address in fitnet-19: 'conv2_7'; did you mean conv2_"),
        (Hint("pool2", "pol2"), "unknown address in maxout-cifar10: 'pol2'; did you mean pool2"),
        (Hint("heads.conv1", "pool2"), "unknown address in fitnet-19: 'heads.conv1'"),
    ],
)
def test_a_hint_that_cannot_be_is_refused(hint, message):
    with pytest.raises(UsageError, match=message):
        regressor(FITNET, MAXOUT, hint, seeded())
