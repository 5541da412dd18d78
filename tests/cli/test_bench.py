"""`deeper bench` on tiny networks: table, document, picture, what a run keeps, refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

import goingdeeper as gd
from goingdeeper import catalogue
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export
from goingdeeper.errors import ResourceError
from goingdeeper.nn.build import build
from goingdeeper.runs.model import Model, load_model, save_model
from goingdeeper.runtimes.exported import ExportedModel
from goingdeeper.timing import bench, floor, recommend
from goingdeeper.timing.candidates import Candidate
from goingdeeper.timing.floor import Peak
from goingdeeper.timing.rows import Bench, Row

PROCESSORS = len(os.sched_getaffinity(0))
SHORT = ("--seconds", "0.02", "--rounds", "1", "--threads", "1", "--batch", "1")


@pytest.fixture(autouse=True)
def quick_peak(monkeypatch):
    """The machine's peak by a smaller product."""
    monkeypatch.setattr(floor, "SECONDS", 0.01)
    monkeypatch.setattr(floor, "BLOCKS", 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "model"
    net = build(catalogue.network("cifar-resnet-20-a")).eval()
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    classes = tuple(f"class {n}" for n in range(10))
    save_model(folder, net, net.state_dict(), classes, Preprocessing(32), picture, {})
    return folder


@pytest.mark.slow
def test_a_run_is_measured_and_keeps_what_is_recommended(deeper, model, tmp_path):
    run = tmp_path / "a run"
    shutil.copytree(model, run)
    words = ("--runtime", "openvino", "--against", "eager", "-o", tmp_path / "bars.svg")
    said = deeper("bench", run, *words, *SHORT)
    assert said.status == 0, said
    assert max(map(len, said.out.splitlines()[:-1])) <= 80
    assert "recommended: openvino for latency: " in said.out
    assert said.out.splitlines()[-1] == f"next:  deeper export '{run}' --to openvino"
    assert said.err.startswith("about ") and "candidates 3 at batch 1, 1 block of 0.02 s" in said.err
    assert (tmp_path / "bars.svg").read_bytes().startswith(b"<?xml")
    assert load_model(run).config["recommended"] == {"export": "export/openvino", "threads": 1}
    assert {file.name for file in run.iterdir()} == {file.name for file in model.iterdir()}
    assert deeper("export", run, "--to", "openvino").status == 0
    (run / "model.safetensors").unlink()  # which predicting does not read
    found = gd.load(run)
    assert isinstance(found.opened, ExportedModel) and found.note == ""
    answer = deeper("predict", run, run / "golden.png", "--json")
    assert answer.err.startswith("answered by export/openvino, as `deeper bench` recommended\n")
    said = json.loads(answer.out)
    assert [said[key] for key in ("answered_by", "runtime", "precision")] == [
        "export/openvino", "openvino", "float32",
    ]  # fmt: skip


@pytest.fixture
def measured(monkeypatch):
    """What `deeper bench` measures, made by hand: PyTorch eager, and OpenVINO, which is slower."""
    ours = {
        Candidate("goingdeeper", name, "float32", 1, "latency", 1): rate
        for name, rate in (("eager", 20.0), ("openvino", 10.0))
    }
    rows = [Row(one, rate, 1000 / rate, 1, None, 1, 0, {}, (1 / rate,)) for one, rate in ours.items()]
    machine = {"processor": "AMD EPYC", "threads": 1, "versions": {}}
    found = Bench("small", 10**9, machine, Peak(1e11, "a product"), 1, 0.5, tuple(rows), (), (), None, False)
    monkeypatch.setattr(bench, "bench", lambda *given, **named: found)


def test_the_model_below_a_run_means_the_run(deeper, model, tmp_path, measured):
    run = tmp_path / "run"
    shutil.copytree(model, run / "model")
    (run / "run.json").write_text("{}")
    said = deeper("bench", run / "model")
    assert said.status == 0, said
    assert "recommended: openvino for latency: 100.0 ms (p50) at batch 1, 0.50 times" in said.out
    assert said.out.splitlines()[-1] == f"next:  deeper export {run} --to openvino"
    assert load_model(run).config["recommended"] == {"export": "export/openvino", "threads": 1}


def test_what_is_kept_is_said_and_can_be_left_or_taken_back(deeper, model, tmp_path, measured):
    run = tmp_path / "run"
    shutil.copytree(model, run)
    before = (run / "config.json").read_bytes()
    said = deeper("bench", run, "--no-keep")
    assert (said.status, said.err) == (0, "") and "next:" not in said.out
    assert (run / "config.json").read_bytes() == before
    assert deeper("bench", run).err == (
        f"`deeper predict {run}` answers by export/openvino once that is there; "
        f"`deeper bench {run} --forget` ends that\n"
    )
    assert deeper("bench", run, "--forget").out == f"{run} answers by itself\n"
    assert (run / "config.json").read_bytes() == before
    assert deeper("bench", run, "--forget").out == f"{run} answers by itself, as before\n"


def test_a_run_that_cannot_be_written_costs_no_figure(deeper, model, measured, monkeypatch):
    def full(file, content):
        raise ResourceError("the disk is full")

    monkeypatch.setattr(recommend, "write_whole", full)
    said = deeper("bench", model, "--json")
    assert (said.status, said.err) == (5, "deeper: the disk is full\n")
    assert json.loads(said.out)["recommended"]["kept"] is False
    assert json.loads(said.out)["rows"][0]["images_per_second"] == 20


@pytest.mark.slow
def test_a_network_by_its_id_as_a_document(deeper, here):
    said = deeper("bench", "cifar-resnet-20-a", "--runtime", "onnxruntime", "--json", *SHORT)
    assert said.status == 0, said
    found = json.loads(said.out)
    assert found["schema"] == 1 and found["network"] == "cifar-resnet-20-a" and not found["interrupted"]
    names = [(row["what"], row["runtime"]) for row in found["rows"]]
    assert names == [("goingdeeper", "onnxruntime"), *names[1:]]
    assert sorted(names[1:]) == [("eager", "eager"), ("eager channels-last", "eager")]
    for row in found["rows"]:
        assert row["relative_error"] < 1e-4 and row["images_per_second"] > 0
        assert 0 < row["latency_ms_p50"] <= row["latency_ms_p90"]
        assert set(row["ratio_to"]) == {"eager", "eager channels-last"}
        assert row["memory_bytes"] > 2**20 and 0 < row["percent_of_floor"]
    assert found["recommended"]["runtime"] == "onnxruntime" and not found["recommended"]["kept"]
    assert not list(here.iterdir())


@pytest.mark.slow
def test_int8_of_random_weights_tells_the_speed_alone(deeper, here):
    words = ("--runtime", "onnxruntime", "--precision", "float32,int8", "--against", "onnxruntime", "--json")
    said = deeper("bench", "cifar-resnet-20-a", *words, *SHORT)
    assert said.status == 0, said
    assert "int8 is calibrated on noise, as the weights are random: its speed is meant alone" in said.err
    found = json.loads(said.out)
    ours = {row["precision"]: row for row in found["rows"] if row["what"] == "goingdeeper"}
    assert ours.keys() == {"float32", "int8"}
    assert ours["float32"]["relative_error"] < 1e-4 < 1e-3 < ours["int8"]["relative_error"] < 1
    assert found["recommended"]["precision"] == "float32"


@pytest.mark.slow
def test_int8_of_a_run_is_its_own_export(deeper, model):
    said = deeper("bench", model, "--runtime", "openvino", "--precision", "int8", *SHORT)
    assert said.status == 2
    assert f"has no export in int8; `deeper export {model} --to openvino --int8` makes it" in said.err


@pytest.mark.slow
def test_one_that_computes_something_else_is_refused(deeper, model, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(model, run)
    right, factors = Model.logits, chain([1], repeat(1.001))  # its golden image comes first
    monkeypatch.setattr(Model, "logits", lambda self, fitted: right(self, fitted) * np.float32(next(factors)))
    before = (run / "config.json").read_bytes()
    said = deeper("bench", run, "--runtime", "onnxruntime", "--against", "onnxruntime", *SHORT)
    assert said.status == 6 and said.out == ""
    assert "WRONG onnxruntime, batch 1: logits differ by 1.0e-03 of the largest; refused" in said.err
    assert "WRONG onnxruntime on the network as published, batch 1" in said.err
    assert "deeper: 2 of the candidates do not compute what the network does" in said.err
    assert (run / "config.json").read_bytes() == before


@pytest.mark.slow
def test_ctrl_c_shows_what_is_measured(model, tmp_path, environment):
    run = tmp_path / "run"
    shutil.copytree(model, run)
    before = (run / "config.json").read_bytes()
    words = ["bench", str(run), "--runtime", "onnxruntime", "--against", "onnxruntime", "--batch", "1"]
    code = "from goingdeeper.timing import floor; floor.SECONDS, floor.BLOCKS = 0.01, 1\n"
    code += "from goingdeeper.cli import watch, program; watch.PLAIN_SECONDS = 0\nprogram()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--rounds", "99999", "--seconds", "0.01"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    while "measuring: 9 of" not in (line := process.stderr.readline()):
        assert line, process.wait()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "onnxruntime" in out and "recommended: onnxruntime for latency" in out
    assert "deeper: interrupted after" in err and "Traceback" not in err
    assert (run / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("resnet-51",), 2, "unknown network 'resnet-51'; did you mean"),
        (("runs/nothing",), 2, "there is no run folder runs/nothing"),
        (("resnet-50", "--runtime", "openvine"), 2, "unknown runtime 'openvine'; did you mean openvino?"),
        (("resnet-50", "--runtime", ","), 2, "--runtime names nothing"),
        (("resnet-50", "--against", "tensorrt"), 2, "unknown rival 'tensorrt'; "),
        (("resnet-50", "--precision", "fp8"), 2, "unknown precision 'fp8'"),
        (("resnet-50", "--runtime", "eager", "--precision", "int8"), 2, "none of eager runs int8; "),
        (("resnet-50", "--threads", "9999"), 2, f"--threads 9999: this machine has {PROCESSORS} processors"),
        (("resnet-50", "--batch", "1,x"), 2, "--batch 1,x: whole numbers from 1 on"),
        (("resnet-50", "--batch", "0"), 2, "--batch 0: whole numbers from 1 on"),
        (("resnet-50", "-o", "bars.gif"), 2, "-o bars.gif: give a .png, .svg or .pdf"),
        (("resnet-50", "-o", "nowhere/bars.png"), 2, "-o nowhere/bars.png: give a .png, .svg or .pdf"),
    ],
)
def test_refusals_are_one_line(deeper, here, words, status, message):
    assert message in deeper("bench", *words).refusal(status)
    assert not list(here.iterdir())


def test_a_missing_extra_that_was_asked_for_is_named(deeper, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = deeper("bench", "cifar-resnet-20-a", "--runtime", "onnxruntime").refusal(4)
    assert "ONNX Runtime is not installed: pip install 'goingdeeper[onnx]'" in line


@pytest.mark.slow
def test_an_export_is_measured_in_its_own_runtime(deeper, model, tmp_path):
    export(load_model(model), tmp_path / "onnx", to="onnx")
    said = deeper("bench", tmp_path / "onnx", "--json", *SHORT)
    assert said.status == 0, said
    (row,) = json.loads(said.out)["rows"]
    assert (row["what"], row["runtime"], row["ratio_to"]) == ("goingdeeper", "onnxruntime", {})
    assert row["relative_error"] < 1e-4
    line = deeper("bench", tmp_path / "onnx", "--against", "eager").refusal(2)
    assert "is an export, of one runtime and no unrewritten network" in line
    line = deeper("bench", tmp_path / "onnx", "--precision", "float32").refusal(2)
    assert "leave out --runtime, --precision and --against" in line
    assert "--threads 9999: this machine" in deeper("bench", tmp_path / "onnx", "--threads", 9999).refusal(2)
