"""Which nodes of an ONNX model become int8, and which stay in fp32 with a layer that is kept so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

PASSING = {
    "Add", "AveragePool", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Pad", "Relu", "Reshape",
    "Slice",
}  # fmt: skip
"""What may lie between layers so that bytes go on; all else, such as LRN and the input's scale, is fp32."""

LAST = {"AveragePool", "Flatten", "GlobalAveragePool", "Reshape"}
"""What passes the last layer's output on to the logits, and would be rounded in vain."""


@dataclass(frozen=True)
class Quantisable:
    """The nodes of a model that may become int8: layers with weights, and what passes bytes on between them.

    layers: a node's name by our address of the layer. nodes: by name. makers, takers: of a tensor that is no
    constant, all nodes that have it as their output and input.
    """

    layers: Mapping[str, str]
    nodes: Mapping[str, onnx.NodeProto]
    makers: Mapping[str, onnx.NodeProto]
    takers: Mapping[str, Sequence[onnx.NodeProto]]

    def kept(self, addresses: Collection[str]) -> set[str]:
        """Names of the nodes that stay in fp32 so that layers do, and get their inputs unrounded.

        The layers, what passes their inputs on to them, and what passes those on to others; through a sum,
        but not through the next. With the layers that the inputs come from: ONNX Runtime rounds the outputs
        of what is int8, and OpenVINO was seen to lose channels that are far smaller than others.
        """
        names = {self.layers[address] for address in addresses}
        return names.union(*(self._around(self.nodes[name].input[0], True) for name in names))

    def _around(self, tensor: str, through_sum: bool) -> Iterator[str]:
        for taker in self.takers.get(tensor, ()):
            if taker.op_type in PASSING and taker.name in self.nodes:
                yield taker.name
        maker = self.makers.get(tensor)
        if maker is None or maker.name not in self.nodes:
            return
        if maker.op_type not in PASSING:
            yield maker.name
        elif through_sum or maker.op_type != "Add":
            yield maker.name
            for name in maker.input:
                yield from self._around(name, through_sum and maker.op_type != "Add")


def quantisable(model: onnx.ModelProto) -> Quantisable:
    """What may become int8 of a model that `onnx_model` made."""
    constants = {one.name for one in model.graph.initializer}
    layers: dict[str, str] = {}
    nodes: dict[str, onnx.NodeProto] = {}
    makers: dict[str, onnx.NodeProto] = {}
    takers: dict[str, list[onnx.NodeProto]] = {}
    reached: set[str] = set()
    for node in model.graph.node:
        inputs = [name for name in node.input if name and name not in constants]
        address = _address(node)
        if address:
            layers[address] = node.name
        if address or (node.op_type in PASSING and reached.issuperset(inputs)):
            nodes[node.name] = node
            reached.update(node.output)
        for name in node.output:
            makers[name] = node
        for name in inputs:
            takers.setdefault(name, []).append(node)
    last = makers[model.graph.output[0].name]
    while last.op_type in LAST and last.name in nodes:
        del nodes[last.name]
        last = makers[last.input[0]]
    return Quantisable(layers, nodes, makers, takers)


def _address(node: onnx.NodeProto) -> str:
    """Of the layer whose weights a node has."""
    if node.op_type not in ("Conv", "Gemm") or not node.input[1].endswith(".weight"):
        return ""
    return str(node.input[1]).removesuffix(".weight").removesuffix(".conv")
