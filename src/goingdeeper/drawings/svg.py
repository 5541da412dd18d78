"""Marks as SVG: presentation attributes only, no ids, so that drawings can share a page."""

from __future__ import annotations

import re
from html import escape

from goingdeeper.drawings.marks import (
    LABEL,
    NOTE,
    ROUND,
    SHEETS,
    SIGN,
    Box,
    Flow,
    Frame,
    Line,
    Mark,
    Point,
    Sign,
    Text,
)

# After Okabe and Ito; the larger the kernel, the deeper the blue, in a grey print too. 1xn and nx1, which
# stand for an nxn together, are violet.
COLOURS = {
    "conv1": 'fill="#e6f3fb" stroke="#4d94bf"',
    "conv9": 'fill="#bfe0f5" stroke="#2b7db0"',
    "conv25": 'fill="#8fc7ec" stroke="#12659b"',
    "conv49": 'fill="#5fabdf" stroke="#00497a"',
    "convline": 'fill="#dcd9f2" stroke="#5b4fa8"',
    "pool": 'fill="#fbdcc6" stroke="#c05200"',
    "norm": 'fill="#d3efe4" stroke="#00795a"',
    "fc": 'fill="#fcedb4" stroke="#a67c00"',
    "other": 'fill="#eeeeee" stroke="#777777"',
    "join": 'fill="#f3dcea" stroke="#a3527f"',
    "pad": 'fill="#ffffff" stroke="#8a3f6b" stroke-dasharray="4 3"',
    "frame": 'fill="#fafafa" stroke="#c4c4c4"',
}
INK, QUIET = "#1a1a1a", "#555555"
LINES: dict[Flow, tuple[str, str]] = {
    "flow": (QUIET, ""),
    "shortcut": ("#8a3f6b", ' stroke-width="1.6"'),
    "padded": ("#8a3f6b", ' stroke-width="1.6" stroke-dasharray="4 3"'),
    "gate": ("#00795a", ' stroke-width="1.6"'),
}


def svg(width: float, height: float, name: str, shapes: list[str]) -> str:
    """A whole document, shapes on white. It shrinks to fit what it stands in, and never grows."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    face = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="max-width:100%;height:auto" '
        f'role="img" aria-label="{_safe(name)}" font-family="{face}">',
        f"<title>{_safe(name)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *shapes,
        "</svg>\n",
    ))  # fmt: skip


def shape(x: float, y: float, mark: Mark) -> str:
    """One mark at its place."""
    match mark:
        case Box():
            return _box(x, y, mark)
        case Frame():
            return _frame(x, y, mark)
        case Sign():
            return _sign(x, y, mark.kind, mark.tip)
        case Line():
            return _line([(x + dx, y + dy) for dx, dy in mark.points], mark)
        case Text():
            return text(x, y, mark, INK if mark.bold or mark.size >= LABEL else QUIET)


def sample(x: float, y: float, look: str) -> str:
    """What the legend shows of a look, 24 pixels wide and 14 high."""
    if look in LINES:
        return _line([(x, y + 7), (x + 24, y + 7)], Line((), look))
    return _sign(x + 12, y + 7, look) if look in ("plus", "times") else _rect(x, y, 24, 14, look)


def text(x: float, y: float, line: Text, colour: str = INK) -> str:
    anchor = "" if line.anchor == "start" else f' text-anchor="{line.anchor}"'
    weight = ' font-weight="600"' if line.bold else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{line.size:g}" fill="{colour}"{anchor}{weight}>'
        f"{_safe(line.text)}</text>"
    )


def _box(x: float, y: float, box: Box) -> str:
    baseline = y + box.height / 2 + 4.2 - 7 * (len(box.lines) - 1)
    lines = [
        text(x + box.width / 2, baseline + 14 * row, Text(line, NOTE if row else LABEL, anchor="middle"))
        for row, line in enumerate(box.lines)
    ]
    return f"<g>{_tip(box.tip)}{_rect(x, y, box.width, box.height, box.kind)}{''.join(lines)}</g>"


def _frame(x: float, y: float, frame: Frame) -> str:
    sheets = [
        f'<path d="M{_n(x + frame.width + behind - SHEETS / 2)} {_n(y + behind)}h{_n(SHEETS / 2)}'
        f'v{_n(frame.height)}H{_n(x + behind)}v{_n(-SHEETS / 2)}" {COLOURS["frame"]}/>'
        for behind in ((SHEETS, SHEETS / 2) if frame.repeated else ())
    ]
    return f"<g>{_tip(frame.tip)}{''.join(sheets)}{_rect(x, y, frame.width, frame.height, 'frame')}</g>"


def _sign(x: float, y: float, kind: str, tip: str = "") -> str:
    arm = SIGN - 4
    if kind == "plus":
        strokes = f"M{_n(x - arm)} {_n(y)}h{_n(2 * arm)}M{_n(x)} {_n(y - arm)}v{_n(2 * arm)}"
    else:
        arm *= 0.75
        strokes = (
            f"M{_n(x - arm)} {_n(y - arm)}l{_n(2 * arm)} {_n(2 * arm)}"
            f"M{_n(x - arm)} {_n(y + arm)}l{_n(2 * arm)} {_n(-2 * arm)}"
        )
    circle = f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{SIGN:g}"/>'
    return f'<g {COLOURS["join"]} stroke-width="1.4">{_tip(tip)}{circle}<path d="{strokes}"/></g>'


def _line(points: list[Point], line: Line) -> str:
    """A path of straight runs with rounded corners, and its arrowhead."""
    colour, style = LINES[line.look]
    path = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        (ax, ay), (bx, by) = _toward(corner, before, ROUND), _toward(corner, after, ROUND)
        path += f"L{_n(ax)} {_n(ay)}Q{_n(corner[0])} {_n(corner[1])} {_n(bx)} {_n(by)}"
    (x, y), head = points[-1], ""
    if line.arrow:
        back_x, back_y = _toward(points[-1], points[-2], 6.0)
        across_x, across_y = (y - back_y) * 0.53, (back_x - x) * 0.53
        head = (
            f'<path d="M{_n(x)} {_n(y)}L{_n(back_x + across_x)} {_n(back_y + across_y)}'
            f'L{_n(back_x - across_x)} {_n(back_y - across_y)}Z" fill="{colour}"/>'
        )
        x, y = _toward(points[-1], points[-2], 5.0)
    drawn = f'<path d="{path}L{_n(x)} {_n(y)}" fill="none" stroke="{colour}"{style}/>{head}'
    return f"<g>{_tip(line.tip)}{drawn}</g>" if line.tip else drawn


def _toward(start: Point, end: Point, reach: float) -> Point:
    """The point `reach` away from the start, or halfway where that is nearer; lines are upright or level."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = abs(dx) + abs(dy)
    part = min(reach / length, 0.5) if length else 0.0
    return start[0] + dx * part, start[1] + dy * part


def _rect(x: float, y: float, width: float, height: float, look: str) -> str:
    size = f'width="{_n(width)}" height="{_n(height)}"'
    return f'<rect x="{_n(x)}" y="{_n(y)}" {size} rx="3" {COLOURS[look]}/>'


def _tip(tip: str) -> str:
    return f"<title>{_safe(tip)}</title>" if tip else ""


def _safe(content: str) -> str:
    """Text as XML takes it: escaped, and with a sign in place of what XML cannot hold."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", content))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
