"""VGG against Simonyan and Zisserman 2014, Tables 1 and 2, and the counts of its fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import total
from goingdeeper.layers import Conv, Dropout, Linear, MaxPool, sides
from goingdeeper.published import figures
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

# Table 1, columns A to E, as printed: a group a line, a layer of kernel x filters a word.
COLUMNS = {
    "vgg-11": ("3x64", "3x128", "3x256 3x256", "3x512 3x512", "3x512 3x512"),
    "vgg-13": ("3x64 3x64", "3x128 3x128", "3x256 3x256", "3x512 3x512", "3x512 3x512"),
    "vgg-16-c": (
        "3x64 3x64", "3x128 3x128", "3x256 3x256 1x256", "3x512 3x512 1x512", "3x512 3x512 1x512",
    ),
    "vgg-16": (
        "3x64 3x64", "3x128 3x128", "3x256 3x256 3x256", "3x512 3x512 3x512", "3x512 3x512 3x512",
    ),
    "vgg-19": (
        "3x64 3x64", "3x128 3x128", "3x256 3x256 3x256 3x256", "3x512 3x512 3x512 3x512",
        "3x512 3x512 3x512 3x512",
    ),
}  # fmt: skip
MAPS = (224, 112, 56, 28, 14)


@pytest.mark.parametrize("id", COLUMNS)
def test_columns_of_table_1(id: str) -> None:
    network = catalogue.network(id)
    out = {step.path: step.shape_out for step in trace(network)}
    expected = []
    for group, (layers, side) in enumerate(zip(COLUMNS[id], MAPS, strict=True), start=1):
        for index, layer in enumerate(layers.split(), start=1):
            kernel, filters = map(int, layer.split("x"))
            name = f"conv{group}_{index}"
            expected.append(name)
            conv = find(network, name)
            assert (conv.kernel, conv.filters, conv.stride) == (kernel, filters, 1)
            assert sides(conv) == ((1, 1, 1, 1) if kernel == 3 else (0, 0, 0, 0))
            assert out[name] == (filters, side, side)
        expected.append(f"pool{group}")
        assert find(network, f"pool{group}") == MaxPool(2, stride=2, padding=0)
        assert out[f"pool{group}"] == (filters, side // 2, side // 2)
    names = [name for name, _ in network.layers]
    assert names == [*expected, "fc6", "dropout6", "fc7", "dropout7", "fc8"]


@pytest.mark.parametrize("id", COLUMNS)
def test_the_fully_connected_layers_are_the_same_in_all(id: str, measure) -> None:
    network = catalogue.network(id)
    assert measure(network, "fc6")[:3] == ((4096,), 25_088 * 4096, 4096)
    assert measure(network, "fc7")[:3] == ((4096,), 4096 * 4096, 4096)
    assert measure(network, "fc8")[:3] == ((1000,), 4096 * 1000, 1000)
    assert find(network, "dropout6") == find(network, "dropout7") == Dropout(0.5)
    assert find(network, "fc6").act and find(network, "fc7").act and not find(network, "fc8").act


@pytest.mark.parametrize("id", COLUMNS)
def test_every_convolution_has_a_bias_and_a_relu_and_none_a_norm(id: str) -> None:
    convs = [step.layer for step in trace(catalogue.network(id)) if isinstance(step.layer, Conv)]
    assert all(conv.bias and conv.act and conv.norm is None for conv in convs)


@pytest.mark.parametrize("id", COLUMNS)
def test_the_name_counts_the_layers_with_weights(id: str) -> None:
    assert sum(depth(layer) for _, layer in catalogue.network(id).layers) == int(id.split("-")[1])


@pytest.mark.parametrize(("id", "macs"), [("vgg-16", 15_346_630_656), ("vgg-19", 19_508_428_800)])
def test_convolutions_alone_cost_what_he_et_al_quote(id: str, macs: int) -> None:
    """He et al. 2015, section 3.3: 19.6 billion for VGG-19; Table 1's 15.3 for VGG-16."""
    steps = trace(catalogue.network(id))
    assert total(step for step in steps if isinstance(step.layer, Conv)).macs == macs
    assert macs + total(step for step in steps if isinstance(step.layer, Linear)).macs == figures(id).macs


@pytest.mark.parametrize(("id", "millions"), list(zip(COLUMNS, (133, 133, 134, 138, 144), strict=True)))
def test_table_2_in_millions(id: str, millions: int, measure) -> None:
    network = catalogue.network(id)
    params = sum(measure(network, name).weights + measure(network, name).biases for name, _ in network.layers)
    assert round(params / 1e6) == millions


@pytest.mark.parametrize("id", COLUMNS)
def test_initial_weights_are_glorot_s(id: str, begins) -> None:
    """Section 3.1: uniform in +-sqrt(6 / (fan-in + fan-out)), whose variance is a third of that squared."""
    found = begins(id)
    assert {begin.distribution for begin in found.values()} == {"uniform"}
    assert {begin.bias for begin in found.values()} == {0}
    assert found["conv1_1"].variance == pytest.approx(6 / (27 + 576) / 3)
    assert found["conv2_1"].variance == pytest.approx(6 / (576 + 1152) / 3)
    assert found["fc6"].variance == pytest.approx(6 / (25_088 + 4096) / 3)
