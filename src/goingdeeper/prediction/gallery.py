"""Pictures of images in a folder: a file each, named after its image, and no image overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from goingdeeper.errors import UsageError
from goingdeeper.files import make_folder, write_whole

_UNFIT = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
"""What some system does not take in a name, or a terminal would obey."""

LONGEST = 200
"""Bytes of an image's name that its picture keeps: a name has 255, and needs some while it is written."""


class Gallery:
    """A folder, made for its first picture. Pictures of the same names there are replaced."""

    def __init__(self, folder: Path, images: Iterable[str]) -> None:
        """images: paths of those that are read meanwhile. Raises UsageError where there is a file."""
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file; give a folder for the pictures")
        self.folder = folder
        place = folder.resolve()
        self._taken = {
            Path(image).name.casefold() for image in images if Path(image).parent.resolve() == place
        }

    def add(self, image: str, kind: str, content: bytes) -> Path:
        """Writes the picture of an image, a PNG, whole or not at all, and gives its path: `cat_cam.png`.

        Where two images have one name, the second becomes `cat_cam-2.png`.
        """
        stem = os.fsencode(_UNFIT.sub("_", Path(image).stem))[:LONGEST].decode("utf-8", "ignore")
        name, number = f"{stem}_{kind}.png", 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}_{kind}-{number}.png"
        self._taken.add(name.casefold())
        make_folder(self.folder)
        write_whole(self.folder / name, content)
        return self.folder / name
