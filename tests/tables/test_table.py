"""Tables against the papers' own: Table 1 of GoogLeNet, Table 1 of the residual networks, and their costs."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.errors import ShapeError, UsageError
from goingdeeper.layers import (
    CLASSES,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Identity,
    Linear,
    MaxPool,
    Network,
    Residual,
)
from goingdeeper.tables.rows import BY, rows
from goingdeeper.tables.table import table
from goingdeeper.trace import find

# Szegedy et al. 2014, Table 1: output (height x width x channels), depth, #1x1, #3x3 reduce, #3x3,
# #5x5 reduce, #5x5, pool proj.
TABLE_1 = {
    "conv1": ("112x112x64", "1", "", "", "", "", "", ""),
    "pool1": ("56x56x64", "", "", "", "", "", "", ""),
    "conv2": ("56x56x192", "2", "", "64", "192", "", "", ""),
    "pool2": ("28x28x192", "", "", "", "", "", "", ""),
    "3a": ("28x28x256", "2", "64", "96", "128", "16", "32", "32"),
    "3b": ("28x28x480", "2", "128", "128", "192", "32", "96", "64"),
    "pool3": ("14x14x480", "", "", "", "", "", "", ""),
    "4a": ("14x14x512", "2", "192", "96", "208", "16", "48", "64"),
    "4b": ("14x14x512", "2", "160", "112", "224", "24", "64", "64"),
    "4c": ("14x14x512", "2", "128", "128", "256", "24", "64", "64"),
    "4d": ("14x14x528", "2", "112", "144", "288", "32", "64", "64"),
    "4e": ("14x14x832", "2", "256", "160", "320", "32", "128", "128"),
    "pool4": ("7x7x832", "", "", "", "", "", "", ""),
    "5a": ("7x7x832", "2", "256", "160", "320", "32", "128", "128"),
    "5b": ("7x7x1024", "2", "384", "192", "384", "48", "128", "128"),
    "pool5": ("1x1x1024", "", "", "", "", "", "", ""),
    "dropout": ("1x1x1024", "", "", "", "", "", "", ""),
    "fc": ("1000", "1", "", "", "", "", "", ""),
}

# He et al. 2015, Table 1.
BASIC = [f"[3x3, {width}; 3x3, {width}]" for width in (64, 128, 256, 512)]
BOTTLENECK = [f"[1x1, {width}; 3x3, {width}; 1x1, {4 * width}]" for width in (64, 128, 256, 512)]
STAGES = {
    "plain-18": (BASIC, (2, 2, 2, 2)),
    "resnet-18-a": (BASIC, (2, 2, 2, 2)),
    "resnet-34-b": (BASIC, (3, 4, 6, 3)),
    "resnet-50": (BOTTLENECK, (3, 4, 6, 3)),
    "resnet-101": (BOTTLENECK, (3, 4, 23, 3)),
    "resnet-152": (BOTTLENECK, (3, 8, 36, 3)),
}

ODD = Network(
    "a <b> & | c",
    {
        "stem": {"a": Conv(32, 3, stride=2, padding=0), "b": Conv(64, 3)},
        "wide_1": Concat({
            "1x1": Conv(16, 1),
            "7x7": {"reduce": Conv(8, 1), "1x7": Conv(8, (1, 7)), "7x1": Conv(16, (7, 1))},
            "split": {"reduce": Conv(8, 1), "pair": Concat({"1x3": Conv(8, (1, 3)), "3x1": Conv(8, (3, 1))})},
            "pool": {"avg": AvgPool(3), "proj": Conv(8, 1)},
        }),
        "wide_2": Concat({
            "block": Residual({"conv1": Conv(56, 1), "conv2": Conv(56, 3, act=None)}, Identity()),
            "pool": MaxPool(3),
            "d3x3": {"reduce": Conv(8, 1), "conv1": Conv(8, 3), "conv2": Conv(8, 3)},
        }),
        "pool": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    },
    heads={"stem": Linear(CLASSES)},
    input=(3, 33, 31),
    classes=7,
)  # fmt: skip


def cells(network: Network, **given: object) -> list[dict[str, str]]:
    """The rows of the Markdown table, up to its totals, by column."""
    lines = [line for line in table(network, style="markdown", **given).splitlines() if line.startswith("| ")]
    split = [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in lines]
    assert {len(row) for row in split} == {len(split[0])}
    return [dict(zip(split[0], row, strict=True)) for row in split[2:]]


def number(text: str) -> int:
    return int(text.strip("*").replace(",", "") or 0)


@pytest.mark.parametrize("name", TABLE_1)
def test_googlenet_reads_as_table_1(name: str) -> None:
    [row] = [row for row in cells(catalogue.network("googlenet")) if row["name"] == name][:1]
    columns = ("output", "depth", "#1x1", "#3x3 reduce", "#3x3", "#5x5 reduce", "#5x5", "pool proj")
    assert tuple(row[column] for column in columns) == TABLE_1[name]


def test_googlenets_kinds_of_layer() -> None:
    words = {row["name"]: row["layer"] for row in cells(catalogue.network("googlenet"))[:20]}
    assert words["conv1"] == "conv 7x7/2"
    assert words["pool1"] == "max pool 3x3/2"
    assert words["conv2"] == "conv 3x3"
    assert words["3a"] == words["5b"] == "inception"
    assert words["fc"] == "linear 1000"


def test_heads_come_after_the_trunk_with_sums_of_their_own() -> None:
    found = cells(catalogue.network("googlenet"))
    sums = [(number(row["params"]), number(row["macs"])) for row in found if row["name"] == "*sum*"]
    assert sums == [(3_188_840, 4_169_728), (3_190_888, 4_202_496)]
    total, with_heads = found[-2:]
    assert (number(total["params"]), number(total["macs"])) == (6_998_552, 1_582_671_872)
    assert (number(with_heads["params"]), number(with_heads["macs"])) == (13_378_280, 1_591_044_096)


@pytest.mark.parametrize("id", STAGES)
def test_residual_networks_read_as_table_1(id: str) -> None:
    bodies, counts = STAGES[id]
    found = {row["name"]: row for row in cells(catalogue.network(id))}
    assert list(found)[:7] == ["conv1", "pool1", "conv2_x", "conv3_x", "conv4_x", "conv5_x", "pool5"]
    for stage, (body, count, side) in enumerate(zip(bodies, counts, (56, 28, 14, 7), strict=True)):
        row = found[f"conv{stage + 2}_x"]
        assert row["layer"].split("<br>")[0] == f"{body} x {count}"
        assert row["output"].startswith(f"{side}x{side}x")


@pytest.mark.parametrize(
    ("id", "stage", "note"),
    [
        ("plain-34", "conv2_x", []),
        ("plain-34", "conv3_x", ["first: /2 in conv1"]),
        ("resnet-34-a", "conv2_x", ["identity shortcuts"]),
        ("resnet-34-a", "conv3_x", ["first: /2 in conv1, zero-padding /2"]),
        ("resnet-34-b", "conv2_x", ["identity shortcuts"]),
        ("resnet-34-b", "conv3_x", ["first: /2 in conv1, projection 1x1/2"]),
        ("resnet-34-c", "conv2_x", ["each: projection 1x1"]),
        ("resnet-34-c", "conv5_x", ["first: /2 in conv1, projection 1x1/2", "then: projection 1x1"]),
        ("resnet-50", "conv2_x", ["first: projection 1x1"]),
        ("resnet-50", "conv4_x", ["first: /2 in conv1, projection 1x1/2"]),
        ("resnet-50-v1.5", "conv4_x", ["first: /2 in conv2, projection 1x1/2"]),
    ],
)
def test_strides_and_shortcuts_of_a_stage(id: str, stage: str, note: list[str]) -> None:
    [row] = [row for row in cells(catalogue.network(id)) if row["name"] == stage]
    assert row["layer"].split("<br>")[1:] == note


def test_the_stages_of_34_b_cost_what_the_fact_sheet_says() -> None:
    """Weights as the sheet has them; each batch norm adds two a filter, the classifier 1,000 biases."""
    expected = [
        ("conv1", 9_408 + 2 * 64, 118.0, 7),
        ("conv2_x", 221_184 + 2 * 6 * 64, 693.6, 59),
        ("conv3_x", 1_114_112 + 2 * 9 * 128, 873.5, 179),
        ("conv4_x", 6_815_744 + 2 * 13 * 256, 1335.9, 547),
        ("conv5_x", 13_107_200 + 2 * 7 * 512, 642.3, 899),
        ("fc", 512_000 + 1_000, 0.5, 1091),
    ]
    found = [row for row in rows(catalogue.network("resnet-34-b")) if row.params]
    assert [(row.path, row.params, round(row.macs / 1e6, 1)) for row in found] == [e[:3] for e in expected]


@pytest.mark.parametrize(
    ("id", "path", "pixels"),
    [("googlenet", "conv2", 19), ("googlenet", "5b", 715), ("cifar-resnet-20-a", "conv4_x", 81),
     ("cifar-resnet-56-a", "conv4_x", 249)],
)  # fmt: skip
def test_receptive_fields(id: str, path: str, pixels: int) -> None:
    [row] = [row for row in rows(catalogue.network(id)) if row.path == path]
    assert row.receptive_field == pixels


@pytest.mark.parametrize(
    ("id", "deep"),
    [
        ("googlenet", 22),
        ("plain-34", 34),
        ("resnet-18-b", 18),
        ("resnet-152", 152),
        ("cifar-resnet-110-a", 110),
    ],
)
@pytest.mark.parametrize("by", BY)
def test_the_title_counts_the_layers_with_weights(id: str, deep: int, by: str) -> None:
    assert f", {deep} layers with weights" in table(catalogue.network(id), by=by).splitlines()[0]


@pytest.mark.parametrize("id", [*catalogue.names("googlenet*"), *catalogue.names("*34*"), "resnet-50-signs"])
@pytest.mark.parametrize("by", BY)
def test_rows_add_up_to_the_network(id: str, by: str) -> None:
    network = catalogue.network(id)
    found = rows(network, by=by)
    assert sum(row.params for row in found) == cost(network).params_with_heads
    assert sum(row.macs for row in found) == cost(network).macs_with_heads
    assert found[0].shape_in == network.input


def test_rows_by_layer_have_addresses_and_shapes_channels_first() -> None:
    found = {row.path: row for row in rows(catalogue.network("googlenet"), by="layer")}
    reduce = found["3a.5x5.reduce"].data()
    assert reduce == {
        "path": "3a.5x5.reduce",
        "layer": "conv 1x1, 16, bias, ReLU",
        "shape_in": (192, 28, 28),
        "shape_out": (16, 28, 28),
        "params": 192 * 16 + 16,
        "macs": 2_408_448,
        "receptive_field": 27,
        "depth": 1,
        "activations": 16 * 28 * 28,
    }
    assert found["heads.4a.fc1"].layer == "linear 1024, bias, ReLU"
    assert found["pool1"].layer == "max pool 3x3/2, pad 0, ceil"


def test_rows_of_one_block() -> None:
    network = catalogue.network("googlenet")
    paths = [
        "3a.1x1",
        "3a.3x3.reduce",
        "3a.3x3.conv",
        "3a.5x5.reduce",
        "3a.5x5.conv",
        "3a.pool.max",
        "3a.pool.proj",
    ]
    assert [row.path for row in rows(network, "3a")] == paths
    assert sum(row.macs for row in rows(network, "3a")) == 128_049_152
    assert [row.path for row in rows(network, "3a", "block")] == ["3a.1x1", "3a.3x3", "3a.5x5", "3a.pool"]
    assert [row.path for row in rows(network, "3a.5x5.conv")] == ["3a.5x5.conv"]
    assert sum(row.params for row in rows(network, "heads.4a")) == 3_188_840


def test_rows_of_one_stage() -> None:
    network = catalogue.network("resnet-50")
    found = rows(network, "conv3_x")
    assert [row.path for row in found] == ["conv3_1", "conv3_2", "conv3_3", "conv3_4"]
    assert found[0].layer == "[1x1/2, 128; 3x3, 128; 1x1, 512] + projection 1x1/2"
    assert found[1].layer == "[1x1, 128; 3x3, 128; 1x1, 512] + identity"
    [whole] = [row for row in rows(network) if row.path == "conv3_x"]
    assert sum(row.params for row in found) == whole.params
    assert [row.path for row in rows(network, "conv3_x", "layer")][:2] == ["conv3_1.conv1", "conv3_1.conv2"]


def test_another_input() -> None:
    network = catalogue.network("resnet-50")
    assert "192x192x3 in" in table(network, input=(3, 192, 192))
    assert rows(network, input=(3, 192, 192))[-2].shape_in == (2048, 6, 6)
    with pytest.raises(ShapeError, match="the smallest input it takes is"):
        table(catalogue.network("googlenet"), input=(3, 8, 8))


@pytest.mark.parametrize(
    "id", [name for name in catalogue.names() if "resnet" not in name or name in ("resnet-50", "resnet-34-c")]
)
@pytest.mark.parametrize("width", [80, 100, 130])
def test_text_fits_the_terminal_and_keeps_exact_totals(id: str, width: int) -> None:
    network = catalogue.network(id)
    text = table(network, width=width)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= width
    assert f"{cost(network).params:,} params" in text
    assert f"{cost(network).macs:,} macs" in text


def test_what_does_not_fit_is_said() -> None:
    network = catalogue.network("googlenet")
    assert "128,049,152" in table(network, width=None)
    rounded = table(network, width=100)
    assert "128,049,152" not in rounded and " 128M " in rounded and "K, M, G: 10^3, 10^6, 10^9" in rounded
    assert "left out for want of room: field, depth" in table(network, width=80)


def test_a_chain_outside_the_modules_stands_under_the_branch_with_its_kernels() -> None:
    module = find(catalogue.network("googlenet"), "3a")
    layers = {
        "a": {"reduce": Conv(4, 1), "conv": Conv(6, 5)},
        "b": {"reduce": Conv(4, 1), "conv": Conv(6, 7)},
        "3a": module,
        "pool": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    }
    a, b, *_ = cells(Network("chains", layers))
    assert (a["layer"], a["#3x3"], a["#5x5 reduce"], a["#5x5"]) == ("conv 5x5", "", "4", "6")
    assert (b["layer"], b["#3x3"], b["#5x5 reduce"], b["#5x5"]) == ("1x1, 4<br>7x7, 6", "", "", "")


def test_modules_with_many_kinds_of_branches_are_told_in_words() -> None:
    text = table(ODD)
    assert "1x1, 8 -> {1x3, 8 | 3x1, 8}" in text
    assert "[1x1, 56; 3x3, 56] + identity" in text
    assert "avg pool 3x3 -> 1x1, 8" in text
    assert "#1x1" not in text


def test_pools_are_named_where_modules_differ_in_them() -> None:
    def module(pool: MaxPool | AvgPool, stride: int) -> Concat:
        return Concat({"3x3": Conv(8, 3, stride), "pool": {"pool": pool, "proj": Conv(8, 1)}})

    layers = {
        "a": module(AvgPool(3), 1),
        "b": module(MaxPool(3, 2), 2),
        "p": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    }
    found = cells(Network("mixed", layers))
    assert [row["layer"] for row in found[:2]] == ["inception<br>avg pool", "inception /2<br>max pool"]
    assert [(row["#3x3"], row["pool proj"]) for row in found[:2]] == [("8", "8"), ("8", "8")]


@pytest.mark.parametrize("by", BY)
def test_any_description_has_a_table(by: str) -> None:
    found = rows(ODD, by=by)
    assert sum(row.params for row in found) == cost(ODD).params_with_heads
    narrow = [row.receptive_field for row in found if row.path.endswith("1x7")]
    assert narrow in ([], [(3 + 2 * 2, 7 + 2 * 6)])
    trunk = [row for row in cells(ODD, by=by) if row["name"] == "**total**"]
    assert [number(row["params"]) for row in trunk] == [cost(ODD).params]


def test_consecutive_numbers_from_1_make_a_stage() -> None:
    conv = Conv(8, 3)
    names = ["conv1_1", "conv1_2", "other_2", "conv1_3", "block_1", "block_3"]
    network = Network("x", {**dict.fromkeys(names, conv), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)})
    paths = [row.path for row in rows(network)]
    assert paths == ["conv1_x", "other_2", "conv1_3", "block_x", "block_3", "pool", "fc"]


def test_blocks_that_differ_are_listed_in_runs() -> None:
    layers = {f"conv1_{i}": Conv(filters, 3) for i, filters in enumerate((8, 8, 16), start=1)}
    found = rows(Network("x", {**layers, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}))
    assert found[0].layer == "[3x3, 8] x 2 ([3x3, 16])"


def test_html_is_one_well_formed_table_with_escaped_content() -> None:
    root = ElementTree.fromstring(table(ODD, style="html"))
    assert root.tag == "table"
    assert root.find("caption").text.startswith("a <b> & | c: 33x31x3 in")
    assert "<b>" not in table(ODD, style="html")
    assert not [node for node in root.iter() if node.tag in ("script", "link", "img")]
    body = [[cell.text for cell in row] for row in root.findall("tbody")[0].findall("tr")]
    assert (body[-1][0], number(body[-1][-3])) == ("fc", (56 + 56 + 8) * 7 + 7)


def test_html_has_the_exact_numbers_of_the_paper_table() -> None:
    root = ElementTree.fromstring(catalogue.network("googlenet")._repr_html_())
    body = {row[0].text: [cell.text for cell in row] for row in root.findall("tbody")[0].findall("tr")}
    assert body["3a"][-2] == "128,049,152"


def test_markdown_escapes_what_would_break_the_table() -> None:
    found = cells(ODD, by="block")
    assert "{1x3, 8 \\| 3x1, 8}" in found[1]["layer"]
    assert found[1]["layer"].count("<br>") == 3


@pytest.mark.parametrize(
    ("given", "what"),
    [({"style": "csv"}, "unknown style 'csv'; there are text, markdown, html"),
     ({"by": "blocks"}, "unknown way to make rows 'blocks'; did you mean block"),
     ({"address": "norm3"}, "unknown address in googlenet: 'norm3'; did you mean norm"),
     ({"address": "heads"}, "'heads' is not a layer; name one, such as heads.4a")],
)  # fmt: skip
def test_unknown_words_suggest(given: dict, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        table(catalogue.network("googlenet"), **given)


# Simonyan and Zisserman 2014, Table 1: what stands between one max pool and the next.
FILTERS = (64, 128, 256, 512, 512)
VGG = {
    "vgg-11": ["[3x3, 64]", "[3x3, 128]", *(f"[3x3, {width}] x 2" for width in FILTERS[2:])],
    "vgg-13": [f"[3x3, {width}] x 2" for width in FILTERS],
    "vgg-16-c": [f"[3x3, {width}] x 2" + f"<br>[1x1, {width}]" * (width > 128) for width in FILTERS],
    "vgg-16": [f"[3x3, {width}] x {2 + (width > 128)}" for width in FILTERS],
    "vgg-19": [f"[3x3, {width}] x {2 + 2 * (width > 128)}" for width in FILTERS],
}


@pytest.mark.parametrize("id", VGG)
def test_vgg_reads_as_table_1(id: str) -> None:
    found = [row for row in cells(catalogue.network(id)) if row["name"].startswith("conv")]
    assert [row["layer"] for row in found] == VGG[id]
    assert [row["output"].split("x")[0] for row in found] == ["224", "112", "56", "28", "14"]


@pytest.mark.parametrize(
    ("id", "rows"),
    [
        # Krizhevsky et al. 2012, Figure 2: two towers in conv2, conv4 and conv5.
        ("alexnet", {"conv1": "conv 11x11/4, 96", "conv2": "conv 5x5, 256, 2 groups"}),
        ("alexnet-ungrouped", {"conv2": "conv 5x5, 256"}),
        # He et al. 2015, "Delving deep into rectifiers", Table 3.
        ("prelu-net-a", {"conv1": "conv 7x7/2, 96", "conv2_x": "[3x3, 256] x 5"}),
        ("prelu-net-b", {"conv4_x": "[3x3, 512] x 6", "spp": "spatial pyramid 7, 3, 2, 1"}),
        ("prelu-net-c", {"conv2_x": "[3x3, 384] x 6", "conv4_x": "[3x3, 896] x 6"}),
        # Goodfellow et al. 2013 and Romero et al. 2014, as released: widths are after the maximum.
        ("maxout-cifar10", {"conv1": "conv 8x8, 96, maxout of 2", "fc1": "linear 500, maxout of 5"}),
        ("fitnet-19", {
            "conv1_x": "[3x3, 32, maxout of 2] x 3<br>[3x3, 48, maxout of 2] x 2",
            "conv2_x": "[3x3, 80, maxout of 2] x 6",
        }),
        # Srivastava et al. 2015: alternating 3x3 and 1x1.
        ("highway-19", {"conv2_x": "[3x3, 80]<br>[highway 3x3, 80] x 5"}),
        ("highway-32", {
            "conv1_x": "[3x3, 32]<br>[highway 1x1, 32; highway 3x3, 32] x 4<br>[highway 1x1, 32]",
        }),
        ("nin-cifar10", {"cccp6": "conv 1x1, 10", "pool3": "global average"}),
        ("googlenet-torchvision", {"pool4": "max pool 2x2/2"}),
    ],
)  # fmt: skip
def test_the_other_networks_read_as_their_papers(id: str, rows: dict[str, str]) -> None:
    marked = {row["name"].split(" [")[0]: row["layer"] for row in cells(catalogue.network(id))}
    assert {name: marked[name] for name in rows} == rows


# Ioffe and Szegedy 2015, the appendix' table: #1x1, #3x3 reduce, #3x3, double #3x3 reduce, double #3x3,
# pool proj; 4c and 4d have the projections of the released graph.
BN_INCEPTION = {
    "3a": ("28x28x256", "64", "64", "64", "64", "96", "32"),
    "3b": ("28x28x320", "64", "64", "96", "64", "96", "64"),
    "3c": ("14x14x576", "", "128", "160", "64", "96", ""),
    "4a": ("14x14x576", "224", "64", "96", "96", "128", "128"),
    "4c": ("14x14x576", "160", "128", "160", "128", "160", "96"),
    "4e": ("7x7x1024", "", "128", "192", "192", "256", ""),
    "5b": ("7x7x1024", "352", "192", "320", "192", "224", "128"),
}


@pytest.mark.parametrize("name", BN_INCEPTION)
def test_bn_inception_reads_as_the_appendix(name: str) -> None:
    [row] = [row for row in cells(catalogue.network("bn-inception-released")) if row["name"] == name]
    columns = ("output", "#1x1", "#3x3 reduce", "#3x3", "double #3x3 reduce", "double #3x3", "pool proj")
    assert tuple(row[column] for column in columns) == BN_INCEPTION[name]
    pools = {"3c": "max pool", "4e": "max pool", "5b": "max pool"}
    assert row["layer"].split("<br>")[-1] == pools.get(name, "avg pool")


def test_layers_of_a_branch_that_differ_keep_a_column_each() -> None:
    def module(second: int) -> Concat:
        return Concat({"a": Conv(8, 1), "b": {"conv1": Conv(4, 3), "conv2": Conv(second, 3)}})

    layers = {"m1": module(4), "m2": module(6), "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    first, second, *_ = cells(Network("pairs", layers))
    assert (first["b conv1: #3x3"], first["b conv2: #3x3"], second["b conv2: #3x3"]) == ("4", "4", "6")
    assert first["a: #1x1"] == "8" and first["layer"] == "2 branches"


def test_headings_tell_the_kernel_where_the_name_does_not() -> None:
    """The released graph has 3x3 where Table 1 and its branch's name have 5x5."""
    [row] = [row for row in cells(catalogue.network("googlenet-torchvision")) if row["name"] == "3a"]
    widths = [row[heading] for heading in ("#1x1", "#3x3 reduce", "#3x3", "5x5 reduce: #1x1", "5x5: #3x3")]
    assert widths == ["64", "96", "128", "16", "32"] and row["layer"] == "inception"
    assert "#5x5" not in row
    odd = Concat({"1x1": Conv(8, 1), "3x3": {"conv1": Conv(8, 1), "conv2": Conv(16, 5)}})
    row, *_ = cells(Network("odd", {"m": odd, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}))
    assert (row["#1x1"], row["3x3 conv1: #1x1"], row["3x3 conv2: #5x5"]) == ("8", "8", "16")


