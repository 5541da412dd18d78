"""check.html: what a check found, with pictures, as one page that opens offline and holds no scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import jinja2

from goingdeeper.checks.findings import KINDS, Finding
from goingdeeper.checks.health import LIST, Health
from goingdeeper.checks.labels import Suspect
from goingdeeper.data.sources import Source
from goingdeeper.errors import DataError, shown
from goingdeeper.reports import report, words
from goingdeeper.reports.pictures import Thumbnail, shrunk, thumbnail
from goingdeeper.version import __version__

PICTURES, LINES = 24, 500
"""So many of each kind are shown as pictures, evenly chosen, and so many as lines of a table."""
LONGEST = 144

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """A finding with its picture, and that of the image it is compared with; None for what cannot be read."""

    finding: Finding
    thumbnail: Thumbnail | None
    other: Thumbnail | None


@dataclass(frozen=True)
class Part:
    """All findings of a kind."""

    title: str
    findings: list[Finding]
    pictures: list[Shown]


def page(health: Health, source: Source, listed: str = LIST) -> str:
    """The page. source: where the pictures are read from, as they were for the check. listed: exclude.txt."""
    images = {item.path for item in source.items}

    def small(path: str | None) -> Thumbnail | None:
        return thumbnail(_picture(source, path)) if path in images else None

    parts = []
    for kind, title in KINDS.items():
        found = [one for one in health.findings if one.kind == kind]
        pictured = [] if kind in ("unreadable", "classes", "source") else spread(found, PICTURES)
        if found:
            parts.append(Part(title, found, [Shown(o, small(o.path), small(o.other)) for o in pictured]))
    suspects: list[tuple[Suspect, Thumbnail | None]] = [
        (one, small(one.path)) for one in (health.suspects or ())[: 2 * PICTURES]
    ]
    counts = {
        name: {side: held.get(name, 0) for side, held in health.splits.items()} for name in health.classes
    }
    return _template().render(
        health=health, parts=parts, suspects=suspects, bars=report.bars(counts, list(health.classes)),
        lines=LINES, version=__version__, command=health.leaving_out(listed) if health.excluded else None,
    )  # fmt: skip


def spread(values: Sequence[T], most: int) -> list[T]:
    """Up to so many of the values, evenly chosen."""
    count = min(len(values), most)
    return [values[number * len(values) // count] for number in range(count)]


def _picture(source: Source, path: str | None) -> bytes | None:
    try:
        return shrunk(source.read(str(path)), LONGEST)
    except (DataError, OSError):
        return None


def _template() -> jinja2.Template:
    folders = [Path(__file__).parent, Path(report.__file__).parent]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (words.probability, words.count, words.duration, words.plural, words.pixels, shown):
        environment.filters[filter_.__name__] = filter_
    return environment.get_template("check.html.jinja")
