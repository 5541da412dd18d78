"""ImageNet as it is given out: class folders for training, a flat folder with a list for validation."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError

WNIDS = ["n01440764", "n01443537", "n02119789"]
TRUTH = [2, 0, 1, 0]
"""The class of each validation image, as a place in WNIDS."""


@pytest.fixture
def imagenet(tmp_path):
    def make(root):
        for number, name in enumerate(WNIDS):
            (root / "train" / name).mkdir(parents=True)
            Image.new("RGB", (6, 5), (number, 0, 0)).save(root / "train" / name / f"{name}_1.JPEG")
        (root / "val").mkdir()
        for number in range(1, 5):
            Image.new("RGB", (6, 5)).save(root / "val" / f"ILSVRC2012_val_{number:08}.JPEG")
        return root

    return make


def write_solution(file):
    rows = ["ImageId,PredictionString"]
    for number in (3, 1, 4, 2):
        rows.append(f"ILSVRC2012_val_{number:08},{WNIDS[TRUTH[number - 1]]} 1 2 3 4 {WNIDS[0]} 5 6 7 8 ")
    file.write_text("\n".join(rows) + "\n")


def write_devkit(folder):
    """The kit numbers the classes in an order of its own: here 1 is n02119789."""
    folder.mkdir(parents=True, exist_ok=True)
    order = {WNIDS[2]: 1, WNIDS[0]: 2, WNIDS[1]: 3}
    synsets = np.zeros((4, 1), [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")])
    for row, (wnid, number) in enumerate([*order.items(), ("n00001740", 4)]):
        synsets[row, 0] = (np.uint16([[number]]), wnid, "a thing")
    savemat(folder / "meta.mat", {"synsets": synsets})
    lines = [str(order[WNIDS[place]]) for place in TRUTH]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(lines) + "\n")


def validation(source):
    return {item.path.rpartition("/")[2]: item.label for item in source.items if item.split == "val"}


EXPECTED = {f"ILSVRC2012_val_{n + 1:08}.JPEG": WNIDS[place] for n, place in enumerate(TRUTH)}


@pytest.mark.parametrize("place", [".", "val"])
def test_kaggle_s_list(imagenet, tmp_path, place):
    write_solution(imagenet(tmp_path) / place / "LOC_val_solution.csv")
    source = open_source(tmp_path)
    assert source.problems == (), "neither the list nor the images are left out"
    assert validation(source) == EXPECTED
    assert source.classes == tuple(WNIDS)
    assert sum(item.split == "train" for item in source.items) == 3
    assert source.read("val/ILSVRC2012_val_00000001.JPEG").shape == (5, 6, 3)


def test_kaggle_s_archive_as_it_is_unpacked(imagenet, tmp_path):
    imagenet(tmp_path / "ILSVRC" / "Data" / "CLS-LOC")
    write_solution(tmp_path / "LOC_val_solution.csv")
    source = open_source(tmp_path)
    assert validation(source) == EXPECTED
    assert source.items[0].path == f"ILSVRC/Data/CLS-LOC/train/{WNIDS[0]}/{WNIDS[0]}_1.JPEG"


@pytest.mark.parametrize("place", [".", "val", "ILSVRC2012_devkit_t12/data"])
def test_the_development_kit_s_list(imagenet, tmp_path, place):
    write_devkit(imagenet(tmp_path) / place)
    source = open_source(tmp_path)
    assert validation(source) == EXPECTED
    assert source.problems == ()


def test_tiny_imagenet_s_list(imagenet, tmp_path):
    imagenet(tmp_path)
    (tmp_path / "val" / "images").mkdir()
    rows = []
    for number, (name, wnid) in enumerate(EXPECTED.items()):
        (tmp_path / "val" / name).rename(tmp_path / "val" / "images" / f"val_{number}.JPEG")
        rows.append(f"val_{number}.JPEG\t{wnid}\t0\t0\t62\t62")
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(rows))
    source = open_source(tmp_path)
    assert list(validation(source).values()) == list(EXPECTED.values())
    assert source.problems == ()


@pytest.mark.parametrize("given", ["train/", ""])
def test_tiny_imagenet_s_test_images_have_no_class(picture_folder, given):
    root = picture_folder({f"{given}cat": 3, f"{given}dog": 3, "test/images": 5})
    source = open_source(root, split="all")
    assert source.classes == ("cat", "dog") and len(source.items) == 6
    with pytest.raises(DataError, match="photos holds no test images with classes"):
        open_source(root, ("cat", "dog"), split="test")
    picture_folder({f"{given}images": 2})
    assert len(open_source(root, split="test").items) == 5, "where training has that class, it is one"


def test_class_folders_for_validation_need_no_list(imagenet, tmp_path):
    imagenet(tmp_path)
    write_devkit(tmp_path)
    for name, wnid in EXPECTED.items():
        (tmp_path / "val" / wnid).mkdir(exist_ok=True)
        (tmp_path / "val" / name).rename(tmp_path / "val" / wnid / name)
    (tmp_path / "ILSVRC2012_validation_ground_truth.txt").write_text("nothing")
    Image.new("RGB", (6, 5)).save(tmp_path / "val" / "loose.png")
    source = open_source(tmp_path)
    assert validation(source) == EXPECTED
    assert [(p.path, p.problem) for p in source.problems] == [
        ("val/loose.png", "a file beside the class folders")
    ]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (None, "", "val holds 4 images, but none in a class folder; put them into one folder a class, or "),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nILSVRC2012_val_00000001\n",
         "LOC_val_solution.csv, line 2: not of the form"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4\n",
         "val/ILSVRC2012_val_00000002.JPEG is not in"),
        ("LOC_val_solution.csv", b"\xff\xfe", "LOC_val_solution.csv is not UTF-8"),
        ("ILSVRC2012_validation_ground_truth.txt", "1\n2\n3\n4\n",
         "in the order of the development kit's meta.mat; add that file"),
        ("val_annotations.txt", "val_0.JPEG\n",
         "val_annotations.txt, line 1: not of the form val_0.JPEG<tab>n01440764"),
    ],
)  # fmt: skip
def test_lists_that_do_not_fit(imagenet, tmp_path, name, text, what):
    imagenet(tmp_path)
    if name:
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DataError, match=re.escape(what)):
        open_source(tmp_path)


@pytest.mark.parametrize(("text", "line"), [("1\n2\nx\n1\n", 3), ("1\n77\n1\n1\n", 2), ("1\n-1\n1\n1\n", 2)])
def test_numbers_that_the_kit_does_not_have(imagenet, tmp_path, text, line):
    write_devkit(imagenet(tmp_path))
    (tmp_path / "ILSVRC2012_validation_ground_truth.txt").write_text(text)
    with pytest.raises(
        DataError, match=rf"ground_truth\.txt, line {line}: .* is no class number of .*meta\.mat"
    ):
        open_source(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"x" * 400, None])
def test_a_damaged_meta_mat(imagenet, tmp_path, damage):
    write_devkit(imagenet(tmp_path))
    data = (tmp_path / "meta.mat").read_bytes()
    (tmp_path / "meta.mat").write_bytes(data[: len(data) // 2] if damage is None else damage)
    with pytest.raises(DataError, match=r"meta\.mat is damaged: "):
        open_source(tmp_path)
