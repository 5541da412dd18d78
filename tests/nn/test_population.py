"""Exact statistics after training, against Algorithm 2 of Ioffe and Szegedy 2015 written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from goingdeeper.errors import UsageError
from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Linear,
    Network,
    Residual,
)
from goingdeeper.nn.build import build
from goingdeeper.nn.population import population_statistics
from goingdeeper.nn.prepare import prepare

NORM = BatchNorm(1e-3)
NETWORK = Network(
    "normed",
    {
        "conv1": Conv(4, 3, norm=NORM),
        "drop": Dropout(0.5),
        "block": Residual({"conv": Conv(4, 3, norm=NORM)}, Identity()),
        "pool": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    },
    heads={"block": {"conv": Conv(2, 1, norm=NORM), "fc": Linear(CLASSES)}},
    input=(3, 6, 6),
    classes=3,
)
SIZES = (8, 8, 5)
NORMS = ("conv1.norm", "block.conv.norm", "heads.block.conv.norm")


@pytest.fixture
def net():
    net = build(NETWORK).train()
    prepare(net, stochastic_depth=0.5, recompute=1)
    net.get_submodule("block").eval()  # a mode of its own, to be left as it is
    for name, value in net.state_dict().items():
        if "norm" in name and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return net


@pytest.fixture
def batches():
    draw = torch.Generator().manual_seed(2)
    return [torch.randn(size, 3, 6, 6, generator=draw) * (index + 1) for index, size in enumerate(SIZES)]


def by_hand(net, batches):
    """Sums over batches of their images' share of means and of variances by n - 1, layer by layer."""
    get = {name: value.detach().double() for name, value in net.state_dict().items()}
    found = {name: [0.0, 0.0] for name in NORMS}
    total = sum(map(len, batches))

    def layer(address, x, padding):
        x = F.conv2d(x, get[f"{address}.conv.weight"], padding=padding)
        values = x.transpose(0, 1).flatten(1)
        found[f"{address}.norm"][0] += values.mean(1) * len(x) / total
        found[f"{address}.norm"][1] += values.var(1, unbiased=True) * len(x) / total
        scaled = (values - values.mean(1, keepdim=True)) / (
            values.var(1, unbiased=False)[:, None] + 1e-3
        ).sqrt()
        scaled = scaled * get[f"{address}.norm.weight"][:, None] + get[f"{address}.norm.bias"][:, None]
        return scaled.reshape(x.transpose(0, 1).shape).transpose(0, 1).relu()

    for batch in batches:
        x = layer("conv1", batch.double(), 1)  # no dropout
        x = (layer("block.conv", x, 1) + x).relu()  # never left out
        layer("heads.block.conv", x, 0)
    return found


def test_means_of_means_and_of_unbiased_variances(net, batches):
    expected = by_hand(net, batches)
    population_statistics(net, batches)
    for name, (mean, variance) in expected.items():
        torch.testing.assert_close(
            net.get_buffer(f"{name}.running_mean").double(), mean, rtol=1e-5, atol=1e-6
        )
        torch.testing.assert_close(
            net.get_buffer(f"{name}.running_var").double(), variance, rtol=1e-5, atol=0
        )


def test_all_else_stays(net, batches):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = {name: module.training for name, module in net.named_modules()}
    momenta = [net.get_submodule(name).momentum for name in NORMS]
    torch.manual_seed(4)
    state = torch.get_rng_state()
    population_statistics(net, iter(batches))
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: module.training for name, module in net.named_modules()} == modes
    assert not modes["block"] and modes["drop"]
    assert [net.get_submodule(name).momentum for name in NORMS] == momenta
    assert all(value.grad is None for value in net.parameters())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]) == ("running" not in name), name


def test_the_order_of_batches_hardly_matters(net, batches):
    """Sums in double: at most the last bit of a single differs, over 300 batches."""
    many = [batch + 0.01 * number for number in range(100) for batch in batches]
    population_statistics(net, many)
    forth = {name: value.clone() for name, value in net.state_dict().items() if "running" in name}
    population_statistics(net, many[::-1])
    for name, value in forth.items():
        torch.testing.assert_close(net.state_dict()[name], value, rtol=1.2e-7, atol=1e-9, msg=name)


def test_groups_count_as_batches(net, batches):
    """With norm_batch, the mini-batches of the paper are its groups."""
    prepare(net, norm_batch=3)
    net.get_submodule("block").eval()
    groups = {8: [3, 3, 2], 5: [3, 2]}
    expected = by_hand(net, [part for batch in batches for part in batch.split(groups[len(batch)])])
    population_statistics(net, batches)
    for name, (mean, variance) in expected.items():
        torch.testing.assert_close(
            net.get_buffer(f"{name}.running_mean").double(), mean, rtol=1e-5, atol=1e-6
        )
        torch.testing.assert_close(
            net.get_buffer(f"{name}.running_var").double(), variance, rtol=1e-5, atol=0
        )


def broken(batches):
    yield batches[0]
    raise OSError("no more")


@pytest.mark.parametrize("fault", [OSError, UsageError])
def test_a_fault_leaves_the_statistics_as_they_were(net, batches, fault):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(fault, match=r"no more|no batch of images was given"):
        population_statistics(net, broken(batches) if fault is OSError else [])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training and not net.get_submodule("block").training
    assert net.get_submodule("conv1.norm").momentum == 0.1
