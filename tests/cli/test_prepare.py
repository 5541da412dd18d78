"""`deeper prepare`: a store from the command line, its refusals, and what takes it."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Forty photographs of 40x30 in two classes that are easy to tell apart, under the working folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 150)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(low, low + 100, (30, 40, 3), np.uint8)
            Image.fromarray(pixels).resize((400, 300)).save(tmp_path / "photos" / name / f"{number}.jpg")
    return tmp_path / "photos"


def test_it_tells_what_it_made_and_what_comes_next(deeper, photos):
    done = deeper("prepare", "photos", "-o", "a store", "--side", "64", "--quality", "80")
    assert (done.status, done.err) == (0, "")
    first, after = done.out.splitlines()
    size = (photos.parent / "a store/shard-00000.tar").stat().st_size
    assert first == f"a store · 40 images, 2 classes · 1 shard, {size / 1e6:,.1f} MB"
    assert after == "next:  deeper train 'a store'"
    with tarfile.open("a store/shard-00000.tar") as shard:
        picture = Image.open(shard.extractfile(shard.getmembers()[0]))
        assert picture.size == (85, 64)
        assert picture.quantization[0][0] == 6  # 40 % of the standard's 16
    assert deeper("prepare", "photos", "-o", "a store", "--side", "64", "--quality", "80").out == done.out


def test_json(deeper, photos):
    (photos / "dark/odd.jpg").write_bytes(b"<html>")
    done = deeper("prepare", "photos", "-o", "store", "--raw", "--bad-share", "0.1", "--json")
    assert done.status == 0
    found = json.loads(done.out)
    (failed,) = found.pop("failed")
    assert (failed["path"], failed["action"]) == ("dark/odd.jpg", "left out")
    assert "left out: " in done.err and "odd.jpg is not an image" in done.err
    size = (photos.parent / "store/shard-00000.tar").stat().st_size
    assert found == {
        "schema": 1, "store": "store", "images": 40, "classes": 2, "shards": 1, "bytes": size,
    }  # fmt: skip
    assert size > 40 * 256 * 341 * 3


def test_what_is_passed_over_is_told_in_one_line_a_kind(deeper, photos):
    for name in (".a", ".b", ".c"):
        (photos / "dark" / name).write_bytes(b"x")
    for number in range(2):
        (photos / "light" / f"odd{number}.jpg").write_bytes(b"<html>")
    done = deeper("prepare", "photos", "-o", "store", "--bad-share", "0.1")
    hidden, unreadable = done.err.splitlines()
    assert hidden == "left out: dark/.a: a hidden file or folder, and 2 more"
    assert "photos/light/odd0.jpg is not an image" in unreadable and unreadable.endswith(", and 1 more")
    listed = json.loads((photos.parent / "store/store.json").read_text())["problems"]
    assert [path for path, *_ in listed] == [
        "dark/.a", "dark/.b", "dark/.c", "light/odd0.jpg", "light/odd1.jpg",
    ]  # fmt: skip


def test_verify(deeper, photos):
    deeper("prepare", "photos", "-o", "store")
    assert deeper("prepare", "--verify", "store").out.startswith("whole: store · 40 images, 2 classes")
    assert json.loads(deeper("prepare", "--verify", "store", "--json").out)["images"] == 40
    with open("store/shard-00000.tar", "r+b") as shard:  # noqa: PTH123
        shard.seek(5000)
        byte = shard.read(1)
        shard.seek(5000)
        shard.write(bytes([byte[0] ^ 1]))
    assert "shard-00000.tar is damaged at dark/" in deeper("prepare", "--verify", "store").refusal(3)
    for verb in (("train", "store", "--epochs", "1"), ("prepare", "store", "-o", "another")):
        assert "shard-00000.tar is damaged at dark/" in deeper(*verb).refusal(3)
    assert "photos is not a store" in deeper("prepare", "--verify", "photos").refusal(3)


def test_what_a_check_lists_is_left_out_of_a_store_or_of_training_from_one(deeper, photos):
    """The list of the folder fits both ways: an unreadable image is none of the store's already."""
    (photos / "dark/odd.jpg").write_bytes(b"<html>")
    (photos / "light/again.jpg").write_bytes((photos / "light/3.jpg").read_bytes())
    deeper("check", "photos", "--out", "health")
    words = ("--exclude", "health/exclude.txt")
    whole = deeper("prepare", "photos", "-o", "store", "--bad-share", "0.1")
    assert "41 images" in whole.out
    done = deeper("prepare", "photos", "-o", "less", *words)
    assert done.status == 0 and done.err == "2 images left out, as health/exclude.txt says\n"
    assert "less · 40 images, 2 classes" in done.out
    with tarfile.open("less/shard-00000.tar") as shard:
        assert sum(not name.startswith("thumbnails") for name in shard.getnames()) == 40
    train = ("--epochs", "1", "--batch", "8", "--size", "16", "--model", "cifar-resnet-20-a")
    for name, more in (("store", words), ("less", ())):
        assert deeper("train", name, *train, *more, "--out", f"run-{name}").status == 0
    splits = [(photos.parent / f"run-{name}/split.csv").read_bytes() for name in ("store", "less")]
    assert splits[0] == splits[1]
    said = deeper("train", "less", *train, *words)
    assert said.status == 3
    assert "health/exclude.txt: less has no image 'dark/odd.jpg'; paths are those" in said.err
    assert "a store made with this list has left its images out" in said.err
    (photos.parent / "all.txt").write_text("light/99.jpg\n")
    assert "photos has no image 'light/99.jpg'" in deeper(
        "prepare", "photos", "-o", "new", "--exclude", "all.txt"
    ).refusal(3)
    assert not (photos.parent / "new").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("photos",), 2, "give -o STORE"),
        (("photos", "-o", "store", "--verify"), 2, "give -o STORE"),
        (("store", "--verify", "--bad-share", "0.5"), 2, "leave out --bad-share"),
        (("photos", "-o", "store", "--raw", "--quality", "80"), 2, "leave out --quality"),
        (("photos", "-o", "store", "--quality", "101"), 2, "quality"),
        (("photos", "-o", "store", "--side", "0"), 2, "side"),
        (("nowhere", "-o", "store"), 3, "there is no file or folder nowhere"),
        (("photos", "-o", "photos/store"), 2, "lies in the folder of the images"),
        (("photos", "-o", "file"), 2, "file is a file"),
        (("photos", "-o", "other"), 2, "other is there already and is not a store"),
        (("photos", "-o", "file/store"), 5, "file/store"),
        (("photos", "-o", "/proc/a/store"), 5, "cannot write at /proc/a/store: "),
    ],
)
def test_refusals(deeper, photos, words, status, said):
    (photos.parent / "file").write_text("mine")
    (photos.parent / "other").mkdir()
    (photos.parent / "other/a.txt").write_text("mine")
    assert said in deeper("prepare", *words).refusal(status)
    assert not (photos.parent / "store").exists()


