"""Layers that a runtime cannot take, as where a version of it has no such operation: named in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy import formats
from goingdeeper.deploy.export import export
from goingdeeper.errors import UsageError
from goingdeeper.layers import (
    CLASSES,
    LRN,
    BatchNorm,
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
from goingdeeper.nn.build import build
from goingdeeper.runs.model import load_model, save_model


@pytest.fixture
def model(tmp_path):
    """Of layers within layers, with weights that folding moves."""
    branches = {
        "1x1": Conv(4, 1),
        "3x3": {"reduce": Conv(2, 1, act=PReLU()), "conv": Conv(4, 3), "norm": LRN()},
    }
    layers = {
        "stem": Conv(8, 3, norm=BatchNorm()),
        "block": Residual({"branches": Concat(branches)}, Identity()),
        "pool": MaxPool(2, 2, padding=0), "average": GlobalAvgPool(),
        "fc": Linear(6), "last": Linear(CLASSES),
    }  # fmt: skip
    net = build(Network("nested", layers, (), (3, 8, 8), 3)).eval()
    picture = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    save_model(tmp_path / "model", net, net.state_dict(), ("a", "b", "c"), Preprocessing(8), picture, {})
    return load_model(tmp_path / "model")


@pytest.fixture
def without(monkeypatch):
    """Makes runtimes lack an operation of ONNX: it is written under a name that no version has."""

    def made(operation, least=0):
        own = formats.onnx_of

        def renamed(form, facts):
            graph = own(form, facts)
            for node in graph.graph.node if len(graph.graph.node) >= least else ():
                node.op_type = node.op_type.replace(operation, "NoSuchThing")
            return graph

        monkeypatch.setattr(formats, "onnx_of", renamed)
        # As it would be made of operations that are there.
        monkeypatch.setattr(formats, "with_fast_lrn", lambda graph: graph)

    return made


def refused(model, to):
    with pytest.raises(UsageError) as told:
        export(model, model.path.parent / "out", to=to)
    assert [path.name for path in model.path.parent.iterdir()] == ["model"]
    line = str(told.value)
    assert "\n" not in line and "goingdeeper-" not in line  # no temporary place
    assert line.startswith(f"{model.path} (nested): ") and line.endswith("; --to names another format")
    return line.removeprefix(f"{model.path} (nested): ")


@pytest.mark.parametrize(("to", "runtime"), [("onnx", "ONNX Runtime"), ("openvino", "OpenVINO")])
@pytest.mark.parametrize(
    ("operation", "layer"),
    [
        ("LRN", "block.branches.3x3.norm (LRN)"),
        ("PRelu", "block.branches.3x3.reduce (Conv)"),
        ("Concat", "block.branches (Concat)"),
        ("Add", "block (Residual)"),
        ("GlobalAveragePool", "average (GlobalAvgPool)"),
        ("Gemm", "fc (Linear)"),
    ],
)
def test_the_innermost_layer_is_named(model, without, to, runtime, operation, layer):
    without(operation)
    line = refused(model, to)
    assert line.startswith(f"{runtime} cannot take the layer {layer}: ") and "NoSuchThing" in line


@pytest.mark.parametrize(("operation", "least"), [("Flatten", 0), ("LRN", 15)], ids=["all", "together"])
def test_no_layer_is_named_where_none_is_to_blame(model, without, operation, least):
    """Where nothing can be taken, and where each layer alone can."""
    without(operation, least)
    assert refused(model, "onnx").startswith("ONNX Runtime cannot take the network: model.onnx cannot be ope")


def test_by_torch(model, monkeypatch):
    """What torch is given for export is not what it runs here."""

    def forward(self, x):
        return x if x.sum() > 0 else -x

    monkeypatch.setattr(torch.nn.LocalResponseNorm, "forward", forward)
    line = refused(model, "torch")
    assert line.startswith("PyTorch cannot take the layer block.branches.3x3.norm (LRN): Could not guard on")
