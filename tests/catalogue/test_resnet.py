"""Plain and residual networks against He et al. 2015, Tables 1 and 6, and the counts of their fact sheet."""

from itertools import groupby

import pytest

from goingdeeper import catalogue
from goingdeeper.catalogue.resnet import cifar_resnet
from goingdeeper.costs.counts import cost, total, within
from goingdeeper.layers import BatchNorm, Conv, Identity, Linear, MaxPool, Network, Residual, ZeroPad, pair
from goingdeeper.published import figures
from goingdeeper.trace import find, replace_classes, trace

RESIDUAL = [id for id in catalogue.names() if id.startswith(("resnet", "cifar-resnet"))]
PLAIN = [id for id in catalogue.names() if id.startswith(("plain", "cifar-plain"))]

# Table 1: blocks of conv2_x to conv5_x, and a block's convolutions for conv2_x as (kernel, filters).
BASIC, BOTTLENECK = ((3, 64), (3, 64)), ((1, 64), (3, 64), (1, 256))
TABLE_1 = {
    18: ((2, 2, 2, 2), BASIC),
    34: ((3, 4, 6, 3), BASIC),
    50: ((3, 4, 6, 3), BOTTLENECK),
    101: ((3, 4, 23, 3), BOTTLENECK),
    152: ((3, 8, 36, 3), BOTTLENECK),
}


def blocks(network: Network) -> list[Residual]:
    return [layer for _, layer in network.layers if isinstance(layer, Residual)]


def deep(id: str) -> int:
    return int(next(part for part in id.split("-") if part.isdigit()))


@pytest.mark.parametrize("id", [id for id in RESIDUAL if not id.startswith("cifar")])
def test_stages_are_those_of_table_1(id: str) -> None:
    counts, first = TABLE_1[deep(id)]
    names = [name for name, _ in catalogue.network(id).layers if "_" in name]
    assert tuple(len(list(same)) for _, same in groupby(names, lambda name: name[:5])) == counts
    for stage in range(4):
        body = find(catalogue.network(id), f"conv{stage + 2}_2").body
        assert tuple((pair(conv.kernel)[0], conv.filters) for _, conv in body) == tuple(
            (kernel, filters * 2**stage) for kernel, filters in first
        )


@pytest.mark.parametrize("depth", TABLE_1)
def test_sizes_are_those_of_table_1(depth: int) -> None:
    network = catalogue.network("resnet-34-b" if depth == 34 else f"resnet-{depth}" + ("-b" * (depth < 50)))
    counts, first = TABLE_1[depth]
    out = {step.path: step.shape_out for step in trace(network)}
    assert out["conv1"] == (64, 112, 112)
    for stage, (count, side) in enumerate(zip(counts, (56, 28, 14, 7), strict=True)):
        assert out[f"conv{stage + 2}_{count}"] == (first[-1][1] * 2**stage, side, side)
    assert out["fc"] == (1000,)


@pytest.mark.parametrize("depth", (20, 32, 44, 56, 110, 1202))
def test_cifar_sizes(depth: int) -> None:
    """Section 4.2: 2n layers each on maps of 32, 16 and 8 pixels with 16, 32 and 64 filters."""
    n = (depth - 2) // 6
    out = {step.path: step.shape_out for step in trace(catalogue.network(f"cifar-resnet-{depth}-a"))}
    assert (out["conv1"], out[f"conv2_{n}"]) == ((16, 32, 32), (16, 32, 32))
    assert (out[f"conv3_{n}"], out[f"conv4_{n}"]) == ((32, 16, 16), (64, 8, 8))
    assert f"conv4_{n + 1}" not in out


@pytest.mark.parametrize("id", RESIDUAL + PLAIN)
def test_the_name_counts_the_layers_with_weights(id: str) -> None:
    """The main path's convolutions and the classifier; projections do not count."""
    steps = [step for step in trace(catalogue.network(id)) if not step.path.endswith("shortcut")]
    assert sum(isinstance(step.layer, Conv | Linear) for step in steps) == deep(id)


@pytest.mark.parametrize("id", [id for id in RESIDUAL if figures(id).projections is not None])
def test_projections(id: str) -> None:
    found = sum(isinstance(block.shortcut, Conv) for block in blocks(catalogue.network(id)))
    assert found == figures(id).projections


@pytest.mark.parametrize(
    ("id", "projections"),
    [("resnet-18-b", 3), ("resnet-18-c", 8), ("resnet-34-b", 3), ("resnet-34-c", 16), ("resnet-50", 4),
     ("resnet-101-c", 33), ("resnet-152-c", 50)],
)  # fmt: skip
def test_projections_of_the_fact_sheet(id: str, projections: int) -> None:
    assert sum(isinstance(block.shortcut, Conv) for block in blocks(catalogue.network(id))) == projections


