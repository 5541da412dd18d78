"""How a block is drawn: chains run down, branches across, shortcuts at the side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from goingdeeper.drawings.captions import details, kind, span, tooltip
from goingdeeper.drawings.gates import gated
from goingdeeper.drawings.marks import (
    LABEL,
    LEAD,
    NOTE,
    NOTED,
    ROUND,
    SHEETS,
    SIDE,
    SIGN,
    Box,
    Flow,
    Frame,
    Line,
    Part,
    Piece,
    Sign,
    Text,
    down,
    stack,
    text_width,
)
from goingdeeper.layers import Chain, Concat, Highway, Identity, Layer, Named, Residual, ZeroPad, children
from goingdeeper.shapes import dims
from goingdeeper.trace import Step

RUN = 6
"""So many equal blocks in a row, or more, are drawn once."""


@dataclass(frozen=True)
class Sheet:
    """What is being drawn: the steps by path, whether close up, the width of boxes, plain and stacked.

    Stacked boxes hold their text on two short lines: those that lie across, or at the side.
    """

    steps: Mapping[str, Step]
    close: bool
    width: float
    stacked_width: float

    @property
    def between(self) -> float:
        return NOTED if self.close else 0.0


def sheet(steps: Mapping[str, Step], layers: Named, *, close: bool) -> Sheet:
    """A sheet whose boxes are all wide enough for the text of any of them."""
    widths = {False: 104.0, True: 64.0}
    for path, stacked in (leaf for name, layer in layers for leaf in _leaves(name, layer, False, close)):
        step = steps[path]
        first, *more = details(step, stacked=stacked, close=close)
        needs = [text_width(first, LABEL) + 10, *(text_width(line, NOTE) + 14 for line in more)]
        if close:
            needs.append(2 * text_width(dims(step.shape_out), NOTE) + 12)
        widths[stacked] = max(widths[stacked], *needs)
    return Sheet(steps, close, widths[False], widths[True])


def _leaves(path: str, layer: Layer, stacked: bool, close: bool) -> Iterator[tuple[str, bool]]:
    """Paths of the leaves, and whether they are stacked."""
    inner = children(layer)
    for name, part in inner:
        beside = "shortcut" if isinstance(layer, Residual) else "gate"
        across = isinstance(layer, Concat) or (isinstance(layer, Residual | Highway) and name == beside)
        yield from _leaves(f"{path}.{name}", part, stacked or (across and not close), close)
    if not inner:
        yield path, stacked


def block(address: str, layer: Layer, steps: Mapping[str, Step]) -> Piece:
    """One block close up: its biases, norms and ReLUs, and every change of shape."""
    step = steps[address]
    inside = piece(sheet(steps, ((address, layer),), close=True), address, layer)
    end = terminal(f"output {dims(step.shape_out)}", arrow=True)
    return stack([terminal(f"input {dims(step.shape_in)}"), inside, end])


def stage(blocks: Named, steps: Mapping[str, Step]) -> Piece:
    """Blocks of the trunk in a row close up, each with its name; many equal ones are drawn once."""
    large = sheet(steps, blocks, close=True)
    entries = [entry(large, "", run) for run in runs(large, "", blocks)]
    left, right = max(one.left for one in entries), max(one.inside.right for one in entries)
    first, last = steps[blocks[0][0]], steps[blocks[-1][0]]
    start, end = f"input {dims(first.shape_in)}", f"output {dims(last.shape_out)}"
    framed = stack([titled(one, left, right) for one in entries], NOTED)
    return stack([terminal(start), framed, terminal(end, arrow=True)])


def piece(sheet: Sheet, path: str, layer: Layer, stacked: bool = False, look: Flow = "flow") -> Piece:
    """A layer with the arrow that leads into it, and all that is inside it."""
    match layer:
        case Chain():
            return _chain(sheet, path, layer.layers, stacked)
        case Concat():
            return _concat(sheet, path, layer)
        case Residual():
            return _residual(sheet, path, layer, stacked)
        case Highway():
            return _highway(sheet, path, layer, stacked)
        case _:
            return _leaf(sheet, path, stacked, look)


def _leaf(sheet: Sheet, path: str, stacked: bool, look: Flow) -> Piece:
    step = sheet.steps[path]
    lines = details(step, stacked=stacked, close=sheet.close)
    wide = sheet.stacked_width if stacked else sheet.width
    high = max(36.0 if stacked or sheet.close else 24.0, 8.0 + 14 * len(lines))
    box = Box(wide, high, kind(step.layer), lines, tooltip(path, sheet.steps))
    parts = ((0.0, 0.0, Line(((0, 0), (0, LEAD)), look, arrow=True)), (-wide / 2, LEAD, box))
    return Piece(wide / 2, wide / 2, LEAD + high, parts, _note(step))


def _chain(sheet: Sheet, path: str, layers: Named, stacked: bool) -> Piece:
    pieces = []
    for run in runs(sheet, path, layers):
        repeated = entry(sheet, path, run, stacked)
        alone = len(run) == 1
        pieces.append(repeated.inside if alone else titled(repeated, repeated.left, repeated.inside.right))
    return stack(pieces, sheet.between)


def _concat(sheet: Sheet, path: str, layer: Concat) -> Piece:
    step = sheet.steps[path]
    across = [piece(sheet, f"{path}.{name}", branch, not sheet.close) for name, branch in layer.branches]
    joined = f"concatenation, {step.shape_out[0]}"
    start = 2 * ROUND
    bar = start + max(branch.height for branch in across) + sheet.between + LEAD
    parts: list[Part] = down(0, ROUND)
    wide = sum(branch.width for branch in across) + 8 * (len(across) - 1)
    x = -wide / 2
    for branch in across:
        x += branch.left
        end = start + branch.height
        parts.append((0.0, 0.0, Line(((0, ROUND), (x, ROUND), (x, start)))))
        parts.append((x, start, branch))
        parts += down(end, bar - end, x=x, arrow=True, note=branch.note if sheet.close else "")
        x += branch.right + 8
    wide = max(wide, text_width(joined, LABEL) + 10)
    parts.append((-wide / 2, bar, Box(wide, 20.0, "join", (joined,), tooltip(path, sheet.steps))))
    return Piece(wide / 2, wide / 2, bar + 20, tuple(parts), _note(step))


def _residual(sheet: Sheet, path: str, layer: Residual, stacked: bool) -> Piece:
    around = f"{path}.shortcut"
    plain = isinstance(layer.shortcut, Identity)
    look: Flow = "padded" if isinstance(layer.shortcut, ZeroPad) else "shortcut"
    body = _chain(sheet, path, layer.body, stacked)
    side = Piece() if plain else piece(sheet, around, layer.shortcut, not sheet.close, look)
    x = body.right + SIDE + side.left
    start = ROUND
    end = start + body.height
    plus = max(end + sheet.between + LEAD + SIGN, start + side.height + 2 * ROUND + LEAD)
    note = body.note if sheet.close else ""
    parts: list[Part] = [*down(0, start), (0.0, start, body)]
    parts += down(end, plus - SIGN - end, arrow=True, note=note)
    right = x + side.right
    back = ((x, plus), (SIGN, plus))
    if plain:
        tip = tooltip(around, sheet.steps)
        parts.append((0.0, 0.0, Line(((0, start), (x, start), *back), look, arrow=True, tip=tip)))
        if sheet.close:
            parts.append((x + 6, (start + plus) / 2 + 4, Text("identity")))
            right += 6 + text_width("identity", NOTE)
    else:
        y = (start + plus - side.height - LEAD) / 2
        parts.append((0.0, 0.0, Line(((0, start), (x, start), (x, y)), look)))
        parts.append((x, y, side))
        parts.append((0.0, 0.0, Line(((x, y + side.height), *back), look, arrow=True)))
    parts.append((0.0, plus, Sign("plus", tooltip(path, sheet.steps))))
    height = plus + SIGN
    if sheet.close and layer.act:
        parts += down(height, 18.0, note="ReLU")
        height += 18
    return Piece(body.left, right, height, tuple(parts), _note(sheet.steps[path]))


def _highway(sheet: Sheet, path: str, layer: Highway, stacked: bool) -> Piece:
    transform = piece(sheet, f"{path}.transform", layer.transform, stacked)
    gate = piece(sheet, f"{path}.gate", layer.gate, stacked or not sheet.close)
    if not sheet.close:
        transform, gate = replace(transform, note=""), replace(gate, note="")
    return gated(transform, gate, sheet.between, tooltip(path, sheet.steps))


def runs(sheet: Sheet, path: str, layers: Named, ends: frozenset[str] = frozenset()) -> list[Named]:
    """Many equal neighbours together, every other layer alone; a run ends after the names in `ends`."""
    found: list[list[tuple[str, Layer]]] = []
    before = None
    for name, layer in layers:
        now = layer, sheet.steps[join(path, name)].shape_in
        if now == before and found[-1][-1][0] not in ends:
            found[-1].append((name, layer))
        else:
            found.append([(name, layer)])
        before = now
    return [part for run in found for part in ([tuple(run)] if len(run) >= RUN else [(one,) for one in run])]


@dataclass(frozen=True)
class Entry:
    """A named layer, or a run of equal ones, before the width of its column is known."""

    caption: str
    inside: Piece
    framed: bool
    into: float
    count: int
    tip: str

    @property
    def left(self) -> float:
        """What it needs on the left of its axis, the caption included."""
        wide = text_width(self.caption, LABEL, bold=True)
        return max(self.inside.left, wide + 4) if self.framed else self.inside.left + wide + 10


def entry(sheet: Sheet, path: str, run: Named, stacked: bool = False) -> Entry:
    """A run of the chain at `path`; blocks, and what is repeated, will have a frame."""
    (first, layer), last = run[0], run[-1][0]
    address = join(path, first)
    tip = tooltip(address, sheet.steps)
    if len(run) > 1:
        tip = f"{len(run)} equal, {address} to {join(path, last)}; each:\n{tip}"
    framed = len(run) > 1 or bool(children(layer))
    inside = piece(sheet, address, layer, stacked)
    return Entry(span(first, last), inside, framed, _clearance(layer), len(run), tip)


def _clearance(layer: Layer) -> float:
    """Room above it for a caption, which stands above a fork but left of anything else."""
    match layer:
        case Concat():
            return 14.0
        case Chain():
            return _clearance(layer.layers[0][1])
        case Residual():
            return max(2.0, _clearance(layer.body[0][1]) - ROUND)
        case Highway():
            return 2.0
        case _:
            return 8.0


def titled(entry: Entry, left: float, right: float) -> Piece:
    """The entry with its caption, in a frame if it has one, of the width given."""
    inside, top = entry.inside, 12.0
    caption = Text(entry.caption, LABEL, bold=True)
    if not entry.framed:
        parts: tuple[Part, ...] = ((0.0, 0.0, inside), (-left - 2, LEAD + 16, caption))
        return Piece(left + 10, right + 10, inside.height, parts, inside.note)
    start = top + entry.into
    end = start + inside.height
    bottom = end + 8
    sheets = SHEETS if entry.count > 1 else 0.0
    parts = (
        (-left - 10, top, Frame(left + right + 20, bottom - top, entry.tip, entry.count > 1)),
        *down(0, start),
        (0.0, start, inside),
        *down(end, bottom + sheets - end),
        (-left - 2, top + 15, caption),
    )
    if entry.count > 1:
        parts = (*parts, (right + 4, top + 16, Text(f"× {entry.count}", 14, True, "end")))
    return Piece(left + 10, right + 10 + sheets, bottom + sheets, parts, inside.note)


def terminal(text: str, arrow: bool = False) -> Piece:
    """Where the drawing starts, or with an arrow ends."""
    wide = text_width(text, LABEL) / 2
    top = LEAD if arrow else 0.0
    parts = (*down(0, top, arrow=True), (0.0, top + 13, Text(text, LABEL, anchor="middle")))
    return Piece(wide, wide, top + 18, parts)


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _note(step: Step) -> str:
    return dims(step.shape_out) if step.shape_out != step.shape_in else ""
