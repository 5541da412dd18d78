"""Weights in networks of other classes, channels and sizes: what is taken gives what it gave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import goingdeeper as gd
from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.errors import UsageError
from goingdeeper.layers import CLASSES, Conv, Maxout, Network
from goingdeeper.nn.build import build
from goingdeeper.runs.model import Model, save_model
from goingdeeper.weights.fitting import fit, rechannelled
from goingdeeper.weights.importing import weights_at

CLASSES_BEFORE = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")
IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def given(small_network) -> Model:
    """The small network of seven classes as a model; its head is gone, as in every model."""
    return of(replace(small_network, heads=(), input=(3, 16, 16)))


def of(network: Network, seed: int = 1) -> Model:
    return Model(build(network, seed=seed).eval(), CLASSES_BEFORE, Preprocessing(16), {}, Path("weights"))


def fitted(model: Model, classes: tuple[str, ...], seed: int = 2):
    network = replace(model.net.description, classes=len(classes))
    net = build(network, seed=seed).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    return net, before, fit(net, model, classes)


def logits(net) -> Tensor:
    with torch.inference_mode():
        return net(IMAGES)


def test_the_same_classes_take_all_and_nothing_is_said(given):
    net, _, said = fitted(given, CLASSES_BEFORE)
    torch.testing.assert_close(logits(net), logits(given.net), rtol=0, atol=0)
    assert said == []


@pytest.mark.parametrize(
    ("classes", "how"),
    [
        (tuple(reversed(CLASSES_BEFORE)), "in another order"),
        (("fox", "ant", "cat"), "3 of 7"),
    ],
)
def test_known_classes_take_their_rows_by_name(given, classes, how):
    net, _, said = fitted(given, classes)
    rows = [CLASSES_BEFORE.index(name) for name in classes]
    torch.testing.assert_close(logits(net), logits(given.net)[:, rows], rtol=1e-5, atol=1e-6)
    assert said == [("classifier", "rows by name", f"the weights know these classes, {how}")]


@pytest.mark.parametrize("classes", [("ant", "bee", "cow"), (*CLASSES_BEFORE, "hen")])
def test_other_classes_take_a_new_classifier(given, classes):
    net, before, said = fitted(given, classes)
    for name, value in net.state_dict().items():
        expected = before[name] if name.startswith("fc.") else given.net.state_dict()[name]
        assert torch.equal(value, expected), name
    assert [(what, value) for what, value, _ in said] == [("classifier", "new")]


def test_rows_of_a_maxout_classifier_are_all_of_its_pieces():
    layers = {"conv": Conv(4, 3), "cls": Conv(CLASSES, 16, padding=0, act=Maxout(2), bias=True)}
    given = of(Network("maxed", layers, (), (3, 16, 16), 7))
    net, _, _ = fitted(given, ("gnu", "bee"))
    torch.testing.assert_close(logits(net), logits(given.net)[:, [6, 1]], rtol=1e-5, atol=1e-6)


def test_auxiliary_heads_are_new_and_said_so(given, small_network):
    net = build(replace(small_network, input=(3, 16, 16)), seed=2)
    before = net.state_dict()["heads.conv.fc.weight"].clone()
    said = fit(net, given, CLASSES_BEFORE)
    assert torch.equal(net.state_dict()["heads.conv.fc.weight"], before)
    assert ("auxiliary heads", "new", "a model has none") in said


def test_one_channel_gives_what_three_equal_ones_gave():
    weight = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    grey = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    conv = torch.nn.functional.conv2d
    torch.testing.assert_close(conv(grey, rechannelled(weight, 1)), conv(grey.expand(-1, 3, -1, -1), weight))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1, 2, 4], [0.5, 2, 4, 0.5]),  # red is there twice, so each has half
        ([1, 2, 4], [0.5, 1, 2, 0.5, 1, 2]),
        ([1, 2, 4], [1.5, 3]),
        ([6], [2, 2, 2]),
        ([1, 2, 4], [7]),
    ],
)
def test_channels_in_turn_by_hand(before, after):
    weight = torch.tensor(before, dtype=torch.float32).view(1, -1, 1, 1)
    assert rechannelled(weight, len(after)).flatten().tolist() == pytest.approx(after)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    net = build(replace(catalogue.network("cifar-resnet-20-b"), classes=7), seed=4)
    path = tmp_path_factory.mktemp("weights") / "model"
    picture = (255 * torch.rand(20, 20, 3, generator=torch.Generator().manual_seed(3))).byte().numpy()
    save_model(path, net, net.state_dict(), CLASSES_BEFORE, Preprocessing(32), picture, {})
    return path


def test_create_model_with_weights(saved):
    begun = gd.load(saved).model.net
    same = gd.create_model("cifar-resnet-20-b", weights=saved)
    grey = gd.create_model("cifar-resnet-20-b", num_classes=6, in_chans=1, weights=saved, size=48)
    assert same.description == begun.description
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        torch.testing.assert_close(
            same.eval()(image.expand(-1, 3, -1, -1)), begun(image.expand(-1, 3, -1, -1))
        )
        features = grey.eval().forward_features(image), begun.forward_features(image.expand(-1, 3, -1, -1))
    torch.testing.assert_close(*features, rtol=1e-4, atol=1e-5)
    assert grey.description.classes == 6 and grey.description.input == (1, 48, 48)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cifar-resnet-32-b", "cifar-resnet-20-b, do not fit cifar-resnet-32-b: they have no conv2_4"),
        ("resnet-18-b", "do not fit resnet-18-b: conv1.conv.weight is 64x3x7x7, theirs 16x3x3x3"),
    ],
)
def test_weights_of_another_network_are_refused(saved, name, said):
    with pytest.raises(UsageError, match=said):
        gd.create_model(name, weights=saved)


def test_a_deeper_models_weights_are_refused(given, small_network):
    layers = dict(small_network.layers) | {"side": Conv(5, 3, stride=2)}
    shallow = build(replace(small_network, layers=layers, heads=()))
    with pytest.raises(UsageError, match=r"do not fit small: it has no side.conv.bias; take other weights"):
        fit(shallow, given, CLASSES_BEFORE)


def test_another_size_where_a_layer_reads_all_of_the_map():
    network = replace(catalogue.network("vgg-11"), input=(3, 64, 64), classes=7)
    narrow = {name: replace(dict(network.layers)[name], features=8) for name in ("fc6", "fc7")}
    small = replace(network, layers=dict(network.layers) | narrow)
    net = build(replace(small, input=(3, 96, 96)))
    said = r"fc6 of vgg-11 reads a map of 512x2x2; at 96x96 it would be 512x3x3. .*: give size 64"
    with pytest.raises(UsageError, match=said):
        fit(net, of(small), CLASSES_BEFORE)


def test_a_network_that_computes_otherwise_is_told():
    v15 = replace(catalogue.network("resnet-50-v1.5"), classes=7)
    net = build(replace(catalogue.network("resnet-50"), classes=7))
    (said,) = fit(net, of(v15), CLASSES_BEFORE)
    assert said == ("network", "resnet-50", "not quite that of the weights, resnet-50-v1.5")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--weights .*nothing: there is no such folder"):
        weights_at(str(tmp_path / "nothing"))
