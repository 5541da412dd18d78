"""Inception-v2 and v3 against Szegedy et al. 2015, the released graph, and the counts of their fact sheet."""

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.layers import AvgPool, BatchNorm, Conv, Dropout, GlobalAvgPool, Linear, MaxPool, pair, sides
from goingdeeper.tables.describe import depth
from goingdeeper.trace import find, trace

MODULES, FACTORIZED, V3, KERAS = (
    "inception-v2-released-modules", "inception-v2-factorized-7x7", "inception-v3", "inception-v3-keras",
)  # fmt: skip
TABLE_7X7, TABLE_3X3 = "inception-v2-table1-7x7", "inception-v2-table1-3x3"
RELEASED, LITERAL = (MODULES, FACTORIZED, V3, KERAS), (TABLE_7X7, TABLE_3X3)
ALL = RELEASED + LITERAL
ONE_7X7 = (MODULES, TABLE_7X7)

# The fact sheet's stem and modules, as released: output, weights, multiply-adds.
STEM = {
    "conv1a": ((32, 149, 149), 864, 19_181_664),
    "conv2a": ((32, 147, 147), 9_216, 199_148_544),
    "conv2b": ((64, 147, 147), 18_432, 398_297_088),
}
SEVEN = {"conv1": ((64, 147, 147), 9_408, 203_297_472)}
REST = {
    "pool3a": ((64, 73, 73), 0, 0),
    "conv3b": ((80, 73, 73), 5_120, 27_284_480),
    "conv4a": ((192, 71, 71), 138_240, 696_867_840),
    "pool5a": ((192, 35, 35), 0, 0),
    "mixed5b": ((256, 35, 35), 254_976, 312_345_600),
    "mixed5c": ((288, 35, 35), 276_480, 338_688_000),
    "mixed5d": ((288, 35, 35), 284_160, 348_096_000),
    "mixed6a": ((768, 17, 17), 1_152_000, 401_937_408),
    "mixed6b": ((768, 17, 17), 1_294_336, 374_063_104),
    "mixed6c": ((768, 17, 17), 1_687_552, 487_702_528),
    "mixed6d": ((768, 17, 17), 1_687_552, 487_702_528),
    "mixed6e": ((768, 17, 17), 2_138_112, 617_914_368),
    "mixed7a": ((1280, 8, 8), 1_695_744, 291_004_416),
    "mixed7b": ((2048, 8, 8), 5_038_080, 322_437_120),
    "mixed7c": ((2048, 8, 8), 6_070_272, 388_497_408),
    "pool8": ((2048, 1, 1), 0, 0),
    "fc": ((1000,), 2_048_000, 2_048_000),
}

# The same modules' convolutions, in the order of their branches: address, kernel, filters.
MIXED_5 = (
    "1x1 1x1 64, 5x5.reduce 1x1 48, 5x5.conv 5x5 64, double3x3.reduce 1x1 64, double3x3.conv1 3x3 96, "
    "double3x3.conv2 3x3 96, pool.proj 1x1 {}"
)
FIGURE_5 = MIXED_5.replace("5x5", "3x3").format(64)
MIXED_6A = "3x3 3x3/2 384, double3x3.reduce 1x1 64, double3x3.conv1 3x3 96, double3x3.conv2 3x3/2 96"
MIXED_6 = (
    "1x1 1x1 192, 7x7.reduce 1x1 {0}, 7x7.1x7 1x7 {0}, 7x7.7x1 7x1 192, double7x7.reduce 1x1 {0}, "
    "double7x7.7x1_1 7x1 {0}, double7x7.1x7_1 1x7 {0}, double7x7.7x1_2 7x1 {0}, double7x7.1x7_2 1x7 192, "
    "pool.proj 1x1 192"
)
MIXED_7A = (
    "3x3.reduce 1x1 192, 3x3.conv 3x3/2 320, 7x7.reduce 1x1 192, 7x7.1x7 1x7 192, 7x7.7x1 7x1 192, "
    "7x7.conv 3x3/2 192"
)
MIXED_7 = (
    "1x1 1x1 320, 3x3.reduce 1x1 384, 3x3.fork.1x3 1x3 384, 3x3.fork.3x1 3x1 384, double3x3.reduce 1x1 448, "
    "double3x3.conv 3x3 384, double3x3.fork.1x3 1x3 384, double3x3.fork.3x1 3x1 384, pool.proj 1x1 192"
)
SHARED = {"mixed6a": MIXED_6A, "mixed7a": MIXED_7A, "mixed7b": MIXED_7, "mixed7c": MIXED_7}
INSIDE_RELEASED = SHARED | {
    **{f"mixed5{name}": MIXED_5.format(proj) for name, proj in zip("bcd", (32, 64, 64), strict=True)},
    **{f"mixed6{name}": MIXED_6.format(c) for name, c in zip("bcde", (128, 160, 160, 192), strict=True)},
}
INSIDE_LITERAL = SHARED | {
    **{f"mixed5{name}": FIGURE_5 for name in "bcd"},
    **{
        f"mixed6{name}": MIXED_6.format(c) for name, c in zip("bcdef", (128, 160, 160, 160, 192), strict=True)
    },
}


