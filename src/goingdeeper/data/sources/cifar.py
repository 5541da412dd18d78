"""CIFAR-10 and CIFAR-100 as they are published (Krizhevsky 2009): Python's pickles, or the binary version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.decode import Pixels, content
from goingdeeper.data.sources.pickles import load
from goingdeeper.data.sources.problems import Problem
from goingdeeper.data.sources.source import Item, Source, Split, gathered, row_of
from goingdeeper.errors import DataError

SIDE = 32
_BYTES = 3 * SIDE * SIDE


@dataclass(frozen=True)
class _Form:
    """One of the four forms: the names of its files, how their labels and class names are found."""

    train: str
    test: str
    meta: str
    labels: str = ""
    names: str = ""
    label_bytes: int = 0


_FORMS = (
    _Form(r"data_batch_\d+", "test_batch", "batches.meta", "labels", "label_names"),
    _Form("train", "test", "meta", "fine_labels", "fine_label_names"),
    _Form(r"data_batch_\d+\.bin", "test_batch.bin", "batches.meta.txt", label_bytes=1),
    _Form(r"train\.bin", "test.bin", "fine_label_names.txt", label_bytes=2),
)


@dataclass(frozen=True)
class _Batch:
    """labels: (N,) class numbers. pixels: (N, 3072), red, green and blue planes."""

    labels: Sequence[int]
    pixels: NDArray[np.uint8]


def is_at(folder: Path) -> bool:
    """Whether the folder holds CIFAR's batches."""
    return _form(folder) is not None


def open_at(folder: Path) -> Source:
    """The images of CIFAR's batches; those of the test batch have the split "test".

    Raises DataError, naming file and place, for damaged files, and pickles that hold anything but data.
    """
    form = _form(folder)
    assert form is not None
    meta = folder / form.meta
    if not meta.is_file():
        raise DataError(f"{meta} is missing; it names the classes")
    names = _names(meta, form)
    batches: dict[str, _Batch] = {}
    items: list[Item] = []
    for name in sorted(file.name for file in folder.iterdir()):
        split: Split | None = "test" if name == form.test else None
        if split or re.fullmatch(form.train, name):
            file = folder / name
            batch = _binary(file, form.label_bytes) if form.label_bytes else _pickled(file, form.labels)
            for row, label in enumerate(batch.labels):
                if not 0 <= label < len(names):
                    raise DataError(f"{file}, image {row}: {meta.name} has no name for its class number")
            batches[name] = batch
            items += [Item(f"{name}/{row:05}", names[label], split) for row, label in enumerate(batch.labels)]
    counts = {name: len(batch.labels) for name, batch in batches.items()}

    def read(path: str) -> Pixels:
        name, row = row_of(path, counts)
        return np.ascontiguousarray(batches[name].pixels[row].reshape(3, SIDE, SIDE).transpose(1, 2, 0))

    return gathered(folder, items, read, size=lambda path: (SIDE, SIDE), problems=_missing(form, counts))


def _form(folder: Path) -> _Form | None:
    for form in _FORMS:
        trains = form.train.replace(r"\d+", "*").replace("\\", "")
        files = any(re.fullmatch(form.train, file.name) and file.is_file() for file in folder.glob(trains))
        if files and (form.label_bytes or form.train != "train" or (folder / form.meta).is_file()):
            return form
    return None


def _missing(form: _Form, counts: dict[str, int]) -> list[Problem]:
    """CIFAR-10 has five training batches."""
    wanted = [form.train.replace(r"\d+", str(number)).replace("\\", "") for number in range(1, 6)]
    if r"\d" not in form.train:
        return []
    return [
        Problem(name, "one of CIFAR-10's five training batches is not there", "left out")
        for name in wanted
        if name not in counts
    ]


def _names(meta: Path, form: _Form) -> list[str]:
    if form.label_bytes:
        try:
            names: Any = content(meta).decode().split()
        except UnicodeDecodeError:
            raise DataError(f"{meta} is not UTF-8") from None
    else:
        names = load(meta).get(form.names)
        if isinstance(names, list):
            names = [name.decode("latin-1") if isinstance(name, bytes) else name for name in names]
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) and name for name in names)
        or len(set(names)) < max(2, len(names))
    ):
        raise DataError(f"{meta} does not name the classes, each once")
    return names


def _binary(file: Path, label_bytes: int) -> _Batch:
    """Records of label bytes (CIFAR-100: coarse, fine) and pixels."""
    data = np.frombuffer(content(file), np.uint8)
    width = label_bytes + _BYTES
    if not len(data) or len(data) % width:
        raise DataError(
            f"{file} has {len(data):,} bytes, no whole number of records of {width:,}; it is truncated"
        )
    records = data.reshape(-1, width)
    return _Batch(records[:, label_bytes - 1].tolist(), records[:, label_bytes:])


def _pickled(file: Path, key: str) -> _Batch:
    found = load(file)
    labels, pixels = found.get(key), found.get("data")
    if isinstance(labels, np.ndarray):
        labels = labels.tolist()
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{file}: '{key}' is no list of class numbers")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _BYTES:
        raise DataError(f"{file}: 'data' is no array of uint8, (images, {_BYTES})")
    if len(labels) != len(pixels):
        raise DataError(f"{file}: {len(labels)} labels for {len(pixels)} images")
    return _Batch(labels, pixels)