def test_option_a_has_no_parameters_in_its_shortcuts() -> None:
    for id in RESIDUAL:
        if id.endswith("-a"):
            shortcuts = [block.shortcut for block in blocks(catalogue.network(id))]
            assert all(isinstance(shortcut, Identity | ZeroPad) for shortcut in shortcuts)


def test_in_18_and_34_layers_conv2_needs_no_projection_but_in_50_it_does() -> None:
    assert find(catalogue.network("resnet-34-b"), "conv2_1.shortcut") == Identity()
    shortcut = find(catalogue.network("resnet-50"), "conv2_1.shortcut")
    assert shortcut == Conv(256, 1, stride=1, norm=BatchNorm(), act=None)


@pytest.mark.parametrize("id", [id for id in RESIDUAL if not id.endswith("signs")] + PLAIN)
def test_every_convolution_has_a_batch_norm_and_no_bias(id: str) -> None:
    convs = [step.layer for step in trace(catalogue.network(id)) if isinstance(step.layer, Conv)]
    assert all(conv.norm == BatchNorm() and not conv.bias for conv in convs)


@pytest.mark.parametrize("id", RESIDUAL)
def test_the_relu_of_a_block_is_behind_the_addition(id: str) -> None:
    for block in blocks(catalogue.network(id)):
        *before, last = (conv for _, conv in block.body)
        assert block.act and not last.act and all(conv.act for conv in before)
        assert not (isinstance(block.shortcut, Conv) and block.shortcut.act)


@pytest.mark.parametrize("id", PLAIN)
def test_a_plain_network_has_a_relu_behind_every_convolution_and_no_addition(id: str) -> None:
    layers = [step.layer for step in trace(catalogue.network(id))]
    assert not any(isinstance(layer, Residual) for layer in layers)
    assert all(layer.act for layer in layers if isinstance(layer, Conv))


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_v1_5_moves_the_stride_to_the_3x3(depth: int) -> None:
    """The fact sheet: the same parameters, 231,211,008 multiply-adds more, whatever the depth."""
    paper, later = catalogue.network(f"resnet-{depth}"), catalogue.network(f"resnet-{depth}-v1.5")
    assert cost(later).params == cost(paper).params
    assert cost(later).macs - cost(paper).macs == 231_211_008
    for stage in (3, 4, 5):
        assert [find(paper, f"conv{stage}_1.conv{i}").stride for i in (1, 2, 3)] == [2, 1, 1]
        assert [find(later, f"conv{stage}_1.conv{i}").stride for i in (1, 2, 3)] == [1, 2, 1]


def test_the_stages_of_34_b_cost_what_the_fact_sheet_says() -> None:
    expected = {
        "conv1": (9_408, 118.0), "conv2": (221_184, 693.6), "conv3": (1_114_112, 873.5),
        "conv4": (6_815_744, 1335.9), "conv5": (13_107_200, 642.3), "fc": (512_000, 0.5),
    }  # fmt: skip
    steps = trace(catalogue.network("resnet-34-b"))
    for stage, (weights, millions) in expected.items():
        found = total(step for step in steps if step.path.startswith(stage))
        assert (found.weights, round(found.macs / 1e6, 1)) == (weights, millions)


@pytest.mark.parametrize(
    ("id", "last", "pixels"), [("cifar-resnet-20-a", 3, 81), ("cifar-resnet-56-a", 9, 249)]
)
def test_receptive_field_of_the_last_convolution(id: str, last: int, pixels: int) -> None:
    found = {step.path: step.field.size for step in trace(catalogue.network(id))}
    assert found[f"conv4_{last}.conv2"] == (pixels, pixels)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 9, 18])
def test_cifar_weights_follow_the_formula(n: int) -> None:
    """Fact sheet, section 2."""
    weights = 432 + 2 * n * 2_304 + (4_608 + (2 * n - 1) * 9_216) + (18_432 + (2 * n - 1) * 36_864) + 640
    found = cost(cifar_resnet(6 * n + 2, "a"))
    assert (found.weights, found.norm, found.biases) == (weights, 32 + 4 * n * (16 + 32 + 64), 10)


def test_a_hundred_classes_add_5850_parameters() -> None:
    ten = catalogue.network("cifar-resnet-20-a")
    assert cost(replace_classes(ten, 100)).params - cost(ten).params == 5_850


def test_a_basic_block_and_a_bottleneck_cost_alike() -> None:
    """73,728 and 69,632 multiply-adds a position, on 64 and on 256 channels."""
    for id, address, weights in (("resnet-34-a", "conv2_2", 73_728), ("resnet-50", "conv2_2", 69_632)):
        steps = trace(catalogue.network(id))
        assert total(step for step in steps if within(step.path, address)).macs == weights * 56 * 56


def test_the_stem_pool_is_padded() -> None:
    assert find(catalogue.network("resnet-50"), "pool1") == MaxPool(3, stride=2, padding=1)
