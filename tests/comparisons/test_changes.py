"""The table of differences: readable, within its width, and adding up."""

import re
from xml.etree import ElementTree

import pytest

from goingdeeper.comparisons.changes import changes
from goingdeeper.comparisons.diff import diff
from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, Conv, GlobalAvgPool, Linear, Network
from goingdeeper.published import figures


def counted(a: str, b: str, **given: bool) -> tuple[list[list[str]], int, int]:
    """Rows of the Markdown table as cells, totals left out, and what their last two columns sum to."""
    lines = [line for line in changes(diff(a, b), "markdown", **given).splitlines() if line.startswith("| ")]
    rows = [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in lines[2:]]
    rows = [row for row in rows if not row[0].startswith("*")]
    sums = [sum(int(row[index].replace(",", "") or 0) for row in rows) for index in (2, 3)]
    return rows, sums[0], sums[1]


def lines(a: str, b: str, width: int = 80) -> list[str]:
    return changes(diff(a, b), width=width).splitlines()


def test_v1_5_in_full() -> None:
    out = changes(diff("resnet-152", "resnet-152-v1.5"), width=100)
    assert out.startswith("from resnet-152 to resnet-152-v1.5\n")
    first = "conv3_1.conv1  - conv 1x1/2, 128, batch norm, ReLU"
    second = "               + conv 1x1, 128, batch norm, ReLU"
    assert re.search(rf"^{re.escape(first)} +\+77,070,336\n{re.escape(second)}$", out, re.MULTILINE)
    # The totals are the published ones.
    assert re.search(r"^resnet-152 +60,192,808 params +11,282,415,616 macs$", out, re.MULTILINE)
    assert re.search(r"^resnet-152-v1.5 +60,192,808 params +11,513,626,624 macs$", out, re.MULTILINE)
    assert re.search(r"^difference +0 params +\+231,211,008 macs$", out, re.MULTILINE)
    assert re.search(r"^relative +0 params +\+2\.05 % macs$", out, re.MULTILINE)
    assert len(out.splitlines()) < 25


def test_plain_against_residual_is_short() -> None:
    out = "\n".join(lines("plain-34", "resnet-34-a"))
    assert len(out.splitlines()) < 35
    assert "conv3_1.shortcut" in out
    assert "conv2_1 to conv2_3" in out
    assert out.count("identity, added, then ReLU") == 1
    assert "(13 in all)" in out  # 16 blocks, three of them with padding
    assert len(lines("cifar-plain-1202", "cifar-resnet-1202-a")) < 40


WIDE = [
    ("googlenet", "googlenet-torchvision"),
    ("googlenet", "resnet-50"),
    ("googlenet-naive", "googlenet"),
    ("googlenet:3a", "googlenet:4a"),
    ("inception-v2-released-modules", "inception-v3"),
    ("inception-v3", "bn-inception-caffe"),
    ("plain-34", "resnet-34-a"),
    ("resnet-50", "resnet-50-v1.5"),
    ("resnet-50", "resnet-50-signs"),
    ("alexnet", "resnet-50"),
    ("inception-v2-table1-7x7", "inception-v3"),
    ("vgg-16", "resnet-50"),
]

SCREEN = [
    ("bn-inception-table-literal", "bn-inception-caffe"),
    ("bn-inception-plain-stem", "bn-inception-released"),
    ("inception-v2-released-modules", "inception-v2-table1-3x3"),
    ("googlenet", "bn-googlenet"),
    ("vgg-16", "vgg-19"),
    ("fitnet-19", "highway-19-fc"),
    ("prelu-net-a", "prelu-net-b"),
    ("resnet-34-a", "resnet-34-b"),
    ("cifar-resnet-20-a", "cifar-resnet-32-a"),
    *((a, b) for a, b in WIDE if a != "bn-inception-released"),
]


@pytest.mark.parametrize(("a", "b"), SCREEN)
def test_it_fits_a_screen(a: str, b: str) -> None:
    out = lines(a, b)
    assert len(out) <= 50


def test_one_change_to_every_layer_is_a_row_a_kernel() -> None:
    out = lines("bn-inception-table-literal", "bn-inception-caffe")
    assert len(out) < 35
    told = "\n".join(out)
    # The fact sheet: 69 convolutions, conv1 of the first being two; all get a bias.
    assert re.search(
        r"^all other 1x1 +- conv 1x1, 32 to 352, batch norm,.*\n +convolutions .*\n\(37 in", told, re.M
    )
    assert re.search(r"^all 3x3 convolutions +- conv 3x3, 64 to 320, batch norm,", told, re.M)
    assert "3x3, 64 to 320, bias, batch" in told


def test_all_convolutions_of_a_kernel_are_those_of_the_trunk() -> None:
    inside = [f"conv_of_head{n}" for n in range(4)]
    a, b = (
        Network(
            f"small-{bias}",
            {
                "conv1": Conv(8, 3) if bias else {"x": Conv(8, 1), "y": Conv(8, 3)},
                "pool": GlobalAvgPool(),
                "fc": Linear(CLASSES),
            },
            input=(4, 8, 8),
            classes=7,
            heads={"conv1": {**{name: Conv(8, 1, bias=bias) for name in inside}, "fc": Linear(CLASSES)}},
        )
        for bias in (False, True)
    )
    told = changes(diff(a, b), width=80)
    assert "convolutions" not in told
    assert re.search(r"^in heads.conv1 +- conv 1x1, 8, ReLU", told, re.M)


