"""What a source of labelled images is, whatever its form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from goingdeeper.data.decode import Pixels

Split: TypeAlias = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Item:
    """One image: its path inside the source, its class name, and its split where the source gives one."""

    path: str
    label: str
    split: Split | None = None


@dataclass(frozen=True)
class Problem:
    """Something wrong with an image, and what was done about it."""

    path: str
    problem: str
    action: str


@dataclass(frozen=True)
class Source:
    """Labelled images that can be read by path, from several threads at once.

    location: what reopens the source. content, read, size: file bytes, pixels, and (width, height) by header
    of the image at a path; content is None where the source holds pixels, not files. oriented: the images
    are glyphs, which a mirror would change.
    """

    name: str
    location: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    content: Callable[[str], bytes] | None
    read: Callable[[str], Pixels]
    size: Callable[[str], tuple[int, int] | None]
    oriented: bool
    problems: tuple[Problem, ...] = ()


def glyphs(classes: tuple[str, ...]) -> bool:
    """Whether the classes are single characters or numbers, whose images a mirror would change."""
    return all(len(name) == 1 or name.isdigit() for name in classes)
