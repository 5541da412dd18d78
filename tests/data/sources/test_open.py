"""What all kinds of source have in common: how they are found, their splits and classes."""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
import subprocess
import sys
import tarfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from goingdeeper.data.pictures import survey
from goingdeeper.data.sources import open_scored, open_source
from goingdeeper.data.sources.source import split_of
from goingdeeper.data.split import Holding, divide
from goingdeeper.data.store import Form, prepare
from goingdeeper.errors import DataError

CLASSES = ["airplane", "bird", "cat"]
SIDES = ("test", "val", "train")


@pytest.fixture
def with_test(tmp_path, pictures, png, add, records):
    """Writes ten pictures for each side in a form, where the form can say so, and gives the location."""

    def write(kind):
        root = tmp_path / kind
        root.mkdir()
        parts = {side: pictures[10 * n : 10 * n + 10] for n, side in enumerate(SIDES)}
        if kind == "list":
            rows = [("path", "split", "label")]
            for side, part in parts.items():
                for number, (label, pixels) in enumerate(part):
                    (root / f"{side}{number}.png").write_bytes(png(pixels))
                    rows.append((f"{side}{number}.png", side.upper(), label))
            with (root / "all.csv").open("w", newline="") as stream:
                csv.writer(stream).writerows(rows)
            return root / "all.csv"
        if kind == "hdf5 in one":
            with h5py.File(root / "all.hdf5", "w") as file:
                for side, part in parts.items():
                    file[f"X_{side}"] = np.stack([pixels for _, pixels in part])
                    file[f"y_{side}"] = [label for label, _ in part]
            return root / "all.hdf5"
        for side, part in parts.items():
            if kind == "folder":
                for number, (label, pixels) in enumerate(part):
                    (root / side / label).mkdir(parents=True, exist_ok=True)
                    (root / side / label / f"{number}.png").write_bytes(png(pixels))
            elif kind == "shards":
                with tarfile.open(root / f"pets-{side}-000.tar", "w") as archive:
                    for number, (label, pixels) in enumerate(part):
                        add(archive, f"{number}.png", png(pixels))
                        add(archive, f"{number}.cls", label.encode())
            elif kind == "shards in folders":
                (root / side).mkdir()
                with tarfile.open(root / side / "000.tar", "w") as archive:
                    for number, (label, pixels) in enumerate(part):
                        add(archive, f"{number}.png", png(pixels))
                        add(archive, f"{number}.json", json.dumps({"class": label}).encode())
            elif kind == "hdf5":
                with h5py.File(root / f"{side}_signs.h5", "w") as file:
                    file[f"{side}_set_x"] = np.stack([pixels for _, pixels in part])
                    file[f"{side}_set_y"] = [CLASSES.index(label) for label, _ in part]
                    file["list_classes"] = [name.encode() for name in CLASSES]
            elif kind == "parquet":
                table = pa.table({"image": [png(p) for _, p in part], "label": [name for name, _ in part]})
                pq.write_table(table, root / f"{side}-00000-of-00001.parquet")
        return root

    return write


def shown(source, split=None):
    return sorted(source.read(item.path).tobytes() for item in source.items if item.split == split)


@pytest.mark.parametrize(
    "kind", ["folder", "list", "shards", "shards in folders", "hdf5", "hdf5 in one", "parquet"]
)
def test_splits_are_kept_and_test_is_never_trained_on(with_test, pictures, kind):
    expected = {
        side: sorted(pixels.tobytes() for _, pixels in pictures[10 * n : 10 * n + 10])
        for n, side in enumerate(SIDES)
    }
    location = with_test(kind)
    source = open_source(location)
    assert shown(source, "train") == expected["train"]
    assert shown(source, "val") == expected["val"]
    assert len(source.items) == 20
    found = survey(source, 32)
    division = divide(source, found.digests, Holding(0))
    assert division.test == ()
    assert {item.split for item in division.train + division.val} == {"train", "val"}

    tested = open_source(location, tuple(CLASSES), split="test")
    assert shown(tested, "test") == expected["test"]
    assert len(tested.items) == 10
    label_of = {pixels.tobytes(): label for label, pixels in pictures}
    for item in (*source.items, *tested.items):
        assert label_of[(source.read(item.path)).tobytes()] == item.label


