"""The papers, and the data files of this folder."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Paper:
    """short: "Szegedy et al. 2014"; long: authors, title and year."""

    short: str
    long: str


def read(name: str) -> dict[str, Any]:
    """A data file of this folder, parsed."""
    return tomllib.loads(files("goingdeeper.published").joinpath(name).read_text("utf-8"))


@cache
def papers() -> dict[str, Paper]:
    """Every paper by the key that the data files use."""
    return {key: _paper(**entry) for key, entry in read("papers.toml").items()}


def source(entry: Mapping[str, Any]) -> str:
    """Where an entry's figures come from: its own words, or its paper and the place there."""
    if "source" in entry:
        return str(entry["source"])
    return ", ".join(filter(None, (papers()[entry["paper"]].long, entry.get("place", ""))))


def _paper(authors: str, title: str, year: int | None = None, short: str = "") -> Paper:
    if year is None:
        return Paper(short, f"{authors}, {title}")
    return Paper(short or f"{authors} {year}", f"{authors}, {title} ({year})")
