"""Where labelled images come from."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

from goingdeeper.data.sources.digits import digits
from goingdeeper.data.sources.folder import folder, image_files
from goingdeeper.data.sources.source import Item, Problem, Source, Split
from goingdeeper.errors import DataError

__all__ = ["Item", "Problem", "Source", "Split", "image_files", "open_source"]


def open_source(location: str | os.PathLike[str], classes: tuple[str, ...] | None = None) -> Source:
    """The images at a location: `digits`, or a folder of class folders, or one with train/ and val/.

    classes: those of a trained model, for images that it is to be scored on; they are matched by name.
    Raises DataError where there is nothing to learn from: no folder, no images, a single class, a class
    of the validation split that training lacks, or one that the model does not know.
    """
    text = os.fspath(location)
    if text == "digits" and not Path(text).exists():
        return _known(digits(), classes)
    root = Path(text)
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except FileNotFoundError:
        raise DataError(
            f"there is no folder {text}; give a folder with one folder of images a class, or digits"
        ) from None
    except (OSError, ValueError) as problem:
        raise DataError(f"{text} cannot be opened: {getattr(problem, 'strerror', None) or problem}") from None
    if not is_folder:
        raise DataError(f"{text} is a file; give a folder with one folder of images a class")
    return _known(folder(root, text, 2 if classes is None else 1), classes)


def _known(source: Source, classes: tuple[str, ...] | None) -> Source:
    """The source with its classes in the model's order, none of them unknown to it."""
    if classes is None:
        return source
    for item in source.items:
        if item.label not in classes:
            raise DataError(
                f"{source.name}/{item.path}: the model has no class '{item.label}'; "
                f"it knows {', '.join(classes[:12])}{', ...' if len(classes) > 12 else ''}"
            )
    return replace(source, classes=classes)
