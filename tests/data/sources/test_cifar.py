"""CIFAR's folders with what may be wrong in them; that they are read right is in test_alike.py."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError

PIXELS = np.zeros((2, 3072), np.uint8)


def test_the_planes_of_a_record_are_red_green_and_blue_row_by_row(written):
    """The first 1,024 bytes are red, of those the first 32 the top row: cs.toronto.edu/~kriz/cifar.html."""
    location = written("cifar-100 binary")
    record = np.zeros(3072, np.uint8)
    record[5], record[1024 + 32], record[2048 + 1023] = 11, 22, 33
    (location / "train.bin").write_bytes(bytes([7, 1]) + record.tobytes() + bytes([7, 2]) + bytes(3072))
    source = open_source(location)
    assert [item.label for item in source.items] == ["bird", "cat"]
    pixels = source.read("train.bin/00000")
    assert {tuple(place): int(pixels[tuple(place)]) for place in np.argwhere(pixels)} == {
        (0, 5, 0): 11, (1, 0, 1): 22, (31, 31, 2): 33,
    }  # fmt: skip


def test_a_batch_that_is_not_there_is_told(written):
    location = written("cifar-10 binary")
    (location / "data_batch_4.bin").unlink()
    source = open_source(location)
    assert len(source.items) == 24
    assert [(p.path, p.action) for p in source.problems] == [("data_batch_4.bin", "left out")]


def test_images_that_are_not_there(written, kind):
    source = open_source(written(kind))
    for path in ("data_batch_1/99999", "train.bin/-1", "train", "data_batch_1/../batches.meta", "x/00001"):
        with pytest.raises(DataError, match=re.escape(path)):
            source.read(path)


def pickled(value):
    return pickle.dumps(value, protocol=2)


@pytest.mark.parametrize(
    ("kind", "name", "data", "what"),
    [
        ("cifar-10", "batches.meta", None, "batches.meta is missing; it names the classes"),
        ("cifar-10", "batches.meta", pickled({}), "batches.meta does not name the classes"),
        ("cifar-10", "batches.meta", pickled({"label_names": ["a", "a"]}), "batches.meta does not name"),
        ("cifar-10", "batches.meta", pickled({"label_names": [1, 2]}), "batches.meta does not name"),
        ("cifar-10", "data_batch_2", pickled([1]), "data_batch_2 holds no dict as CIFAR's batches do"),
        ("cifar-10", "data_batch_2", pickled({"data": PIXELS}), "data_batch_2: 'labels' is no list of class"),
        ("cifar-10", "data_batch_2", pickled({"labels": [0, 1]}), "data_batch_2: 'data' is no array"),
        ("cifar-10", "data_batch_2", pickled({"labels": [0], "data": PIXELS}), "1 labels for 2 images"),
        ("cifar-10", "data_batch_2", pickled({"labels": [0, 1], "data": PIXELS[:, 1:]}), "no array of uint8"),
        ("cifar-10", "data_batch_2", pickled({"labels": [0, "1"], "data": PIXELS}), "'labels' is no"),
        ("cifar-10", "data_batch_2", pickled({"labels": [0, 3], "data": PIXELS}),
         "data_batch_2, image 1: batches.meta has no name for its class number"),
        ("cifar-10", "data_batch_2", pickled({"labels": [0, -1], "data": PIXELS}), "data_batch_2, image 1: "),
        ("cifar-10", "data_batch_2", pickled({"labels": [0, 10**5000], "data": PIXELS}),
         "data_batch_2, image 1: "),
        ("cifar-10", "data_batch_2", b"", "data_batch_2 is damaged at byte 0 ("),
        ("cifar-10", "data_batch_2", pickled({"data": PIXELS})[:-40], "data_batch_2 is damaged at byte "),
        ("cifar-100", "meta", b"\x80\x02}.", "meta does not name the classes"),
        ("cifar-10 binary", "batches.meta.txt", b"\xff", "batches.meta.txt is not UTF-8"),
        ("cifar-10 binary", "batches.meta.txt", b"cat\n", "batches.meta.txt does not name the classes"),
        ("cifar-10 binary", "data_batch_5.bin", bytes(3073 * 2 - 1),
         "data_batch_5.bin has 6,145 bytes, no whole number of records of 3,073; it is truncated"),
        ("cifar-10 binary", "data_batch_5.bin", b"", "data_batch_5.bin has 0 bytes"),
        ("cifar-10 binary", "data_batch_5.bin", bytes([9]) + bytes(3072), "data_batch_5.bin, image 0: "),
        ("cifar-100 binary", "train.bin", bytes(3073),
         "train.bin has 3,073 bytes, no whole number of records of 3,074"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(written, kind, name, data, what):
    location = written(kind)
    if data is None:
        (location / name).unlink()
    else:
        (location / name).write_bytes(data)
    with pytest.raises(DataError, match=re.escape(what)) as problem:
        open_source(location)
    assert str(location) in str(problem.value)
    assert len(str(problem.value)) < 400
