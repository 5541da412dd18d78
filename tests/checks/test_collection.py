"""What a check reads, and what it passes over."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from goingdeeper.checks.collection import collect
from goingdeeper.errors import DataError


def test_training_validation_and_test_are_read_under_their_paths(flawed):
    found = collect(flawed)
    files = {
        file.relative_to(flawed).as_posix()
        for file in flawed.glob("*/*/*.*")
        if file.suffix.lower() in (".png", ".jpg", ".gif") and not file.name.startswith(".")
    }
    assert {item.path for item in found.source.items} == files
    assert {path: path.split("/")[0] for path in files} == found.splits
    assert {item.label for item in found.source.items} == {"cat", "dog", "owl", "elk"}
    for path in ("test/dog/1.png", "val/dog/1.png"):
        assert np.array_equal(found.source.read(path), np.asarray(Image.open(flawed / path)))
        assert found.source.content is not None
        assert found.source.content(path) == (flawed / path).read_bytes()


def test_other_files_are_listed(flawed):
    assert {p.path: p.problem for p in collect(flawed).passed_over} == {
        ".cache": "a hidden folder",
        "loose.png": "an image outside of the class folders",
        "train/cat/.hidden.png": "a hidden file",
        "train/cat/notes.txt": "not named as an image",
    }


def test_class_folders_alone_are_all_of_training(picture_folder):
    root = picture_folder({"cat": 2, "dog": 2})
    found = collect(root)
    assert set(found.splits.values()) == {"train"}
    assert found.passed_over == () and found.problems == ()
    assert collect("digits").splits["digits/0000"] == "train"


def test_images_of_a_test_folder_without_classes_are_listed(picture_folder):
    root = picture_folder({"cat": 2, "dog": 2, "test": 3})
    found = collect(root)
    assert len(found.source.items) == 4
    listed = {problem.path: problem.problem for problem in found.passed_over}
    assert listed == dict.fromkeys(
        ("test/0.png", "test/1.png", "test/2.png"), "an image outside of the class folders"
    )


def test_a_folder_of_runs_is_passed_over_as_one(picture_folder):
    root = picture_folder({"cat": 2, "dog": 2})
    (root / "runs/first").mkdir(parents=True)
    (root / "runs/first/run.json").write_text("{}")
    (root / "runs/first/report.html").write_text("")
    assert [(p.path, p.problem) for p in collect(root).passed_over] == [("runs/first", "a run folder")]


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        collect(tmp_path)
