"""A table of cells as text for a terminal, as Markdown, or as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import product, zip_longest
from textwrap import wrap
from typing import TypeAlias

Cell: TypeAlias = str | int
"""Text, of several lines perhaps, or a count; a count of 0 is left blank."""

CellRow: TypeAlias = tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """header: its words may be stacked. spare: whether it can go where room is short, the highest first."""

    header: str
    right: bool = False
    spare: int = 0


@dataclass(frozen=True)
class Part:
    """Rows that belong together under a title of their own; `total` may close them."""

    title: str
    rows: tuple[CellRow, ...]
    total: CellRow | None = None


@dataclass(frozen=True)
class Grid:
    """A table: its parts share the columns; `about` below its title; `totals` last, then `notes`."""

    title: str
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    totals: tuple[CellRow, ...] = ()
    notes: tuple[str, ...] = ()
    about: str = ""


def text(grid: Grid, width: int | None = None) -> str:
    """Plain ASCII, at most `width` characters wide if that can be done.

    For that narrow columns come closer, counts are rounded, and spare columns go, in this order.
    """
    spare = sorted((column for column in grid.columns if column.spare), key=lambda column: -column.spare)
    for gone, show, gap in product(range(len(spare) + 1), (_exactly, _roundly), (2, 1)):
        kept = _without(grid, spare[:gone])
        lines = _body(kept, show, gap)
        if width is None or max(map(len, lines)) <= width:
            break
    notes = list(grid.notes)
    if show is _roundly:
        notes.append("K, M, G: 10^3, 10^6, 10^9")
    if gone:
        notes.append(f"left out for want of room: {', '.join(column.header for column in spare[:gone])}")
    above = [line for line in (grid.title, grid.about) if line]
    head, folded = (["\n".join(wrap(line, width or 1000)) for line in said] for said in (above, notes))
    return "\n".join([*head, "", *lines, *_sums(grid), *([""] if folded else []), *folded])


def markdown(grid: Grid) -> str:
    """A table of GitHub's Markdown between its title and its notes."""

    def line(cells: Sequence[Cell], mark: str = "") -> str:
        shown = (_exactly(cell).replace("|", "\\|").replace("\n", "<br>") for cell in cells)
        return f"| {' | '.join(f'{mark}{cell}{mark}' if cell else '' for cell in shown)} |"

    about = [grid.about, ""] if grid.about else []
    lines = [f"**{grid.title}**", "", *about, line([column.header for column in grid.columns])]
    lines.append(f"| {' | '.join('---:' if column.right else '---' for column in grid.columns)} |")
    for part in grid.parts:
        if part.title:
            lines.append(line([part.title, *[""] * (len(grid.columns) - 1)], "*"))
        lines += map(line, part.rows)
        if part.total:
            lines.append(line(part.total, "*"))
    lines += [line(total, "**") for total in grid.totals]
    return "\n".join([*lines, *(f"\n{note}" for note in grid.notes)])


def html(grid: Grid) -> str:
    """One `<table>` that needs nothing else; all content is escaped."""

    def line(cells: Sequence[Cell], tag: str = "td") -> str:
        shown = (
            f'<{tag} style="text-align:{"right" if column.right else "left"};padding:.1em .5em">'
            f"{escape(_exactly(cell)).replace(chr(10), '<br/>')}</{tag}>"
            for column, cell in zip(grid.columns, cells, strict=True)
        )
        return f'<tr style="vertical-align:top">{"".join(shown)}</tr>'

    def wide(content: str, tag: str) -> str:
        style = "text-align:left;padding:.1em .5em"
        return f'<tr><{tag} colspan="{len(grid.columns)}" style="{style}">{escape(content)}</{tag}></tr>'

    head = line([column.header for column in grid.columns], "th")
    about = f'<br/><span style="font-weight:normal">{escape(grid.about)}</span>' if grid.about else ""
    lines = [
        '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">',
        f'<caption style="text-align:left;font-weight:bold">{escape(grid.title)}{about}</caption>',
        f'<thead style="border-bottom:1px solid">{head}</thead>',
    ]
    for part in grid.parts:
        lines.append("<tbody>")
        if part.title:
            lines.append(wide(part.title, "th"))
        lines += map(line, part.rows)
        if part.total:
            lines.append(line(part.total, "th"))
        lines.append("</tbody>")
    lines.append('<tfoot style="border-top:1px solid">')
    lines += [line(total, "th") for total in grid.totals]
    lines += [wide(note, "td") for note in grid.notes]
    return "\n".join([*lines, "</tfoot>", "</table>"])


def rounded(count: int) -> str:
    """Three digits: `9.47K`, `118M`; K, M, G are 10^3, 10^6, 10^9."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size * 0.9995:
            value = count / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{unit}"
    return str(count)


def _body(grid: Grid, show: Callable[[Cell], str], gap: int) -> list[str]:
    stacks = [column.header.split(" ") for column in grid.columns]
    tallest = max(map(len, stacks))
    head = ["\n".join([""] * (tallest - len(words)) + words) for words in stacks]
    rows = [row for part in grid.parts for row in (*part.rows, part.total) if row]
    sizes = [
        max(len(line) for row in (head, *rows) for line in show(row[index]).split("\n"))
        for index in range(len(grid.columns))
    ]

    def lines(row: Sequence[Cell]) -> Iterator[str]:
        for level in zip_longest(*(show(cell).split("\n") for cell in row), fillvalue=""):
            yield (
                (" " * gap)
                .join(
                    piece.rjust(size) if column.right else piece.ljust(size)
                    for piece, size, column in zip(level, sizes, grid.columns, strict=True)
                )
                .rstrip()
            )

    rule = "-" * (sum(sizes) + gap * (len(sizes) - 1))
    out = [*lines(head), rule]
    for part in grid.parts:
        out += ["", part.title] if part.title else []
        for row in (*part.rows, part.total):
            out += lines(row) if row else []
    return [*out, rule]


def _sums(grid: Grid) -> Iterator[str]:
    """The totals in full, a line each: `total  6,998,552 params  1,582,671,872 macs`."""
    if not grid.totals:
        return
    counted = [index for index in range(1, len(grid.columns)) if any(row[index] for row in grid.totals)]
    sizes = [max(len(_exactly(row[index])) for row in grid.totals) for index in (0, *counted)]
    for row in grid.totals:
        sums = [
            f"{_exactly(row[index]):>{size}} {grid.columns[index].header}"
            for index, size in zip(counted, sizes[1:], strict=True)
        ]
        yield "  ".join([str(row[0]).ljust(sizes[0]), *sums])


def _without(grid: Grid, gone: Sequence[Column]) -> Grid:
    keep = [index for index, column in enumerate(grid.columns) if column not in gone]

    def cut(row: CellRow) -> CellRow:
        return tuple(row[index] for index in keep)

    return replace(
        grid,
        columns=tuple(grid.columns[index] for index in keep),
        parts=tuple(
            Part(part.title, tuple(map(cut, part.rows)), part.total and cut(part.total))
            for part in grid.parts
        ),
        totals=tuple(map(cut, grid.totals)),
    )


def _exactly(cell: Cell) -> str:
    return cell if isinstance(cell, str) else f"{cell:,}" if cell else ""


def _roundly(cell: Cell) -> str:
    return cell if isinstance(cell, str) else rounded(cell) if cell else ""
