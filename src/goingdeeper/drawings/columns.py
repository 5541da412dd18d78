"""How a whole network is drawn: in columns of even height, heads beside the layers that they read."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from goingdeeper.drawings.layout import Entry, Sheet, entry, runs, sheet, terminal, titled
from goingdeeper.drawings.marks import NOTE, ROUND, Line, Part, Piece, down, stack, text_width
from goingdeeper.layers import Layer, Network
from goingdeeper.shapes import dims
from goingdeeper.tables.words import reads
from goingdeeper.trace import Step

SHORT, TALLEST = 480.0, 1.42
"""A drawing this high, or with a page's height over width, will do; what is higher gets more columns."""

BRANCH = 8.0
"""How far below a layer the line to its head leaves."""

GUTTER, TURN = 44.0, 10.0
"""Between columns, and above and below them, where the line to the next one runs."""


@dataclass(frozen=True)
class Item:
    """What stands in a column, and the heads that read it or what is within it."""

    piece: Piece
    head: Piece | None = None
    entry: Entry | None = None

    @property
    def tail(self) -> float:
        return 26.0 if self.head else 10.0 if self.piece.note else 0.0

    def fitted(self, left: float, right: float) -> Item:
        """With its frame and its caption at the borders of its column."""
        if not self.entry:
            return self
        piece = titled(self.entry, left, right)
        return replace(self, piece=replace(piece, note=self.piece.note))

    def after(self, y: float, hanging: float) -> tuple[float, float, float]:
        """Its place in a column that has come to y, with heads down to `hanging`; then both after it."""
        if not self.head:
            return y, y + self.piece.height + self.tail, hanging
        place = max(y, hanging - self.piece.height)
        end = place + self.piece.height
        return place, end + self.tail, end + BRANCH + ROUND + self.head.height


def whole(network: Network, steps: Mapping[str, Step]) -> Piece:
    """The network with its heads, in as few columns as give it the proportions of a page."""
    heads = [(f"heads.{name}", head) for name, head in network.heads]
    plain = sheet(steps, (*network.layers, *heads), close=False)
    read: dict[str, list[tuple[str, Layer]]] = defaultdict(list)
    for address, head in network.heads:
        read[address.partition(".")[0]].append((address, head))
    beside = {name: _heads(plain, heads) for name, heads in read.items()}
    found = runs(plain, "", network.layers, frozenset(beside))
    items = [Item(terminal(f"input {dims(network.input)}"))]
    for run in found:
        one = entry(plain, "", run)
        items.append(Item(titled(one, one.left, one.inside.right), beside.get(run[-1][0]), one))
    items[-1] = replace(items[-1], piece=replace(items[-1].piece, note=""))
    return _page([*items, Item(terminal(f"output {network.classes}", arrow=True))])


def _heads(plain: Sheet, heads: Sequence[tuple[str, Layer]]) -> Piece:
    """The heads on one layer side by side; the first is on the axis."""
    first, *others = (_head(plain, address, head) for address, head in heads)
    parts: list[Part] = [(0.0, 0.0, first)]
    right, height = first.right, first.height
    for other in others:
        x = right + GUTTER / 2 + other.left
        parts += [(0.0, 0.0, Line(((0, -ROUND), (x, -ROUND), (x, 0)))), (x, 0.0, other)]
        right, height = x + other.right, max(height, other.height)
    return Piece(first.left, right, height, tuple(parts))


def _head(plain: Sheet, address: str, layer: Layer) -> Piece:
    one = entry(plain, "", ((f"heads.{address}", layer),))
    said = reads(address, plain.steps)
    above = Piece(0.0, 6 + text_width(said, NOTE), 22.0, tuple(down(0, 22.0, note=said)))
    framed = titled(one, one.left, one.inside.right)
    return stack([*([above] if said else []), framed, terminal("output", arrow=True)])


def _page(items: Sequence[Item]) -> Piece:
    heights = range(int(_column(items).height) + 2)
    for count in range(1, len(items) + 1):
        least = bisect_left(heights, True, key=lambda high: len(_fill(items, high)) <= count)
        page = _side_by_side([_column(column) for column in _fill(items, least)])
        if page.height <= max(SHORT, TALLEST * page.width):
            break
    return page


def _fill(items: Sequence[Item], limit: float) -> list[list[Item]]:
    """The items in columns that are no higher than `limit`, unless one item is."""
    columns: list[list[Item]] = [[]]
    y = hanging = 0.0
    for item in items:
        _, bottom, hangs = item.after(y, hanging)
        if columns[-1] and max(bottom, hangs) > limit:
            columns.append([])
            _, bottom, hangs = item.after(0.0, 0.0)
        columns[-1].append(item)
        y, hanging = bottom, hangs
    return columns


def _column(items: Sequence[Item]) -> Piece:
    parts: list[Part] = []
    entries = [item.entry for item in items if item.entry]
    left = max((one.left for one in entries), default=0.0)
    right = max((one.inside.right for one in entries), default=0.0)
    items = [item.fitted(left, right) for item in items]
    left = max(item.piece.left for item in items)
    right = max(max(item.piece.right, 6 + text_width(item.piece.note, NOTE)) for item in items)
    wide = right
    y = hanging = 0.0
    for item in items:
        place, bottom, hanging = item.after(y, hanging)
        end = place + item.piece.height
        parts += [*down(y, place - y), (0.0, place, item.piece)]
        # The shape stands below the line to the head.
        parts += [*down(end, item.tail), *down(bottom - 10, 0.0, note=item.piece.note)]
        if item.head:
            x = right + 14 + item.head.left
            turn = end + BRANCH
            parts.append((0.0, 0.0, Line(((0, turn), (x, turn), (x, turn + ROUND)))))
            parts.append((x, turn + ROUND, item.head))
            wide = max(wide, x + item.head.right)
        y = bottom
    # The empty piece says where the axis ends; heads may hang lower.
    return Piece(left, wide, max(y, hanging), (*parts, (0.0, y, Piece())))


def _side_by_side(columns: Sequence[Piece]) -> Piece:
    """Columns left to right, a line leading from the end of each to the top of the next."""
    wide = sum(column.width for column in columns) + GUTTER * (len(columns) - 1)
    parts: list[Part] = []
    x = -wide / 2
    for column, following in zip(columns, (*columns[1:], None), strict=True):
        x += column.left
        parts.append((x, TURN, column))
        if following:
            between, after = x + column.right + GUTTER / 2, x + column.right + GUTTER + following.left
            end, low = TURN + column.parts[-1][1], column.height + 2 * TURN
            corners = ((x, low), (between, low), (between, 0.0), (after, 0.0))
            parts.append((0.0, 0.0, Line(((x, end), *corners, (after, TURN)))))
        x += column.right + GUTTER
    return Piece(wide / 2, wide / 2, 2 * TURN + max(column.height for column in columns), tuple(parts))
