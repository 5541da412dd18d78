"""Quantised exports, their errors counted by loops of the tests' own in the runtimes themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from PIL import Image

from goingdeeper.data.sources.digits import digits
from goingdeeper.deploy import int8
from goingdeeper.deploy.int8 import export_int8
from goingdeeper.errors import DataError, GateError, UsageError
from goingdeeper.runs.folder import RunFolder
from goingdeeper.runs.model import load_model

pytestmark = pytest.mark.usefixtures("one_processor")

BOTH = pytest.mark.parametrize("to", ["onnx", "openvino"])


def held_out(run):
    """Pixels and class numbers of the validation images, by split.csv."""
    source = digits()
    rows = [row for row in RunFolder(run).split() if row["split"] == "val"]
    pixels = np.stack([source.read(row["path"]) for row in rows])
    return pixels, np.array([source.classes.index(row["class"]) for row in rows])


def logits(folder, pixels):
    """By the runtime alone."""
    if (folder / "model.onnx").exists():
        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        return session.run(None, {"images": pixels})[0]
    model = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return model(pixels)[0]


@BOTH
def test_a_quantised_export(learned, tmp_path, to):
    out = tmp_path / "out"
    notes = []
    done = export_int8(load_model(learned), out, to=to, calibrate=50, note=notes.append)
    config = json.loads((out / "config.json").read_text())
    pixels, labels = held_out(learned)
    found = logits(out, pixels)
    wrong = int((found.argmax(1) != labels).sum())
    own = load_model(learned)
    expected = own.net(own.preprocessing.normalise(torch_of(pixels))).detach().numpy()
    wrong_before = int((expected.argmax(1) != labels).sum())
    assert 0 < wrong_before < 0.1 * len(labels)
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()

    assert config["gate"] == {
        "metric": "top1_error", "before": pytest.approx(100 * wrong_before / len(labels)),
        "after": pytest.approx(100 * wrong / len(labels)), "limit": 0.5, "passed": True,
        "difference": pytest.approx(100 * (wrong - wrong_before) / len(labels)),
        "interval_95": list(done.gate.interval_95), "images": len(labels),
    }  # fmt: skip
    low, high = done.gate.interval_95
    assert low < done.gate.difference < high and high > 0.5
    assert notes[-1].startswith(
        f"{len(labels)} validation images are few to judge on: int8 may err on up to {high:.2f}"
    )
    assert (config["precision"], config["format"], config["excluded"]) == ("int8", to, [])
    assert config["calibration"] == {
        "images": 50, "from": "the training side of digits", "choice": "by turns one of each class, seed 5",
    }  # fmt: skip
    golden = logits(out, np.asarray(pixels_of(out / "golden.png"))[None])[0]
    assert np.allclose(golden, config["golden"]["logits"], atol=1e-4 * np.abs(golden).max())
    text = (out / "README.md").read_text()
    assert f"it errs on {done.gate.after:.2f} % in int8, and on {done.gate.before:.2f} % in fp32" in text
    assert sorted(path.name for path in out.iterdir()) == sorted(done.files)


def torch_of(pixels):
    return torch.from_numpy(pixels)


def pixels_of(file):
    with Image.open(file) as image:
        return image.convert("RGB")


@BOTH
def test_a_layer_that_has_no_room_for_its_values(broken, tmp_path, to):
    """Refused, with the layer named first and nothing left; mended where that may stay in fp32."""
    out = tmp_path / "place/out"
    model = load_model(broken)
    with pytest.raises(GateError) as refused:
        export_int8(model, out, to=to, calibrate=50)
    said = str(refused.value)
    assert "over the 0.5 that are allowed; nothing was written" in said
    assert "signal to noise: next (" in said and "--auto-exclude" in said
    assert not out.parent.exists()

    notes = []
    done = export_int8(model, out, to=to, calibrate=50, auto_exclude=True, note=notes.append)
    assert done.excluded == ("next",) and done.gate.passed
    assert any("in fp32 now: next" in note for note in notes)
    assert json.loads((out / "config.json").read_text())["excluded"] == ["next"]
    assert "In fp32 still, as they lost most: next." in (out / "README.md").read_text()
    pixels, labels = held_out(broken)
    assert (logits(out, pixels).argmax(1) != labels).mean() * 100 == pytest.approx(done.gate.after)


def test_where_nothing_mends_it_all_tries_fail(broken, tmp_path, monkeypatch):
    """With a limit that no quantised model keeps: the layers are all tried, and nothing is left."""
    _, labels = held_out(broken)
    monkeypatch.setattr(int8, "mistaken", answers(len(labels)))
    notes = []
    with pytest.raises(GateError, match=r"with 4 layers in fp32: .*--limit allows more$"):
        export_int8(load_model(broken), tmp_path / "out", calibrate=10, auto_exclude=True, note=notes.append)
    assert len(notes) == 4  # the calibration, then 1, 2 and 4 layers
    assert not (tmp_path / "out").exists()


def answers(count):
    """No mistakes at first, then only mistakes."""
    asked = iter([np.zeros(count, bool)] + [np.ones(count, bool)] * 9)
    return lambda *_: next(asked)


def test_what_is_int8_in_the_onnx_model(learned, tmp_path):
    """Weights by channel, the largest of each 127; the bytes-in graph and the logits are not."""
    export_int8(load_model(learned), tmp_path / "out", calibrate=10)
    graph = onnx.load(tmp_path / "out/model.onnx").graph
    values = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    weights = [name for name, value in values.items() if value.dtype == np.int8 and value.ndim > 1]
    assert len(weights) == 6
    for name in weights:
        scale = values[name.replace("_quantized", "_scale")]
        assert scale.shape == (len(values[name]),)
        assert np.abs(values[name].astype(int)).reshape(len(scale), -1).max(1).tolist() == [127] * len(scale)
    kinds = [node.op_type for node in graph.node]
    others = [kind for kind in kinds if kind != "DequantizeLinear"]  # of weights, which come first
    assert others[:4] == [
        "Cast",
        "Transpose",
        "Sub",
        "QuantizeLinear",
    ]
    assert kinds[-2:] == ["Gemm", "Flatten"]
    assert {one.key for one in onnx.load(tmp_path / "out/model.onnx").metadata_props} == {
        "classes", "preprocessing",
    }  # fmt: skip


def test_what_is_int8_in_the_openvino_model(learned, tmp_path):
    export_int8(load_model(learned), tmp_path / "out", to="openvino", calibrate=10)
    model = openvino.Core().read_model(tmp_path / "out/model.xml")
    constants = [op for op in model.get_ops() if op.get_type_name() == "Constant"]
    bytes_of = [op.shape for op in constants if op.get_element_type() == openvino.Type.i8]
    assert len([shape for shape in bytes_of if len(shape) > 1]) == 6
    assert model.get_rt_info(["model_info", "classes"]).astype(str).startswith('["0", "1"')


def test_refusals(learned, tmp_path):
    model = load_model(learned)
    with pytest.raises(UsageError, match="unknown format 'torch'; int8 is for onnx and openvino"):
        export_int8(model, tmp_path / "out", to="torch")
    with pytest.raises(UsageError, match="a limit of -1 points"):
        export_int8(model, tmp_path / "out", limit=-1)
    with pytest.raises(UsageError, match="9 images to calibrate on are too few; at least 10"):
        export_int8(model, tmp_path / "out", calibrate=9)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="mine is there and is no export alone"):
        export_int8(model, tmp_path / "mine", force=True)
    assert not (tmp_path / "out").exists()


def test_without_validation_images(learned, tmp_path):
    shutil.copytree(learned, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    rows = [(row["path"], row["class"], "train") for row in folder.split()]
    folder.write_rows("split.csv", ("path", "class", "split"), rows)
    with pytest.raises(DataError, match="no validation images"):
        export_int8(load_model(tmp_path / "run"), tmp_path / "out")


ALONE = """
import os, sys
def hook(event, args):
    if event.startswith("socket.") or event == "subprocess.Popen" or event == "os.fork":
        sys.stderr.write(f"seen: {event}\\n")
sys.addaudithook(hook)
from pathlib import Path
from goingdeeper.deploy import int8
from goingdeeper.deploy.int8 import export_int8
from goingdeeper.runs.model import load_model
import logging
export_int8(load_model(Path(sys.argv[1])), Path(sys.argv[2]), to=sys.argv[3], calibrate=10)
assert not logging.getLogger().handlers and logging.getLoggerClass() is logging.Logger
"""


@pytest.mark.slow
@BOTH
def test_nobody_is_told_and_nothing_is_printed(learned, tmp_path, to):
    """In a process of its own: no connection, nothing in the home folder, no log lines, no progress bars."""
    (tmp_path / "home").mkdir()
    kept = {
        name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")
    }
    done = subprocess.run(
        [sys.executable, "-c", ALONE, learned, tmp_path / "out", to],
        env=kept | {"HOME": str(tmp_path / "home")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "home").iterdir()) == []
    assert (tmp_path / "out/config.json").is_file()
