"""GoogLeNet against Szegedy et al. 2014, Table 1 and Figures 2 and 3, and the counts of its fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.catalogue.googlenet import inception, naive
from goingdeeper.costs.counts import Counts, cost, total, within
from goingdeeper.layers import (
    CLASSES,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Network,
    sides,
)
from goingdeeper.published import PrintedLayer, layers
from goingdeeper.shapes import Shape
from goingdeeper.tables.describe import depth
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


def test_the_separable_stem_has_no_bias_between_its_halves() -> None:
    network = catalogue.network("googlenet-separable-stem")
    assert find(network, "conv1.depthwise") == Conv(24, 7, stride=2, groups=3, act=None)
    assert find(network, "conv1.pointwise") == Conv(64, 1, bias=True)
    assert network.layers[1:] == GOOGLENET.layers[1:]


LIBRARY = catalogue.network("googlenet-torchvision")
NORMALISED = catalogue.network("bn-googlenet")


def test_batch_norm_stands_in_for_biases_and_lrn() -> None:
    for network in (LIBRARY, NORMALISED):
        steps = [step for step in trace(network) if not step.path.startswith("heads.")]
        convs = [step.layer for step in steps if isinstance(step.layer, Conv)]
        assert len(convs) == 57
        assert all(conv.norm == BatchNorm(eps=1e-3) and not conv.bias and conv.act for conv in convs)
        assert not any(isinstance(step.layer, LRN) for step in steps)


def test_bn_googlenet_is_googlenet_otherwise() -> None:
    steps = [(step.path, step.shape_out) for step in trace(GOOGLENET) if not step.path.startswith("heads.")]
    assert [(step.path, step.shape_out) for step in trace(NORMALISED)] == [
        (path, shape) for path, shape in steps if not path.startswith("norm")
    ]
    for path, layer in ((step.path, step.layer) for step in trace(NORMALISED)):
        if isinstance(layer, Conv):
            assert layer.kernel == find(GOOGLENET, path).kernel
    assert find(NORMALISED, "dropout") == Dropout(0.4)
    assert NORMALISED.heads == ()


def test_the_library_has_3x3_for_5x5_at_the_same_addresses(measure) -> None:
    for name, (channels, side, (_, _, _, reduce, n5x5, _), out) in MODULES.items():
        conv = find(LIBRARY, f"{name}.5x5.conv")
        assert (conv.kernel, conv.filters, sides(conv)) == (3, n5x5, (1, 1, 1, 1))
        found = measure(LIBRARY, name)
        assert found.shape == (out, side, side)
        assert found.weights == measure(GOOGLENET, name).weights - (25 - 9) * reduce * n5x5
        assert channels == find_input(LIBRARY, name)


def find_input(network: Network, address: str) -> int:
    return next(step.shape_in[0] for step in trace(network) if step.path == address)


def test_the_library_s_pools_and_dropout() -> None:
    """The last max pool is 2x2; heads pool adaptively and drop 70 %, the trunk drops 20 %."""
    kernels = {name: find(LIBRARY, name) for name in ("pool1", "pool2", "pool3", "pool4")}
    assert kernels == {
        name: MaxPool(2 if name == "pool4" else 3, stride=2, padding=0, ceil=True) for name in kernels
    }
    assert find(LIBRARY, "dropout") == Dropout(0.2)
    for head in ("heads.4a", "heads.4d"):
        assert find(LIBRARY, f"{head}.pool") == AdaptiveAvgPool(4)
        assert find(LIBRARY, f"{head}.dropout") == Dropout(0.7)
        assert find(LIBRARY, f"{head}.conv") == Conv(128, 1, norm=BatchNorm(eps=1e-3))
        assert find(LIBRARY, f"{head}.fc1") == find(GOOGLENET, f"{head}.fc1")


def test_the_library_s_counts() -> None:
    found = cost(LIBRARY)
    assert (found.params, found.weights, found.norm, found.biases) == (6_624_904, 6_609_344, 14_560, 1000)
    assert found.params_with_heads == 13_004_888
    assert found.macs == 1_498_376_192


def test_initial_weights_of_the_replication_and_of_the_library(begins) -> None:
    """BVLC: +-sqrt(3 / fan-in), biases 0.2 but for the classifiers; Slim: N(0, 0.01), truncated."""
    classifiers = {"fc", "heads.4a.fc2", "heads.4d.fc2"}
    for id in ("googlenet", "googlenet-naive"):
        found = begins(id)
        assert found["conv1"].variance == pytest.approx(1 / 147)
        assert found["heads.4a.fc1"].variance == pytest.approx(1 / 2048)
        for address, begin in found.items():
            assert begin.distribution == "uniform"
            assert begin.bias == (0 if address in classifiers else 0.2)
    for begin in begins("googlenet-torchvision").values():
        assert (begin.distribution, begin.variance) == ("truncated", pytest.approx(0.01**2))
        assert begin.bias in (0, None)
