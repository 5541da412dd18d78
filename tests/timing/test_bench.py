"""What is measured of a small network: graphs, logits, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.data.decode import png
from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.export import export
from goingdeeper.deploy.form import form_of
from goingdeeper.deploy.formats import FORMATS
from goingdeeper.errors import MissingExtra, ResourceError, UsageError
from goingdeeper.layers import LRN, Network
from goingdeeper.nn.build import build
from goingdeeper.runs.model import load_model, save_model
from goingdeeper.runtimes.exported import ExportedModel
from goingdeeper.timing import bench, exports
from goingdeeper.timing.candidates import Candidate, open_candidate
from goingdeeper.timing.case import noise, random_model, write_case, write_plain_graph
from goingdeeper.timing.floor import Peak
from goingdeeper.timing.rows import rows_of
from goingdeeper.timing.wishes import Wishes, checked, planned
from goingdeeper.timing.workers import Worker, start


@pytest.fixture
def model(small_network):
    layers = dict(small_network.layers)
    layers = {"conv": layers["conv"], "norm": LRN(5, 1e-2, 0.75, 1.0), **layers}
    return random_model(Network("small", layers, heads=small_network.heads, input=(3, 8, 8), classes=7))


def test_random_weights_are_as_training_leaves_them(model):
    state = model.net.state_dict()
    assert not any(name.startswith("heads.") for name in state)
    for name in ("conv.norm.running_mean", "conv.norm.bias", "side.conv.bias"):
        assert float(state[name].std()) > 0.01, name
    assert (
        0.5 <= float(state["conv.norm.running_var"].min()) < float(state["conv.norm.running_var"].max()) <= 2
    )
    again = random_model(model.net.description).net.state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert model.preprocessing.mean != (0, 0, 0) and model.preprocessing.std != (1, 1, 1)


def test_the_rivals_graph_is_the_network_as_published(model, tmp_path):
    """Batch norm is there, nothing is folded, and it takes normalised floats."""
    write_plain_graph(tmp_path / "plain.onnx", model)
    graph = onnx.load(tmp_path / "plain.onnx")
    onnx.checker.check_model(graph, full_check=True)
    kinds = [node.op_type for node in graph.graph.node]
    assert (kinds.count("BatchNormalization"), kinds.count("LRN"), kinds.count("Cast")) == (1, 1, 0)
    images = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "plain.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images})
    with torch.inference_mode():
        expected = model.net(torch.from_numpy(images)).numpy()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("what", "runtime"),
    [
        ("goingdeeper", "eager"),
        ("eager", "eager"),
        ("eager channels-last", "eager"),
        ("onnxruntime", "onnxruntime"),
        ("openvino", "openvino"),
    ],
)
@pytest.mark.parametrize("goal", ["latency", "throughput"])
def test_every_candidate_gives_the_logits_of_its_images(model, tmp_path, monkeypatch, what, runtime, goal):
    for name in ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR"):  # which it sets for a process of its own
        monkeypatch.setenv(name, str(tmp_path))
    pixels = noise(model, 6)
    write_case(tmp_path, model, pixels)
    write_plain_graph(tmp_path / "plain.onnx", model)
    one = Candidate(what, runtime, "float32", 4, goal, 2, tmp_path / "plain.onnx")
    threads = torch.get_num_threads()
    try:
        found = open_candidate(one, tmp_path)()
    finally:
        torch.set_num_threads(threads)
    floats = (pixels[:4] / 255 - 0.5) / 0.25
    with torch.inference_mode():
        expected = model.net(torch.from_numpy(floats.transpose(0, 3, 1, 2)).float()).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


ALONE = """
import sys
from pathlib import Path
def hook(event, args):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.fork"):
        sys.stderr.write(f"seen: {event}\\n")
