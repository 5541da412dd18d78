"""Which image is for training, validation or test: stratified, seeded, copies kept on one side."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from goingdeeper.data.sources import Item, Problem, Source
from goingdeeper.errors import DataError, UsageError

VAL_SHARE = 0.2


@dataclass(frozen=True)
class Holding:
    """What is held out where the images come without a split.

    fold: (k, n) holds out part k of n for validation, k from 1; None holds out VAL_SHARE. test_share: of the
    images, drawn first; the seed alone decides on it. given: the side of each image by path, from an earlier
    split.
    """

    seed: int = 0
    fold: tuple[int, int] | None = None
    test_share: float = 0.0
    given: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Division:
    """The sides, how they came about, and how many images are copies of others, and alike."""

    train: tuple[Item, ...]
    val: tuple[Item, ...]
    rule: str
    duplicates: int
    problems: tuple[Problem, ...]
    test: tuple[Item, ...] = ()
    alike: int = 0


def divide(
    source: Source, digests: dict[str, str], holding: Holding, groups: Mapping[str, str] | None = None
) -> Division:
    """Splits the images that have a digest; the others could not be read.

    digests: hash of the pixels by path. groups: one name for all images that are alike, by path. Images of
    equal pixels never land on two sides, nor those of a group where the split is drawn. Each side is in the
    order of classes and hashes, so that sides and order are the same wherever the images are kept. Raises
    DataError where a side would be empty or an earlier split does not name an image, UsageError where a
    split is to be drawn of images that come with one, or test images where there are some.
    """
    groups = groups or {}
    readable = (item for item in source.items if item.path in digests)
    items = sorted(readable, key=lambda item: (item.label, digests[item.path], item.path))
    problems = list(_two_classes(items, digests))
    copies = len(items) - len({digests[item.path] for item in items})
    comes_with = any(item.split for item in items)
    if comes_with and (holding.fold or holding.test_share or holding.given is not None):
        raise UsageError(f"{source.name} comes with a split; leave out --split, --fold and --test-share")
    if holding.test_share and (tested := source.splits.get("test")):
        raise UsageError(
            f"{source.name} comes with {tested:,} test images, which `deeper evaluate RUN --split test` "
            "scores; leave out --test-share"
        )
    if comes_with:
        sides = _as_given(items, digests, problems)
        problems += _alike_in_both(sides["train"], sides["val"], groups)
        rule = "as the source gives it"
    elif holding.given is not None:
        sides = _again(items, holding.given)
        rule = "that of an earlier run"
    else:
        sides = _draw(items, _together(items, digests, groups, holding), holding, source.name)
        rule = f"stratified, seed {holding.seed}"
        if holding.fold:
            rule += ", fold {} of {}".format(*holding.fold)
    train, val, test = sides["train"], sides["val"], sides["test"]
    if not train or not val:
        side = "training" if not train else "validation"
        raise DataError(f"{source.name}: no image is left for {side}; at least two images a class are needed")
    alike = sum(item.path in groups for item in items)
    return Division(tuple(train), tuple(val), rule, copies, tuple(problems), tuple(test), alike)


def fingerprint(items: tuple[Item, ...], digests: dict[str, str], made: str = "") -> str:
    """One hash of every path, label, split and image; equal only for equal data.

    made: of a store, whose pixels the digests do not tell.
    """
    lines = sorted(f"{item.path}\0{item.label}\0{item.split}\0{digests.get(item.path, '')}" for item in items)
    lines += [made] if made else []
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _as_given(items: list[Item], digests: dict[str, str], problems: list[Problem]) -> dict[str, list[Item]]:
    """The sides that the source gives, without training images that are in validation, too."""
    held_out = {digests[item.path] for item in items if item.split == "val"}
    sides: dict[str, list[Item]] = {"train": [], "val": [], "test": []}
    for item in items:
        if item.split == "train" and digests[item.path] in held_out:
            problems.append(Problem(item.path, "the same image is in validation", "left out of training"))
        elif item.split:
            sides[item.split].append(item)
    return sides


def _again(items: list[Item], given: Mapping[str, str]) -> dict[str, list[Item]]:
    """The sides of an earlier split. Raises DataError where it does not name an image."""
    sides: dict[str, list[Item]] = {"train": [], "val": [], "test": []}
    unnamed = [item.path for item in items if item.path not in given]
    if unnamed:
        raise DataError(
            f"the earlier split does not name {len(unnamed)} of {len(items)} images, such as {unnamed[0]}; "
            "leave out --split to draw one"
        )
    for item in items:
        side = given[item.path]
        sides[side].append(replace(item, split=side))  # type: ignore[arg-type]
    return sides


def _alike_in_both(train: list[Item], val: list[Item], groups: Mapping[str, str]) -> list[Problem]:
    held_out = {groups[item.path]: item.path for item in reversed(val) if item.path in groups}
    return [
        Problem(item.path, f"nearly the same image is in validation: {held_out[groups[item.path]]}", "kept")
        for item in train
        if groups.get(item.path) in held_out
    ]


def _together(
    items: list[Item], digests: dict[str, str], groups: Mapping[str, str], holding: Holding
) -> dict[str, str]:
    """What is drawn as one, by path: a group, or the images of equal pixels.

    Groups are parted where they would leave a class too few for its sides or folds, as if all of it is alike.
    """
    drawn = {item.path: groups.get(item.path, digests[item.path]) for item in items}
    apart: dict[str, set[str]] = defaultdict(set)
    together: dict[str, set[str]] = defaultdict(set)
    for item in items:
        apart[item.label].add(digests[item.path])
        together[item.label].add(drawn[item.path])
    least = holding.fold[1] if holding.fold else 2
    few = {label for label, names in together.items() if len(names) < least <= len(apart[label])}
    parted = {drawn[item.path] for item in items if item.label in few}
    return {path: digests[path] if name in parted else name for path, name in drawn.items()}


def _draw(items: list[Item], digests: dict[str, str], holding: Holding, name: str) -> dict[str, list[Item]]:
    """digests: by path; what has one name is drawn as one."""
    labels: dict[str, str] = {}
    for item in items:
        labels.setdefault(digests[item.path], item.label)
    tested = _drawn(list(labels), labels, holding.test_share, holding.seed) if holding.test_share else set()
    rest = [digest for digest in labels if digest not in tested]
    if holding.fold:
        held_out = _fold(rest, labels, holding.fold, holding.seed, name)
    else:
        held_out = _drawn(rest, labels, VAL_SHARE, holding.seed)
    sides: dict[str, list[Item]] = {"train": [], "val": [], "test": []}
    for item in items:
        digest = digests[item.path]
        side = "test" if digest in tested else "val" if digest in held_out else "train"
        sides[side].append(replace(item, split=side))  # type: ignore[arg-type]
    return sides


def _drawn(digests: Sequence[str], labels: Mapping[str, str], share: float, seed: int) -> set[str]:
    """A share of the images of each class, of which one image at least stays."""
    from sklearn.model_selection import train_test_split

    count = Counter(labels[digest] for digest in digests)
    drawable = [digest for digest in digests if count[labels[digest]] > 1]
    if not drawable:
        return set()
    kinds = len({labels[digest] for digest in drawable})
    size = min(max(kinds, round(share * len(drawable))), len(drawable) - kinds)
    _, drawn = train_test_split(
        drawable, test_size=size, random_state=seed, stratify=[labels[digest] for digest in drawable]
    )
    return set(drawn)


def _fold(
    digests: Sequence[str], labels: Mapping[str, str], fold: tuple[int, int], seed: int, name: str
) -> set[str]:
    """Part k of n. Raises DataError where a class has fewer images than there are parts."""
    from sklearn.model_selection import StratifiedKFold

    part, parts = fold
    label, fewest = min(Counter(labels[digest] for digest in digests).items(), key=lambda pair: pair[1])
    if fewest < parts:
        raise DataError(f"{name}: class '{label}' has {fewest} different images, too few for {parts} folds")
    folds = StratifiedKFold(parts, shuffle=True, random_state=seed)
    found = list(folds.split(digests, [labels[digest] for digest in digests]))[part - 1][1]
    return {digests[index] for index in found}


def _two_classes(items: list[Item], digests: dict[str, str]) -> list[Problem]:
    seen: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        seen[digests[item.path]].append(item)
    return [
        Problem(item.path, f"the same image is in another class: {same[0].path}, '{same[0].label}'", "kept")
        for same in seen.values()
        for item in same[1:]
        if item.label != same[0].label
    ]


def turns(items: Sequence[Item], count: int, seed: int) -> list[Item]:
    """So many of the images, or all: by turns one of each class, in an order that the seed draws.

    The same for the same images, in whatever order they come.
    """
    random = np.random.default_rng(seed)
    classes: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: (item.label, item.path)):
        classes.setdefault(item.label, []).append(item)
    turns = [
        (turn, item)
        for own in classes.values()
        for turn, item in zip(random.permutation(len(own)).tolist(), own, strict=True)
    ]
    return [item for _, item in sorted(turns, key=lambda one: one[0])][:count]
