"""The table of what differs between two networks, as text, Markdown or HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from goingdeeper.comparisons.align import align
from goingdeeper.comparisons.diff import Change, Diff
from goingdeeper.comparisons.joined import Joining, Told, joined, names
from goingdeeper.comparisons.tellings import briefly, by_block, each
from goingdeeper.errors import unknown
from goingdeeper.layers import Conv, Layer, children
from goingdeeper.tables import grid
from goingdeeper.tables.grid import CellRow, Column, Grid, Part, rounded
from goingdeeper.tables.table import Style

MOST_LINES = 30
"""Lines that the rows may take; with more they say less."""

UNRELATED = 0.2
"""Networks that share a smaller part of their layers with weights are compared by stage and block."""

LONGEST, LEAST = 60, 26
"""Characters of a line in the change column: at most, and what it needs beside counts in full."""

UNFOLDED, TERMINAL = 10_000, 100
"""The same where nothing limits the width; and the width for which such a table chooses what to say."""

NAMES, MOST_NAMES = 20, 2
"""Characters of a line in the name column, unless one name is longer; and such lines in a row."""


@dataclass(frozen=True)
class Telling:
    """A way to put changes into rows. note: what it leaves out."""

    told: Callable[[Sequence[Change], Diff], list[Told]]
    joining: Joining
    note: str


COLUMNS = (Column("name"), Column("change"), Column("params", right=True), Column("macs", right=True))

KEY = "-: only in the first, +: only in the second, =: in both; macs: multiply-adds for one image"


def changes(diff: Diff, style: Style = "text", width: int | None = 100, every: bool = False) -> str:
    """What differs, alike changes in one row, and what it comes to.

    every: a row for each change. width: characters that plain text may take, None for any. Raises
    UsageError for an unknown style.
    """
    styles = {"text": lambda made: grid.text(made, width), "markdown": grid.markdown, "html": grid.html}
    if style not in styles:
        raise unknown("style", style, styles, f"there are {', '.join(styles)}")
    if not diff.changes:
        said = "; ".join(
            (f"no difference between the layers of {diff.a.name} and {diff.b.name}", *diff.notes)
        )
        return f"<p>{escape(said)}</p>" if style == "html" else said
    return styles[style](_grid(diff, width if style == "text" else None, every))


def _grid(diff: Diff, width: int | None, every: bool) -> Grid:
    shown = [change for change in diff.changes if every or not _idle(change)] or list(diff.changes)
    notes = [*diff.notes, KEY]
    known = _known(diff)
    for telling in _tellings(diff, every):
        trunk, heads = (
            joined(telling.told([change for change in shown if change.head == head], diff), telling.joining)
            for head in (False, True)
        )
        sections = {"": trunk, "auxiliary heads, for training only": heads}
        parts = _parts(sections, known, diff, width or TERMINAL)
        if sum(_height(row) for part in parts for row in part.rows) <= MOST_LINES:
            break
    if width is None:
        parts = _parts(sections, known, diff, None)
    notes += filter(None, [telling.note])
    if len(shown) < len(diff.changes):
        idle = len(diff.changes) - len(shown)
        many = "1 layer" if idle == 1 else f"{idle} layers"
        notes.append(f"left out: {many} without weights, the same but for the shape of the input")
    title = f"from {diff.a.name} to {diff.b.name}"
    return Grid(title, COLUMNS, parts, tuple(_totals(diff)), tuple(notes))


def _parts(
    sections: dict[str, list[Told]], known: dict[str, list[str]], diff: Diff, width: int | None
) -> tuple[Part, ...]:
    named = {
        title: [(_names(one, known, diff, NAMES if width else LONGEST), one) for one in rows]
        for title, rows in sections.items()
        if rows
    }
    number, room = _room([row for rows in named.values() for row in rows], width)
    return tuple(
        Part(title, tuple(_cells(name, one, room, number) for name, one in rows))
        for title, rows in named.items()
    )


def _height(row: CellRow) -> int:
    return max(str(cell).count("\n") + 1 for cell in row)


def _tellings(diff: Diff, every: bool) -> list[Telling]:
    """The ways to tell the changes, the one that says most first."""
    ranges = "alike changes share a row, with the range of their numbers"
    less = f"{ranges}; what both sides have is left out"
    if every:
        return [Telling(each, "none", "")]
    whole = diff.a.address is None
    if whole and diff.shared < UNRELATED:
        share = f"{100 * diff.shared:.0f} % of the layers with weights"
        note = f"hardly anything stands for anything else ({share}): summed by block; --all lists each layer"
        return [Telling(by_block, "same", note), Telling(by_block, "ranges", note)]
    blocks = "too many to list: summed by block; --all lists each layer"
    return [
        Telling(each, "same", ""),
        Telling(each, "ranges", ranges),
        Telling(briefly, "ranges", less),
        Telling(by_block, "same", blocks),
        Telling(by_block, "ranges", blocks),
    ]


def _room(rows: list[tuple[str, Told]], width: int | None) -> tuple[Callable[[int], str], int]:
    """How counts are written, and how many characters that leaves a line of the change column."""
    if width is None:
        return _exactly, UNFOLDED
    longest = max(len(line) for name, _ in rows for line in name.split("\n"))
    for number in (_exactly, _roundly):
        params = max(len("params"), *(len(number(one.params)) for _, one in rows))
        macs = max(len("macs"), *(len(number(one.macs)) for _, one in rows))
        room = min(LONGEST, width - longest - params - macs - 6)
        if room >= LEAST:
            break
    return number, max(room, LEAST)


def _idle(change: Change) -> bool:
    """Whether it is a layer without weights that is only given another shape."""
    return change.kind == "other input" and not change.params and not change.macs


def _names(told: Told, known: dict[str, list[str]], diff: Diff, longest: int) -> str:
    many = f"({len(told.places)} in all)" if len(told.places) > 3 else ""
    lines = names(told, known, longest, MOST_NAMES, _pattern(told, diff))
    return "\n".join(filter(None, (*lines, many)))


def _pattern(told: Told, diff: Diff) -> str:
    """`all 1x1 convolutions` where the row has all of the first network, or all that no other row covers."""
    found = re.match(r"[-=] conv (\d+x\d+(?:/\d+)?),", told.said)
    if not found:
        return ""
    places = {place.partition(" > ")[0] for place in told.places}
    above = tuple(f"{change.path_a}." for change in diff.changes if change.path_a)
    alike = {
        leaf.label
        for leaf in diff.a.root.leaves
        if isinstance(leaf.layer, Conv) and f"{leaf.words}, ".startswith(f"conv {found[1]}, ")
    }
    if not places or not places <= alike or any(not label.startswith(above) for label in alike - places):
        return ""
    return f"all {'other ' if alike - places else ''}{found[1]} convolutions"


def _cells(name: str, told: Told, room: int, number: Callable[[int], str]) -> CellRow:
    lines = [piece for line in told.said.split("\n") for piece in wrap(line, room, subsequent_indent="  ")]
    return name, "\n".join(lines), *(number(count) if count else "" for count in (told.params, told.macs))


def _totals(diff: Diff) -> Iterator[CellRow]:
    sums = [("", diff.a.counts, diff.b.counts)]
    if diff.a.heads or diff.b.heads:
        sums.append((" + heads", diff.a.counts_with_heads, diff.b.counts_with_heads))
    for which, a, b in sums:
        changed = ((a.params, b.params - a.params), (a.macs, b.macs - a.macs))
        yield f"{diff.a.name}{which}", "", f"{a.params:,}", f"{a.macs:,}"
        yield f"{diff.b.name}{which}", "", f"{b.params:,}", f"{b.macs:,}"
        yield "difference", "", *(_exactly(by) for _, by in changed)
        yield "relative", "", *(_percent(by, of) for of, by in changed)


def _percent(by: int, of: int) -> str:
    if not by:
        return "0"
    return f"{100 * by / of:+,.2f} %" if of else "-"


def _exactly(count: int) -> str:
    return f"{count:+,}" if count else "0"


def _roundly(count: int) -> str:
    return f"{'-' if count < 0 else '+'}{rounded(abs(count))}" if count else "0"


def _known(diff: Diff) -> dict[str, list[str]]:
    """For each address below a top-level name all such names that have it; for "" all there are, in order."""
    roots = [{name: part.layer for name, part in side.root.parts.items()} for side in (diff.a, diff.b)]
    pairs = align(*(tuple(root.items()) for root in roots))
    known = {"": list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b) if name))}
    for root in roots:
        for top, layer in root.items():
            for address in _addresses(layer):
                known.setdefault(address, []).append(top)
    return known


def _addresses(layer: Layer) -> Iterator[str]:
    for name, inner in children(layer):
        yield name
        yield from (f"{name}.{address}" for address in _addresses(inner))