STOPPED = """
import signal, sys
from goingdeeper.cli import main
from goingdeeper.cli.watch import Watch
from goingdeeper.data import store
number, place, size = (int(word) for word in sys.argv.pop(1).split())
store.prepare.__kwdefaults__["shard_bytes"] = size
def reading(self, done, total):
    if done == place:
        signal.raise_signal(number)  # to this thread, at once
Watch.reading = reading
main()
"""


@pytest.mark.parametrize(
    ("number", "place", "size", "kept"),
    [
        (signal.SIGINT, 3, 1, "1 finished shard is"),
        (signal.SIGTERM, 7, 1, "5 finished shards are"),
        (signal.SIGTERM, 40, 10**8, "0 finished shards are"),
    ],
)
def test_a_signal_says_what_is_kept_and_how_it_goes_on(
    deeper, photos, environment, number, place, size, kept
):
    """Shards of one image, each finished when the one behind it has been read; or one of all."""
    words = ["prepare", "photos", "-o", "a store", "--side", "64"]
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, f"{number:d} {place} {size}", *words],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = "terminated" if number == signal.SIGTERM else "interrupted"
    go_on = "Go on with: deeper prepare photos -o 'a store' --side 64"
    assert done.stderr == f"deeper: {said}; {kept} kept. {go_on}\n"
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert not [file for file in (photos.parent / "a store").iterdir() if file.name.startswith(".")]
    if size == 1:
        return
    assert "is an unfinished store; run the same `deeper prepare`" in deeper("train", "a store").refusal(3)
    assert "is an unfinished store" in deeper("prepare", "--verify", "a store").refusal(3)
    assert deeper(*words).status == 0


def test_a_stopped_verification_changes_nothing(deeper, photos, environment):
    deeper("prepare", "photos", "-o", "store")
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, f"{signal.SIGTERM:d} 1 0", "prepare", "--verify", "store"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (143, "")
    assert (
        done.stderr == "deeper: terminated; nothing was changed. Go on with: deeper prepare --verify store\n"
    )


@pytest.mark.parametrize(
    "words", [(), ("--seed", "3", "--group"), ("--fold", "2/3", "--test-share", "0.2")], ids=range(3)
)
def test_a_split_is_the_same_from_a_store_of_smaller_images(deeper, photos, words):
    """With eight copies; the images of the store are others, as JPEG has them at a quarter of the size."""
    for number in range(8):
        shutil.copy(photos / f"dark/{number}.jpg", photos / f"dark/copy of {number}.jpg")
    deeper("prepare", "photos", "-o", "store", "--side", "75", "--quality", "50")
    sides = {}
    for images in ("photos", "store"):
        told = deeper(
            "train", images, "--epochs", "1", "--batch", "16", "--size", "8", "--model", "cifar-resnet-20-a",
            "--out", f"run-{images}", "--json", *words,
        )  # fmt: skip
        assert told.status == 0, told
        with (photos.parent / f"run-{images}/split.csv").open(newline="") as file:
            sides[images] = {
                (row["class"], Path(row["path"]).stem): row["split"] for row in csv.DictReader(file)
            }
        run = json.loads((photos.parent / f"run-{images}/run.json").read_text())
        assert run["data"]["duplicates"] == 8
        sides[images, "hash"] = run["data"]["fingerprint"]
    assert sides["photos"] == sides["store"]
    assert len(sides["photos"]) == 48 and {"train", "val"} <= set(sides["photos"].values())
    assert ("test" in sides["photos"].values()) == ("--test-share" in words)
    assert sides["photos", "hash"] != sides["store", "hash"]


def test_a_store_is_trained_on_and_scored_like_its_folder(deeper, photos):
    """Uncompressed and not made smaller, its images are the same: so are weights and scores, to the bit."""
    deeper("prepare", "photos", "-o", "store", "--raw", "--side", "300")
    told = {}
    for images in ("photos", "store"):
        words = ("--epochs", "1", "--batch", "8", "--size", "16", "--model", "cifar-resnet-20-a")
        done = deeper("train", images, *words, "--out", f"run-{images}", "--json")
        assert done.status == 0, done
        weights = (photos.parent / f"run-{images}/model/model.safetensors").read_bytes()
        scored = deeper("evaluate", f"run-{images}", images, "--json")
        told[images] = weights, json.loads(done.out)["best"], json.loads(scored.out)
    assert told["photos"] == told["store"]
