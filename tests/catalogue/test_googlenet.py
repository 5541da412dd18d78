"""GoogLeNet against Szegedy et al. 2014, Table 1 and Figures 2 and 3, and the counts of its fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.catalogue.googlenet import inception, naive
from goingdeeper.costs.counts import Counts, cost, total, within
from goingdeeper.costs.describe import depth
from goingdeeper.layers import CLASSES, LRN, AvgPool, Conv, Dropout, GlobalAvgPool, Linear, MaxPool, Network
from goingdeeper.published import PrintedLayer, layers
from goingdeeper.shapes import Shape
from goingdeeper.trace import find, trace

GOOGLENET = catalogue.network("googlenet")

# Table 1: input channels, map, #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj, output channels.
MODULES = {
    "3a": (192, 28, (64, 96, 128, 16, 32, 32), 256),
    "3b": (256, 28, (128, 128, 192, 32, 96, 64), 480),
    "4a": (480, 14, (192, 96, 208, 16, 48, 64), 512),
    "4b": (512, 14, (160, 112, 224, 24, 64, 64), 512),
    "4c": (512, 14, (128, 128, 256, 24, 64, 64), 512),
    "4d": (512, 14, (112, 144, 288, 32, 64, 64), 528),
    "4e": (528, 14, (256, 160, 320, 32, 128, 128), 832),
    "5a": (832, 7, (256, 160, 320, 32, 128, 128), 832),
    "5b": (832, 7, (384, 192, 384, 48, 128, 128), 1024),
}

# The fact sheet's cost of Figure 2(a) with the same widths and input: weights, multiply-adds, channels out.
NAIVE = {
    "3a": (387_072, 303_464_448, 416),
    "3b": (1_089_536, 854_196_224, 672),
    "4a": (1_566_720, 307_077_120, 928),
    "4b": (1_933_312, 378_929_152, 960),
    "4c": (2_064_384, 404_619_264, 960),
    "4d": (2_203_648, 431_915_008, 976),
    "4e": (3_345_408, 655_699_968, 1232),
    "5a": (5_271_552, 258_306_048, 1536),
    "5b": (5_857_280, 287_006_720, 1728),
}


def shapes(network: Network) -> dict[str, Shape]:
    return {step.path: step.shape_out for step in trace(network)}


def counted(network: Network, address: str) -> Counts:
    return total(step for step in trace(network) if within(step.path, address))


@pytest.mark.parametrize("row", layers("googlenet"), ids=lambda row: row.layer)
def test_every_row_of_table_1(row: PrintedLayer) -> None:
    found = counted(GOOGLENET, row.layer)
    assert (found.weights, found.biases, found.macs) == (row.weights, row.biases, row.macs)


def test_sizes_are_those_of_table_1() -> None:
    out = shapes(GOOGLENET)
    assert out["conv1"] == (64, 112, 112)
    assert out["pool1"] == out["norm1"] == (64, 56, 56)
    assert out["conv2"] == out["norm2"] == (192, 56, 56)
    assert out["pool2"] == (192, 28, 28)
    assert out["pool3"] == (480, 14, 14)
    assert out["pool4"] == (832, 7, 7)
    assert out["pool5"] == (1024, 1, 1)
    assert out["fc"] == (1000,)


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_those_of_table_1(name: str) -> None:
    channels, side, widths, out = MODULES[name]
    step = next(step for step in trace(GOOGLENET) if step.path == name)
    assert step.layer == inception(*widths)
    assert (step.shape_in, step.shape_out) == ((channels, side, side), (out, side, side))


@pytest.mark.parametrize("name", MODULES)
def test_a_naive_module_costs_what_the_fact_sheet_says(name: str) -> None:
    channels, side, widths, _ = MODULES[name]
    network = Network(
        "one",
        {"module": naive(inception(*widths)), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)},
        input=(channels, side, side),
    )
    found = counted(network, "module")
    assert (found.weights, found.macs, shapes(network)["module"][0]) == NAIVE[name]


def test_naive_modules_stacked_are_worse_still() -> None:
    network = catalogue.network("googlenet-naive")
    out = shapes(network)
    assert (out["pool2"][0], out["3a"][0], out["3b"][0]) == (192, 416, 832)
    assert counted(network, "3b").macs == 1_388_068_864


def test_pool_then_norm_first_and_norm_then_pool_second() -> None:
    """Figure 3; the constants are those of the BVLC replication."""
    names = [name for name, _ in GOOGLENET.layers]
    assert names[:6] == ["conv1", "pool1", "norm1", "conv2", "norm2", "pool2"]
    assert find(GOOGLENET, "norm1") == find(GOOGLENET, "norm2") == LRN(size=5, alpha=1e-4, beta=0.75, k=1.0)


def test_every_convolution_has_a_bias_and_a_relu_and_none_a_norm() -> None:
    convs = [step.layer for step in trace(GOOGLENET) if isinstance(step.layer, Conv)]
    assert len(convs) == 3 + 9 * 6 + 2
    assert all(conv.bias and conv.act and conv.norm is None for conv in convs)


def test_the_projection_comes_after_the_pool() -> None:
    names = [name for name, _ in find(GOOGLENET, "3a.pool").layers]
    assert names == ["max", "proj"]
    assert find(GOOGLENET, "3a.pool.max") == MaxPool(3, stride=1, padding=None)


def test_heads_read_4a_and_4d() -> None:
    """Section 5: average pool 5x5/3, 128 1x1 filters, 1024 units, 70 % dropout."""
    out = shapes(GOOGLENET)
    assert [name for name, _ in GOOGLENET.heads] == ["4a", "4d"]
    assert out["heads.4a.pool"] == (512, 4, 4)
    assert out["heads.4d.pool"] == (528, 4, 4)
    assert out["heads.4a.conv"] == (128, 4, 4)
    assert out["heads.4a.fc1"] == (1024,)
    assert find(GOOGLENET, "heads.4d.pool") == AvgPool(5, stride=3, padding=0)
    assert find(GOOGLENET, "heads.4d.dropout") == Dropout(0.7)
    assert find(GOOGLENET, "dropout") == Dropout(0.4)


def test_cost_with_heads() -> None:
    found = cost(GOOGLENET)
    heads = {name: (head.params, head.macs) for name, head in found.heads}
    assert heads == {"4a": (3_188_840, 4_169_728), "4d": (3_190_888, 4_202_496)}
    assert (found.params_with_heads, found.macs_with_heads) == (13_378_280, 1_591_044_096)


def test_22_layers_deep_27_with_pools() -> None:
    """Section 5."""
    assert sum(depth(layer) for _, layer in GOOGLENET.layers) == 22
    pools = [layer for _, layer in GOOGLENET.layers if isinstance(layer, MaxPool | GlobalAvgPool)]
    assert len(pools) == 5


def test_5b_sees_715_pixels() -> None:
    [size] = [step.field.size for step in trace(GOOGLENET) if step.path == "5b"]
    assert size == (715, 715)


def test_the_separable_stem_has_the_printed_cost_of_conv1() -> None:
    """Table 1 prints 2.7K and 34M."""
    found = counted(catalogue.network("googlenet-separable-stem"), "conv1")
    assert found.weights == 7 * 7 * 3 * 8 + 24 * 64 == 2_712
    assert found.macs == 2_712 * 112 * 112
