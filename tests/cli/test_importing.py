"""`deeper import`: what it says, and how what cannot be imported is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from goingdeeper.names import entries, namings
from goingdeeper.opened import load
from goingdeeper.weights.known import known_weights


@pytest.fixture
def weights(tmp_path) -> Path:
    """A file with the names of the CIFAR repository's resnet20."""
    naming = next(one for one in namings("cifar") if one.model == "resnet20")
    save_file(
        {one.theirs: torch.full(one.shape, 0.01) for one in entries(naming)}, tmp_path / "w.safetensors"
    )
    return tmp_path / "w.safetensors"


def test_it_says_what_was_found_and_what_comes_next(deeper, weights, here, pets):
    said = deeper("import", weights)
    assert said.status == 0, said
    assert "cifar's resnet20: cifar-resnet-20-a · 10 classes · models/cifar-resnet20" in said.out
    assert "licence unknown: nothing says" in said.err
    assert "half of the zeros before the channels" in said.err
    assert "next:  deeper predict models/cifar-resnet20 IMAGES" in said.out
    photo = next((pets / "cat").iterdir())
    assert "airplane" in deeper("predict", "models/cifar-resnet20", photo, "--top", 10).out


def test_options_reach_the_model(deeper, weights, here):
    (here / "names.txt").write_text("\n".join("abcdefghij"), "utf-8")
    said = deeper(
        "import", weights, "--classes", "names.txt", "--mean", "0.5,0.4,0.3", "--std", ".2,.2,.2",
        "--shorter", 40, "--licence", "mit", "-o", "mine", "--json",
    )  # fmt: skip
    document = json.loads(said.out)
    assert (document["path"], document["licence"], document["library"]) == ("mine", "mit", "cifar")
    model = load("mine").model
    assert (model.classes, model.preprocessing.mean) == (tuple("abcdefghij"), (0.5, 0.4, 0.3))
    assert model.preprocessing.shorter == 40


def test_known_weights_are_listed(deeper):
    said = deeper("import", "--list")
    lines = said.out.splitlines()
    assert len(lines) == len(known_weights())
    assert lines[0].split() == [
        "torchvision/resnet18.IMAGENET1K_V1", "resnet-18-b", "30.24", "%", "licence", "unknown",
        "not", "tried", "here",
    ]  # fmt: skip
    assert json.loads(deeper("import", "--list", "--json").out)["weights"][0]["hash"] == "sha256:f37072fd"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("nowhere.pth",), 3, "nowhere.pth is not there; give a file, or one of"),
        ((), 2, "give a file, a URL, hf:owner/name, or a name"),
        (("torchvision/resnet50",), 2, "has several weights: IMAGENET1K_V1, IMAGENET1K_V2; name one"),
        (("hf:one",), 2, "hf:one is no name on the Hub"),
        (("hf:one/two",), 5, "is not in the Hub's cache, and HF_HUB_OFFLINE forbids the network"),
        (("https://host/w.pth",), 5, "is not in the cache, and HF_HUB_OFFLINE forbids the network"),
        (("{w}", "--sha256", "0" * 64), 6, "has another sha256 than expected"),
        (("{w}", "--sha256", "short"), 2, "is no sha256"),
        (("{w}", "--classes", "{names}"), 3, "names 2 classes, and the network has 10"),
        (("{w}", "--library", "tim"), 2, "did you mean timm?"),
        (("{w}", "--network", "resnet-50"), 3, "w.safetensors: these are not the weights of resnet-50"),
        (("{w}", "--mean", "1,2"), 2, "--mean 1,2: give three numbers"),
        (("{w}", "--std", "1,0,1"), 2, "is no scale; each must be above 0"),
        (("{names}",), 3, "names.txt"),
        (("nowhere.pth", "-o", "."), 2, ". cannot be replaced as a whole; name a folder in it"),
        (
            ("nowhere.pth", "-o", "{names}"),
            2,
            "names.txt is there and is no model alone; name ano",
        ),
    ],
)
def test_refusals_are_one_line(deeper, weights, here, monkeypatch, tmp_path, words, status, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache" / "hub"))
    (tmp_path / "names.txt").write_text("cat\ndog\n", "utf-8")
    given = [word.format(w=weights, names=tmp_path / "names.txt") for word in words]
    assert message in deeper("import", *given).refusal(status)
    assert not Path("models").exists()
