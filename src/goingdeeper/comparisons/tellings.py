"""The changes between two networks in words, with more or less said of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from goingdeeper.comparisons.diff import Change, Diff
from goingdeeper.comparisons.joined import Told, shortened
from goingdeeper.comparisons.wording import given
from goingdeeper.layers import LEAVES
from goingdeeper.tables.rows import stages


def each(changes: Sequence[Change], diff: Diff) -> list[Told]:
    """Every change, in full."""
    return [_told(change) for change in changes]


def briefly(changes: Sequence[Change], diff: Diff) -> list[Told]:
    """Every change, without what both sides have and without the branches of a module."""
    return [_brief(change, ("{",)) for change in changes]


def by_block(changes: Sequence[Change], diff: Diff) -> list[Told]:
    """Changes inside a block as one row, and blocks of a stage that only one side has, with their number."""
    staged = {
        (sign, name): stage
        for sign, side in (("-", diff.a), ("+", diff.b))
        for stage, parts in stages(tuple((name, part.layer) for name, part in side.root.parts.items()))
        for name, layer in parts
        if len(parts) > 1 and not isinstance(layer, LEAVES)
    }
    roots = {"-": diff.a.root.parts | dict(diff.a.heads), "+": diff.b.root.parts | dict(diff.b.heads)}
    partners = {
        _top(one.path_b, one.head): _top(one.path_a, one.head) for one in changes if one.path_a and one.path_b
    }
    others = {name: partner for partner, name in partners.items()}
    found: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        top = _top(change.path, change.head)
        sign = "-" if change.b is None else "+" if change.a is None else ""
        if change.path != top:
            found.setdefault((top if change.path_a else partners.get(top, top), "inside"), []).append(change)
        elif sign and not isinstance(roots[sign][top.removeprefix("heads.")].layer, LEAVES):
            found.setdefault((staged.get((sign, top), top), sign), []).append(change)
        else:
            found.setdefault((change.path, f"itself {change.kind}"), []).append(change)
    told = []
    for (place, what), alike in found.items():
        many = len(alike)
        if what.startswith("itself"):
            told += [_brief(change, ("[", "{", "->")) for change in alike]
            continue
        other = f" from {others[place]}" if others.get(place, place) != place else ""
        said = f"differs{other} in {many} layer{'s' if many > 1 else ''}"
        if what != "inside":
            said = f"{what} {many} blocks" if many > 1 else f"{what} block"
            place = place if many > 1 else alike[0].path
        told.append(Told((place,), said, sum(one.params for one in alike), sum(one.macs for one in alike)))
    return told


def _brief(change: Change, blocks: Sequence[str]) -> Told:
    """blocks: marks of layers with others inside, of which no more is said than that."""
    told = _told(change)
    if change.kind == "other input":
        return replace(told, said="= the same layer, other input")
    lines = shortened(told.said).split("\n")
    if any(mark in line for line in lines for mark in blocks):
        lines = [
            f"{line[:2]}block" if any(mark in line for mark in blocks) else line.partition("; ")[0]
            for line in lines
        ]
    return replace(told, said="\n".join(lines))


def _top(path: str, head: bool) -> str:
    """The address of the block, or of the auxiliary head, that a layer is in."""
    return ".".join(path.split(".")[: 2 if head else 1])


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
