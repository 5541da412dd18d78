"""A network, or one of its blocks, as an SVG picture that stands alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from goingdeeper.catalogue import described
from goingdeeper.costs.counts import cost, total, within
from goingdeeper.drawings.captions import amounts, change
from goingdeeper.drawings.columns import whole
from goingdeeper.drawings.layout import block, stage
from goingdeeper.drawings.marks import (
    LABEL,
    NOTE,
    Box,
    Frame,
    Line,
    Mark,
    Piece,
    Sign,
    Text,
    placed,
    text_width,
)
from goingdeeper.drawings.svg import QUIET, sample, shape, svg, text
from goingdeeper.layers import Network
from goingdeeper.shapes import dims
from goingdeeper.tables.rows import find_layer, stages
from goingdeeper.tables.words import amount
from goingdeeper.trace import replace_input, trace

MARGIN, LEAST = 24.0, 480.0

ORDER = "shapes are channels x height x width"

LEGEND = {
    "conv1": "{} conv",
    "conv9": "{} conv",
    "convline": "{} conv",
    "conv25": "{} conv",
    "conv49": "{} conv",
    "pool": "pooling",
    "norm": "normalisation",
    "fc": "fully connected",
    "other": "{}",
    "join": "concatenation",
    "plus": "addition",
    "times": "multiplication",
    "gate": "gate, between 0 and 1",
    "shortcut": "shortcut",
    "padded": "zero-padding shortcut",
}

Cell = TypeVar("Cell")


def draw(
    network: Network | str, address: str | None = None, input: tuple[int, int, int] | None = None
) -> str:
    """An SVG document of the network with its heads, or close up of the block or stage at `address`.

    input: (channels, height, width) in pixels, the network's own unless given. Many equal blocks in a row
    are drawn once, with their number. Raises UsageError for an unknown address, ShapeError where shapes
    do not meet.
    """
    network = described(network)
    network = network if input is None else replace_input(network, input)
    blocks = () if address in dict(network.layers) else dict(stages(network.layers)).get(address or "", ())
    layer = None if address is None or blocks else find_layer(network, address)
    steps = {step.path: step for step in trace(network)}
    if address is None:
        return _page(network.name, _facts(network), whole(network, steps))
    paths = [address] if layer else [name for name, _ in blocks]
    inside = total(step for step in steps.values() if any(within(step.path, path) for path in paths))
    facts = [change(steps[paths[0]].shape_in, steps[paths[-1]].shape_out), *amounts(inside)]
    drawing = block(address, layer, steps) if layer else stage(blocks, steps)
    return _page(f"{network.name} {address}", facts, drawing)


def _facts(network: Network) -> list[str]:
    counts = cost(network)
    facts = [f"input {dims(network.input)}", *amounts(counts)]
    if network.heads:
        facts.append(f"{amount(counts.params_with_heads - counts.params)} parameters more in auxiliary heads")
    return facts


def _page(title: str, facts: list[str], drawing: Piece) -> str:
    """Title above, drawing in the middle, legend below."""
    heading = Text(title if len(title) <= 80 else f"{title[:79]}…", 20, bold=True)
    marks = list(placed(drawing))
    wide = max(drawing.width, LEAST, text_width(heading.text, heading.size, bold=True))
    above = _rows(((text_width(fact, LABEL) + 14, fact) for fact in (*facts, ORDER)), wide)
    below = _rows(((text_width(words, NOTE) + 46, (look, words)) for look, words in _legend(marks)), wide)
    top = MARGIN + 42 + 18 * len(above)
    bottom = top + drawing.height + 18
    axis = MARGIN + (wide - drawing.width) / 2 + drawing.left
    shapes = [text(MARGIN, MARGIN + 16, heading)]
    for row, cells in enumerate(above):
        line = " · ".join(fact for _, fact in cells)
        shapes.append(text(MARGIN, MARGIN + 40 + 18 * row, Text(line, LABEL), QUIET))
    for kind in (Frame, Line, Box, Sign, Text):
        shapes += [shape(axis + x, top + y, mark) for x, y, mark in marks if isinstance(mark, kind)]
    for row, samples in enumerate(below):
        y = bottom + 20 * row
        for x, (look, words) in samples:
            shapes += [sample(MARGIN + x, y, look), text(MARGIN + x + 30, y + 11, Text(words), QUIET)]
    return svg(wide + 2 * MARGIN, bottom + 20 * len(below) + MARGIN - 6, title, shapes)


def _rows(cells: Iterable[tuple[float, Cell]], wide: float) -> list[list[tuple[float, Cell]]]:
    """Cells, given with their widths, in rows of at most `wide` pixels, each with where it starts."""
    rows: list[list[tuple[float, Cell]]] = [[]]
    x = 0.0
    for width, cell in cells:
        if rows[-1] and x + width > wide:
            rows.append([])
            x = 0.0
        rows[-1].append((x, cell))
        x += width
    return rows


def _legend(marks: Iterable[tuple[float, float, Mark]]) -> list[tuple[str, str]]:
    """The looks that are in the drawing, and what they stand for."""
    seen: dict[str, set[str]] = defaultdict(set)
    for _, _, mark in marks:
        match mark:
            case Box():
                seen[mark.kind].add(mark.lines[0].split()[0])
            case Line():
                seen[mark.look].add("")
            case Sign():
                seen[mark.kind].add("")
    return [
        (look, words.format(", ".join(sorted(seen[look])))) for look, words in LEGEND.items() if look in seen
    ]
