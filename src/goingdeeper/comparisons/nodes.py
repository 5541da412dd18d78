"""A network, or a block of it, as a tree of layers that know their addresses, shapes and costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from goingdeeper.costs.counts import Counts, counts
from goingdeeper.edits import rewrite, rewrite_layer
from goingdeeper.layers import (
    LEAVES,
    AvgPool,
    Chain,
    Conv,
    Layer,
    Linear,
    MaxPool,
    Network,
    Residual,
    children,
    pair,
    sides,
)
from goingdeeper.shapes import Shape, width
from goingdeeper.tables.describe import describe_fully
from goingdeeper.tables.rows import stages
from goingdeeper.trace import Step, find, replace_input, trace


@dataclass(frozen=True)
class Node:
    """A layer in its place.

    address: in the network; a whole network and a stage have none. label: the address as it is shown, which
    within a block leaves the block's own out.
    """

    layer: Layer
    address: str
    label: str
    steps: Mapping[str, Step]
    above: Node | None = None

    @property
    def parts(self) -> dict[str, Node]:
        """The layers inside, by name."""
        at = f"{self.address}." if self.address else ""
        shown = f"{self.label}." if self.above else ""
        return {
            name: Node(layer, at + name, shown + name, self.steps, self)
            for name, layer in children(self.layer)
        }

    @property
    def leaves(self) -> Iterator[Node]:
        """The layers inside that have none inside themselves; itself if it is one."""
        if isinstance(self.layer, LEAVES):
            yield self
        for part in self.parts.values():
            yield from part.leaves

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """What goes in and what comes out."""
        if self.address:
            step = self.steps[self.address]
            return step.shape_in, step.shape_out
        first, *_, last = *self.parts.values(), *self.parts.values()
        return first.shapes[0], last.shapes[1]

    @property
    def counts(self) -> Counts:
        if isinstance(self.layer, LEAVES):
            return counts(self.steps[self.address])
        return sum((part.counts for part in self.parts.values()), Counts())

    @property
    def words(self) -> str:
        """What the layer is; of a shortcut also what becomes of it."""
        said = describe_fully(self.layer)
        name = self.label.rpartition(".")[2]
        if name == "shortcut" and self.above and isinstance(self.above.layer, Residual):
            return f"{said}, added, {self.above.addition}"
        return said

    @property
    def addition(self) -> str:
        """What stands behind a residual block's addition."""
        return "then ReLU" if isinstance(self.layer, Residual) and self.layer.act else "no ReLU after it"


def opened(
    network: Network, address: str | None, input: tuple[int, int, int] | None
) -> tuple[Node, dict[str, Node]]:
    """The root of a whole network, or of the block or stage at an address, and the whole one's heads by name.

    Raises UsageError for an unknown address, ShapeError for an input that does not fit.
    """
    network = _settled(network if input is None else replace_input(network, input))
    steps = {step.path: step for step in trace(network)}
    if address is None:
        root = Node(Chain(network.layers), "", "", steps)
        heads = {
            name: Node(head, f"heads.{name}", f"heads.{name}", steps, root) for name, head in network.heads
        }
        return root, heads
    found = dict(stages(network.layers))
    if address in found and address not in dict(network.layers):
        return Node(Chain(found[address]), "", address, steps), {}
    return Node(find(network, address), address, address, steps), {}


def _settled(network: Network) -> Network:
    """The network with all widths, windows and paddings written out: equal layers are equal records."""

    def edit(layer: Layer) -> Layer:
        match layer:
            case Conv():
                filters = width(layer.filters, network.classes)
                return replace(layer, filters=filters, kernel=pair(layer.kernel), padding=sides(layer))
            case Linear():
                return replace(layer, features=width(layer.features, network.classes))
            case AvgPool():
                counted = layer.count_padding or not any(sides(layer))
                return replace(layer, kernel=pair(layer.kernel), padding=sides(layer), count_padding=counted)
            case MaxPool():
                return replace(layer, kernel=pair(layer.kernel), padding=sides(layer))
            case _:
                return layer

    heads = tuple((name, rewrite_layer(head, edit)) for name, head in network.heads)
    return replace(rewrite(network, edit), heads=heads)
