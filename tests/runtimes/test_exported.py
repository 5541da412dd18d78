"""An export, opened again: the model's own logits; a folder that is not what was written is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from goingdeeper.errors import DataError, GateError, GoingDeeperError, RunFolderError, UsageError
from goingdeeper.runs.model import load_model
from goingdeeper.runs.stored import sealed, stored_as
from goingdeeper.runtimes.exported import Recommended, is_export, load_export, recommended

BOTH = pytest.mark.parametrize("name", ["onnx", "openvino"])


def edited(folder: Path, edit) -> None:
    """config.json with another seal, as if it had been written so."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    edit(config)
    (folder / "config.json").write_bytes(sealed(config))


@BOTH
@pytest.mark.parametrize("goal", ["latency", "throughput"])
def test_the_models_own_logits(exports, name, goal):
    """Of images of other sizes: fitted, cut and scaled as torch does it."""
    random = np.random.default_rng(3)
    pictures = [
        random.integers(0, 256, shape, np.uint8) for shape in ((50, 70, 3), (200, 45, 3), (40, 40, 3))
    ]
    own = load_model(exports / "model")
    with torch.inference_mode():
        scale = own.preprocessing
        expected = own.net(scale.views([scale.fit(picture) for picture in pictures])).numpy()
    model = load_export(exports / name, goal=goal, threads=2)
    assert (model.classes, model.size, model.shorter) == (own.classes, 32, 40)
    found = model.logits([model.fit(picture) for picture in pictures])
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


FILES = [("onnx", "model.onnx"), ("openvino", "model.xml"), ("openvino", "model.bin"), ("onnx", "golden.png")]


@pytest.mark.parametrize(("name", "file"), FILES)
@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_is_found(copied, name, file, place):
    folder = copied(name)
    data = bytearray((folder / file).read_bytes())
    data[int(place * len(data))] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises((GateError, DataError), match=file.replace(".", r"\.")) as problem:
        load_export(folder)
    assert "\n" not in str(problem.value)
    if file != "golden.png":
        assert isinstance(problem.value, GateError)


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_file_that_is_cut_short_or_not_there(copied, name, file):
    folder = copied(name)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(
        DataError, match=rf"{file}.*(cut short: .* bytes; restore it or export again|truncated)"
    ):
        load_export(folder)
    (folder / file).unlink()
    with pytest.raises(GoingDeeperError, match=rf"{file}") as problem:
        load_export(folder)
    assert problem.value.exit_status in (2, 3)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"bee"', '"bed"'),
        ('"size": 32', '"size": 31'),
        ('"shorter": 40', '"shorter": 41'),
        ('"schema": 1', '"schema":  1'),
    ],
)
def test_an_altered_config_is_found(copied, old, new):
    folder = copied("onnx")
    text = (folder / "config.json").read_text("utf-8")
    assert old in text
    (folder / "config.json").write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(
        GateError, match=r"config\.json was altered after it was saved; restore it or export again"
    ):
        load_export(folder)


def without(name):
    return lambda config: config.pop(name)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda config: config.update(schema=2), r"is not an export of this version \(schema 1\)"),
        (lambda config: config.update(runtime="abacus"), "damaged: there is no runtime 'abacus'"),
        (lambda config: config.update(precision="int3"), "damaged: 'int3'"),
        (lambda config: config["classes"].pop(), "damaged: its class names do not fit 7 logits"),
        (lambda config: config["classes"].__setitem__(1, "ant"), "damaged: its class names do not fit"),
        (lambda config: config["preprocessing"].update(shorter=31), "a shorter side of 31 does not fit"),
        (lambda config: config["preprocessing"].update(size="32"), "damaged: a shorter side"),
        (lambda config: config.update(files=[]), "damaged: it names no model"),
        *((without(name), f"damaged: '{name}'") for name in ("golden", "files", "classes", "runtime")),
        (lambda config: config["golden"].update(image="../other.png"), r"onnx has no other\.png; restore"),
    ],
)  # fmt: skip
def test_a_config_that_says_nonsense(copied, edit, what):
    folder = copied("onnx")
    edited(folder, edit)
    with pytest.raises(DataError, match=what) as problem:
        load_export(folder)
    assert "\n" not in str(problem.value)


def test_one_that_was_compiled_for_another_torch_is_not_opened(copied):
    """Its file is none that torch could open."""
    folder = copied("onnx")
    (folder / "model.onnx").rename(folder / "model.pt2")

    def edit(config, made):
        config.update(runtime="torch", torch=made)
        config["files"][0]["file"] = "model.pt2"

    edited(folder, lambda config: edit(config, "1.13.1"))
    message = f"was compiled for PyTorch 1.13.1, and this is {torch.__version__}; export again"
    with pytest.raises(DataError, match=re.escape(message)):
        load_export(folder)
    edited(folder, lambda config: edit(config, torch.__version__))
    with pytest.raises(DataError, match="cannot be opened by PyTorch"):
        load_export(folder)


