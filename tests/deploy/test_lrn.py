"""Response normalisation in parts, beside ONNX Runtime's own and PyTorch's."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from torch.nn import functional as F

from goingdeeper.deploy.lrn import with_fast_lrn


def _model(**attributes):
    nodes = [
        helper.make_node("Relu", ["images"], ["first"], name="first"),
        helper.make_node("LRN", ["first"], ["second"], name="a", **attributes),
        helper.make_node("LRN", ["second"], ["logits"], **attributes),
    ]
    shape = ["batch", 7, 3, 4]
    values = [helper.make_tensor_value_info(name, 1, shape) for name in ("images", "logits")]
    graph = helper.make_graph(nodes, "two", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(
    "attributes",
    [
        {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0},
        {"size": 5, "alpha": 2.0, "beta": 0.75, "bias": 2.0},
        {"size": 3, "alpha": 0.5, "beta": 0.5, "bias": 0.1},
        {"size": 9},
    ],
)
def test_it_computes_what_both_do(attributes):
    model = _model(**attributes)
    fast = with_fast_lrn(model)
    onnx.checker.check_model(fast, full_check=True)
    assert "LRN" not in {node.op_type for node in fast.graph.node}
    assert [node.op_type for node in model.graph.node].count("LRN") == 2
    images = np.random.default_rng(0).normal(0, 30, (2, 7, 3, 4)).astype(np.float32)
    found, expected = (
        onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"images": images}
        )[0]
        for one in (fast, model)
    )
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    usual = {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    x = torch.from_numpy(images).relu()
    for _ in range(2):
        x = F.local_response_norm(x, *(usual | attributes).values())
    assert np.abs(found - x.numpy()).max() <= 1e-5 * float(x.max())