def test_kernels_that_change_from_module_to_module_are_told_in_words() -> None:
    layers = {f"m{kernel}": Concat({"a": Conv(8, 1), "b": Conv(4, kernel)}) for kernel in (3, 5)}
    first, second, *_ = cells(Network("changes", {**layers, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}))
    assert (first["layer"], second["layer"]) == ("1x1, 8<br>3x3, 4", "1x1, 8<br>5x5, 4")


def test_maxout_is_said_once() -> None:
    """Goodfellow et al. 2013's CIFAR-10 network."""
    row, *_ = (row for row in rows(catalogue.network("maxout-cifar10"), by="layer") if row.path == "conv1")
    assert row.layer == "conv 8x8, 96, maxout of 2, pad 4, bias"


def test_nothing_to_count_has_no_total() -> None:
    assert "total" not in table("prelu-net-a", "spp")
    assert "total" in table("prelu-net-a", "conv1")


def test_inception_v3_is_told_in_words() -> None:
    """Szegedy et al. 2015, Figures 5 to 7, with the released widths."""
    found = {row["name"]: row["layer"].split("<br>") for row in cells(catalogue.network("inception-v3"))}
    assert found["mixed7b"] == [
        "1x1, 320",
        "1x1, 384 -> {1x3, 384 \\| 3x1, 384}",
        "1x1, 448 -> 3x3, 384 -> {1x3, 384 \\| 3x1, 384}",
        "avg pool 3x3 -> 1x1, 192",
    ]
    assert found["mixed6b"][2] == "1x1, 128 -> 7x1, 128 -> 1x7, 128 -> 7x1, 128 -> 1x7, 192"
    narrow = table(catalogue.network("inception-v3"), width=80).splitlines()
    assert next(line for line in narrow if line.startswith("mixed6b")).split()[1:3] == ["1x1,", "192"]
    assert "          -> 1x7, 192" in narrow  # the rest of a line is indented under it


