"""Which nodes become int8, told by hand for networks of a few layers."""

from __future__ import annotations

import pytest

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.form import form_of
from goingdeeper.deploy.formats import onnx_of
from goingdeeper.deploy.quantisable import quantisable
from goingdeeper.layers import (
    LRN,
    Concat,
    Conv,
    GlobalAvgPool,
    Identity,
    Linear,
    MaxPool,
    Network,
    PReLU,
    Residual,
)


@pytest.fixture
def kinds(trained):
    """Of a network: what may become int8, and what is kept with some layers, as sorted kinds of nodes."""

    def look(layers, *kept):
        net = trained(Network("few", layers, input=(3, 9, 9), classes=4))
        form = form_of(net.description, net.state_dict(), Preprocessing(9))
        found = quantisable(onnx_of(form, {}))
        addresses = {name: address for address, name in found.layers.items()}

        def said(names):
            return sorted(addresses.get(name) or found.nodes[name].op_type for name in names)

        return said(found.nodes), *(said(found.kept([one])) for one in kept)

    return look


def test_the_scale_of_the_input_and_the_logits_stay(kinds):
    found, kept, first = kinds(
        {"a": Conv(4, 3, padding=1), "b": Conv(4, 3), "pool": GlobalAvgPool(), "fc": Linear(4)}, "b", "a"
    )
    assert found == [
        "Flatten",
        "GlobalAveragePool",
        "Relu",
        "Relu",
        "a",
        "b",
        "fc",
    ]  # no Cast, Sub, last Flatten
    assert kept == ["Relu", "a", "b"]
    assert first == ["a"]


def test_a_last_convolution_keeps_its_activation(kinds):
    (found,) = kinds({"a": Conv(4, 3), "pool": GlobalAvgPool()})
    assert found == ["Relu", "a"]


def test_what_has_no_bytes_parts_them(kinds):
    """LRN and PReLU are computed in fp32, and so is what only passes their outputs on."""
    found, kept = kinds({
        "a": Conv(4, 3), "lrn": LRN(), "pool": MaxPool(2, 2, padding=0), "b": Conv(4, 1, act=PReLU()),
        "average": GlobalAvgPool(), "fc": Linear(4),
    }, "b")  # fmt: skip
    assert found == ["Relu", "a", "b", "fc"]
    assert kept == ["b"]


def test_branches(kinds):
    found, kept = kinds({
        "a": Conv(4, 3, bias=True),
        "mixed": Concat({"x": Conv(3, 3), "y": {"pool": MaxPool(3, 1, padding=1), "conv": Conv(5, 3)}}),
        "b": Conv(4, 3), "pool": GlobalAvgPool(), "fc": Linear(4),
    }, "b")  # fmt: skip
    assert "Concat" in found and "MaxPool" in found
    assert kept == ["Concat", "Relu", "Relu", "b", "mixed.x", "mixed.y.conv"]


def test_sums(kinds):
    """Of the second block: its first layer's input comes through the first block's sum, which the second sum
    takes, too; the first block's own input is left rounded. So are its sum and layers for a third block."""
    block = {"conv1": Conv(4, 3), "conv2": Conv(4, 3, act=None)}
    found, kept, third = kinds({
        "a": Conv(4, 3), "one": Residual(block, Identity()), "two": Residual(block, Identity()),
        "three": Residual(block, Identity()), "pool": GlobalAvgPool(), "fc": Linear(4),
    }, "two.conv1", "three.conv1")  # fmt: skip
    assert found.count("Add") == 3
    assert kept == ["Add", "Add", "Relu", "Relu", "a", "one.conv2", "two.conv1"]
    assert third == ["Add", "Add", "Relu", "Relu", "three.conv1", "two.conv2"]