@pytest.mark.parametrize("kind", ["cifar-10", "cifar-10 binary", "cifar-100", "cifar-100 binary"])
def test_cifar_s_test_batch_is_never_trained_on(written, kind, records):
    location = written(kind)
    white = [("cat", np.full((32, 32, 3), 255, np.uint8))]
    pixels, labels = records(white)
    if kind == "cifar-10":
        (location / "test_batch").write_bytes(pickle.dumps({b"data": pixels, b"labels": labels}, protocol=2))
    elif kind == "cifar-100":
        (location / "test").write_bytes(pickle.dumps({"data": pixels, "fine_labels": labels}, protocol=2))
    elif kind == "cifar-10 binary":
        (location / "test_batch.bin").write_bytes(bytes([2]) + pixels.tobytes())
    else:
        (location / "test.bin").write_bytes(bytes([0, 2]) + pixels.tobytes())
    source = open_source(location)
    assert len(source.items) == 30
    assert not any("test" in item.path for item in source.items)
    tested = open_source(location, split="test")
    assert [(item.label, item.split) for item in tested.items] == [("cat", "test")]
    assert tested.read(tested.items[0].path).min() == 255


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-0001.tar", "train"), ("imagenet_VAL_3.tar", "val"), ("test/0.parquet", "test"),
        ("dev2.h5", "val"), ("test-of-train.tar", "test"), ("train-val.tar", None), ("contest.tar", None),
        ("data/trains.h5", None),
    ],
)  # fmt: skip
def test_files_named_after_a_split(name, split):
    assert split_of(name) == split


def test_where_no_test_images_are(written, kind):
    with pytest.raises(DataError, match="holds no test images"):
        open_source(written(kind), split="test")


@pytest.mark.parametrize("word", ["digits", "shapes"])
def test_an_embedded_source_has_no_test_images(word):
    with pytest.raises(DataError, match=f"{word} holds no test images"):
        open_source(word, split="test")


def test_the_shapes_for_validation_are_those_that_are_scored():
    classes = open_source("shapes").classes
    source = open_scored("shapes", classes)
    assert (len(source.items), source.side) == (2000, "val")


def test_a_file_of_test_images_alone_is_for_scoring(with_test):
    file = with_test("hdf5") / "test_signs.h5"
    with pytest.raises(DataError, match="holds only test images, which are never trained on"):
        open_source(file)
    assert len(open_source(file, tuple(CLASSES)).items) == 10


