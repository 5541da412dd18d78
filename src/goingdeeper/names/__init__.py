"""The names under which torchvision, timm, Keras, Caffe and others keep the same weights, without torch."""

from __future__ import annotations

from goingdeeper.names import cadene, caffe, cifar, keras, timm, torchvision
from goingdeeper.names.naming import Entry, Naming, Place, Scale, entries

__all__ = ["Entry", "Naming", "Place", "Scale", "entries", "namings"]

# Where a file's tensors fit in several libraries, the first of them here is taken.
FILES = (torchvision, timm, cifar, cadene, keras, caffe)


def namings(library: str | None = None) -> list[Naming]:
    """Those of all other libraries, or of one."""
    return [one for file in FILES for one in file.NAMINGS if library in (None, one.library)]
