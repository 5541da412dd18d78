"""From what a scan saw to what is wrong with a collection, a line each."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from goingdeeper.checks.collection import TEST, Collection
from goingdeeper.checks.scan import EMPTY, Look, Scan
from goingdeeper.data.alike import alike_digests

KINDS = {
    "unreadable": "cannot be read",
    "copy": "the same image more than once",
    "split": "the same image in two splits",
    "label": "the same image in two classes",
    "alike": "nearly the same image",
    "empty": "almost one colour",
    "size": "of another size than the rest",
    "extension": "named as another format",
    "animated": "animated",
    "classes": "classes",
    "source": "what the source reports",
}
"""Kinds of findings, in the order in which they are listed."""

EXCLUDE, LOOK, KEPT = "exclude it", "look at it", "kept"
"""What is best done about a problem. Only `exclude it` goes into exclude.txt."""

UNEQUAL = 16
"""An image of so many times more or fewer pixels than the median is named, if most are of about one size."""

RARE = 10
"""A class with so many times fewer images than the largest one is named."""

FORMATS = {
    "JPEG": ".jpg .jpeg .jpe .jfif", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp",
    "TIFF": ".tif .tiff", "PPM": ".ppm .pgm .pnm",
}  # fmt: skip
_NAMED = {suffix: kind for kind, suffixes in FORMATS.items() for suffix in suffixes.split()}


@dataclass(frozen=True)
class Finding:
    """Something wrong with an image or a class. other: the image that it is compared with."""

    kind: str
    path: str
    problem: str
    action: str
    other: str | None = None


def find(collection: Collection, scan: Scan) -> tuple[Finding, ...]:
    """All that is wrong, by kind; what is best left out comes first, then by path."""
    found = [Finding("source", p.path, p.problem, p.action) for p in collection.problems]
    found += [
        Finding("source", p.path, p.problem, p.action) for p in collection.passed_over if _lost(p.problem)
    ]
    for path, text in scan.failed.items():
        found.append(Finding("unreadable", path, text, _of_learned(collection, path, EXCLUDE)))
    found += [*_files(collection, scan.looks), *_sizes(scan.looks)]
    found += [*_copies(collection, scan), *_classes(collection)]
    kinds, actions = list(KINDS), (EXCLUDE, LOOK)

    def place(one: Finding) -> tuple[int, int, str]:
        return kinds.index(one.kind), (*actions, one.action).index(one.action), one.path

    return tuple(sorted(found, key=place))


def _of_learned(collection: Collection, path: str, action: str) -> str:
    """The action; for images of test/, which training has no part in, they are to be looked at."""
    return LOOK if collection.splits[path] == TEST else action


def _lost(reason: str) -> bool:
    return reason.startswith("an image")


def _files(collection: Collection, looks: Mapping[str, Look]) -> Iterator[Finding]:
    for path, look in looks.items():
        suffix = PurePosixPath(path).suffix.lower()
        named = None if collection.prepared else _NAMED.get(suffix)
        if look.header and named and named != look.header.format:
            yield Finding("extension", path, f"named {suffix}, but it is {look.header.format}", KEPT)
        if look.header and look.header.animated:
            yield Finding("animated", path, "has several frames, of which the first counts", KEPT)
        if look.deviation < EMPTY:
            text = f"almost one colour (standard deviation {look.deviation:.1f} of 255)"
            yield Finding("empty", path, text, _of_learned(collection, path, EXCLUDE))


def _sizes(looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Images far from the median, where the middle half of all images lies within a factor of `UNEQUAL`."""
    if len(looks) < 3:
        return
    areas = sorted(math.log2(look.area) for look in looks.values())
    median, limit = statistics.median(areas), math.log2(UNEQUAL)
    if areas[3 * len(areas) // 4] - areas[len(areas) // 4] >= limit:
        return
    usual = min(looks.values(), key=lambda look: (abs(math.log2(look.area) - median), look.area))
    for path, look in looks.items():
        if abs(math.log2(look.area) - median) >= limit:
            text = f"{look.width}x{look.height} pixels, where {usual.width}x{usual.height} is usual"
            yield Finding("size", path, text, KEPT)


def _copies(collection: Collection, scan: Scan) -> Iterator[Finding]:
    """Of several copies the one in test/, else in validation, else the first path, is not to be excluded."""
    labels = {item.path: item.label for item in collection.source.items}
    rank = {TEST: 0, "val": 1}

    def place(path: str) -> tuple[int, str]:
        return rank.get(collection.splits[path], 2), path

    def of(path: str, other: str) -> str:
        """How the other image is placed, as far as that differs."""
        split = collection.splits[other]
        parts = [f"class '{labels[other]}'"] if labels[other] != labels[path] else []
        parts += [split] if split != collection.splits[path] else []
        return f"{other}, of {' in '.join(parts)}" if parts else other

    same: dict[str, list[str]] = defaultdict(list)
    for path, look in scan.looks.items():
        same[look.digest].append(path)
    first = {digest: min(paths, key=place) for digest, paths in same.items()}
    for digest, paths in same.items():
        keep = first[digest]
        classes = {labels[path] for path in paths}
        for path in sorted(paths, key=place):
            other = next((p for p in paths if labels[p] != labels[path]), None)
            if len(classes) > 1 and other:  # whichever label is right, one of them is wrong
                action = _of_learned(collection, path, EXCLUDE)
                yield Finding("label", path, f"the same image as {of(path, other)}", action, other)
            elif path != keep:
                kind = "split" if collection.splits[keep] != collection.splits[path] else "copy"
                action = _of_learned(collection, path, EXCLUDE)
                yield Finding(kind, path, f"the same image as {of(path, keep)}", action, keep)
    # Of a pair the later one is named, and of its partners the one in test/ or validation, else the likest.
    partners: dict[str, tuple[int, float, str]] = {}
    for a, b, similar in alike_digests(scan.digests, scan.thumbnails):
        keep, path = sorted((first[a], first[b]), key=place)
        partner = (place(keep)[0], -similar, keep)
        partners[path] = min(partner, partners.get(path, partner))
    for path, (_, _, keep) in partners.items():
        action = KEPT
        if labels[path] != labels[keep]:
            action = LOOK
        elif collection.splits[path] != collection.splits[keep]:
            action = EXCLUDE
        yield Finding("alike", path, f"nearly the same image as {of(path, keep)}", action, keep)


def _classes(collection: Collection) -> Iterator[Finding]:
    counts = by_split(collection)
    names, learned = collection.source.classes, counts.get("train", {})
    for split, held in counts.items():
        if split != "train":
            for name in learned:
                if name not in held:
                    yield Finding("classes", name, f"has no image in {split}, so it is not scored", KEPT)
            for name in held:
                if name not in learned:
                    yield Finding("classes", name, f"is in {split}, but not in training", LOOK)
    largest, most = max(learned.items(), key=lambda pair: pair[1])
    for name, count in learned.items():
        if count == 1:
            yield Finding("classes", name, "has a single image, so none can be held out", LOOK)
        elif RARE * count <= most:
            text = f"has {count:,} images, '{largest}' {most:,}; --set balance=loss weighs rare classes more"
            yield Finding("classes", name, text, KEPT)
    if all(name.isdigit() for name in names):
        text = f"its classes are numbers; they are names here, in the order {_listed(names)}"
        yield Finding("classes", collection.source.name, text, KEPT)
    spelt: dict[str, list[str]] = defaultdict(list)
    for name in (*learned, *(n for held in counts.values() for n in held if n not in learned)):
        if name not in spelt[name.strip().casefold()]:
            spelt[name.strip().casefold()].append(name)
    for first, *others in spelt.values():
        for name in others:
            yield Finding("classes", name, f"is spelt nearly as the class '{first}'", LOOK)


def by_split(collection: Collection) -> dict[str, dict[str, int]]:
    """Images a class, {split: {class: count}}; the readable and the others."""
    counts = Counter((collection.splits[item.path], item.label) for item in collection.source.items)
    splits = [split for split in ("train", "val", TEST) if any(s == split for s, _ in counts)]
    return {
        split: dict(sorted((label, count) for (s, label), count in counts.items() if s == split))
        for split in splits
    }


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
