"""Folders as people have them, through every verb: what cannot be read is named, counted, and limited."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import by_hand as hand
import numpy as np
import pytest
from bombs import headers
from PIL import Image

from goingdeeper import api
from goingdeeper.errors import DataError
from goingdeeper.opened import load

PICTURE = hand.bmp(np.arange(9 * 9 * 3).reshape(9, 9, 3), 24)
PAGE = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(1000)

# Name, what is in it, and what is said of it.
UNREADABLE: dict[str, tuple[object, str]] = {
    "empty.jpg": (b"", "is empty (0 bytes)"),
    "page.jpg": (PAGE, "is not an image that can be read (starts with b'<!DOCTYP')"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not an image that can be read"),
    "phone.jpg": (HEIC, "is not an image that can be read"),
    "zeros.jpg": (bytes(5000), "is not an image that can be read"),
    "cut.bmp": (PICTURE[:200], "is truncated at 200 bytes"),
    "bomb.png": (headers()["png"], "claims over 178,956,970 pixels and is refused"),
    "gone.jpg": (Path("nowhere.jpg"), "cannot be read: No such file or directory"),
    "loop.jpg": (Path("loop.jpg"), "cannot be read: Too many levels of symbolic links"),
    "broken.jpg": (Path("/proc/self/mem"), "cannot be read: Input/output error"),
    "endless.jpg": (Path("/dev/zero"), "cannot be read: it is no regular file"),
    "pipe.jpg": (None, "cannot be read: it is no regular file"),
}


def put(file: Path, what: object) -> None:
    if isinstance(what, bytes):
        file.write_bytes(what)
    elif isinstance(what, Path):
        file.symlink_to(what)
    else:
        os.mkfifo(file)


@pytest.fixture(scope="module")
def thousand(tmp_path_factory) -> Path:
    """1,200 whole pictures, so that the unreadable ones are just under one per cent."""
    root = tmp_path_factory.mktemp("thousand") / "photos"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(600):
            pixels = np.random.default_rng([ord(name[0]), number]).integers(0, 256, (8, 8, 3))
            (root / name / f"{number}.bmp").write_bytes(hand.bmp(pixels, 24))
    for name, (what, _) in UNREADABLE.items():
        put(root / "cat" / name, what)
    return root


def test_what_cannot_be_read_is_listed_and_the_rest_is_done(verb, verbs, read, thousand):
    said = read(verb, thousand, "--json")
    assert said.status == verbs[verb].few, said.err
    problems = {path.removeprefix(f"{thousand}/"): text for path, text in said.problems().items()}
    for name, (_, what) in UNREADABLE.items():
        assert f"cat/{name} {what}" in problems.pop(f"cat/{name}")
    assert not problems or not verbs[verb].only
    assert all(line.count(str(thousand)) <= 1 for line in said.err.splitlines() if "left out" in line)


def test_past_a_limit_it_is_refused_with_the_list(verb, verbs, read, here, paint):
    folder = paint(here / "photos", ("cat", "dog"), 20)
    for name in ("empty.jpg", "page.jpg", "gone.jpg"):
        put(folder / "dog" / name, UNREADABLE[name][0])
    before = sorted(folder.rglob("*"))
    said = read(verb, Path("photos"))
    assert said.status == verbs[verb].many
    for name in ("empty.jpg", "page.jpg", "gone.jpg"):
        assert f"dog/{name} {UNREADABLE[name][1]}" in said.out + said.err
    if said.status:
        assert said.err.splitlines()[-1].startswith("deeper: 3 of 43 images c")
    assert sorted(folder.rglob("*")) == before


def test_a_png_called_jpg_is_read(verb, verbs, read, here, paint):
    folder = paint(here / "photos", ("cat", "dog"), 10)
    pixels = np.random.default_rng(7).integers(0, 256, (9, 9, 3))
    made = {"a.jpg": hand.png(pixels, 8, hand.RGB), "b.png": hand.bmp(pixels, 24), "c.gif": PICTURE}
    for name, content in made.items():
        (folder / "cat" / name).write_bytes(content)
    said = read(verb, folder, "--json")
    assert said.status == 0, said
    assert not verbs[verb].only or said.problems() == {}


ODD = [
    "with space.bmp", "new\nline.bmp", "tab\t.bmp", "ding\a.bmp", "\x1b[31mred.bmp", "quote'\".bmp",
    "semi;colon,comma.bmp", "猫 Ünïcode.bmp", "-dash.bmp", "100%.bmp", "{brace}.bmp", "x" * 251 + ".bmp",
    "猫" * 83 + "ab.bmp", "..two.dots..bmp", "LARGE.BMP",
]  # fmt: skip


def test_odd_names(verb, verbs, read, here, paint):
    """255 bytes, new lines, escape codes: each image is one, in each output."""
    folder = paint(here / "photos", ("cat", "dog\n and\t'owl'"), 10)
    for number, name in enumerate(ODD):
        pixels = np.random.default_rng([9, number]).integers(0, 256, (9, 9, 3))
        if name.startswith("."):
            continue
        (folder / "cat" / name).write_bytes(hand.bmp(pixels, 24))
    if "RUN" in verbs[verb].words:  # it knows cats and dogs
        (folder / "dog\n and\t'owl'").rename(folder / "dog")
    said = read(verb, folder, "--json")
    assert said.status == 0, said
    assert not verbs[verb].only or said.problems() == {}
    said = read(verb, folder)
    assert said.status == 0, said
    assert not set(said.out + said.err) & set("\a\x1b\t")
    if verb == "predict":
        assert said.out.count("\n") == 34


def test_odd_names_of_what_cannot_be_read(verb, verbs, read, here, paint):
    """Without codes that a terminal would obey."""
    folder = paint(here / "photos", ("cat", "dog"), 600)
    for name in ("new\nline.jpg", "\x1b[2Jclear.jpg", "ding\a.jpg"):
        (folder / "cat" / name).write_bytes(PAGE)
    said = read(verb, folder)
    assert said.status == verbs[verb].few
    assert not set(said.out + said.err) & set("\a\x1b")
    lines = [line for line in (said.out + said.err).splitlines() if re.search("left out:|exclude it", line)]
    names = ("\\x1b[2Jclear.jpg", "ding\\x07.jpg", "new\\nline.jpg")
    if verb in ("train", "evaluate"):  # of a kind the first is told, with a count
        assert len(lines) == 1 and lines[0].endswith(", and 2 more")
        names = names[:1]
    for name in names:
        assert sum(f"cat/{name} is not an image" in line for line in lines) == 1, lines


def test_names_that_are_no_utf_8(verb, verbs, read, here, paint):
    folder = paint(here / "photos", ("cat", "dog"), 10)
    strange = os.path.join(os.fsencode(folder), b"cat", b"caf\xe9.bmp")  # noqa: PTH118
    shutil.copy(folder / "cat" / "000.bmp", strange)
    said = read(verb, folder, "--json")
    assert said.status == (verbs[verb].many if verb == "predict" else 0), said
    (problem,) = (text for path, text in said.problems().items() if path.endswith("cat/caf\\xe9.bmp"))
    assert "is not UTF-8" in problem


def test_hidden_files_and_links_in_circles(verb, verbs, read, here, paint):
    folder = paint(here / "photos", ("cat", "dog"), 10)
    shutil.copytree(folder / "cat", folder / ".thumbnails")
    shutil.copytree(folder / "cat", folder / "cat" / ".trash")
    (folder / "cat" / "._001.bmp").write_bytes(PAGE)
    (folder / "cat" / "again").symlink_to("..", target_is_directory=True)
    (folder / "dog" / "x").symlink_to("y")
    (folder / "dog" / "y").symlink_to("x")
    said = read(verb, folder, "--json")
    assert said.status == 0, said
    if verb in ("train", "evaluate"):  # told, each kind in one line
        hidden = {".thumbnails", "cat/.trash", "cat/._001.bmp"}
        assert said.problems().keys() == {*hidden, "cat/again", "dog/x", "dog/y"}
        assert {said.problems()[name] for name in hidden} == {"a hidden file or folder"}
        assert "left out: .thumbnails: a hidden file or folder, and 2 more\n" in said.err
    counted = {
        "train": lambda: (Path(said.document["run"]) / "split.csv").read_text().count("\n") - 1,
        "evaluate": lambda: said.document["images"],
        "predict": lambda: len(said.document["predictions"]),
    }
    assert counted.get(verb, lambda: said.document["images"])() == 20


def test_a_folder_called_jpg_is_a_folder(deeper, run, here, paint):
    paint(here / "photos", ("cat", "dog.jpg"), 6)
    assert deeper("predict", run, here / "photos" / "dog.jpg").out.count("\n") == 6


# The numbers of images and of classes


@pytest.mark.parametrize(
    ("counts", "status", "said"),
    [
        ({"cat": 1}, 3, "holds one class, 'cat'; a classifier needs at least two"),
        ({"cat": 10}, 3, "holds one class, 'cat'; a classifier needs at least two"),
        ({"cat": 1, "dog": 1}, 3, "no image is left for validation; at least two images a class are needed"),
        ({"cat": 0, "dog": 0}, 3, "holds no images"),
        ({"cat": 0, "dog": 5}, 3, "holds one class, 'dog'"),
        ({"cat": 2, "dog": 2}, 0, "4 images, 2 classes · 2 train / 2 validation"),
        ({"cat": 3, "dog": 2}, 0, "5 images, 2 classes"),
        ({"cat": 4, "dog": 4, "owl": 0}, 0, "owl: a class folder without images"),
        ({"cat": 1, "dog": 9}, 0, "10 images, 2 classes"),
        ({"train/cat": 3, "train/dog": 3, "val/cat": 1}, 0, "6 train / 1 validation"),
        (
            {"train/cat": 3, "train/dog": 3, "val/owl": 1},
            3,
            "class 'owl' is in validation but not",
        ),
        ({"train/cat": 3, "train/dog": 3, "val/cat": 0}, 3, "val holds no images"),
        ({"train/cat": 3, "val/cat": 3}, 3, "holds one class, 'cat'"),
        ({"train/cat": 0, "train/dog": 0, "val/cat": 3}, 3, "holds no images"),
    ],
)
def test_few_images_or_classes(read, here, counts, status, said):
    """Refused with the remedy, or trained; with a batch of one, or of fewer images than a batch."""
    for place, count in counts.items():
        (here / "photos" / place).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng([sum(map(ord, place)), number]).integers(0, 256, (9, 9, 3))
            (here / "photos" / place / f"{number}.bmp").write_bytes(hand.bmp(pixels, 24))
    found = read("train", Path("photos"))
    assert found.status == status, found
    assert said in found.err
    if status:
        assert found.out == ""
        assert found.err.splitlines()[-1].startswith("deeper: ")
        assert not (here / "runs").exists()


@pytest.mark.parametrize("images", [1, 31, 32, 33, 129])
def test_a_last_batch_of_one(deeper, run, here, paint, images):
    """Evaluation by 128 and prediction by 32: every image counts once."""
    folder = paint(here / "photos", ("cat",), images)
    said = deeper("evaluate", run, folder, "--batch", 32, "--json")
    assert (said.status, said.document["images"]) == (0, images)
    said = deeper("predict", run, folder, "--json")
    paths = [found["path"] for found in said.document["predictions"]]
    assert (said.status, paths) == (0, sorted(map(str, folder.glob("*/*"))))


@pytest.mark.parametrize("classes", [2, 5, 6])
def test_top_5_needs_six_classes(read, here, paint, classes, deeper):
    names = tuple(str(10 * n) for n in range(classes))
    folder = paint(here / "photos", names, 3)
    said = read("train", folder, "--json")
    assert said.status == 0
    said = deeper("evaluate", said.document["run"], folder, "--json")
    assert said.status == 0
    assert (said.document["top5_error"] is None) == (classes < 6)
    assert said.document["per_class"].keys() == set(names)
    assert all(found["images"] == 3 for found in said.document["per_class"].values())


def test_numeric_names_are_names(here, deeper, read):
    """Sorted as text, 10 comes before 2; colours say which class is which."""
    shades = {"0": 0, "1": 60, "2": 120, "10": 180, "011": 240}
    for name, shade in shades.items():
        (here / "photos" / name).mkdir(parents=True)
        for number in range(6):
            pixels = np.full((9, 9, 3), shade) + np.arange(81).reshape(9, 9, 1) % (number + 2)
            (here / "photos" / name / f"{number}.bmp").write_bytes(hand.bmp(pixels, 24))
    said = read("train", here / "photos", "--json")
    run = said.document["run"]
    whole = deeper("evaluate", run, here / "photos", "--json").document["per_class"]
    assert whole.keys() == shades.keys()
    for name in shades:  # alone, its number would be 0
        (here / name).mkdir()
        shutil.copytree(here / "photos" / name, here / name / name)
        alone = deeper("evaluate", run, here / name, "--json").document["per_class"]
        assert alone.keys() == {name}
        assert all(alone[name][key] == whole[name][key] for key in ("images", "wrong", "error", "recall"))
        predicted = deeper("predict", run, here / name, "--top", "1", "--json").document["predictions"]
        right = sum(found["top"][0]["class"] == name for found in predicted)
        assert right == whole[name]["images"] - whole[name]["wrong"]


def test_the_same_image_in_two_splits(read, here):
    """By its pixels, in another format; it stays where the score is taken."""
    for place in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (here / "photos" / place).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng([sum(map(ord, place)), number]).integers(0, 256, (9, 9, 3))
            (here / "photos" / place / f"{number}.bmp").write_bytes(hand.bmp(pixels, 24))
            if place == "val/cat" and number == 2:
                copy = hand.png(pixels, 8, hand.RGB, interlaced=True)
                (here / "photos" / "train/cat" / "copy.png").write_bytes(copy)
                (here / "photos" / "train/dog" / "other.png").write_bytes(copy)
    said = read("train", Path("photos"), "--json")
    assert said.status == 0
    split = (Path(said.document["run"]) / "split.csv").read_text()
    assert "copy" not in split and "other" not in split and "val/cat/2.bmp,cat,val" in split
    line = "left out of training: train/cat/copy.png: the same image is in validation, and 1 more\n"
    assert line in said.err
    assert said.problems()["train/dog/other.png"].endswith("; the same image is in validation")


def test_unknown_classes_are_named(deeper, run, here, paint):
    folder = paint(here / "photos", ("cat", "eagle"), 2)
    said = deeper("evaluate", run, folder)
    assert (said.status, said.out) == (3, "")
    assert f"{folder.name}/eagle/000.bmp: the model has no class 'eagle'; it knows cat, dog" in said.err


def test_python_says_the_same(run, here, paint):
    folder = paint(here / "photos", ("cat", "dog"), 4)
    (folder / "cat" / "page.jpg").write_bytes(PAGE)
    for call in (
        lambda: api.train(folder, model="tiny", size=8, epochs=1),
        lambda: api.evaluate(run, folder),
        lambda: load(run).predict(folder),
    ):
        with pytest.raises(DataError, match=r"cat/page\.jpg is not an image that can be read") as caught:
            call()
        assert caught.value.exit_status == 3
        assert "\n" not in str(caught.value)
    whole = Image.open(folder / "cat" / "000.bmp")
    assert load(run).predict(whole)[0].path == "image 0"
