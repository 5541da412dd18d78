"""Footnotes: what the fact sheets mark as inferred or recalled is said where it is shown, and only there."""

from dataclasses import replace

import pytest

from goingdeeper import catalogue
from goingdeeper.edits import rename, replace_layer, without_heads
from goingdeeper.layers import Conv, MaxPool, Network
from goingdeeper.published.networks import figures, ids
from goingdeeper.tables.footnotes import inferred
from goingdeeper.tables.rows import BY, rows
from goingdeeper.tables.table import table
from goingdeeper.trace import trace

# The sheets' marks: a word of the detail, and the address of a layer that it is about.
SHEETS = {
    # networks-inception.md, sections 1.4, 2, 3.2, 4.2, 4.3 and 4.4.
    "googlenet-separable-stem": [("separable stem", "conv1"), ("whole definition", None)],
    "bn-googlenet": [("whole definition", None)],
    "bn-inception-table-literal": [("auxiliary heads", None)],
    "bn-inception-released": [("auxiliary heads", None)],
    "bn-inception-caffe": [("auxiliary heads", None)],
    "bn-inception-plain-stem": [("auxiliary heads", None), ("whole definition", None)],
    "inception-v2-released-modules": [
        ("padding 0", "conv1"), ("no batch norm", "heads.mixed6e.conv2"), ("whole definition", None),
    ],
    "inception-v2-factorized-7x7": [("no batch norm", "heads.mixed6e.conv2"), ("whole definition", None)],
    "inception-v2-table1-7x7": [
        ("padding 0", "conv1"), ("5x5 made 3x3", "mixed5d"), ("128, 160, 160, 160", "mixed6b"),
        ("no batch norm", "heads.mixed6f.conv2"), ("whole definition", None),
    ],
    "inception-v2-table1-3x3": [
        ("5x5 made 3x3", "mixed5b"), ("128, 160, 160, 160", "mixed6f"),
        ("no batch norm", "heads.mixed6f.conv2"), ("whole definition", None),
    ],
    # networks-baselines.md, sections 3, 6, 8.1 and 8.2.
    **{
        f"prelu-net-{model}": [
            ("filters recalled", "conv4_1"), ("padding 3", "conv1"), ("rounded outwards", "spp"),
            ("from memory of the paper", None),
        ]
        for model in "abc"
    },
    "dsn-cifar10": [("squared hinge", None)],
    "highway-19-fc": [("8x8 max pool", "pool3"), ("500 units", "fc1"), ("whole definition", None)],
    "highway-32": [
        ("filters", "conv2_4"), ("pooling", "pool1"), ("head", "fc"), ("whole definition", None),
    ],
}  # fmt: skip


@pytest.mark.parametrize("id", SHEETS)
def test_what_the_sheets_mark_is_said(id: str) -> None:
    network = catalogue.network(id)
    for words, address in SHEETS[id]:
        about = [one for one in inferred(network, address) if bool(one.layer) == (address is not None)]
        assert [one for one in about if words in one.detail], f"{id}: nothing says '{words}'"
    text = table(network, width=None)
    assert all(one.detail in text for one in inferred(network))


def test_no_other_network_has_footnotes() -> None:
    assert {id for id in catalogue.names() if inferred(catalogue.network(id))} == {*SHEETS}


@pytest.mark.parametrize("id", [id for id in ids() if figures(id).inferred])
def test_details_are_about_layers_that_there_are(id: str) -> None:
    network = catalogue.network(id)
    paths = [step.path for step in trace(network)]
    for one in figures(id).inferred:
        assert "inferred" in one.detail or "recalled" in one.detail
        assert not one.layer or any(one in inferred(network, path) for path in paths), one


def test_marks_stand_at_the_rows_concerned() -> None:
    lines = table(catalogue.network("highway-19-fc")).splitlines()
    marked = [line.split()[0] for line in lines if " [1] " in line]
    assert marked == ["pool3", "fc1"]  # one detail about two layers has one number
    assert "[1] the head, 8x8 max pool and 500 units with ReLU, inferred" in lines
    names = [line.split("  ")[0] for line in table(catalogue.network("prelu-net-a")).splitlines()]
    assert {"conv1 [1, 2]", "conv2_x [1, 2]", "pool1", "spp [3]"} <= {*names}


@pytest.mark.parametrize("by", BY)
def test_marks_are_there_however_rows_are_made(by: str) -> None:
    network = catalogue.network("inception-v2-table1-7x7")
    lines = table(network, by=by, width=None).splitlines()
    marked = {line.split(" [")[0] for line in lines if " [2]" in line.split("  ")[0]}
    assert marked == {row.path for row in rows(network, by=by) if row.path.startswith("mixed5")}
    # Within a head, too: the layer that BN-auxiliary would normalise.
    assert [line for line in lines if line.startswith("conv2 [4]")]


def test_a_block_has_its_own_footnotes_only() -> None:
    network = catalogue.network("prelu-net-c")
    text = table(network, "spp")
    assert "spp [1]" in text and "[1] borders" in text
    assert "recalled" not in text and "padding" not in text
    assert "[" not in table(network, "pool1")
    assert "conv2_3 [1, 2]" in table(network, "conv2_x")


def test_markdown_and_html_have_them_too() -> None:
    network = catalogue.network("prelu-net-a")
    assert "| spp [3] |" in table(network, style="markdown")
    assert "\n[3] borders of its parts" in table(network, style="markdown")
    html = table(network, style="html")
    assert "spp [3]</td>" in html and ">[3] borders of its parts" in html


def test_other_images_and_classes_make_no_difference_but_edits_do() -> None:
    network = catalogue.network("prelu-net-a")
    assert inferred(replace(network, input=(3, 320, 320), classes=7)) == inferred(network) != ()
    assert inferred(replace_layer(network, "pool1", MaxPool(3, 2))) == ()
    assert inferred(rename(network, "mine")) == ()
    assert inferred(Network("prelu-net-a", {"fc": Conv(1, 1)}, input=(1, 1, 1), classes=1)) == ()
    assert inferred(without_heads(catalogue.network("inception-v2-table1-3x3"))) == ()


def test_a_network_that_is_in_no_paper_says_so() -> None:
    text = table("alexnet-ungrouped").splitlines()
    assert "not a network of the paper" in text and text[1].startswith("same widths without groups")
    assert "not a network of the paper" not in table("alexnet")
    assert "not a network of the paper" not in table("alexnet-ungrouped", "conv2")


@pytest.mark.parametrize("style", ["text", "markdown", "html"])
def test_which_of_the_readings_it_is_stands_below_the_title(style: str) -> None:
    network = catalogue.network("bn-inception-released")
    said = "pool projections of 96 make the printed 576 channels in 4c and 4d"
    text = table(network, style=style, width=None)
    assert text.index("bn-inception-released") < text.index(said) < text.index("conv1")
    assert said not in table(network, "3a", style=style, width=None)
    assert said not in table(replace_layer(network, "pool1", MaxPool(3, 2)), style=style, width=None)
    assert said in table(replace(network, input=(3, 320, 320), classes=7), style=style, width=None)
