"""`deeper predict --explain`: pictures in a folder, named in the table and in JSON."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from goingdeeper.prediction import explain
from goingdeeper.runs.stored import sealed


def parts(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def odd(pets, here):
    """A grey image, one of 16 bits, one that is no image, and two of one name."""
    Image.open(pets / "cat" / "00.png").convert("L").save(here / "grey.png")
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 160).save(here / "deep.png")
    (here / "page.jpg").write_text("<html>")
    return ["grey.png", "deep.png", "page.jpg", pets / "dog" / "00.png", pets / "owl" / "00.png"]


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_pictures_are_named_in_the_table(deeper, run, pets, here, method):
    images = pets / "cat" / "00.png", pets / "owl" / "11.png"
    said = deeper("predict", run, *images, "--explain", method, "--top", 1)
    assert (said.status, said.err) == (0, "")
    plain = deeper("predict", run, *images, "--top", 1).out.splitlines()
    files = [f"explained/00_{method}.png", f"explained/11_{method}.png"]
    assert said.out.splitlines() == [f"{line}   -> {file}" for line, file in zip(plain, files, strict=True)]
    for file in files:
        with Image.open(here / file) as image:
            assert image.format == "PNG" and image.width > 448
    assert parts(here / "explained") == [f"00_{method}.png", f"11_{method}.png"]


def test_pictures_are_named_in_json_and_the_rest_is_done(deeper, run, odd, here):
    said = deeper("predict", run, *odd, "--explain", "cam", "-o", "a/b", "--top", 2, "--json")
    assert said.status == 3
    document = json.loads(said.out)
    pictures = ["grey_cam.png", "deep_cam.png", "00_cam.png", "00_cam-2.png"]
    for found, name in zip(document["predictions"], pictures, strict=True):
        assert len(found["top"]) == 2
        likeliest = found["top"][0]
        assert found["explanation"] == {
            "method": "cam",
            "layer": "conv4_3",
            "picture": f"a/b/{name}",
            **likeliest,
        }
    assert [failure["path"] for failure in document["failed"]] == ["page.jpg"]
    assert parts(here / "a" / "b") == sorted(pictures)


def test_another_class(deeper, run, pets, here):
    image = pets / "cat" / "00.png"
    said = deeper("predict", run, image, "--explain", "occlusion", "--explain-class", "owl", "--json")
    (found,) = json.loads(said.out)["predictions"]
    chances = {one["class"]: one["probability"] for one in found["top"]}
    assert found["explanation"] == {
        "method": "occlusion", "class": "owl", "probability": chances["owl"],
        "picture": "explained/00_occlusion.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--explain", "gradcam"), "'cam', 'occlusion'"),
        (("--out", "there"), "--out is for --explain cam or --explain occlusion"),
        (("--explain-class", "owl"), "--explain-class is for --explain"),
        (
            ("--explain", "cam", "--explain-class", "owls"),
            "unknown class 'owls'; did you mean owl? the",
        ),
        (("--explain", "cam", "-o", "file"), "file is a file; give a folder for the pictures"),
    ],
)
def test_what_is_refused_writes_nothing(deeper, run, pets, here, tree, words, part):
    (here / "file").touch()
    before = tree(here)
    assert part in deeper("predict", run, pets / "cat" / "00.png", *words).refusal(2)
    assert tree(here) == before and parts(here) == ["file"]


def test_the_runs_own_weights_answer_whatever_is_recommended(deeper, run, pets, here):
    shutil.copytree(run, here / "run")
    assert deeper("export", "run", "--to", "onnx").status == 0
    file = here / "run" / "model" / "config.json"
    config = json.loads(file.read_text("utf-8"))
    file.write_bytes(sealed({**config, "recommended": {"export": "export/onnx", "threads": 1}}))
    image = pets / "cat" / "00.png"
    assert "-> explained/00_cam.png" in deeper("predict", "run", image, "--explain", "cam").out
    line = deeper("predict", "run/export/onnx", image, "--explain", "cam").refusal(2)
    assert "run/export/onnx is an export, which predicts and no more; name the run" in line


def test_interrupted_there_are_whole_pictures_and_no_others(deeper, run, pets, here, monkeypatch):
    made = []

    def picture(*given):
        made.append(given)
        if len(made) == 3:
            raise KeyboardInterrupt
        return drawn(*given)

    drawn = explain.picture
    monkeypatch.setattr(explain, "picture", picture)
    said = deeper("predict", run, pets, "--explain", "cam")
    assert said.status == 130
    assert len(said.out.splitlines()) == 2
    assert parts(here / "explained") == ["00_cam.png", "01_cam.png"]
    for name in parts(here / "explained"):
        Image.open(here / "explained" / name).load()


def test_pictures_of_an_earlier_call_are_no_images(deeper, run, pets, here):
    shutil.copytree(pets / "cat", here / "photos")
    count = len(parts(here / "photos"))
    for _ in range(2):
        said = deeper("predict", run, "photos", "--explain", "cam", "-o", "photos/explained", "--json")
        assert len(json.loads(said.out)["predictions"]) == count
    assert len(parts(here / "photos" / "explained")) == count
    one = deeper("predict", run, "photos/explained", "--explain", "cam", "-o", "photos/explained", "--json")
    assert len(json.loads(one.out)["predictions"]) == count
