"""Batch norm over groups of a batch, against the formula in plain numpy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from goingdeeper.layers import CLASSES, BatchNorm, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.nn.build import build
from goingdeeper.nn.norm import TrainedNorm, group_sizes
from goingdeeper.nn.prepare import prepare

NETWORK = Network(
    "normed",
    {"conv1": Conv(5, 3, norm=BatchNorm(1e-3, 0.3)), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)},
    input=(3, 4, 6),
    classes=3,
)


def normed(norm: torch.nn.Module, x: np.ndarray, groups: list[int]):
    """What comes out, and the mean of the groups' means and n/(n-1) variances, weighted by images."""
    gamma, beta = (value.detach().double().numpy()[:, None, None] for value in (norm.weight, norm.bias))
    parts, means, variances = [], 0.0, 0.0
    for part in np.split(x, np.cumsum(groups)[:-1]):
        mean, variance = part.mean((0, 2, 3)), part.var((0, 2, 3))
        n = part.size / part.shape[1]
        parts.append(
            (part - mean[:, None, None]) / np.sqrt(variance[:, None, None] + norm.eps) * gamma + beta
        )
        means = means + mean * len(part) / len(x)
        variances = variances + variance * n / (n - 1) * len(part) / len(x)
    return np.concatenate(parts), means, variances


@pytest.fixture
def norm() -> TrainedNorm:
    net = build(NETWORK).train()
    prepare(net, norm_batch=4)
    norm = net.get_submodule("conv1.norm")
    with torch.no_grad():
        for value in (norm.weight, norm.bias, norm.running_mean):
            value.normal_(generator=torch.Generator().manual_seed(1))
    return norm


@pytest.mark.parametrize(
    ("images", "group", "sizes"),
    [
        (128, 64, [64, 64]), (130, 64, [64, 64, 2]), (129, 64, [64, 65]), (65, 64, [65]), (64, 64, [64]),
        (63, 64, [63]), (1, 64, [1]), (7, 2, [2, 2, 3]), (8, 3, [3, 3, 2]), (8, 0, [8]),
    ],
)  # fmt: skip
def test_groups_are_never_of_one_image(images, group, sizes):
    assert group_sizes(images, group) == sizes


@pytest.mark.parametrize(
    ("images", "groups"), [(8, [4, 4]), (10, [4, 4, 2]), (9, [4, 5]), (4, [4]), (5, [5]), (3, [3])]
)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_each_group_is_normalised_by_its_own_statistics(norm, images, groups, memory):
    x = torch.randn(images, 5, 4, 6) * torch.arange(1, images + 1)[:, None, None, None]
    before = norm.running_mean.double().numpy().copy(), norm.running_var.double().numpy().copy()
    y = norm(x.to(memory_format=memory))
    expected, mean, variance = normed(norm, x.double().numpy(), groups)
    np.testing.assert_allclose(y.detach(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.running_mean, 0.7 * before[0] + 0.3 * mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.running_var, 0.7 * before[1] + 0.3 * variance, rtol=1e-5)
    assert y.is_contiguous(memory_format=memory)
    assert norm.num_batches_tracked == 1


def test_gradients_are_those_of_groups_by_themselves(norm):
    x, weights = torch.randn(2, 9, 5, 4, 6, dtype=torch.float64)
    norm, x = norm.double(), x.requires_grad_()
    (norm(x) * weights).sum().backward()
    again = x.detach().clone().requires_grad_()
    total = 0
    for part, weight in zip(again.split([4, 5]), weights.split([4, 5]), strict=True):
        centred = part - part.mean((0, 2, 3), keepdim=True)
        scaled = centred / (centred.square().mean((0, 2, 3), keepdim=True) + norm.eps).sqrt()
        total = total + (scaled * norm.weight.detach()[:, None, None] * weight).sum()
    total.backward()
    assert again.grad.abs().max() > 0.1
    torch.testing.assert_close(x.grad, again.grad)


def test_evaluation_and_keys_stay_as_they_are():
    plain = build(NETWORK)
    net = copy.deepcopy(plain)
    prepare(net, norm_batch=4)
    assert list(net.state_dict()) == list(plain.state_dict())
    assert dict(net.named_parameters()).keys() == dict(plain.named_parameters()).keys()
    for each in (net, plain):
        each.get_buffer("conv1.norm.running_mean").fill_(0.3)
    images = torch.randn(8, 3, 4, 6)
    assert torch.equal(net.eval()(images), plain.eval()(images))
    assert not torch.equal(net.train()(images), plain.train()(images))


def test_no_group_is_plain_batch_norm():
    plain = build(NETWORK).train()
    net = copy.deepcopy(plain)
    prepare(net, recompute=0, norm_batch=64)
    images = torch.randn(8, 3, 4, 6)
    assert torch.equal(net(images), plain(images))
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in net.state_dict().items())


@pytest.mark.slow
def test_it_compiles_whole(norm):
    x = torch.randn(10, 5, 4, 6)
    plain, compiled = norm, copy.deepcopy(norm)
    y = torch.compile(compiled, fullgraph=True, backend="eager")(x)
    torch.testing.assert_close(y, plain(x))
    torch.testing.assert_close(compiled.running_var, plain.running_var)
