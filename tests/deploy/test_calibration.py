"""Which images a model is calibrated and judged on."""

from __future__ import annotations

import shutil
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.data.sources import Item
from goingdeeper.deploy.calibration import chosen, samples
from goingdeeper.errors import DataError, UsageError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model


def items(counts):
    return [Item(f"{label}/{n:03}", label) for label, count in counts.items() for n in range(count)]


def test_by_turns_one_of_each_class():
    found = chosen(items({"a": 100, "b": 50, "c": 3}), 23, seed=0)
    assert Counter(item.label for item in found) == {"a": 10, "b": 10, "c": 3}
    assert len({item.path for item in found}) == 23
    assert len(chosen(items({"a": 5, "b": 2}), 300, seed=0)) == 7


def test_the_choice_is_the_seeds_and_not_the_orders():
    all_of_them = items({"a": 40, "b": 30})
    assert chosen(all_of_them, 20, 1) == chosen(all_of_them[::-1], 20, 1)
    assert {*chosen(all_of_them, 20, 1)} != {*chosen(all_of_them, 20, 2)}
    assert [item.path for item in chosen(items({"a": 40}), 10, 1)] != [f"a/{n:03}" for n in range(10)]


def model(path, classes=("cat", "dog")):
    """As far as images go."""
    return SimpleNamespace(path=path / "model", classes=classes, preprocessing=Preprocessing(8, shorter=10))


def test_never_an_image_for_validation(learned):
    """All training images are taken where more are asked for; the others are judged on."""
    run = RunFolder(learned)
    seen = samples(load_model(learned), count=5000)
    sides = Counter(row["split"] for row in run.split())
    assert (
        len(seen.calibration) == sides["train"] == seen.facts["images"] and len(seen.labels) == sides["val"]
    )
    assert seen.facts["choice"] == "by turns one of each class, seed 5, all"
    assert {item.path for item in seen.validation} == {
        row["path"] for row in run.split() if row["split"] == "val"
    }
    assert sum(len(part) for part in seen.batches()) == sides["val"]


def test_a_place_with_sides(tmp_path, picture_folder):
    place = picture_folder({"train/cat": 9, "train/dog": 8, "val/cat": 3, "val/dog": 4})
    (place / "train/cat/0.png").write_bytes(b"no image")
    wide = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    Image.fromarray(wide).save(place / "val/dog/0.png")
    with pytest.raises(DataError, match="1 of 24 images cannot be read"):
        samples(model(tmp_path), str(place))
    Image.fromarray(wide).save(place / "train/cat/0.png")
    seen = samples(model(tmp_path), str(place), 16)
    assert seen.facts == {
        "images": 16, "from": "the training side of photos", "choice": "by turns one of each class, seed 0",
    }  # fmt: skip
    assert [item.path for item in seen.validation] == [
        *(f"val/cat/{n}.png" for n in range(3)), *(f"val/dog/{n}.png" for n in range(4)),
    ]  # fmt: skip
    assert seen.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    (pixels,) = seen.batches()
    assert pixels.shape == (7, 8, 8, 3) and np.array_equal(pixels[3], wide[1:9, 1:9])


def test_a_place_without_sides_is_divided_as_in_training(tmp_path, picture_folder):
    seen = samples(model(tmp_path), str(picture_folder({"cat": 20, "dog": 30})))
    assert len(seen.calibration) == 40 and Counter(seen.labels.tolist()) == {0: 4, 1: 6}


def test_too_few_and_none(tmp_path, picture_folder, learned):
    place = str(picture_folder({"train/cat": 4, "train/dog": 5, "val/cat": 3, "val/dog": 4}))
    with pytest.raises(DataError, match=f"{place} has 9 training images to calibrate on; at least 10 are"):
        samples(model(tmp_path), place)
    with pytest.raises(UsageError, match="9 images to calibrate on are too few; at least 10 are needed"):
        samples(model(tmp_path), place, 9)
    shutil.copytree(learned / "model", tmp_path / "alone")
    with pytest.raises(UsageError, match=r"alone has no images of its own .* name some with --images PLACE"):
        samples(load_model(tmp_path / "alone"))