sys.addaudithook(hook)
from goingdeeper.timing.candidates import Candidate, open_candidate
what, folder = sys.argv[1], Path(sys.argv[2])
open_candidate(Candidate(what, what, "float32", 1, "latency", 1, folder / "plain.onnx"), folder)()
"""


@pytest.mark.parametrize("what", ["onnxruntime", "openvino"])
def test_nobody_is_told_of_a_rival(model, tmp_path, what):
    """In a process of its own: no connection, nothing in the home folder."""
    write_case(tmp_path, model, noise(model, 1))
    write_plain_graph(tmp_path / "plain.onnx", model)
    (tmp_path / "home").mkdir()
    kept = {
        name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")
    }
    done = subprocess.run(
        [sys.executable, "-c", ALONE, what, tmp_path], env=kept | {"HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "home").iterdir()) == []


def test_batches_that_threads_can_share_are_tried_in_parts():
    wishes = Wishes(runtimes=("eager", "openvino"), against=("eager", "onnxruntime"), threads=2)
    assert [(one.what, one.runtime, one.goal) for one in planned(wishes, 1)] == [
        ("goingdeeper", "eager", "latency"), ("goingdeeper", "openvino", "latency"),
        ("eager", "eager", "latency"), ("eager channels-last", "eager", "latency"),
        ("onnxruntime", "onnxruntime", "latency"),
    ]  # fmt: skip
    parts = [(one.name, one.part) for one in planned(wishes, 6) if one.goal == "throughput"]
    assert parts == [("openvino", 3), ("onnxruntime", 3)]
    assert not [one for one in planned(wishes, 3) if one.goal == "throughput"]
    assert not [one for one in planned(replace(wishes, threads=1), 2) if one.goal == "throughput"]


def test_names_that_are_none_and_packages_that_are_missing(monkeypatch):
    for wishes, message in (
        (Wishes(runtimes=("openvine",)), "unknown runtime 'openvine'; did you mean openvino"),
        (Wishes(against=("egaer",)), "unknown rival 'egaer'; did you mean eager"),
        (Wishes(precisions=("bf16",)), "unknown precision 'bf16'"),
        (Wishes(("eager", "torch"), precisions=("int8",)), "none of eager, torch runs int8; --runtime "),
    ):
        with pytest.raises(UsageError, match=message):
            checked(wishes)
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = planned(checked(Wishes(threads=1)), 1)
    assert [one.runtime for one in found if one.ours] == ["eager", "onnxruntime", "torch"]
    for wishes in (Wishes(against=("openvino",)), Wishes(named=frozenset({"openvino"}))):
        with pytest.raises(
            MissingExtra, match=r"OpenVINO is not installed: pip install 'goingdeeper\[openvino\]'"
        ):
            checked(wishes)


def test_int8_without_its_packages_is_refused(monkeypatch):
    for package in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"ONNX Runtime is not installed: pip install"):
        checked(Wishes(precisions=("float32", "int8")))


def an_export(folder, network, side):
    """As `load_export` gives it."""
    (folder / "golden.png").write_bytes(png(np.zeros((side, side, 3), np.uint8)))
    (folder / "model.onnx").touch()
    golden = {"image": "golden.png", "logits": [0.0, 1.0]}
    config = {"network": network, "runtime": "onnxruntime", "precision": "float32", "golden": golden}
    return ExportedModel(("cat", "dog"), side, side, config, folder, None)


def test_an_export_is_measured_without_what_writes_one(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (one,) = planned(exports.of_export(an_export(tmp_path, "googlenet", 64), Wishes()), 1)
    assert one.ours and one.runtime == "onnxruntime"


def test_an_export_is_measured_where_heads_would_not_fit(tmp_path, monkeypatch):
    """GoogLeNet's heads pool 5x5 of a map that has 4x4 at 64x64."""
    monkeypatch.setattr(exports, "measured", lambda subject, *given: subject)
    found = exports.bench_export(an_export(tmp_path, "googlenet", 64), Wishes())
    assert found.macs == pytest.approx(1_582_671_872 * (64 / 224) ** 2, rel=0.05)
    assert found.given(Candidate("goingdeeper", "onnxruntime", "float32", 1, "latency", 1)).model == (
        tmp_path / "model.onnx"
    )


def test_an_int8_export_that_was_being_replaced_is_found(tmp_path):
    """A process that was killed between its renames leaves the older folder under another name."""
    net = build(catalogue.network("cifar-resnet-20-a")).eval()
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    classes = tuple(f"class {number}" for number in range(10))
    save_model(tmp_path / "model", net, net.state_dict(), classes, Preprocessing(32), picture, {})
    model = load_model(tmp_path)
    export(model, tmp_path / "export/onnx-int8")
    (tmp_path / "export/onnx-int8").rename(tmp_path / "export/.onnx-int8.old")
    one = Candidate("goingdeeper", "onnxruntime", "int8", 1, "latency", 1)
    given = bench._Files(tmp_path, model, tmp_path).given(one)
    assert given.model == tmp_path / "export/.onnx-int8.old/model.onnx"


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_nothing_of_torchs(model, tmp_path):
    """What torch unpacks lies in the folder that a measurement removes."""
    write_case(tmp_path, model, noise(model, 1))
    form = form_of(model.net.description, model.net.state_dict(), model.preprocessing)
    (file,) = FORMATS["torch"].write(form, {}, tmp_path)
    one = Candidate("goingdeeper", "torch", "float32", 1, "latency", 1, file)
    worker = start("torch", open_candidate, (one, tmp_path), 1)
    worker.stop()
    assert list(tmp_path.glob("aotinductor_*/**/*.so"))


