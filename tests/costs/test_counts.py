"""Costs against the papers' arithmetic and against torch's own parameters and operation counter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from goingdeeper import catalogue
from goingdeeper.costs.counts import Counts, cost, total, within
from goingdeeper.layers import CLASSES, BatchNorm, Conv, GlobalAvgPool, Layer, Linear, Network
from goingdeeper.trace import trace


def counted(layer: Layer, shape: tuple[int, int, int]) -> Counts:
    network = Network("one", {"it": layer, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, input=shape)
    return total(step for step in trace(network) if within(step.path, "it"))


@pytest.mark.parametrize(
    ("layer", "shape", "weights", "macs"),
    [
        # A 5x5 convolution without a reduction and with one; AlexNet's conv2 and conv1; 7x7 stems.
        (Conv(32, 5), (192, 28, 28), 153_600, 120_422_400),
        (Conv(16, 1), (192, 28, 28), 3_072, 2_408_448),
        (Conv(32, 5), (16, 28, 28), 12_800, 10_035_200),
        (Conv(256, 5, groups=2), (96, 27, 27), 307_200, 223_948_800),
        (Conv(96, 11, stride=4, padding=0), (3, 227, 227), 34_848, 105_415_200),
        (Conv(64, 7, stride=2), (3, 224, 224), 9_408, 118_013_952),
        (Conv(64, 7, stride=2, padding=0), (3, 299, 299), 9_408, 203_297_472),
        (Conv(24, 7, stride=2, groups=3), (3, 224, 224), 1_176, 1_176 * 112 * 112),
    ],
)
def test_convolutions_of_the_papers(
    layer: Conv, shape: tuple[int, int, int], weights: int, macs: int
) -> None:
    found = counted(layer, shape)
    assert (found.weights, found.macs, found.biases, found.norm) == (weights, macs, 0, 0)


def test_savings_of_factorised_kernels() -> None:
    """Two 3x3 for a 5x5 save 28 %, 1x7 and 7x1 for a 7x7 71.4 %, 1x3 and 3x1 for a 3x3 a third."""

    def macs(*kernels: int | tuple[int, int]) -> int:
        return sum(counted(Conv(8, kernel), (8, 17, 17)).macs for kernel in kernels)

    assert macs(3, 3) * 25 == macs(5) * 18
    assert macs((1, 7), (7, 1)) * 49 == macs(7) * 14
    assert macs((1, 3), (3, 1)) * 9 == macs(3) * 6


@pytest.mark.parametrize(("norm", "params"), [(None, 0), (BatchNorm(), 2 * 64), (BatchNorm(scale=False), 64)])
def test_batch_norm_has_gamma_and_beta_or_beta_alone(norm: BatchNorm | None, params: int) -> None:
    assert counted(Conv(64, 3, norm=norm), (3, 8, 8)).norm == params


def test_an_fc_layer_on_a_map_takes_all_of_it() -> None:
    """7x7x1024 -> 1000 would have 50,176,000 weights, against 1,024,000 behind the average pool."""
    network = Network("fc", {"fc": Linear(CLASSES)}, input=(1024, 7, 7))
    assert (cost(network).weights, cost(network).macs, cost(network).biases) == (50_176_000, 50_176_000, 1000)
    network = Network("pooled", {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}, input=(1024, 7, 7))
    assert cost(network).weights == 1_024_000


def test_the_class_count_is_the_networks() -> None:
    network = Network("ten", {"fc": Linear(CLASSES, bias=False)}, input=(3, 2, 2), classes=10)
    assert cost(network).params == 120


def test_activations_are_the_values_put_out() -> None:
    """64 channels of 112x112, the same pooled to 64 values, and 1000 logits."""
    network = Network("one", {"conv": Conv(64, 7, 2), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    assert cost(network).activations == 802_816 + 64 + 1000


def test_another_input_changes_operations_but_no_parameters() -> None:
    network = catalogue.network("cifar-resnet-20-a")
    large = cost(network, input=(3, 64, 64))
    assert large.params == cost(network).params
    assert large.macs - 640 == 4 * (cost(network).macs - 640)


def test_heads_count_apart() -> None:
    network = catalogue.network("googlenet")
    found = cost(network)
    assert found.params == 6_998_552
    assert found.params_with_heads - found.params == sum(head.params for _, head in found.heads) == 6_379_728


@pytest.mark.parametrize(("path", "inside"), [("3a", True), ("3a.1x1", True), ("3ab", False), ("3", False)])
def test_within(path: str, inside: bool) -> None:
    assert within(path, "3a") is inside


@settings(deadline=None, max_examples=60)
@given(
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    bias=st.booleans(),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
)
def test_convolutions_as_torch_counts_them(
    groups: int,
    per_group: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    padding: int,
    bias: bool,
    size: tuple[int, int],
) -> None:
    channels, filters = groups * per_group[0], groups * per_group[1]
    module = torch.nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=bias)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, channels, *size))
    found = counted(Conv(filters, kernel, stride, padding, groups, bias), (channels, *size))
    assert found.params == sum(parameter.numel() for parameter in module.parameters())
    assert 2 * found.macs == counter.get_total_flops()
