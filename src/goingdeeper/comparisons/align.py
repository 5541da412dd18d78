"""Which parts of two containers stand for each other: by name, and the rest in order by kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from goingdeeper.layers import (
    AdaptiveAvgPool,
    AvgPool,
    GlobalAvgPool,
    Layer,
    MaxPool,
    Named,
    SpatialPyramid,
)


@dataclass(frozen=True)
class Match:
    """Names of two parts that stand for each other, None where the other side has none.

    moved: the names agree but the order does not.
    """

    a: str | None
    b: str | None
    moved: bool = False


def align(a: Named, b: Named) -> Iterator[Match]:
    """Every name of both sides once, in the order of a, with what only b has where it stands there."""
    names_a, names_b = [name for name, _ in a], [name for name, _ in b]
    shared = {*names_a} & {*names_b}
    for same, left, right in _opcodes(names_a, names_b):
        if same:
            yield from (Match(name, name) for name in names_a[left])
            continue
        yield from (Match(name, name, moved=True) for name in names_a[left] if name in shared)
        yield from _by_kind(
            tuple((name, layer) for name, layer in a[left] if name not in shared),
            tuple((name, layer) for name, layer in b[right] if name not in shared),
        )


def _by_kind(a: Named, b: Named) -> Iterator[Match]:
    for same, left, right in _opcodes([_kind(layer) for _, layer in a], [_kind(layer) for _, layer in b]):
        if same:
            yield from (Match(one, other) for (one, _), (other, _) in zip(a[left], b[right], strict=True))
        else:
            yield from (Match(name, None) for name, _ in a[left])
            yield from (Match(None, name) for name, _ in b[right])


def _opcodes(a: list[str], b: list[str]) -> Iterator[tuple[bool, slice, slice]]:
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for tag, start_a, end_a, start_b, end_b in matcher.get_opcodes():
        yield tag == "equal", slice(start_a, end_a), slice(start_b, end_b)


def _kind(layer: Layer) -> str:
    pools = MaxPool | AvgPool | GlobalAvgPool | AdaptiveAvgPool | SpatialPyramid
    return "pool" if isinstance(layer, pools) else type(layer).__name__