@pytest.mark.parametrize("file", ["model.bin", "golden.png"])
def test_a_file_that_is_not_there(copied, file):
    folder = copied("openvino")
    (folder / file).unlink()
    with pytest.raises(DataError, match=f"openvino has no {file}; restore it or export again"):
        load_export(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null"])
def test_a_broken_config(copied, content):
    folder = copied("onnx")
    (folder / "config.json").write_bytes(content)
    assert is_export(folder)
    with pytest.raises(DataError, match=r"config\.json"):
        load_export(folder)


@pytest.mark.parametrize("change", [0.05, float("nan"), float("inf")])
def test_other_golden_logits_are_refused(copied, change):
    """As from a machine that computes otherwise: the seal and all sha256 are right."""
    folder = copied("onnx")

    def edit(config):
        logits = config["golden"]["logits"]
        logits[2] += change * max(map(abs, logits))

    edited(folder, edit)
    with pytest.raises(GateError, match=r"does not prove itself.* this machine computes differently"):
        load_export(folder)


def test_a_model_with_other_weights_is_refused(copied):
    """Sealed again with its own sha256: the golden image still tells."""
    folder = copied("openvino")
    weights = np.frombuffer((folder / "model.bin").read_bytes(), np.uint8).copy()
    values = weights[: len(weights) // 4 * 4].view(np.float32)
    values[np.isfinite(values)] *= 1.1
    (folder / "model.bin").write_bytes(weights.tobytes())

    def edit(config):
        config["files"] = [
            stored_as(one["file"], (folder / one["file"]).read_bytes()) for one in config["files"]
        ]

    edited(folder, edit)
    with pytest.raises(GateError, match="does not prove itself"):
        load_export(folder)


def test_where_there_is_no_export(tmp_path, copied):
    with pytest.raises(RunFolderError, match=r"there is no folder .*/nowhere; `deeper export` makes one"):
        load_export(tmp_path / "nowhere")
    folder = copied("onnx")
    (folder / "config.json").unlink()
    assert is_export(folder)
    with pytest.raises(RunFolderError, match=r"onnx is no finished export: it has no config\.json"):
        load_export(folder)
    assert not is_export(tmp_path) and not is_export(tmp_path / "nowhere")


def test_a_model_folder_is_no_export(exports):
    assert is_export(exports / "onnx") and not is_export(exports / "model")


def test_an_export_killed_between_its_renames_is_still_found(copied):
    folder = copied("onnx")
    folder.rename(folder.with_name(".onnx.old"))
    assert is_export(folder)
    assert load_export(folder).path.name == ".onnx.old"


@pytest.fixture
def run(exports, tmp_path):
    """A run folder with both exports, which recommends one, as `deeper bench` writes it."""
    shutil.copytree(exports / "model", tmp_path / "run" / "model")
    for name in ("onnx", "openvino"):
        shutil.copytree(exports / name, tmp_path / "run" / "export" / name)
    return tmp_path / "run"


def recommend(run, **said):
    edited(run / "model", lambda config: config.update(recommended=said))


def test_what_is_recommended(run):
    assert recommended(run) is None
    recommend(run, export=None)
    assert recommended(run) is None
    recommend(run, export="export/onnx", threads=1)
    assert recommended(run) == Recommended(run / "export/onnx", 1)
    recommend(run, export="export/onnx", threads=10_000)
    assert recommended(run) == Recommended(run / "export/onnx", 0)


@pytest.mark.parametrize("export", ["export/gone", "model", "../run/export/onnx", ""])
def test_what_is_recommended_and_no_export(run, export):
    recommend(run, export=export)
    with pytest.raises(UsageError, match="which is recommended, is no export"):
        recommended(run)
    recommend(run, export=str(run / "export/onnx"))
    with pytest.raises(UsageError, match="which is recommended, is no export"):
        recommended(run)


def test_what_is_recommended_and_not_there_yet(run):
    for name, words in (("torch", "torch"), ("openvino-int8", "openvino --int8")):
        recommend(run, export=f"export/{name}")
        with pytest.raises(UsageError, match=rf"not there yet; `deeper export {run} --to {words}` makes it"):
            recommended(run)


def test_what_is_recommended_and_a_program_runs_only_by_name(run):
    shutil.copytree(run / "export/onnx", run / "export/torch")
    recommend(run, export="export/torch")
    with pytest.raises(UsageError, match="export/torch, which is recommended, is a program"):
        recommended(run)


def test_the_model_below_a_run_means_the_run_and_one_on_its_own_itself(run, tmp_path):
    recommend(run, export="export/onnx", threads=1)
    with pytest.raises(UsageError, match=r"model/export/onnx, which is recommended, is not there yet"):
        recommended(run / "model")  # of a folder that is no run's
    (run / "run.json").write_text("{}")
    assert recommended(run / "model") == recommended(run) == Recommended(run / "export/onnx", 1)
    shutil.copytree(run / "model", tmp_path / "bare")
    with pytest.raises(UsageError, match=rf"`deeper export {tmp_path}/bare --to onnx` makes it"):
        recommended(tmp_path / "bare")
    shutil.copytree(run / "export", tmp_path / "bare/export")
    assert recommended(tmp_path / "bare") == Recommended(tmp_path / "bare/export/onnx", 1)


def test_an_altered_recommendation_is_not_used(run):
    recommend(run, export="export/onnx")
    file = run / "model/config.json"
    sound = file.read_text("utf-8")
    file.write_text(sound.replace('"export/onnx"', '"export/openvino"'), "utf-8")
    with pytest.raises(GateError, match=r"model/config\.json was altered after it was saved"):
        recommended(run)
    config = json.loads(sound)
    del config["seal"]
    file.write_text(json.dumps(config), "utf-8")
    with pytest.raises(GateError, match="altered"):
        recommended(run)
    del config["golden"]["sha256"]  # as a model of before there was a seal
    file.write_text(json.dumps(config), "utf-8")
    assert recommended(run) == Recommended(run / "export/onnx", 0)


def test_an_export_of_older_weights_is_not_used(run):
    recommend(run, export="export/openvino")
    edited(run / "model", lambda config: config["weights"].update(sha256="0" * 64))
    with pytest.raises(
        UsageError, match="openvino, which is recommended, was made from other weights; export again"
    ):
        recommended(run)
