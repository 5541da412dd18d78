"""All images that a check reads: those of training and validation, and test/, which training never sees."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from goingdeeper.data.decode import Pixels
from goingdeeper.data.sources import Item, Problem, Source, image_files, open_source
from goingdeeper.errors import DataError

TEST = "test"


@dataclass(frozen=True)
class Collection:
    """A source with the images of test/ among its items, and the split of each image by its path.

    passed_over: files that are not read, with the reason. problems: what opening the source met.
    """

    source: Source
    splits: dict[str, str]
    passed_over: tuple[Problem, ...]
    problems: tuple[Problem, ...]


def collect(location: str | os.PathLike[str]) -> Collection:
    """The images at a location. Raises DataError as `open_source` does."""
    learned = open_source(location)
    splits: dict[str, str] = {item.path: item.split or "train" for item in learned.items}
    root = Path(os.fspath(location))
    if learned.content is None or not root.is_dir():
        return Collection(learned, splits, (), learned.problems)
    source, problems = learned, list(learned.problems)
    part = next((p for p in sorted(root.iterdir()) if p.name.lower() == TEST and p.is_dir()), None)
    if part is not None and TEST not in splits.values():
        try:
            source = _with_test(learned, part)
        except DataError as problem:
            problems.append(Problem(part.name, f"not checked: {problem}", "left out"))
    splits |= {item.path: TEST for item in source.items if item.path not in splits}
    taken = {item.path for item in source.items} | {problem.path for problem in problems}
    return Collection(source, splits, tuple(_passed_over(root, taken)), tuple(problems))


def _with_test(learned: Source, part: Path) -> Source:
    """The source with the images of its folder test/, under paths that begin with that folder's name."""
    prefix = f"{part.name}/"
    labels = tuple(sorted(folder.name for folder in part.iterdir() if folder.is_dir()))
    test = open_source(part, labels)
    items = tuple(Item(prefix + item.path, item.label) for item in test.items)
    ours = {item.path for item in items}

    def read(path: str) -> Pixels:
        return test.read(path.removeprefix(prefix)) if path in ours else learned.read(path)

    def content(path: str) -> bytes:
        chosen, inside = (test, path.removeprefix(prefix)) if path in ours else (learned, path)
        assert chosen.content is not None
        return chosen.content(inside)

    return replace(learned, items=learned.items + items, read=read, content=content)


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