def convolutions(id: str, within: str = "") -> list[tuple[str, Conv]]:
    return [
        (step.path.removeprefix(within), step.layer)
        for step in trace(catalogue.network(id))
        if isinstance(step.layer, Conv) and step.path.startswith(within)
    ]


def window(layer: Conv) -> str:
    height, width = pair(layer.kernel)
    return f"{height}x{width}" + (f"/{layer.stride}" if layer.stride > 1 else "")


@pytest.mark.parametrize("id", RELEASED)
def test_rows_of_the_released_graph(id: str, measure) -> None:
    rows = (SEVEN if id in ONE_7X7 else STEM) | REST
    for address, row in rows.items():
        found = measure(id, address)
        assert (found.shape, found.weights, found.macs) == row, address
    names = [name for name, _ in catalogue.network(id).layers]
    assert [name for name in names if name != "dropout"] == list(rows)


@pytest.mark.parametrize("id", LITERAL)
def test_rows_of_table_1(id: str) -> None:
    """Each row's size is that of its input."""
    network = catalogue.network(id)
    into = {step.path: step.shape_in for step in trace(network)}
    stem = [("conv1", "7x7/2", 299, 3)] if id in ONE_7X7 else [
        ("conv1a", "3x3/2", 299, 3), ("conv2a", "3x3", 149, 32), ("conv2b", "3x3", 147, 32),
    ]  # fmt: skip
    rest = [("conv3b", "3x3", 73, 64), ("conv4a", "3x3/2", 71, 80), ("conv5a", "3x3", 35, 192)]
    for name, kernel, side, channels in stem + rest:
        assert window(find(network, name)) == kernel
        assert into[name] == (channels, side, side)
    assert into["pool3a"] == (64, 147, 147)
    assert into["mixed5b"] == (288, 35, 35) and into["mixed6b"] == (768, 17, 17)
    assert into["mixed7b"] == (1280, 8, 8) and into["pool8"] == (2048, 8, 8) and into["fc"] == (2048, 1, 1)
    names = [name for name, _ in network.layers if name != "dropout"]
    modules = [f"mixed{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "6f")]
    modules += ["mixed7a", "mixed7b", "mixed7c"]
    assert names == [n for n, *_ in stem] + ["pool3a"] + [n for n, *_ in rest] + [*modules, "pool8", "fc"]


@pytest.mark.parametrize("id", ALL)
def test_modules_convolution_by_convolution(id: str) -> None:
    for name, inside in (INSIDE_LITERAL if id in LITERAL else INSIDE_RELEASED).items():
        found = [f"{path} {window(conv)} {conv.filters}" for path, conv in convolutions(id, f"{name}.")]
        assert ", ".join(found) == inside, name


@pytest.mark.parametrize("id", ALL)
def test_what_keeps_its_size_is_padded_and_the_rest_is_not(id: str) -> None:
    unpadded = {"conv1", "conv1a", "conv2a", "conv4a"} | ({"conv3b"} if id in LITERAL else set())
    for path, conv in convolutions(id):
        height, width = pair(conv.kernel)
        even = (height // 2,) * 2 + (width // 2,) * 2
        if path.startswith("heads."):
            even = (0, 0, 0, 0)
        assert sides(conv) == ((0, 0, 0, 0) if path in unpadded or conv.stride == 2 else even), path


@pytest.mark.parametrize("id", ALL)
def test_pools(id: str) -> None:
    """Maxima without padding, rounded down; padded taps count in the averages of the PyTorch form only."""
    network = catalogue.network(id)
    grids = [step for step in trace(network) if isinstance(step.layer, MaxPool)]
    assert {step.layer for step in grids} == {MaxPool(3, stride=2, padding=0, ceil=False)}
    assert [step.path for step in grids] == [
        "pool3a", *([] if id in LITERAL else ["pool5a"]), "mixed6a.pool", "mixed7a.pool",
    ]  # fmt: skip
    averages = {
        step.layer
        for step in trace(network)
        if isinstance(step.layer, AvgPool) and step.path.startswith("mixed")
    }
    assert averages == {AvgPool(3, count_padding=id == V3)}
    assert find(network, "pool8") == GlobalAvgPool()


@pytest.mark.parametrize("id", ALL)
def test_every_convolution_of_the_trunk_has_a_norm_a_relu_and_no_bias(id: str) -> None:
    norm = BatchNorm(eps=1e-3, scale=id != KERAS)
    trunk = [conv for path, conv in convolutions(id) if not path.startswith("heads.")]
    assert all(conv.norm == norm and conv.act and not conv.bias for conv in trunk)


def test_dropout() -> None:
    """20 % as released, 50 % in the PyTorch form, none in Keras's."""
    rates = {MODULES: 0.2, FACTORIZED: 0.2, V3: 0.5, TABLE_7X7: 0.2, TABLE_3X3: 0.2}
    for id, rate in rates.items():
        names = [name for name, _ in catalogue.network(id).layers]
        assert names[-3:] == ["pool8", "dropout", "fc"]
        assert find(catalogue.network(id), "dropout") == Dropout(rate)
    assert [name for name, _ in catalogue.network(KERAS).layers][-2:] == ["pool8", "fc"]


@pytest.mark.parametrize("id", [id for id in ALL if id != KERAS])
def test_the_head_reads_the_last_17x17_module(id: str, measure) -> None:
    """Figure 8, as released: average pool 5x5/3, 128 1x1, 768 5x5 filters, classifier."""
    last = "mixed6f" if id in LITERAL else "mixed6e"
    [(address, head)] = catalogue.network(id).heads
    place = f"heads.{last}"
    assert address == last
    assert [name for name, _ in head.layers] == ["pool", "conv1", "conv2", "fc"]
    assert measure(id, f"{place}.pool").shape == (768, 5, 5)
    assert dict(head.layers)["pool"] == AvgPool(5, stride=3, padding=0)
    assert measure(id, f"{place}.conv1")[:2] == ((128, 5, 5), 768 * 128)
    assert measure(id, f"{place}.conv2")[:2] == ((768, 1, 1), 25 * 128 * 768)
    assert measure(id, f"{place}.fc")[:3] == ((1000,), 768_000, 1000)
    found = measure(id, place)
    assert (found.weights, found.macs) == (3_323_904, 5_683_200)
    assert all(conv.act for path, conv in convolutions(id) if path.startswith("heads."))


def test_bn_auxiliary_normalises_the_hidden_layer_too(measure) -> None:
    """Table 3's last row; without it that layer has a bias instead (inferred)."""
    for id in (MODULES, FACTORIZED, *LITERAL):
        [(address, _)] = catalogue.network(id).heads
        found = measure(id, f"heads.{address}")
        assert (found.norm, found.biases) == (2 * 128, 768 + 1000)
        assert find(catalogue.network(id), f"heads.{address}.conv2").norm is None
    found = measure(V3, "heads.mixed6e")
    assert (found.norm, found.biases) == (1792, 1000)
    assert find(catalogue.network(V3), "heads.mixed6e.conv2").norm == BatchNorm(eps=1e-3)
    assert catalogue.network(KERAS).heads == ()


def test_v3_with_its_head() -> None:
    found = cost(V3)
    assert [head.params for _, head in found.heads] == [3_326_696]
    assert (found.params_with_heads, found.macs_with_heads) == (27_161_264, 5_718_899_296)


def test_factorising_the_7x7_costs_413_million() -> None:
    """Table 3 prints 3.8 and 4.8 billion."""
    difference = cost(FACTORIZED).macs - cost(MODULES).macs
    assert difference == 616_627_296 - 203_297_472
    assert cost(TABLE_3X3).macs - cost(TABLE_7X7).macs == difference


def test_the_rows_of_table_3_differ_in_stem_and_head_only() -> None:
    """The same trunk behind the first layers; v3's PyTorch form has other averages and dropout."""
    v2, v2_3x3 = catalogue.network(MODULES), catalogue.network(FACTORIZED)
    assert v2.layers[1:] == v2_3x3.layers[3:]
    assert (v2.heads, v2.init) == (v2_3x3.heads, v2_3x3.init)
    assert [name for name, _ in v2_3x3.layers] == [name for name, _ in catalogue.network(V3).layers]


@pytest.mark.parametrize(("id", "layers"), [(V3, 48), (FACTORIZED, 48), (MODULES, 46)])
def test_layers_on_the_longest_path(id: str, layers: int) -> None:
    """The paper says 42."""
    assert sum(depth(layer) for _, layer in catalogue.network(id).layers) == layers


@pytest.mark.parametrize("id", ALL)
def test_initial_weights(id: str, begins) -> None:
    """The release: 2 x 1.3 / fan-in, truncated; 0.01 in the head's 5x5, 0.001 in its classifier."""
    found = begins(id)
    assert {begin.distribution for begin in found.values()} == {"truncated"}
    assert {begin.bias for begin in found.values()} <= {0, None}
    assert found["conv4a"].variance == pytest.approx(2.6 / (9 * 80))
    assert found["mixed6b.7x7.1x7"].variance == pytest.approx(2.6 / (7 * 128))
    assert found["fc"].variance == pytest.approx(2.6 / 2048)
    for head, _ in catalogue.network(id).heads:
        assert found[f"heads.{head}.conv1"].variance == pytest.approx(2.6 / 768)
        assert found[f"heads.{head}.conv2"].variance == pytest.approx(0.01**2)
        assert found[f"heads.{head}.fc"].variance == pytest.approx(0.001**2)


@pytest.mark.parametrize("id", ALL)
def test_the_trunk_has_one_fully_connected_layer(id: str) -> None:
    trunk = [step for step in trace(catalogue.network(id)) if not step.path.startswith("heads.")]
    assert [step.path for step in trunk if isinstance(step.layer, Linear)] == ["fc"]
