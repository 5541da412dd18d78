"""All images that a check reads: those of training and validation, and test/, which training never sees."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from goingdeeper.data.sources import Problem, Source, image_files, open_source
from goingdeeper.data.sources.folder import PASSED
from goingdeeper.data.sources.store import is_store

TEST = "test"


@dataclass(frozen=True)
class Collection:
    """A source with the images of test/ among its items, and the split of each image by its path.

    passed_over: files that are not read, with the reason. problems: what opening the source met. prepared: a
    store has the images in formats of its own, under the names that they had.
    """

    source: Source
    splits: dict[str, str]
    passed_over: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    prepared: bool = False


def collect(location: str | os.PathLike[str]) -> Collection:
    """The images at a location. Raises DataError as `open_source` does."""
    source = open_source(location, split="all")
    splits: dict[str, str] = {item.path: item.split or "train" for item in source.items}
    root = Path(os.fspath(location))
    if not (root / source.items[0].path).is_file():  # images within files
        return Collection(source, splits, (), source.problems, is_store(root))
    # The source tells of one file of each kind, and warns of numbers as names; a check lists all by itself.
    own = (p for p in source.problems if p.action != "taken as names")
    problems = tuple(p for p in own if not p.problem.startswith(PASSED))
    taken = {item.path for item in source.items} | {problem.path for problem in problems}
    return Collection(source, splits, tuple(_passed_over(root, taken)), problems)


def _passed_over(root: Path, taken: set[str]) -> list[Problem]:
    """Files that no part of the source holds, of a folder; a hidden folder counts as one."""
    found = []

    def add(file: Path, reason: str) -> None:
        name = os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
        if name not in taken:
            found.append(Problem(name, reason, "left out"))

    for place, folders, files in os.walk(root):
        here = Path(place)
        if "run.json" in files and here != root:
            add(here, "a run folder")
            folders.clear()
            continue
        for name in sorted(folders):
            if name.startswith("."):
                add(here / name, "a hidden folder")
            elif (here / name).is_symlink() and here != root:
                add(here / name, "a link to a folder, which is not entered")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        images = {file.name for file in image_files(here)}
        for name in sorted(files):
            if name.startswith("."):
                add(here / name, "a hidden file")
            elif name in images:
                add(here / name, "an image outside of the class folders")
            else:
                add(here / name, "not named as an image")
    return found
