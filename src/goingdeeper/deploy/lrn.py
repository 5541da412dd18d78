"""Response normalisation in a form that ONNX Runtime is fast at.

Its own takes longer than the rest of GoogLeNet together; OpenVINO's is faster than any other form of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx


def with_fast_lrn(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with every `LRN` of maps in simpler operations.

    The sums of squares are a convolution along the channels, as if these were the depth of one channel; and
    y ** -0.75 is 1 / (sqrt(y) sqrt(sqrt(y))), as general powers take several times as long.
    """
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    del graph.node[:]
    for node in model.graph.node:
        graph.node.extend(_parts(node, graph.initializer) if node.op_type == "LRN" else [node])
    return made


def _parts(node: onnx.NodeProto, constants: Any) -> list[onnx.NodeProto]:
    from onnx import helper, numpy_helper

    given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    size, alpha, beta = given["size"], given.get("alpha", 1e-4), given.get("beta", 0.75)
    name, (x,), (out,) = node.name or node.output[0], node.input, node.output
    nodes: list[onnx.NodeProto] = []

    def constant(values: Any, kind: str) -> str:
        constants.append(numpy_helper.from_array(values, f"{name}_{kind}"))
        return f"{name}_{kind}"

    def add(op: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        to = to or f"{name}_{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [to], name=to, **attributes))
        return to

    one = constant(np.array([1], np.int64), "axis")
    window = constant(np.full((1, 1, size, 1, 1), alpha / size, np.float32), "window")
    bias = constant(np.array([given.get("bias", 1.0)], np.float32), "bias")
    sums = add(
        "Conv", add("Unsqueeze", add("Mul", x, x), one), window, bias,
        kernel_shape=[size, 1, 1], pads=[(size - 1) // 2, 0, 0, size // 2, 0, 0],
    )  # fmt: skip
    sums = add("Squeeze", sums, one)
    if abs(beta - 0.75) < 1e-6:  # attributes are float32
        root = add("Sqrt", sums)
        below = add("Mul", root, add("Sqrt", root))
    else:
        below = add("Pow", sums, constant(np.array(beta, np.float32), "beta"))
    add("Div", x, below, to=out)
    return nodes
