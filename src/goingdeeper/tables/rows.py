"""The rows of a network's table: by stage as the papers have them, by block, or layer by layer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from goingdeeper.costs.counts import Counts, counts
from goingdeeper.edits import rewrite, rewrite_layer
from goingdeeper.errors import unknown
from goingdeeper.layers import LEAVES, Concat, Conv, Layer, Linear, Named, Network, Pair, children
from goingdeeper.shapes import Shape, width
from goingdeeper.tables.describe import depth, describe, describe_fully, leaves, stage_lines
from goingdeeper.tables.words import reads
from goingdeeper.trace import Step, find, trace

By: TypeAlias = Literal["stage", "block", "layer"]
BY: Final[tuple[By, ...]] = get_args(By)

FLOAT32 = 4
"""Bytes of one value."""


@dataclass(frozen=True)
class Row:
    """One row as plain data.

    path: an address, or a stage such as `conv2_x`. layer: what it is, in words. Shapes are (channels,
    height, width) or (features,). params, macs: sums over the row. receptive_field: pixels of the input,
    (height, width) where they differ. depth: layers with weights on the longest path. activations: values
    that its layers put out for one image; activation_bytes: those of the batch asked for, in float32.
    """

    path: str
    layer: str
    shape_in: Shape
    shape_out: Shape
    params: int
    macs: int
    receptive_field: int | Pair
    depth: int
    activations: int
    activation_bytes: int | None = None

    def data(self) -> dict[str, Any]:
        """The fields by name, for JSON; without a batch there is no `activation_bytes`."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


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

    @property
    def paths(self) -> list[str]:
        """The full addresses of its layers."""
        above = self.row.path.removesuffix(self.name)
        return [above + name for name, _ in self.layers]


@dataclass(frozen=True)
class Section:
    """The trunk, one head, or the block that was asked for, with what it sums to; `title` is a head's."""

    title: str
    entries: tuple[Entry, ...]
    counts: Counts
    depth: int


def rows(
    network: Network,
    address: str | None = None,
    by: By = "stage",
    input: tuple[int, int, int] | None = None,
    batch: int | None = None,
) -> list[Row]:
    """The rows of the whole network, heads last, or of the block or stage at an address.

    by: "stage" joins consecutive blocks `conv2_1`, `conv2_2`, ... to `conv2_x`; "block" has a row for each
    name; "layer" one for each layer. Within a block "stage" has its layers, too.
    input: (channels, height, width), the network's own unless given. batch: images, for activation_bytes.
    Raises UsageError for an unknown address or `by`, ShapeError for an input that does not fit.
    """
    found = [entry.row for section in sections(network, address, by, input) for entry in section.entries]
    return found if batch is None else [taking(row, batch) for row in found]


def taking(row: Row, batch: int) -> Row:
    """The row with the bytes that its outputs take for so many images."""
    return replace(row, activation_bytes=FLOAT32 * batch * row.activations)


def sections(
    network: Network, address: str | None = None, by: By = "stage", input: tuple[int, int, int] | None = None
) -> list[Section]:
    """The rows in their sections; as `rows` otherwise."""
    if by not in BY:
        raise unknown("way to make rows", by, BY, f"by is one of {', '.join(BY)}")
    steps = trace(network, input)
    network = _with_numbers(network)
    if address is None:
        return [_section(steps, "", network.layers, "", by), *_heads(steps, network, by)]
    if address in (found := dict(stages(network.layers))) and address not in dict(network.layers):
        return [_section(steps, "", found[address], "", "block" if by == "stage" else by)]
    layer = find_layer(network, address)
    if isinstance(layer, LEAVES):
        above, _, name = address.rpartition(".")
        return [_section(steps, "", ((name, layer),), above, "layer")]
    return [_section(steps, "", children(layer), address, "layer" if by == "stage" else by)]


def _heads(steps: tuple[Step, ...], network: Network, by: By) -> Iterator[Section]:
    """A section for each head; those of one layer share the last."""
    here = {step.path: step for step in steps}
    for name, head in network.heads:
        if children(head):
            title = f"heads.{name}: auxiliary head, for training only"
            title = ", ".join(filter(None, (title, reads(name, here))))
            yield _section(steps, title, children(head), f"heads.{name}", by)
    if single := tuple((name, head) for name, head in network.heads if not children(head)):
        title = "heads: auxiliary heads of one layer, for training only"
        section = _section(steps, title, single, "heads", by)
        yield replace(section, entries=tuple(_reading(entry, here) for entry in section.entries))


def _reading(entry: Entry, here: Mapping[str, Step]) -> Entry:
    words = ", ".join(filter(None, (entry.row.layer, reads(entry.name, here))))
    return replace(entry, row=replace(entry.row, layer=words))


def find_layer(network: Network, address: str) -> Layer:
    """The layer at an address; for an unknown one at the top, UsageError suggests stages, too."""
    named = dict(network.layers)
    known = [name for name, _ in stages(network.layers)]
    if {*known} <= {*named} or "." in address or address in named or address == "heads":
        return find(network, address)
    remedy = f"it has: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
    raise unknown(f"address in {network.name}:", address, dict.fromkeys([*known, *named]), remedy)


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


def _section(steps: tuple[Step, ...], title: str, layers: Named, prefix: str, by: By) -> Section:
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
            total.activations,
        )
        entries.append(Entry(name, members, row))
    total = sum((sums[prefix + name] for name, _ in layers), Counts())
    return Section(title, tuple(entries), total, sum(depth(layer) for _, layer in layers))


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
