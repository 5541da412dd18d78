"""An audit as text for a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from goingdeeper.comparisons.findings import Audit, Finding
from goingdeeper.published.papers import papers

FIGURES = {
    "params": "params",
    "macs": "macs",
    "layers": "layers",
    "layers_with_pools": "with pools",
    "input": "input",
    "output": "output",
    "params_ratio": "x params",
    "macs_ratio": "x macs",
    "top1_error": "top-1 %",
    "top5_error": "top-5 %",
    "compared_to_base": "from base",
    "cost": "cost",
}
"""What a figure is called in a table."""

NOTE = (
    "macs: multiply-adds of convolutions and fully connected layers for one image, padded taps included; "
    "params of a layer leave its biases out, and K is 1024 there. layers: with weights, on the longest path. "
    "truncated: agrees, but digits were left out instead of rounded. An error that one paper quotes from "
    "another is held against the other's own. x params: how many times as many as another network has. "
    "cost: models x crops."
)

WIDEST = 100
"""Characters of a line of text; longer ones are hard to read."""


def text(audit: Audit, width: int = WIDEST) -> str:
    """Plain ASCII, at most `width` characters wide if that can be done.

    Errata, and remarks in brackets, stand below their figures.
    """
    width = min(width, WIDEST)
    sizes = [
        max((len(cells[index]) for cells in map(_cells, audit.figures)), default=0) for index in range(1, 5)
    ]
    gap = 2 if sum(sizes) + 2 * len(sizes) + 14 <= width else 1
    longest = max((len(_name(one)) for one in audit.figures), default=0)
    sizes.insert(0, max(10, min(longest, width - sum(sizes) - gap * len(sizes) - 2)))
    lines: list[str] = []
    if not audit.figures:
        return "no printed figures are known of it"
    for paper, places in _grouped(audit.figures):
        lines += ["", *wrap(_titles().get(paper, paper), width)]
        for place, found in places:
            lines += ["", *wrap(place, width)] if place else [""]
            above = ""
            for one in found:
                if one.row and one.network != above:
                    lines.append(f"  {one.network}{', ensemble' if one.ensemble else ''}")
                above = one.network if one.row else ""
                lines += _rows(one, sizes, gap)
                lines += _folded(one.printed.erratum, width)
                lines += _folded(one.remark and f"({one.remark})", width)
    if lines:
        lines = [*lines[1:], "", *wrap(NOTE, width), ""]
    return "\n".join([*lines, *wrap(audit.summary, width)])


def markdown(audit: Audit) -> str:
    """A table of GitHub's Markdown for each paper under a heading of its own, and the summary."""
    lines = [f"{audit.summary}.", ""]
    for paper, places in _grouped(audit.figures):
        lines += [f"## {_titles().get(paper, paper)}", ""]
        lines.append("| printed in | network | figure | printed | exact | |")
        lines.append("| --- | --- | --- | ---: | ---: | --- |")
        for place, found in places:
            for one in found:
                what, figure, printed, exact, verdict = _cells(one)
                if not one.agrees:
                    verdict = f"**{verdict}**"
                if one.printed.erratum:
                    verdict += f": {one.printed.erratum}"
                if one.remark:
                    verdict += f" ({one.remark})"
                lines.append(f"| {' | '.join((place, what, figure, printed, exact, verdict))} |")
        lines.append("")
    return "\n".join(lines[:-1])


def _folded(words: str, width: int) -> list[str]:
    indent = " " * 6
    return wrap(words, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _rows(one: Finding, sizes: list[int], gap: int) -> Iterator[str]:
    """The figure's line, and what of its name does not fit into it below. A row stands under its network."""
    _, figure, *numbers, verdict = _cells(one)
    first, *more = wrap(_name(one), sizes[0])
    cells = [first.ljust(sizes[0]), figure.ljust(sizes[1])]
    cells += [number.rjust(size) for number, size in zip(numbers, sizes[2:], strict=False)]
    yield "  " + (" " * gap).join([*cells, verdict])
    for line in more:
        yield f"    {line}"


def _name(one: Finding) -> str:
    return f"  {one.row}" if one.row else one.network


def _cells(one: Finding) -> tuple[str, str, str, str, str]:
    name = f"{one.network}, ensemble," if one.ensemble else one.network
    what = f"{name} {one.row}" if one.row else one.network
    bound = "< " if one.printed.below else ""
    return what, FIGURES[one.printed.figure], bound + one.printed.text, _exactly(one), one.verdict


def _exactly(one: Finding) -> str:
    if isinstance(one.exact, int):
        return f"{one.exact:,}"
    return f"{one.exact:.2f}" if one.printed.figure == "compared_to_base" else str(one.exact)


def _grouped(figures: Iterable[Finding]) -> Iterator[tuple[str, list[tuple[str, list[Finding]]]]]:
    """The figures by the paper that prints them, and by the place there."""
    by_paper: dict[str, dict[str, list[Finding]]] = {}
    for one in figures:
        by_paper.setdefault(one.printed.paper, {}).setdefault(one.printed.place, []).append(one)
    order = {name: number for number, name in enumerate(_titles())}
    for paper in sorted(by_paper, key=lambda name: order.get(name, len(order))):
        places = by_paper[paper]
        yield paper, sorted(places.items(), key=lambda item: _order(item[0]))


def _order(place: str) -> tuple[int, str]:
    kinds = ("abstract", "section", "Figure", "Table")
    kind = place.split(" ")[0]
    return kinds.index(kind) if kind in kinds else len(kinds), place


def _titles() -> dict[str, str]:
    return {paper.short: paper.long for paper in papers().values()} | {"the lecture": "The lecture"}
