"""A folder with one folder of images a class, or with folders of such folders for training and validation."""

from __future__ import annotations

import os
from pathlib import Path

from goingdeeper.data.decode import content, decode, header_size
from goingdeeper.data.sources.imagenet import DEVKIT, labels_of
from goingdeeper.data.sources.source import SPLITS, Item, Passed, Problem, Source, Split, gathered, printable
from goingdeeper.errors import DataError

SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .gif .webp .bmp .tif .tiff .ppm .pgm .pnm".split())
KAGGLE = Path("ILSVRC", "Data", "CLS-LOC")
"""Where the images are in ImageNet's archive of the Kaggle competition."""

HIDDEN = "a hidden file or folder"
OTHER = "a file without an image's suffix"
BESIDE = "a file beside the class folders"
LINKED = "a link to a folder, below a class folder"
PASSED = HIDDEN, OTHER, BESIDE, LINKED
"""Begin what is told of files that are passed over, of each kind once."""


def open_at(root: Path) -> Source:
    """The images of the class folders in a folder. Raises DataError where there are none."""
    at = KAGGLE.as_posix() + "/" if (root / KAGGLE).is_dir() else ""
    passed, problems = Passed(), list[Problem]()
    parts: dict[Split, str] = {}
    for name in _folders(root / at, Passed()):
        split = SPLITS.get(name.lower())
        if split and split not in parts:
            parts[split] = at + name
    items: list[Item] = []
    if "train" in parts:
        for split, part in parts.items():
            items += _items(root, part, split, passed, problems)
        for name in _folders(root / at, passed, at):
            if at + name not in parts.values() and name != DEVKIT:
                problems.append(
                    Problem(printable(at + name), "a folder beside those of the splits", "left out")
                )
        class_root = root / parts["train"]
        nothing = not any(item.split == "train" for item in items)
    else:
        items = _items(root, "", None, passed, problems)
        if parts.get("test", "").lower() == "test":
            items += _items(root, parts["test"], "test", passed, problems)
        class_root, nothing = root, not items
    if nothing:
        loose = len(image_files(class_root))
        found_there = f"{loose} images, but none in a class folder" if loose else "no images"
        raise DataError(
            f"{class_root} holds {found_there}; put them into one folder a class, "
            f"such as {class_root}/cat/1.jpg"
        )
    return gathered(
        root,
        items,
        read=lambda path: decode(root / path),
        size=lambda path: header_size(root / path),
        content=lambda path: content(root / path),
        problems=[*problems, *passed.problems()],
    )


def _items(
    root: Path, place: str, split: Split | None, passed: Passed, problems: list[Problem]
) -> list[Item]:
    """The images of the class folders in a folder; what cannot be taken is added to the problems."""
    if split == "test":  # seldom looked at, and often without class folders
        passed, problems = Passed(), []
    folders = _folders(root / place, passed, f"{place}/" if place else "")
    if split == "val" and folders in ([], ["images"]):
        return _flat(root, place)
    items = []
    for name in folders:
        if not place and name.lower() == "test":
            continue
        part = f"{place}/{name}" if place else name
        if (root / part).is_symlink() and (root / place).resolve().is_relative_to((root / part).resolve()):
            problems.append(Problem(printable(part), "a link to a folder around it", "left out"))
            continue
        files = _scan(root / part, part, passed, deep=True)
        if not files and split in (None, "train"):
            problem = "a class folder without images"
            problems.append(Problem(printable(part), problem, "left out of the classes"))
        for path in files:
            if printable(path) == path:
                items.append(Item(path, name, split))
            else:  # no CSV, JSON or page could hold such a name
                problems.append(Problem(printable(path), "its name is not UTF-8; rename it", "left out"))
    return items if items or split != "val" else _flat(root, place)


def _flat(root: Path, place: str) -> list[Item]:
    """The images of a validation folder without class folders, by the list that comes with them."""
    files = _scan(root / place, place, Passed(), deep=True)
    if not files:
        raise DataError(f"{root / place} holds no images; without that folder a split is drawn")
    return [Item(path, label, "val") for path, label in labels_of(root, root / place, files).items()]


def _folders(folder: Path, passed: Passed, before: str = "") -> list[str]:
    """The visible folders in a folder, by name. Run folders, and folders of them, are not classes."""
    found = []
    try:
        with os.scandir(folder) as parts:
            for part in sorted(parts, key=lambda part: part.name):
                if part.name.startswith("."):
                    passed.add(HIDDEN, before + part.name)
                elif not _is_folder(part):
                    passed.add(BESIDE, before + part.name)
                elif not _holds_runs(Path(part.path)):
                    found.append(part.name)
    except OSError as problem:
        raise DataError(f"{folder} cannot be opened: {problem.strerror or problem}") from None
    return found


def _holds_runs(folder: Path) -> bool:
    if (folder / "run.json").is_file():
        return True
    with os.scandir(folder) as parts:
        return any(_is_folder(part) and Path(part.path, "run.json").is_file() for part in parts)


def _is_folder(part: os.DirEntry[str]) -> bool:
    try:
        return part.is_dir()
    except OSError:  # links in a loop
        return False


def image_files(folder: Path, deep: bool = False) -> list[Path]:
    """The visible image files in a folder, and in those below it if `deep`; linked folders are not entered.

    Raises DataError for a folder that cannot be opened.
    """
    return [folder / path for path in _scan(folder, "", Passed(), deep)]


def _scan(folder: Path, name: str, passed: Passed, deep: bool) -> list[str]:
    """The visible image files of a folder that is called `name`, by paths that begin with that."""

    def refuse(problem: OSError) -> None:
        raise DataError(f"{problem.filename} cannot be opened: {problem.strerror}")

    found = []
    start = len(str(folder))
    for place, folders, files in os.walk(folder, onerror=refuse):
        inside = (name + place[start:].replace(os.sep, "/")).lstrip("/")
        before = f"{inside}/" if inside else ""
        for part in folders:
            if part.startswith("."):
                passed.add(HIDDEN, before + part)
            elif Path(place, part).is_symlink():
                passed.add(LINKED, before + part)
        folders[:] = sorted(part for part in folders if not part.startswith(".")) if deep else []
        for file in sorted(files):
            if file.startswith("."):
                passed.add(HIDDEN, before + file)
            elif "." + file.rpartition(".")[2].lower() in SUFFIXES:
                found.append(before + file)
            else:
                passed.add(OTHER, before + file)
    return found
