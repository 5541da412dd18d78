"""What differs between two networks, or two blocks: layer by layer, with the change in cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from goingdeeper.catalogue import described
from goingdeeper.comparisons.align import align
from goingdeeper.comparisons.nodes import Node, opened
from goingdeeper.comparisons.wording import apart, given
from goingdeeper.costs.counts import Counts
from goingdeeper.errors import UsageError
from goingdeeper.layers import LEAVES, Chain, Concat, Conv, Highway, Linear, Named, Network, Residual
from goingdeeper.shapes import Shape
from goingdeeper.tables.table import shown

Kind: TypeAlias = Literal["changed", "only in a", "only in b", "other input", "moved", "renamed"]

WEIGHTED = Conv | Linear


@dataclass(frozen=True)
class Change:
    """One difference, as deep in the tree as need be and no deeper.

    path: its address in a, or in b where a has none; within blocks, below them. a, b: what the layer is in
    words, None where that side has none. params, macs: b minus a. shapes_a, shapes_b: what goes in and what
    comes out. head: whether it lies in an auxiliary head. "other input" is the same layer given another
    shape; "moved" is a place in another order, "renamed" another address, and neither costs anything.
    """

    path: str
    kind: Kind
    a: str | None
    b: str | None
    params: int
    macs: int
    path_a: str | None
    path_b: str | None
    shapes_a: tuple[Shape, Shape] | None
    shapes_b: tuple[Shape, Shape] | None
    head: bool = False


@dataclass(frozen=True)
class Side:
    """What is compared: a network, or the block of it at an address.

    rank: "first" or "second" where two descriptions that differ have one name, as an edit and its original.
    """

    network: Network
    address: str | None
    root: Node
    heads: Mapping[str, Node]
    rank: str = ""

    def __repr__(self) -> str:
        return f"Side({self.name!r})"

    @property
    def name(self) -> str:
        """As it is shown: `googlenet:3a`, with its rank behind it where the other side has the same name."""
        name = _name(self.network, self.address)
        return f"{name} ({self.rank})" if self.rank else name

    @property
    def counts(self) -> Counts:
        """Without auxiliary heads."""
        return self.root.counts

    @property
    def counts_with_heads(self) -> Counts:
        return sum((head.counts for head in self.heads.values()), self.counts)


@dataclass(frozen=True)
class Diff:
    """What `diff` found; `print` shows it as a table, and a notebook does so by itself.

    params, macs: b minus a. The changes outside auxiliary heads sum to them, all changes to those with heads.
    """

    a: Side
    b: Side
    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def params(self) -> int:
        return self.b.counts.params - self.a.counts.params

    @property
    def macs(self) -> int:
        return self.b.counts.macs - self.a.counts.macs

    @property
    def params_with_heads(self) -> int:
        return self.b.counts_with_heads.params - self.a.counts_with_heads.params

    @property
    def macs_with_heads(self) -> int:
        return self.b.counts_with_heads.macs - self.a.counts_with_heads.macs

    @property
    def shared(self) -> float:
        """Of the layers with weights of the side that has fewer, the share that the other side has, too.

        It has a layer if there is one at the same address, or the same layer at another. Without heads.
        """
        elsewhere = [
            change
            for change in self.changes
            if change.path_a != change.path_b and change.kind not in ("other input", "renamed", "moved")
        ]
        shares = []
        for side, gone in (
            (self.a, [f"{change.path_a}." for change in elsewhere if change.path_a]),
            (self.b, [f"{change.path_b}." for change in elsewhere if change.path_b]),
        ):
            labels = [leaf.label for leaf in side.root.leaves if isinstance(leaf.layer, WEIGHTED)]
            kept = [label for label in labels if not f"{label}.".startswith(tuple(gone))]
            shares.append((len(labels), len(kept)))
        layers, kept_of_them = min(shares)
        return kept_of_them / layers if layers else 1.0

    def __str__(self) -> str:
        from goingdeeper.comparisons.changes import changes

        return changes(self)

    def _repr_html_(self) -> str:
        from goingdeeper.comparisons.changes import changes

        return changes(self, style="html")


def diff(
    a: Network | str,
    b: Network | str,
    block_a: str | None = None,
    block_b: str | None = None,
    input: tuple[int, int, int] | None = None,
) -> Diff:
    """The differences between two networks, or between a block of one and a block of the other.

    An id may name the block itself: `diff("googlenet:3a", "bn-googlenet:3a")`; a stage such as `conv3_x` is
    one, too. input: (channels, height, width) of both, each one's own unless given. Layers stand for each
    other by name, the rest in order by kind. Raises UsageError for an unknown id or address and for a block
    against a whole network, ShapeError for an input that does not fit.
    """
    network_a, block_a = parted(a, block_a)
    network_b, block_b = parted(b, block_b)
    if (block_a is None) != (block_b is None):
        block, whole = _name(network_a, block_a), _name(network_b, block_b)
        block, whole = (block, whole) if block_a else (whole, block)
        raise UsageError(
            f"{block} is a block and {whole} a whole network; name a block of both, or of neither"
        )
    edited = network_a != network_b and _name(network_a, block_a) == _name(network_b, block_b)
    ranks = ("first", "second") if edited else ("", "")
    left = Side(network_a, block_a, *opened(network_a, block_a, input), ranks[0])
    right = Side(network_b, block_b, *opened(network_b, block_b, input), ranks[1])
    trunk = _differences(left.root, right.root)
    heads = (replace(change, head=True) for change in _heads(left.heads, right.heads))
    return Diff(left, right, (*trunk, *heads), tuple(_notes(left, right)))


def parted(what: Network | str, block: str | None = None) -> tuple[Network, str | None]:
    """A network and the address of a block of it from `googlenet:3a`; UsageError where one is missing."""
    if isinstance(what, str) and ":" in what:
        id, _, address = what.partition(":")
        if not id or not address:
            missing = "block behind the colon" if id else "network before the colon"
            raise UsageError(f"'{what}' names no {missing}; googlenet:3a names both")
        return described(id), address
    return described(what), block


def _name(network: Network, address: str | None) -> str:
    return f"{network.name}:{address}" if address else network.name


def _notes(a: Side, b: Side) -> Iterator[str]:
    if a.address is None and a.network.classes != b.network.classes:
        yield f"classes differ: {a.network.classes} in {a.name}, {b.network.classes} in {b.name}"
    if a.root.shapes[0] != b.root.shapes[0]:
        given_a, given_b = (shown(side.root.shapes[0]) for side in (a, b))
        yield f"inputs differ: {given_a} in {a.name}, {given_b} in {b.name}"
    if a.network.init != b.network.init:
        yield "initial weights are drawn by different rules"


def _differences(a: Node, b: Node) -> Iterator[Change]:
    """What differs in two layers that stand for each other."""
    if a.layer == b.layer and a.address:
        if a.shapes != b.shapes:
            yield _changed("other input", a, b)
        return
    match a.layer, b.layer:
        case (Chain() | Residual(), Chain() | Residual()) | (Concat(), Concat()) | (Highway(), Highway()):
            yield from _inside(a, b)
        case (Chain(layers=((name, _),)), layer) if isinstance(layer, LEAVES):
            yield from _beside(a.parts[name], b)
        case (layer, Chain(layers=((name, _),))) if isinstance(layer, LEAVES):
            yield from _beside(a, b.parts[name])
        case _:
            yield _changed("changed", a, b)


def _inside(a: Node, b: Node) -> Iterator[Change]:
    match a.layer, b.layer:
        case (Residual(act=before), Residual(act=after)) if before != after:
            yield _change("changed", a, b, f"residual block, {a.addition}", f"residual block, {b.addition}")
    parts_a, parts_b = a.parts, b.parts
    for match in align(_layers(parts_a), _layers(parts_b)):
        one, other = parts_a.get(match.a or ""), parts_b.get(match.b or "")
        if one and other:
            if match.moved:
                yield _change("moved", one, other, _place(one, parts_a), _place(other, parts_b))
            yield from _differences(one, other) if match.a == match.b else _beside(one, other)
        else:
            yield from _alone(one, other)


def _heads(a: Mapping[str, Node], b: Mapping[str, Node]) -> Iterator[Change]:
    for match in align(_layers(a), _layers(b)):
        one, other = a.get(match.a or ""), b.get(match.b or "")
        if one and other:
            if match.a != match.b:
                yield _change("moved", one, other, f"head that reads {match.a}", f"head that reads {match.b}")
            yield from _differences(one, other)
        else:
            yield from _alone(one, other)


def _beside(a: Node, b: Node) -> Iterator[Change]:
    """What differs in layers of different names; if nothing does, the names."""
    found = list(_differences(a, b))
    yield from found or (_change("renamed", a, b, a.words, b.words),)


def _alone(a: Node | None, b: Node | None) -> Iterator[Change]:
    if a:
        yield _costing("only in a", a, None, a.words, None)
    if b:
        yield _costing("only in b", None, b, None, b.words)


def _changed(kind: Kind, a: Node, b: Node) -> Change:
    """A change that costs what the layers cost; what goes in is said where it differs."""
    words = zip(apart(a.layer, b.layer), given(a.shapes[0], b.shapes[0]), strict=True)
    return _costing(kind, a, b, *("; ".join(filter(None, said)) for said in words))


def _costing(kind: Kind, a: Node | None, b: Node | None, words_a: str | None, words_b: str | None) -> Change:
    before, after = (node.counts if node else Counts() for node in (a, b))
    made = _change(kind, a, b, words_a, words_b)
    return replace(made, params=after.params - before.params, macs=after.macs - before.macs)


def _change(kind: Kind, a: Node | None, b: Node | None, words_a: str | None, words_b: str | None) -> Change:
    """A change that costs nothing."""
    path_a, path_b = (node.label if node else None for node in (a, b))
    shapes_a, shapes_b = (node.shapes if node else None for node in (a, b))
    path = path_a or path_b or ""
    return Change(path, kind, words_a, words_b, 0, 0, path_a, path_b, shapes_a, shapes_b)


def _place(node: Node, siblings: Mapping[str, Node]) -> str:
    """Where a layer stands among its siblings."""
    names = list(siblings)
    index = names.index(node.label.rpartition(".")[2])
    return f"after {names[index - 1]}" if index else "first"


def _layers(parts: Mapping[str, Node]) -> Named:
    return tuple((name, part.layer) for name, part in parts.items())
