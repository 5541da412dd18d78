"""An ONNX model from a description and its weights: a reader like the others, nothing is traced.

Sizes are fixed but for the batch; windows are written with the padding that gives the right shapes, so that
no runtime's reading of `ceil_mode` matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from goingdeeper.deploy.scale import InputScale, Values
from goingdeeper.errors import DescriptionError
from goingdeeper.layers import (
    LRN,
    Activation,
    AdaptiveAvgPool,
    AvgPool,
    Bias,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Network,
    PReLU,
    ReLU,
    Residual,
    Sigmoid,
    Slice,
    SpatialPyramid,
    ZeroPad,
    pair,
    sides,
)
from goingdeeper.runtimes.known import RUNTIMES
from goingdeeper.shapes import Shape, equal_parts
from goingdeeper.trace import Step, trace

if TYPE_CHECKING:
    import onnx

OPSET = 20
"""Of ONNX 1.15 and later: current, and read by runtimes of two years ago."""

Weights: TypeAlias = Mapping[str, Values]


def onnx_model(
    network: Network,
    weights: Weights,
    *,
    scale: InputScale | None = None,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """The model: `images`, (batch, height, width, channels) bytes, to `logits`, (batch, classes) float32.

    weights: of the trunk, by our addresses. scale: what bytes become before the first layer; nothing else
    unless given. metadata: kept in the file. Raises MissingExtra without the package onnx.
    """
    try:
        from onnx import helper
    except ImportError:
        raise RUNTIMES["onnxruntime"].missing("onnx") from None
    graph = _Graph(network, weights)
    channels, height, wide = network.input
    x = graph.add("Cast", ["images"], to=1)
    x = graph.add("Transpose", [x], perm=[0, 3, 1, 2])
    x = graph.scaled(scale or InputScale(), network.input, x)
    for name, layer in network.layers:
        x = graph.layer(layer, name, x)
    graph.nodes.append(helper.make_node("Flatten", [x], ["logits"], axis=1))
    made = helper.make_graph(
        graph.nodes,
        network.name,
        [helper.make_tensor_value_info("images", 2, ["batch", height, wide, channels])],
        [helper.make_tensor_value_info("logits", 1, ["batch", network.classes])],
        graph.constants,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="goingdeeper", ir_version=10
    )
    helper.set_model_props(model, dict(metadata or {}))
    return model


class _Graph:
    """Nodes and constants so far; each method adds what one kind of layer needs and names its outcome."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self.network = network.name
        self.steps: dict[str, Step] = {step.path: step for step in trace(network)}
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = 0

    def add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        self._count += 1
        name = f"{op.lower()}_{self._count}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: NDArray[Any], name: str = "") -> str:
        from onnx import numpy_helper

        self._count += 1
        name = name or f"constant_{self._count}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def weight(self, name: str) -> str:
        return self.constant(self.weights[name], name)

    def scaled(self, scale: InputScale, shape: Shape, x: str) -> str:
        if scale.contrast:
            every = self.numbers(1, 2, 3)
            x = self.add("Sub", [x, self.add("ReduceMean", [x, every], keepdims=1)])
            square = self.add("ReduceSumSquare", [x, every], keepdims=1)
            least = self.constant(np.array(0.5, np.float32))  # an image of one colour is all 0
            norm = self.add("Sqrt", [self.add("Max", [square, least])])
            x = self.add("Mul", [x, self.constant(np.array(scale.contrast, np.float32))])
            x = self.add("Div", [x, norm])
        if scale.factor is not None:
            x = self.add("Mul", [x, self.constant(scale.factor.reshape(1, -1, 1, 1))])
        if scale.offset is not None:
            x = self.add("Sub", [x, self.constant(scale.offset[None])])
        if scale.whiten is not None:
            x = self.add("MatMul", [self.add("Flatten", [x], axis=1), self.constant(scale.whiten)])
            x = self.add("Reshape", [x, self.numbers(-1, *shape)])
        return x

    def layer(self, layer: Layer, path: str, x: str) -> str:
        shape = self.steps[path].shape_in
        match layer:
            case Conv():
                return self.conv(layer, path, x)
            case Linear():
                x = self.add("Flatten", [x], axis=1)
                inputs = [x, self.weight(f"{path}.weight")]
                inputs += [self.weight(f"{path}.bias")] if layer.bias else []
                return self.activation(layer.act, path, self.add("Gemm", inputs, transB=1), 1)
            case MaxPool() | AvgPool():
                return self.pool(layer, shape, self.steps[path].shape_out, x)
            case GlobalAvgPool():
                return self.add("GlobalAveragePool", [x])
            case AdaptiveAvgPool():
                return self.parts(x, shape, layer.bins, "ReduceMean")
            case SpatialPyramid():
                maps = [self.parts(x, shape, n, "ReduceMax") for n in layer.bins]
                return self.add("Concat", [self.add("Flatten", [one], axis=1) for one in maps], axis=1)
            case LRN():
                return self.add("LRN", [x], size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)
            case Dropout() | Identity():
                return x
            case ZeroPad():
                return self.zero_pad(layer, shape, x)
            case Slice():
                x = self.slice(x, 1, layer.first, layer.first + layer.channels)
                return self.activation(layer.act, path, x, 2)
            case Bias():
                values = self.weights[f"{path}.bias"].reshape(1, -1, 1, 1)
                return self.activation(layer.act, path, self.add("Add", [x, self.constant(values)]), 2)
            case Chain():
                for name, inner in layer.layers:
                    x = self.layer(inner, f"{path}.{name}", x)
                return x
            case Concat():
                ends = [self.layer(inner, f"{path}.{name}", x) for name, inner in layer.branches]
                return self.add("Concat", ends, axis=1)
            case Residual():
                y = x
                for name, inner in layer.body:
                    y = self.layer(inner, f"{path}.{name}", y)
                y = self.add("Add", [y, self.layer(layer.shortcut, f"{path}.shortcut", x)])
                return self.add("Relu", [y]) if layer.act else y
            case Highway():
                transform = self.layer(layer.transform, f"{path}.transform", x)
                gate = self.layer(layer.gate, f"{path}.gate", x)
                step = self.add("Mul", [gate, self.add("Sub", [transform, x])])
                return self.add("Add", [x, step])
        raise DescriptionError(
            f"{self.network}: the layer {path} ({type(layer).__name__}) cannot be written as ONNX, which "
            "OpenVINO reads, too; --to torch needs none"
        )

    def conv(self, layer: Conv, path: str, x: str) -> str:
        top, bottom, left, right = sides(layer)
        inputs = [x, self.weight(f"{path}.conv.weight")]
        inputs += [self.weight(f"{path}.conv.bias")] if layer.bias else []
        y = self.add(
            "Conv", inputs, kernel_shape=[*pair(layer.kernel)], strides=[layer.stride] * 2,
            pads=[top, left, bottom, right], group=layer.groups,
        )  # fmt: skip
        if layer.norm:
            parts = [self.weights[f"{path}.norm.running_{name}"] for name in ("mean", "var")]
            gamma = self.weights.get(f"{path}.norm.weight", np.ones_like(parts[0]))
            names = [self.constant(values) for values in (gamma, self.weights[f"{path}.norm.bias"], *parts)]
            y = self.add("BatchNormalization", [y, *names], epsilon=layer.norm.eps)
        return self.activation(layer.act, path, y, 2)

    def activation(self, act: Activation | None, path: str, x: str, spatial: int) -> str:
        """spatial: dimensions behind the channels, 2 of a map and by 1 too many of a vector."""
        match act:
            case None:
                return x
            case ReLU():
                return self.add("Relu", [x])
            case Sigmoid():
                return self.add("Sigmoid", [x])
            case PReLU():
                slope = self.weights[f"{path}.act.weight"].reshape(-1, *[1] * (2 if spatial == 2 else 0))
                return self.add("PRelu", [x, self.constant(slope)])
            case Maxout():
                out = self.steps[path].shape_out
                x = self.add("Reshape", [x, self.numbers(0, out[0], act.pieces, *out[1:])])
                return self.add("ReduceMax", [x, self.numbers(2)], keepdims=0)

    def pool(self, layer: MaxPool | AvgPool, shape: Shape, out: Shape, x: str) -> str:
        """With the padding at the bottom and right that gives the size by rounding down."""
        top, bottom, left, right = sides(layer)
        kernel = pair(layer.kernel)
        needed = [
            (out[1 + axis] - 1) * layer.stride + kernel[axis] - shape[1 + axis] - before
            for axis, before in enumerate((top, left))
        ]
        more = needed[0] > bottom or needed[1] > right  # rounded up: a window goes over the padding's end
        attributes: dict[str, Any] = {"kernel_shape": [*kernel], "strides": [layer.stride] * 2}
        if isinstance(layer, MaxPool):
            pads = [top, left, max(0, needed[0]), max(0, needed[1])]
            return self.add("MaxPool", [x], pads=pads, **attributes)
        if layer.count_padding and more and any((top, bottom, left, right)):
            # What was padded counts, and what lies beyond it does not.
            x = self.add("Pad", [x, self.numbers(0, 0, top, left, 0, 0, bottom, right)])
            pads = [0, 0, max(0, needed[0] - bottom), max(0, needed[1] - right)]
            return self.add("AveragePool", [x], pads=pads, count_include_pad=0, **attributes)
        pads = [top, left, max(0, needed[0]), max(0, needed[1])]
        counting = int(layer.count_padding and not more)
        return self.add("AveragePool", [x], pads=pads, count_include_pad=counting, **attributes)

    def parts(self, x: str, shape: Shape, bins: int, op: str) -> str:
        """The mean or maximum of bins x bins equal parts, by fixed windows."""
        if all(size % bins == 0 for size in shape[1:]):
            kernel = [size // bins for size in shape[1:]]
            pool = "AveragePool" if op == "ReduceMean" else "MaxPool"
            return self.add(pool, [x], kernel_shape=kernel, strides=kernel)
        rows = []
        for top, bottom in equal_parts(shape[1], bins):
            row = self.slice(x, 2, top, bottom)
            cells = [self.slice(row, 3, left, right) for left, right in equal_parts(shape[2], bins)]
            reduced = [self.add(op, [cell, self.numbers(2, 3)], keepdims=1) for cell in cells]
            rows.append(self.add("Concat", reduced, axis=3))
        return self.add("Concat", rows, axis=2)

    def slice(self, x: str, axis: int, first: int, end: int) -> str:
        return self.add("Slice", [x, self.numbers(first), self.numbers(end), self.numbers(axis)])

    def zero_pad(self, layer: ZeroPad, shape: Shape, x: str) -> str:
        if layer.stride > 1:
            ends = self.numbers(math.prod(shape), math.prod(shape))
            steps = self.numbers(layer.stride, layer.stride)
            x = self.add("Slice", [x, self.numbers(0, 0), ends, self.numbers(2, 3), steps])
        missing = layer.filters - shape[0]
        before = missing // 2 if layer.side == "both" else 0
        return self.add("Pad", [x, self.numbers(0, before, 0, 0, 0, missing - before, 0, 0)])
