"""What a drawing is made of: marks, and pieces that place them about an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

LABEL, NOTE = 12.0, 11.0
"""Sizes of text, in pixels: in boxes and captions; beside arrows."""

ROUND = 6.0
"""Radius at which lines turn."""

SIGN = 8.5
"""Radius of the signs of addition and multiplication."""

LEAD = 14.0
"""Length of the arrow into a box."""

SIDE = 14.0
"""Distance of a shortcut from what it goes round."""

SHEETS = 6.0
"""How far the sheets behind a repeated block show."""

NOTED = 14.0
"""Length of line that has room for a shape beside it."""

Flow: TypeAlias = Literal["flow", "shortcut", "padded", "gate"]
Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A layer or a concatenation, from its top left; the first line of text is what it does."""

    width: float
    height: float
    kind: str
    lines: tuple[str, ...]
    tip: str


@dataclass(frozen=True)
class Frame:
    """The outline of a block, with further sheets behind it where it stands for several."""

    width: float
    height: float
    tip: str
    repeated: bool = False


@dataclass(frozen=True)
class Sign:
    """An addition or a multiplication, about its centre."""

    kind: Literal["plus", "times"]
    tip: str


@dataclass(frozen=True)
class Line:
    points: tuple[Point, ...]
    look: Flow = "flow"
    arrow: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Text:
    """One line of text, from its baseline."""

    text: str
    size: float = NOTE
    bold: bool = False
    anchor: Literal["start", "middle", "end"] = "start"


Mark: TypeAlias = Box | Frame | Sign | Line | Text


@dataclass(frozen=True)
class Piece:
    """Part of a drawing about its axis: the way in is (0, 0), the way out (0, height).

    note: the shape that comes out, where it is not the one that went in.
    """

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    parts: tuple[Part, ...] = ()
    note: str = ""

    @property
    def width(self) -> float:
        return self.left + self.right


Part: TypeAlias = tuple[float, float, Piece | Mark]


def placed(piece: Piece, x: float = 0.0, y: float = 0.0) -> Iterator[tuple[float, float, Mark]]:
    """Every mark with its place on the page."""
    for dx, dy, part in piece.parts:
        if isinstance(part, Piece):
            yield from placed(part, x + dx, y + dy)
        else:
            yield x + dx, y + dy, part


def stack(pieces: Sequence[Piece], between: float = 0.0) -> Piece:
    """Pieces one below the other; with room between them, the shape is written there where it changed."""
    parts: list[Part] = []
    y = 0.0
    for piece in pieces[:-1]:
        end = y + piece.height
        parts += [(0.0, y, piece), *down(end, between, note=piece.note if between else "")]
        y = end + between
    last = pieces[-1]
    left, right = max(piece.left for piece in pieces), max(piece.right for piece in pieces)
    return Piece(left, right, y + last.height, (*parts, (0.0, y, last)), last.note)


def down(y: float, length: float, *, x: float = 0.0, arrow: bool = False, note: str = "") -> list[Part]:
    """A line down from y, with a shape noted beside it."""
    line: list[Part] = [(x, y, Line(((0, 0), (0, length)), arrow=arrow))] if length > 0 else []
    return [*line, (x + 6, y + 13, Text(note))] if note else line


def text_width(text: str, size: float, bold: bool = False) -> float:
    """A width that is enough in any common sans-serif face, the wide DejaVu Sans included."""
    return sum(map(_ems, text)) * size * (1.12 if bold else 1.0)


def _ems(letter: str) -> float:
    if ord(letter) > 0x2E80:
        return 1.0
    if letter in "iljtfr.,:;|/()'! ":
        return 0.41
    return 1.0 if letter in "mwMW@%…—" else 0.79 if letter.isupper() else 0.64
