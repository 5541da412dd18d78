"""The rows of a network's table: by stage as the papers have them, by block, or layer by layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from goingdeeper.costs.counts import Counts, counts
from goingdeeper.costs.describe import depth, describe, describe_fully, leaves, stage_lines
from goingdeeper.edits import rewrite, rewrite_layer
from goingdeeper.errors import unknown
from goingdeeper.layers import LEAVES, Concat, Conv, Layer, Linear, Named, Network, Pair, children
from goingdeeper.shapes import Shape, width
from goingdeeper.trace import Step, find, trace

By: TypeAlias = Literal["stage", "block", "layer"]
BY: Final[tuple[By, ...]] = get_args(By)


@dataclass(frozen=True)
class Row:
    """One row as plain data.

    path: an address, or a stage such as `conv2_x`. layer: what it is, in words. Shapes are (channels,
    height, width) or (features,). params, macs: sums over the row. receptive_field: pixels of the input,
    (height, width) where they differ. depth: layers with weights on the longest path.
    """

    path: str
    layer: str
    shape_in: Shape
    shape_out: Shape
    params: int
    macs: int
    receptive_field: int | Pair
    depth: int

    def data(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Entry:
    """A row with the layers it stands for, and its name within its section."""

    name: str
    layers: Named
    row: Row

    @property
    def stage(self) -> bool:
        """Whether it stands for blocks in a row instead of one layer."""
        return self.name not in dict(self.layers)


@dataclass(frozen=True)
class Section:
    """The trunk, one head, or the block that was asked for, with what it sums to."""

    address: str
    entries: tuple[Entry, ...]
    counts: Counts
    depth: int


def rows(
    network: Network, address: str | None = None, by: By = "stage", input: tuple[int, int, int] | None = None
) -> list[Row]:
    """The rows of the whole network, heads last, or of the block or stage at an address.

    by: "stage" joins consecutive blocks `conv2_1`, `conv2_2`, ... to `conv2_x`; "block" has a row for each
    name; "layer" one for each layer. Within a block "stage" has its layers, too.
    input: (channels, height, width), the network's own unless given. Raises UsageError for an unknown
    address or `by`, ShapeError for an input that does not fit.
    """
    return [entry.row for section in sections(network, address, by, input) for entry in section.entries]


def sections(
    network: Network, address: str | None = None, by: By = "stage", input: tuple[int, int, int] | None = None
) -> list[Section]:
    """The rows in their sections; as `rows` otherwise."""
    if by not in BY:
        raise unknown("way to make rows", by, BY, f"by is one of {', '.join(BY)}")
    steps = trace(network, input)
    network = _with_numbers(network)
    if address is None:
        inside = [("", network.layers)]
        for name, head in network.heads:
            inside.append((f"heads.{name}", children(head)) if children(head) else ("heads", ((name, head),)))
    elif address in (found := dict(stages(network.layers))) and address not in dict(network.layers):
        return [_section(steps, address, found[address], "", "block" if by == "stage" else by)]
    else:
        layer = find(network, address)
        if isinstance(layer, LEAVES):
            above, _, name = address.rpartition(".")
            return [_section(steps, address, ((name, layer),), above, "layer")]
        inside = [(address, children(layer))]
        by = "layer" if by == "stage" else by
    return [_section(steps, start, layers, start, by) for start, layers in inside]


def stages(layers: Named) -> list[tuple[str, Named]]:
    """Layers by stage: `conv2_1`, `conv2_2`, ... together as `conv2_x`, every other one alone.

    Modules of branches stay apart: their widths differ, and the papers give each a row.
    """
    found: list[tuple[str, Named]] = []
    for name, layer in layers:
        match = None if isinstance(layer, Concat) else re.fullmatch(r"(.+)_(\d+)", name)
        stage = f"{match[1]}_x" if match else name
        number = int(match[2]) if match else 0
        if number > 1 and found and found[-1][0] == stage and len(found[-1][1]) == number - 1:
            found[-1] = (stage, (*found[-1][1], (name, layer)))
        else:
            found.append((stage if number == 1 else name, ((name, layer),)))
    return found


def _with_numbers(network: Network) -> Network:
    """The network with its class count written wherever its placeholder stands."""

    def edit(layer: Layer) -> Layer:
        match layer:
            case Conv():
                return replace(layer, filters=width(layer.filters, network.classes))
            case Linear():
                return replace(layer, features=width(layer.features, network.classes))
            case _:
                return layer

    heads = tuple((name, rewrite_layer(head, edit)) for name, head in network.heads)
    return replace(rewrite(network, edit), heads=heads)


def _section(steps: tuple[Step, ...], address: str, layers: Named, prefix: str, by: By) -> Section:
    prefix = f"{prefix}." if prefix else ""
    here = {step.path: step for step in steps}
    sums = _sums(steps)
    named: list[tuple[str, Named]]
    match by:
        case "layer":
            named = [(name, ((name, layer),)) for name, layer in leaves(layers)]
        case "block":
            named = [(name, ((name, layer),)) for name, layer in layers]
        case _:
            named = stages(layers)
    entries = []
    for name, members in named:
        first, last = here[prefix + members[0][0]], here[prefix + members[-1][0]]
        total = sum((sums[prefix + member] for member, _ in members), Counts())
        height, width = last.field.size
        row = Row(
            prefix + name,
            _words(name, members, by),
            first.shape_in,
            last.shape_out,
            total.params,
            total.macs,
            height if height == width else (height, width),
            sum(depth(layer) for _, layer in members),
        )
        entries.append(Entry(name, members, row))
    total = sum((sums[prefix + name] for name, _ in layers), Counts())
    return Section(address, tuple(entries), total, sum(depth(layer) for _, layer in layers))


def _words(name: str, members: Named, by: By) -> str:
    if name in dict(members):
        return (describe_fully if by == "layer" else describe)(members[0][1])
    what, *notes = stage_lines(members)
    return what + (f" ({'; '.join(notes)})" if notes else "")


def _sums(steps: Iterable[Step]) -> dict[str, Counts]:
    """What lies at or below every address."""
    sums: dict[str, Counts] = {}
    for step in steps:
        own = counts(step) if step.leaf else Counts()
        parts = step.path.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            sums[path] = sums.get(path, Counts()) + own
    return sums
