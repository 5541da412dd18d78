"""The paper's own table of a network, as text, Markdown or HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Literal, TypeAlias

from goingdeeper.catalogue import described
from goingdeeper.costs import grid
from goingdeeper.costs.describe import describe, leaves, lines, stage_lines, window
from goingdeeper.costs.grid import Cell, Column, Grid, Part
from goingdeeper.costs.rows import By, Entry, Section, sections
from goingdeeper.errors import unknown
from goingdeeper.layers import AvgPool, Chain, Concat, Conv, MaxPool, Network, children
from goingdeeper.shapes import Shape

Style: TypeAlias = Literal["text", "markdown", "html"]

LONGEST = 60
"""Characters of a line in the layer column."""

MOST_COLUMNS = 8
"""A module with more convolutions than this is told in words instead of columns."""

Columns: TypeAlias = Mapping[str, Conv]
"""Convolutions by their addresses within a module: the columns of Table 1 of the GoogLeNet paper."""


def table(
    network: Network | str,
    address: str | None = None,
    by: By = "stage",
    style: Style = "text",
    input: tuple[int, int, int] | None = None,
    width: int | None = 100,
) -> str:
    """A network, or one block of it, as the papers print theirs.

    Modules of branches get a column for each branch's filters, stages of equal blocks one row. by: "stage",
    "block" or "layer", see `rows`. input: (channels, height, width), the network's own unless given. width:
    characters that plain text may take, None for any. Raises as `rows` does, and UsageError for an unknown
    style.
    """
    found = described(network)
    styles = {"text": lambda made: grid.text(made, width), "markdown": grid.markdown, "html": grid.html}
    if style not in styles:
        raise unknown("style", style, styles, f"there are {', '.join(styles)}")
    return styles[style](_grid(found, address, sections(found, address, by, input), by))


def shown(shape: Shape) -> str:
    """As the papers write it, height x width x channels: `112x112x64`."""
    return "x".join(str(size) for size in (*shape[1:], shape[0]))


def _grid(network: Network, address: str | None, parts: list[Section], by: By) -> Grid:
    trunk, *heads = parts
    modules = [
        layer
        for entry in trunk.entries
        for _, layer in entry.layers
        if isinstance(layer, Concat) and not entry.stage
    ]
    branches = {} if by == "layer" else _columns(modules)
    columns = (
        Column("name"),
        Column("layer"),
        Column("output"),
        *([Column("depth", right=True, spare=1)] if branches else []),
        *(Column(_heading(path), right=True) for path in branches),
        Column("params", right=True),
        Column("macs", right=True),
        Column("field", right=True, spare=2),
    )

    def cells(entry: Entry) -> tuple[Cell, ...]:
        row, own = entry.row, _filters(entry, branches)
        return (
            entry.name,
            "\n".join(folded for line in _words(entry, branches, modules) for folded in wrap(line, LONGEST)),
            shown(row.shape_out),
            *([str(row.depth or "")] if branches else []),
            *(own.get(path, "") for path in branches),
            row.params,
            row.macs,
            "x".join(map(str, row.receptive_field))
            if isinstance(row.receptive_field, tuple)
            else str(row.receptive_field),
        )

    def summed(label: str, sections: Sequence[Section]) -> tuple[Cell, ...]:
        params = sum(section.counts.params for section in sections)
        macs = sum(section.counts.macs for section in sections)
        return (label, *[""] * (len(columns) - 4), params, macs, "")

    made = [Part("", tuple(map(cells, trunk.entries)))]
    for head in heads:
        title = f"{head.address}: auxiliary head, for training only"
        made.append(Part(title, tuple(map(cells, head.entries)), summed("sum", [head])))
    totals = [summed("total", [trunk]), *([summed("with heads", parts)] if heads else [])]
    title = f"{network.name}{f' {address}' if address else ''}: {shown(trunk.entries[0].row.shape_in)} in"
    if address is None:
        title += f", {network.classes} classes, {trunk.depth} layers with weights"
    note = "output: height x width x channels; macs: multiply-adds for one image; field: receptive field"
    return Grid(title, columns, tuple(made), tuple(totals), (note,))


def _words(entry: Entry, columns: Columns, modules: list[Concat]) -> tuple[str, ...]:
    """The text of the layer column; what stands in columns of its own is left out."""
    if entry.stage:
        return stage_lines(entry.layers)
    _, layer = entry.layers[0]
    match layer:
        case Conv(groups=1) if columns:
            return (f"conv {window(layer)}",)
        case Concat() if columns:
            halved = " /2" if entry.row.shape_out[1] < entry.row.shape_in[1] else ""
            pools = _pools(layer) if len({_pools(module) for module in modules}) > 1 else ""
            return (f"inception{halved}", *([pools] if pools else []))
        case Chain() if _filters(entry, columns):
            *_, (_, last) = leaves(layer.layers)
            return (describe(last).split(",")[0],)
        case Chain() | Concat():
            return lines(layer, 14 if columns else 40)
        case _:
            return (entry.row.layer,)


def _columns(modules: list[Concat]) -> Columns:
    """The convolutions of the modules' branches by address, if they are few enough for columns."""
    found: dict[str, Conv] = {}
    for module in modules:
        for path, layer in leaves(module.branches):
            if isinstance(layer, Conv):
                found.setdefault(path, layer)
    return found if len(found) <= MOST_COLUMNS else {}


def _heading(path: str) -> str:
    """`3x3.reduce` is `#3x3 reduce` and `3x3.conv` is `#3x3`, as in the paper."""
    words = path.removesuffix(".conv").replace(".", " ")
    return f"#{words}" if words[0].isdigit() else words


def _filters(entry: Entry, columns: Columns) -> dict[str, str]:
    """What an entry has to write in the branches' columns.

    A chain outside the modules belongs where one of their branches has the same parts, as conv2 does.
    """
    _, layer = entry.layers[0]
    if entry.stage or not isinstance(layer, Concat | Chain):
        return {}
    convs = {path: inner for path, inner in leaves(children(layer)) if isinstance(inner, Conv)}
    if isinstance(layer, Concat):
        return {path: str(conv.filters) for path, conv in convs.items() if path in columns}
    for branch in dict.fromkeys(path.split(".")[0] for path in columns):
        alike = {f"{branch}.{path}": conv for path, conv in convs.items()}
        if alike and all(p in columns and columns[p].kernel == conv.kernel for p, conv in alike.items()):
            return {path: str(conv.filters) for path, conv in alike.items()}
    return {}


def _pools(module: Concat) -> str:
    kinds = {MaxPool: "max pool", AvgPool: "avg pool"}
    pools = (
        kinds[type(layer)] for _, layer in leaves(module.branches) if isinstance(layer, MaxPool | AvgPool)
    )
    return ", ".join(dict.fromkeys(pools))
