"""Alike changes joined into one row, and their addresses in few words, where a network repeats itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final, Literal, TypeAlias

Joining: TypeAlias = Literal["none", "same", "ranges"]

# Numbers that stand alone, such as filters and channels, and sizes of maps: not kernels, strides, padding.
_NUMBER: Final = re.compile(r"(?<![\w./-])\d+(?:x\d+x\d+)?(?![\w./])")


KEPT = 2
"""Words that stay of each layer where words are left out: `conv 3x3` and its filters."""


@dataclass(frozen=True)
class Told:
    """Changes that read alike. places: their addresses, `5x5 > 3x3` where the sides differ in them."""

    places: tuple[str, ...]
    said: str
    params: int
    macs: int


def joined(told: Iterable[Told], joining: Joining) -> list[Told]:
    """Those that say the same, with "ranges" but for their numbers, as one where the first of them stands."""
    if joining == "none":
        return list(told)
    found: dict[str, list[Told]] = {}
    for one in told:
        found.setdefault(_NUMBER.sub("#", one.said) if joining == "ranges" else one.said, []).append(one)
    return [
        Told(
            tuple(place for one in alike for place in one.places),
            _ranged([one.said for one in alike]),
            sum(one.params for one in alike),
            sum(one.macs for one in alike),
        )
        for alike in found.values()
    ]


def names(
    told: Told, known: Mapping[str, Collection[str]], longest: int, most: int, pattern: str = ""
) -> list[str]:
    """The addresses of a row on so many lines, in fewer words where they do not fit.

    longest: characters of a line, unless one name is longer. known: as in `in_short`. pattern: words for all
    of them, if there are any.
    """
    if len(told.places) == 1:
        return _wrapped(told.places, longest)
    within = "in " if any("." in place.partition(" > ")[0] for place in told.places) else ""
    tops = list(dict.fromkeys(_top(place) for place in told.places))
    inside = {*tops}.union(*(having for address, having in known.items() if address or not within))
    spans = _spans(tops, [top for top in known[""] if top in inside])
    pairs = told.places if len(told.places) <= most else ()
    for said in (in_short(told.places, known), pairs, [pattern], [f"{within}{', '.join(spans)}"]):
        lines = _wrapped(said, longest)
        if 0 < len(lines) <= most:
            return lines
    return _wrapped([f"{within}{tops[0]} ... {tops[-1]}"], longest)


def _top(place: str) -> str:
    """The block, or the auxiliary head, that an address is in."""
    parts = place.partition(" > ")[0].split(".")
    return ".".join(parts[: 2 if parts[0] == "heads" else 1])


def _wrapped(said: Iterable[str], longest: int) -> list[str]:
    return [
        line for one in said for line in wrap(one, longest, subsequent_indent="  ", break_long_words=False)
    ]


def shortened(said: str) -> str:
    """`- conv 3x3, 8, ReLU` over `+ conv 3x3, 9, ReLU`: without what both have, but for layer and size."""
    lines = [line.partition("; ") for line in said.split("\n")]
    if len(lines) != 2 or any(mark in said for mark in ("[", "{", "->")):
        return said
    words_a, words_b = (words[2:].split(", ") for words, _, _ in lines)
    short_a, short_b = (
        ", ".join([*words[:KEPT], *(word for word in words[KEPT:] if word not in others)])
        for words, others in ((words_a, words_b), (words_b, words_a))
    )
    return f"- {short_a}\n+ {short_b}" if short_a != short_b else said


def in_short(addresses: Sequence[str], known: Mapping[str, Collection[str]]) -> list[str]:
    """Addresses in few words: `conv2_1 to conv5_3: conv2` and `3a, 3b: 1x1, 3x3.reduce`.

    known: for every address below a top-level name, all such names that have it; for "" all there are, in
    their order. So "to" leaves none out.
    """
    below: dict[str, list[str]] = {}
    for address in addresses:
        top, _, rest = address.partition(".")
        below.setdefault(rest, []).append(top)
    alike: dict[tuple[str, ...], list[str]] = {}
    for rest, having in below.items():
        alike.setdefault(tuple(having), []).append(rest)
    found = []
    for tops, rests in alike.items():
        if len(tops) == len(rests) == 1:
            found.append(f"{tops[0]}.{rests[0]}" if rests[0] else tops[0])
            continue
        all_having = {top for rest in rests for top in known.get(rest.partition(" > ")[0], ())}
        spans = _spans(tops, [top for top in known[""] if top in all_having])
        found.append(": ".join(filter(None, (", ".join(spans), ", ".join(rests)))))
    return found


def _spans(tops: Sequence[str], order: Sequence[str]) -> list[str]:
    """Names that follow one another in `order`, from three up, as `3a to 4b`."""
    spans: list[list[str]] = []
    for top in tops:
        if spans and top in order[1:] and order[order.index(top) - 1] == spans[-1][-1]:
            spans[-1].append(top)
        else:
            spans.append([top])
    return [text for span in spans for text in ([f"{span[0]} to {span[-1]}"] if span[2:] else span)]


def _ranged(said: Sequence[str]) -> str:
    """Texts that agree but for their numbers, as one: `conv 1x1, 16 to 192`."""
    numbers = iter([_range(column) for column in zip(*map(_NUMBER.findall, said), strict=True)])
    return _NUMBER.sub(lambda _: next(numbers), said[0])


def _range(numbers: Sequence[str]) -> str:
    if len({*numbers}) == 1:
        return numbers[0]
    if all(number.isdigit() for number in numbers):
        return f"{min(numbers, key=int)} to {max(numbers, key=int)}"
    return f"{numbers[0]} to {numbers[-1]}"
