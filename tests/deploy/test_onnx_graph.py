"""ONNX models in ONNX's own checker and in ONNX Runtime, against the networks themselves."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.deploy.formats import FORMATS
from goingdeeper.deploy.onnx_graph import OPSET, onnx_model
from goingdeeper.deploy.rewrite import ALL, rewritten
from goingdeeper.deploy.scale import InputScale
from goingdeeper.layers import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    GlobalAvgPool,
    Linear,
    Maxout,
    MaxPool,
    Network,
    PReLU,
    SpatialPyramid,
    ZeroPad,
)
from goingdeeper.trace import trace

SMALL = [name for name in catalogue.names() if "1202" not in name]
SLOW = [name for name in SMALL if name.startswith(("vgg", "prelu", "alexnet", "googlenet-naive"))]
FAMILIES = ("googlenet", "bn-inception", "inception", "resnet", "cifar-resnet", "cifar-plain", "plain")
MEAN, FACTOR = (124.0, 116.0, 104.0), (1 / 58, 1 / 57, 1 / 56)


def written(network, net, rewrites=()):
    network, state = rewritten(network, net.state_dict(), rewrites)
    weights = {name: value.numpy() for name, value in state.items()}
    factor = np.array(FACTOR, np.float32)
    offset = (np.array(MEAN, np.float32) * factor)[:, None, None]
    scale = InputScale(factor=factor, offset=offset)
    return onnx_model(network, weights, scale=scale, metadata={"classes": json.dumps(["a", "b"])})


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def openvino_logits(model, images):
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    return core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings)(images)[0]


def assert_same(network, net, model):
    """For batches of one and three, to 1e-4 of the largest logit; gives the last of them."""
    onnx.checker.check_model(model, full_check=True)
    run = session(model)
    generator = np.random.default_rng(0)
    for count in (1, 3):
        images = generator.integers(0, 256, (count, *network.input[1:], 3), np.uint8)
        (found,) = run.run(None, {"images": images})
        scaled = (images - np.array(MEAN, np.float32)) * np.array(FACTOR, np.float32)
        with torch.inference_mode():
            expected = net(torch.from_numpy(scaled.transpose(0, 3, 1, 2).copy())).numpy()
        assert found.shape == (count, network.classes) and np.abs(expected).max() > 0
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    return images, expected


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SMALL]
)
def test_every_network_of_the_catalogue(name, small, trained):
    network = small(name)
    net = trained(network)
    model = written(network, net, ALL)
    images, expected = assert_same(network, net, model)
    if name.startswith(FAMILIES):
        found = openvino_logits(written(network, net, FORMATS["openvino"].rewrites), images)
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    "layer",
    [
        MaxPool(3, 2, padding=0, ceil=True),
        MaxPool(3, 2, padding=1, ceil=True),
        MaxPool(2, 2, padding=1, ceil=True),
        MaxPool(3, 2, padding=(0, 1, 1, 0)),
        AvgPool(3, 2, padding=0, ceil=True),
        AvgPool(3, 2, padding=1, ceil=True),
        AvgPool(3, 2, padding=1, ceil=True, count_padding=False),
        AvgPool(3, 1, count_padding=False),
        AvgPool(3, 1),
        AvgPool(3, 2, padding=(0, 1, 0, 1), count_padding=False),
        AvgPool(3, 3, padding=1),
        Conv(5, (1, 4), stride=2, padding=(0, 0, 1, 2), bias=True),
        Conv(6, 3, groups=3, act=PReLU(0.1)),
        Conv(6, 3, act=PReLU(0.2, shared=True)),
        Conv(4, 3, act=Maxout(3), bias=True),
        AdaptiveAvgPool(3),
        AdaptiveAvgPool(4),
        SpatialPyramid((5, 2, 1)),
        ZeroPad(7, 2),
        ZeroPad(7, 3, "both"),
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [11, 12, 13])
def test_windows_of_all_kinds(layer, side, trained):
    network = Network("one", {"it": layer, "fc": Linear(4)}, input=(3, side, 12), classes=4)
    net = trained(network)
    assert_same(network, net, written(network, net))


def test_norms_that_are_not_folded_and_hidden_maxout(trained):
    network = Network("norms", {
        "conv": catalogue.network("inception-v3-keras").layers[0][1],  # without gamma
        "pool": GlobalAvgPool(), "hidden": Linear(6, act=Maxout(2)), "fc": Linear(4),
    }, input=(3, 9, 9), classes=4)  # fmt: skip
    net = trained(network)
    assert_same(network, net, written(network, net))


def test_what_the_file_says(small, trained):
    network = small("googlenet")
    model = written(network, trained(network))
    assert [one.version for one in model.opset_import] == [OPSET]
    assert {one.key: one.value for one in model.metadata_props} == {"classes": '["a", "b"]'}
    (images,), (logits,) = session(model).get_inputs(), session(model).get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["batch", 64, 64, 3])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", 1000])


def test_the_shapes_that_the_checker_infers_are_ours(small, trained):
    """GoogLeNet's pools round up; ONNX's own arithmetic has to come to the same maps."""
    network = catalogue.network("googlenet")
    model = onnx.shape_inference.infer_shapes(written(network, trained(network)), strict_mode=True)
    found = [
        tuple(size.dim_value for size in value.type.tensor_type.shape.dim)[1:]
        for value in model.graph.value_info
        if value.name.startswith("maxpool")
    ]
    pools = [step.shape_out for step in trace(network) if isinstance(step.layer, MaxPool)]
    assert sorted(found) == sorted(pools)
