"""`deeper diff` as people type it."""

import json
from xml.etree import ElementTree

import pytest

from goingdeeper.published import figures


def answer(said):
    assert (said.status, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["schema"] == 1
    return document


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("resnet-50", "resnet-50-v1.5"),
        ("googlenet", "googlenet-torchvision"),
        ("inception-v2-released-modules", "inception-v3"),
        ("googlenet-naive", "googlenet"),
    ],
)
def test_json(deeper, a, b):
    document = answer(deeper("diff", a, b, "--json"))
    assert document["params"] == figures(b).params - figures(a).params
    assert document["macs"] == figures(b).macs - figures(a).macs
    for side, id in ((document["a"], a), (document["b"], b)):
        assert (side["id"], side["name"], side["address"]) == (id, id, None)
        assert (side["params"], side["macs"]) == (figures(id).params, figures(id).macs)
        assert (tuple(side["input"]), side["classes"]) == (figures(id).input, figures(id).classes)
    for change in document["changes"]:
        assert change.keys() >= {"path", "a", "b", "params", "macs"}
        assert change["a"] is not None or change["b"] is not None
    for head, suffix in ((False, ""), (True, "_with_heads")):
        told = [change for change in document["changes"] if head or not change["head"]]
        for count in ("params", "macs"):
            assert sum(change[count] for change in told) == document[f"{count}{suffix}"]


def test_json_of_a_block(deeper):
    document = answer(deeper("diff", "resnet-34-a:conv3_1", "resnet-34-b:conv3_1", "--json"))
    assert (document["a"]["address"], document["a"]["input"]) == ("conv3_1", [64, 56, 56])
    [change] = document["changes"]
    assert (change["path"], change["a"]) == ("shortcut", "zero-padding to 128 /2")
    # A projection of 64 channels to 128, with batch norm, on 28x28.
    assert (change["params"], change["macs"]) == (8_448, 6_422_528)
    assert change["shapes_a"] == change["shapes_b"] == [[64, 56, 56], [128, 28, 28]]


def test_only_one_side_has_it(deeper):
    document = answer(deeper("diff", "resnet-50", "resnet-101", "--json"))
    assert {change["a"] for change in document["changes"]} == {None}
    assert document["changes"][0]["path"] == "conv4_7"
    back = answer(deeper("diff", "resnet-101", "resnet-50", "--json"))
    assert {change["b"] for change in back["changes"]} == {None}
    assert back["params"] == -document["params"]


def test_text(deeper, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = deeper("diff", "googlenet", "googlenet-torchvision")
    assert (said.status, said.err) == (0, "")
    assert max(map(len, said.out.splitlines())) <= 80
    assert "-373,648 params" in said.out


def test_all_has_a_row_for_each_change(deeper):
    joined = deeper("diff", "plain-34", "resnet-34-a").out
    every = deeper("diff", "plain-34", "resnet-34-a", "--all").out
    assert joined.count("added, then ReLU") < every.count("added, then ReLU") == 16
    assert "conv4_5.shortcut" in every


def test_styles(deeper):
    said = deeper("diff", "resnet-50", "resnet-50-v1.5", "--style", "html")
    assert ElementTree.fromstring(said.out).tag == "table"
    said = deeper("diff", "resnet-50", "resnet-50-v1.5", "--style", "markdown")
    assert "| conv3_1.conv1 | - conv 1x1/2, 128, batch norm, ReLU<br>+ conv 1x1," in said.out


def test_size_and_classes(deeper):
    document = answer(deeper("diff", "resnet-50", "resnet-50-v1.5", "--size", 448, "--json"))
    assert document["macs"] == 4 * 231_211_008
    document = answer(deeper("diff", "resnet-50", "resnet-50-signs", "--size", 64, "--classes", 6, "--json"))
    assert document["a"]["input"] == document["b"]["input"] == [3, 64, 64]
    assert document["notes"] == ["initial weights are drawn by different rules"]
    # The exercise's network keeps a bias for each of the filters that batch norm has a gamma and a beta for.
    assert document["params"] == figures("resnet-50").norm // 2


def test_no_difference_is_one_line(deeper):
    said = deeper("diff", "resnet-50", "resnet-50")
    assert (said.status, said.err) == (0, "")
    assert said.out == "no difference between the layers of resnet-50 and resnet-50\n"
    assert answer(deeper("diff", "resnet-50", "resnet-50", "--json"))["changes"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet-34", "resnet-50"], "unknown network 'resnet-34'; did you mean resnet-34-"),
        (["googlenet:", "googlenet:3a"], "'googlenet:' names no block behind the colon"),
        (["googlenet:3a", "resnet-50"], "googlenet:3a is a block and resnet-50 a whole network"),
        (["resnet-50:conv33_1", "resnet-50:conv3_1"], "'conv33_1'; did you mean conv3_1"),
        (["googlenet"], "Missing argument 'B'"),
        (["googlenet", "googlenet", "--style", "latex"], "'latex' is not one of"),
        (["googlenet", "resnet-50", "--size", "0"], "0 is not in the range x>=1"),
        (["alexnet", "resnet-50", "--size", "9"], "alexnet cannot take 3x9x9"),
    ],
)
def test_refusals(deeper, words, message):
    assert message in deeper("diff", *words).refusal(2)
