"""Which images a run learned from, by names of its own and of a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from goingdeeper.data.sources import Item, Source
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.sides import sides_by_name, sides_of


@pytest.fixture
def run(tmp_path):
    """Trained on a folder with the folder `photos` in it."""
    folder = RunFolder(tmp_path / "run")
    (tmp_path / "images/photos").mkdir(parents=True)
    folder.path.mkdir()
    folder.write_run({"schema": 1, "data": {"location": str(tmp_path / "images")}})
    rows = [
        ("photos/cat/1.png", "cat", "train"),
        ("photos/dog/1.png", "dog", "val"),
        ("1.png", "cat", "test"),
    ]
    folder.write_rows("split.csv", ("path", "class", "split"), rows)
    return folder


def source(place: Path, *paths: str) -> Source:
    items = tuple(Item(path, "cat") for path in paths)
    return Source(
        place.name, str(place), ("cat", "dog"), items, bytes, lambda path: None, lambda path: None, False
    )


def test_by_where_they_are(run, tmp_path):
    inner = source(tmp_path / "images/photos", "cat/1.png", "dog/1.png", "cow/1.png", "../1.png")
    assert sides_of(run, inner) == {"cat/1.png": "train", "dog/1.png": "val", "../1.png": "test"}
    assert sides_of(run, source(tmp_path / "images", "photos/cat/1.png", "cat/1.png")) == {
        "photos/cat/1.png": "train"
    }


def test_the_same_names_elsewhere_are_other_images(run, tmp_path):
    (tmp_path / "others").mkdir()
    assert sides_of(run, source(tmp_path / "others", "photos/cat/1.png", "1.png")) == {}


def test_by_name_in_a_copy(run, tmp_path):
    """Of the same class; without the folder of a split, too, where what was trained on comes first."""
    folder = RunFolder(run.path)
    rows = [
        ("train/cat/1.png", "cat", "train"), ("val/cat/1.png", "cat", "val"),
        ("val/cat/2.png", "cat", "val"), ("dog/3.png", "dog", "train"),
    ]  # fmt: skip
    folder.write_rows("split.csv", ("path", "class", "split"), rows)
    copy = source(
        tmp_path / "copy", "train/cat/1.png", "val/cat/1.png", "cat/1.png", "cat/2.png", "dog/3.png"
    )
    assert sides_by_name(run, copy) == {
        "train/cat/1.png": "train", "val/cat/1.png": "val", "cat/1.png": "train", "cat/2.png": "val",
    }  # fmt: skip
