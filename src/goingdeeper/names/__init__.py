"""The names under which torchvision, timm, Keras, Caffe and others keep the same weights, without torch."""

from __future__ import annotations

from goingdeeper.names import caffe, keras, torchvision
from goingdeeper.names.naming import Entry, Naming, Place, Scale, entries

__all__ = ["Entry", "Naming", "Place", "Scale", "entries", "namings"]

FILES = (torchvision, keras, caffe)


def namings(library: str | None = None) -> list[Naming]:
    """All that are known, or those of one library."""
    return [one for file in FILES for one in file.NAMINGS if library in (None, one.library)]
