"""HDF5 files that hold all images in one array, as the hand-sign exercise has them; needs h5py."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goingdeeper.data.decode import MAX_PIXELS, Pixels
from goingdeeper.data.sources.problems import printable
from goingdeeper.data.sources.source import (
    SPLITS,
    Item,
    Source,
    Split,
    data_files,
    gathered,
    naming,
    row_of,
    split_of,
)  # fmt: skip
from goingdeeper.errors import DataError, MissingExtra

SUFFIXES = (".h5", ".hdf5")

_IMAGES = frozenset("x images image data".split())
_LABELS = frozenset("y labels label".split())
_NAMES = frozenset({"list_classes", "classes", "class_names", "label_names"})
_RATIO = 1100
"""Deflate makes zeros at most 1,032 times smaller: what claims to be larger yet has no such data."""


@dataclass(frozen=True)
class _Part:
    """The images of one split in one file: an h5py dataset of (N, H, W), (N, H, W, C) or (N, C, H, W)."""

    file: Path
    key: str
    images: Any
    count: int
    height: int
    width: int
    planes: bool

    def read(self, row: int) -> Pixels:
        """One image; h5py's own lock lets one thread in at a time."""
        with naming(self.file, self.key):
            found = np.asarray(self.images[row])
        if self.planes:
            found = found.transpose(1, 2, 0)
        if found.ndim == 2:
            found = found[:, :, None]
        return np.ascontiguousarray(np.broadcast_to(found, (self.height, self.width, 3)))


def open_at(root: Path) -> Source:
    """The images of one file, or of the files in a folder (train_signs.h5 and test_signs.h5).

    Keys are train_set_x, train_set_y and list_classes, or images and labels, x and y, and the like; otherwise
    arrays are found by shape. Raises DataError, naming file and key, for files that are damaged, arrays that
    do not fit or are ambiguous, and links out of the file, which are not followed; MissingExtra without h5py.
    """
    parts: dict[str, _Part] = {}
    items: list[Item] = []
    files = data_files(root, SUFFIXES)
    for file in files:
        where = file.name if file.parent in (root, root.parent) else f"{file.parent.name}/{file.name}"
        for split, part, labels in _parts(file.resolve(), split_of(where) if root.is_dir() else None):
            path = f"{where}/{part.key}"
            parts[path] = part
            items += [Item(f"{path}/{row:06}", label, split) for row, label in enumerate(labels)]
    counts = {path: part.count for path, part in parts.items()}

    def read(path: str) -> Pixels:
        name, row = row_of(path, counts)
        return parts[name].read(row)

    def size(path: str) -> tuple[int, int]:
        part = parts[row_of(path, counts)[0]]
        return part.width, part.height

    return gathered(root, items, read, size)


def _parts(file: Path, given: Split | None) -> Iterator[tuple[Split | None, _Part, list[str]]]:
    """Each split of a file with its images and class names; `given` is that of a file without any."""
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py is not installed: pip install 'goingdeeper[hdf5]'") from None
    with naming(file):
        opened = h5py.File(file, "r", locking="best-effort", rdcc_nbytes=64 << 20)
    arrays = dict(_arrays(opened, file, h5py))
    names = _class_names(arrays, file)
    splits: dict[Split | None, list[str]] = {}
    for key in arrays:
        if _base(key) not in _NAMES:
            splits.setdefault(split_of(key), []).append(key)
    if len(splits) > 1:
        splits.pop(None, None)
    found = False
    for split, keys in splits.items():
        pair = _pair(keys, arrays, file, split)
        if pair:
            found = True
            part = _part(file, pair[0], arrays[pair[0]])
            yield split or given, part, _labels(file, pair[1], arrays[pair[1]], part.count, names)
    if not found:
        raise DataError(f"{file} has no images with labels; {_listed(arrays)}")


def _arrays(opened: Any, file: Path, h5py: Any) -> Iterator[tuple[str, Any]]:
    """The datasets in the file and in its groups; what would read another file is refused."""
    with naming(file):
        groups = [("", opened)]
        for before, group in groups:
            for name in group:
                key = before + name
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise DataError(f"{file}, {key}: a link to another file, which is not followed")
                if not isinstance(link, h5py.HardLink) or printable(key) != key:
                    continue
                found = group[name]
                if isinstance(found, h5py.Group) and not before:
                    groups.append((f"{name}/", found))
                elif isinstance(found, h5py.Dataset) and found.shape is not None:
                    if found.external or found.is_virtual:
                        raise DataError(f"{file}, {key}: its values are in another file, which is not read")
                    yield key, found


