"""The paper's own table of a network, as text, Markdown or HTML."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Literal, TypeAlias

from goingdeeper.catalogue import described
from goingdeeper.errors import unknown
from goingdeeper.layers import AvgPool, Chain, Concat, Conv, MaxPool, Network, Pair, Width, children, pair
from goingdeeper.shapes import Shape
from goingdeeper.tables import grid
from goingdeeper.tables.describe import describe, leaves, lines, stage_lines, window
from goingdeeper.tables.footnotes import concerns, inferred, made_up, variant
from goingdeeper.tables.grid import Cell, Column, Grid, Part
from goingdeeper.tables.rows import FLOAT32, By, Entry, Section, sections
from goingdeeper.tables.words import size

Style: TypeAlias = Literal["text", "markdown", "html"]

LONGEST = (60, 46, 32, 14, 12)
"""Characters of a line in the layer column, and fewer where the table would be too wide."""

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
    batch: int | None = None,
) -> str:
    """A network, or one block of it, as the papers print theirs.

    Modules of branches get a column for each branch's filters, stages of equal blocks one row. by: "stage",
    "block" or "layer", see `rows`. input: (channels, height, width), the network's own unless given. width:
    characters that plain text may take, None for any. batch: images, for a column of the memory that the
    layers' outputs take. What a published network's sources do not say stands in footnotes. Raises as `rows`
    does, and UsageError for an unknown style.
    """
    found = described(network)
    styles = ("text", "markdown", "html")
    if style not in styles:
        raise unknown("style", style, styles, f"there are {', '.join(styles)}")
    parts = sections(found, address, by, input)
    made = (_grid(found, address, parts, by, batch, longest) for longest in LONGEST)
    if style != "text":
        return {"markdown": grid.markdown, "html": grid.html}[style](next(made))
    texts = [grid.text(next(made), width)]
    while width is not None and len(texts) < len(LONGEST) and max(map(len, texts[-1].splitlines())) > width:
        texts.append(grid.text(next(made), width))
    return texts[-1]


def shown(shape: Shape) -> str:
    """As the papers write it, height x width x channels: `112x112x64`."""
    return "x".join(str(size) for size in (*shape[1:], shape[0]))


def _grid(
    network: Network, address: str | None, parts: list[Section], by: By, batch: int | None, longest: int
) -> Grid:
    trunk, *heads = parts
    notes = inferred(network, address)
    entries = [entry for section in parts for entry in section.entries]
    # One detail may be about several layers: then it has one number.
    marked = dict.fromkeys(
        one.detail for one in notes if any(concerns(one, entry.paths) for entry in entries)
    )
    numbers = {detail: number for number, detail in enumerate(marked, 1)}
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
        *([Column("depth", right=True, spare=3)] if branches else []),
        *(Column(heading, right=True) for heading in _headings(branches)),
        Column("params", right=True, spare=1 if batch else 0),
        Column("macs", right=True, spare=2 if batch else 0),
        *([Column("memory", right=True)] if batch else []),
        Column("field", right=True, spare=4),
    )

    def memory(activations: int) -> list[str]:
        return [size(FLOAT32 * batch * activations)] if batch else []

    def cells(entry: Entry) -> tuple[Cell, ...]:
        row, own = entry.row, _filters(entry, branches)
        about = dict.fromkeys(str(numbers[one.detail]) for one in notes if concerns(one, entry.paths))
        words = _words(entry, branches, modules)
        return (
            f"{entry.name} [{', '.join(about)}]" if about else entry.name,
            "\n".join(part for line in words for part in wrap(line, longest, subsequent_indent="  ")),
            shown(row.shape_out),
            *([str(row.depth or "")] if branches else []),
            *(own.get(path, "") for path in branches),
            row.params,
            row.macs,
            *memory(row.activations),
            "x".join(map(str, row.receptive_field))
            if isinstance(row.receptive_field, tuple)
            else str(row.receptive_field),
        )

    def summed(label: str, sections: Sequence[Section]) -> tuple[Cell, ...]:
        params = sum(section.counts.params for section in sections)
        macs = sum(section.counts.macs for section in sections)
        held = memory(sum(section.counts.activations for section in sections))
        return (label, *[""] * (len(columns) - 4 - len(held)), params, macs, *held, "")

    made = [Part("", tuple(map(cells, trunk.entries)))]
    for head in heads:
        made.append(Part(head.title, tuple(map(cells, head.entries)), summed("sum", [head])))
    totals = [summed("total", [trunk]), *([summed("with heads", parts)] if heads else [])]
    title = f"{network.name}{f' {address}' if address else ''}: {shown(trunk.entries[0].row.shape_in)} in"
    if address is None:
        title += f", {network.classes} classes, {trunk.depth} layers with weights"
    said = ["output: height x width x channels; macs: multiply-adds for one image; field: receptive field"]
    if batch:
        images = "one image" if batch == 1 else f"{batch} images"
        said.append(
            f"memory: the outputs of all layers for {images} in float32, a convolution with its norm and "
            "activation counted once"
        )
    said += [f"[{number}] {detail}" for detail, number in numbers.items()]
    said += [one.detail for one in notes if not one.layer]
    said += filter(None, [made_up(network) if address is None else ""])
    counted = tuple(total for total in totals if any(total[1:]))
    return Grid(
        title, columns, tuple(made), counted, tuple(said), variant(network) if address is None else ""
    )


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
            return (f"{_kind(layer)}{halved}", *([pools] if pools else []))
        case Chain() if _filters(entry, columns):
            *_, (_, last) = leaves(layer.layers)
            return (describe(last).split(",")[0],)
        case Chain() | Concat():
            return lines(layer, 14 if columns else 40)
        case _:
            return (entry.row.layer,)


def _columns(modules: list[Concat]) -> Columns:
    """The convolutions of the modules' branches by address, if they are few enough for columns.

    A column has one kernel throughout; `_headings` tells it.
    """
    found: dict[str, Conv] = {}
    widths: dict[str, list[Width]] = defaultdict(list)
    kernels: dict[str, set[Pair]] = defaultdict(set)
    for module in modules:
        for path, layer in leaves(module.branches):
            if isinstance(layer, Conv):
                found.setdefault(path, layer)
                widths[path].append(layer.filters)
                kernels[path].add(pair(layer.kernel))
    if any(len(found) > 1 for found in kernels.values()):
        return {}
    # BN-Inception's double 3x3 has one column in the paper: its two layers are equally wide throughout.
    twins = {
        path
        for path in found
        if path.endswith(".conv2")
        and (widths[path], kernels[path]) == (widths.get(_twin(path)), kernels.get(_twin(path)))
    }
    columns = {path: layer for path, layer in found.items() if path not in twins}
    return columns if len(columns) <= MOST_COLUMNS else {}


def _twin(path: str) -> str:
    return f"{path.removesuffix('2')}1"


def _headings(columns: Columns) -> list[str]:
    """As in the papers: `#3x3 reduce` for `3x3.reduce`, `#3x3` for `3x3.conv`, `double #3x3`.

    Where a branch's name does not say its kernels, or says others, its headings do: `5x5 reduce: #1x1`,
    `5x5: #3x3`.
    """
    found = []
    odd = {path.partition(".")[0] for path, conv in columns.items() if pair(conv.kernel) != _named(path)}
    for path in columns:
        alone = path.endswith(".conv1") and f"{path.removesuffix('1')}2" not in columns
        words = path.removesuffix(".conv1" if alone else ".conv").replace(".", " ")
        words = re.sub(r"([a-z])(\d+x)", r"\1 \2", words)
        if path.partition(".")[0] in odd:
            found.append(f"{words}: #{window(columns[path], stride=False)}")
            continue
        found.append(re.sub(r"(^| )(\d)", r"\1#\2", words, count=1))
    return found


def _named(path: str) -> Pair | None:
    """The kernel that a convolution's address promises: its branch's, or a reduction's 1x1."""
    branch, _, part = path.partition(".")
    said = re.search(r"(\d+)x(\d+)", branch)
    if part in ("reduce", "proj") and (said or branch == "pool"):
        return 1, 1
    return (int(said[1]), int(said[2])) if said else None


def _kind(module: Concat) -> str:
    """`inception` where the branches are those of the papers' modules, a pool among them."""
    names = {name for name, _ in module.branches}
    if "pool" in names <= {"1x1", "3x3", "5x5", "double3x3", "pool"} and _pools(module):
        return "inception"
    return f"{len(names)} branches"


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
