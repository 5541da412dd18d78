"""The health of a collection: what is wrong with it, and its numbers."""

from __future__ import annotations

import os
import shlex
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from goingdeeper.checks.collection import TEST, Collection, collect
from goingdeeper.checks.findings import EXCLUDE, LOOK, Finding, by_split, find
from goingdeeper.checks.labels import Suspect
from goingdeeper.checks.scan import Look, Scan, scan
from goingdeeper.data.decode import Header
from goingdeeper.data.exclude import exclude_list
from goingdeeper.data.processors import cpus
from goingdeeper.data.sources import Problem

LIST = "exclude.txt"
"""What the list of images to leave out is called."""

MODES = {"1": "1-bit", "L": "grey", "LA": "grey", "P": "palette", "PA": "palette", "RGBA": "RGB"}
"""Pillow's modes in words; the others are called as they are."""


@dataclass(frozen=True)
class Health:
    """What `deeper check` found.

    images: all that were found, readable or not. classes: images of each. splits: {split: {class: images}}.
    findings: by kind. passed_over: files that are no images of the source. formats, modes, orientations: how
    many images of each; a mode may have words such as "16-bit" and "with alpha" beside it. sizes: (width,
    height) of the smallest, median and largest image, None where none could be read. decode_seconds: to read
    and decode all images of training and validation once, on so many processors. suspects: images that a
    trained run takes for another class, the clearest first. unknown: readable images of each class that the
    run does not know. learned: how many of the readable images the run was trained on, as far as it tells.
    """

    name: str
    location: str
    images: int
    classes: dict[str, int]
    splits: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]
    passed_over: tuple[Problem, ...]
    formats: dict[str, int]
    modes: dict[str, int]
    orientations: dict[str, int]
    sizes: dict[str, tuple[int, int]] | None
    decode_seconds: float
    processors: int
    suspects: tuple[Suspect, ...] | None = None
    unknown: dict[str, int] = field(default_factory=dict)
    learned: int = 0

    @property
    def kinds(self) -> dict[str, int]:
        """How many findings of each kind."""
        return dict(Counter(one.kind for one in self.findings))

    @property
    def doubtful(self) -> dict[str, int]:
        """What calls for something to be done: how many findings are to be excluded or looked at, and labels.

        None of them is 0. What is kept or left out already does not count, whatever is wrong with it.
        """
        counts = Counter(one.action for one in self.findings)
        found = {
            "to exclude": counts[EXCLUDE],
            "to look at": counts[LOOK],
            "labels in doubt": len(self.suspects or ()),
        }
        return {what: count for what, count in found.items() if count}

    def document(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {
            "source": self.location,
            "images": self.images,
            "classes": self.classes,
            "splits": self.splits,
            "problems": [
                {"path": f.path, "problem": f.problem, "action": f.action, "kind": f.kind, "other": f.other}
                for f in self.findings
            ],
            "kinds": self.kinds,
            "left_out": [{"path": p.path, "reason": p.problem} for p in self.passed_over],
            "formats": self.formats,
            "modes": self.modes,
            "orientations": self.orientations,
            "sizes": self.sizes and {name: list(size) for name, size in self.sizes.items()},
            "decode": {"seconds_an_epoch": round(self.decode_seconds, 3), "processors": self.processors},
        }
        if self.suspects is not None:
            document["suspects"] = [suspect.document() for suspect in self.suspects]
            document["unknown_classes"] = self.unknown
            document["trained_on"] = self.learned
        return document

    @property
    def excluded(self) -> dict[str, str]:
        """Images that are best left out of training, and why."""
        rows: dict[str, str] = {}
        for one in self.findings:
            if one.action == EXCLUDE:
                rows.setdefault(one.path, one.problem)
        return rows

    def leaving_out(self, listed: str) -> str:
        """The command that trains without the images of a list."""
        return f"deeper train {shlex.quote(self.location)} --exclude {shlex.quote(listed)}"

    def exclude_list(self, listed: str = LIST) -> str:
        """What `deeper train --exclude` takes; images that should be looked at are in comments only.

        listed: the file that it is written to.
        """
        heading = [
            f"Images of {self.name} to leave out: {self.leaving_out(listed)}",
            "Below each reason is a path; take out the lines of images to keep.",
        ]
        look = [f"{one.path}: {one.problem}" for one in self.findings if one.action == LOOK]
        if look:
            heading += ["To look at, and not left out:", *look]
        return exclude_list(self.excluded.items(), heading)


def examine(
    location: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> tuple[Health, Collection, Scan]:
    """Reads all images at a location and says what is wrong with them.

    progress: called with (images read, images in all). Raises DataError where there is nothing to read.
    """
    collection = collect(location)
    seen = scan(collection.source, progress)
    looks = seen.looks
    learned = [look for path, look in looks.items() if collection.splits[path] != TEST]
    headers = [look.header for look in looks.values() if look.header]
    counts = by_split(collection)
    classes = sorted({name for held in counts.values() for name in held})
    return (
        Health(
            name=collection.source.name,
            location=collection.source.location,
            images=len(collection.source.items),
            classes={name: sum(held.get(name, 0) for held in counts.values()) for name in classes},
            splits=counts,
            findings=find(collection, seen),
            passed_over=collection.passed_over,
            formats=_counted(one.format for one in headers),
            modes=_counted(map(mode, headers)),
            orientations=_counted(str(one.orientation) for one in headers),
            sizes=_sizes([*looks.values()]),
            decode_seconds=sum(look.seconds for look in learned) / cpus(),
            processors=cpus(),
        ),
        collection,
        seen,
    )


def mode(header: Header) -> str:
    """The mode in words: RGB, grey, CMYK, palette; 16-bit; with alpha."""
    name = "grey" if header.mode.startswith("I") else MODES.get(header.mode, header.mode)
    return f"{'16-bit ' if header.deep else ''}{name}{' with alpha' if header.transparent else ''}"


def _counted(words: Iterable[str]) -> dict[str, int]:
    """The most frequent first."""
    return dict(sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0])))


def _sizes(looks: list[Look]) -> dict[str, tuple[int, int]] | None:
    if not looks:
        return None
    sizes = sorted(((look.width, look.height) for look in looks), key=lambda size: (size[0] * size[1], size))
    middle = statistics.median_low(range(len(sizes)))
    return {"smallest": sizes[0], "median": sizes[middle], "largest": sizes[-1]}
