"""The table of what differs between two networks, as text, Markdown or HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from textwrap import wrap

from goingdeeper.comparisons.align import align
from goingdeeper.comparisons.diff import Change, Diff
from goingdeeper.comparisons.joined import Joining, Told, in_short, joined
from goingdeeper.comparisons.wording import given
from goingdeeper.errors import unknown
from goingdeeper.layers import Layer, children
from goingdeeper.tables import grid
from goingdeeper.tables.grid import CellRow, Column, Grid, Part, rounded
from goingdeeper.tables.table import Style

MOST_ROWS = 24
"""With more, changes that agree but for their numbers share a row."""

LONGEST, LEAST = 60, 26
"""Characters of a line in the change column: at most, and what it needs beside counts in full."""

UNFOLDED = 10_000
"""The same where nothing limits the width."""

NAMES, MOST_NAMES = 20, 6
"""Characters of a line in the name column, unless one name is longer; and such lines in a row."""

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
    trunk, heads = ([_told(change) for change in shown if change.head == head] for head in (False, True))
    notes = [*diff.notes, KEY]
    joining: Joining = "none" if every else "same"
    if not every and len(joined(trunk, "same")) + len(joined(heads, "same")) > MOST_ROWS:
        joining = "ranges"
        notes.append("alike changes share a row, with the range of their numbers")
    if len(shown) < len(diff.changes):
        idle = len(diff.changes) - len(shown)
        many = "1 layer" if idle == 1 else f"{idle} layers"
        notes.append(f"left out: {many} without weights, the same but for the shape of the input")

    known = _known(diff)
    titled = (("", trunk), ("auxiliary heads, for training only", heads))
    sections = {
        title: [(_names(one, known, NAMES if width else LONGEST), one) for one in joined(told, joining)]
        for title, told in titled
        if told
    }
    number, room = _room([row for rows in sections.values() for row in rows], width)
    parts = tuple(
        Part(title, tuple(_cells(name, one, room, number) for name, one in rows))
        for title, rows in sections.items()
    )
    title = f"from {diff.a.name} to {diff.b.name}"
    return Grid(title, COLUMNS, parts, tuple(_totals(diff)), tuple(notes))


def _room(rows: list[tuple[str, Told]], width: int | None) -> tuple[Callable[[int], str], int]:
    """How counts are written, and how many characters that leaves a line of the change column."""
    if width is None:
        return _exactly, UNFOLDED
    names = max(len(line) for name, _ in rows for line in name.split("\n"))
    for number in (_exactly, _roundly):
        params = max(len("params"), *(len(number(one.params)) for _, one in rows))
        macs = max(len("macs"), *(len(number(one.macs)) for _, one in rows))
        room = min(LONGEST, width - names - params - macs - 6)
        if room >= LEAST:
            break
    return number, max(room, LEAST)


def _idle(change: Change) -> bool:
    """Whether it is a layer without weights that is only given another shape."""
    return change.kind == "other input" and not change.params and not change.macs


def _told(change: Change) -> Told:
    place = change.path
    if change.path_a and change.path_b and change.path_a != change.path_b:
        above, _, _ = change.path_a.partition(".")
        place = f"{change.path_a} > {change.path_b.removeprefix(f'{above}.')}"
    return Told((place,), _said(change), change.params, change.macs)


def _said(change: Change) -> str:
    if change.kind == "renamed":
        return f"= {change.a}"
    if change.kind == "other input" and change.a and change.shapes_a and change.shapes_b:
        before, after = given(change.shapes_a[0], change.shapes_b[0])
        return f"= {change.a.removesuffix(f'; {before}')}; {after} instead of {before.removesuffix(' in')}"
    sides = (("-", change.a), ("+", change.b))
    return "\n".join(f"{sign} {words}" for sign, words in sides if words is not None)


def _names(told: Told, known: dict[str, list[str]], longest: int) -> str:
    lines = [
        line
        for name in in_short(told.places, known)
        for line in wrap(name, longest, subsequent_indent="  ", break_long_words=False)
    ]
    many = f"({len(told.places)} in all)" if len(told.places) > 3 else ""
    if len(lines) > MOST_NAMES:
        lines = [*lines[: MOST_NAMES - 1], "..."]
    return "\n".join(filter(None, (*lines, many)))


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
