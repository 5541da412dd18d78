"""Going on from the weights of another run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goingdeeper.errors import RunFolderError, UsageError
from goingdeeper.runs.model import load_model
from goingdeeper.training.train import train


@pytest.fixture(scope="module")
def first(tmp_path_factory, pets) -> Path:
    from goingdeeper.training.plan import Wishes

    out = tmp_path_factory.mktemp("first") / "run"
    return train(Wishes(str(pets), "cifar-resnet-20-b", epochs=1, batch=12, size=16), out).path


ON = {"model": None, "size": None, "epochs": 1, "settings": (("rate", "0"),)}


def still(wishes, first, **changes):
    """The same images at a rate of nothing: what comes out is what went in."""
    return replace(
        wishes, model=None, size=None, from_run=str(first), epochs=1, settings=(("rate", "0"),), **changes
    )


def test_the_network_size_scale_and_weights_are_the_runs(here, wishes, first):
    begun, again = load_model(first), load_model(train(still(wishes, first), here / "run").path)
    assert again.net.description == begun.net.description
    assert again.preprocessing == begun.preprocessing
    for name, value in dict(begun.net.named_parameters()).items():
        assert torch.equal(again.net.get_parameter(name), value), name


def test_where_the_weights_come_from_is_recorded(here, wishes, first):
    folder = train(still(wishes, first), here / "run")
    begun = load_model(first)
    origin = folder.run()["from"]
    assert origin["sha256"] == begun.config["weights"]["sha256"]
    assert origin["provenance"]["data"] == "pets"
    assert load_model(folder.path).config["provenance"]["from"] == origin
    assert "--from" in folder.run()["command"]
    assert ["model", "size"] == [
        r["what"] for r in folder.run()["reasons"] if r["why"] == "that of the weights"
    ]


def test_it_learns_on(here, wishes, first):
    folder = train(replace(still(wishes, first), settings=()), here / "run")
    weight = "conv1.conv.weight"
    assert not torch.equal(
        load_model(folder.path).net.get_parameter(weight), load_model(first).net.get_parameter(weight)
    )


def test_interrupted_it_goes_on_from_its_own_checkpoint(here, wishes, first, signals, outcome):
    from goingdeeper.errors import Interrupted

    asked = replace(wishes, model=None, size=None, from_run=str(first))
    whole = train(asked, here / "whole")
    with pytest.raises(Interrupted):
        train(asked, here / "parts", signals(after=3))
    assert outcome(train(asked, here / "parts").path) == outcome(whole.path)


def test_other_classes_are_refused(here, wishes, first, picture_folder):
    photos = picture_folder({"cat": 8, "dog": 8, "eel": 8})
    with pytest.raises(UsageError, match=r"knows other classes than the images \(eel, owl\)"):
        train(still(replace(wishes, source=str(photos)), first), here / "run")
    assert not (here / "run").exists()


def test_another_network_is_refused(here, wishes, first):
    asked = replace(still(wishes, first), model="cifar-resnet-32-b")
    with pytest.raises(UsageError, match="cifar-resnet-20-b, whose weights do not fit cifar-resnet-32-b"):
        train(asked, here / "run")


def test_what_is_no_run_is_refused(here, wishes, first):
    with pytest.raises(RunFolderError):
        train(still(wishes, here / "nothing"), here / "run")
