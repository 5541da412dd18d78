"""`import goingdeeper as gd`, from a folder of images to answers."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import goingdeeper as gd
from goingdeeper.data.sources import open_source
from goingdeeper.data.store import Form, prepare
from goingdeeper.errors import DataError, GateError, RunFolderError, UsageError
from goingdeeper.training.events import Events


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Seven classes, so that a top-5 error makes sense."""
    root = tmp_path_factory.mktemp("data") / "photos"
    random = np.random.default_rng(0)
    for name in ("ant", "bee", "cat", "dog", "elk", "fox", "gnu"):
        (root / name).mkdir(parents=True)
        for index in range(5):
            Image.fromarray(random.integers(0, 256, (18, 18, 3), np.uint8)).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    return gd.train(photos, model="cifar-resnet-20-a", epochs=1, batch=14, size=16, out=out)


def test_training_gives_a_run_that_loads_again(run):
    assert run.path.name == "first"
    assert run.report.read_text("utf-8").lstrip().lower().startswith("<!doctype html>")
    again = gd.load(str(run.path))
    assert again.model.classes == run.model.classes == ("ant", "bee", "cat", "dog", "elk", "fox", "gnu")
    images = torch.randn(2, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(again.model.net(images), run.model.net(images))


def test_predict_takes_paths_folders_arrays_and_several(run, photos):
    path = photos / "ant" / "0.png"
    (answer,) = run.predict(path)
    assert answer.path == str(path)
    assert len(answer.top) == 5
    assert [p for _, p in answer.top] == sorted((p for _, p in answer.top), reverse=True)
    pixels = np.asarray(Image.open(path))
    for images in (str(path), [path], [str(path)], (path,), iter([path]), pixels, [pixels]):
        (other,) = run.predict(images)
        assert other.top == answer.top
    assert len(run.predict(photos)) == 35
    mixed = run.predict([photos / "bee", path, pixels], top=7)
    assert len(mixed) == 7
    assert sum(p for _, p in mixed[0].top) == pytest.approx(1, abs=1e-5)
    assert run.predict([]) == []


def test_what_cannot_be_predicted_raises_with_its_name(run, tmp_path):
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(DataError, match=r"page\.png"):
        run.predict(tmp_path / "page.png")
    with pytest.raises(DataError, match=r"nowhere\.png"):
        run.predict("nowhere.png")
    with pytest.raises(DataError, match=r"\(4, 4\)"):
        run.predict(np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="float"):
        run.predict([np.zeros((4, 4, 3))])


def test_evaluate_on_the_held_out_images_and_on_a_folder(run, photos):
    held_out = run.evaluate()
    assert held_out.top1_error == run.score["top1_error"]
    assert held_out.top5_error == run.score["top5_error"]
    assert held_out.top5_error <= held_out.top1_error
    assert list(held_out.interval_95) == run.score["interval_95"]
    assert gd.evaluate(run) == gd.evaluate(str(run.path)) == gd.evaluate(run.path) == held_out
    whole = gd.evaluate(run, photos)
    assert whole.images == 35
    assert whole == run.evaluate(str(photos), protocol="1crop")
    with pytest.raises(UsageError, match="unknown protocol '7crop'"):
        run.evaluate(protocol="7crop")


def test_compare_takes_runs_and_paths(run, photos):
    found = gd.compare(run, str(run.path))
    assert (found.images, found.a_error) == (run.score["images"], run.score["top1_error"])
    assert (found.better, found.difference, found.only_a_wrong) == (None, 0, 0)
    whole = gd.compare(run.path, run, photos)
    assert (whole.images, whole.b_error) == (35, gd.evaluate(run, photos).top1_error)
    with pytest.raises(RunFolderError, match="model folder, which keeps no predictions"):
        gd.compare(run.path / "model", run)
    other = dataclasses.replace(run.model, classes=(*run.model.classes[:-1], "yak"))
    with pytest.raises(DataError, match=r"the models have different classes: .* alone has 'gnu'; .* 'yak'"):
        gd.compare(run, gd.Run(run.path, other), photos)


def test_whether_a_run_was_trained_on_the_images_of_a_score(photos, tmp_path):
    """By the images that are scored, wherever they are named from, and through a store."""
    root = shutil.copytree(photos, tmp_path / "photos" / "Train").parent
    for image in root.glob("Train/*/4.png"):
        (root / "Dev" / image.parent.name).mkdir(parents=True)
        image.rename(root / "Dev" / image.parent.name / image.name)
    (root / "test").mkdir()
    shutil.copytree(root / "Dev" / "ant", root / "test" / "ant")
    options = {"model": "cifar-resnet-20-a", "epochs": 1, "batch": 14, "size": 16}
    run = gd.train(root, out=tmp_path / "first", **options)
    assert not run.trained_on(root) and not run.trained_on(root, split="test")
    assert run.trained_on(root / "Train")
    assert not run.trained_on(root / "Dev")

    rows = [f"Train/ant/{n}.png,ant" for n in range(4)]
    (root / "all.csv").write_text("\n".join(["path,label", *rows]))
    (root / "other.csv").write_text("path,label\nDev/ant/4.png,ant\n")
    assert run.trained_on(root / "all.csv")
    assert not run.trained_on(root / "other.csv")

    for folder, store in ((root, "split"), (root / "Train", "whole")):
        prepare(open_source(folder, split="all"), tmp_path / store, Form(raw=True))
    prepare(open_source(tmp_path / "whole"), tmp_path / "again", Form(raw=True))
    assert not run.trained_on(tmp_path / "split")
    assert run.trained_on(tmp_path / "whole") and run.trained_on(tmp_path / "again")
    second = gd.train(tmp_path / "again", out=tmp_path / "second", **options)
    assert second.trained_on(root / "Train") and second.trained_on(tmp_path / "whole")
    assert not second.trained_on(root)
    assert not gd.load(run.path / "model").trained_on(root / "Train")


def test_settings_are_python_values(photos, tmp_path):
    run = gd.train(
        photos, epochs=1, batch=14, size=16, seed=3, out=tmp_path / "run",
        settings={"rate": 0.05, "flip": False, "warmup_epochs": 0},
    )  # fmt: skip
    record = gd.list_runs(tmp_path)[0].run()
    assert record["recipe"]["optimiser"]["rate"] == 0.05
    assert record["recipe"]["augmentation"]["flip"] is False
    assert record["recipe"]["schedule"]["warmup_epochs"] == 0
    assert record["seed"] == 3
    assert "--seed 3 --set rate=0.05 --set flip=False --set warmup_epochs=0" in record["command"]
    assert run.model.config["provenance"]["command"] == record["command"]


def test_events_are_told(photos, tmp_path):
    heard = []

    class Listener(Events):
        def note(self, text):
            heard.append("note")

        def reading(self, done, total):
            heard.append("reading")

        def step(self, pace):
            heard.append("step")

        def epoch(self, end):
            heard.append("epoch")

        def close(self):
            heard.append("close")

    gd.train(photos, epochs=2, batch=14, size=16, out=tmp_path / "run", events=Listener())
    assert heard.count("reading") == 35
    assert [word for word in heard if word not in ("note", "reading")] == ["step", "step", "epoch"] * 2 + [
        "close"
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "resnet-18"}, "unknown network 'resnet-18'; did you mean resnet-18"),
        ({"recipe": "fast"}, "unknown recipe 'fast'"),
        ({"batch": 0}, "at least 1"),
        ({"epochs": 0}, "at least 1"),
        ({"size": 0}, r"input \(3, 0, 0\)"),
        ({"seed": -1}, "seed -1"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"settings": {"rate": None}}, "rate=None: a number is needed"),
        ({"settings": {"speed": 1}}, "unknown setting 'speed'"),
    ],
)
def test_wrong_arguments(photos, tmp_path, wrong, message):
    with pytest.raises(UsageError, match=message):
        gd.train(photos, out=tmp_path / "run", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_load(tmp_path, run):
    with pytest.raises(RunFolderError, match="no run folder"):
        gd.load(tmp_path / "absent")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        gd.load(tmp_path)
    with pytest.raises(RunFolderError, match="no folder"):
        gd.list_runs(tmp_path / "absent")


def test_an_altered_model_is_refused(run, tmp_path):
    shutil.copytree(run.path / "model", tmp_path / "model")
    assert gd.load(tmp_path / "model").predict(np.zeros((9, 9, 3), np.uint8))
    file = tmp_path / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(GateError, match="was altered"):
        gd.load(tmp_path / "model")


def test_the_report_can_be_written_again_also_where_the_images_have_gone(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    with_images = gd.report(tmp_path / "run").read_text("utf-8")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    record["data"]["location"] = str(tmp_path / "gone")
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    without = gd.report(tmp_path / "run").read_text("utf-8")
    assert with_images.count("<img") == 2 * with_images.count('alt="A validation image') > 0
    assert "Grad-CAM at conv4_3" in with_images
    assert "<img" not in without and "Grad-CAM" not in without
    assert "http://" not in re.sub(r"http://www\.w3\.org/\S+", "", without)


def test_a_run_displays_itself_without_letting_its_path_be_markup(run):
    html = run._repr_html_()
    assert "first" in html
    odd = dataclasses.replace(run, path=run.path.parent / "<b>&")
    assert "<b>" not in odd._repr_html_()
    assert "&lt;b&gt;&amp;" in odd._repr_html_()


def test_names_that_do_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        gd.trian  # noqa: B018
    assert set(gd.__all__) <= set(dir(gd))
