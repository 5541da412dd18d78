"""Which command shows what is on a slide of the lecture, or in the blog."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from goingdeeper.published.results import table
from goingdeeper.why.claims import Claim, Tier, claim, sources, topic, topics

KNOWN = ("lecture", "blog")
"""The sources that have slides and pictures; the papers have figures."""


@dataclass(frozen=True)
class Command:
    """line: as it is typed. topic: the one that it shows."""

    line: str
    topic: str | None = None


@dataclass(frozen=True)
class Slide:
    """source: a key of `parts`. kind: "table", "figure", ...; "slide" or "passage" where no more is known.

    shows: what is on it. of: where it is in the papers, as far as that is known. claims: their ids.
    """

    source: str
    kind: str
    shows: str
    of: str
    claims: tuple[str, ...]
    commands: tuple[Command, ...]


def parts() -> dict[str, str]:
    """What `lecture`, `blog` and `papers` stand for, in this order."""
    return {
        **{name: sources()[name] for name in KNOWN},
        "papers": "further figures and tables of the papers, which no slide is known to show",
    }


@cache
def slides() -> tuple[Slide, ...]:
    """All that is known: the lecture's, the blog's, and what else the papers have."""
    text = files("goingdeeper.why").joinpath("slides.toml").read_text("utf-8")
    return tuple(_slide(entry) for entry in tomllib.loads(text)["slide"])


def without_slide() -> tuple[str, ...]:
    """The topics that neither the lecture nor the blog is known to have anything on."""
    shown = {command.topic for slide in slides() if slide.source in KNOWN for command in slide.commands}
    return tuple(one.name for one in topics() if one.name not in shown)


def index_record() -> dict[str, Any]:
    """The whole index as JSON has it."""
    return {"slides": [asdict(slide) for slide in slides()], "without_slide": list(without_slide())}


def _slide(entry: dict[str, Any]) -> Slide:
    claims = [claim(id) for id in entry.get("claims", ())]
    commands = [Command(line, name) for name, line in _topics(claims)]
    if "table" in entry:
        commands.append(Command(f"deeper list --table {entry['table']}"))
    for words in entry.get("commands", ()):
        verb, first, *_ = words.split()
        commands.append(Command(f"deeper {words}", first if verb == "why" else None))
    shows = entry.get("shows") or topic(claims[0].topic).title
    ids = tuple(one.id for one in claims)
    return Slide(entry["source"], entry["kind"], shows, _of(entry, claims), ids, tuple(commands))


def _topics(claims: list[Claim]) -> Iterator[tuple[str, str]]:
    """The topics of claims, and the commands that show these: trainings are dear, and apart."""
    tiers: dict[str, set[Tier]] = {}
    for one in claims:
        tiers.setdefault(one.topic, set()).add(one.tier)
    for name, found in tiers.items():
        if found - {"training"}:
            yield name, f"deeper why {name}"
        if "training" in found:
            yield name, f"deeper why {name} --tier training"


def _of(entry: dict[str, Any], claims: list[Claim]) -> str:
    """The places that the entry, its table or else the sources of its claims name."""
    if "of" in entry:
        return str(entry["of"])
    if "table" in entry:
        first = table(entry["table"])[0]
        return f"{first.paper}, {first.place}"
    named = dict.fromkeys(place for one in claims for place in one.source.split("; "))
    places = [place for place in named if not any(source in place for source in KNOWN)]
    # `section 2` beside `section 2 and Figure 7` says nothing more.
    return "; ".join(one for one in places if not any(other.startswith(f"{one} ") for other in places))
