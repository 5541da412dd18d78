"""A folder with one folder of images a class, or with folders of such folders for training and validation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from goingdeeper.data.decode import content, decode, header_size
from goingdeeper.data.sources.imagenet import DEVKIT, LISTS, labels_of
from goingdeeper.data.sources.problems import Passed, printable
from goingdeeper.data.sources.source import SPLITS, Item, Source, Split, gathered
from goingdeeper.errors import DataError

SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .gif .webp .bmp .tif .tiff .ppm .pgm .pnm".split())
UNREAD = frozenset(".heic .heif .hif .avif .jxl .jp2 .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf".split())
"""Photographs of phones and cameras that nothing here decodes."""

KAGGLE = Path("ILSVRC", "Data", "CLS-LOC")
"""Where the images are in ImageNet's archive of the Kaggle competition."""

HIDDEN = "a hidden file or folder"
OTHER = "a file without an image's suffix"
BESIDE = "a file beside the class folders"
PHOTO = "a photograph in a format that is not read; save it as JPEG or PNG"
LINKED = "a link to a folder, below a class folder"
PASSED = HIDDEN, OTHER, BESIDE, LINKED
"""What is told of files that are passed over."""


def open_at(root: Path) -> Source:
    """The images of the class folders in a folder. Raises DataError where there are none."""
    at = KAGGLE.as_posix() + "/" if (root / KAGGLE).is_dir() else ""
    passed = Passed()
    parts, classes, others = _layout(root / at)
    items: list[Item] = []
    if "train" not in parts:
        items += _items(root, "", None, passed, classes)
        class_root, nothing = root, not items and not parts
    for split in sorted(parts, key=lambda split: split != "train"):
        if split == "test" and _unlabelled(root / at / parts[split], items):
            continue
        items += _items(root, at + parts[split], split, passed)
    if "train" in parts:
        _folders(root / at, passed, at)
        class_root = root / at / parts["train"]
        nothing = not any(item.split == "train" for item in items)
    for name in others:
        passed.add("a folder beside those of the splits", at + name)
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
        problems=passed.problems(),
    )


def _layout(folder: Path) -> tuple[dict[Split, str], list[str], list[str]]:
    """The folders of splits by their split, the class folders beside them, and folders that are neither.

    A folder that is called as a split is one where class folders are in it. A flat one beside class folders
    is a class, but for test/, which nothing is learned from.
    """
    names = _folders(folder, Passed())
    called = {name: SPLITS[name.lower()] for name in names if name.lower() in SPLITS}
    beside = [name for name in names if name not in called and name != DEVKIT]
    parts: dict[Split, str] = {}
    deep = [name for name in called if _holds_classes(folder / name)]
    for name in deep:
        parts.setdefault(called[name], name)
    flat = [name for name in called if name not in deep]
    training = [name for name in flat if called[name] == "train"]
    if "train" not in parts and training and not any(_holds_images(folder / name) for name in beside):
        parts["train"] = training[0]  # without class folders, which is said
    if "train" in parts:
        for name in flat:
            parts.setdefault(called[name], name)
        return parts, [], [name for name in (*beside, *called) if name not in parts.values()]
    classes = [name for name in names if name in beside or (name in flat and name.lower() != "test")]
    return parts, classes, [name for name in deep if name not in parts.values()]


def _holds_classes(folder: Path) -> bool:
    """Whether there are images in a folder of it; it ends with the first."""
    try:
        with os.scandir(folder) as parts:
            visible = (part for part in parts if not part.name.startswith("."))
            return any(_is_folder(part) and _holds_images(Path(part.path)) for part in visible)
    except OSError:  # which reading it names
        return False


def _holds_images(folder: Path) -> bool:
    """Whether there is an image in a folder or below it; it ends with the first."""
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(_is_image(name) and not name.startswith(".") for name in files):
            return True
    return False


def _is_image(name: str) -> bool:
    return _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return name[name.rfind(".") :].lower() if "." in name else ""


def _items(
    root: Path,
    place: str,
    split: Split | None,
    passed: Passed,
    classes: Sequence[str] | None = None,
) -> list[Item]:
    """The images of the class folders in a folder; what cannot be taken is added to `passed`.

    classes: the class folders, where not all folders are.
    """
    if split == "test":  # seldom looked at, and often without class folders
        passed = Passed()
    if split == "val" and _is_flat(root / place):
        return _flat(root, place)
    folders = _folders(root / place, passed, f"{place}/" if place else "")
    items = []
    for name in folders if classes is None else classes:
        part = f"{place}/{name}" if place else name
        if (root / part).is_symlink() and (root / place).resolve().is_relative_to((root / part).resolve()):
            passed.add("a link to a folder around it", part)
            continue
        files = _scan(root / part, part, passed, deep=True)
        if not files and split in (None, "train"):
            passed.add("a class folder without images", part, "left out of the classes")
        elif not split and name.lower() in SPLITS:
            passed.add("called as a split, with no class folder in it", part, "taken as a class")
        for path in files:
            if printable(path) == path:
                items.append(Item(path, name, split))
            else:  # no CSV, JSON or page could hold such a name
                passed.add("its name is not UTF-8; rename it", path)
    return items


def _unlabelled(folder: Path, learned: Sequence[Item]) -> bool:
    """Whether test images are as in Tiny ImageNet: all in a folder `images`, which is no class."""
    return _folders(folder, Passed()) == ["images"] and all(item.label != "images" for item in learned)


def _is_flat(folder: Path) -> bool:
    """Whether there are no class folders in it: Tiny ImageNet has its images in one called images."""
    return not _holds_classes(folder) or _folders(folder, Passed()) == ["images"]


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
                    if part.name not in LISTS:
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
            elif _is_image(file):
                found.append(before + file)
            else:
                passed.add(PHOTO if _suffix(file) in UNREAD else OTHER, before + file)
    return found
