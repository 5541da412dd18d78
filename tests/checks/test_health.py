"""What is found in a collection with one of each flaw, and in sound ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from goingdeeper.checks.health import examine
from goingdeeper.data.exclude import read_exclude_list


@pytest.fixture(scope="module")
def examined(flawed):
    return examine(flawed)


@pytest.fixture(scope="module")
def health(examined):
    return examined[0]


EXPECTED = {
    ("unreadable", "train/cat/cut.png", "exclude it", None),
    ("unreadable", "test/cat/page.jpg", "look at it", None),
    ("copy", "train/cat/again.png", "exclude it", "train/cat/1.png"),
    ("split", "train/cat/held.png", "exclude it", "val/cat/0.png"),
    ("split", "val/dog/tested.png", "exclude it", "test/dog/0.png"),
    ("label", "train/cat/2.png", "exclude it", "train/dog/cat2.png"),
    ("label", "train/dog/cat2.png", "exclude it", "train/cat/2.png"),
    ("alike", "train/dog/near3.jpg", "kept", "train/dog/3.png"),
    ("alike", "train/dog/nearval.jpg", "exclude it", "val/dog/1.png"),
    ("alike", "train/dog/near5.jpg", "look at it", "train/cat/5.png"),
    ("empty", "train/dog/red.png", "exclude it", None),
    ("size", "train/dog/large.png", "kept", None),
    ("extension", "train/cat/jpeg.PNG", "kept", None),
    ("animated", "train/cat/film.gif", "kept", None),
    ("classes", "owl", "look at it", None),
    ("classes", "owl", "kept", None),
    ("classes", "elk", "look at it", None),
    ("source", "loose.png", "left out", None),
}


def test_each_flaw_is_found_and_nothing_else(health):
    found = Counter((f.kind, f.path, f.action, f.other) for f in health.findings)
    expected = Counter(EXPECTED)
    expected["classes", "owl", "kept", None] = 2  # neither in val nor in test
    assert found == expected


def test_findings_are_told_in_words(health):
    said = {(f.kind, f.path): f.problem for f in health.findings}
    assert said["copy", "train/cat/again.png"] == "the same image as train/cat/1.png"
    assert said["split", "train/cat/held.png"] == "the same image as val/cat/0.png, of val"
    assert said["label", "train/cat/2.png"] == "the same image as train/dog/cat2.png, of class 'dog'"
    assert said["alike", "train/dog/near5.jpg"] == "nearly the same image as train/cat/5.png, of class 'cat'"
    assert said["size", "train/dog/large.png"] == "400x400 pixels, where 40x40 is usual"
    assert said["extension", "train/cat/jpeg.PNG"] == "named .png, but it is JPEG"
    assert said["empty", "train/dog/red.png"] == "almost one colour (standard deviation 0.0 of 255)"
    assert said["classes", "elk"] == "is in test, but not in training"


def test_the_numbers(health, flawed):
    pngs = sum(1 for file in flawed.glob("*/*/*.png") if not file.name.startswith("."))
    assert (
        health.images
        == sum(health.classes.values())
        == sum(map(sum, map(dict.values, health.splits.values())))
    )
    assert health.splits["test"] == {"cat": 4, "dog": 2, "elk": 1}
    assert health.splits["val"] == {"cat": 3, "dog": 4}
    assert health.splits["train"]["owl"] == 1
    assert health.formats == {"PNG": pngs - 1, "JPEG": 6, "GIF": 1}
    assert health.modes["CMYK"] == health.modes["grey"] == health.modes["16-bit grey"] == 1
    assert health.modes["RGB with alpha"] == 1
    assert health.orientations == {"1": health.images - 3, "6": 1}
    assert health.sizes == {"smallest": (40, 40), "median": (40, 40), "largest": (400, 400)}
    assert 0 < health.decode_seconds < 60


def test_the_document_has_what_programs_read(health):
    document = health.document()
    assert document["images"] == health.images and document["classes"] == health.classes
    assert len(document["problems"]) == len(health.findings) == sum(document["kinds"].values())
    assert all(p.keys() >= {"path", "problem", "action"} for p in document["problems"])
    assert {p["path"] for p in document["left_out"]} >= {".cache", "train/cat/notes.txt"}
    assert document["decode"].keys() == {"seconds_an_epoch", "processors"}
    assert "suspects" not in document


def test_the_list_names_what_is_best_left_out(health, tmp_path):
    (tmp_path / "list").write_text(health.exclude_list())
    expected = {path for _, path, action, _ in EXPECTED if action == "exclude it"}
    assert {*read_exclude_list(tmp_path / "list")} == expected
    assert not any(path.startswith("test/") for path in expected)
    assert "# elk: is in test, but not in training\n" in health.exclude_list()
    assert "# the same image as train/cat/1.png\ntrain/cat/again.png\n" in health.exclude_list()


def test_sound_images_have_no_problems(picture_folder):
    health, _, _ = examine(picture_folder({"cat": 8, "dog": 9}))
    assert health.findings == () and health.passed_over == ()
    assert health.exclude_list().count("\n") == 2


def test_sizes_of_all_kinds_are_no_outliers(tmp_path):
    """Where sizes vary by themselves, none stands out; where they do not, small ones do, too."""
    random = np.random.default_rng(0)
    for root, usual in (("varied", None), ("alike", 64)):
        for name in ("a", "b"):
            (tmp_path / root / name).mkdir(parents=True)
            for number in range(12):
                side = usual or 8 * 2 ** (number % 6)
                side = 15 if (root, name, number) == ("alike", "b", 0) else side
                pixels = random.integers(0, 256, (side, side, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / root / name / f"{number}.png")
    assert examine(tmp_path / "varied")[0].kinds == {}
    (finding,) = examine(tmp_path / "alike")[0].findings
    assert (finding.path, finding.problem) == ("b/0.png", "15x15 pixels, where 64x64 is usual")


NUMBERS = "its classes are numbers; they are names here, in the order 1, 10, 2"
RARE = "has 3 images, 'cat' 30; --set balance=loss weighs rare classes more"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"cat": 30, "dog": 3}, {"dog": RARE}),
        ({"cat": 29, "dog": 3}, {}),
        ({"cat": 3, "dog": 1}, {"dog": "has a single image, so none can be held out"}),
        ({"cat": 3, "Cat": 3}, {"cat": "is spelt nearly as the class 'Cat'"}),
        ({"1": 3, "2": 3, "10": 3}, {"photos": NUMBERS}),
        ({"train/cat": 3, "train/dog": 3, "val/cat": 2}, {"dog": "has no image in val, so it is not scored"}),
    ],
)  # fmt: skip
def test_classes(picture_folder, counts, said):
    found = [f for f in examine(picture_folder(counts))[0].findings if f.kind == "classes"]
    assert {f.path: f.problem for f in found} == said


def test_the_partner_in_another_split_is_named_first(tmp_path):
    """A training image is reported beside the one that it must not meet, however like the others are."""
    for place, seeds in (("train/a", (0, 1)), ("train/b", (2,)), ("val/a", (3,)), ("val/b", (4,))):
        (tmp_path / place).mkdir(parents=True)
        for seed in seeds:
            small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
            picture = Image.fromarray(small).resize((40, 40), Image.Resampling.BICUBIC)
            picture.save(tmp_path / place / f"{seed}.png")
    with Image.open(tmp_path / "train/a/0.png") as picture:
        picture.save(tmp_path / "train/a/again.jpg", quality=95)
        picture.save(tmp_path / "val/a/held.jpg", quality=40)
    found = {f.path: (f.other, f.action) for f in examine(tmp_path)[0].findings if f.kind == "alike"}
    assert found == dict.fromkeys(("train/a/0.png", "train/a/again.jpg"), ("val/a/held.jpg", "exclude it"))


def test_the_digits(health):
    found, _, _ = examine("digits")
    assert found.images == 1797 and found.sizes is not None
    assert found.sizes["largest"] == (8, 8) and found.formats == {}
    assert {f.kind for f in found.findings} <= {"classes", "copy"}


def test_hand_signs_have_their_full_frames(test_data):
    """Sizes as Pillow gives them."""
    root = test_data / "sign-digits"
    large = set()
    for file in root.glob("*/*.JPG"):
        with Image.open(file) as image:
            if max(image.size) > 1000:
                large.add(file.relative_to(root).as_posix())
    found, _, _ = examine(root)
    assert {f.path for f in found.findings if f.kind == "size"} == large and len(large) == 3
    assert found.orientations["6"] == 3
    assert {f.kind for f in found.findings} <= {"size", "alike", "classes"}
