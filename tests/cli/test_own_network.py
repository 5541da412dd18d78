"""The documentation's "add your own network": exactly its file, put into the catalogue, works everywhere."""

import math
import re
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import goingdeeper
from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.nn.build import create_model

PAGE = (Path(__file__).parents[2] / "docs" / "layers.md").read_text("utf-8")
FILES = dict(re.findall(r"`(\w+)\.py`:\n\n```python\n(.*?)```", PAGE, re.S))


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Puts a file, by name and text, into a folder that the catalogue looks into."""
    folder = tmp_path / "further"
    folder.mkdir()
    added = []

    def forget():
        catalogue._catalogue.cache_clear()
        catalogue._built.cache_clear()
        for name in added:
            sys.modules.pop(f"goingdeeper.catalogue.{name}", None)

    def put(name, text):
        (folder / f"{name}.py").write_text(text, "utf-8")
        added.append(name)
        forget()

    monkeypatch.setattr(catalogue, "__path__", [*catalogue.__path__, str(folder)])
    yield put
    forget()


@pytest.fixture
def own(add):
    """The id of the page's first network, in the catalogue."""
    assert FILES["lenet"].count("\n") <= 20
    add("lenet", FILES["lenet"])
    return "lenet"


@pytest.fixture
def supervised(add, own):
    """The id of the page's network with heads, in the catalogue."""
    add("lenet_heads", FILES["lenet_heads"])
    return "lenet-heads"


def test_it_is_listed_without_published_figures(deeper, own):
    heading, row = deeper("list", own).out.splitlines()
    assert heading.split()[:2] == ["network", "paper"]
    # 5 x 5 x 3 x 6 + 6, 5 x 5 x 6 x 16 + 16, 400 x 120 + 120, 120 x 84 + 84, 84 x 10 + 10 parameters.
    assert row.split() == [own, "-", "32x32", "62.0K", "652K"]
    assert own in deeper("list").out
    assert '"paper": null' in deeper("list", own, "--json").out


def test_it_is_shown_and_drawn(deeper, own):
    out = deeper("show", own).out
    assert "62,006 params  651,720 macs" in out
    assert "inferred" not in out
    assert "fc 10" in deeper("draw", own).out
    assert "5x5 conv, 16" in deeper("draw", own, "conv2").out


def test_it_trains_a_step(own):
    torch.manual_seed(0)
    model = create_model(own, num_classes=3)
    loss = F.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.usefixtures("own")
def test_a_slip_in_its_name_suggests_it(deeper):
    assert "did you mean lenet" in deeper("show", "lenett").refusal(2)


def test_its_heads_are_listed_and_counted(deeper, supervised):
    out = deeper("show", supervised, "--by", "layer").out
    assert "heads.pool1: auxiliary head" in out
    assert "reads conv2 before its ReLU" in out
    # 6 maps of 4 x 4 values and 16 maps of 10 x 10 values, each to 10 classes with biases.
    assert cost(catalogue.network(supervised)).params_with_heads == 62_006 + (96 + 1) * 10 + (1600 + 1) * 10


def test_the_pages_loop_trains_the_heads(supervised):
    [loop] = re.findall(r"```python\n(model = .*?)```", PAGE, re.S)
    torch.manual_seed(0)
    names = {
        "gd": goingdeeper,
        "F": F,
        "images": torch.randn(4, 3, 32, 32),
        "labels": torch.tensor([0, 1, 2, 0]),
    }
    exec(loop, names)
    names["loss"].backward()
    model = names["model"]
    assert {name for name, _ in model.description.heads} == {"pool1", "conv2.conv"}
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


def test_its_weights_start_as_the_page_says(supervised):
    weights = create_model(supervised).state_dict()
    biases = {
        key.removesuffix(".bias"): set(value.tolist()) for key, value in weights.items() if "bias" in key
    }
    assert biases["conv1.conv"] == biases["conv2.conv"] == {float(torch.tensor(0.1))}
    assert {*biases} == {
        "conv1.conv",
        "conv2.conv",
        "fc1",
        "fc2",
        "fc3",
        "heads.pool1.fc",
        "heads.conv2.conv",
    }
    assert all(biases[name] == {0.0} for name in biases if not name.startswith("conv"))
    # Five standard errors of a sample's deviation, std / sqrt(2 n).
    for name, std in (("fc1", 0.01), ("fc2", 0.01), ("heads.pool1.fc", 0.05), ("heads.conv2.conv", 0.05)):
        weight = weights[f"{name}.weight"]
        assert float(weight.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * weight.numel()))
    assert float(weights["conv1.conv.weight"].abs().max()) <= math.sqrt(3 / 75)  # Xavier's bound at 3 x 5 x 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = (", "deeper: catalogue/mine.py, line 1: SyntaxError: '(' was never closed\n"),
        ("NETWORKS = {'alexnet': dict}", "deeper: catalogue/alexnet.py and catalogue/mine.py both describe"),
        ("", "deeper: catalogue/mine.py has no NETWORKS; "),
    ],
)  # fmt: skip
def test_a_file_at_fault_is_one_line_and_other_verbs_work(deeper, run, pets, add, text, line):
    add("mine", text)
    for words in (["list", "alex*"], ["show", "alexnet"], ["diff", "alexnet", "vgg-16"]):
        assert deeper(*words).refusal(2).startswith(line)
    for words in (
        ["--help"],
        ["--version"],
        ["list", "--help"],
        ["runs", run.parent],
        ["predict", run, pets],
    ):
        assert deeper(*words).status == 0, words


def test_a_slip_in_a_layer_is_one_line_for_its_network_alone(deeper, add):
    add("lenet", FILES["lenet"].replace("Conv(16, 5, ", "Conv(16, 5, strides=2, "))
    assert deeper("show", "lenet").refusal(2) == (
        "deeper: catalogue/lenet.py, line 10: lenet: TypeError: Conv() got an unexpected keyword argument "
        "'strides'; did you mean stride?\n"
    )
    assert deeper("show", "alexnet").status == 0
