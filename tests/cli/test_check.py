"""`deeper check`: words, JSON, files, exit status; and `deeper train --exclude` of what it lists."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goingdeeper.runs.folder import RunFolder


@pytest.fixture
def messy(here, pets):
    """Pets with a copy, one of two classes, a wrong suffix, a blank, a cut and a large picture."""
    root = shutil.copytree(pets, here / "photos")
    (root / "cat/again.png").write_bytes((root / "cat/03.png").read_bytes())
    (root / "owl/dog.png").write_bytes((root / "dog/04.png").read_bytes())
    shutil.move(root / "owl/05.png", root / "owl/05.jpg")
    Image.new("RGB", (20, 20), "navy").save(root / "dog/blank.png")
    (root / "dog/cut.png").write_bytes((root / "dog/01.png").read_bytes()[:300])
    Image.open(root / "cat/00.png").resize((200, 200)).rotate(40).save(root / "cat/large.png")
    (root / "cat/.DS_Store").write_bytes(b"")
    return root


FOUND = {
    ("cat/again.png", "copy"), ("dog/04.png", "label"), ("owl/dog.png", "label"), ("owl/05.jpg", "extension"),
    ("dog/blank.png", "empty"), ("dog/cut.png", "unreadable"), ("cat/large.png", "size"),
}  # fmt: skip
EXCLUDED = {"cat/again.png", "dog/04.png", "owl/dog.png", "dog/blank.png", "dog/cut.png"}


def listed(file):
    return {line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")}


def test_what_is_wrong_is_said_in_words(deeper, messy, here, tree):
    before = tree(here)
    said = deeper("check", "photos")
    assert (said.status, said.err) == (0, "")
    first, second, *lines = said.out.splitlines()
    assert first == "41 images, 3 classes of 13 to 14"
    assert second == "20x20 to 200x200, median 20x20 pixels · PNG 40 · RGB 40"
    assert re.match(r"decoding takes about 0\.\d s an epoch on \d+ processors?$", lines[0])
    assert lines[1] == "1 other file in the folder, left out"
    assert "cannot be read: 1" in lines and "the same image in two classes: 2" in lines
    assert "  cat/again.png: the same image as cat/03.png · exclude it" in lines
    assert "  owl/05.jpg: named .jpg, but it is PNG · kept" in lines
    assert lines[-1].startswith("next:  deeper check photos --out FOLDER")
    assert tree(here) == before


def test_one_json_document(deeper, messy):
    said = deeper("check", "photos", "--json")
    document = json.loads(said.out)
    assert said.status == 0
    assert document["schema"] == 1 and document["images"] == 41
    assert document["classes"] == {"cat": 14, "dog": 14, "owl": 12 + 1}
    assert {(p["path"], p["kind"]) for p in document["problems"]} == FOUND
    assert all(p["problem"] and p["action"] for p in document["problems"])
    assert document["left_out"] == [{"path": "cat/.DS_Store", "reason": "a hidden file"}]
    assert document["sizes"] == {"smallest": [20, 20], "median": [20, 20], "largest": [200, 200]}


def test_strict_is_for_scripts(deeper, messy, pets):
    said = deeper("check", "photos", "--strict")
    assert said.status == 3
    assert said.err == "deeper: photos: 5 to exclude, and --strict was given\n"
    assert "cannot be read: 1" in said.out
    assert json.loads(deeper("check", "photos", "--strict", "--json").out)["images"] == 41
    sound = deeper("check", pets, "--strict")
    assert (sound.status, sound.err) == (0, "")
    assert sound.out.splitlines()[-1] == "no problems"


def test_what_is_kept_is_nothing_to_be_strict_about(deeper, messy, run):
    """A wrong suffix and a large picture stay; a label that a run doubts, or a class to look at, counts."""
    for path in EXCLUDED:
        (messy / path).unlink()
    said = deeper("check", "photos", "--strict")
    assert said.status == 0, said.err
    assert "named as another format: 1" in said.out and "of another size than the rest: 1" in said.out
    (messy / "owl").rename(messy / "wol")
    (messy / "cat").rename(messy / "owl")
    (messy / "wol").rename(messy / "cat")
    said = deeper("check", "photos", "--strict", "--with", run)
    doubted = int(re.search(r"labels that the run doubts: (\d+)", said.out)[1])
    assert doubted > 0 and said.status == 3
    assert said.err.endswith(f"photos: {doubted} labels in doubt, and --strict was given\n")
    (messy / "elk").mkdir()
    shutil.copy(messy / "cat/07.png", messy / "elk")
    (messy / "cat/07.png").unlink()
    assert "photos: 1 to look at, and" in deeper("check", "photos", "--strict").err


def test_the_list_and_the_page_and_training_without_what_is_listed(deeper, messy, here):
    said = deeper("check", "photos", "--out", "health/photos")
    assert said.status == 0
    assert said.out.splitlines()[-2:] == [
        "health/photos/check.html",
        "next:  deeper train photos --exclude health/photos/exclude.txt   leaves out 5 images",
    ]
    assert {file.name for file in (here / "health/photos").iterdir()} == {"check.html", "exclude.txt"}
    assert listed(here / "health/photos/exclude.txt") == EXCLUDED
    again = json.loads(deeper("check", "photos", "--out", "health/photos", "--json").out)
    assert again["exclude"] == "health/photos/exclude.txt" and again["page"] == "health/photos/check.html"

    train = ("train", "photos", "--epochs", 1, "--size", 16, "--exclude", "health/photos/exclude.txt")
    done = deeper(*train, "--json")
    assert done.status == 0, done.err
    assert "5 images left out, as health/photos/exclude.txt says" in done.err
    folder = RunFolder(here / json.loads(done.out)["run"])
    run, rows = folder.run(), folder.split()
    assert {row["path"] for row in rows} & EXCLUDED == set() and len(rows) == 36
    assert run["data"]["images"] == 36 and [p["path"] for p in run["data"]["problems"]] == ["cat/.DS_Store"]
    assert run["wishes"]["exclude"] == "health/photos/exclude.txt" and run["excluded"]["images"] == 5
    assert run["command"].endswith("--exclude health/photos/exclude.txt")
    assert folder.report.is_file()


def test_images_that_are_alike_stay_on_one_side_if_asked(deeper, here):
    """Of each of twelve smooth pictures there are three, as JPEGs of falling quality."""
    for number in range(12):
        place = here / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        small = np.random.default_rng(number).integers(0, 256, (5, 6, 3), np.uint8)
        picture = Image.fromarray(small).resize((40, 40), Image.Resampling.BICUBIC)
        for quality in (90, 70, 50):
            picture.save(place / f"{number}-{quality}.jpg", quality=quality)
    torn = {}
    for flag in ("--group", "--no-group"):
        said = deeper("train", "photos", "--epochs", 1, "--size", 16, "--batch", 8, flag, "--out", flag[2:])
        assert said.status == 0, said.err
        assert "--group parts" not in said.err
        folder = RunFolder(here / flag[2:])
        assert f" {flag} " in f"{folder.run()['command']} "
        sides = {(row["path"].split("-")[0], row["split"]) for row in folder.split()}
        torn[flag] = len(sides) - 12
        assert folder.run()["data"]["alike"] == (36 if flag == "--group" else 0)
    assert torn["--group"] == 0 < torn["--no-group"]
    said = deeper("train", "photos", "--epochs", 1, "--size", 16, "--group", "--split", "no-group")
    assert "--group parts nothing here; the split is that of an earlier run\n" in said.err


def test_another_list_is_another_run(deeper, here, pets, environment):
    (here / "list.txt").write_text("cat/03.png\n")
    train = ["train", str(pets), "--epochs", "2", "--size", "16", "--exclude", "list.txt", "--out", "run"]
    assert deeper(*train).status == 0
    folder = RunFolder(here / "run")
    folder.write_run({**folder.run(), "status": "interrupted"})
    (here / "list.txt").write_text("cat/04.png\n")
    said = deeper(*train)
    assert said.status == 2
    line = said.err.splitlines()[-1]
    assert "unfinished run of other settings (the list of images to leave out has changed)" in line
    (here / "list.txt").write_text("# the same again\ncat/03.png\n")
    assert "going on" in deeper(*train).err


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("cat/03.png\ncat/99.png\nowl/98.png\n", ["list.txt: ", "no image 'cat/99.png'", "as cat/00.png"]),
        ("/photos/cat/03.png\n", ["no image '/photos/cat/03.png'"]),
        ("".join(f"cat/{n:02}.png\n" for n in range(12)), ["class 'cat'", "no readable image"]),
        (None, ["list.txt cannot be read: No such file"]),
    ],
)  # fmt: skip
def test_lists_that_do_not_fit_are_refused(deeper, here, pets, text, parts):
    if text is not None:
        (here / "list.txt").write_text(text)
    said = deeper("train", pets, "--exclude", "list.txt", "--size", 16)
    assert said.status == 3 and said.out == ""
    last = said.err.splitlines()[-1]
    for part in parts:
        assert part in last
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("words", "status", "parts"),
    [
        (["nowhere"], 3, ["no file or folder nowhere"]),
        (["empty"], 3, ["empty holds no images"]),
        (["empty", "--out", "file"], 2, ["--out file is a file"]),
        (["photos", "--with", "nothing"], 2, ["nothing"]),
        (["photos", "--out", "photos/health"], 2, ["photos/health lies in the folder of the images"]),
        (["photos", "--out", "empty/../photos"], 2, ["photos lies in the folder of the images"]),
        (["photos", "--out", "file/inside"], 5, ["cannot write", "file/inside"]),
        (["photos", "--out", "/proc/a/health"], 5, ["cannot write at /proc/a/health: ", "another place"]),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(deeper, messy, here, tree, words, status, parts):
    (here / "empty").mkdir()
    (here / "file").write_text("x")
    before = tree(here)
    line = deeper("check", *words).refusal(status)
    for part in parts:
        assert part in line
    assert tree(here) == before


def test_a_run_that_doubts_labels(deeper, run, messy):
    shutil.rmtree(messy / "owl")
    said = deeper("check", "photos", "--with", run)
    assert said.status == 0, said.err
    assert re.search(r"^labels that the run doubts: \d+$", said.out, re.MULTILINE)
    document = json.loads(deeper("check", "photos", "--with", run, "--json").out)
    assert isinstance(document["suspects"], list) and document["unknown_classes"] == {}
    assert "not asked" not in said.out
    (messy / "test/emu").mkdir(parents=True)
    for name in ("cat", "dog"):
        shutil.move(messy / name, messy / "train" / name)
    shutil.copy(messy / "train/cat/00.png", messy / "test/emu")
    said = deeper("check", "photos", "--with", run, "--out", "health")
    assert said.status == 0, said.err
    assert "emu: is in test, but not in training · look at it" in said.out
    assert "not asked about 1 image of classes that the run does not know: emu" in said.out.splitlines()
    page = Path("health/check.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert "not asked about 1 image of classes that it does not know: <bdi>emu</bdi>." in page


def test_one_is_no_plural_and_a_short_name_is_named(deeper, here, pets):
    (here / "one/a").mkdir(parents=True)
    shutil.copy(pets / "cat/00.png", here / "one/a")
    said = deeper("check", "one")
    assert said.out.startswith("1 image, 1 class of 1 each\n")
    assert "  a: has a single image, so none can be held out · look at it" in said.out.splitlines()
    (here / "list.txt").write_text("cat/03.png\n")
    words = ("--exclude", "list.txt", "--epochs", 1, "--size", 16)
    assert "1 image left out, as list.txt says\n" in deeper("train", pets, *words).err


@pytest.mark.parametrize("form", ["--raw", "--quality=80"])
def test_the_names_in_a_store_are_not_of_its_making(deeper, here, pets, form):
    assert deeper("prepare", pets, "-o", "store", form).status == 0
    said = deeper("check", "store")
    assert "PPM 36" in said.out and said.out.splitlines()[-1] == "no problems"


def test_what_a_run_was_trained_on_is_said_beside_its_doubts(deeper, run, pets, messy):
    held_out = sum(row["split"] == "val" for row in RunFolder(run).split())
    said = deeper("check", pets, "--with", run)
    doubted = int(re.search(r"labels that the run doubts: (\d+)", said.out)[1])
    listed = re.findall(r"^  \w+/\d\d\.png: \w+ [\d.]+ %, \w+ [\d.]+ %$", said.out, re.MULTILINE)
    assert doubted > 5 == len(listed)
    assert f"  and {doubted - 5} more" in said.out.splitlines()
    assert 0 < held_out < 36
    assert f"the run was trained on {36 - held_out} of these images, and has learned" in said.out
    assert said.out.splitlines()[-1].startswith(f"next:  deeper check {pets} --with {run} --out FOLDER")
    assert json.loads(deeper("check", pets, "--with", run, "--json").out)["trained_on"] == 36 - held_out
    assert deeper("prepare", pets, "-o", "store").status == 0
    document = json.loads(deeper("check", "store", "--with", run, "--json").out)
    assert document["trained_on"] == 36 - held_out  # the same images
    elsewhere = deeper("check", "photos", "--with", run)
    assert "trained on" not in elsewhere.out and "labels that the run doubts" in elsewhere.out


def test_a_store_that_has_changed_is_no_image_to_exclude(deeper, here, pets, tree):
    assert deeper("prepare", pets, "-o", "store").status == 0
    shard = here / "store/shard-00000.tar"
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    shard.write_bytes(data)
    before = tree(here)
    line = deeper("check", "store", "--out", "health").refusal(3)
    assert "shard-00000.tar is damaged at cat/00.png" in line and "make it again" in line
    assert tree(here) == before


def test_ctrl_c_leaves_nothing_behind(here, environment):
    """While the images are read; thousands of links to one picture take some seconds."""
    for name in ("a", "b"):
        (here / "many" / name).mkdir(parents=True)
    Image.effect_noise((700, 700), 90).save(here / "one.png")
    for number in range(3000):
        os.link(here / "one.png", here / "many" / "ab"[number % 2] / f"{number}.png")
    command = [sys.executable, "-c", STOPPED, "check", "many", "--out", "health"]
    done = subprocess.run(
        command, cwd=here, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 130, done
    assert done.stderr.endswith("deeper: interrupted\n") and "Traceback" not in done.stderr
    assert not (here / "health").exists()


STOPPED = f"""
import os, signal, threading
from goingdeeper.cli import main
from goingdeeper.cli.watch import Watch
reading = Watch.reading
def interrupted(self, done, total):
    reading(self, done, total)
    if done == 100:
        os.kill(os.getpid(), signal.Signals({signal.SIGINT.value}))
Watch.reading = interrupted
main()
"""