def test_unrelated_networks_are_compared_by_block() -> None:
    told = "\n".join(lines("alexnet", "resnet-50"))
    assert "hardly anything stands for anything else (12 % of the layers with weights)" in told
    assert re.search(r"^conv3_x +\+ 4 blocks", told, re.M)
    assert "\nconv3_1" not in told
    told = "\n".join(lines("bn-inception-caffe", "inception-v3"))
    assert "hardly anything" in told
    assert re.search(r"^4b +differs from mixed6b in \d+ layers", told, re.M)
    every = changes(diff("alexnet", "resnet-50"), every=True)
    assert "hardly" not in every
    assert "conv3_1 " in every


def test_what_both_have_is_left_out_where_room_is_short() -> None:
    told = "\n".join(lines("resnet-50", "resnet-50-signs"))
    assert "+ conv 3x3, 64 to 512, bias\n" in told
    assert "what both sides have" in told


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize(("a", "b"), WIDE)
def test_the_table_keeps_to_its_width(a: str, b: str, width: int) -> None:
    out = lines(a, b, width)
    assert max(map(len, out)) <= width
    assert all(line == line.rstrip() and line.isascii() for line in out)


def test_counts_are_rounded_where_room_is_short() -> None:
    out = "\n".join(lines("googlenet-naive", "googlenet", 60))
    assert "-5.47G" in out
    assert "K, M, G: 10^3" not in "\n".join(lines("googlenet-naive", "googlenet", 100))


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize(("a", "b"), [pair for pair in WIDE if ":" not in pair[0]])
def test_rows_sum_to_the_published_difference(a: str, b: str, every: bool) -> None:
    rows, params, macs = counted(a, b, every=every)
    heads = [row for row in rows if row[0].startswith("heads")]
    of_heads = [sum(int(row[index].replace(",", "") or 0) for row in heads) for index in (2, 3)]
    before, after = figures(a), figures(b)
    assert params - of_heads[0] == after.params - before.params
    assert macs - of_heads[1] == after.macs - before.macs
    if every:
        assert len(rows) == len(diff(a, b).changes)


def test_heads_stand_apart_and_are_summed_apart() -> None:
    out = "\n".join(lines("googlenet", "googlenet-torchvision", 100))
    trunk, heads = out.split("auxiliary heads, for training only\n")
    assert "heads" not in trunk
    assert "4a.pool" in heads
    assert re.search(r"^googlenet \+ heads +13,378,280 params +1,591,044,096 macs$", heads, re.MULTILINE)
    assert re.search(r"^googlenet-torchvision \+ heads +13,004,888 params", heads, re.MULTILINE)
    assert "heads" not in changes(diff("resnet-50", "resnet-101"))


def test_another_input_is_said_with_both() -> None:
    out = "\n".join(lines("googlenet-naive:3b", "googlenet:3b", 100))
    assert "= conv 1x1, 128, bias, ReLU; 256 in instead of 416" in out
    out = " ".join(" ".join(lines("googlenet:4e", "googlenet:5a")).split())
    assert "7x7x832 in instead of 14x14x528" in out
    naive = changes(diff("googlenet-naive", "googlenet"), width=160)
    assert "left out: 12 layers without weights, the same but for the shape of the input" in naive
    every = changes(diff("googlenet-naive", "googlenet"), every=True)
    assert "left out" not in every
    assert "pool3" in every


def test_other_names_are_shown_side_by_side() -> None:
    rows, _, _ = counted("inception-v2-released-modules", "inception-v2-table1-7x7", every=True)
    names = [row[0] for row in rows]
    assert "mixed5b.5x5.reduce > 3x3.reduce" in names
    assert "heads.mixed6e > mixed6f" in names
    assert "mixed6f" in names


def test_only_idle_changes_are_shown_all_the_same() -> None:
    assert "= max pool 3x3/2, pad 0, ceil" in changes(diff("googlenet:pool3", "googlenet:pool4"))


def test_no_difference() -> None:
    said = changes(diff("googlenet:3a", "googlenet:3a"))
    assert said == "no difference between the layers of googlenet:3a and googlenet:3a"
    page = changes(diff("resnet-50", "resnet-50"), "html")
    assert ElementTree.fromstring(page).text == "no difference between the layers of resnet-50 and resnet-50"


def test_print_and_notebook() -> None:
    found = diff("googlenet", "googlenet-torchvision")
    assert str(found) == changes(found)
    page = ElementTree.fromstring(found._repr_html_())
    assert page.tag == "table"
    assert "-373,648" in "".join(page.itertext())


def test_unknown_style() -> None:
    with pytest.raises(UsageError, match=r"unknown style 'latex'; .*there are text, markdown, html"):
        changes(diff("resnet-50", "resnet-101"), "latex")  # type: ignore[arg-type]
