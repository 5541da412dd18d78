"""Which image is for training and which for validation: stratified, seeded, copies kept on one side."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from goingdeeper.data.sources import Item, Problem, Source
from goingdeeper.errors import DataError

VAL_SHARE = 0.2


@dataclass(frozen=True)
class Division:
    """The two sides, how they came about, and the images that are copies of others."""

    train: tuple[Item, ...]
    val: tuple[Item, ...]
    rule: str
    duplicates: int
    problems: tuple[Problem, ...]


def divide(source: Source, digests: dict[str, str], seed: int) -> Division:
    """Splits the images that have a digest; the others could not be read.

    digests: hash of the pixels by path. Images of equal pixels never land on both sides. Each side is in the
    order of classes and hashes, so that sides and order are the same wherever the images are kept. Raises
    DataError where a side would be empty.
    """
    readable = (item for item in source.items if item.path in digests)
    items = sorted(readable, key=lambda item: (item.label, digests[item.path], item.path))
    problems = list(_two_classes(items, digests))
    copies = len(items) - len({digests[item.path] for item in items})
    if any(item.split for item in items):
        held_out = {digests[item.path] for item in items if item.split == "val"}
        train, val = [], [item for item in items if item.split == "val"]
        for item in items:
            if item.split == "train" and digests[item.path] in held_out:
                problems.append(Problem(item.path, "the same image is in validation", "left out of training"))
            elif item.split == "train":
                train.append(item)
        rule = "as the folders give it"
    else:
        train, val = _draw(items, digests, seed)
        rule = f"stratified, seed {seed}"
    if not train or not val:
        side = "training" if not train else "validation"
        raise DataError(f"{source.name}: no image is left for {side}; at least two images a class are needed")
    return Division(tuple(train), tuple(val), rule, copies, tuple(problems))


def fingerprint(items: tuple[Item, ...], digests: dict[str, str]) -> str:
    """One hash of every path, label, split and image; equal only for equal data."""
    lines = sorted(f"{item.path}\0{item.label}\0{item.split}\0{digests.get(item.path, '')}" for item in items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _draw(items: list[Item], digests: dict[str, str], seed: int) -> tuple[list[Item], list[Item]]:
    from sklearn.model_selection import train_test_split

    first: dict[str, Item] = {}
    for item in items:
        first.setdefault(digests[item.path], item)
    labels = {digest: item.label for digest, item in first.items()}
    count = Counter(labels.values())
    drawable = [digest for digest in first if count[labels[digest]] > 1]
    kinds = len({labels[digest] for digest in drawable})
    if not drawable:
        return items, []
    size = min(max(kinds, round(VAL_SHARE * len(drawable))), len(drawable) - kinds)
    _, held_out = train_test_split(
        drawable, test_size=size, random_state=seed, stratify=[labels[digest] for digest in drawable]
    )
    val_digests = set(held_out)
    sides: dict[bool, list[Item]] = {True: [], False: []}
    for item in items:
        in_val = digests[item.path] in val_digests
        sides[in_val].append(replace(item, split="val" if in_val else "train"))
    return sides[False], sides[True]


def _two_classes(items: list[Item], digests: dict[str, str]) -> list[Problem]:
    seen: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        seen[digests[item.path]].append(item)
    return [
        Problem(item.path, f"the same image as {same[0].path}, of class '{same[0].label}'", "kept")
        for same in seen.values()
        for item in same[1:]
        if item.label != same[0].label
    ]