def test_heads_of_one_layer_share_a_part_and_say_what_they_read() -> None:
    network = catalogue.network("dsn-cifar10")
    found = cells(network)
    start = next(place for place, row in enumerate(found) if row["name"].startswith("*heads"))
    assert found[start]["name"] == "*heads: auxiliary heads of one layer, for training only*"
    companions = {row["name"]: row["layer"] for row in found[start + 1 : start + 4]}
    assert companions == {
        f"{name}.conv": f"linear 10, reads {name} before its ReLU" for name in ("conv1", "conv2", "conv3")
    }
    # The fact sheet: 966,986 parameters, 3,547,496 in the training graph.
    assert number(found[-1]["params"]) == 3_547_496
    assert [row.params for row in rows(network) if row.path.startswith("heads.")] == [
        1_966_090,
        491_530,
        122_890,
    ]
    assert [row.path for row in rows(network, "heads.conv2.conv")] == ["heads.conv2.conv"]


def test_heads_within_a_block_say_what_they_read() -> None:
    googlenet = catalogue.network("googlenet")
    head = {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    text = table(replace(googlenet, heads={"4a.5x5.conv": head, "4b.5x5.reduce.conv": head, "4c": head}))
    assert "heads.4a.5x5.conv: auxiliary head, for training only, reads 4a.5x5.conv\n" in text
    assert (
        "heads.4b.5x5.reduce.conv: auxiliary head, for training only, reads 4b.5x5.reduce before its ReLU\n"
        in text
    )
    assert "heads.4c: auxiliary head, for training only\n" in text


SMALL = Network("small", {
    "conv": Conv(4, 3, stride=2, norm=BatchNorm()),  # 4 x 8 x 8 = 256 values
    "m": Concat({"a": Conv(2, 1), "b": {"c": Conv(3, 1), "d": Conv(5, 3)}}),  # (2 + 3 + 5) x 64 = 640
    "drop": Dropout(0.5),  # 448
    "pool": GlobalAvgPool(),  # 7
    "fc": Linear(CLASSES),  # 3
}, {"conv": {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}}, input=(3, 16, 16), classes=3)  # fmt: skip


def test_activation_memory_by_hand() -> None:
    assert [row.activations for row in rows(SMALL)] == [256, 640, 448, 7, 3, 4, 3]
    assert [row.activations for row in rows(SMALL, "m")] == [128, 192, 320]
    assert "activation_bytes" not in rows(SMALL)[0].data()
    assert [row.data()["activation_bytes"] for row in rows(SMALL, batch=10)] == [
        40 * values for values in (256, 640, 448, 7, 3, 4, 3)
    ]
    found = cells(SMALL, batch=1000)
    memory = {row["name"].strip("*"): row["memory"].strip("*") for row in found}
    assert memory["conv"] == "1.02 MB" and memory["m"] == "2.56 MB" and memory["sum"] == "28.0 kB"
    assert memory["total"] == "5.42 MB" and memory["with heads"] == "5.44 MB"
    assert "memory" not in cells(SMALL)[0]
    assert "outputs of all layers for 1000 images in float32" in table(SMALL, batch=1000, width=None)
    assert "for one image in float32" in table(SMALL, batch=1, width=None)
    assert "  5.42 MB memory\n" in table(SMALL, batch=1000)


@pytest.mark.parametrize(("batch", "said"), [(1, "1.08 kB"), (2, "2.15 kB"), (10**6, "1.08 GB")])
def test_memory_in_three_digits(batch: int, said: str) -> None:
    network = Network("one", {"fc": Linear(269)}, input=(1, 1, 1), classes=269)
    assert cells(network, batch=batch)[0]["memory"] == said
