"""Weights under other libraries' names: what is written, and what is refused with the difference named.

That torchvision's own file comes back to the bit is in test_importing.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.errors import ResourceError, UsageError
from goingdeeper.layers import Network
from goingdeeper.names import namings
from goingdeeper.nn.build import build
from goingdeeper.runs.model import Model
from goingdeeper.trace import replace_classes, replace_input
from goingdeeper.weights.export import export

USUAL = Preprocessing(32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def made(network: Network, scale: Preprocessing = USUAL) -> Model:
    return Model(build(network).eval(), tuple(map(str, range(network.classes))), scale, {}, Path())


@pytest.fixture
def cifar() -> Model:
    """With the zeros of option A where the CIFAR repository has them."""
    naming = next(one for one in namings("cifar") if one.model == "resnet20")
    return made(naming.network())


def test_a_checkpoint_of_the_cifar_repository(cifar, tmp_path):
    done = export(cifar, "cifar", tmp_path / "new" / "resnet20.th")
    saved = torch.load(done.file, weights_only=True)["state_dict"]
    state = cifar.net.state_dict()
    assert torch.equal(saved["module.conv1.weight"], state["conv1.conv.weight"])
    assert torch.equal(saved["module.layer1.0.bn1.running_var"], state["conv2_1.conv1.norm.running_var"])
    assert torch.equal(saved["module.linear.bias"], state["fc.bias"])
    assert (done.library, done.model, done.tensors) == ("cifar", "resnet20", len(saved))
    assert done.notes == ()
    assert [file.name for file in done.file.parent.iterdir()] == ["resnet20.th"]


def test_classes_input_and_name_make_no_other_network(tmp_path):
    network = replace_classes(replace_input(catalogue.network("resnet-18-b"), (3, 64, 64)), 3)
    done = export(made(replace(network, name="mine")), "torchvision", tmp_path / "w.safetensors")
    assert done.model == "resnet18"


def test_an_unusual_scale_is_said(cifar, tmp_path):
    model = replace(cifar, preprocessing=Preprocessing(32, (0.5, 0.4, 0.3), (0.25, 0.25, 0.25)))
    (note,) = export(model, "cifar", tmp_path / "w.pth").notes
    assert "RGB / 255, minus (0.5, 0.4, 0.3), over (0.25, 0.25, 0.25)" in note


@pytest.mark.parametrize(
    ("id", "library", "message"),
    [
        ("resnet-50", "torchvision", r"resnet50 is not resnet-50: conv3_1.conv1 is conv 1x1/2, .* there"),
        ("cifar-resnet-20-a", "cifar", r"cifar's resnet20 is not cifar-resnet-20-a: "),
        ("nin-cifar10", "torchvision", r"no network such as nin-cifar10; it has resnet18 \(resnet-18-b\)"),
        ("resnet-18-b", "tourchvision", r"unknown library 'tourchvision'; did you mean torchvision\?"),
    ],
)
def test_another_network_is_refused_with_the_difference(tmp_path, id, library, message):
    with pytest.raises(UsageError, match=message):
        export(made(catalogue.network(id)), library, tmp_path / "w.pth")
    assert not list(tmp_path.iterdir())


def test_the_same_tensors_are_written_when_the_network_is_named(tmp_path):
    model = made(catalogue.network("cifar-resnet-20-a"))
    assert export(model, "cifar", tmp_path / "w.pth", "resnet20").model == "resnet20"
    with pytest.raises(UsageError, match=r"resnet32 cannot take it: module.layer1.3.conv1.weight is missing"):
        export(model, "cifar", tmp_path / "w2.pth", "resnet32")
    with pytest.raises(UsageError, match=r"unknown network of cifar 'resnet21'; did you mean .*resnet20"):
        export(model, "cifar", tmp_path / "w2.pth", "resnet21")


def test_an_input_that_gives_other_tensors_is_refused(tmp_path):
    network = replace_classes(replace_input(catalogue.network("vgg-11"), (3, 32, 32)), 2)
    message = r"vgg11 cannot take it: classifier.0.weight is \(4096, 512\) here, \(4096, 25088\) there"
    with pytest.raises(UsageError, match=message):
        export(made(network), "torchvision", tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.h5", "w", "w.onnx"])
def test_another_ending_is_refused(cifar, tmp_path, name):
    with pytest.raises(UsageError, match=r"for cifar the file ends in .safetensors or .pth or .pt or .th"):
        export(cifar, "cifar", tmp_path / name)


def test_a_file_is_whole_or_not_there(cifar, tmp_path, full_disk: Callable[[int], None]):
    (tmp_path / "w.pth").write_bytes(b"before")
    full_disk(50_000)
    with pytest.raises(ResourceError, match=r"the disk is full at .*w.pth, where 1.1 MB are needed"):
        export(cifar, "cifar", tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["w.pth"]


@pytest.fixture
def full_disk():
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda room: resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
