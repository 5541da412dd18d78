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
from goingdeeper.data.split import turns
from goingdeeper.deploy.calibration import samples
from goingdeeper.errors import DataError, UsageError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model


def items(counts):
    return [Item(f"{label}/{n:03}", label) for label, count in counts.items() for n in range(count)]


def test_by_turns_one_of_each_class():
    found = turns(items({"a": 100, "b": 50, "c": 3}), 23, seed=0)
    assert Counter(item.label for item in found) == {"a": 10, "b": 10, "c": 3}
    assert len({item.path for item in found}) == 23
    assert len(turns(items({"a": 5, "b": 2}), 300, seed=0)) == 7


def test_the_choice_is_the_seeds_and_not_the_orders():
    all_of_them = items({"a": 40, "b": 30})
    assert turns(all_of_them, 20, 1) == turns(all_of_them[::-1], 20, 1)
    assert {*turns(all_of_them, 20, 1)} != {*turns(all_of_them, 20, 2)}
    assert [item.path for item in turns(items({"a": 40}), 10, 1)] != [f"a/{n:03}" for n in range(10)]


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
    with pytest.raises(DataError, match="1 of 24 images cannot be read") as refused:
        samples(model(tmp_path), str(place))
    assert "bad_share" not in str(refused.value) and "--out FOLDER` lists them)" in str(refused.value)
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


def test_a_place_that_a_run_was_trained_on_is_divided_as_it_was(learned):
    """By split.csv, which no seed draws again."""
    seen = samples(load_model(learned), "digits", 5000)
    sides = {row["path"]: row["split"] for row in RunFolder(learned).split()}
    assert len(seen.validation) == [*sides.values()].count("val")
    assert {sides[item.path] for item in seen.validation} == {"val"}
    assert len(seen.calibration) == [*sides.values()].count("train")


def run_of(path, place, rows, **wishes):
    """A run folder as far as it says what was learned."""
    folder = RunFolder(path)
    folder.write_run({"schema": 1, "seed": 7, "wishes": wishes, "data": {"location": str(place)}})
    folder.write_rows("split.csv", ("path", "class", "split"), rows)


def test_another_place_is_divided_by_the_seed_of_splits(tmp_path, picture_folder):
    """And not by the run's own, which is 7 here: as where there is no run."""
    place = picture_folder({"cat": 20, "dog": 30})
    without = samples(model(tmp_path), str(place)).validation
    run_of(tmp_path, tmp_path, [("elsewhere/0.png", "cat", "train")], split_seed=0)
    assert samples(model(tmp_path), str(place)).validation == without
    run_of(tmp_path, tmp_path, [("elsewhere/0.png", "cat", "train")], split_seed=1)
    assert samples(model(tmp_path), str(place)).validation != without


def test_what_was_trained_on_is_never_judged_on(tmp_path, picture_folder):
    """Whatever side the place gives it; told also where the run's location is a folder further up."""
    place = picture_folder({"train/cat": 9, "train/dog": 8, "val/cat": 3, "val/dog": 4})
    rows = [(f"photos/val/cat/{n}.png", "cat", "train") for n in range(3)]
    run_of(tmp_path, tmp_path, rows)
    assert {item.label for item in samples(model(tmp_path), str(place)).validation} == {"dog"}
    run_of(tmp_path, tmp_path, [*rows, *((f"photos/val/dog/{n}.png", "dog", "train") for n in range(4))])
    with pytest.raises(DataError, match="photos has no validation images that can be read and were not tra"):
        samples(model(tmp_path), str(place))


def test_a_copy_of_what_was_trained_on_has_the_runs_sides(tmp_path, picture_folder):
    """By path and class, where the place is another; new images are drawn, but no copies under a new name."""
    place = picture_folder({"cat": 20, "dog": 30})
    rows = [(f"cat/{n}.png", "cat", "train" if n < 18 else "val") for n in range(20)]
    rows += [(f"dog/{n}.png", "dog", "train" if n < 27 else "val") for n in range(30)]
    run_of(tmp_path, place, rows)
    copy = tmp_path / "copy"
    shutil.copytree(place, copy)
    for gone in ("cat/0.png", "dog/29.png"):
        (copy / gone).unlink()
    held_out = ["cat/18.png", "cat/19.png", "dog/27.png", "dog/28.png"]
    seen = samples(model(tmp_path), str(copy))
    assert [item.path for item in seen.validation] == held_out and len(seen.calibration) == 44
    assert seen.rule == "copy: 48 of 48 images are called like the run's and have its sides"

    shutil.copy(copy / "dog/1.png", copy / "dog/again.png")
    (copy / "cat/18.png").rename(copy / "cat/renamed.png")
    for n in range(10):
        Image.fromarray(np.full((8, 8, 3), n, np.uint8)).save(copy / f"cat/new{n}.png")
    seen = samples(model(tmp_path), str(copy))
    fresh = [item.path for item in seen.validation if item.path not in held_out]
    assert len(fresh) == 2 and all("/new" in path for path in fresh)
    assert seen.rule == (
        "copy: sides drawn anew of 11 images, stratified, seed 0; 47 of 59 images are called like the run's "
        "and have its sides"
    )


def test_a_place_without_a_run_says_that_sides_were_drawn(tmp_path, picture_folder):
    place = picture_folder({"cat": 20, "dog": 30})
    assert samples(model(tmp_path), str(place)).rule == (
        "photos: sides drawn anew of 50 images, stratified, seed 0"
    )
    place = picture_folder({"train/cat": 9, "train/dog": 8, "val/cat": 3, "val/dog": 4}, "sided")
    assert samples(model(tmp_path), str(place)).rule == ""


def test_images_that_cannot_be_read_do_not_count(tmp_path, picture_folder):
    """Of over a hundred images one may be unreadable: the only one to judge on, or the tenth other."""
    place = picture_folder({"train/cat": 60, "train/dog": 60, "val/cat": 1})
    (place / "val/cat/0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="photos has no validation images that can be read"):
        samples(model(tmp_path), str(place), 200)
    place = picture_folder({"train/cat": 5, "train/dog": 5, "val/cat": 60, "val/dog": 60}, "others")
    (place / "train/cat/0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="others has 9 training images to calibrate on; at least 10 are need"):
        samples(model(tmp_path), str(place))


def test_images_that_are_gone_are_named_with_the_remedy_here(tmp_path, picture_folder):
    place = picture_folder({"cat": 20, "dog": 20})
    run_of(tmp_path, tmp_path / "gone", [("cat/0.png", "cat", "val")])
    with pytest.raises(DataError, match=r"no longer at .*/gone; name others with --images PLACE"):
        samples(model(tmp_path))
    assert samples(model(tmp_path), str(place)).validation


def test_too_few_and_none(tmp_path, picture_folder, learned):
    place = str(picture_folder({"train/cat": 4, "train/dog": 5, "val/cat": 3, "val/dog": 4}))
    with pytest.raises(DataError, match=f"{place} has 9 training images to calibrate on; at least 10 are"):
        samples(model(tmp_path), place)
    with pytest.raises(UsageError, match="9 images to calibrate on are too few; at least 10 are needed"):
        samples(model(tmp_path), place, 9)
    shutil.copytree(learned / "model", tmp_path / "alone")
    with pytest.raises(UsageError, match=r"alone has no images of its own .* name some with --images PLACE"):
        samples(load_model(tmp_path / "alone"))