def _base(key: str) -> str:
    """A key without what it says of a split: x for train_set_x and X_train."""
    words = re.split(r"[/_\s-]+", key.lower())
    return "_".join(word for word in words if word not in SPLITS and word != "set")


def _pair(keys: list[str], arrays: dict[str, Any], file: Path, split: Split | None) -> tuple[str, str] | None:
    """The keys of images and labels: by name, or by shape where there is one such array."""
    wide = [key for key in keys if arrays[key].ndim in (3, 4)]
    images = [key for key in wide if _base(key) in _IMAGES]
    images = images or [key for key in wide if arrays[key].ndim == 4] or wide
    if not images:
        return None
    if len(images) > 1:
        raise DataError(f"{file}: the images may be {' or '.join(images)}; {_listed(arrays)}")
    count = arrays[images[0]].shape[0]
    named = [key for key in keys if _base(key) in _LABELS and key not in images]
    labels = named or [key for key in keys if arrays[key].ndim in (1, 2) and arrays[key].size == count]
    if len(labels) > 1:
        raise DataError(f"{file}: the labels of {images[0]} may be {' or '.join(labels)}; {_listed(arrays)}")
    if not labels and split == "test":
        return None
    if not labels:
        raise DataError(f"{file}: {images[0]} has no labels; {_listed(arrays)}")
    return images[0], labels[0]


def _listed(arrays: dict[str, Any]) -> str:
    shown = [f"{key} {array.dtype}{list(array.shape)}" for key, array in arrays.items()]
    return f"it holds {', '.join(shown[:12]) or 'no arrays'}{', ...' if len(shown) > 12 else ''}"


def _part(file: Path, key: str, images: Any) -> _Part:
    shape = tuple(int(side) for side in images.shape)
    grey = len(shape) == 3
    planes = not grey and shape[3] not in (1, 3) and shape[1] in (1, 3)
    height, width = shape[2:] if planes else shape[1:3]
    if images.dtype != np.uint8 or not (grey or planes or shape[3] in (1, 3)):
        raise DataError(
            f"{file}, {key}: {images.dtype}{list(shape)} is no array of images; uint8 of (N, H, W, 3), "
            "(N, 3, H, W) or grey (N, H, W) is expected"
        )
    with naming(file, key):
        stored = int(images.id.get_storage_size())
    claimed = math.prod(shape)
    if claimed > _RATIO * stored or height * width > MAX_PIXELS or not height * width:
        raise DataError(
            f"{file}, {key} claims {list(shape)} values, and stores {stored:,} bytes; it is refused"
        )
    return _Part(file, key, images, shape[0], height, width, planes)


def _labels(file: Path, key: str, labels: Any, count: int, names: list[str] | None) -> list[str]:
    if labels.size != count or sum(side != 1 for side in labels.shape) > 1:
        raise DataError(f"{file}, {key}: {list(labels.shape)} labels for {count:,} images")
    values = _values(file, key, labels)
    found = []
    for row, value in enumerate(values):
        if names is not None and isinstance(value, int):
            if not 0 <= value < len(names):
                raise DataError(
                    f"{file}, {key}: label {row} is {value}, where {len(names)} classes are named"
                )
            value = names[value]
        if value == "":
            raise DataError(f"{file}, {key}: label {row} is empty")
        found.append(str(value))
    return found


def _class_names(arrays: dict[str, Any], file: Path) -> list[str] | None:
    for key, array in arrays.items():
        if _base(key) in _NAMES:
            if array.size > 1_000_000 or array.size != max((1, *array.shape)):
                raise DataError(f"{file}, {key}: {list(array.shape)} is no list of class names")
            names = [str(value) for value in _values(file, key, array)]
            if not all(names) or len(set(names)) < len(names):
                raise DataError(f"{file}, {key}: a class without a name, or twice the same")
            return names
    return None


def _values(file: Path, key: str, array: Any) -> list[int] | list[str]:
    """All values of a small array, as numbers or text."""
    with naming(file, key):
        if array.dtype.kind in "iu":
            numbers: list[int] = np.asarray(array[()]).reshape(-1).tolist()
            return numbers
        if array.dtype.kind in "SO":
            texts = np.asarray(array.asstr("utf-8", "strict")[()]).reshape(-1).tolist()
            return [str(text) for text in texts]
    raise DataError(f"{file}, {key}: {array.dtype} values, where class numbers or names are expected")
