"""The four small networks differ in their kernels and in nothing else that costs."""

import pytest
import torch

from goingdeeper.costs.counts import cost
from goingdeeper.data.sources import open_source
from goingdeeper.layers import Conv
from goingdeeper.nn.build import build
from goingdeeper.notation import from_json, to_json
from goingdeeper.trace import trace
from goingdeeper.why.kernels import kernels

USED = {"1x1, 3x3, 5x5, pool": {1, 3, 5}, "1x1 and 3x3": {1, 3}, "5x5": {1, 5}, "7x7": {1, 7}}


def convolutions(network):
    return [step for step in trace(network) if isinstance(step.layer, Conv)]


def test_they_cost_the_same():
    macs = [cost(network).macs for network in kernels().values()]
    assert max(macs) <= 1.02 * min(macs)
    assert 1e6 < min(macs) < 1e7


def test_the_multiply_adds_of_one_by_hand():
    """16 filters of 3x3x3 on 32x32 maps; 5x5 behind 1x1 on three sizes of map; 27 values to 8 classes."""
    modules = ((16, 14, 32), (14, 20, 16), (20, 27, 8))
    inside = sum(((c * (n // 2)) + 25 * (n // 2) * n) * side**2 for c, n, side in modules)
    assert cost(kernels()["5x5"]).macs == 27 * 16 * 32**2 + inside + 27 * 8


@pytest.mark.parametrize("name", USED)
def test_what_they_are_made_of(name):
    network = kernels()[name]
    steps = convolutions(network)
    stem, *inner = steps
    assert (stem.path, stem.layer.filters, stem.layer.kernel) == ("conv1", 16, 3)
    assert {step.layer.kernel for step in inner} == USED[name]
    assert all(step.layer.norm and not step.layer.bias for step in steps)
    assert all(step.path.endswith((".reduce", ".proj", ".1x1")) == (step.layer.kernel == 1) for step in inner)
    assert {step.shape_out[1] for step in inner} == {32, 16, 8}
    pools = [step.path for step in trace(network) if step.path.startswith("pool")]
    assert pools == ["pool2", "pool3", "pool4"]


def test_branches_are_those_of_3a():
    """Szegedy et al. 2014, Table 1: 64, 96 to 128, 16 to 32 and 32, of 256."""
    parts = dict.fromkeys(("1x1", "3x3.reduce", "3x3.conv", "5x5.reduce", "5x5.conv", "pool.proj"))
    network = kernels()["1x1, 3x3, 5x5, pool"]
    widths = {step.path: step.layer.filters for step in convolutions(network)}
    for module, width in (("2", 32), ("3", 48), ("4", 64)):
        found = [256 * widths[f"{module}.{part}"] / width for part in parts]
        assert found == [64, 96, 128, 16, 32, 32]


@pytest.mark.parametrize("name", USED)
def test_they_take_the_shapes(name):
    network = kernels()[name]
    source = open_source("shapes")
    assert network.classes == len(source.classes)
    assert network.input == (3, *source.size("shapes/0000"))
    net = build(network).train()
    loss = net(torch.randn(4, *network.input)).logsumexp(1).sum()
    loss.backward()
    assert all(weight.grad is not None for weight in net.parameters())
    assert from_json(to_json(network)) == network
