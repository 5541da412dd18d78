"""A topic for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from goingdeeper.why.claims import Claim, Evidence, topics
from goingdeeper.why.index import Slide, parts, slides, without_slide
from goingdeeper.why.run import Shown

LEAST = 30
"""Columns at the fewest, however narrow the terminal is."""


def listing(width: int) -> str:
    """Every topic with its title and the tiers that it has."""
    width = max(width, LEAST)
    rows = [(one.name, ", ".join(one.tiers), one.title) for one in topics()]
    note = "`deeper why all` shows every topic; `deeper why slides` lists the lecture's slides"
    table = _table(("topic", "evidence", "about"), rows, width, wrapped=2)
    return "\n".join([*table, "", *textwrap.wrap(note, width)])


def index(width: int) -> str:
    """What is on the slides, and the commands that show it."""
    width = max(width, LEAST)
    blocks = []
    for source, title in parts().items():
        shown = (line for slide in slides() if slide.source == source for line in _slide(slide, width))
        blocks.append("\n".join([*textwrap.wrap(title[0].upper() + title[1:], width), "", *shown]))
    gone = f"No slide is known on these topics, which are the papers' alone: {', '.join(without_slide())}"
    return "\n\n".join([*blocks, "\n".join(textwrap.wrap(gone, width))])


def page(shown: Shown, width: int) -> str:
    """Each claim, what was expected and seen, and the verdict."""
    width = max(width, LEAST)
    blocks = ["\n".join(textwrap.wrap(shown.topic.title, width))]
    blocks += ["\n".join(_evidence(one, width)) for one in shown.evidence]
    if shown.notes:
        blocks.append("\n".join(line for note in shown.notes for line in textwrap.wrap(note, width)))
    blocks += ["\n".join(_left(claim, width)) for claim in shown.left]
    return "\n\n".join(blocks)


def _slide(slide: Slide, width: int) -> list[str]:
    of = f" ({slide.of})" if slide.of else ""
    lines = textwrap.wrap(f"{slide.kind}: {slide.shows}{of}", width, subsequent_indent="  ")
    for command in slide.commands:
        lines += (f"    {line}" for line in textwrap.wrap(command.line, width - 4, break_on_hyphens=False))
    return lines


def _evidence(one: Evidence, width: int) -> list[str]:
    rows = [
        (quantity.what, quantity.shown, seen)
        for quantity, seen in zip(one.claim.expected, one.seen, strict=True)
    ]
    return [
        *textwrap.wrap(f"“{one.claim.said}” ({one.claim.source})", width),
        *(f"  {line}" for line in _table(("", "expected", "seen"), rows, width - 2, wrapped=0)),
        *textwrap.wrap(f"{one.verdict.upper()}: {one.because}", width),
    ]


def _left(claim: Claim, width: int) -> list[str]:
    remedy = f"`deeper why {claim.topic} --tier {claim.tier}` measures it"
    remedy += ", in 10 minutes or what --time says" * (claim.tier == "training")
    return [
        *textwrap.wrap(f"“{claim.said}” ({claim.source})", width),
        *textwrap.wrap(f"NOT SHOWN: {remedy}", width),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, wrapped: int) -> list[str]:
    """Columns where they fit into the width, one of them wrapped; and otherwise a few lines for each row."""
    wide = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    room = width - sum(wide) + wide[wrapped] - 2 * (len(wide) - 1)
    if room < min(wide[wrapped], LEAST // 2):
        return [line for row in rows for line in _stacked(head, row, width)]
    wide[wrapped] = min(wide[wrapped], room)
    lines = []
    for row in (head, *rows):
        parts = textwrap.wrap(row[wrapped], wide[wrapped]) or [""]
        for number, part in enumerate(parts):
            cells = [part if column == wrapped else cell * (not number) for column, cell in enumerate(row)]
            lines.append("  ".join(map(str.ljust, cells, wide)).rstrip())
    return lines


def _stacked(head: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    lines = textwrap.wrap(row[0], width)
    for name, cell in zip(head[1:], row[1:], strict=True):
        lines += [f"  {line}" for line in textwrap.wrap(f"{name}: {cell}", width - 2)]
    return lines
