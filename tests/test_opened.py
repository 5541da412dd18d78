"""`gd.load` of runs and exports: what answers, what it loads, and what an export cannot do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import goingdeeper as gd
from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export
from goingdeeper.errors import DataError, GateError, RunFolderError
from goingdeeper.nn.build import build
from goingdeeper.opened import load_trained
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model, save_model
from goingdeeper.runs.stored import sealed
from goingdeeper.runtimes.exported import ExportedModel

CLASSES = tuple("abcdefg")
SCORES = {"top1_error": 4.8, "interval_95": [3.1, 7.5], "images": 374, "protocol": "1crop"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run with an export, and photos."""
    place = tmp_path_factory.mktemp("opened")
    net = build(replace(catalogue.network("cifar-resnet-20-b"), classes=7, heads=()), seed=1).eval()
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (60, 90, 3), np.uint8)
    save_model(
        place / "run/model", net, net.state_dict(), CLASSES, Preprocessing(32), picture, {"scores": SCORES}
    )
    RunFolder(place / "run").write_run({"status": "finished"})
    export(load_model(place / "run"), place / "run/export/onnx")
    for number, name in enumerate("abc"):
        (place / "photos" / name).mkdir(parents=True)
        pixels = random.integers(0, 256, (50 + number, 70, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"photos/{name}/0.png")
    return place


@pytest.fixture
def run(made, tmp_path):
    """A copy that recommends its export."""
    place = shutil.copytree(made / "run", tmp_path / "run")
    config = json.loads((place / "model/config.json").read_text())
    config["recommended"] = {"export": "export/onnx", "threads": 1}
    (place / "model/config.json").write_bytes(sealed(config))
    return place


def assert_same(found, expected):
    assert [one.path for one in found] == [one.path for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert [name for name, _ in one.top] == [name for name, _ in other.top]
        assert [p for _, p in one.top] == pytest.approx([p for _, p in other.top], abs=1e-5)


def test_an_export_gives_the_runs_answers(made):
    """Of files, folders, arrays and PIL images."""
    exported = gd.load(made / "run/export/onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (40, 33, 3), np.uint8)
    images = [made / "photos", made / "photos/b/0.png", pixels, Image.fromarray(pixels)]
    assert_same(exported.predict(images, top=7), load_trained(made / "run").predict(images, top=7))
    assert exported.score == SCORES
    assert "4.8 %" in exported._repr_html_()
    with pytest.raises(DataError, match="gone"):
        exported.predict("gone.png")


@pytest.mark.parametrize(
    "wanted",
    [
        lambda run, photos: run.model,
        lambda run, photos: run.evaluate(photos),
        lambda run, photos: gd.features(run, photos),
        lambda run, photos: gd.evaluate(run.path, photos),
        lambda run, photos: gd.features(run.path, photos),
        lambda run, photos: gd.compare(run, run, photos),
        lambda run, photos: gd.check(photos, run=run),
    ],
    ids=["model", "evaluate", "features", "evaluate path", "features path", "compare", "check"],
)
def test_what_an_export_cannot_do(made, wanted):
    run = gd.load(made / "run/export/onnx")
    with pytest.raises(RunFolderError, match="is an export, which predicts and no more; name the run that"):
        wanted(run, made / "photos")


def test_a_run_answers_by_the_export_that_is_recommended(made, run):
    found = gd.load(run)
    assert isinstance(found.opened, ExportedModel) and found.opened.path == run / "export/onnx"
    assert (found.note, found.answered_by) == ("", "export/onnx")
    assert gd.load(run / "export/onnx").answered_by == ""
    assert_same(found.predict(made / "photos"), load_trained(run).predict(made / "photos"))
    assert found.model.path == run / "model"  # and the rest is done by the run itself
    assert found.score == SCORES
    assert not isinstance(gd.load(made / "run").opened, ExportedModel)


def test_what_is_recommended_and_damaged_is_not_used(made, run):
    file = run / "export/onnx/model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    found = gd.load(run)
    assert not isinstance(found.opened, ExportedModel)
    assert "model.onnx was altered" in found.note and found.note.endswith("; the run itself answers")
    assert_same(found.predict(made / "photos"), gd.load(made / "run").predict(made / "photos"))


def test_a_damaged_run_is_refused_for_what_it_is(made, run):
    """Nothing of a config.json that was altered counts, a recommendation neither."""
    shutil.copytree(run / "export/onnx", run / "export/openvino")
    text = (run / "model/config.json").read_text()
    (run / "model/config.json").write_text(text.replace('"export/onnx"', '"export/openvino"'))
    with pytest.raises(GateError, match=r"config\.json was altered"):
        gd.load(run)


@pytest.mark.parametrize("what", ["run", "run/export/onnx"])
def test_predicting_from_an_export_loads_no_torch(made, run, what):
    code = f"""
import sys
import goingdeeper as gd
answers = gd.load({str(run.parent / what)!r}).predict({str(made / "photos")!r}, top=7)
print(*sorted({{module.split(".")[0] for module in sys.modules}}))
print(*answers[0].top[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, answer = done.stdout.splitlines()
    unwanted = {"torch", "sklearn", "scipy", "matplotlib", "safetensors", "huggingface_hub", "rich", "jinja2"}
    assert not unwanted & set(loaded.split()) and "onnxruntime" in loaded.split()
    name, p = load_trained(made / "run").predict(made / "photos")[0].top[0]
    assert answer.split()[0] == name and float(answer.split()[1]) == pytest.approx(p, abs=1e-5)
