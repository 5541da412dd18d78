"""Folders of class folders as people really have them."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from goingdeeper.checks.health import examine
from goingdeeper.data.sources import image_files, open_source
from goingdeeper.errors import DataError


def labels(source) -> dict[str, str]:
    return {item.path: item.label for item in source.items}


def test_a_folder_of_class_folders(picture_folder):
    root = picture_folder({"dog": 2, "cat": 3})
    source = open_source(root)
    assert source.classes == ("cat", "dog")
    assert labels(source) == {f"cat/{n}.png": "cat" for n in range(3)} | {
        f"dog/{n}.png": "dog" for n in range(2)
    }
    assert {item.split for item in source.items} == {None}
    assert (source.name, source.location, source.problems) == ("photos", str(root), ())
    expected = np.asarray(Image.open(root / "dog/1.png"))
    assert np.array_equal(source.read("dog/1.png"), expected)
    assert source.content("dog/1.png") == (root / "dog/1.png").read_bytes()
    assert source.size("dog/1.png") == (8, 8)


def test_the_order_is_that_of_the_names(picture_folder):
    root = picture_folder({"b": 12, "a": 1})
    paths = [item.path for item in open_source(root).items]
    assert paths == sorted(paths)
    assert open_source(f"{root}/").items == open_source(str(root)).items


def test_a_relative_folder_is_found_from_anywhere(picture_folder, monkeypatch, tmp_path):
    root = picture_folder({"a": 1, "b": 1})
    monkeypatch.chdir(tmp_path)
    source = open_source("photos")
    monkeypatch.chdir("/")
    assert open_source(source.location).items == source.items
    assert source.name == root.name


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train", "val"),
        ("train", "valid"),
        ("train", "validation"),
        ("Train", "VAL"),
        ("training", "dev"),
        ("TRAINING", "Validation"),
    ],
)
def test_given_splits_are_kept(picture_folder, train, val):
    root = picture_folder(
        {f"{train}/a": 3, f"{train}/b": 2, f"{val}/a": 1, f"{val}/b": 1, "test/a": 4, "test/c": 4}
    )
    source = open_source(root)
    assert source.classes == ("a", "b")
    assert {(item.path.split("/")[0], item.split) for item in source.items} == {
        (train, "train"),
        (val, "val"),
    }
    assert len(source.items) == 7


def test_test_images_are_never_used(picture_folder):
    assert open_source(picture_folder({"a": 1, "b": 1, "test": 5})).classes == ("a", "b")
    root = picture_folder({"train/a": 2, "train/b": 2, "test/a": 1}, "more")
    source = open_source(root)
    assert len(source.items) == 4
    assert {item.split for item in source.items} == {None}, "a split is still to be drawn"


def test_a_class_may_be_called_test_inside_train(picture_folder):
    assert open_source(picture_folder({"train/exam": 1, "train/test": 1})).classes == ("exam", "test")


def told(source) -> dict[str, str]:
    assert {problem.action for problem in source.problems} <= {"left out"}
    return {problem.path: problem.problem for problem in source.problems}


def test_hidden_files_and_folders_are_ignored_and_counted(picture_folder):
    root = picture_folder({"a": 1, "b": 1, ".cache": 2, "a/.thumbnails": 2, "b/deep/.hidden": 1})
    for name in ("._0.png", ".DS_Store", ".x.jpg"):
        shutil.copy(root / "a/0.png", root / "a" / name)
    (root / "a/notes.txt").write_text("no image")
    (root / "a/Thumbs.db").write_bytes(b"\0")
    source = open_source(root)
    assert labels(source) == {"a/0.png": "a", "b/0.png": "b"}
    # What hidden folders hold is not counted.
    hidden = (".cache", "a/._0.png", "a/.DS_Store", "a/.x.jpg", "a/.thumbnails", "b/deep/.hidden")
    assert told(source) == dict.fromkeys(hidden, "a hidden file or folder") | dict.fromkeys(
        ("a/notes.txt", "a/Thumbs.db"), "a file without an image's suffix"
    )


def test_photographs_that_are_not_read_are_told_on_their_own(picture_folder):
    """They would otherwise be missed by nobody."""
    root = picture_folder({"a": 1, "b": 1, "c": 0})
    photos = ["b/IMG_1.HEIC", "b/IMG_2.avif", "b/deep/IMG_3.CR2", "c/1.heif"]
    for name in (*photos, "a/heic", "a/1.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    problems = {(p.path, p.problem, p.action) for p in open_source(root).problems}
    photo = "a photograph in a format that is not read; save it as JPEG or PNG"
    other = "a file without an image's suffix"
    assert problems == {
        *((name, photo, "left out") for name in photos),
        ("a/heic", other, "left out"), ("a/1.txt", other, "left out"),
        ("c", "a class folder without images", "left out of the classes"),
    }  # fmt: skip
    found = [one for one in examine(root)[0].findings if one.problem == photo]
    assert sorted(one.path for one in found) == sorted(photos)


def test_what_lies_beside_the_class_folders_is_told(picture_folder):
    root = picture_folder({".": 2, "a": 1, "b": 1})
    (root / "README.md").write_text("photos")
    assert told(open_source(root)) == dict.fromkeys(
        ("0.png", "1.png", "README.md"), "a file beside the class folders"
    )
    root = picture_folder(
        {"train": 1, "train/a": 1, "train/b": 1, "val/a": 1, "more/a": 4, "test": 9}, "split"
    )
    source = open_source(root)
    assert told(source) == {
        "train/0.png": "a file beside the class folders", "more": "a folder beside those of the splits",
    }  # fmt: skip
    assert len(source.items) == 3


def test_two_folders_for_one_split(picture_folder):
    root = picture_folder({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1})
    source = open_source(root)
    assert len(source.items) == 3
    assert told(source) == {"valid": "a folder beside those of the splits"}


def test_classes_may_be_called_as_splits_where_there_are_none(picture_folder):
    assert open_source(picture_folder({"dev": 1, "ops": 1, "testing": 1})).classes == (
        "dev",
        "ops",
        "testing",
    )


def sides(source) -> dict[str, set]:
    """Of each split, the labels with the folder that they are in."""
    found: dict[str, set] = {}
    for item in source.items:
        found.setdefault(item.split, set()).add((item.path.rpartition("/")[0], item.label))
    return found


@pytest.mark.parametrize("name", ["val", "valid", "VALIDATION", "dev"])
def test_class_folders_beside_those_of_validation_are_for_training(picture_folder, name):
    root = picture_folder({"cat": 4, "dog": 4, f"{name}/cat": 2, f"{name}/dog": 1})
    source = open_source(root)
    assert source.classes == ("cat", "dog") and source.problems == ()
    assert sides(source) == {
        "train": {("cat", "cat"), ("dog", "dog")},
        "val": {(f"{name}/cat", "cat"), (f"{name}/dog", "dog")},
    }
    picture_folder({f"{name}/cow": 1})
    with pytest.raises(
        DataError, match=f"{name}/cow/0.png: class 'cow' is in validation but not in training"
    ):
        open_source(root)


def test_class_folders_beside_those_of_two_splits(picture_folder):
    root = picture_folder({"cat": 4, "dog": 4, "val/cat": 2, "Testing/dog": 1, "valid/dog": 3})
    source = open_source(root, split="all")
    assert source.classes == ("cat", "dog")
    assert sides(source) == {
        "train": {("cat", "cat"), ("dog", "dog")},
        "val": {("val/cat", "cat")},
        "test": {("Testing/dog", "dog")},
    }
    assert told(source) == {"valid": "a folder beside those of the splits"}


def test_a_folder_of_validation_alone_is_for_scoring(picture_folder):
    root = picture_folder({"val/cat": 4, "val/dog": 4})
    with pytest.raises(DataError, match="photos holds only images for validation, and none to train on"):
        open_source(root)
    assert sides(open_source(root, ("cat", "dog"))) == {"val": {("val/cat", "cat"), ("val/dog", "dog")}}


@pytest.mark.parametrize("name", ["train", "Training", "val", "dev"])
def test_a_flat_folder_beside_class_folders_is_a_class_whatever_its_name(picture_folder, name):
    root = picture_folder({name: 4, "plane": 4, "car": 4, "test": 4})
    source = open_source(root)
    assert sides(source) == {None: {(name, name), ("plane", "plane"), ("car", "car")}}
    (problem,) = source.problems
    assert (problem.path, problem.action) == (name, "taken as a class")


def test_a_class_called_train_with_a_validation_folder(picture_folder):
    root = picture_folder({"train": 4, "car": 4, "val/train": 2, "val/car": 1})
    assert sides(open_source(root)) == {
        "train": {("train", "train"), ("car", "car")},
        "val": {("val/train", "train"), ("val/car", "car")},
    }


@pytest.mark.parametrize("beside", [{}, {"val/a": 3}, {"notes": 0}])
def test_a_flat_training_folder_without_class_folders_beside_it_is_refused(picture_folder, beside):
    with pytest.raises(DataError, match="train holds 4 images, but none in a class folder"):
        open_source(picture_folder({"train": 4, "test": 2} | beside))


def test_the_folder_with_class_folders_is_the_split(picture_folder):
    source = open_source(picture_folder({"train": 4, "training/a": 2, "training/b": 2}))
    assert sides(source) == {None: {("training/a", "a"), ("training/b", "b")}}
    assert told(source) == {"train": "a folder beside those of the splits"}


def test_images_deeper_down_belong_to_their_class_folder(picture_folder):
    root = picture_folder({"a/2020/may": 1, "a/2021": 1, "b": 1})
    assert labels(open_source(root)) == {"a/2020/may/0.png": "a", "a/2021/0.png": "a", "b/0.png": "b"}


@pytest.mark.parametrize(
    "name",
    ["Ünïcode 猫.png", "with space.PNG", "semi;colon,comma.png", "quote'\".png", "new\nline.png", "tab\t.png",
     "#hash%20.png", "x" * 251 + ".png", "-dash.png", "no.dots.in.the.middle.png"],
)  # fmt: skip
def test_odd_names_are_taken_as_they_are(picture_folder, name):
    root = picture_folder({"a": 1, "ключ ☃": 1})
    shutil.move(root / "a/0.png", root / "a" / name)
    source = open_source(root)
    assert labels(source) == {f"a/{name}": "a", "ключ ☃/0.png": "ключ ☃"}
    assert source.read(f"a/{name}").shape == (8, 8, 3)


def test_names_that_are_no_utf_8_are_left_out_and_listed(picture_folder):
    """No report, JSON or CSV could hold them; they are written with their odd bytes escaped."""
    root = picture_folder({"a": 1, "b": 1})
    for place in (b"a/\xff.png", b"caf\xe9/1.png"):
        full = os.path.join(os.fsencode(root), place)  # noqa: PTH118
        os.makedirs(os.path.dirname(full), exist_ok=True)  # noqa: PTH103, PTH120
        shutil.copy(os.fsencode(root / "a/0.png"), full)
    source = open_source(root)
    assert labels(source) == {"a/0.png": "a", "b/0.png": "b"}
    assert [(p.path, p.action) for p in source.problems] == [
        ("a/\\xff.png", "left out"), ("caf\\xe9/1.png", "left out")
    ]  # fmt: skip
    assert all("not UTF-8" in p.problem for p in source.problems)


@pytest.mark.parametrize(
    "suffix", ["JPG", "JPEG", "jpeg", "Png", "GIF", "WEBP", "bmp", "TIF", "tiff", "ppm", "pgm"]
)
def test_suffixes_in_any_case(picture_folder, suffix):
    root = picture_folder({"a": 1, "b": 1})
    shutil.move(root / "a/0.png", root / f"a/0.{suffix}")
    assert f"a/0.{suffix}" in labels(open_source(root))


@pytest.mark.parametrize(
    ("counts", "what"),
    [
        ({}, "photos holds no images; put them into one folder a class, such as .*photos/cat/1.jpg"),
        ({".": 3}, "photos holds 3 images, but none in a class folder"),
        ({"a": 0, "b": 0}, "photos holds no images"),
        ({"a": 5}, "photos holds one class, 'a'; a classifier needs at least two"),
        ({"a": 5, "b": 0}, "photos holds one class, 'a'"),
        ({"train/a": 5}, "photos holds one class, 'a'"),
        ({"train": 2, "val/a": 2}, "train holds 2 images, but none in a class folder"),
        (
            {"train/a": 2, "train/b": 2, "val/a": 1, "val/c": 1},
            "val/c/0.png: class 'c' is in validation but not in training",
        ),
        ({"train/a": 2, "train/b": 2, "val": 0}, "photos/val holds no images; without that folder a split"),
        ({"test/a": 2, "test/b": 2}, "photos holds only test images, which are never trained on"),
    ],
)  # fmt: skip
def test_nothing_to_learn_from_is_said_with_the_remedy(picture_folder, counts, what):
    root = picture_folder(counts)
    with pytest.raises(DataError, match=what):
        open_source(root)


def test_a_missing_folder_or_a_file_in_its_place(tmp_path):
    with pytest.raises(DataError, match=f"there is no file or folder {tmp_path}/no; give a folder"):
        open_source(tmp_path / "no")
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.jpg is one image; `deeper predict` names it"):
        open_source(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg/b cannot be opened: Not a directory"):
        open_source(tmp_path / "a.jpg" / "b")


@pytest.mark.parametrize("name", ["x" * 300, "nul\0"])
def test_a_name_that_no_folder_can_have(tmp_path, name):
    with pytest.raises(DataError, match="cannot be opened: "):
        open_source(tmp_path / name)


def test_a_link_that_leads_nowhere_or_to_itself(tmp_path):
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"there is no file or folder .*gone; give"):
        open_source(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match="loop cannot be opened: "):
        open_source(tmp_path / "loop")


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_around_is_no_class(picture_folder, target):
    """Followed, all images would come again under its name."""
    root = picture_folder({"a": 2, "b": 1})
    (root / "c").symlink_to(target, target_is_directory=True)
    source = open_source(root)
    assert source.classes == ("a", "b")
    assert len(source.items) == 3
    assert [(p.path, p.action) for p in source.problems] == [("c", "left out")]
    assert "a link to a folder around it" in source.problems[0].problem


def test_links_deeper_down_end(picture_folder):
    root = picture_folder({"a": 2, "b": 1})
    (root / "a/again").symlink_to("..", target_is_directory=True)
    (root / "a/x").symlink_to("y")
    (root / "a/y").symlink_to("x")
    source = open_source(root)
    assert len(source.items) == 3
    assert told(source) == {
        "a/again": "a link to a folder, below a class folder",
        "a/x": "a file without an image's suffix",
        "a/y": "a file without an image's suffix",
    }  # fmt: skip


def test_a_loop_of_links_among_the_class_folders(picture_folder):
    root = picture_folder({"a": 1, "b": 1})
    (root / "x").symlink_to("y")
    (root / "y").symlink_to("x")
    assert told(open_source(root)) == dict.fromkeys(("x", "y"), "a file beside the class folders")


def test_a_class_folder_may_be_a_link_elsewhere(picture_folder):
    root = picture_folder({"a": 2})
    (root / "b").symlink_to(picture_folder({"stored": 3}, "elsewhere") / "stored", target_is_directory=True)
    assert open_source(root).classes == ("a", "b")


def test_an_empty_class_folder_is_reported_and_shifts_no_label(picture_folder):
    source = open_source(picture_folder({"a": 1, "b": 0, "c": 1}))
    assert source.classes == ("a", "c")
    assert labels(source) == {"a/0.png": "a", "c/0.png": "c"}
    assert [(p.path, p.problem, p.action) for p in source.problems] == [
        ("b", "a class folder without images", "left out of the classes")
    ]
    source = open_source(
        picture_folder({"train/a": 1, "train/b": 0, "train/c": 1, "val/a": 1, "val/c": 0}, "split")
    )
    assert source.classes == ("a", "c")
    assert [p.path for p in source.problems] == ["train/b"]


def test_a_folder_that_cannot_be_opened_is_named(picture_folder, monkeypatch):
    root = picture_folder({"a": 1, "b/locked": 1})
    opened = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match="b/locked cannot be opened: Permission denied"):
        open_source(root)


@pytest.mark.parametrize(
    ("names", "oriented"),
    [
        (("0", "1", "10"), True),
        (("a", "b"), True),
        (("7", "x"), True),
        (("cat", "dog"), False),
        (("3", "cat"), False),
    ],
)
def test_glyphs_are_not_to_be_mirrored(picture_folder, names, oriented):
    source = open_source(picture_folder(dict.fromkeys(names, 1)))
    assert source.oriented is oriented
    assert set(source.classes) == set(names)


def test_numeric_classes_are_matched_by_name(picture_folder):
    root = picture_folder({str(n): 1 for n in (0, 1, 2, 10, 11)})
    source = open_source(root)
    assert all(item.path.split("/")[0] == item.label for item in source.items)
    assert set(source.classes) == {"0", "1", "2", "10", "11"}


def test_a_trained_model_s_classes_keep_their_order(picture_folder):
    root = picture_folder({"a": 1, "c": 1})
    assert open_source(root, ("c", "b", "a")).classes == ("c", "b", "a")
    with pytest.raises(DataError, match=r"photos/c/0\.png: the model has no class 'c'; it knows a, b$"):
        open_source(root, ("a", "b"))
    many = tuple(f"k{n}" for n in range(20))
    with pytest.raises(DataError, match=r"it knows k0, .*k11, \.\.\.$"):
        open_source(root, many)


def test_a_trained_model_may_be_scored_on_one_class(picture_folder):
    root = picture_folder({"a": 2})
    assert len(open_source(root, ("a", "b")).items) == 2


def test_the_embedded_digits():
    """1,797 of them, 174 to 183 a class; scikit-learn's description of the set."""
    source = open_source("digits")
    assert len(source.items) == 1797
    assert source.classes == tuple("0123456789")
    assert source.oriented
    counts = [sum(item.label == name for item in source.items) for name in source.classes]
    assert counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    first = source.read(source.items[0].path)
    assert (first.shape, first.dtype) == ((8, 8, 3), np.uint8)
    # The first row of the set's first image, a zero: 0 0 5 13 9 1 0 0 of 16.
    assert first[0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert source.size(source.items[0].path) == (8, 8)
    contents = {source.read(item.path).tobytes() for item in source.items}
    assert len(contents) > 1790


@pytest.mark.parametrize("word", ["digits", "shapes"])
def test_a_folder_called_as_an_embedded_source_comes_before_it(picture_folder, monkeypatch, tmp_path, word):
    picture_folder({"a": 1, "b": 1}, word)
    monkeypatch.chdir(tmp_path)
    assert open_source(word).classes == ("a", "b")


def test_image_files_of_a_folder_alone_or_deep(picture_folder):
    root = picture_folder({".": 2, "a": 1, ".b": 1})
    assert [file.name for file in image_files(root)] == ["0.png", "1.png"]
    assert len(image_files(root, deep=True)) == 3


def test_run_folders_among_the_images_are_no_classes(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), "red").save(tmp_path / name / "1.png")
    for place in ("run", "runs/2026-01-01_a"):
        (tmp_path / place / "model").mkdir(parents=True)
        (tmp_path / place / "run.json").write_text("{}")
        Image.new("RGB", (8, 8), "red").save(tmp_path / place / "model" / "golden.png")
    assert open_source(tmp_path).classes == ("cat", "dog")
