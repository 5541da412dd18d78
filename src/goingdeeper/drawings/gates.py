"""How a highway layer is drawn: what the gate lets through of its transform, and of the input."""

from __future__ import annotations

from goingdeeper.drawings.marks import (
    LEAD,
    NOTE,
    ROUND,
    SIDE,
    SIGN,
    Line,
    Part,
    Piece,
    Sign,
    Text,
    down,
    text_width,
)

KEPT = "1 − T"


def gated(transform: Piece, gate: Piece, between: float, tip: str) -> Piece:
    """The transform on the axis, the gate beside it, the input carried past both; the products are added.

    between: room for shapes below the two.
    """
    middle = transform.right + SIDE + gate.left
    right = middle + max(gate.right + SIDE, SIGN + text_width(KEPT, NOTE) + 16)
    fork, start = ROUND, 2 * ROUND
    end, gate_end = start + transform.height, start + gate.height
    times = max(end + between + LEAD + SIGN, gate_end + between + LEAD + ROUND)
    plus = times + 2 * SIGN + LEAD
    turn = times - 2 * ROUND
    parts: list[Part] = [
        *down(0, start),
        # The carried input first: the grey line to the gate lies over the way that they share.
        (0.0, 0.0, Line(((0, fork), (right, fork), (right, times - SIGN)), "shortcut", arrow=True)),
        (0.0, 0.0, Line(((0, fork), (middle, fork), (middle, start)))),
        (0.0, start, transform),
        (middle, start, gate),
        *down(end, times - SIGN - end, arrow=True, note=transform.note),
        *down(gate_end, 0.0, x=middle, note=gate.note),
        (0.0, 0.0, Line(((middle, gate_end), (middle, turn)), "gate")),
        (0.0, 0.0, Line(((middle, turn), (middle, times), (SIGN, times)), "gate", arrow=True)),
        (0.0, 0.0, Line(((middle, turn), (middle, times), (right - SIGN, times)), "gate", arrow=True)),
        ((SIGN + middle) / 2, times - 4, Text("gate T", anchor="middle")),
        ((middle + right - SIGN) / 2, times - 4, Text(KEPT, anchor="middle")),
        (0.0, times, Sign("times", "transform × T")),
        (right, times, Sign("times", f"input × ({KEPT})")),
        *down(times + SIGN, LEAD, arrow=True),
        (0.0, 0.0, Line(((right, times + SIGN), (right, plus), (SIGN, plus)), "shortcut", arrow=True)),
        (0.0, plus, Sign("plus", tip)),
    ]
    return Piece(transform.left, max(right + SIGN, middle + gate.right), plus + SIGN, tuple(parts))