def test_rows_are_of_hand_made_seconds():
    """Two ways to share a batch, of which the faster counts; percentiles over all calls."""
    logits = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)

    def given(what, goal):
        one = Candidate(what, "openvino", "float32", 2, goal, 2)
        return one, Worker(what, None, seconds=1.5, answer=logits + np.float32(4e-5), memory=7)

    workers = dict(
        given(*which)
        for which in (("goingdeeper", "latency"), ("goingdeeper", "throughput"), ("openvino", "latency"))
    )
    times = dict(zip(workers, [[[4.0, 4.0], [4.0]], [[1.0, 3.0], [2.0]], [[6.0, 10.0], [6.0]]], strict=True))
    ours, rival = rows_of(times, workers, logits)
    assert (ours.candidate.goal, rival.candidate.what) == ("throughput", "openvino")
    assert (ours.images_per_second, rival.images_per_second) == (1.0, 2 / 7)
    assert (ours.latency_ms_p50, ours.latency_ms_p90) == pytest.approx((2000, 2800))
    assert (ours.memory, ours.load_seconds) == (7, 1.5)
    assert ours.error == pytest.approx(2e-5, rel=0.02)
    assert ours.ratio_to["openvino"].value == 3.5  # of 8 / 2 and 6 / 2
    assert rival.ratio_to["openvino"].value == 1.0


@pytest.fixture
def measure(openers, monkeypatch, tmp_path):
    """Measures what openers.py calls a candidate; each peak is given, or raised."""
    logits = np.array([[1, -2], [3, 4]], np.float32)
    np.save(tmp_path / "logits.npy", logits)
    subject = bench.Subject("small", 10**9, logits, 1e-4, lambda one: one)
    monkeypatch.setattr(bench, "open_candidate", openers.candidate)

    def measured(*peaks, runtimes=("eager",), named=(), **more):
        left = iter(peaks)

        def peak(threads):
            found = next(left)
            if isinstance(found, BaseException):
                raise found
            return Peak(found, "a product")

        monkeypatch.setattr(bench, "measured_peak", peak)
        wishes = Wishes(
            runtimes, batches=(1, 2), against=(), named=frozenset(named), threads=1, rounds=2, seconds=0.001
        )
        return bench.measured(subject, checked(replace(wishes, **more)), tmp_path, bench.silent, bench.silent)

    return measured


def test_a_candidate_that_ends_within_a_block_takes_no_other_with_it(measure):
    runtimes = ("eager", "torch", "onnxruntime")
    found = measure(1e9, 3e9, 2e9, runtimes=runtimes, named=("onnxruntime",))
    rows = [(row.candidate.batch, row.candidate.runtime, len(row.means)) for row in found.rows]
    assert sorted(rows) == [(1, "eager", 2), (1, "onnxruntime", 2), (1, "torch", 2), (2, "eager", 2)]
    assert found.skipped == (
        "torch, batch 2: memory is short (so many bytes); close others, or give a smaller --batch",
        "onnxruntime, batch 2: onnxruntime was ended by SIGKILL; where memory is short, close others",
    )
    assert isinstance(found.failed, ResourceError) and "SIGKILL" in str(found.failed)
    assert (found.peak.flops, found.interrupted) == (3e9, False)


def test_ctrl_c_while_the_peak_is_measured_again_shows_what_there_is(measure):
    found = measure(1e9, KeyboardInterrupt())
    assert [row.candidate.batch for row in found.rows] == [1]
    assert (found.peak.flops, found.interrupted, found.rounds) == (1e9, True, 2)
    with pytest.raises(KeyboardInterrupt):
        measure(KeyboardInterrupt())


def test_a_peak_that_cannot_be_measured_again_costs_no_row(measure):
    found = measure(1e9, ResourceError("a product was ended"), 1e9)
    assert [row.candidate.batch for row in found.rows] == [1, 2]
    assert found.skipped == ("the peak was not measured again: a product was ended",)


def test_rivals_alone_are_no_success(measure):
    """Also where nothing was asked for by name."""
    found = measure(1e9, 1e9, 1e9, runtimes=("openvino",), precisions=("int8",), against=("eager",))
    assert {row.candidate.what for row in found.rows} == {"eager", "eager channels-last"}
    assert isinstance(found.failed, MissingExtra)
    found = measure(1e9, 1e9, 1e9, runtimes=("eager", "openvino"), precisions=("float32", "int8"))
    assert (len(found.rows), len(found.skipped), found.failed) == (4, 2, None)


def test_a_file_that_cannot_be_written_is_told_at_each_batch(model, tmp_path):
    given = bench._Files(tmp_path, model, tmp_path / "run").given
    for batch in (1, 32):
        with pytest.raises(UsageError, match="run has no export in int8"):
            given(Candidate("goingdeeper", "openvino", "int8", batch, "latency", 1))


def test_a_network_that_a_runtime_cannot_take_costs_its_rows_alone(model, tmp_path, monkeypatch):
    def raising(form, facts, place):
        raise RuntimeError("no rule")

    monkeypatch.setitem(FORMATS, "openvino", replace(FORMATS["openvino"], write=raising))
    given = bench._Files(tmp_path, model, None).given
    with pytest.raises(UsageError, match=r"^small: OpenVINO cannot take the network: no rule; --runtime na"):
        given(Candidate("goingdeeper", "openvino", "float32", 1, "latency", 1))
