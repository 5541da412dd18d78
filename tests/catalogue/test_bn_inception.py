"""BN-Inception against the appendix of Ioffe and Szegedy 2015, and the counts of its fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.layers import AvgPool, BatchNorm, Chain, Conv, Dropout, Linear, MaxPool, pair, sides
from goingdeeper.trace import find, trace

LITERAL, RELEASED, PLAIN, CAFFE = (
    f"bn-inception-{reading}" for reading in ("table-literal", "released", "plain-stem", "caffe")
)
ALL = (LITERAL, RELEASED, PLAIN, CAFFE)
NARROW, WIDE = (RELEASED, PLAIN), (LITERAL, CAFFE)  # pool projections of 96 or 128 in 4c and 4d
SEPARABLE, ORDINARY = (LITERAL, RELEASED), (PLAIN, CAFFE)

# The table: 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool, projection; (4c and 4d by reading).
TABLE = {
    "3a": (64, 64, 64, 64, 96, "average", 32),
    "3b": (64, 64, 96, 64, 96, "average", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "average", 128),
    "4b": (192, 96, 128, 96, 128, "average", 128),
    "4c": (160, 128, 160, 128, 160, "average", None),
    "4d": (96, 128, 192, 160, 192, "average", None),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "average", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}

# Channels, side, weights, millions of multiply-adds with 96, then with 128, where they differ.
MODULES = {
    "3a": (256, 28, 218_112, 171.0),
    "3b": (320, 28, 259_072, 203.1),
    "3c": (576, 14, 384_000, 143.9),
    "4a": (576, 14, 608_256, 119.2),
    "4b": (576, 14, 663_552, 130.1),
    "4c": (576, 14, 893_952, 175.2),
    "4d": (576, 14, 1_105_920, 216.8),
    "4e": (1024, 7, 1_437_696, 162.6),
    "5a": (1024, 7, 2_179_072, 106.8),
    "5b": (1024, 7, 2_276_352, 111.5),
}
WITH_128 = MODULES | {
    "4c": (608, 14, 912_384, 178.8),
    "4d": (608, 14, 1_140_736, 223.6),
    "4e": (1056, 7, 1_447_936, 164.6),
    "5a": (1024, 7, 2_205_696, 108.1),
}


@pytest.mark.parametrize("id", ALL)
@pytest.mark.parametrize("name", MODULES)
def test_modules_of_the_fact_sheet(id: str, name: str, measure) -> None:
    channels, side, weights, millions = (WITH_128 if id in WIDE else MODULES)[name]
    found = measure(id, name)
    assert (found.shape, found.weights) == ((channels, side, side), weights)
    assert found.macs / 1e6 == pytest.approx(millions, abs=0.051)


@pytest.mark.parametrize("id", ALL)
@pytest.mark.parametrize("name", TABLE)
def test_rows_of_the_table(id: str, name: str) -> None:
    """Branches in the order in which they are joined: 1x1, 3x3, double 3x3, pool."""
    first, reduce, single, double_reduce, double, pool, proj = TABLE[name]
    module = find(catalogue.network(id), name)
    stride = 1 if first else 2
    convs = [(path.split(".", 1)[1], layer) for path, layer in convolutions(id) if path.startswith(name)]
    expected = [
        ("1x1", first, 1, 1),
        ("3x3.reduce", reduce, 1, 1),
        ("3x3.conv", single, 3, stride),
        ("double3x3.reduce", double_reduce, 1, 1),
        ("double3x3.conv1", double, 3, 1),
        ("double3x3.conv2", double, 3, stride),
        ("pool.proj", (128 if id in WIDE else 96) if proj is None else proj, 1, 1),
    ]
    assert [(path, conv.filters, conv.kernel, conv.stride) for path, conv in convs] == [
        row for row in expected if row[1]
    ]
    assert all(conv.act for _, conv in convs)
    last = dict(module.branches)["pool"]
    if stride == 2:
        assert last == MaxPool(3, stride=2, padding=0, ceil=True)
    else:
        assert [path for path, _ in last.layers] == [pool, "proj"]
        assert dict(last.layers)[pool] == (
            MaxPool(3) if pool == "max" else AvgPool(3, count_padding=id == CAFFE)
        )


def convolutions(id: str) -> list[tuple[str, Conv]]:
    steps = trace(catalogue.network(id))
    return [(step.path, step.layer) for step in steps if isinstance(step.layer, Conv)]


@pytest.mark.parametrize("id", ALL)
def test_stem_and_classifier(id: str, measure) -> None:
    found = measure(id, "conv1")
    assert found.shape == (64, 112, 112)
    assert found.weights == (1176 + 1536 if id in SEPARABLE else 7 * 7 * 3 * 64)
    assert found.macs == found.weights * 112 * 112
    assert measure(id, "pool1").shape == (64, 56, 56)
    assert measure(id, "conv2.reduce").shape == (64, 56, 56)
    conv2 = measure(id, "conv2")
    assert (conv2.shape, conv2.weights, round(conv2.macs / 1e6, 1)) == ((192, 56, 56), 114_688, 359.7)
    assert measure(id, "pool2").shape == (192, 28, 28)
    assert measure(id, "pool5").shape == (1024, 1, 1)
    assert measure(id, "fc")[:3] == ((1000,), 1_024_000, 1000)
    assert catalogue.network(id).heads == ()


@pytest.mark.parametrize("id", SEPARABLE)
def test_nothing_stands_between_the_two_halves_of_the_separable_stem(id: str) -> None:
    """The appendix: a separable convolution with depth multiplier 8."""
    stem = find(catalogue.network(id), "conv1")
    assert isinstance(stem, Chain) and [name for name, _ in stem.layers] == ["depthwise", "pointwise"]
    depthwise = find(catalogue.network(id), "conv1.depthwise")
    assert (depthwise.filters, depthwise.kernel, depthwise.groups) == (24, 7, 3)
    assert (depthwise.bias, depthwise.norm, depthwise.act) == (False, None, None)


def test_norms_and_biases_of_the_readings() -> None:
    for path, conv in convolutions(RELEASED):
        assert conv.norm == (None if path.startswith("conv1") else BatchNorm(eps=1e-3, scale=False))
        assert conv.bias == (path == "conv1.pointwise")
    for id in (LITERAL, PLAIN):
        for path, conv in convolutions(id):
            assert conv.norm == (None if path == "conv1.depthwise" else BatchNorm(eps=1e-3))
            assert not conv.bias
    for _, conv in convolutions(CAFFE):
        assert conv.norm == BatchNorm(eps=1e-5)
        assert conv.bias


def test_only_the_released_graph_drops_a_fifth() -> None:
    """Section 4.2.1 removes dropout; the release keeps 0.8 by default."""
    for id in ALL:
        names = [name for name, _ in catalogue.network(id).layers]
        assert names[-2:] == (["dropout", "fc"] if id == RELEASED else ["pool5", "fc"])
    assert find(catalogue.network(RELEASED), "dropout") == Dropout(0.2)


def test_the_released_graph_pads_as_tensorflow_s_same() -> None:
    """As many pixels as ceil(size / stride) windows need, the odd one behind; the others pad evenly."""
    for step in trace(catalogue.network(RELEASED)):
        layer = step.layer
        if not isinstance(layer, Conv | MaxPool | AvgPool):
            continue
        wanted: list[int] = []
        for size, kernel in zip(step.shape_in[1:], pair(layer.kernel), strict=True):
            all = max((-(-size // layer.stride) - 1) * layer.stride + kernel - size, 0)
            wanted += [all // 2, all - all // 2]
        # a pool whose size is rounded up lets its last window hang over the edge instead
        hang = (1, 1) if isinstance(layer, MaxPool) and layer.ceil else (0, 0)
        top, bottom, left, right = sides(layer)
        assert [top, bottom + hang[0], left, right + hang[1]] == wanted, step.path


@pytest.mark.parametrize("id", (LITERAL, PLAIN, CAFFE))
def test_the_others_pad_evenly(id: str) -> None:
    for _, conv in convolutions(id):
        assert sides(conv) == (pair(conv.kernel)[0] // 2,) * 4


@pytest.mark.parametrize("id", ALL)
def test_initial_weights(id: str, begins) -> None:
    """The release: 2 x 1.3 / fan-in, truncated; fixed in the stem, in reductions and projections."""
    found = begins(id)
    assert {begin.distribution for begin in found.values()} == {"truncated"}
    assert {begin.bias for begin in found.values()} <= {0, None}
    for address, begin in found.items():
        if address in ("conv1.depthwise", "conv1.pointwise"):
            std = 1.0
        elif address == "conv2.reduce" or address.endswith(".proj"):
            std = 0.1
        elif address.endswith(".reduce"):
            std = 0.09
        else:
            continue
        assert begin.variance == pytest.approx(std**2), address
    assert found["conv2.conv"].variance == pytest.approx(2.6 / (9 * 64))
    assert found["3a.1x1"].variance == pytest.approx(2.6 / 192)
    assert found["fc"].variance == pytest.approx(2.6 / 1024)
    if id in ORDINARY:
        assert found["conv1"].variance == pytest.approx(2.6 / (49 * 3))


@pytest.mark.parametrize("id", ALL)
def test_the_classifier_is_the_only_fully_connected_layer(id: str) -> None:
    assert sum(isinstance(step.layer, Linear) for step in trace(catalogue.network(id))) == 1
