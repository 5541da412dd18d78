import json
import os
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from goingdeeper import catalogue
from goingdeeper.published.networks import figures


def answer(said):
    assert (said.status, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["schema"] == 1
    return document


@pytest.fixture(scope="module")
def reference():
    """The sheet of figures that the networks were specified with, by id."""
    folder = os.environ.get("GOINGDEEPER_TEST_DATA")
    sheet = Path(folder).parent / "reference" / "published.toml" if folder else None
    if sheet is None or not sheet.is_file():
        pytest.skip("no reference/published.toml beside the folder that GOINGDEEPER_TEST_DATA names")
    return {entry["id"]: entry for entry in tomllib.loads(sheet.read_text("utf-8"))["network"]}


def test_list_json(deeper):
    networks = answer(deeper("list", "--json"))["networks"]
    assert [entry["id"] for entry in networks] == catalogue.names()
    for entry in networks:
        printed = figures(entry["id"])
        assert entry.keys() >= {"id", "paper", "input", "classes", "params", "macs"}
        assert (entry["params"], entry["macs"]) == (printed.params, printed.macs)
        assert (tuple(entry["input"]), entry["classes"]) == (printed.input, printed.classes)
        assert entry["paper"]


def test_list_json_against_the_reference_sheet(deeper, reference):
    for entry in answer(deeper("list", "--json"))["networks"]:
        if entry["id"] == "googlenet-naive":  # not on the sheet; it has a test of its own
            continue
        # "Identical counts", the sheet says of the plain ones; Inception-v3 has another auxiliary head.
        same = re.sub(r"^cifar-plain-(\d+)$", r"cifar-resnet-\1-a", entry["id"])
        expected = reference[{"inception-v2-factorized-7x7": "inception-v3"}.get(same, same)]
        assert (entry["params"], entry["macs"]) == (expected["params"], expected["macs"]), entry["id"]


ISSUE = [
    "googlenet", "googlenet-naive", "googlenet-separable-stem", "resnet-50-signs",
    *(f"plain-{depth}" for depth in (18, 34)),
    *(f"resnet-{depth}-{option}" for depth in (18, 34) for option in "abc"),
    *(f"resnet-{depth}{variant}" for depth in (50, 101, 152) for variant in ("", "-v1.5", "-c")),
    *(f"cifar-plain-{depth}" for depth in (20, 32, 44, 56, 110, 1202)),
    *(f"cifar-resnet-{depth}-{option}" for depth in (20, 32, 44, 56, 110, 1202) for option in "abc"),
    "googlenet-torchvision", "bn-googlenet", "alexnet", "alexnet-ungrouped",
    *(f"bn-inception-{reading}" for reading in ("table-literal", "released", "plain-stem", "caffe")),
    "inception-v2-released-modules", "inception-v2-factorized-7x7", "inception-v2-table1-7x7",
    "inception-v2-table1-3x3", "inception-v3", "inception-v3-keras",
    "vgg-11", "vgg-13", "vgg-16-c", "vgg-16", "vgg-19", *(f"prelu-net-{model}" for model in "abc"),
    "maxout-cifar10", "nin-cifar10", "dsn-cifar10", "fitnet-19", "fitnet-19-5pieces", "highway-19",
    "highway-19-fc", "highway-32",
]  # fmt: skip


def test_the_networks_there_are(deeper):
    assert {entry["id"] for entry in answer(deeper("list", "--json"))["networks"]} >= set(ISSUE)


def test_list_of_a_published_table(deeper):
    """He et al. 2015, Table 3."""
    said = deeper("list", "--table", "resnet-table3", "resnet-34-*")
    assert (said.status, said.err) == (0, "")
    assert [line.split() for line in said.out.splitlines() if line.startswith("resnet-34")] == [
        ["resnet-34-a", "25.03", "7.76"], ["resnet-34-b", "24.52", "7.46"], ["resnet-34-c", "24.19", "7.4"],
    ]  # fmt: skip
    document = answer(deeper("list", "--table", "resnet-table3", "--json"))
    assert document["table"] == "resnet-table3" and len(document["rows"]) == 10
    assert "did you mean resnet-table3" in deeper("list", "--table", "resnet-tabel3").refusal(2)


def test_the_net_of_stacked_naive_modules(deeper):
    document = answer(deeper("show", "googlenet-naive", "--json"))
    assert (document["params"], document["macs"]) == (97_526_008, 12_568_061_056)


@pytest.mark.parametrize("network", ISSUE)
def test_show_json(deeper, network):
    document = answer(deeper("show", network, "--json"))
    assert document.keys() >= {"id", "input", "params", "macs", "heads", "params_with_heads", "rows"}
    printed = figures(network)
    assert document["id"] == network
    assert (document["params"], document["macs"]) == (printed.params, printed.macs)
    heads = document["heads"]
    assert document["params_with_heads"] == document["params"] + sum(
        head["params"] for head in heads.values()
    )
    if printed.params_with_heads:
        assert document["params_with_heads"] == printed.params_with_heads
    rows = document["rows"]
    for row in rows:
        assert row.keys() >= {"path", "layer", "shape_in", "shape_out", "params", "macs", "receptive_field"}
    trunk = [row for row in rows if not row["path"].startswith("heads.")]
    assert sum(row["params"] for row in trunk) == document["params"]
    assert sum(row["macs"] for row in trunk) == document["macs"]
    assert trunk[0]["shape_in"] == document["input"]


def test_googlenet_with_its_heads(deeper, reference):
    document = answer(deeper("show", "googlenet", "--json"))
    assert document["heads"].keys() == {"4a", "4d"}
    assert document["params_with_heads"] == reference["googlenet-with-aux"]["params"]


@pytest.mark.parametrize(
    ("network", "sides"),
    [
        ("googlenet", [112, 56, 28, 14, 7]),
        ("resnet-34-b", [112, 56, 28, 14, 7]),
        ("resnet-152", [112, 56, 28, 14, 7]),
        ("cifar-resnet-110-a", [32, 16, 8]),
    ],
)
def test_the_papers_map_sizes(deeper, network, sides):
    rows = answer(deeper("show", network, "--json"))["rows"]
    met = [row["shape_out"][1] for row in rows if len(row["shape_out"]) == 3]
    assert [side for side in dict.fromkeys(met) if side > 1 and side in sides] == sides


def test_show_for_other_images_and_classes(deeper):
    document = answer(deeper("show", "resnet-18-b", "--size", "64", "--classes", "10", "--json"))
    assert document["input"] == [3, 64, 64]
    # 512 x 990 weights and 990 biases fewer than for 1000 classes.
    assert document["params"] == figures("resnet-18-b").params - 990 * 513


@pytest.mark.parametrize("by", ["stage", "block", "layer"])
def test_rows_of_a_block_by_address(deeper, by):
    rows = answer(deeper("show", "googlenet", "3a", "--by", by, "--json"))["rows"]
    assert all(row["path"] == "3a" or row["path"].startswith("3a.") for row in rows)
    # Szegedy et al. 2014, Table 1: 3a has 159K weights; 163,696 with its biases.
    assert sum(row["params"] for row in rows) == 163_696


@pytest.mark.parametrize("style", ["text", "markdown", "html"])
@pytest.mark.parametrize("network", ["googlenet", "resnet-50", "cifar-plain-20"])
def test_tables(deeper, network, style):
    said = deeper("show", network, "--style", style)
    assert (said.status, said.err) == (0, "")
    assert said.out.count(network) >= 1
    assert f"{figures(network).params:,}" in said.out
    if style == "html":
        ElementTree.fromstring(said.out)


def test_googlenets_table_reads_like_the_papers(deeper):
    out = deeper("show", "googlenet").out
    line = next(line for line in out.splitlines() if line.startswith("4a "))
    # Table 1: inception (4a), 14x14x512, 192, 96, 208, 16, 48, 64.
    assert " inception 14x14x512 " in " ".join(line.split())
    assert " 192 96 208 16 48 64 " in " ".join(line.split())


@pytest.mark.parametrize("width", [44, 60, 80, 100, 120, 200])
def test_the_list_fits_the_terminal(deeper, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    said = deeper("list")
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= width
    lines, notes = lines[: 1 + len(catalogue.names())], " ".join(lines[1 + len(catalogue.names()) :])
    assert ("* not printed in that paper" in notes) == (width >= 80)
    for word in ("paper", "input", "published error"):
        left_out = notes.partition("left out for want of room: ")[2].split(", ")
        assert (word in lines[0]) != (word in left_out)
    # An error that has a protocol shows it, or none is shown.
    assert width < 80 or all(re.search(r"%\*?, (\d+ crop|dense)", one) for one in lines if " / " in one)
    assert [line.split()[0] for line in lines] == ["network", *catalogue.names()]
    assert all(line == line.rstrip() for line in lines)
    assert "params" in lines[0]
    assert ("published error" in lines[0]) == (width >= 80)
    assert ("paper" in lines[0]) == (width >= 100)


def test_the_list_is_whole_where_there_is_no_terminal(deeper):
    lines = deeper("list", "resnet-50").out.splitlines()
    assert lines[0].split() == ["network", "paper", "input", "params", "macs", "published", "error"]
    assert "He et al. 2015, Table 1" in lines[1]
    assert "224x224" in lines[1]
    assert "22.85 / 6.71 %, 10 crops" in lines[1]


def test_the_list_marks_errors_of_others(deeper):
    _, row, variant, note = deeper("list", "resnet-50-v1.5").out.splitlines()
    assert variant.strip() == figures("resnet-50-v1.5").variant
    assert "23.87 / 7.138 %*, 1 crop" in row
    assert note.startswith("* not printed in that paper")
    [entry] = answer(deeper("list", "resnet-50-v1.5", "--json"))["networks"]
    assert entry["published_error_source"].startswith("public PyTorch weights")


def test_the_json_of_a_block_counts_that_block(deeper):
    document = answer(deeper("show", "googlenet", "5a", "--classes", "7", "--json"))
    # Table 1's widths: 1,042,432 weights and 1,024 biases.
    assert (document["address"], document["params"]) == ("5a", 1_043_456)
    assert (document["macs"], document["classes"], document["heads"]) == (51_079_168, 7, {})


def test_a_part_of_a_name_gets_a_pattern(deeper):
    assert "try '*resnet*'" in deeper("list", "ResNet").refusal(2)


def test_patterns(deeper):
    lines = deeper("list", "resnet-34-?").out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == [
        "network", "resnet-34-a", "resnet-34-b", "resnet-34-c",
    ]  # fmt: skip
    assert "    option C: every shortcut is a 1x1 convolution" in lines
    assert "**" not in deeper("list", "").refusal(2)
    assert deeper("list", "googlenet").out.splitlines()[1].startswith("googlenet ")


@pytest.mark.parametrize("words", [["googlenet"], ["googlenet", "3a"], ["resnet-34-a", "conv3_1"]])
def test_draw(deeper, here, words):
    said = deeper("draw", *words)
    assert (said.status, said.err) == (0, "")
    assert ElementTree.fromstring(said.out).tag.endswith("svg")
    (here / "old.svg").write_text("replaced")
    again = deeper("draw", *words, "-o", "old.svg")
    assert (again.status, again.out, again.err) == (0, "old.svg\n", "")
    assert (here / "old.svg").read_text("utf-8").strip() == said.out.strip()
    assert [file.name for file in here.iterdir()] == ["old.svg"]


def test_footnotes_in_json(deeper):
    said = answer(deeper("show", "prelu-net-a", "--json"))["inferred"]
    assert [one["layer"] for one in said] == ["conv*", "conv*", "spp", None]
    assert said[2]["detail"].startswith("borders of its parts rounded outwards")
    [one] = answer(deeper("show", "prelu-net-a", "spp", "--json"))["inferred"]
    assert one["layer"] == "spp"
    assert answer(deeper("show", "googlenet", "--json"))["inferred"] == []


@pytest.mark.parametrize("by", ["stage", "layer"])
def test_memory_for_a_batch(deeper, by):
    document = answer(deeper("show", "vgg-16", "--by", by, "--batch", "8", "--json"))
    # Simonyan and Zisserman 2014, Table 1, D: maps of the convolutions and pools, three fully connected
    # layers and two dropouts; 4 bytes each.
    convs = 2 * 64 * 224**2 + 2 * 128 * 112**2 + 3 * 256 * 56**2 + 3 * 512 * 28**2 + 3 * 512 * 14**2
    pools = sum(width * side**2 for width, side in ((64, 112), (128, 56), (256, 28), (512, 14), (512, 7)))
    values = convs + pools + 4 * 4096 + 1000
    assert (document["batch"], document["activation_bytes"]) == (8, 32 * values)
    assert sum(row["activations"] for row in document["rows"]) == values
    assert all(row["activation_bytes"] == 32 * row["activations"] for row in document["rows"])
    plain = answer(deeper("show", "vgg-16", "--by", by, "--json"))
    assert "activation_bytes" not in plain and "activation_bytes" not in plain["rows"][0]
    assert plain["rows"][0]["activations"] > 0


def test_memory_in_the_table(deeper, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = deeper("show", "bn-inception-released", "--batch", "256").out
    assert max(map(len, out.splitlines())) <= 80
    assert "memory: the outputs of all layers for 256 images in float32" in out
    assert " GB memory" in out
    deeper("show", "vgg-16", "--batch", "0").refusal(2)


def test_draw_takes_a_stage(deeper):
    out = deeper("draw", "resnet-34-a", "conv3_x").out
    assert all(f">conv3_{number}<" in out for number in (1, 2, 3, 4))
    assert "did you mean conv3_" in deeper("draw", "resnet-34-a", "conv3_y").refusal(2)


def test_the_variant_in_json(deeper):
    for entry in answer(deeper("list", "bn-inception-*", "--json"))["networks"]:
        assert entry["variant"] == figures(entry["id"]).variant != ""
        assert answer(deeper("show", entry["id"], "--json"))["variant"] == entry["variant"]
    assert answer(deeper("show", "vgg-16", "--json"))["variant"] == (figures("vgg-16").variant or None)


def test_small_images_without_the_heads(deeper):
    # Its auxiliary head pools 5x5 where 96x96 images leave 4x4.
    for verb in ("show", "draw"):
        assert "without its heads (--no-heads)" in deeper(verb, "inception-v3", "--size", "96").refusal(2)
        assert deeper(verb, "inception-v3", "--size", "96", "--no-heads").status == 0
    document = answer(deeper("show", "inception-v3", "--no-heads", "--json"))
    assert document["heads"] == {}
    assert document["params_with_heads"] == document["params"] == figures("inception-v3").params


def test_a_stage_is_suggested(deeper):
    assert "conv3_x" in deeper("show", "resnet-50", "conv3").refusal(2)