@pytest.mark.parametrize(
    ("splits", "side", "count", "scored"),
    [
        (("train", "val", "test"), "val", 10, "val"),
        (("train", "val", "test"), "test", 10, "test"),
        (("train", "train", "test"), "val", 20, "train"),
        (("train", "train", "train"), "val", 30, "train"),
        (("", "train", "test"), "val", 20, None),
        (("", "", ""), "val", 30, None),
        (("", "", "test"), "val", 20, None),
        (("test", "test", "test"), "val", 30, "test"),
    ],
)
def test_which_images_a_score_is_of(tmp_path, pictures, png, splits, side, count, scored):
    rows = [["path", "label", "split"]]
    for number, (label, pixels) in enumerate(pictures):
        (tmp_path / f"{number}.png").write_bytes(png(pixels))
        rows.append([f"{number}.png", label, splits[number // 10]])
    (tmp_path / "all.csv").write_text("\n".join(map(",".join, rows)))
    source = open_scored(tmp_path / "all.csv", tuple(CLASSES), side)
    assert (len(source.items), source.side) == (count, scored)
    assert sum(source.splits.values()) == 30


def test_a_training_split_alone_is_divided(tmp_path, pictures):
    for number, (_, pixels) in enumerate(pictures):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    lines = [
        json.dumps({"path": f"{n}.png", "label": name, "split": "train"})
        for n, (name, _) in enumerate(pictures)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    source = open_source(tmp_path / "a.jsonl")
    assert {item.split for item in source.items} == {None}


def test_numbers_as_class_names_are_warned_about_once(picture_folder, tmp_path):
    source = open_source(picture_folder({str(n): 1 for n in range(11)}))
    assert [(p.path, p.problem, p.action) for p in source.problems] == [
        ("photos", "class names are numbers (0, 1, 10, ...); 10 sorts before 2", "taken as names")
    ]
    assert open_source(picture_folder({"1": 1}, "more"), ("1", "2")).problems == ()
    prepare(source, tmp_path / "store", Form())
    assert open_source(tmp_path / "store").problems == source.problems


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a.jpg", "is one image; `deeper predict` names it"),
        ("a.tar.gz", "a.tar.gz is compressed, and is not read; unpack it"),
        ("a.ZIP", "a.ZIP is compressed, and is not read; unpack it"),
        ("a.csv", "a.csv holds no images"),
        ("a.tar", "is truncated at byte 0"),
        ("a.h5", "cannot be read"),
        ("a.parquet", "cannot be read"),
    ],
)
def test_an_empty_file(tmp_path, name, what):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=re.escape(what)):
        open_source(tmp_path / name)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("photo", ["photos"]),
        ("Fotos", ["photos"]),
        ("phtos/train", ["photos/train"]),
        ("photos/trian", ["photos/train"]),
        ("al.csv", ["all.csv"]),
        ("digit", ["digits"]),
        ("Shape", ["shapes"]),
        ("photos/all.csv", []),
        ("elsewhere/train", []),
        ("phtos/test", []),
    ],
)
def test_a_misspelt_place(picture_folder, tmp_path, monkeypatch, misspelt, meant):
    picture_folder({"train/a": 1, "val/a": 1})
    (tmp_path / "all.csv").touch()
    monkeypatch.chdir(tmp_path)
    hint = f"did you mean {' or '.join(meant)}? Otherwise give" if meant else "give"
    with pytest.raises(DataError, match=re.escape(f"there is no file or folder {misspelt}; {hint} a folder")):
        open_source(misspelt)
    if meant not in (["digits"], ["shapes"]):  # which are in no folder
        hint = f"did you mean {' or '.join(f'{tmp_path}/{name}' for name in meant)}? " if meant else "give"
        with pytest.raises(DataError, match=re.escape(f"{tmp_path}/{misspelt}; {hint}")):
            open_source(tmp_path / misspelt)


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match="neither a folder nor a regular file"):
        open_source(tmp_path / "a.csv")


def test_an_archive_beside_class_folders_is_no_source(picture_folder):
    root = picture_folder({"a": 1, "b": 1})
    with tarfile.open(root / "backup.tar", "w"):
        pass
    assert open_source(root).classes == ("a", "b")


@pytest.mark.parametrize(
    ("module", "extra", "name"), [("h5py", "hdf5", "a.h5"), ("pyarrow", "parquet", "a.parquet")]
)
def test_a_missing_extra_is_said_with_the_line_that_installs_it(tmp_path, module, extra, name):
    """In a process of its own, where the package cannot be imported."""
    (tmp_path / name).touch()
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from goingdeeper.cli import main\n"
        f"sys.argv = ['deeper', 'train', {str(tmp_path / name)!r}]\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert f"{module} is not installed: pip install 'goingdeeper[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_opening_loads_no_reader_that_is_not_needed():
    code = "import goingdeeper.data.sources, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"h5py", "pyarrow", "sklearn", "scipy.io"} & set(done.stdout.split())
